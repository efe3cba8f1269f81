/* vgpu run: a command with a slice of a GPU. Asks vgpud for an instance, whose lease is this program's
 * connection, starts the command in the environment that puts our library before the driver, and has its exit
 * status. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_child.h"
#include "cli/run_environment.h"
#include "cli/run_mounts.h"
#include "cli/run_usage.h"

static const char usage[] =
    "Usage: vgpu run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "Runs COMMAND in a new vGPU instance: it and all processes it starts share one slice of a GPU.\n"
    "\n"
    "  --memory SIZE    the slice, as 2G or 512M, or as 25% of the device; reserved until the command ends\n"
    "                   (default: all that is free on the device now)\n"
    "  --device DEVICE  a UUID (GPU-...), a number of `vgpu device list`, nvidia, or software; several with\n"
    "                   commas between. Default: the NVIDIA GPU with most free memory, or the software GPU\n"
    "                   where there is none\n"
    "  --compute SHARE  a part of the device's time, as 30% or 12.5%\n"
    "  --policy POLICY  fixed-share (default with --compute): exactly that part; equal-share: a part by\n"
    "                   weight of what fixed shares leave, never more; best-effort (default without\n"
    "                   --compute): what others leave, by weight, and with --compute at least that\n"
    "  --weight N       1 to 10000: how much against others of its policy (default: 1)\n"
    "  --priority P     low, normal (default) or high: who is not fixed-share gets what those above leave\n"
    "  --time-slice T   how long a turn on the device is, as 2ms or 500us\n"
    "  --overcommit     allow more than others left free on the device\n"
    "  --wait           when the memory is not free, wait for it, first come, first served\n"
    "  --way-in WAY     how our library gets before the driver: mount (at the driver's own path, in a mount "
    "namespace of\n"
    "                   the command's; refused where there can be none), preload (loader path and preload "
    "alone), or\n"
    "                   auto: mount where it can be had, else preload, which is said (default)\n"
    "  --name NAME      a name for `vgpu instance` commands (default: the instance's id)\n"
    "  --usage          when the command has ended, say on standard error what it used\n"
    "  --json           say that, and as JSON\n"
    "  --usage-file FILE\n"
    "                   write it as JSON to FILE\n"
    "  --help           this text\n"
    "\n"
    "The exit status is the command's; 128+N when signal N ended it, 125 when vgpu itself failed, 126 when "
    "the\n"
    "command cannot be run, 127 when there is none of that name.\n";

enum {
    RUN_MEMORY = OPTIONS_OWN,
    RUN_DEVICE,
    RUN_OVERCOMMIT,
    RUN_WAIT,
    RUN_WAY_IN,
    RUN_NAME,
    RUN_USAGE,
    RUN_USAGE_FILE,
};

static const struct option options[] = {
    OPTIONS_HELP_ROW,
    OPTIONS_JSON_ROW,
    OPTIONS_SHARE_ROWS,
    {"memory", required_argument, NULL, RUN_MEMORY},
    {"device", required_argument, NULL, RUN_DEVICE},
    {"overcommit", no_argument, NULL, RUN_OVERCOMMIT},
    {"wait", no_argument, NULL, RUN_WAIT},
    {"way-in", required_argument, NULL, RUN_WAY_IN},
    {"name", required_argument, NULL, RUN_NAME},
    {"usage", no_argument, NULL, RUN_USAGE},
    {"usage-file", required_argument, NULL, RUN_USAGE_FILE},
    OPTIONS_END_ROW,
};

enum { WAITING_SAY_MS = 10000 };

enum way_in { WAY_IN_AUTO, WAY_IN_MOUNT, WAY_IN_PRELOAD };

struct run {
    json_t *request;
    enum way_in way_in;
    bool device_named; /* --device was given */
    struct run_usage usage;
};

/* Who waits in the line. */
struct waiting {
    struct client *client;
    uint64_t since_ns;
    int position;
};

static int take_way_in(struct run *run, struct error *err)
{
    static const char *const names[] = {"auto", "mount", "preload"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(optarg, names[i]))
            continue;
        run->way_in = (enum way_in)i;
        return 0;
    }
    return error_fail(err, -EINVAL, "--way-in: '%s' is none of auto, mount, preload", optarg);
}

static int take_option(struct run *run, int code, struct error *err)
{
    if (options_is_share(code))
        return options_share(code, optarg, run->request, err);
    switch (code) {
    case RUN_MEMORY:
        return options_memory(optarg, run->request, err);
    case RUN_DEVICE:
        run->device_named = true;
        return options_devices(optarg, run->request, err);
    case RUN_OVERCOMMIT:
        return json_object_set_new(run->request, "overcommit", json_true());
    case RUN_WAIT:
        return json_object_set_new(run->request, "wait", json_true());
    case RUN_WAY_IN:
        return take_way_in(run, err);
    case RUN_NAME:
        if (json_object_set_new(run->request, "name", json_string(optarg)) == 0)
            return 0;
        return error_fail(err, -EINVAL, "--name: '%s' is not UTF-8", optarg);
    case OPTIONS_JSON:
    case RUN_USAGE:
        run->usage.print = true;
        run->usage.as_json |= code == OPTIONS_JSON;
        return 0;
    case RUN_USAGE_FILE:
        run->usage.path = optarg;
        return 0;
    }
    return -EINVAL;
}

