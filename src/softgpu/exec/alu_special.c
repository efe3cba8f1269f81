/* The approximate functions of the special function unit: rsqrt, sin, cos, lg2, ex2, tanh, and the f64
 * forms of rcp and rsqrt. Hardware promises an error bound; here the exact function is computed in f64 and
 * rounded once. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

#define KEEP(x) (x)
#define FLUSH_CANON(x) fp_canon32(fp_flush32(x))

#define DEFINE_F32(suffix, IN, OUT)                                                                             \
    ALU_LANE1(rsqrt_f32##suffix, float, float, OUT((float)(1.0 / sqrt((double)IN(a)))))                         \
    ALU_LANE1(sin_f32##suffix, float, float, OUT((float)sin((double)IN(a))))                                    \
    ALU_LANE1(cos_f32##suffix, float, float, OUT((float)cos((double)IN(a))))                                    \
    ALU_LANE1(lg2_f32##suffix, float, float, OUT((float)log2((double)IN(a))))                                   \
    ALU_LANE1(ex2_f32##suffix, float, float, OUT((float)exp2((double)IN(a))))
DEFINE_F32(, KEEP, fp_canon32)
DEFINE_F32(_ftz, fp_flush32, FLUSH_CANON)
ALU_LANE1(tanh_f32, float, float, fp_canon32((float)tanh((double)a)))

/* Halves: f64 to f16 or bf16 in one rounding. */
#define FLUSHED_BF16(h) fp_from_bf16((h) & 0x7f80u ? (h) : (h) & 0x8000u)
#define FLUSH_BITS_BF16(bits) ((bits) & 0x7f80u ? (bits) : (bits) & 0x8000u)
#define TO_F16(x)  (uint16_t)fp_narrow(x, &fp_f16, FP_RN)
#define TO_BF16(x) (uint16_t)fp_narrow(x, &fp_bf16, FP_RN)
#define DEFINE_HALF(name, EXPR)                                                                                 \
    ALU_LANE1(name, uint16_t, uint16_t, EXPR)                                                                   \
    static void name##x2(ALU_ARGS) ALU_LANE_BODY(uint16_t, 2, ALU_FROM1(uint16_t), ALU_LOAD1(uint16_t), EXPR)
DEFINE_HALF(tanh_f16, TO_F16(tanh((double)fp_from_f16(a))))
DEFINE_HALF(tanh_bf16, TO_BF16(tanh((double)fp_from_bf16(a))))
DEFINE_HALF(ex2_f16, TO_F16(exp2((double)fp_from_f16(a))))

static inline uint16_t ex2_flushed_bf16(uint16_t h)
{
    uint16_t bits = TO_BF16(exp2((double)FLUSHED_BF16(h)));
    return FLUSH_BITS_BF16(bits);
}
DEFINE_HALF(ex2_bf16, ex2_flushed_bf16(a))

/* The f64 approximations of the PTX reference look at and deliver only the upper 32 bits, flushing
 * subnormals. */
static inline double upper_half(double x)
{
    uint64_t bits = fp_bits64(x) & UINT64_C(0xffffffff00000000);
    bool subnormal = !(bits & UINT64_C(0x7ff0000000000000));

    return fp_from64(subnormal ? bits & UINT64_C(1) << 63 : bits);
}

static inline double upper_result(double x)
{
    return x != x ? fp_from64(UINT64_C(0x7fffffff00000000)) : upper_half(x);
}

ALU_LANE1(rcp_approx_f64, double, double, a != a ? upper_result(a) : upper_result(1.0 / upper_half(a)))
ALU_LANE1(rsqrt_approx_ftz_f64, double, double, a != a ? upper_result(a) : upper_result(1.0 / sqrt(upper_half(a))))
ALU_LANE1(rsqrt_approx_f64, double, double, fp_canon64((double)(1.0L / sqrtl((long double)a))))

#define ROW(spelling, run, P) ALU_ROW(spelling, run, SFU, T(P), T(P))
#define F32_ROWS(op)                                                                                            \
    ROW(#op ".approx.f32", op##_f32, F32) ROW(#op ".approx.ftz.f32", op##_f32_ftz, F32)

static const struct alu_row rows[] = {
    F32_ROWS(rsqrt) F32_ROWS(sin) F32_ROWS(cos) F32_ROWS(lg2) F32_ROWS(ex2)
    ROW("tanh.approx.f32", tanh_f32, F32)
    ROW("tanh.approx.f16", tanh_f16, F16) ROW("tanh.approx.f16x2", tanh_f16x2, F16X2)
    ROW("tanh.approx.bf16", tanh_bf16, BF16) ROW("tanh.approx.bf16x2", tanh_bf16x2, BF16X2)
    ROW("ex2.approx.f16", ex2_f16, F16) ROW("ex2.approx.f16x2", ex2_f16x2, F16X2)
    ROW("ex2.approx.ftz.bf16", ex2_bf16, BF16) ROW("ex2.approx.ftz.bf16x2", ex2_bf16x2, BF16X2)
    ROW("rcp.approx.ftz.f64", rcp_approx_f64, F64)
    ROW("rsqrt.approx.ftz.f64", rsqrt_approx_ftz_f64, F64)
    ROW("rsqrt.approx.f64", rsqrt_approx_f64, F64)
};

const struct alu_rows alu_special_rows = ALU_ROWS(rows);
