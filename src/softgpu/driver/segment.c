/* One reserved range of addresses and the segments in it. Addresses are handed out by a heap, best fit, so a
 * program that frees and allocates again gets the same ones, as with the real driver. Mappings are not
 * inherited over fork: a child can use no device state of its parent, and would keep memory alive that the
 * device process counts as free. */
#include "softgpu/driver/segment.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/units.h"
#include "softgpu/driver/heap.h"
#include "softgpu/exec/exec.h"

#define WINDOW_MIN_BYTES (64 * GIB)

struct segment {
    uint64_t base, bytes, arena_offset;
    char *host;
    unsigned ordinal;
};

static struct {
    pthread_rwlock_t lock;
    struct sgdev *dev;
    uint64_t window_base, window_bytes;
    struct heap addresses;
    struct segment *segments; /* sorted by base */
    size_t n, capacity;
} space = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static uint64_t granule_bytes(unsigned ordinal)
{
    return sgdev_properties(space.dev, ordinal)->granule_bytes;
}

/* The windows of shared and local memory are what a generic address must never be mistaken for. */
static bool touches_exec_windows(uint64_t base, uint64_t bytes)
{
    return base < EXEC_LOCAL_WINDOW_BASE + EXEC_WINDOW_BYTES && base + bytes > EXEC_SHARED_WINDOW_BASE;
}

static void *reserve(uint64_t bytes)
{
    void *window = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (window == MAP_FAILED)
        return NULL;
    if (touches_exec_windows((uint64_t)(uintptr_t)window, bytes)) {
        munmap(window, bytes);
        return NULL;
    }
    return window;
}

int segment_reserve_window(struct sgdev *dev)
{
    uint64_t memory_bytes = 0, granule = 2 * MIB;

    for (unsigned i = 0; i < sgdev_count(dev); i++) {
        memory_bytes += sgdev_properties(dev, i)->memory_bytes;
        if (sgdev_properties(dev, i)->granule_bytes > granule)
            granule = sgdev_properties(dev, i)->granule_bytes;
    }
    /* Room for holes between segments; less where the user's address space is limited. */
    uint64_t bytes = memory_bytes * 4 > WINDOW_MIN_BYTES ? memory_bytes * 4 : WINDOW_MIN_BYTES;
    void *window = NULL;

    bytes = (bytes + granule - 1) / granule * granule;
    while (!(window = reserve(bytes + granule)) && bytes / 2 >= memory_bytes)
        bytes = bytes / 2 / granule * granule;
    if (!window)
        return -ENOMEM;
    madvise(window, bytes + granule, MADV_DONTFORK);

    space.dev = dev;
    space.window_base = ((uint64_t)(uintptr_t)window + granule - 1) / granule * granule;
    space.window_bytes = bytes;
    heap_init(&space.addresses, granule);
    return heap_add(&space.addresses, space.window_base, bytes);
}

uint64_t segment_round(unsigned ordinal, uint64_t bytes)
{
    uint64_t granule = granule_bytes(ordinal);

    return bytes > UINT64_MAX - granule ? 0 : (bytes + granule - 1) / granule * granule;
}

bool segment_window_touches(uint64_t addr, uint64_t bytes)
{
    return addr < space.window_base + space.window_bytes && addr + bytes > space.window_base;
}

