/* Putting refusals into words; see reason.h. */
#include "place/reason.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"

static const char *const reason_texts[PLACE_REASON_COUNT] = {
#define PLACE_REASON_TEXT(name, text) [PLACE_REASON_##name] = text,
    PLACE_REASONS(PLACE_REASON_TEXT)
#undef PLACE_REASON_TEXT
};

const char *place_reason_text(enum place_reason reason)
{
    return (unsigned)reason < PLACE_REASON_COUNT ? reason_texts[reason] : "unknown";
}

/* "on one device; the most free is", or how many of several were found. */
static void format_where(const struct place_refusal *refusal, char *buf, size_t buf_bytes)
{
    if (refusal->wanted_devices <= 1)
        snprintf(buf, buf_bytes, "on one device; the most free is");
    else
        snprintf(buf, buf_bytes, "on each of %u devices; %u can serve, the most free of the others is",
                 refusal->wanted_devices, refusal->fit_devices);
}

static void format_memory(const struct place_refusal *refusal, char *buf, size_t buf_bytes)
{
    char wanted[32], best[32];

    snprintf(buf, buf_bytes, "needs %s of the node's memory; %s is free",
             units_format_bytes(refusal->wanted, wanted, sizeof(wanted)),
             units_format_bytes(refusal->best, best, sizeof(best)));
}

static void format_device_memory(const struct place_refusal *refusal, const char *where, char *buf,
                                 size_t buf_bytes)
{
    char wanted[32], best[32];

    snprintf(buf, buf_bytes, "needs %s %s %s, on device %u",
             units_format_bytes(refusal->wanted, wanted, sizeof(wanted)), where,
             units_format_bytes(refusal->best, best, sizeof(best)), refusal->device);
}

static void format_device(const struct place_refusal *refusal, char *buf, size_t buf_bytes)
{
    char where[96];

    format_where(refusal, where, sizeof(where));
    switch (refusal->reason) {
    case PLACE_REASON_TYPE:
    case PLACE_REASON_UUID:
        snprintf(buf, buf_bytes, "device %u is %.128s, which was %s", refusal->device, refusal->name,
                 refusal->ruled_out ? "ruled out" : "not asked for");
        break;
    case PLACE_REASON_UNHEALTHY:
        snprintf(buf, buf_bytes, "device %u is unhealthy", refusal->device);
        break;
    case PLACE_REASON_SLOTS:
        snprintf(buf, buf_bytes, "device %u has %" PRIu64 " tenants already, as many as it may",
                 refusal->device, refusal->wanted);
        break;
    case PLACE_REASON_BUSY:
        snprintf(buf, buf_bytes, "needs %u whole %s; %u %s all free", refusal->wanted_devices,
                 refusal->wanted_devices == 1 ? "device" : "devices", refusal->fit_devices,
                 refusal->fit_devices == 1 ? "is" : "are");
        break;
    case PLACE_REASON_COMPUTE:
        snprintf(buf, buf_bytes,
                 "needs %" PRIu64 ".%" PRIu64 " %% of the compute %s %" PRIu64 ".%" PRIu64
                 " %%, on device %u",
                 refusal->wanted / 10, refusal->wanted % 10, where, refusal->best / 10, refusal->best % 10,
                 refusal->device);
        break;
    default:
        format_device_memory(refusal, where, buf, buf_bytes);
    }
}

char *place_refusal_format(const struct place_refusal *refusal, char *buf, size_t buf_bytes)
{
    switch (refusal->reason) {
    case PLACE_REASON_FITS:
    case PLACE_REASON_CLOSED:
    case PLACE_REASON_NO_DEVICE:
        snprintf(buf, buf_bytes, "%s", place_reason_text(refusal->reason));
        break;
    case PLACE_REASON_CPU:
        snprintf(buf, buf_bytes,
                 "needs %" PRIu64 ".%03" PRIu64 " processors; %" PRIu64 ".%03" PRIu64 " are free",
                 refusal->wanted / 1000, refusal->wanted % 1000, refusal->best / 1000, refusal->best % 1000);
        break;
    case PLACE_REASON_MEMORY:
        format_memory(refusal, buf, buf_bytes);
        break;
    case PLACE_REASON_FEW_DEVICES:
        snprintf(buf, buf_bytes, "needs %" PRIu64 " devices; the node has %" PRIu64, refusal->wanted,
                 refusal->best);
        break;
    case PLACE_REASON_NUMA:
        snprintf(buf, buf_bytes, "needs %u devices of one NUMA node; at most %" PRIu64 " on one can serve",
                 refusal->wanted_devices, refusal->best);
        break;
    default:
        format_device(refusal, buf, buf_bytes);
    }
    return buf;
}
