/* Device and host memory through the driver API: what is charged, to the byte; what copies and fills do and
 * refuse. */
#include <setjmp.h>
#include <signal.h>

#include "softgpu_api.h"

static void a_context_costs_what_the_device_says(void **state)
{
    CUcontext first, second;
    uint64_t before;

    assert_ok(cuInit(0));
    assert_ok(cuCtxCreate(&first, NULL, 0, 0));
    before = free_bytes();
    assert_int_equal(before, GIB - 64 * MIB);
    assert_ok(cuCtxCreate(&second, NULL, 0, 0));
    assert_int_equal(free_bytes(), before - 64 * MIB);
    assert_ok(cuCtxDestroy(second));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuCtxDestroy(first));
}

static void small_allocations_share_a_granule(void **state)
{
    uint64_t before = free_bytes();
    CUdeviceptr first, second, third;

    assert_ok(cuMemAlloc(&first, 1));
    assert_int_equal(free_bytes(), before - 2 * MIB);
    assert_ok(cuMemAlloc(&second, MIB));
    assert_int_equal(free_bytes(), before - 2 * MIB);
    assert_int_equal(second % 512, 0);
    /* 512 bytes are gone from the second half. */
    assert_ok(cuMemAlloc(&third, MIB));
    assert_int_equal(free_bytes(), before - 4 * MIB);
    assert_ok(cuMemFree(second));
    assert_ok(cuMemFree(first));
    assert_int_equal(free_bytes(), before - 2 * MIB);
    assert_ok(cuMemFree(third));
    assert_int_equal(free_bytes(), before);
}

static void large_allocations_are_whole_granules(void **state)
{
    uint64_t before = free_bytes();
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, MIB + 1));
    assert_int_equal(free_bytes(), before - 2 * MIB);
    assert_ok(cuMemFree(address));
    assert_ok(cuMemAlloc(&address, 10 * MIB + 1));
    assert_int_equal(free_bytes(), before - 12 * MIB);
    assert_ok(cuMemFree(address));
    assert_int_equal(free_bytes(), before);
}

static void a_full_device_refuses_and_takes_nothing(void **state)
{
    uint64_t before = free_bytes();
    CUdeviceptr most, more = 42;

    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&more, before + 1));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&more, SIZE_MAX));
    assert_ok(cuMemAlloc(&most, before));
    assert_int_equal(free_bytes(), 0);
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&more, 1));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocManaged(&more, 1, CU_MEM_ATTACH_GLOBAL));
    assert_int_equal(more, 42);
    assert_ok(cuMemFree(most));
    assert_int_equal(free_bytes(), before);
}

static void a_context_gives_back_what_it_did_not_free(void **state)
{
    uint64_t before = free_bytes();
    CUcontext leaky;
    CUdeviceptr address;
    void *host;

    assert_ok(cuCtxCreate(&leaky, NULL, 0, 0));
    assert_ok(cuMemAlloc(&address, 100));
    assert_ok(cuMemAlloc(&address, 5 * MIB));
    assert_ok(cuMemAllocManaged(&address, 3 * MIB, CU_MEM_ATTACH_GLOBAL));
    assert_ok(cuMemHostAlloc(&host, 4096, 0));
    assert_ok(cuCtxDestroy(leaky));
    assert_int_equal(free_bytes(), before);
}

static void frees_of_what_is_no_allocation_are_refused(void **state)
{
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 1024));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(address + 512));
    assert_ok(cuMemFree(address));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(address));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(0xdeadbeef));
    assert_ok(cuMemFree(0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(NULL, 16));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&address, 0));
}

static void pitched_rows_begin_at_multiples_of_512(void **state)
{
    CUdeviceptr address, base;
    size_t pitch, bytes;

    assert_ok(cuMemAllocPitch(&address, &pitch, 1000, 10, 4));
    assert_int_equal(pitch, 1024);
    assert_ok(cuMemGetAddressRange(&base, &bytes, address + 5000));
    assert_int_equal(base, address);
    assert_int_equal(bytes, 10240);
    assert_ok(cuMemFree(address));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&address, &pitch, 1000, 10, 3));
    assert_code(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange(&base, &bytes, address));
}

