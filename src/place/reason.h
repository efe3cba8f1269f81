/* Why a node is no place for a request, in words a person can act on. */
#ifndef VGPU_PLACE_REASON_H
#define VGPU_PLACE_REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which they are looked at: of a node's devices the one that came furthest names the reason.
 * The text is the short form, for tables and metrics. */
#define PLACE_REASONS(X)                                                                                     \
    X(FITS, "fits")                                                                                          \
    X(CLOSED, "node takes no pods")                                                                          \
    X(CPU, "not enough processors")                                                                          \
    X(MEMORY, "not enough memory")                                                                           \
    X(NO_DEVICE, "no device")                                                                                \
    X(FEW_DEVICES, "too few devices")                                                                        \
    X(TYPE, "device type")                                                                                   \
    X(UUID, "device UUID")                                                                                   \
    X(UNHEALTHY, "device unhealthy")                                                                         \
    X(SLOTS, "device has too many tenants")                                                                  \
    X(BUSY, "no device all free")                                                                            \
    X(DEVICE_MEMORY, "not enough device memory")                                                             \
    X(COMPUTE, "not enough device compute")                                                                  \
    X(NUMA, "devices on different NUMA nodes")

#define PLACE_REASON_ENUM(name, text) PLACE_REASON_##name,
enum place_reason { PLACE_REASONS(PLACE_REASON_ENUM) PLACE_REASON_COUNT };
#undef PLACE_REASON_ENUM

struct place_refusal {
    enum place_reason reason;
    unsigned wanted_devices, fit_devices; /* how many were asked for, how many could serve */
    unsigned device;                      /* the one that came nearest, where the reason is a device's */
    bool ruled_out;                       /* by name, where the reason is that; or others are wanted */
    const char *name;                     /* the type or UUID of that device, then; the cluster's */
    uint64_t wanted, best; /* milli processors, bytes, thousandths or counts, as the reason says */
};

enum { PLACE_REFUSAL_BYTES = 256 };

/* One sentence: "needs 24.00 GiB on one device; the most free is 19.00 GiB, on device 3". The caller puts the
 * node's name before it. buf of at least PLACE_REFUSAL_BYTES, longer names are cut; returns buf. */
char *place_refusal_format(const struct place_refusal *refusal, char *buf, size_t buf_bytes);

/* The short form of a reason. */
const char *place_reason_text(enum place_reason reason);

#endif
