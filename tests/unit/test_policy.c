/* Promises of src/policy about one division: who gets what, for given wants, and whatever the tenants are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/policy.h"

#define MS  UINT64_C(1000000)
#define S   (1000 * MS)
#define NOW (1000 * S)

enum { LOW, NORMAL, HIGH };
enum { TENANTS_MAX = 64 };

static struct policy_tenant tenant(enum policy_kind policy, uint32_t share_permille, uint32_t weight,
                                   uint32_t demand_ppm)
{
    return (struct policy_tenant){
        .terms = {.policy = policy, .priority = NORMAL, .share_permille = share_permille, .weight = weight},
        .demand = {.is_active = demand_ppm > 0, .demand_ppm = demand_ppm, .active_ns = demand_ppm ? NOW : 0}};
}

static struct policy_tenant fixed(uint32_t share_permille, uint32_t demand_ppm)
{
    return tenant(POLICY_FIXED_SHARE, share_permille, 1, demand_ppm);
}

static struct policy_tenant equal(uint32_t weight, uint32_t demand_ppm)
{
    return tenant(POLICY_EQUAL_SHARE, 0, weight, demand_ppm);
}

static struct policy_tenant best(uint32_t share_permille, uint32_t weight, uint32_t demand_ppm)
{
    return tenant(POLICY_BEST_EFFORT, share_permille, weight, demand_ppm);
}

static struct policy_tenant with_priority(struct policy_tenant tenant, unsigned priority)
{
    tenant.terms.priority = priority;
    return tenant;
}

static const uint32_t all = POLICY_ALL_PPM;

static void divide(struct policy_tenant *tenants, size_t n)
{
    struct policy_device device = {0};

    policy_divide(&device, tenants, n, NOW);
}

static void assert_rate(const struct policy_tenant *tenant, uint32_t low_ppm, uint32_t high_ppm)
{
    assert_true(tenant->turn.is_capped);
    assert_in_range(tenant->turn.rate_ppm, low_ppm, high_ppm);
}

static void who_is_alone_has_the_whole_device(void **unused)
{
    struct policy_tenant t[] = {best(0, 1, all), best(0, 1, 0), fixed(300, 0), equal(1, 0)};

    divide(t, 4);
    assert_false(t[0].turn.is_capped);
    assert_int_equal(t[0].turn.rate_ppm, all);
    assert_rate(&t[1], 499000, 500000); /* what they would have, to begin with */
    assert_rate(&t[2], 300000, 300000);
    assert_true(t[3].turn.rate_ppm > 0);
}

static void a_fixed_share_is_a_hard_cap_even_alone(void **unused)
{
    struct policy_tenant t[] = {fixed(300, all), best(0, 1, 0)};

    divide(t, 2);
    assert_rate(&t[0], 300000, 300000);
    assert_rate(&t[1], 700000, 700000);
}

static void what_fixed_shares_leave_goes_to_the_others(void **unused)
{
    struct policy_tenant t[] = {fixed(300, all), fixed(200, 0), fixed(100, 40000), best(0, 1, all),
                                best(0, 3, all)};

    divide(t, 5);
    assert_rate(&t[1], 200000, 200000); /* idle: its share waits for it, and is used meanwhile */
    assert_rate(&t[3], 164900, 165000); /* of 100 - 30 - 4 % */
    assert_rate(&t[4], 494900, 495000);
}

static void equal_shares_go_by_weight_among_the_active(void **unused)
{
    struct policy_tenant t[] = {equal(1, all), equal(3, all), equal(100, 0), fixed(200, all)};

    divide(t, 4);
    assert_rate(&t[0], 200000, 200000);
    assert_rate(&t[1], 600000, 600000);
    t[0].demand.demand_ppm = 20000; /* a hard cap: what one does not use, another equal share does not get */
    divide(t, 4);
    assert_rate(&t[1], 600000, 600000);
}

static void best_effort_takes_what_equal_shares_do_not_use(void **unused)
{
    struct policy_tenant t[] = {equal(1, 100000), equal(1, all), best(0, 1, all)};

    divide(t, 3);
    assert_rate(&t[0], 495000, 495000);
    assert_rate(&t[2], 405000, 405000);
    t[0].demand.demand_ppm = all;
    divide(t, 3);
    assert_rate(&t[2], POLICY_LEAST_PPM, POLICY_LEAST_PPM); /* and goes on, if slowly, when they use all */
}

