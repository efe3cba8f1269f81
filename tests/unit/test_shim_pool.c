/* Stream-ordered memory: a pool is charged by what it has reserved on the device, at rest to the byte. */
#include "shim_fixture.h"

TEST(a_pool_is_charged_by_what_it_reserved)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a, b;

    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1000, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 132 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync_ptsz(&b, 31 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 132 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync_ptsz(b, NULL), CUDA_SUCCESS);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuStreamSynchronize(NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(a_pool_stops_at_the_limit_and_room_in_the_pool_is_used_up_first)
{
    struct stage *s = stage_open_context(170 * MIB);
    CUdeviceptr a[4];

    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[0], 20 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[1], 40 * MIB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[1], 30 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[2], 14 * MIB, NULL),
                CUDA_ERROR_OUT_OF_MEMORY); /* 12 and 2 are left */
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[2], 12 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[3], 3 * MIB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[3], 2 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 164 * MIB);
    CHECK_EXACT(s);
}

TEST(pieces_that_leave_gaps_never_make_the_pool_pass_the_limit)
{
    struct stage *s = stage_open_context(500 * MIB);
    CUdeviceptr a[64];
    int n = 0;

    while (s->cuda.cuMemAllocAsync(&a[n], 7 * MIB, NULL) == CUDA_SUCCESS)
        n++;
    CHECK_EQUAL(n, 48); /* twelve pieces of the pool, four in each */
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(a[5], NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[5], 8 * MIB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(a[6], NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuStreamSynchronize(NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a[5], 13 * MIB, NULL), CUDA_SUCCESS); /* neighbours are one gap */
    CHECK(s->fake->devices[0].most_used_bytes <= 500 * MIB);
    CHECK_EXACT(s);
}

TEST(an_allocation_is_charged_on_the_device_of_its_stream)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUcontext other;
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&other, 0, 1), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxPopCurrent_v2(&other), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1 * MIB, (CUstream)(void *)other), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(stage_ledger_bytes(s, 1), 132 * MIB);
    CHECK_EXACT(s);
}

TEST(what_streams_have_freed_is_taken_back_before_a_refusal)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a, b;

    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 90 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 20 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxSynchronize(), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 20 * MIB), CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(a_pool_that_grows_more_than_expected_is_brought_back_under_the_limit)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a;

    s->fake->pool_growth = 256 * MIB;
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1 * MIB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
    s->fake->pool_growth = 64 * MIB;
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EXACT(s);
}

TEST(a_failed_allocation_costs_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a;

    s->fake->fail_next = CUDA_ERROR_NOT_SUPPORTED;
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1 * MIB, NULL), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

static CUmemoryPool pool_on(struct stage *s, int device)
{
    const CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                       .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}};
    CUmemoryPool pool;

    CHECK_EQUAL(s->cuda.cuMemPoolCreate(&pool, &properties), CUDA_SUCCESS);
    return pool;
}

TEST(a_pool_of_the_programs_own_is_charged_on_its_device_and_given_back_when_destroyed)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemoryPool pool = pool_on(s, 1);
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuMemAllocFromPoolAsync(&a, 50 * MIB, pool, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 1), 64 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemPoolDestroy(pool), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 1), 0);
    CHECK_EXACT(s);
}

TEST(a_destroyed_pool_stays_charged_until_its_last_allocation_is_gone)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemoryPool pool = pool_on(s, 0);
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuMemAllocFromPoolAsync(&a, 50 * MIB, pool, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemPoolDestroy(pool), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(s->cuda.cuStreamSynchronize(NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(memory_of_cuMemAlloc_freed_in_a_stream_stays_charged_until_the_stream_is_there)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 50 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 150 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuStreamSynchronize(NULL), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(an_allocation_in_a_capture_takes_nothing_from_the_pool)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemoryPool pool = pool_on(s, 0);
    CUdeviceptr a, b;
    CUgraph graph;

    CHECK_EQUAL(s->cuda.cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocFromPoolAsync(&b, 1 * MIB, pool, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFreeAsync(a, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuStreamEndCapture(NULL, &graph), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(pools_on_a_device_outside_the_instance_are_refused)
{
    struct stage *s = stage_open(500 * MIB, 0);
    CUcontext context;
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocFromPoolAsync(&a, 1 * MIB, pool_on(s, 1), NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_device_bytes(s, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_is_charged_by_what_it_reserved),
        cmocka_unit_test(a_pool_stops_at_the_limit_and_room_in_the_pool_is_used_up_first),
        cmocka_unit_test(pieces_that_leave_gaps_never_make_the_pool_pass_the_limit),
        cmocka_unit_test(an_allocation_is_charged_on_the_device_of_its_stream),
        cmocka_unit_test(what_streams_have_freed_is_taken_back_before_a_refusal),
        cmocka_unit_test(a_pool_that_grows_more_than_expected_is_brought_back_under_the_limit),
        cmocka_unit_test(a_failed_allocation_costs_nothing),
        cmocka_unit_test(a_pool_of_the_programs_own_is_charged_on_its_device_and_given_back_when_destroyed),
        cmocka_unit_test(a_destroyed_pool_stays_charged_until_its_last_allocation_is_gone),
        cmocka_unit_test(memory_of_cuMemAlloc_freed_in_a_stream_stays_charged_until_the_stream_is_there),
        cmocka_unit_test(an_allocation_in_a_capture_takes_nothing_from_the_pool),
        cmocka_unit_test(pools_on_a_device_outside_the_instance_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
