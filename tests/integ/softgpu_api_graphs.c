/* Graphs through the driver API: built by hand, instantiated, launched and updated. */
#include "softgpu_api_graph.h"

/* ---- structure ---- */

static void edges_are_told_from_both_ends(void **state)
{
    CUgraph graph = new_graph();
    CUgraphNode a = add_empty(graph, NULL, 0), b = add_empty(graph, &a, 1), c = add_empty(graph, &a, 1);
    CUgraphNode both[] = {b, c}, d = add_empty(graph, both, 2), list[8], from[8], to[8];
    size_t count = 0;

    assert_ok(cuGraphGetNodes(graph, NULL, &count));
    assert_int_equal(count, 4);
    count = 8;
    assert_ok(cuGraphGetRootNodes(graph, list, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(list[0], a);
    assert_null(list[1]);
    count = 8;
    assert_ok(cuGraphNodeGetDependencies(d, list, NULL, &count));
    assert_int_equal(count, 2);
    count = 8;
    assert_ok(cuGraphNodeGetDependentNodes(a, list, NULL, &count));
    assert_int_equal(count, 2);
    assert_ptr_equal(list[0], b);
    count = 8;
    assert_ok(cuGraphGetEdges(graph, from, to, NULL, &count));
    assert_int_equal(count, 4);
    assert_ok(cuGraphDestroyNode(b));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphDestroyNode(b));
    count = 0;
    assert_ok(cuGraphGetEdges(graph, NULL, NULL, NULL, &count));
    assert_int_equal(count, 2);
    assert_ok(cuGraphDestroy(graph));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(graph));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphDestroyNode(d));
}

static void cycles_and_foreign_nodes_are_refused(void **state)
{
    CUgraph graph = new_graph(), other = new_graph();
    CUgraphNode a = add_empty(graph, NULL, 0), b = add_empty(graph, &a, 1), c = add_empty(graph, &b, 1);
    CUgraphNode foreign = add_empty(other, NULL, 0), twice[] = {a, a}, node = NULL;
    CUgraphNode from[] = {a, c}, to[] = {c, a};
    CUgraphEdgeData programmatic = {.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC};
    size_t count = 0;

    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(graph, &c, &a, NULL, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(graph, &a, &a, NULL, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(graph, &a, &b, NULL, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(graph, &foreign, &a, NULL, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphRemoveDependencies(graph, &a, &c, NULL, 1));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuGraphAddDependencies(graph, &a, &c, &programmatic, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(&node, graph, &foreign, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddEmptyNode(&node, graph, twice, 2));
    assert_null(node);
    /* The first edge is fine, the second is not: neither is there. */
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddDependencies(graph, from, to, NULL, 2));
    assert_ok(cuGraphGetEdges(graph, NULL, NULL, NULL, &count));
    assert_int_equal(count, 2);
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(other));
}

static void a_clone_is_a_graph_of_its_own(void **state)
{
    CUgraph graph = new_graph(), clone, inner = new_graph(), found_child;
    CUgraphNode a = add_empty(graph, NULL, 0), child, twin, list[4];
    size_t count = 4;

    add_empty(inner, NULL, 0);
    assert_ok(cuGraphAddChildGraphNode(&child, graph, &a, 1, inner));
    assert_ok(cuGraphClone(&clone, graph));
    assert_ok(cuGraphNodeFindInClone(&twin, child, clone));
    assert_ptr_not_equal(twin, child);
    assert_ok(cuGraphNodeGetDependencies(twin, list, NULL, &count));
    assert_int_equal(count, 1);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphNodeFindInClone(&twin, twin, graph));
    assert_ok(cuGraphChildGraphNodeGetGraph(child, &found_child));
    assert_ptr_not_equal(found_child, inner);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(found_child));
    assert_ok(cuGraphDestroy(graph));
    count = 4;
    assert_ok(cuGraphGetNodes(clone, list, &count));
    assert_int_equal(count, 2);
    assert_ok(cuGraphDestroy(clone));
    assert_ok(cuGraphDestroy(inner));
}

static void a_graph_is_printed_for_graphviz(void **state)
{
    CUgraph graph = new_graph(), inner = new_graph();
    CUmodule module = load_kernels("misc.ptx");
    CUgraphNode node = add_poke(inner, NULL, get_kernel(module, "poke"), 0, 0), child;
    char path[128], text[2048];
    FILE *file;

    node = add_empty(graph, NULL, 0);
    assert_ok(cuGraphAddChildGraphNode(&child, graph, &node, 1, inner));
    snprintf(path, sizeof(path), "%s/graph.dot", softgpu_api_dir);
    assert_ok(cuGraphDebugDotPrint(graph, path, CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE));
    file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "EMPTY"));
    assert_non_null(strstr(text, "->"));
    assert_non_null(strstr(text, "poke\\n<<<1,1,1, 1,1,1, 0>>>"));
    assert_code(CUDA_ERROR_OPERATING_SYSTEM, cuGraphDebugDotPrint(graph, "/nonexistent/graph.dot", 0));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(inner));
}

