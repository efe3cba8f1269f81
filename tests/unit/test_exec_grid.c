/* Whole launches: host threads, printing, clocks and modelled time, refusals, cancelling, fork. */
#include "exec_fixture.h"

#include <fenv.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softgpu/exec/pool.h"
#include "softgpu/exec/program.h"

/* Uneven work: each thread loops tid * 3 + block times, with a barrier behind. */
#define UNEVEN                                                                                               \
    KERNEL_1(                                                                                                \
        "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\nmad.lo.u32 %r3, %r1, 3, %r2;\nmov.u32 %r4, 0;\n"      \
        "L: setp.ge.u32 %p1, %r4, %r3;\n@%p1 bra D;\nadd.u32 %r4, %r4, 1;\nbra.uni L;\nD: bar.sync 0;\n"     \
        "red.global.add.u32 [%rd1], %r4;\n")

static void results_and_counts_do_not_depend_on_host_threads(void **unused)
{
    struct exec_result first, other;
    struct fixture f;
    uint64_t out;
    uint32_t sum;

    fixture_open(&f, UNEVEN);
    out = fixture_buffer(&f, 4);
    pool_limit(1);
    first = fixture_run(&f, "k", 60, 100, 1, out);
    sum = *(uint32_t *)fixture_host(&f, out);
    assert_int_equal(sum, 60 * 3 * 4950 + 100 * 1770);
    for (unsigned threads = 2; threads <= 5; threads++) {
        pool_limit(threads);
        *(uint32_t *)fixture_host(&f, out) = 0;
        other = fixture_run(&f, "k", 60, 100, 1, out);
        assert_int_equal(*(uint32_t *)fixture_host(&f, out), sum);
        assert_int_equal(other.warp_instructions, first.warp_instructions);
        assert_int_equal(other.thread_instructions, first.thread_instructions);
        assert_int_equal(other.model_cycles, first.model_cycles);
    }
    pool_limit(0);
    fixture_close(&f);
}

static void more_blocks_than_the_window_all_run_once(void **unused)
{
    enum { BLOCKS = 150000 };
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_1("red.global.add.u32 [%rd1], 1;\n"));
    out = fixture_buffer(&f, 4);
    pool_limit(3);
    fixture_run(&f, "k", BLOCKS, 1, 1, out);
    pool_limit(0);
    assert_int_equal(*(uint32_t *)fixture_host(&f, out), BLOCKS);
    fixture_close(&f);
}

static void block_indices_cover_three_dimensions(void **unused)
{
    uint32_t grid[3] = {3, 4, 5}, block[3] = {4, 3, 2};
    struct exec_result result;
    struct fixture f;
    uint64_t out;

    fixture_open(&f, KERNEL_1("mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ctaid.y;\nmov.u32 %r3, %ctaid.z;\n"
                              "mov.u32 %r4, %nctaid.x;\nmov.u32 %r5, %nctaid.y;\nmad.lo.u32 %r6, %r3, %r5, "
                              "%r2;\nmad.lo.u32 %r6, %r6, %r4, %r1;\n"
                              "mov.u32 %r11, %tid.x;\nmov.u32 %r12, %tid.y;\nmov.u32 %r13, %tid.z;\nmov.u32 "
                              "%r14, %ntid.x;\nmov.u32 %r15, %ntid.y;\n"
                              "mad.lo.u32 %r16, %r13, %r15, %r12;\nmad.lo.u32 %r16, %r16, %r14, "
                              "%r11;\nmad.lo.u32 %r7, %r6, 24, %r16;\n"
                              "mul.wide.u32 %rd2, %r7, 4;\nadd.u64 %rd3, %rd1, %rd2;\natom.global.add.u32 "
                              "%r8, [%rd3], %r7;\n"));
    out = fixture_buffer(&f, 60 * 24 * 4);
    assert_int_equal(fixture_launch(&f, "k", grid, block, &out, 1, &result), 0);
    assert_int_equal(result.fault, EXEC_OK);
    for (uint32_t i = 0; i < 60 * 24; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, out))[i], i);
    fixture_close(&f);
}

