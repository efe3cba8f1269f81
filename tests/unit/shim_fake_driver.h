/* What the tests of the shim see of their fake driver: the device's own account, which shares no code with
 * the ledger, and what to make of the next calls. */
#ifndef TESTS_UNIT_SHIM_FAKE_DRIVER_H
#define TESTS_UNIT_SHIM_FAKE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

enum { FAKE_DEVICES = 2 };

struct fake_device {
    uint64_t capacity_bytes, used_bytes, most_used_bytes;
};

struct fake {
    struct fake_device devices[FAKE_DEVICES];
    uint64_t context_bytes; /* a context costs */
    uint64_t module_bytes;  /* a module costs */
    uint64_t pool_growth;   /* a pool grows by multiples of this */
    unsigned pitch_align;
    bool capturing;        /* streams say that they capture */
    bool hide_process;     /* NVML does not list this process */
    int fail_next;         /* CUresult that the next allocating call answers; 0: none */
    const char *last_call; /* name of the driver function that was called last */
};

/* Exported by the fake driver as "fake_state". */
typedef struct fake *(*fake_state_fn)(void);

#endif
