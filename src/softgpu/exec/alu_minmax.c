/* Floating-point min and max. A NaN loses against a number, except under .NaN where it wins; two NaNs give
 * the canonical one; -0 is less than +0. .xorsign.abs compares magnitudes and gives the result the
 * exclusive or of the two signs. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

/* Decides on values (a and b), gives bits back, so that signs of zero survive. */
#define DEFINE_PICK(f, F, U, BITS, NAN_BITS)                                                                    \
    static inline U min_##f(F a, F b, int propagate)                                                            \
    {                                                                                                           \
        U first = BITS(a), second = BITS(b);                                                                    \
        U least = a < b ? first : b < a ? second : first | second; /* equal: only zeros differ in bits */       \
        U one_nan = propagate ? NAN_BITS : a == a ? first : b == b ? second : NAN_BITS;                         \
        return a != a || b != b ? one_nan : least;                                                              \
    }                                                                                                           \
    static inline U max_##f(F a, F b, int propagate)                                                            \
    {                                                                                                           \
        U first = BITS(a), second = BITS(b);                                                                    \
        U most = a > b ? first : b > a ? second : first & second;                                               \
        U one_nan = propagate ? NAN_BITS : a == a ? first : b == b ? second : NAN_BITS;                         \
        return a != a || b != b ? one_nan : most;                                                               \
    }
DEFINE_PICK(f32, float, uint32_t, fp_bits32, 0x7fffffffu)
DEFINE_PICK(f64, double, uint64_t, fp_bits64, UINT64_C(0x7fffffffffffffff))

/* Gives a magnitude the sign of a xor b; a NaN stays canonical. */
static inline uint32_t xor_sign(uint32_t magnitude, float a, float b)
{
    uint32_t sign = (fp_bits32(a) ^ fp_bits32(b)) & 0x80000000u;
    return magnitude > 0x7f800000u ? magnitude : magnitude | sign;
}

#define KEEP(x) (x)
#define ABS(x) __builtin_fabsf(x)
/* X(op, suffix, spelling, flush, .NaN) */
#define FORMS(X)                                                                                                \
    X(min, , "", KEEP, 0) X(min, _ftz, ".ftz", fp_flush32, 0)                                                   \
    X(min, _nan, ".NaN", KEEP, 1) X(min, _ftz_nan, ".ftz.NaN", fp_flush32, 1)                                   \
    X(max, , "", KEEP, 0) X(max, _ftz, ".ftz", fp_flush32, 0)                                                   \
    X(max, _nan, ".NaN", KEEP, 1) X(max, _ftz_nan, ".ftz.NaN", fp_flush32, 1)

#define DEFINE_FORM(op, suffix, text, IN, propagate)                                                            \
    ALU_VECTOR2(op##_lanes##suffix, uint32_t, float, float, op##_f32(IN(a), IN(b), propagate))                    \
    ALU_VECTOR2(op##_xorsign##suffix, uint32_t, float, float,                                               \
                xor_sign(op##_f32(ABS(IN(a)), ABS(IN(b)), propagate), a, b))
#define FORM_ROWS(op, suffix, text, IN, propagate)                                                              \
    ALU_ROW(#op text ".f32", op##_lanes##suffix, FP32, T(F32), T(F32), T(F32))                                    \
    ALU_ROW(#op text ".xorsign.abs.f32", op##_xorsign##suffix, FP32, T(F32), T(F32), T(F32))
FORMS(DEFINE_FORM)

ALU_VECTOR2(min_f64_lanes, uint64_t, double, double, min_f64(a, b, 0))
ALU_VECTOR2(max_f64_lanes, uint64_t, double, double, max_f64(a, b, 0))

static const struct alu_row rows[] = {
    FORMS(FORM_ROWS)
    ALU_ROW("min.f64", min_f64_lanes, FP64, T(F64), T(F64), T(F64))
    ALU_ROW("max.f64", max_f64_lanes, FP64, T(F64), T(F64), T(F64))
};

const struct alu_rows ALU_TIER(alu_minmax_rows) = ALU_ROWS(rows);
