/* Walks a module: declares what has a name, then turns each function body into instructions, one for one. A
 * statement this interpreter does not have makes its function unsupported (kernels that reach it refuse to
 * run) and decoding goes on; broken PTX ends it. Called by program.c; keeps nothing after decode_module. */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/run.h"

enum { PARAM_BYTES_MAX = 32764, LOCAL_BYTES_MAX = 512 * 1024, FRAME_REGISTERS_MAX = 1 << 20 };

void decode_explain(struct decoder *d, const struct ptx_insn *ast, const char *what)
{
    snprintf(d->error, PTX_ERROR_TEXT_MAX, "line %d: %s: %.200s", ast->line, what,
             ast->text ? ast->text : ast->op);
}

int decode_grow(void **list, uint32_t n, uint32_t *capacity, size_t element_bytes)
{
    uint32_t wanted = *capacity ? *capacity * 2 : 64;
    void *grown;

    if (n < *capacity)
        return 0;
    if (wanted > (1u << 26))
        return -ENOMEM;
    grown = realloc(*list, wanted * element_bytes);
    if (!grown)
        return -ENOMEM;
    *list = grown;
    *capacity = wanted;
    return 0;
}

int decode_vreg(struct decoder *d, unsigned bytes, bool pinned, uint32_t *ret_vreg)
{
    int ret = decode_grow((void **)&d->vregs, d->n_vregs, &d->vregs_capacity, sizeof *d->vregs);

    if (ret)
        return ret;
    if (d->n_vregs >= FRAME_REGISTERS_MAX)
        return -ENOMEM;
    d->vregs[d->n_vregs] = (struct vreg){.bytes = (uint8_t)bytes, .pinned = pinned};
    *ret_vreg = d->n_vregs++;
    return 0;
}

int decode_label(struct decoder *d, const struct ptx_insn *ast, const char *text, uint32_t *ret_pc)
{
    uint32_t member;
    const struct name *name = text ? names_find(&d->names, text, &member) : NULL;

    if (!name || name->kind != NAME_LABEL)
        return decode_fail(d, -EINVAL, ast, "no such label");
    *ret_pc = name->index;
    return 0;
}

/* ---- declarations inside a function ---- */

static int unsupported_registers(struct decoder *d, const struct ptx_var *var)
{
    if (!d->function->unsupported)
        d->function->unsupported =
            zone_printf(&d->program->zone, "line %d: registers of type %s not supported: %s", var->line,
                        ptx_type_name(var->type), var->name);
    return d->function->unsupported ? 0 : -ENOMEM;
}

static int declare_register(struct decoder *d, const struct ptx_var *var)
{
    unsigned bytes = ptx_type_bytes(var->type);
    uint32_t count = var->reg_count ? var->reg_count : 1;
    uint32_t first = d->n_vregs;

    if (bytes == 16 || (bytes == 1 && var->type != PTX_PRED))
        return unsupported_registers(d, var);
    if (bytes == 0 || var->vec > 1 || count > FRAME_REGISTERS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t vreg;
        int ret = decode_vreg(d, bytes, false, &vreg);

        if (ret)
            return ret;
    }
    return names_add(&d->names, var->name, var->reg_count ? NAME_REGISTERS : NAME_REGISTER, first, count,
                     NULL);
}

static uint32_t align_up(uint32_t value, uint32_t align)
{
    return align > 1 ? (value + align - 1) / align * align : value;
}

int decode_param_var(struct decoder *d, const struct ptx_var *var)
{
    struct function *f = d->function;
    uint32_t offset = align_up(d->param_top, var->align_bytes ? var->align_bytes : 1);

    if (var->size_bytes > PARAM_BYTES_MAX || offset + var->size_bytes > 4 * PARAM_BYTES_MAX)
        return -EINVAL;
    d->param_top = offset + (uint32_t)var->size_bytes;
    if (f->param_bytes < d->param_top)
        f->param_bytes = d->param_top;
    return names_add(&d->names, var->name, NAME_PARAM, offset, (uint32_t)var->size_bytes, NULL);
}

