/* Threads that wait for each other: barriers of a block and of a grid, exchanges among the lanes of a warp.
 */
#include "exec_fixture.h"

#include <string.h>

/* out[tid] = %r9 */
#define STORE_R9                                                                                             \
    "mov.u32 %r30, %tid.x;\nmul.wide.u32 %rd30, %r30, 4;\nadd.u64 %rd31, %rd1, %rd30;\nst.global.u32 "       \
    "[%rd31], %r9;\n"

static const uint32_t *run_words(struct fixture *f, const char *ptx, uint32_t threads)
{
    uint64_t out;

    fixture_open(f, ptx);
    out = fixture_buffer(f, threads * 4);
    fixture_run(f, "k", 1, threads, 1, out);
    return fixture_host(f, out);
}

static void a_barrier_in_a_loop_separates_its_rounds(void **unused)
{
    struct fixture f;
    /* Each round every thread reads its neighbour's cell of the round before. */
    const uint32_t *out = run_words(
        &f,
        KERNEL_1(".shared .align 4 .b8 cells[1024];\nmov.u32 %r1, %tid.x;\nmov.u32 %r2, cells;\nshl.b32 %r3, "
                 "%r1, 2;\n"
                 "add.u32 %r4, %r2, %r3;\nst.shared.u32 [%r4], %r1;\nadd.u32 %r5, %r1, 1;\nand.b32 %r5, %r5, "
                 "255;\n"
                 "shl.b32 %r6, %r5, 2;\nadd.u32 %r7, %r2, %r6;\nmov.u32 %r8, 0;\n"
                 "L: bar.sync 0;\nld.shared.u32 %r9, [%r7];\nbar.sync 0;\nst.shared.u32 [%r4], %r9;\n"
                 "add.u32 %r8, %r8, 1;\nsetp.ne.u32 %p1, %r8, 100;\n@%p1 bra L;\n" STORE_R9),
        256);

    for (uint32_t i = 0; i < 256; i++)
        assert_int_equal(out[i], (i + 100) % 256);
    fixture_close(&f);
}

static void threads_reach_one_barrier_by_different_ways(void **unused)
{
    struct fixture f;
    const uint32_t *out =
        run_words(&f,
                  KERNEL_1("mov.u32 %r1, %tid.x;\nand.b32 %r2, %r1, 1;\nsetp.eq.u32 %p1, %r2, 0;\n"
                           "@%p1 bra EVEN;\nbar.sync 0;\nmov.u32 %r9, 1;\nbra.uni OUT;\n"
                           "EVEN: bar.sync 0;\nmov.u32 %r9, 2;\nOUT: " STORE_R9),
                  64);

    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], i & 1 ? 1 : 2);
    fixture_close(&f);
}

static void a_barrier_with_a_predicate_waits_only_for_those_who_take_it(void **unused)
{
    struct fixture f;
    /* Warp 0 and 1 meet at barrier 3 with a count; the others never come near it. */
    const uint32_t *out =
        run_words(&f,
                  KERNEL_1("mov.u32 %r1, %tid.x;\nmov.u32 %r9, 5;\nsetp.lt.u32 %p1, %r1, 64;\n"
                           "@%p1 bar.sync 3, 64;\n@%p1 mov.u32 %r9, 6;\n" STORE_R9),
                  160);

    for (uint32_t i = 0; i < 160; i++)
        assert_int_equal(out[i], i < 64 ? 6 : 5);
    fixture_close(&f);
}

static void a_producer_arrives_and_goes_on_while_consumers_wait(void **unused)
{
    struct fixture f;
    const uint32_t *out =
        run_words(&f,
                  KERNEL_1(".shared .u32 cell;\nmov.u32 %r1, %tid.x;\nmov.u32 %r9, 0;\nsetp.ge.u32 %p1, %r1, "
                           "32;\n@%p1 bra TAKE;\n"
                           "st.shared.u32 [cell], 42;\nbar.arrive 1, 64;\nbra.uni OUT;\n"
                           "TAKE: bar.sync 1, 64;\nld.shared.u32 %r9, [cell];\nOUT: " STORE_R9),
                  64);

    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], i < 32 ? 0 : 42);
    fixture_close(&f);
}

