/* f16 and bf16 arithmetic, single and in pairs. add, sub and mul are done in f32, whose precision is more
 * than twice theirs, so rounding again to the half changes nothing. fma goes through f64, rounded to odd,
 * for the same reason. */
/* clang-format off: macros and tables, laid out by hand */
#include "softgpu/exec/alu_lanes.h"
#include "softgpu/exec/fp.h"

#define KEEP(h) (h)

static inline uint16_t flush_f16(uint16_t h)
{
    return h & 0x7c00u ? h : h & 0x8000u;
}

/* .relu: negative becomes +0; NaN results carry no sign, so they stay. */
static inline uint16_t relu(uint16_t h)
{
    return h & 0x8000u ? 0 : h;
}

static inline uint16_t relu_flush_f16(uint16_t h)
{
    return flush_f16(relu(h));
}

static inline float keep32(float x)
{
    return x;
}

/* NAME and NAMEx2 for the same expression over halves. */
#define BOTH1(name, EXPR)                                                                                       \
    static void name(ALU_ARGS) ALU_VECTOR_BODY(uint16_t, 1, ALU_FROM1(uint16_t), ALU_LOAD1(uint16_t), EXPR)     \
    static void name##_x2(ALU_ARGS) ALU_VECTOR_BODY(uint16_t, 2, ALU_FROM1(uint16_t), ALU_LOAD1(uint16_t), EXPR)
#define BOTH2(name, EXPR)                                                                                       \
    static void name(ALU_ARGS)                                                                                  \
        ALU_VECTOR_BODY(uint16_t, 1, ALU_FROM2(uint16_t, uint16_t), ALU_LOAD2(uint16_t, uint16_t), EXPR)        \
    static void name##_x2(ALU_ARGS)                                                                             \
        ALU_VECTOR_BODY(uint16_t, 2, ALU_FROM2(uint16_t, uint16_t), ALU_LOAD2(uint16_t, uint16_t), EXPR)
#define BOTH3(name, EXPR)                                                                                       \
    static void name(ALU_ARGS)                                                                                  \
        ALU_VECTOR_BODY(uint16_t, 1, ALU_FROM3(uint16_t, uint16_t, uint16_t),                                   \
                        ALU_LOAD3(uint16_t, uint16_t, uint16_t), EXPR)                                          \
    static void name##_x2(ALU_ARGS)                                                                             \
        ALU_VECTOR_BODY(uint16_t, 2, ALU_FROM3(uint16_t, uint16_t, uint16_t),                                   \
                        ALU_LOAD3(uint16_t, uint16_t, uint16_t), EXPR)

/* ---- arithmetic: X(suffix, spelling, source, f32 result, half result) ---- */

#define F16_VARIANTS(X)                                                                                         \
    X(, "", KEEP, keep32, KEEP)                                                                                 \
    X(_ftz, ".ftz", flush_f16, keep32, flush_f16)                                                               \
    X(_sat, ".sat", KEEP, fp_sat32, KEEP)                                                                       \
    X(_ftz_sat, ".ftz.sat", flush_f16, fp_sat32, flush_f16)

static inline float multiply_add_f16(uint16_t a, uint16_t b, uint16_t c)
{
    return fp_odd32(fp_fma_odd64(fp_from_f16(a), fp_from_f16(b), fp_from_f16(c)));
}

static inline float multiply_add_bf16(uint16_t a, uint16_t b, uint16_t c)
{
    return fp_odd32(fp_fma_odd64(fp_from_bf16(a), fp_from_bf16(b), fp_from_bf16(c)));
}

