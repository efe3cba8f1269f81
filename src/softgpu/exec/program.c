/* From a parsed module to a program and back to nothing: declares globals, shared variables and functions,
 * has their bodies decoded, and works out what each kernel needs. exec_program_bind then fills in the
 * addresses that only the driver knows. */
#include "softgpu/exec/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/decode.h"
#include "softgpu/exec/link.h"

enum { PARAM_BLOCK_MAX = 32764 };

/* ---- variables ---- */

typedef int (*var_visit)(struct decoder *d, const struct ptx_var *var, bool in_function);

/* Module variables, then those declared inside functions. */
static int visit_vars(struct decoder *d, var_visit visit)
{
    const struct ptx_module *m = d->module;
    int ret = 0;

    for (size_t i = 0; i < m->n_vars && !ret; i++)
        ret = visit(d, &m->vars[i], false);
    for (size_t i = 0; i < m->n_funcs && !ret; i++)
        for (size_t j = 0; j < m->funcs[i].n_stmts && !ret; j++)
            if (m->funcs[i].stmts[j].kind == PTX_STMT_VAR)
                ret = visit(d, m->funcs[i].stmts[j].var, true);
    return ret;
}

static bool is_global(const struct ptx_var *var)
{
    return var->space == PTX_SPACE_GLOBAL || var->space == PTX_SPACE_CONST;
}

static int count_var(struct decoder *d, const struct ptx_var *var, bool in_function)
{
    d->program->n_globals += is_global(var);
    d->program->n_shared += var->space == PTX_SPACE_SHARED;
    return 0;
}

static int add_var(struct decoder *d, const struct ptx_var *var, bool in_function)
{
    struct exec_program *p = d->program;
    uint32_t align = var->align_bytes ? var->align_bytes : 1;

    if (is_global(var)) {
        ((struct exec_global *)p->globals)[p->n_globals] = (struct exec_global){.name = var->name,
                                                                                .space = var->space,
                                                                                .size_bytes = var->size_bytes,
                                                                                .align_bytes = align,
                                                                                .is_managed = var->is_managed,
                                                                                .is_extern = var->is_extern};
        ((const struct ptx_var **)p->global_vars)[p->n_globals] = var;
        d->global_in_function[p->n_globals++] = in_function;
    } else if (var->space == PTX_SPACE_SHARED) {
        if (var->size_bytes > UINT32_MAX / 2 || align > 4096) {
            snprintf(d->error, PTX_ERROR_TEXT_MAX, "line %d: shared variable %.200s is too large", var->line,
                     var->name);
            return -EINVAL;
        }
        ((struct shared_symbol *)p->shared)[p->n_shared] =
            (struct shared_symbol){.name = var->name, .size_bytes = var->size_bytes, .align_bytes = align};
        d->shared_vars[p->n_shared] = var;
        d->shared_in_function[p->n_shared++] = in_function;
    }
    return 0;
}

static int declare_vars(struct decoder *d)
{
    struct exec_program *p = d->program;
    struct zone *zone = &p->zone;
    int ret = visit_vars(d, count_var);
    size_t n_globals = p->n_globals, n_shared = p->n_shared;

    p->globals = zone_alloc(zone, (n_globals + 1) * sizeof *p->globals);
    p->global_vars = zone_alloc(zone, (n_globals + 1) * sizeof *p->global_vars);
    p->shared = zone_alloc(zone, (n_shared + 1) * sizeof *p->shared);
    d->shared_vars = zone_alloc(zone, (n_shared + 1) * sizeof *d->shared_vars);
    d->shared_in_function = zone_alloc(zone, n_shared + 1);
    d->global_in_function = zone_alloc(zone, n_globals + 1);
    if (!p->globals || !p->global_vars || !p->shared || !d->shared_vars || !d->shared_in_function ||
        !d->global_in_function)
        return -ENOMEM;
    p->n_globals = p->n_shared = 0;
    return ret ? ret : visit_vars(d, add_var);
}

/* ---- functions ---- */

