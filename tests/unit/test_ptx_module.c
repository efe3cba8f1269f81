/* Promises of the PTX parser about a module's outline: header lines, variables, functions and their heads,
 * declarations that belong together, several units in one text. */
#include "test_ptx.h"

static void the_header_lines_are_read(void **state)
{
    struct ptx_module *module;
    char error[PTX_ERROR_TEXT_MAX];
    const char *text =
        "// by a compiler\n/* of\nours */ .version 8.10\n.target sm_90a, texmode_independent, debug\n"
        ".address_size 64";

    assert_int_equal(ptx_parse(text, strlen(text), &module, error), 0);
    assert_int_equal(module->version_major, 8);
    assert_int_equal(module->version_minor, 10);
    assert_int_equal(module->target_sm, 90);
    assert_int_equal(module->address_bits, 64);
    assert_int_equal(module->n_vars, 0);
    assert_int_equal(module->n_funcs, 0);
    ptx_free(module);
}

static void a_text_without_a_header_is_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {{"", ".version"},
                {"   \n", ".version"},
                {"hello", ".version"},
                {".target sm_75", ".version"},
                {".version 7.5", "no .target"},
                {".version x", "such as 7.5"},
                {".version 7", "such as 7.5"},
                {".version 7.5 .target sm_75 .address_size 32", "64-bit"},
                {".version 7.5 .target 75", "such as sm_75"}};
    char error[PTX_ERROR_TEXT_MAX];
    struct ptx_module *module;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ptx_parse(rows[i].text, strlen(rows[i].text), &module, error), -EINVAL);
        if (!strstr(error, rows[i].words))
            fail_msg("\"%s\": %s", rows[i].text, error);
    }
}

static void reading_stops_at_the_first_nul(void **state)
{
    static const char text[] = PTX_HEAD ".global .b8 a;\0garbage {{{";
    char error[PTX_ERROR_TEXT_MAX];
    struct ptx_module *module;

    assert_int_equal(ptx_parse(text, sizeof(text), &module, error), 0);
    ptx_free(module);
    assert_int_equal(ptx_parse(text, SIZE_MAX, &module, error), 0);
    ptx_free(module);
    assert_int_equal(ptx_parse(text, strlen(text) - 1, &module, error), -EINVAL);
}

static void variables_have_space_type_size_and_alignment(void **state)
{
    struct ptx_module *module = ptx_read(".visible .global .align 4 .u32 x;\n"
                                         ".extern .shared .align 16 .b8 buf[];\n"
                                         ".const .f64 c[3], d;\n"
                                         ".shared .v4 .f32 v;\n"
                                         ".global .attribute(.managed) .align 4 .f32 mf;\n"
                                         ".weak .shared .b8 w[7];\n"
                                         ".common .global .s16 m[2][3];\n"
                                         ".global .texref tex;\n"
                                         ".global .attribute(.unified(1, 2)) .u8 u;\n");
    const struct ptx_var *var = ptx_var(module, "x");

    assert_int_equal(module->n_vars, 10);
    assert_true(var->is_visible && !var->is_extern && !var->is_array);
    assert_int_equal(var->space, PTX_SPACE_GLOBAL);
    assert_int_equal(var->type, PTX_U32);
    assert_int_equal(var->line, 4);
    var = ptx_var(module, "buf");
    assert_true(var->is_extern && var->is_array);
    assert_int_equal(var->size_bytes, 0);
    assert_int_equal(var->align_bytes, 16);
    assert_int_equal(ptx_var(module, "c")->size_bytes, 24);
    assert_int_equal(ptx_var(module, "d")->size_bytes, 8);
    assert_int_equal(ptx_var(module, "v")->size_bytes, 16);
    assert_int_equal(ptx_var(module, "v")->vec, 4);
    assert_true(ptx_var(module, "mf")->is_managed);
    assert_true(ptx_var(module, "w")->is_weak);
    assert_int_equal(ptx_var(module, "m")->size_bytes, 12);
    assert_true(ptx_var(module, "m")->is_common);
    assert_int_equal(ptx_var(module, "tex")->type, PTX_TEXREF);
    assert_false(ptx_var(module, "u")->is_managed);
    ptx_free(module);
}

