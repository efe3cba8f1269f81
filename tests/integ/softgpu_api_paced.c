/* Paced time through the driver API: the effects of work may come early, but nothing says it is over before
 * the device's clock does. */
#include <time.h>

#include "softgpu_api.h"

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* 20 MiB at 1 GiB/s: 19.53 ms. */
static const double fill_ms = 20.0 * 1000 / 1024;

static void synchronisation_waits_for_the_devices_clock(void **state)
{
    CUevent start, end;
    CUdeviceptr address;
    double began;
    float ms;

    assert_ok(cuMemAlloc(&address, 20 * MIB));
    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&end, 0));
    began = now_ms();
    assert_ok(cuEventRecord(start, NULL));
    for (int i = 0; i < 3; i++)
        assert_ok(cuMemsetD8Async(address, (unsigned char)i, 20 * MIB, NULL));
    assert_ok(cuEventRecord(end, NULL));
    assert_code(CUDA_ERROR_NOT_READY, cuEventQuery(end));
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL));
    assert_ok(cuEventSynchronize(end));
    assert_true(now_ms() - began >= 3 * fill_ms);
    assert_ok(cuStreamQuery(NULL));
    assert_ok(cuEventElapsedTime(&ms, start, end));
    assert_true(ms >= 3 * fill_ms - 0.01);
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(end));
    assert_ok(cuMemFree(address));
}

static void copies_go_on_beside_kernels(void **state)
{
    CUstream fills, copies;
    CUdeviceptr address, other;
    void *host;
    double began;

    assert_ok(cuStreamCreate(&fills, CU_STREAM_NON_BLOCKING));
    assert_ok(cuStreamCreate(&copies, CU_STREAM_NON_BLOCKING));
    assert_ok(cuMemAlloc(&address, 20 * MIB));
    assert_ok(cuMemAlloc(&other, MIB));
    assert_ok(cuMemAllocHost(&host, MIB));
    for (int i = 0; i < 10; i++)
        assert_ok(cuMemsetD8Async(address, 1, 20 * MIB, fills));
    began = now_ms();
    assert_ok(cuMemcpyHtoDAsync(other, host, MIB, copies));
    assert_ok(cuStreamSynchronize(copies));
    /* The fills take ten times fill_ms; the copy, on its own engine, one. */
    assert_true(now_ms() - began < 5 * fill_ms);
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(fills));
    assert_ok(cuStreamSynchronize(fills));
    assert_ok(cuMemFreeHost(host));
    assert_ok(cuMemFree(address));
    assert_ok(cuMemFree(other));
    assert_ok(cuStreamDestroy(fills));
    assert_ok(cuStreamDestroy(copies));
}

/* Launches that wait in a row: each begins where the one before ends, however late this process is woken up.
 */
static void graphs_in_a_row_leave_no_gaps(void **state)
{
    CUDA_MEMSET_NODE_PARAMS fill = {.elementSize = 1, .width = MIB, .height = 1};
    CUevent start, end;
    CUgraphNode node;
    CUgraphExec exec;
    CUgraph graph;
    float ms;

    assert_ok(cuMemAlloc(&fill.dst, 100 * MIB));
    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&end, 0));
    assert_ok(cuGraphCreate(&graph, 0));
    assert_ok(cuGraphAddMemsetNode(&node, graph, NULL, 0, &fill, NULL));
    assert_ok(cuGraphAddMemsetNode(&node, graph, &node, 1, &fill, NULL));
    assert_ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    /* Long enough that all launches are there before the first begins. */
    assert_ok(cuMemsetD8Async(fill.dst, 1, 100 * MIB, NULL));
    assert_ok(cuEventRecord(start, NULL));
    for (int i = 0; i < 25; i++)
        assert_ok(cuGraphLaunch(exec, NULL));
    assert_ok(cuEventRecord(end, NULL));
    assert_ok(cuEventSynchronize(end));
    assert_ok(cuEventElapsedTime(&ms, start, end));
    /* 50 fills of 1/1024 s. */
    assert_true(ms > 48.82f && ms < 48.84f);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(end));
    assert_ok(cuMemFree(fill.dst));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(synchronisation_waits_for_the_devices_clock),
        TEST_IN_CONTEXT(copies_go_on_beside_kernels),
        TEST_IN_CONTEXT(graphs_in_a_row_leave_no_gaps),
    };

    softgpu_api_begin("memory=1G,context=64M,time=paced,copy=1G,devcopy=1G");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
