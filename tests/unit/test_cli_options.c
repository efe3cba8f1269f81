/* Promises of the command line's options: units are understood, and what is wrong is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "cli/options.h"

static void memory_is_an_amount_or_a_part(void **state)
{
    json_t *request = json_object();
    struct error err = {0};

    assert_int_equal(options_memory("1.5G", request, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(request, "memory_limit_bytes")), GIB + GIB / 2);
    assert_int_equal(options_memory("12.5%", request, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(request, "memory_limit_permille")), 125);
    assert_null(json_object_get(request, "memory_limit_bytes")); /* the last one counts */
    json_decref(request);
}

static void a_wrong_amount_is_named(void **state)
{
    static const char *const texts[] = {
        "", "0", "-1G", "1X", "G", "101%", "0%", "%", "99999999999999999999G"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_t *request = json_object();
        struct error err = {0};

        assert_true(options_memory(texts[i], request, &err) < 0);
        assert_memory_equal(err.text, "--memory: ", 10);
        assert_non_null(strstr(err.text, texts[i]));
        assert_int_equal(json_object_size(request), 0);
        json_decref(request);
    }
}

static void a_share_is_a_percentage_a_policy_a_weight_a_priority_and_a_slice(void **state)
{
    static const struct {
        int code;
        const char *text, *member, *name; /* name: NULL where it is a number */
        json_int_t number;
    } cases[] = {{OPTIONS_COMPUTE, "30%", "compute_permille", NULL, 300},
                 {OPTIONS_COMPUTE, "12.5%", "compute_permille", NULL, 125},
                 {OPTIONS_COMPUTE, "100%", "compute_permille", NULL, 1000},
                 {OPTIONS_POLICY, "best-effort", "policy", "best-effort", 0},
                 {OPTIONS_POLICY, "equal-share", "policy", "equal-share", 0},
                 {OPTIONS_POLICY, "fixed-share", "policy", "fixed-share", 0},
                 {OPTIONS_WEIGHT, "1", "weight", NULL, 1},
                 {OPTIONS_WEIGHT, "10000", "weight", NULL, 10000},
                 {OPTIONS_PRIORITY, "low", "priority", "low", 0},
                 {OPTIONS_PRIORITY, "normal", "priority", "normal", 0},
                 {OPTIONS_PRIORITY, "high", "priority", "high", 0},
                 {OPTIONS_TIME_SLICE, "2ms", "time_slice_ns", NULL, 2000000},
                 {OPTIONS_TIME_SLICE, "500us", "time_slice_ns", NULL, 500000}};
    json_t *request = json_object();
    struct error err = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const json_t *value;

        assert_true(options_is_share(cases[i].code));
        assert_int_equal(options_share(cases[i].code, cases[i].text, request, &err), 0);
        value = json_object_get(request, cases[i].member);
        if (cases[i].name)
            assert_string_equal(json_string_value(value), cases[i].name);
        else
            assert_int_equal(json_integer_value(value), cases[i].number);
    }
    assert_int_equal(json_object_size(request), 5);
    assert_false(options_is_share(OPTIONS_JSON));
    assert_false(options_is_share(OPTIONS_OWN));
    json_decref(request);
}