static void best_effort_fills_up_by_weight_and_demand(void **unused)
{
    struct policy_tenant t[] = {best(0, 1, 100000), best(0, 1, all), best(0, 2, all)};

    divide(t, 3);
    assert_rate(&t[0], 250000, 250000); /* more than it wants now, so that it can want more */
    assert_rate(&t[1], 299990, 300000);
    assert_rate(&t[2], 599990, 600000);
}

static void best_effort_with_a_share_has_at_least_that(void **unused)
{
    struct policy_tenant t[] = {best(400, 1, all), best(0, 9, all), equal(5, all)};

    divide(t, 3);
    assert_rate(&t[0], 400000, 400000);
    t[0].demand.demand_ppm = 150000; /* when it wants it */
    divide(t, 3);
    assert_in_range(t[2].turn.rate_ppm, 830000, 850000);
}

static void a_class_gets_what_those_above_leave(void **unused)
{
    struct policy_tenant t[] = {with_priority(best(0, 1, 600000), HIGH),
                                with_priority(best(0, 1, 300000), NORMAL),
                                with_priority(best(0, 1, all), LOW), fixed(50, all)};

    divide(t, 4);
    assert_rate(&t[0], 950000, 950000);
    assert_rate(&t[1], 350000, 350000);
    assert_rate(&t[2], 50000, 50000);
    t[0].demand.demand_ppm = all;
    divide(t, 4);
    assert_rate(&t[1], 0, 0);
    assert_rate(&t[2], 0, 0);
}

static void a_share_is_kept_from_higher_classes(void **unused)
{
    struct policy_tenant t[] = {with_priority(best(0, 1, all), HIGH), with_priority(best(250, 1, all), LOW)};

    divide(t, 2);
    assert_rate(&t[0], 750000, 750000);
    assert_rate(&t[1], 250000, 250000);
}

static void a_class_that_gets_nothing_ages(void **unused)
{
    struct policy_tenant t[] = {with_priority(best(0, 1, all), HIGH), with_priority(equal(1, all), LOW)};
    struct policy_device device = {0};

    for (uint64_t ms = 0; ms < 9000; ms += 10) {
        uint64_t s = ms / 1000;
        uint32_t want_ppm = (uint32_t)(s < 5 ? s : 5) * 10000;

        policy_divide(&device, t, 2, NOW + ms * MS);
        assert_rate(&t[1], want_ppm, want_ppm);
        assert_rate(&t[0], all - want_ppm, all - want_ppm);
    }
    t[0].demand.demand_ppm = 500000; /* served */
    policy_divide(&device, t, 2, NOW + 9010 * MS);
    assert_rate(&t[1], 500000, 500000);
    t[0].demand.demand_ppm = all; /* and young again */
    policy_divide(&device, t, 2, NOW + 9020 * MS);
    assert_rate(&t[1], 0, 0);
}

static void fixed_shares_of_the_whole_device_leave_a_trickle(void **unused)
{
    struct policy_tenant t[] = {fixed(600, all), fixed(400, all), best(0, 1, all)};

    divide(t, 3);
    assert_rate(&t[0], 600000, 600000);
    assert_rate(&t[1], 400000, 400000);
    assert_rate(&t[2], POLICY_TRICKLE_PPM, POLICY_TRICKLE_PPM);
}

/* ---- turns ---- */

static void turns_of_one_period_do_not_overlap(void **unused)
{
    struct policy_tenant t[] = {fixed(300, all), fixed(150, all), best(0, 1, all), best(0, 1, all)};
    uint64_t at = 0;

    divide(t, 4);
    policy_take_turns(t, 4, NOW);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(t[i].turn.period_ns, POLICY_PERIOD_NS);
        assert_in_range(t[i].turn.offset_ns, at, at + 100);
        at = t[i].turn.offset_ns + t[i].turn.period_ns * t[i].turn.rate_ppm / all;
    }
    assert_true(at <= POLICY_PERIOD_NS);
    assert_int_equal(t[0].turn.burst_ns, 30 * MS);
}

