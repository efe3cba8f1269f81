/* setp with a boolean source, and set. Each is a comparison of alu_compare.c followed by a pass over its
 * 32 predicates, so the functions here are thin: there are many of them, and programs use few. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_compare.h"

enum combine { COMBINE_none, COMBINE_and, COMBINE_or, COMBINE_xor };

static void combine_with(uint8_t *p, const uint8_t *c, enum combine combine)
{
    for (unsigned i = 0; i < ALU_LANES; i++)
        p[i] = combine == COMBINE_and ? p[i] & c[i] : combine == COMBINE_or ? p[i] | c[i] :
               combine == COMBINE_xor ? p[i] ^ c[i] : p[i];
}

static void store_pred(uint8_t *out, const uint8_t *p, uint32_t mask)
{
    for (unsigned i = 0; i < ALU_LANES; i++)
        out[i] = mask & (UINT32_C(1) << i) ? p[i] : out[i];
}

/* p = compare op c, q = !compare op c; for pairs q comes from the high halves. */
static void setp_combined(ALU_ARGS, alu_fn compare, enum combine combine)
{
    uint8_t p[ALU_LANES] = { 0 }, q[ALU_LANES] = { 0 };

    compare(p, q, src, mask);
    combine_with(p, src[2], combine);
    combine_with(q, src[2], combine);
    store_pred(dst, p, mask);
    if (dst2)
        store_pred(dst2, q, mask);
}

/* What set writes for true; false is 0. */
#define TRUE_u32  UINT32_MAX
#define TRUE_s32  UINT32_MAX
#define TRUE_f32  0x3f800000u
#define TRUE_u16  0xffffu
#define TRUE_s16  0xffffu
#define TRUE_f16  0x3c00u
#define TRUE_bf16 0x3f80u
/* For the pairs: of each half. */
#define PAIR_TRUE_u32    0xffffu
#define PAIR_TRUE_s32    0xffffu
#define PAIR_TRUE_f16x2  0x3c00u
#define PAIR_TRUE_bf16x2 0x3f80u

static void set_scalar(ALU_ARGS, alu_fn compare, enum combine combine, unsigned bytes, uint32_t true_bits)
{
    uint8_t p[ALU_LANES] = { 0 };

    compare(p, NULL, src, mask);
    if (combine != COMBINE_none)
        combine_with(p, src[2], combine);
    for (unsigned i = 0; i < ALU_LANES; i++) {
        uint32_t value = p[i] ? true_bits : 0;
        if (!(mask & (UINT32_C(1) << i)))
            continue;
        if (bytes == 4)
            ((uint32_t *)dst)[i] = value;
        else
            ((uint16_t *)dst)[i] = (uint16_t)value;
    }
}

static void set_pair(ALU_ARGS, alu_fn compare, enum combine combine, uint32_t true_bits)
{
    uint8_t low[ALU_LANES] = { 0 }, high[ALU_LANES] = { 0 };
    uint32_t *out = dst;

    compare(low, high, src, mask);
    if (combine != COMBINE_none) {
        combine_with(low, src[2], combine);
        combine_with(high, src[2], combine);
    }
    for (unsigned i = 0; i < ALU_LANES; i++)
        if (mask & (UINT32_C(1) << i))
            out[i] = (low[i] ? true_bits : 0) | (high[i] ? true_bits << 16 : 0);
}

/* ---- functions ---- */

