/* Loads and stores in all spaces but parameters. memory.c has checked every pointer before anything is read or written, so
 * an access that faults has no effect at all. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/block.h"

static const struct lanes_ops *ops(const struct warp *warp)
{
    return warp->block->grid->lanes;
}

/* Hardware runs other warps while a load is under way, and programs with benign races (eight warps that all do the same x[i] += a)
 * are right only because of it: every warp has loaded before the first one stores. So a load from device memory passes the turn on. */
static enum insn_next after_load(const struct insn *insn)
{
    return insn->space == PTX_SPACE_SHARED || insn->space == PTX_SPACE_LOCAL ? NEXT_GO : NEXT_YIELD;
}

enum insn_next run_load(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    void *to = lane_array(warp, insn->dst[0]);

    if (!memory_lanes(warp, insn, mask, insn->bytes, insn->bytes, pointers))
        return NEXT_STOP;
    ops(warp)->load(to, pointers, 0, insn->bytes, mask);
    return after_load(insn);
}

enum insn_next run_store(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    const void *from = lane_array(warp, insn->src[1]);

    if (!memory_lanes(warp, insn, mask, insn->bytes, insn->bytes, pointers))
        return NEXT_STOP;
    ops(warp)->store(from, pointers, 0, insn->bytes, mask);
    return NEXT_GO;
}

/* Vectors, registers of another width, and accesses with an order. */
enum insn_next run_load_any(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    unsigned total = (unsigned)insn->bytes * insn->n_dst;

    if (!memory_lanes(warp, insn, mask, total, total, pointers))
        return NEXT_STOP;
    for (unsigned i = 0; i < insn->n_dst; i++) {
        bool direct = insn->dst[i] != OPERAND_NONE && insn->dst_bytes[i] == insn->bytes;
        void *to = direct ? lane_array(warp, insn->dst[i]) : warp->scratch[0];

        ops(warp)->load(to, pointers, (uint64_t)i * insn->bytes, insn->bytes, mask);
        if (!direct && insn->dst[i] != OPERAND_NONE)
            alu_resize(lane_array(warp, insn->dst[i]), insn->dst_bytes[i], to, insn->bytes, insn->dst_signed >> i & 1,
                       mask);
    }
    if (insn->order & ORDER_ACQUIRE)
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return after_load(insn);
}

enum insn_next run_store_any(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    unsigned n = insn->n_src - 1u, total = (unsigned)insn->bytes * n;

    if (!memory_lanes(warp, insn, mask, total, total, pointers))
        return NEXT_STOP;
    if (insn->order & ORDER_RELEASE)
        __atomic_thread_fence(__ATOMIC_RELEASE);
    for (unsigned i = 0; i < n; i++) {
        const void *from = lane_array(warp, insn->src[i + 1]);

        if (insn->src_bytes[i + 1] != insn->bytes) {
            alu_resize(warp->scratch[0], insn->bytes, from, insn->src_bytes[i + 1], 0, mask);
            from = warp->scratch[0];
        }
        ops(warp)->store(from, pointers, (uint64_t)i * insn->bytes, insn->bytes, mask);
    }
    return NEXT_GO;
}

enum insn_next run_fence(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return NEXT_GO;
}