/* ---- launches ---- */

static void a_launch_runs_every_node_after_what_it_depends_on(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction poke = get_kernel(module, "poke");
    CUgraph graph = new_graph();
    unsigned words[4] = {0};
    CUgraphExec exec;
    CUdeviceptr memory;
    CUgraphNode node;

    assert_ok(cuMemAlloc(&memory, 16));
    node = add_fill(graph, NULL, memory, 7, 4);
    node = add_poke(graph, node, poke, memory + 4, 11);
    node = add_fill(graph, node, memory + 8, 13, 1);
    add_read(graph, node, words, memory, sizeof(words));
    exec = instantiate(graph);
    assert_ok(cuGraphDestroy(graph));
    for (int i = 0; i < 3; i++) {
        memset(words, 0, sizeof(words));
        assert_ok(cuGraphLaunch(exec, NULL));
        assert_ok(cuStreamSynchronize(NULL));
        assert_int_equal(words[0], 7);
        assert_int_equal(words[1], 11);
        assert_int_equal(words[2], 13);
        assert_int_equal(words[3], 7);
    }
    assert_ok(cuGraphExecDestroy(exec));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(exec, NULL));
    assert_ok(cuMemFree(memory));
}

/* On the device's clock: fills of 10 GiB/s, one after another however they are independent. */
static void a_launch_takes_as_long_as_its_nodes_and_keeps_its_place_in_the_stream(void **state)
{
    const size_t words = 10 * MIB / 4;
    CUgraph graph = new_graph();
    CUevent start, end;
    CUstream first, second;
    CUgraphExec exec;
    CUdeviceptr memory;
    float ms;

    assert_ok(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    assert_ok(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&end, 0));
    assert_ok(cuMemAlloc(&memory, 10 * MIB));
    add_fill(graph, NULL, memory, 1, words);
    add_fill(graph, NULL, memory, 1, words);
    exec = instantiate(graph);
    assert_ok(cuEventRecord(start, first));
    assert_ok(cuMemsetD32Async(memory, 1, words, first));
    assert_ok(cuGraphLaunch(exec, first));
    assert_ok(cuGraphLaunch(exec, second));
    assert_ok(cuEventRecord(end, second));
    assert_ok(cuEventSynchronize(end));
    assert_ok(cuEventElapsedTime(&ms, start, end));
    /* Five fills: the second launch of an exec comes after the first, in whatever stream. */
    assert_true(ms > 4.88f && ms < 4.89f);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(end));
    assert_ok(cuMemFree(memory));
}

/* Many ends before many beginnings: the order holds, and takes no memory that grows with their product. */
static void a_wide_graph_comes_after_a_wide_graph(void **state)
{
    enum { WIDTH = 300 };
    CUgraph graph = new_graph();
    CUdeviceptr memory;
    CUgraphExec exec;
    CUevent start, end;
    float ms;

    assert_ok(cuMemAlloc(&memory, MIB));
    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&end, 0));
    for (int i = 0; i < WIDTH; i++)
        add_fill(graph, NULL, memory, 1, MIB / 4);
    exec = instantiate(graph);
    assert_ok(cuEventRecord(start, NULL));
    for (int i = 0; i < 3; i++)
        assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuEventRecord(end, NULL));
    assert_ok(cuEventSynchronize(end));
    assert_ok(cuEventElapsedTime(&ms, start, end));
    /* 900 fills of 1/10240 s. */
    assert_true(ms > 87.8f && ms < 88.0f);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(end));
    assert_ok(cuMemFree(memory));
}

static int order[4], n_order;

static void note_number(void *number)
{
    order[n_order++] = *(const int *)number;
}

static CUgraphNode add_note(CUgraph graph, CUgraphNode after, int *number)
{
    CUDA_HOST_NODE_PARAMS host = {note_number, number};
    CUgraphNode node;

    assert_ok(cuGraphAddHostNode(&node, graph, after ? &after : NULL, after != NULL, &host));
    return node;
}

