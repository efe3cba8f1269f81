/* Promises of the PTX parser about function bodies: statements, scopes, labels, instructions and every form
 * of operand. */
#include "test_ptx.h"

/* The statements of one function; *ret_module is the caller's. */
static const struct ptx_stmt *body_of(struct ptx_module **ret_module, const char *text, size_t n_stmts)
{
    char *whole;

    assert_true(asprintf(&whole, ".func f {\n%s\n}", text) > 0);
    *ret_module = ptx_read(whole);
    free(whole);
    assert_int_equal((*ret_module)->funcs[0].n_stmts, n_stmts);
    return (*ret_module)->funcs[0].stmts;
}

static void an_instruction_keeps_its_words_and_its_text(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts =
        body_of(&module,
                "@!%p1 mad.lo.cc.u32\t%d,  %a,\n\t%b, // sum\n 7;\n"
                "@%p2 bra.uni L;\n"
                "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [a], [b], 16, [m];\n"
                "wmma.load.a.sync.aligned.row.m16n16k16.shared.f16 {%r1}, [%r2], %r3;\nret;",
                5);
    const struct ptx_insn *insn = stmts[0].insn;

    assert_int_equal(stmts[0].kind, PTX_STMT_INSN);
    assert_string_equal(insn->op, "mad");
    assert_int_equal(insn->n_modifiers, 3);
    assert_string_equal(insn->modifiers[0], "lo");
    assert_string_equal(insn->modifiers[2], "u32");
    assert_true(insn->guard_negated);
    assert_string_equal(insn->guard, "%p1");
    assert_int_equal(insn->n_operands, 4);
    assert_int_equal(insn->line, 5);
    assert_string_equal(insn->text, "@!%p1 mad.lo.cc.u32 %d, %a, %b, // sum 7");
    insn = stmts[1].insn;
    assert_false(insn->guard_negated);
    assert_string_equal(insn->guard, "%p2");
    assert_string_equal(insn->text, "@%p2 bra.uni L");
    insn = stmts[2].insn;
    assert_int_equal(insn->n_modifiers, 5);
    assert_string_equal(insn->modifiers[2], "shared::cluster");
    assert_string_equal(insn->modifiers[4], "mbarrier::complete_tx::bytes");
    assert_string_equal(stmts[3].insn->modifiers[5], "m16n16k16");
    assert_null(stmts[4].insn->guard);
    assert_int_equal(stmts[4].insn->n_operands, 0);
    ptx_free(module);
}

static void equal_names_are_one_pointer(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts = body_of(&module, ".reg .b32 %r1;\nadd.u32 %r1, %r1, 5;", 2);

    assert_ptr_equal(stmts[0].var->name, stmts[1].insn->operands[0].name);
    assert_ptr_equal(stmts[1].insn->operands[0].name, stmts[1].insn->operands[1].name);
    ptx_free(module);
}

static void registers_are_declared_singly_in_rows_and_by_range(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts = body_of(&module,
                                           ".reg .pred p, %p<3>, q;\n.reg .b32 %r<100>;\n.reg .v4 .f32 v;\n"
                                           ".local .align 8 .b8 \t__local_depot4[56];\n.shared .f32 s[4];\n"
                                           ".param .align 8 .b8 param0[24];",
                                           8);

    assert_int_equal(stmts[0].kind, PTX_STMT_VAR);
    assert_string_equal(stmts[0].var->name, "p");
    assert_int_equal(stmts[0].var->reg_count, 0);
    assert_string_equal(stmts[1].var->name, "%p");
    assert_int_equal(stmts[1].var->reg_count, 3);
    assert_int_equal(stmts[1].var->type, PTX_PRED);
    assert_string_equal(stmts[2].var->name, "q");
    assert_int_equal(stmts[3].var->reg_count, 100);
    assert_int_equal(stmts[4].var->vec, 4);
    assert_int_equal(stmts[5].var->space, PTX_SPACE_LOCAL);
    assert_int_equal(stmts[5].var->size_bytes, 56);
    assert_int_equal(stmts[6].var->space, PTX_SPACE_SHARED);
    assert_int_equal(stmts[7].var->space, PTX_SPACE_PARAM);
    assert_int_equal(stmts[7].var->align_bytes, 8);
    ptx_free(module);
}

static void scopes_are_marked_and_balanced(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts =
        body_of(&module, "{ // callseq 0, 0\n.reg .b32 temp;\n{ .reg .s32 r0; mov.s32 r0, %r0; }\n}\nL:;", 8);
    static const enum ptx_stmt_kind kinds[] = {PTX_STMT_SCOPE_BEGIN, PTX_STMT_VAR,  PTX_STMT_SCOPE_BEGIN,
                                               PTX_STMT_VAR,         PTX_STMT_INSN, PTX_STMT_SCOPE_END,
                                               PTX_STMT_SCOPE_END,   PTX_STMT_LABEL};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        assert_int_equal(stmts[i].kind, kinds[i]);
    assert_string_not_equal(stmts[4].insn->operands[0].name, stmts[4].insn->operands[1].name);
    ptx_free(module);
    ptx_refuse(".func f { {", "\"}\" of a function");
    ptx_refuse(".func f { } }", "expected a declaration");
}

