/* A bump allocator in chunks of 64 KiB; larger pieces get a chunk of their own. Owned by struct exec_program,
 * filled by the decoder, never touched while a grid runs. */
#include "softgpu/exec/zone.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 65536, ALIGN_BYTES = 64 };

struct zone_chunk {
    struct zone_chunk *next;
    size_t used, size;
    _Alignas(ALIGN_BYTES) char data[];
};

static struct zone_chunk *chunk_new(struct zone *zone, size_t bytes)
{
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    size_t total = (sizeof(struct zone_chunk) + size + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    struct zone_chunk *chunk = aligned_alloc(ALIGN_BYTES, total);

    if (!chunk)
        return NULL;
    memset(chunk, 0, total);
    chunk->size = size;
    chunk->next = zone->chunks;
    zone->chunks = chunk;
    return chunk;
}

void *zone_alloc(struct zone *zone, size_t bytes)
{
    struct zone_chunk *chunk = zone->chunks;
    void *piece;

    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (!chunk || chunk->size - chunk->used < bytes)
        chunk = chunk_new(zone, bytes);
    if (!chunk)
        return NULL;
    piece = chunk->data + chunk->used;
    chunk->used += bytes;
    return piece;
}

void *zone_copy(struct zone *zone, const void *data, size_t bytes)
{
    void *piece = zone_alloc(zone, bytes);

    if (piece && bytes)
        memcpy(piece, data, bytes);
    return piece;
}

char *zone_printf(struct zone *zone, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        return NULL;
    return zone_copy(zone, text, (size_t)n < sizeof text ? (size_t)n + 1 : sizeof text);
}

void zone_done(struct zone *zone)
{
    while (zone->chunks) {
        struct zone_chunk *next = zone->chunks->next;

        free(zone->chunks);
        zone->chunks = next;
    }
}
