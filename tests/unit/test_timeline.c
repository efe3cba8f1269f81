/* Promises of the device's timeline. No clock is read and nothing waits: the tests say what time it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "softgpu/device/timeline.h"

enum { TICKETS_MAX = 100000 };

/* What the timeline told. */
static struct told {
    int status;
    unsigned times;
    uint64_t start_ns, end_ns;
} told[TICKETS_MAX];
static unsigned n_told;
static struct busy copy_busy; /* of all contexts together */

static void on_ended(void *owner, uint64_t ticket, int status, uint64_t start_ns, uint64_t end_ns)
{
    assert_true(ticket < TICKETS_MAX);
    told[ticket] = (struct told){
        .status = status, .times = told[ticket].times + 1, .start_ns = start_ns, .end_ns = end_ns};
    n_told++;
}

static struct timeline *new_timeline_of(const struct timeline_config *config)
{
    struct timeline *timeline;

    memset(told, 0, sizeof(told));
    copy_busy = (struct busy){0};
    n_told = 0;
    assert_int_equal(timeline_new(config, on_ended, &timeline), 0);
    return timeline;
}

static struct timeline *new_timeline(enum sgdev_time_mode mode, uint64_t start_ns, uint64_t switch_ns)
{
    struct timeline_config config = {.mode = mode,
                                     .start_ns = start_ns,
                                     .time_slices_ns = {2 * NS_PER_MS},
                                     .n_time_slices = 1,
                                     .switch_ns = switch_ns};

    return new_timeline_of(&config);
}

static struct timeline_context *new_context(struct timeline *timeline, struct busy *busy)
{
    struct timeline_context *context;

    assert_int_equal(timeline_context_new(timeline, busy, &copy_busy, NULL, &context), 0);
    return context;
}

static void submit(struct timeline_context *context, enum sgdev_engine engine, uint64_t ready_ns,
                   uint64_t duration_ns, uint64_t ticket)
{
    struct sgdev_work work = {
        .engine = engine, .ready_ns = ready_ns, .duration_ns = duration_ns, .sm_permille = 1000};

    assert_int_equal(timeline_submit(context, &work, ticket, ready_ns), 0);
}

static uint64_t total_ns(const struct timeline *timeline)
{
    return timeline_busy(timeline, SGDEV_ENGINE_COMPUTE)->total_ns;
}

static void ten_thousand_items_of_50_us_take_exactly_500_ms(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy = {0};
    struct timeline_context *context = new_context(timeline, &busy);
    uint64_t start_ns = 12345678;

    for (uint64_t i = 0; i < 10000; i++)
        submit(context, SGDEV_ENGINE_COMPUTE, start_ns, 50 * NS_PER_US, i);
    /* However irregularly time is looked at. */
    for (uint64_t now_ns = 0; n_told < 10000; now_ns += 777777)
        timeline_advance(timeline, now_ns);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(told[i].start_ns, start_ns + i * 50 * NS_PER_US);
        assert_int_equal(told[i].end_ns, start_ns + (i + 1) * 50 * NS_PER_US);
    }
    assert_int_equal(told[9999].end_ns - told[0].start_ns, 500 * NS_PER_MS);
    assert_int_equal(total_ns(timeline), 500 * NS_PER_MS);
    assert_int_equal(busy.total_ns, 500 * NS_PER_MS);
    timeline_context_free(context, false);
    timeline_free(timeline);
}

static void work_that_arrives_late_starts_where_it_would_have_started(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy = {0};
    struct timeline_context *context = new_context(timeline, &busy);

    submit(context, SGDEV_ENGINE_COMPUTE, 1000, 500, 0);
    timeline_advance(timeline, 5000);
    submit(context, SGDEV_ENGINE_COMPUTE, 1200, 500, 1);
    submit(context, SGDEV_ENGINE_COMPUTE, 4000, 500, 2);
    timeline_advance(timeline, 6000);
    assert_int_equal(told[1].start_ns, 1500);
    assert_int_equal(told[1].end_ns, 2000);
    assert_int_equal(told[2].start_ns, 4000);
    timeline_context_free(context, false);
    timeline_free(timeline);
}

