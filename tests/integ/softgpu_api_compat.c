/* The first ABI of the driver API, which old programs are bound to, and its lesser known calls: attachments
 * of contexts, attributes of ranges, batches of copies. */
#include "softgpu_api.h"

#undef cuDeviceTotalMem
#undef cuMemAlloc
#undef cuMemAllocHost
#undef cuMemAllocPitch
#undef cuMemFree
#undef cuMemGetInfo
#undef cuMemHostGetDevicePointer
#undef cuMemcpy2D
#undef cuMemcpyAtoH
#undef cuMemcpyBatchAsync
#undef cuMemcpyDtoH
#undef cuMemcpyHtoA
#undef cuMemcpyHtoAAsync
#undef cuMemcpyHtoD
#undef cuMemsetD32
#undef cuModuleGetGlobal
#undef cuArrayCreate
#undef cuArrayGetDescriptor

static uint64_t free_now(void)
{
    size_t free_bytes_now, total;

    assert_ok(cuMemGetInfo_v2(&free_bytes_now, &total));
    return free_bytes_now;
}

static void figures_that_fit_in_32_bits_are_told(void **state)
{
    unsigned free_32, total_32;

    assert_ok(cuDeviceTotalMem(&total_32, 0));
    assert_int_equal(total_32, GIB);
    assert_ok(cuMemGetInfo(&free_32, &total_32));
    assert_int_equal(free_32, GIB - 64 * MIB);
    assert_int_equal(total_32, GIB);
}

static void an_address_that_does_not_fit_is_an_error_and_takes_nothing(void **state)
{
    uint64_t before = free_now();
    CUdeviceptr_v1 address = 42;
    unsigned pitch = 43;
    void *host;

    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuMemAlloc(&address, 5 * (unsigned)MIB));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuMemAllocPitch(&address, &pitch, 100, 100, 4));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&address, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(0x1000));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(0x1000, &address, 4));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&pitch, 0x1000, 4));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(0x1000, 1, 1));
    assert_ok(cuMemAllocHost(&host, 4096));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuMemHostGetDevicePointer(&address, host, 0));
    assert_ok(cuMemFreeHost(host));
    assert_int_equal(address, 42);
    assert_int_equal(pitch, 43);
    assert_int_equal(free_now(), before);
}

static void arrays_of_the_first_abi_work_in_full(void **state)
{
    CUDA_ARRAY_DESCRIPTOR_v1 descriptor = {100, 4, CU_AD_FORMAT_SIGNED_INT32, 1}, told;
    CUDA_ARRAY_DESCRIPTOR_v1 flat = {100, 0, CU_AD_FORMAT_SIGNED_INT32, 1};
    int from[4][100], to[4][100] = {{0}}, row[100];
    CUarray array, line;

    for (int i = 0; i < 400; i++)
        from[i / 100][i % 100] = i;
    assert_ok(cuArrayCreate(&array, &descriptor));
    assert_ok(cuArrayCreate(&line, &flat));
    assert_ok(cuArrayGetDescriptor(&told, array));
    assert_memory_equal(&told, &descriptor, sizeof(told));

    CUDA_MEMCPY2D_v1 in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                           .srcHost = from,
                           .srcPitch = 400,
                           .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                           .dstArray = array,
                           .WidthInBytes = 400,
                           .Height = 4};
    CUDA_MEMCPY2D_v1 out = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                            .srcArray = array,
                            .dstMemoryType = CU_MEMORYTYPE_HOST,
                            .dstHost = to,
                            .dstPitch = 400,
                            .WidthInBytes = 400,
                            .Height = 4};

    assert_ok(cuMemcpy2D(&in));
    assert_ok(cuMemcpy2D(&out));
    assert_memory_equal(from, to, sizeof(from));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(NULL));
    assert_ok(cuMemcpyHtoA(line, 0, from[1], 200));
    assert_ok(cuMemcpyHtoAAsync(line, 200, from[1] + 50, 200, NULL));
    assert_ok(cuMemcpyAtoH(row, line, 0, 400));
    assert_memory_equal(row, from[1], sizeof(row));
    assert_ok(cuArrayDestroy(line));
    assert_ok(cuArrayDestroy(array));
}