/* The address of local memory at offset: a register that each new frame fills. */
static int declare_local_address(struct decoder *d, uint32_t offset, uint32_t *ret_vreg)
{
    int ret = decode_grow((void **)&d->locals, d->n_locals, &d->locals_capacity, sizeof *d->locals);

    if (!ret)
        ret = decode_vreg(d, 8, true, ret_vreg);
    if (ret)
        return ret;
    d->locals[d->n_locals++] = (struct local_symbol){.slot_bytes = *ret_vreg, .offset_bytes = offset};
    return 0;
}

static int declare_local(struct decoder *d, const struct ptx_var *var)
{
    struct function *f = d->function;
    uint32_t offset = align_up(f->local_bytes, var->align_bytes ? var->align_bytes : 1), vreg;
    int ret;

    if (var->size_bytes > LOCAL_BYTES_MAX || offset + var->size_bytes > LOCAL_BYTES_MAX)
        return -EINVAL;
    f->local_bytes = offset + (uint32_t)var->size_bytes;
    ret = declare_local_address(d, offset, &vreg);
    return ret ? ret : names_add(&d->names, var->name, NAME_LOCAL, vreg, offset, NULL);
}

/* Variables of the static spaces inside a function were registered by declare_statics; here they get their
 * name. */
static int declare_static(struct decoder *d, const struct ptx_var *var)
{
    for (uint32_t i = 0; i < d->program->n_shared; i++)
        if (d->shared_vars[i] == var)
            return names_add(&d->names, var->name, NAME_SHARED, i, 0, NULL);
    for (size_t i = 0; i < d->program->n_globals; i++)
        if (d->program->global_vars[i] == var)
            return names_add(&d->names, var->name, NAME_GLOBAL, (uint32_t)i, 0, NULL);
    return -EINVAL;
}

static int declare_var(struct decoder *d, const struct ptx_var *var)
{
    switch (var->space) {
    case PTX_SPACE_REG:
        return declare_register(d, var);
    case PTX_SPACE_PARAM:
        return decode_param_var(d, var);
    case PTX_SPACE_LOCAL:
        return declare_local(d, var);
    default:
        return declare_static(d, var);
    }
}

/* ---- operands ---- */

int decode_constant(struct decoder *d, uint32_t global, uint64_t bits, unsigned bytes, uint32_t *ret_operand)
{
    struct constant *constant;
    unsigned bucket;
    int ret;

    if (global == CONSTANT_LITERAL && bytes < 8)
        bits &= (UINT64_C(1) << (8 * bytes)) - 1;
    bucket = (unsigned)((bits ^ bits >> 17 ^ bits >> 40 ^ global * 31 ^ bytes * 7) % CONSTANT_BUCKETS);
    for (int32_t i = d->constant_buckets[bucket]; i >= 0; i = constant->next) {
        constant = &d->constants[i];
        if (constant->bits == bits && constant->bytes == bytes && constant->global == global) {
            *ret_operand = OPERAND(BASE_CONST, constant->offset_bytes);
            return 0;
        }
    }
    ret = decode_grow((void **)&d->constants, d->n_constants, &d->constants_capacity, sizeof *d->constants);
    if (ret)
        return ret;
    d->constants[d->n_constants] = (struct constant){.bits = bits,
                                                     .bytes = (uint8_t)bytes,
                                                     .global = global,
                                                     .offset_bytes = d->const_bytes,
                                                     .next = d->constant_buckets[bucket]};
    d->constant_buckets[bucket] = (int32_t)d->n_constants++;
    *ret_operand = OPERAND(BASE_CONST, d->const_bytes);
    d->const_bytes += LANES * bytes;
    return 0;
}

