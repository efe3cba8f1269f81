/* The cuCtx* and cuDevicePrimaryCtx* calls. */
#include <stdlib.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/stream.h"
#include "softgpu/driver/thread.h"

static bool flags_are_valid(unsigned flags)
{
    unsigned sched = flags & CU_CTX_SCHED_MASK;

    return !(flags & ~(unsigned)CU_CTX_FLAGS_MASK) &&
           (sched == CU_CTX_SCHED_AUTO || sched == CU_CTX_SCHED_SPIN || sched == CU_CTX_SCHED_YIELD ||
            sched == CU_CTX_SCHED_BLOCKING_SYNC);
}

/* ---- creation and destruction ---- */

static CUresult create(CUcontext *ret_handle, unsigned flags, CUdevice ordinal)
{
    struct device *device;
    struct context *context;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_handle || !flags_are_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    result = context_new(device, flags, false, &context);
    if (result)
        return result;
    if (thread_push(context)) {
        context_destroy(context);
        object_unref(context);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *ret_handle = (CUcontext)context;
    object_unref(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate(CUcontext *ret_context, unsigned int flags, CUdevice dev)
{
    return create(ret_context, flags, dev);
}

CUresult cuCtxCreate_v2(CUcontext *ret_context, unsigned int flags, CUdevice dev)
{
    return create(ret_context, flags, dev);
}

CUresult cuCtxCreate_v3(CUcontext *ret_context, CUexecAffinityParam *params, int n_params, unsigned int flags,
                        CUdevice dev)
{
    if (n_params < 0 || (n_params > 0 && !params))
        return CUDA_ERROR_INVALID_VALUE;
    return n_params > 0 ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : create(ret_context, flags, dev);
}

CUresult cuCtxCreate_v4(CUcontext *ret_context, CUctxCreateParams *params, unsigned int flags, CUdevice dev)
{
    if (params && params->execAffinityParams)
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
    if (params && params->cigParams)
        return CUDA_ERROR_NOT_SUPPORTED;
    return create(ret_context, flags, dev);
}

CUresult cuCtxDestroy_v2(CUcontext handle)
{
    struct context *context;
    CUresult result = process_check();

    if (result)
        return result;
    if (thread_is_in_callback())
        return CUDA_ERROR_NOT_PERMITTED;
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    context = object_get(OBJECT_CONTEXT, handle);
    if (!context || context->is_primary) {
        object_unref(context);
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (thread_top() == context)
        object_unref(thread_pop());
    context_destroy(context);
    object_unref(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle)
{
    return cuCtxDestroy_v2(handle);
}

CUresult cuCtxAttach(CUcontext *ret_context, unsigned int flags)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_context || flags)
        return CUDA_ERROR_INVALID_VALUE;
    __atomic_add_fetch(&context->attachments, 1, __ATOMIC_RELAXED);
    *ret_context = (CUcontext)context;
    return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext handle)
{
    struct context *context;
    CUresult result = context_current(&context);

    if (result)
        return result;
    /* It must be current, as documented; that also makes it a live one. */
    if ((struct context *)handle != context || context->is_primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    return __atomic_sub_fetch(&context->attachments, 1, __ATOMIC_RELAXED) ? CUDA_SUCCESS
                                                                          : cuCtxDestroy_v2(handle);
}

/* ---- which is current ---- */

CUresult cuCtxPushCurrent_v2(CUcontext handle)
{
    struct context *context;
    CUresult result = process_check();

    if (!result)
        result = handle ? context_get(handle, &context) : CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    if (thread_push(context))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    object_unref(context);
    return result;
}

CUresult cuCtxPushCurrent(CUcontext handle)
{
    return cuCtxPushCurrent_v2(handle);
}

CUresult cuCtxPopCurrent_v2(CUcontext *ret_context)
{
    CUresult result = process_check();
    struct context *top;

    if (result)
        return result;
    top = thread_pop();
    if (!top)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (ret_context)
        *ret_context = (CUcontext)top;
    object_unref(top);
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *ret_context)
{
    return cuCtxPopCurrent_v2(ret_context);
}

CUresult cuCtxSetCurrent(CUcontext handle)
{
    struct context *context = NULL;
    CUresult result = process_check();

    if (!result && handle)
        result = context_get(handle, &context);
    if (result)
        return result;
    object_unref(thread_pop());
    if (context && thread_push(context))
        result = CUDA_ERROR_OUT_OF_MEMORY;
    object_unref(context);
    return result;
}

CUresult cuCtxGetCurrent(CUcontext *ret_context)
{
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_context)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_context = (CUcontext)thread_top();
    return CUDA_SUCCESS;
}

/* ---- properties ---- */

CUresult cuCtxGetDevice_v2(CUdevice *ret_device, CUcontext handle)
{
    struct context *context;
    CUresult result = context_get(handle, &context);

    if (result)
        return result;
    if (ret_device)
        *ret_device = (CUdevice)context->device->number;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(context);
    return result;
}

CUresult cuCtxGetDevice(CUdevice *ret_device)
{
    return cuCtxGetDevice_v2(ret_device, NULL);
}

CUresult cuCtxGetFlags(unsigned int *ret_flags)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_flags)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    *ret_flags = context->flags;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned int flags)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!flags_are_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    context->flags = flags;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *ret_id)
{
    struct context *context;
    CUresult result = context_get(handle, &context);

    if (result)
        return result;
    if (ret_id)
        *ret_id = context->id;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(context);
    return result;
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned int *ret_version)
{
    struct context *context;
    CUresult result = context_get(handle, &context);

    if (result)
        return result;
    if (ret_version)
        *ret_version = context->api_version;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(context);
    return result;
}