static void labels_and_their_lists(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts =
        body_of(&module,
                "$L__BB2_7:\nts: .branchtargets $L__BB2_7, L2, L3;\nL2: L3: bra L2;\n"
                "brx.idx %r1, ts;\nct: .calltargets f, g;\n"
                "prototype_0 : .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 4 .b8 "
                "_[12]) .noreturn;\np1: .callprototype _;",
                9);

    assert_int_equal(stmts[0].kind, PTX_STMT_LABEL);
    assert_string_equal(stmts[0].label.name, "$L__BB2_7");
    assert_int_equal(stmts[1].kind, PTX_STMT_BRANCH_TARGETS);
    assert_string_equal(stmts[1].label.name, "ts");
    assert_int_equal(stmts[1].label.n_targets, 3);
    assert_string_equal(stmts[1].label.targets[2], "L3");
    assert_int_equal(stmts[6].kind, PTX_STMT_CALL_TARGETS);
    assert_int_equal(stmts[6].label.n_targets, 2);
    assert_int_equal(stmts[7].kind, PTX_STMT_CALL_PROTOTYPE);
    assert_string_equal(stmts[7].prototype.name, "prototype_0");
    assert_int_equal(stmts[7].prototype.proto->n_returns, 1);
    assert_int_equal(stmts[7].prototype.proto->n_params, 2);
    assert_int_equal(stmts[7].prototype.proto->params[1].size_bytes, 12);
    assert_true(stmts[7].prototype.proto->is_noreturn);
    assert_int_equal(stmts[8].prototype.proto->n_params, 0);
    ptx_free(module);
    ptx_refuse(".func f { t: .branchtargets ; }", "a label or function");
}

static void addresses_have_a_base_and_an_offset(void **state)
{
    static const struct {
        const char *text, *name;
        int64_t offset;
    } rows[] = {
        {"[%rd1]", "%rd1", 0},         {"[%rd1+4]", "%rd1", 4},     {"[%rd1+-4]", "%rd1", -4},
        {"[%rd1-16]", "%rd1", -16},    {"[ buf + 4*2 ]", "buf", 8}, {"[256]", NULL, 256},
        {"[param0+0]", "param0", 0},   {"[-8+16]", NULL, 8},        {"[a+0xFFFFFFFFFFFFFFFF]", "a", -1},
        {"[b-(1<<4)+2]", "b", -16 + 2}};
    struct ptx_module *module;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[100];
        snprintf(body, sizeof(body), "ld.u32 %%r1, %s;", rows[i].text);
        struct ptx_operand address = body_of(&module, body, 1)->insn->operands[1];

        assert_int_equal(address.kind, PTX_OP_ADDR);
        assert_int_equal(address.i, rows[i].offset);
        if (rows[i].name)
            assert_string_equal(address.name, rows[i].name);
        else
            assert_null(address.name);
        assert_int_equal(address.n_items, 0);
        ptx_free(module);
    }
}

static void what_follows_a_comma_in_an_address_is_kept(void **state)
{
    struct ptx_module *module;
    const struct ptx_insn *insn =
        body_of(&module, "tex.2d.v4.f32.f32 {%f1,%f2,%f3,%f4}, [tex, smp, {%f5,%f6}];", 1)->insn;

    assert_string_equal(insn->modifiers[0], "2d");
    assert_string_equal(insn->operands[1].name, "tex");
    assert_int_equal(insn->operands[1].n_items, 2);
    assert_string_equal(insn->operands[1].items[0].name, "smp");
    assert_int_equal(insn->operands[1].items[1].n_items, 2);
    ptx_free(module);
}

static void vectors_hold_registers_constants_and_sinks(void **state)
{
    struct ptx_module *module;
    const struct ptx_insn *insn = body_of(&module, "mov.b64 {%r1, _}, {0, -1};", 1)->insn;
    const struct ptx_operand *to = &insn->operands[0], *from = &insn->operands[1];

    assert_int_equal(to->kind, PTX_OP_VEC);
    assert_int_equal(to->n_items, 2);
    assert_string_equal(to->items[0].name, "%r1");
    assert_int_equal(to->items[1].kind, PTX_OP_SINK);
    assert_int_equal(from->items[1].kind, PTX_OP_INT);
    assert_int_equal(from->items[1].i, -1);
    ptx_free(module);
}

