/* The sixteen barriers of a block: bar.sync, bar.arrive and bar.red. A barrier without a count opens when
 * every live thread has arrived; one with a count when that many have, where a warp of which some arrived
 * counts its missing and exited lanes as well, as hardware counts warps. Warps that meet go on at the latest
 * one's modelled clock. */
#include "softgpu/exec/run.h"

#include <string.h>

#include "softgpu/exec/block.h"

static bool is_complete(const struct block *block, const struct barrier *barrier)
{
    uint32_t threads = barrier->extra_threads;

    for (uint32_t i = 0; i < block->n_warps; i++) {
        uint32_t live = block->warps[i].live, arrived = barrier->arrived[i];

        if (!barrier->wanted_threads && (live & ~arrived))
            return false;
        if (arrived)
            threads += popcount32(arrived | ~live);
    }
    return threads >= barrier->wanted_threads;
}

static void write_reduction(const struct barrier *barrier, const struct group *group, const struct insn *insn)
{
    uint64_t value = insn->mode == BARRIER_RED_POPC  ? barrier->true_count
                     : insn->mode == BARRIER_RED_AND ? barrier->true_count == barrier->red_count
                                                     : barrier->true_count != 0;

    if (insn->mode < BARRIER_RED_POPC || insn->dst[0] == OPERAND_NONE)
        return;
    for_each_lane(lane, group->mask)
        lane_write(group->frame->regs + OPERAND_OFFSET(insn->dst[0]), insn->dst_bytes[0], lane, value);
}

static void open_barrier(struct block *block, uint32_t number)
{
    struct barrier *barrier = &block->barriers[number];
    const struct insn *code = block->grid->program->code;

    for (uint32_t i = 0; i < block->n_warps; i++) {
        struct warp *warp = &block->warps[i];

        for (uint32_t j = 0; j < warp->n_groups; j++) {
            struct group *group = &warp->groups[j];

            if (group->state != GROUP_AT_BARRIER || group->key != number)
                continue;
            write_reduction(barrier, group, &code[group->pc - 1]);
            group->state = GROUP_READY;
            if (warp->cycles < barrier->cycles)
                warp->cycles = barrier->cycles;
        }
    }
    memset(barrier, 0, sizeof *barrier);
}

void barriers_recheck(struct block *block)
{
    for (uint32_t i = 0; i < BARRIERS; i++)
        if (block->barriers[i].in_use && is_complete(block, &block->barriers[i]))
            open_barrier(block, i);
}

static void arrive(struct warp *warp, struct barrier *barrier, const struct insn *insn, uint32_t mask)
{
    if (barrier->arrived[warp->index] & mask)
        barrier->extra_threads += LANES;
    else
        barrier->arrived[warp->index] |= mask;
    barrier->in_use = true;
    if (barrier->cycles < warp->cycles)
        barrier->cycles = warp->cycles;
    if (insn->mode >= BARRIER_RED_POPC) {
        uint32_t is_true = predicate_mask(lane_array(warp, insn->src[2]));

        barrier->true_count += popcount32((insn->src_not >> 2 & 1 ? ~is_true : is_true) & mask);
        barrier->red_count += popcount32(mask);
    }
}

enum insn_next run_barrier(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    unsigned first = (unsigned)__builtin_ctz(mask);
    uint32_t number = ((const uint32_t *)lane_array(warp, insn->src[0]))[first];
    uint32_t wanted =
        insn->src[1] == OPERAND_NONE ? 0 : ((const uint32_t *)lane_array(warp, insn->src[1]))[first];
    struct barrier *barrier = &warp->block->barriers[number % BARRIERS];

    if (number >= BARRIERS || (insn->src[1] != OPERAND_NONE && (wanted == 0 || wanted % LANES)))
        return grid_fault(warp, insn, first, EXEC_FAULT_ILLEGAL_INSTRUCTION, 0,
                          "barrier number or thread count");
    arrive(warp, barrier, insn, mask);
    barrier->wanted_threads = wanted;
    if (insn->mode != BARRIER_ARRIVE) {
        warp_narrow(warp, mask);
        warp_wait(warp, GROUP_AT_BARRIER, number);
    }
    if (is_complete(warp->block, barrier))
        open_barrier(warp->block, number);
    return insn->mode == BARRIER_ARRIVE ? NEXT_GO : NEXT_REGROUP;
}
