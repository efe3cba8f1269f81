/* The devices of this machine: those of the NVIDIA driver and those of the software GPU, by UUID. A source is
 * asked in a child process (vgpud --probe DIR), since a driver's management library may hang, crash or keep a
 * device open, and vgpud may do none of these. The software GPU is asked only for those who want it, or where
 * there is no NVIDIA driver. */
#ifndef VGPU_DAEMON_INVENTORY_H
#define VGPU_DAEMON_INVENTORY_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "base/uuid.h"

enum {
    INVENTORY_DEVICES_MAX = 64 /* so that a set of them is one uint64_t */,
    INVENTORY_PROBE_MS = 20000,
    INVENTORY_MEASURE_MS = 5000
};

enum inventory_kind { INVENTORY_NVIDIA, INVENTORY_SOFTWARE, INVENTORY_KINDS };

enum inventory_state {
    INVENTORY_UNKNOWN, /* not asked yet, or to be asked again */
    INVENTORY_PROBING,
    INVENTORY_PRESENT,
    INVENTORY_ABSENT, /* asked: no driver or no device; the source's error says why */
};

struct inventory_device {
    uint8_t uuid[UUID_BYTES];
    char uuid_text[UUID_TEXT_BYTES];
    char name[96];
    char pci_bus_id[32];
    enum inventory_kind kind;
    uint64_t memory_capacity_bytes;
    uint64_t memory_used_bytes; /* by the device's own account, when it was last asked */
};

struct inventory_source {
    enum inventory_state state;
    char driver_dir[PATH_MAX];
    char driver_version[80];
    struct error error; /* why INVENTORY_ABSENT */
    unsigned n_devices;
    struct inventory_device devices[INVENTORY_DEVICES_MAX / INVENTORY_KINDS];
};

/* Called in the loop when a probe ended, whatever came of it. */
typedef void (*inventory_changed_fn)(void *context);
/* Called before that, with the probe's answer, or NULL and why there is none. */
typedef void (*inventory_answered_fn)(void *context, enum inventory_kind kind, const json_t *document,
                                      const struct error *why);

struct inventory {
    struct inventory_source sources[INVENTORY_KINDS];
    uv_loop_t *loop;
    inventory_changed_fn changed;
    inventory_answered_fn answered;
    void *context;
    char *software_devices;                             /* of the last probe that named some */
    struct inventory_probe *probes[INVENTORY_KINDS];    /* running */
    struct inventory_probe *measuring[INVENTORY_KINDS]; /* the same, for figures only */
};

const char *inventory_kind_name(enum inventory_kind kind); /* "nvidia", "software" */

void inventory_init(struct inventory *inventory, uv_loop_t *loop, inventory_changed_fn changed,
                    inventory_answered_fn answered, void *context);

/* Starts asking a source that is INVENTORY_UNKNOWN; otherwise does nothing. software_devices:
 * VGPU_SOFTGPU_DEVICES for the probe, NULL for vgpud's own. Never blocks; `changed` is called later, even
 * when nothing could be started. -ENOMEM: it is not. */
int inventory_probe(struct inventory *inventory, enum inventory_kind kind, const char *software_devices);

/* Asks a source that is INVENTORY_PRESENT for its figures once more. It stays as it is meanwhile, and
 * whatever comes of that; what its devices use is updated. Does nothing while such a question is open. */
void inventory_measure(struct inventory *inventory, enum inventory_kind kind);
bool inventory_is_measuring(const struct inventory *inventory, enum inventory_kind kind);

/* Makes a source that is not being asked unknown again. Its devices stay until it has been. */
void inventory_forget(struct inventory *inventory, enum inventory_kind kind);

/* Whether no NVIDIA device is known, so that the software GPU stands in. Means something once that source has
 * been asked. */
bool inventory_lacks_nvidia(const struct inventory *inventory);

/* Ends running probes; their handles close in the loop. */
void inventory_stop(struct inventory *inventory);

/* Reads the probe's answer into a source. Pure; all of document is checked. 0 or -EINVAL with err filled and
 * *ret_source untouched. */
int inventory_decode(const json_t *document, enum inventory_kind kind, struct inventory_source *ret_source,
                     struct error *err);

/* Devices in the order people see, NVIDIA's first: number 0 .. inventory_count - 1. */
unsigned inventory_count(const struct inventory *inventory);
const struct inventory_device *inventory_at(const struct inventory *inventory, unsigned number);
/* Number of a device, or -ENODEV. */
int inventory_find(const struct inventory *inventory, const uint8_t uuid[UUID_BYTES]);

#endif