static int shared_address(struct decoder *d, uint32_t shared, int64_t addend, uint32_t *ret_operand)
{
    int ret;

    d->function->shared_used[shared / 8] |= (uint8_t)(1u << shared % 8);
    for (uint32_t i = 0; i < d->n_symbols; i++) {
        if (d->symbols[i].shared == shared && d->symbols[i].addend == addend) {
            *ret_operand = launch_symbol_operand(i);
            return 0;
        }
    }
    ret = decode_grow((void **)&d->symbols, d->n_symbols, &d->symbols_capacity, sizeof *d->symbols);
    if (ret)
        return ret;
    d->symbols[d->n_symbols] = (struct launch_symbol){.shared = shared, .addend = addend};
    *ret_operand = launch_symbol_operand(d->n_symbols++);
    return 0;
}

/* A name that is not a special register: a register's lanes, or the lanes that hold a symbol's address. */
static int source_name(struct decoder *d, const struct ptx_insn *ast, const struct name *name,
                       uint32_t member, int64_t addend, uint32_t *ret_operand, uint8_t *ret_bytes)
{
    uint32_t vreg;
    int ret;

    *ret_bytes = 8;
    switch (name->kind) {
    case NAME_REGISTER:
    case NAME_REGISTERS:
        *ret_bytes = d->vregs[name->index + member].bytes;
        *ret_operand = OPERAND(BASE_FRAME, name->index + member);
        return 0;
    case NAME_GLOBAL:
        d->function->globals_used[name->index / 8] |= (uint8_t)(1u << name->index % 8);
        return decode_constant(d, name->index, (uint64_t)addend, 8, ret_operand);
    case NAME_SHARED:
        return shared_address(d, name->index, addend, ret_operand);
    case NAME_PARAM:
        return decode_constant(d, CONSTANT_LITERAL, name->index + (uint64_t)addend, 8, ret_operand);
    case NAME_FUNCTION:
        return decode_constant(d, CONSTANT_LITERAL, function_address(name->index), 8, ret_operand);
    case NAME_LOCAL:
        vreg = name->index;
        ret = addend ? declare_local_address(d, (uint32_t)((int64_t)name->count + addend), &vreg) : 0;
        *ret_operand = OPERAND(BASE_FRAME, vreg);
        return ret;
    default:
        return decode_fail(d, -EINVAL, ast, "not a value");
    }
}

static uint64_t literal_bits(const struct ptx_operand *operand, enum ptx_type want)
{
    union {
        uint64_t bits;
        double value;
    } wide = {.bits = (uint64_t)operand->i};
    union {
        uint32_t bits;
        float value;
    } narrow;

    if (operand->kind != PTX_OP_F64 || ptx_type_bytes(want) != 4)
        return wide.bits;
    narrow.value = (float)wide.value;
    return narrow.bits;
}

int decode_source(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                  enum ptx_type want, uint32_t *ret_operand, uint8_t *ret_bytes)
{
    unsigned bytes = ptx_type_bytes(want);
    const struct name *name;
    uint32_t member;

    switch (operand->kind) {
    case PTX_OP_NAME:
        name = names_find(&d->names, operand->name, &member);
        if (name)
            return source_name(d, ast, name, member, operand->i, ret_operand, ret_bytes);
        if (strcmp(operand->name, "WARP_SZ") == 0) {
            *ret_bytes = (uint8_t)(bytes ? bytes : 4);
            return decode_constant(d, CONSTANT_LITERAL, LANES, *ret_bytes, ret_operand);
        }
        if (operand->name[0] != '%')
            return decode_fail(d, -EINVAL, ast, "unknown name");
        if (decode_special(operand, ret_operand, ret_bytes))
            return decode_fail(d, -ENOTSUP, ast, "special register not supported");
        return 0;
    case PTX_OP_INT:
    case PTX_OP_F32:
    case PTX_OP_F64:
        if (bytes == 0 || bytes > 8)
            return decode_fail(d, -ENOTSUP, ast, "literal of this type not supported");
        *ret_bytes = (uint8_t)bytes;
        return decode_constant(d, CONSTANT_LITERAL, literal_bits(operand, want), bytes, ret_operand);
    default:
        return decode_fail(d, -EINVAL, ast, "operand of the wrong kind");
    }
}

