/* The modelled clock as a kernel sees it. Every warp has its own, moved on by the cost of its instructions. A
 * warp that does nothing but read the clock (a delay loop) would burn host time for modelled time, so once it
 * goes round idly each read adds 1/256 of what it has waited: the loop overshoots by at most 0.4 %, whatever
 * its length. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/block.h"

enum { POLL_INSTRUCTIONS_MAX = 16, POLL_STEP_DIVISOR = 256 };

static uint64_t cycles_to_ns(uint64_t cycles, uint32_t clock_khz)
{
    return (uint64_t)((unsigned __int128)cycles * 1000000 / clock_khz);
}

/* Instructions by which others could notice that time passes, or by which this warp could notice others. */
static uint64_t effects(const struct warp *warp)
{
    uint64_t sum = 0;

    for (int i = COST_GLOBAL_LOAD; i <= COST_FENCE; i++)
        sum += i == COST_PARAM ? 0 : warp->counts[i];
    return sum;
}

static uint64_t other_instructions(const struct warp *warp)
{
    uint64_t sum = 0;

    for (int i = 0; i < COST_CLOCK; i++)
        sum += warp->counts[i];
    return sum;
}

/* True for a read that goes round in an idle loop: the same instruction as before, nothing that matters
 * since. A loop may read two clocks; a read before it may belong to no loop. */
static bool is_poll(struct warp *warp, const struct insn *insn)
{
    uint64_t seen = effects(warp), others = other_instructions(warp);
    bool idle = seen == warp->poll_effects && others - warp->poll_instructions <= POLL_INSTRUCTIONS_MAX;

    warp->poll_effects = seen;
    warp->poll_instructions = others;
    if (idle && insn == warp->poll_insn) {
        warp->poll_others = 0;
        return true;
    }
    if (!idle || ++warp->poll_others >= 2) {
        warp->poll_insn = insn;
        warp->poll_others = 0;
    }
    if (!idle)
        warp->poll_start = warp->cycles;
    return false;
}

static uint64_t clock_value(const struct warp *warp, enum clock_mode mode)
{
    const struct grid *grid = warp->block->grid;
    uint64_t cycles = grid->start_cycles + warp->cycles;
    uint64_t ns = grid->launch->start_ns + cycles_to_ns(warp->cycles, grid->launch->clock_khz);

    switch (mode) {
    case CLOCK_LOW:
        return (uint32_t)cycles;
    case CLOCK_HIGH:
        return cycles >> 32;
    case CLOCK_64:
        return cycles;
    case CLOCK_NS:
        return ns;
    case CLOCK_NS_LOW:
        return (uint32_t)ns;
    default:
        return ns >> 32;
    }
}

enum insn_next run_clock(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    uint64_t value;

    if (is_poll(warp, insn))
        warp->cycles += (warp->cycles - warp->poll_start) / POLL_STEP_DIVISOR;
    if (insn->dst[0] == OPERAND_NONE)
        return NEXT_GO;
    value = clock_value(warp, (enum clock_mode)insn->mode);
    for_each_lane(lane, mask) lane_write(lane_array(warp, insn->dst[0]), insn->dst_bytes[0], lane, value);
    return NEXT_GO;
}

/* The longest sleep of the warp's lanes; hardware caps one at a millisecond. */
enum insn_next run_nanosleep(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const uint32_t *ns = lane_array(warp, insn->src[0]);
    uint64_t longest_ns = 0;

    for_each_lane(lane, mask) if (ns[lane] > longest_ns) longest_ns = ns[lane];
    if (longest_ns > 1000000)
        longest_ns = 1000000;
    warp->cycles += longest_ns * warp->block->grid->launch->clock_khz / 1000000;
    return NEXT_REGROUP;
}