/* ---- attachments ---- */

static void a_context_ends_with_its_last_attachment(void **state)
{
    CUcontext context, attached;
    uint64_t before = free_now();
    unsigned version;

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    assert_ok(cuCtxAttach(&attached, 0));
    assert_ptr_equal(attached, context);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuCtxAttach(&attached, 1));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxDetach(*state));
    assert_ok(cuCtxDetach(attached));
    assert_ok(cuCtxGetApiVersion(context, &version));
    assert_ok(cuCtxDetach(context));
    assert_code(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetApiVersion(context, &version));
    assert_int_equal(free_now(), before);
}

/* ---- launches of old ---- */

static void a_function_can_be_told_its_launch_call_by_call(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction poke = get_kernel(module, "poke");
    CUstream stream;
    CUdeviceptr buffer;
    int value = 0;

    assert_ok(cuMemAlloc_v2(&buffer, 4));
    assert_ok(cuStreamCreate(&stream, 0));
    assert_ok(cuParamSetv(poke, 0, &buffer, sizeof(buffer)));
    assert_ok(cuParamSeti(poke, 8, 4711));
    assert_ok(cuParamSetSize(poke, 12));
    /* Without a block there is nothing to launch. */
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunch(poke));
    assert_ok(cuFuncSetBlockShape(poke, 1, 1, 1));
    assert_ok(cuFuncSetSharedSize(poke, 64));
    assert_ok(cuLaunch(poke));
    assert_ok(cuMemcpyDtoH_v2(&value, buffer, 4));
    assert_int_equal(value, 4711);
    assert_ok(cuParamSetf(poke, 8, 1.5f));
    assert_ok(cuLaunchGridAsync(poke, 3, 2, stream));
    assert_ok(cuStreamSynchronize(stream));
    assert_ok(cuMemcpyDtoH_v2(&value, buffer, 4));
    assert_int_equal(value, 0x3fc00000);
    assert_ok(cuParamSetSize(poke, 8));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchGrid(poke, 1, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuParamSetSize(poke, 4097));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuParamSetv(poke, 4090, &buffer, 8));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuFuncSetBlockShape(poke, 0, 1, 1));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuLaunch((CUfunction)module));
    assert_ok(cuStreamDestroy(stream));
    assert_ok(cuMemFree_v2(buffer));
    assert_ok(cuModuleUnload(module));
}

/* ---- ranges ---- */

static void attributes_of_a_range_can_be_asked_for_together(void **state)
{
    CUmem_range_attribute attributes[] = {CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY,
                                          CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION};
    int mostly = 7, location = 7;
    void *values[] = {&mostly, &location};
    size_t bytes[] = {sizeof(int), sizeof(int)};
    CUdeviceptr address;

    assert_ok(cuMemAllocManaged(&address, 4096, CU_MEM_ATTACH_GLOBAL));
    assert_ok(cuMemRangeGetAttributes(values, bytes, attributes, 2, address, 4096));
    assert_int_equal(mostly, 0);
    assert_int_equal(location, CU_DEVICE_INVALID);
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemRangeGetAttributes(values, bytes, attributes, 0, address, 4096));
    bytes[1] = 3;
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemRangeGetAttributes(values, bytes, attributes, 2, address, 4096));
    assert_ok(cuMemFree_v2(address));
}

/* ---- batches ---- */

