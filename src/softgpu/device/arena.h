/* Which parts of a device's arena belong to whom: first fit over offsets, neighbours that become free merge.
 * Pure bookkeeping, no memory of the device is touched. Every call costs O(log n) of the segments. */
#ifndef VGPU_SOFTGPU_DEVICE_ARENA_H
#define VGPU_SOFTGPU_DEVICE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct arena_extent;

/* What one process holds of one arena. Zeroed memory owns nothing. */
struct arena_owner {
    struct arena_extent *first; /* private to arena.c */
    uint64_t used_bytes;
};

/* An arena of span_bytes, all free, in units of granule_bytes (which divides span_bytes). -EINVAL or -ENOMEM.
 */
int arena_new(uint64_t span_bytes, uint64_t granule_bytes, struct arena **ret_arena);
/* The owners' lists are void afterwards. NULL is accepted. */
void arena_free(struct arena *arena);

/* The lowest free place of `bytes`. -EINVAL: not a positive multiple of the granule; -ENOMEM: no such place.
 */
int arena_reserve(struct arena *arena, struct arena_owner *owner, uint64_t bytes, uint64_t *ret_offset_bytes);

/* Gives back the segment that owner reserved at offset_bytes. -EINVAL: it has none there. */
int arena_release(struct arena *arena, struct arena_owner *owner, uint64_t offset_bytes, uint64_t *ret_bytes);

/* The segment at offset_bytes is another owner's from now on; it keeps its place. -EINVAL: it is not from's.
 */
int arena_move(struct arena *arena, struct arena_owner *from, struct arena_owner *to, uint64_t offset_bytes);

/* How long the segment of owner at offset_bytes is; 0: it has none there. */
uint64_t arena_bytes(const struct arena *arena, const struct arena_owner *owner, uint64_t offset_bytes);

/* Gives back any one segment of owner; false when it holds none. */
bool arena_release_any(struct arena *arena, struct arena_owner *owner, uint64_t *ret_offset_bytes,
                       uint64_t *ret_bytes);

#endif
