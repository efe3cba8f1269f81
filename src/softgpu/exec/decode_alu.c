/* Arithmetic and moves: finds the function in alu.h and the operands it wants. Where a register's declared
 * width is not the operation's, or a predicate is negated, the instruction takes the slower run that converts
 * first. */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <string.h>

#include "softgpu/exec/run.h"

static const uint8_t cost_of_alu[] = {
    [ALU_CLASS_INT] = COST_INT,   [ALU_CLASS_FP32] = COST_FP32, [ALU_CLASS_FP64] = COST_FP64,
    [ALU_CLASS_FP16] = COST_FP16, [ALU_CLASS_SFU] = COST_SFU,   [ALU_CLASS_CONVERT] = COST_CONVERT,
    [ALU_CLASS_MOVE] = COST_MOVE,
};

/* lop3's truth table is an operand in the syntax but chooses the function: its place among the operands, or
 * 0. */
static unsigned table_operand(const struct ptx_insn *ast)
{
    return strcmp(ast->op, "lop3") == 0 && ast->n_operands > 4 ? 4 : 0;
}

static int decode_alu_operands(struct decoder *d, const struct ptx_insn *ast, const struct alu_op *op,
                               struct insn *insn)
{
    unsigned n_given = op->n_src - (op->reads_carry ? 1u : 0u), table = table_operand(ast), index = 0;
    int ret = decode_destination(d, ast, &ast->operands[0], insn, 0);

    if (!ret && ast->operands[0].second)
        ret = op->dst2_type == PTX_PRED ? decode_destination(d, ast, ast->operands[0].second, insn, 1)
                                        : decode_fail(d, -EINVAL, ast, "no second result");
    for (unsigned i = 1; i < ast->n_operands && !ret; i++) {
        if (table && i == table)
            continue;
        if (index >= n_given)
            return decode_fail(d, -EINVAL, ast, "too many operands");
        ret = decode_source_at(d, ast, &ast->operands[i], op->src_type[index], insn, index);
        index++;
    }
    if (!ret && index != n_given)
        ret = decode_fail(d, -EINVAL, ast, "too few operands");
    return ret;
}

static void add_carry(struct decoder *d, const struct alu_op *op, struct insn *insn)
{
    if (op->reads_carry) {
        unsigned last = op->n_src - 1u;

        insn->src[last] = OPERAND(BASE_FRAME, d->carry);
        insn->src_bytes[last] = insn->op_bytes[last] = 1;
        insn->n_src = op->n_src;
    }
    if (op->writes_carry) {
        insn->dst[1] = OPERAND(BASE_FRAME, d->carry);
        insn->dst_bytes[1] = 1;
        insn->n_dst = 2;
    }
}

static bool widths_agree(const struct insn *insn)
{
    for (unsigned i = 0; i < insn->n_src; i++)
        if (insn->src_bytes[i] != insn->op_bytes[i])
            return false;
    for (unsigned i = 0; i < insn->n_dst; i++)
        if (insn->dst[i] == OPERAND_NONE ? i == 0 : insn->dst_bytes[i] != insn->op_dst_bytes[i])
            return false;
    return insn->src_not == 0;
}

static insn_run run_for(const struct insn *insn)
{
    static const insn_run by_sources[] = {run_alu5, run_alu1, run_alu2, run_alu3, run_alu5, run_alu5};

    if (!widths_agree(insn))
        return run_alu_resized;
    return insn->n_dst > 1 ? run_alu5 : by_sources[insn->n_src];
}

