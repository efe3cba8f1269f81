/* A second, independent way to round: exact values as quadruple-precision numbers plus the sign of what even
 * those could not hold, cut to a format digit by digit. Slow and simple; shares nothing with fp.h. */
#ifndef VGPU_TESTS_UNIT_TEST_ALU_QUAD_H
#define VGPU_TESTS_UNIT_TEST_ALU_QUAD_H

#include <math.h>

#include "test_alu.h"

#ifdef __SIZEOF_FLOAT128__
typedef __float128 quad;
#else
typedef long double quad; /* arm64: already quadruple */
#endif

struct exact {
    quad value;
    int beyond; /* sign of (true result - value); 0: value is exact */
};

struct format {
    const char *name;
    int precision, exponent_min, exponent_max; /* value = 1.xxx * 2^e, e in min..max */
    unsigned bits;
    uint64_t nan;
};

static const struct format format_f16 = {"f16", 11, -14, 15, 16, 0x7fff};
static const struct format format_bf16 = {"bf16", 8, -126, 127, 16, 0x7fff};
static const struct format format_f32 = {"f32", 24, -126, 127, 32, 0x7fffffff};
static const struct format format_f64 = {"f64", 53, -1022, 1023, 64, 0x7fffffffffffffff};

enum mode { MODE_RN, MODE_RZ, MODE_RM, MODE_RP };
static const char *const mode_names[] = {"rn", "rz", "rm", "rp"};

static inline quad power_of_two(int n)
{
    enum { REACH = 1300 };
    static quad powers[2 * REACH + 1];

    if (powers[REACH] == 0) {
        powers[REACH] = 1;
        for (int i = 1; i <= REACH; i++) {
            powers[REACH + i] = powers[REACH + i - 1] * 2;
            powers[REACH - i] = powers[REACH - i + 1] * (quad)0.5;
        }
    }
    return powers[REACH + n];
}

static inline uint64_t format_sign(const struct format *f)
{
    return UINT64_C(1) << (f->bits - 1);
}
static inline uint64_t format_infinity(const struct format *f)
{
    return format_sign(f) - (UINT64_C(1) << (f->precision - 1));
}

static inline quad format_value(const struct format *f, uint64_t bits)
{
    uint64_t fraction = bits & ((UINT64_C(1) << (f->precision - 1)) - 1);
    uint64_t biased = (bits & ~format_sign(f)) >> (f->precision - 1);
    quad magnitude;

    if ((bits & ~format_sign(f)) >= format_infinity(f))
        magnitude = fraction ? (quad)NAN : (quad)INFINITY;
    else if (!biased)
        magnitude = (quad)fraction * power_of_two(f->exponent_min - f->precision + 1);
    else
        magnitude = ((quad)fraction + power_of_two(f->precision - 1)) *
                    power_of_two((int)biased - 1 + f->exponent_min - f->precision + 1);
    return bits & format_sign(f) ? -magnitude : magnitude;
}

static inline int quad_signbit(quad x)
{
    return __builtin_signbit((double)(x == 0 ? x : x > 0 ? (quad)1 : (quad)-1));
}

/* Of the leading bit, by bisection. */
static inline int quad_exponent(quad magnitude)
{
    int low = -1300, high = 1300;

    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (magnitude >= power_of_two(middle))
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The bits of an exact value in a format. */
static inline uint64_t format_round(const struct format *f, struct exact x, enum mode mode)
{
    int negative = quad_signbit(x.value), exponent, up, beyond = negative ? -x.beyond : x.beyond;
    quad magnitude = negative ? -x.value : x.value, step, fraction;
    uint64_t units, bits;

    if (x.value != x.value)
        return f->nan;
    if (magnitude == 0)
        return negative ? format_sign(f) : 0;
    if (magnitude * (quad)0.5 == magnitude)
        return (negative ? format_sign(f) : 0) | format_infinity(f);
    exponent = quad_exponent(magnitude);
    if (exponent < f->exponent_min)
        exponent = f->exponent_min;
    if (exponent > f->exponent_max + 1)
        exponent = f->exponent_max + 1;
    step = power_of_two(f->precision - 1 - exponent);
    magnitude *= step;
    units = magnitude > (quad)1e19 ? (uint64_t)1 << 62 : (uint64_t)magnitude;
    fraction = magnitude - (quad)units;
    if (fraction == 0 && beyond < 0) {
        units--;
        fraction = (quad)0.875;
    } else if (fraction == 0 || fraction == (quad)0.5) {
        fraction += (quad)beyond * (quad)0.125;
    }
    up = mode == MODE_RN   ? fraction > (quad)0.5 || (fraction == (quad)0.5 && units & 1)
         : mode == MODE_RM ? negative && fraction > 0
         : mode == MODE_RP ? !negative && fraction > 0
                           : 0;
    bits = ((uint64_t)(exponent - f->exponent_min) << (f->precision - 1)) + units + (uint64_t)up;
    if (exponent > f->exponent_max || bits >= format_infinity(f))
        bits = mode == MODE_RN || mode == (negative ? MODE_RM : MODE_RP) ? format_infinity(f)
                                                                         : format_infinity(f) - 1;
    return (negative ? format_sign(f) : 0) | bits;
}

/* ---- operations with nothing lost ---- */

static inline int sign_of(quad x)
{
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

static inline struct exact exact_sum(quad a, quad b, enum mode mode)
{
    quad sum = a + b, back = sum - a, error = (a - (sum - back)) + (b - back);

    if (sum == 0 && quad_signbit(a) != quad_signbit(b))
        sum = mode == MODE_RM ? -(quad)0.0 : (quad)0.0;
    return (struct exact){sum, error == error ? sign_of(error) : 0};
}

static inline struct exact exact_quotient(quad a, quad b)
{
    quad quotient = a / b, rest = a - quotient * b;

    /* Where the quotient is short enough for rounding to hang on it, the product is exact. */
    return (struct exact){quotient, rest == rest ? sign_of(rest) * sign_of(b) : 0};
}

static inline struct exact exact_root(quad a)
{
    quad root, coarse;

    if (!(a > 0) || a * (quad)0.5 == a)
        return (struct exact){a == 0 || a > 0 ? a : (quad)NAN, 0};
    root = a > power_of_two(900)    ? (quad)sqrt((double)(a * power_of_two(-600))) * power_of_two(300)
           : a < power_of_two(-900) ? (quad)sqrt((double)(a * power_of_two(600))) * power_of_two(-300)
                                    : (quad)sqrt((double)a);
    coarse = root;
    for (int i = 0; i < 4; i++)
        root = (root + a / root) * (quad)0.5;
    return (struct exact){coarse * coarse == a ? coarse : root, 0};
}

#endif
