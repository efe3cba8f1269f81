/* The inventory and its probes; see inventory.h. A probe is this same program run with --probe: its answer
 * comes over a pipe, its words for people go to the log, and a clock ends it when the driver hangs. */
#include "daemon/inventory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "daemon/say.h"

enum { PROBE_ANSWER_MAX = 1 << 20 /* a line for each process too */ };

/* A probe that runs. Freed when its handles are closed. */
struct inventory_probe {
    struct inventory *inventory;
    enum inventory_kind kind;
    bool figures_only;
    uv_process_t process;
    uv_pipe_t out;
    uv_timer_t patience;
    unsigned n_open;    /* handles */
    unsigned n_awaited; /* of: end of process, end of output */
    bool late;
    int64_t exit_status;
    int term_signal;
    size_t n_answer;
    char answer[PROBE_ANSWER_MAX];
};

const char *inventory_kind_name(enum inventory_kind kind)
{
    return kind == INVENTORY_NVIDIA ? "nvidia" : "software";
}

void inventory_init(struct inventory *inventory, uv_loop_t *loop, inventory_changed_fn changed,
                    inventory_answered_fn answered, void *context)
{
    *inventory =
        (struct inventory){.loop = loop, .changed = changed, .answered = answered, .context = context};
}

void inventory_forget(struct inventory *inventory, enum inventory_kind kind)
{
    if (inventory->sources[kind].state >= INVENTORY_PRESENT)
        inventory->sources[kind].state = INVENTORY_UNKNOWN;
}

bool inventory_lacks_nvidia(const struct inventory *inventory)
{
    return inventory->sources[INVENTORY_NVIDIA].n_devices == 0;
}

unsigned inventory_count(const struct inventory *inventory)
{
    return inventory->sources[INVENTORY_NVIDIA].n_devices + inventory->sources[INVENTORY_SOFTWARE].n_devices;
}

const struct inventory_device *inventory_at(const struct inventory *inventory, unsigned number)
{
    unsigned n_nvidia = inventory->sources[INVENTORY_NVIDIA].n_devices;

    if (number < n_nvidia)
        return &inventory->sources[INVENTORY_NVIDIA].devices[number];
    return &inventory->sources[INVENTORY_SOFTWARE].devices[number - n_nvidia];
}

int inventory_find(const struct inventory *inventory, const uint8_t uuid[UUID_BYTES])
{
    for (unsigned i = 0; i < inventory_count(inventory); i++)
        if (!memcmp(inventory_at(inventory, i)->uuid, uuid, UUID_BYTES))
            return (int)i;
    return -ENODEV;
}

/* ---- the answer ---- */

