/* Loads, stores, atomics, prefetches and fences: reads the qualifiers into width, space and order, and
 * chooses the run. An unknown qualifier makes the instruction unsupported: it may change what a load means.
 */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <string.h>

#include "softgpu/exec/run.h"

struct words {
    enum ptx_space space;
    enum ptx_type type;
    unsigned vec;
    uint8_t order;
    bool no_ftz;
    const char *operation; /* atomics: add, cas, ... */
};

enum word_effect { WORD_SPACE, WORD_ORDER, WORD_VECTOR, WORD_NOTHING };

struct word {
    const char *text;
    enum word_effect effect;
    int value;
};

static const struct word known_words[] = {
    {"global", WORD_SPACE, PTX_SPACE_GLOBAL},
    {"const", WORD_SPACE, PTX_SPACE_CONST},
    {"shared", WORD_SPACE, PTX_SPACE_SHARED},
    {"shared::cta", WORD_SPACE, PTX_SPACE_SHARED},
    {"local", WORD_SPACE, PTX_SPACE_LOCAL},
    {"param", WORD_SPACE, PTX_SPACE_PARAM},
    {"param::entry", WORD_SPACE, PTX_SPACE_PARAM},
    {"param::func", WORD_SPACE, PTX_SPACE_PARAM},
    {"weak", WORD_ORDER, ORDER_WEAK},
    {"volatile", WORD_ORDER, ORDER_VOLATILE},
    {"relaxed", WORD_ORDER, ORDER_VOLATILE},
    {"mmio", WORD_ORDER, ORDER_VOLATILE},
    {"acquire", WORD_ORDER, ORDER_VOLATILE | ORDER_ACQUIRE},
    {"release", WORD_ORDER, ORDER_VOLATILE | ORDER_RELEASE},
    {"acq_rel", WORD_ORDER, ORDER_VOLATILE | ORDER_ACQUIRE | ORDER_RELEASE},
    {"v2", WORD_VECTOR, 2},
    {"v4", WORD_VECTOR, 4},
    {"cta", WORD_NOTHING, 0},
    {"gpu", WORD_NOTHING, 0},
    {"sys", WORD_NOTHING, 0},
    {"cluster", WORD_NOTHING, 0},
    {"nc", WORD_NOTHING, 0},
    {"ca", WORD_NOTHING, 0},
    {"cg", WORD_NOTHING, 0},
    {"cs", WORD_NOTHING, 0},
    {"lu", WORD_NOTHING, 0},
    {"cv", WORD_NOTHING, 0},
    {"wb", WORD_NOTHING, 0},
    {"wt", WORD_NOTHING, 0},
    {"L1::evict_normal", WORD_NOTHING, 0},
    {"L1::evict_unchanged", WORD_NOTHING, 0},
    {"L1::evict_first", WORD_NOTHING, 0},
    {"L1::evict_last", WORD_NOTHING, 0},
    {"L1::no_allocate", WORD_NOTHING, 0},
    {"L2::64B", WORD_NOTHING, 0},
    {"L2::128B", WORD_NOTHING, 0},
    {"L2::256B", WORD_NOTHING, 0},
};

static const struct word *find_word(const char *text)
{
    for (size_t i = 0; i < sizeof known_words / sizeof *known_words; i++)
        if (strcmp(known_words[i].text, text) == 0)
            return &known_words[i];
    return NULL;
}

static int read_words(struct decoder *d, const struct ptx_insn *ast, bool is_atomic, struct words *ret_words)
{
    struct words words = {.space = PTX_SPACE_GENERIC, .vec = 1};

    for (unsigned i = 0; i < ast->n_modifiers; i++) {
        const struct word *word = find_word(ast->modifiers[i]);
        enum ptx_type type = word ? PTX_NONE : decode_type_of(ast->modifiers[i]);

        if (word && word->effect == WORD_SPACE)
            words.space = (enum ptx_space)word->value;
        else if (word && word->effect == WORD_ORDER)
            words.order |= (uint8_t)word->value;
        else if (word && word->effect == WORD_VECTOR)
            words.vec = (unsigned)word->value;
        else if (type != PTX_NONE)
            words.type = type;
        else if (!word && is_atomic && strcmp(ast->modifiers[i], "noftz") == 0)
            words.no_ftz = true;
        else if (!word && is_atomic && !words.operation)
            words.operation = ast->modifiers[i];
        else if (!word)
            return decode_fail(d, -ENOTSUP, ast, "qualifier not supported");
    }
    if (words.type == PTX_NONE || words.type == PTX_PRED || ptx_type_bytes(words.type) > 8)
        return decode_fail(d, -ENOTSUP, ast, "access of this type not supported");
    *ret_words = words;
    return 0;
}

static uint8_t cost_of_access(enum ptx_space space, bool is_store)
{
    switch (space) {
    case PTX_SPACE_SHARED:
        return COST_SHARED;
    case PTX_SPACE_LOCAL:
        return COST_LOCAL;
    case PTX_SPACE_PARAM:
        return COST_PARAM;
    default:
        return is_store ? COST_GLOBAL_STORE : COST_GLOBAL_LOAD;
    }
}

/* [param+off] of a declared variable: a place in the per-thread area, or in the launch's parameter block.
 * Anything else in the param space is an address in a register. */
static int param_place(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                       unsigned access_bytes, struct insn *insn)
{
    uint32_t member;
    const struct name *name = NULL;

    if (operand->kind == PTX_OP_ADDR && operand->name)
        name = names_find(&d->names, operand->name, &member);
    if (!name || name->kind != NAME_PARAM) {
        insn->mode = PARAM_BY_REGISTER;
        return decode_address(d, ast, operand, insn);
    }
    if (operand->i < 0 || (uint64_t)operand->i + access_bytes > name->count)
        return decode_fail(d, -EINVAL, ast, "outside the parameter");
    insn->imm = name->index + operand->i;
    insn->mode = (uint64_t)insn->imm < d->function->entry_param_bytes ? PARAM_OF_LAUNCH : PARAM_OF_FRAME;
    insn->src_bytes[0] = 8;
    return 0;
}

