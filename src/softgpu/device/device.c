/* State of one device; see device.h. Memory is a sparse memfd. It spans many times the capacity, and what is
 * in use is counted apart: so an allocation fits whenever the account has room, as on hardware whose page
 * tables gather scattered memory; first fit never needs more than a small multiple of the capacity (by about
 * the logarithm of the largest to the smallest segment). */
#include "softgpu/device/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

enum { ARENA_SPAN_FACTOR = 64 };

static int arena_file_open(uint64_t bytes, unsigned ordinal)
{
    char name[32];
    int fd, r;

    snprintf(name, sizeof(name), "softgpu-arena-%u", ordinal);
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* The value is written down before it counts, so that who reads the counter finds it. */
static void device_publish_used(struct device *device)
{
    uint64_t change = *device->published_changes + 1;

    if (device->used_bytes > *device->published_peak_bytes)
        __atomic_store_n(device->published_peak_bytes, device->used_bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&device->published_history_bytes[change % PROTOCOL_USED_HISTORY_MAX], device->used_bytes,
                     __ATOMIC_RELAXED);
    __atomic_store_n(device->published_changes, change, __ATOMIC_RELEASE);
    __atomic_store_n(device->published_used_bytes, device->used_bytes, __ATOMIC_RELEASE);
}

int device_init(struct device *device, const struct sgdev_properties *properties, struct protocol_page *page,
                unsigned ordinal, timeline_ended *ended, uint64_t now_ns)
{
    uint64_t span_bytes = properties->memory_bytes * ARENA_SPAN_FACTOR;
    /* A virtual clock begins at 1 s, so that 0 can mean "never". */
    struct timeline_config config = {
        .mode = properties->time_mode,
        .start_ns = properties->time_mode == SGDEV_TIME_VIRTUAL ? NS_PER_S : now_ns,
        .n_time_slices = properties->n_time_slices,
        .runs_to_end = properties->runs_to_end,
        .switch_ns = properties->switch_ns,
    };
    int r;

    memcpy(config.time_slices_ns, properties->time_slices_ns, sizeof(config.time_slices_ns));
    *device = (struct device){
        .properties = *properties,
        .start_ns = config.start_ns,
        .published_used_bytes = &page->devices[ordinal].used_bytes,
        .published_now_ns = &page->devices[ordinal].virtual_now_ns,
        .published_peak_bytes = &page->devices[ordinal].used_peak_bytes,
        .published_changes = &page->devices[ordinal].used_changes,
        .published_history_bytes = page->devices[ordinal].used_history_bytes,
    };
    page->devices[ordinal].properties = *properties;
    *device->published_now_ns = config.start_ns;
    device->arena_fd = arena_file_open(span_bytes, ordinal);
    if (device->arena_fd < 0)
        return device->arena_fd;
    r = arena_new(span_bytes, properties->granule_bytes, &device->arena);
    return r < 0 ? r : timeline_new(&config, ended, &device->timeline);
}

void device_done(struct device *device)
{
    timeline_free(device->timeline);
    exports_done(&device->exports);
    arena_free(device->arena);
    if (device->arena_fd >= 0)
        close(device->arena_fd);
}

static bool device_has_room(const struct device *device, uint64_t bytes)
{
    return bytes <= device->properties.memory_bytes - device->used_bytes;
}

int device_segment_alloc(struct device *device, struct device_share *share, uint64_t bytes,
                         uint64_t *ret_offset_bytes)
{
    int r;

    if (!device_has_room(device, bytes))
        return bytes % device->properties.granule_bytes ? -EINVAL : -ENOMEM;
    r = arena_reserve(device->arena, &share->segments, bytes, ret_offset_bytes);
    if (r < 0)
        return r;
    device->used_bytes += bytes;
    device_publish_used(device);
    return 0;
}

/* The segment's pages go back to the system: the next owner finds zeroes. That a sealed memfd refuses this
 * has no known cause; going on would hand one process's bytes to another, so it is the end. */
static void device_punch(struct device *device, uint64_t offset_bytes, uint64_t bytes)
{
    int r;

    do
        r = fallocate(device->arena_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset_bytes,
                      (off_t)bytes);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        abort();
    device->used_bytes -= bytes;
    device_publish_used(device);
}

int device_segment_free(struct device *device, struct device_share *share, uint64_t offset_bytes)
{
    uint64_t bytes;
    int r;

    if (exports_leave(&device->exports, device->arena, &share->segments, offset_bytes))
        return 0;
    r = arena_release(device->arena, &share->segments, offset_bytes, &bytes);
    if (r == 0)
        device_punch(device, offset_bytes, bytes);
    return r;
}

int device_segment_export(struct device *device, struct device_share *share, uint64_t offset_bytes,
                          uint8_t ret_token[SGDEV_TOKEN_BYTES])
{
    return exports_add(&device->exports, device->arena, &share->segments, offset_bytes, ret_token);
}

int device_segment_import(struct device *device, struct device_share *share,
                          const uint8_t token[SGDEV_TOKEN_BYTES], uint64_t *ret_offset_bytes,
                          uint64_t *ret_bytes)
{
    return exports_join(&device->exports, token, &share->segments, ret_offset_bytes, ret_bytes);
}

int device_context_open(struct device *device, struct device_share *share, void *owner,
                        struct timeline_context **ret_context)
{
    uint64_t bytes = device->properties.context_bytes;
    int r;

    if (!device_has_room(device, bytes))
        return -ENOMEM;
    r = timeline_context_new(device->timeline, &share->busy, &share->copy_busy, owner, ret_context);
    if (r < 0)
        return r;
    share->context_bytes += bytes;
    if (share->n_contexts++ == 0)
        device->n_processes++;
    device->used_bytes += bytes;
    device_publish_used(device);
    return 0;
}

void device_context_close(struct device *device, struct device_share *share, struct timeline_context *context,
                          bool tell)
{
    uint64_t bytes = device->properties.context_bytes;

    timeline_context_free(context, tell);
    share->context_bytes -= bytes;
    if (--share->n_contexts == 0)
        device->n_processes--;
    device->used_bytes -= bytes;
    device_publish_used(device);
}

int device_context_resize(struct device *device, struct device_share *share, uint64_t from_bytes,
                          uint64_t to_bytes)
{
    if (to_bytes % device->properties.granule_bytes)
        return -EINVAL;
    if (to_bytes > from_bytes && !device_has_room(device, to_bytes - from_bytes))
        return -ENOMEM;
    share->context_bytes += to_bytes - from_bytes;
    device->used_bytes += to_bytes - from_bytes;
    device_publish_used(device);
    return 0;
}

void device_share_done(struct device *device, struct device_share *share)
{
    uint64_t offset_bytes, bytes;

    exports_forget(&device->exports, device->arena, &share->segments);
    while (arena_release_any(device->arena, &share->segments, &offset_bytes, &bytes))
        device_punch(device, offset_bytes, bytes);
}

void device_advance(struct device *device, uint64_t now_ns)
{
    timeline_advance(device->timeline, now_ns);
    if (device->properties.time_mode == SGDEV_TIME_VIRTUAL)
        __atomic_store_n(device->published_now_ns, timeline_now_ns(device->timeline, now_ns),
                         __ATOMIC_RELEASE);
}

void device_account(const struct device *device, uint64_t now_ns, struct sgdev_account *ret_account)
{
    const struct busy *compute = timeline_busy(device->timeline, SGDEV_ENGINE_COMPUTE);
    const struct busy *copy = timeline_busy(device->timeline, SGDEV_ENGINE_COPY);

    now_ns = timeline_now_ns(device->timeline, now_ns);
    *ret_account = (struct sgdev_account){
        .now_ns = now_ns,
        .busy_ns = compute->total_ns,
        .start_ns = device->start_ns,
        .copy_busy_ns = copy->total_ns,
        .copy_busy_last_s_ns = busy_last_second(copy, now_ns),
        .busy_last_s_ns = busy_last_second(compute, now_ns),
        .sm_busy_ns = compute->sm_ns,
        .memory_used_bytes = device->used_bytes,
        .memory_total_bytes = device->properties.memory_bytes,
        .n_processes = device->n_processes,
    };
}

void device_history(const struct device *device, enum sgdev_engine engine, uint64_t now_ns,
                    struct sgdev_history *ret_history)
{
    uint64_t now_slot = timeline_now_ns(device->timeline, now_ns) / BUSY_SLOT_NS;
    uint64_t first_slot = device->start_ns / BUSY_SLOT_NS, n = now_slot - first_slot;

    if (n > SGDEV_HISTORY_MAX)
        n = SGDEV_HISTORY_MAX;
    *ret_history =
        (struct sgdev_history){.slot_ns = BUSY_SLOT_NS, .end_ns = now_slot * BUSY_SLOT_NS, .n = (uint32_t)n};
    for (uint64_t i = 0; i < n; i++)
        ret_history->busy_ns[i] =
            (uint32_t)busy_slot_ns(timeline_busy(device->timeline, engine), now_slot - n + i);
}

void device_process(const struct device *device, const struct device_share *share, int pid, uint64_t now_ns,
                    struct sgdev_process *ret_row)
{
    *ret_row = (struct sgdev_process){
        .pid = pid,
        .memory_bytes = share->segments.used_bytes + share->context_bytes,
        .busy_ns = share->busy.total_ns,
        .copy_busy_ns = share->copy_busy.total_ns,
        .last_busy_ns = share->busy.last_end_ns,
        .busy_last_s_ns = busy_last_second(&share->busy, timeline_now_ns(device->timeline, now_ns)),
        .contexts = share->n_contexts,
    };
}
