/* Bitwise logic and shifts: and, or, xor, not, cnot, shl, shr, shf, prmt. Shift amounts are unsigned
 * 32-bit and never taken modulo the width, except by shf.wrap: a shift by the width or more gives zeros,
 * or copies of the sign for shr.s. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

#define BIT_WIDTHS(X) X(16, uint16_t, int16_t) X(32, uint32_t, int32_t) X(64, uint64_t, int64_t)

#define DEFINE_BITWISE(W, U, S)                                                                                 \
    ALU_VECTOR2(and_b##W, U, U, U, a & b)                                                                       \
    ALU_VECTOR2(or_b##W, U, U, U, a | b)                                                                        \
    ALU_VECTOR2(xor_b##W, U, U, U, a ^ b)                                                                       \
    ALU_VECTOR1(not_b##W, U, U, ~a)                                                                             \
    ALU_VECTOR1(cnot_b##W, U, U, a == 0)                                                                        \
    ALU_VECTOR2(shl_b##W, U, U, uint32_t, b < W ? (U)(a << (b & (W - 1))) : (U)0)                            \
    ALU_VECTOR2(shr_u##W, U, U, uint32_t, b < W ? (U)(a >> (b & (W - 1))) : (U)0)                                     \
    ALU_VECTOR2(shr_s##W, S, S, uint32_t, a >> (b < W ? b : W - 1))
BIT_WIDTHS(DEFINE_BITWISE)

ALU_VECTOR2(and_pred, uint8_t, uint8_t, uint8_t, a & b)
ALU_VECTOR2(or_pred, uint8_t, uint8_t, uint8_t, a | b)
ALU_VECTOR2(xor_pred, uint8_t, uint8_t, uint8_t, a ^ b)
ALU_VECTOR1(not_pred, uint8_t, uint8_t, a ^ 1)

/* shf: b is the high word, a the low one, c the amount. */
static inline uint32_t funnel_left(uint32_t a, uint32_t b, uint32_t n)
{
    return (uint32_t)((((uint64_t)b << 32 | a) << n) >> 32);
}

static inline uint32_t funnel_right(uint32_t a, uint32_t b, uint32_t n)
{
    return (uint32_t)(((uint64_t)b << 32 | a) >> n);
}

#define DEFINE_SHF(name, EXPR) ALU_VECTOR3(name, uint32_t, uint32_t, uint32_t, uint32_t, EXPR)
DEFINE_SHF(shf_l_wrap, funnel_left(a, b, c & 31))
DEFINE_SHF(shf_r_wrap, funnel_right(a, b, c & 31))
DEFINE_SHF(shf_l_clamp, funnel_left(a, b, c < 32 ? c : 32))
DEFINE_SHF(shf_r_clamp, funnel_right(a, b, c < 32 ? c : 32))

/* prmt: picks four of the eight bytes {b, a}; bit 3 of a selector nibble replicates the byte's sign
 * instead. */
static inline uint32_t permute_byte(uint64_t bytes, uint32_t nibble)
{
    uint32_t byte = (uint32_t)(bytes >> 8 * (nibble & 7)) & 0xff;

    return nibble & 8 ? (byte & 0x80 ? 0xff : 0) : byte;
}

static inline uint32_t permute(uint32_t a, uint32_t b, uint32_t selector)
{
    uint64_t bytes = (uint64_t)b << 32 | a;
    uint32_t result = 0;

    for (unsigned n = 0; n < 4; n++)
        result |= permute_byte(bytes, selector >> 4 * n & 0xf) << 8 * n;
    return result;
}

/* The special modes look at two bits of c; their selectors, lowest result byte in the lowest nibble. */
static const uint16_t selector_f4e[4] = { 0x3210, 0x4321, 0x5432, 0x6543 };
static const uint16_t selector_b4e[4] = { 0x5670, 0x6701, 0x7012, 0x0123 };
static const uint16_t selector_rc8[4] = { 0x0000, 0x1111, 0x2222, 0x3333 };
static const uint16_t selector_ecl[4] = { 0x3210, 0x3211, 0x3222, 0x3333 };
static const uint16_t selector_ecr[4] = { 0x0000, 0x1110, 0x2210, 0x3210 };
static const uint16_t selector_rc16[4] = { 0x1010, 0x3232, 0x1010, 0x3232 };

#define DEFINE_PRMT(name, SELECTOR) ALU_LANE3(name, uint32_t, uint32_t, uint32_t, uint32_t, permute(a, b, SELECTOR))
DEFINE_PRMT(prmt_b32, c)
DEFINE_PRMT(prmt_f4e, selector_f4e[c & 3])
DEFINE_PRMT(prmt_b4e, selector_b4e[c & 3])
DEFINE_PRMT(prmt_rc8, selector_rc8[c & 3])
DEFINE_PRMT(prmt_ecl, selector_ecl[c & 3])
DEFINE_PRMT(prmt_ecr, selector_ecr[c & 3])
DEFINE_PRMT(prmt_rc16, selector_rc16[c & 3])

#define SHIFT(spelling, run, type) ALU_ROW(spelling, run, INT, type, type, T(U32))
#define WORDS3(spelling, run) ALU_ROW(spelling, run, INT, T(B32), T(B32), T(B32), T(U32))
#define WIDTH_ROWS(W, UT, ST)                                                                                   \
    ALU_ROW("and.b" #W, and_b##W, INT, T(B##W), T(B##W), T(B##W))                                               \
    ALU_ROW("or.b" #W, or_b##W, INT, T(B##W), T(B##W), T(B##W))                                                 \
    ALU_ROW("xor.b" #W, xor_b##W, INT, T(B##W), T(B##W), T(B##W))                                               \
    ALU_ROW("not.b" #W, not_b##W, INT, T(B##W), T(B##W))                                                        \
    ALU_ROW("cnot.b" #W, cnot_b##W, INT, T(B##W), T(B##W))                                                      \
    SHIFT("shl.b" #W, shl_b##W, T(B##W)) SHIFT("shr.b" #W, shr_u##W, T(B##W))                                   \
    SHIFT("shr.u" #W, shr_u##W, T(U##W)) SHIFT("shr.s" #W, shr_s##W, T(S##W))

static const struct alu_row rows[] = {
    BIT_WIDTHS(WIDTH_ROWS)
    ALU_ROW("and.pred", and_pred, INT, T(PRED), T(PRED), T(PRED))
    ALU_ROW("or.pred", or_pred, INT, T(PRED), T(PRED), T(PRED))
    ALU_ROW("xor.pred", xor_pred, INT, T(PRED), T(PRED), T(PRED))
    ALU_ROW("not.pred", not_pred, INT, T(PRED), T(PRED))
    WORDS3("shf.l.wrap.b32", shf_l_wrap) WORDS3("shf.l.clamp.b32", shf_l_clamp)
    WORDS3("shf.r.wrap.b32", shf_r_wrap) WORDS3("shf.r.clamp.b32", shf_r_clamp)
    WORDS3("prmt.b32", prmt_b32)
    WORDS3("prmt.b32.f4e", prmt_f4e) WORDS3("prmt.b32.b4e", prmt_b4e) WORDS3("prmt.b32.rc8", prmt_rc8)
    WORDS3("prmt.b32.ecl", prmt_ecl) WORDS3("prmt.b32.ecr", prmt_ecr) WORDS3("prmt.b32.rc16", prmt_rc16)
};

const struct alu_rows ALU_TIER(alu_logic_rows) = ALU_ROWS(rows);
