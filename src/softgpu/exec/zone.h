/* Memory that lives exactly as long as its owner: many small pieces, freed all at once. Used for decoded
 * programs. Not thread-safe: a zone belongs to one builder and is read-only afterwards. */
#ifndef VGPU_SOFTGPU_EXEC_ZONE_H
#define VGPU_SOFTGPU_EXEC_ZONE_H

#include <stddef.h>

struct zone_chunk;

struct zone {
    struct zone_chunk *chunks;
};

/* bytes zeroed bytes, aligned to 64; NULL when memory is out. A zeroed struct zone is an empty one. */
void *zone_alloc(struct zone *zone, size_t bytes);
void *zone_copy(struct zone *zone, const void *data, size_t bytes);
char *zone_printf(struct zone *zone, const char *format, ...) __attribute__((format(printf, 2, 3)));
void zone_done(struct zone *zone);

#endif