static void a_time_slice_sets_the_period(void **unused)
{
    struct policy_tenant t[] = {fixed(250, all), fixed(500, all), fixed(5, all)};

    t[0].terms.time_slice_ns = 2 * MS;
    t[1].terms.time_slice_ns = MS / 10;
    t[2].terms.time_slice_ns = 2 * MS;
    divide(t, 3);
    policy_take_turns(t, 3, NOW);
    assert_int_equal(t[0].turn.period_ns, 8 * MS);
    assert_int_equal(t[1].turn.period_ns, MS);
    assert_int_equal(t[2].turn.period_ns, 100 * MS);
}

static void lower_classes_are_bounded_while_a_higher_one_works(void **unused)
{
    struct policy_tenant t[] = {with_priority(best(0, 1, 10000), HIGH), best(0, 1, all),
                                with_priority(fixed(100, all), LOW)};

    policy_take_turns(t, 3, NOW);
    assert_int_equal(t[0].turn.in_flight_ns, 0);
    assert_int_equal(t[1].turn.in_flight_ns, POLICY_IN_FLIGHT_NS);
    assert_int_equal(t[2].turn.in_flight_ns, 0);
    policy_take_turns(t, 3, NOW + POLICY_RECENT_NS);
    assert_int_equal(t[1].turn.in_flight_ns, 0);
}

static void little_changes_wait_and_large_ones_do_not(void **unused)
{
    struct policy_turn was = {.rate_ppm = 300000, .is_capped = true, .period_ns = POLICY_PERIOD_NS}, is = was;

    assert_false(policy_is_due(&was, NOW, &is, true, NOW + S));
    is.rate_ppm = 304000;
    assert_false(policy_is_due(&was, NOW, &is, true, NOW + 99 * MS));
    assert_true(policy_is_due(&was, NOW, &is, true, NOW + 100 * MS));
    is.rate_ppm = 300200;
    assert_false(policy_is_due(&was, NOW, &is, true, NOW + S));
    is.rate_ppm = 306000;
    assert_true(policy_is_due(&was, NOW, &is, true, NOW + MS));
    assert_false(policy_is_due(&was, NOW, &is, false, NOW + MS));
    assert_true(policy_is_due(&was, NOW, &is, false, NOW + 100 * MS));
    is.rate_ppm = 304000;
    assert_false(policy_is_due(&was, NOW, &is, false, NOW + 100 * MS));
    is = was;
    is.is_capped = false;
    assert_true(policy_is_due(&was, NOW, &is, true, NOW + MS));
    is = was;
    is.in_flight_ns = POLICY_IN_FLIGHT_NS;
    assert_true(policy_is_due(&was, NOW, &is, true, NOW + MS));
}

/* ---- demand ---- */

static struct policy_demand look(struct policy_demand demand, uint64_t ms, uint64_t used_ns, bool waited)
{
    struct policy_seen seen = {.active_ns = NOW + ms * MS, .used_ns = used_ns, .waited = waited};

    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + ms * MS);
    return demand;
}

static void who_waits_wants_all_and_who_does_not_a_little_more_than_it_uses(void **unused)
{
    struct policy_demand demand = {0};

    for (uint64_t ms = 0; ms < 300; ms += 10)
        demand = look(demand, ms, 2 * MS, false);
    assert_in_range(demand.demand_ppm, 255000, 262000);
    demand = look(demand, 300, 2 * MS, true);
    assert_int_equal(demand.demand_ppm, all);
    for (uint64_t ms = 310; ms < 400; ms += 10)
        demand = look(demand, ms, 2 * MS, false);
    assert_true(demand.demand_ppm < 270000);
    demand = look(demand, 400, 8 * MS, false); /* more is believed at once */
    assert_int_equal(demand.demand_ppm, all);
}

static void who_does_nothing_is_idle_after_two_ticks(void **unused)
{
    struct policy_demand demand = look((struct policy_demand){0}, 0, 0, false);
    struct policy_seen seen = {.active_ns = NOW};

    assert_true(demand.is_active);
    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + 20 * MS);
    assert_false(demand.is_active);
    assert_int_equal(demand.demand_ppm, 0);
    seen.in_debt = true; /* but not while it pays for what it took */
    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + 100 * MS);
    assert_true(demand.is_active);
    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + 600 * MS);
    assert_false(demand.is_active);
}

