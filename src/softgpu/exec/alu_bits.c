/* Bit counting, searching and fields: popc, clz, bfind, brev, bfe, bfi, bmsk, fns, szext. Positions and
 * lengths of bfe and bfi are the low 8 bits of their operand, as hardware has it. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

static inline uint32_t leading_zeros64(uint64_t x)
{
    return x ? (uint32_t)__builtin_clzll(x) : 64;
}

static inline uint32_t leading_zeros32(uint32_t x)
{
    return x ? (uint32_t)__builtin_clz(x) : 32;
}

/* Position of the highest bit that differs from the sign; all ones when there is none. */
static inline uint32_t find_bit32(uint32_t x)
{
    return x ? 31 - (uint32_t)__builtin_clz(x) : UINT32_MAX;
}

static inline uint32_t find_bit64(uint64_t x)
{
    return x ? 63 - (uint32_t)__builtin_clzll(x) : UINT32_MAX;
}

/* The same as the left shift that brings it to the top. */
static inline uint32_t find_shift32(uint32_t x)
{
    return x ? (uint32_t)__builtin_clz(x) : UINT32_MAX;
}

static inline uint32_t find_shift64(uint64_t x)
{
    return x ? (uint32_t)__builtin_clzll(x) : UINT32_MAX;
}

static inline uint32_t reverse32(uint32_t x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}

static inline uint64_t reverse64(uint64_t x)
{
    return (uint64_t)reverse32((uint32_t)x) << 32 | reverse32((uint32_t)(x >> 32));
}

