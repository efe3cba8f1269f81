/* What work costs and how it is drawn: src/meter without a device or a clock. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "meter/cost.h"
#include "meter/draw.h"
#include "meter/estimate.h"
#include "meter/overlap.h"
#include "meter/pauses.h"

#define US NS_PER_US
#define MS NS_PER_MS

/* ---- estimates ---- */

static void a_first_exact_measurement_is_believed(void **state)
{
    struct estimate e = {0};

    estimate_take(&e, 700 * US, ESTIMATE_EXACT, MS);
    assert_int_equal(estimate_cost_ns(&e), 700 * US);
}

static void a_bound_lowers_a_cost_and_never_raises_it(void **state)
{
    struct estimate e = {0};

    estimate_take(&e, 900 * US, ESTIMATE_BOUND, MS);
    estimate_take(&e, 2000 * US, ESTIMATE_BOUND, 2 * MS);
    assert_int_equal(estimate_cost_ns(&e), 900 * US);
    estimate_take(&e, 500 * US, ESTIMATE_BOUND, 3 * MS);
    assert_int_equal(estimate_cost_ns(&e), 500 * US);
    assert_true(estimate_is_unsure(&e, 3 * MS));
    estimate_take(&e, 600 * US, ESTIMATE_EXACT, 4 * MS);
    assert_int_equal(estimate_cost_ns(&e), 600 * US);
    estimate_take(&e, 100 * MS, ESTIMATE_BOUND, 5 * MS);
    assert_int_equal(estimate_cost_ns(&e), 600 * US);
}

static void exact_measurements_outdo_near_ones_for_a_second(void **state)
{
    struct estimate e = {0};

    estimate_take(&e, 1000 * US, ESTIMATE_NEAR, MS);
    estimate_take(&e, 800 * US, ESTIMATE_EXACT, 2 * MS);
    assert_int_equal(estimate_cost_ns(&e), 800 * US);
    estimate_take(&e, 1000 * US, ESTIMATE_NEAR, 3 * MS);
    assert_int_equal(estimate_cost_ns(&e), 800 * US);
    estimate_take(&e, 1000 * US, ESTIMATE_NEAR, 3 * MS + ESTIMATE_EXACT_NS);
    assert_true(estimate_cost_ns(&e) > 800 * US && estimate_cost_ns(&e) < 1000 * US);
}

static void a_cost_follows_the_mean_of_work_that_varies(void **state)
{
    struct estimate e = {0};
    uint64_t sum = 0;

    srand(1);
    for (unsigned i = 1; i <= 4000; i++) {
        estimate_take(&e, (uint64_t)(80 + rand() % 41) * US, ESTIMATE_EXACT, i * MS);
        sum += i > 1000 ? estimate_cost_ns(&e) : 0;
    }
    assert_in_range(sum / 3000, 99 * US, 101 * US);
}

static void work_that_has_changed_is_followed_at_once(void **state)
{
    struct estimate e = {0};

    for (unsigned i = 1; i <= 20; i++)
        estimate_take(&e, 100 * US, ESTIMATE_EXACT, i * MS);
    for (unsigned i = 1; i <= 3; i++)
        estimate_take(&e, 5 * MS, ESTIMATE_EXACT, (20 + i) * MS);
    assert_int_equal(estimate_cost_ns(&e), 5 * MS);
    for (unsigned i = 1; i <= 3; i++)
        estimate_take(&e, 50 * US, ESTIMATE_EXACT, (30 + i) * MS);
    assert_int_equal(estimate_cost_ns(&e), 50 * US);
}

static void a_clean_measurement_grows_old(void **state)
{
    struct estimate e = {0};

    estimate_take(&e, MS, ESTIMATE_EXACT, MS);
    assert_false(estimate_is_unsure(&e, MS + ESTIMATE_CLEAN_NS));
    assert_true(estimate_is_unsure(&e, MS + ESTIMATE_CLEAN_NS + 1));
}

