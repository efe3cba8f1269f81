/* Parameters of nodes: each type has a reader, which checks and copies, and a maker, which turns them into
 * work. */
#include "softgpu/driver/graph_node.h"

#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/event.h"
#include "softgpu/driver/launch.h"
#include "softgpu/driver/library.h"
#include "softgpu/driver/memop.h"
#include "softgpu/driver/transfer.h"
#include "softgpu/driver/user_object.h"

/* ---- kernels ---- */

static struct launch_request request_of(const struct node_params *params)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *kernel = &params->values.kernel;

    return (struct launch_request){
        .grid = {kernel->gridDimX, kernel->gridDimY, kernel->gridDimZ},
        .block = {kernel->blockDimX, kernel->blockDimY, kernel->blockDimZ},
        .shared_bytes = kernel->sharedMemBytes,
        .params = kernel->kernelParams,
        .extra = kernel->extra,
        .cooperative = node_params_attribute(params, CU_LAUNCH_ATTRIBUTE_COOPERATIVE).cooperative != 0,
    };
}

static CUresult resolve_function(struct node_params *self)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *kernel = &self->values.kernel;
    struct context *context;
    CUresult result = context_get(kernel->ctx, &context);

    if (result)
        return result;
    result =
        function_resolve(context, kernel->func ? kernel->func : (CUfunction)kernel->kern, &self->function);
    object_unref(context);
    if (!result)
        self->context = object_ref(self->function->module->context);
    return result;
}

static CUresult copy_attributes(struct node_params *self, const CUlaunchAttribute *attributes, unsigned n)
{
    struct launch_request ignored = {0};

    self->attributes = n ? calloc(n, sizeof(*attributes)) : NULL;
    if (n && !self->attributes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < n; i++) {
        CUresult result = launch_apply_attribute(&ignored, &attributes[i]);

        if (result)
            return result;
        self->attributes[i] = attributes[i];
    }
    self->n_attributes = n;
    return CUDA_SUCCESS;
}

static CUresult copy_kernel_params(struct node_params *self, const struct launch_request *request)
{
    const struct exec_kernel *kernel = self->function->kernel;
    CUresult result;

    self->storage = calloc(1, kernel->param_bytes + 1);
    self->kernel_params = calloc(kernel->n_params + 1, sizeof(void *));
    if (!self->storage || !self->kernel_params)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = launch_copy_params(request, kernel, self->storage);
    for (uint32_t i = 0; i < kernel->n_params; i++)
        self->kernel_params[i] = self->storage + kernel->param_offset_bytes[i];
    self->values.kernel.kernelParams = kernel->n_params ? self->kernel_params : NULL;
    self->values.kernel.extra = NULL;
    return result;
}

static CUresult read_kernel(struct node_params *self)
{
    struct launch_request request;
    CUresult result = resolve_function(self);

    if (result)
        return result;
    request = request_of(self);
    result = launch_check(&request, self->function);
    return result ? result : copy_kernel_params(self, &request);
}

CUlaunchAttributeValue node_params_attribute(const struct node_params *params, CUlaunchAttributeID id)
{
    for (unsigned i = 0; i < params->n_attributes; i++)
        if (params->attributes[i].id == id)
            return params->attributes[i].value;
    return (CUlaunchAttributeValue){{0}};
}

/* ---- copies and fills ---- */

static CUresult read_copy(struct node_params *self)
{
    struct transfer_copy copy;
    CUresult result = transfer_describe_3d(&self->values.memcpy.copyParams, &copy);

    return result ? result : context_get(self->values.memcpy.copyCtx, &self->context);
}

static CUresult describe_fill(const struct node_params *self, struct transfer_fill *ret_fill)
{
    const CUDA_MEMSET_NODE_PARAMS_v2 *fill = &self->values.memset;

    if (fill->elementSize != 1 && fill->elementSize != 2 && fill->elementSize != 4)
        return CUDA_ERROR_INVALID_VALUE;
    return transfer_describe_fill(fill->dst, fill->pitch, fill->value, fill->elementSize, fill->width,
                                  fill->height, ret_fill);
}