static void child_graphs_run_between_their_neighbours(void **state)
{
    static int numbers[] = {1, 2, 3, 4};
    CUgraph graph = new_graph(), inner = new_graph(), empty = new_graph();
    CUgraphNode node, child;
    CUgraphExec exec;

    add_note(inner, add_note(inner, NULL, &numbers[1]), &numbers[2]);
    node = add_note(graph, NULL, &numbers[0]);
    assert_ok(cuGraphAddChildGraphNode(&child, graph, &node, 1, inner));
    assert_ok(cuGraphAddChildGraphNode(&node, graph, &child, 1, empty));
    add_note(graph, node, &numbers[3]);
    exec = instantiate(graph);
    n_order = 0;
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_int_equal(n_order, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(order[i], i + 1);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(inner));
    assert_ok(cuGraphDestroy(empty));
}

static void event_nodes_tie_graphs_to_streams(void **state)
{
    CUgraph graph = new_graph();
    CUevent before, after, start;
    CUgraphNode wait, fill, record;
    CUgraphExec exec;
    CUdeviceptr memory;
    CUstream other;
    float ms;

    assert_ok(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&before, 0));
    assert_ok(cuEventCreate(&after, 0));
    assert_ok(cuMemAlloc(&memory, 10 * MIB));
    assert_ok(cuGraphAddEventWaitNode(&wait, graph, NULL, 0, before));
    fill = add_fill(graph, wait, memory, 1, 10 * MIB / 4);
    assert_ok(cuGraphAddEventRecordNode(&record, graph, &fill, 1, after));
    exec = instantiate(graph);
    assert_ok(cuEventRecord(start, other));
    assert_ok(cuMemsetD32Async(memory, 1, 10 * MIB / 4, other));
    assert_ok(cuEventRecord(before, other));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuEventSynchronize(after));
    assert_ok(cuEventElapsedTime(&ms, before, after));
    assert_true(ms > 0.97f && ms < 0.98f);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(before));
    assert_ok(cuEventDestroy(after));
    assert_ok(cuStreamDestroy(other));
    assert_ok(cuMemFree(memory));
}

/* ---- changing ---- */

static void an_exec_takes_new_parameters_and_refuses_another_shape(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction poke = get_kernel(module, "poke");
    CUgraph graph = new_graph(), changed = new_graph();
    CUgraphExecUpdateResultInfo info;
    CUDA_KERNEL_NODE_PARAMS params;
    CUgraphExec exec;
    CUdeviceptr memory;
    CUgraphNode node, fill;
    int value = 0, other = 9;

    assert_ok(cuMemAlloc(&memory, 4));
    node = add_poke(graph, NULL, poke, memory, 5);
    exec = instantiate(graph);
    assert_ok(cuGraphKernelNodeGetParams(node, &params));
    assert_int_equal(*(int *)params.kernelParams[1], 5);
    void *arguments[] = {params.kernelParams[0], &other};
    params.kernelParams = arguments;
    assert_ok(cuGraphExecKernelNodeSetParams(exec, node, &params));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuMemcpyDtoH(&value, memory, 4));
    assert_int_equal(value, 9);
    add_poke(changed, NULL, poke, memory, 21);
    assert_ok(cuGraphExecUpdate(exec, changed, &info));
    assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuMemcpyDtoH(&value, memory, 4));
    assert_int_equal(value, 21);
    add_empty(changed, NULL, 0);
    assert_code(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(exec, changed, &info));
    assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    assert_ok(cuGraphDestroy(changed));
    changed = new_graph();
    fill = add_fill(changed, NULL, memory, 1, 1);
    assert_code(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(exec, changed, &info));
    assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
    assert_ptr_equal(info.errorNode, fill);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(changed));
    assert_ok(cuMemFree(memory));
}

static void a_disabled_node_does_nothing_but_keeps_the_order(void **state)
{
    CUgraph graph = new_graph();
    unsigned word = 0, enabled;
    CUgraphNode first, second, empty;
    CUgraphExec exec;
    CUdeviceptr memory;

    assert_ok(cuMemAlloc(&memory, 4));
    first = add_fill(graph, NULL, memory, 1, 1);
    second = add_fill(graph, first, memory, 2, 1);
    add_read(graph, second, &word, memory, 4);
    empty = add_empty(graph, NULL, 0);
    exec = instantiate(graph);
    assert_ok(cuGraphNodeSetEnabled(exec, second, 0));
    assert_ok(cuGraphNodeGetEnabled(exec, second, &enabled));
    assert_int_equal(enabled, 0);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphNodeSetEnabled(exec, empty, 0));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_int_equal(word, 1);
    assert_ok(cuGraphNodeSetEnabled(exec, second, 1));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_int_equal(word, 2);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuMemFree(memory));
}

