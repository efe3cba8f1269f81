/* The gate's fast path for copies, fills and memory operations, and what they cost: a kind has one cost for
 * what is small, and one by MiB. Private to src/shim.
 *
 * Budget of gate_pay_bytes: that of gate_pay and one multiplication. */
#ifndef VGPU_SHIM_GATE_COPY_H
#define VGPU_SHIM_GATE_COPY_H

#include "base/clock.h"
#include "shim/gate.h"
#include "shim/gate_thread.h"

/* What 1 MiB is thought to cost before one was measured (10 GB/s), and up to what size the cost does not
 * depend on it. */
#define COPY_PRIOR_NS    (UINT64_C(100) * NS_PER_US)
#define COPY_SMALL_BYTES (UINT64_C(1) << 16)
#define COPY_SMALL_NS    (UINT64_C(2) * NS_PER_US)
#define OPERATION_NS     UINT64_C(500)
#define MIB_BYTES        (UINT64_C(1) << 20)

static inline enum ledger_engine gate_engine(enum gate_kind kind)
{
    return kind == GATE_KERNEL || kind == GATE_GRAPH || kind == GATE_FILL || kind == GATE_STREAM_OPERATION
               ? LEDGER_COMPUTE
               : LEDGER_COPY;
}

/* Whether its cost depends on how many bytes it moves or fills. */
static inline bool gate_is_by_bytes(enum gate_kind kind)
{
    return kind != GATE_KERNEL && kind != GATE_GRAPH && kind != GATE_STREAM_OPERATION;
}

static inline uint64_t gate_key_bytes(enum gate_kind kind, uint64_t bytes)
{
    return cost_key(kind, bytes >= COPY_SMALL_BYTES, UINT64_MAX);
}

/* The predicted cost of the whole by what its key costs. */
static inline uint64_t gate_cost_bytes(enum gate_kind kind, uint64_t bytes, int64_t key_ns)
{
    if (kind == GATE_STREAM_OPERATION)
        return bytes < NS_PER_S / OPERATION_NS ? bytes * OPERATION_NS : NS_PER_S;
    if (bytes < COPY_SMALL_BYTES)
        return key_ns == COST_UNKNOWN_NS ? COPY_SMALL_NS : (uint64_t)key_ns;
    if (key_ns == COST_UNKNOWN_NS)
        key_ns = (int64_t)COPY_PRIOR_NS;
    return (uint64_t)((double)bytes / MIB_BYTES * (double)key_ns);
}

/* Pays for the work from the thread's credit. False: nothing was paid, take gate_enter. */
static inline bool gate_pay_bytes(enum gate_kind kind, uint64_t bytes)
{
    struct gate_thread *thread = gate_thread;
    const enum ledger_engine engine = gate_engine(kind);
    uint64_t cost_ns;

    if (!thread || thread->credit_ns[0][engine] <= 0 || __atomic_load_n(&gate_captures, __ATOMIC_RELAXED))
        return false;
    cost_ns = gate_cost_bytes(kind, bytes, cost_find(&gate_costs, gate_key_bytes(kind, bytes)));
    if (!cost_ns || cost_ns > (uint64_t)thread->credit_ns[0][engine])
        return false;
    thread->credit_ns[0][engine] -= (int64_t)cost_ns;
    if (thread->begun) /* a count that loses some when threads race still changes */
        __atomic_store_n(thread->begun, *thread->begun + 1, __ATOMIC_RELAXED);
    return true;
}

#endif
