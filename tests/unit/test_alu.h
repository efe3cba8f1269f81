/* What the tests of the arithmetic share: calling an instruction by its spelling, operands that are random or
 * at the edges of their type, and a deterministic generator. */
#ifndef VGPU_TESTS_UNIT_TEST_ALU_H
#define VGPU_TESTS_UNIT_TEST_ALU_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "softgpu/exec/alu.h"

#define TEST(name) static void name(void **state)

/* One lane array of any type. */
union lanes {
    uint8_t u8[512];
    uint16_t u16[64];
    uint32_t u32[32];
    uint64_t u64[64];
    float f32[32];
    double f64[32];
};

static inline unsigned type_bytes(enum ptx_type type)
{
    static const uint8_t bytes[PTX_TYPE_COUNT] = {
        [PTX_PRED] = 1, [PTX_B8] = 1,  [PTX_B16] = 2, [PTX_B32] = 4,   [PTX_B64] = 8,  [PTX_B128] = 16,
        [PTX_U8] = 1,   [PTX_U16] = 2, [PTX_U32] = 4, [PTX_U64] = 8,   [PTX_S8] = 1,   [PTX_S16] = 2,
        [PTX_S32] = 4,  [PTX_S64] = 8, [PTX_F16] = 2, [PTX_F16X2] = 4, [PTX_BF16] = 2, [PTX_BF16X2] = 4,
        [PTX_F32] = 4,  [PTX_F64] = 8, [PTX_TF32] = 4};
    return bytes[type];
}

static inline uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 2685821657736338717u;
}

/* Cuts "add.rn.f32" into words. The words lie in storage. */
struct spelled {
    char storage[96];
    const char *words[16];
    size_t n_words;
};

static inline void spell(struct spelled *ret, const char *spelling)
{
    char *save = NULL;

    snprintf(ret->storage, sizeof ret->storage, "%s", spelling);
    ret->n_words = 0;
    for (char *word = strtok_r(ret->storage, ".", &save); word; word = strtok_r(NULL, ".", &save))
        ret->words[ret->n_words++] = word;
}

static inline int find_op(const char *spelling, int64_t immediate, struct alu_op *ret_op)
{
    struct spelled spelled;

    spell(&spelled, spelling);
    return alu_find(spelled.words[0], spelled.words + 1, spelled.n_words - 1, immediate, ret_op);
}

static inline struct alu_op op_named(const char *spelling)
{
    struct alu_op op;

    if (find_op(spelling, 0, &op))
        fail_msg("no instruction %s", spelling);
    return op;
}

/* A value at or near the edges of its width half of the time, else random of a random size. */
static inline uint64_t edgy_int(unsigned bits)
{
    uint64_t all = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, top = UINT64_C(1) << (bits - 1);

    switch (next_random() % 8) {
    case 0:
        return (next_random() % 5 - 2) & all;
    case 1:
        return (top + next_random() % 5 - 2) & all;
    case 2:
        return next_random() % 70 & all;
    case 3:
        return (UINT64_C(1) << next_random() % bits) & all;
    default:
        return next_random() >> next_random() % 64 & all;
    }
}

static inline uint32_t edgy_f32(void)
{
    static const uint32_t edges[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000,
                                     0x80800000, 0x3f800000, 0xbf800000, 0x3f000000, 0x3fc00000, 0x40200000,
                                     0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
                                     0xffc01234, 0x4f000000, 0x4effffff, 0xcf000000, 0x5f000000, 0x4b000001};

    if (next_random() % 4 == 0)
        return edges[next_random() % (sizeof edges / sizeof *edges)];
    if (next_random() % 2)
        return (uint32_t)next_random();
    /* Close to each other: cancellation and carries. */
    return (uint32_t)(next_random() & 0x80ffffff) | (uint32_t)(0x3e + next_random() % 3) << 24;
}

static inline uint64_t edgy_f64(void)
{
    static const uint64_t edges[] = {0,
                                     0x8000000000000000,
                                     1,
                                     0x000fffffffffffff,
                                     0x0010000000000000,
                                     0x3ff0000000000000,
                                     0xbff0000000000000,
                                     0x3fe0000000000000,
                                     0x3ff8000000000000,
                                     0x7fefffffffffffff,
                                     0x7ff0000000000000,
                                     0xfff0000000000000,
                                     0x7ff8000000000000,
                                     0xfff0000000000001,
                                     0x43e0000000000000,
                                     0xc3e0000000000000,
                                     0x41dfffffffc00000,
                                     0x43f0000000000000,
                                     0x3810000000000000,
                                     0x47efffffe0000000};

    if (next_random() % 4 == 0)
        return edges[next_random() % (sizeof edges / sizeof *edges)];
    if (next_random() % 3 == 0)
        return next_random();
    return (next_random() & 0x800fffffffffffff) | (0x3e0 + next_random() % 0x40) << 52;
}

static inline void fill_lanes(union lanes *lanes, enum ptx_type type)
{
    for (unsigned i = 0; i < 32; i++) {
        switch (type) {
        case PTX_PRED:
            lanes->u8[i] = next_random() & 1;
            break;
        case PTX_F32:
        case PTX_TF32:
            lanes->u32[i] = edgy_f32();
            break;
        case PTX_F64:
            lanes->u64[i] = edgy_f64();
            break;
        case PTX_B128:
            lanes->u64[2 * i] = edgy_int(64);
            lanes->u64[2 * i + 1] = edgy_int(64);
            break;
        case PTX_F16X2:
        case PTX_BF16X2:
            lanes->u32[i] = (uint32_t)(edgy_int(16) << 16 | edgy_int(16));
            break;
        default:
            if (type_bytes(type) == 1)
                lanes->u8[i] = (uint8_t)edgy_int(8);
            else if (type_bytes(type) == 2)
                lanes->u16[i] = (uint16_t)edgy_int(16);
            else if (type_bytes(type) == 4)
                lanes->u32[i] = (uint32_t)edgy_int(32);
            else
                lanes->u64[i] = edgy_int(64);
        }
    }
}

static inline uint64_t lane_bits(const union lanes *lanes, enum ptx_type type, unsigned i)
{
    switch (type_bytes(type)) {
    case 1:
        return lanes->u8[i];
    case 2:
        return lanes->u16[i];
    case 4:
        return lanes->u32[i];
    default:
        return lanes->u64[i];
    }
}

/* A call with fresh operands of the right types, all lanes on. */
struct call {
    struct alu_op op;
    union lanes dst, dst2, src[ALU_OPERANDS_MAX];
};

static inline void call_run(struct call *call)
{
    const void *src[ALU_OPERANDS_MAX] = {NULL};

    for (unsigned k = 0; k < call->op.n_src; k++)
        src[k] = &call->src[k];
    memset(&call->dst, 0xee, sizeof call->dst);
    memset(&call->dst2, 0xee, sizeof call->dst2);
    call->op.run(&call->dst, call->op.dst2_type ? &call->dst2 : NULL, src, UINT32_MAX);
}

static inline void call_random(struct call *call)
{
    for (unsigned k = 0; k < call->op.n_src; k++)
        fill_lanes(&call->src[k], call->op.src_type[k]);
    call_run(call);
}

#define SAY_COUNT(what, n) print_message("    %s: %zu\n", what, (size_t)(n))

#endif
