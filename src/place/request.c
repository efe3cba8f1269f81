/* Judging a request by itself; see request.h. */
#include "place/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "place/cluster.h"

int place_request_check(const struct place_request *request, struct error *err)
{
    bool amounts =
        request->device_memory_bytes || request->device_memory_permille || request->compute_permille;

    if (request->n_devices > PLACE_DEVICES_MAX)
        return error_fail(err, -EINVAL, "%u devices are asked for; a node has at most %u", request->n_devices,
                          (unsigned)PLACE_DEVICES_MAX);
    if (!request->n_devices && (amounts || request->whole))
        return error_fail(err, -EINVAL,
                          "device memory or compute is asked for, but no device; ask for 1 or more");
    if (request->device_memory_bytes && request->device_memory_permille)
        return error_fail(err, -EINVAL,
                          "device memory is asked for both as an amount and in percent; give one of them");
    if (request->whole && amounts)
        return error_fail(
            err, -EINVAL,
            "whole devices are asked for together with a part of one; give either the parts or none");
    if (request->device_memory_permille > 1000)
        return error_fail(err, -EINVAL,
                          "%u.%u %% of a device's memory is asked for; at most 100 %% can be had",
                          request->device_memory_permille / 10, request->device_memory_permille % 10);
    if (request->compute_permille > 1000)
        return error_fail(err, -EINVAL,
                          "%u.%u %% of a device's compute is asked for; at most 100 %% can be had",
                          request->compute_permille / 10, request->compute_permille % 10);
    return 0;
}

bool place_type_matches(const char *type, const char *wanted)
{
    size_t bytes = strlen(wanted);

    for (const char *at = type; bytes && (at = strcasestr(at, wanted)); at++) {
        bool begins = at == type || !isalnum((unsigned char)at[-1]) || !isalnum((unsigned char)wanted[0]);
        bool ends = !isalnum((unsigned char)at[bytes]) || !isalnum((unsigned char)wanted[bytes - 1]);

        if (begins && ends)
            return true;
    }
    return false;
}

static bool names_match_type(const struct place_names *names, const char *type)
{
    for (unsigned i = 0; i < names->n; i++) {
        if (place_type_matches(type, names->names[i]))
            return true;
    }
    return false;
}

bool place_request_rules_out_type(const struct place_request *request, const char *type)
{
    return names_match_type(&request->not_types, type);
}

bool place_request_accepts_type(const struct place_request *request, const char *type)
{
    return (!request->types.n || names_match_type(&request->types, type)) &&
           !place_request_rules_out_type(request, type);
}

static bool names_have(const struct place_names *names, const char *name)
{
    for (unsigned i = 0; i < names->n; i++) {
        if (!strcasecmp(names->names[i], name))
            return true;
    }
    return false;
}

bool place_request_rules_out_uuid(const struct place_request *request, const char *uuid)
{
    return names_have(&request->not_uuids, uuid);
}

bool place_request_accepts_uuid(const struct place_request *request, const char *uuid)
{
    return (!request->uuids.n || names_have(&request->uuids, uuid)) &&
           !place_request_rules_out_uuid(request, uuid);
}
