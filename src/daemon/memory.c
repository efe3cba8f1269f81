/* Remembering failed allocations; see memory.h. */
#include "daemon/memory.h"

#include <jansson.h>
#include <stdlib.h>

static bool has_failed;

static void *watched_malloc(size_t bytes)
{
    void *memory = malloc(bytes);

    has_failed |= !memory;
    return memory;
}

void memory_init(void)
{
    json_set_alloc_funcs(watched_malloc, free);
}

void *memory_new(size_t n, size_t bytes)
{
    void *memory = calloc(n, bytes);

    has_failed |= !memory;
    return memory;
}

bool memory_failed(void)
{
    return has_failed;
}

void memory_set_failed(bool failed)
{
    has_failed = failed;
}
