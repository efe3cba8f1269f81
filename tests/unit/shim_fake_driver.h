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
    uint64_t context_bytes;      /* a context costs */
    void (*while_context)(void); /* called once, in the middle of making the next one; NULL: nothing */
    uint64_t module_bytes;       /* a module costs */
    uint64_t pool_growth;        /* a pool grows by multiples of this */
    unsigned pitch_align;
    uint64_t array_extra_bytes; /* an array takes so much more than its rows */
    bool hide_requirements;     /* what arrays take is not said */
    uint64_t graph_extra_bytes; /* graph memory grows by so much more than is needed */
    bool graphs_share;          /* the memory of a launch that is over is anybody's, and can be trimmed */
    bool capturing;             /* streams say that they capture */
    bool hide_process;          /* NVML does not list this process */
    /* Memory that a process outside the instance made: a descriptor of a file of file_bytes that leads to it;
     * and a CUipcMemHandle of it. */
    int (*foreign_file)(int device, uint64_t bytes, uint64_t file_bytes);
    void (*foreign_ipc)(int device, uint64_t bytes, void *handle);
    int fail_next;         /* CUresult that the next allocating call answers; 0: none */
    const char *last_call; /* name of the driver function that was called last */
};

/* Exported by the fake driver as "fake_state". */
typedef struct fake *(*fake_state_fn)(void);

#endif
