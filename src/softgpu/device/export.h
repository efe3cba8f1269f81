/* Segments that several processes hold. One that was exported is known by a token, which nobody can guess;
 * who brings the token holds the segment too, as often as it imported it. Among the holders one pays: the one
 * that has held it longest; the segment is in its arena_owner. It goes back to the arena when nobody holds
 * it. Only softgpud's one thread calls here. */
#ifndef VGPU_SOFTGPU_DEVICE_EXPORT_H
#define VGPU_SOFTGPU_DEVICE_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/device/arena.h"
#include "softgpu/device/client.h"

struct export;

/* Of one device. Zeroed memory has none. */
struct exports {
    struct export *first;
};

/* Exports the segment at offset_bytes, which holder must hold; again, the same token. -EINVAL, -ENOMEM. */
int exports_add(struct exports *exports, const struct arena *arena, struct arena_owner *holder,
                uint64_t offset_bytes, uint8_t ret_token[SGDEV_TOKEN_BYTES]);

/* holder holds the segment of that token once more. -ENOENT, -ENOMEM. */
int exports_join(struct exports *exports, const uint8_t token[SGDEV_TOKEN_BYTES], struct arena_owner *holder,
                 uint64_t *ret_offset_bytes, uint64_t *ret_bytes);

/* holder lets go of the segment at offset_bytes once. True when it was exported and held by holder, and is
 * held still by somebody: then all is done. Otherwise it is, if anybody's, holder's alone, to be released as
 * any other. */
bool exports_leave(struct exports *exports, struct arena *arena, struct arena_owner *holder,
                   uint64_t offset_bytes);

/* holder is gone: lets go of all it held. What it pays and others hold is theirs then. */
void exports_forget(struct exports *exports, struct arena *arena, struct arena_owner *holder);

void exports_done(struct exports *exports);

#endif