static void calls_have_lists_of_returns_and_parameters(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts =
        body_of(&module,
                "call.uni (retval0), \n_Z3reci, \n(\nparam0\n);\ncall f;\ncall g, (a, 5);\n"
                "call (r), %rd6, (), proto;",
                4);
    const struct ptx_insn *call = stmts[0].insn;

    assert_int_equal(call->n_operands, 3);
    assert_int_equal(call->operands[0].kind, PTX_OP_LIST);
    assert_string_equal(call->operands[0].items[0].name, "retval0");
    assert_string_equal(call->operands[1].name, "_Z3reci");
    assert_string_equal(call->operands[2].items[0].name, "param0");
    assert_int_equal(stmts[1].insn->n_operands, 1);
    assert_int_equal(stmts[1].insn->operands[0].kind, PTX_OP_NAME);
    assert_int_equal(stmts[2].insn->operands[1].items[1].i, 5);
    assert_int_equal(stmts[3].insn->operands[2].kind, PTX_OP_LIST);
    assert_int_equal(stmts[3].insn->operands[2].n_items, 0);
    assert_string_equal(stmts[3].insn->operands[3].name, "proto");
    ptx_free(module);
}

static void operands_come_in_pairs_negated_and_in_parts(void **state)
{
    struct ptx_module *module;
    const struct ptx_stmt *stmts =
        body_of(&module,
                "setp.eq.and.s32 %p1|%p2, %r1, %r2, !%p3;\n"
                "shfl.sync.bfly.b32 _|%p, %tid.x, %envreg1, v.w;\n"
                "mov.u64 %rd1, sym+8;\nmov.u32 %r1, sym-8;\nvadd.s32.s32.s32 d, a.b2, b.h1, c.r;\n"
                "mov.u32 %r1, (1<<4)+1;",
                6);
    const struct ptx_operand *operands = stmts[0].insn->operands;

    assert_string_equal(operands[0].name, "%p1");
    assert_string_equal(operands[0].second->name, "%p2");
    assert_true(operands[3].negated);
    assert_string_equal(operands[3].name, "%p3");
    operands = stmts[1].insn->operands;
    assert_int_equal(operands[0].kind, PTX_OP_SINK);
    assert_string_equal(operands[0].second->name, "%p");
    assert_string_equal(operands[1].name, "%tid");
    assert_int_equal(operands[1].component, 'x');
    assert_string_equal(operands[2].name, "%envreg1");
    assert_int_equal(operands[2].component, 0);
    assert_int_equal(operands[3].component, 'w');
    assert_int_equal(stmts[2].insn->operands[1].i, 8);
    assert_int_equal(stmts[3].insn->operands[1].i, -8);
    operands = stmts[4].insn->operands;
    assert_int_equal(operands[1].component, '2');
    assert_int_equal(operands[2].component, 'h');
    assert_int_equal(operands[3].component, 'x');
    assert_int_equal(stmts[5].insn->operands[1].i, 17);
    ptx_free(module);
}

static void very_long_names_are_names(void **state)
{
    enum { LENGTH = 20000 };
    char *text = malloc(LENGTH * 3), *name = malloc(LENGTH + 1);
    struct ptx_module *module;

    memset(name, 'n', LENGTH);
    name[LENGTH] = '\0';
    sprintf(text, "call %s;\nbra %s;", name, name);
    const struct ptx_stmt *stmts = body_of(&module, text, 2);
    assert_string_equal(stmts[0].insn->operands[0].name, name);
    assert_ptr_equal(stmts[0].insn->operands[0].name, stmts[1].insn->operands[0].name);
    ptx_free(module);
    free(text);
    free(name);
}

static void statements_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *body, *words;
    } rows[] = {{"add %r1, ;", "expected an operand, not \";\""},
                {"add %r1", "\";\" after an instruction"},
                {"add [%r1;", "\"]\" of an address"},
                {"add {%r1;", "end of an operand list"},
                {"@!5 add;", "a predicate"},
                {"@%p ;", "an instruction"},
                {"add a.q;", "a component such as .x, not \".q\""},
                {"ld.u32 a, b[3];", "indexed variables"},
                {"ld [1.5];", "an address is an integer"},
                {"mov a, b+1.5;", "an offset is an integer"},
                {"5;", "a statement"},
                {".foo 5;", "a statement, not \".foo\""},
                {"add \"s\";", "expected an operand"},
                {"add `;", "no meaning"},
                {"add.;", "a word must follow"},
                {"/* add;", "comment has no end"},
                {"add \"x", "string has no end"},
                {"add a,a,a,a,a,a,a,a,a,a,a;", "more than 10 operands"},
                {"a.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b.b;", "more than 16 modifiers"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), ".func f {\n%s }", rows[i].body);
        ptx_refuse(text, rows[i].words);
        ptx_refuse(text, "line 5: ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instruction_keeps_its_words_and_its_text),
        cmocka_unit_test(equal_names_are_one_pointer),
        cmocka_unit_test(registers_are_declared_singly_in_rows_and_by_range),
        cmocka_unit_test(scopes_are_marked_and_balanced),
        cmocka_unit_test(labels_and_their_lists),
        cmocka_unit_test(addresses_have_a_base_and_an_offset),
        cmocka_unit_test(what_follows_a_comma_in_an_address_is_kept),
        cmocka_unit_test(vectors_hold_registers_constants_and_sinks),
        cmocka_unit_test(calls_have_lists_of_returns_and_parameters),
        cmocka_unit_test(operands_come_in_pairs_negated_and_in_parts),
        cmocka_unit_test(very_long_names_are_names),
        cmocka_unit_test(statements_that_are_none_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