static void array_sizes_are_constant_expressions(void **state)
{
    struct ptx_module *module = ptx_read(".shared .b32 a[4*(1+3)][2];");

    assert_int_equal(ptx_var(module, "a")->size_bytes, 128);
    ptx_free(module);
    ptx_refuse(".shared .b32 a[-1];", "integer from 0");
    ptx_refuse(".shared .b32 a[2][];", "expected");
    ptx_refuse(".shared .b8 a[1000000][1000000][1000000][1000000];", "larger than");
    ptx_refuse(".shared .align 3 .b8 a;", "power of two");
    ptx_refuse(".shared .align 0 .b8 a;", "power of two");
}

static void declarations_that_are_none_are_refused(void **state)
{
    ptx_refuse(".global x;", "expected a type");
    ptx_refuse(".global .u32;", "name of a variable");
    ptx_refuse(".global .u32 .s32 x;", "no type");
    ptx_refuse(".global .u33 x;", "\".u33\" is no type");
    ptx_refuse(".global .u32 x", "\";\"");
    ptx_refuse(".reg .u32 x;", "belong into functions");
    ptx_refuse("foo;", "expected a declaration");
    ptx_refuse(".func f { .reg .u32 %r<0>; }", "from 1 to");
    ptx_refuse(".func f { .local .u32 l<5>; }", "only registers");
}

static void kernel_heads_carry_launch_bounds(void **state)
{
    struct ptx_module *module =
        ptx_read(".visible .entry k (.param .u64 a, .param .align 16 .b8 b[36], .param .u32 c)\n"
                 ".maxntid 256, 2\n.minnctapersm 2\n.maxnreg 64\n.maxclusterrank 8 { ret; }\n"
                 ".weak .entry r .reqntid 32, 4, 2 .reqnctapercluster 2 .explicitcluster\n"
                 ".pragma \"nounroll\"; { }\n"
                 ".visible .entry e() { }");
    const struct ptx_func *k = ptx_func(module, "k"), *r = ptx_func(module, "r");

    assert_true(k->is_entry && k->is_visible && k->has_body && !k->is_weak);
    assert_int_equal(k->n_params, 3);
    assert_int_equal(k->params[1].size_bytes, 36);
    assert_int_equal(k->params[1].align_bytes, 16);
    assert_int_equal(k->params[2].align_bytes, 4);
    assert_int_equal(k->params[0].space, PTX_SPACE_PARAM);
    assert_memory_equal(k->maxntid, ((uint32_t[3]){256, 2, 1}), 12);
    assert_memory_equal(k->reqntid, ((uint32_t[3]){0, 0, 0}), 12);
    assert_int_equal(k->minnctapersm, 2);
    assert_int_equal(k->maxnreg, 64);
    assert_int_equal(k->maxclusterrank, 8);
    assert_true(r->is_weak);
    assert_memory_equal(r->reqntid, ((uint32_t[3]){32, 4, 2}), 12);
    assert_memory_equal(r->reqnctapercluster, ((uint32_t[3]){2, 1, 1}), 12);
    assert_int_equal(ptx_func(module, "e")->n_params, 0);
    ptx_free(module);
}

static void pointer_attributes_of_a_parameter_do_not_align_it(void **state)
{
    struct ptx_module *module =
        ptx_read(".entry k (.param .u64 .ptr .global .align 128 a, .param .u64 .ptr b) { }");

    assert_int_equal(module->funcs[0].params[0].align_bytes, 8);
    assert_string_equal(module->funcs[0].params[1].name, "b");
    ptx_free(module);
}

static void device_functions_take_parameters_of_both_styles(void **state)
{
    struct ptx_module *module =
        ptx_read(".func (.param .b32 r) f (.param .b32 a, .param .align 4 .b8 b[12]) { ret; }\n"
                 ".func (.reg .u32 %rv) g (.reg .u32 %ra, .reg .f64 %fd) .noreturn { }\n"
                 ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"
                 ".func .attribute(.unified(1,2)) h;\n");

    assert_int_equal(ptx_func(module, "f")->n_returns, 1);
    assert_string_equal(ptx_func(module, "f")->returns[0].name, "r");
    assert_int_equal(ptx_func(module, "f")->params[1].size_bytes, 12);
    assert_int_equal(ptx_func(module, "g")->returns[0].space, PTX_SPACE_REG);
    assert_string_equal(ptx_func(module, "g")->params[1].name, "%fd");
    assert_true(ptx_func(module, "g")->is_noreturn);
    assert_true(ptx_func(module, "vprintf")->is_extern);
    assert_false(ptx_func(module, "vprintf")->has_body);
    assert_false(ptx_func(module, "h")->has_body);
    ptx_free(module);
}

