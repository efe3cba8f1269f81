/* setp without a boolean source, and the comparison functions under setp and set (alu_set.c). Ordered
 * operators are false when an operand is NaN, those that end in u are true; halves are compared as the f32
 * they are exactly. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_compare.h"
#include "softgpu/exec/fp.h"

#define TEST_eq(a, b)  ((a) == (b))
#define TEST_lt(a, b)  ((a) < (b))
#define TEST_le(a, b)  ((a) <= (b))
#define TEST_gt(a, b)  ((a) > (b))
#define TEST_ge(a, b)  ((a) >= (b))
#define TEST_ne(a, b)  ((a) < (b) || (a) > (b))
#define TEST_equ(a, b) (!TEST_ne(a, b))
#define TEST_neu(a, b) (!TEST_eq(a, b))
#define TEST_ltu(a, b) (!TEST_ge(a, b))
#define TEST_leu(a, b) (!TEST_gt(a, b))
#define TEST_gtu(a, b) (!TEST_le(a, b))
#define TEST_geu(a, b) (!TEST_lt(a, b))
#define TEST_num(a, b) ((a) == (a) && (b) == (b))
#define TEST_nan(a, b) (!TEST_num(a, b))

static void negate(void *dst, const void *source, uint32_t mask)
{
    const uint8_t *pa = source;
    uint8_t *out = dst;

    ALU_INDEPENDENT
    for (unsigned i = 0; i < ALU_LANES; i++)
        out[i] = mask & (UINT32_C(1) << i) ? pa[i] ^ 1 : out[i];
}

/* T: lane type; VALUE: what is compared. */
#define DEFINE_SCALAR(op, fn, t, T, VALUE)                                                                      \
    void ALU_TIER(alu_setp_##op##_##t)(ALU_ARGS)                                                                \
    {                                                                                                           \
        ALU_VECTOR_BODY(uint8_t, 1, ALU_FROM2(T, T), ALU_LOAD2(T, T), TEST_##op(VALUE(a), VALUE(b)))            \
        if (dst2)                                                                                               \
            negate(dst2, dst, mask);                                                                            \
    }

/* Two results a lane, in two arrays. */
#define DEFINE_PAIR(op, fn, t, T, VALUE)                                                                        \
    void ALU_TIER(alu_setp_##op##_##t)(ALU_ARGS)                                                                \
    {                                                                                                           \
        const uint16_t *pa = src[0], *pb = src[1];                                                              \
        uint8_t *low = dst, *high = dst2;                                                                       \
        for (uint32_t left = mask; left; left &= left - 1) {                                                    \
            unsigned i = (unsigned)__builtin_ctz(left);                                                         \
            uint8_t first = TEST_##op(VALUE(pa[2 * i]), VALUE(pb[2 * i]));                                      \
            uint8_t second = TEST_##op(VALUE(pa[2 * i + 1]), VALUE(pb[2 * i + 1]));                             \
            low[i] = first;                                                                                     \
            if (high)                                                                                           \
                high[i] = second;                                                                               \
        }                                                                                                       \
    }

#define SAME(x)        (x)
#define FLUSHED_F16(x) fp_from_f16((x) & 0x7c00u ? (x) : (x) & 0x8000u)
ALU_ORDER_OPS(DEFINE_SCALAR, u16, uint16_t, SAME)
ALU_ORDER_OPS(DEFINE_SCALAR, u32, uint32_t, SAME)
ALU_ORDER_OPS(DEFINE_SCALAR, u64, uint64_t, SAME)
ALU_ORDER_OPS(DEFINE_SCALAR, s16, int16_t, SAME)
ALU_ORDER_OPS(DEFINE_SCALAR, s32, int32_t, SAME)
ALU_ORDER_OPS(DEFINE_SCALAR, s64, int64_t, SAME)
ALU_FLOAT_OPS(DEFINE_SCALAR, f32, float, SAME)
ALU_FLOAT_OPS(DEFINE_SCALAR, f32_ftz, float, fp_flush32)
ALU_FLOAT_OPS(DEFINE_SCALAR, f64, double, SAME)
ALU_FLOAT_OPS(DEFINE_SCALAR, f16, uint16_t, fp_from_f16)
ALU_FLOAT_OPS(DEFINE_SCALAR, f16_ftz, uint16_t, FLUSHED_F16)
ALU_FLOAT_OPS(DEFINE_SCALAR, bf16, uint16_t, fp_from_bf16)
ALU_FLOAT_OPS(DEFINE_PAIR, f16x2, uint16_t, fp_from_f16)
ALU_FLOAT_OPS(DEFINE_PAIR, f16x2_ftz, uint16_t, FLUSHED_F16)
ALU_FLOAT_OPS(DEFINE_PAIR, bf16x2, uint16_t, fp_from_bf16)

#define COMPARE_ROW(op, fn, t, ftz, text, P, class)                                                             \
    ALU_ROW2("setp." #op ftz "." #text, ALU_TIER(alu_setp_##fn##_##t), class, 0, PTX_PRED, PTX_PRED, T(P), T(P))
#define TYPE_ROWS(OPS, t, ftz, text, P, class) OPS(COMPARE_ROW, t, ftz, text, P, class)

static const struct alu_row rows[] = {
    ALU_INT_COMPARES(TYPE_ROWS)
    ALU_F32_COMPARES(TYPE_ROWS)
    ALU_F64_COMPARES(TYPE_ROWS)
    ALU_F16_COMPARES(TYPE_ROWS)
    ALU_BF16_COMPARES(TYPE_ROWS)
    ALU_F16X2_COMPARES(TYPE_ROWS)
    ALU_BF16X2_COMPARES(TYPE_ROWS)
};

const struct alu_rows ALU_TIER(alu_compare_rows) = ALU_ROWS(rows);