static void an_end_is_not_told_before_its_time(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy = {0};
    struct timeline_context *context = new_context(timeline, &busy);

    submit(context, SGDEV_ENGINE_COMPUTE, 100, 50, 0);
    timeline_advance(timeline, 149);
    assert_int_equal(n_told, 0);
    assert_int_equal(timeline_next_ns(timeline), 150);
    timeline_advance(timeline, 150);
    assert_int_equal(n_told, 1);
    assert_int_equal(timeline_next_ns(timeline), UINT64_MAX);
    timeline_context_free(context, false);
    timeline_free(timeline);
}

/* Following timeline_next_ns alone, as softgpud does, ends everything at its time. */
static void run_by_next(struct timeline *timeline, enum sgdev_time_mode mode)
{
    uint64_t next_ns;

    if (mode == SGDEV_TIME_VIRTUAL) /* it does not look at the time */
        timeline_advance(timeline, 0);

    while ((next_ns = timeline_next_ns(timeline)) != UINT64_MAX) {
        unsigned before = n_told;

        timeline_advance(timeline, next_ns);
        if (n_told == before)
            assert_true(timeline_next_ns(timeline) > next_ns);
    }
}

static void two_contexts_with_endless_work_get_half_each_within_a_slice(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy[2] = {0};
    struct timeline_context *context[2] = {new_context(timeline, &busy[0]), new_context(timeline, &busy[1])};

    /* One long kernel against many short ones. */
    submit(context[0], SGDEV_ENGINE_COMPUTE, 0, 10 * NS_PER_S, 0);
    for (uint64_t i = 1; i < 20000; i++)
        submit(context[1], SGDEV_ENGINE_COMPUTE, 0, 300 * NS_PER_US, i);
    for (uint64_t now_ns = 0; now_ns <= 4 * NS_PER_S; now_ns += 1234567) {
        timeline_advance(timeline, now_ns);
        assert_true(llabs((long long)(busy[0].total_ns - busy[1].total_ns)) <= 2 * (long long)NS_PER_MS);
        assert_int_equal(busy[0].total_ns + busy[1].total_ns, now_ns);
        assert_int_equal(total_ns(timeline), now_ns);
    }
    timeline_context_free(context[0], false);
    timeline_context_free(context[1], false);
    timeline_free(timeline);
}

static void three_contexts_take_turns_in_order(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy[3] = {0};
    struct timeline_context *context[3];

    for (unsigned i = 0; i < 3; i++) {
        context[i] = new_context(timeline, &busy[i]);
        submit(context[i], SGDEV_ENGINE_COMPUTE, 0, 4 * NS_PER_MS, i);
    }
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[0].start_ns, 0);
    assert_int_equal(told[1].start_ns, 2 * NS_PER_MS);
    assert_int_equal(told[2].start_ns, 4 * NS_PER_MS);
    assert_int_equal(told[0].end_ns, 8 * NS_PER_MS);
    assert_int_equal(told[1].end_ns, 10 * NS_PER_MS);
    assert_int_equal(told[2].end_ns, 12 * NS_PER_MS);
    for (unsigned i = 0; i < 3; i++)
        timeline_context_free(context[i], false);
    timeline_free(timeline);
}

static void a_lone_context_is_never_interrupted(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 1000);
    struct busy busy[2] = {0};
    struct timeline_context *context = new_context(timeline, &busy[0]),
                            *other = new_context(timeline, &busy[1]);

    submit(context, SGDEV_ENGINE_COMPUTE, 0, NS_PER_S, 0);
    assert_int_equal(timeline_next_ns(timeline), NS_PER_S);
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[0].end_ns - told[0].start_ns, NS_PER_S);
    timeline_context_free(context, false);
    timeline_context_free(other, false);
    timeline_free(timeline);
}

