/* One device inside softgpud: its memory and its timeline, and each process's share of both. Only softgpud's
 * one thread calls here. */
#ifndef VGPU_SOFTGPU_DEVICE_DEVICE_H
#define VGPU_SOFTGPU_DEVICE_DEVICE_H

#include <stdint.h>

#include "softgpu/device/arena.h"
#include "softgpu/device/busy.h"
#include "softgpu/device/client.h"
#include "softgpu/device/export.h"
#include "softgpu/device/protocol.h"
#include "softgpu/device/timeline.h"

struct device {
    struct sgdev_properties properties;
    int arena_fd;
    struct arena *arena;
    struct exports exports;
    struct timeline *timeline;
    uint64_t used_bytes; /* segments and contexts of all processes; never more than properties.memory_bytes */
    uint64_t start_ns;
    uint32_t n_processes; /* with a context */
    uint64_t *published_used_bytes, *published_now_ns, *published_peak_bytes, *published_changes,
        *published_history_bytes; /* in the page */
};

/* What one process has on one device. Zeroed memory has nothing. */
struct device_share {
    struct arena_owner segments;
    struct busy busy, copy_busy;
    uint64_t context_bytes;
    uint32_t n_contexts;
};

/* Makes device `ordinal` of page, with an empty arena. 0 or negative errno; device_done cleans up after
 * either. */
int device_init(struct device *device, const struct sgdev_properties *properties, struct protocol_page *page,
                unsigned ordinal, timeline_ended *ended, uint64_t now_ns);
void device_done(struct device *device);

/* -EINVAL: bytes are no multiple of the granule; -ENOMEM: the device is full. */
int device_segment_alloc(struct device *device, struct device_share *share, uint64_t bytes,
                         uint64_t *ret_offset_bytes);
/* Once nobody holds it, the segment is zeroed before anybody can have it again. -EINVAL: not the share's. */
int device_segment_free(struct device *device, struct device_share *share, uint64_t offset_bytes);

/* See exports_add and exports_join. */
int device_segment_export(struct device *device, struct device_share *share, uint64_t offset_bytes,
                          uint8_t ret_token[SGDEV_TOKEN_BYTES]);
int device_segment_import(struct device *device, struct device_share *share,
                          const uint8_t token[SGDEV_TOKEN_BYTES], uint64_t *ret_offset_bytes,
                          uint64_t *ret_bytes);

/* A context is charged context_bytes. owner: what timeline_ended is told. -ENOMEM. */
int device_context_open(struct device *device, struct device_share *share, void *owner,
                        struct timeline_context **ret_context);
void device_context_close(struct device *device, struct device_share *share, struct timeline_context *context,
                          bool tell);

/* Brings what a context is charged beyond context_bytes from so many bytes to others; a context is closed
 * with none. -EINVAL: to_bytes are no multiple of the granule; -ENOMEM: nothing changed. */
int device_context_resize(struct device *device, struct device_share *share, uint64_t from_bytes,
                          uint64_t to_bytes);

/* Gives all segments of share back. Its contexts have been closed. */
void device_share_done(struct device *device, struct device_share *share);

/* Lets time pass, and publishes the clock. */
void device_advance(struct device *device, uint64_t now_ns);

void device_account(const struct device *device, uint64_t now_ns, struct sgdev_account *ret_account);
void device_history(const struct device *device, enum sgdev_engine engine, uint64_t now_ns,
                    struct sgdev_history *ret_history);
void device_process(const struct device *device, const struct device_share *share, int pid, uint64_t now_ns,
                    struct sgdev_process *ret_row);

#endif