/* A mask of n low bits, all of them from 64 up. */
static inline uint64_t low_bits(uint32_t n)
{
    return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/* bfe for a value of `width` bits: bits past the top read as the sign (signed) or zero; the field is
 * extended likewise. */
static inline uint64_t extract(uint64_t a, uint32_t b, uint32_t c, uint32_t width, int is_signed)
{
    uint32_t position = b & 0xff, length = c & 0xff, top = position + length - 1;
    uint64_t value = position < width ? a >> position : 0;
    int negative;

    if (!length || !is_signed)
        return length ? value & low_bits(length) : 0;
    negative = (int)(a >> (top < width ? top : width - 1) & 1);
    value &= low_bits(length);
    if (negative)
        value |= ~low_bits(position >= width ? 0 : length < width - position ? length : width - position);
    return value;
}

/* bfi: a's low bits into b at position; what would go past the top is dropped. */
static inline uint64_t insert(uint64_t a, uint64_t b, uint32_t c, uint32_t d, uint32_t width)
{
    uint32_t position = c & 0xff, length = d & 0xff;
    uint64_t field;

    if (position >= width)
        return b;
    field = low_bits(length) << position;
    return (b & ~field) | (a << position & field);
}

/* bmsk: a length of b ones from position a. */
static inline uint32_t mask_clamp(uint32_t a, uint32_t b)
{
    return a < 32 ? (uint32_t)(low_bits(b < 32 ? b : 32) << a) : 0;
}

static inline uint32_t mask_wrap(uint32_t a, uint32_t b)
{
    return (uint32_t)(low_bits(b & 31) << (a & 31));
}

/* szext: the low b bits of a, extended to 32; clamp: 32 or more keeps a; wrap: b modulo 32. */
static inline uint32_t extend(uint32_t a, uint32_t n, int is_signed)
{
    uint32_t low;

    if (!n)
        return 0;
    if (n >= 32)
        return a;
    low = a & (uint32_t)low_bits(n);
    return is_signed && a >> (n - 1) & 1 ? low | ~(uint32_t)low_bits(n) : low;
}

/* fns: position of the |offset|-th set bit of mask counted from base, upwards or, for a negative offset,
 * downwards, the bit at base included; offset 0 asks for base itself. All ones when there is none. A base
 * beyond the word finds nothing. */
static inline uint32_t find_nth(uint32_t mask, uint32_t base, int32_t offset)
{
    int step = offset < 0 ? -1 : 1;
    int64_t left = offset < 0 ? -(int64_t)offset : offset;

    if (base > 31)
        return UINT32_MAX;
    if (!left)
        return mask >> base & 1 ? base : UINT32_MAX;
    for (int position = (int)base; position >= 0 && position < 32; position += step)
        if (mask >> position & 1 && --left == 0)
            return (uint32_t)position;
    return UINT32_MAX;
}

ALU_LANE1(popc_b32, uint32_t, uint32_t, __builtin_popcount(a))
ALU_LANE1(popc_b64, uint32_t, uint64_t, __builtin_popcountll(a))
ALU_LANE1(clz_b32, uint32_t, uint32_t, leading_zeros32(a))
ALU_LANE1(clz_b64, uint32_t, uint64_t, leading_zeros64(a))
ALU_LANE1(bfind_u32, uint32_t, uint32_t, find_bit32(a))
ALU_LANE1(bfind_u64, uint32_t, uint64_t, find_bit64(a))
ALU_LANE1(bfind_s32, uint32_t, int32_t, find_bit32((uint32_t)(a < 0 ? ~a : a)))
ALU_LANE1(bfind_s64, uint32_t, int64_t, find_bit64((uint64_t)(a < 0 ? ~a : a)))
ALU_LANE1(bfind_shift_u32, uint32_t, uint32_t, find_shift32(a))
ALU_LANE1(bfind_shift_u64, uint32_t, uint64_t, find_shift64(a))
ALU_LANE1(bfind_shift_s32, uint32_t, int32_t, find_shift32((uint32_t)(a < 0 ? ~a : a)))
ALU_LANE1(bfind_shift_s64, uint32_t, int64_t, find_shift64((uint64_t)(a < 0 ? ~a : a)))
ALU_VECTOR1(brev_b32, uint32_t, uint32_t, reverse32(a))
ALU_LANE1(brev_b64, uint64_t, uint64_t, reverse64(a))
ALU_LANE3(bfe_u32, uint32_t, uint32_t, uint32_t, uint32_t, extract(a, b, c, 32, 0))
ALU_LANE3(bfe_s32, uint32_t, uint32_t, uint32_t, uint32_t, extract(a, b, c, 32, 1))
ALU_LANE3(bfe_u64, uint64_t, uint64_t, uint32_t, uint32_t, extract(a, b, c, 64, 0))
ALU_LANE3(bfe_s64, uint64_t, uint64_t, uint32_t, uint32_t, extract(a, b, c, 64, 1))
ALU_LANE4(bfi_b32, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, insert(a, b, c, d, 32))
ALU_LANE4(bfi_b64, uint64_t, uint64_t, uint64_t, uint32_t, uint32_t, insert(a, b, c, d, 64))
ALU_LANE2(bmsk_clamp_b32, uint32_t, uint32_t, uint32_t, mask_clamp(a, b))
ALU_LANE2(bmsk_wrap_b32, uint32_t, uint32_t, uint32_t, mask_wrap(a, b))
ALU_LANE2(szext_clamp_u32, uint32_t, uint32_t, uint32_t, extend(a, b, 0))
ALU_LANE2(szext_clamp_s32, uint32_t, uint32_t, uint32_t, extend(a, b, 1))
ALU_LANE2(szext_wrap_u32, uint32_t, uint32_t, uint32_t, extend(a, b & 31, 0))
ALU_LANE2(szext_wrap_s32, uint32_t, uint32_t, uint32_t, extend(a, b & 31, 1))
ALU_LANE3(fns_b32, uint32_t, uint32_t, uint32_t, int32_t, find_nth(a, b, c))

#define COUNT(spelling, run, type) ALU_ROW(spelling, run, INT, T(U32), type)
#define FIELD(spelling, run, type) ALU_ROW(spelling, run, INT, type, type, T(U32), T(U32))

static const struct alu_row rows[] = {
    COUNT("popc.b32", popc_b32, T(B32)) COUNT("popc.b64", popc_b64, T(B64))
    COUNT("clz.b32", clz_b32, T(B32)) COUNT("clz.b64", clz_b64, T(B64))
    COUNT("bfind.u32", bfind_u32, T(U32)) COUNT("bfind.u64", bfind_u64, T(U64))
    COUNT("bfind.s32", bfind_s32, T(S32)) COUNT("bfind.s64", bfind_s64, T(S64))
    COUNT("bfind.shiftamt.u32", bfind_shift_u32, T(U32)) COUNT("bfind.shiftamt.u64", bfind_shift_u64, T(U64))
    COUNT("bfind.shiftamt.s32", bfind_shift_s32, T(S32)) COUNT("bfind.shiftamt.s64", bfind_shift_s64, T(S64))
    ALU_ROW("brev.b32", brev_b32, INT, T(B32), T(B32))
    ALU_ROW("brev.b64", brev_b64, INT, T(B64), T(B64))
    FIELD("bfe.u32", bfe_u32, T(U32)) FIELD("bfe.s32", bfe_s32, T(S32))
    FIELD("bfe.u64", bfe_u64, T(U64)) FIELD("bfe.s64", bfe_s64, T(S64))
    ALU_ROW("bfi.b32", bfi_b32, INT, T(B32), T(B32), T(B32), T(U32), T(U32))
    ALU_ROW("bfi.b64", bfi_b64, INT, T(B64), T(B64), T(B64), T(U32), T(U32))
    ALU_ROW("bmsk.clamp.b32", bmsk_clamp_b32, INT, T(B32), T(U32), T(U32))
    ALU_ROW("bmsk.wrap.b32", bmsk_wrap_b32, INT, T(B32), T(U32), T(U32))
    ALU_ROW("szext.clamp.u32", szext_clamp_u32, INT, T(U32), T(U32), T(U32))
    ALU_ROW("szext.clamp.s32", szext_clamp_s32, INT, T(S32), T(S32), T(U32))
    ALU_ROW("szext.wrap.u32", szext_wrap_u32, INT, T(U32), T(U32), T(U32))
    ALU_ROW("szext.wrap.s32", szext_wrap_s32, INT, T(S32), T(S32), T(U32))
    ALU_ROW("fns.b32", fns_b32, INT, T(B32), T(B32), T(U32), T(S32))
};

const struct alu_rows ALU_TIER(alu_bits_rows) = ALU_ROWS(rows);
