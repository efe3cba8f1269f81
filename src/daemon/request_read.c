/* Members of JSON requests; see request_read.h. Everything read here came from a socket. */
#include "daemon/request_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/grant.h"
#include "daemon/inventory.h"
#include "daemon/reservation.h"
#include "daemon/share_terms.h"

int request_check_members(const json_t *request, const char *const *names, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)request, key, value)
    {
        bool known = !strcmp(key, "op");

        for (size_t i = 0; !known && names[i]; i++)
            known = !strcmp(key, names[i]);
        if (!known)
            return error_fail(err, -EINVAL, "this vgpud does not know '%.40s' in a request '%s'", key,
                              json_string_value(json_object_get(request, "op")));
    }
    return 0;
}

int request_read_bool(const json_t *request, const char *name, bool fallback, bool *ret_value,
                      struct error *err)
{
    const json_t *value = json_object_get(request, name);

    if (value && !json_is_boolean(value))
        return error_fail(err, -EINVAL, "'%s' must be true or false", name);
    *ret_value = value ? json_is_true(value) : fallback;
    return 0;
}

int request_read_count(const json_t *request, const char *name, uint64_t min, uint64_t max, uint64_t fallback,
                       uint64_t *ret_value, struct error *err)
{
    const json_t *value = json_object_get(request, name);
    json_int_t n = json_integer_value(value);

    if (!value) {
        *ret_value = fallback;
        return 0;
    }
    if (!json_is_integer(value) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
        return error_fail(err, -EINVAL, "'%s' must be a whole number from %" PRIu64 " to %" PRIu64, name, min,
                          max);
    *ret_value = (uint64_t)n;
    return 0;
}

int request_read_text(const json_t *request, const char *name, size_t max_bytes, bool required,
                      const char **ret_text, struct error *err)
{
    const json_t *value = json_object_get(request, name);

    if (!value && !required) {
        *ret_text = NULL;
        return 0;
    }
    if (!json_is_string(value) || json_string_length(value) >= max_bytes)
        return error_fail(err, -EINVAL, "'%s' must be a text of less than %zu bytes", name, max_bytes);
    *ret_text = json_string_value(value);
    return 0;
}

int request_read_memory(const json_t *request, struct reservation_request *ret_memory, struct error *err)
{
    struct reservation_request memory = {.amount = RESERVATION_ALL_FREE};
    uint64_t permille = 0;

    if (request_read_count(request, "memory_limit_bytes", 1, INT64_MAX, 0, &memory.bytes, err) < 0 ||
        request_read_count(request, "memory_limit_permille", 1, 1000, 0, &permille, err) < 0 ||
        request_read_bool(request, "overcommit", false, &memory.overcommit, err) < 0)
        return -EINVAL;
    if (memory.bytes && permille)
        return error_fail(err, -EINVAL,
                          "'memory_limit_bytes' and 'memory_limit_permille' exclude each other");
    memory.permille = (unsigned)permille;
    if (memory.bytes)
        memory.amount = RESERVATION_BYTES;
    else if (permille)
        memory.amount = RESERVATION_PERMILLE;
    *ret_memory = memory;
    return 0;
}

/* ---- shares ---- */

enum { NAME_BYTES = 64 };

static int read_names(const json_t *request, struct share_request *share, struct error *err)
{
    const char *policy = NULL, *priority = NULL;

    if (request_read_text(request, "policy", NAME_BYTES, false, &policy, err) < 0 ||
        request_read_text(request, "priority", NAME_BYTES, false, &priority, err) < 0 ||
        (policy && share_policy_parse(policy, &share->policy, err) < 0) ||
        (priority && share_priority_parse(priority, &share->priority, err) < 0))
        return -EINVAL;
    share->has_policy = policy;
    share->has_priority = priority;
    return 0;
}

int request_read_share(const json_t *request, struct share_request *ret_share, struct error *err)
{
    struct share_request share = {0};
    uint64_t compute_permille = 0, weight = 0;

    if (request_read_count(request, "compute_permille", 1, 1000, 0, &compute_permille, err) < 0 ||
        request_read_count(request, "weight", 1, SHARE_WEIGHT_MAX, 0, &weight, err) < 0 ||
        request_read_count(request, "time_slice_ns", SHARE_TIME_SLICE_MIN_NS, SHARE_TIME_SLICE_MAX_NS, 0,
                           &share.time_slice_ns, err) < 0 ||
        read_names(request, &share, err) < 0)
        return -EINVAL;
    share.compute_permille = (uint32_t)compute_permille;
    share.weight = (uint32_t)weight;
    *ret_share = share;
    return 0;
}

/* ---- devices ---- */

static int fail_unknown_device(const struct inventory *inventory, const char *text, struct error *err)
{
    if (inventory->sources[INVENTORY_SOFTWARE].state < INVENTORY_PRESENT)
        return error_fail(err, -EAGAIN, "the software GPU was not asked yet");
    return error_fail(
        err, -ENODEV,
        "there is no device '%.64s'; name one by its UUID or its number in `vgpu device list --all`, or say "
        "nvidia or software",
        text);
}

static int find_device(const struct inventory *inventory, const char *text, int *ret_number,
                       struct error *err)
{
    uint8_t uuid[UUID_BYTES];
    unsigned long number;
    char *end;
    int found;

    if (uuid_parse(text, uuid) == 0) {
        found = inventory_find(inventory, uuid);
        if (found < 0)
            return fail_unknown_device(inventory, text, err);
        *ret_number = found;
        return 0;
    }
    number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || strlen(text) > 4)
        return error_fail(
            err, -EINVAL,
            "'%.64s' names no device; expected a UUID (GPU-...), a number of `vgpu device list`, nvidia or "
            "software",
            text);
    if (number >= inventory_count(inventory))
        return fail_unknown_device(inventory, text, err);
    *ret_number = (int)number;
    return 0;
}

static int add_device(const struct inventory *inventory, const char *text, struct grant_request *grant,
                      struct error *err)
{
    const struct inventory_device *device;
    int number = 0, r = find_device(inventory, text, &number, err);

    if (r < 0)
        return r;
    device = inventory_at(inventory, (unsigned)number);
    for (unsigned i = 0; i < grant->n_devices; i++)
        if (!memcmp(grant->devices[i], device->uuid, UUID_BYTES))
            return error_fail(err, -EINVAL, "device '%.64s' is named twice", text);
    memcpy(grant->devices[grant->n_devices++], device->uuid, UUID_BYTES);
    return 0;
}

int request_read_devices(const json_t *request, const struct inventory *inventory,
                         struct grant_request *grant, struct error *err)
{
    const json_t *array = json_object_get(request, "devices");
    size_t n = json_array_size(array);

    grant->choice = GRANT_ANY;
    if (!array)
        return 0;
    if (!json_is_array(array) || !n || n > LEDGER_DEVICES_MAX)
        return error_fail(err, -EINVAL, "'devices' must be a list of 1 to %d texts", LEDGER_DEVICES_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        int r;

        if (!text)
            return error_fail(err, -EINVAL, "'devices' must be a list of texts");
        if (n == 1 && (!strcmp(text, "nvidia") || !strcmp(text, "software"))) {
            grant->choice = text[0] == 'n' ? GRANT_NVIDIA : GRANT_SOFTWARE;
            return 0;
        }
        if ((r = add_device(inventory, text, grant, err)) < 0)
            return r;
    }
    grant->choice = GRANT_LISTED;
    return 0;
}
