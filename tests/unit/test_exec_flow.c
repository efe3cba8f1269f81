/* Threads of a warp that part and meet, early ends, calls; and that every instruction is counted exactly
 * once. */
#include "exec_fixture.h"

#include <string.h>

#define FIB                                                                                                  \
    ".func (.param .b32 out) fib(.param .b32 in) {\n" KERNEL_REGS                                            \
    "ld.param.u32 %r1, [in]; setp.lt.s32 %p1, %r1, 2; @%p1 bra LEAF;\n"                                      \
    "add.s32 %r2, %r1, -1;\n"                                                                                \
    "{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0+0], %r2; call.uni (r0), fib, (p0); ld.param.b32 "    \
    "%r3, [r0+0]; }\n"                                                                                       \
    "add.s32 %r4, %r1, -2;\n"                                                                                \
    "{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0+0], %r4; call.uni (r0), fib, (p0); ld.param.b32 "    \
    "%r5, [r0+0]; }\n"                                                                                       \
    "add.s32 %r1, %r3, %r5;\n"                                                                               \
    "LEAF: st.param.b32 [out+0], %r1; ret;\n}\n"

static void counts_are_those_one_counts_by_hand(void **unused)
{
    /* 2 parameter loads are KERNEL_1's 1 + none; see the line numbers in the sums below. */
    static const char ptx[] = KERNEL_1("mov.u32 %r1, %tid.x;\n"        /* 32 */
                                       "setp.lt.u32 %p1, %r1, 10;\n"   /* 32 */
                                       "@%p1 bra SMALL;\n"             /* 10 take it */
                                       "add.u32 %r2, %r1, 100;\n"      /* 22 */
                                       "bra.uni STORE;\n"              /* 22 */
                                       "SMALL: add.u32 %r2, %r1, 7;\n" /* 10 */
                                       "STORE: mul.wide.u32 %rd3, %r1, 4;\n"
                                       "add.u64 %rd4, %rd1, %rd3;\n"
                                       "@!%p1 st.global.u32 [%rd4], %r2;\n" /* 22 */);
    struct exec_result result;
    struct fixture f;
    uint64_t out;

    fixture_open(&f, ptx);
    out = fixture_buffer(&f, 128);
    result = fixture_run(&f, "k", 1, 32, 1, out);
    /* ld.param mov setp bra | add bra | add | mul add st ret */
    assert_int_equal(result.warp_instructions, 4 + 2 + 1 + 4);
    assert_int_equal(result.thread_instructions, 32 * 3 + 10 + 22 * 2 + 10 + 32 * 2 + 22 + 32);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], i < 10 ? 0 : i + 100);
    fixture_close(&f);
}

static void counts_scale_with_blocks_and_partial_warps(void **unused)
{
    struct exec_result result;
    struct fixture f;

    fixture_open(&f,
                 KERNEL_1("mov.u32 %r1, 0;\nL: add.u32 %r1, %r1, 1; setp.ne.u32 %p1, %r1, 5; @%p1 bra L;\n"));
    result = fixture_run(&f, "k", 10, 40, 1, (uint64_t)0);
    /* 2 + 5 rounds of add setp bra + ret, 2 warps a block; the last bra is taken by nobody. */
    assert_int_equal(result.warp_instructions, 10 * 2 * (2 + 15 + 1));
    assert_int_equal(result.thread_instructions, 10 * 40 * (2 + 15 + 1 - 1));
    fixture_close(&f);
}