static void each_change_of_context_costs_its_time(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 1000);
    struct busy busy[2] = {0};
    struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

    submit(a, SGDEV_ENGINE_COMPUTE, 0, 3 * NS_PER_MS, 0);
    submit(b, SGDEV_ENGINE_COMPUTE, 0, NS_PER_MS, 1);
    run_by_next(timeline, SGDEV_TIME_PACED);
    /* a 2 ms, change, b 1 ms, change, a 1 ms; the first context costs nothing. */
    assert_int_equal(told[1].start_ns, 2 * NS_PER_MS + 1000);
    assert_int_equal(told[0].end_ns, 4 * NS_PER_MS + 2000);
    assert_int_equal(total_ns(timeline), 4 * NS_PER_MS);
    timeline_context_free(a, false);
    timeline_context_free(b, false);
    timeline_free(timeline);
}

static void contexts_have_turns_of_the_patterns_lengths_in_the_order_of_their_making(void **state)
{
    for (enum sgdev_time_mode mode = SGDEV_TIME_PACED; mode <= SGDEV_TIME_VIRTUAL; mode++) {
        struct timeline_config config = {
            .mode = mode,
            .time_slices_ns = {2 * NS_PER_MS, 500 * NS_PER_US, NS_PER_MS},
            .n_time_slices = 3,
        };
        struct timeline *timeline = new_timeline_of(&config);
        struct timeline_context *context[4];
        struct busy busy[4] = {0};

        for (unsigned i = 0; i < 4; i++) {
            context[i] = new_context(timeline, &busy[i]);
            submit(context[i], SGDEV_ENGINE_COMPUTE, 0, 4 * NS_PER_MS, i);
        }
        run_by_next(timeline, mode);
        assert_int_equal(told[0].start_ns, 0);
        assert_int_equal(told[1].start_ns, 2000 * NS_PER_US);
        assert_int_equal(told[2].start_ns, 2500 * NS_PER_US);
        assert_int_equal(told[3].start_ns, 3500 * NS_PER_US); /* the pattern begins anew */
        /* Rounds of 5.5 ms: 0 and 3 end in the second. Then 1 and 2 are left, in turns of 0.5 and 1 ms. */
        assert_int_equal(told[0].end_ns, 7500 * NS_PER_US);
        assert_int_equal(told[3].end_ns, 11000 * NS_PER_US);
        assert_int_equal(told[2].end_ns, 14000 * NS_PER_US);
        assert_int_equal(told[1].end_ns, 16000 * NS_PER_US);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(busy[i].total_ns, 4 * NS_PER_MS);
            timeline_context_free(context[i], false);
        }
        timeline_free(timeline);
    }
}

/* However irregularly time is looked at, a = 5 ms kernels and b = 0.3 ms kernels. */
static void without_preemption_turns_change_between_kernels_only(void **state)
{
    static const uint64_t steps_ns[] = {UINT64_MAX / 2, 777777, 100000, 13};

    for (unsigned s = 0; s < 4; s++) {
        struct timeline_config config = {
            .mode = s ? SGDEV_TIME_PACED : SGDEV_TIME_VIRTUAL,
            .time_slices_ns = {2 * NS_PER_MS},
            .n_time_slices = 1,
            .runs_to_end = true,
        };
        struct timeline *timeline = new_timeline_of(&config);
        struct busy busy[2] = {0};
        struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

        for (uint64_t i = 0; i < 2; i++)
            submit(a, SGDEV_ENGINE_COMPUTE, 0, 5 * NS_PER_MS, i);
        for (uint64_t i = 2; i < 10; i++)
            submit(b, SGDEV_ENGINE_COMPUTE, 0, 300 * NS_PER_US, i);
        for (uint64_t now_ns = 0; n_told < 10; now_ns += steps_ns[s])
            timeline_advance(timeline, now_ns);
        /* One kernel of a passes its turn of 2 ms by 3 ms; b's seventh kernel begins within b's turn. */
        assert_int_equal(told[0].start_ns, 0);
        assert_int_equal(told[0].end_ns, 5000 * NS_PER_US);
        for (uint64_t i = 2; i < 9; i++) {
            assert_int_equal(told[i].start_ns, (5000 + (i - 2) * 300) * NS_PER_US);
            assert_int_equal(told[i].end_ns, told[i].start_ns + 300 * NS_PER_US);
        }
        assert_int_equal(told[1].start_ns, 7100 * NS_PER_US);
        assert_int_equal(told[1].end_ns, 12100 * NS_PER_US);
        assert_int_equal(told[9].start_ns, 12100 * NS_PER_US);
        assert_int_equal(busy[0].total_ns, 10000 * NS_PER_US);
        assert_int_equal(busy[1].total_ns, 2400 * NS_PER_US);
        timeline_context_free(a, false);
        timeline_context_free(b, false);
        timeline_free(timeline);
    }
}

