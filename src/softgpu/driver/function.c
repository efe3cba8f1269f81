/* The cuFunc* and cuOccupancy* calls. Occupancy is the arithmetic of compute capability 7.5: a block takes
 * warps, registers and shared memory in units, and the scarcest decides. */
#include "softgpu/driver/function.h"

#include "softgpu/driver/device.h"

static unsigned round_up(unsigned value, unsigned unit)
{
    return (value + unit - 1) / unit * unit;
}

static unsigned registers_per_warp(const struct exec_kernel *kernel)
{
    return round_up(kernel->registers_per_thread * DEVICE_WARP, DEVICE_REGISTER_UNIT);
}

unsigned function_max_threads(const struct function *function)
{
    const struct exec_kernel *kernel = function->kernel;
    unsigned by_registers = DEVICE_REGISTERS / registers_per_warp(kernel) * DEVICE_WARP;

    return by_registers < kernel->max_threads_per_block ? by_registers : kernel->max_threads_per_block;
}

unsigned function_blocks_per_sm(const struct function *function, unsigned block_threads,
                                uint64_t dynamic_shared_bytes)
{
    const struct exec_kernel *kernel = function->kernel;
    unsigned warps = (block_threads + DEVICE_WARP - 1) / DEVICE_WARP;
    uint64_t shared = kernel->static_shared_bytes + dynamic_shared_bytes;
    unsigned blocks = DEVICE_BLOCKS_PER_SM, limit;

    if (!warps || block_threads > function_max_threads(function) || shared > DEVICE_SHARED_PER_SM)
        return 0;
    limit = DEVICE_THREADS_PER_SM / (warps * DEVICE_WARP);
    blocks = limit < blocks ? limit : blocks;
    limit = DEVICE_REGISTERS / registers_per_warp(kernel) / warps;
    blocks = limit < blocks ? limit : blocks;
    if (shared) {
        limit = DEVICE_SHARED_PER_SM / round_up((unsigned)shared, DEVICE_SHARED_UNIT);
        blocks = limit < blocks ? limit : blocks;
    }
    return blocks;
}

/* ---- attributes ---- */