static void a_counted_barrier_takes_a_partial_warp_as_a_whole_one(void **unused)
{
    struct fixture f;
    const uint32_t *out = run_words(&f, KERNEL_1("bar.sync 2, 64;\nmov.u32 %r9, 1;\n" STORE_R9), 48);

    assert_int_equal(out[47], 1);
    fixture_close(&f);
}

static void barrier_reductions_count_all_threads(void **unused)
{
    struct fixture f;
    const uint32_t *out =
        run_words(&f,
                  KERNEL_1("mov.u32 %r1, %tid.x;\nsetp.lt.u32 %p1, %r1, 70;\nbar.red.popc.u32 %r2, 0, %p1;\n"
                           "bar.red.and.pred %p2, 0, %p1;\nbar.red.or.pred %p3, 0, !%p1;\nbar.red.and.pred "
                           "%p4, 1, 96, !%p5;\n"
                           "shl.b32 %r9, %r2, 3;\nselp.u32 %r3, 4, 0, %p2;\nselp.u32 %r4, 2, 0, "
                           "%p3;\nselp.u32 %r5, 1, 0, %p4;\n"
                           "or.b32 %r9, %r9, %r3;\nor.b32 %r9, %r9, %r4;\nor.b32 %r9, %r9, %r5;\n" STORE_R9),
                  96);

    for (int i = 0; i < 96; i++)
        assert_int_equal(out[i], 70 * 8 + 2 + 1);
    fixture_close(&f);
}

static void threads_that_can_never_meet_end_in_a_fault(void **unused)
{
    struct exec_result result;
    struct fixture f;

    fixture_open(&f, KERNEL_1("mov.u32 %r1, %tid.x;\nsetp.lt.u32 %p1, %r1, 32;\n@%p1 bar.sync 1, 64;\n@!%p1 "
                              "bar.sync 2, 64;\n"));
    result = fixture_try(&f, "k", 1, 64, 1, (uint64_t)0);
    assert_int_equal(result.fault, EXEC_FAULT_TIMEOUT);
    assert_non_null(strstr(result.fault_text, "barriers that cannot open"));
    fixture_close(&f);
}

#define SHUFFLE(mode, b, c)                                                                                  \
    KERNEL_1("mov.u32 %r1, %laneid;\nadd.u32 %r2, %r1, 100;\nshfl.sync." mode ".b32 %r9|%p1, %r2, " b ", " c \
             ", 0xffffffff;\n"                                                                               \
             "@!%p1 add.u32 %r9, %r9, 1000;\n" STORE_R9)

static void shuffles_stop_at_the_end_of_their_segment(void **unused)
{
    struct fixture f;
    const uint32_t *out = run_words(&f, SHUFFLE("up", "3", "0"), 32);

    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i >= 3 ? 100 + i - 3 : 1100 + i);
    fixture_close(&f);

    out = run_words(&f, SHUFFLE("down", "2", "0x181f"), 32); /* segments of 8 */
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i % 8 < 6 ? 100 + i + 2 : 1100 + i);
    fixture_close(&f);

    out = run_words(&f, SHUFFLE("bfly", "16", "0x100f"), 32); /* clamp at lane 15 of a half */
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i >= 16 ? 100 + (i ^ 16) : 1100 + i);
    fixture_close(&f);

    out = run_words(&f, SHUFFLE("idx", "9", "0x1c1f"), 32); /* segments of 4: 9 means 1 */
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 100 + i / 4 * 4 + 1);
    fixture_close(&f);
}

static void a_shuffle_waits_for_members_on_another_path(void **unused)
{
    struct fixture f;
    /* Both halves name all 32 lanes but stand at different shuffles: they exchange all the same. */
    const uint32_t *out = run_words(
        &f,
        KERNEL_1("mov.u32 %r1, %laneid;\nsetp.lt.u32 %p1, %r1, 16;\n@%p1 bra LOW;\n"
                 "add.u32 %r2, %r1, 50;\nshfl.sync.bfly.b32 %r9, %r2, 16, 31, 0xffffffff;\nbra.uni OUT;\n"
                 "LOW: add.u32 %r2, %r1, 200;\nshfl.sync.bfly.b32 %r9, %r2, 16, 31, 0xffffffff;\n"
                 "OUT: " STORE_R9),
        32);

    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i < 16 ? i + 16 + 50 : i - 16 + 200);
    fixture_close(&f);
}

