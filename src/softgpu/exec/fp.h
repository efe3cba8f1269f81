/* Floating-point building blocks that every tier and every processor computes with the same bits:
 * classification, the .ftz and .sat rules, canonical NaNs, and exact rounding into any of the formats.
 * Inline, pure; f32 and f64 are the host's own IEEE types. Needs the default rounding mode and no
 * flush-to-zero in the calling thread (alu_env_enter). */
#ifndef VGPU_SOFTGPU_EXEC_FP_H
#define VGPU_SOFTGPU_EXEC_FP_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t fp_bits32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float fp_from32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t fp_bits64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double fp_from64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* NaN results of arithmetic are this one, whatever NaN came in. */
static inline float fp_canon32(float x)
{
    return x != x ? fp_from32(0x7fffffffu) : x;
}

static inline double fp_canon64(double x)
{
    return x != x ? fp_from64(UINT64_C(0x7fffffffffffffff)) : x;
}

/* .ftz: subnormals become zero of the same sign. */
static inline float fp_flush32(float x)
{
    uint32_t bits = fp_bits32(x);
    return fp_from32((bits & 0x7f800000u) ? bits : bits & 0x80000000u);
}

/* .sat: into [+0, 1]; NaN and -0 become +0. */
static inline float fp_sat32(float x)
{
    return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}

static inline double fp_sat64(double x)
{
    return x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0;
}

/* ---- rounding into a format ---- */

enum fp_mode { FP_RN, FP_RZ, FP_RM, FP_RP };

struct fp_format {
    int precision;     /* significant bits, the hidden one included */
    int exponent_min;  /* of the smallest normal number */
    uint64_t infinity; /* its bits: all exponent bits set */
    uint64_t nan;      /* the canonical one */
    uint64_t sign;
};

static const struct fp_format fp_f16 __attribute__((unused)) = {11, -14, 0x7c00, 0x7fff, 0x8000};
static const struct fp_format fp_bf16 __attribute__((unused)) = {8, -126, 0x7f80, 0x7fff, 0x8000};
static const struct fp_format fp_f32 __attribute__((unused)) = {24, -126, 0x7f800000, 0x7fffffff, 0x80000000};
static const struct fp_format fp_f64 __attribute__((unused)) = {
    53, -1022, UINT64_C(0x7ff0000000000000), UINT64_C(0x7fffffffffffffff), UINT64_C(1) << 63};

static inline bool fp_rounds_up(bool negative, bool odd, bool half, bool below_half, enum fp_mode mode)
{
    switch (mode) {
    case FP_RN:
        return half && (below_half || odd);
    case FP_RM:
        return negative && (half || below_half);
    case FP_RP:
        return !negative && (half || below_half);
    default:
        return false;
    }
}

/* The bits in `format` of (-1)^negative * significand * 2^exponent, rounded once. */
static inline uint64_t fp_round(bool negative, uint64_t significand, int exponent,
                                const struct fp_format *format, enum fp_mode mode)
{
    uint64_t sign = negative ? format->sign : 0, kept, bits;
    int lead, drop;
    bool half, below_half;

    if (!significand)
        return sign;
    lead = __builtin_clzll(significand);
    significand <<= lead;
    exponent += 63 - lead; /* now of the leading bit */
    drop = 64 - format->precision;
    if (exponent < format->exponent_min) {
        drop += format->exponent_min - exponent;
        exponent = format->exponent_min;
    }
    kept = drop < 64 ? significand >> drop : 0;
    half = drop <= 64 && (significand >> (drop - 1) & 1);
    below_half = drop > 64 || (significand & ((UINT64_C(1) << (drop - 1)) - 1));
    kept += fp_rounds_up(negative, kept & 1, half, below_half, mode);
    bits = ((uint64_t)(exponent - format->exponent_min) << (format->precision - 1)) + kept;
    if (bits >= format->infinity) {
        bool to_infinity = mode == FP_RN || (mode == FP_RM && negative) || (mode == FP_RP && !negative);
        bits = to_infinity ? format->infinity : format->infinity - 1;
    }
    return sign | bits;
}

/* x rounded once into a narrower (or the same) format. */
static inline uint64_t fp_narrow(double x, const struct fp_format *format, enum fp_mode mode)
{
    uint64_t bits = fp_bits64(x), fraction = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)(bits >> 52 & 0x7ff);
    bool negative = bits >> 63;

    if (biased == 0x7ff)
        return fraction ? format->nan : (negative ? format->sign : 0) | format->infinity;
    if (!biased)
        return fp_round(negative, fraction, -1074, format, mode);
    return fp_round(negative, fraction | UINT64_C(1) << 52, biased - 1075, format, mode);
}

static inline uint64_t fp_from_u64(uint64_t x, const struct fp_format *format, enum fp_mode mode)
{
    return fp_round(false, x, 0, format, mode);
}

static inline uint64_t fp_from_s64(int64_t x, const struct fp_format *format, enum fp_mode mode)
{
    return x < 0 ? fp_round(true, 0 - (uint64_t)x, 0, format, mode)
                 : fp_round(false, (uint64_t)x, 0, format, mode);
}

/* ---- f16 and bf16, written so that loops over them become vector code ---- */

static inline float fp_from_f16(uint16_t h)
{
    uint32_t rest = (uint32_t)(h & 0x7fffu) << 13, sign = (uint32_t)(h & 0x8000u) << 16;
    /* The product is exact and places subnormals too; infinities and NaNs get their exponent by hand. */
    uint32_t magnitude = fp_bits32(fp_from32(rest) * 0x1p112f);

    return fp_from32(sign | (rest >= 0x0f800000u ? rest | 0x7f800000u : magnitude));
}

static inline uint16_t fp_to_f16(float x)
{
    uint32_t bits = fp_bits32(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    uint32_t normal = (rest + 0xfffu + (rest >> 13 & 1) - (112u << 23)) >> 13;
    /* Adding one half puts the last bit of an f16 subnormal where the adder rounds. */
    uint32_t subnormal = fp_bits32(fp_from32(rest) + 0.5f) - 0x3f000000u;
    uint32_t value = rest < 0x38800000u ? subnormal : normal;

    value = rest >= 0x477ff000u ? 0x7c00u : value;
    return (uint16_t)(rest > 0x7f800000u ? 0x7fffu : sign | value);
}

static inline float fp_from_bf16(uint16_t h)
{
    return fp_from32((uint32_t)h << 16);
}

static inline uint16_t fp_to_bf16(float x)
{
    uint32_t bits = fp_bits32(x), rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;

    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
}

/* x as f32, rounded to odd: an inexact result gets an odd last bit, so rounding it again to fewer bits is
 * right. */
static inline float fp_odd32(double x)
{
    float near = (float)x;
    uint32_t bits = fp_bits32(near), down = bits - (fabs((double)near) > fabs(x));

    return (double)near == x || x != x ? near : fp_from32(down | 1);
}

/* a * b + c for values whose product is exact in f64, rounded to odd. */
static inline double fp_fma_odd64(double a, double b, double c)
{
    double product = a * b, sum = product + c, back = sum - product;
    double error = (product - (sum - back)) + (c - back);
    uint64_t bits = fp_bits64(sum);
    bool away = (error < 0) == (sum > 0); /* the sum is larger in magnitude than the exact value */

    if (!(error < 0 || error > 0) || (bits & 1) || !(fabs(sum) <= 0x1p1000))
        return sum;
    return fp_from64(away ? bits - 1 : bits + 1);
}

#endif
