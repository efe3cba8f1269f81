/* How the topic files of the arithmetic describe what they have: one row for each spelling of an
 * instruction. A combination of modifiers that has no row does not exist, which is what makes alu_find
 * strict. Private to alu*.c and its tests.
 *
 * Files with hot loops are compiled twice on x86-64: for every processor, and with AVX2 and FMA for those
 * that have them. ALU_TIER gives the public table of such a file its own name each time; alu_find chooses
 * once per process. */
/* clang-format off: macros and tables, laid out by hand */
#ifndef VGPU_SOFTGPU_EXEC_ALU_ROWS_H
#define VGPU_SOFTGPU_EXEC_ALU_ROWS_H

#include "softgpu/exec/alu.h"

enum alu_row_flag {
    ALU_READS_CARRY = 1,  /* the last source is the carry-in */
    ALU_WRITES_CARRY = 2, /* dst2 is the carry-out */
    ALU_BY_TABLE = 4      /* the immediate chooses among 256 functions */
};

struct alu_row {
    const char *spelling; /* "add.rn.ftz.f32" */
    union {
        alu_fn run;
        const alu_fn *run_by_table; /* ALU_BY_TABLE */
    };
    uint8_t cost_class, flags, n_src, dst_type, dst2_type, src_type[ALU_OPERANDS_MAX];
};

struct alu_rows {
    const struct alu_row *rows;
    size_t n_rows;
};

#define ALU_ROWS(array) { array, sizeof(array) / sizeof(*(array)) }

/* A row: spelling, function, class, destination type, then the source types (without PTX_: T(U32)). */
#define T(type) PTX_##type
#define ALU_COUNT_(...) (sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define ALU_ROW2(spelling_, run_, class_, flags_, dst_, dst2_, ...)                                             \
    { .spelling = spelling_, .run = run_, .cost_class = ALU_CLASS_##class_, .flags = flags_,                    \
      .n_src = ALU_COUNT_(__VA_ARGS__), .dst_type = dst_, .dst2_type = dst2_, .src_type = { __VA_ARGS__ } },
#define ALU_ROW(spelling_, run_, class_, dst_, ...)                                                             \
    ALU_ROW2(spelling_, run_, class_, 0, dst_, PTX_NONE, __VA_ARGS__)

#define ALU_GLUE_(a, b) a##b
#define ALU_GLUE(a, b) ALU_GLUE_(a, b)
#ifdef ALU_AVX2
#define ALU_TIER(name) ALU_GLUE(name, _avx2)
#else
#define ALU_TIER(name) name
#endif

/* One table a topic file; those in the first list are compiled once for each tier. */
#define ALU_TIERED_TOPICS(X)                                                                                    \
    X(alu_int_rows) X(alu_muladd_rows) X(alu_logic_rows) X(alu_lop3_rows) X(alu_bits_rows) X(alu_float_rows)    \
    X(alu_minmax_rows) X(alu_half_rows) X(alu_compare_rows) X(alu_move_rows) X(alu_convert_int_rows)            \
    X(alu_convert_float_rows)
#define ALU_PLAIN_TOPICS(X)                                                                                     \
    X(alu_carry_rows) X(alu_directed_rows) X(alu_special_rows) X(alu_set_rows) X(alu_convert_slow_rows)

#define ALU_DECLARE_TOPIC(name) extern const struct alu_rows name;
ALU_TIERED_TOPICS(ALU_DECLARE_TOPIC)
ALU_PLAIN_TOPICS(ALU_DECLARE_TOPIC)
#ifdef ALU_HAVE_AVX2
#define ALU_DECLARE_AVX2_TOPIC(name) extern const struct alu_rows name##_avx2;
ALU_TIERED_TOPICS(ALU_DECLARE_AVX2_TOPIC)
#endif

/* All rows by number, for tests: the plain tier, then with_avx2 the other one. NULL past the end. */
const struct alu_row *alu_row_at(size_t index, int with_avx2);

#endif