/* Lays formals out one after the other, each at its alignment. */
static int layout_formals(struct zone *zone, const struct ptx_var *vars, size_t n, uint32_t *offset,
                          struct formal **ret_formals)
{
    struct formal *formals = zone_alloc(zone, (n + 1) * sizeof *formals);

    if (!formals)
        return -ENOMEM;
    *ret_formals = formals;
    for (size_t i = 0; i < n; i++) {
        uint32_t align = vars[i].align_bytes ? vars[i].align_bytes : 1;

        formals[i].name = vars[i].name;
        formals[i].in_register = vars[i].space == PTX_SPACE_REG;
        formals[i].size_bytes =
            formals[i].in_register ? ptx_type_bytes(vars[i].type) : (uint32_t)vars[i].size_bytes;
        if (formals[i].in_register)
            continue;
        if (vars[i].size_bytes > PARAM_BLOCK_MAX || align > 4096)
            return -EINVAL;
        *offset = (*offset + align - 1) / align * align;
        formals[i].offset_bytes = *offset;
        *offset += formals[i].size_bytes;
        if (*offset > PARAM_BLOCK_MAX)
            return -EINVAL;
    }
    return 0;
}

static int declare_function(struct decoder *d, const struct ptx_func *ast, struct function *f)
{
    struct exec_program *p = d->program;
    uint32_t offset = 0;
    int ret;

    f->name = ast->name;
    f->index = (uint32_t)(f - p->functions);
    f->ast = ast;
    f->is_entry = ast->is_entry;
    f->has_body = ast->has_body;
    f->n_params = (uint32_t)ast->n_params;
    f->n_returns = (uint32_t)ast->n_returns;
    f->shared_used = zone_alloc(&p->zone, p->n_shared / 8 + 1);
    f->globals_used = zone_alloc(&p->zone, p->n_globals / 8 + 1);
    if (!f->shared_used || !f->globals_used)
        return -ENOMEM;
    ret = layout_formals(&p->zone, ast->params, ast->n_params, &offset, &f->params);
    f->entry_param_bytes = ast->is_entry ? offset : 0;
    if (!ret)
        ret = layout_formals(&p->zone, ast->returns, ast->n_returns, &offset, &f->returns);
    f->param_bytes = offset;
    if (ret == -EINVAL)
        snprintf(d->error, PTX_ERROR_TEXT_MAX, "line %d: parameters of %.200s are too large", ast->line,
                 ast->name);
    return ret;
}

static int declare_functions(struct decoder *d)
{
    struct exec_program *p = d->program;
    int ret = 0;

    p->n_functions = (uint32_t)d->module->n_funcs;
    p->functions = zone_alloc(&p->zone, (d->module->n_funcs + 1) * sizeof *p->functions);
    if (!p->functions)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->n_functions && !ret; i++)
        ret = declare_function(d, &d->module->funcs[i], &p->functions[i]);
    return ret;
}

/* ---- constants ---- */

static void fill_lanes(char *lanes, unsigned bytes, uint64_t value)
{
    for (unsigned lane = 0; lane < LANES; lane++)
        memcpy(lanes + (size_t)lane * bytes, &value, bytes);
}

static int keep_constants(struct decoder *d)
{
    struct exec_program *p = d->program;
    struct global_fixup *fixups;

    p->const_bytes = d->const_bytes;
    p->consts = zone_alloc(&p->zone, d->const_bytes + 64u);
    fixups = zone_alloc(&p->zone, (d->n_constants + 1) * sizeof *fixups);
    p->symbols = zone_copy(&p->zone, d->symbols, d->n_symbols * sizeof *d->symbols);
    p->n_symbols = d->n_symbols;
    p->code = zone_copy(&p->zone, d->code, d->n_code * sizeof *d->code);
    p->n_code = d->n_code;
    p->fixups = fixups;
    if (!p->consts || !fixups || !p->symbols || !p->code)
        return -ENOMEM;
    for (uint32_t i = 0; i < d->n_constants; i++) {
        const struct constant *constant = &d->constants[i];

        if (constant->global == CONSTANT_LITERAL)
            fill_lanes(p->consts + constant->offset_bytes, constant->bytes, constant->bits);
        else
            fixups[p->n_fixups++] = (struct global_fixup){.global = constant->global,
                                                          .addend = (int64_t)constant->bits,
                                                          .offset_bytes = constant->offset_bytes};
    }
    return 0;
}

