/* f32 and f64 add, sub, mul, fma, div, sqrt and rcp rounded to nearest, abs, neg, copysign, testp. The
 * host's own IEEE arithmetic does the work; contraction is off, fma is one rounding in every tier. NaN
 * results are canonical; abs, neg and copysign only touch the sign bit. Where a form is approximate
 * (div.full, rcp.approx, sqrt.approx) it is exact here. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

/* X(suffix of the name, spelling, what happens to sources, what happens to the result) */
#define KEEP(x)            (x)
#define FLUSH_SAT(x)       fp_sat32(fp_flush32(x))
#define FLUSH_CANON(x)     fp_canon32(fp_flush32(x))
#define F32_VARIANTS(X)                                                                                         \
    X(, "", KEEP, fp_canon32)                                                                                   \
    X(_ftz, ".ftz", fp_flush32, FLUSH_CANON)                                                                    \
    X(_sat, ".sat", KEEP, fp_sat32)                                                                             \
    X(_ftz_sat, ".ftz.sat", fp_flush32, FLUSH_SAT)

#define DEFINE_F32(suffix, text, IN, OUT)                                                                       \
    ALU_VECTOR2(add_f32##suffix, float, float, float, OUT(IN(a) + IN(b)))                                       \
    ALU_VECTOR2(sub_f32##suffix, float, float, float, OUT(IN(a) - IN(b)))                                       \
    ALU_VECTOR2(mul_f32##suffix, float, float, float, OUT(IN(a) * IN(b)))                                       \
    ALU_VECTOR3(fma_f32##suffix, float, float, float, float, OUT(__builtin_fmaf(IN(a), IN(b), IN(c))))
F32_VARIANTS(DEFINE_F32)

#define DEFINE_F32_EXACT(suffix, IN, OUT)                                                                       \
    ALU_VECTOR2(div_f32##suffix, float, float, float, OUT(IN(a) / IN(b)))                                       \
    ALU_VECTOR1(rcp_f32##suffix, float, float, OUT(1.0f / IN(a)))                                               \
    ALU_VECTOR1(sqrt_f32##suffix, float, float, OUT(__builtin_sqrtf(IN(a))))                                    \
    ALU_VECTOR2(div_approx_f32##suffix, float, float, float, OUT(divide_approx(IN(a), IN(b))))

/* div.approx is a * (1/b) with a reciprocal that underflows to zero for |b| above 2^126. */
static inline float divide_approx(float a, float b)
{
    float size = __builtin_fabsf(b);

    return size > 0x1p126f && size < INFINITY ? a * __builtin_copysignf(0.0f, b) : a / b;
}
DEFINE_F32_EXACT(, KEEP, fp_canon32)
DEFINE_F32_EXACT(_ftz, fp_flush32, FLUSH_CANON)

ALU_VECTOR2(add_f64, double, double, double, fp_canon64(a + b))
ALU_VECTOR2(sub_f64, double, double, double, fp_canon64(a - b))
ALU_VECTOR2(mul_f64, double, double, double, fp_canon64(a * b))
ALU_VECTOR3(fma_f64, double, double, double, double, fp_canon64(__builtin_fma(a, b, c)))
ALU_VECTOR2(div_f64, double, double, double, fp_canon64(a / b))
ALU_VECTOR1(rcp_f64, double, double, fp_canon64(1.0 / a))
ALU_VECTOR1(sqrt_f64, double, double, fp_canon64(__builtin_sqrt(a)))

#define SIGN32 0x80000000u
#define SIGN64 (UINT64_C(1) << 63)
ALU_VECTOR1(abs_f32, uint32_t, uint32_t, a & ~SIGN32)
ALU_VECTOR1(neg_f32, uint32_t, uint32_t, a ^ SIGN32)
ALU_VECTOR1(abs_f32_ftz, float, float, __builtin_fabsf(fp_flush32(a)))
ALU_VECTOR1(neg_f32_ftz, float, float, -fp_flush32(a))
ALU_VECTOR1(abs_f64, uint64_t, uint64_t, a & ~SIGN64)
ALU_VECTOR1(neg_f64, uint64_t, uint64_t, a ^ SIGN64)
ALU_VECTOR2(copysign_f32, uint32_t, uint32_t, uint32_t, (a & SIGN32) | (b & ~SIGN32))
ALU_VECTOR2(copysign_f64, uint64_t, uint64_t, uint64_t, (a & SIGN64) | (b & ~SIGN64))

/* testp looks at the bits without their sign. */
#define DEFINE_TESTP(f, U, MAGNITUDE, INF, MIN_NORMAL)                                                          \
    ALU_VECTOR1(testp_finite_##f, uint8_t, U, (a & MAGNITUDE) < INF)                                            \
    ALU_VECTOR1(testp_infinite_##f, uint8_t, U, (a & MAGNITUDE) == INF)                                         \
    ALU_VECTOR1(testp_number_##f, uint8_t, U, (a & MAGNITUDE) <= INF)                                           \
    ALU_VECTOR1(testp_notanumber_##f, uint8_t, U, (a & MAGNITUDE) > INF)                                        \
    ALU_VECTOR1(testp_normal_##f, uint8_t, U, (a & MAGNITUDE) < INF && (a & MAGNITUDE) >= MIN_NORMAL)           \
    ALU_VECTOR1(testp_subnormal_##f, uint8_t, U, (a & MAGNITUDE) && (a & MAGNITUDE) < MIN_NORMAL)
DEFINE_TESTP(f32, uint32_t, 0x7fffffffu, 0x7f800000u, 0x00800000u)
DEFINE_TESTP(f64, uint64_t, (SIGN64 - 1), (UINT64_C(0x7ff) << 52), (UINT64_C(1) << 52))

#define BINARY32(spelling, run)  ALU_ROW(spelling, run, FP32, T(F32), T(F32), T(F32))
#define TERNARY32(spelling, run) ALU_ROW(spelling, run, FP32, T(F32), T(F32), T(F32), T(F32))
#define UNARY32(spelling, run)   ALU_ROW(spelling, run, FP32, T(F32), T(F32))
#define BINARY64(spelling, run)  ALU_ROW(spelling, run, FP64, T(F64), T(F64), T(F64))
#define TERNARY64(spelling, run) ALU_ROW(spelling, run, FP64, T(F64), T(F64), T(F64), T(F64))
#define UNARY64(spelling, run)   ALU_ROW(spelling, run, FP64, T(F64), T(F64))

#define F32_ROWS(suffix, text, IN, OUT)                                                                         \
    BINARY32("add" text ".f32", add_f32##suffix) BINARY32("add.rn" text ".f32", add_f32##suffix)                \
    BINARY32("sub" text ".f32", sub_f32##suffix) BINARY32("sub.rn" text ".f32", sub_f32##suffix)                \
    BINARY32("mul" text ".f32", mul_f32##suffix) BINARY32("mul.rn" text ".f32", mul_f32##suffix)                \
    TERNARY32("fma.rn" text ".f32", fma_f32##suffix) TERNARY32("mad.rn" text ".f32", fma_f32##suffix)
#define F32_EXACT_ROWS(suffix, text)                                                                            \
    BINARY32("div.rn" text ".f32", div_f32##suffix)                                                             \
    ALU_ROW("div.full" text ".f32", div_f32##suffix, SFU, T(F32), T(F32), T(F32))                               \
    ALU_ROW("div.approx" text ".f32", div_approx_f32##suffix, SFU, T(F32), T(F32), T(F32))                      \
    UNARY32("rcp.rn" text ".f32", rcp_f32##suffix)                                                              \
    ALU_ROW("rcp.approx" text ".f32", rcp_f32##suffix, SFU, T(F32), T(F32))                                     \
    UNARY32("sqrt.rn" text ".f32", sqrt_f32##suffix)                                                            \
    ALU_ROW("sqrt.approx" text ".f32", sqrt_f32##suffix, SFU, T(F32), T(F32))                                   \
    UNARY32("abs" text ".f32", abs_f32##suffix) UNARY32("neg" text ".f32", neg_f32##suffix)
#define TESTP_ROWS(test)                                                                                        \
    ALU_ROW("testp." #test ".f32", testp_##test##_f32, FP32, T(PRED), T(F32))                                   \
    ALU_ROW("testp." #test ".f64", testp_##test##_f64, FP64, T(PRED), T(F64))

static const struct alu_row rows[] = {
    F32_VARIANTS(F32_ROWS)
    F32_EXACT_ROWS(, "")
    F32_EXACT_ROWS(_ftz, ".ftz")
    BINARY64("add.f64", add_f64) BINARY64("add.rn.f64", add_f64)
    BINARY64("sub.f64", sub_f64) BINARY64("sub.rn.f64", sub_f64)
    BINARY64("mul.f64", mul_f64) BINARY64("mul.rn.f64", mul_f64)
    TERNARY64("fma.rn.f64", fma_f64) TERNARY64("mad.rn.f64", fma_f64)
    BINARY64("div.rn.f64", div_f64) UNARY64("rcp.rn.f64", rcp_f64) UNARY64("sqrt.rn.f64", sqrt_f64)
    UNARY64("abs.f64", abs_f64) UNARY64("neg.f64", neg_f64)
    BINARY32("copysign.f32", copysign_f32) BINARY64("copysign.f64", copysign_f64)
    TESTP_ROWS(finite) TESTP_ROWS(infinite) TESTP_ROWS(number) TESTP_ROWS(notanumber) TESTP_ROWS(normal)
    TESTP_ROWS(subnormal)
};

const struct alu_rows ALU_TIER(alu_float_rows) = ALU_ROWS(rows);