#define PRINTING                                                                                             \
    KERNEL_HEAD                                                                                              \
        ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"                             \
        ".global .align 1 .b8 text[11] = {98, 108, 111, 99, 107, 32, 37, 117, 10, 0, 0};\n" /* "block %u\n"  \
                                                                                             */              \
        ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS ".local .align 8 .b8 l[8];\n"                     \
        "mov.u64 %rd2, l;\ncvta.local.u64 %rd3, %rd2;\nmov.u32 %r1, %ctaid.x;\nst.local.u32 [%rd2], %r1;\n"  \
        "mov.u64 %rd4, text;\ncvta.global.u64 %rd5, %rd4;\n"                                                 \
        "{ .param .b64 p0; .param .b64 p1; .param .b32 r0; st.param.b64 [p0], %rd5; st.param.b64 [p1], "     \
        "%rd3;\n"                                                                                            \
        "call.uni (r0), vprintf, (p0, p1); ld.param.b32 %r2, [r0]; }\nsetp.ne.u32 %p1, %r2, 1;\n@%p1 "       \
        "trap;\nret;\n}\n"

static void printed_text_comes_in_block_order_whoever_ran_first(void **unused)
{
    char wanted[8192] = "";
    struct fixture f;

    fixture_open(&f, PRINTING);
    pool_limit(4);
    fixture_run(&f, "k", 500, 1, 1, (uint64_t)0);
    pool_limit(0);
    for (int i = 0; i < 500; i++)
        sprintf(wanted + strlen(wanted), "block %d\n", i);
    assert_string_equal(f.text, wanted);
    assert_int_equal(f.n_prints, 500);
    fixture_close(&f);
}

static void an_assertion_says_what_and_where(void **unused)
{
    struct exec_result result;
    struct fixture f;

    fixture_open(&f,
                 KERNEL_HEAD ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param "
                             ".b64 n, .param .b64 c);\n"
                             ".global .align 1 .b8 message[6] = {120, 32, 62, 32, 48, 0};\n.global .align 1 "
                             ".b8 file[5] = {97, 46, 99, 117, 0};\n"
                             ".visible .entry k() {\n" KERNEL_REGS
                             "mov.u64 %rd1, message;\nmov.u64 %rd2, file;\nmov.u64 %rd3, 1;\n"
                             "{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 d; .param .b64 e;\n"
                             "st.param.b64 [a], %rd1; st.param.b64 [b], %rd2; st.param.b32 [c], 12; "
                             "st.param.b64 [d], %rd2; st.param.b64 [e], %rd3;\n"
                             "call.uni __assertfail, (a, b, c, d, e); }\nret;\n}\n");
    result = fixture_try(&f, "k", 1, 1, 0);
    assert_int_equal(result.fault, EXEC_FAULT_ASSERT);
    assert_non_null(strstr(result.fault_text, "assertion `x > 0' failed, a.cu:12"));
    fixture_close(&f);
}

/* ---- clocks and modelled time ---- */

static void clocks_start_where_the_launch_says(void **unused)
{
    struct fixture f;
    uint64_t out;
    uint64_t *said;

    fixture_open(&f, KERNEL_1("mov.u64 %rd2, %globaltimer;\nmov.u64 %rd3, %clock64;\nmov.u32 %r1, "
                              "%clock;\nmov.u32 %r2, %globaltimer_lo;\n"
                              "nanosleep.u32 500000;\nmov.u64 %rd4, %globaltimer;\n"
                              "st.global.v2.u64 [%rd1], {%rd2, %rd3};\nst.global.v2.u32 [%rd1+16], {%r1, "
                              "%r2};\nst.global.u64 [%rd1+24], %rd4;\n"));
    f.start_ns = UINT64_C(10000000000);
    f.clock_khz = 1500000;
    out = fixture_buffer(&f, 32);
    fixture_run(&f, "k", 1, 1, 1, out);
    said = fixture_host(&f, out);
    assert_in_range(said[0], f.start_ns, f.start_ns + 100);
    assert_in_range(said[1], f.start_ns * 3 / 2, f.start_ns * 3 / 2 + 100);
    assert_in_range(said[2] & UINT32_MAX, (uint32_t)(f.start_ns * 3 / 2),
                    (uint32_t)(f.start_ns * 3 / 2) + 100);
    assert_in_range(said[2] >> 32, (uint32_t)f.start_ns, (uint32_t)f.start_ns + 100);
    assert_in_range(said[3] - said[0], 500000, 500200);
    fixture_close(&f);
}

#define SPIN                                                                                                 \
    KERNEL_1("mov.u64 %rd2, %clock64;\nL: mov.u64 %rd3, %clock64;\nsub.u64 %rd4, %rd3, %rd2;\nsetp.lt.u64 "  \
             "%p1, %rd4, %rd1;\n@%p1 bra L;\n")

