/* Promises of the PTX parser about values: literals, constant expressions, and initialisers with their
 * addresses. */
#include "test_ptx.h"

#include <locale.h>

/* The first operand of `t <text>;` as the only instruction of a function. */
static struct ptx_operand operand_of(struct ptx_module **ret_module, const char *text)
{
    char body[300];

    snprintf(body, sizeof(body), ".func f { t %s; }", text);
    *ret_module = ptx_read(body);
    return (*ret_module)->funcs[0].stmts[0].insn->operands[0];
}

static void assert_int(const char *text, uint64_t value)
{
    struct ptx_module *module;
    struct ptx_operand operand = operand_of(&module, text);

    assert_int_equal(operand.kind, PTX_OP_INT);
    if ((uint64_t)operand.i != value)
        fail_msg("%s is %lld", text, (long long)operand.i);
    ptx_free(module);
}

static void assert_float(const char *text, enum ptx_operand_kind kind, uint64_t bits)
{
    struct ptx_module *module;
    struct ptx_operand operand = operand_of(&module, text);

    assert_int_equal(operand.kind, kind);
    assert_int_equal(operand.i, bits);
    ptx_free(module);
}

static void integers_are_read_in_every_base(void **state)
{
    assert_int("0", 0);
    assert_int("42", 42);
    assert_int("-42", (uint64_t)-42);
    assert_int("0x1F", 31);
    assert_int("0XfF", 255);
    assert_int("017", 15);
    assert_int("0b101", 5);
    assert_int("0B11U", 3);
    assert_int("18446744073709551615", UINT64_MAX);
    assert_int("0xFFFFFFFFFFFFFFFFU", UINT64_MAX);
    assert_int("-9223372036854775808", (uint64_t)INT64_MIN);
    assert_int("WARP_SZ", 32);
}

static void an_integer_remembers_that_it_is_unsigned(void **state)
{
    struct ptx_module *module;

    assert_true(operand_of(&module, "5U").is_unsigned);
    ptx_free(module);
    assert_false(operand_of(&module, "5").is_unsigned);
    ptx_free(module);
    assert_true(operand_of(&module, "0x8000000000000000").is_unsigned);
    ptx_free(module);
}

static void floating_literals_keep_their_bits(void **state)
{
    assert_float("0f3F800000", PTX_OP_F32, 0x3F800000);
    assert_float("0F7fffffff", PTX_OP_F32, 0x7FFFFFFF);
    assert_float("-0f3F800000", PTX_OP_F32, 0xBF800000);
    assert_float("0d3FF0000000000000", PTX_OP_F64, 0x3FF0000000000000);
    assert_float("0DFFF8000000000001", PTX_OP_F64, 0xFFF8000000000001);
    assert_float("1.5", PTX_OP_F64, 0x3FF8000000000000);
    assert_float("-2.", PTX_OP_F64, 0xC000000000000000);
    assert_float("1e3", PTX_OP_F64, 0x408F400000000000);
    assert_float("1.25E-2", PTX_OP_F64, 0x3F8999999999999A);
}

static void literals_that_are_none_are_refused(void **state)
{
    static const char *const rows[] = {"18446744073709551616",
                                       "0x",
                                       "0x10000000000000000",
                                       "08",
                                       "0b2",
                                       "0b",
                                       "0f3F80000",
                                       "0f3F8000000",
                                       "0d3FF",
                                       "12ab",
                                       "1.5x",
                                       "5UU"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[100];

        snprintf(body, sizeof(body), ".func f { t %s; }", rows[i]);
        ptx_refuse(body, "line 4: ");
    }
}

static void constant_expressions_follow_the_rules_of_c(void **state)
{
    assert_int("1+2*3", 7);
    assert_int("(1+2)*3", 9);
    assert_int("7-2-1", 4);
    assert_int("1<<4|3", 19);
    assert_int("-7/2", (uint64_t)-3);
    assert_int("-7%3", (uint64_t)-1);
    assert_int("-1>>1", UINT64_MAX);
    assert_int("0xFFFFFFFFFFFFFFFFU>>63", 1);
    assert_int("-1 < 0", 1);
    assert_int("-1 < 0U", 0);
    assert_int("(.u64)-1 > 5", 1);
    assert_int("(.s64)0xFFFFFFFFFFFFFFFF < 5", 1);
    assert_int("~0", UINT64_MAX);
    assert_int("!3 || 0", 0);
    assert_int("1 && 2", 1);
    assert_int("3 == 3 ? 10 : 20", 10);
    assert_int("0 ? 1 : 0 ? 2 : 3", 3);
    assert_int("6 & 3 ^ 8", 10);
    assert_int("1 << 64", 0);
    assert_int("-1 >> 100", UINT64_MAX);
    assert_int("1.5 < 2", 1);
    assert_int("0x8000000000000000/1", UINT64_C(1) << 63);
    assert_int("(-9223372036854775807-1)/-1", UINT64_C(1) << 63);
    assert_int("(-9223372036854775807-1)%-1", 0);
    assert_float("1.5+2", PTX_OP_F64, 0x400C000000000000);
    ptx_refuse(".func f { t 1/0; }", "divided by zero");
    ptx_refuse(".func f { t 1%0; }", "divided by zero");
    ptx_refuse(".func f { t 1.5|2; }", "integer");
}

