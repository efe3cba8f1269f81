/* Arithmetic: turns operands into lane arrays and calls the function that alu.h gave. The common case (all
 * widths agree) is a few loads before the call; run_alu_resized is for everything else. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/warp.h"

static inline void *destination(const struct warp *warp, uint32_t operand)
{
    return operand == OPERAND_NONE ? NULL : lane_array(warp, operand);
}

enum insn_next run_alu1(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const void *src[ALU_OPERANDS_MAX];

    src[0] = lane_array(warp, insn->src[0]);
    insn->alu(lane_array(warp, insn->dst[0]), NULL, src, mask);
    return NEXT_GO;
}

enum insn_next run_alu2(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const void *src[ALU_OPERANDS_MAX];

    src[0] = lane_array(warp, insn->src[0]);
    src[1] = lane_array(warp, insn->src[1]);
    insn->alu(lane_array(warp, insn->dst[0]), NULL, src, mask);
    return NEXT_GO;
}

enum insn_next run_alu3(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const void *src[ALU_OPERANDS_MAX];

    src[0] = lane_array(warp, insn->src[0]);
    src[1] = lane_array(warp, insn->src[1]);
    src[2] = lane_array(warp, insn->src[2]);
    insn->alu(lane_array(warp, insn->dst[0]), NULL, src, mask);
    return NEXT_GO;
}

enum insn_next run_alu5(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const void *src[ALU_OPERANDS_MAX] = {NULL};

    for (unsigned i = 0; i < insn->n_src; i++)
        src[i] = lane_array(warp, insn->src[i]);
    insn->alu(lane_array(warp, insn->dst[0]), destination(warp, insn->dst[1]), src, mask);
    return NEXT_GO;
}

static void negate_predicate(uint8_t *to, const uint8_t *from)
{
    for (unsigned i = 0; i < LANES; i++)
        to[i] = from[i] ^ 1;
}

enum insn_next run_alu_resized(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const void *src[ALU_OPERANDS_MAX] = {NULL};
    void *to = warp->scratch[ALU_OPERANDS_MAX];
    bool direct = insn->dst[0] != OPERAND_NONE && insn->dst_bytes[0] == insn->op_dst_bytes[0];

    for (unsigned i = 0; i < insn->n_src; i++) {
        src[i] = lane_array(warp, insn->src[i]);
        if (insn->src_not >> i & 1)
            negate_predicate((uint8_t *)warp->scratch[i], src[i]);
        else if (insn->src_bytes[i] != insn->op_bytes[i])
            alu_resize(warp->scratch[i], insn->op_bytes[i], src[i], insn->src_bytes[i],
                       insn->src_signed >> i & 1, mask);
        else
            continue;
        src[i] = warp->scratch[i];
    }
    insn->alu(direct ? lane_array(warp, insn->dst[0]) : to, destination(warp, insn->dst[1]), src, mask);
    if (!direct && insn->dst[0] != OPERAND_NONE)
        alu_resize(lane_array(warp, insn->dst[0]), insn->dst_bytes[0], to, insn->op_dst_bytes[0],
                   insn->dst_signed & 1, mask);
    return NEXT_GO;
}

enum insn_next run_pack(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const void *parts[INSN_SRC_MAX];

    for (unsigned i = 0; i < insn->n_src; i++)
        parts[i] = lane_array(warp, insn->src[i]);
    if (insn->dst[0] != OPERAND_NONE)
        alu_pack(lane_array(warp, insn->dst[0]), parts, insn->n_src, insn->bytes, mask);
    return NEXT_GO;
}

enum insn_next run_unpack(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    void *parts[INSN_DST_MAX];

    for (unsigned i = 0; i < insn->n_dst; i++)
        parts[i] = insn->dst[i] == OPERAND_NONE ? (void *)warp->scratch[i] : lane_array(warp, insn->dst[i]);
    alu_unpack(parts, lane_array(warp, insn->src[0]), insn->n_dst, insn->bytes, mask);
    return NEXT_GO;
}

enum insn_next run_cvta(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    uint64_t *to = lane_array(warp, insn->dst[0]);
    const uint64_t *from = lane_array(warp, insn->src[0]);

    for_each_lane(lane, mask) to[lane] = from[lane] + (uint64_t)insn->imm;
    return NEXT_GO;
}

enum insn_next run_isspacep(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    uint8_t *to = lane_array(warp, insn->dst[0]);
    const uint64_t *from = lane_array(warp, insn->src[0]);

    for_each_lane(lane, mask) to[lane] = memory_space(from[lane]) == (enum ptx_space)insn->mode;
    return NEXT_GO;
}

enum insn_next run_activemask(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    if (insn->dst[0] == OPERAND_NONE)
        return NEXT_GO;
    for_each_lane(lane, mask)((uint32_t *)lane_array(warp, insn->dst[0]))[lane] = mask;
    return NEXT_GO;
}

enum insn_next run_nothing(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    return NEXT_GO;
}

/* Stands in the code of functions that no runnable kernel reaches: exec_run refuses the others. */
enum insn_next run_unsupported(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    return grid_fault(warp, insn, (unsigned)__builtin_ctz(mask), EXEC_FAULT_ILLEGAL_INSTRUCTION, 0,
                      "instruction not supported");
}
