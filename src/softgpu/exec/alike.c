/* Which kernels have blocks that are all alike; see alike.h. A list of what is allowed, not of what is
 * forbidden: an instruction that is new or forgotten here makes a kernel slower, not wrong. Clocks are
 * allowed because each block's own begins at the same value. */
#include "softgpu/exec/alike.h"

#include "softgpu/exec/program.h"
#include "softgpu/exec/run.h"

static bool run_is_alike(insn_run run)
{
    static const insn_run allowed[] = {
        run_alu1,  run_alu2,      run_alu3,       run_alu5,   run_alu_resized,  run_pack, run_unpack,
        run_clock, run_nanosleep, run_load_param, run_branch, run_branch_index, run_ret,  run_exit,
    };

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (run == allowed[i])
            return true;
    return false;
}

static bool operand_is_alike(uint32_t operand)
{
    if (operand == OPERAND_NONE || OPERAND_BASE(operand) != BASE_WARP)
        return true;
    switch ((enum warp_slot)(OPERAND_OFFSET(operand) / SLOT_BYTES)) {
    case WARP_CTAID_X:
    case WARP_CTAID_Y:
    case WARP_CTAID_Z:
    case WARP_SMID:
        return false;
    default:
        return true;
    }
}

static bool insn_is_alike(const struct insn *insn)
{
    if (!run_is_alike(insn->run) || insn->is_call)
        return false;
    for (unsigned i = 0; i < INSN_SRC_MAX; i++)
        if (!operand_is_alike(insn->src[i]))
            return false;
    return true;
}

bool alike_blocks(const struct exec_program *program, const struct function *function)
{
    for (uint32_t pc = function->entry_pc; pc < function->end_pc; pc++)
        if (!insn_is_alike(&program->code[pc]))
            return false;
    return true;
}