CUresult cuCtxGetStreamPriorityRange(int *ret_least, int *ret_greatest)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (ret_least)
        *ret_least = STREAM_PRIORITY_LEAST;
    if (ret_greatest)
        *ret_greatest = STREAM_PRIORITY_GREATEST;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *ret_config)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_config)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    *ret_config = context->cache_config;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    context->cache_config = config;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *ret_config)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_config)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    *ret_config = context->shared_config;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    context->shared_config = config;
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxResetPersistingL2Cache(void)
{
    struct context *context;

    return context_enter(&context);
}

/* ---- synchronisation ---- */

CUresult cuCtxSynchronize_v2(CUcontext handle)
{
    struct context *context;
    CUresult result = context_get(handle, &context);

    if (result)
        return result;
    result = context_status(context);
    if (!result)
        result = capture_forbid_context(context);
    if (!result) {
        engine_wait_all(&context->queue);
        pool_synchronized(context->device);
        result = context_status(context);
    }
    print_flush(&context->print);
    object_unref(context);
    return result;
}

CUresult cuCtxSynchronize(void)
{
    return cuCtxSynchronize_v2(NULL);
}

/* ---- peers ---- */

static CUresult add_peer(struct context *context, struct context *peer)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&context->lock);
    for (size_t i = 0; i < context->n_peers && !result; i++)
        if (context->peers[i] == peer)
            result = CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    if (!result) {
        struct context **grown = realloc(context->peers, (context->n_peers + 1) * sizeof(*grown));

        if (grown) {
            context->peers = grown;
            context->peers[context->n_peers++] = peer;
        } else {
            result = CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    pthread_mutex_unlock(&context->lock);
    return result;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer_handle, unsigned int flags)
{
    struct context *context, *peer;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    peer = object_get(OBJECT_CONTEXT, peer_handle);
    if (!peer)
        return CUDA_ERROR_INVALID_CONTEXT;
    result = peer == context ? CUDA_ERROR_INVALID_CONTEXT : add_peer(context, peer);
    object_unref(peer);
    return result;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer_handle)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    engine_wait_all(&context->queue);
    result = CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    pthread_mutex_lock(&context->lock);
    for (size_t i = 0; i < context->n_peers && result; i++) {
        if (context->peers[i] != (struct context *)peer_handle)
            continue;
        context->peers[i] = context->peers[--context->n_peers];
        result = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&context->lock);
    space_invalidate();
    return result;
}

/* ---- primary contexts ---- */

CUresult cuDevicePrimaryCtxRetain(CUcontext *ret_context, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_context)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&device->lock);
    if (!device->primary)
        result = context_new(device, device->primary_flags, true, &device->primary);
    if (!result) {
        device->primary_refs++;
        *ret_context = (CUcontext)device->primary;
    }
    pthread_mutex_unlock(&device->lock);
    return result;
}

/* Ends the primary context; the lock is not held while its work is waited for. */
static void end_primary(struct context *primary)
{
    if (!primary)
        return;
    context_destroy(primary);
    pool_reset(primary->device);
    object_unref(primary);
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal)
{
    struct context *ending = NULL;
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    pthread_mutex_lock(&device->lock);
    if (!device->primary_refs)
        result = CUDA_ERROR_INVALID_CONTEXT;
    else if (--device->primary_refs == 0) {
        ending = device->primary;
        device->primary = NULL;
    }
    pthread_mutex_unlock(&device->lock);
    end_primary(ending);
    return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice ordinal)
{
    return cuDevicePrimaryCtxRelease_v2(ordinal);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice ordinal)
{
    struct context *ending;
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    pthread_mutex_lock(&device->lock);
    ending = device->primary;
    device->primary = NULL;
    device->primary_refs = 0;
    pthread_mutex_unlock(&device->lock);
    end_primary(ending);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice ordinal)
{
    return cuDevicePrimaryCtxReset_v2(ordinal);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice ordinal, unsigned int flags)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!flags_are_valid(flags))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&device->lock);
    device->primary_flags = flags;
    if (device->primary) {
        pthread_mutex_lock(&device->primary->lock);
        device->primary->flags = flags;
        pthread_mutex_unlock(&device->primary->lock);
    }
    pthread_mutex_unlock(&device->lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice ordinal, unsigned int flags)
{
    return cuDevicePrimaryCtxSetFlags_v2(ordinal, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned int *ret_flags, int *ret_active)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_flags || !ret_active)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&device->lock);
    *ret_flags = device->primary_flags;
    *ret_active = device->primary != NULL;
    pthread_mutex_unlock(&device->lock);
    return CUDA_SUCCESS;
}