/* Returns the exit status to end with, or -1 to go on with argv + optind. */
static int parse(struct run *run, int argc, char **argv)
{
    struct error err = {0};
    int code;

    options_begin();
    while ((code = options_next(argc, argv, options, true)) != -1) {
        if (code == OPTIONS_HELP)
            return fputs(usage, stdout) < 0 ? CLI_RUN_FAILED : output_end();
        if (code == '?')
            return CLI_RUN_FAILED;
        if (take_option(run, code, &err) < 0)
            return options_fail(argv, CLI_RUN_FAILED, &err);
    }
    if (optind == argc) {
        options_fail_arguments(argv, "a command to run");
        return CLI_RUN_FAILED;
    }
    if (run->usage.path && run_usage_open(&run->usage, &err) < 0)
        return options_fail(argv, CLI_RUN_FAILED, &err);
    return -1;
}

/* ---- waiting ---- */

static void say_still_waiting(void *context)
{
    const struct waiting *waiting = context;
    char time[32];

    fprintf(
        stderr, "vgpu: waiting for %s now, number %d in line\n",
        units_format_ns((clock_monotonic_ns() - waiting->since_ns) / NS_PER_S * NS_PER_S, time, sizeof(time)),
        waiting->position);
}

/* A person at a terminal is told now and then that it still waits; a log only of what changes. */
static void say_queued(const json_t *event, void *context)
{
    struct waiting *waiting = context;
    int position = (int)json_integer_value(json_object_get(event, "position"));

    if (strcmp(json_string_value(json_object_get(event, "event")), "instance.queued") ||
        position == waiting->position)
        return;
    fprintf(stderr, "vgpu: waiting, number %d in line: %s\n", position,
            json_string_value(json_object_get(event, "reason")));
    if (!waiting->position)
        waiting->since_ns = clock_monotonic_ns();
    waiting->position = position;
    if (isatty(STDERR_FILENO))
        waiting->client->idle_ms = WAITING_SAY_MS;
}

/* ---- running ---- */

/* One line when the software GPU stands in for a missing driver, so that nobody measures it by mistake. */
static void say_software(const struct run *run, const json_t *granted)
{
    if (!run->device_named && !strcmp(json_string_value(json_object_get(granted, "driver_kind")), "software"))
        fprintf(stderr, "vgpu: no NVIDIA driver on this machine; running on the software GPU\n");
}

/* One attempt, with mounts or, when it is NULL, without. RUN_CHILD_NO_MOUNTS with err filled: it has to be
 * the other. */
static int run_way(struct run *run, struct client *client, const json_t *granted, char **command,
                   const struct run_mounts *mounts, struct error *err)
{
    struct run_environment environment = {0};
    int status = CLI_RUN_FAILED;

    /* The rights of another user come with root's namespace only; in a user's they are not given. */
    if (run_environment_init(&environment, granted, client->socket_path,
                             mounts ? mounts->stamp.driver_dir : NULL, err) < 0 ||
        (!(mounts && geteuid() == 0) && run_environment_check(command[0], err) < 0))
        fprintf(stderr, "vgpu run: %s\n", err->text);
    else {
        run->usage.begin_ns = clock_monotonic_ns();
        status = run_child(client, command, environment.variables, mounts, err);
        run->usage.end_ns = clock_monotonic_ns();
    }
    run_environment_done(&environment);
    return status;
}

static int run_granted(struct run *run, struct client *client, const json_t *granted, char **command)
{
    struct error err = {0};
    struct run_mounts mounts;
    int status = RUN_CHILD_NO_MOUNTS;

    say_software(run, granted);
    if (run->way_in != WAY_IN_PRELOAD && run_mounts_init(&mounts, granted, client->socket_path, &err) == 0)
        status = run_way(run, client, granted, command, &mounts, &err);
    if (status != RUN_CHILD_NO_MOUNTS)
        return status;
    if (run->way_in == WAY_IN_MOUNT) {
        fprintf(stderr, "vgpu run: --way-in mount: %s; `vgpu doctor` says what to do\n", err.text);
        return CLI_RUN_FAILED;
    }
    if (run->way_in == WAY_IN_AUTO)
        fprintf(
            stderr,
            "vgpu run: %s; so programs that open the driver by its path or empty their environment are not "
            "limited (`vgpu doctor` says what to do)\n",
            err.text);
    return run_way(run, client, granted, command, NULL, &err);
}

int run_main(int argc, char **argv)
{
    json_auto_t *request = json_pack("{s:s}", "op", "instance.create"), *granted = NULL;
    struct run run = {.request = request};
    struct client client = {.fd = -1, .event = say_queued, .idle = say_still_waiting};
    struct waiting waiting = {.client = &client};
    const char *software_devices = paths_env("VGPU_SOFTGPU_DEVICES");
    struct error err = {0};
    int status = parse(&run, argc, argv);

    if (status >= 0)
        return status;
    client.event_context = &waiting;
    if (software_devices)
        json_object_set_new(run.request, "software_devices", json_string(software_devices));
    granted = client_open(&client, &err) == 0 ? client_ask(&client, run.request, &err) : NULL;
    client.idle_ms = 0;
    status = granted ? run_granted(&run, &client, granted, argv + optind)
                     : options_fail(argv, CLI_RUN_FAILED, &err);
    status = run_usage_tell(&run.usage, &client, granted, status, &err);
    client_close(&client);
    return status;
}