int decode_source_at(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                     enum ptx_type want, struct insn *insn, unsigned index)
{
    if (index >= INSN_SRC_MAX)
        return decode_fail(d, -ENOTSUP, ast, "too many operands");
    if (operand->negated)
        insn->src_not |= (uint8_t)(1u << index);
    if (decode_type_is_signed(want))
        insn->src_signed |= (uint8_t)(1u << index);
    insn->op_bytes[index] = (uint8_t)ptx_type_bytes(want);
    if (insn->n_src <= index)
        insn->n_src = (uint8_t)(index + 1);
    return decode_source(d, ast, operand, want, &insn->src[index], &insn->src_bytes[index]);
}

int decode_destination(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                       struct insn *insn, unsigned index)
{
    const struct name *name;
    uint32_t member;

    if (index >= INSN_DST_MAX)
        return decode_fail(d, -ENOTSUP, ast, "too many destinations");
    if (insn->n_dst <= index)
        insn->n_dst = (uint8_t)(index + 1);
    if (operand->kind == PTX_OP_SINK)
        return 0;
    name = operand->kind == PTX_OP_NAME ? names_find(&d->names, operand->name, &member) : NULL;
    if (!name || (name->kind != NAME_REGISTER && name->kind != NAME_REGISTERS))
        return decode_fail(d, -EINVAL, ast, "destination is not a register");
    insn->dst[index] = OPERAND(BASE_FRAME, name->index + member);
    insn->dst_bytes[index] = d->vregs[name->index + member].bytes;
    return 0;
}

int decode_address(struct decoder *d, const struct ptx_insn *ast, const struct ptx_operand *operand,
                   struct insn *insn)
{
    struct ptx_operand base = {.kind = PTX_OP_NAME, .name = operand->name};
    int ret;

    if (operand->kind != PTX_OP_ADDR)
        return decode_fail(d, -EINVAL, ast, "not an address");
    insn->imm = operand->i;
    if (!operand->name) {
        base = (struct ptx_operand){.kind = PTX_OP_INT, .i = operand->i};
        insn->imm = 0;
    }
    ret = decode_source_at(d, ast, &base, PTX_U64, insn, 0);
    if (!ret && insn->src_bytes[0] != 4 && insn->src_bytes[0] != 8)
        return decode_fail(d, -EINVAL, ast, "address is neither 32 nor 64 bits wide");
    return ret;
}

/* ---- modifiers ---- */

bool decode_has(const struct ptx_insn *ast, const char *modifier)
{
    for (unsigned i = 0; i < ast->n_modifiers; i++)
        if (strcmp(ast->modifiers[i], modifier) == 0)
            return true;
    return false;
}

enum ptx_type decode_type_of(const char *word)
{
    for (int type = PTX_PRED; type < PTX_TYPE_COUNT; type++)
        if (strcmp(ptx_type_name((enum ptx_type)type), word) == 0)
            return (enum ptx_type)type;
    return PTX_NONE;
}

enum ptx_type decode_last_type(const struct ptx_insn *ast)
{
    return ast->n_modifiers ? decode_type_of(ast->modifiers[ast->n_modifiers - 1]) : PTX_NONE;
}

bool decode_type_is_signed(enum ptx_type type)
{
    return type >= PTX_S8 && type <= PTX_S64;
}

/* ---- function bodies ---- */

static void insn_init(struct insn *insn, int line)
{
    memset(insn, 0, sizeof *insn);
    memset(insn->dst, 0xff, sizeof insn->dst);
    memset(insn->src, 0xff, sizeof insn->src);
    insn->guard = OPERAND_NONE;
    insn->line = line > 0 ? (uint32_t)line : 0;
    insn->cost = COST_CONTROL;
}

