/* How the tests of graphs build them. */
#ifndef VGPU_TESTS_SOFTGPU_API_GRAPH_H
#define VGPU_TESTS_SOFTGPU_API_GRAPH_H

#include "softgpu_api.h"

static inline CUgraph new_graph(void)
{
    CUgraph graph;

    assert_ok(cuGraphCreate(&graph, 0));
    return graph;
}

static inline CUgraphExec instantiate(CUgraph graph)
{
    CUgraphExec exec;

    assert_ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    return exec;
}

static inline CUgraphNode add_fill(CUgraph graph, CUgraphNode after, CUdeviceptr to, unsigned value,
                                   size_t count)
{
    CUDA_MEMSET_NODE_PARAMS fill = {.dst = to, .value = value, .elementSize = 4, .width = count, .height = 1};
    CUgraphNode node;

    assert_ok(cuGraphAddMemsetNode(&node, graph, after ? &after : NULL, after != NULL, &fill, NULL));
    return node;
}

static inline CUDA_MEMCPY3D row_to_host(void *to, CUdeviceptr from, size_t bytes)
{
    return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = from,
                           .dstMemoryType = CU_MEMORYTYPE_HOST,
                           .dstHost = to,
                           .WidthInBytes = bytes,
                           .Height = 1,
                           .Depth = 1};
}

static inline CUgraphNode add_read(CUgraph graph, CUgraphNode after, void *to, CUdeviceptr from, size_t bytes)
{
    CUDA_MEMCPY3D copy = row_to_host(to, from, bytes);
    CUgraphNode node;

    assert_ok(cuGraphAddMemcpyNode(&node, graph, after ? &after : NULL, after != NULL, &copy, NULL));
    return node;
}

static inline CUgraphNode add_empty(CUgraph graph, const CUgraphNode *after, size_t count)
{
    CUgraphNode node;

    assert_ok(cuGraphAddEmptyNode(&node, graph, after, count));
    return node;
}

/* A kernel node that writes value to address. */
static inline CUgraphNode add_poke(CUgraph graph, CUgraphNode after, CUfunction poke, CUdeviceptr address,
                                   int value)
{
    unsigned long long to = address;
    void *params[] = {&to, &value};
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = poke,
                                      .gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 1,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = params};
    CUgraphNode node;

    assert_ok(cuGraphAddKernelNode(&node, graph, after ? &after : NULL, after != NULL, &kernel));
    return node;
}

#endif
