/* The checks that go through vgpud: that it can be had, is of this release, and what drivers it finds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/paths.h"
#include "cli/client.h"
#include "cli/doctor.h"
#include "wire/control.h"

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void check_runtime_dir(struct doctor *doctor)
{
    char dir[PATH_MAX];
    int r = paths_runtime_dir(dir, sizeof(dir));

    if (r == 0)
        r = paths_make_private_dir(dir);
    if (r < 0)
        doctor_add(doctor, "runtime directory", DOCTOR_FAIL,
                   "set VGPU_RUNTIME_DIR to a directory that is yours and writable by you alone", "%s: %s",
                   dir, strerror(-r));
    else
        doctor_add(doctor, "runtime directory", DOCTOR_OK, NULL, "%s", dir);
}

static bool check_reachable(struct doctor *doctor, struct client *client)
{
    struct error err = {0};
    json_auto_t *request = json_pack("{s:s}", "op", "daemon.status");
    json_auto_t *status = client_open(client, &err) == 0 ? client_ask(client, request, &err) : NULL;

    if (!status) {
        doctor_add(doctor, "daemon", DOCTOR_FAIL, "its log is vgpud.log in the runtime directory", "%s",
                   err.text);
        return false;
    }
    if (strcmp(member(status, "version"), VGPU_VERSION))
        doctor_add(doctor, "daemon", DOCTOR_WARN,
                   "end it when nothing runs, and the next command starts its own",
                   "vgpud at %s is version %s, this is vgpu " VGPU_VERSION, client->socket_path,
                   member(status, "version"));
    else
        doctor_add(doctor, "daemon", DOCTOR_OK, NULL, "vgpud %s (protocol %s, pid %d) at %s",
                   member(status, "version"), member(status, "protocol"),
                   (int)json_integer_value(json_object_get(status, "pid")), client->socket_path);
    return true;
}

static void check_nvidia(struct doctor *doctor, const json_t *source)
{
    int n_devices = (int)json_integer_value(json_object_get(source, "device_count"));

    if (!strcmp(member(source, "state"), "present")) {
        doctor_add(doctor, "NVIDIA driver", DOCTOR_OK, NULL, "version %s at %s",
                   member(source, "driver_version"), member(source, "driver_dir"));
        doctor_add(doctor, "NVML", DOCTOR_OK, NULL, "answers for %d device%s", n_devices,
                   n_devices == 1 ? "" : "s");
    } else if (*member(source, "driver_dir")) {
        doctor_add(doctor, "NVIDIA driver", DOCTOR_OK, NULL, "found at %s", member(source, "driver_dir"));
        doctor_add(doctor, "NVML", DOCTOR_FAIL, "see that nvidia-smi works on this machine first", "%s",
                   member(source, "error"));
    } else {
        doctor_add(doctor, "NVIDIA driver", DOCTOR_WARN,
                   "nothing to do without an NVIDIA GPU: vgpu run uses the software GPU", "%s",
                   member(source, "error"));
    }
}

static void check_software(struct doctor *doctor, const json_t *source)
{
    int n_devices = (int)json_integer_value(json_object_get(source, "device_count"));

    if (!strcmp(member(source, "state"), "present"))
        doctor_add(doctor, "software GPU", DOCTOR_OK, NULL, "starts, with %d device%s (driver version %s)",
                   n_devices, n_devices == 1 ? "" : "s", member(source, "driver_version"));
    else
        doctor_add(doctor, "software GPU", DOCTOR_FAIL,
                   "the lines above and vgpud.log in the runtime directory say more", "%s",
                   member(source, "error"));
}

/* Whether what processes hold is known, and whether all of them are limited. */
static void check_processes(struct doctor *doctor, const json_t *device)
{
    const json_t *rows = json_object_get(device, "not_limited"), *first = json_array_get(rows, 0);
    size_t n = json_array_size(rows);

    if (*member(device, "driver_problem"))
        doctor_add(doctor, "processes", DOCTOR_WARN,
                   "limits hold without; only what the driver counts cannot be compared",
                   "%s: what processes hold is unknown: %s", member(device, "name"),
                   member(device, "driver_problem"));
    else if (n)
        doctor_add(doctor, "processes", DOCTOR_WARN,
                   "start them with vgpu run, or end them; vgpu device list shows them all",
                   "%s is used by %zu process%s of no instance, which %s not limited: %d (%s)%s",
                   member(device, "name"), n, n == 1 ? "" : "es", n == 1 ? "is" : "are",
                   (int)json_integer_value(json_object_get(first, "pid")), member(first, "command"),
                   n == 1 ? "" : " and others");
    else
        doctor_add(doctor, "processes", DOCTOR_OK, NULL, "%s is used by processes of instances only",
                   member(device, "name"));
}

void doctor_check_daemon(struct doctor *doctor)
{
    struct client client = {.fd = -1};
    json_auto_t *request = json_pack("{s:s, s:b}", "op", "device.list", "software", 1), *answer = NULL;
    struct error err = {0};
    const json_t *device;
    size_t i;

    check_runtime_dir(doctor);
    if (check_reachable(doctor, &client)) {
        answer = client_ask(&client, request, &err);
        if (answer) {
            check_nvidia(doctor, json_object_get(answer, "nvidia"));
            check_software(doctor, json_object_get(answer, "software"));
            json_array_foreach(json_object_get(answer, "devices"), i, device)
            {
                check_processes(doctor, device);
            }
        } else {
            doctor_add(doctor, "devices", DOCTOR_FAIL, "vgpud.log in the runtime directory says more", "%s",
                       err.text);
        }
    }
    client_close(&client);
}