static void parted_threads_meet_at_the_first_common_instruction(void **unused)
{
    struct fixture f;
    uint64_t out;

    /* Three ways by nested branches; after JOIN everybody must be in one group again. */
    fixture_open(
        &f, KERNEL_1("mov.u32 %r1, %tid.x;\nand.b32 %r2, %r1, 3;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 bra JOIN;\n"
                     "setp.eq.u32 %p2, %r2, 1;\n@%p2 bra ONE;\nadd.u32 %r3, %r1, 1;\nbra.uni JOIN;\n"
                     "ONE: add.u32 %r3, %r1, 2;\n"
                     "JOIN: activemask.b32 %r4;\nmul.wide.u32 %rd3, %r1, 4;\nadd.u64 %rd4, %rd1, %rd3;\n"
                     "st.global.u32 [%rd4], %r4;\n"));
    out = fixture_buffer(&f, 128);
    fixture_run(&f, "k", 1, 32, 1, out);
    for (int i = 0; i < 32; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], UINT32_MAX);
    fixture_close(&f);
}

static void threads_that_exit_early_do_not_hold_the_others(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f, KERNEL_1("mov.u32 %r1, %tid.x;\nsetp.lt.u32 %p1, %r1, 50;\n@%p1 exit;\nbar.sync 0;\n"
                     "mul.wide.u32 %rd3, %r1, 4;\nadd.u64 %rd4, %rd1, %rd3;\nst.global.u32 [%rd4], %r1;\n"));
    out = fixture_buffer(&f, 400);
    fixture_run(&f, "k", 1, 100, 1, out);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], i < 50 ? 0 : i);
    fixture_close(&f);
}

static void a_spin_lock_inside_one_warp_makes_progress(void **unused)
{
    struct fixture f;
    uint64_t words;

    /* while (atomicCAS(lock, 0, 1)) ; count++; atomicExch(lock, 0); the spinners have the lower pc. */
    fixture_open(
        &f, KERNEL_1(
                "SPIN: atom.global.cas.b32 %r1, [%rd1], 0, 1;\nsetp.ne.u32 %p1, %r1, 0;\n@%p1 bra SPIN;\n"
                "ld.volatile.global.u32 %r2, [%rd1+4];\nadd.u32 %r2, %r2, 1;\n"
                "st.volatile.global.u32 [%rd1+4], %r2;\nmembar.gl;\natom.global.exch.b32 %r3, [%rd1], 0;\n"));
    words = fixture_buffer(&f, 8);
    fixture_run(&f, "k", 3, 64, 1, words);
    assert_int_equal(((uint32_t *)fixture_host(&f, words))[1], 192);
    fixture_close(&f);
}

static void a_flag_that_a_later_thread_sets_is_seen(void **unused)
{
    struct fixture f;
    uint64_t words;

    /* Lanes but 31 poll without atomics; lane 31 waits behind them at a higher pc. */
    fixture_open(
        &f,
        KERNEL_1("mov.u32 %r1, %tid.x;\nsetp.eq.u32 %p1, %r1, 31;\n@%p1 bra SET;\n"
                 "POLL: ld.volatile.global.u32 %r2, [%rd1];\nsetp.eq.u32 %p2, %r2, 0;\n@%p2 bra POLL;\nret;\n"
                 "SET: st.volatile.global.u32 [%rd1], 1;\n"));
    words = fixture_buffer(&f, 4);
    fixture_run(&f, "k", 1, 32, 1, words);
    fixture_close(&f);
}

static void warps_interleave_so_benign_races_come_out_right(void **unused)
{
    enum { ROUNDS = 40 };
    uint32_t grid[3] = {1, 1, 1}, block[3] = {32, 8, 1};
    struct exec_result result;
    struct fixture f;
    uint64_t sums, in;

    /* x[tid.x] += a[i] for i in rounds, by 8 warps at once, the sum reloaded each round: right only when
     * every warp does the same round before the next begins. */
    fixture_open(
        &f,
        KERNEL_2(
            "mov.u32 %r1, %tid.x;\nmul.wide.u32 %rd3, %r1, 4;\nadd.u64 %rd4, %rd1, %rd3;\nmov.u32 %r2, 0;\n"
            "L: ld.global.u32 %r3, [%rd4];\nmul.wide.u32 %rd5, %r2, 4;\nadd.u64 %rd6, %rd2, %rd5;\n"
            "ld.global.u32 %r4, [%rd6];\nadd.u32 %r5, %r3, %r4;\nst.global.u32 [%rd4], %r5;\n"
            "add.u32 %r2, %r2, 1;\nsetp.ne.u32 %p1, %r2, 40;\n@%p1 bra L;\n"));
    sums = fixture_buffer(&f, 128);
    in = fixture_buffer(&f, ROUNDS * 4);
    for (uint32_t i = 0; i < ROUNDS; i++)
        ((uint32_t *)fixture_host(&f, in))[i] = i;
    assert_int_equal(fixture_launch(&f, "k", grid, block, (uint64_t[]){sums, in}, 2, &result), 0);
    assert_int_equal(result.fault, EXEC_OK);
    for (int i = 0; i < 32; i++)
        assert_in_range(((uint32_t *)fixture_host(&f, sums))[i], ROUNDS * (ROUNDS - 1) / 2,
                        2 * ROUNDS * (ROUNDS - 1) / 2);
    fixture_close(&f);
}