static void a_long_kernel_keeps_its_tenant_active(void **unused)
{
    struct policy_demand demand = look((struct policy_demand){0}, 0, 20 * MS, false);
    struct policy_seen seen = {.active_ns = NOW};

    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS,
                NOW + 35 * MS); /* 20 ms at half the device take 40 */
    assert_true(demand.is_active);
    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + 45 * MS);
    assert_false(demand.is_active);
}

static void work_under_way_keeps_its_tenant_active(void **unused)
{
    struct policy_demand demand = look((struct policy_demand){0}, 0, 0, false);
    struct policy_seen seen = {.active_ns = NOW, .is_busy = true};

    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + 150 * MS);
    assert_true(demand.is_active);
    policy_look(&demand, &seen, 500000, POLICY_PERIOD_NS, NOW + 200 * MS); /* not all say when it has ended */
    assert_false(demand.is_active);
}

static void caps_shrink_while_the_device_holds_a_tenant_up(void **unused)
{
    struct policy_tenant t[] = {equal(1, all), equal(1, all), fixed(200, all)};
    struct policy_device device = {0};

    for (uint64_t ms = 0; ms <= 1500; ms += 10) {
        t[0].demand.held_since_ns = NOW + ms * MS - 300 * MS;
        t[0].demand.held_used_ns = 90 * MS; /* 30 of 40 % */
        policy_divide(&device, t, 3, NOW + ms * MS);
    }
    assert_in_range(device.lost_ppm, 70000, 80000);
    assert_rate(&t[1], 360000, 365000);
    assert_rate(&t[2], 200000, 200000); /* but fixed shares do not */
    t[0].demand.held_since_ns = 0;
    for (uint64_t ms = 1510; ms <= 11510; ms += 10)
        policy_divide(&device, t, 3, NOW + ms * MS);
    assert_rate(&t[1], 400000, 400000);
}

static void a_clock_or_account_gone_wild_is_survived(void **unused)
{
    struct policy_demand demand = {0};
    struct policy_seen seen = {
        .active_ns = UINT64_MAX, .used_ns = UINT64_MAX, .waited = true, .in_debt = true};

    policy_look(&demand, &seen, 0, UINT64_MAX / 2, NOW);
    policy_look(&demand, &seen, 0, 0, NOW);
    assert_true(demand.is_active);
    assert_in_range(demand.demand_ppm, 0, all);
}

/* ---- whatever the tenants are ---- */

static uint32_t random_below(uint32_t most)
{
    return (uint32_t)random() % most;
}

static struct policy_tenant random_tenant(uint32_t *permille_left)
{
    static const uint32_t demands[] = {0, 0, 0, 15000, 200000, POLICY_ALL_PPM, POLICY_ALL_PPM};
    struct policy_tenant t =
        tenant((enum policy_kind)random_below(3), 0, 1 + random_below(random_below(2) ? 4 : 10000),
               demands[random_below(sizeof(demands) / sizeof(*demands))]);

    t.terms.priority = random_below(POLICY_CLASSES);
    if (t.terms.policy == POLICY_FIXED_SHARE || (t.terms.policy == POLICY_BEST_EFFORT && random_below(2))) {
        t.terms.share_permille = *permille_left ? random_below(*permille_left / 2 + 1) : 0;
        *permille_left -= t.terms.share_permille;
        if (!t.terms.share_permille)
            t.terms.policy = POLICY_BEST_EFFORT;
    }
    return t;
}

/* What active tenants may use together, when none uses more than it wants. */
static uint64_t wanted_sum(const struct policy_tenant *tenants, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t demand = tenants[i].demand.demand_ppm, rate = tenants[i].turn.rate_ppm;

        sum += demand < rate ? demand : rate;
    }
    return sum;
}

static bool works_above(const struct policy_tenant *tenants, size_t n, const struct policy_tenant *below)
{
    for (size_t i = 0; i < n; i++)
        if (tenants[i].terms.policy != POLICY_FIXED_SHARE && tenants[i].demand.is_active &&
            tenants[i].terms.priority > below->terms.priority)
            return true;
    return false;
}