static int insn_append(struct decoder *d, struct insn *insn)
{
    int ret = decode_grow((void **)&d->code, d->n_code, &d->code_capacity, sizeof *d->code);

    if (ret)
        return ret;
    insn->latency_cycles = cost_table[insn->cost].latency_cycles;
    d->code[d->n_code++] = *insn;
    return 0;
}

static int decode_guard(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    uint32_t member;
    const struct name *name;

    if (!ast->guard)
        return 0;
    name = names_find(&d->names, ast->guard, &member);
    if (!name || (name->kind != NAME_REGISTER && name->kind != NAME_REGISTERS) ||
        d->vregs[name->index + member].bytes != 1)
        return decode_fail(d, -EINVAL, ast, "guard is not a predicate");
    insn->guard = OPERAND(BASE_FRAME, name->index + member);
    insn->guard_not = ast->guard_negated;
    return 0;
}

static int decode_insn(struct decoder *d, const struct ptx_insn *ast)
{
    decode_fn kind = decode_kind_find(ast->op);
    struct insn insn;
    int ret;

    insn_init(&insn, ast->line);
    ret = (kind ? kind : decode_alu)(d, ast, &insn);
    if (!ret)
        ret = decode_guard(d, ast, &insn);
    if (ret == -ENOTSUP) {
        if (!d->function->unsupported)
            d->function->unsupported = zone_printf(&d->program->zone, "%s", d->error);
        insn_init(&insn, ast->line);
        insn.run = run_unsupported;
        ret = d->function->unsupported ? 0 : -ENOMEM;
    }
    return ret ? ret : insn_append(d, &insn);
}

/* Names that may be used before they are written: labels, branch tables and prototypes of the scope that
 * begins at i. */
static int declare_labels(struct decoder *d, const struct ptx_func *ast, size_t i)
{
    uint32_t pc = d->n_code;
    int depth = 0, ret = 0;

    for (; i < ast->n_stmts && depth >= 0 && !ret; i++) {
        const struct ptx_stmt *stmt = &ast->stmts[i];

        if (stmt->kind == PTX_STMT_INSN)
            pc++;
        else if (stmt->kind == PTX_STMT_SCOPE_BEGIN)
            depth++;
        else if (stmt->kind == PTX_STMT_SCOPE_END)
            depth--;
        else if (depth == 0 && stmt->kind == PTX_STMT_LABEL)
            ret = names_add(&d->names, stmt->label.name, NAME_LABEL, pc, 0, NULL);
        else if (depth == 0 && stmt->kind == PTX_STMT_BRANCH_TARGETS)
            ret = names_add(&d->names, stmt->label.name, NAME_TARGETS, 0, 0, stmt);
        else if (depth == 0 && stmt->kind == PTX_STMT_CALL_PROTOTYPE)
            ret = names_add(&d->names, stmt->prototype.name, NAME_PROTOTYPE, 0, 0, stmt->prototype.proto);
    }
    return ret;
}

/* Parameter variables of a scope, one set a call, give their room to those of the next. */
static void scope_begin(struct decoder *d)
{
    if (d->names.depth < DECODE_SCOPES_MAX)
        d->param_tops[d->names.depth] = d->param_top;
    names_scope_begin(&d->names);
}

static void scope_end(struct decoder *d)
{
    names_scope_end(&d->names);
    if (d->names.depth < DECODE_SCOPES_MAX)
        d->param_top = d->param_tops[d->names.depth];
}

