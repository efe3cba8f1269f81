/* Stream-ordered memory through the driver API: how pools grow, what they keep and what they give back. */
#include "softgpu_api.h"

static uint64_t pool_figure(CUmemoryPool pool, CUmemPool_attribute attribute)
{
    cuuint64_t value;

    assert_ok(cuMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

static CUmemoryPool new_pool(void)
{
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemoryPool pool;

    assert_ok(cuMemPoolCreate(&pool, &properties));
    return pool;
}

static void a_pool_grows_by_chunks_and_gives_back_at_synchronisation(void **state)
{
    uint64_t before = free_bytes();
    CUdeviceptr first, second, third;
    CUmemoryPool pool;

    assert_ok(cuDeviceGetDefaultMemPool(&pool, 0));
    assert_ok(cuMemAllocAsync(&first, 1000, NULL));
    assert_int_equal(free_bytes(), before - 32 * MIB);
    assert_ok(cuMemAllocAsync(&second, 20 * MIB, NULL));
    assert_int_equal(free_bytes(), before - 32 * MIB);
    assert_ok(cuMemAllocAsync(&third, 33 * MIB, NULL));
    assert_int_equal(free_bytes(), before - 96 * MIB);
    assert_int_equal(pool_figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 96 * MIB);
    assert_int_equal(pool_figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 53 * MIB + 1024);
    assert_ok(cuMemFreeAsync(first, NULL));
    assert_ok(cuMemFreeAsync(second, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_int_equal(free_bytes(), before - 64 * MIB);
    assert_ok(cuMemFreeAsync(third, NULL));
    assert_ok(cuCtxSynchronize());
    assert_int_equal(free_bytes(), before);
    assert_int_equal(pool_figure(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 53 * MIB + 1024);
}

static void a_pool_keeps_as_much_as_its_threshold_says(void **state)
{
    uint64_t before = free_bytes();
    cuuint64_t threshold = UINT64_MAX;
    CUmemoryPool pool = new_pool();
    CUdeviceptr address;

    assert_ok(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    assert_ok(cuMemAllocFromPoolAsync(&address, 40 * MIB, pool, NULL));
    assert_ok(cuMemFreeAsync(address, NULL));
    assert_ok(cuCtxSynchronize());
    assert_int_equal(free_bytes(), before - 64 * MIB);
    assert_ok(cuMemPoolTrimTo(pool, 64 * MIB));
    assert_int_equal(free_bytes(), before - 64 * MIB);
    assert_ok(cuMemPoolTrimTo(pool, 0));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuMemPoolDestroy(pool));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemPoolDestroy(pool));
}

static void memory_freed_in_a_stream_is_used_again_in_it(void **state)
{
    CUdeviceptr first, again;
    CUstream stream;

    assert_ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 50; i++) {
        assert_ok(cuMemAllocAsync(&again, 8 * MIB, stream));
        if (i == 0)
            first = again;
        assert_int_equal(again, first);
        assert_ok(cuMemsetD8Async(again, (unsigned char)i, 8 * MIB, stream));
        assert_ok(cuMemFreeAsync(again, stream));
    }
    assert_ok(cuStreamSynchronize(stream));
    assert_ok(cuStreamDestroy(stream));
}

static void a_full_device_takes_back_what_pools_do_not_use(void **state)
{
    uint64_t before = free_bytes();
    cuuint64_t threshold = UINT64_MAX;
    CUmemoryPool pool = new_pool();
    CUdeviceptr address, all;

    assert_ok(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    assert_ok(cuMemAllocFromPoolAsync(&address, 100 * MIB, pool, NULL));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&all, before));
    assert_ok(cuMemFreeAsync(address, NULL));
    assert_ok(cuStreamSynchronize(NULL));
    assert_ok(cuMemAlloc(&all, before));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocFromPoolAsync(&address, 1, pool, NULL));
    assert_ok(cuMemFree(all));
    assert_ok(cuMemPoolDestroy(pool));
}

static void a_destroyed_pool_lives_until_its_last_allocation(void **state)
{
    uint64_t before = free_bytes();
    CUmemoryPool pool = new_pool();
    CUdeviceptr address;

    assert_ok(cuMemAllocFromPoolAsync(&address, 4096, pool, NULL));
    assert_ok(cuMemPoolDestroy(pool));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAllocFromPoolAsync(&address, 4096, pool, NULL));
    assert_ok(cuMemsetD8(address, 1, 4096));
    assert_int_equal(free_bytes(), before - 32 * MIB);
    assert_ok(cuMemFreeAsync(address, NULL));
    assert_ok(cuCtxSynchronize());
    assert_int_equal(free_bytes(), before);
}

static void frees_that_make_no_sense_are_refused(void **state)
{
    CUdeviceptr plain, pooled;

    assert_ok(cuMemAlloc(&plain, 64));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(plain, NULL));
    assert_ok(cuMemFree(plain));
    assert_ok(cuMemAllocAsync(&pooled, 64, NULL));
    assert_ok(cuMemFreeAsync(pooled, NULL));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(pooled, NULL));
    /* A pool's memory may be freed at once, too. */
    assert_ok(cuMemAllocAsync(&pooled, 64, NULL));
    assert_ok(cuMemFree(pooled));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(pooled));
    assert_ok(cuCtxSynchronize());
}

static void a_device_allocates_from_the_pool_it_is_given(void **state)
{
    CUmemoryPool mine = new_pool(), standard, current;
    CUdeviceptr address;

    assert_ok(cuDeviceGetDefaultMemPool(&standard, 0));
    assert_ok(cuDeviceSetMemPool(0, mine));
    assert_ok(cuMemAllocAsync(&address, 64, NULL));
    assert_ok(cuPointerGetAttribute(&current, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, address));
    assert_ptr_equal(current, mine);
    assert_ok(cuMemFree(address));
    assert_ok(cuMemPoolDestroy(mine));
    assert_ok(cuDeviceGetMemPool(&current, 0));
    assert_ptr_equal(current, standard);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemPoolDestroy(standard));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(a_pool_grows_by_chunks_and_gives_back_at_synchronisation),
        TEST_IN_CONTEXT(a_pool_keeps_as_much_as_its_threshold_says),
        TEST_IN_CONTEXT(memory_freed_in_a_stream_is_used_again_in_it),
        TEST_IN_CONTEXT(a_full_device_takes_back_what_pools_do_not_use),
        TEST_IN_CONTEXT(a_destroyed_pool_lives_until_its_last_allocation),
        TEST_IN_CONTEXT(frees_that_make_no_sense_are_refused),
        TEST_IN_CONTEXT(a_device_allocates_from_the_pool_it_is_given),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
