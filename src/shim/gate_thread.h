/* The gate's fast path: what a thread has paid for in advance, and a look-up of what a launch costs. Private
 * to src/shim.
 *
 * Budget of gate_pay: a thread-local load, two loads of shared words that hardly ever change, a hash, one
 * cache line of the cost table, one store to the thread's own line. No clock, no system call, nothing that
 * another thread writes. */
#ifndef VGPU_SHIM_GATE_THREAD_H
#define VGPU_SHIM_GATE_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/cuda_api.h"
#include "ledger/layout.h"
#include "meter/cost.h"

struct gate_thread {
    int64_t credit_ns[LEDGER_DEVICES_MAX][LEDGER_ENGINES];
    uint64_t drew_time_ns[LEDGER_DEVICES_MAX][LEDGER_ENGINES]; /* when it drew last */
    uint64_t *begun; /* the word to count launches in, for those of less priority; NULL: nobody looks */
} __attribute__((aligned(64)));

/* This thread's, where the fast path may be used: shares are metered, and the instance has one device. */
extern _Thread_local struct gate_thread *gate_thread;

/* Streams that capture now, in the whole process: where there are any, every launch takes the slow path,
 * which asks. */
extern unsigned gate_captures;

extern struct cost_table gate_costs;

static inline uint64_t gate_key_launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                       unsigned block_x, unsigned block_y, unsigned block_z,
                                       unsigned shared_bytes)
{
    return cost_key((uint64_t)(uintptr_t)function, grid_x ^ (uint64_t)grid_y << 24 ^ (uint64_t)grid_z << 44,
                    block_x ^ (uint64_t)block_y << 11 ^ (uint64_t)block_z << 22 ^
                        (uint64_t)shared_bytes << 29);
}

static inline uint64_t gate_key_graph(CUgraphExec exec)
{
    return cost_key((uint64_t)(uintptr_t)exec, UINT64_MAX, 0);
}

/* Pays for work of this key from the thread's credit. False: nothing was paid, take gate_enter. */
static inline bool gate_pay(uint64_t key)
{
    struct gate_thread *thread = gate_thread;
    int64_t left_ns;

    if (!thread || __atomic_load_n(&gate_captures, __ATOMIC_RELAXED))
        return false;
    left_ns = thread->credit_ns[0][LEDGER_COMPUTE] - cost_find(&gate_costs, key);
    if (left_ns < 0)
        return false;
    thread->credit_ns[0][LEDGER_COMPUTE] = left_ns;
    if (thread->begun) /* a count that loses some when threads race still changes */
        __atomic_store_n(thread->begun, *thread->begun + 1, __ATOMIC_RELAXED);
    return true;
}

#endif
