/* How long work takes on the modelled device: pure arithmetic from exact counts, the same on every machine
 * and for every number of host threads. Nothing here reads a clock.
 *
 * The model. Every executed warp instruction belongs to a class. A class has a latency (cycles its own warp
 * waits) and an issue cost (quarter cycles of the SM's four schedulers). warp clock    = sum of latencies of
 * the warp's instructions; at a barrier all its warps go on at the latest one's clock; a clock poll or
 * nanosleep moves it by what is waited for block latency = largest warp clock of the block block issue   =
 * sum over classes of count x issue cost / 4 block slots   = blocks that fit on an SM at once: min(32, 2048 /
 * threads rounded up to warps, 64 KiB / shared bytes), at least 1 grid          = blocks in launch order,
 * each onto the slot that is free first (ties: lower slot, then lower SM); a block holds its slot for its
 * block latency; an SM is done at max(last slot free, sum of the issue of its blocks); model_cycles = largest
 * SM time. */
#ifndef VGPU_SOFTGPU_EXEC_COST_H
#define VGPU_SOFTGPU_EXEC_COST_H

#include <stddef.h>
#include <stdint.h>

enum cost_class {
    COST_INT,
    COST_FP32,
    COST_FP64,
    COST_FP16,
    COST_SFU,
    COST_CONVERT,
    COST_MOVE,
    COST_CONTROL,
    COST_GLOBAL_LOAD,
    COST_GLOBAL_STORE,
    COST_SHARED,
    COST_LOCAL,
    COST_PARAM,
    COST_GLOBAL_ATOMIC,
    COST_SHARED_ATOMIC,
    COST_SYNC,
    COST_EXCHANGE,
    COST_FENCE,
    COST_CLOCK,
    COST_CLASS_COUNT
};

struct cost_entry {
    uint16_t latency_cycles;
    uint16_t issue_quarter_cycles;
};
extern const struct cost_entry cost_table[COST_CLASS_COUNT];

/* SM issue cycles of one block, rounded up. */
uint64_t cost_issue_cycles(const uint64_t counts[COST_CLASS_COUNT]);

/* Blocks of this shape that one SM holds at once, 1..32. */
uint32_t cost_blocks_per_sm(uint32_t threads, uint64_t shared_bytes);

/* The list scheduler. Feed blocks in launch order, then ask. */
struct cost_schedule;
/* NULL when memory is out. slots_per_sm as cost_blocks_per_sm says; n_blocks bounds what is allocated. */
struct cost_schedule *cost_schedule_new(uint32_t sm_count, uint32_t slots_per_sm, uint64_t n_blocks);
void cost_schedule_free(struct cost_schedule *schedule);
void cost_schedule_block(struct cost_schedule *schedule, uint64_t latency_cycles, uint64_t issue_cycles);
/* n blocks that are all alike, onto a schedule without any; after it none is fed any more. The outcome is
 * that of n times cost_schedule_block, at the cost of one look at each SM. latency_cycles is not 0. */
void cost_schedule_alike(struct cost_schedule *schedule, uint64_t n, uint64_t latency_cycles,
                         uint64_t issue_cycles);
uint64_t cost_schedule_cycles(const struct cost_schedule *schedule);

#endif
