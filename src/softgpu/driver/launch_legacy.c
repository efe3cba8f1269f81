/* Launching as before CUDA 4: a function is told its block, its shared memory and its parameters one call at
 * a time, and then launched. What it was told is kept with the function; a launch hands it to cuLaunchKernel
 * as a buffer of parameters. */
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/function.h"

enum { PARAMS_MAX_BYTES = 4096 };

/* What a function was told; guarded by the lock of its module's context. */
struct function_setup {
    unsigned block[3], shared_bytes;
    size_t params_bytes;
    char params[PARAMS_MAX_BYTES];
};

/* The function and its setup, with the lock held and a reference for the caller, who ends with leave. */
static CUresult enter(CUfunction handle, struct function **ret_function)
{
    struct function *function;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = function_resolve(context, handle, &function);
    if (result)
        return result;
    pthread_mutex_lock(&function->module->context->lock);
    if (!function->setup)
        function->setup = calloc(1, sizeof(*function->setup));
    if (!function->setup) {
        pthread_mutex_unlock(&function->module->context->lock);
        object_unref(function);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *ret_function = function;
    return CUDA_SUCCESS;
}

static void leave(struct function *function)
{
    pthread_mutex_unlock(&function->module->context->lock);
    object_unref(function);
}

CUresult cuFuncSetBlockShape(CUfunction handle, int x, int y, int z)
{
    struct function *function;
    CUresult result = x > 0 && y > 0 && z > 0 ? enter(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    function->setup->block[0] = (unsigned)x;
    function->setup->block[1] = (unsigned)y;
    function->setup->block[2] = (unsigned)z;
    leave(function);
    return CUDA_SUCCESS;
}

CUresult cuFuncSetSharedSize(CUfunction handle, unsigned int bytes)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    function->setup->shared_bytes = bytes;
    leave(function);
    return CUDA_SUCCESS;
}

CUresult cuParamSetSize(CUfunction handle, unsigned int bytes)
{
    struct function *function;
    CUresult result = bytes <= PARAMS_MAX_BYTES ? enter(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    function->setup->params_bytes = bytes;
    leave(function);
    return CUDA_SUCCESS;
}

CUresult cuParamSetv(CUfunction handle, int offset, void *value, unsigned int bytes)
{
    struct function *function;
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    if (offset >= 0 && value && bytes <= PARAMS_MAX_BYTES && (unsigned)offset <= PARAMS_MAX_BYTES - bytes)
        result = enter(handle, &function);
    if (result)
        return result;
    memcpy(function->setup->params + offset, value, bytes);
    leave(function);
    return CUDA_SUCCESS;
}

CUresult cuParamSeti(CUfunction handle, int offset, unsigned int value)
{
    return cuParamSetv(handle, offset, &value, sizeof(value));
}

CUresult cuParamSetf(CUfunction handle, int offset, float value)
{
    return cuParamSetv(handle, offset, &value, sizeof(value));
}

CUresult cuLaunchGridAsync(CUfunction handle, int width, int height, CUstream stream)
{
    struct function_setup setup;
    struct function *function;
    CUresult result = width > 0 && height > 0 ? enter(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    setup = *function->setup;
    leave(function);

    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, setup.params, CU_LAUNCH_PARAM_BUFFER_SIZE,
                     &setup.params_bytes, CU_LAUNCH_PARAM_END};

    /* A block that was never told has no threads, which is refused. */
    return cuLaunchKernel(handle, (unsigned)width, (unsigned)height, 1, setup.block[0], setup.block[1],
                          setup.block[2], setup.shared_bytes, stream, NULL, extra);
}

CUresult cuLaunchGrid(CUfunction handle, int width, int height)
{
    return cuLaunchGridAsync(handle, width, height, NULL);
}

CUresult cuLaunch(CUfunction handle)
{
    return cuLaunchGridAsync(handle, 1, 1, NULL);
}
