/* Promises of the usage record: vgpud's figures under their own names, what is not known is null, and a
 * person reads the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/run_usage.h"

static json_t *read_json(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);

    assert_non_null(value);
    return value;
}

static const char granted[] =
    "{\"id\": \"v1\", \"name\": \"train\", \"policy\": \"fixed-share\", \"share_permille\": 300,"
    " \"devices\": [{\"uuid\": \"GPU-1\", \"name\": \"A GPU\"}, {\"uuid\": \"GPU-2\"}]}";
static const char shown[] =
    "{\"id\": \"v1\", \"name\": \"train\", \"policy\": \"fixed-share\", \"share_permille\": 300,"
    " \"memory_limit_bytes\": 4294967296, \"memory_peak_bytes\": 1073741824, \"denied_total\": 2,"
    " \"gpu_time_ns_total\": 1200000000, \"copy_time_ns_total\": 50000000, \"throttled_ns_total\": "
    "3000000000,"
    " \"throttled_total\": 41, \"devices\": [{\"uuid\": \"GPU-1\", \"name\": \"A GPU\", "
    "\"gpu_time_ns_total\": 1200000000},"
    " {\"uuid\": \"GPU-2\", \"gpu_time_ns_total\": 0}]}";

static json_int_t figure(const json_t *record, const char *key)
{
    assert_true(json_is_integer(json_object_get(record, key)));
    return json_integer_value(json_object_get(record, key));
}

static char *printed(const json_t *record)
{
    static char text[1024];
    FILE *out = fmemopen(text, sizeof(text), "w");

    run_usage_print(record, out);
    fclose(out);
    return text;
}

static void a_record_has_the_figures_of_the_account(void **state)
{
    json_auto_t *begin = read_json(granted), *end = read_json(shown);
    json_auto_t *record = run_usage_record(begin, end, NULL, 2000000000, 3);
    const json_t *device = json_array_get(json_object_get(record, "devices"), 0);

    assert_string_equal(json_string_value(json_object_get(record, "instance")), "v1");
    assert_int_equal(figure(record, "exit_status"), 3);
    assert_int_equal(figure(record, "wall_ns"), 2000000000);
    assert_int_equal(figure(record, "memory_peak_bytes"), 1073741824);
    assert_int_equal(figure(record, "gpu_time_ns_total"), 1200000000);
    assert_int_equal(figure(record, "copy_time_ns_total"), 50000000);
    assert_int_equal(figure(record, "throttled_ns_total"), 3000000000);
    assert_int_equal(figure(record, "throttled_total"), 41);
    assert_int_equal(figure(record, "denied_total"), 2);
    assert_int_equal(figure(record, "share_permille"), 300);
    assert_int_equal(figure(record, "achieved_permille"), 300); /* of two devices */
    assert_int_equal(figure(device, "achieved_permille"), 600);
    assert_true(json_is_null(json_object_get(record, "problem")));
    assert_true(json_is_null(json_object_get(record, "weight"))); /* vgpud did not say */
}

static void what_is_not_known_is_null(void **state)
{
    static const char *const figures[] = {"memory_peak_bytes",  "denied_total",       "gpu_time_ns_total",
                                          "copy_time_ns_total", "throttled_ns_total", "throttled_total",
                                          "achieved_permille"};
    json_auto_t *begin = read_json(granted);
    json_auto_t *record = run_usage_record(begin, NULL, "vgpud has ended", 2000000000, 0);
    const json_t *device = json_array_get(json_object_get(record, "devices"), 0);

    for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++) {
        assert_true(json_is_null(json_object_get(record, figures[i])));
        assert_true(json_is_null(json_object_get(device, figures[i])));
    }
    assert_string_equal(json_string_value(json_object_get(record, "problem")), "vgpud has ended");
    assert_string_equal(json_string_value(json_object_get(device, "uuid")), "GPU-1");
    assert_string_equal(printed(record), "vgpu run: train ended with status 0 after 2.00 s\n"
                                         "  what it used is not known: vgpud has ended\n");
}

static void one_that_was_refused_has_a_record_too(void **state)
{
    json_auto_t *record = run_usage_record(NULL, NULL, "no room", 0, 125);

    assert_true(json_is_null(json_object_get(record, "instance")));
    assert_int_equal(figure(record, "exit_status"), 125);
    assert_int_equal(json_array_size(json_object_get(record, "devices")), 0);
}

static void a_person_reads_the_same(void **state)
{
    json_auto_t *begin = read_json(granted), *end = read_json(shown);
    json_auto_t *record = run_usage_record(begin, end, NULL, 2000000000, 3);

    assert_string_equal(printed(record),
                        "vgpu run: train ended with status 3 after 2.00 s\n"
                        "  memory     1.00 GiB at most, of 4.00 GiB\n"
                        "  GPU time   1.20 s, 30.0% of the time of each device; its share is 30.0%\n"
                        "  copy time  50.0 ms\n"
                        "  held back  3.00 s; waits: 41\n"
                        "  denied     allocations: 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_the_figures_of_the_account),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(one_that_was_refused_has_a_record_too),
        cmocka_unit_test(a_person_reads_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