CUresult function_get_attribute(const struct function *function, CUfunction_attribute attribute,
                                int *ret_value)
{
    const struct exec_kernel *kernel = function->kernel;
    const struct sgdev_properties *properties = function->module->context->device->properties;

    if (!ret_value)
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *ret_value = (int)function_max_threads(function);
        break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *ret_value = (int)kernel->static_shared_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
        *ret_value = (int)kernel->const_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *ret_value = (int)kernel->local_bytes_per_thread;
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *ret_value = (int)kernel->registers_per_thread;
        break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *ret_value = (int)kernel->ptx_version;
        break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *ret_value = (int)(properties->compute_major * 10 + properties->compute_minor);
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *ret_value = __atomic_load_n(&function->max_dynamic_shared_bytes, __ATOMIC_RELAXED);
        break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *ret_value = __atomic_load_n(&function->carveout, __ATOMIC_RELAXED);
        break;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        *ret_value = 0;
        break;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult function_set_attribute(struct function *function, CUfunction_attribute attribute, int value)
{
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 || (uint64_t)value + function->kernel->static_shared_bytes > DEVICE_SHARED_OPTIN)
            return CUDA_ERROR_INVALID_VALUE;
        __atomic_store_n(&function->max_dynamic_shared_bytes, value, __ATOMIC_RELAXED);
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < -1 || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        __atomic_store_n(&function->carveout, value, __ATOMIC_RELAXED);
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult function_get_parameter(const struct function *function, size_t index, size_t *ret_offset,
                                size_t *ret_bytes)
{
    if (!ret_offset || index >= function->kernel->n_params)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_offset = function->kernel->param_offset_bytes[index];
    if (ret_bytes)
        *ret_bytes = function->kernel->param_size_bytes[index];
    return CUDA_SUCCESS;
}

/* ---- calls ---- */

static CUresult enter(CUfunction handle, struct function **ret_function)
{
    struct context *context;
    CUresult result = context_enter(&context);

    return result ? result : function_resolve(context, handle, ret_function);
}

CUresult cuFuncGetAttribute(int *ret_value, CUfunction_attribute attribute, CUfunction handle)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    result = function_get_attribute(function, attribute, ret_value);
    object_unref(function);
    return result;
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    result = function_set_attribute(function, attribute, value);
    object_unref(function);
    return result;
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    object_unref(function);
    return (unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    object_unref(function);
    return (unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE ? CUDA_ERROR_INVALID_VALUE
                                                                        : CUDA_SUCCESS;
}

CUresult cuFuncGetModule(CUmodule *ret_module, CUfunction handle)
{
    struct function *function;
    CUresult result = ret_module ? enter(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    *ret_module = (CUmodule)function->module;
    object_unref(function);
    return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **ret_name, CUfunction handle)
{
    struct function *function;
    CUresult result = ret_name ? enter(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    *ret_name = function->kernel->name;
    object_unref(function);
    return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *ret_offset, size_t *ret_bytes)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    result = function_get_parameter(function, index, ret_offset, ret_bytes);
    object_unref(function);
    return result;
}

/* Functions are loaded with their module. */
CUresult cuFuncIsLoaded(CUfunctionLoadingState *ret_state, CUfunction handle)
{
    struct function *function;
    CUresult result = ret_state ? enter(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    *ret_state = CU_FUNCTION_LOADING_STATE_LOADED;
    object_unref(function);
    return CUDA_SUCCESS;
}

CUresult cuFuncLoad(CUfunction handle)
{
    CUfunctionLoadingState state;

    return cuFuncIsLoaded(&state, handle);
}

/* ---- occupancy ---- */

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *ret_blocks, CUfunction handle,
                                                              int block_size, size_t dynamic_bytes,
                                                              unsigned int flags)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    if (!ret_blocks || block_size <= 0 || (flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
        result = CUDA_ERROR_INVALID_VALUE;
    else
        *ret_blocks = (int)function_blocks_per_sm(function, (unsigned)block_size, dynamic_bytes);
    object_unref(function);
    return result;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *ret_blocks, CUfunction function, int block_size,
                                                     size_t dynamic_bytes)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(ret_blocks, function, block_size,
                                                                dynamic_bytes, CU_OCCUPANCY_DEFAULT);
}

/* The block size with the most threads on an SM; of equals the largest. dynamic_bytes_of is the user's
 * function. */
static void best_block_size(const struct function *function, CUoccupancyB2DSize dynamic_bytes_of,
                            size_t dynamic_bytes, unsigned limit, unsigned *ret_size, unsigned *ret_blocks)
{
    unsigned best_threads = 0;

    for (unsigned size = round_up(limit, DEVICE_WARP); size > 0; size -= DEVICE_WARP) {
        unsigned tried = size < limit ? size : limit;
        size_t dynamic = dynamic_bytes_of ? dynamic_bytes_of((int)tried) : dynamic_bytes;
        unsigned blocks = function_blocks_per_sm(function, tried, dynamic);

        if (blocks * tried <= best_threads)
            continue;
        best_threads = blocks * tried;
        *ret_size = tried;
        *ret_blocks = blocks;
    }
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *ret_min_grid_size, int *ret_block_size,
                                                   CUfunction handle, CUoccupancyB2DSize dynamic_bytes_of,
                                                   size_t dynamic_bytes, int block_size_limit,
                                                   unsigned int flags)
{
    unsigned size = 0, blocks = 0, limit;
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    if (!ret_min_grid_size || !ret_block_size || block_size_limit < 0 ||
        (flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)) {
        object_unref(function);
        return CUDA_ERROR_INVALID_VALUE;
    }
    limit = function_max_threads(function);
    if (block_size_limit && (unsigned)block_size_limit < limit)
        limit = (unsigned)block_size_limit;
    best_block_size(function, dynamic_bytes_of, dynamic_bytes, limit, &size, &blocks);
    *ret_block_size = (int)size;
    *ret_min_grid_size = (int)(blocks * function->module->context->device->properties->sm_count);
    object_unref(function);
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *ret_min_grid_size, int *ret_block_size, CUfunction function,
                                          CUoccupancyB2DSize dynamic_bytes_of, size_t dynamic_bytes,
                                          int block_size_limit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(ret_min_grid_size, ret_block_size, function,
                                                     dynamic_bytes_of, dynamic_bytes, block_size_limit,
                                                     CU_OCCUPANCY_DEFAULT);
}

/* Clusters of blocks begin with compute capability 9; no device here has them, whatever it calls itself. */
static CUresult refuse_clusters(const int *ret_count, CUfunction handle, const CUlaunchConfig *config)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    object_unref(function);
    return ret_count && config ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuOccupancyMaxPotentialClusterSize(int *ret_size, CUfunction handle, const CUlaunchConfig *config)
{
    return refuse_clusters(ret_size, handle, config);
}

CUresult cuOccupancyMaxActiveClusters(int *ret_clusters, CUfunction handle, const CUlaunchConfig *config)
{
    return refuse_clusters(ret_clusters, handle, config);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *ret_bytes, CUfunction handle, int blocks,
                                                 int block_size)
{
    struct function *function;
    CUresult result = enter(handle, &function);

    if (result)
        return result;
    if (!ret_bytes || blocks <= 0 || block_size <= 0 ||
        (unsigned)blocks > function_blocks_per_sm(function, (unsigned)block_size, 0)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        unsigned share = DEVICE_SHARED_PER_SM / (unsigned)blocks / DEVICE_SHARED_UNIT * DEVICE_SHARED_UNIT;

        *ret_bytes = share - function->kernel->static_shared_bytes;
    }
    object_unref(function);
    return result;
}