static void exchanges_of_half_warps_do_not_wait_for_the_other_half(void **unused)
{
    struct fixture f;
    /* Each half has its own mask in a register: ballots of halves, in one group. */
    const uint32_t *out = run_words(
        &f,
        KERNEL_1(
            "mov.u32 %r1, %laneid;\nsetp.lt.u32 %p1, %r1, 16;\nselp.u32 %r2, 0xffff, 0xffff0000, %p1;\n"
            "and.b32 %r3, %r1, 3;\nsetp.eq.u32 %p2, %r3, 0;\nvote.sync.ballot.b32 %r9, %p2, %r2;\n" STORE_R9),
        32);

    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i < 16 ? 0x1111 : 0x11110000);
    fixture_close(&f);
}

static void exited_lanes_are_not_waited_for(void **unused)
{
    struct fixture f;
    const uint32_t *out =
        run_words(&f,
                  KERNEL_1("mov.u32 %r1, %laneid;\nsetp.ge.u32 %p1, %r1, 20;\n@%p1 exit;\n"
                           "setp.lt.u32 %p2, %r1, 4;\nvote.sync.ballot.b32 %r9, %p2, 0xffffffff;\n"
                           "bar.warp.sync 0xffffffff;\n" STORE_R9),
                  32);

    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out[i], i < 20 ? 0xf : 0);
    fixture_close(&f);
}

static void votes_matches_and_reductions_agree_with_their_definition(void **unused)
{
    struct fixture f;
    uint64_t out;
    uint32_t *words;

    fixture_open(
        &f,
        KERNEL_1(
            "mov.u32 %r1, %laneid;\nand.b32 %r2, %r1, 3;\ncvt.u64.u32 %rd2, %r2;\nsub.u32 %r3, 5, %r1;\n"
            "setp.lt.u32 %p1, %r1, 40;\nsetp.lt.u32 %p2, %r1, 1;\n"
            "vote.sync.all.pred %p3, %p1, -1;\nvote.sync.any.pred %p4, !%p1, -1;\nvote.sync.uni.pred %p5, "
            "%p2, -1;\n"
            "selp.u32 %r4, 1, 0, %p3;\nselp.u32 %r5, 2, 0, %p4;\nselp.u32 %r6, 4, 0, %p5;\n"
            "or.b32 %r4, %r4, %r5;\nor.b32 %r4, %r4, %r6;\n"
            "match.any.sync.b64 %r10, %rd2, -1;\nmatch.all.sync.b32 %r11|%p6, %r2, -1;\nmatch.all.sync.b32 "
            "%r12|%p7, 9, -1;\n"
            "selp.u32 %r13, 1, 0, %p6;\nselp.u32 %r14, 2, 0, %p7;\nor.b32 %r13, %r13, %r14;\n"
            "redux.sync.add.s32 %r15, %r3, -1;\nredux.sync.min.s32 %r16, %r3, -1;\nredux.sync.max.u32 %r17, "
            "%r3, -1;\n"
            "redux.sync.xor.b32 %r18, %r1, -1;\nelect.sync %r19|%p8, 0xfffffff0;\nselp.u32 %r20, 1, 0, %p8;\n"
            "setp.ne.u32 %p9, %r1, 6;\n@%p9 exit;\n"
            "st.global.v4.u32 [%rd1], {%r4, %r10, %r11, %r12};\nst.global.v4.u32 [%rd1+16], {%r13, %r15, "
            "%r16, %r17};\n"
            "st.global.v4.u32 [%rd1+32], {%r18, %r19, %r20, %r20};\n"));
    out = fixture_buffer(&f, 48);
    fixture_run(&f, "k", 1, 32, 1, out);
    words = fixture_host(&f, out);
    assert_int_equal(words[0], 1);
    assert_int_equal(words[1], 0x44444444);
    assert_int_equal(words[2], 0);
    assert_int_equal(words[3], UINT32_MAX);
    assert_int_equal(words[4], 2);
    assert_int_equal((int32_t)words[5], 5 * 32 - 496);
    assert_int_equal((int32_t)words[6], 5 - 31);
    assert_int_equal(words[7], UINT32_MAX);
    assert_int_equal(words[8], 0);
    assert_int_equal(words[9], 4);
    assert_int_equal(words[10], 0);
    fixture_close(&f);
}

/* What cooperative groups do: one atomic a block on the workspace named by %envreg1 and %envreg2, then
 * polling. */
