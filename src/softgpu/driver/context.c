/* Contexts: their birth and their end, and the calls that make one current. A destroyed context stays as an
 * empty object while a thread has it on its stack, so that the thread gets an error code from its next call.
 */
#include "softgpu/driver/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/array.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/module.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/stream.h"
#include "softgpu/driver/texture.h"
#include "softgpu/driver/thread.h"

/* All live contexts of the process. */
static struct {
    pthread_mutex_t lock;
    struct context **all;
    size_t n, capacity;
    unsigned long long last_id;
} contexts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int list_add(struct context *context)
{
    int error = 0;

    pthread_mutex_lock(&contexts.lock);
    if (contexts.n == contexts.capacity) {
        size_t wanted = contexts.capacity ? contexts.capacity * 2 : 8;
        struct context **grown = realloc(contexts.all, wanted * sizeof(*grown));

        if (grown) {
            contexts.all = grown;
            contexts.capacity = wanted;
        } else {
            error = -ENOMEM;
        }
    }
    if (!error) {
        contexts.all[contexts.n++] = context;
        context->id = ++contexts.last_id;
    }
    pthread_mutex_unlock(&contexts.lock);
    return error;
}

static void list_remove(struct context *context)
{
    pthread_mutex_lock(&contexts.lock);
    for (size_t i = 0; i < contexts.n; i++)
        if (contexts.all[i] == context)
            contexts.all[i--] = contexts.all[--contexts.n];
    pthread_mutex_unlock(&contexts.lock);
}

void context_for_each(void (*visit)(struct context *context, void *argument), void *argument)
{
    struct context *few[64];
    size_t n = 0;

    pthread_mutex_lock(&contexts.lock);
    size_t all = contexts.n;
    struct context **copy = all <= 64 ? few : malloc(all * sizeof(*copy));
    for (; copy && n < all; n++)
        copy[n] = object_ref(contexts.all[n]);
    pthread_mutex_unlock(&contexts.lock);
    for (size_t i = 0; i < n; i++) {
        visit(copy[i], argument);
        object_unref(copy[i]);
    }
    if (copy != few)
        free(copy);
}

static void wait_for_work(struct context *context, void *argument)
{
    engine_wait_all(&context->queue);
}

void context_wait_all(void)
{
    context_for_each(wait_for_work, NULL);
}

static void set_default_limits(struct context *context)
{
    context->limits[CU_LIMIT_STACK_SIZE] = CONTEXT_STACK_BYTES;
    context->limits[CU_LIMIT_PRINTF_FIFO_SIZE] = CONTEXT_PRINT_BYTES;
    context->limits[CU_LIMIT_MALLOC_HEAP_SIZE] = CONTEXT_HEAP_BYTES;
    context->limits[CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = 2;
    context->limits[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
    context->limits[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
}

/* The last reference is gone; what the context owned went in context_destroy. */
static void context_free(void *object)
{
    struct context *context = object;

    object_unref(context->legacy);
    heap_done(&context->small);
    heap_done(&context->small_managed);
    print_done(&context->print);
    pthread_mutex_destroy(&context->lock);
    free(context->peers);
    free(context);
}

CUresult context_new(struct device *device, unsigned flags, bool is_primary, struct context **ret_context)
{
    struct context *context = calloc(1, sizeof(*context));
    int error;

    if (!context)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&context->object, OBJECT_CONTEXT, context_free);
    context->device = device;
    context->flags = flags;
    context->is_primary = is_primary;
    context->attachments = 1;
    context->api_version = PROCESS_DRIVER_VERSION;
    set_default_limits(context);
    pthread_mutex_init(&context->lock, NULL);
    kernel_heap_init(&context->kernel_heap);
    print_init(&context->print, context->limits[CU_LIMIT_PRINTF_FIFO_SIZE]);
    heap_init(&context->small, MEMORY_BLOCK_BYTES);
    heap_init(&context->small_managed, MEMORY_BLOCK_BYTES);
    if (stream_new_legacy(context, &context->legacy)) {
        object_unref(context);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    error = sgdev_context_open(process_sgdev(), device->ordinal, &context->device_context);
    if (error) {
        object_unref(context);
        return process_result(error);
    }
    error = list_add(context);
    if (error) {
        sgdev_context_close(process_sgdev(), context->device_context);
        object_unref(context);
        return process_result(error);
    }
    engine_queue_init(&context->queue, process_sgdev(), device->ordinal, context->device_context,
                      device->properties->time_mode);
    object_publish(context);
    *ret_context = context;
    return CUDA_SUCCESS;
}

static void forget_peer(struct context *each, void *gone)
{
    pthread_mutex_lock(&each->lock);
    for (size_t i = 0; i < each->n_peers; i++)
        if (each->peers[i] == gone)
            each->peers[i--] = each->peers[--each->n_peers];
    pthread_mutex_unlock(&each->lock);
}

void context_destroy(struct context *context)
{
    if (!object_retire(context))
        return;
    __atomic_store_n(&context->destroyed, true, __ATOMIC_RELEASE);
    engine_queue_done(&context->queue);
    print_flush(&context->print);
    stream_drop_all(context);
    module_unload_all(context);
    texture_end_all(context);
    array_memory_end_all(context);
    kernel_heap_done(&context->kernel_heap);
    memory_free_all(context);
    list_remove(context);
    context_for_each(forget_peer, context);
    sgdev_context_close(process_sgdev(), context->device_context);
}

bool context_may_use(struct context *self, const struct context *owner)
{
    bool found = self == owner;

    if (found || !owner)
        return found;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->n_peers && !found; i++)
        found = self->peers[i] == owner;
    pthread_mutex_unlock(&self->lock);
    return found;
}

/* ---- status ---- */

CUresult context_status(const struct context *context)
{
    CUresult sticky = __atomic_load_n(&context->sticky, __ATOMIC_ACQUIRE);

    if (!sticky && __atomic_load_n(&context->queue.device_lost, __ATOMIC_ACQUIRE))
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    return sticky;
}

void context_fail(struct context *context, CUresult error)
{
    CUresult none = CUDA_SUCCESS;

    __atomic_compare_exchange_n(&context->sticky, &none, error, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    __atomic_store_n(&context->queue.poisoned, true, __ATOMIC_RELEASE);
}

CUresult context_current(struct context **ret_context)
{
    CUresult result = process_check();
    struct context *top;

    if (result)
        return result;
    if (thread_is_in_callback())
        return CUDA_ERROR_NOT_PERMITTED;
    top = thread_top();
    if (!top)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (__atomic_load_n(&top->destroyed, __ATOMIC_ACQUIRE))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    *ret_context = top;
    return CUDA_SUCCESS;
}

CUresult context_enter(struct context **ret_context)
{
    struct context *context;
    CUresult result = context_current(&context);

    if (result)
        return result;
    result = context_status(context);
    if (!result)
        *ret_context = context;
    return result;
}

CUresult context_get(CUcontext handle, struct context **ret_context)
{
    struct context *context;
    CUresult result;

    if (!handle) {
        result = context_current(&context);
        if (!result)
            *ret_context = object_ref(context);
        return result;
    }
    result = process_check();
    if (result)
        return result;
    context = object_get(OBJECT_CONTEXT, handle);
    if (!context)
        return CUDA_ERROR_INVALID_CONTEXT;
    *ret_context = context;
    return CUDA_SUCCESS;
}
