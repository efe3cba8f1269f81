/* Loads and stores in all spaces but parameters. memory.c has checked every pointer before anything is read
 * or written, so an access that faults has no effect at all. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/block.h"

static const struct lanes_ops *ops(const struct warp *warp)
{
    return warp->block->grid->lanes;
}

/* Hardware runs other warps while a load is under way, and programs with benign races (eight warps that all
 * do the same x[i] += a) are right only because of it: every warp has loaded before the first one stores. So
 * a load from device memory passes the turn on. */
static enum insn_next after_load(const struct insn *insn)
{
    return insn->space == PTX_SPACE_SHARED || insn->space == PTX_SPACE_LOCAL ? NEXT_GO : NEXT_YIELD;
}

/* Volatile, relaxed, acquire and release accesses are how blocks on other host threads (and the host) talk to
 * this one: each element is one host atomic, never part of a copy that may tear. */
#define ATOMIC_LOAD(T)                                                                                       \
    (acquire ? __atomic_load_n((const T *)at, __ATOMIC_ACQUIRE)                                              \
             : __atomic_load_n((const T *)at, __ATOMIC_RELAXED))
#define ATOMIC_STORE(T)                                                                                      \
    (release ? __atomic_store_n((T *)at, (T)value, __ATOMIC_RELEASE)                                         \
             : __atomic_store_n((T *)at, (T)value, __ATOMIC_RELAXED))

static uint64_t load_element(const char *at, unsigned bytes, bool acquire)
{
    switch (bytes) {
    case 1:
        return ATOMIC_LOAD(uint8_t);
    case 2:
        return ATOMIC_LOAD(uint16_t);
    case 4:
        return ATOMIC_LOAD(uint32_t);
    default:
        return ATOMIC_LOAD(uint64_t);
    }
}

static void store_element(char *at, unsigned bytes, uint64_t value, bool release)
{
    switch (bytes) {
    case 1:
        ATOMIC_STORE(uint8_t);
        break;
    case 2:
        ATOMIC_STORE(uint16_t);
        break;
    case 4:
        ATOMIC_STORE(uint32_t);
        break;
    default:
        ATOMIC_STORE(uint64_t);
    }
}

static void load_part(struct warp *warp, const struct insn *insn, void *to, char *const pointers[LANES],
                      unsigned part, uint32_t mask)
{
    uint64_t offset = (uint64_t)part * insn->bytes;

    if (insn->order == ORDER_WEAK) {
        ops(warp)->load(to, pointers, offset, insn->bytes, mask);
        return;
    }
    for_each_lane(lane, mask)
        lane_write(to, insn->bytes, lane,
                   load_element(pointers[lane] + offset, insn->bytes, insn->order & ORDER_ACQUIRE));
}

static void store_part(struct warp *warp, const struct insn *insn, const void *from,
                       char *const pointers[LANES], unsigned part, uint32_t mask)
{
    uint64_t offset = (uint64_t)part * insn->bytes;

    if (insn->order == ORDER_WEAK) {
        ops(warp)->store(from, pointers, offset, insn->bytes, mask);
        return;
    }
    for_each_lane(lane, mask) store_element(pointers[lane] + offset, insn->bytes,
                                            lane_read(from, insn->bytes, lane), insn->order & ORDER_RELEASE);
}

enum insn_next run_load(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    void *to = lane_array(warp, insn->dst[0]);

    if (!memory_lanes(warp, insn, mask, insn->bytes, insn->bytes, false, pointers))
        return NEXT_STOP;
    ops(warp)->load(to, pointers, 0, insn->bytes, mask);
    return after_load(insn);
}

enum insn_next run_store(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    const void *from = lane_array(warp, insn->src[1]);

    if (!memory_lanes(warp, insn, mask, insn->bytes, insn->bytes, true, pointers))
        return NEXT_STOP;
    ops(warp)->store(from, pointers, 0, insn->bytes, mask);
    return NEXT_GO;
}

/* Vectors, registers of another width, and accesses with an order. */
enum insn_next run_load_any(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    unsigned total = (unsigned)insn->bytes * insn->n_dst;

    if (!memory_lanes(warp, insn, mask, total, total, false, pointers))
        return NEXT_STOP;
    for (unsigned i = 0; i < insn->n_dst; i++) {
        bool direct = insn->dst[i] != OPERAND_NONE && insn->dst_bytes[i] == insn->bytes;
        void *to = direct ? lane_array(warp, insn->dst[i]) : warp->scratch[0];

        load_part(warp, insn, to, pointers, i, mask);
        if (!direct && insn->dst[i] != OPERAND_NONE)
            alu_resize(lane_array(warp, insn->dst[i]), insn->dst_bytes[i], to, insn->bytes,
                       insn->dst_signed >> i & 1, mask);
    }
    return after_load(insn);
}

enum insn_next run_store_any(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    char *pointers[LANES];
    unsigned n = insn->n_src - 1u, total = (unsigned)insn->bytes * n;

    if (!memory_lanes(warp, insn, mask, total, total, true, pointers))
        return NEXT_STOP;
    for (unsigned i = 0; i < n; i++) {
        const void *from = lane_array(warp, insn->src[i + 1]);

        if (insn->src_bytes[i + 1] != insn->bytes) {
            alu_resize(warp->scratch[0], insn->bytes, from, insn->src_bytes[i + 1], 0, mask);
            from = warp->scratch[0];
        }
        store_part(warp, insn, from, pointers, i, mask);
    }
    return NEXT_GO;
}

enum insn_next run_fence(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return NEXT_GO;
}