static void copies_move_bytes_and_stay_inside_allocations(void **state)
{
    char from[1000], to[1000] = {0};
    CUdeviceptr first, second;

    for (int i = 0; i < 1000; i++)
        from[i] = (char)(i * 7);
    assert_ok(cuMemAlloc(&first, sizeof(from)));
    assert_ok(cuMemAlloc(&second, sizeof(from)));
    assert_ok(cuMemcpyHtoD(first, from, sizeof(from)));
    assert_ok(cuMemcpyDtoD(second, first, sizeof(from)));
    assert_ok(cuMemcpy((CUdeviceptr)(uintptr_t)to, second, sizeof(to)));
    assert_memory_equal(from, to, sizeof(to));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(first, from, sizeof(from) + 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(first + 1, from, sizeof(from)));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(to, 0x1000, 16));
    assert_ok(cuMemcpyHtoD(first, from, 0));
    assert_ok(cuMemFree(first));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(first, from, 1));
    assert_ok(cuMemFree(second));
}

static void boxes_are_copied_row_by_row(void **state)
{
    char from[6][10], to[6][10];
    CUdeviceptr address;
    size_t pitch;

    for (int i = 0; i < 60; i++)
        from[i / 10][i % 10] = (char)i;
    memset(to, -1, sizeof(to));
    assert_ok(cuMemAllocPitch(&address, &pitch, 10, 6, 4));

    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = from,
                        .srcPitch = 10,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = address,
                        .dstPitch = pitch,
                        .WidthInBytes = 10,
                        .Height = 6};
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = address,
                         .srcPitch = pitch,
                         .srcXInBytes = 3,
                         .srcY = 2,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = to,
                         .dstPitch = 10,
                         .dstXInBytes = 1,
                         .dstY = 1,
                         .WidthInBytes = 4,
                         .Height = 3};

    assert_ok(cuMemcpy2D(&in));
    assert_ok(cuMemcpy2D(&out));
    for (int y = 0; y < 6; y++)
        for (int x = 0; x < 10; x++) {
            bool inside = y >= 1 && y < 4 && x >= 1 && x < 5;

            assert_int_equal(to[y][x], inside ? (y + 1) * 10 + x + 2 : -1);
        }
    in.dstPitch = 5;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&in));
    in.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuMemcpy2D(&in));
    assert_ok(cuMemFree(address));
}

static void slices_are_copied_in_three_dimensions(void **state)
{
    int from[4][3][5], to[2][2][2];
    CUdeviceptr address;

    for (int i = 0; i < 60; i++)
        ((int *)from)[i] = i;
    assert_ok(cuMemAlloc(&address, sizeof(from)));
    assert_ok(cuMemcpyHtoD(address, from, sizeof(from)));

    CUDA_MEMCPY3D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = address,
                         .srcPitch = 20,
                         .srcHeight = 3,
                         .srcXInBytes = 8,
                         .srcY = 1,
                         .srcZ = 2,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = to,
                         .dstPitch = 8,
                         .dstHeight = 2,
                         .WidthInBytes = 8,
                         .Height = 2,
                         .Depth = 2};

    assert_ok(cuMemcpy3D(&out));
    for (int z = 0; z < 2; z++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 2; x++)
                assert_int_equal(to[z][y][x], from[z + 2][y + 1][x + 2]);
    assert_ok(cuMemFree(address));
}

static void fills_write_values_and_mind_their_alignment(void **state)
{
    unsigned words[64];
    unsigned short halves[64];
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 256));
    assert_ok(cuMemsetD32(address, 0x01020304, 64));
    assert_ok(cuMemcpyDtoH(words, address, 256));
    for (int i = 0; i < 64; i++)
        assert_int_equal(words[i], 0x01020304);
    assert_ok(cuMemsetD8(address, 0xab, 256));
    assert_ok(cuMemsetD2D16(address, 16, 0x55aa, 2, 8));
    assert_ok(cuMemcpyDtoH(halves, address, 128));
    for (int i = 0; i < 64; i++)
        assert_int_equal(halves[i], i % 8 < 2 ? 0x55aa : 0xabab);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(address + 2, 0, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD16(address + 1, 0, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(address, 0, 257));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD2D32(address, 6, 0, 1, 2));
    assert_ok(cuMemFree(address));
}

static void managed_memory_is_the_hosts_too_and_charged_in_full(void **state)
{
    uint64_t before = free_bytes();
    unsigned managed;
    CUdeviceptr address;
    volatile int *host;

    assert_ok(cuMemAllocManaged(&address, 3 * MIB, CU_MEM_ATTACH_GLOBAL));
    assert_int_equal(free_bytes(), before - 4 * MIB);
    host = (volatile int *)(uintptr_t)address;
    host[5] = 77;
    assert_ok(cuMemsetD32(address, 13, 2));
    assert_ok(cuCtxSynchronize());
    assert_int_equal(host[1], 13);
    assert_int_equal(host[5], 77);
    assert_ok(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address));
    assert_int_equal(managed, 1);
    assert_ok(cuMemAdvise(address, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY,
                          (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}));
    assert_ok(cuMemPrefetchAsync(address, 4096, (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}, 0, NULL));
    assert_ok(cuMemFree(address));
    assert_int_equal(free_bytes(), before);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&address, 16, 0));
}

