/* The memory of graphs through the driver API: when it is taken, whose it is, and when it is given back. */
#include "softgpu_api_graph.h"

#include <dlfcn.h>

#include "api/nvml_api.h"

static uint64_t figure(CUgraphMem_attribute attribute)
{
    cuuint64_t value;

    assert_ok(cuDeviceGetGraphMemAttribute(0, attribute, &value));
    return value;
}

static CUdeviceptr add_alloc(CUgraph graph, size_t bytes, CUgraphNode *ret_node)
{
    CUDA_MEM_ALLOC_NODE_PARAMS alloc = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                                      .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
                                        .bytesize = bytes};

    assert_ok(cuGraphAddMemAllocNode(ret_node, graph, NULL, 0, &alloc));
    assert_int_not_equal(alloc.dptr, 0);
    return alloc.dptr;
}

static void memory_is_taken_by_the_launch_and_kept_until_trimmed(void **state)
{
    CUgraph graph = new_graph();
    uint64_t before = free_bytes();
    unsigned word = 0;
    CUgraphNode node, freed;
    CUdeviceptr memory = add_alloc(graph, 3 * MIB, &node);
    CUgraphExec exec;
    cuuint64_t zero = 0;

    node = add_fill(graph, node, memory, 42, 3 * MIB / 4);
    node = add_read(graph, node, &word, memory + 3 * MIB - 4, 4);
    assert_ok(cuGraphAddMemFreeNode(&freed, graph, &node, 1, memory));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemFreeNode(&freed, graph, &node, 1, memory));
    exec = instantiate(graph);
    assert_int_equal(free_bytes(), before);
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT), 0);
    for (int i = 0; i < 2; i++) {
        word = 0;
        assert_ok(cuGraphLaunch(exec, NULL));
        assert_ok(cuStreamSynchronize(NULL));
        assert_int_equal(word, 42);
        assert_int_equal(free_bytes(), before - 4 * MIB);
        assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 4 * MIB);
    }
    assert_ok(cuGraphExecDestroy(exec));
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0);
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT), 4 * MIB);
    assert_int_equal(free_bytes(), before - 4 * MIB);
    /* A later exec uses it again. */
    exec = instantiate(graph);
    assert_ok(cuGraphUpload(exec, NULL));
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 4 * MIB);
    assert_int_equal(free_bytes(), before - 4 * MIB);
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before - 4 * MIB);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before);
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH), 4 * MIB);
    assert_ok(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH, &zero));
    assert_ok(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &zero));
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH), 0);
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &zero));
    assert_ok(cuGraphDestroy(graph));
}

static void a_launch_that_finds_no_memory_takes_none(void **state)
{
    CUgraph graph = new_graph();
    uint64_t before = free_bytes();
    CUdeviceptr hog;
    CUgraphNode node;
    CUgraphExec exec;

    add_alloc(graph, 64 * MIB, &node);
    add_alloc(graph, 64 * MIB, &node);
    exec = instantiate(graph);
    assert_ok(cuMemAlloc(&hog, before - 100 * MIB));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuGraphLaunch(exec, NULL));
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0);
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), 100 * MIB);
    assert_ok(cuMemFree(hog));
    assert_ok(cuGraphUpload(exec, NULL));
    assert_int_equal(free_bytes(), before - 128 * MIB);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before);
}

static void what_a_launch_leaves_allocated_lives_until_it_is_freed(void **state)
{
    CUgraph graph = new_graph(), freeing = new_graph();
    uint64_t before = free_bytes();
    CUgraphNode node;
    CUdeviceptr memory = add_alloc(graph, 1000, &node);
    CUgraphExec exec, free_exec, again;
    unsigned word;

    add_fill(graph, node, memory, 6, 250);
    assert_ok(cuGraphAddMemFreeNode(&node, freeing, NULL, 0, memory));
    exec = instantiate(graph);
    free_exec = instantiate(freeing);
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphInstantiateWithFlags(&again, graph, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(free_exec, NULL));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuMemcpyDtoH(&word, memory + 996, 4));
    assert_int_equal(word, 6);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(exec, NULL));
    assert_ok(cuGraphLaunch(free_exec, NULL));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(free_exec, NULL));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuMemFreeAsync(memory, NULL));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(memory, NULL));
    assert_ok(cuGraphLaunch(exec, NULL));
    /* It outlives its exec and its graph. */
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphExecDestroy(free_exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(freeing));
    assert_ok(cuMemcpyDtoH(&word, memory, 4));
    assert_int_equal(word, 6);
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 2 * MIB);
    assert_ok(cuMemFree(memory));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(memory));
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0);
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before);
}

