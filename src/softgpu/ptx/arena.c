/* The arena of struct ptx_module: a list of chunks that grow with what was asked for, so that a small module
 * costs one page and a large one few calls. Called by the parser only; it knows nothing of PTX. */
#include "softgpu/ptx/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN_BYTES = 4096 - 64, CHUNK_MAX_BYTES = 1 << 20, STACK_MIN_ITEMS = 16 };

struct chunk {
    struct chunk *next;
    size_t used_bytes, size_bytes;
    alignas(max_align_t) char memory[];
};

struct arena {
    struct chunk *chunks; /* the first is the one being filled */
    size_t total_bytes;
};

struct arena *arena_new(void)
{
    return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    while (arena->chunks) {
        struct chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    free(arena);
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->total_bytes;
}

static struct chunk *chunk_add(struct arena *arena, size_t bytes)
{
    size_t size_bytes = arena->total_bytes / 4;
    if (size_bytes < CHUNK_MIN_BYTES)
        size_bytes = CHUNK_MIN_BYTES;
    if (size_bytes > CHUNK_MAX_BYTES)
        size_bytes = CHUNK_MAX_BYTES;
    /* A large piece gets a chunk of its own behind the one being filled, whose rest stays in use. */
    bool alone = bytes > size_bytes / 4;
    if (alone)
        size_bytes = bytes;
    struct chunk *chunk = calloc(1, sizeof(*chunk) + size_bytes);
    if (!chunk)
        return NULL;
    chunk->size_bytes = size_bytes;
    arena->total_bytes += sizeof(*chunk) + size_bytes;
    if (alone && arena->chunks) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + align - 1) / align * align;
    struct chunk *chunk = arena->chunks;
    if (!chunk || chunk->size_bytes - chunk->used_bytes < bytes)
        chunk = chunk_add(arena, bytes);
    if (!chunk)
        return NULL;
    void *memory = chunk->memory + chunk->used_bytes;
    chunk->used_bytes += bytes;
    return memory;
}

int stack_push(struct stack *stack, const void *item)
{
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity ? stack->capacity + stack->capacity / 2 : STACK_MIN_ITEMS;
        void *items = reallocarray(stack->items, capacity, stack->item_bytes);
        if (!items)
            return -ENOMEM;
        stack->items = items;
        stack->capacity = capacity;
    }
    memcpy((char *)stack->items + stack->count++ * stack->item_bytes, item, stack->item_bytes);
    return 0;
}

int stack_take(struct stack *stack, size_t mark, struct arena *arena, void **ret_items, size_t *ret_count)
{
    size_t count = stack->count - mark;
    void *items = NULL;
    if (count) {
        items = arena_alloc(arena, count * stack->item_bytes);
        if (!items)
            return -ENOMEM;
        memcpy(items, (char *)stack->items + mark * stack->item_bytes, count * stack->item_bytes);
    }
    stack->count = mark;
    *ret_items = items;
    *ret_count = count;
    return 0;
}

void stack_done(struct stack *stack)
{
    free(stack->items);
    *stack = (struct stack){.item_bytes = stack->item_bytes};
}