static void the_locale_of_the_process_changes_no_number(void **state)
{
    /* Where the machine has no such locale this says less, but the parser's own C locale is what is used. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    assert_float("1.5", PTX_OP_F64, 0x3FF8000000000000);
    setlocale(LC_ALL, "C");
}

static void numbers_are_stored_in_the_type_of_their_variable(void **state)
{
    struct ptx_module *module = ptx_read(".global .u32 a = 5;\n"
                                         ".global .s16 b[3] = {1, -2};\n"
                                         ".global .f32 c = 1.5;\n"
                                         ".global .f64 d[2] = {0f3F800000, 3};\n"
                                         ".global .f32 e = -1;\n"
                                         ".const .align 8 .b8 f[4] = {0xFF, 256, 3, 4};\n"
                                         ".global .b32 g = 0f40000000;\n"
                                         ".global .v4 .f32 h = {0f00000000, 1.0, 2, 0f3F800000};\n"
                                         ".global .b64 i;\n");

    assert_int_equal(ptx_var(module, "a")->init_bytes, 4);
    assert_memory_equal(ptx_var(module, "a")->init, "\5\0\0\0", 4);
    assert_int_equal(ptx_var(module, "b")->size_bytes, 6);
    assert_int_equal(ptx_var(module, "b")->init_bytes, 4);
    assert_memory_equal(ptx_var(module, "b")->init, "\1\0\xFE\xFF", 4);
    assert_memory_equal(ptx_var(module, "c")->init, "\0\0\xC0\x3F", 4);
    assert_memory_equal(ptx_var(module, "d")->init, "\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\x08\x40", 16);
    assert_memory_equal(ptx_var(module, "e")->init, "\0\0\x80\xBF", 4);
    assert_memory_equal(ptx_var(module, "f")->init, "\xFF\0\3\4", 4);
    assert_int_equal(ptx_var(module, "f")->align_bytes, 8);
    assert_memory_equal(ptx_var(module, "g")->init, "\0\0\0\x40", 4);
    assert_memory_equal(ptx_var(module, "h")->init, "\0\0\0\0\0\0\x80\x3F\0\0\0\x40\0\0\x80\x3F", 16);
    assert_int_equal(ptx_var(module, "h")->align_bytes, 16);
    assert_null(ptx_var(module, "i")->init);
    ptx_free(module);
}

static void trailing_zeros_cost_nothing(void **state)
{
    struct ptx_module *module = ptx_read(".global .b8 a[1099511627776] = {1, 2};");

    assert_int_equal(ptx_var(module, "a")->size_bytes, UINT64_C(1) << 40);
    assert_int_equal(ptx_var(module, "a")->init_bytes, 2);
    ptx_free(module);
}

static void nested_braces_fill_their_own_row(void **state)
{
    struct ptx_module *module = ptx_read(".global .s32 a[][2] = { {-1, 0}, {5}, {0, -1} };\n"
                                         ".global .b8 b[2][2][2] = {{{1},{2,3}},{{4,5}}};\n"
                                         ".global .b8 c[2][2] = {1,2,3,4};\n"
                                         ".global .b8 d[] = {1,2,3};\n"
                                         ".global .v2 .b8 e[2] = {{1,2},{3,4}};\n");

    assert_int_equal(ptx_var(module, "a")->size_bytes, 24);
    assert_memory_equal(ptx_var(module, "a")->init, ((int32_t[]){-1, 0, 5, 0, 0, -1}), 24);
    assert_int_equal(ptx_var(module, "b")->size_bytes, 8);
    assert_int_equal(ptx_var(module, "b")->init_bytes, 6);
    assert_memory_equal(ptx_var(module, "b")->init, "\1\0\2\3\4\5", 6);
    assert_memory_equal(ptx_var(module, "c")->init, "\1\2\3\4", 4);
    assert_int_equal(ptx_var(module, "d")->size_bytes, 3);
    assert_int_equal(ptx_var(module, "e")->size_bytes, 4);
    assert_memory_equal(ptx_var(module, "e")->init, "\1\2\3\4", 4);
    ptx_free(module);
}

static void too_many_initialisers_are_refused(void **state)
{
    ptx_refuse(".global .b8 a[2] = {1,2,3};", "more initialisers");
    ptx_refuse(".global .u32 a = {1,2};", "more initialisers");
    ptx_refuse(".global .b8 a[2][2] = {{1,2,3}};", "more initialisers");
    ptx_refuse(".global .b8 a[1][2] = {{1},{2}};", "more initialisers");
    ptx_refuse(".global .b8 a[2] = {{1},{2}};", "expected");
    ptx_refuse(".global .b8 a[2] = {1.5};", "does not fit");
    ptx_refuse(".shared .b8 a[2] = {1};", "only .global and .const");
    ptx_refuse(".global .b8 a[][0] = {{1}};", "no initialiser");
}

static void addresses_become_relocations(void **state)
{
    struct ptx_module *module = ptx_read(".global .align 8 .u64 a[4] = {120, generic(x)+8, y-4, f};\n"
                                         ".global .u32 b = x+-12;\n"
                                         ".global .u64 c = generic(x+4);\n");
    const struct ptx_var *a = ptx_var(module, "a");

    assert_int_equal(a->n_relocs, 3);
    assert_int_equal(a->init_bytes, 32);
    assert_int_equal(a->relocs[0].offset_bytes, 8);
    assert_int_equal(a->relocs[0].width_bytes, 8);
    assert_true(a->relocs[0].generic);
    assert_string_equal(a->relocs[0].symbol, "x");
    assert_int_equal(a->relocs[0].addend, 8);
    assert_false(a->relocs[1].generic);
    assert_int_equal(a->relocs[1].addend, -4);
    assert_string_equal(a->relocs[2].symbol, "f");
    assert_int_equal(a->relocs[2].offset_bytes, 24);
    assert_int_equal(ptx_var(module, "b")->relocs[0].width_bytes, 4);
    assert_int_equal(ptx_var(module, "b")->relocs[0].addend, -12);
    assert_int_equal(ptx_var(module, "c")->relocs[0].addend, 4);
    ptx_free(module);
}

static void a_mask_takes_one_byte_of_an_address(void **state)
{
    struct ptx_module *module = ptx_read(
        ".global .align 1 .u8 p[11] = {97, 0XFF(generic(arr)+4), 0xFF00(arr), 0xFF0000(generic(arr)-4), "
        "0xFF000000(arr),"
        " 0xFF00000000(arr), 0xFF0000000000(arr), 0xFF000000000000(arr), 0xFF00000000000000(arr), 7, 0};");
    const struct ptx_var *p = ptx_var(module, "p");

    assert_int_equal(p->n_relocs, 8);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(p->relocs[i].offset_bytes, 1 + i);
        assert_int_equal(p->relocs[i].width_bytes, 1);
        assert_int_equal(p->relocs[i].shift_bits, 8 * i);
        assert_string_equal(p->relocs[i].symbol, "arr");
    }
    assert_true(p->relocs[0].generic);
    assert_int_equal(p->relocs[0].addend, 4);
    assert_false(p->relocs[1].generic);
    assert_int_equal(p->relocs[2].addend, -4);
    assert_int_equal(p->init[9], 7);
    ptx_free(module);
    ptx_refuse(".global .u8 p = 0xFFFF(a);", "one byte");
    ptx_refuse(".global .u8 p = 0x0(a);", "one byte");
}

static void an_address_needs_four_or_eight_bytes(void **state)
{
    ptx_refuse(".global .u8 p = a;", "does not fit");
    ptx_refuse(".global .u16 p = a;", "does not fit");
    ptx_refuse(".global .b128 p = a;", "does not fit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_in_every_base),
        cmocka_unit_test(an_integer_remembers_that_it_is_unsigned),
        cmocka_unit_test(floating_literals_keep_their_bits),
        cmocka_unit_test(literals_that_are_none_are_refused),
        cmocka_unit_test(constant_expressions_follow_the_rules_of_c),
        cmocka_unit_test(the_locale_of_the_process_changes_no_number),
        cmocka_unit_test(numbers_are_stored_in_the_type_of_their_variable),
        cmocka_unit_test(trailing_zeros_cost_nothing),
        cmocka_unit_test(nested_braces_fill_their_own_row),
        cmocka_unit_test(too_many_initialisers_are_refused),
        cmocka_unit_test(addresses_become_relocations),
        cmocka_unit_test(a_mask_takes_one_byte_of_an_address),
        cmocka_unit_test(an_address_needs_four_or_eight_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
