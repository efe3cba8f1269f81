/* Memory of graphs: a device's graph memory is charged by what the driver has reserved for it; a launch that
 * could make it pass the limit does not reach the driver. */
#include "shim_fixture.h"

static CUgraph graph_with(struct stage *s, int device, uint64_t bytes)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params = {
        .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}},
        .bytesize = bytes};
    CUgraphNode node;
    CUgraph graph;

    CHECK_EQUAL(s->cuda.cuGraphCreate(&graph, 0), CUDA_SUCCESS);
    if (bytes)
        CHECK_EQUAL(s->cuda.cuGraphAddMemAllocNode(&node, graph, NULL, 0, &params), CUDA_SUCCESS);
    return graph;
}

static void add_allocation(struct stage *s, CUgraph graph, int device, uint64_t bytes)
{
    CUgraphNodeParams params = {
        .type = CU_GRAPH_NODE_TYPE_MEM_ALLOC,
        .alloc = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}},
                  .bytesize = bytes}};
    CUgraphNode node;

    CHECK_EQUAL(s->cuda.cuGraphAddNode_v2(&node, graph, NULL, NULL, 0, &params), CUDA_SUCCESS);
}

static CUgraphNode add_child(struct stage *s, CUgraph graph, CUgraph child)
{
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};
    CUgraphNode node;

    CHECK_EQUAL(s->cuda.cuGraphAddNode_v2(&node, graph, NULL, NULL, 0, &params), CUDA_SUCCESS);
    return node;
}

static CUgraphExec exec_of(struct stage *s, CUgraph graph)
{
    CUgraphExec exec;

    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
    return exec;
}

TEST(a_launch_is_charged_by_what_the_device_took_and_it_stays_until_it_is_trimmed)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUgraph graph = graph_with(s, 0, 3 * MIB);
    CUgraphExec exec;

    add_allocation(s, graph, 0, 1);
    exec = exec_of(s, graph);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuGraphLaunch_ptsz(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(exec), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuDeviceGraphMemTrim(0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(an_upload_takes_the_memory_before_the_launch)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUgraphExec exec = exec_of(s, graph_with(s, 0, 10 * MIB)), other;

    CHECK_EQUAL(s->cuda.cuGraphUpload(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithFlags(&other, graph_with(s, 0, 20 * MIB),
                                                    CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD),
                CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 130 * MIB);
    CHECK_EXACT(s);
}

TEST(a_refused_launch_does_not_reach_the_driver_and_takes_nothing)
{
    struct stage *s = stage_open_context(109 * MIB);
    CUgraph graph = graph_with(s, 0, 10 * MIB);
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD};
    CUgraphExec exec = exec_of(s, graph);

    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(strcmp(s->fake->last_call, "cuGraphLaunch") != 0);
    CHECK_EQUAL(s->cuda.cuGraphUpload(exec, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithParams(&exec, graph, &params), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(strcmp(s->fake->last_call, "cuGraphInstantiateWithParams") != 0);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 100 * MIB);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(a_graph_that_has_its_memory_is_launched_again_at_the_limit)
{
    struct stage *s = stage_open_context(116 * MIB);
    CUgraphExec a = exec_of(s, graph_with(s, 0, 10 * MIB)), b = exec_of(s, graph_with(s, 0, 6 * MIB)),
                c = exec_of(s, graph_with(s, 0, 1));
    CUgraphExecUpdateResultInfo info;

    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_SUCCESS);
        CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS);
        CHECK_EQUAL(s->cuda.cuGraphLaunch(c, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    }
    CHECK_EQUAL(s->cuda.cuGraphExecUpdate_v2(a, graph_with(s, 0, 10 * MIB), &info), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 116 * MIB);
    CHECK_EXACT(s);
}

TEST(a_destroyed_graph_is_in_no_ones_way)
{
    struct stage *s = stage_open_context(116 * MIB);
    CUgraphNodeParams free_params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE};
    CUgraph graph = graph_with(s, 0, 10 * MIB);
    CUgraphExec a, b = exec_of(s, graph_with(s, 0, 6 * MIB));
    CUgraphNode node;
    CUdeviceptr block;

    CHECK_EQUAL(s->cuda.cuGraphAddNode_v2(&node, graph, NULL, NULL, 0, &free_params), CUDA_SUCCESS);
    a = exec_of(s, graph);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDeviceGraphMemTrim(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&block, 10 * MIB), CUDA_SUCCESS); /* nothing is left of the limit */
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(memory_of_one_graph_is_not_taken_for_anothers)
{
    struct stage *s = stage_open_context(116 * MIB);
    CUgraphExec a = exec_of(s, graph_with(s, 0, 6 * MIB)), b = exec_of(s, graph_with(s, 0, 10 * MIB));
    CUdeviceptr block;

    s->fake->graphs_share = true;
    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDeviceGraphMemTrim(0), CUDA_SUCCESS);
    s->fake->graphs_share = false; /* from now on memory stays in use */
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&block, 4 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_ERROR_OUT_OF_MEMORY); /* b's memory is not its own */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 114 * MIB);
    CHECK_EXACT(s);
}