static void without_preemption_a_newcomer_waits_for_the_kernel_that_runs(void **state)
{
    struct timeline_config config = {
        .time_slices_ns = {2 * NS_PER_MS}, .n_time_slices = 1, .switch_ns = 1000, .runs_to_end = true};
    struct timeline *timeline = new_timeline_of(&config);
    struct busy busy[2] = {0};
    struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

    for (uint64_t i = 0; i < 2; i++)
        submit(a, SGDEV_ENGINE_COMPUTE, 0, 20 * NS_PER_MS, i);
    submit(b, SGDEV_ENGINE_COMPUTE, 3 * NS_PER_MS, NS_PER_MS, 2);
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[0].end_ns, 20 * NS_PER_MS);
    assert_int_equal(told[2].start_ns, 20 * NS_PER_MS + 1000);
    assert_int_equal(told[2].end_ns, 21 * NS_PER_MS + 1000);
    assert_int_equal(told[1].start_ns, 21 * NS_PER_MS + 2000);
    assert_int_equal(told[1].end_ns, 41 * NS_PER_MS + 2000);
    timeline_context_free(a, false);
    timeline_context_free(b, false);
    timeline_free(timeline);
}

static void what_a_change_costs_is_on_nobodys_account(void **state)
{
    const uint64_t slices_ns[2] = {2 * NS_PER_MS, 500 * NS_PER_US}, switch_ns = 100 * NS_PER_US;
    struct timeline_config config = {
        .time_slices_ns = {slices_ns[0], slices_ns[1]}, .n_time_slices = 2, .switch_ns = switch_ns};
    struct timeline *timeline = new_timeline_of(&config);
    struct busy busy[2] = {0};
    struct timeline_context *context[2];
    uint64_t round_ns = slices_ns[0] + slices_ns[1] + 2 * switch_ns;

    for (unsigned i = 0; i < 2; i++) {
        context[i] = new_context(timeline, &busy[i]);
        submit(context[i], SGDEV_ENGINE_COMPUTE, 0, NS_PER_S, i);
        submit(context[i], SGDEV_ENGINE_COPY, 0, NS_PER_S, 2 + i);
    }
    for (uint64_t i = 1; i <= 300; i++) {
        timeline_advance(timeline, i * round_ns);
        assert_int_equal(busy[0].total_ns, i * slices_ns[0]);
        assert_int_equal(busy[1].total_ns, i * slices_ns[1]);
        assert_int_equal(total_ns(timeline), i * (slices_ns[0] + slices_ns[1]));
    }
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[3].end_ns, 2 * NS_PER_S); /* copies change for nothing */
    for (unsigned i = 0; i < 2; i++)
        timeline_context_free(context[i], false);
    timeline_free(timeline);
}

static void work_becomes_ready_in_the_middle_of_others(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy[2] = {0};
    struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

    submit(a, SGDEV_ENGINE_COMPUTE, 0, 100 * NS_PER_MS, 0);
    submit(b, SGDEV_ENGINE_COMPUTE, 50 * NS_PER_MS, NS_PER_MS, 1);
    run_by_next(timeline, SGDEV_TIME_PACED);
    /* b waits for the rest of a's turn, which counts from when b waits. */
    assert_int_equal(told[1].start_ns, 52 * NS_PER_MS);
    assert_int_equal(told[1].end_ns, 53 * NS_PER_MS);
    assert_int_equal(told[0].end_ns, 101 * NS_PER_MS);
    timeline_context_free(a, false);
    timeline_context_free(b, false);
    timeline_free(timeline);
}

