/* cvt between integers. Without .sat the low bits are kept (and extended by the source's sign); with .sat
 * the value is clamped to the destination's range, which is legal only where the source can leave it. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

/* Clamps; the result is the value modulo 2^64. */
static inline uint64_t clamp_signed(int64_t x, int64_t min, uint64_t max)
{
    return x < min ? (uint64_t)min : x > 0 && (uint64_t)x > max ? max : (uint64_t)x;
}

static inline uint64_t clamp_unsigned(uint64_t x, int64_t min, uint64_t max)
{
    return x > max ? max : x;
}

#define C_u8  uint8_t
#define C_u16 uint16_t
#define C_u32 uint32_t
#define C_u64 uint64_t
#define C_s8  int8_t
#define C_s16 int16_t
#define C_s32 int32_t
#define C_s64 int64_t
#define RANGE_u8  0, UINT8_MAX
#define RANGE_u16 0, UINT16_MAX
#define RANGE_u32 0, UINT32_MAX
#define RANGE_u64 0, UINT64_MAX
#define RANGE_s8  INT8_MIN, INT8_MAX
#define RANGE_s16 INT16_MIN, INT16_MAX
#define RANGE_s32 INT32_MIN, INT32_MAX
#define RANGE_s64 INT64_MIN, INT64_MAX

#define TO_ALL(X, a, A)                                                                                         \
    X(u8, U8, a, A) X(u16, U16, a, A) X(u32, U32, a, A) X(u64, U64, a, A)                                       \
    X(s8, S8, a, A) X(s16, S16, a, A) X(s32, S32, a, A) X(s64, S64, a, A)
#define ALL_PAIRS(X)                                                                                            \
    TO_ALL(X, u8, U8) TO_ALL(X, u16, U16) TO_ALL(X, u32, U32) TO_ALL(X, u64, U64)                               \
    TO_ALL(X, s8, S8) TO_ALL(X, s16, S16) TO_ALL(X, s32, S32) TO_ALL(X, s64, S64)

/* X(clamp, destination, source): the pairs where .sat says something. */
#define SATURATING_PAIRS(X)                                                                                     \
    X(clamp_unsigned, s8, S8, u8, U8)                                                                           \
    X(clamp_unsigned, u8, U8, u16, U16) X(clamp_unsigned, s8, S8, u16, U16) X(clamp_unsigned, s16, S16, u16, U16) \
    X(clamp_unsigned, u8, U8, u32, U32) X(clamp_unsigned, s8, S8, u32, U32) X(clamp_unsigned, u16, U16, u32, U32) \
    X(clamp_unsigned, s16, S16, u32, U32) X(clamp_unsigned, s32, S32, u32, U32)                                 \
    X(clamp_unsigned, u8, U8, u64, U64) X(clamp_unsigned, s8, S8, u64, U64) X(clamp_unsigned, u16, U16, u64, U64) \
    X(clamp_unsigned, s16, S16, u64, U64) X(clamp_unsigned, u32, U32, u64, U64)                                 \
    X(clamp_unsigned, s32, S32, u64, U64) X(clamp_unsigned, s64, S64, u64, U64)                                 \
    X(clamp_signed, u8, U8, s8, S8) X(clamp_signed, u16, U16, s8, S8) X(clamp_signed, u32, U32, s8, S8)         \
    X(clamp_signed, u64, U64, s8, S8)                                                                           \
    X(clamp_signed, u8, U8, s16, S16) X(clamp_signed, s8, S8, s16, S16) X(clamp_signed, u16, U16, s16, S16)     \
    X(clamp_signed, u32, U32, s16, S16) X(clamp_signed, u64, U64, s16, S16)                                     \
    X(clamp_signed, u8, U8, s32, S32) X(clamp_signed, s8, S8, s32, S32) X(clamp_signed, u16, U16, s32, S32)     \
    X(clamp_signed, s16, S16, s32, S32) X(clamp_signed, u32, U32, s32, S32) X(clamp_signed, u64, U64, s32, S32) \
    X(clamp_signed, u8, U8, s64, S64) X(clamp_signed, s8, S8, s64, S64) X(clamp_signed, u16, U16, s64, S64)     \
    X(clamp_signed, s16, S16, s64, S64) X(clamp_signed, u32, U32, s64, S64) X(clamp_signed, s32, S32, s64, S64) \
    X(clamp_signed, u64, U64, s64, S64)

#define DEFINE_KEEP(d, D, a_, A_)       ALU_VECTOR1(cvt_##d##_##a_, C_##d, C_##a_, a)
#define DEFINE_CLAMP(clamp, d, D, a_, A_) ALU_VECTOR1(cvt_sat_##d##_##a_, C_##d, C_##a_, clamp(a, RANGE_##d))
ALL_PAIRS(DEFINE_KEEP)
SATURATING_PAIRS(DEFINE_CLAMP)

#define KEEP_ROW(d, D, a, A)         ALU_ROW("cvt." #d "." #a, cvt_##d##_##a, CONVERT, T(D), T(A))
#define CLAMP_ROW(clamp, d, D, a, A) ALU_ROW("cvt.sat." #d "." #a, cvt_sat_##d##_##a, CONVERT, T(D), T(A))

static const struct alu_row rows[] = { ALL_PAIRS(KEEP_ROW) SATURATING_PAIRS(CLAMP_ROW) };

const struct alu_rows ALU_TIER(alu_convert_int_rows) = ALU_ROWS(rows);
