/* Integer multiply-add (mad, mad24, mul24, dp4a, dp2a) without carries; alu_carry.c has those. All sums
 * wrap. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

ALU_VECTOR3(mad_lo_16, uint16_t, uint16_t, uint16_t, uint16_t, (uint32_t)a * b + c)
ALU_VECTOR3(mad_lo_32, uint32_t, uint32_t, uint32_t, uint32_t, a * b + c)
ALU_VECTOR3(mad_lo_64, uint64_t, uint64_t, uint64_t, uint64_t, a * b + c)
ALU_VECTOR3(mad_hi_u16, uint16_t, uint16_t, uint16_t, uint16_t, ((uint32_t)a * b >> 16) + c)
ALU_VECTOR3(mad_hi_s16, uint16_t, int16_t, int16_t, uint16_t, ((int32_t)a * b >> 16) + c)
ALU_VECTOR3(mad_hi_u32, uint32_t, uint32_t, uint32_t, uint32_t, ((uint64_t)a * b >> 32) + c)
ALU_VECTOR3(mad_hi_s32, uint32_t, int32_t, int32_t, uint32_t, ((uint64_t)((int64_t)a * b) >> 32) + c)
ALU_LANE3(mad_hi_u64, uint64_t, uint64_t, uint64_t, uint64_t, (uint64_t)((unsigned __int128)a * b >> 64) + c)
ALU_LANE3(mad_hi_s64, uint64_t, int64_t, int64_t, uint64_t, (uint64_t)((__int128)a * b >> 64) + c)
ALU_VECTOR3(mad_wide_u16, uint32_t, uint16_t, uint16_t, uint32_t, (uint32_t)a * b + c)
ALU_VECTOR3(mad_wide_s16, uint32_t, int16_t, int16_t, uint32_t, (uint32_t)((int32_t)a * b) + c)
ALU_VECTOR3(mad_wide_u32, uint64_t, uint32_t, uint32_t, uint64_t, (uint64_t)a * b + c)
ALU_VECTOR3(mad_wide_s32, uint64_t, int32_t, int32_t, uint64_t, (uint64_t)((int64_t)a * b) + c)

static inline int32_t saturated_sum(int64_t x, int32_t y)
{
    int64_t sum = x + y;
    return (int32_t)(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
}

ALU_VECTOR3(mad_hi_sat_s32, int32_t, int32_t, int32_t, int32_t, saturated_sum((int64_t)a * b >> 32, c))

/* The 48-bit product of the low 24 bits: .lo is its low word, .hi its bits 16 to 47. */
static inline uint64_t product24_u(uint32_t a, uint32_t b)
{
    return (uint64_t)(a & 0xffffffu) * (b & 0xffffffu);
}

static inline int64_t product24_s(uint32_t a, uint32_t b)
{
    return (int64_t)((int32_t)(a << 8) >> 8) * ((int32_t)(b << 8) >> 8);
}

ALU_VECTOR2(mul24_lo_u32, uint32_t, uint32_t, uint32_t, product24_u(a, b))
ALU_VECTOR2(mul24_hi_u32, uint32_t, uint32_t, uint32_t, product24_u(a, b) >> 16)
ALU_VECTOR2(mul24_lo_s32, uint32_t, uint32_t, uint32_t, product24_s(a, b))
ALU_VECTOR2(mul24_hi_s32, uint32_t, uint32_t, uint32_t, (uint64_t)product24_s(a, b) >> 16)
ALU_VECTOR3(mad24_lo_u32, uint32_t, uint32_t, uint32_t, uint32_t, product24_u(a, b) + c)
ALU_VECTOR3(mad24_hi_u32, uint32_t, uint32_t, uint32_t, uint32_t, (product24_u(a, b) >> 16) + c)
ALU_VECTOR3(mad24_lo_s32, uint32_t, uint32_t, uint32_t, uint32_t, (uint64_t)product24_s(a, b) + c)
ALU_VECTOR3(mad24_hi_s32, uint32_t, uint32_t, uint32_t, uint32_t, ((uint64_t)product24_s(a, b) >> 16) + c)
ALU_LANE3(mad24_hi_sat_s32, int32_t, uint32_t, uint32_t, int32_t, saturated_sum((int32_t)(product24_s(a, b) >> 16), c))

