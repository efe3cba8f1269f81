/* cvt of the rarer kinds, by integer arithmetic on the bits (fp_round): directed roundings, conversions
 * into f16 and bf16 from anything, packed pairs, tf32. Each value is rounded once, straight from its
 * source. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

#define KEEP(x) (x)
#define MODES(X, ...)    X(rn, FP_RN, __VA_ARGS__) DIRECTED(X, __VA_ARGS__)
#define DIRECTED(X, ...) X(rz, FP_RZ, __VA_ARGS__) X(rm, FP_RM, __VA_ARGS__) X(rp, FP_RP, __VA_ARGS__)
#define NARROW_INTS(X, ...)                                                                                     \
    X(u16, U16, uint16_t, fp_from_u64, __VA_ARGS__) X(u32, U32, uint32_t, fp_from_u64, __VA_ARGS__)             \
    X(u64, U64, uint64_t, fp_from_u64, __VA_ARGS__) X(s16, S16, int16_t, fp_from_s64, __VA_ARGS__)              \
    X(s32, S32, int32_t, fp_from_s64, __VA_ARGS__) X(s64, S64, int64_t, fp_from_s64, __VA_ARGS__)
#define INTS(X, ...)                                                                                            \
    X(u8, U8, uint8_t, fp_from_u64, __VA_ARGS__) X(s8, S8, int8_t, fp_from_s64, __VA_ARGS__)                    \
    NARROW_INTS(X, __VA_ARGS__)

/* .sat on the bits of a format whose 1.0 is `one`: NaN, zeros and what is negative become +0. */
static inline uint32_t saturate(uint32_t bits, uint32_t one, const struct fp_format *format)
{
    return (bits & format->sign) || bits > format->infinity ? 0 : bits > one ? one : bits;
}

static inline uint32_t saturate_f16(uint64_t bits)
{
    return saturate((uint32_t)bits, 0x3c00, &fp_f16);
}

/* .relu: what is negative, -0 too, becomes +0; NaN stays. */
static inline uint32_t relu(uint32_t bits, const struct fp_format *format)
{
    return bits & format->sign ? 0 : bits;
}

/* .satfinite: what is beyond the range, and infinity, becomes the largest number; NaN stays. */
static inline uint32_t satfinite(uint32_t bits, const struct fp_format *format)
{
    return (bits & ~format->sign) == format->infinity ? bits - 1 : bits;
}

#define RELU_f16(bits)       relu((uint32_t)(bits), &fp_f16)
#define RELU_bf16(bits)      relu((uint32_t)(bits), &fp_bf16)
#define SATFINITE_f16(bits)  satfinite((uint32_t)(bits), &fp_f16)
#define SATFINITE_bf16(bits) satfinite((uint32_t)(bits), &fp_bf16)
#define RELU_SATFINITE_f16(bits)  SATFINITE_f16(RELU_f16(bits))
#define RELU_SATFINITE_bf16(bits) SATFINITE_bf16(RELU_bf16(bits))

/* ---- integer to floating point ---- */