static void a_batch_copies_all_or_says_which_it_could_not(void **state)
{
    CUmemcpyAttributes attributes = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL};
    int from[2][64], to[2][64] = {{0}};
    size_t sizes[] = {sizeof(from[0]), sizeof(from[1])}, first = 0, failed = 0;
    CUdeviceptr memory, destinations[2], sources[2];
    CUstream stream;

    for (int i = 0; i < 128; i++)
        from[i / 64][i % 64] = i + 1;
    assert_ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    assert_ok(cuMemAlloc_v2(&memory, sizeof(from)));
    for (unsigned i = 0; i < 2; i++) {
        destinations[i] = memory + i * sizeof(from[0]);
        sources[i] = (CUdeviceptr)(uintptr_t)from[i];
    }
    assert_ok(cuMemcpyBatchAsync_v2(destinations, sources, sizes, 2, &attributes, &first, 1, stream));
    /* The sources are the caller's again. */
    memset(from, 0, sizeof(from));
    for (unsigned i = 0; i < 2; i++) {
        sources[i] = destinations[i];
        destinations[i] = (CUdeviceptr)(uintptr_t)to[i];
    }
    attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
    assert_ok(cuMemcpyBatchAsync_v2(destinations, sources, sizes, 2, &attributes, &first, 1, stream));
    assert_ok(cuStreamSynchronize(stream));
    for (int i = 0; i < 128; i++)
        assert_int_equal(to[i / 64][i % 64], i + 1);

    sources[1] += 4;
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemcpyBatchAsync(destinations, sources, sizes, 2, &attributes, &first, 1, &failed, stream));
    assert_int_equal(failed, 1);
    first = 1;
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemcpyBatchAsync_v2(destinations, sources, sizes, 2, &attributes, &first, 1, stream));
    first = 0;
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemcpyBatchAsync_v2(destinations, sources, sizes, 2, &attributes, &first, 1, NULL));
    assert_ok(cuMemFree_v2(memory));
    assert_ok(cuStreamDestroy(stream));
}

static void a_batch_of_boxes_counts_in_elements_of_its_arrays(void **state)
{
    CUDA_ARRAY_DESCRIPTOR_v1 descriptor = {8, 4, CU_AD_FORMAT_FLOAT, 2};
    float from[3][10], to[3][10] = {{0}};
    CUarray array;
    CUstream stream;

    for (int i = 0; i < 30; i++)
        from[i / 10][i % 10] = (float)i;
    assert_ok(cuStreamCreate(&stream, 0));
    assert_ok(cuArrayCreate(&array, &descriptor));

    CUmemcpy3DOperand in_array = {.type = CU_MEMCPY_OPERAND_TYPE_ARRAY, .op.array = {array, {2, 1, 0}}};
    CUmemcpy3DOperand on_host = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER,
                                 .op.ptr = {.ptr = (CUdeviceptr)(uintptr_t)from, .rowLength = 5}};
    CUDA_MEMCPY3D_BATCH_OP op = {
        on_host, in_array, {5, 3, 1}, .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};

    assert_ok(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
    on_host.op.ptr.ptr = (CUdeviceptr)(uintptr_t)to;
    op.src = in_array;
    op.dst = on_host;
    assert_ok(cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
    assert_ok(cuStreamSynchronize(stream));
    assert_memory_equal(from, to, sizeof(from));
    op.src.op.array.offset.y = 2;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy3DBatchAsync_v2(1, &op, 0, stream));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy3DBatchAsync_v2(1, &op, 1, stream));
    assert_ok(cuArrayDestroy(array));
    assert_ok(cuStreamDestroy(stream));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(figures_that_fit_in_32_bits_are_told),
        TEST_IN_CONTEXT(an_address_that_does_not_fit_is_an_error_and_takes_nothing),
        TEST_IN_CONTEXT(arrays_of_the_first_abi_work_in_full),
        TEST_IN_CONTEXT(a_context_ends_with_its_last_attachment),
        TEST_IN_CONTEXT(a_function_can_be_told_its_launch_call_by_call),
        TEST_IN_CONTEXT(attributes_of_a_range_can_be_asked_for_together),
        TEST_IN_CONTEXT(a_batch_copies_all_or_says_which_it_could_not),
        TEST_IN_CONTEXT(a_batch_of_boxes_counts_in_elements_of_its_arrays),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests_name("softgpu_api_compat", tests, NULL, NULL);
}
