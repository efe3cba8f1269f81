/* Branches and ends. A branch that all threads of the group take only moves pc; otherwise the group parts,
 * and warp.c decides who goes first. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/warp.h"

enum insn_next run_branch(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    if (mask == warp->mask) {
        warp->pc = (uint32_t)insn->imm;
        return NEXT_GO;
    }
    warp->mask &= ~mask;
    warp_split(warp, warp->frame, (uint32_t)insn->imm, mask);
    return NEXT_REGROUP;
}

enum insn_next run_branch_index(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const uint32_t *index = lane_array(warp, insn->src[0]);

    for (uint32_t left = mask; left;) {
        unsigned first = (unsigned)__builtin_ctz(left);
        uint32_t same = 0;

        if (index[first] >= (uint64_t)insn->imm)
            return grid_fault(warp, insn, first, EXEC_FAULT_ILLEGAL_INSTRUCTION, 0,
                              "branch index out of range");
        for_each_lane(lane, left) same |= (uint32_t)(index[lane] == index[first]) << lane;
        if (same == warp->mask) {
            warp->pc = insn->targets[index[first]];
            return NEXT_GO;
        }
        warp->mask &= ~same;
        left &= ~same;
        warp_split(warp, warp->frame, insn->targets[index[first]], same);
    }
    return NEXT_REGROUP;
}

enum insn_next run_exit(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    warp_exit(warp, mask);
    return NEXT_REGROUP;
}

enum insn_next run_trap(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    return grid_fault(warp, insn, (unsigned)__builtin_ctz(mask), EXEC_FAULT_TRAP, 0, "trap");
}
