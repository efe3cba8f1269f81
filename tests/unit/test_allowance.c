/* Promises of allowance.c and allowance_change.c: the staircase of struct ledger_gate, exactly as it is
 * documented, and changes of it in which no time is won or lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "meter/allowance_change.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The formula of struct ledger_gate, word by word. */
static uint64_t by_the_formula(const struct allowance *a, uint64_t t)
{
    __int128 n = floor_divide((int64_t)(t - a->offset_ns), (int64_t)a->period_ns) -
                 floor_divide((int64_t)(a->base_time_ns - a->offset_ns), (int64_t)a->period_ns);

    return a->base_ns + (uint64_t)((__int128)a->rate_ppm * (__int128)a->period_ns * n / 1000000);
}

static uint64_t random_below(uint64_t most)
{
    return ((uint64_t)random() << 31 ^ (uint64_t)random()) % most;
}

static struct allowance random_allowance(void)
{
    return (struct allowance){.base_ns = random_below(S),
                              .base_time_ns = 3600 * S + random_below(S),
                              .period_ns = MS + random_below(99 * MS),
                              .offset_ns = random_below(7200 * S),
                              .rate_ppm = 1 + (uint32_t)random_below(1000000)};
}

static void it_is_the_documented_formula(void **unused)
{
    for (int i = 0; i < 20000; i++) {
        struct allowance a = random_allowance();
        uint64_t t = a.base_time_ns + random_below(i % 2 ? 10 * S : 90000 * S);

        assert_int_equal(allowance_at(&a, t), by_the_formula(&a, t));
    }
}

static void it_says_the_first_moment_at_which_more_may_be_drawn(void **unused)
{
    for (int i = 0; i < 20000; i++) {
        struct allowance a = random_allowance();
        uint64_t drawn = a.base_ns + random_below(S), when = allowance_when_above(&a, drawn);

        assert_true(allowance_at(&a, when) > drawn);
        assert_true(when == a.base_time_ns || allowance_at(&a, when - 1) <= drawn);
    }
    assert_int_equal(allowance_when_above(&(struct allowance){.period_ns = MS}, 0), UINT64_MAX);
}

static void what_is_far_away_does_not_wrap(void **unused)
{
    struct allowance a = {.base_ns = UINT64_MAX - 5, .period_ns = 1, .rate_ppm = 1000000};

    assert_int_equal(allowance_at(&a, UINT64_MAX), UINT64_MAX);
    a = (struct allowance){.period_ns = 100 * MS, .rate_ppm = 1};
    assert_int_equal(allowance_when_above(&a, UINT64_MAX - 1), UINT64_MAX);
    assert_int_equal(allowance_at(&(struct allowance){.base_ns = 7}, 9),
                     7); /* a period of 0 divides nothing */
}

static struct allowance_terms terms_of(uint32_t rate_ppm, uint64_t period_ns, uint64_t offset_ns)
{
    return (struct allowance_terms){.rate_ppm = rate_ppm, .period_ns = period_ns, .offset_ns = offset_ns};
}

static void who_begins_has_its_part_of_the_period_at_once(void **unused)
{
    struct allowance_terms terms = terms_of(250000, 20 * MS, 5 * MS);
    struct allowance a = allowance_begin(77, &terms, S + 10 * MS);

    /* 15 of 20 ms are left of the period. */
    assert_int_equal(allowance_at(&a, S + 10 * MS), 77 + 15 * MS / 4);
    assert_int_equal(allowance_at(&a, S + 25 * MS - 1), 77 + 15 * MS / 4);
    assert_int_equal(allowance_at(&a, S + 25 * MS), 77 + 35 * MS / 4);
}

/* Turns and periods change all the time; the sum stays rate * time, to a period's part. */
static void changes_neither_win_nor_lose_time(void **unused)
{
    for (int run = 0; run < 50; run++) {
        uint32_t rate_ppm = 10000 + (uint32_t)random_below(990000);
        struct allowance_terms terms = terms_of(rate_ppm, 20 * MS, 0);
        uint64_t begin = 1000 * S, t = begin, ideal;
        struct allowance a = allowance_begin(0, &terms, t);

        for (int i = 0; i < 1000; i++) {
            t += random_below(30 * MS);
            terms = terms_of(rate_ppm, MS + random_below(99 * MS), random_below(100 * MS));
            a = allowance_change(&a, &terms, t);
        }
        ideal = (uint64_t)((double)(t - begin) * rate_ppm / 1e6);
        assert_true(allowance_at(&a, t) + 2000 >= ideal);
        assert_true(allowance_at(&a, t) <= ideal + 100 * MS);
    }
}

static void a_lower_rate_takes_back_what_was_granted_ahead(void **unused)
{
    struct allowance_terms high = terms_of(900000, 20 * MS, 0), low = terms_of(100000, 20 * MS, 0);
    struct allowance a = allowance_begin(0, &high, S);

    a = allowance_change(&a, &low, S + 10 * MS);
    assert_int_equal(allowance_at(&a, S + 10 * MS), 9 * MS + MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_documented_formula),
        cmocka_unit_test(it_says_the_first_moment_at_which_more_may_be_drawn),
        cmocka_unit_test(what_is_far_away_does_not_wrap),
        cmocka_unit_test(who_begins_has_its_part_of_the_period_at_once),
        cmocka_unit_test(changes_neither_win_nor_lose_time),
        cmocka_unit_test(a_lower_rate_takes_back_what_was_granted_ahead),
    };

    return cmocka_run_group_tests_name("allowance", tests, NULL, NULL);
}
