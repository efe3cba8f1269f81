/* Arrays as objects: their memory, their levels and their end. A plain array is the one level of a memory
 * that has no handle of its own; so both kinds are made, listed in their context and freed by the same code.
 */
#include "softgpu/driver/array.h"

#include <stdlib.h>

#include "softgpu/driver/memory.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/segment.h"

static void array_free(void *object)
{
    free(object);
}

static void memory_object_free(void *object)
{
    struct array_memory *memory = object;

    for (unsigned i = 0; i < memory->n_levels; i++)
        object_unref(memory->levels[i]);
    free(memory->levels);
    object_unref(memory->context);
    free(memory);
}

/* Makes the levels' objects; the memory has no address yet. bytes of all of them, or 0 when there is no room
 * for objects. */
static uint64_t make_levels(struct array_memory *memory, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                            unsigned n_levels, bool is_mipmapped)
{
    uint64_t align = memory->context->device->properties->pitch_align_bytes, bytes = 0;

    memory->levels = calloc(n_levels, sizeof(struct array *));
    for (unsigned i = 0; memory->levels && i < n_levels; i++) {
        struct array *array = calloc(1, sizeof(*array));

        if (!array)
            return 0;
        object_init(&array->object, OBJECT_ARRAY, array_free);
        memory->levels[memory->n_levels++] = array;
        array->descriptor = array_level_of(descriptor, i);
        array->layout = array_layout_of(&array->descriptor, align);
        array->is_level = is_mipmapped;
        array->address = bytes; /* made absolute when the memory is there */
        bytes += array->layout.bytes;
    }
    return memory->levels ? bytes : 0;
}

/* Like cuMemAlloc, it may take back first what pools keep without need. */
static CUresult take_memory(struct context *context, uint64_t bytes, struct space_allocation *ret_allocation)
{
    CUresult result = memory_alloc(context, bytes, SPACE_ARRAY, 0, ret_allocation);

    if (result == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(context->device))
        result = memory_alloc(context, bytes, SPACE_ARRAY, 0, ret_allocation);
    return result;
}

static void publish(struct array_memory *memory, bool is_mipmapped)
{
    struct context *context = memory->context;

    for (unsigned i = 0; i < memory->n_levels; i++) {
        memory->levels[i]->address += memory->address;
        object_publish(memory->levels[i]);
    }
    if (is_mipmapped)
        object_publish(memory);
    pthread_mutex_lock(&context->lock);
    memory->next = context->arrays;
    context->arrays = object_ref(memory);
    pthread_mutex_unlock(&context->lock);
}

CUresult array_memory_new(struct context *context, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                          unsigned n_levels, bool is_mipmapped, struct array_memory **ret_memory)
{
    struct array_memory *memory = calloc(1, sizeof(*memory));
    struct space_allocation allocation;
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t bytes;

    if (!memory)
        return result;
    object_init(&memory->object, OBJECT_MIPMAPPED_ARRAY, memory_object_free);
    memory->context = object_ref(context);
    bytes = make_levels(memory, descriptor, n_levels, is_mipmapped);
    if (bytes)
        result = take_memory(context, bytes, &allocation);
    if (result) {
        object_unref(memory);
        return result;
    }
    memory->address = allocation.base;
    memory->bytes = segment_round(context->device->ordinal, bytes);
    publish(memory, is_mipmapped);
    *ret_memory = memory;
    return CUDA_SUCCESS;
}

/* ---- finding and ending ---- */

struct finder {
    const struct array *array;
    struct array_memory *found;
};

static void find_in_context(struct context *context, void *argument)
{
    struct finder *finder = argument;

    pthread_mutex_lock(&context->lock);
    for (struct array_memory *each = context->arrays; each && !finder->found; each = each->next)
        if (each->levels[0] == finder->array)
            finder->found = object_ref(each);
    pthread_mutex_unlock(&context->lock);
}

struct array_memory *array_memory_of(const struct array *array)
{
    struct finder finder = {.array = array};

    if (!array->is_level)
        context_for_each(find_in_context, &finder);
    return finder.found;
}

/* True for the one caller who took it out of its context's list; the list's reference is then the caller's.
 */
static bool unlink_memory(struct array_memory *memory)
{
    struct context *context = memory->context;
    bool found = false;

    pthread_mutex_lock(&context->lock);
    for (struct array_memory **link = &context->arrays; *link && !found;
         link = found ? link : &(*link)->next) {
        found = *link == memory;
        if (found)
            *link = memory->next;
    }
    pthread_mutex_unlock(&context->lock);
    return found;
}

static void wait_for_context(struct context *each, void *unused)
{
    engine_wait_all(&each->queue);
}

static void retire(struct array_memory *memory)
{
    object_retire(memory);
    for (unsigned i = 0; i < memory->n_levels; i++)
        object_retire(memory->levels[i]);
}

void array_memory_end(struct array_memory *memory)
{
    if (!unlink_memory(memory))
        return;
    retire(memory);
    /* Copies of any context may be on their way to it. */
    context_for_each(wait_for_context, NULL);
    memory_free(memory->address);
    object_unref(memory);
}

void array_memory_end_all(struct context *context)
{
    for (;;) {
        pthread_mutex_lock(&context->lock);
        struct array_memory *memory = context->arrays;
        if (memory)
            context->arrays = memory->next;
        pthread_mutex_unlock(&context->lock);
        if (!memory)
            return;
        retire(memory);
        memory_free(memory->address);
        object_unref(memory);
    }
}
