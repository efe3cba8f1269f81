/* Promises of the text that `vgpu metrics` serves: vgpud's names and values, seconds for times, nothing for
 * what is not known, and labels that no name can break out of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/metrics_render.h"
#include "cli/metrics_table.h"

static const char answers_text[] =
    "{'daemon': {'version': '0.1', 'uptime_ms': 1500, 'connection_count': 3, 'instance_count': 2}, "
    "'devices': ["
    " {'index': 0, 'uuid': 'GPU-a', 'name': 'A \\\"big\\\" GPU', 'kind': 'nvidia', 'memory_capacity_bytes': "
    "9007199254740993,"
    "  'driver_bytes': null, 'not_limited': [{'pid': 1}, {'pid': 2}], 'used_permille': 955}],"
    " 'instances': ["
    " {'id': 'v1', 'name': 'a', 'owner_uid': 1000, 'state': 'running', 'client_count': 2, 'overcommit': "
    "false, 'queued': 4, 'devices': ["
    "  {'uuid': 'GPU-a', 'memory_used_bytes': 5, 'difference_bytes': -7, 'gpu_time_ns_total': 12000000034, "
    "'debt_ns': 5, 'active': true}]},"
    " {'id': 'v2', 'name': 'b', 'owner_uid': 0, 'state': 'ready', 'queued': 9, 'devices': ["
    "  {'uuid': 'GPU-a', 'memory_used_bytes': 1}, {'uuid': 'GPU-b', 'memory_used_bytes': null}]}]}";

static const struct metrics_wishes plain = {.node = "here"}, with_hami = {.hami_names = true, .node = "here"};

static char *render(const struct metrics_wishes *wishes, bool up)
{
    char *text = strdup(answers_text), *rendered;
    json_t *answers;
    size_t bytes;

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    answers = json_loads(text, 0, NULL);
    assert_non_null(answers);
    rendered = metrics_render(up ? answers : NULL, 2000000001, wishes, &bytes);
    assert_int_equal(strlen(rendered), bytes);
    json_decref(answers);
    free(text);
    return rendered;
}

/* Whether one of text's lines is just this. */
static bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);

    for (const char *at = strstr(text, line); at; at = strstr(at + 1, line))
        if ((at == text || at[-1] == '\n') && at[n] == '\n')
            return true;
    return false;
}

#define SHARE_A "{instance_id=\"v1\",name=\"a\",owner_uid=\"1000\",device=\"GPU-a\"} "

static void values_are_vgpuds(void **state)
{
    static const char *const lines[] = {
        "vgpu_up 1",
        "vgpu_asked_seconds 2.000000001",
        "vgpu_daemon_version{version=\"0.1\"} 1",
        "vgpu_daemon_uptime_seconds 1.500",
        "vgpu_device_memory_capacity_bytes{device=\"GPU-a\",name=\"A \\\"big\\\" GPU\"} "
        "9007199254740993", /* no double */
        "vgpu_device_not_limited{device=\"GPU-a\",name=\"A \\\"big\\\" GPU\"} 2",
        "vgpu_device_used_permille{device=\"GPU-a\",name=\"A \\\"big\\\" GPU\"} 955",
        "vgpu_state{instance_id=\"v1\",name=\"a\",owner_uid=\"1000\",state=\"running\"} 1",
        "vgpu_clients{instance_id=\"v1\",name=\"a\",owner_uid=\"1000\"} 2",
        "vgpu_overcommit{instance_id=\"v1\",name=\"a\",owner_uid=\"1000\"} 0",
        "vgpu_memory_used_bytes" SHARE_A "5",
        "vgpu_difference_bytes" SHARE_A "-7",
        "vgpu_gpu_time_seconds_total" SHARE_A "12.000000034",
        "vgpu_debt_seconds" SHARE_A "0.000000005",
        "vgpu_active" SHARE_A "1",
        "vgpu_queued{instance_id=\"v1\",name=\"a\",owner_uid=\"1000\"} 4",
        "# TYPE vgpu_gpu_time_seconds_total counter",
        "# TYPE vgpu_debt_seconds gauge",
    };
    char *text = render(&plain, true);

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (!has_line(text, lines[i]))
            fail_msg("no line %s in\n%s", lines[i], text);
    free(text);
}

static void what_is_not_known_is_not_there(void **state)
{
    char *text = render(&plain, true);

    assert_null(strstr(text, "vgpu_device_driver_bytes{"));
    assert_null(strstr(text, "vgpu_memory_limit_bytes{"));
    assert_null(strstr(text, "vgpu_clients{instance_id=\"v2\""));
    assert_null(strstr(text, "device=\"GPU-b\"} "));
    assert_null(strstr(text, "hami_"));
    free(text);
}

static void without_vgpud_there_is_only_up(void **state)
{
    char *text = render(&with_hami, false);

    assert_true(has_line(text, "vgpu_up 0"));
    assert_null(strstr(text, "vgpu_daemon"));
    assert_null(strstr(text, "hami_"));
    free(text);
}

static void hamis_names_come_on_demand(void **state)
{
    static const char *const lines[] = {
        "hami_host_gpu_utilization_ratio{node=\"here\",device_index=\"0\",device_uuid=\"GPU-a\",device_type="
        "\"NVIDIA-A \\\"big\\\" GPU\"} 95.5",
        "hami_vgpu_memory_used_bytes{namespace=\"\",pod=\"a\",container=\"a\",vdevice_index=\"0\",device_"
        "uuid=\"GPU-a\"} 5",
        "vGPU_device_memory_usage_in_bytes{podnamespace=\"\",podname=\"b\",ctrname=\"b\",vdeviceid=\"0\","
        "deviceuuid=\"GPU-a\"} 1",
    };
    char *text = render(&with_hami, true);

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        if (!has_line(text, lines[i]))
            fail_msg("no line %s in\n%s", lines[i], text);
    free(text);
}

/* The name without "vgpu_" and the scope's word is the JSON name; only units and counts differ, as Prometheus
 * wants. */
static void a_name_is_the_json_name(void **state)
{
    for (size_t i = 0; i < metrics_table_rows; i++) {
        const struct metrics_row *row = &metrics_table[i];
        const char *name = row->name + strlen("vgpu_");
        char wanted[128];
        size_t n = strlen(row->key);

        assert_memory_equal(row->name, "vgpu_", 5);
        if (row->scope == METRICS_DEVICE || row->scope == METRICS_DAEMON)
            name = strchr(name, '_') + 1;
        snprintf(wanted, sizeof(wanted), "%s", row->key);
        if (n > 6 && !strcmp(wanted + n - 6, "_count"))
            snprintf(wanted + n - 6, sizeof(wanted) - n + 6, "s");
        if (row->unit == METRICS_NS || row->unit == METRICS_MS) {
            char *unit = strstr(wanted, row->unit == METRICS_NS ? "_ns" : "_ms"), rest[32];

            assert_non_null(unit);
            snprintf(rest, sizeof(rest), "%s", unit + 3);
            snprintf(unit, sizeof(wanted) - (size_t)(unit - wanted), "_seconds%s", rest);
        }
        assert_string_equal(name, wanted);
        assert_int_equal(row->type == METRICS_COUNTER, strstr(row->name, "_total") != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_vgpuds),
        cmocka_unit_test(what_is_not_known_is_not_there),
        cmocka_unit_test(without_vgpud_there_is_only_up),
        cmocka_unit_test(hamis_names_come_on_demand),
        cmocka_unit_test(a_name_is_the_json_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