/* Byte `n` of x, and half `n`, extended as the type says. */
#define BYTE_u32(x, n) ((uint32_t)(uint8_t)((x) >> 8 * (n)))
#define BYTE_s32(x, n) ((uint32_t)(int8_t)((x) >> 8 * (n)))
#define HALF_u32(x, n) ((uint32_t)(uint16_t)((x) >> 16 * (n)))
#define HALF_s32(x, n) ((uint32_t)(int16_t)((x) >> 16 * (n)))

#define SIGN_PAIRS(X) X(u32, u32, U32, U32, U32) X(u32, s32, U32, S32, S32) X(s32, u32, S32, U32, S32) X(s32, s32, S32, S32, S32)
#define DEFINE_DOT(t, s, PT, PS, PR)                                                                            \
    ALU_VECTOR3(dp4a_##t##_##s, uint32_t, uint32_t, uint32_t, uint32_t,                                         \
                c + BYTE_##t(a, 0) * BYTE_##s(b, 0) + BYTE_##t(a, 1) * BYTE_##s(b, 1) +                         \
                    BYTE_##t(a, 2) * BYTE_##s(b, 2) + BYTE_##t(a, 3) * BYTE_##s(b, 3))                          \
    ALU_VECTOR3(dp2a_lo_##t##_##s, uint32_t, uint32_t, uint32_t, uint32_t,                                      \
                c + HALF_##t(a, 0) * BYTE_##s(b, 0) + HALF_##t(a, 1) * BYTE_##s(b, 1))                          \
    ALU_VECTOR3(dp2a_hi_##t##_##s, uint32_t, uint32_t, uint32_t, uint32_t,                                      \
                c + HALF_##t(a, 0) * BYTE_##s(b, 2) + HALF_##t(a, 1) * BYTE_##s(b, 3))
SIGN_PAIRS(DEFINE_DOT)

#define DOT_ROWS(t, s, PT, PS, PR)                                                                              \
    ALU_ROW("dp4a." #t "." #s, dp4a_##t##_##s, INT, T(PR), T(PT), T(PS), T(PR))                                 \
    ALU_ROW("dp2a.lo." #t "." #s, dp2a_lo_##t##_##s, INT, T(PR), T(PT), T(PS), T(PR))                           \
    ALU_ROW("dp2a.hi." #t "." #s, dp2a_hi_##t##_##s, INT, T(PR), T(PT), T(PS), T(PR))

#define SAME3(spelling, run, type) ALU_ROW(spelling, run, INT, type, type, type, type)
#define SAME2(spelling, run, type) ALU_ROW(spelling, run, INT, type, type, type)
#define MAD_ROWS(W)                                                                                             \
    SAME3("mad.lo.u" #W, mad_lo_##W, T(U##W)) SAME3("mad.lo.s" #W, mad_lo_##W, T(S##W))                         \
    SAME3("mad.hi.u" #W, mad_hi_u##W, T(U##W)) SAME3("mad.hi.s" #W, mad_hi_s##W, T(S##W))

static const struct alu_row rows[] = {
    MAD_ROWS(16) MAD_ROWS(32) MAD_ROWS(64)
    SAME3("mad.hi.sat.s32", mad_hi_sat_s32, T(S32))
    ALU_ROW("mad.wide.u16", mad_wide_u16, INT, T(U32), T(U16), T(U16), T(U32))
    ALU_ROW("mad.wide.s16", mad_wide_s16, INT, T(S32), T(S16), T(S16), T(S32))
    ALU_ROW("mad.wide.u32", mad_wide_u32, INT, T(U64), T(U32), T(U32), T(U64))
    ALU_ROW("mad.wide.s32", mad_wide_s32, INT, T(S64), T(S32), T(S32), T(S64))
    SAME2("mul24.lo.u32", mul24_lo_u32, T(U32)) SAME2("mul24.lo.s32", mul24_lo_s32, T(S32))
    SAME2("mul24.hi.u32", mul24_hi_u32, T(U32)) SAME2("mul24.hi.s32", mul24_hi_s32, T(S32))
    SAME3("mad24.lo.u32", mad24_lo_u32, T(U32)) SAME3("mad24.lo.s32", mad24_lo_s32, T(S32))
    SAME3("mad24.hi.u32", mad24_hi_u32, T(U32)) SAME3("mad24.hi.s32", mad24_hi_s32, T(S32))
    SAME3("mad24.hi.sat.s32", mad24_hi_sat_s32, T(S32))
    SIGN_PAIRS(DOT_ROWS)
};

const struct alu_rows ALU_TIER(alu_muladd_rows) = ALU_ROWS(rows);