/* A predicate cannot be widened, and only predicates can be negated. */
static int check_predicates(struct decoder *d, const struct ptx_insn *ast, const struct alu_op *op,
                            const struct insn *insn)
{
    for (unsigned i = 0; i < insn->n_src; i++) {
        bool is_predicate = op->src_type[i] == PTX_PRED;

        if (insn->src_not >> i & 1 && !is_predicate)
            return decode_fail(d, -EINVAL, ast, "only predicates can be negated");
        if (is_predicate && insn->src_bytes[i] != 1)
            return decode_fail(d, -EINVAL, ast, "a predicate is wanted");
        if (!is_predicate && insn->src_bytes[i] == 1 && insn->op_bytes[i] != 1)
            return decode_fail(d, -EINVAL, ast, "a predicate is not wanted");
    }
    if (insn->dst[0] != OPERAND_NONE && (op->dst_type == PTX_PRED) != (insn->dst_bytes[0] == 1) &&
        insn->op_dst_bytes[0] != 1)
        return decode_fail(d, -EINVAL, ast, "destination has the wrong type");
    return 0;
}

int decode_alu(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    unsigned table = table_operand(ast);
    struct alu_op op;
    int ret;

    ret = alu_find(ast->op, ast->modifiers, ast->n_modifiers, table ? ast->operands[table].i : 0, &op);
    if (ret)
        return decode_fail(d, -ENOTSUP, ast, "instruction not supported");
    if (ast->n_operands < 1)
        return decode_fail(d, -EINVAL, ast, "operands missing");
    insn->alu = op.run;
    insn->op_dst_bytes[0] = (uint8_t)ptx_type_bytes(op.dst_type);
    insn->op_dst_bytes[1] = 1;
    insn->dst_signed = decode_type_is_signed(op.dst_type);
    insn->cost = cost_of_alu[op.cost_class];
    ret = decode_alu_operands(d, ast, &op, insn);
    if (ret)
        return ret;
    add_carry(d, &op, insn);
    insn->run = run_for(insn);
    return check_predicates(d, ast, &op, insn);
}

/* ---- mov ---- */

static int decode_pack(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    const struct ptx_operand *parts = ast->operands[1].items;
    unsigned n = (unsigned)ast->operands[1].n_items;
    unsigned bytes = ptx_type_bytes(decode_last_type(ast));
    enum ptx_type part_type[] = {PTX_B8, PTX_B8, PTX_B16, PTX_B16, PTX_B32};
    int ret = decode_destination(d, ast, &ast->operands[0], insn, 0);

    if (n != 2 && n != 4)
        return decode_fail(d, -ENOTSUP, ast, "vector of this length not supported");
    if (!ret && (bytes > 8 || bytes / n == 0 || insn->dst_bytes[0] != bytes))
        ret = decode_fail(d, -ENOTSUP, ast, "pack of these widths not supported");
    for (unsigned i = 0; i < n && !ret; i++) {
        ret = decode_source_at(d, ast, &parts[i], part_type[bytes / n], insn, i);
        if (!ret && insn->src_bytes[i] != bytes / n)
            ret = decode_fail(d, -ENOTSUP, ast, "pack of these widths not supported");
    }
    insn->bytes = (uint8_t)(bytes / n);
    insn->run = run_pack;
    return ret;
}

static int decode_unpack(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    const struct ptx_operand *parts = ast->operands[0].items;
    unsigned n = (unsigned)ast->operands[0].n_items;
    enum ptx_type type = decode_last_type(ast);
    unsigned bytes = ptx_type_bytes(type);
    int ret = decode_source_at(d, ast, &ast->operands[1], type, insn, 0);

    if (n != 2 && n != 4)
        return decode_fail(d, -ENOTSUP, ast, "vector of this length not supported");
    if (!ret && (bytes > 8 || bytes / n == 0 || insn->src_bytes[0] != bytes))
        ret = decode_fail(d, -ENOTSUP, ast, "unpack of these widths not supported");
    for (unsigned i = 0; i < n && !ret; i++) {
        ret = decode_destination(d, ast, &parts[i], insn, i);
        if (!ret && insn->dst[i] != OPERAND_NONE && insn->dst_bytes[i] != bytes / n)
            ret = decode_fail(d, -ENOTSUP, ast, "unpack of these widths not supported");
    }
    insn->bytes = (uint8_t)(bytes / n);
    insn->run = run_unpack;
    return ret;
}

