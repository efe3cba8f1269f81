/* What the description says, as data: which symbol a name means at a version, and what each exported function
 * does. The rows are generated (src/api/gen/); everything here is constant, takes no lock and allocates
 * nothing. */
#ifndef VGPU_API_LOOKUP_H
#define VGPU_API_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "api/cuda_types.h"

/* Stream 0 of a function: the device's legacy stream, or the thread's own (_ptsz with a stream parameter,
 * _ptds without). */
enum api_variant { API_PLAIN, API_PTSZ, API_PTDS };

/* The doors of the marks "memory", "time" and "sync" in "api/cuda_api.h". */
enum api_memory {
    API_MEMORY_NONE,
    API_MEMORY_ALLOC,
    API_MEMORY_FREE,
    API_MEMORY_POOL,
    API_MEMORY_QUERY,
    API_MEMORY_CONTEXT,
    API_MEMORY_MODULE,
    API_MEMORY_MAP,
    API_MEMORY_UNMAP,
    API_MEMORY_EXPORT,
    API_MEMORY_IMPORT,
    API_MEMORY_GRAPH
};
enum api_time {
    API_TIME_NONE,
    API_TIME_LAUNCH,
    API_TIME_COPY,
    API_TIME_FILL,
    API_TIME_OPERATION,
    API_TIME_GRAPH,
    API_TIME_HOST
};
enum api_sync { API_SYNC_SYNC, API_SYNC_LOCAL, API_SYNC_ONEWAY };

/* One exported function. */
struct cuda_row {
    const char *name;   /* what cuGetProcAddress calls it */
    const char *symbol; /* what the linker calls it */
    uint16_t since;     /* the version that gave the name this meaning; 13000 is 13.0 */
    uint16_t slot;      /* enum cuda_slot */
    uint16_t id;        /* stable over releases of ours */
    uint8_t variant, memory, time, sync;
    bool typed;           /* false: a name that is only passed on */
    bool hooked;          /* src/shim/hooks.txt names it */
    bool illegal_capture; /* refused while a stream captures */
};

struct nvml_row {
    const char *name, *symbol;
    uint16_t slot, id;
    bool typed, hooked;
};

/* Sorted by name, then since, then variant. */
extern const struct cuda_row api_cuda_rows[];
extern const unsigned api_cuda_rows_count;
extern const struct nvml_row api_nvml_rows[];
extern const unsigned api_nvml_rows_count;

/* What cuGetProcAddress(name, version, flags) must answer: of the functions of that name which exist at
 * version, the newest; its per-thread variant when flags has CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
 * and there is one. name is a base name: "cuMemAlloc", never "cuMemAlloc_v2". -ENOENT: no such name. -ERANGE:
 * the name is younger than version. *ret_row is untouched on failure. O(log n). */
int api_cuda_find(const char *name, int version, cuuint64_t flags, const struct cuda_row **ret_row);

/* The row of an exported symbol ("cuMemAlloc_v2", "cuMemcpy_ptds"), or NULL. O(log n). */
const struct cuda_row *api_cuda_symbol(const char *symbol);
const struct nvml_row *api_nvml_symbol(const char *symbol);

/* The row of a slot of the dispatch table; NULL where slot is none. */
const struct cuda_row *api_cuda_slot(unsigned slot);
const struct nvml_row *api_nvml_slot(unsigned slot);

/* cuGetProcAddress_v2 over entries (one address for each slot, NULL where there is none: api_cuda_entries of
 * "api/entries.h", or the real driver's). status may be NULL. */
CUresult api_cuda_proc_address(void *const *entries, const char *name, void **ret_function, int version,
                               cuuint64_t flags, CUdriverProcAddressQueryResult *ret_status);

#endif