static void no_measurement_wraps(void **state)
{
    static const enum estimate_worth worths[] = {ESTIMATE_BOUND, ESTIMATE_NEAR, ESTIMATE_EXACT};

    for (unsigned w = 0; w < 3; w++) {
        struct estimate e = {0};

        for (unsigned i = 1; i < 50; i++)
            estimate_take(&e, i % 2 ? UINT64_MAX : 0, worths[w], i);
        assert_true(estimate_cost_ns(&e) >= 1 && estimate_cost_ns(&e) <= UINT64_C(1) << 58);
    }
}

static void a_window_takes_two_measurements_and_the_shorter_where_they_differ(void **state)
{
    struct estimate e = {0};

    estimate_take_window(&e, 20 * MS, 7, MS);
    assert_true(estimate_is_unsure(&e, MS));
    estimate_take_window(&e, 12 * MS, 7, 2 * MS);
    assert_int_equal(estimate_cost_ns(&e), 12 * MS);
    assert_false(estimate_is_unsure(&e, 2 * MS));
    estimate_take_window(&e, 12 * MS, 9, 3 * MS);
    estimate_take_window(&e, 13 * MS, 9, 4 * MS);
    assert_in_range(estimate_cost_ns(&e), 12 * MS + MS / 2 - 1, 12 * MS + MS / 2 + 1);
}

static void a_window_that_raises_a_cost_has_to_be_confirmed(void **state)
{
    struct estimate e = {0};

    estimate_take(&e, 10 * MS, ESTIMATE_EXACT, MS);
    for (uint64_t window = 1; window <= 2; window++) {
        assert_int_equal(estimate_cost_ns(&e), 10 * MS);
        estimate_take_window(&e, 15 * MS, window, 20000 * MS * window);
        estimate_take_window(&e, 15 * MS, window, 20000 * MS * window + MS);
        assert_int_equal(estimate_is_unsure(&e, 20000 * MS * window + 2 * MS), window == 1);
    }
    assert_int_equal(estimate_cost_ns(&e), 15 * MS);
}

/* ---- the table ---- */

static struct cost_table table;

static void learn(uint64_t key, uint64_t ns)
{
    struct cost_more *more = cost_get(&table, key);

    estimate_take(&more->estimate, ns, ESTIMATE_EXACT, MS);
    more->paid_ns += ns;
    cost_publish(&table, key, more);
}

static void a_cost_is_found_by_its_key_and_no_other(void **state)
{
    uint64_t key = cost_key(0x7f0000001000, 132, 256);

    memset(&table, 0, sizeof(table));
    assert_int_equal(cost_find(&table, key), COST_UNKNOWN_NS);
    cost_get(&table, key);
    assert_int_equal(cost_find(&table, key), COST_UNKNOWN_NS);
    learn(key, 321);
    assert_int_equal(cost_find(&table, key), 321);
    assert_int_equal(cost_find(&table, cost_key(0x7f0000001000, 133, 256)), COST_UNKNOWN_NS);
    cost_forget(&table, key);
    assert_int_equal(cost_find(&table, key), COST_UNKNOWN_NS);
    assert_null(cost_look(&table, key));
}

static void a_full_table_keeps_what_costs_most(void **state)
{
    uint64_t dear = cost_key(1, 1, 1);

    memset(&table, 0, sizeof(table));
    learn(dear, MS);
    for (uint64_t i = 2; i < 10 * COST_SETS * COST_WAYS; i++)
        learn(cost_key(i * 64, 1, 1), 10);
    assert_int_equal(cost_find(&table, dear), MS);
}

static void keys_of_like_work_differ(void **state)
{
    uint64_t keys[4096];
    unsigned n = 0;

    for (uint64_t function = 0; function < 8; function++)
        for (uint64_t grid = 1; grid <= 16; grid++)
            for (uint64_t block = 1; block <= 32; block++)
                keys[n++] = cost_key(0x55550000 + function * 16, grid, block * 32);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(keys[i], keys[j]);
}

/* ---- drawing ---- */