/* Copies a text member, cut to fit and fit to print. */
static void copy_text(const json_t *object, const char *key, char *buf, size_t buf_bytes)
{
    const char *text = json_string_value(json_object_get(object, key));

    snprintf(buf, buf_bytes, "%s", text ? text : "");
    for (char *c = buf; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static int decode_device(const json_t *object, enum inventory_kind kind, struct inventory_device *ret_device)
{
    const char *uuid = json_string_value(json_object_get(object, "uuid"));
    json_int_t capacity = json_integer_value(json_object_get(object, "memory_capacity_bytes"));
    json_int_t used = json_integer_value(json_object_get(object, "memory_used_bytes"));

    if (!uuid || uuid_parse(uuid, ret_device->uuid) < 0 || capacity <= 0 || used < 0)
        return -EINVAL;
    ret_device->kind = kind;
    ret_device->memory_capacity_bytes = (uint64_t)capacity;
    ret_device->memory_used_bytes = (uint64_t)used;
    uuid_format(ret_device->uuid, ret_device->uuid_text);
    copy_text(object, "name", ret_device->name, sizeof(ret_device->name));
    copy_text(object, "pci_bus_id", ret_device->pci_bus_id, sizeof(ret_device->pci_bus_id));
    return 0;
}

int inventory_decode(const json_t *document, enum inventory_kind kind, struct inventory_source *ret_source,
                     struct error *err)
{
    struct inventory_source source = {.state = INVENTORY_PRESENT};
    const json_t *devices = json_object_get(document, "devices");
    const char *problem = json_string_value(json_object_get(document, "error"));
    size_t n = json_array_size(devices), n_max = sizeof(source.devices) / sizeof(*source.devices);

    if (!json_is_array(devices))
        return error_fail(err, -EINVAL, "the answer has no list of devices");
    copy_text(document, "driver_dir", source.driver_dir, sizeof(source.driver_dir));
    copy_text(document, "driver_version", source.driver_version, sizeof(source.driver_version));
    for (size_t i = 0; i < n && i < n_max; i++, source.n_devices++)
        if (decode_device(json_array_get(devices, i), kind, &source.devices[i]) < 0)
            return error_fail(err, -EINVAL, "device %zu of the answer is malformed", i);
    if (!source.n_devices) {
        source.state = INVENTORY_ABSENT;
        error_fail(&source.error, -ENODEV, "%.400s", problem ? problem : "the driver has no device");
    }
    *ret_source = source;
    return 0;
}

/* ---- probes ---- */

static unsigned patience_ms(const struct inventory_probe *probe)
{
    return probe->figures_only ? INVENTORY_MEASURE_MS : INVENTORY_PROBE_MS;
}

/* Says in err why a probe gave no answer. malformed: what is wrong with the one it gave. */
static void probe_fail(const struct inventory_probe *probe, const char *malformed, struct error *err)
{
    if (probe->late)
        error_fail(err, -ETIMEDOUT, "its management library did not answer within %u s",
                   patience_ms(probe) / 1000);
    else if (probe->term_signal)
        error_fail(err, -EIO, "its management library crashed (signal %d)", probe->term_signal);
    else
        error_fail(err, -EIO, "asking its management library failed (exit status %d)%s%s",
                   (int)probe->exit_status, *malformed ? ": " : "", malformed);
    say("%s driver: %s", inventory_kind_name(probe->kind), err->text);
}

/* Only what the devices use is news. */
static void source_update(struct inventory_source *source, const struct inventory_source *news)
{
    for (unsigned i = 0; i < source->n_devices; i++)
        for (unsigned k = 0; k < news->n_devices; k++)
            if (!memcmp(source->devices[i].uuid, news->devices[k].uuid, UUID_BYTES))
                source->devices[i].memory_used_bytes = news->devices[k].memory_used_bytes;
}

static void probe_take_answer(struct inventory_probe *probe)
{
    struct inventory *inventory = probe->inventory;
    struct inventory_source *source = &inventory->sources[probe->kind], news = {0};
    json_t *document = json_loadb(probe->answer, probe->n_answer, 0, NULL);
    struct error malformed = {0}, why = {0};
    int r = document ? inventory_decode(document, probe->kind, &news, &malformed) : -EINVAL;

    if (r < 0)
        probe_fail(probe, malformed.text, &why);
    if (probe->figures_only) {
        if (r == 0)
            source_update(source, &news);
    } else if (r == 0) {
        *source = news;
    } else {
        source->state = source->n_devices ? INVENTORY_PRESENT : INVENTORY_ABSENT; /* it may be in use */
        source->error = why;
    }
    inventory->answered(inventory->context, probe->kind, r == 0 ? document : NULL, &why);
    json_decref(document);
}

static void probe_closed(uv_handle_t *handle)
{
    struct inventory_probe *probe = handle->data;

    if (--probe->n_open == 0)
        free(probe);
}

/* Where the inventory knows a probe by. */
static struct inventory_probe **probe_place(struct inventory *inventory, enum inventory_kind kind,
                                            bool figures_only)
{
    return figures_only ? &inventory->measuring[kind] : &inventory->probes[kind];
}

static void probe_close(struct inventory_probe *probe)
{
    *probe_place(probe->inventory, probe->kind, probe->figures_only) = NULL;
    uv_close((uv_handle_t *)&probe->process, probe_closed);
    uv_close((uv_handle_t *)&probe->out, probe_closed);
    uv_close((uv_handle_t *)&probe->patience, probe_closed);
}

static void probe_part_ended(struct inventory_probe *probe)
{
    struct inventory *inventory = probe->inventory;

    if (--probe->n_awaited)
        return;
    probe_take_answer(probe);
    probe_close(probe);
    inventory->changed(inventory->context);
}

static void probe_exited(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct inventory_probe *probe = process->data;

    probe->exit_status = exit_status;
    probe->term_signal = term_signal;
    probe_part_ended(probe);
}

static void probe_out_of_patience(uv_timer_t *timer)
{
    struct inventory_probe *probe = timer->data;

    probe->late = true;
    uv_process_kill(&probe->process, SIGKILL);
}

static void probe_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct inventory_probe *probe = handle->data;

    *ret_buf =
        uv_buf_init(probe->answer + probe->n_answer, (unsigned)(sizeof(probe->answer) - probe->n_answer));
}

static void probe_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct inventory_probe *probe = stream->data;

    if (n >= 0) {
        probe->n_answer += (size_t)n;
        return;
    }
    uv_read_stop(stream); /* the end, or UV_ENOBUFS: an answer too long is no answer */
    probe_part_ended(probe);
}

