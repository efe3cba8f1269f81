/* vgpu device: what this machine has. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/paths.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"

static const struct output_column columns[] = {
    {"DEVICE", "index", OUTPUT_COUNT},
    {"NAME", "name", OUTPUT_TEXT},
    {"KIND", "kind", OUTPUT_TEXT},
    {"CAPACITY", "memory_capacity_bytes", OUTPUT_BYTES},
    {"RESERVED", "memory_reserved_bytes", OUTPUT_BYTES},
    {"FREE", "memory_free_bytes", OUTPUT_BYTES},
    {"COMPUTE", "compute_free_permille", OUTPUT_PERMILLE},
    {"USED", "memory_used_bytes", OUTPUT_BYTES},
    {"DRIVER", "driver_bytes", OUTPUT_BYTES},
    {"DIFFERENCE", "difference_bytes", OUTPUT_DIFFERENCE},
    {"INSTANCES", "instance_count", OUTPUT_COUNT},
    {"UUID", "uuid", OUTPUT_TEXT},
};

/* Processes that use a device and belong to no instance. */
static const struct output_column not_limited_columns[] = {
    {"NOT LIMITED", "pid", OUTPUT_COUNT},
    {"COMMAND", "command", OUTPUT_TEXT},
    {"DRIVER", "driver_bytes", OUTPUT_BYTES},
    {"DEVICE", "device", OUTPUT_COUNT},
};

static const char usage[] =
    "Usage: vgpu device list [--all] [--json]\n"
    "Lists the GPUs of this machine, and how much of their memory is reserved by instances. COMPUTE is the\n"
    "part of their time that is not promised to instances with --compute. USED is all memory that is in use\n"
    "on the device. DRIVER is what the driver says the instances' processes hold, DIFFERENCE that less what\n"
    "their accounts say; \"-\" where the driver does not tell. Processes that use a device\n"
    "without an instance are listed below, as not limited.\n"
    "\n"
    "  --all   the software GPU's devices too; without it they are listed where there is no NVIDIA GPU\n"
    "  --json  as JSON\n"
    "  --help  this text\n";

/* Prints the rows of all devices in one table, if there are any. */
static void print_not_limited(const json_t *devices)
{
    json_auto_t *object = json_pack("{s:[]}", "rows");
    json_t *rows = json_object_get(object, "rows"), *device, *row;
    size_t i, k;

    json_array_foreach(devices, i, device)
    {
        json_array_foreach(json_object_get(device, "not_limited"), k, row)
        {
            json_object_set(row, "device", json_object_get(device, "index"));
            json_array_append(rows, row);
        }
    }
    if (!json_array_size(rows))
        return;
    putchar('\n');
    output_table(object, "rows", not_limited_columns,
                 sizeof(not_limited_columns) / sizeof(*not_limited_columns), "", false);
}

int device_list_main(int argc, char **argv)
{
    enum { ALL = OPTIONS_OWN };
    static const struct option options[] = {
        OPTIONS_HELP_ROW, OPTIONS_JSON_ROW, {"all", no_argument, NULL, ALL}, OPTIONS_END_ROW};
    json_auto_t *request = json_pack("{s:s}", "op", "device.list"), *answer = NULL;
    const char *software_devices = paths_env("VGPU_SOFTGPU_DEVICES");
    struct error err = {0};
    bool as_json = false;
    int code;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return fputs(usage, stdout) < 0 ? CLI_FAILED : output_end();
        if (code == OPTIONS_JSON)
            as_json = true;
        else if (code == ALL)
            json_object_set_new(request, "software", json_true());
        else
            return CLI_USAGE;
    }
    if (optind < argc)
        return options_fail_arguments(argv, "no arguments");
    if (software_devices)
        json_object_set_new(request, "software_devices", json_string(software_devices));
    answer = client_ask_once(request, &err);
    if (!answer)
        return options_fail(argv, CLI_FAILED, &err);
    json_object_del(answer, "ok");
    code = output_table(answer, "devices", columns, sizeof(columns) / sizeof(*columns),
                        "no devices; `vgpu doctor` says why", as_json);
    if (!as_json)
        print_not_limited(json_object_get(answer, "devices"));
    return code;
}