static sigjmp_buf after_fault;

static void on_fault(int signal_number)
{
    siglongjmp(after_fault, 1);
}

static void the_host_cannot_follow_a_device_pointer(void **state)
{
    struct sigaction action = {.sa_handler = on_fault}, before;
    volatile bool faulted = true;
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 4096));
    sigaction(SIGSEGV, &action, &before);
    if (!sigsetjmp(after_fault, 1)) {
        *(volatile int *)(uintptr_t)address = 1;
        faulted = false;
    }
    sigaction(SIGSEGV, &before, NULL);
    assert_true(faulted);
    assert_ok(cuMemFree(address));
}

static void host_memory_has_flags_and_a_device_address(void **state)
{
    uint64_t before = free_bytes();
    unsigned flags, type;
    CUdeviceptr address;
    void *host, *own = malloc(8192);
    int word = 5;

    assert_ok(cuMemHostAlloc(&host, 4096, CU_MEMHOSTALLOC_PORTABLE));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuMemHostGetFlags(&flags, host));
    assert_int_equal(flags, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    assert_ok(cuMemHostGetDevicePointer(&address, host, 0));
    assert_ok(cuMemcpyHtoD(address, &word, sizeof(word)));
    assert_int_equal(*(int *)host, 5);
    assert_ok(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
    assert_int_equal(type, CU_MEMORYTYPE_HOST);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(address));
    assert_ok(cuMemFreeHost(host));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(host));

    assert_ok(cuMemHostRegister(own, 8192, 0));
    assert_code(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister((char *)own + 4096, 16, 0));
    assert_ok(cuMemHostGetDevicePointer(&address, (char *)own + 8, 0));
    assert_int_equal(address, (uintptr_t)own + 8);
    assert_ok(cuMemHostUnregister(own));
    assert_code(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(own));
    free(own);
}

static void pointers_tell_what_they_are(void **state)
{
    CUpointer_attribute questions[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                       CU_POINTER_ATTRIBUTE_HOST_POINTER, CU_POINTER_ATTRIBUTE_RANGE_SIZE};
    unsigned type = 99;
    int ordinal = 99;
    void *host = &type;
    size_t bytes = 99;
    void *answers[] = {&type, &ordinal, &host, &bytes};
    CUcontext context;
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 3000));
    assert_ok(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, address + 2999));
    assert_ptr_equal(context, *state);
    assert_ok(cuPointerGetAttributes(4, questions, answers, address + 1));
    assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
    assert_int_equal(ordinal, 0);
    assert_null(host);
    assert_int_equal(bytes, 3000);
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, address));
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + 3000));
    assert_ok(cuPointerGetAttributes(4, questions, answers, (CUdeviceptr)(uintptr_t)&type));
    assert_int_equal(type, 0);
    assert_int_equal(ordinal, CU_DEVICE_INVALID);
    assert_ok(cuMemFree(address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_costs_what_the_device_says),
        TEST_IN_CONTEXT(small_allocations_share_a_granule),
        TEST_IN_CONTEXT(large_allocations_are_whole_granules),
        TEST_IN_CONTEXT(a_full_device_refuses_and_takes_nothing),
        TEST_IN_CONTEXT(a_context_gives_back_what_it_did_not_free),
        TEST_IN_CONTEXT(frees_of_what_is_no_allocation_are_refused),
        TEST_IN_CONTEXT(pitched_rows_begin_at_multiples_of_512),
        TEST_IN_CONTEXT(copies_move_bytes_and_stay_inside_allocations),
        TEST_IN_CONTEXT(boxes_are_copied_row_by_row),
        TEST_IN_CONTEXT(slices_are_copied_in_three_dimensions),
        TEST_IN_CONTEXT(fills_write_values_and_mind_their_alignment),
        TEST_IN_CONTEXT(managed_memory_is_the_hosts_too_and_charged_in_full),
        TEST_IN_CONTEXT(the_host_cannot_follow_a_device_pointer),
        TEST_IN_CONTEXT(host_memory_has_flags_and_a_device_address),
        TEST_IN_CONTEXT(pointers_tell_what_they_are),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