static size_t index_after(uint64_t addr)
{
    size_t low = 0, high = space.n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (space.segments[mid].base <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct segment *find_locked(uint64_t addr)
{
    size_t after = index_after(addr);
    struct segment *segment = after ? &space.segments[after - 1] : NULL;

    return segment && addr < segment->base + segment->bytes ? segment : NULL;
}

static int map(struct segment *segment, enum segment_use use)
{
    void *at = use == SEGMENT_MANAGED ? (void *)(uintptr_t)segment->base : NULL;
    void *host = mmap(at, segment->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0),
                      sgdev_arena_fd(space.dev, segment->ordinal), (off_t)segment->arena_offset);

    if (host == MAP_FAILED)
        return -ENOMEM;
    madvise(host, segment->bytes, MADV_DONTFORK);
    segment->host = host;
    return 0;
}

static void unmap(const struct segment *segment)
{
    if ((uint64_t)(uintptr_t)segment->host != segment->base) {
        munmap(segment->host, segment->bytes);
        return;
    }
    /* The window stays ours: the hole is closed in the same step, so that no other mapping lands in it. If
     * that fails these bytes of the arena, soon somebody else's, are at least out of reach. */
    if (mmap(segment->host, segment->bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        mprotect(segment->host, segment->bytes, PROT_NONE);
    madvise(segment->host, segment->bytes, MADV_DONTFORK);
}

static int insert_locked(const struct segment *segment)
{
    if (space.n == space.capacity) {
        size_t wanted = space.capacity ? space.capacity * 2 : 64;
        struct segment *grown = realloc(space.segments, wanted * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        space.segments = grown;
        space.capacity = wanted;
    }
    size_t at = index_after(segment->base);

    memmove(space.segments + at + 1, space.segments + at, (space.n - at) * sizeof(*segment));
    space.segments[at] = *segment;
    space.n++;
    return 0;
}

/* Gives the segment, whose memory is taken, its addresses and mapping. */
static int place_locked(struct segment *segment, enum segment_use use)
{
    int error = heap_take(&space.addresses, segment->bytes, &segment->base);

    if (error)
        return -ENOMEM;
    error = map(segment, use);
    if (!error) {
        error = insert_locked(segment);
        if (!error)
            return 0;
        unmap(segment);
    }
    heap_give(&space.addresses, segment->base, segment->bytes);
    return error;
}

int segment_alloc(unsigned ordinal, uint64_t bytes, enum segment_use use, uint64_t *ret_base)
{
    struct segment segment = {.bytes = segment_round(ordinal, bytes), .ordinal = ordinal};
    int error;

    if (!segment.bytes)
        return -ENOMEM;
    error = sgdev_segment_alloc(space.dev, ordinal, segment.bytes, &segment.arena_offset);
    if (error)
        return error;
    pthread_rwlock_wrlock(&space.lock);
    error = place_locked(&segment, use);
    pthread_rwlock_unlock(&space.lock);
    if (error) {
        sgdev_segment_free(space.dev, ordinal, segment.arena_offset);
        return error;
    }
    *ret_base = segment.base;
    return 0;
}

int segment_import(unsigned ordinal, const uint8_t token[SGDEV_TOKEN_BYTES], uint64_t *ret_base,
                   uint64_t *ret_bytes)
{
    struct segment segment = {.ordinal = ordinal};
    int error = sgdev_segment_import(space.dev, ordinal, token, &segment.arena_offset, &segment.bytes);

    if (error)
        return error;
    pthread_rwlock_wrlock(&space.lock);
    error = place_locked(&segment, SEGMENT_DEVICE);
    pthread_rwlock_unlock(&space.lock);
    if (error) {
        sgdev_segment_free(space.dev, ordinal, segment.arena_offset);
        return error;
    }
    *ret_base = segment.base;
    *ret_bytes = segment.bytes;
    return 0;
}

int segment_export(uint64_t addr, uint8_t ret_token[SGDEV_TOKEN_BYTES], unsigned *ret_ordinal,
                   uint64_t *ret_offset_bytes)
{
    struct segment segment = {0}, *found;

    pthread_rwlock_rdlock(&space.lock);
    found = find_locked(addr);
    if (found)
        segment = *found;
    pthread_rwlock_unlock(&space.lock);
    if (!segment.bytes)
        return -EINVAL;
    *ret_ordinal = segment.ordinal;
    *ret_offset_bytes = addr - segment.base;
    return sgdev_segment_export(space.dev, segment.ordinal, segment.arena_offset, ret_token);
}

/* A range that is longer by the alignment holds an aligned one; what is around it goes back. */
static int addresses_take_aligned(uint64_t bytes, uint64_t align_bytes, uint64_t *ret_base)
{
    uint64_t base, aligned;
    int error;

    if (align_bytes <= space.addresses.align_bytes)
        return heap_take(&space.addresses, bytes, ret_base);
    if (bytes > UINT64_MAX - align_bytes)
        return -ENOMEM;
    error = heap_take(&space.addresses, bytes + align_bytes, &base);
    if (error)
        return error;
    aligned = (base + align_bytes - 1) / align_bytes * align_bytes;
    if (aligned > base)
        heap_give(&space.addresses, base, aligned - base);
    if (base + align_bytes > aligned)
        heap_give(&space.addresses, aligned + bytes, base + align_bytes - aligned);
    *ret_base = aligned;
    return 0;
}

int segment_addresses_take(uint64_t bytes, uint64_t align_bytes, uint64_t wanted, uint64_t *ret_base)
{
    int error = -ENOSPC;

    pthread_rwlock_wrlock(&space.lock);
    if (wanted && (!align_bytes || wanted % align_bytes == 0))
        error = heap_take_at(&space.addresses, wanted, bytes);
    if (!error)
        *ret_base = wanted;
    else
        error = addresses_take_aligned(bytes, align_bytes, ret_base);
    pthread_rwlock_unlock(&space.lock);
    return error ? -ENOMEM : 0;
}

void segment_addresses_give(uint64_t base, uint64_t bytes)
{
    pthread_rwlock_wrlock(&space.lock);
    heap_give(&space.addresses, base, bytes);
    pthread_rwlock_unlock(&space.lock);
}

void segment_free(uint64_t base)
{
    pthread_rwlock_wrlock(&space.lock);
    struct segment *found = find_locked(base);
    if (!found) {
        pthread_rwlock_unlock(&space.lock);
        return;
    }
    struct segment segment = *found;
    size_t at = (size_t)(found - space.segments);

    unmap(&segment);
    memmove(found, found + 1, (space.n - at - 1) * sizeof(*found));
    space.n--;
    heap_give(&space.addresses, segment.base, segment.bytes);
    pthread_rwlock_unlock(&space.lock);
    sgdev_segment_free(space.dev, segment.ordinal, segment.arena_offset);
}

char *segment_host(uint64_t addr)
{
    pthread_rwlock_rdlock(&space.lock);
    struct segment *segment = find_locked(addr);
    char *host = segment ? segment->host + (addr - segment->base) : NULL;
    pthread_rwlock_unlock(&space.lock);
    return host;
}
