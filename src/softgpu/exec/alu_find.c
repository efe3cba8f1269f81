/* Finds an instruction's row by its spelling. At the first call all rows of the tier this processor can run
 * go into one hash table (static, filled once, read without locks afterwards). Modifiers may come in any
 * order, as ptxas accepts them, but types keep theirs: cvt.u32.s16 is not cvt.s16.u32. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "softgpu/exec/alu_rows.h"

#define TOPIC_ADDRESS(name)      &name,
#define TOPIC_ADDRESS_AVX2(name) &name##_avx2,
static const struct alu_rows *const plain_topics[] = {ALU_TIERED_TOPICS(TOPIC_ADDRESS)
                                                          ALU_PLAIN_TOPICS(TOPIC_ADDRESS)};
#ifdef ALU_HAVE_AVX2
static const struct alu_rows *const avx2_topics[] = {ALU_TIERED_TOPICS(TOPIC_ADDRESS_AVX2)
                                                         ALU_PLAIN_TOPICS(TOPIC_ADDRESS)};
#endif
enum { N_TOPICS = sizeof plain_topics / sizeof *plain_topics };

enum { INDEX_SIZE = 1 << 14 }; /* more than twice the rows there are */
static struct {
    const struct alu_row *row; /* NULL: free */
    uint32_t hash;
} row_index[INDEX_SIZE];
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static const struct alu_rows *const *best_topics(void)
{
#ifdef ALU_HAVE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return avx2_topics;
#endif
    return plain_topics;
}

const struct alu_row *alu_row_at(size_t index, int with_avx2)
{
    const struct alu_rows *const *topics = with_avx2 ? best_topics() : plain_topics;

    for (size_t i = 0; i < N_TOPICS; i++) {
        if (index < topics[i]->n_rows)
            return &topics[i]->rows[index];
        index -= topics[i]->n_rows;
    }
    return NULL;
}

/* ---- hashing: a word's own hash by FNV-1a, words added up so that their order does not count ---- */

static uint32_t hash_word(const char *word, size_t length)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)word[i]) * 16777619u;
    return hash;
}

static uint32_t hash_spelling(const char *spelling)
{
    uint32_t hash = 0;

    for (;;) {
        size_t length = strcspn(spelling, ".");
        hash += hash_word(spelling, length);
        if (!spelling[length])
            return hash;
        spelling += length + 1;
    }
}

static uint32_t hash_slot(uint32_t hash)
{
    return (hash * 2654435761u >> 16) % INDEX_SIZE;
}

static void fill_index(void)
{
    for (size_t i = 0;; i++) {
        const struct alu_row *row = alu_row_at(i, 1);
        uint32_t hash, slot;

        if (!row)
            return;
        hash = hash_spelling(row->spelling);
        for (slot = hash_slot(hash); row_index[slot].row; slot = (slot + 1) % INDEX_SIZE)
            ;
        row_index[slot].row = row;
        row_index[slot].hash = hash;
    }
}

/* ---- matching ---- */

/* Types are the words that end in a width (tf32 and pred never stand beside another of their kind). */
static bool is_type(const char *word, size_t length)
{
    return length >= 2 && strchr("usbf", word[0]) && word[length - 1] >= '0' && word[length - 1] <= '9';
}

/* The next word of a spelling that is (or is not) a type; NULL at its end. */
static const char *next_word(const char *from, bool type, size_t *ret_length)
{
    for (;;) {
        size_t length;

        from += *from == '.';
        if (!*from)
            return NULL;
        length = strcspn(from, ".");
        if (is_type(from, length) == type) {
            *ret_length = length;
            return from;
        }
        from += length;
    }
}

static bool has_word(const char *spelling, const char *word)
{
    size_t length, wanted = strlen(word);
    const char *at;

    for (at = spelling; (at = next_word(at, false, &length)); at += length)
        if (length == wanted && !memcmp(at, word, length))
            return true;
    return false;
}