static void a_declaration_and_its_body_are_one_function(void **state)
{
    struct ptx_module *module = ptx_read(".visible .func (.param .b32 r) f (.param .b32 a);\n"
                                         ".func g () { call (x), f, (y); }\n"
                                         ".func (.param .b32 r) f (.param .b32 b) { ret; }\n"
                                         ".extern .func f;\n");
    const struct ptx_func *f = ptx_func(module, "f");

    assert_int_equal(module->n_funcs, 2);
    assert_true(f->has_body && f->is_visible && !f->is_extern);
    assert_string_equal(f->params[0].name, "b");
    assert_int_equal(f->n_stmts, 1);
    ptx_free(module);
}

static void a_weak_body_gives_way(void **state)
{
    struct ptx_module *module =
        ptx_read(".weak .func f { a; }\n.weak .func f { b; b; }\n"
                 ".weak .func g { a; }\n.visible .func g { b; b; }\n.weak .func g { }\n");

    assert_int_equal(ptx_func(module, "f")->n_stmts, 1);
    assert_int_equal(ptx_func(module, "g")->n_stmts, 2);
    assert_false(ptx_func(module, "g")->is_weak);
    ptx_free(module);
}

static void two_definitions_of_one_name_are_refused(void **state)
{
    ptx_refuse(".func f { }\n.func f { }", "line 5: function \"f\" is defined twice");
    ptx_refuse(".global .b8 x;\n.global .b8 x;", "line 5: variable \"x\" is defined twice");
    ptx_refuse(".global .b8 x;\n.func x { }", "already a variable");
    ptx_refuse(".func x { }\n.global .b8 x;", "already a function");
    ptx_refuse(".extern .global .b8 x;\n.const .b8 x;", "two state spaces");
}

static void a_definition_replaces_what_others_declare(void **state)
{
    struct ptx_module *module =
        ptx_read(".extern .global .b32 a;\n.visible .global .b32 a = 5;\n.extern .global .b32 a;\n"
                 ".common .global .b32 b;\n.common .global .b32 b[2];\n"
                 ".weak .global .b32 c = 1;\n.weak .global .b32 c = 2;\n"
                 ".extern .shared .b8 d[];\n.extern .shared .b8 d[];\n");

    assert_int_equal(module->n_vars, 4);
    assert_false(ptx_var(module, "a")->is_extern);
    assert_int_equal(ptx_var(module, "a")->init[0], 5);
    assert_int_equal(ptx_var(module, "b")->size_bytes, 8);
    assert_int_equal(ptx_var(module, "c")->init[0], 1);
    assert_true(ptx_var(module, "d")->is_extern);
    ptx_free(module);
}

static void an_alias_is_the_function_under_another_name(void **state)
{
    struct ptx_module *module = ptx_read(".visible .func a (.param .b32 x);\n.alias a, b;\n"
                                         ".func b (.param .b32 x) { ret; }\n");

    assert_string_equal(ptx_func(module, "a")->name, "a");
    assert_true(ptx_func(module, "a")->has_body && ptx_func(module, "a")->is_visible);
    assert_ptr_equal(ptx_func(module, "a")->stmts, ptx_func(module, "b")->stmts);
    ptx_free(module);
    ptx_refuse(".alias a, b;", ".alias of line 4");
}

static void debug_directives_mean_nothing(void **state)
{
    struct ptx_module *module =
        ptx_read(".file 1 \"a.cu\", 123, 456\n.file 2 \"b;{.cu\"\n"
                 ".func f {\n"
                 ".loc 1 15 0\n"
                 ".loc\t1 20 7, function_name $L__info0, inlined_at 1 22 3\n"
                 ".loc 1 20 7, function_name $L__info0+16, inlined_at 1 22 3\n"
                 ".loc 1 20 7, function_name .debug_str, inlined_at 1 22 3\n"
                 "add.loc x;\n.pragma \"nounroll\";\n}\n"
                 "@@DWARF .byte 0x2b { ( \n"
                 ".section .debug_info\n{\n.b8 1, 2\n.b32 .debug_abbrev\n$L: .b64 f+4\n{ } }\n"
                 ".section .debug_loc { }\n");

    assert_int_equal(module->n_funcs, 1);
    assert_int_equal(module->funcs[0].n_stmts, 1);
    ptx_free(module);
    ptx_refuse(".section .debug_info { .b8 1", "\"}\" of a section");
    ptx_refuse(".loc 1 2,", "a number");
}

