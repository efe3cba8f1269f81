/* The cost model's table and list scheduler (cost.h says what they mean). Called by grid.c with exact counts;
 * it must stay free of clocks, host state and floating point, or the same kernel would get two lengths. */
#include "softgpu/exec/cost.h"

#include <stdlib.h>

/* Latencies are those of a warp that waits for its own results, a little overlapped for loads; issue costs
 * follow the lanes per cycle of a Turing SM (64 fp32 and int, 32 fp16x2... 16 special functions, 2 fp64, 32
 * load/store). */
const struct cost_entry cost_table[COST_CLASS_COUNT] = {
    [COST_INT] = {4, 2},
    [COST_FP32] = {4, 2},
    [COST_FP64] = {16, 64},
    [COST_FP16] = {4, 2},
    [COST_SFU] = {12, 8},
    [COST_CONVERT] = {8, 8},
    [COST_MOVE] = {2, 1},
    [COST_CONTROL] = {6, 2},
    [COST_GLOBAL_LOAD] = {100, 8},
    [COST_GLOBAL_STORE] = {8, 8},
    [COST_SHARED] = {20, 4},
    [COST_LOCAL] = {30, 8},
    [COST_PARAM] = {6, 2},
    [COST_GLOBAL_ATOMIC] = {120, 16},
    [COST_SHARED_ATOMIC] = {40, 8},
    [COST_SYNC] = {12, 2},
    [COST_EXCHANGE] = {12, 4},
    [COST_FENCE] = {20, 2},
    [COST_CLOCK] = {8, 2},
};

uint64_t cost_issue_cycles(const uint64_t counts[COST_CLASS_COUNT])
{
    uint64_t quarters = 0;

    for (int i = 0; i < COST_CLASS_COUNT; i++)
        quarters += counts[i] * cost_table[i].issue_quarter_cycles;
    return (quarters + 3) / 4;
}

uint32_t cost_blocks_per_sm(uint32_t threads, uint64_t shared_bytes)
{
    uint32_t rounded = (threads + 31) / 32 * 32;
    uint64_t slots = rounded ? 2048 / rounded : 32;

    if (shared_bytes && 65536 / shared_bytes < slots)
        slots = 65536 / shared_bytes;
    if (slots > 32)
        slots = 32;
    return slots ? (uint32_t)slots : 1;
}

/* One place for a block on one SM. Order among equals makes blocks spread over the SMs before they pair up.
 */
struct slot {
    uint64_t free_cycles;
    uint64_t order; /* slot number x sm_count + SM */
};

struct cost_schedule {
    uint64_t sm_count;
    uint64_t *issue_cycles; /* per SM */
    uint64_t latest_cycles;
    size_t n_slots;
    struct slot *heap; /* earliest free slot at 0 */
};

struct cost_schedule *cost_schedule_new(uint32_t sm_count, uint32_t slots_per_sm, uint64_t n_blocks)
{
    struct cost_schedule *schedule = calloc(1, sizeof *schedule);
    uint64_t n_slots = (uint64_t)sm_count * slots_per_sm;

    if (!schedule)
        return NULL;
    if (n_slots > n_blocks) /* slots beyond the number of blocks are never reached */
        n_slots = n_blocks ? n_blocks : 1;
    schedule->sm_count = sm_count;
    schedule->n_slots = n_slots;
    schedule->issue_cycles = calloc(sm_count, sizeof *schedule->issue_cycles);
    schedule->heap = calloc(n_slots, sizeof *schedule->heap);
    if (!schedule->issue_cycles || !schedule->heap) {
        cost_schedule_free(schedule);
        return NULL;
    }
    for (size_t i = 0; i < n_slots; i++)
        schedule->heap[i].order = i;
    return schedule;
}

void cost_schedule_free(struct cost_schedule *schedule)
{
    if (!schedule)
        return;
    free(schedule->issue_cycles);
    free(schedule->heap);
    free(schedule);
}

static int slot_before(const struct slot *a, const struct slot *b)
{
    if (a->free_cycles != b->free_cycles)
        return a->free_cycles < b->free_cycles;
    return a->order < b->order;
}

static void sift_down(struct slot *heap, size_t n)
{
    struct slot moving = heap[0];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= n)
            break;
        if (child + 1 < n && slot_before(&heap[child + 1], &heap[child]))
            child++;
        if (!slot_before(&heap[child], &moving))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moving;
}

void cost_schedule_block(struct cost_schedule *schedule, uint64_t latency_cycles, uint64_t issue_cycles)
{
    struct slot *first = &schedule->heap[0];

    schedule->issue_cycles[first->order % schedule->sm_count] += issue_cycles;
    first->free_cycles += latency_cycles;
    if (first->free_cycles > schedule->latest_cycles)
        schedule->latest_cycles = first->free_cycles;
    sift_down(schedule->heap, schedule->n_slots);
}

/* How many of the numbers below n leave rest when divided by by. */
static uint64_t numbers_with_rest(uint64_t n, uint64_t rest, uint64_t by)
{
    return n > rest ? (n - rest + by - 1) / by : 0;
}

/* Equal blocks go round over the slots in order, whole rounds and what is left. */
void cost_schedule_alike(struct cost_schedule *schedule, uint64_t n, uint64_t latency_cycles,
                         uint64_t issue_cycles)
{
    uint64_t rounds = n / schedule->n_slots, left = n % schedule->n_slots;

    schedule->latest_cycles = (rounds + (left > 0)) * latency_cycles;
    for (uint64_t sm = 0; sm < schedule->sm_count; sm++)
        schedule->issue_cycles[sm] = (rounds * numbers_with_rest(schedule->n_slots, sm, schedule->sm_count) +
                                      numbers_with_rest(left, sm, schedule->sm_count)) *
                                     issue_cycles;
}

uint64_t cost_schedule_cycles(const struct cost_schedule *schedule)
{
    uint64_t cycles = schedule->latest_cycles;

    for (uint64_t i = 0; i < schedule->sm_count; i++)
        if (schedule->issue_cycles[i] > cycles)
            cycles = schedule->issue_cycles[i];
    return cycles;
}
