/* What is surely free inside a memory pool, as far as its allocations and frees tell. Asked when the limit
 * has no room for the pool to grow: may an allocation be let through because the pool need not grow? So it
 * errs on one side only: what it names is free, but not all that is free is named. Pure arithmetic; the
 * caller locks. Private to src/shim. */
#ifndef VGPU_SHIM_ROOM_H
#define VGPU_SHIM_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* In place of a stream: free whatever stream wants it. And one that no stream matches. */
#define ROOM_ANY_STREAM UINTPTR_MAX
#define ROOM_NO_STREAM  (UINTPTR_MAX - 1)

enum { ROOM_EXTENTS_MAX = 128 };

struct room_extent {
    uint64_t base, bytes;
    uint64_t chunk;   /* names the piece that the pool grew by, in which it lies; 0: not known */
    uintptr_t stream; /* that freed it, and may have it again before anybody waited */
};

struct room {
    struct room_extent extents[ROOM_EXTENTS_MAX];
    unsigned n;
};

/* Adds a free extent; joins it to neighbours of its chunk and stream. The smallest one is forgotten when
 * there are too many. */
void room_give(struct room *room, struct room_extent extent);

/* Takes the smallest extent out that an allocation of bytes in stream fits into; false when none is known. */
bool room_claim(struct room *room, uint64_t bytes, uintptr_t stream, struct room_extent *ret_extent);

/* [base, base + bytes) is allocated now. Returns the chunk it lies in, 0 when that is not known. */
uint64_t room_take(struct room *room, uint64_t base, uint64_t bytes);

/* Stream was waited for (ROOM_ANY_STREAM: all were): what it freed is free for all. */
void room_ready(struct room *room, uintptr_t stream);

void room_clear(struct room *room);

#endif