static const char unit_1[] = ".visible .global .b32 shared_var;\n"
                             ".global .b8 $str[2] = {65};\n.global .u64 p1 = generic($str);\n"
                             ".extern .func other;\n.func local { one; }\n.weak .func both { one; }\n"
                             ".visible .entry k1 { mov a, $str; call local; call other; }\n";
static const char unit_2[] = ".version 7.8\n.target sm_80\n.address_size 64\n"
                             ".extern .global .b32 shared_var;\n"
                             ".global .b8 $str[2] = {66};\n.global .u64 p2 = generic($str);\n"
                             ".func local;\n.func local { two; }\n.weak .func both { two; }\n"
                             ".visible .func other { two; }\n"
                             ".visible .entry k2 { mov a, $str; call local; call other; call both; }\n";

static const char *operand_name(const struct ptx_func *func, size_t stmt, unsigned operand)
{
    return func->stmts[stmt].insn->operands[operand].name;
}

static void units_share_what_is_visible_and_keep_apart_what_is_local(void **state)
{
    char text[2000];
    snprintf(text, sizeof(text), "%s%s", unit_1, unit_2);
    struct ptx_module *module = ptx_read(text);
    const struct ptx_func *k1 = ptx_func(module, "k1"), *k2 = ptx_func(module, "k2");

    assert_int_equal(module->version_minor, 8);
    assert_int_equal(module->target_sm, 80);
    assert_int_equal(module->n_vars, 5);
    assert_int_equal(module->n_funcs, 6);
    assert_string_equal(operand_name(k1, 0, 1), "$str");
    assert_string_equal(operand_name(k2, 0, 1), "$str@2");
    assert_int_equal(ptx_var(module, "$str")->init[0], 65);
    assert_int_equal(ptx_var(module, "$str@2")->init[0], 66);
    assert_string_equal(ptx_var(module, "p1")->relocs[0].symbol, "$str");
    assert_string_equal(ptx_var(module, "p2")->relocs[0].symbol, "$str@2");
    assert_string_equal(operand_name(k1, 1, 0), "local");
    assert_string_equal(operand_name(k2, 1, 0), "local@2");
    assert_string_equal(ptx_func(module, "local")->stmts[0].insn->op, "one");
    assert_string_equal(ptx_func(module, "local@2")->stmts[0].insn->op, "two");
    assert_string_equal(operand_name(k1, 2, 0), operand_name(k2, 2, 0));
    assert_true(ptx_func(module, "other")->has_body);
    assert_string_equal(ptx_func(module, "both")->stmts[0].insn->op, "one");
    assert_false(ptx_var(module, "shared_var")->is_extern);
    ptx_free(module);
}

static void a_local_name_that_a_later_unit_makes_global_is_refused(void **state)
{
    ptx_refuse(".global .b8 x;\n" PTX_HEAD ".visible .global .b8 x;", "local to one unit");
    ptx_refuse(".visible .func x { }\n" PTX_HEAD ".visible .func x { }", "defined twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_lines_are_read),
        cmocka_unit_test(a_text_without_a_header_is_refused),
        cmocka_unit_test(reading_stops_at_the_first_nul),
        cmocka_unit_test(variables_have_space_type_size_and_alignment),
        cmocka_unit_test(array_sizes_are_constant_expressions),
        cmocka_unit_test(declarations_that_are_none_are_refused),
        cmocka_unit_test(kernel_heads_carry_launch_bounds),
        cmocka_unit_test(pointer_attributes_of_a_parameter_do_not_align_it),
        cmocka_unit_test(device_functions_take_parameters_of_both_styles),
        cmocka_unit_test(a_declaration_and_its_body_are_one_function),
        cmocka_unit_test(a_weak_body_gives_way),
        cmocka_unit_test(two_definitions_of_one_name_are_refused),
        cmocka_unit_test(a_definition_replaces_what_others_declare),
        cmocka_unit_test(an_alias_is_the_function_under_another_name),
        cmocka_unit_test(debug_directives_mean_nothing),
        cmocka_unit_test(units_share_what_is_visible_and_keep_apart_what_is_local),
        cmocka_unit_test(a_local_name_that_a_later_unit_makes_global_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