#define DEFINE_F16(suffix, text, IN, MIDDLE, OUT)                                                               \
    BOTH2(add_f16##suffix, OUT(fp_to_f16(MIDDLE(fp_from_f16(IN(a)) + fp_from_f16(IN(b))))))                     \
    BOTH2(sub_f16##suffix, OUT(fp_to_f16(MIDDLE(fp_from_f16(IN(a)) - fp_from_f16(IN(b))))))                     \
    BOTH2(mul_f16##suffix, OUT(fp_to_f16(MIDDLE(fp_from_f16(IN(a)) * fp_from_f16(IN(b))))))                     \
    BOTH3(fma_f16##suffix, OUT(fp_to_f16(MIDDLE(multiply_add_f16(IN(a), IN(b), IN(c))))))
F16_VARIANTS(DEFINE_F16)
BOTH3(fma_relu_f16, relu(fp_to_f16(multiply_add_f16(a, b, c))))
BOTH3(fma_relu_f16_ftz, relu_flush_f16(fp_to_f16(multiply_add_f16(flush_f16(a), flush_f16(b), flush_f16(c)))))
BOTH2(add_bf16, fp_to_bf16(fp_from_bf16(a) + fp_from_bf16(b)))
BOTH2(sub_bf16, fp_to_bf16(fp_from_bf16(a) - fp_from_bf16(b)))
BOTH2(mul_bf16, fp_to_bf16(fp_from_bf16(a) * fp_from_bf16(b)))
BOTH3(fma_bf16, fp_to_bf16(multiply_add_bf16(a, b, c)))
BOTH3(fma_relu_bf16, relu(fp_to_bf16(multiply_add_bf16(a, b, c))))

BOTH1(abs_half, a & 0x7fff)
BOTH1(neg_half, a ^ 0x8000)
BOTH1(abs_f16_ftz, flush_f16(a) & 0x7fff)
BOTH1(neg_f16_ftz, flush_f16(a) ^ 0x8000)

/* ---- min and max, by the rules of alu_minmax.c ---- */

/* Halves order like integers once negative ones are turned over; -0 comes before +0. nan: the first NaN's
 * bits. */
static inline int32_t rank(uint16_t h)
{
    return h & 0x8000u ? -(int32_t)(h & 0x7fffu) - 1 : (int32_t)h;
}

static inline uint16_t pick(uint16_t a, uint16_t b, int is_max, int propagate, uint32_t infinity)
{
    int a_nan = (a & 0x7fffu) > infinity, b_nan = (b & 0x7fffu) > infinity;
    uint16_t number = (rank(a) < rank(b)) != is_max ? a : b;
    uint16_t one_nan = propagate || (a_nan & b_nan) ? 0x7fff : a_nan ? b : a;

    return a_nan | b_nan ? one_nan : number;
}

static inline uint16_t pick_xorsign(uint16_t a, uint16_t b, int is_max, int propagate, uint32_t infinity)
{
    uint16_t magnitude = pick(a & 0x7fff, b & 0x7fff, is_max, propagate, infinity);

    return magnitude > infinity ? 0x7fff : (uint16_t)(magnitude | ((a ^ b) & 0x8000u));
}

/* X(type of the function, spelling, type, source, .NaN, infinity) */
#define PICK_FORMS(X)                                                                                           \
    X(f16, "", "f16", F16, KEEP, 0, 0x7c00) X(f16_ftz, ".ftz", "f16", F16, flush_f16, 0, 0x7c00)                \
    X(f16_nan, ".NaN", "f16", F16, KEEP, 1, 0x7c00) X(f16_ftz_nan, ".ftz.NaN", "f16", F16, flush_f16, 1, 0x7c00) \
    X(bf16, "", "bf16", BF16, KEEP, 0, 0x7f80) X(bf16_nan, ".NaN", "bf16", BF16, KEEP, 1, 0x7f80)
#define DEFINE_PICKS(f, text, type, P, IN, propagate, infinity)                                                 \
    BOTH2(min_##f, pick(IN(a), IN(b), 0, propagate, infinity))                                                  \
    BOTH2(max_##f, pick(IN(a), IN(b), 1, propagate, infinity))                                                  \
    BOTH2(min_xorsign_##f, pick_xorsign(IN(a), IN(b), 0, propagate, infinity))                                  \
    BOTH2(max_xorsign_##f, pick_xorsign(IN(a), IN(b), 1, propagate, infinity))
PICK_FORMS(DEFINE_PICKS)

/* ---- rows: each for the single and the packed type ---- */

#define ROWS1(op, type, run, P)                                                                                 \
    ALU_ROW(op "." type, run, FP16, T(P), T(P)) ALU_ROW(op "." type "x2", run##_x2, FP16, T(P##X2), T(P##X2))
#define ROWS2(op, type, run, P)                                                                                 \
    ALU_ROW(op "." type, run, FP16, T(P), T(P), T(P))                                                           \
    ALU_ROW(op "." type "x2", run##_x2, FP16, T(P##X2), T(P##X2), T(P##X2))
#define ROWS3(op, type, run, P)                                                                                 \
    ALU_ROW(op "." type, run, FP16, T(P), T(P), T(P), T(P))                                                     \
    ALU_ROW(op "." type "x2", run##_x2, FP16, T(P##X2), T(P##X2), T(P##X2), T(P##X2))

#define F16_ROWS(suffix, text, IN, MIDDLE, OUT)                                                                 \
    ROWS2("add" text, "f16", add_f16##suffix, F16) ROWS2("add.rn" text, "f16", add_f16##suffix, F16)            \
    ROWS2("sub" text, "f16", sub_f16##suffix, F16) ROWS2("sub.rn" text, "f16", sub_f16##suffix, F16)            \
    ROWS2("mul" text, "f16", mul_f16##suffix, F16) ROWS2("mul.rn" text, "f16", mul_f16##suffix, F16)            \
    ROWS3("fma.rn" text, "f16", fma_f16##suffix, F16)
#define PICK_ROWS(f, text, type, P, IN, propagate, infinity)                                                    \
    ROWS2("min" text, type, min_##f, P) ROWS2("min" text ".xorsign.abs", type, min_xorsign_##f, P)              \
    ROWS2("max" text, type, max_##f, P) ROWS2("max" text ".xorsign.abs", type, max_xorsign_##f, P)

static const struct alu_row rows[] = {
    F16_VARIANTS(F16_ROWS)
    ROWS3("fma.rn.relu", "f16", fma_relu_f16, F16) ROWS3("fma.rn.ftz.relu", "f16", fma_relu_f16_ftz, F16)
    ROWS2("add", "bf16", add_bf16, BF16) ROWS2("add.rn", "bf16", add_bf16, BF16)
    ROWS2("sub", "bf16", sub_bf16, BF16) ROWS2("sub.rn", "bf16", sub_bf16, BF16)
    ROWS2("mul", "bf16", mul_bf16, BF16) ROWS2("mul.rn", "bf16", mul_bf16, BF16)
    ROWS3("fma.rn", "bf16", fma_bf16, BF16) ROWS3("fma.rn.relu", "bf16", fma_relu_bf16, BF16)
    ROWS1("abs", "f16", abs_half, F16) ROWS1("abs.ftz", "f16", abs_f16_ftz, F16) ROWS1("abs", "bf16", abs_half, BF16)
    ROWS1("neg", "f16", neg_half, F16) ROWS1("neg.ftz", "f16", neg_f16_ftz, F16) ROWS1("neg", "bf16", neg_half, BF16)
    PICK_FORMS(PICK_ROWS)
};

const struct alu_rows ALU_TIER(alu_half_rows) = ALU_ROWS(rows);
