/* cvt between integers and floating point, and rounding to integral values: the forms with vector code.
 * Integers become f32 or f64 rounded to nearest; floating point becomes integers of all roundings, clamped
 * to the range. A NaN becomes 0, except that from f64 or to 64 bits it becomes the integer whose top bit
 * alone is set (PTX 9.0, cvt). alu_convert_slow.c has the rest. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

#define KEEP(x) (x)

/* X(type, enumerator, C type) */
#define INTS_TO_32(X, ...)                                                                                      \
    X(u8, U8, uint8_t, __VA_ARGS__) X(u16, U16, uint16_t, __VA_ARGS__) X(u32, U32, uint32_t, __VA_ARGS__)       \
    X(s8, S8, int8_t, __VA_ARGS__) X(s16, S16, int16_t, __VA_ARGS__) X(s32, S32, int32_t, __VA_ARGS__)
#define INTS_OF_64(X, ...) X(u64, U64, uint64_t, __VA_ARGS__) X(s64, S64, int64_t, __VA_ARGS__)
#define INTS(X, ...) INTS_TO_32(X, __VA_ARGS__) INTS_OF_64(X, __VA_ARGS__)

/* ---- integer to f32 and f64 ---- */

#define DEFINE_FROM_INT(t, P, I, unused)                                                                        \
    ALU_VECTOR1(cvt_f32_##t, float, I, (float)a)                                                                \
    ALU_VECTOR1(cvt_f64_##t, double, I, (double)a)                                                              \
    ALU_VECTOR1(cvt_sat_f32_##t, float, I, a > 0 ? 1.0f : 0.0f)                                                 \
    ALU_VECTOR1(cvt_sat_f64_##t, double, I, a > 0 ? 1.0 : 0.0)
INTS(DEFINE_FROM_INT, 0)

/* Saturation leaves 0 and 1 whatever the rounding, and no integer is subnormal. */
#define FROM_INT_ROWS(t, P, I, unused)                                                                          \
    ALU_ROW("cvt.rn.f32." #t, cvt_f32_##t, CONVERT, T(F32), T(P))                                               \
    ALU_ROW("cvt.rn.ftz.f32." #t, cvt_f32_##t, CONVERT, T(F32), T(P))                                           \
    ALU_ROW("cvt.rn.f64." #t, cvt_f64_##t, CONVERT, T(F64), T(P))                                               \
    SATURATED_ROWS(rn, t, P) SATURATED_ROWS(rz, t, P) SATURATED_ROWS(rm, t, P) SATURATED_ROWS(rp, t, P)
#define SATURATED_ROWS(rounding, t, P)                                                                          \
    ALU_ROW("cvt." #rounding ".sat.f32." #t, cvt_sat_f32_##t, CONVERT, T(F32), T(P))                            \
    ALU_ROW("cvt." #rounding ".ftz.sat.f32." #t, cvt_sat_f32_##t, CONVERT, T(F32), T(P))                        \
    ALU_ROW("cvt." #rounding ".sat.f64." #t, cvt_sat_f64_##t, CONVERT, T(F64), T(P))

/* ---- floating point to integer ---- */

#define ROUND_rni(x) __builtin_rint(x)
#define ROUND_rzi(x) __builtin_trunc(x)
#define ROUND_rmi(x) __builtin_floor(x)
#define ROUND_rpi(x) __builtin_ceil(x)

static inline double clamp(double x, double min, double max)
{
    return x < min ? min : x > max ? max : x;
}

static inline uint64_t to_u64(double x)
{
    return x >= 0x1p64 ? UINT64_MAX : x > 0.0 ? (uint64_t)x : x == x ? 0 : UINT64_C(1) << 63;
}

static inline int64_t to_s64(double x)
{
    return x >= 0x1p63 ? INT64_MAX : x >= -0x1p63 ? (int64_t)x : INT64_MIN;
}

/* x is integral. Through a wider integer, so that one conversion instruction serves all widths. */
#define TO_u8(x, nan)  ((x) == (x) ? (uint8_t)(int32_t)clamp(x, 0.0, UINT8_MAX) : (nan) << 7)
#define TO_u16(x, nan) ((x) == (x) ? (uint16_t)(int32_t)clamp(x, 0.0, UINT16_MAX) : (nan) << 15)
#define TO_u32(x, nan) ((x) == (x) ? (uint32_t)clamp(x, 0.0, UINT32_MAX) : (uint32_t)(nan) << 31)
#define TO_s8(x, nan)  ((x) == (x) ? (int32_t)clamp(x, INT8_MIN, INT8_MAX) : -((nan) << 7))
#define TO_s16(x, nan) ((x) == (x) ? (int32_t)clamp(x, INT16_MIN, INT16_MAX) : -((nan) << 15))
#define TO_s32(x, nan) ((x) == (x) ? (int32_t)clamp(x, INT32_MIN, INT32_MAX) : (nan) ? INT32_MIN : 0)
#define TO_u64(x, nan) to_u64(x)
#define TO_s64(x, nan) to_s64(x)

#define DEFINE_TO_INT(t, P, I, f, F, VALUE, rounding, nan)                                                      \
    ALU_VECTOR1(cvt_##rounding##_##t##_##f, I, F, TO_##t(ROUND_##rounding((double)VALUE(a)), nan))
#define DEFINE_ROUNDINGS(LIST, f, F, VALUE, nan)                                                                \
    LIST(DEFINE_TO_INT, f, F, VALUE, rni, nan) LIST(DEFINE_TO_INT, f, F, VALUE, rzi, nan)                       \
    LIST(DEFINE_TO_INT, f, F, VALUE, rmi, nan) LIST(DEFINE_TO_INT, f, F, VALUE, rpi, nan)
#define BF16_INTS(X, ...)                                                                                       \
    X(u16, U16, uint16_t, __VA_ARGS__) X(u32, U32, uint32_t, __VA_ARGS__) X(s16, S16, int16_t, __VA_ARGS__)     \
    X(s32, S32, int32_t, __VA_ARGS__) INTS_OF_64(X, __VA_ARGS__)
DEFINE_ROUNDINGS(INTS, f32, float, KEEP, 0)
DEFINE_ROUNDINGS(INTS, f32_ftz, float, fp_flush32, 0)
DEFINE_ROUNDINGS(INTS, f64, double, KEEP, 1)
DEFINE_ROUNDINGS(INTS, f16, uint16_t, fp_from_f16, 0)
DEFINE_ROUNDINGS(BF16_INTS, bf16, uint16_t, fp_from_bf16, 0)

/* .sat says again what is true without it. */
#define TO_INT_ROW(t, P, I, f, ftz, text, F, rounding)                                                          \
    ALU_ROW("cvt." #rounding ftz "." #t "." text, cvt_##rounding##_##t##_##f, CONVERT, T(P), T(F))
#define TO_INT_SAT_ROW(t, P, I, f, ftz, text, F, rounding)                                                      \
    ALU_ROW("cvt." #rounding ftz ".sat." #t "." text, cvt_##rounding##_##t##_##f, CONVERT, T(P), T(F))
#define TO_INT_ROWS(LIST, ROW, f, ftz, text, F)                                                                 \
    LIST(ROW, f, ftz, text, F, rni) LIST(ROW, f, ftz, text, F, rzi)                                             \
    LIST(ROW, f, ftz, text, F, rmi) LIST(ROW, f, ftz, text, F, rpi)

/* ---- floating point to floating point ---- */

#define CANON32_FLUSH(x) fp_canon32(fp_flush32(x))
#define SAT32_FLUSH(x)   fp_sat32(fp_flush32(x))

/* Of one width: a copy, or a rounding to an integral value. X(name, spelling, source, result) */
#define F32_FORMS(X) X(, "", KEEP, fp_canon32) X(_ftz, ".ftz", fp_flush32, fp_canon32)                          \
                     X(_sat, ".sat", KEEP, fp_sat32) X(_ftz_sat, ".ftz.sat", fp_flush32, fp_sat32)
#define F64_FORMS(X) X(, "", KEEP, fp_canon64) X(_sat, ".sat", KEEP, fp_sat64)

#define DEFINE_F32_FORM(suffix, text, IN, OUT)                                                                  \
    ALU_VECTOR1(cvt_rni_f32##suffix, float, float, OUT(__builtin_rintf(IN(a))))                                 \
    ALU_VECTOR1(cvt_rzi_f32##suffix, float, float, OUT(__builtin_truncf(IN(a))))                                \
    ALU_VECTOR1(cvt_rmi_f32##suffix, float, float, OUT(__builtin_floorf(IN(a))))                                \
    ALU_VECTOR1(cvt_rpi_f32##suffix, float, float, OUT(__builtin_ceilf(IN(a))))                                 \
    ALU_VECTOR1(cvt_f64_f32##suffix, double, float, WIDEN##suffix(IN(a)))                                       \
    ALU_VECTOR1(cvt_f32_f16##suffix, float, uint16_t, OUT(fp_from_f16(a)))
#define WIDEN(x)         fp_canon64((double)(x))
#define WIDEN_ftz(x)     fp_canon64((double)(x))
#define WIDEN_sat(x)     fp_sat64((double)(x))
#define WIDEN_ftz_sat(x) fp_sat64((double)(x))
F32_FORMS(DEFINE_F32_FORM)

#define DEFINE_F64_FORM(suffix, text, IN, OUT)                                                                  \
    ALU_VECTOR1(cvt_rni_f64##suffix, double, double, OUT(__builtin_rint(a)))                                    \
    ALU_VECTOR1(cvt_rzi_f64##suffix, double, double, OUT(__builtin_trunc(a)))                                   \
    ALU_VECTOR1(cvt_rmi_f64##suffix, double, double, OUT(__builtin_floor(a)))                                   \
    ALU_VECTOR1(cvt_rpi_f64##suffix, double, double, OUT(__builtin_ceil(a)))                                    \
    ALU_VECTOR1(cvt_f64_f16##suffix, double, uint16_t, OUT((double)fp_from_f16(a)))
F64_FORMS(DEFINE_F64_FORM)

ALU_VECTOR1(cvt_copy_32, uint32_t, uint32_t, a)
ALU_VECTOR1(cvt_copy_64, uint64_t, uint64_t, a)
ALU_VECTOR1(cvt_f32_f32_ftz, float, float, fp_canon32(fp_flush32(a)))
ALU_VECTOR1(cvt_f32_f32_sat, float, float, fp_sat32(a))
ALU_VECTOR1(cvt_f32_f32_ftz_sat, float, float, fp_sat32(fp_flush32(a)))
ALU_VECTOR1(cvt_f64_f64_sat, double, double, fp_sat64(a))
ALU_VECTOR1(cvt_f32_f64, float, double, fp_canon32((float)a))
ALU_VECTOR1(cvt_f32_f64_ftz, float, double, CANON32_FLUSH((float)a))
ALU_VECTOR1(cvt_f32_f64_sat, float, double, fp_sat32((float)a))
ALU_VECTOR1(cvt_f32_f64_ftz_sat, float, double, SAT32_FLUSH((float)a))
ALU_VECTOR1(cvt_f32_bf16, float, uint16_t, fp_canon32(fp_from_bf16(a)))
ALU_VECTOR1(cvt_f32_bf16_ftz, float, uint16_t, CANON32_FLUSH(fp_from_bf16(a)))
ALU_VECTOR1(cvt_f64_bf16, double, uint16_t, fp_canon64((double)fp_from_bf16(a)))
ALU_VECTOR1(cvt_f16_f32, uint16_t, float, fp_to_f16(a))
ALU_VECTOR1(cvt_bf16_f32, uint16_t, float, fp_to_bf16(a))

#define ROW(spelling, run, D, A) ALU_ROW(spelling, run, CONVERT, T(D), T(A))
#define F32_FORM_ROWS(suffix, text, IN, OUT)                                                                    \
    ROW("cvt.rni" text ".f32.f32", cvt_rni_f32##suffix, F32, F32)                                               \
    ROW("cvt.rzi" text ".f32.f32", cvt_rzi_f32##suffix, F32, F32)                                               \
    ROW("cvt.rmi" text ".f32.f32", cvt_rmi_f32##suffix, F32, F32)                                               \
    ROW("cvt.rpi" text ".f32.f32", cvt_rpi_f32##suffix, F32, F32)                                               \
    ROW("cvt" text ".f64.f32", cvt_f64_f32##suffix, F64, F32)                                                   \
    ROW("cvt" text ".f32.f16", cvt_f32_f16##suffix, F32, F16)                                                   \
    ROW("cvt.rn" text ".f32.f64", cvt_f32_f64##suffix, F32, F64)
#define F64_FORM_ROWS(suffix, text, IN, OUT)                                                                    \
    ROW("cvt.rni" text ".f64.f64", cvt_rni_f64##suffix, F64, F64)                                               \
    ROW("cvt.rzi" text ".f64.f64", cvt_rzi_f64##suffix, F64, F64)                                               \
    ROW("cvt.rmi" text ".f64.f64", cvt_rmi_f64##suffix, F64, F64)                                               \
    ROW("cvt.rpi" text ".f64.f64", cvt_rpi_f64##suffix, F64, F64)                                               \
    ROW("cvt" text ".f64.f16", cvt_f64_f16##suffix, F64, F16)
/* Exact, so a rounding may be written but changes nothing. */
#define FROM_BF16_ROWS(rounding)                                                                                \
    ROW("cvt" rounding ".f32.bf16", cvt_f32_bf16, F32, BF16)                                                    \
    ROW("cvt" rounding ".ftz.f32.bf16", cvt_f32_bf16_ftz, F32, BF16)                                            \
    ROW("cvt" rounding ".f64.bf16", cvt_f64_bf16, F64, BF16)

static const struct alu_row rows[] = {
    INTS(FROM_INT_ROWS, 0)
    TO_INT_ROWS(INTS, TO_INT_ROW, f32, "", "f32", F32) TO_INT_ROWS(INTS, TO_INT_SAT_ROW, f32, "", "f32", F32)
    TO_INT_ROWS(INTS, TO_INT_ROW, f32_ftz, ".ftz", "f32", F32)
    TO_INT_ROWS(INTS, TO_INT_SAT_ROW, f32_ftz, ".ftz", "f32", F32)
    TO_INT_ROWS(INTS, TO_INT_ROW, f64, "", "f64", F64) TO_INT_ROWS(INTS, TO_INT_SAT_ROW, f64, "", "f64", F64)
    TO_INT_ROWS(INTS, TO_INT_ROW, f16, "", "f16", F16) TO_INT_ROWS(INTS, TO_INT_SAT_ROW, f16, "", "f16", F16)
    TO_INT_ROWS(BF16_INTS, TO_INT_ROW, bf16, "", "bf16", BF16)
    F32_FORMS(F32_FORM_ROWS)
    F64_FORMS(F64_FORM_ROWS)
    ROW("cvt.f32.f32", cvt_copy_32, F32, F32) ROW("cvt.f64.f64", cvt_copy_64, F64, F64)
    ROW("cvt.ftz.f32.f32", cvt_f32_f32_ftz, F32, F32) ROW("cvt.sat.f32.f32", cvt_f32_f32_sat, F32, F32)
    ROW("cvt.ftz.sat.f32.f32", cvt_f32_f32_ftz_sat, F32, F32) ROW("cvt.sat.f64.f64", cvt_f64_f64_sat, F64, F64)
    FROM_BF16_ROWS("") FROM_BF16_ROWS(".rn") FROM_BF16_ROWS(".rz") FROM_BF16_ROWS(".rm") FROM_BF16_ROWS(".rp")
    ROW("cvt.rn.f16.f32", cvt_f16_f32, F16, F32) ROW("cvt.rn.bf16.f32", cvt_bf16_f32, BF16, F32)
};

const struct alu_rows ALU_TIER(alu_convert_float_rows) = ALU_ROWS(rows);
