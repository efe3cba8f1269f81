/* vgpu instance: the vGPUs that are handed out; seeing, changing and stopping them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"

#define N(columns) (sizeof(columns) / sizeof(*(columns)))

static const struct output_column list_columns[] = {
    {"NAME", "name", OUTPUT_TEXT},
    {"ID", "id", OUTPUT_TEXT},
    {"DEVICE", "device_names", OUTPUT_TEXT},
    {"USED", "memory_used_bytes", OUTPUT_BYTES},
    {"LIMIT", "memory_limit_bytes", OUTPUT_BYTES},
    {"DENIED", "denied_total", OUTPUT_COUNT},
    {"SHARE", "share_text", OUTPUT_TEXT},
    {"NOW", "used_permille", OUTPUT_PERMILLE},
    {"PROCS", "client_count", OUTPUT_COUNT},
    {"STATE", "state", OUTPUT_TEXT},
};

static const struct output_column show_columns[] = {
    {"name", "name", OUTPUT_TEXT},
    {"id", "id", OUTPUT_TEXT},
    {"state", "state", OUTPUT_TEXT},
    {"owner uid", "owner_uid", OUTPUT_COUNT},
    {"created", "created_ms", OUTPUT_TIME},
    {"overcommit", "overcommit", OUTPUT_BOOL},
    {"policy", "policy", OUTPUT_TEXT},
    {"share", "share_permille", OUTPUT_PERMILLE},
    {"weight", "weight", OUTPUT_COUNT},
    {"priority", "priority", OUTPUT_TEXT},
    {"time slice", "time_slice_ns", OUTPUT_NS},
};

/* Of each device, in tables of their own: no line is longer than a terminal of 120 columns. */
static const struct output_column device_columns[] = {
    {"DEVICE", "name", OUTPUT_TEXT},
    {"KIND", "kind", OUTPUT_TEXT},
    {"UUID", "uuid", OUTPUT_TEXT},
};

static const struct output_column memory_columns[] = {
    {"MEMORY", "name", OUTPUT_TEXT},
    {"USED", "memory_used_bytes", OUTPUT_BYTES},
    {"LIMIT", "memory_limit_bytes", OUTPUT_BYTES},
    {"PEAK", "memory_peak_bytes", OUTPUT_BYTES},
    {"DRIVER", "driver_bytes", OUTPUT_BYTES},
    {"DIFFERENCE", "difference_bytes", OUTPUT_DIFFERENCE},
    {"DENIED", "denied_total", OUTPUT_COUNT},
};

static const struct output_column time_columns[] = {
    {"TIME", "name", OUTPUT_TEXT},
    {"NOW", "used_permille", OUTPUT_PERMILLE},
    {"MAY", "rate_ppm", OUTPUT_PPM},
    {"COPY", "copy_permille", OUTPUT_PERMILLE},
    {"HELD", "throttled_permille", OUTPUT_PERMILLE},
    {"DEBT", "debt_ns", OUTPUT_NS},
    {"QUEUED", "queued", OUTPUT_COUNT},
    {"GPU TIME", "gpu_time_ns_total", OUTPUT_NS},
    {"COPY TIME", "copy_time_ns_total", OUTPUT_NS},
    {"WAITED", "throttled_ns_total", OUTPUT_NS},
};

static const struct output_column client_columns[] = {
    {"PID", "pid", OUTPUT_COUNT},
    {"COMMAND", "command", OUTPUT_TEXT},
    {"KIND", "kind", OUTPUT_TEXT},
    {"USED", "memory_used_bytes", OUTPUT_BYTES},
    {"DRIVER", "driver_bytes", OUTPUT_BYTES},
    {"DIFFERENCE", "difference_bytes", OUTPUT_DIFFERENCE},
};

static const char list_usage[] =
    "Usage: vgpu instance list [--json]\n"
    "Lists your instances (root: all) with what they use. SHARE is the policy (best is best-effort), with\n"
    "a share if there is one, a weight (x2) and a priority where they are not 1 and normal; NOW is the\n"
    "part of the devices' time that it had in the last second.\n"
    "\n"
    "  --json  as JSON\n"
    "  --help  this text\n"
    "\n"
    "States: ready (no process yet), running, over-limit (its limit was lowered below what it uses: new\n"
    "allocations are held back until it fits), stopping, orphaned (vgpud and its keeper ended; its memory stays\n"
    "reserved until its processes end).\n";

static const char show_usage[] =
    "Usage: vgpu instance show INSTANCE [--json]\n"
    "Shows one instance, by name or id: its devices, limits, and who uses how much. DRIVER is what the\n"
    "driver says its processes hold, DIFFERENCE that less USED; \"-\" where the driver does not tell.\n"
    "Of the devices' time: NOW and COPY are the parts it had in the last second to compute and to copy,\n"
    "MAY what it may have now, HELD for how much of that second threads were held back (several add up),\n"
    "DEBT what it had beyond its share, QUEUED how many processes wait now; the others are sums since it\n"
    "began.\n"
    "\n"
    "  --json  as JSON\n"
    "  --help  this text\n";