#define DEFINE_FROM_INT(t, P, I, FROM, m, mode, d, U)                                                           \
    ALU_LANE1(cvt_##m##_##d##_##t, U, I, FROM(a, &fp_##d, mode))
#define DEFINE_FROM_INT_SAT(t, P, I, FROM, m, mode)                                                             \
    ALU_LANE1(cvt_##m##_sat_f16_##t, uint16_t, I, saturate_f16(FROM(a, &fp_f16, mode)))
#define DEFINE_FROM_INTS(m, mode, d, U, LIST) LIST(DEFINE_FROM_INT, m, mode, d, U)
#define DEFINE_FROM_INTS_SAT(m, mode, unused) INTS(DEFINE_FROM_INT_SAT, m, mode)
DIRECTED(DEFINE_FROM_INTS, f32, uint32_t, INTS)
DIRECTED(DEFINE_FROM_INTS, f64, uint64_t, INTS)
MODES(DEFINE_FROM_INTS, f16, uint16_t, INTS)
MODES(DEFINE_FROM_INTS_SAT, 0)
MODES(DEFINE_FROM_INTS, bf16, uint16_t, NARROW_INTS)

#define ROW(spelling, run, D, A) ALU_ROW(spelling, run, CONVERT, T(D), T(A))
#define FROM_INT_ROW(t, P, I, FROM, m, mode, d, D) ROW("cvt." #m "." #d "." #t, cvt_##m##_##d##_##t, D, P)
#define FROM_INT_FTZ_ROW(t, P, I, FROM, m, mode, d, D) ROW("cvt." #m ".ftz." #d "." #t, cvt_##m##_##d##_##t, D, P)
#define FROM_INT_SAT_ROW(t, P, I, FROM, m, mode) ROW("cvt." #m ".sat.f16." #t, cvt_##m##_sat_f16_##t, F16, P)
#define FROM_INT_ROWS(m, mode, d, D, LIST) LIST(FROM_INT_ROW, m, mode, d, D)
#define FROM_INT_FTZ_ROWS(m, mode, d, D, LIST) LIST(FROM_INT_FTZ_ROW, m, mode, d, D)
#define FROM_INT_SAT_ROWS(m, mode, unused) INTS(FROM_INT_SAT_ROW, m, mode)

/* ---- floating point to narrower floating point ---- */

static inline float flush_sat32(float x)
{
    return fp_sat32(fp_flush32(x));
}

#define NARROW32(x, mode) fp_from32((uint32_t)fp_narrow(x, &fp_f32, mode))
#define DEFINE_NARROW(m, mode, unused)                                                                          \
    ALU_LANE1(cvt_##m##_ftz_f16_f32, uint16_t, float, fp_narrow(fp_flush32(a), &fp_f16, mode))                  \
    ALU_LANE1(cvt_##m##_sat_f16_f32, uint16_t, float, saturate_f16(fp_narrow(a, &fp_f16, mode)))                \
    ALU_LANE1(cvt_##m##_ftz_sat_f16_f32, uint16_t, float, saturate_f16(fp_narrow(fp_flush32(a), &fp_f16, mode))) \
    ALU_LANE1(cvt_##m##_f16_f64, uint16_t, double, fp_narrow(a, &fp_f16, mode))                                 \
    ALU_LANE1(cvt_##m##_sat_f16_f64, uint16_t, double, saturate_f16(fp_narrow(a, &fp_f16, mode)))               \
    ALU_LANE1(cvt_##m##_f16_bf16, uint16_t, uint16_t, fp_narrow(fp_from_bf16(a), &fp_f16, mode))                \
    ALU_LANE1(cvt_##m##_ftz_bf16_f32, uint16_t, float, fp_narrow(fp_flush32(a), &fp_bf16, mode))                \
    ALU_LANE1(cvt_##m##_bf16_f64, uint16_t, double, fp_narrow(a, &fp_bf16, mode))                               \
    ALU_LANE1(cvt_##m##_bf16_f16, uint16_t, uint16_t, fp_narrow(fp_from_f16(a), &fp_bf16, mode))
MODES(DEFINE_NARROW, 0)

/* To nearest these have vector code in alu_convert_float.c. */
#define DEFINE_DIRECTED(m, mode, unused)                                                                        \
    ALU_LANE1(cvt_##m##_f16_f32, uint16_t, float, fp_narrow(a, &fp_f16, mode))                                  \
    ALU_LANE1(cvt_##m##_bf16_f32, uint16_t, float, fp_narrow(a, &fp_bf16, mode))                                \
    ALU_LANE1(cvt_##m##_f32_f64, float, double, NARROW32(a, mode))                                              \
    ALU_LANE1(cvt_##m##_ftz_f32_f64, float, double, fp_flush32(NARROW32(a, mode)))                              \
    ALU_LANE1(cvt_##m##_sat_f32_f64, float, double, fp_sat32(NARROW32(a, mode)))                                \
    ALU_LANE1(cvt_##m##_ftz_sat_f32_f64, float, double, flush_sat32(NARROW32(a, mode)))
DIRECTED(DEFINE_DIRECTED, 0)

#define NARROW_ROWS(m, mode, unused)                                                                            \
    ROW("cvt." #m ".ftz.f16.f32", cvt_##m##_ftz_f16_f32, F16, F32)                                              \
    ROW("cvt." #m ".sat.f16.f32", cvt_##m##_sat_f16_f32, F16, F32)                                              \
    ROW("cvt." #m ".ftz.sat.f16.f32", cvt_##m##_ftz_sat_f16_f32, F16, F32)                                      \
    ROW("cvt." #m ".f16.f64", cvt_##m##_f16_f64, F16, F64)                                                      \
    ROW("cvt." #m ".sat.f16.f64", cvt_##m##_sat_f16_f64, F16, F64)                                              \
    ROW("cvt." #m ".f16.bf16", cvt_##m##_f16_bf16, F16, BF16)                                                   \
    ROW("cvt." #m ".ftz.bf16.f32", cvt_##m##_ftz_bf16_f32, BF16, F32)                                           \
    ROW("cvt." #m ".bf16.f64", cvt_##m##_bf16_f64, BF16, F64)                                                   \
    ROW("cvt." #m ".bf16.f16", cvt_##m##_bf16_f16, BF16, F16)
#define DIRECTED_ROWS(m, mode, unused)                                                                          \
    ROW("cvt." #m ".f16.f32", cvt_##m##_f16_f32, F16, F32)                                                      \
    ROW("cvt." #m ".bf16.f32", cvt_##m##_bf16_f32, BF16, F32)                                                   \
    ROW("cvt." #m ".f32.f64", cvt_##m##_f32_f64, F32, F64)                                                      \
    ROW("cvt." #m ".ftz.f32.f64", cvt_##m##_ftz_f32_f64, F32, F64)                                              \
    ROW("cvt." #m ".sat.f32.f64", cvt_##m##_sat_f32_f64, F32, F64)                                              \
    ROW("cvt." #m ".ftz.sat.f32.f64", cvt_##m##_ftz_sat_f32_f64, F32, F64)

/* ---- relu, satfinite, and pairs: the first source is the high half ---- */

#define PAIR_MODES(X) X(rn, FP_RN, f16, F16) X(rz, FP_RZ, f16, F16) X(rn, FP_RN, bf16, BF16) X(rz, FP_RZ, bf16, BF16)
#define DEFINE_LIMITED(m, mode, d, suffix, LIMIT)                                                               \
    ALU_LANE1(cvt_##m##_##suffix##_##d, uint16_t, float, LIMIT##_##d(fp_narrow(a, &fp_##d, mode)))
#define DEFINE_PAIRED(m, mode, d, suffix, LIMIT)                                                                \
    ALU_LANE2(cvt_##m##_##suffix##_##d##x2, uint32_t, float, float,                                             \
              (uint32_t)LIMIT##_##d(fp_narrow(a, &fp_##d, mode)) << 16 |                                        \
                  (uint32_t)LIMIT##_##d(fp_narrow(b, &fp_##d, mode)))
#define ALL_f16(bits)  (bits)
#define ALL_bf16(bits) (bits)
#define DEFINE_PAIR_FORMS(m, mode, d, D)                                                                        \
    DEFINE_LIMITED(m, mode, d, relu, RELU) DEFINE_LIMITED(m, mode, d, satfinite, SATFINITE)                     \
    DEFINE_LIMITED(m, mode, d, relu_satfinite, RELU_SATFINITE)                                                  \
    DEFINE_PAIRED(m, mode, d, plain, ALL) DEFINE_PAIRED(m, mode, d, relu, RELU)                                 \
    DEFINE_PAIRED(m, mode, d, satfinite, SATFINITE) DEFINE_PAIRED(m, mode, d, relu_satfinite, RELU_SATFINITE)
PAIR_MODES(DEFINE_PAIR_FORMS)

#define PAIR_ROW(text, run, D) ALU_ROW(text, run, CONVERT, T(D), T(F32), T(F32))
#define PAIR_ROWS(m, mode, d, D)                                                                                \
    ROW("cvt." #m ".relu." #d ".f32", cvt_##m##_relu_##d, D, F32)                                               \
    ROW("cvt." #m ".satfinite." #d ".f32", cvt_##m##_satfinite_##d, D, F32)                                     \
    ROW("cvt." #m ".relu.satfinite." #d ".f32", cvt_##m##_relu_satfinite_##d, D, F32)                           \
    PAIR_ROW("cvt." #m "." #d "x2.f32", cvt_##m##_plain_##d##x2, D##X2)                                         \
    PAIR_ROW("cvt." #m ".relu." #d "x2.f32", cvt_##m##_relu_##d##x2, D##X2)                                     \
    PAIR_ROW("cvt." #m ".satfinite." #d "x2.f32", cvt_##m##_satfinite_##d##x2, D##X2)                           \
    PAIR_ROW("cvt." #m ".relu.satfinite." #d "x2.f32", cvt_##m##_relu_satfinite_##d##x2, D##X2)

/* ---- f16 and bf16 to themselves ---- */

#define INTEGRAL_ROUNDINGS(X) X(rni, __builtin_rintf) X(rzi, __builtin_truncf) X(rmi, __builtin_floorf) X(rpi, __builtin_ceilf)
#define DEFINE_INTEGRAL(m, ROUND)                                                                               \
    ALU_LANE1(cvt_##m##_f16, uint16_t, uint16_t, fp_to_f16(ROUND(fp_from_f16(a))))                              \
    ALU_LANE1(cvt_##m##_sat_f16, uint16_t, uint16_t, fp_to_f16(fp_sat32(ROUND(fp_from_f16(a)))))                \
    ALU_LANE1(cvt_##m##_bf16, uint16_t, uint16_t, fp_to_bf16(ROUND(fp_from_bf16(a))))
INTEGRAL_ROUNDINGS(DEFINE_INTEGRAL)
ALU_VECTOR1(cvt_copy_16, uint16_t, uint16_t, a)
ALU_LANE1(cvt_sat_f16, uint16_t, uint16_t, saturate_f16(a))

#define INTEGRAL_ROWS(m, ROUND)                                                                                 \
    ROW("cvt." #m ".f16.f16", cvt_##m##_f16, F16, F16) ROW("cvt." #m ".sat.f16.f16", cvt_##m##_sat_f16, F16, F16) \
    ROW("cvt." #m ".bf16.bf16", cvt_##m##_bf16, BF16, BF16)

/* ---- tf32: f32 with 11 significant bits, the rest zero ---- */

static const struct fp_format tf32 = { 11, -126, 0xff << 10, 0x3ffff, 1 << 18 };

static inline uint32_t narrow_tf32(float x, enum fp_mode mode)
{
    return x != x ? 0x7fffffffu : (uint32_t)fp_narrow(x, &tf32, mode) << 13;
}

/* Ties away from zero: half of the last place is added to the magnitude. */
static inline uint32_t narrow_tf32_away(float x)
{
    uint32_t bits = fp_bits32(x);
    return x != x ? 0x7fffffffu : __builtin_isinf(x) ? bits : (bits + 0x1000u) & ~0x1fffu;
}

#define TF32_FINITE(bits) (((bits) & 0x7fffffffu) == 0x7f800000u ? (bits) - 0x2000u : (bits))
#define TF32_RELU(bits)   ((bits) & 0x80000000u ? 0 : (bits))
ALU_LANE1(cvt_rna_tf32, uint32_t, float, narrow_tf32_away(a))
ALU_LANE1(cvt_rna_satfinite_tf32, uint32_t, float, TF32_FINITE(narrow_tf32_away(a)))
ALU_LANE1(cvt_rn_tf32, uint32_t, float, narrow_tf32(a, FP_RN))
ALU_LANE1(cvt_rz_tf32, uint32_t, float, narrow_tf32(a, FP_RZ))
ALU_LANE1(cvt_rn_relu_tf32, uint32_t, float, TF32_RELU(narrow_tf32(a, FP_RN)))
ALU_LANE1(cvt_rz_relu_tf32, uint32_t, float, TF32_RELU(narrow_tf32(a, FP_RZ)))

static const struct alu_row rows[] = {
    DIRECTED(FROM_INT_ROWS, f32, F32, INTS) DIRECTED(FROM_INT_FTZ_ROWS, f32, F32, INTS)
    DIRECTED(FROM_INT_ROWS, f64, F64, INTS)
    MODES(FROM_INT_ROWS, f16, F16, INTS) MODES(FROM_INT_SAT_ROWS, 0)
    MODES(FROM_INT_ROWS, bf16, BF16, NARROW_INTS)
    MODES(NARROW_ROWS, 0) DIRECTED(DIRECTED_ROWS, 0)
    PAIR_MODES(PAIR_ROWS)
    INTEGRAL_ROUNDINGS(INTEGRAL_ROWS)
    ROW("cvt.f16.f16", cvt_copy_16, F16, F16) ROW("cvt.sat.f16.f16", cvt_sat_f16, F16, F16)
    ROW("cvt.bf16.bf16", cvt_copy_16, BF16, BF16)
    ROW("cvt.rna.tf32.f32", cvt_rna_tf32, TF32, F32)
    ROW("cvt.rna.satfinite.tf32.f32", cvt_rna_satfinite_tf32, TF32, F32)
    ROW("cvt.rn.tf32.f32", cvt_rn_tf32, TF32, F32) ROW("cvt.rz.tf32.f32", cvt_rz_tf32, TF32, F32)
    ROW("cvt.rn.relu.tf32.f32", cvt_rn_relu_tf32, TF32, F32) ROW("cvt.rz.relu.tf32.f32", cvt_rz_relu_tf32, TF32, F32)
};

const struct alu_rows alu_convert_slow_rows = ALU_ROWS(rows);