static int probe_spawn(struct inventory_probe *probe)
{
    char own_dir[PATH_MAX - 8], program[PATH_MAX];
    char *args[] = {program, (char *)"--probe", (char *)inventory_kind_name(probe->kind),
                    probe->kind == INVENTORY_SOFTWARE ? probe->inventory->software_devices : NULL, NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&probe->out},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {
        .exit_cb = probe_exited, .file = program, .args = args, .stdio = stdio, .stdio_count = 3};
    int r = paths_program_dir(own_dir, sizeof(own_dir));

    if (r < 0)
        return r;
    snprintf(program, sizeof(program), "%s/vgpud", own_dir);
    return uv_spawn(probe->inventory->loop, &probe->process, &options);
}

static struct inventory_probe *probe_new(struct inventory *inventory, enum inventory_kind kind,
                                         bool figures_only)
{
    struct inventory_probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return NULL;
    probe->inventory = inventory;
    probe->kind = kind;
    probe->figures_only = figures_only;
    probe->n_open = 3;
    probe->n_awaited = 2;
    uv_pipe_init(inventory->loop, &probe->out, 0);
    uv_timer_init(inventory->loop, &probe->patience);
    probe->process.data = probe->out.data = probe->patience.data = probe;
    *probe_place(inventory, kind, figures_only) = probe;
    return probe;
}

/* A probe that could not be started fails like one that did not answer, from the loop. */
static void probe_unstarted(uv_timer_t *timer)
{
    struct inventory_probe *probe = timer->data;

    probe->n_awaited = 1;
    probe_part_ended(probe);
}

static void probe_start(struct inventory_probe *probe)
{
    int r = probe_spawn(probe);

    if (r < 0) {
        say("cannot run vgpud --probe: %s", uv_strerror(r));
        uv_timer_start(&probe->patience, probe_unstarted, 0, 0);
        return;
    }
    uv_timer_start(&probe->patience, probe_out_of_patience, patience_ms(probe), 0);
    uv_read_start((uv_stream_t *)&probe->out, probe_room, probe_read);
}

/* The probes of one description of the software GPU follow each other: it is described anew when nobody uses
 * it. */
static void remember_software_devices(struct inventory *inventory, const char *software_devices)
{
    free(inventory->software_devices);
    inventory->software_devices = software_devices ? strdup(software_devices) : NULL;
}

int inventory_probe(struct inventory *inventory, enum inventory_kind kind, const char *software_devices)
{
    struct inventory_probe *probe;

    if (inventory->sources[kind].state != INVENTORY_UNKNOWN)
        return 0;
    probe = probe_new(inventory, kind, false);
    if (!probe)
        return -ENOMEM;
    inventory->sources[kind].state = INVENTORY_PROBING;
    if (kind == INVENTORY_SOFTWARE)
        remember_software_devices(inventory, software_devices);
    probe_start(probe);
    return 0;
}

void inventory_measure(struct inventory *inventory, enum inventory_kind kind)
{
    struct inventory_probe *probe;

    if (inventory->sources[kind].state == INVENTORY_PRESENT && !inventory->measuring[kind] &&
        (probe = probe_new(inventory, kind, true)))
        probe_start(probe);
}

bool inventory_is_measuring(const struct inventory *inventory, enum inventory_kind kind)
{
    return inventory->measuring[kind] != NULL;
}

void inventory_stop(struct inventory *inventory)
{
    for (int i = 0; i < 2 * INVENTORY_KINDS; i++) {
        struct inventory_probe *probe = *probe_place(inventory, i / 2, i % 2);

        if (!probe)
            continue;
        uv_process_kill(&probe->process, SIGKILL);
        probe_close(probe);
    }
    free(inventory->software_devices);
    inventory->software_devices = NULL;
}
