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
    {"PEAK", "memory_peak_bytes", OUTPUT_BYTES},
    {"DENIED", "denied_total", OUTPUT_COUNT},
    {"PROCESSES", "client_count", OUTPUT_COUNT},
    {"STATE", "state", OUTPUT_TEXT},
};

static const struct output_column show_columns[] = {
    {"name", "name", OUTPUT_TEXT},          {"id", "id", OUTPUT_TEXT},
    {"state", "state", OUTPUT_TEXT},        {"owner uid", "owner_uid", OUTPUT_COUNT},
    {"created", "created_ms", OUTPUT_TIME}, {"overcommit", "overcommit", OUTPUT_BOOL},
};

static const struct output_column device_columns[] = {
    {"DEVICE", "name", OUTPUT_TEXT},
    {"KIND", "kind", OUTPUT_TEXT},
    {"USED", "memory_used_bytes", OUTPUT_BYTES},
    {"LIMIT", "memory_limit_bytes", OUTPUT_BYTES},
    {"PEAK", "memory_peak_bytes", OUTPUT_BYTES},
    {"DRIVER", "driver_bytes", OUTPUT_BYTES},
    {"DIFFERENCE", "difference_bytes", OUTPUT_DIFFERENCE},
    {"DENIED", "denied_total", OUTPUT_COUNT},
    {"UUID", "uuid", OUTPUT_TEXT},
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
    "Lists your instances (root: all) with what they use.\n"
    "\n"
    "  --json  as JSON\n"
    "  --help  this text\n"
    "\n"
    "States: ready (no process yet), running, over-limit (its limit was lowered below what it uses: new\n"
    "allocations are held back until it fits), stopping, orphaned (vgpud was restarted; its memory stays\n"
    "reserved until its processes end).\n";

static const char show_usage[] =
    "Usage: vgpu instance show INSTANCE [--json]\n"
    "Shows one instance, by name or id: its devices, limits, and who uses how much. DRIVER is what the\n"
    "driver says its processes hold, DIFFERENCE that less USED; \"-\" where the driver does not tell.\n"
    "\n"
    "  --json  as JSON\n"
    "  --help  this text\n";

static const char set_usage[] =
    "Usage: vgpu instance set INSTANCE --memory SIZE [--overcommit] [--json]\n"
    "Changes a running instance; its programs see the new limit at once.\n"
    "\n"
    "  --memory SIZE  the new limit, as 2G or as 25% of the device. Below what is in use it is accepted:\n"
    "                 nothing is taken away, new allocations are held back until the instance fits\n"
    "  --overcommit   allow more than others left free\n"
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

/* Appends the instances of one answer after another, until there are no more. */
static int ask_all(struct client *client, json_t *instances, struct error *err)
{
    json_int_t after = 0;

    for (;;) {
        json_auto_t *request = json_pack("{s:s, s:I}", "op", "instance.list", "after", after);
        json_auto_t *answer = client_ask(client, request, err);
        const json_t *next = json_object_get(answer, "next");

        if (!answer)
            return err->code;
        json_array_extend(instances, json_object_get(answer, "instances"));
        after = json_is_integer(next) ? json_integer_value(next) : 0;
        if (!after)
            return 0;
    }
}

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
    if (client_open(&client, &err) < 0 || ask_all(&client, instances, &err) < 0) {
        status = options_fail(argv, CLI_FAILED, &err);
    } else {
        if (!as_json)
            add_device_names(instances);
        status = output_table(object, "instances", list_columns, N(list_columns),
                              "no instances; `vgpu run` makes one", as_json);
    }
    client_close(&client);
    return status;
}

/* ---- show, set, stop ---- */

static int print_instance(const json_t *answer, bool as_json)
{
    const json_t *instance = json_object_get(answer, "instance");

    if (as_json)
        return output_json(instance);
    output_fields(instance, show_columns, N(show_columns));
    if (json_is_true(json_object_get(instance, "over_limit")))
        puts("note: more is in use than the limit allows; new allocations are held back until it fits");
    putchar('\n');
    output_table(instance, "devices", device_columns, N(device_columns), "no devices", false);
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
        else if (code == MEMORY && options_memory(optarg, request, &err) == 0)
            changes = true;
        else
            return code == MEMORY ? options_fail(argv, CLI_USAGE, &err) : CLI_USAGE;
    }
    if ((status = take_instance(argc, argv, request)) != CLI_OK)
        return status;
    if (!changes)
        return options_fail_arguments(argv, "something to set: --memory SIZE");
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
