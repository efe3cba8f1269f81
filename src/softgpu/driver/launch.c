/* Kernel launches: what a launch asks for is checked against the kernel and the device, its parameters are
 * copied, and it becomes work of its stream. What goes wrong while it runs is the context's sticky error. */
#include "softgpu/driver/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/function.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/stream.h"
#include "softgpu/driver/transfer.h"

struct launch_work {
    struct engine_work work;
    struct context *context;
    struct function *function; /* referenced */
    struct exec_launch launch;
    char params[];
};

/* ---- running ---- */

static bool find_memory(void *owner, uint64_t address, struct exec_range *ret_range)
{
    struct space_allocation found;
    struct context *context = owner;
    char *host;
    bool usable;

    if (!space_resolve(address, 1, &host, &found))
        return false;
    switch (found.kind) {
    case SPACE_DEVICE:
    case SPACE_GLOBAL:
    case SPACE_KERNEL_HEAP:
        usable = context_may_use(context, found.owner);
        break;
    case SPACE_POOL:
    case SPACE_MAPPED:
    case SPACE_GRAPH:
        usable = found.device_mask & (UINT32_C(1) << context->device->ordinal);
        break;
    case SPACE_ARRAY:
        usable = false;
        break;
    default:
        usable = true;
    }
    if (usable)
        *ret_range = (struct exec_range){
            .base = found.base,
            .end = found.base + found.reach_bytes,
            .host = found.host,
            .is_read_only =
                found.kind == SPACE_MAPPED && !(found.write_mask & (UINT32_C(1) << context->device->ordinal)),
        };
    return usable;
}

static CUresult fault_code(enum exec_fault fault)
{
    switch (fault) {
    case EXEC_OK:
        return CUDA_SUCCESS;
    case EXEC_FAULT_ILLEGAL_ADDRESS:
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    case EXEC_FAULT_MISALIGNED:
        return CUDA_ERROR_MISALIGNED_ADDRESS;
    case EXEC_FAULT_ILLEGAL_INSTRUCTION:
        return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case EXEC_FAULT_ASSERT:
        return CUDA_ERROR_ASSERT;
    case EXEC_FAULT_TIMEOUT:
        return CUDA_ERROR_LAUNCH_TIMEOUT;
    case EXEC_FAULT_STACK:
    case EXEC_FAULT_TRAP:
        return CUDA_ERROR_LAUNCH_FAILED;
    }
    return CUDA_ERROR_LAUNCH_FAILED;
}

static void tell_fault(const struct launch_work *self, const struct exec_result *result)
{
    if (result->fault == EXEC_FAULT_ASSERT)
        fprintf(stderr, "%s\n", result->fault_text);
    else
        process_warn("kernel %s: %s", self->function->kernel->name, result->fault_text);
}

/* The part of the device's SMs that a grid can fill. */
static uint32_t sm_permille(const struct exec_launch *launch)
{
    uint64_t blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];

    return blocks >= launch->sm_count ? 1000 : (uint32_t)(blocks * 1000 / launch->sm_count);
}

static void launch_run(struct engine_work *work)
{
    struct launch_work *self = (struct launch_work *)work;
    const struct sgdev_properties *properties = self->context->device->properties;
    uint64_t now_ns = sgdev_now_ns(work->queue->dev, work->queue->ordinal);
    uint64_t rate = properties->ips_per_sm ? properties->ips_per_sm : (uint64_t)properties->clock_khz * 1000;
    struct exec_result result = {0};
    int error;

    self->launch.start_ns = work->ready_ns > now_ns ? work->ready_ns : now_ns;
    error = exec_run(&self->launch, &result);
    work->duration_ns = properties->launch_ns;
    if (error) {
        context_fail(self->context,
                     error == -ENOMEM ? CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES : CUDA_ERROR_LAUNCH_FAILED);
        return;
    }
    work->duration_ns += transfer_duration_ns(result.model_cycles, rate);
    if (result.fault) {
        tell_fault(self, &result);
        context_fail(self->context, fault_code(result.fault));
    }
}

static void launch_destroy(struct engine_work *work)
{
    struct launch_work *self = (struct launch_work *)work;

    object_unref(self->function);
    free(self);
}

/* ---- checking ---- */

