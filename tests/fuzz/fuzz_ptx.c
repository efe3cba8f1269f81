/* ptx_parse on any bytes: it answers, keeps its promises about error and result, and every statement list is
 * balanced. Run by libFuzzer (option fuzz), else by replay.c over the corpus. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/ptx/arena.h"
#include "softgpu/ptx/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* abort() is how a fuzzer learns of a broken promise. */
static void promise(bool holds)
{
    if (!holds)
        abort();
}

static size_t read_operands(const struct ptx_operand *operands, size_t n)
{
    size_t read = 0;

    for (size_t i = 0; i < n; i++) {
        const struct ptx_operand *operand = &operands[i];

        promise(operand->kind != PTX_OP_NONE);
        promise(operand->kind != PTX_OP_NAME || operand->name);
        read += operand->name ? strlen(operand->name) : 0;
        read += read_operands(operand->items, operand->n_items);
        read += operand->second ? read_operands(operand->second, 1) : 0;
    }
    return read;
}

static void read_var(const struct ptx_var *var)
{
    promise(var->name && var->type != PTX_NONE && var->align_bytes &&
            !(var->align_bytes & (var->align_bytes - 1)));
    promise(var->init_bytes <= var->size_bytes);
    for (size_t i = 0; i < var->n_relocs; i++)
        promise(var->relocs[i].symbol &&
                var->relocs[i].offset_bytes + var->relocs[i].width_bytes <= var->init_bytes);
}

static void read_func(const struct ptx_func *func)
{
    size_t depth = 0;

    promise(func->name && (func->has_body || !func->n_stmts));
    for (size_t i = 0; i < func->n_params; i++)
        read_var(&func->params[i]);
    for (size_t i = 0; i < func->n_stmts; i++) {
        const struct ptx_stmt *stmt = &func->stmts[i];

        if (stmt->kind == PTX_STMT_SCOPE_BEGIN)
            depth++;
        else if (stmt->kind == PTX_STMT_SCOPE_END)
            promise(depth-- > 0);
        else if (stmt->kind == PTX_STMT_VAR)
            read_var(stmt->var);
        else if (stmt->kind == PTX_STMT_INSN)
            promise(stmt->insn->op && strlen(stmt->insn->text) >= strlen(stmt->insn->op) &&
                    read_operands(stmt->insn->operands, stmt->insn->n_operands) < SIZE_MAX);
    }
    promise(depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct ptx_module *module = NULL;
    char error[PTX_ERROR_TEXT_MAX];
    int rc = ptx_parse((const char *)bytes, count, &module, error);

    if (rc) {
        promise(rc == -EINVAL && !module && !strncmp(error, "line ", 5) && strlen(error) < sizeof(error));
        return 0;
    }
    promise(module && !error[0] && arena_bytes(module->arena) <= 128 * count + (16 << 10) + (1 << 20));
    for (size_t i = 0; i < module->n_vars; i++)
        read_var(&module->vars[i]);
    for (size_t i = 0; i < module->n_funcs; i++)
        read_func(&module->funcs[i]);
    ptx_free(module);
    return 0;
}