static void a_delay_loop_is_long_for_the_model_and_short_for_the_host(void **unused)
{
    struct fixture f;

    fixture_open(&f, SPIN);
    for (uint64_t n = 100; n <= UINT64_C(1000000000000); n *= 10) {
        struct exec_result result = fixture_run(&f, "k", 1, 32, 1, n);

        assert_in_range(result.model_cycles, n, n + n / 100 + 100);
        assert_true(result.warp_instructions < 40000);
    }
    fixture_close(&f);
}

static void a_loop_that_also_watches_memory_is_not_hurried(void **unused)
{
    struct exec_result result;
    struct fixture f;
    uint64_t out;

    fixture_open(
        &f,
        KERNEL_2("mov.u64 %rd3, %clock64;\nL: ld.volatile.global.u32 %r1, [%rd1];\nmov.u64 %rd4, %clock64;\n"
                 "sub.u64 %rd5, %rd4, %rd3;\nsetp.lt.u64 %p1, %rd5, %rd2;\n@%p1 bra L;\n"));
    out = fixture_buffer(&f, 4);
    result = fixture_run(&f, "k", 1, 1, 2, out, (uint64_t)100000);
    assert_true(result.warp_instructions > 2000);
    fixture_close(&f);
}

static void modelled_time_fills_the_processors_wave_by_wave(void **unused)
{
    uint64_t one, four, five;
    struct fixture f;

    fixture_open(&f, SPIN);
    f.sm_count = 4;
    f.dynamic_shared_bytes = 40 * 1024; /* one block an SM */
    one = fixture_run(&f, "k", 1, 32, 1, (uint64_t)100000).model_cycles;
    four = fixture_run(&f, "k", 4, 32, 1, (uint64_t)100000).model_cycles;
    five = fixture_run(&f, "k", 5, 32, 1, (uint64_t)100000).model_cycles;
    assert_int_equal(four, one);
    assert_int_equal(five, 2 * one);
    fixture_close(&f);
}

/* A warp that goes round `loops` times, with something in front that makes no difference to the cost. */
#define ALIKE(front)                                                                                         \
    KERNEL_2(front "mov.u64 %rd3, 0;\nL: add.u64 %rd3, %rd3, 1;\nsetp.lt.u64 %p1, %rd3, %rd1;\n"             \
                   "nanosleep.u32 700;\n@%p1 bra L;\n")

static void of_blocks_that_are_alike_one_is_run_and_all_are_counted(void **unused)
{
    /* The second kernel's blocks are run one by one. */
    static const char *const kernels[] = {ALIKE("mov.u32 %r1, %tid.x;\n"), ALIKE("mov.u32 %r1, %ctaid.x;\n")};
    struct exec_result results[2];

    for (uint32_t blocks = 1; blocks < 1000; blocks = blocks * 3 + 1) {
        for (int i = 0; i < 2; i++) {
            struct fixture f;

            fixture_open(&f, kernels[i]);
            f.sm_count = 5;
            results[i] = fixture_run(&f, "k", blocks, 100, 2, (uint64_t)37, (uint64_t)0);
            fixture_close(&f);
        }
        assert_int_equal(results[0].model_cycles, results[1].model_cycles);
        assert_int_equal(results[0].warp_instructions, results[1].warp_instructions);
        assert_int_equal(results[0].thread_instructions, results[1].thread_instructions);
    }
}

static void a_grid_of_any_size_is_cheap_when_its_blocks_are_alike(void **unused)
{
    struct exec_result one, all;
    struct fixture f;

    fixture_open(&f, ALIKE(""));
    f.sm_count = 1;
    one = fixture_run(&f, "k", 32, 32, 2, (uint64_t)37, (uint64_t)0);
    all = fixture_run(&f, "k", UINT32_C(2147483647), 32, 2, (uint64_t)37, (uint64_t)0);
    fixture_close(&f);
    assert_int_equal(all.model_cycles, one.model_cycles * (2147483648 / 32));
}