TEST(memory_of_destroyed_graphs_is_taken_back_before_a_refusal)
{
    struct stage *s = stage_open_context(110 * MIB);
    CUgraphExec a = exec_of(s, graph_with(s, 0, 10 * MIB)), b = exec_of(s, graph_with(s, 0, 8 * MIB));

    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 108 * MIB);
    CHECK_EXACT(s);
}

TEST(graphs_that_share_memory_are_charged_once)
{
    struct stage *s = stage_open_context(120 * MIB);
    CUgraphExec a = exec_of(s, graph_with(s, 0, 10 * MIB)), b = exec_of(s, graph_with(s, 0, 8 * MIB));
    CUdeviceptr block;

    s->fake->graphs_share = true;
    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&block, 10 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(b, NULL), CUDA_SUCCESS); /* after a trim, there is room for it */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 118 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(block), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&block, 12 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(a, NULL), CUDA_ERROR_OUT_OF_MEMORY); /* its memory is gone */
    CHECK(s->fake->devices[0].most_used_bytes <= 120 * MIB);
    CHECK_EXACT(s);
}

TEST(a_launch_that_took_more_than_its_graph_needs_is_charged_with_it)
{
    struct stage *s = stage_open_context(112 * MIB);
    CUgraphExec exec = exec_of(s, graph_with(s, 0, 10 * MIB));
    CUdeviceptr a;

    s->fake->graph_extra_bytes = 10 * MIB;
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 120 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuDeviceGraphMemTrim(0), CUDA_SUCCESS);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 1), CUDA_SUCCESS);
}

TEST(graphs_in_graphs_count)
{
    struct stage *s = stage_open_context(115 * MIB);
    CUgraph outer = graph_with(s, 0, 2 * MIB), inner = graph_with(s, 0, 4 * MIB);
    CUgraphExec exec;

    add_child(s, inner, graph_with(s, 0, 6 * MIB));
    add_child(s, outer, inner);
    exec = exec_of(s, outer);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 112 * MIB);
    CHECK_EXACT(s);
    add_child(s, outer, graph_with(s, 0, 2 * MIB));
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec_of(s, outer), NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EXACT(s);
}

TEST(each_device_is_charged_with_its_own_or_none_is)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUgraph graph = graph_with(s, 0, 6 * MIB);
    CUgraphExec exec;
    CUdeviceptr block;
    CUcontext other;

    add_allocation(s, graph, 1, 8 * MIB);
    exec = exec_of(s, graph);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EQUAL(stage_ledger_bytes(s, 1), 8 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&other, 0, 1), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&block, 1936 * MIB), CUDA_SUCCESS); /* 4 MiB are left */
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec_of(s, graph), NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EXACT(s);
}