static CUresult check_shape(const struct launch_request *request, const struct function *function)
{
    static const unsigned block_max[3] = {DEVICE_BLOCK_X, DEVICE_BLOCK_Y, DEVICE_BLOCK_Z};
    static const unsigned grid_max[3] = {DEVICE_GRID_X, DEVICE_GRID_YZ, DEVICE_GRID_YZ};
    uint64_t threads = (uint64_t)request->block[0] * request->block[1] * request->block[2];
    uint64_t shared = (uint64_t)request->shared_bytes + function->kernel->static_shared_bytes;
    int max_dynamic = __atomic_load_n(&function->max_dynamic_shared_bytes, __ATOMIC_RELAXED);

    for (int i = 0; i < 3; i++)
        if (!request->grid[i] || request->grid[i] > grid_max[i] || !request->block[i] ||
            request->block[i] > block_max[i])
            return CUDA_ERROR_INVALID_VALUE;
    if (threads > DEVICE_THREADS_PER_BLOCK)
        return CUDA_ERROR_INVALID_VALUE;
    if ((request->shared_bytes && request->shared_bytes > (unsigned)max_dynamic) ||
        shared > DEVICE_SHARED_OPTIN)
        return CUDA_ERROR_INVALID_VALUE;
    if (threads > function_max_threads(function))
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return CUDA_SUCCESS;
}

/* A kernel with an instruction that the interpreter does not have is refused, and the log says which. */
static CUresult check_supported(const struct function *function)
{
    const struct exec_kernel *kernel = function->kernel;

    if (!kernel->unsupported)
        return CUDA_SUCCESS;
    process_warn("kernel %s cannot run: %s", kernel->name, kernel->unsupported);
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* All blocks of a cooperative launch are on the device at once, or it is refused. */
static CUresult check_cooperative(const struct launch_request *request, const struct function *function)
{
    unsigned threads = request->block[0] * request->block[1] * request->block[2];
    unsigned __int128 blocks = (unsigned __int128)request->grid[0] * request->grid[1] * request->grid[2];
    unsigned per_sm = function_blocks_per_sm(function, threads, request->shared_bytes);

    return blocks > (uint64_t)per_sm * function->module->context->device->properties->sm_count
               ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
               : CUDA_SUCCESS;
}

/* The buffer of the `extra` form: pairs of key and value, ended by CU_LAUNCH_PARAM_END. */
static CUresult copy_extra(void **extra, const struct exec_kernel *kernel, char *params)
{
    const void *buffer = NULL;
    const size_t *bytes = NULL;

    while (*extra != CU_LAUNCH_PARAM_END) {
        if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
        else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
            bytes = extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
        extra += 2;
    }
    if (!kernel->n_params)
        return CUDA_SUCCESS;

    size_t last = kernel->n_params - 1;
    size_t needed = (size_t)kernel->param_offset_bytes[last] + kernel->param_size_bytes[last];

    if (!buffer || !bytes || *bytes < needed)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(params, buffer, *bytes < kernel->param_bytes ? *bytes : kernel->param_bytes);
    return CUDA_SUCCESS;
}

CUresult launch_copy_params(const struct launch_request *request, const struct exec_kernel *kernel,
                            char *params)
{
    if (request->params && request->extra)
        return CUDA_ERROR_INVALID_VALUE;
    if (request->extra)
        return copy_extra(request->extra, kernel, params);
    if (kernel->n_params && !request->params)
        return CUDA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < kernel->n_params; i++) {
        if (!request->params[i])
            return CUDA_ERROR_INVALID_VALUE;
        memcpy(params + kernel->param_offset_bytes[i], request->params[i], kernel->param_size_bytes[i]);
    }
    return CUDA_SUCCESS;
}

/* ---- launching ---- */

CUresult launch_check(const struct launch_request *request, const struct function *function)
{
    CUresult result = check_shape(request, function);

    if (!result)
        result = check_supported(function);
    if (!result && request->cooperative)
        result = check_cooperative(request, function);
    return result;
}

CUresult launch_work_new(const struct launch_request *request, struct function *function,
                         struct context *context, struct engine_work **ret_work)
{
    const struct exec_kernel *kernel = function->kernel;
    const struct sgdev_properties *properties = context->device->properties;
    struct launch_work *self = calloc(1, sizeof(*self) + kernel->param_bytes);
    CUresult result;

    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = launch_copy_params(request, kernel, self->params);
    if (result) {
        free(self);
        return result;
    }
    engine_work_init(&self->work, &context->queue, ENGINE_COMPUTE, launch_run, launch_destroy);
    self->context = context;
    self->function = object_ref(function);
    self->launch = (struct exec_launch){
        .program = function->module->program,
        .kernel = function->index,
        .grid = {request->grid[0], request->grid[1], request->grid[2]},
        .block = {request->block[0], request->block[1], request->block[2]},
        .dynamic_shared_bytes = request->shared_bytes,
        .params = self->params,
        .cooperative = request->cooperative,
        .memory = {.find = find_memory, .owner = context, .generation = space_generation()},
        .sm_count = properties->sm_count,
        .clock_khz = properties->clock_khz,
        .print = print_add,
        .print_owner = &context->print,
        .heap_take = kernel_heap_take,
        .heap_give = kernel_heap_give,
        .heap_owner = context,
    };
    self->work.sm_permille = sm_permille(&self->launch);
    *ret_work = &self->work;
    return CUDA_SUCCESS;
}

