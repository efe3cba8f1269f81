/* What the files of the tests' fake driver share; see shim_fake_driver.c. */
#ifndef TESTS_UNIT_SHIM_FAKE_PARTS_H
#define TESTS_UNIT_SHIM_FAKE_PARTS_H

#include "api/cuda_table.h"
#include "shim_fake_driver.h"

enum { FAKE_GRANULE = 2 << 20 };

struct CUctx_st {
    bool alive;
    CUdevice device;
};

#pragma GCC visibility push(default)
struct fake *fake_state(void);
#pragma GCC visibility pop

/* Notes which function was called. */
#define FAKE_CALL(name, is_too_early)                                                                        \
    do {                                                                                                     \
        fake_state()->last_call = #name;                                                                     \
        if (is_too_early)                                                                                    \
            return CUDA_ERROR_NOT_INITIALIZED;                                                               \
    } while (0)

static inline uint64_t fake_granules(uint64_t bytes)
{
    return (bytes + FAKE_GRANULE - 1) / FAKE_GRANULE * FAKE_GRANULE;
}

/* The current context, or NULL. */
CUcontext fake_current(void);

/* Memory of a device; false when it is full. */
bool fake_take(CUdevice device, uint64_t bytes);

/* Addresses that nobody has. */
uint64_t fake_address_take(uint64_t bytes);

/* What this allocating call is to answer instead of working; CUDA_SUCCESS: nothing. */
CUresult fake_fail(void);

/* Arrays go with their context. */
void fake_arrays_end(CUcontext context);

/* Physical memory (shim_fake_vmm.c): one reference less; what a context takes with it; the free of a mapped
 * buffer, false when address is none; what other processes do. */
struct fake_physical;
void fake_physical_unref(struct fake_physical *physical);
void fake_vmm_end(CUcontext context);
bool fake_buffer_free(CUdeviceptr address);
int fake_foreign_file(int device, uint64_t bytes, uint64_t file_bytes);
void fake_foreign_ipc(int device, uint64_t bytes, void *handle);

/* A mipmapped array in external memory, of which it holds a reference that the caller adds. */
CUresult fake_array_of(CUmipmappedArray *array, struct fake_physical *physical);

/* The allocation that address lies in; false: none. */
bool fake_block_at(CUdeviceptr address, uint64_t *ret_base, uint64_t *ret_bytes);

/* An allocation in a stream that captures: a node of the captured graph. And whether a node has the address.
 */
CUresult fake_capture_alloc(CUdeviceptr *address, uint64_t bytes, CUdevice device);
bool fake_graph_node_at(CUdeviceptr address);

#endif
