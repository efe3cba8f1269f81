/* Promises of share_terms.c: what a request makes of what an instance has; and of place.c, that a share has
 * to fit too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/share_terms.h"
#include "place/offer.h"

static struct share_terms terms;
static struct error error;

static int fresh(void **unused)
{
    terms = share_terms_default;
    error = (struct error){0};
    return 0;
}

static int apply(struct share_request request)
{
    return share_terms_apply(&terms, &request, &error);
}

static int ask_policy(enum ledger_policy policy, uint32_t compute_permille)
{
    return apply(
        (struct share_request){.has_policy = true, .policy = policy, .compute_permille = compute_permille});
}

static void a_share_without_a_policy_is_fixed(void **unused)
{
    assert_int_equal(apply((struct share_request){.compute_permille = 300}), 0);
    assert_int_equal(terms.policy, LEDGER_FIXED_SHARE);
    assert_int_equal(terms.share_permille, 300);
}

static void without_both_it_is_best_effort(void **unused)
{
    assert_int_equal(apply((struct share_request){.weight = 5}), 0);
    assert_int_equal(terms.policy, LEDGER_BEST_EFFORT);
    assert_int_equal(terms.weight, 5);
    assert_int_equal(terms.priority, LEDGER_PRIORITY_NORMAL);
}

static void a_fixed_share_needs_a_share(void **unused)
{
    assert_int_equal(ask_policy(LEDGER_FIXED_SHARE, 0), -EINVAL);
    assert_non_null(strstr(error.text, "--compute"));
    assert_int_equal(terms.policy, LEDGER_BEST_EFFORT);
}

static void equal_shares_take_a_weight_and_no_share(void **unused)
{
    assert_int_equal(ask_policy(LEDGER_EQUAL_SHARE, 300), -EINVAL);
    assert_non_null(strstr(error.text, "--weight"));
    assert_int_equal(ask_policy(LEDGER_EQUAL_SHARE, 0), 0);
    assert_int_equal(apply((struct share_request){.compute_permille = 300}), -EINVAL);
    assert_int_equal(terms.policy, LEDGER_EQUAL_SHARE);
}

static void only_what_is_given_changes(void **unused)
{
    assert_int_equal(ask_policy(LEDGER_BEST_EFFORT, 200), 0);
    assert_int_equal(apply((struct share_request){.compute_permille = 400, .time_slice_ns = 2000000}), 0);
    assert_int_equal(terms.policy, LEDGER_BEST_EFFORT); /* its guarantee was raised */
    assert_int_equal(terms.share_permille, 400);
    assert_int_equal(apply((struct share_request){.has_priority = true, .priority = LEDGER_PRIORITY_HIGH}),
                     0);
    assert_int_equal(terms.share_permille, 400);
    assert_int_equal(terms.time_slice_ns, 2000000);
    assert_int_equal(ask_policy(LEDGER_FIXED_SHARE, 0), 0); /* the share it has */
    assert_int_equal(terms.share_permille, 400);
    assert_int_equal(ask_policy(LEDGER_EQUAL_SHARE, 0), 0); /* gives it up */
    assert_int_equal(terms.share_permille, 0);
}

static void names_read_as_they_are_written(void **unused)
{
    enum ledger_policy policy = LEDGER_BEST_EFFORT;
    enum ledger_priority priority = LEDGER_PRIORITY_LOW;

    assert_int_equal(share_policy_parse(share_policy_name(LEDGER_EQUAL_SHARE), &policy, &error), 0);
    assert_int_equal(policy, LEDGER_EQUAL_SHARE);
    assert_int_equal(share_priority_parse(share_priority_name(LEDGER_PRIORITY_HIGH), &priority, &error), 0);
    assert_int_equal(priority, LEDGER_PRIORITY_HIGH);
    assert_int_equal(share_policy_parse("fast", &policy, &error), -EINVAL);
    assert_string_equal(error.text, "'fast' is no policy; expected best-effort, equal-share or fixed-share");
    assert_int_equal(share_priority_parse("", &priority, &error), -EINVAL);
    assert_string_equal(error.text, "'' is no priority; expected low, normal or high");
}

static void a_share_must_fit_where_an_instance_is_placed(void **unused)
{
    struct place_offer devices[] = {
        {.capacity_bytes = 100,
         .compute_reserved_permille = 800,
         .compute_request_permille = 300,
         .eligible = true},
        {.capacity_bytes = 50,
         .compute_reserved_permille = 700,
         .compute_request_permille = 300,
         .eligible = true},
    };

    assert_int_equal(place_most_free(devices, 2, PLACE_FREE_NOW), 1);
    assert_int_equal(place_most_free(devices, 1, PLACE_FREE_NOW), PLACE_NONE);
    assert_int_equal(place_most_free(devices, 2, PLACE_WITHIN_DEVICE), 0);
    assert_int_equal(place_free_permille(1100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_share_without_a_policy_is_fixed, fresh),
        cmocka_unit_test_setup(without_both_it_is_best_effort, fresh),
        cmocka_unit_test_setup(a_fixed_share_needs_a_share, fresh),
        cmocka_unit_test_setup(equal_shares_take_a_weight_and_no_share, fresh),
        cmocka_unit_test_setup(only_what_is_given_changes, fresh),
        cmocka_unit_test_setup(names_read_as_they_are_written, fresh),
        cmocka_unit_test_setup(a_share_must_fit_where_an_instance_is_placed, fresh),
    };

    return cmocka_run_group_tests_name("daemon_share", tests, NULL, NULL);
}