static void recursion_gives_each_thread_its_own_frames(void **unused)
{
    static const uint32_t fib[] = {0, 1, 1, 2, 3, 5, 8, 13};
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_HEAD FIB
                 ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS
                 "ld.param.u64 %rd1, [a]; mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 7;\n"
                 "{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0+0], %r2;\n"
                 "call.uni (r0), fib, (p0); ld.param.b32 %r3, [r0+0]; }\n"
                 "mul.wide.u32 %rd3, %r1, 4; add.u64 %rd4, %rd1, %rd3; st.global.u32 [%rd4], %r3; ret;\n}\n");
    out = fixture_buffer(&f, 160);
    fixture_run(&f, "k", 1, 40, 1, out);
    for (int i = 0; i < 40; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], fib[i & 7]);
    fixture_close(&f);
}

static void endless_recursion_is_a_stack_fault(void **unused)
{
    struct fixture f;

    fixture_open(&f, KERNEL_HEAD ".func down() {\n.local .b8 pad[64];\ncall.uni down, ();\nret;\n}\n"
                                 ".visible .entry k() {\ncall.uni down, ();\nret;\n}\n");
    assert_int_equal(fixture_try(&f, "k", 1, 32, 0).fault, EXEC_FAULT_STACK);
    fixture_close(&f);
}

#define INDIRECT                                                                                             \
    KERNEL_HEAD                                                                                              \
    ".func (.param .b32 o) twice(.param .b32 i) { .reg .b32 %r<4>; ld.param.u32 %r1, [i]; add.u32 %r2, "     \
    "%r1, %r1;"                                                                                              \
    " st.param.b32 [o], %r2; ret; }\n"                                                                       \
    ".func (.param .b32 o) next(.param .b32 i) { .reg .b32 %r<4>; ld.param.u32 %r1, [i]; add.u32 %r2, %r1, " \
    "1;"                                                                                                     \
    " st.param.b32 [o], %r2; ret; }\n"                                                                       \
    ".func (.param .b64 o) wide(.param .b64 i) { .reg .b64 %r<4>; ld.param.u64 %r1, [i];"                    \
    " st.param.b64 [o], %r1; ret; }\n"                                                                       \
    ".global .align 8 .u64 table[3] = {twice, next, wide};\n"

static void threads_call_different_functions_through_a_table(void **unused)
{
    struct fixture f;
    uint64_t out, row;

    fixture_open(
        &f, INDIRECT
        ".visible .entry k(.param .u64 a, .param .u32 first) {\n" KERNEL_REGS
        "ld.param.u64 %rd1, [a]; ld.param.u32 %r9, [first]; mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 1;\n"
        "add.u32 %r2, %r2, %r9; mul.wide.u32 %rd2, %r2, 8; mov.u64 %rd3, table; add.u64 %rd4, %rd3, %rd2;\n"
        "ld.global.u64 %rd5, [%rd4];\n"
        "{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0], %r1;\n"
        "proto: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
        "call (r0), %rd5, (p0), proto; ld.param.b32 %r3, [r0]; }\n"
        "mul.wide.u32 %rd6, %r1, 4; add.u64 %rd7, %rd1, %rd6; st.global.u32 [%rd7], %r3; ret;\n}\n");
    out = fixture_buffer(&f, 128);
    fixture_run(&f, "k", 1, 32, 2, out, (uint64_t)0);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], i & 1 ? i + 1 : 2 * i);
    /* The third function takes other parameters; beyond it lies nothing. */
    row = 2;
    assert_int_equal(fixture_try(&f, "k", 1, 1, 2, out, row).fault, EXEC_FAULT_ILLEGAL_INSTRUCTION);
    fixture_close(&f);
}

