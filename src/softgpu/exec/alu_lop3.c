/* lop3: any logic function of three words, given by its 8-bit truth table. Each of the 256 tables is a
 * function of its own, written as a sum of minterms which the compiler folds to a few vector instructions. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"

/* Bit n of the table is the result for a = n bit 2, b = n bit 1, c = n bit 0 (so a is 0xF0, b 0xCC, c
 * 0xAA). */
#define MINTERM(table, n, x, y, z) ((table) >> (n) & 1 ? (x) & (y) & (z) : 0)
#define LOP3(table)                                                                                             \
    MINTERM(table, 0, ~a, ~b, ~c) | MINTERM(table, 1, ~a, ~b, c) | MINTERM(table, 2, ~a, b, ~c) |               \
        MINTERM(table, 3, ~a, b, c) | MINTERM(table, 4, a, ~b, ~c) | MINTERM(table, 5, a, ~b, c) |              \
        MINTERM(table, 6, a, b, ~c) | MINTERM(table, 7, a, b, c)

/* X(h, l) for all 256 pairs of hexadecimal digits. */
#define LOW_DIGITS(X, h)                                                                                        \
    X(h, 0) X(h, 1) X(h, 2) X(h, 3) X(h, 4) X(h, 5) X(h, 6) X(h, 7)                                             \
    X(h, 8) X(h, 9) X(h, a) X(h, b) X(h, c) X(h, d) X(h, e) X(h, f)
#define ALL_TABLES(X)                                                                                           \
    LOW_DIGITS(X, 0) LOW_DIGITS(X, 1) LOW_DIGITS(X, 2) LOW_DIGITS(X, 3)                                         \
    LOW_DIGITS(X, 4) LOW_DIGITS(X, 5) LOW_DIGITS(X, 6) LOW_DIGITS(X, 7)                                         \
    LOW_DIGITS(X, 8) LOW_DIGITS(X, 9) LOW_DIGITS(X, a) LOW_DIGITS(X, b)                                         \
    LOW_DIGITS(X, c) LOW_DIGITS(X, d) LOW_DIGITS(X, e) LOW_DIGITS(X, f)

#define DEFINE_TABLE(h, l)                                                                                      \
    ALU_VECTOR3(lop3_##h##l, uint32_t, uint32_t, uint32_t, uint32_t, LOP3(0x##h##l))
ALL_TABLES(DEFINE_TABLE)

/* lop3.or / lop3.and: the word, and a predicate that combines (word != 0) with the predicate source d. */
static inline void combine(void *dst, void *dst2, const void *q, uint32_t mask, int is_and)
{
    const uint32_t *word = dst;
    const uint8_t *other = q;
    uint8_t *out = dst2;

    if (!out)
        return;
    for (unsigned i = 0; i < ALU_LANES; i++) {
        uint8_t set = word[i] != 0, value = is_and ? set & other[i] : set | other[i];
        out[i] = mask & (UINT32_C(1) << i) ? value : out[i];
    }
}

#define DEFINE_COMBINED(h, l)                                                                                   \
    static void lop3_or_##h##l(ALU_ARGS)                                                                        \
    {                                                                                                           \
        lop3_##h##l(dst, NULL, src, mask);                                                                      \
        combine_or(dst, dst2, src[3], mask);                                                                    \
    }                                                                                                           \
    static void lop3_and_##h##l(ALU_ARGS)                                                                       \
    {                                                                                                           \
        lop3_##h##l(dst, NULL, src, mask);                                                                      \
        combine_and(dst, dst2, src[3], mask);                                                                   \
    }

__attribute__((noinline)) static void combine_or(void *dst, void *dst2, const void *q, uint32_t mask)
{
    combine(dst, dst2, q, mask, 0);
}

__attribute__((noinline)) static void combine_and(void *dst, void *dst2, const void *q, uint32_t mask)
{
    combine(dst, dst2, q, mask, 1);
}
ALL_TABLES(DEFINE_COMBINED)

#define NAME_PLAIN(h, l) lop3_##h##l,
#define NAME_OR(h, l)    lop3_or_##h##l,
#define NAME_AND(h, l)   lop3_and_##h##l,
static const alu_fn plain[256] = { ALL_TABLES(NAME_PLAIN) };
static const alu_fn with_or[256] = { ALL_TABLES(NAME_OR) };
static const alu_fn with_and[256] = { ALL_TABLES(NAME_AND) };

#define LOP3_ROW(spelling_, table_, dst2_, ...)                                                                 \
    { .spelling = spelling_, .run_by_table = table_, .cost_class = ALU_CLASS_INT, .flags = ALU_BY_TABLE,        \
      .n_src = ALU_COUNT_(__VA_ARGS__), .dst_type = PTX_B32, .dst2_type = dst2_, .src_type = { __VA_ARGS__ } },

static const struct alu_row rows[] = {
    LOP3_ROW("lop3.b32", plain, PTX_NONE, T(B32), T(B32), T(B32))
    LOP3_ROW("lop3.or.b32", with_or, PTX_PRED, T(B32), T(B32), T(B32), T(PRED))
    LOP3_ROW("lop3.and.b32", with_and, PTX_PRED, T(B32), T(B32), T(B32), T(PRED))
};

const struct alu_rows ALU_TIER(alu_lop3_rows) = ALU_ROWS(rows);