static int decode_body(struct decoder *d, const struct ptx_func *ast)
{
    uint32_t outer = d->names.depth;
    int ret = declare_labels(d, ast, 0);

    for (size_t i = 0; i < ast->n_stmts && !ret; i++) {
        const struct ptx_stmt *stmt = &ast->stmts[i];

        d->error[0] = '\0';
        if (stmt->kind == PTX_STMT_INSN) {
            ret = decode_insn(d, stmt->insn);
        } else if (stmt->kind == PTX_STMT_VAR) {
            ret = declare_var(d, stmt->var);
        } else if (stmt->kind == PTX_STMT_SCOPE_BEGIN) {
            scope_begin(d);
            ret = declare_labels(d, ast, i + 1);
        } else if (stmt->kind == PTX_STMT_SCOPE_END && d->names.depth > outer) {
            scope_end(d);
        }
        if (ret == -EINVAL && !d->error[0] && stmt->kind == PTX_STMT_VAR)
            snprintf(d->error, PTX_ERROR_TEXT_MAX, "line %d: cannot declare %.200s", stmt->var->line,
                     stmt->var->name);
    }
    while (d->names.depth > outer)
        names_scope_end(&d->names);
    return ret;
}

/* Formals were laid out by program.c; here they get their names, and registers where they are registers. */
static int declare_formals(struct decoder *d, const struct ptx_var *vars, struct formal *formals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t vreg = 0;
        int ret = 0;

        if (formals[i].in_register) {
            ret = decode_vreg(d, ptx_type_bytes(vars[i].type), true, &vreg);
            if (!ret)
                ret = names_add(&d->names, vars[i].name, NAME_REGISTER, vreg, 1, NULL);
            formals[i].offset_bytes = vreg;
        } else {
            ret = names_add(&d->names, vars[i].name, NAME_PARAM, formals[i].offset_bytes,
                            formals[i].size_bytes, NULL);
        }
        if (ret)
            return ret;
    }
    return 0;
}

/* A body may end without ret: this one stands behind it and is never counted when there is one. */
static int append_end(struct decoder *d)
{
    struct insn end;

    insn_init(&end, d->function->ast->line);
    end.run = run_ret;
    return insn_append(d, &end);
}

static int keep_lists(struct decoder *d, struct function *function)
{
    function->locals = zone_copy(&d->program->zone, d->locals, d->n_locals * sizeof *d->locals);
    function->calls = zone_copy(&d->program->zone, d->calls, d->n_calls * sizeof *d->calls);
    function->n_locals = d->n_locals;
    function->n_calls = d->n_calls;
    return function->locals && function->calls ? 0 : -ENOMEM;
}

static int decode_function(struct decoder *d, struct function *function)
{
    uint32_t first_pc = d->n_code;
    int ret;

    d->function = function;
    d->n_vregs = d->n_locals = d->n_calls = 0;
    d->param_top = function->param_bytes;
    function->entry_pc = first_pc;
    names_scope_begin(&d->names);
    ret = decode_vreg(d, 1, true, &d->carry);
    if (!ret)
        ret = declare_formals(d, function->ast->params, function->params, function->n_params);
    if (!ret)
        ret = declare_formals(d, function->ast->returns, function->returns, function->n_returns);
    if (!ret)
        ret = decode_body(d, function->ast);
    if (!ret)
        ret = append_end(d);
    function->end_pc = d->n_code;
    if (!ret)
        ret = slots_assign(d, first_pc);
    if (!ret)
        ret = keep_lists(d, function);
    names_scope_end(&d->names);
    return ret;
}

int decode_module(struct decoder *d)
{
    int ret = 0;

    for (uint32_t i = 0; i < d->program->n_functions && !ret; i++)
        ret = names_add(&d->names, d->program->functions[i].name, NAME_FUNCTION, i, 0, NULL);
    for (uint32_t i = 0; i < d->program->n_shared && !ret; i++)
        if (!d->shared_in_function[i])
            ret = names_add(&d->names, d->shared_vars[i]->name, NAME_SHARED, i, 0, NULL);
    for (uint32_t i = 0; i < d->program->n_globals && !ret; i++)
        if (!d->global_in_function[i])
            ret = names_add(&d->names, d->program->global_vars[i]->name, NAME_GLOBAL, i, 0, NULL);
    for (uint32_t i = 0; i < d->program->n_functions && !ret; i++)
        if (d->program->functions[i].has_body)
            ret = decode_function(d, &d->program->functions[i]);
    return ret;
}
