/* What somebody asks for. All strings and arrays belong to the caller. Amounts are per device. */
#ifndef VGPU_PLACE_REQUEST_H
#define VGPU_PLACE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct place_names {
    const char *const *names;
    unsigned n;
};

struct place_request {
    uint64_t cpu_milli, memory_bytes; /* of the node */
    unsigned n_devices;               /* 0: processors only, and nothing below counts */
    bool whole;                       /* devices for itself alone; no amounts then */
    uint64_t device_memory_bytes;     /* either this */
    unsigned device_memory_permille;  /* or this; neither: all of a device's memory */
    unsigned compute_permille;        /* 0: no share of its own */
    bool one_numa_node;               /* all devices on the same one */
    struct place_names types;         /* wanted: any of these; none: any type */
    struct place_names not_types;     /* unwanted */
    struct place_names uuids, not_uuids;
};

/* Whether the request makes sense by itself. -EINVAL with one sentence that says what is possible: both
 * amounts of memory, more than all of a device, amounts beside `whole`, amounts without a device, more
 * devices than a node can have. */
int place_request_check(const struct place_request *request, struct error *err);

/* Whether a wanted name means a device's type: case does not count, and the name must be whole words of the
 * type: "A100" means "NVIDIA A100-SXM4-40GB", "A10" does not. */
bool place_type_matches(const char *type, const char *wanted);

/* Whether a device of this type may serve the request. */
bool place_request_accepts_type(const struct place_request *request, const char *type);
bool place_request_rules_out_type(const struct place_request *request,
                                  const char *type); /* unwanted by name */

/* The same for a device's UUID, of which case does not count either. */
bool place_request_accepts_uuid(const struct place_request *request, const char *uuid);
bool place_request_rules_out_uuid(const struct place_request *request, const char *uuid);

#endif
