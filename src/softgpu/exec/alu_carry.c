/* Extended-precision arithmetic: the forms that write (.cc) or read (addc, subc, madc) the condition code.
 * The carry of a subtraction is a borrow: 1 when the exact difference is negative. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

/* One lane: the operation may read carry_in and must set carry. */
#define DEFINE_CARRY(name, U, CARRY_IN, EXPR)                                                      \
    static void name(ALU_ARGS)                                                                                  \
    {                                                                                                           \
        U *out = dst;                                                                                           \
        uint8_t *carry_out = dst2;                                                                              \
        for (uint32_t left = mask; left; left &= left - 1) {                                                    \
            unsigned i = (unsigned)__builtin_ctz(left);                                                         \
            U sum;                                                                                              \
            uint8_t carry_in = CARRY_IN, carry;                                                             \
            EXPR;                                                                                               \
            out[i] = sum;                                                                                       \
            if (carry_out)                                                                                      \
                carry_out[i] = carry;                                                                           \
            (void)carry_in;                                                                                     \
        }                                                                                                       \
    }

#define SOURCE(U, n)    (((const U *)src[n])[i])
#define CARRY_SOURCE(n) (((const uint8_t *)src[n])[i])

#define SUM(x, y)        carry = __builtin_add_overflow(x, y, &sum); carry |= __builtin_add_overflow(sum, carry_in, &sum)
#define DIFFERENCE(x, y) carry = __builtin_sub_overflow(x, y, &sum); carry |= __builtin_sub_overflow(sum, carry_in, &sum)

#define HIGH_u32(a, b) ((uint32_t)((uint64_t)(a) * (b) >> 32))
#define HIGH_s32(a, b) ((uint32_t)((uint64_t)((int64_t)(int32_t)(a) * (int32_t)(b)) >> 32))
#define HIGH_u64(a, b) ((uint64_t)((unsigned __int128)(a) * (b) >> 64))
#define HIGH_s64(a, b) ((uint64_t)((unsigned __int128)((__int128)(int64_t)(a) * (int64_t)(b)) >> 64))

#define DEFINE_WIDTH(W, U)                                                                                      \
    DEFINE_CARRY(add_cc_##W, U, 0, SUM(SOURCE(U, 0), SOURCE(U, 1)))                                          \
    DEFINE_CARRY(addc_##W, U, CARRY_SOURCE(2), SUM(SOURCE(U, 0), SOURCE(U, 1)))                              \
    DEFINE_CARRY(sub_cc_##W, U, 0, DIFFERENCE(SOURCE(U, 0), SOURCE(U, 1)))                                   \
    DEFINE_CARRY(subc_##W, U, CARRY_SOURCE(2), DIFFERENCE(SOURCE(U, 0), SOURCE(U, 1)))                       \
    DEFINE_CARRY(mad_lo_cc_##W, U, 0, SUM((U)(SOURCE(U, 0) * SOURCE(U, 1)), SOURCE(U, 2)))                   \
    DEFINE_CARRY(madc_lo_##W, U, CARRY_SOURCE(3), SUM((U)(SOURCE(U, 0) * SOURCE(U, 1)), SOURCE(U, 2)))
#define DEFINE_HIGH(t, U)                                                                                       \
    DEFINE_CARRY(mad_hi_cc_##t, U, 0, SUM(HIGH_##t(SOURCE(U, 0), SOURCE(U, 1)), SOURCE(U, 2)))               \
    DEFINE_CARRY(madc_hi_##t, U, CARRY_SOURCE(3), SUM(HIGH_##t(SOURCE(U, 0), SOURCE(U, 1)), SOURCE(U, 2)))

DEFINE_WIDTH(32, uint32_t)
DEFINE_WIDTH(64, uint64_t)
DEFINE_HIGH(u32, uint32_t)
DEFINE_HIGH(s32, uint32_t)
DEFINE_HIGH(u64, uint64_t)
DEFINE_HIGH(s64, uint64_t)

/* A form that only writes the carry, one that only reads it, one that does both. */
#define WRITES(spelling, run, P, ...) ALU_ROW2(spelling, run, INT, ALU_WRITES_CARRY, P, PTX_PRED, __VA_ARGS__)
#define READS(spelling, run, P, ...) ALU_ROW2(spelling, run, INT, ALU_READS_CARRY, P, PTX_NONE, __VA_ARGS__, T(PRED))
#define BOTH(spelling, run, P, ...)                                                                             \
    ALU_ROW2(spelling, run, INT, ALU_READS_CARRY | ALU_WRITES_CARRY, P, PTX_PRED, __VA_ARGS__, T(PRED))

#define TYPE_ROWS(t, W, P)                                                                                      \
    WRITES("add.cc." #t, add_cc_##W, P, P, P) READS("addc." #t, addc_##W, P, P, P)                              \
    BOTH("addc.cc." #t, addc_##W, P, P, P)                                                                      \
    WRITES("sub.cc." #t, sub_cc_##W, P, P, P) READS("subc." #t, subc_##W, P, P, P)                              \
    BOTH("subc.cc." #t, subc_##W, P, P, P)                                                                      \
    WRITES("mad.lo.cc." #t, mad_lo_cc_##W, P, P, P, P) READS("madc.lo." #t, madc_lo_##W, P, P, P, P)            \
    BOTH("madc.lo.cc." #t, madc_lo_##W, P, P, P, P)                                                             \
    WRITES("mad.hi.cc." #t, mad_hi_cc_##t, P, P, P, P) READS("madc.hi." #t, madc_hi_##t, P, P, P, P)            \
    BOTH("madc.hi.cc." #t, madc_hi_##t, P, P, P, P)

static const struct alu_row rows[] = {
    TYPE_ROWS(u32, 32, T(U32))
    TYPE_ROWS(s32, 32, T(S32))
    TYPE_ROWS(u64, 64, T(U64))
    TYPE_ROWS(s64, 64, T(S64))
};

const struct alu_rows alu_carry_rows = ALU_ROWS(rows);