/* ---- the whole ---- */

static void decoder_done(struct decoder *d)
{
    names_done(&d->names);
    free(d->code);
    free(d->constants);
    free(d->symbols);
    free(d->vregs);
    free(d->locals);
    free(d->calls);
}

int exec_program_new(const struct ptx_module *module, struct exec_program **ret_program,
                     char error[PTX_ERROR_TEXT_MAX])
{
    struct exec_program *program = calloc(1, sizeof *program);
    struct decoder d = {.program = program, .module = module, .error = error};
    int ret;

    if (!program)
        return -ENOMEM;
    error[0] = '\0';
    program->module = module;
    names_init(&d.names);
    memset(d.constant_buckets, -1, sizeof d.constant_buckets);
    ret = declare_vars(&d);
    if (!ret)
        ret = declare_functions(&d);
    if (!ret)
        ret = decode_module(&d);
    if (!ret)
        ret = keep_constants(&d);
    if (!ret)
        ret = link_kernels(program);
    decoder_done(&d);
    if (ret) {
        if (!error[0])
            snprintf(error, PTX_ERROR_TEXT_MAX, "%s", ret == -ENOMEM ? "out of memory" : "broken PTX");
        exec_program_free(program);
        return ret;
    }
    *ret_program = program;
    return 0;
}

void exec_program_free(struct exec_program *program)
{
    if (!program)
        return;
    zone_done(&program->zone);
    free(program);
}

size_t exec_program_kernels(const struct exec_program *program, const struct exec_kernel **ret_kernels)
{
    *ret_kernels = program->kernels;
    return program->n_kernels;
}

size_t exec_program_globals(const struct exec_program *program, const struct exec_global **ret_globals)
{
    *ret_globals = program->globals;
    return program->n_globals;
}

/* ---- binding ---- */

/* What a symbol in an initialiser stands for; false: nothing of that name. */
static bool symbol_address(const struct exec_program *program, const uint64_t *addresses, const char *name,
                           uint64_t *ret_address)
{
    for (size_t i = 0; i < program->n_globals; i++) {
        if (strcmp(program->globals[i].name, name) == 0) {
            *ret_address = addresses[i];
            return true;
        }
    }
    for (uint32_t i = 0; i < program->n_functions; i++) {
        if (strcmp(program->functions[i].name, name) == 0) {
            *ret_address = function_address(i);
            return true;
        }
    }
    return false;
}

static int write_initial(const struct exec_program *program, const uint64_t *addresses,
                         const struct ptx_var *var, char *to)
{
    memset(to, 0, var->size_bytes);
    if (var->init)
        memcpy(to, var->init, var->init_bytes);
    for (size_t i = 0; i < var->n_relocs; i++) {
        const struct ptx_reloc *reloc = &var->relocs[i];
        uint64_t address;

        if (!symbol_address(program, addresses, reloc->symbol, &address) ||
            reloc->offset_bytes + reloc->width_bytes > var->size_bytes || reloc->width_bytes > 8)
            return -EINVAL;
        address = (address + (uint64_t)reloc->addend) >> reloc->shift_bits;
        memcpy(to + reloc->offset_bytes, &address, reloc->width_bytes);
    }
    return 0;
}

int exec_program_bind(struct exec_program *program, const uint64_t *addresses, void *const *host)
{
    for (size_t i = 0; i < program->n_globals; i++) {
        int ret = program->globals[i].is_extern
                      ? 0
                      : write_initial(program, addresses, program->global_vars[i], host[i]);

        if (ret)
            return ret;
    }
    for (uint32_t i = 0; i < program->n_fixups; i++) {
        const struct global_fixup *fixup = &program->fixups[i];

        fill_lanes(program->consts + fixup->offset_bytes, 8,
                   addresses[fixup->global] + (uint64_t)fixup->addend);
    }
    return 0;
}