static void a_structure_passes_through_a_call_by_value(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f, KERNEL_HEAD
        ".func (.param .align 8 .b8 o[16]) swap(.param .align 8 .b8 i[16]) { .reg .b64 %r<4>;\n"
        "ld.param.v2.u64 {%r1, %r2}, [i]; st.param.v2.b64 [o], {%r2, %r1}; ret; }\n"
        ".visible .entry k(.param .u64 a, .param .align 8 .b8 s[16]) {\n" KERNEL_REGS
        "ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [s]; cvt.u64.u32 %rd3, %tid.x;\n"
        "{ .param .align 8 .b8 p[16]; .param .align 8 .b8 r[16]; st.param.b64 [p], %rd2; st.param.b64 [p+8], "
        "%rd3;\n"
        "call.uni (r), swap, (p); ld.param.b64 %rd4, [r]; ld.param.b64 %rd5, [r+8]; }\n"
        "shl.b64 %rd6, %rd3, 4; add.u64 %rd7, %rd1, %rd6; st.global.v2.u64 [%rd7], {%rd4, %rd5}; ret;\n}\n");
    out = fixture_buffer(&f, 32 * 16);
    fixture_run(&f, "k", 1, 32, 2, out, (uint64_t)77);
    for (uint64_t i = 0; i < 32; i++) {
        assert_int_equal(((uint64_t *)fixture_host(&f, out))[2 * i], i);
        assert_int_equal(((uint64_t *)fixture_host(&f, out))[2 * i + 1], 77);
    }
    fixture_close(&f);
}

static void a_branch_table_sends_each_thread_to_its_label(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f,
        KERNEL_1("mov.u32 %r1, %tid.x;\nrem.u32 %r2, %r1, 3;\nts: .branchtargets A, B, C;\nbrx.idx %r2, ts;\n"
                 "A: mov.u32 %r3, 10;\nbra.uni OUT;\nB: mov.u32 %r3, 20;\nbra.uni OUT;\nC: mov.u32 %r3, 30;\n"
                 "OUT: mul.wide.u32 %rd3, %r1, 4;\nadd.u64 %rd4, %rd1, %rd3;\nst.global.u32 [%rd4], %r3;\n"));
    out = fixture_buffer(&f, 128);
    fixture_run(&f, "k", 1, 32, 1, out);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], 10 + 10 * (i % 3));
    fixture_close(&f);
}

static void threads_that_return_at_different_times_meet_in_the_caller(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_HEAD
                 ".func walk(.param .b32 i) { .reg .pred %p; .reg .b32 %r<4>; ld.param.u32 %r1, [i];\n"
                 "L: setp.eq.u32 %p, %r1, 0; @%p ret; sub.u32 %r1, %r1, 1; bra L; }\n"
                 ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS
                 "ld.param.u64 %rd1, [a]; mov.u32 %r1, %tid.x;\n"
                 "{ .param .b32 p; st.param.b32 [p], %r1; call walk, (p); }\n"
                 "activemask.b32 %r3; mul.wide.u32 %rd3, %r1, 4; add.u64 %rd4, %rd1, %rd3;\n"
                 "st.global.u32 [%rd4], %r3; ret;\n}\n");
    out = fixture_buffer(&f, 128);
    fixture_run(&f, "k", 1, 32, 1, out);
    for (int i = 0; i < 32; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], UINT32_MAX);
    fixture_close(&f);
}