static void blocks_that_could_be_told_apart_are_all_run(void **unused)
{
    static const char *const apart[] = {
        "mov.u32 %r1, %ctaid.z;\nsetp.eq.u32 %p1, %r1, 0;\n@%p1 bra E;\n",
        "mov.u32 %r1, %smid;\n",
        "ld.global.u32 %r1, [%rd1];\n",
        "st.global.u32 [%rd1], 1;\n",
        "red.global.add.u32 [%rd1], 1;\n",
        "bar.sync 0;\n",
        "@%p1 trap;\n",
    };

    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        char text[2048];
        struct fixture f;

        snprintf(text, sizeof text, "%s%sE:\nret;\n}\n",
                 KERNEL_HEAD ".visible .entry k(.param .u64 a) {\n" KERNEL_REGS
                             "ld.param.u64 %rd1, [a];\nsetp.ne.u32 %p1, 0, 0;\n",
                 apart[i]);
        fixture_open(&f, text);
        assert_false(f.program->kernel_data[0].is_alike);
        fixture_close(&f);
    }
}

/* ---- refusals ---- */

static int try_dimensions(struct fixture *f, uint32_t gx, uint32_t gy, uint32_t bx, uint32_t by, uint32_t bz)
{
    uint32_t grid[3] = {gx, gy, 1}, block[3] = {bx, by, bz};
    struct exec_result result;
    uint64_t a = 0;

    return fixture_launch(f, "k", grid, block, &a, 1, &result);
}

static void impossible_dimensions_are_refused(void **unused)
{
    struct fixture f;

    fixture_open(&f, KERNEL_1(""));
    assert_int_equal(try_dimensions(&f, 1, 1, 1024, 1, 1), 0);
    assert_int_equal(try_dimensions(&f, 0, 1, 1, 1, 1), -EINVAL);
    assert_int_equal(try_dimensions(&f, 1, 65536, 1, 1, 1), -EINVAL);
    assert_int_equal(try_dimensions(&f, 1, 1, 1025, 1, 1), -EINVAL);
    assert_int_equal(try_dimensions(&f, 1, 1, 32, 64, 1), -EINVAL);
    assert_int_equal(try_dimensions(&f, 1, 1, 1, 1, 65), -EINVAL);
    assert_int_equal(try_dimensions(&f, 1, 1, 0, 1, 1), -EINVAL);
    f.dynamic_shared_bytes = 1 << 20;
    assert_int_equal(try_dimensions(&f, 1, 1, 1, 1, 1), -EINVAL);
    fixture_close(&f);

    fixture_open(&f, KERNEL_HEAD ".visible .entry k(.param .u64 a) .reqntid 64, 1, 1 { ret; }\n");
    assert_int_equal(fixture_kernel_info(&f, "k")->max_threads_per_block, 64);
    assert_int_equal(try_dimensions(&f, 1, 1, 64, 1, 1), 0);
    assert_int_equal(try_dimensions(&f, 1, 1, 32, 1, 1), -EINVAL);
    fixture_close(&f);
}

static void an_unsupported_kernel_says_so_and_leaves_the_others(void **unused)
{
    uint32_t one[3] = {1, 1, 1};
    const struct exec_kernel *info;
    struct exec_result result;
    struct fixture f;

    fixture_open(&f, KERNEL_HEAD
                 ".func helper() { .reg .b32 %r<4>; .reg .b64 %rd<2>;\ncp.async.ca.shared.global [%r1], "
                 "[%rd1], 4;\nret; }\n"
                 ".visible .entry good() { ret; }\n.visible .entry bad() { call helper, (); ret; }\n");
    info = fixture_kernel_info(&f, "bad");
    assert_non_null(info->unsupported);
    assert_non_null(strstr(info->unsupported, "cp.async"));
    assert_int_equal(fixture_launch(&f, "bad", one, one, NULL, 0, &result), -ENOTSUP);
    assert_null(fixture_kernel_info(&f, "good")->unsupported);
    fixture_run(&f, "good", 1, 1, 0);
    fixture_close(&f);
}