static void attributes_of_kernel_nodes_are_kept_and_copied(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction poke = get_kernel(module, "poke");
    CUgraph graph = new_graph();
    CUkernelNodeAttrValue value = {.priority = -2}, got;
    CUgraphNode a = add_poke(graph, NULL, poke, 0, 0), b = add_poke(graph, a, poke, 0, 0);

    assert_ok(cuGraphKernelNodeSetAttribute(a, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value));
    assert_ok(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_PRIORITY, &got));
    assert_int_equal(got.priority, 0);
    assert_ok(cuGraphKernelNodeCopyAttributes(b, a));
    assert_ok(cuGraphKernelNodeGetAttribute(b, CU_LAUNCH_ATTRIBUTE_PRIORITY, &got));
    assert_int_equal(got.priority, -2);
    assert_ok(cuGraphDestroy(graph));
}

static void a_child_in_an_exec_takes_the_parameters_of_another_graph(void **state)
{
    CUgraph graph = new_graph(), inner = new_graph(), other = new_graph();
    CUgraphNode child;
    CUgraphExec exec;
    CUdeviceptr memory;
    unsigned words[2];

    assert_ok(cuMemAlloc(&memory, 8));
    add_fill(inner, add_fill(inner, NULL, memory, 1, 1), memory + 4, 1, 1);
    add_fill(other, add_fill(other, NULL, memory, 2, 1), memory + 4, 3, 1);
    assert_ok(cuGraphAddChildGraphNode(&child, graph, NULL, 0, inner));
    exec = instantiate(graph);
    assert_ok(cuGraphExecChildGraphNodeSetParams(exec, child, other));
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuMemcpyDtoH(words, memory, 8));
    assert_int_equal(words[0], 2);
    assert_int_equal(words[1], 3);
    add_empty(other, NULL, 0);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphExecChildGraphNodeSetParams(exec, child, other));
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuGraphDestroy(inner));
    assert_ok(cuGraphDestroy(other));
    assert_ok(cuMemFree(memory));
}

static void a_kernel_of_a_library_is_a_node_too(void **state)
{
    char path[512];
    CUgraph graph = new_graph();
    CUDA_KERNEL_NODE_PARAMS params = {.gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = 1,
                                      .blockDimY = 1,
                                      .blockDimZ = 1},
                            got;
    CUlibrary library;
    CUgraphExec exec;
    CUdeviceptr memory;
    CUgraphNode node;
    int value = 41;

    snprintf(path, sizeof(path), "%s/misc.ptx", KERNELS_DIR);
    assert_ok(cuLibraryLoadFromFile(&library, path, NULL, NULL, 0, NULL, NULL, 0));
    assert_ok(cuLibraryGetKernel(&params.kern, library, "poke"));
    assert_ok(cuMemAlloc(&memory, 4));
    void *arguments[] = {&memory, &value};
    params.kernelParams = arguments;
    assert_ok(cuGraphAddKernelNode(&node, graph, NULL, 0, &params));
    assert_ok(cuGraphKernelNodeGetParams(node, &got));
    assert_null(got.func);
    assert_ptr_equal(got.kern, params.kern);
    assert_ptr_equal(got.ctx, *state);
    params.blockDimX = 4096;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuGraphAddKernelNode(&node, graph, NULL, 0, &params));
    exec = instantiate(graph);
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuMemcpyDtoH(&value, memory, 4));
    assert_int_equal(value, 41);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuLibraryUnload(library));
    assert_ok(cuMemFree(memory));
}

static void a_graph_may_work_in_several_contexts(void **state)
{
    CUgraph graph = new_graph();
    CUcontext other;
    CUDA_MEMSET_NODE_PARAMS fill = {.value = 9, .elementSize = 4, .width = 1, .height = 1};
    CUdeviceptr here, there;
    CUgraphNode node;
    CUgraphExec exec;
    unsigned word = 0;

    assert_ok(cuMemAlloc(&here, 4));
    assert_ok(cuCtxCreate(&other, NULL, 0, 0));
    assert_ok(cuMemAlloc(&there, 4));
    assert_ok(cuCtxSetCurrent(*state));
    node = add_fill(graph, NULL, here, 1, 1);
    fill.dst = there;
    assert_ok(cuGraphAddMemsetNode(&node, graph, &node, 1, &fill, other));
    add_read(graph, node, &word, there, 4);
    exec = instantiate(graph);
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_int_equal(word, 9);
    assert_ok(cuCtxDestroy(other));
    assert_code(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuGraphLaunch(exec, NULL));
    assert_ok(cuCtxSetCurrent(*state));
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuMemFree(here));
}

