/* The cost model as arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "softgpu/exec/cost.h"

static void issue_is_the_sum_of_counts_times_cost(void **unused)
{
    uint64_t counts[COST_CLASS_COUNT] = {[COST_FP32] = 10, [COST_FP64] = 3};

    assert_int_equal(cost_issue_cycles(counts), (10 * cost_table[COST_FP32].issue_quarter_cycles +
                                                 3 * cost_table[COST_FP64].issue_quarter_cycles + 3) /
                                                    4);
    assert_int_equal(cost_issue_cycles((uint64_t[COST_CLASS_COUNT]){0}), 0);
}

static void every_class_costs_something(void **unused)
{
    for (int i = 0; i < COST_CLASS_COUNT; i++)
        assert_true(cost_table[i].latency_cycles > 0 && cost_table[i].issue_quarter_cycles > 0);
}

static void blocks_fit_by_threads_shared_memory_and_number(void **unused)
{
    assert_int_equal(cost_blocks_per_sm(1024, 0), 2);
    assert_int_equal(cost_blocks_per_sm(33, 0), 32);
    assert_int_equal(cost_blocks_per_sm(257, 0), 7);
    assert_int_equal(cost_blocks_per_sm(32, 20 * 1024), 3);
    assert_int_equal(cost_blocks_per_sm(32, 100 * 1024), 1);
}

static uint64_t schedule(uint32_t sms, uint32_t slots, uint64_t n, uint64_t latency, uint64_t issue)
{
    struct cost_schedule *s = cost_schedule_new(sms, slots, n);
    uint64_t cycles;

    assert_non_null(s);
    for (uint64_t i = 0; i < n; i++)
        cost_schedule_block(s, latency, issue);
    cycles = cost_schedule_cycles(s);
    cost_schedule_free(s);
    return cycles;
}

static void waves_follow_each_other(void **unused)
{
    assert_int_equal(schedule(4, 2, 8, 100, 1), 100);
    assert_int_equal(schedule(4, 2, 9, 100, 1), 200);
    assert_int_equal(schedule(4, 1, 9, 100, 1), 300);
    assert_int_equal(schedule(1, 1, 0, 100, 1), 0);
}

static void an_sm_is_never_faster_than_its_issue(void **unused)
{
    assert_int_equal(schedule(1, 8, 8, 100, 60), 480);
    assert_int_equal(schedule(2, 8, 8, 100, 60), 240);
}

static void short_blocks_fill_in_behind_a_long_one(void **unused)
{
    struct cost_schedule *s = cost_schedule_new(2, 1, 5);

    assert_non_null(s);
    cost_schedule_block(s, 400, 0);
    for (int i = 0; i < 4; i++)
        cost_schedule_block(s, 100, 0);
    assert_int_equal(cost_schedule_cycles(s), 400);
    cost_schedule_free(s);
}

static void alike_blocks_cost_what_they_cost_one_by_one(void **unused)
{
    unsigned seed = 1;

    for (int i = 0; i < 3000; i++) {
        uint32_t sms = 1 + (uint32_t)rand_r(&seed) % 13, slots = 1 + (uint32_t)rand_r(&seed) % 9;
        uint64_t n = 1 + (uint64_t)rand_r(&seed) % 400, latency = 1 + (uint64_t)rand_r(&seed) % 1000;
        uint64_t issue = (uint64_t)rand_r(&seed) % 1000;
        struct cost_schedule *s = cost_schedule_new(sms, slots, n);

        assert_non_null(s);
        cost_schedule_alike(s, n, latency, issue);
        assert_int_equal(cost_schedule_cycles(s), schedule(sms, slots, n, latency, issue));
        cost_schedule_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issue_is_the_sum_of_counts_times_cost),
        cmocka_unit_test(every_class_costs_something),
        cmocka_unit_test(blocks_fit_by_threads_shared_memory_and_number),
        cmocka_unit_test(waves_follow_each_other),
        cmocka_unit_test(an_sm_is_never_faster_than_its_issue),
        cmocka_unit_test(short_blocks_fill_in_behind_a_long_one),
        cmocka_unit_test(alike_blocks_cost_what_they_cost_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