static CUresult read_fill(struct node_params *self)
{
    struct transfer_fill fill;
    CUresult result = describe_fill(self, &fill);

    return result ? result : context_get(self->values.memset.ctx, &self->context);
}

/* ---- the other types ---- */

static CUresult read_event(struct node_params *self)
{
    CUevent handle = self->values.type == CU_GRAPH_NODE_TYPE_EVENT_RECORD ? self->values.eventRecord.event
                                                                          : self->values.eventWait.event;

    self->event = object_get(OBJECT_EVENT, handle);
    if (!self->event)
        return CUDA_ERROR_INVALID_VALUE;
    /* What a launch does to an event is the engine's business; of one of several processes it knows nothing.
     */
    return self->event->shared ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

static void lend_child(struct node_params *self, struct graph *child)
{
    self->child = object_ref(child);
    self->child_is_lent = true;
}

static CUresult read_child(struct node_params *self)
{
    struct graph *child = object_get(OBJECT_GRAPH, self->values.graph.graph);
    CUresult result = CUDA_SUCCESS;

    if (!child || child->parent)
        result = CUDA_ERROR_INVALID_VALUE;
    else if (self->values.graph.ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE)
        lend_child(self, child);
    else if (self->values.graph.ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE)
        result = graph_clone(child, &self->child);
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(child);
    return result;
}

/* Devices whose kernels may use what an allocation node allocates: its own, and those it names. */
static CUresult read_access(const CUDA_MEM_ALLOC_NODE_PARAMS_v2 *alloc, uint32_t *ret_mask)
{
    if (alloc->accessDescCount && !alloc->accessDescs)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < alloc->accessDescCount; i++) {
        const CUmemAccessDesc *access = &alloc->accessDescs[i];
        struct device *device;

        if (access->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
            access->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
            return CUDA_ERROR_INVALID_VALUE;
        if (process_device(access->location.id, &device))
            return CUDA_ERROR_INVALID_VALUE;
        *ret_mask |= UINT32_C(1) << device->ordinal;
    }
    return CUDA_SUCCESS;
}

static CUresult read_alloc(struct node_params *self)
{
    CUDA_MEM_ALLOC_NODE_PARAMS_v2 *alloc = &self->values.alloc;
    struct device *device;
    uint32_t mask = 0;
    CUresult result;

    if (!alloc->bytesize || alloc->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        alloc->poolProps.handleTypes != CU_MEM_HANDLE_TYPE_NONE ||
        alloc->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
        process_device(alloc->poolProps.location.id, &device))
        return CUDA_ERROR_INVALID_VALUE;
    result = read_access(alloc, &mask);
    if (!result)
        result = graph_allocation_new(device, alloc->bytesize, mask | UINT32_C(1) << device->ordinal,
                                      &self->allocation);
    if (result)
        return result;
    alloc->accessDescs = NULL;
    alloc->accessDescCount = 0;
    alloc->dptr = self->allocation->address;
    return CUDA_SUCCESS;
}

static CUresult read_free(struct node_params *self)
{
    self->allocation = graph_allocation_at(self->values.free.dptr);
    return self->allocation ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult read_operations(struct node_params *self)
{
    CUDA_BATCH_MEM_OP_NODE_PARAMS_v2 *batch = &self->values.memOp;
    CUresult result = memop_check(batch->count, batch->paramArray, batch->flags);

    if (!result)
        result = context_get(batch->ctx, &self->context);
    if (result)
        return result;
    self->operations = calloc(batch->count + 1, sizeof(*self->operations));
    if (!self->operations)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < batch->count; i++)
        self->operations[i] = batch->paramArray[i];
    batch->paramArray = self->operations;
    return CUDA_SUCCESS;
}

static CUresult read_params(struct node_params *self)
{
    switch (self->values.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return read_kernel(self);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return read_copy(self);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return read_fill(self);
    case CU_GRAPH_NODE_TYPE_HOST:
        return self->values.host.fn ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_GRAPH_NODE_TYPE_GRAPH:
        return read_child(self);
    case CU_GRAPH_NODE_TYPE_EMPTY:
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        return read_event(self);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        return read_alloc(self);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        return read_free(self);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return read_operations(self);
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

/* ---- life ---- */

/* A child graph goes with its node: its handles, and those of its nodes, end. */
static void end_child(struct graph *child)
{
    graph_lock();
    child->parent = NULL;
    graph_unlock();
    graph_end(child);
    object_unref(child);
}

struct node_params *node_params_ref(struct node_params *params)
{
    __atomic_fetch_add(&params->refs, 1, __ATOMIC_RELAXED);
    return params;
}

void node_params_unref(struct node_params *params)
{
    if (!params || __atomic_sub_fetch(&params->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (params->child && params->child_is_lent)
        object_unref(params->child);
    else if (params->child)
        end_child(params->child);
    object_unref(params->context);
    object_unref(params->function);
    object_unref(params->event);
    graph_allocation_unref(params->allocation);
    free(params->attributes);
    free(params->storage);
    free(params->kernel_params);
    free(params->operations);
    free(params);
}

CUresult node_params_new(const CUgraphNodeParams *values, const CUlaunchAttribute *attributes,
                         unsigned n_attributes, struct node_params **ret_params)
{
    struct node_params *self = calloc(1, sizeof(*self));
    CUresult result;

    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    self->refs = 1;
    self->values = *values;
    result = copy_attributes(self, attributes, n_attributes);
    if (!result)
        result = read_params(self);
    if (result)
        node_params_unref(self);
    else
        *ret_params = self;
    return result;
}

CUresult node_params_new_child(struct graph *child, struct node_params **ret_params)
{
    struct node_params *self = calloc(1, sizeof(*self));

    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    self->refs = 1;
    self->values.type = CU_GRAPH_NODE_TYPE_GRAPH;
    self->values.graph.graph = (CUgraph)child;
    self->child = child;
    *ret_params = self;
    return CUDA_SUCCESS;
}

/* ---- work ---- */

static CUresult made(struct engine_work *work, struct engine_work **ret_work)
{
    if (!work)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *ret_work = work;
    return CUDA_SUCCESS;
}

static CUresult copy_work(const struct node_params *params, struct context *context,
                          struct engine_work **ret_work)
{
    struct transfer_copy copy;
    CUresult result = transfer_describe_3d(&params->values.memcpy.copyParams, &copy);

    if (result)
        return result;
    if (!copy.box.width_bytes || !copy.box.height || !copy.box.depth)
        return made(engine_marker_new(&context->queue), ret_work);
    return made(transfer_copy_work(context, &copy), ret_work);
}

static CUresult fill_work(const struct node_params *params, struct context *context,
                          struct engine_work **ret_work)
{
    struct transfer_fill fill;
    CUresult result = describe_fill(params, &fill);

    if (result)
        return result;
    if (!fill.box.width_bytes || !fill.box.height)
        return made(engine_marker_new(&context->queue), ret_work);
    return made(transfer_fill_work(context, &fill), ret_work);
}

CUresult node_params_work(const struct node_params *params, struct context *context, bool disabled,
                          struct engine_work **ret_work)
{
    struct launch_request request;
    CUresult result;

    if (params->context)
        context = params->context;
    if (__atomic_load_n(&context->destroyed, __ATOMIC_ACQUIRE))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    result = context_status(context);
    if (result)
        return result;
    if (disabled)
        return made(engine_marker_new(&context->queue), ret_work);
    switch (params->values.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        request = request_of(params);
        return launch_work_new(&request, params->function, context, ret_work);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return copy_work(params, context, ret_work);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return fill_work(params, context, ret_work);
    case CU_GRAPH_NODE_TYPE_HOST:
        return made(stream_host_work(context, params->values.host.fn, params->values.host.userData),
                    ret_work);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
        return made(memop_work(context, params->values.memOp.count, params->operations), ret_work);
    default:
        return made(engine_marker_new(&context->queue), ret_work);
    }
}
