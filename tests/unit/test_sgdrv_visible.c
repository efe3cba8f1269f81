/* Promises of CUDA_VISIBLE_DEVICES on the software GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "softgpu/driver/visible.h"

static struct sgdev_properties devices[3] = {{.uuid = {0xaa, 0x01}}, {.uuid = {0xaa, 0x02}}, {.uuid = {0xbb, 0x03}}};
static const struct sgdev_properties *const all[] = {&devices[0], &devices[1], &devices[2]};

/* The visible devices as text, "0 2". */
static const char *visible(const char *list)
{
    static char text[64];
    unsigned numbers[3], n = visible_devices(list, all, 3, numbers);
    int at = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%u", i ? " " : "", numbers[i]);
    return text;
}

static void without_the_variable_all_devices_are_seen_in_order(void **state)
{
    assert_string_equal(visible(NULL), "0 1 2");
}

static void an_empty_list_shows_none(void **state)
{
    assert_string_equal(visible(""), "");
    assert_string_equal(visible("-1"), "");
}

static void numbers_choose_and_order(void **state)
{
    assert_string_equal(visible("2,0"), "2 0");
    assert_string_equal(visible("1"), "1");
    assert_string_equal(visible(" 1, 2"), "1 2");
}

static void a_uuid_names_a_device_also_cut_short_when_it_is_alone(void **state)
{
    assert_string_equal(visible("GPU-aa020000-0000-0000-0000-000000000000"), "1");
    assert_string_equal(visible("gpu-BB"), "2");
    assert_string_equal(visible("GPU-aa01,GPU-bb"), "0 2");
    assert_string_equal(visible("GPU-aa"), "");
}

static void the_first_entry_that_names_nothing_ends_the_list(void **state)
{
    assert_string_equal(visible("0,7,1"), "0");
    assert_string_equal(visible("2,x,1"), "2");
    assert_string_equal(visible("1,,2"), "1");
    assert_string_equal(visible("99999999999999999999"), "");
    assert_string_equal(visible("GPU-aa020000-0000-0000-0000-0000000000000"), "");
}

static void a_device_named_twice_ends_the_list(void **state)
{
    assert_string_equal(visible("1,1,2"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_variable_all_devices_are_seen_in_order),
        cmocka_unit_test(an_empty_list_shows_none),
        cmocka_unit_test(numbers_choose_and_order),
        cmocka_unit_test(a_uuid_names_a_device_also_cut_short_when_it_is_alone),
        cmocka_unit_test(the_first_entry_that_names_nothing_ends_the_list),
        cmocka_unit_test(a_device_named_twice_ends_the_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
