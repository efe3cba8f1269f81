/* f32 and f64 arithmetic rounded towards zero, down or up. The host rounds: the mode of this thread is
 * changed around the loop and put back. The file is compiled with -frounding-math, and no arithmetic can
 * leave the span between the two calls, because it begins with loads and ends with stores of memory those
 * calls could have touched. One build serves both tiers. */
/* clang-format off: macros and tables, laid out by hand */
#include <fenv.h>

#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

#define DIRECTED_BODY(mode, R, FROM, LOAD, EXPR)                                                                \
    {                                                                                                           \
        int before = fegetround();                                                                              \
        fesetround(mode);                                                                                       \
        ALU_LANE_BODY(R, 1, FROM, LOAD, EXPR)                                                                   \
        fesetround(before);                                                                                     \
    }
#define DIRECTED1(name, mode, F, EXPR)                                                                          \
    static void name(ALU_ARGS) DIRECTED_BODY(mode, F, ALU_FROM1(F), ALU_LOAD1(F), EXPR)
#define DIRECTED2(name, mode, F, EXPR)                                                                          \
    static void name(ALU_ARGS) DIRECTED_BODY(mode, F, ALU_FROM2(F, F), ALU_LOAD2(F, F), EXPR)
#define DIRECTED3(name, mode, F, EXPR)                                                                          \
    static void name(ALU_ARGS) DIRECTED_BODY(mode, F, ALU_FROM3(F, F, F), ALU_LOAD3(F, F, F), EXPR)

#define KEEP(x)        (x)
#define FLUSH_SAT(x)   fp_sat32(fp_flush32(x))
#define FLUSH_CANON(x) fp_canon32(fp_flush32(x))
#define MODES(X, ...)                                                                                           \
    X(rz, FE_TOWARDZERO, __VA_ARGS__) X(rm, FE_DOWNWARD, __VA_ARGS__) X(rp, FE_UPWARD, __VA_ARGS__)

/* ftz, sat: parts of the function's name and of its spelling. */
#define DEFINE_ADDS(m, mode, suffix, text, IN, OUT)                                                             \
    DIRECTED2(add_##m##_f32##suffix, mode, float, OUT(IN(a) + IN(b)))                                           \
    DIRECTED2(sub_##m##_f32##suffix, mode, float, OUT(IN(a) - IN(b)))                                           \
    DIRECTED2(mul_##m##_f32##suffix, mode, float, OUT(IN(a) * IN(b)))                                           \
    DIRECTED3(fma_##m##_f32##suffix, mode, float, OUT(fmaf(IN(a), IN(b), IN(c))))
#define DEFINE_DIVISIONS(m, mode, suffix, text, IN, OUT)                                                        \
    DIRECTED2(div_##m##_f32##suffix, mode, float, OUT(IN(a) / IN(b)))                                           \
    DIRECTED1(rcp_##m##_f32##suffix, mode, float, OUT(1.0f / IN(a)))                                            \
    DIRECTED1(sqrt_##m##_f32##suffix, mode, float, OUT(sqrtf(IN(a))))
#define DEFINE_F64(m, mode, unused)                                                                             \
    DIRECTED2(add_##m##_f64, mode, double, fp_canon64(a + b))                                                   \
    DIRECTED2(sub_##m##_f64, mode, double, fp_canon64(a - b))                                                   \
    DIRECTED2(mul_##m##_f64, mode, double, fp_canon64(a * b))                                                   \
    DIRECTED3(fma_##m##_f64, mode, double, fp_canon64(fma(a, b, c)))                                            \
    DIRECTED2(div_##m##_f64, mode, double, fp_canon64(a / b))                                                   \
    DIRECTED1(rcp_##m##_f64, mode, double, fp_canon64(1.0 / a))                                                 \
    DIRECTED1(sqrt_##m##_f64, mode, double, fp_canon64(sqrt(a)))

MODES(DEFINE_ADDS, , "", KEEP, fp_canon32)
MODES(DEFINE_ADDS, _ftz, ".ftz", fp_flush32, FLUSH_CANON)
MODES(DEFINE_ADDS, _sat, ".sat", KEEP, fp_sat32)
MODES(DEFINE_ADDS, _ftz_sat, ".ftz.sat", fp_flush32, FLUSH_SAT)
MODES(DEFINE_DIVISIONS, , "", KEEP, fp_canon32)
MODES(DEFINE_DIVISIONS, _ftz, ".ftz", fp_flush32, FLUSH_CANON)
MODES(DEFINE_F64, 0)

#define ROW1(op, m, text, run, class, F) ALU_ROW(#op "." #m text, run, class, T(F), T(F))
#define ROW2(op, m, text, run, class, F) ALU_ROW(#op "." #m text, run, class, T(F), T(F), T(F))
#define ROW3(op, m, text, run, class, F) ALU_ROW(#op "." #m text, run, class, T(F), T(F), T(F), T(F))

#define ADD_ROWS(m, mode, suffix, text)                                                                         \
    ROW2(add, m, text ".f32", add_##m##_f32##suffix, FP32, F32)                                                 \
    ROW2(sub, m, text ".f32", sub_##m##_f32##suffix, FP32, F32)                                                 \
    ROW2(mul, m, text ".f32", mul_##m##_f32##suffix, FP32, F32)                                                 \
    ROW3(fma, m, text ".f32", fma_##m##_f32##suffix, FP32, F32)                                                 \
    ROW3(mad, m, text ".f32", fma_##m##_f32##suffix, FP32, F32)
#define DIVISION_ROWS(m, mode, suffix, text)                                                                    \
    ROW2(div, m, text ".f32", div_##m##_f32##suffix, FP32, F32)                                                 \
    ROW1(rcp, m, text ".f32", rcp_##m##_f32##suffix, FP32, F32)                                                 \
    ROW1(sqrt, m, text ".f32", sqrt_##m##_f32##suffix, FP32, F32)
#define F64_ROWS(m, mode, unused)                                                                               \
    ROW2(add, m, ".f64", add_##m##_f64, FP64, F64) ROW2(sub, m, ".f64", sub_##m##_f64, FP64, F64)               \
    ROW2(mul, m, ".f64", mul_##m##_f64, FP64, F64) ROW3(fma, m, ".f64", fma_##m##_f64, FP64, F64)               \
    ROW3(mad, m, ".f64", fma_##m##_f64, FP64, F64) ROW2(div, m, ".f64", div_##m##_f64, FP64, F64)               \
    ROW1(rcp, m, ".f64", rcp_##m##_f64, FP64, F64) ROW1(sqrt, m, ".f64", sqrt_##m##_f64, FP64, F64)

static const struct alu_row rows[] = {
    MODES(ADD_ROWS, , "") MODES(ADD_ROWS, _ftz, ".ftz") MODES(ADD_ROWS, _sat, ".sat")
    MODES(ADD_ROWS, _ftz_sat, ".ftz.sat")
    MODES(DIVISION_ROWS, , "") MODES(DIVISION_ROWS, _ftz, ".ftz")
    MODES(F64_ROWS, 0)
};

const struct alu_rows alu_directed_rows = ALU_ROWS(rows);