static const char set_usage[] =
    "Usage: vgpu instance set INSTANCE OPTION... [--json]\n"
    "Changes a running instance; its programs meet the new limits at once. Either all options hold or,\n"
    "when one is refused, none.\n"
    "\n"
    "  --memory SIZE  the new limit, as 2G or as 25% of the device. Below what is in use it is accepted:\n"
    "                 nothing is taken away, new allocations are held back until the instance fits\n"
    "  --overcommit   allow more than others left free\n"
    "  --compute SHARE, --policy POLICY, --weight N, --priority P, --time-slice T\n"
    "                 its part of the devices' time, as in `vgpu run --help`\n"
    "  --json         print the instance as JSON\n"
    "  --help         this text\n";

static const char stop_usage[] =
    "Usage: vgpu instance stop INSTANCE [--grace TIME] [--json]\n"
    "Stops an instance: new GPU work is refused, its processes get SIGTERM and, after the grace period,\n"
    "SIGKILL. Returns when the instance is gone.\n"
    "\n"
    "  --grace TIME  how long the processes may take to end: 5s, 500ms, 2m (default: 5s)\n"
    "  --json        print the answer as JSON\n"
    "  --help        this text\n";

static int print_usage(const char *usage)
{
    fputs(usage, stdout);
    return output_end();
}

/* ---- list ---- */

/* For a table's one cell: the name of the device, or how many there are. */
static void add_device_names(json_t *instances)
{
    json_t *instance;
    size_t i;

    json_array_foreach(instances, i, instance)
    {
        const json_t *devices = json_object_get(instance, "devices");
        json_t *name = json_object_get(json_array_get(devices, 0), "name");

        if (json_array_size(devices) > 1)
            json_object_set_new(instance, "device_names",
                                json_sprintf("%zu devices", json_array_size(devices)));
        else
            json_object_set(instance, "device_names", name);
    }
}

/* For another: "fixed 30%", "equal x2", "best, high". */
static void add_share_text(json_t *instances)
{
    json_t *instance;
    size_t i;

    json_array_foreach(instances, i, instance)
    {
        const char *policy = json_string_value(json_object_get(instance, "policy"));
        const char *priority = json_string_value(json_object_get(instance, "priority"));
        json_int_t share = json_integer_value(json_object_get(instance, "share_permille"));
        json_int_t weight = json_integer_value(json_object_get(instance, "weight"));
        char part[24] = "", times[24] = "";

        if (!policy)
            continue;
        if (share)
            snprintf(part, sizeof(part), share % 10 ? " %.1f%%" : " %.0f%%", (double)share / 10);
        if (weight > 1)
            snprintf(times, sizeof(times), " x%lld", (long long)weight);
        json_object_set_new(instance, "share_text",
                            json_sprintf("%.*s%s%s%s%s", (int)strcspn(policy, "-"), policy, part, times,
                                         priority && strcmp(priority, "normal") ? ", " : "",
                                         priority && strcmp(priority, "normal") ? priority : ""));
    }
}

int instance_list_main(int argc, char **argv)
{
    static const struct option options[] = {OPTIONS_HELP_ROW, OPTIONS_JSON_ROW, OPTIONS_END_ROW};
    json_auto_t *object = json_pack("{s:[]}", "instances");
    json_t *instances = json_object_get(object, "instances");
    struct client client = {.fd = -1};
    struct error err = {0};
    bool as_json = false;
    int code, status;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return print_usage(list_usage);
        if (code != OPTIONS_JSON)
            return CLI_USAGE;
        as_json = true;
    }
    if (optind < argc)
        return options_fail_arguments(argv, "no arguments");
    if (client_open(&client, &err) < 0 || client_ask_instances(&client, instances, &err) < 0) {
        status = options_fail(argv, CLI_FAILED, &err);
    } else {
        if (!as_json) {
            add_device_names(instances);
            add_share_text(instances);
        }
        status = output_table(object, "instances", list_columns, N(list_columns),
                              "no instances; `vgpu run` makes one", as_json);
    }
    client_close(&client);
    return status;
}

/* ---- show, set, stop ---- */

/* What was not asked for is 0 in JSON; a person sees "-". */
static void hide_unasked(json_t *instance)
{
    static const char *const keys[] = {"share_permille", "time_slice_ns"};

    for (size_t i = 0; i < N(keys); i++)
        if (!json_integer_value(json_object_get(instance, keys[i])))
            json_object_set_new(instance, keys[i], json_null());
}