#define DEFINE_SETP(op, fn, t, combine)                                                                         \
    static void setp_##op##_##combine##_##t(ALU_ARGS)                                                           \
    {                                                                                                           \
        setp_combined(dst, dst2, src, mask, alu_setp_##op##_##t, COMBINE_##combine);                            \
    }
#define DEFINE_SET(op, fn, t, combine, d, bytes)                                                                \
    static void set_##op##_##combine##_##d##_##t(ALU_ARGS)                                                      \
    {                                                                                                           \
        set_scalar(dst, dst2, src, mask, alu_setp_##op##_##t, COMBINE_##combine, bytes, TRUE_##d);              \
    }
#define DEFINE_SET_PAIR(op, fn, t, combine, d)                                                                  \
    static void set_##op##_##combine##_##d##_##t(ALU_ARGS)                                                      \
    {                                                                                                           \
        set_pair(dst, dst2, src, mask, alu_setp_##op##_##t, COMBINE_##combine, PAIR_TRUE_##d);                  \
    }

#define DEFINE_SETPS(OPS, t) OPS(DEFINE_SETP, t, and) OPS(DEFINE_SETP, t, or) OPS(DEFINE_SETP, t, xor)
#define DEFINE_SETS(OPS, t, d, bytes)                                                                           \
    OPS(DEFINE_SET, t, none, d, bytes) OPS(DEFINE_SET, t, and, d, bytes)                                        \
    OPS(DEFINE_SET, t, or, d, bytes) OPS(DEFINE_SET, t, xor, d, bytes)
#define DEFINE_WORD_SETS(OPS, t) DEFINE_SETS(OPS, t, u32, 4) DEFINE_SETS(OPS, t, f16, 2) DEFINE_SETS(OPS, t, bf16, 2)
#define DEFINE_WIDE(OPS, t) DEFINE_SETPS(OPS, t) DEFINE_WORD_SETS(OPS, t) DEFINE_SETS(OPS, t, f32, 4)
#define DEFINE_HALF(OPS, t) DEFINE_SETPS(OPS, t) DEFINE_WORD_SETS(OPS, t) DEFINE_SETS(OPS, t, u16, 2)
#define DEFINE_SET_PAIRS(t, d)                                                                                  \
    ALU_FLOAT_OPS(DEFINE_SET_PAIR, t, none, d) ALU_FLOAT_OPS(DEFINE_SET_PAIR, t, and, d)                        \
    ALU_FLOAT_OPS(DEFINE_SET_PAIR, t, or, d) ALU_FLOAT_OPS(DEFINE_SET_PAIR, t, xor, d)
#define DEFINE_PAIR(t, d) DEFINE_SETPS(ALU_FLOAT_OPS, t) DEFINE_SET_PAIRS(t, u32) DEFINE_SET_PAIRS(t, d)

DEFINE_WIDE(ALU_ORDER_OPS, u16)
DEFINE_WIDE(ALU_ORDER_OPS, u32)
DEFINE_WIDE(ALU_ORDER_OPS, u64)
DEFINE_WIDE(ALU_ORDER_OPS, s16)
DEFINE_WIDE(ALU_ORDER_OPS, s32)
DEFINE_WIDE(ALU_ORDER_OPS, s64)
DEFINE_WIDE(ALU_FLOAT_OPS, f32)
DEFINE_WIDE(ALU_FLOAT_OPS, f64)
DEFINE_SETPS(ALU_FLOAT_OPS, f32_ftz)
DEFINE_SETS(ALU_FLOAT_OPS, f32_ftz, u32, 4)
DEFINE_SETS(ALU_FLOAT_OPS, f32_ftz, f32, 4)
DEFINE_SETS(ALU_FLOAT_OPS, f32_ftz, f16, 2)
DEFINE_HALF(ALU_FLOAT_OPS, f16)
DEFINE_SETPS(ALU_FLOAT_OPS, f16_ftz)
DEFINE_SETS(ALU_FLOAT_OPS, f16_ftz, u32, 4)
DEFINE_SETS(ALU_FLOAT_OPS, f16_ftz, u16, 2)
DEFINE_SETS(ALU_FLOAT_OPS, f16_ftz, f16, 2)
DEFINE_SETPS(ALU_FLOAT_OPS, bf16)
DEFINE_SETS(ALU_FLOAT_OPS, bf16, u32, 4)
DEFINE_SETS(ALU_FLOAT_OPS, bf16, u16, 2)
DEFINE_SETS(ALU_FLOAT_OPS, bf16, bf16, 2)
DEFINE_PAIR(f16x2, f16x2)
DEFINE_PAIR(f16x2_ftz, f16x2)
DEFINE_PAIR(bf16x2, bf16x2)

/* ---- rows ---- */

#define SETP_ROW(op, fn, t, ftz, text, P, class, combine)                                                       \
    ALU_ROW2("setp." #op "." #combine ftz "." #text, setp_##fn##_##combine##_##t, class, 0, PTX_PRED, PTX_PRED, \
             T(P), T(P), T(PRED))
#define SETP_ROWS(OPS, t, ftz, text, P, class)                                                                  \
    OPS(SETP_ROW, t, ftz, text, P, class, and) OPS(SETP_ROW, t, ftz, text, P, class, or)                        \
    OPS(SETP_ROW, t, ftz, text, P, class, xor)

/* d: destination as spelled, f: destination of the function. */
#define SET_ROW(op, fn, t, ftz, text, P, class, d, D, f)                                                        \
    ALU_ROW("set." #op ftz "." #d "." #text, set_##fn##_none_##f##_##t, class, T(D), T(P), T(P))
#define SET_COMBINED_ROW(op, fn, t, ftz, text, P, class, d, D, f, combine)                                      \
    ALU_ROW("set." #op "." #combine ftz "." #d "." #text, set_##fn##_##combine##_##f##_##t, class,              \
            T(D), T(P), T(P), T(PRED))
#define SET_ROWS(OPS, t, ftz, text, P, class, d, D, f)                                                          \
    OPS(SET_ROW, t, ftz, text, P, class, d, D, f)                                                               \
    OPS(SET_COMBINED_ROW, t, ftz, text, P, class, d, D, f, and)                                                 \
    OPS(SET_COMBINED_ROW, t, ftz, text, P, class, d, D, f, or)                                                  \
    OPS(SET_COMBINED_ROW, t, ftz, text, P, class, d, D, f, xor)

#define TO_U32(...)    SET_ROWS(__VA_ARGS__, u32, U32, u32)
#define TO_S32(...)    SET_ROWS(__VA_ARGS__, s32, S32, u32)
#define TO_U16(...)    SET_ROWS(__VA_ARGS__, u16, U16, u16)
#define TO_S16(...)    SET_ROWS(__VA_ARGS__, s16, S16, u16)
#define TO_F32(...)    SET_ROWS(__VA_ARGS__, f32, F32, f32)
#define TO_F16(...)    SET_ROWS(__VA_ARGS__, f16, F16, f16)
#define TO_BF16(...)   SET_ROWS(__VA_ARGS__, bf16, BF16, bf16)
#define TO_F16X2(...)  SET_ROWS(__VA_ARGS__, f16x2, F16X2, f16x2)
#define TO_BF16X2(...) SET_ROWS(__VA_ARGS__, bf16x2, BF16X2, bf16x2)
#define WIDE_ROWS(...) TO_U32(__VA_ARGS__) TO_S32(__VA_ARGS__) TO_F32(__VA_ARGS__) TO_F16(__VA_ARGS__) TO_BF16(__VA_ARGS__)
#define HALF_ROWS(...) TO_U16(__VA_ARGS__) TO_S16(__VA_ARGS__) TO_U32(__VA_ARGS__) TO_S32(__VA_ARGS__)
#define TYPE_F32_FTZ   ALU_FLOAT_OPS, f32_ftz, ".ftz", f32, F32, FP32
#define TYPE_F16       ALU_FLOAT_OPS, f16, "", f16, F16, FP16
#define TYPE_F16_FTZ   ALU_FLOAT_OPS, f16_ftz, ".ftz", f16, F16, FP16

static const struct alu_row rows[] = {
    ALU_INT_COMPARES(SETP_ROWS) ALU_INT_COMPARES(WIDE_ROWS)
    ALU_F32_COMPARES(SETP_ROWS)
    WIDE_ROWS(ALU_FLOAT_OPS, f32, "", f32, F32, FP32)
    TO_U32(TYPE_F32_FTZ) TO_S32(TYPE_F32_FTZ) TO_F32(TYPE_F32_FTZ) TO_F16(TYPE_F32_FTZ)
    ALU_F64_COMPARES(SETP_ROWS) ALU_F64_COMPARES(WIDE_ROWS)
    ALU_F16_COMPARES(SETP_ROWS) ALU_F16_COMPARES(HALF_ROWS)
    TO_F16(TYPE_F16) TO_BF16(TYPE_F16) TO_F16(TYPE_F16_FTZ)
    ALU_BF16_COMPARES(SETP_ROWS) ALU_BF16_COMPARES(HALF_ROWS) ALU_BF16_COMPARES(TO_BF16)
    ALU_F16X2_COMPARES(SETP_ROWS) ALU_F16X2_COMPARES(TO_U32) ALU_F16X2_COMPARES(TO_S32) ALU_F16X2_COMPARES(TO_F16X2)
    ALU_BF16X2_COMPARES(SETP_ROWS) ALU_BF16X2_COMPARES(TO_U32) ALU_BF16X2_COMPARES(TO_S32)
    ALU_BF16X2_COMPARES(TO_BF16X2)
};

const struct alu_rows alu_set_rows = ALU_ROWS(rows);
