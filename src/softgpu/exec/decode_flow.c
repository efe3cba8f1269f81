/* Branches, calls and ends; and the table of all instructions that are not arithmetic. */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/run.h"

int decode_branch(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    uint32_t pc;
    int ret;

    if (ast->n_operands != 1 || ast->operands[0].kind != PTX_OP_NAME)
        return decode_fail(d, -EINVAL, ast, "a label is wanted");
    ret = decode_label(d, ast, ast->operands[0].name, &pc);
    if (ret)
        return ret;
    insn->imm = pc;
    insn->run = run_branch;
    return 0;
}

int decode_branch_index(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    const struct name *table = NULL;
    const struct ptx_stmt *stmt;
    uint32_t member, *targets;
    int ret = 0;

    if (ast->n_operands == 2 && ast->operands[1].kind == PTX_OP_NAME)
        table = names_find(&d->names, ast->operands[1].name, &member);
    if (!table || table->kind != NAME_TARGETS)
        return decode_fail(d, -EINVAL, ast, "an index and a branch table are wanted");
    stmt = table->detail;
    targets = zone_alloc(&d->program->zone, (stmt->label.n_targets + 1) * sizeof *targets);
    if (!targets)
        return -ENOMEM;
    for (size_t i = 0; i < stmt->label.n_targets && !ret; i++)
        ret = decode_label(d, ast, stmt->label.targets[i], &targets[i]);
    insn->targets = targets;
    insn->imm = (int64_t)stmt->label.n_targets;
    insn->run = run_branch_index;
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[0], PTX_U32, insn, 0);
    if (!ret && insn->src_bytes[0] != 4)
        ret = decode_fail(d, -EINVAL, ast, "the index is 32 bits wide");
    return ret;
}

/* ---- calls ---- */

struct call_syntax {
    const struct ptx_operand *returns, *callee, *args, *prototype; /* NULL: absent */
};

static int read_call(struct decoder *d, const struct ptx_insn *ast, struct call_syntax *ret_call)
{
    unsigned i = 0, n = ast->n_operands;
    struct call_syntax call = {0};

    if (i < n && ast->operands[i].kind == PTX_OP_LIST)
        call.returns = &ast->operands[i++];
    if (i >= n || ast->operands[i].kind != PTX_OP_NAME)
        return decode_fail(d, -EINVAL, ast, "a function is wanted");
    call.callee = &ast->operands[i++];
    if (i < n && ast->operands[i].kind == PTX_OP_LIST)
        call.args = &ast->operands[i++];
    if (i < n)
        call.prototype = &ast->operands[i++];
    if (i != n)
        return decode_fail(d, -EINVAL, ast, "too many operands");
    *ret_call = call;
    return 0;
}

static bool is_register(const struct name *name)
{
    return name && (name->kind == NAME_REGISTER || name->kind == NAME_REGISTERS);
}

/* One argument or return value. wanted: what the callee or prototype says it is. */
static int decode_actual(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                         const struct formal *wanted, bool is_return, struct actual *actual)
{
    static const enum ptx_type by_bytes[] = {[1] = PTX_B8, [2] = PTX_B16, [4] = PTX_B32, [8] = PTX_B64};
    uint32_t member;
    uint8_t bytes;
    const struct name *name =
        operand->kind == PTX_OP_NAME ? names_find(&d->names, operand->name, &member) : NULL;

    actual->operand = OPERAND_NONE;
    if (operand->kind == PTX_OP_SINK && is_return) {
        actual->unused = true;
        return 0;
    }
    if (name && name->kind == NAME_PARAM) {
        actual->offset_bytes = name->index;
        actual->size_bytes = name->count;
        if (name->count != wanted->size_bytes)
            return decode_fail(d, -EINVAL, ast, "parameter of another size than declared");
        return 0;
    }
    if (wanted->size_bytes > 8 || wanted->size_bytes == 0 || !by_bytes[wanted->size_bytes] ||
        (is_return && !is_register(name)))
        return decode_fail(d, -EINVAL, ast, "parameter of the wrong kind");
    actual->in_register = true;
    if (is_register(name))
        d->vregs[name->index + member].pinned = true;
    if (decode_source(d, ast, operand, by_bytes[wanted->size_bytes], &actual->operand, &bytes))
        return -EINVAL;
    actual->size_bytes = bytes;
    if (bytes != wanted->size_bytes)
        return decode_fail(d, -ENOTSUP, ast, "parameter of another width than declared");
    return 0;
}

static int decode_actuals(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *list,
                          const struct formal *formals, size_t n_formals, bool is_return,
                          const struct actual **ret_actuals)
{
    size_t n = list ? list->n_items : 0;
    struct actual *actuals = zone_alloc(&d->program->zone, (n + 1) * sizeof *actuals);
    int ret = 0;

    if (!actuals)
        return -ENOMEM;
    if (n != n_formals && !(is_return && n == 0))
        return decode_fail(d, -EINVAL, ast, "call with another number of parameters than declared");
    for (size_t i = 0; i < n && !ret; i++)
        ret = decode_actual(d, ast, &list->items[i], &formals[i], is_return, &actuals[i]);
    *ret_actuals = actuals;
    return ret;
}

/* Formals of a prototype, only their sizes and kinds. */
static int prototype_formals(struct decoder *d, const struct ptx_var *vars, size_t n,
                             struct formal **ret_formals)
{
    struct formal *formals = zone_alloc(&d->program->zone, (n + 1) * sizeof *formals);