static void nothing_is_drawn_in_debt_and_a_debt_may_be_made(void **state)
{
    uint64_t drawn = 0, debt = 0;

    assert_true(draw_try(&drawn, 20 * MS, 1 * MS, 100 * MS, &debt));
    assert_int_equal(drawn, 20 * MS);
    assert_false(draw_try(&drawn, 1, 20 * MS, 100 * MS, &debt));
    assert_int_equal(debt, 0);
    assert_false(draw_try(&drawn, 1, 5 * MS, 100 * MS, &debt));
    assert_int_equal(debt, 15 * MS);
    assert_int_equal(drawn, 20 * MS);
    assert_true(draw_try(&drawn, 1, 20 * MS + 1, 100 * MS, &debt));
}

static void what_is_left_unused_is_kept_up_to_the_burst(void **state)
{
    uint64_t drawn = 0, debt;

    assert_true(draw_try(&drawn, MS, 1000 * MS, 30 * MS, &debt));
    assert_int_equal(drawn, 971 * MS);
}

static void an_account_is_never_less_than_nothing(void **state)
{
    uint64_t drawn = 5;

    draw_adjust(&drawn, -10);
    assert_int_equal(drawn, 0);
    drawn = UINT64_MAX - 1;
    draw_adjust(&drawn, 10);
    assert_int_equal(drawn, UINT64_MAX);
}

enum { THREADS = 4, DRAWS = 20000 };

static uint64_t shared_drawn;

static void *draw_much(void *argument)
{
    uintptr_t got = 0;

    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t debt;

        got += draw_try(&shared_drawn, 3, UINT64_C(3) * DRAWS, UINT64_MAX, &debt);
    }
    return (void *)got;
}

static void threads_together_draw_no_more_than_the_allowance(void **state)
{
    pthread_t threads[THREADS];
    uintptr_t sum = 0;

    shared_drawn = 0;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw_much, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *got;

        pthread_join(threads[i], &got);
        sum += (uintptr_t)got;
    }
    assert_int_equal(sum, DRAWS);
    assert_int_equal(shared_drawn, UINT64_C(3) * DRAWS);
}

/* ---- overlap ---- */

/* A device that runs all streams one after the other; each kernel takes length, and is paid for by what one
 * stream sees of it: length times streams. Taken in another order than handed over. */
static void run_streams(struct overlap *overlap, unsigned streams, unsigned n)
{
    struct overlap_item items[8];
    unsigned at = 0;

    for (unsigned i = 1; i <= n; i++) {
        const uint64_t sequence = overlap->last.sequence + at + 1;

        items[at++] = (struct overlap_item){.sequence = sequence,
                                            .epoch = 1,
                                            .end_ns = (int64_t)(sequence * MS),
                                            .drawn_ns = streams * MS,
                                            .stream = i % streams,
                                            .is_chained = true,
                                            .is_clean = true};
        while (at == 8)
            for (; at; at--)
                overlap_take(overlap, &items[at - 1]);
    }
}

static void one_stream_pays_what_it_costs(void **state)
{
    struct overlap overlap = {0};

    assert_int_equal(overlap_factor_ppm(&overlap), OVERLAP_PPM);
    run_streams(&overlap, 1, 400);
    assert_int_equal(overlap_factor_ppm(&overlap), OVERLAP_PPM);
}

static void streams_together_pay_for_the_time_that_the_device_was_busy(void **state)
{
    for (unsigned streams = 2; streams <= 8; streams *= 2) {
        struct overlap overlap = {0};

        run_streams(&overlap, streams, 400);
        assert_in_range(overlap_factor_ppm(&overlap), OVERLAP_PPM / streams - 1000,
                        OVERLAP_PPM / streams + 1000);
    }
}

static void a_factor_is_forgotten_when_one_stream_is_left(void **state)
{
    struct overlap overlap = {0};

    run_streams(&overlap, 4, 400);
    assert_true(overlap_factor_ppm(&overlap) < OVERLAP_PPM / 2);
    run_streams(&overlap, 1, 400);
    assert_int_equal(overlap_factor_ppm(&overlap), OVERLAP_PPM);
}