static void copies_run_beside_kernels_and_take_turns_by_item(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy[2] = {0};
    struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

    submit(a, SGDEV_ENGINE_COMPUTE, 0, 100, 0);
    submit(a, SGDEV_ENGINE_COPY, 0, 10 * NS_PER_MS, 1);
    submit(a, SGDEV_ENGINE_COPY, 0, 10 * NS_PER_MS, 2);
    submit(b, SGDEV_ENGINE_COPY, 0, 10 * NS_PER_MS, 3);
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[0].end_ns, 100);
    assert_int_equal(told[1].end_ns, 10 * NS_PER_MS);
    assert_int_equal(told[3].end_ns, 20 * NS_PER_MS);
    assert_int_equal(told[2].end_ns, 30 * NS_PER_MS);
    assert_int_equal(total_ns(timeline), 100);
    assert_int_equal(timeline_busy(timeline, SGDEV_ENGINE_COPY)->total_ns, 30 * NS_PER_MS);
    assert_int_equal(copy_busy.total_ns, 30 * NS_PER_MS);
    timeline_context_free(a, false);
    timeline_context_free(b, false);
    timeline_free(timeline);
}

static void a_virtual_clock_jumps_as_work_needs(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_VIRTUAL, 1000, 0);
    struct busy busy = {0};
    struct timeline_context *context = new_context(timeline, &busy);

    assert_int_equal(timeline_now_ns(timeline, 7), 1000);
    submit(context, SGDEV_ENGINE_COMPUTE, 1000, 5 * NS_PER_S, 0);
    timeline_advance(timeline, 7);
    assert_int_equal(told[0].end_ns, 1000 + 5 * NS_PER_S);
    assert_int_equal(timeline_now_ns(timeline, 7), 1000 + 5 * NS_PER_S);
    assert_int_equal(timeline_next_ns(timeline), UINT64_MAX);
    timeline_context_free(context, false);
    timeline_free(timeline);
}

static void as_soon_as_possible_ends_at_once_and_never_counts_a_moment_twice(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_ASAP, 0, 0);
    struct busy busy[2] = {0};
    struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

    /* a worked from 1000 to 2000, b beside it from 1500 to 2500, and a again in what it had queued at 1000.
     */
    submit(a, SGDEV_ENGINE_COMPUTE, 1000, 1000, 0);
    timeline_advance(timeline, 2000);
    submit(b, SGDEV_ENGINE_COMPUTE, 1500, 1000, 1);
    timeline_advance(timeline, 2500);
    submit(a, SGDEV_ENGINE_COMPUTE, 1000, 500, 2);
    timeline_advance(timeline, 3000);
    assert_int_equal(n_told, 3);
    assert_int_equal(told[0].start_ns, 1000);
    assert_int_equal(told[1].start_ns, 1500);
    assert_int_equal(told[1].end_ns, 2500);
    assert_int_equal(told[2].start_ns, 2500);
    assert_int_equal(told[2].end_ns, 3000);
    assert_int_equal(busy[0].total_ns, 1500);
    assert_int_equal(busy[1].total_ns, 500);
    assert_int_equal(total_ns(timeline), 2000);
    /* It cannot have taken longer than since it was ready. */
    submit(b, SGDEV_ENGINE_COMPUTE, 3500, NS_PER_S, 3);
    timeline_advance(timeline, 4000);
    assert_int_equal(told[3].start_ns, 3500);
    assert_int_equal(told[3].end_ns, 4000);
    assert_int_equal(total_ns(timeline), 2500);
    timeline_context_free(a, false);
    timeline_context_free(b, false);
    timeline_free(timeline);
}

static void a_freed_context_leaves_the_queue_at_once(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy[2] = {0};
    struct timeline_context *a = new_context(timeline, &busy[0]), *b = new_context(timeline, &busy[1]);

    submit(a, SGDEV_ENGINE_COMPUTE, 0, NS_PER_S, 0);
    submit(a, SGDEV_ENGINE_COMPUTE, 0, NS_PER_S, 1);
    submit(b, SGDEV_ENGINE_COMPUTE, 0, NS_PER_S, 2);
    timeline_advance(timeline, NS_PER_MS);
    timeline_context_free(a, true);
    assert_int_equal(told[0].status, -ECANCELED);
    assert_int_equal(told[1].status, -ECANCELED);
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[2].start_ns, NS_PER_MS);
    assert_int_equal(told[2].end_ns, NS_PER_S + NS_PER_MS);
    assert_int_equal(busy[0].total_ns, NS_PER_MS);
    timeline_context_free(b, false);
    timeline_free(timeline);
}

