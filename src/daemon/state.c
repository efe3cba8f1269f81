/* Encoding, decoding and atomic replacement of state files; see state.h. Knows nothing of the loop or of
 * live processes: instance_state.c turns what is read here into instances again. */
#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/share_terms.h"

static json_t *encode_process(const struct state_process *process)
{
    return json_pack("{s:i, s:I}", "pid", process->pid, "start_ticks", (json_int_t)process->start_ticks);
}

static json_t *encode_client(const struct state_client *client)
{
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "pid", client->process.pid, "start_ticks",
                     (json_int_t)client->process.start_ticks, "slot", (json_int_t)client->slot, "generation",
                     (json_int_t)client->generation, "kind", (json_int_t)client->kind, "image",
                     (json_int_t)client->image, "signal_line", (json_int_t)client->signal_line, "command",
                     client->command);
}

json_t *state_encode(const struct state_instance *instance, const char *boot_id)
{
    json_t *devices = json_array(), *clients = json_array();

    for (unsigned i = 0; i < instance->n_devices; i++) {
        const struct state_device *device = &instance->devices[i];
        char uuid[UUID_TEXT_BYTES];

        json_array_append_new(
            devices,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "uuid", uuid_format(device->uuid, uuid),
                      "memory_limit_bytes", (json_int_t)device->memory_limit_bytes, "memory_capacity_bytes",
                      (json_int_t)device->memory_capacity_bytes, "share_permille",
                      (json_int_t)device->share_permille, "weight", (json_int_t)device->weight,
                      "time_slice_ns", (json_int_t)device->time_slice_ns));
    }
    for (size_t i = 0; i < instance->n_clients; i++)
        json_array_append_new(clients, encode_client(&instance->clients[i]));
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:s, s:i, s:i, s:o, s:o, s:o}",
                     "format", "vgpud-instance", "version", STATE_VERSION, "boot_id", boot_id, "id",
                     instance->id, "name", instance->name, "owner_uid", (json_int_t)instance->owner_uid,
                     "created_ms", (json_int_t)instance->created_ms, "sequence",
                     (json_int_t)instance->sequence, "overcommit", instance->overcommit, "persistent",
                     instance->persistent, "cgroup", instance->cgroup, "policy", (int)instance->policy,
                     "priority", (int)instance->priority, "holder", encode_process(&instance->holder),
                     "devices", devices, "clients", clients);
}

/* ---- decoding: everything is checked, since another version or another hand may have written it ---- */

static int decode_text(const json_t *object, const char *key, char *buf, size_t buf_bytes)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value) || json_string_length(value) >= buf_bytes)
        return -EINVAL;
    strcpy(buf, json_string_value(value));
    return 0;
}

static int decode_count(const json_t *object, const char *key, uint64_t max, uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
        return -EINVAL;
    *ret_value = (uint64_t)json_integer_value(value);
    return 0;
}

static int decode_process(const json_t *object, struct state_process *ret_process)
{
    uint64_t pid;

    if (decode_count(object, "pid", INT_MAX, &pid) < 0 ||
        decode_count(object, "start_ticks", INT64_MAX, &ret_process->start_ticks) < 0)
        return -EINVAL;
    ret_process->pid = (int)pid;
    return 0;
}

static int decode_devices(const json_t *array, struct state_instance *instance)
{
    size_t n = json_array_size(array);

    if (!json_is_array(array) || !n || n > LEDGER_DEVICES_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(array, i);
        struct state_device *device = &instance->devices[i];
        char uuid[UUID_TEXT_BYTES];
        uint64_t share_permille, weight;

        if (decode_text(object, "uuid", uuid, sizeof(uuid)) < 0 || uuid_parse(uuid, device->uuid) < 0 ||
            decode_count(object, "memory_limit_bytes", INT64_MAX, &device->memory_limit_bytes) < 0 ||
            decode_count(object, "memory_capacity_bytes", INT64_MAX, &device->memory_capacity_bytes) < 0 ||
            decode_count(object, "share_permille", 1000, &share_permille) < 0 ||
            decode_count(object, "weight", SHARE_WEIGHT_MAX, &weight) < 0 || !weight ||
            decode_count(object, "time_slice_ns", SHARE_TIME_SLICE_MAX_NS, &device->time_slice_ns) < 0)
            return -EINVAL;
        device->share_permille = (uint32_t)share_permille;
        device->weight = (uint32_t)weight;
    }
    instance->n_devices = (unsigned)n;
    return 0;
}

static int decode_u32(const json_t *object, const char *key, uint32_t *ret_value)
{
    uint64_t value;

    if (decode_count(object, key, UINT32_MAX, &value) < 0)
        return -EINVAL;
    *ret_value = (uint32_t)value;
    return 0;
}

static int decode_bool(const json_t *object, const char *key, bool *ret_value)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_boolean(value))
        return -EINVAL;
    *ret_value = json_is_true(value);
    return 0;
}