static int print_instance(const json_t *answer, bool as_json)
{
    json_t *instance = json_object_get(answer, "instance");

    if (as_json)
        return output_json(instance);
    hide_unasked(instance);
    output_fields(instance, show_columns, N(show_columns));
    if (json_is_true(json_object_get(instance, "over_limit")))
        puts("note: more is in use than the limit allows; new allocations are held back until it fits");
    putchar('\n');
    output_table(instance, "devices", device_columns, N(device_columns), "no devices", false);
    putchar('\n');
    output_table(instance, "devices", memory_columns, N(memory_columns), "", false);
    putchar('\n');
    output_table(instance, "devices", time_columns, N(time_columns), "", false);
    putchar('\n');
    return output_table(instance, "clients", client_columns, N(client_columns), "no processes", false);
}

/* The one argument that names the instance, put into request. */
static int take_instance(int argc, char **argv, json_t *request)
{
    if (argc - optind != 1)
        return options_fail_arguments(argv, "one instance, by name or id");
    return json_object_set_new(request, "instance", json_string(argv[optind])) < 0
               ? options_fail_arguments(argv, "a name in UTF-8")
               : CLI_OK;
}

int instance_show_main(int argc, char **argv)
{
    static const struct option options[] = {OPTIONS_HELP_ROW, OPTIONS_JSON_ROW, OPTIONS_END_ROW};
    json_auto_t *request = json_pack("{s:s, s:b}", "op", "instance.show", "fresh", 1), *answer = NULL;
    struct error err = {0};
    bool as_json = false;
    int code, status;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return print_usage(show_usage);
        if (code != OPTIONS_JSON)
            return CLI_USAGE;
        as_json = true;
    }
    if ((status = take_instance(argc, argv, request)) != CLI_OK)
        return status;
    answer = client_ask_once(request, &err);
    if (!answer)
        return options_fail(argv, CLI_FAILED, &err);
    return print_instance(answer, as_json);
}

int instance_set_main(int argc, char **argv)
{
    enum { MEMORY = OPTIONS_OWN, OVERCOMMIT };
    static const struct option options[] = {
        OPTIONS_HELP_ROW,
        OPTIONS_JSON_ROW,
        OPTIONS_SHARE_ROWS,
        {"memory", required_argument, NULL, MEMORY},
        {"overcommit", no_argument, NULL, OVERCOMMIT},
        OPTIONS_END_ROW,
    };
    json_auto_t *request = json_pack("{s:s}", "op", "instance.set"), *answer = NULL;
    struct error err = {0};
    bool as_json = false, changes = false;
    int code, status;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return print_usage(set_usage);
        if (code == OPTIONS_JSON)
            as_json = true;
        else if (code == OVERCOMMIT)
            json_object_set_new(request, "overcommit", json_true());
        else if ((code == MEMORY && options_memory(optarg, request, &err) == 0) ||
                 (options_is_share(code) && options_share(code, optarg, request, &err) == 0))
            changes = true;
        else
            return code == '?' ? CLI_USAGE : options_fail(argv, CLI_USAGE, &err);
    }
    if ((status = take_instance(argc, argv, request)) != CLI_OK)
        return status;
    if (!changes)
        return options_fail_arguments(
            argv, "something to set: --memory, --compute, --policy, --weight, --priority or --time-slice");
    answer = client_ask_once(request, &err);
    if (!answer)
        return options_fail(argv, CLI_FAILED, &err);
    return print_instance(answer, as_json);
}

int instance_stop_main(int argc, char **argv)
{
    enum { GRACE = OPTIONS_OWN };
    static const struct option options[] = {
        OPTIONS_HELP_ROW, OPTIONS_JSON_ROW, {"grace", required_argument, NULL, GRACE}, OPTIONS_END_ROW};
    json_auto_t *request = json_pack("{s:s}", "op", "instance.stop"), *answer = NULL;
    struct error err = {0};
    uint64_t grace_ms;
    bool as_json = false;
    int code, status;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return print_usage(stop_usage);
        if (code == OPTIONS_JSON)
            as_json = true;
        else if (code == GRACE && options_duration(optarg, &grace_ms, &err) == 0)
            json_object_set_new(request, "grace_ms", json_integer((json_int_t)grace_ms));
        else
            return code == GRACE ? options_fail(argv, CLI_USAGE, &err) : CLI_USAGE;
    }
    if ((status = take_instance(argc, argv, request)) != CLI_OK)
        return status;
    answer = client_ask_once(request, &err);
    if (!answer)
        return options_fail(argv, CLI_FAILED, &err);
    json_object_del(answer, "ok");
    if (as_json)
        return output_json(answer);
    printf("stopped %s\n", json_string_value(json_object_get(answer, "name")));
    return output_end();
}