static void a_wrong_share_is_named_with_what_was_expected(void **state)
{
    static const char percent[] = "is not a percentage: write for example 25% or 12.5%";
    static const char range[] = "is out of range: more than 0% and at most 100%";
    static const char unit[] = "lacks its unit: of the device's time write for example 30%";
    static const char policies[] = "is none of best-effort, equal-share, fixed-share";
    static const char weight[] = "is not a whole number from 1 to 10000";
    static const char slice[] = "is not a time from 100us to 100ms; write it as 2ms or 500us";
    static const struct {
        int code;
        const char *option, *text, *why;
    } cases[] = {{OPTIONS_COMPUTE, "--compute", "0%", range},
                 {OPTIONS_COMPUTE, "--compute", "101%", range},
                 {OPTIONS_COMPUTE, "--compute", "-5%", percent},
                 {OPTIONS_COMPUTE, "--compute", "abc", percent},
                 {OPTIONS_COMPUTE, "--compute", "", percent},
                 {OPTIONS_COMPUTE, "--compute", "12.55%", percent},
                 {OPTIONS_COMPUTE, "--compute", "30", unit},
                 {OPTIONS_COMPUTE, "--compute", "0.3", unit},
                 {OPTIONS_POLICY, "--policy", "fair", policies},
                 {OPTIONS_POLICY, "--policy", "Fixed-Share", policies},
                 {OPTIONS_POLICY, "--policy", "", policies},
                 {OPTIONS_WEIGHT, "--weight", "0", weight},
                 {OPTIONS_WEIGHT, "--weight", "-1", weight},
                 {OPTIONS_WEIGHT, "--weight", "1.5", weight},
                 {OPTIONS_WEIGHT, "--weight", "10001", weight},
                 {OPTIONS_WEIGHT, "--weight", "99999999999999999999", weight},
                 {OPTIONS_PRIORITY, "--priority", "urgent", "is none of low, normal, high"},
                 {OPTIONS_TIME_SLICE, "--time-slice", "1s", slice},
                 {OPTIONS_TIME_SLICE, "--time-slice", "2", slice},
                 {OPTIONS_TIME_SLICE, "--time-slice", "0ms", slice},
                 {OPTIONS_TIME_SLICE, "--time-slice", "99us", slice},
                 {OPTIONS_TIME_SLICE, "--time-slice", "101ms", slice},
                 {OPTIONS_TIME_SLICE, "--time-slice", "-2ms", slice},
                 {OPTIONS_TIME_SLICE, "--time-slice", "2 ms", slice}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_t *request = json_object();
        struct error err = {0};
        char want[160];

        snprintf(want, sizeof(want), "%s: '%s' %s", cases[i].option, cases[i].text, cases[i].why);
        assert_true(options_share(cases[i].code, cases[i].text, request, &err) < 0);
        assert_string_equal(err.text, want);
        assert_int_equal(json_object_size(request), 0);
        json_decref(request);
    }
}

static void a_time_has_a_unit_or_is_in_seconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"5s", 5000},   {"5", 5000},     {"250ms", 250},        {"0s", 0},
                 {"2m", 120000}, {"1h", 3600000}, {"3600000ms", 3600000}};
    struct error err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t ms = 77;

        assert_int_equal(options_duration(cases[i].text, &ms, &err), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void a_wrong_time_is_named(void **state)
{
    static const char *const texts[] = {"",   "s",   "-1s", "+1",   " 1",
                                        "5x", "61m", "2h",  "1.5s", "99999999999999999999s"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        uint64_t ms = 77;
        struct error err = {0};

        assert_int_equal(options_duration(texts[i], &ms, &err), -EINVAL);
        assert_int_equal(ms, 77);
        assert_non_null(strstr(err.text, texts[i]));
    }
}

static void devices_are_separated_by_commas_and_add_up(void **state)
{
    json_t *request = json_object(), *devices;
    struct error err = {0};

    assert_int_equal(options_devices("0,GPU-x", request, &err), 0);
    assert_int_equal(options_devices("2", request, &err), 0);
    devices = json_object_get(request, "devices");
    assert_int_equal(json_array_size(devices), 3);
    assert_string_equal(json_string_value(json_array_get(devices, 1)), "GPU-x");
    assert_int_equal(options_devices("1,,2", request, &err), -EINVAL);
    assert_int_equal(options_devices("", request, &err), -EINVAL);
    assert_int_equal(options_devices("1,", request, &err), -EINVAL);
    json_decref(request);
}

static void options_of_run_end_at_the_command(void **state)
{
    enum { MEMORY = OPTIONS_OWN };
    static const struct option options[] = {
        OPTIONS_HELP_ROW, {"memory", required_argument, NULL, MEMORY}, OPTIONS_END_ROW};
    char *argv[] = {(char *)"vgpu run", (char *)"--memory", (char *)"1G",
                    (char *)"ls",       (char *)"--help",   NULL};

    options_begin();
    assert_int_equal(options_next(5, argv, options, true), MEMORY);
    assert_string_equal(optarg, "1G");
    assert_int_equal(options_next(5, argv, options, true), -1);
    assert_string_equal(argv[optind], "ls");
    options_begin();
    assert_int_equal(options_next(5, argv, options, false), MEMORY);
    assert_int_equal(options_next(5, argv, options, false), OPTIONS_HELP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_an_amount_or_a_part),
        cmocka_unit_test(a_wrong_amount_is_named),
        cmocka_unit_test(a_share_is_a_percentage_a_policy_a_weight_a_priority_and_a_slice),
        cmocka_unit_test(a_wrong_share_is_named_with_what_was_expected),
        cmocka_unit_test(a_time_has_a_unit_or_is_in_seconds),
        cmocka_unit_test(a_wrong_time_is_named),
        cmocka_unit_test(devices_are_separated_by_commas_and_add_up),
        cmocka_unit_test(options_of_run_end_at_the_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