static void auto_free_lets_an_exec_be_launched_again(void **state)
{
    CUgraph graph = new_graph();
    uint64_t before = free_bytes();
    cuuint64_t flags;
    CUgraphNode node;
    CUdeviceptr memory = add_alloc(graph, MIB, &node);
    CUgraphExec exec;

    assert_ok(cuGraphInstantiateWithFlags(&exec, graph, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH));
    assert_ok(cuGraphExecGetFlags(exec, &flags));
    assert_int_equal(flags, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
    for (int i = 0; i < 3; i++)
        assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_int_equal(free_bytes(), before - 2 * MIB);
    assert_ok(cuMemFreeAsync(memory, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_int_equal(figure(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0);
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before);
}

static void graphs_with_memory_nodes_are_neither_cloned_nor_taken_apart(void **state)
{
    CUgraph graph = new_graph(), outer = new_graph(), clone;
    CUgraphNodeParams moved = {.type = CU_GRAPH_NODE_TYPE_GRAPH,
                               .graph = {graph, CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE}};
    CUgraphNode alloc, child;

    add_alloc(graph, 64, &alloc);
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphClone(&clone, graph));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphDestroyNode(alloc));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphAddChildGraphNode(&child, outer, NULL, 0, graph));
    /* A move that fails moves nothing. */
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddNode(&child, graph, NULL, NULL, 0, &moved));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphDestroyNode(alloc));
    assert_ok(cuGraphAddNode(&child, outer, NULL, NULL, 0, &moved));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(outer));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(graph));
}

/* What the device's own account says of this process, through a library that shares no code with the driver.
 */
static uint64_t nvml_bytes(void)
{
    static void *nvml;
    nvmlReturn_t (*list)(nvmlDevice_t, unsigned *, nvmlProcessInfo_t *);
    nvmlReturn_t (*by_index)(unsigned, nvmlDevice_t *);
    nvmlReturn_t (*init)(void);
    nvmlProcessInfo_t processes[8];
    nvmlDevice_t device;
    unsigned count = 8;

    if (!nvml) {
        nvml = dlopen(SOFTGPU_NVML, RTLD_NOW);
        assert_non_null(nvml);
        *(void **)&init = dlsym(nvml, "nvmlInit_v2");
        assert_int_equal(init(), NVML_SUCCESS);
    }
    *(void **)&by_index = dlsym(nvml, "nvmlDeviceGetHandleByIndex_v2");
    *(void **)&list = dlsym(nvml, "nvmlDeviceGetComputeRunningProcesses_v3");
    assert_int_equal(by_index(0, &device), NVML_SUCCESS);
    assert_int_equal(list(device, &count, processes), NVML_SUCCESS);
    for (unsigned i = 0; i < count; i++)
        if (processes[i].pid == (unsigned)getpid())
            return processes[i].usedGpuMemory;
    return 0;
}

static void the_devices_account_has_graph_memory_as_the_process_s_own(void **state)
{
    CUgraph graph = new_graph();
    uint64_t before = nvml_bytes();
    CUgraphNode node;
    CUgraphExec exec;

    assert_int_equal(before, 64 * MIB);
    for (int i = 0; i < 3; i++)
        add_alloc(graph, 5 * MIB + 1, &node);
    exec = instantiate(graph);
    assert_int_equal(nvml_bytes(), before);
    assert_ok(cuGraphUpload(exec, NULL));
    assert_int_equal(nvml_bytes(), before + 18 * MIB);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_int_equal(nvml_bytes(), before + 18 * MIB);
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(nvml_bytes(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(memory_is_taken_by_the_launch_and_kept_until_trimmed),
        TEST_IN_CONTEXT(a_launch_that_finds_no_memory_takes_none),
        TEST_IN_CONTEXT(what_a_launch_leaves_allocated_lives_until_it_is_freed),
        TEST_IN_CONTEXT(auto_free_lets_an_exec_be_launched_again),
        TEST_IN_CONTEXT(graphs_with_memory_nodes_are_neither_cloned_nor_taken_apart),
        TEST_IN_CONTEXT(the_devices_account_has_graph_memory_as_the_process_s_own),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
