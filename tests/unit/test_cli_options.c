/* Promises of the command line's options: units are understood, and what is wrong is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
        cmocka_unit_test(a_time_has_a_unit_or_is_in_seconds),
        cmocka_unit_test(a_wrong_time_is_named),
        cmocka_unit_test(devices_are_separated_by_commas_and_add_up),
        cmocka_unit_test(options_of_run_end_at_the_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