static void work_of_no_length_ends_in_its_order(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy = {0};
    struct timeline_context *context = new_context(timeline, &busy);

    submit(context, SGDEV_ENGINE_COMPUTE, 10, 0, 0);
    submit(context, SGDEV_ENGINE_COMPUTE, 10, 5, 1);
    submit(context, SGDEV_ENGINE_COMPUTE, 10, 0, 2);
    timeline_advance(timeline, 10);
    assert_int_equal(n_told, 1);
    run_by_next(timeline, SGDEV_TIME_PACED);
    assert_int_equal(told[2].start_ns, 15);
    assert_int_equal(told[2].end_ns, 15);
    timeline_context_free(context, false);
    timeline_free(timeline);
}

static void what_no_timeline_can_hold_is_refused(void **state)
{
    struct timeline *timeline = new_timeline(SGDEV_TIME_PACED, 0, 0);
    struct busy busy = {0};
    struct timeline_context *context = new_context(timeline, &busy);
    struct sgdev_work good = {.engine = SGDEV_ENGINE_COMPUTE, .duration_ns = 1, .sm_permille = 1000}, bad;

    bad = good, bad.duration_ns = TIMELINE_SPAN_MAX_NS + 1;
    assert_int_equal(timeline_submit(context, &bad, 0, 5), -EINVAL);
    bad = good, bad.ready_ns = 6 + TIMELINE_SPAN_MAX_NS;
    assert_int_equal(timeline_submit(context, &bad, 0, 5), -EINVAL);
    bad = good, bad.sm_permille = 1001;
    assert_int_equal(timeline_submit(context, &bad, 0, 5), -EINVAL);
    bad = good, bad.engine = (enum sgdev_engine)2;
    assert_int_equal(timeline_submit(context, &bad, 0, 5), -EINVAL);
    assert_int_equal(timeline_submit(context, &good, 0, 5), 0);
    timeline_context_free(context, false);
    timeline_free(timeline);
}

/* Random work of several contexts: order, exact sums, and no moment counted twice, whatever the times at
 * which time is looked at. */
static void random_work_keeps_the_accounts_exact(void **state)
{
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct timeline_config config = {
            .time_slices_ns = {2 * NS_PER_MS, 50 * NS_PER_US, 700 * NS_PER_US},
            .n_time_slices = 1 + seed % 2 * 2,
            .switch_ns = seed % 3 * 1000,
            .runs_to_end = seed % 5 == 0,
        };
        struct timeline *timeline = new_timeline_of(&config);
        struct busy busy[4] = {0};
        struct timeline_context *context[4];
        uint64_t sums_ns[4] = {0}, now_ns = 0, last_end_ns[4] = {0};
        unsigned random = seed, owner[400];

        for (unsigned i = 0; i < 4; i++)
            context[i] = new_context(timeline, &busy[i]);
        for (unsigned i = 0; i < 400; i++) {
            uint64_t duration_ns = (uint64_t)(rand_r(&random) % 5000000);

            owner[i] = (unsigned)rand_r(&random) % 4;
            submit(context[owner[i]], SGDEV_ENGINE_COMPUTE, now_ns, duration_ns, i);
            sums_ns[owner[i]] += duration_ns;
            now_ns += (uint64_t)(rand_r(&random) % 3000000);
            timeline_advance(timeline, now_ns);
            assert_true(total_ns(timeline) <= now_ns);
        }
        run_by_next(timeline, SGDEV_TIME_PACED);
        assert_int_equal(n_told, 400);
        for (unsigned i = 0; i < 400; i++) {
            assert_int_equal(told[i].times, 1);
            assert_true(told[i].start_ns >= last_end_ns[owner[i]]);
            last_end_ns[owner[i]] = told[i].end_ns;
        }
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(busy[i].total_ns, sums_ns[i]);
            timeline_context_free(context[i], false);
        }
        assert_int_equal(total_ns(timeline), sums_ns[0] + sums_ns[1] + sums_ns[2] + sums_ns[3]);
        timeline_free(timeline);
    }
}

