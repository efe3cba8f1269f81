/* Parameters. A kernel's own are one block, the same for all threads. Those of functions, and what a caller
 * prepares for a call, are a small area per thread in the frame, numbered behind the kernel's block. */
#include "softgpu/exec/run.h"

#include <string.h>

#include "softgpu/exec/block.h"

static uint64_t extended(uint64_t value, unsigned bytes, bool is_signed)
{
    unsigned shift = 64 - 8 * bytes;

    return is_signed && bytes < 8 ? (uint64_t)((int64_t)(value << shift) >> shift) : value;
}

static uint64_t read_value(const char *from, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, from, bytes);
    return value;
}

enum insn_next run_load_param(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    const char *from = warp->block->grid->params + insn->imm;

    for (unsigned i = 0; i < insn->n_dst; i++) {
        uint64_t value = extended(read_value(from + (size_t)i * insn->bytes, insn->bytes), insn->bytes,
                                  insn->dst_signed & 1);

        if (insn->dst[i] == OPERAND_NONE)
            continue;
        for_each_lane(lane, mask) lane_write(lane_array(warp, insn->dst[i]), insn->dst_bytes[i], lane, value);
    }
    return NEXT_GO;
}

/* Where one lane's access lies; NULL: outside, or a store to the kernel's own parameters. */
static char *place(struct warp *warp, const struct insn *insn, unsigned lane, unsigned bytes, bool is_store)
{
    struct frame *frame = warp->frame;
    uint32_t of_launch = frame->function->entry_param_bytes;
    uint64_t offset = (uint64_t)insn->imm;

    if (insn->mode == PARAM_BY_REGISTER)
        offset += lane_read(lane_array(warp, insn->src[0]), insn->src_bytes[0], lane);
    if (offset < of_launch)
        return is_store || of_launch - offset < bytes ? NULL : warp->block->grid->params + offset;
    offset -= of_launch;
    if (offset >= frame->param_stride || frame->param_stride - offset < bytes)
        return NULL;
    return frame->params + (size_t)lane * frame->param_stride + offset;
}

static enum insn_next outside(struct warp *warp, const struct insn *insn, unsigned lane)
{
    return grid_fault(warp, insn, lane, EXEC_FAULT_ILLEGAL_ADDRESS, 0, "outside the parameters");
}

enum insn_next run_load_frame_param(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    for_each_lane(lane, mask)
    {
        const char *from = place(warp, insn, lane, (unsigned)insn->bytes * insn->n_dst, false);
        uint64_t values[INSN_DST_MAX];

        if (!from)
            return outside(warp, insn, lane);
        for (unsigned i = 0; i < insn->n_dst; i++)
            values[i] = extended(read_value(from + (size_t)i * insn->bytes, insn->bytes), insn->bytes,
                                 insn->dst_signed & 1);
        for (unsigned i = 0; i < insn->n_dst; i++)
            if (insn->dst[i] != OPERAND_NONE)
                lane_write(lane_array(warp, insn->dst[i]), insn->dst_bytes[i], lane, values[i]);
    }
    return NEXT_GO;
}

enum insn_next run_store_frame_param(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    unsigned n = insn->n_src - 1u;

    for_each_lane(lane, mask)
    {
        char *to = place(warp, insn, lane, insn->bytes * n, true);

        if (!to)
            return outside(warp, insn, lane);
        for (unsigned i = 0; i < n; i++) {
            uint64_t value = lane_read(lane_array(warp, insn->src[i + 1]), insn->src_bytes[i + 1], lane);

            memcpy(to + (size_t)i * insn->bytes, &value, insn->bytes);
        }
    }
    return NEXT_GO;
}