static int read_place(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                      const struct words *words, struct insn *insn)
{
    insn->bytes = (uint8_t)ptx_type_bytes(words->type);
    insn->space = (uint8_t)words->space;
    insn->order = words->order;
    if (words->space == PTX_SPACE_PARAM)
        return param_place(d, ast, operand, insn->bytes * words->vec, insn);
    return decode_address(d, ast, operand, insn);
}

/* One element, or {a, b} of a vector access. */
static const struct ptx_operand *elements(const struct ptx_operand *operand, unsigned vec)
{
    if (vec == 1)
        return operand->kind == PTX_OP_VEC && operand->n_items == 1 ? operand->items : operand;
    return operand->kind == PTX_OP_VEC && operand->n_items == vec ? operand->items : NULL;
}

static bool is_alias_param(const struct insn *insn)
{
    return insn->space == PTX_SPACE_PARAM && insn->mode == PARAM_OF_LAUNCH;
}

int decode_load(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    const struct ptx_operand *items;
    struct words words;
    bool resized = false;
    int ret = read_words(d, ast, false, &words);

    if (ret)
        return ret;
    if (ast->n_operands != 2)
        return decode_fail(d, ast->n_operands > 2 ? -ENOTSUP : -EINVAL, ast, "two operands are wanted");
    items = elements(&ast->operands[0], words.vec);
    if (!items)
        return decode_fail(d, -EINVAL, ast, "vector length");
    ret = read_place(d, ast, &ast->operands[1], &words, insn);
    for (unsigned i = 0; i < words.vec && !ret; i++) {
        ret = decode_destination(d, ast, &items[i], insn, i);
        if (!ret && insn->dst_bytes[i] == 1)
            ret = decode_fail(d, -EINVAL, ast, "a predicate cannot be loaded");
        resized |= insn->dst[i] == OPERAND_NONE || insn->dst_bytes[i] != insn->bytes;
    }
    insn->dst_signed = decode_type_is_signed(words.type) ? 0xff : 0;
    insn->cost = cost_of_access(words.space, false);
    if (is_alias_param(insn))
        insn->run = run_load_param;
    else
        insn->run = words.space == PTX_SPACE_PARAM            ? run_load_frame_param
                    : resized || words.vec > 1 || words.order ? run_load_any
                                                              : run_load;
    return ret;
}

int decode_store(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    const struct ptx_operand *items;
    struct words words;
    bool resized = false;
    int ret = read_words(d, ast, false, &words);

    if (ret)
        return ret;
    if (ast->n_operands != 2)
        return decode_fail(d, ast->n_operands > 2 ? -ENOTSUP : -EINVAL, ast, "two operands are wanted");
    items = elements(&ast->operands[1], words.vec);
    if (!items || words.space == PTX_SPACE_CONST)
        return decode_fail(d, -EINVAL, ast, "vector length or space");
    ret = read_place(d, ast, &ast->operands[0], &words, insn);
    for (unsigned i = 0; i < words.vec && !ret; i++) {
        ret = decode_source_at(d, ast, &items[i], words.type, insn, i + 1);
        if (!ret && insn->src_bytes[i + 1] == 1 && insn->bytes != 1)
            ret = decode_fail(d, -EINVAL, ast, "a predicate cannot be stored");
        resized |= insn->src_bytes[i + 1] != insn->bytes;
    }
    if (!ret && is_alias_param(insn))
        ret = decode_fail(d, -EINVAL, ast, "kernel parameters are read-only");
    insn->cost = cost_of_access(words.space, true);
    insn->run = words.space == PTX_SPACE_PARAM            ? run_store_frame_param
                : resized || words.vec > 1 || words.order ? run_store_any
                                                          : run_store;
    return ret;
}

int decode_atomic(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    bool is_red = strcmp(ast->op, "red") == 0;
    unsigned first = is_red ? 0 : 1, n_values;
    struct words words;
    int ret = read_words(d, ast, true, &words);

    if (ret)
        return ret;
    n_values = words.operation && strcmp(words.operation, "cas") == 0 ? 2 : 1;
    if (!words.operation || words.vec > 1 || ast->n_operands != first + 1 + n_values ||
        (words.space != PTX_SPACE_GENERIC && words.space != PTX_SPACE_GLOBAL &&
         words.space != PTX_SPACE_SHARED) ||
        alu_find_atom(words.operation, words.type, words.no_ftz, &insn->atom))
        return decode_fail(d, -ENOTSUP, ast, "atomic not supported");
    ret = read_place(d, ast, &ast->operands[first], &words, insn);
    for (unsigned i = 0; i < n_values && !ret; i++)
        ret = decode_source_at(d, ast, &ast->operands[first + 1 + i], words.type, insn, i + 1);
    if (!ret && !is_red)
        ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    insn->dst_signed = decode_type_is_signed(words.type);
    insn->cost = words.space == PTX_SPACE_SHARED ? COST_SHARED_ATOMIC : COST_GLOBAL_ATOMIC;
    insn->run = run_atomic;
    return ret;
}

/* Hints: nothing that a program can observe. */
int decode_prefetch(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    insn->run = run_nothing;
    insn->cost = COST_INT;
    return 0;
}

int decode_fence(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    if (decode_has(ast, "mbarrier_init"))
        return decode_fail(d, -ENOTSUP, ast, "fence not supported");
    insn->run = run_fence;
    insn->cost = COST_FENCE;
    return 0;
}