#define GRID_SYNC                                                                                            \
    "bar.sync 0;\nmov.u32 %r20, %tid.x;\nsetp.ne.u32 %p20, %r20, 0;\n@%p20 bra JOIN;\n"                      \
    "mov.u32 %r21, %envreg1;\nmov.u32 %r22, %envreg2;\nmov.b64 %rd20, {%r22, %r21};\n"                       \
    "mov.u32 %r23, %ctaid.x;\nmov.u32 %r24, %nctaid.x;\nsetp.eq.u32 %p21, %r23, 0;\nsub.u32 %r25, "          \
    "0x80000001, %r24;\n"                                                                                    \
    "selp.u32 %r26, %r25, 1, %p21;\natom.add.release.gpu.u32 %r27, [%rd20+4], %r26;\n"                       \
    "POLL: ld.acquire.gpu.u32 %r28, [%rd20+4];\nxor.b32 %r29, %r27, %r28;\nsetp.ge.s32 %p22, %r29, "         \
    "0;\n@%p22 bra POLL;\n"                                                                                  \
    "JOIN: bar.sync 0;\n"

static void a_cooperative_grid_meets_at_its_barrier(void **unused)
{
    enum { BLOCKS = 40 };
    struct fixture f;
    uint64_t cells;

    /* Write own cell, meet, read the next block's cell. */
    fixture_open(
        &f, KERNEL_1("mov.u32 %r1, %ctaid.x;\nmul.wide.u32 %rd2, %r1, 8;\nadd.u64 %rd3, %rd1, %rd2;\n"
                     "add.u32 %r2, %r1, 500;\nst.global.u32 [%rd3], %r2;\n" GRID_SYNC
                     "mov.u32 %r3, %nctaid.x;\nadd.u32 %r4, %r1, 1;\nrem.u32 %r5, %r4, %r3;\n"
                     "mul.wide.u32 %rd4, %r5, 8;\nadd.u64 %rd5, %rd1, %rd4;\nld.global.u32 %r6, [%rd5];\n"
                     "st.global.u32 [%rd3+4], %r6;\n"));
    f.cooperative = true;
    cells = fixture_buffer(&f, BLOCKS * 8);
    fixture_run(&f, "k", BLOCKS, 64, 1, cells);
    for (uint32_t i = 0; i < BLOCKS; i++)
        assert_int_equal(((uint32_t *)fixture_host(&f, cells))[2 * i + 1], 500 + (i + 1) % BLOCKS);
    fixture_close(&f);
}

static void blocks_that_wait_for_later_ones_get_them(void **unused)
{
    struct fixture f;
    uint64_t word;

    /* Not cooperative, but all blocks would be resident on hardware: everyone adds one and waits for the sum.
     */
    fixture_open(
        &f,
        KERNEL_1("atom.global.add.u32 %r1, [%rd1], 1;\n"
                 "POLL: ld.volatile.global.u32 %r2, [%rd1];\nsetp.lt.u32 %p1, %r2, 4;\n@%p1 bra POLL;\n"));
    word = fixture_buffer(&f, 4);
    fixture_run(&f, "k", 4, 1, 1, word);
    assert_int_equal(*(uint32_t *)fixture_host(&f, word), 4);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_barrier_in_a_loop_separates_its_rounds),
        cmocka_unit_test(threads_reach_one_barrier_by_different_ways),
        cmocka_unit_test(a_barrier_with_a_predicate_waits_only_for_those_who_take_it),
        cmocka_unit_test(a_producer_arrives_and_goes_on_while_consumers_wait),
        cmocka_unit_test(a_counted_barrier_takes_a_partial_warp_as_a_whole_one),
        cmocka_unit_test(barrier_reductions_count_all_threads),
        cmocka_unit_test(threads_that_can_never_meet_end_in_a_fault),
        cmocka_unit_test(shuffles_stop_at_the_end_of_their_segment),
        cmocka_unit_test(a_shuffle_waits_for_members_on_another_path),
        cmocka_unit_test(exchanges_of_half_warps_do_not_wait_for_the_other_half),
        cmocka_unit_test(exited_lanes_are_not_waited_for),
        cmocka_unit_test(votes_matches_and_reductions_agree_with_their_definition),
        cmocka_unit_test(a_cooperative_grid_meets_at_its_barrier),
        cmocka_unit_test(blocks_that_wait_for_later_ones_get_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
