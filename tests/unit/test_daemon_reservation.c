/* Promises of reservation.c and place/offer.c: how much a request comes to, and where it goes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "daemon/reservation.h"
#include "place/offer.h"

static struct reservation_request bytes(uint64_t n)
{
    return (struct reservation_request){.amount = RESERVATION_BYTES, .bytes = n};
}

static struct reservation_request permille(unsigned n)
{
    return (struct reservation_request){.amount = RESERVATION_PERMILLE, .permille = n};
}

static void the_sum_of_limits_may_reach_the_capacity_and_not_pass_it(void **state)
{
    struct reservation_request fits = bytes(3 * GIB), more = bytes(3 * GIB + 1);
    uint64_t limit = 0;

    assert_int_equal(reservation_limit(&fits, 8 * GIB, 5 * GIB, &limit), 0);
    assert_int_equal(limit, 3 * GIB);
    limit = 7;
    assert_int_equal(reservation_limit(&more, 8 * GIB, 5 * GIB, &limit), -ENOSPC);
    assert_int_equal(limit, 7);
}

static void overcommit_passes_what_is_free_but_never_the_device(void **state)
{
    struct reservation_request request = bytes(8 * GIB);
    uint64_t limit;

    request.overcommit = true;
    assert_int_equal(reservation_limit(&request, 8 * GIB, 8 * GIB, &limit), 0);
    assert_int_equal(limit, 8 * GIB);
    request.bytes++;
    assert_int_equal(reservation_limit(&request, 8 * GIB, 0, &limit), -ERANGE);
}

static void an_overcommitted_device_has_nothing_free(void **state)
{
    struct reservation_request one = bytes(1), rest = {.amount = RESERVATION_ALL_FREE};
    uint64_t limit;

    assert_int_equal(reservation_limit(&one, 8 * GIB, 9 * GIB, &limit), -ENOSPC);
    assert_int_equal(reservation_limit(&rest, 8 * GIB, 9 * GIB, &limit), -ENOSPC);
}

static void a_request_without_an_amount_gets_all_that_is_free(void **state)
{
    struct reservation_request rest = {.amount = RESERVATION_ALL_FREE};
    uint64_t limit;

    assert_int_equal(reservation_limit(&rest, 8 * GIB, 3 * GIB, &limit), 0);
    assert_int_equal(limit, 5 * GIB);
    rest.overcommit = true;
    assert_int_equal(reservation_limit(&rest, 8 * GIB, 3 * GIB, &limit), 0);
    assert_int_equal(limit, 8 * GIB);
}

static void percent_is_of_the_capacity_without_overflow(void **state)
{
    struct reservation_request quarter = permille(250), all = permille(1000), tiny = permille(1);
    uint64_t limit;

    assert_int_equal(reservation_limit(&quarter, 8 * GIB, GIB, &limit), 0);
    assert_int_equal(limit, 2 * GIB);
    assert_int_equal(reservation_limit(&all, INT64_MAX, 0, &limit), 0);
    assert_int_equal(limit, INT64_MAX);
    assert_int_equal(reservation_limit(&all, 999, 0, &limit), 0);
    assert_int_equal(limit, 999);
    assert_int_equal(reservation_limit(&tiny, 10, 0, &limit), -ENOSPC); /* it comes to nothing */
}

static void an_instance_may_always_shrink(void **state)
{
    struct reservation_request smaller = bytes(2 * GIB), larger = bytes(5 * GIB);
    uint64_t limit;

    assert_int_equal(reservation_change(&smaller, 8 * GIB, 20 * GIB, 4 * GIB, &limit), 0);
    assert_int_equal(limit, 2 * GIB);
    assert_int_equal(reservation_change(&larger, 8 * GIB, 4 * GIB, 4 * GIB, &limit), -ENOSPC);
    assert_int_equal(reservation_change(&larger, 8 * GIB, 3 * GIB, 4 * GIB, &limit), 0);
    assert_int_equal(limit, 5 * GIB);
}

static void the_device_with_most_free_memory_is_chosen_and_the_first_of_equals(void **state)
{
    struct place_offer devices[] = {
        {.capacity_bytes = 8 * GIB, .reserved_bytes = 4 * GIB, .request_bytes = GIB, .eligible = true},
        {.capacity_bytes = 6 * GIB, .reserved_bytes = 0, .request_bytes = GIB, .eligible = true},
        {.capacity_bytes = 6 * GIB, .reserved_bytes = 0, .request_bytes = GIB, .eligible = true},
        {.capacity_bytes = 64 * GIB, .reserved_bytes = 0, .request_bytes = GIB, .eligible = false},
    };

    assert_int_equal(place_most_free(devices, 4, PLACE_FREE_NOW), 1);
    assert_int_equal(place_most_free(devices, 0, PLACE_FREE_NOW), PLACE_NONE);
}

static void a_request_goes_only_where_it_fits(void **state)
{
    struct place_offer devices[] = {
        {.capacity_bytes = 8 * GIB, .reserved_bytes = 0, .request_bytes = 9 * GIB, .eligible = true},
        {.capacity_bytes = 12 * GIB, .reserved_bytes = 6 * GIB, .request_bytes = 9 * GIB, .eligible = true},
    };

    assert_int_equal(place_most_free(devices, 2, PLACE_FREE_NOW), PLACE_NONE);
    assert_int_equal(place_most_free(devices, 2, PLACE_WITHIN_DEVICE), 1);
}

static void a_full_device_is_not_chosen_for_a_request_without_an_amount(void **state)
{
    struct place_offer devices[] = {
        {.capacity_bytes = 8 * GIB, .reserved_bytes = 9 * GIB, .eligible = true},
        {.capacity_bytes = 8 * GIB, .reserved_bytes = 8 * GIB - 1, .eligible = true},
    };

    assert_int_equal(place_most_free(devices, 2, PLACE_FREE_NOW), 1);
    assert_int_equal(place_most_free(devices, 1, PLACE_FREE_NOW), PLACE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_of_limits_may_reach_the_capacity_and_not_pass_it),
        cmocka_unit_test(overcommit_passes_what_is_free_but_never_the_device),
        cmocka_unit_test(an_overcommitted_device_has_nothing_free),
        cmocka_unit_test(a_request_without_an_amount_gets_all_that_is_free),
        cmocka_unit_test(percent_is_of_the_capacity_without_overflow),
        cmocka_unit_test(an_instance_may_always_shrink),
        cmocka_unit_test(the_device_with_most_free_memory_is_chosen_and_the_first_of_equals),
        cmocka_unit_test(a_request_goes_only_where_it_fits),
        cmocka_unit_test(a_full_device_is_not_chosen_for_a_request_without_an_amount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
