/* vgpu run: a command with a slice of a GPU. Asks vgpud for an instance, whose lease is this program's
 * connection, starts the command in the environment that puts our library before the driver, and has its exit
 * status. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_child.h"
#include "cli/run_environment.h"
#include "cli/run_mounts.h"

static const char usage[] =
    "Usage: vgpu run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
    "Runs COMMAND in a new vGPU instance: it and all processes it starts share one slice of a GPU.\n"
    "\n"
    "  --memory SIZE    the slice, as 2G or 512M, or as 25% of the device; reserved until the command ends\n"
    "                   (default: all that is free on the device now)\n"
    "  --device DEVICE  a UUID (GPU-...), a number of `vgpu device list`, nvidia, or software; several with\n"
    "                   commas between. Default: the NVIDIA GPU with most free memory, or the software GPU\n"
    "                   where there is none\n"
    "  --overcommit     allow more than others left free on the device\n"
    "  --wait           when the memory is not free, wait for it, first come, first served\n"
    "  --way-in WAY     how our library gets before the driver: mount (at the driver's own path, in a mount "
    "namespace of\n"
    "                   the command's; refused where there can be none), preload (loader path and preload "
    "alone), or\n"
    "                   auto: mount where it can be had, else preload, which is said (default)\n"
    "  --name NAME      a name for `vgpu instance` commands (default: the instance's id)\n"
    "  --help           this text\n"
    "\n"
    "The exit status is the command's; 128+N when signal N ended it, 125 when vgpu itself failed, 126 when "
    "the\n"
    "command cannot be run, 127 when there is none of that name.\n";

enum { RUN_MEMORY = OPTIONS_OWN, RUN_DEVICE, RUN_OVERCOMMIT, RUN_WAIT, RUN_WAY_IN, RUN_NAME };

static const struct option options[] = {
    OPTIONS_HELP_ROW,
    {"memory", required_argument, NULL, RUN_MEMORY},
    {"device", required_argument, NULL, RUN_DEVICE},
    {"overcommit", no_argument, NULL, RUN_OVERCOMMIT},
    {"wait", no_argument, NULL, RUN_WAIT},
    {"way-in", required_argument, NULL, RUN_WAY_IN},
    {"name", required_argument, NULL, RUN_NAME},
    OPTIONS_END_ROW,
};

enum way_in { WAY_IN_AUTO, WAY_IN_MOUNT, WAY_IN_PRELOAD };

struct run {
    json_t *request;
    enum way_in way_in;
    bool device_named; /* --device was given */
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
    if (optind < argc)
        return -1;
    options_fail_arguments(argv, "a command to run");
    return CLI_RUN_FAILED;
}

static void say_queued(const json_t *event, void *context)
{
    if (!strcmp(json_string_value(json_object_get(event, "event")), "instance.queued"))
        fprintf(stderr, "vgpu: waiting, number %d in line: %s\n",
                (int)json_integer_value(json_object_get(event, "position")),
                json_string_value(json_object_get(event, "reason")));
}

/* One line when the software GPU stands in for a missing driver, so that nobody measures it by mistake. */
static void say_software(const struct run *run, const json_t *granted)
{
    if (!run->device_named && !strcmp(json_string_value(json_object_get(granted, "driver_kind")), "software"))
        fprintf(stderr, "vgpu: no NVIDIA driver on this machine; running on the software GPU\n");
}

/* One attempt, with mounts or, when it is NULL, without. RUN_CHILD_NO_MOUNTS with err filled: it has to be
 * the other. */
static int run_way(struct client *client, const json_t *granted, char **command,
                   const struct run_mounts *mounts, struct error *err)
{
    struct run_environment environment = {0};
    int status = CLI_RUN_FAILED;

    /* The rights of another user come with root's namespace only; in a user's they are not given. */
    if (run_environment_init(&environment, granted, client->socket_path,
                             mounts ? mounts->stamp.driver_dir : NULL, err) < 0 ||
        (!(mounts && geteuid() == 0) && run_environment_check(command[0], err) < 0))
        fprintf(stderr, "vgpu run: %s\n", err->text);
    else
        status = run_child(client, command, environment.variables, mounts, err);
    run_environment_done(&environment);
    return status;
}

static int run_granted(const struct run *run, struct client *client, const json_t *granted, char **command)
{
    struct error err = {0};
    struct run_mounts mounts;
    int status = RUN_CHILD_NO_MOUNTS;

    say_software(run, granted);
    if (run->way_in != WAY_IN_PRELOAD && run_mounts_init(&mounts, granted, client->socket_path, &err) == 0)
        status = run_way(client, granted, command, &mounts, &err);
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
    return run_way(client, granted, command, NULL, &err);
}

int run_main(int argc, char **argv)
{
    json_auto_t *request = json_pack("{s:s}", "op", "instance.create"), *granted = NULL;
    struct run run = {.request = request};
    struct client client = {.fd = -1, .event = say_queued};
    const char *software_devices = paths_env("VGPU_SOFTGPU_DEVICES");
    struct error err = {0};
    int status = parse(&run, argc, argv);

    if (status >= 0)
        return status;
    if (software_devices)
        json_object_set_new(run.request, "software_devices", json_string(software_devices));
    granted = client_open(&client, &err) == 0 ? client_ask(&client, run.request, &err) : NULL;
    status = granted ? run_granted(&run, &client, granted, argv + optind)
                     : options_fail(argv, CLI_RUN_FAILED, &err);
    client_close(&client);
    return status;
}
