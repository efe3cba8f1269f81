/* A short, unordered list of extents; see room.h. Its length is bounded, so every operation is. */
#include "shim/room.h"

static void extent_remove(struct room *room, unsigned i)
{
    room->extents[i] = room->extents[--room->n];
}

static bool is_neighbour(const struct room_extent *a, const struct room_extent *b)
{
    return a->chunk && a->chunk == b->chunk && a->stream == b->stream &&
           (a->base + a->bytes == b->base || b->base + b->bytes == a->base);
}

static void extent_add(struct room *room, const struct room_extent *extent)
{
    unsigned smallest = 0;

    if (room->n < ROOM_EXTENTS_MAX) {
        room->extents[room->n++] = *extent;
        return;
    }
    for (unsigned i = 1; i < room->n; i++)
        if (room->extents[i].bytes < room->extents[smallest].bytes)
            smallest = i;
    if (room->extents[smallest].bytes < extent->bytes)
        room->extents[smallest] = *extent;
}

void room_give(struct room *room, struct room_extent extent)
{
    if (!extent.bytes)
        return;
    for (unsigned i = 0; i < room->n;) {
        const struct room_extent *other = &room->extents[i];

        if (!is_neighbour(other, &extent)) {
            i++;
            continue;
        }
        extent.base = other->base < extent.base ? other->base : extent.base;
        extent.bytes += other->bytes;
        extent_remove(room, i);
    }
    extent_add(room, &extent);
}

bool room_claim(struct room *room, uint64_t bytes, uintptr_t stream, struct room_extent *ret_extent)
{
    unsigned best = room->n;

    for (unsigned i = 0; i < room->n; i++) {
        const struct room_extent *extent = &room->extents[i];

        if (extent->bytes >= bytes && (extent->stream == ROOM_ANY_STREAM || extent->stream == stream) &&
            (best == room->n || extent->bytes < room->extents[best].bytes))
            best = i;
    }
    if (best == room->n)
        return false;
    *ret_extent = room->extents[best];
    extent_remove(room, best);
    return true;
}

uint64_t room_take(struct room *room, uint64_t base, uint64_t bytes)
{
    uint64_t chunk = 0;

    for (unsigned i = 0; i < room->n;) {
        struct room_extent extent = room->extents[i];
        uint64_t end = base + bytes, extent_end = extent.base + extent.bytes;

        if (extent.base >= end || base >= extent_end) {
            i++;
            continue;
        }
        chunk = extent.chunk;
        extent_remove(room, i);
        if (extent.base < base)
            extent_add(room,
                       &(struct room_extent){extent.base, base - extent.base, extent.chunk, extent.stream});
        if (extent_end > end)
            extent_add(room, &(struct room_extent){end, extent_end - end, extent.chunk, extent.stream});
        i = 0; /* the list has changed; what was cut off does not overlap any more */
    }
    return chunk;
}

void room_ready(struct room *room, uintptr_t stream)
{
    const struct room before = *room;

    room->n = 0;
    for (unsigned i = 0; i < before.n; i++) {
        struct room_extent extent = before.extents[i];

        if (stream == ROOM_ANY_STREAM || extent.stream == stream)
            extent.stream = ROOM_ANY_STREAM;
        room_give(room, extent);
    }
}

void room_clear(struct room *room)
{
    room->n = 0;
}