static const char *const clock_names[] = {
    [CLOCK_LOW] = "%clock",      [CLOCK_HIGH] = "%clock_hi",         [CLOCK_64] = "%clock64",
    [CLOCK_NS] = "%globaltimer", [CLOCK_NS_LOW] = "%globaltimer_lo", [CLOCK_NS_HIGH] = "%globaltimer_hi",
};

static int find_clock(const struct ptx_operand *operand)
{
    for (int i = 0; i < (int)(sizeof clock_names / sizeof *clock_names); i++)
        if (operand->kind == PTX_OP_NAME && strcmp(operand->name, clock_names[i]) == 0)
            return i;
    return -1;
}

int decode_mov(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int clock;

    if (ast->n_operands != 2)
        return decode_fail(d, -EINVAL, ast, "two operands are wanted");
    insn->cost = COST_MOVE;
    if (ast->operands[1].kind == PTX_OP_VEC)
        return decode_pack(d, ast, insn);
    if (ast->operands[0].kind == PTX_OP_VEC)
        return decode_unpack(d, ast, insn);
    clock = find_clock(&ast->operands[1]);
    if (clock < 0)
        return decode_alu(d, ast, insn);
    insn->mode = (uint8_t)clock;
    insn->cost = COST_CLOCK;
    insn->run = run_clock;
    return decode_destination(d, ast, &ast->operands[0], insn, 0);
}

/* ---- address conversions ---- */

static int find_space(const struct ptx_insn *ast)
{
    static const struct {
        const char *word;
        enum ptx_space space;
    } spaces[] = {{"global", PTX_SPACE_GLOBAL},     {"const", PTX_SPACE_CONST},
                  {"shared", PTX_SPACE_SHARED},     {"local", PTX_SPACE_LOCAL},
                  {"param", PTX_SPACE_PARAM},       {"shared::cta", PTX_SPACE_SHARED},
                  {"param::entry", PTX_SPACE_PARAM}};

    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (decode_has(ast, spaces[i].word))
            return (int)spaces[i].space;
    return -1;
}

int decode_cvta(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int space = find_space(ast), ret;
    uint64_t base = space == PTX_SPACE_SHARED  ? EXEC_SHARED_WINDOW_BASE
                    : space == PTX_SPACE_LOCAL ? EXEC_LOCAL_WINDOW_BASE
                    : space == PTX_SPACE_PARAM ? PARAM_WINDOW_BASE
                                               : 0;

    if (space < 0 || ptx_type_bytes(decode_last_type(ast)) != 8)
        return decode_fail(d, -ENOTSUP, ast, "address conversion not supported");
    if (space == PTX_SPACE_PARAM && !d->function->is_entry)
        return decode_fail(d, -ENOTSUP, ast, "generic address of a function's parameter not supported");
    if (ast->n_operands != 2)
        return decode_fail(d, -EINVAL, ast, "two operands are wanted");
    insn->imm = (int64_t)(decode_has(ast, "to") ? 0 - base : base);
    insn->run = run_cvta;
    insn->cost = COST_INT;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[1], PTX_U64, insn, 0);
    if (!ret && (insn->dst_bytes[0] != 8 || insn->src_bytes[0] != 8))
        ret = decode_fail(d, -EINVAL, ast, "addresses are 64 bits wide");
    return ret;
}

int decode_isspacep(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int space = find_space(ast), ret;

    if (space < 0)
        return decode_fail(d, -ENOTSUP, ast, "state space not supported");
    if (ast->n_operands != 2)
        return decode_fail(d, -EINVAL, ast, "two operands are wanted");
    insn->mode = (uint8_t)space;
    insn->run = run_isspacep;
    insn->cost = COST_INT;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[1], PTX_U64, insn, 0);
    if (!ret && (insn->dst_bytes[0] != 1 || insn->src_bytes[0] != 8))
        ret = decode_fail(d, -EINVAL, ast, "a predicate and a 64-bit address are wanted");
    return ret;
}
