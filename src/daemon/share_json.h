/* Compute shares as answers show them (docs/shares.md, "Figures"). */
#ifndef VGPU_DAEMON_SHARE_JSON_H
#define VGPU_DAEMON_SHARE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/instance.h"
#include "daemon/share.h"

/* Of an instance: sums over its devices of what adds up, else the most (rate_ppm: the least). */
struct share_summary {
    unsigned n_devices;
    struct share_figures figures;
    struct ledger_note denied, held; /* the last; time_ns 0: none */
};

/* Adds the figures of the instance on its device d to the object, and to the summary. */
void share_device_json(const struct instance *instance, unsigned d, uint64_t now_ns, json_t *object,
                       struct share_summary *summary);

/* Adds what was asked for, and the summary. */
void share_instance_json(const struct instance *instance, const struct share_summary *summary,
                         uint64_t now_ns, json_t *object);

/* Adds to a device's object what all instances together used of it in the last second. */
void share_device_describe(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES], uint64_t now_ns,
                           json_t *object);

#endif