/* Equal sets of modifiers (their number and, by the caller, the sum of their hashes are equal) and equal
 * sequences of types. */
static bool row_matches(const struct alu_row *row, const char *op, const char *const *modifiers,
                        size_t n_modifiers)
{
    size_t length, n_words = 0, op_length = strlen(op);
    const char *types = row->spelling + op_length;

    if (strncmp(row->spelling, op, op_length) || *types != '.')
        return false;
    for (const char *dot = types; dot; dot = strchr(dot + 1, '.'))
        n_words++;
    if (n_words != n_modifiers)
        return false;
    types++;
    for (size_t i = 0; i < n_modifiers; i++) {
        if (!is_type(modifiers[i], strlen(modifiers[i]))) {
            if (!has_word(row->spelling + op_length + 1, modifiers[i]))
                return false;
            continue;
        }
        types = next_word(types, true, &length);
        if (!types || length != strlen(modifiers[i]) || memcmp(types, modifiers[i], length))
            return false;
        types += length;
    }
    return true;
}

/* ---- the operations there are ---- */

static bool is_arithmetic(const char *op)
{
    static const char *const ops[] = {
        "abs", "add", "addc", "and", "bfe", "bfi", "bfind", "bmsk", "brev", "clz", "cnot", "copysign", "cos",
        "cvt", "div", "dp2a", "dp4a", "ex2", "fma", "fns", "lg2", "lop3", "mad", "mad24", "madc", "max",
        "min", "mov", "mul", "mul24", "neg", "not", "or", "popc", "prmt", "rcp", "rem", "rsqrt", "sad",
        "selp", "set", "setp", "shf", "shl", "shr", "sin", "slct", "sqrt", "sub", "subc", "szext", "tanh",
        "testp", "xor",
        /* Known, and without a row: the video instructions. */
        "vadd", "vsub", "vabsdiff", "vmin", "vmax", "vshl", "vshr", "vmad", "vset", "vadd2", "vsub2",
        "vavrg2", "vabsdiff2", "vmin2", "vmax2", "vset2", "vadd4", "vsub4", "vavrg4", "vabsdiff4", "vmin4",
        "vmax4", "vset4"};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (!strcmp(op, ops[i]))
            return true;
    return false;
}

static int fill_op(const struct alu_row *row, int64_t immediate, struct alu_op *ret_op)
{
    struct alu_op op = {.run = row->run,
                        .cost_class = row->cost_class,
                        .n_src = row->n_src,
                        .dst_type = row->dst_type,
                        .dst2_type = row->dst2_type,
                        .reads_carry = !!(row->flags & ALU_READS_CARRY),
                        .writes_carry = !!(row->flags & ALU_WRITES_CARRY)};

    if (row->flags & ALU_BY_TABLE) {
        if (immediate < 0 || immediate > 255)
            return -ENOTSUP;
        op.run = row->run_by_table[immediate];
    }
    for (size_t i = 0; i < ALU_OPERANDS_MAX; i++)
        op.src_type[i] = row->src_type[i];
    *ret_op = op;
    return 0;
}

int alu_find(const char *op, const char *const *modifiers, size_t n_modifiers, int64_t immediate,
             struct alu_op *ret_op)
{
    uint32_t hash = hash_word(op, strlen(op));

    pthread_once(&index_once, fill_index);
    for (size_t i = 0; i < n_modifiers; i++)
        hash += hash_word(modifiers[i], strlen(modifiers[i]));
    for (uint32_t slot = hash_slot(hash); row_index[slot].row; slot = (slot + 1) % INDEX_SIZE)
        if (row_index[slot].hash == hash && row_matches(row_index[slot].row, op, modifiers, n_modifiers))
            return fill_op(row_index[slot].row, immediate, ret_op);
    return is_arithmetic(op) ? -ENOTSUP : -ENOENT;
}