    if (!formals)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        formals[i] =
            (struct formal){.in_register = vars[i].space == PTX_SPACE_REG,
                            .size_bytes = vars[i].space == PTX_SPACE_REG ? ptx_type_bytes(vars[i].type)
                                                                         : (uint32_t)vars[i].size_bytes};
    *ret_formals = formals;
    return 0;
}

static int decode_call_indirect(struct decoder *d, const struct ptx_insn *ast, const struct call_syntax *call,
                                struct call_site *site, struct insn *insn)
{
    uint32_t member;
    const struct name *name = call->prototype && call->prototype->kind == PTX_OP_NAME
                                  ? names_find(&d->names, call->prototype->name, &member)
                                  : NULL;
    const struct ptx_func *proto = name && name->kind == NAME_PROTOTYPE ? name->detail : NULL;
    struct formal *params, *returns;
    int ret;

    if (!proto)
        return decode_fail(d, -ENOTSUP, ast, "indirect call without a prototype not supported");
    ret = prototype_formals(d, proto->params, proto->n_params, &params);
    if (!ret)
        ret = prototype_formals(d, proto->returns, proto->n_returns, &returns);
    if (!ret)
        ret = decode_source_at(d, ast, call->callee, PTX_B64, insn, 0);
    if (!ret && insn->src_bytes[0] != 8)
        ret = decode_fail(d, -EINVAL, ast, "a function's address is 64 bits wide");
    if (!ret)
        ret = decode_actuals(d, ast, call->args, params, proto->n_params, false, &site->args);
    if (!ret)
        ret = decode_actuals(d, ast, call->returns, returns, proto->n_returns, true, &site->returns);
    d->function->calls_indirect = true;
    insn->run = run_call_indirect;
    return ret;
}

static int decode_call_direct(struct decoder *d, const struct ptx_insn *ast, const struct call_syntax *call,
                              const struct function *callee, struct call_site *site, struct insn *insn)
{
    insn_run builtin = builtin_find(callee->name);
    int ret;

    if (!callee->has_body && !builtin)
        return decode_fail(d, -ENOTSUP, ast, "call of a function without a body");
    if (callee->is_entry)
        return decode_fail(d, -EINVAL, ast, "call of a kernel");
    site->callee = callee;
    ret = decode_actuals(d, ast, call->args, callee->params, callee->n_params, false, &site->args);
    if (!ret)
        ret = decode_actuals(d, ast, call->returns, callee->returns, callee->n_returns, true, &site->returns);
    if (!callee->has_body) {
        insn->run = builtin;
        return ret                           ? ret
               : builtin_check(callee, site) ? decode_fail(d, -ENOTSUP, ast, "form of call not supported")
                                             : 0;
    }
    insn->run = run_call;
    if (!ret)
        ret = decode_grow((void **)&d->calls, d->n_calls, &d->calls_capacity, sizeof *d->calls);
    if (!ret)
        d->calls[d->n_calls++] = callee->index;
    return ret;
}

int decode_call(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    struct call_site *site = zone_alloc(&d->program->zone, sizeof *site);
    struct call_syntax call = {0};
    const struct name *name;
    uint32_t member;
    int ret;

    if (!site)
        return -ENOMEM;
    ret = read_call(d, ast, &call);
    if (ret)
        return ret;
    insn->call = site;
    insn->is_call = true;
    site->n_args = call.args ? (uint32_t)call.args->n_items : 0;
    site->n_returns = call.returns ? (uint32_t)call.returns->n_items : 0;
    name = names_find(&d->names, call.callee->name, &member);
    if (name && name->kind == NAME_FUNCTION)
        return decode_call_direct(d, ast, &call, &d->program->functions[name->index], site, insn);
    if (!is_register(name))
        return decode_fail(d, -EINVAL, ast, "no such function");
    return decode_call_indirect(d, ast, &call, site, insn);
}

int decode_leave(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    insn->run = strcmp(ast->op, "ret") == 0 ? run_ret : strcmp(ast->op, "exit") == 0 ? run_exit : run_trap;
    return 0;
}

/* ---- which instruction is whose ---- */

struct kind {
    const char *op;
    decode_fn decode;
};

/* Sorted by op. */
static const struct kind kinds[] = {
    {"activemask", decode_activemask},
    {"applypriority", decode_prefetch},
    {"atom", decode_atomic},
    {"bar", decode_barrier},
    {"barrier", decode_barrier},
    {"bra", decode_branch},
    {"brkpt", decode_leave},
    {"brx", decode_branch_index},
    {"call", decode_call},
    {"cvta", decode_cvta},
    {"discard", decode_prefetch},
    {"elect", decode_elect},
    {"exit", decode_leave},
    {"fence", decode_fence},
    {"isspacep", decode_isspacep},
    {"ld", decode_load},
    {"ldu", decode_load},
    {"match", decode_match},
    {"membar", decode_fence},
    {"mov", decode_mov},
    {"nanosleep", decode_nanosleep},
    {"pmevent", decode_prefetch},
    {"prefetch", decode_prefetch},
    {"prefetchu", decode_prefetch},
    {"red", decode_atomic},
    {"redux", decode_redux},
    {"ret", decode_leave},
    {"shfl", decode_shfl},
    {"st", decode_store},
    {"trap", decode_leave},
    {"vote", decode_vote},
};

static int compare_kind(const void *op, const void *kind)
{
    return strcmp(op, ((const struct kind *)kind)->op);
}

decode_fn decode_kind_find(const char *op)
{
    const struct kind *kind = bsearch(op, kinds, sizeof kinds / sizeof *kinds, sizeof *kinds, compare_kind);

    return kind ? kind->decode : NULL;
}