static void pauses_and_company_say_nothing(void **state)
{
    struct overlap overlap = {0};

    for (unsigned i = 1; i <= 400; i++)
        overlap_take(&overlap, &(struct overlap_item){.sequence = i,
                                                      .epoch = 1,
                                                      .end_ns = (int64_t)(i * 10 * MS),
                                                      .drawn_ns = 100 * MS,
                                                      .stream = i % 2,
                                                      .is_chained = i % 2,
                                                      .is_clean = i % 3 == 0});
    assert_int_equal(overlap_factor_ppm(&overlap), OVERLAP_PPM);
}

static void a_measurement_that_never_comes_holds_nothing_up(void **state)
{
    struct overlap overlap = {0};

    for (unsigned i = 1; i <= 600; i++)
        if (i != 100)
            overlap_take(&overlap, &(struct overlap_item){.sequence = i,
                                                          .epoch = 1,
                                                          .end_ns = (int64_t)(i * MS),
                                                          .drawn_ns = 2 * MS,
                                                          .stream = i % 2,
                                                          .is_chained = true,
                                                          .is_clean = true});
    assert_int_equal(overlap.last.sequence, 600);
    assert_in_range(overlap_factor_ppm(&overlap), 499000, 501000);
}

/* ---- pauses ---- */

static void work_is_fitted_into_the_shortest_of_the_last_pauses(void **state)
{
    struct pauses p = {0};
    uint64_t now = MS;

    assert_false(pauses_have_room(&p, 1, now));
    for (unsigned i = 0; i < 3; i++) {
        pauses_look(&p, false, now);
        assert_int_equal(pauses_have_room(&p, 60 * MS, now), i < 2); /* hardly anything was seen before */
        pauses_look(&p, true, now += (i == 1 ? 32 : 40) * MS);
        assert_false(pauses_have_room(&p, 1, now));
        now += 5 * MS;
    }
    pauses_look(&p, false, now);
    assert_true(pauses_have_room(&p, 28 * MS, now));
    assert_false(pauses_have_room(&p, 28 * MS + 1, now));
    assert_true(pauses_have_room(&p, 8 * MS, now + 20 * MS));
    assert_false(pauses_have_room(&p, 8 * MS + 1, now + 20 * MS));
    for (unsigned i = 0; i < PAUSES_KEPT; i++) {
        pauses_look(&p, true, now += 80 * MS);
        pauses_look(&p, false, now += 5 * MS);
    }
    assert_true(pauses_have_room(&p, 70 * MS, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_exact_measurement_is_believed),
        cmocka_unit_test(a_bound_lowers_a_cost_and_never_raises_it),
        cmocka_unit_test(exact_measurements_outdo_near_ones_for_a_second),
        cmocka_unit_test(a_cost_follows_the_mean_of_work_that_varies),
        cmocka_unit_test(work_that_has_changed_is_followed_at_once),
        cmocka_unit_test(a_clean_measurement_grows_old),
        cmocka_unit_test(no_measurement_wraps),
        cmocka_unit_test(a_window_takes_two_measurements_and_the_shorter_where_they_differ),
        cmocka_unit_test(a_window_that_raises_a_cost_has_to_be_confirmed),
        cmocka_unit_test(a_cost_is_found_by_its_key_and_no_other),
        cmocka_unit_test(a_full_table_keeps_what_costs_most),
        cmocka_unit_test(keys_of_like_work_differ),
        cmocka_unit_test(nothing_is_drawn_in_debt_and_a_debt_may_be_made),
        cmocka_unit_test(what_is_left_unused_is_kept_up_to_the_burst),
        cmocka_unit_test(an_account_is_never_less_than_nothing),
        cmocka_unit_test(threads_together_draw_no_more_than_the_allowance),
        cmocka_unit_test(one_stream_pays_what_it_costs),
        cmocka_unit_test(streams_together_pay_for_the_time_that_the_device_was_busy),
        cmocka_unit_test(a_factor_is_forgotten_when_one_stream_is_left),
        cmocka_unit_test(pauses_and_company_say_nothing),
        cmocka_unit_test(a_measurement_that_never_comes_holds_nothing_up),
        cmocka_unit_test(work_is_fitted_into_the_shortest_of_the_last_pauses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