/* ---- accounts of busy time ---- */

static void a_device_without_a_pause_is_busy_the_whole_last_second(void **state)
{
    struct busy busy = {0};

    busy_add(&busy, 500, 7 * NS_PER_S + 123456, 500);
    assert_int_equal(busy_last_second(&busy, 7 * NS_PER_S + 123456), NS_PER_S);
    assert_int_equal(busy.total_ns, 7 * NS_PER_S + 122956);
    assert_int_equal(busy.sm_ns, (7 * NS_PER_S + 122956) / 2);
}

static void the_last_second_forgets_what_is_older(void **state)
{
    struct busy busy = {0};

    busy_add(&busy, NS_PER_S, NS_PER_S + 100 * NS_PER_MS, 1000);
    assert_int_equal(busy_last_second(&busy, NS_PER_S + 200 * NS_PER_MS), 100 * NS_PER_MS);
    assert_int_equal(busy_last_second(&busy, 2 * NS_PER_S - BUSY_SLOT_NS), 100 * NS_PER_MS);
    assert_true(busy_last_second(&busy, 2 * NS_PER_S + 50 * NS_PER_MS) <= 50 * NS_PER_MS + BUSY_SLOT_NS);
    assert_true(busy_last_second(&busy, 2 * NS_PER_S + 50 * NS_PER_MS) >= 50 * NS_PER_MS - BUSY_SLOT_NS);
    assert_int_equal(busy_last_second(&busy, 3 * NS_PER_S), 0);
    busy_add(&busy, 100 * NS_PER_S, 100 * NS_PER_S + 10, 1000);
    assert_int_equal(busy_last_second(&busy, 100 * NS_PER_S + 10), 10);
}

static void a_third_of_the_time_is_a_third_of_the_last_second(void **state)
{
    struct busy busy = {0};
    uint64_t now_ns = 0;

    for (unsigned i = 0; i < 3000; i++, now_ns += 3 * NS_PER_MS)
        busy_add(&busy, now_ns, now_ns + NS_PER_MS, 1000);
    assert_true(busy_last_second(&busy, now_ns) >= 330 * NS_PER_MS);
    assert_true(busy_last_second(&busy, now_ns) <= 337 * NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_items_of_50_us_take_exactly_500_ms),
        cmocka_unit_test(work_that_arrives_late_starts_where_it_would_have_started),
        cmocka_unit_test(an_end_is_not_told_before_its_time),
        cmocka_unit_test(two_contexts_with_endless_work_get_half_each_within_a_slice),
        cmocka_unit_test(three_contexts_take_turns_in_order),
        cmocka_unit_test(a_lone_context_is_never_interrupted),
        cmocka_unit_test(each_change_of_context_costs_its_time),
        cmocka_unit_test(contexts_have_turns_of_the_patterns_lengths_in_the_order_of_their_making),
        cmocka_unit_test(without_preemption_turns_change_between_kernels_only),
        cmocka_unit_test(without_preemption_a_newcomer_waits_for_the_kernel_that_runs),
        cmocka_unit_test(what_a_change_costs_is_on_nobodys_account),
        cmocka_unit_test(work_becomes_ready_in_the_middle_of_others),
        cmocka_unit_test(copies_run_beside_kernels_and_take_turns_by_item),
        cmocka_unit_test(a_virtual_clock_jumps_as_work_needs),
        cmocka_unit_test(as_soon_as_possible_ends_at_once_and_never_counts_a_moment_twice),
        cmocka_unit_test(a_freed_context_leaves_the_queue_at_once),
        cmocka_unit_test(work_of_no_length_ends_in_its_order),
        cmocka_unit_test(what_no_timeline_can_hold_is_refused),
        cmocka_unit_test(random_work_keeps_the_accounts_exact),
        cmocka_unit_test(a_device_without_a_pause_is_busy_the_whole_last_second),
        cmocka_unit_test(the_last_second_forgets_what_is_older),
        cmocka_unit_test(a_third_of_the_time_is_a_third_of_the_last_second),
    };

    return cmocka_run_group_tests_name("timeline", tests, NULL, NULL);
}
