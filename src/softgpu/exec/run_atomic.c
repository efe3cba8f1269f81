/* Atomics: one host atomic a lane, in lane order. That orders them against other blocks, other processes and
 * the host as well. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/warp.h"

/* Spinning on a lock is told from work by its atomics: each counts as many instructions towards the turn of
 * the warp's other groups. */
enum { ATOMIC_TURN_INSTRUCTIONS = 64 };

static uint64_t sign_extended(uint64_t value, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;

    return (uint64_t)((int64_t)(value << shift) >> shift);
}

enum insn_next run_atomic(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    const void *a = lane_array(warp, insn->src[1]);
    const void *b = insn->n_src > 2 ? lane_array(warp, insn->src[2]) : NULL;
    void *to = insn->dst[0] == OPERAND_NONE ? NULL : lane_array(warp, insn->dst[0]);

    if (!memory_lanes(warp, insn, mask, insn->bytes, insn->bytes, true, pointers))
        return NEXT_STOP;
    warp->spent += ATOMIC_TURN_INSTRUCTIONS;
    for_each_lane(lane, mask)
    {
        uint64_t value = lane_read(a, insn->src_bytes[1], lane);
        uint64_t old = insn->atom(pointers[lane], value, b ? lane_read(b, insn->src_bytes[2], lane) : 0);

        if (to && insn->dst_signed && insn->dst_bytes[0] > insn->bytes)
            old = sign_extended(old, insn->bytes);
        if (to)
            lane_write(to, insn->dst_bytes[0], lane, old);
    }
    return NEXT_GO;
}