static void broken_modules_are_refused_with_their_line(void **unused)
{
    static const char *const broken[] = {
        KERNEL_1("add.u32 %r1, %r2, nothing;\n"),
        KERNEL_1("bra NOWHERE;\n"),
        KERNEL_1("add.u32 %r1, %r2;\n"),
        KERNEL_1("@%r1 bra L;\nL:\n"),
        KERNEL_1("ld.global.u32 [%rd1], %r1;\n"),
        KERNEL_1("st.global.u32 [%rs1], %r1;\n"),
        KERNEL_1("ld.param.u64 %rd2, [a+8];\n"),
        KERNEL_1("st.param.u64 [a], %rd2;\n"),
        KERNEL_1("call nobody, (%rd1);\n"),
        KERNEL_1("shfl.sync.up.b32 %rd1, %r2, 1, 0, -1;\n"),
        KERNEL_1("vote.sync.all.pred %p1, %r1, -1;\n"),
    };

    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char error[PTX_ERROR_TEXT_MAX] = "";
        struct exec_program *program = NULL;
        struct ptx_module *module = NULL;

        if (ptx_parse(broken[i], strlen(broken[i]), &module, error) == 0) {
            if (exec_program_new(module, &program, error) != -EINVAL)
                fail_msg("accepted: %s", broken[i]);
            assert_null(program);
        }
        assert_non_null(strstr(error, "line "));
        ptx_free(module);
    }
}

static void a_cancelled_grid_stops(void **unused)
{
    uint32_t cancel = 1;
    struct fixture f;

    fixture_open(&f, KERNEL_1("L: bra L;\n"));
    f.cancel = &cancel;
    assert_int_equal(fixture_try(&f, "k", 100, 32, 1, (uint64_t)0).fault, EXEC_FAULT_TIMEOUT);
    fixture_close(&f);
}

static void a_forked_child_runs_grids_with_threads_of_its_own(void **unused)
{
    struct fixture f;
    uint64_t out;
    int status;
    pid_t child;

#ifdef __SANITIZE_THREAD__
    skip(); /* the thread sanitizer ends a forked child that starts threads */
#endif
    fixture_open(&f, UNEVEN);
    out = fixture_buffer(&f, 4);
    pool_limit(3);
    fixture_run(&f, "k", 20, 64, 1, out);
    child = fork();
    if (child == 0) {
        *(uint32_t *)fixture_host(&f, out) = 0;
        fixture_run(&f, "k", 20, 64, 1, out);
        _exit(*(uint32_t *)fixture_host(&f, out) == 20 * 3 * 2016 + 64 * 190 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pool_limit(0);
    fixture_close(&f);
}

static void the_callers_rounding_changes_no_bit_and_comes_back(void **unused)
{
    struct fixture f;
    float *out;
    uint64_t a;

    fixture_open(&f, KERNEL_1("mov.f32 %f1, 0f3F800000;\nmov.f32 %f2, 0f40400000;\ndiv.rn.f32 %f3, %f1, %f2;\n"
                              "st.global.f32 [%rd1], %f3;\nmov.f32 %f4, 0f00000001;\nadd.rn.f32 %f5, %f4, %f4;\n"
                              "st.global.f32 [%rd1+4], %f5;\n"));
    a = fixture_buffer(&f, 8);
    out = fixture_host(&f, a);
    assert_int_equal(fesetround(FE_UPWARD), 0);
    fixture_run(&f, "k", 1, 1, 1, a);
    assert_int_equal(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    assert_memory_equal(out, ((uint32_t[]){0x3eaaaaab, 2}), 8);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_callers_rounding_changes_no_bit_and_comes_back),
        cmocka_unit_test(results_and_counts_do_not_depend_on_host_threads),
        cmocka_unit_test(more_blocks_than_the_window_all_run_once),
        cmocka_unit_test(block_indices_cover_three_dimensions),
        cmocka_unit_test(printed_text_comes_in_block_order_whoever_ran_first),
        cmocka_unit_test(an_assertion_says_what_and_where),
        cmocka_unit_test(clocks_start_where_the_launch_says),
        cmocka_unit_test(a_delay_loop_is_long_for_the_model_and_short_for_the_host),
        cmocka_unit_test(a_loop_that_also_watches_memory_is_not_hurried),
        cmocka_unit_test(modelled_time_fills_the_processors_wave_by_wave),
        cmocka_unit_test(of_blocks_that_are_alike_one_is_run_and_all_are_counted),
        cmocka_unit_test(a_grid_of_any_size_is_cheap_when_its_blocks_are_alike),
        cmocka_unit_test(blocks_that_could_be_told_apart_are_all_run),
        cmocka_unit_test(impossible_dimensions_are_refused),
        cmocka_unit_test(an_unsupported_kernel_says_so_and_leaves_the_others),
        cmocka_unit_test(broken_modules_are_refused_with_their_line),
        cmocka_unit_test(a_cancelled_grid_stops),
        cmocka_unit_test(a_forked_child_runs_grids_with_threads_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