enum { RANDOM_NODES = 60 };

static int ran_at[RANDOM_NODES], n_ran;

static void note_place(void *number)
{
    ran_at[*(const int *)number] = ++n_ran;
}

/* Host functions with random edges between them, and fills that go another way through the device. */
static void random_graphs_keep_every_edge(void **state)
{
    static int numbers[RANDOM_NODES];
    CUgraphNode nodes[RANDOM_NODES];
    int from[4 * RANDOM_NODES], to[4 * RANDOM_NODES], n_edges = 0;
    CUgraph graph = new_graph();
    uint32_t random = 7;
    CUgraphExec exec;
    CUdeviceptr memory;

    assert_ok(cuMemAlloc(&memory, 4));
    for (int i = 0; i < RANDOM_NODES; i++) {
        CUDA_HOST_NODE_PARAMS host = {note_place, &numbers[i]};

        numbers[i] = i;
        if (i % 5 == 4)
            nodes[i] = add_fill(graph, NULL, memory, 1, 1);
        else
            assert_ok(cuGraphAddHostNode(&nodes[i], graph, NULL, 0, &host));
    }
    for (int i = 0; i < 4 * RANDOM_NODES; i++) {
        random = random * 1664525 + 1013904223;
        from[n_edges] = (int)((random >> 8) % RANDOM_NODES);
        to[n_edges] = (int)((random >> 20) % RANDOM_NODES);
        n_edges += !cuGraphAddDependencies(graph, &nodes[from[n_edges]], &nodes[to[n_edges]], NULL, 1);
    }
    assert_true(n_edges > RANDOM_NODES);
    exec = instantiate(graph);
    for (int round = 0; round < 20; round++) {
        n_ran = 0;
        assert_ok(cuGraphLaunch(exec, NULL));
        assert_ok(cuStreamSynchronize(NULL));
        assert_int_equal(n_ran, RANDOM_NODES - RANDOM_NODES / 5);
        for (int i = 0; i < n_edges; i++)
            if (from[i] % 5 != 4 && to[i] % 5 != 4)
                assert_true(ran_at[from[i]] < ran_at[to[i]]);
    }
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuMemFree(memory));
}

/* ---- user objects ---- */

static int n_destroyed;

static void count_destroyed(void *unused)
{
    __atomic_add_fetch(&n_destroyed, 1, __ATOMIC_SEQ_CST);
}

static void a_user_object_lives_as_long_as_what_refers_to_it(void **state)
{
    CUgraph graph = new_graph();
    CUuserObject object;
    CUgraphExec exec;

    n_destroyed = 0;
    assert_ok(cuUserObjectCreate(&object, NULL, count_destroyed, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    assert_ok(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
    add_empty(graph, NULL, 0);
    exec = instantiate(graph);
    assert_ok(cuGraphDestroy(graph));
    assert_int_equal(n_destroyed, 0);
    assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_ok(cuGraphExecDestroy(exec));
    assert_int_equal(n_destroyed, 1);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuUserObjectRelease(object, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(edges_are_told_from_both_ends),
        TEST_IN_CONTEXT(cycles_and_foreign_nodes_are_refused),
        TEST_IN_CONTEXT(a_clone_is_a_graph_of_its_own),
        TEST_IN_CONTEXT(a_graph_is_printed_for_graphviz),
        TEST_IN_CONTEXT(a_launch_runs_every_node_after_what_it_depends_on),
        TEST_IN_CONTEXT(a_launch_takes_as_long_as_its_nodes_and_keeps_its_place_in_the_stream),
        TEST_IN_CONTEXT(a_wide_graph_comes_after_a_wide_graph),
        TEST_IN_CONTEXT(child_graphs_run_between_their_neighbours),
        TEST_IN_CONTEXT(event_nodes_tie_graphs_to_streams),
        TEST_IN_CONTEXT(an_exec_takes_new_parameters_and_refuses_another_shape),
        TEST_IN_CONTEXT(a_disabled_node_does_nothing_but_keeps_the_order),
        TEST_IN_CONTEXT(attributes_of_kernel_nodes_are_kept_and_copied),
        TEST_IN_CONTEXT(a_child_in_an_exec_takes_the_parameters_of_another_graph),
        TEST_IN_CONTEXT(a_kernel_of_a_library_is_a_node_too),
        TEST_IN_CONTEXT(a_graph_may_work_in_several_contexts),
        TEST_IN_CONTEXT(random_graphs_keep_every_edge),
        TEST_IN_CONTEXT(a_user_object_lives_as_long_as_what_refers_to_it),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
