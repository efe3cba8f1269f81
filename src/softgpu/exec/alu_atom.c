/* Atomic read-modify-write for one lane on host memory. Integers use the compiler's atomic builtins; floating
 * point and bounded forms loop on compare-and-swap of the whole word, so other processes and host code see
 * single steps. */
#include <errno.h>
#include <string.h>

#include "softgpu/exec/alu.h"
#include "softgpu/exec/fp.h"

#define DIRECT(name, U, BUILTIN)                                                                             \
    static uint64_t name(void *addr, uint64_t a, uint64_t b)                                                 \
    {                                                                                                        \
        return BUILTIN((U *)addr, (U)a, __ATOMIC_SEQ_CST);                                                   \
    }

/* Replaces old by NEXT(old, a, b) until nobody came between. */
#define LOOPED(name, U, NEXT)                                                                                \
    static uint64_t name(void *addr, uint64_t a, uint64_t b)                                                 \
    {                                                                                                        \
        U old = __atomic_load_n((U *)addr, __ATOMIC_RELAXED);                                                \
        while (                                                                                              \
            !__atomic_compare_exchange_n((U *)addr, &old, (U)(NEXT), 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) \
            ;                                                                                                \
        return old;                                                                                          \
    }

DIRECT(add_32, uint32_t, __atomic_fetch_add)
DIRECT(add_64, uint64_t, __atomic_fetch_add)
DIRECT(and_32, uint32_t, __atomic_fetch_and)
DIRECT(and_64, uint64_t, __atomic_fetch_and)
DIRECT(or_32, uint32_t, __atomic_fetch_or)
DIRECT(or_64, uint64_t, __atomic_fetch_or)
DIRECT(xor_32, uint32_t, __atomic_fetch_xor)
DIRECT(xor_64, uint64_t, __atomic_fetch_xor)
DIRECT(exch_32, uint32_t, __atomic_exchange_n)
DIRECT(exch_64, uint64_t, __atomic_exchange_n)

#define COMPARE_AND_SWAP(name, U)                                                                            \
    static uint64_t name(void *addr, uint64_t a, uint64_t b)                                                 \
    {                                                                                                        \
        U expected = (U)a;                                                                                   \
        __atomic_compare_exchange_n((U *)addr, &expected, (U)b, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
        return expected;                                                                                     \
    }
COMPARE_AND_SWAP(cas_16, uint16_t)
COMPARE_AND_SWAP(cas_32, uint32_t)
COMPARE_AND_SWAP(cas_64, uint64_t)

LOOPED(min_u32, uint32_t, old < (uint32_t)a ? old : a)
LOOPED(max_u32, uint32_t, old > (uint32_t)a ? old : a)
LOOPED(min_s32, uint32_t, (int32_t)old < (int32_t)a ? old : a)
LOOPED(max_s32, uint32_t, (int32_t)old > (int32_t)a ? old : a)
LOOPED(min_u64, uint64_t, old < a ? old : a)
LOOPED(max_u64, uint64_t, old > a ? old : a)
LOOPED(min_s64, uint64_t, (int64_t)old < (int64_t)a ? old : a)
LOOPED(max_s64, uint64_t, (int64_t)old > (int64_t)a ? old : a)
/* inc counts up to a and begins again at 0; dec counts down and begins again at a. */
LOOPED(inc_u32, uint32_t, old >= (uint32_t)a ? 0 : old + 1)
LOOPED(dec_u32, uint32_t, old == 0 || old > (uint32_t)a ? a : old - 1)

static inline uint32_t sum_f32(uint32_t x, uint32_t y)
{
    return fp_bits32(fp_canon32(fp_from32(x) + fp_from32(y)));
}

static inline uint32_t sum_f32_ftz(uint32_t x, uint32_t y)
{
    return fp_bits32(fp_canon32(fp_flush32(fp_flush32(fp_from32(x)) + fp_flush32(fp_from32(y)))));
}

static inline uint64_t sum_f64(uint64_t x, uint64_t y)
{
    return fp_bits64(fp_canon64(fp_from64(x) + fp_from64(y)));
}

static inline uint16_t sum_f16(uint16_t x, uint16_t y)
{
    return fp_to_f16(fp_from_f16(x) + fp_from_f16(y));
}

static inline uint16_t sum_bf16(uint16_t x, uint16_t y)
{
    return fp_to_bf16(fp_from_bf16(x) + fp_from_bf16(y));
}

#define IN_PAIRS(SUM, x, y)                                                                                  \
    ((uint32_t)SUM((uint16_t)((x) >> 16), (uint16_t)((y) >> 16)) << 16 | SUM((uint16_t)(x), (uint16_t)(y)))
LOOPED(add_f32, uint32_t, sum_f32(old, (uint32_t)a))
LOOPED(add_f32_ftz, uint32_t, sum_f32_ftz(old, (uint32_t)a))
LOOPED(add_f64, uint64_t, sum_f64(old, a))
LOOPED(add_f16, uint16_t, sum_f16(old, (uint16_t)a))
LOOPED(add_bf16, uint16_t, sum_bf16(old, (uint16_t)a))
LOOPED(add_f16x2, uint32_t, IN_PAIRS(sum_f16, old, a))
LOOPED(add_bf16x2, uint32_t, IN_PAIRS(sum_bf16, old, a))

static const struct atom_row {
    const char *op;
    enum ptx_type type;
    alu_atom_fn run, run_ftz; /* run_ftz: NULL where subnormals are kept anyway */
} atom_rows[] = {
    {"add", PTX_U32, add_32, NULL},        {"add", PTX_S32, add_32, NULL},
    {"add", PTX_U64, add_64, NULL},        {"add", PTX_F32, add_f32, add_f32_ftz},
    {"add", PTX_F64, add_f64, NULL},       {"add", PTX_F16, add_f16, NULL},
    {"add", PTX_F16X2, add_f16x2, NULL},   {"add", PTX_BF16, add_bf16, NULL},
    {"add", PTX_BF16X2, add_bf16x2, NULL}, {"min", PTX_U32, min_u32, NULL},
    {"min", PTX_S32, min_s32, NULL},       {"min", PTX_U64, min_u64, NULL},
    {"min", PTX_S64, min_s64, NULL},       {"max", PTX_U32, max_u32, NULL},
    {"max", PTX_S32, max_s32, NULL},       {"max", PTX_U64, max_u64, NULL},
    {"max", PTX_S64, max_s64, NULL},       {"inc", PTX_U32, inc_u32, NULL},
    {"dec", PTX_U32, dec_u32, NULL},       {"and", PTX_B32, and_32, NULL},
    {"and", PTX_B64, and_64, NULL},        {"or", PTX_B32, or_32, NULL},
    {"or", PTX_B64, or_64, NULL},          {"xor", PTX_B32, xor_32, NULL},
    {"xor", PTX_B64, xor_64, NULL},        {"exch", PTX_B32, exch_32, NULL},
    {"exch", PTX_B64, exch_64, NULL},      {"cas", PTX_B16, cas_16, NULL},
    {"cas", PTX_B32, cas_32, NULL},        {"cas", PTX_B64, cas_64, NULL},
};

int alu_find_atom(const char *op, enum ptx_type type, int no_ftz, alu_atom_fn *ret_fn)
{
    for (size_t i = 0; i < sizeof atom_rows / sizeof *atom_rows; i++) {
        const struct atom_row *row = &atom_rows[i];

        if (row->type != type || strcmp(row->op, op))
            continue;
        *ret_fn = !no_ftz && row->run_ftz ? row->run_ftz : row->run;
        return 0;
    }
    return -ENOTSUP;
}