static int decode_client(const json_t *object, struct state_client *client)
{
    if (decode_process(object, &client->process) < 0 || decode_u32(object, "slot", &client->slot) < 0 ||
        decode_u32(object, "generation", &client->generation) < 0 ||
        decode_u32(object, "kind", &client->kind) < 0 || decode_u32(object, "image", &client->image) < 0 ||
        decode_u32(object, "signal_line", &client->signal_line) < 0 ||
        decode_text(object, "command", client->command, sizeof(client->command)) < 0)
        return -EINVAL;
    return client->slot < LEDGER_SLOTS_MAX || client->slot == LEDGER_NO_SLOT ? 0 : -EINVAL;
}

static int decode_clients(const json_t *array, struct state_instance *instance)
{
    size_t n = json_array_size(array);

    if (!json_is_array(array) || n > LEDGER_SLOTS_MAX + 1) /* and the holder of the lease */
        return -EINVAL;
    instance->clients = calloc(n + 1, sizeof(*instance->clients));
    if (!instance->clients)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (decode_client(json_array_get(array, i), &instance->clients[i]) < 0)
            return -EINVAL;
    instance->n_clients = n;
    return 0;
}

static int decode_instance(const json_t *object, struct state_instance *instance)
{
    uint64_t owner_uid, policy, priority;

    if (decode_text(object, "id", instance->id, sizeof(instance->id)) < 0 || !instance->id[0] ||
        decode_text(object, "name", instance->name, sizeof(instance->name)) < 0 ||
        decode_count(object, "owner_uid", UINT32_MAX, &owner_uid) < 0 ||
        decode_count(object, "created_ms", INT64_MAX, &instance->created_ms) < 0 ||
        decode_count(object, "sequence", INT64_MAX, &instance->sequence) < 0 ||
        decode_bool(object, "overcommit", &instance->overcommit) < 0 ||
        decode_bool(object, "persistent", &instance->persistent) < 0 ||
        decode_text(object, "cgroup", instance->cgroup, sizeof(instance->cgroup)) < 0 ||
        decode_count(object, "policy", LEDGER_FIXED_SHARE, &policy) < 0 ||
        decode_count(object, "priority", LEDGER_PRIORITY_HIGH, &priority) < 0 ||
        decode_process(json_object_get(object, "holder"), &instance->holder) < 0 ||
        decode_devices(json_object_get(object, "devices"), instance) < 0)
        return -EINVAL;
    instance->owner_uid = (uid_t)owner_uid;
    instance->policy = (enum ledger_policy)policy;
    instance->priority = (enum ledger_priority)priority;
    return decode_clients(json_object_get(object, "clients"), instance);
}

int state_decode(const json_t *document, struct state_instance *ret_instance,
                 char ret_boot_id[STATE_BOOT_ID_MAX], struct error *err)
{
    struct state_instance instance = {0};
    char format[32], boot_id[STATE_BOOT_ID_MAX];
    uint64_t version;

    if (decode_text(document, "format", format, sizeof(format)) < 0 || strcmp(format, "vgpud-instance"))
        return error_fail(err, -EINVAL, "this is not a state file of vgpud");
    if (decode_count(document, "version", INT_MAX, &version) < 0 || version != STATE_VERSION)
        return error_fail(err, -EINVAL, "its version is not %d", STATE_VERSION);
    if (decode_text(document, "boot_id", boot_id, sizeof(boot_id)) < 0)
        return error_fail(err, -EINVAL, "it has no boot_id");
    if (decode_instance(document, &instance) < 0) {
        state_done(&instance);
        return error_fail(err, -EINVAL, "the instance in it is malformed");
    }
    strcpy(ret_boot_id, boot_id);
    *ret_instance = instance;
    return 0;
}

void state_done(struct state_instance *instance)
{
    free(instance->clients);
    instance->clients = NULL;
    instance->n_clients = 0;
}

/* ---- the file ---- */

int state_save(const char *path, const json_t *document)
{
    char fresh[PATH_MAX];
    CLEANUP_FD int fd = -1;

    if (!document)
        return -ENOMEM;
    if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
        return -ENAMETOOLONG;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    errno = ENOSPC; /* jansson passes on that write(2) failed, mostly with its errno */
    if (json_dumpfd(document, fd, JSON_COMPACT) < 0) {
        int r = -errno;

        unlink(fresh);
        return r;
    }
    return rename(fresh, path) < 0 ? -errno : 0;
}

int state_load(const char *path, struct state_instance *ret_instance, char ret_boot_id[STATE_BOOT_ID_MAX],
               struct error *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    json_error_t where;
    json_t *document;
    int r;

    if (fd < 0)
        return error_fail(err, -errno, "it cannot be opened: %s", strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return error_fail(err, -EPERM, "it is not a plain file of uid %u", (unsigned)geteuid());
    if (st.st_size > STATE_BYTES_MAX)
        return error_fail(err, -EFBIG, "it is larger than %d bytes", STATE_BYTES_MAX);
    document = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
    if (!document)
        return error_fail(err, -EINVAL, "it is not JSON: line %d: %s", where.line, where.text);
    r = state_decode(document, ret_instance, ret_boot_id, err);
    json_decref(document);
    return r;
}

void state_boot_id(char *buf, size_t buf_bytes)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!f || !fgets(buf, (int)buf_bytes, f))
        buf[0] = '\0';
    if (f)
        fclose(f);
    buf[strcspn(buf, "\n")] = '\0';
}