TEST(a_graph_on_a_device_outside_the_instance_is_not_launched)
{
    struct stage *s = stage_open(500 * MIB, 0);
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec_of(s, graph_with(s, 1, 1)), NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_device_bytes(s, 1), 0);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(a_changed_executable_graph_is_charged_as_it_is_now)
{
    struct stage *s = stage_open_context(120 * MIB);
    CUgraph graph = graph_with(s, 0, 0);
    CUgraphNode node = add_child(s, graph, graph_with(s, 0, 2 * MIB));
    CUgraphExec exec = exec_of(s, graph), empty = exec_of(s, graph_with(s, 0, 0));
    CUgraphExecUpdateResultInfo info;

    CHECK_EQUAL(s->cuda.cuGraphExecChildGraphNodeSetParams(exec, node, graph_with(s, 0, 30 * MIB)),
                CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuGraphExecUpdate_v2(exec, graph_with(s, 0, 4 * MIB), &info), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 104 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuGraphExecUpdate_v2(empty, graph_with(s, 0, 18 * MIB), &info), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(empty, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EXACT(s);
}

TEST(captured_allocations_count_when_they_are_launched_and_frees_of_them_are_the_drivers)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a, b;
    CUgraph graph;

    CHECK_EQUAL(s->cuda.cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 6 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&b, 4 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuStreamEndCapture(NULL, &graph), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec_of(s, graph), NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(b, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxSynchronize(), CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(graphs_that_cannot_be_counted_are_refused_when_they_are_instantiated)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL};
    CUgraph conditional = graph_with(s, 0, 0), graph = graph_with(s, 0, 0);
    CUgraphExec exec;
    CUgraphNode node;

    CHECK_EQUAL(s->cuda.cuGraphAddNode_v2(&node, conditional, NULL, NULL, 0, &params), CUDA_SUCCESS);
    exec_of(s, conditional); /* nothing in this program allocates in a graph */
    add_allocation(s, graph, 0, 1);
    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithFlags(&exec, conditional, 0), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithFlags(&exec, graph, CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH),
                CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithFlags(&exec, graph_with(s, 0, 0),
                                                    CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH),
                CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(the_drivers_own_errors_pass_unchanged_and_cost_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUgraph graph = graph_with(s, 0, 10 * MIB);
    CUgraphExec exec = exec_of(s, graph);
    CUgraphNode node;

    s->fake->fail_next = CUDA_ERROR_NOT_PERMITTED;
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_ERROR_NOT_PERMITTED);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuGraphInstantiate_v2(NULL, graph, NULL, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuGraphInstantiate_v2(&exec, NULL, NULL, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuGraphAddMemAllocNode(&node, graph, NULL, 0, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(exec), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(exec), CUDA_ERROR_INVALID_VALUE);
    CHECK_EXACT(s);
}

TEST(graphs_without_allocations_are_the_drivers)
{
    struct stage *s = stage_open_context(100 * MIB); /* nothing is left */
    CUgraphExec exec = exec_of(s, graph_with(s, 0, 0)), other = exec_of(s, graph_with(s, 0, 2 * MIB));

    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(strcmp(s->fake->last_call, "cuGraphLaunch"), 0);
    CHECK_EQUAL(s->cuda.cuGraphLaunch(other, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(exec), CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(graph_memory_outlives_a_context_and_stays_charged)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec_of(s, graph_with(s, 0, 10 * MIB)), NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxGetCurrent(&context), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 10 * MIB);
    CHECK_EXACT(s);
}

TEST(many_executable_graphs_come_and_go_exactly)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUgraph graph = graph_with(s, 0, 2 * MIB);
    CUgraphExec exec[32];

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 32; i++) {
            exec[i] = exec_of(s, graph);
            CHECK_EQUAL(s->cuda.cuGraphLaunch(exec[i], NULL), CUDA_SUCCESS);
        }
        CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
        for (int i = 0; i < 32; i++)
            CHECK_EQUAL(s->cuda.cuGraphExecDestroy(exec[i]), CUDA_SUCCESS);
    }
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuDeviceGraphMemTrim(0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(without_an_instance_graphs_are_the_drivers)
{
    struct stage *s = stage_open_unlimited();
    CUcontext context;
    CUgraphExec exec;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    exec = exec_of(s, graph_with(s, 0, 10 * MIB));
    CHECK_EQUAL(s->cuda.cuGraphLaunch(exec, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(strcmp(s->fake->last_call, "cuGraphLaunch"), 0);
    CHECK_EQUAL(stage_device_bytes(s, 0), 110 * MIB);
    CHECK_EQUAL(s->cuda.cuGraphInstantiateWithFlags(NULL, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuGraphExecDestroy(exec), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDeviceGraphMemTrim(0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_device_bytes(s, 0), 100 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_launch_is_charged_by_what_the_device_took_and_it_stays_until_it_is_trimmed),
        cmocka_unit_test(an_upload_takes_the_memory_before_the_launch),
        cmocka_unit_test(a_refused_launch_does_not_reach_the_driver_and_takes_nothing),
        cmocka_unit_test(a_graph_that_has_its_memory_is_launched_again_at_the_limit),
        cmocka_unit_test(a_destroyed_graph_is_in_no_ones_way),
        cmocka_unit_test(memory_of_one_graph_is_not_taken_for_anothers),
        cmocka_unit_test(memory_of_destroyed_graphs_is_taken_back_before_a_refusal),
        cmocka_unit_test(graphs_that_share_memory_are_charged_once),
        cmocka_unit_test(a_launch_that_took_more_than_its_graph_needs_is_charged_with_it),
        cmocka_unit_test(graphs_in_graphs_count),
        cmocka_unit_test(each_device_is_charged_with_its_own_or_none_is),
        cmocka_unit_test(a_graph_on_a_device_outside_the_instance_is_not_launched),
        cmocka_unit_test(a_changed_executable_graph_is_charged_as_it_is_now),
        cmocka_unit_test(captured_allocations_count_when_they_are_launched_and_frees_of_them_are_the_drivers),
        cmocka_unit_test(graphs_that_cannot_be_counted_are_refused_when_they_are_instantiated),
        cmocka_unit_test(the_drivers_own_errors_pass_unchanged_and_cost_nothing),
        cmocka_unit_test(graphs_without_allocations_are_the_drivers),
        cmocka_unit_test(graph_memory_outlives_a_context_and_stays_charged),
        cmocka_unit_test(many_executable_graphs_come_and_go_exactly),
        cmocka_unit_test(without_an_instance_graphs_are_the_drivers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