static void trap_ends_the_grid_and_says_where(void **unused)
{
    struct exec_result result;
    struct fixture f;

    fixture_open(&f, KERNEL_1("mov.u32 %r1, %tid.x;\nsetp.eq.u32 %p1, %r1, 37;\n@%p1 trap;\n"));
    result = fixture_try(&f, "k", 1, 64, 1, (uint64_t)0);
    assert_int_equal(result.fault, EXEC_FAULT_TRAP);
    assert_non_null(strstr(result.fault_text, "kernel k, block (0,0,0), thread (37,0,0)"));
    fixture_close(&f);
}

static void an_inner_name_hides_an_outer_one(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f,
        KERNEL_1(
            "mov.u32 %r1, 1;\n{ .reg .b32 %r1; .reg .b32 r1; mov.u32 %r1, 2; mov.u32 r1, 3;\n"
            "{ .reg .b64 %r1; mov.u64 %r1, 4; st.global.u64 [%rd1+8], %r1; }\nst.global.u32 [%rd1+4], r1; }\n"
            "st.global.u32 [%rd1], %r1;\n"));
    out = fixture_buffer(&f, 16);
    fixture_run(&f, "k", 1, 1, 1, out);
    assert_int_equal(((uint32_t *)fixture_host(&f, out))[0], 1);
    assert_int_equal(((uint32_t *)fixture_host(&f, out))[1], 3);
    assert_int_equal(((uint64_t *)fixture_host(&f, out))[1], 4);
    fixture_close(&f);
}

/* Register slots are shared between registers that are not alive together: a value must live through a loop
 * that never names it. */
static void values_survive_loops_that_do_not_touch_them(void **unused)
{
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f,
        KERNEL_1(
            "mov.u32 %r1, 5;\nmov.u32 %r2, 0;\nmov.u32 %r9, 0;\n"
            "L: setp.eq.u32 %p1, %r2, 0;\n@%p1 mov.u32 %r3, 100;\n" /* defined once, used in later rounds */
            "add.u32 %r4, %r3, %r2;\nadd.u32 %r5, %r4, 1;\nadd.u32 %r9, %r9, %r5;\n"
            "add.u32 %r2, %r2, 1;\nsetp.lt.u32 %p2, %r2, 3;\n@%p2 bra L;\n"
            "add.u32 %r6, %r9, %r1;\nst.global.u32 [%rd1], %r6;\n"));
    out = fixture_buffer(&f, 4);
    fixture_run(&f, "k", 1, 32, 1, out);
    assert_int_equal(*(uint32_t *)fixture_host(&f, out), (101 + 102 + 103) + 5);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_one_counts_by_hand),
        cmocka_unit_test(counts_scale_with_blocks_and_partial_warps),
        cmocka_unit_test(parted_threads_meet_at_the_first_common_instruction),
        cmocka_unit_test(threads_that_exit_early_do_not_hold_the_others),
        cmocka_unit_test(a_spin_lock_inside_one_warp_makes_progress),
        cmocka_unit_test(a_flag_that_a_later_thread_sets_is_seen),
        cmocka_unit_test(warps_interleave_so_benign_races_come_out_right),
        cmocka_unit_test(recursion_gives_each_thread_its_own_frames),
        cmocka_unit_test(endless_recursion_is_a_stack_fault),
        cmocka_unit_test(threads_call_different_functions_through_a_table),
        cmocka_unit_test(a_structure_passes_through_a_call_by_value),
        cmocka_unit_test(a_branch_table_sends_each_thread_to_its_label),
        cmocka_unit_test(threads_that_return_at_different_times_meet_in_the_caller),
        cmocka_unit_test(trap_ends_the_grid_and_says_where),
        cmocka_unit_test(an_inner_name_hides_an_outer_one),
        cmocka_unit_test(values_survive_loops_that_do_not_touch_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
