/* What the tests of the PTX parser share: reading a text that must be good or must be refused, and finding
 * things in the module. Included by test_ptx_*.c only. */
#ifndef VGPU_TESTS_TEST_PTX_H
#define VGPU_TESTS_TEST_PTX_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "softgpu/ptx/ast.h"

#define PTX_HEAD ".version 7.5\n.target sm_75\n.address_size 64\n"

/* The module of PTX_HEAD and text, which must be good. */
static inline struct ptx_module *ptx_read(const char *text)
{
    char *whole, error[PTX_ERROR_TEXT_MAX];
    struct ptx_module *module = NULL;

    assert_true(asprintf(&whole, PTX_HEAD "%s", text) > 0);
    if (ptx_parse(whole, strlen(whole), &module, error))
        fail_msg("%s", error);
    assert_string_equal(error, "");
    free(whole);
    return module;
}

/* PTX_HEAD and text must be refused with words that hold `words`. */
static inline void ptx_refuse(const char *text, const char *words)
{
    char *whole, error[PTX_ERROR_TEXT_MAX];
    struct ptx_module *module = NULL;

    assert_true(asprintf(&whole, PTX_HEAD "%s", text) > 0);
    assert_int_equal(ptx_parse(whole, strlen(whole), &module, error), -EINVAL);
    assert_null(module);
    if (!strstr(error, words))
        fail_msg("\"%s\" says \"%s\", not \"%s\"", text, error, words);
    free(whole);
}

static inline const struct ptx_var *ptx_var(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < module->n_vars; i++) {
        if (!strcmp(module->vars[i].name, name))
            return &module->vars[i];
    }
    fail_msg("no variable %s", name);
    return NULL;
}

static inline const struct ptx_func *ptx_func(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < module->n_funcs; i++) {
        if (!strcmp(module->funcs[i].name, name))
            return &module->funcs[i];
    }
    fail_msg("no function %s", name);
    return NULL;
}

#endif
