/* Integer add, sub, mul, div, rem, abs, neg, min, max, sad, and the pairs of 16-bit integers in a word. Signed
 * forms whose bits equal the unsigned ones share a function. Nothing here may trap: the PTX reference leaves
 * division by zero open, here it gives all ones as quotient and as remainder; the most negative number divided
 * by -1 gives itself and remainder 0. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

/* X(width, unsigned type, signed type); products of 16-bit values are formed in 32 bits, where they cannot
 * overflow. */
#define WIDTHS(X) X(16, uint16_t, int16_t) X(32, uint32_t, int32_t) X(64, uint64_t, int64_t)

#define DEFINE_WRAPPING(W, U, S)                                                                                \
    ALU_VECTOR2(add_##W, U, U, U, a + b)                                                                        \
    ALU_VECTOR2(sub_##W, U, U, U, a - b)                                                                        \
    ALU_VECTOR2(mul_lo_##W, U, U, U, (uint64_t)a * b)                                                           \
    ALU_VECTOR1(neg_##W, U, U, 0u - a)                                                                          \
    ALU_VECTOR1(abs_##W, U, S, a < 0 ? 0u - (U)a : (U)a)                                                        \
    ALU_VECTOR2(min_u##W, U, U, U, a < b ? a : b)                                                               \
    ALU_VECTOR2(max_u##W, U, U, U, a > b ? a : b)                                                               \
    ALU_VECTOR2(min_s##W, S, S, S, a < b ? a : b)                                                               \
    ALU_VECTOR2(max_s##W, S, S, S, a > b ? a : b)                                                               \
    ALU_VECTOR3(sad_u##W, U, U, U, U, c + (U)(a < b ? b - a : a - b))                                           \
    ALU_VECTOR3(sad_s##W, U, S, S, U, c + (U)(a < b ? (U)b - (U)a : (U)a - (U)b))                               \
    ALU_LANE2(div_u##W, U, U, U, b ? a / b : UINT64_MAX)                                                        \
    ALU_LANE2(rem_u##W, U, U, U, b ? a % b : UINT64_MAX)                                                        \
    ALU_LANE2(div_s##W, S, S, S, !b ? -1 : b == -1 ? (S)(0u - (U)a) : a / b)                                    \
    ALU_LANE2(rem_s##W, S, S, S, !b ? -1 : b == -1 ? 0 : a % b)
WIDTHS(DEFINE_WRAPPING)

static inline int32_t saturate_s32(int64_t x)
{
    return (int32_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x);
}

ALU_VECTOR2(add_sat_s32, int32_t, int32_t, int32_t, saturate_s32((int64_t)a + b))
ALU_VECTOR2(sub_sat_s32, int32_t, int32_t, int32_t, saturate_s32((int64_t)a - b))
ALU_VECTOR2(min_relu_s32, int32_t, int32_t, int32_t, (a < b ? a : b) < 0 ? 0 : (a < b ? a : b))
ALU_VECTOR2(max_relu_s32, int32_t, int32_t, int32_t, (a > b ? a : b) < 0 ? 0 : (a > b ? a : b))

ALU_VECTOR2(mul_hi_u16, uint16_t, uint16_t, uint16_t, (uint32_t)a * b >> 16)
ALU_VECTOR2(mul_hi_s16, int16_t, int16_t, int16_t, (int32_t)a * b >> 16)
ALU_VECTOR2(mul_hi_u32, uint32_t, uint32_t, uint32_t, (uint64_t)a * b >> 32)
ALU_VECTOR2(mul_hi_s32, int32_t, int32_t, int32_t, (int64_t)a * b >> 32)
ALU_LANE2(mul_hi_u64, uint64_t, uint64_t, uint64_t, (unsigned __int128)a * b >> 64)
ALU_LANE2(mul_hi_s64, int64_t, int64_t, int64_t, (__int128)a * b >> 64)
ALU_VECTOR2(mul_wide_u16, uint32_t, uint16_t, uint16_t, (uint32_t)a * b)
ALU_VECTOR2(mul_wide_s16, int32_t, int16_t, int16_t, (int32_t)a * b)
ALU_VECTOR2(mul_wide_u32, uint64_t, uint32_t, uint32_t, (uint64_t)a * b)
ALU_VECTOR2(mul_wide_s32, int64_t, int32_t, int32_t, (int64_t)a * b)

/* Two 16-bit integers in a 32-bit lane. */
#define DEFINE_PAIR(name, type, EXPR)                                                                           \
    static void name(ALU_ARGS) ALU_VECTOR_BODY(type, 2, ALU_FROM2(type, type), ALU_LOAD2(type, type), EXPR)
DEFINE_PAIR(add_16x2, uint16_t, a + b)
DEFINE_PAIR(min_u16x2, uint16_t, a < b ? a : b)
DEFINE_PAIR(max_u16x2, uint16_t, a > b ? a : b)
DEFINE_PAIR(min_s16x2, int16_t, a < b ? a : b)
DEFINE_PAIR(max_s16x2, int16_t, a > b ? a : b)
DEFINE_PAIR(min_relu_s16x2, int16_t, (a < b ? a : b) < 0 ? 0 : (a < b ? a : b))
DEFINE_PAIR(max_relu_s16x2, int16_t, (a > b ? a : b) < 0 ? 0 : (a > b ? a : b))

#define BINARY(spelling, run, type) ALU_ROW(spelling, run, INT, type, type, type)
#define UNARY(spelling, run, type)  ALU_ROW(spelling, run, INT, type, type)
#define TERNARY(spelling, run, type) ALU_ROW(spelling, run, INT, type, type, type, type)

#define WIDTH_ROWS(W, UT, ST)                                                                                   \
    BINARY("add.u" #W, add_##W, T(U##W)) BINARY("add.s" #W, add_##W, T(S##W))                                   \
    BINARY("sub.u" #W, sub_##W, T(U##W)) BINARY("sub.s" #W, sub_##W, T(S##W))                                   \
    BINARY("mul.lo.u" #W, mul_lo_##W, T(U##W)) BINARY("mul.lo.s" #W, mul_lo_##W, T(S##W))                       \
    BINARY("mul.hi.u" #W, mul_hi_u##W, T(U##W)) BINARY("mul.hi.s" #W, mul_hi_s##W, T(S##W))                     \
    BINARY("div.u" #W, div_u##W, T(U##W)) BINARY("div.s" #W, div_s##W, T(S##W))                                 \
    BINARY("rem.u" #W, rem_u##W, T(U##W)) BINARY("rem.s" #W, rem_s##W, T(S##W))                                 \
    BINARY("min.u" #W, min_u##W, T(U##W)) BINARY("min.s" #W, min_s##W, T(S##W))                                 \
    BINARY("max.u" #W, max_u##W, T(U##W)) BINARY("max.s" #W, max_s##W, T(S##W))                                 \
    UNARY("neg.s" #W, neg_##W, T(S##W)) UNARY("abs.s" #W, abs_##W, T(S##W))                                     \
    TERNARY("sad.u" #W, sad_u##W, T(U##W))                                                                      \
    ALU_ROW("sad.s" #W, sad_s##W, INT, T(S##W), T(S##W), T(S##W), T(U##W))

static const struct alu_row rows[] = {
    WIDTHS(WIDTH_ROWS)
    ALU_ROW("mul.wide.u16", mul_wide_u16, INT, T(U32), T(U16), T(U16))
    ALU_ROW("mul.wide.s16", mul_wide_s16, INT, T(S32), T(S16), T(S16))
    ALU_ROW("mul.wide.u32", mul_wide_u32, INT, T(U64), T(U32), T(U32))
    ALU_ROW("mul.wide.s32", mul_wide_s32, INT, T(S64), T(S32), T(S32))
    BINARY("add.sat.s32", add_sat_s32, T(S32))
    BINARY("sub.sat.s32", sub_sat_s32, T(S32))
    BINARY("min.relu.s32", min_relu_s32, T(S32))
    BINARY("max.relu.s32", max_relu_s32, T(S32))
    BINARY("add.u16x2", add_16x2, T(B32)) BINARY("add.s16x2", add_16x2, T(B32))
    BINARY("min.u16x2", min_u16x2, T(B32)) BINARY("min.s16x2", min_s16x2, T(B32))
    BINARY("max.u16x2", max_u16x2, T(B32)) BINARY("max.s16x2", max_s16x2, T(B32))
    BINARY("min.relu.s16x2", min_relu_s16x2, T(B32)) BINARY("max.relu.s16x2", max_relu_s16x2, T(B32))
};

const struct alu_rows ALU_TIER(alu_int_rows) = ALU_ROWS(rows);