static CUgraphNodeParams node_of(const struct launch_request *request, CUfunction function)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_KERNEL,
                               .kernel = {.func = function,
                                          .gridDimX = request->grid[0],
                                          .gridDimY = request->grid[1],
                                          .gridDimZ = request->grid[2],
                                          .blockDimX = request->block[0],
                                          .blockDimY = request->block[1],
                                          .blockDimZ = request->block[2],
                                          .sharedMemBytes = request->shared_bytes,
                                          .kernelParams = request->params,
                                          .extra = request->extra}};
}

static CUresult launch_in(const struct launch_request *request, struct function *function,
                          struct stream *stream)
{
    CUgraphNodeParams node = node_of(request, (CUfunction)function);
    struct engine_work *work;
    CUresult result;

    if (function->module->context != stream->context)
        return CUDA_ERROR_INVALID_HANDLE;
    if (capture_kernel(stream, &node, request->attributes, request->n_attributes, &result))
        return result;
    result = launch_check(request, function);
    if (!result)
        result = launch_work_new(request, function, stream->context, &work);
    return result ? result : stream_submit_and_forget(stream, work);
}

static CUresult launch(const struct launch_request *request, CUfunction handle)
{
    struct function *function;
    struct context *context;
    struct stream *stream;
    CUresult result = context_enter(&context);

    if (!result)
        result = stream_resolve(context, request->stream, request->per_thread, &stream);
    if (result)
        return result;
    result = function_resolve(stream->context, handle, &function);
    if (!result) {
        result = launch_in(request, function, stream);
        object_unref(function);
    }
    object_unref(stream);
    return result;
}

static CUresult cuLaunchKernel_in(bool per_thread, CUfunction function, unsigned grid_x, unsigned grid_y,
                                  unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                                  unsigned shared_bytes, CUstream stream, void **params, void **extra)
{
    struct launch_request request = {{grid_x, grid_y, grid_z},
                                     {block_x, block_y, block_z},
                                     shared_bytes,
                                     stream,
                                     params,
                                     extra,
                                     per_thread,
                                     false,
                                     NULL,
                                     0};

    return launch(&request, function);
}

STREAM_VARIANTS(cuLaunchKernel, _ptsz,
                (CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                 unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
                 CUstream stream, void **params, void **extra),
                function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, params,
                extra)

static CUresult cuLaunchCooperativeKernel_in(bool per_thread, CUfunction function, unsigned grid_x,
                                             unsigned grid_y, unsigned grid_z, unsigned block_x,
                                             unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                             CUstream stream, void **params)
{
    static const CUlaunchAttribute cooperative = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
                                                  .value = {.cooperative = 1}};
    struct launch_request request = {{grid_x, grid_y, grid_z},
                                     {block_x, block_y, block_z},
                                     shared_bytes,
                                     stream,
                                     params,
                                     NULL,
                                     per_thread,
                                     true,
                                     &cooperative,
                                     1};

    return launch(&request, function);
}

STREAM_VARIANTS(cuLaunchCooperativeKernel, _ptsz,
                (CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                 unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
                 CUstream stream, void **params),
                function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, params)

/* Attributes that are hints, or say what is so anyway, are taken; those whose absence would be noticed are
 * refused. */
CUresult launch_apply_attribute(struct launch_request *request, const CUlaunchAttribute *attribute)
{
    switch (attribute->id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
        request->cooperative = attribute->value.cooperative != 0;
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        return attribute->value.clusterDim.x == 1 && attribute->value.clusterDim.y == 1 &&
                       attribute->value.clusterDim.z == 1
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_NOT_SUPPORTED;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
    case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
    case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static CUresult cuLaunchKernelEx_in(bool per_thread, const CUlaunchConfig *config, CUfunction function,
                                    void **params, void **extra)
{
    CUresult result = CUDA_SUCCESS;

    if (!config || (config->numAttrs && !config->attrs))
        return CUDA_ERROR_INVALID_VALUE;

    struct launch_request request = {
        .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
        .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
        .shared_bytes = config->sharedMemBytes,
        .stream = config->hStream,
        .params = params,
        .extra = extra,
        .per_thread = per_thread,
        .attributes = config->attrs,
        .n_attributes = config->numAttrs,
    };

    for (unsigned i = 0; i < config->numAttrs && !result; i++)
        result = launch_apply_attribute(&request, &config->attrs[i]);
    return result ? result : launch(&request, function);
}

STREAM_VARIANTS(cuLaunchKernelEx, _ptsz,
                (const CUlaunchConfig *config, CUfunction function, void **params, void **extra), config,
                function, params, extra)
