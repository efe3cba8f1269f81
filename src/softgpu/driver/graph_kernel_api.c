/* The calls about kernel nodes: in both versions of their parameters, and their attributes. */
#include <stdlib.h>

#include "softgpu/driver/graph_api.h"

static CUgraphNodeParams kernel_from_v1(const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_KERNEL,
                               .kernel = {.func = params->func,
                                          .gridDimX = params->gridDimX,
                                          .gridDimY = params->gridDimY,
                                          .gridDimZ = params->gridDimZ,
                                          .blockDimX = params->blockDimX,
                                          .blockDimY = params->blockDimY,
                                          .blockDimZ = params->blockDimZ,
                                          .sharedMemBytes = params->sharedMemBytes,
                                          .kernelParams = params->kernelParams,
                                          .extra = params->extra}};
}

static CUgraphNodeParams kernel_from_v2(const CUDA_KERNEL_NODE_PARAMS *params)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_KERNEL,
                               .kernel = {.func = params->func,
                                          .gridDimX = params->gridDimX,
                                          .gridDimY = params->gridDimY,
                                          .gridDimZ = params->gridDimZ,
                                          .blockDimX = params->blockDimX,
                                          .blockDimY = params->blockDimY,
                                          .blockDimZ = params->blockDimZ,
                                          .sharedMemBytes = params->sharedMemBytes,
                                          .kernelParams = params->kernelParams,
                                          .extra = params->extra,
                                          .kern = params->kern,
                                          .ctx = params->ctx}};
}

static void kernel_to_v1(const struct node_params *params, CUDA_KERNEL_NODE_PARAMS_v1 *ret_params)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *kernel = &params->values.kernel;

    *ret_params = (CUDA_KERNEL_NODE_PARAMS_v1){
        .func = kernel->func ? kernel->func : (CUfunction)kernel->kern,
        .gridDimX = kernel->gridDimX,
        .gridDimY = kernel->gridDimY,
        .gridDimZ = kernel->gridDimZ,
        .blockDimX = kernel->blockDimX,
        .blockDimY = kernel->blockDimY,
        .blockDimZ = kernel->blockDimZ,
        .sharedMemBytes = kernel->sharedMemBytes,
        .kernelParams = kernel->kernelParams,
    };
}

static void kernel_to_v2(const struct node_params *params, CUDA_KERNEL_NODE_PARAMS *ret_params)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *kernel = &params->values.kernel;

    *ret_params = (CUDA_KERNEL_NODE_PARAMS){
        .func = kernel->func,
        .gridDimX = kernel->gridDimX,
        .gridDimY = kernel->gridDimY,
        .gridDimZ = kernel->gridDimZ,
        .blockDimX = kernel->blockDimX,
        .blockDimY = kernel->blockDimY,
        .blockDimZ = kernel->blockDimZ,
        .sharedMemBytes = kernel->sharedMemBytes,
        .kernelParams = kernel->kernelParams,
        .kern = kernel->kern,
        .ctx = (CUcontext)params->context,
    };
}

NODE_ADD(cuGraphAddKernelNode, CUDA_KERNEL_NODE_PARAMS_v1, kernel_from_v1)
NODE_ADD(cuGraphAddKernelNode_v2, CUDA_KERNEL_NODE_PARAMS, kernel_from_v2)
NODE_SET(cuGraphKernelNodeSetParams, CUDA_KERNEL_NODE_PARAMS_v1, kernel_from_v1)
NODE_SET(cuGraphKernelNodeSetParams_v2, CUDA_KERNEL_NODE_PARAMS, kernel_from_v2)
NODE_SET_IN_EXEC(cuGraphExecKernelNodeSetParams, CUDA_KERNEL_NODE_PARAMS_v1, kernel_from_v1)
NODE_SET_IN_EXEC(cuGraphExecKernelNodeSetParams_v2, CUDA_KERNEL_NODE_PARAMS, kernel_from_v2)
NODE_GET(cuGraphKernelNodeGetParams, CUDA_KERNEL_NODE_PARAMS_v1, CU_GRAPH_NODE_TYPE_KERNEL, kernel_to_v1)
NODE_GET(cuGraphKernelNodeGetParams_v2, CUDA_KERNEL_NODE_PARAMS, CU_GRAPH_NODE_TYPE_KERNEL, kernel_to_v2)

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID attribute,
                                       CUkernelNodeAttrValue *ret_value)
{
    struct node_params *params;
    CUresult result = graph_node_params(node, CU_GRAPH_NODE_TYPE_KERNEL, &params);

    if (result)
        return result;
    if (ret_value)
        *ret_value = node_params_attribute(params, attribute);
    else
        result = CUDA_ERROR_INVALID_VALUE;
    node_params_unref(params);
    return result;
}

/* The node's parameters again, with these attributes. */
static CUresult set_attributes(CUgraphNode handle, const CUgraphNodeParams *values,
                               const CUlaunchAttribute *attributes, unsigned count)
{
    struct node_params *params, *before;
    struct graph_node *node;
    CUresult result = graph_node_get(handle, &node);

    if (result)
        return result;
    result = node_params_new(values, attributes, count, &params);
    if (!result) {
        graph_lock();
        before = node->params;
        node->params = params;
        graph_unlock();
        node_params_unref(before);
    }
    object_unref(node);
    return result;
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID attribute,
                                       const CUkernelNodeAttrValue *value)
{
    CUlaunchAttribute *attributes;
    struct node_params *params;
    unsigned n = 0;
    CUresult result = graph_node_params(node, CU_GRAPH_NODE_TYPE_KERNEL, &params);

    if (result)
        return result;
    attributes = calloc(params->n_attributes + 1, sizeof(*attributes));
    if (!attributes)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    else if (!value)
        result = CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < params->n_attributes && !result; i++)
        if (params->attributes[i].id != attribute)
            attributes[n++] = params->attributes[i];
    if (!result) {
        attributes[n++] = (CUlaunchAttribute){.id = attribute, .value = *value};
        result = set_attributes(node, &params->values, attributes, n);
    }
    free(attributes);
    node_params_unref(params);
    return result;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode destination, CUgraphNode source)
{
    struct node_params *to, *from;
    CUresult result = graph_node_params(destination, CU_GRAPH_NODE_TYPE_KERNEL, &to);

    if (result)
        return result;
    result = graph_node_params(source, CU_GRAPH_NODE_TYPE_KERNEL, &from);
    if (!result) {
        result = set_attributes(destination, &to->values, from->attributes, from->n_attributes);
        node_params_unref(from);
    }
    node_params_unref(to);
    return result;
}