static void assert_promises(const struct policy_tenant *tenants, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct policy_tenant *t = &tenants[i];
        uint32_t share_ppm = t->terms.share_permille * 1000;

        assert_in_range(t->turn.rate_ppm, 0, POLICY_ALL_PPM);
        if (t->terms.policy == POLICY_FIXED_SHARE) {
            assert_true(t->turn.is_capped);
            assert_int_equal(t->turn.rate_ppm, share_ppm);
        } else {
            assert_true(t->turn.rate_ppm >= share_ppm);
            if (t->demand.is_active && t->terms.weight > 100 && !works_above(tenants, n, t))
                assert_true(t->turn.rate_ppm > 0);
        }
    }
}

static void for_any_tenants_fixed_shares_hold_and_the_device_is_not_given_twice(void **unused)
{
    struct policy_tenant tenants[TENANTS_MAX];

    srandom(4);
    for (int run = 0; run < 20000; run++) {
        size_t n = 1 + random_below(run % 4 ? 6 : TENANTS_MAX);
        uint32_t permille_left = 1000;
        struct policy_device device = {0};

        for (size_t i = 0; i < n; i++)
            tenants[i] = random_tenant(&permille_left);
        policy_divide(&device, tenants, n, NOW);
        policy_take_turns(tenants, n, NOW);
        assert_promises(tenants, n);
        /* A trickle each where fixed shares take all, and roundings. */
        assert_true(wanted_sum(tenants, n) <= POLICY_ALL_PPM + POLICY_CLASSES * POLICY_TRICKLE_PPM + n);
    }
}

static void in_the_end_nobody_starves(void **unused)
{
    struct policy_tenant tenants[TENANTS_MAX];

    srandom(5);
    for (int run = 0; run < 5000; run++) {
        size_t n = 1 + random_below(8);
        uint32_t permille_left = 1000;
        struct policy_device device = {0};

        for (size_t i = 0; i < n; i++) {
            tenants[i] = random_tenant(&permille_left);
            tenants[i].terms.weight = 1 + tenants[i].terms.weight % 10;
        }
        policy_divide(&device, tenants, n, NOW);
        policy_divide(&device, tenants, n, NOW + 2 * S);
        for (size_t i = 0; i < n; i++)
            if (tenants[i].demand.is_active)
                assert_true(tenants[i].turn.rate_ppm > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_alone_has_the_whole_device),
        cmocka_unit_test(a_fixed_share_is_a_hard_cap_even_alone),
        cmocka_unit_test(what_fixed_shares_leave_goes_to_the_others),
        cmocka_unit_test(equal_shares_go_by_weight_among_the_active),
        cmocka_unit_test(best_effort_takes_what_equal_shares_do_not_use),
        cmocka_unit_test(best_effort_fills_up_by_weight_and_demand),
        cmocka_unit_test(best_effort_with_a_share_has_at_least_that),
        cmocka_unit_test(a_class_gets_what_those_above_leave),
        cmocka_unit_test(a_share_is_kept_from_higher_classes),
        cmocka_unit_test(a_class_that_gets_nothing_ages),
        cmocka_unit_test(fixed_shares_of_the_whole_device_leave_a_trickle),
        cmocka_unit_test(turns_of_one_period_do_not_overlap),
        cmocka_unit_test(a_time_slice_sets_the_period),
        cmocka_unit_test(lower_classes_are_bounded_while_a_higher_one_works),
        cmocka_unit_test(little_changes_wait_and_large_ones_do_not),
        cmocka_unit_test(who_waits_wants_all_and_who_does_not_a_little_more_than_it_uses),
        cmocka_unit_test(who_does_nothing_is_idle_after_two_ticks),
        cmocka_unit_test(a_long_kernel_keeps_its_tenant_active),
        cmocka_unit_test(work_under_way_keeps_its_tenant_active),
        cmocka_unit_test(caps_shrink_while_the_device_holds_a_tenant_up),
        cmocka_unit_test(a_clock_or_account_gone_wild_is_survived),
        cmocka_unit_test(for_any_tenants_fixed_shares_hold_and_the_device_is_not_given_twice),
        cmocka_unit_test(in_the_end_nobody_starves),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
