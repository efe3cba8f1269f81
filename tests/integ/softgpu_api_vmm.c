/* Virtual memory management: addresses without memory, memory without addresses, and who may touch what. The
 * judge of what is taken is cuMemGetInfo. */
#include "softgpu_api.h"

#define GRANULE (2 * MIB)

/* to[i] = from[i] for each thread i. */
static const char COPY_WORDS[] = ".version 6.4\n.target sm_75\n.address_size 64\n"
                                 ".visible .entry copy_words(.param .u64 from, .param .u64 to)\n{\n"
                                 ".reg .u64 %rd<6>;\n.reg .u32 %r<6>;\n"
                                 "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n"
                                 "mad.lo.u32 %r4, %r1, %r2, %r3;\nmul.wide.u32 %rd1, %r4, 4;\n"
                                 "ld.param.u64 %rd2, [from];\nld.param.u64 %rd3, [to];\n"
                                 "add.u64 %rd4, %rd2, %rd1;\nadd.u64 %rd5, %rd3, %rd1;\n"
                                 "ld.global.u32 %r5, [%rd4];\nst.global.u32 [%rd5], %r5;\nret;\n}\n";

static CUmemAllocationProp properties_of_device(void)
{
    return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
}

static CUmemGenericAllocationHandle create(uint64_t bytes)
{
    CUmemAllocationProp properties = properties_of_device();
    CUmemGenericAllocationHandle handle = 0;

    assert_ok(cuMemCreate(&handle, bytes, &properties, 0));
    return handle;
}

static CUdeviceptr reserve(uint64_t bytes)
{
    CUdeviceptr base = 0;

    assert_ok(cuMemAddressReserve(&base, bytes, 0, 0, 0));
    return base;
}

static CUresult allow(CUdeviceptr base, uint64_t bytes, CUmemAccess_flags flags)
{
    CUmemAccessDesc description = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0},
                                   .flags = flags};

    return cuMemSetAccess(base, bytes, &description, 1);
}

/* What the device may do at an address. */
static unsigned long long access_at(CUdeviceptr address)
{
    CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0};
    unsigned long long flags = 77;

    assert_ok(cuMemGetAccess(&flags, &location, address));
    return flags;
}

/* Memory at addresses of its own that the device may use; the handle is released already. */
static CUdeviceptr map_new(uint64_t bytes)
{
    CUmemGenericAllocationHandle handle = create(bytes);
    CUdeviceptr base = reserve(bytes);

    assert_ok(cuMemMap(base, bytes, 0, handle, 0));
    assert_ok(cuMemRelease(handle));
    assert_ok(allow(base, bytes, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    return base;
}

static void unmap_all(CUdeviceptr base, uint64_t bytes)
{
    assert_ok(cuMemUnmap(base, bytes));
    assert_ok(cuMemAddressFree(base, bytes));
}

static CUresult run_copy_words(CUdeviceptr from, CUdeviceptr to, unsigned blocks)
{
    void *params[] = {&from, &to};
    CUfunction function;
    CUmodule module;
    CUresult result;

    assert_ok(cuModuleLoadData(&module, COPY_WORDS));
    function = get_kernel(module, "copy_words");
    assert_ok(cuLaunchKernel(function, blocks, 1, 1, 256, 1, 1, 0, NULL, params, NULL));
    result = cuCtxSynchronize();
    if (!result)
        assert_ok(cuModuleUnload(module));
    return result;
}

static void granularity_and_properties_are_told(void **state)
{
    CUmemAllocationProp properties = properties_of_device(), got;
    CUmemGenericAllocationHandle handle;
    size_t bytes = 0;

    assert_ok(cuMemGetAllocationGranularity(&bytes, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    assert_int_equal(bytes, GRANULE);
    assert_ok(cuMemGetAllocationGranularity(&bytes, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    assert_int_equal(bytes, GRANULE);
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemGetAllocationGranularity(NULL, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemGetAllocationGranularity(&bytes, NULL, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuMemGetAllocationGranularity(&bytes, &properties, (CUmemAllocationGranularity_flags)7));
    properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    assert_ok(cuMemCreate(&handle, GRANULE, &properties, 0));
    assert_ok(cuMemGetAllocationPropertiesFromHandle(&got, handle));
    assert_int_equal(got.type, CU_MEM_ALLOCATION_TYPE_PINNED);
    assert_int_equal(got.requestedHandleTypes, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    assert_int_equal(got.location.type, CU_MEM_LOCATION_TYPE_DEVICE);
    assert_int_equal(got.location.id, 0);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemGetAllocationPropertiesFromHandle(NULL, handle));
    assert_ok(cuMemRelease(handle));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemGetAllocationPropertiesFromHandle(&got, handle));
}

static void memory_lives_until_its_last_handle_and_mapping_are_gone(void **state)
{
    uint64_t before = free_bytes();
    CUmemGenericAllocationHandle handle = create(3 * GRANULE), again = 0;
    CUdeviceptr base = reserve(3 * GRANULE);

    assert_int_equal(free_bytes(), before - 3 * GRANULE);
    assert_ok(cuMemMap(base, 3 * GRANULE, 0, handle, 0));
    assert_ok(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(base + GRANULE + 5)));
    assert_int_equal(again, handle);
    assert_ok(cuMemRelease(handle));
    assert_ok(cuMemRelease(again));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemRelease(handle));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 3 * GRANULE, 0, handle, 0));
    assert_int_equal(free_bytes(), before - 3 * GRANULE);

    /* A mapping gives a handle back though all were released, and that one keeps the memory. */
    assert_ok(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)base));
    assert_ok(cuMemUnmap(base, 3 * GRANULE));
    assert_int_equal(free_bytes(), before - 3 * GRANULE);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)base));
    assert_ok(cuMemMap(base, GRANULE, GRANULE, again, 0));
    assert_ok(cuMemRelease(again));
    assert_int_equal(free_bytes(), before - 3 * GRANULE);
    assert_ok(cuMemUnmap(base, GRANULE));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuMemAddressFree(base, 3 * GRANULE));
}

static void creating_refuses_what_the_documentation_says(void **state)
{
    CUmemAllocationProp good = properties_of_device(), bad;
    CUmemGenericAllocationHandle handle = 42;
    uint64_t before = free_bytes();

    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(NULL, GRANULE, &good, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, GRANULE, NULL, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, 0, &good, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, GRANULE + 4096, &good, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, GRANULE, &good, 1));
    bad = good;
    bad.type = CU_MEM_ALLOCATION_TYPE_INVALID;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, GRANULE, &bad, 0));
    bad = good;
    bad.location.type = CU_MEM_LOCATION_TYPE_INVALID;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, GRANULE, &bad, 0));
    bad = good;
    bad.location.id = 9;
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuMemCreate(&handle, GRANULE, &bad, 0));
    bad = good;
    bad.requestedHandleTypes = CU_MEM_HANDLE_TYPE_FABRIC;
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuMemCreate(&handle, GRANULE, &bad, 0));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemCreate(&handle, before + GRANULE, &good, 0));
    assert_int_equal(handle, 42);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemRelease(0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemRelease(0xdeadbeef));
    assert_int_equal(free_bytes(), before);
}

static void addresses_are_reserved_as_asked(void **state)
{
    uint64_t before = free_bytes();
    CUdeviceptr base = 0, other = 0, refused = 42;

    assert_ok(cuMemAddressReserve(&base, 2 * GRANULE, 64 * MIB, 0, 0));
    assert_int_equal(base % (64 * MIB), 0);
    assert_int_equal(free_bytes(), before);
    assert_ok(cuMemAddressFree(base, 2 * GRANULE));
    /* A wish for addresses that are free is met; one for taken ones gives others. */
    assert_ok(cuMemAddressReserve(&other, 4 * GRANULE, 0, base + 2 * GRANULE, 0));
    assert_int_equal(other, base + 2 * GRANULE);
    assert_ok(cuMemAddressReserve(&base, 4 * GRANULE, 0, other + GRANULE, 0));
    assert_true(base + 4 * GRANULE <= other || base >= other + 4 * GRANULE);

    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(NULL, GRANULE, 0, 0, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&refused, 0, 0, 0, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&refused, GRANULE + 1, 0, 0, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&refused, GRANULE, 3 * MIB, 0, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&refused, GRANULE, 0, 0, 1));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAddressReserve(&refused, UINT64_C(1) << 50, 0, 0, 0));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMemAddressReserve(&refused, GRANULE, UINT64_C(1) << 63, 0, 0));
    assert_int_equal(refused, 42);

    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(other, GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(other + GRANULE, 3 * GRANULE));
    assert_ok(cuMemAddressFree(other, 4 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(other, 4 * GRANULE));
    assert_ok(cuMemAddressFree(base, 4 * GRANULE));
}

static void mapping_refuses_what_the_documentation_says(void **state)
{
    CUmemGenericAllocationHandle handle = create(2 * GRANULE);
    CUdeviceptr base = reserve(4 * GRANULE), allocated;

    assert_ok(cuMemAlloc(&allocated, 2 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 0, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base + 4096, GRANULE, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 4096, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, GRANULE, 4096, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, GRANULE, 0, handle, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, GRANULE, 0, 0xdeadbeef, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 3 * GRANULE, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 2 * GRANULE, GRANULE, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 2 * GRANULE, UINT64_MAX - GRANULE + 1, handle, 0));
    /* Not within one reservation. */
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base + 3 * GRANULE, 2 * GRANULE, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(allocated, 2 * GRANULE, 0, handle, 0));
    /* Mapped already, also in part. */
    assert_ok(cuMemMap(base + GRANULE, 2 * GRANULE, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base, 2 * GRANULE, 0, handle, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemMap(base + 2 * GRANULE, GRANULE, 0, handle, 0));
    assert_ok(cuMemMap(base, GRANULE, 0, handle, 0));
    /* Unmapped only whole, and only what is mapped; addresses only when nothing is. */
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base, 2 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base + 2 * GRANULE, GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base, 4 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(allocated, 2 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(base, 4 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(base));
    assert_ok(cuMemUnmap(base, 3 * GRANULE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base, GRANULE));
    assert_ok(cuMemAddressFree(base, 4 * GRANULE));
    assert_ok(cuMemRelease(handle));
    assert_ok(cuMemFree(allocated));
}

static void nobody_may_touch_a_mapping_before_access_is_set(void **state)
{
    CUmemGenericAllocationHandle handle = create(GRANULE);
    CUdeviceptr base = reserve(GRANULE);
    uint32_t word = 5;

    assert_ok(cuMemMap(base, GRANULE, 0, handle, 0));
    assert_int_equal(access_at(base), CU_MEM_ACCESS_FLAGS_PROT_NONE);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(base, &word, 4));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&word, base, 4));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(base, 1, 16));
    assert_ok(allow(base, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    assert_int_equal(access_at(base + GRANULE - 1), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    assert_ok(cuMemcpyHtoD(base, &word, 4));
    assert_ok(allow(base, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_NONE));
    assert_int_equal(access_at(base), CU_MEM_ACCESS_FLAGS_PROT_NONE);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&word, base, 4));
    unmap_all(base, GRANULE);
    assert_ok(cuMemRelease(handle));
}

static void access_refuses_what_the_documentation_says(void **state)
{
    CUdeviceptr base = map_new(GRANULE);
    CUmemLocation location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}, nowhere = {0},
                  absent = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 9};
    CUmemAccessDesc description = {.location = location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READ};
    unsigned long long flags;

    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(base, GRANULE, NULL, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(base, GRANULE, &description, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(base, 4096, &description, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(base, 2 * GRANULE, &description, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(0xdeadbeef, GRANULE, &description, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, allow(base, GRANULE, (CUmemAccess_flags)2));
    assert_code(CUDA_ERROR_INVALID_VALUE, allow(base, GRANULE, (CUmemAccess_flags)8));
    description.location = absent;
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuMemSetAccess(base, GRANULE, &description, 1));
    assert_int_equal(access_at(base), CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(NULL, &location, base));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(&flags, NULL, base));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(&flags, &nowhere, base));
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuMemGetAccess(&flags, &absent, base));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(&flags, &location, base + GRANULE));
    unmap_all(base, GRANULE);
}

/* Two pieces of memory in reverse order, side by side: one copy and one kernel go over the border. */
static void neighbouring_mappings_are_one_range(void **state)
{
    enum { WORDS = 2 * GRANULE / 4 };
    uint32_t *words = malloc(WORDS * 4);
    CUmemGenericAllocationHandle handle = create(2 * GRANULE);
    CUdeviceptr base = reserve(3 * GRANULE), plain;

    assert_ok(cuMemMap(base + GRANULE, GRANULE, 0, handle, 0));
    assert_ok(cuMemMap(base, GRANULE, GRANULE, handle, 0));
    assert_ok(allow(base, 2 * GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = i * 2654435761u;
    assert_ok(cuMemcpyHtoD(base, words, 2 * GRANULE));
    assert_ok(cuMemAlloc(&plain, 2 * GRANULE));
    assert_ok(run_copy_words(base + GRANULE - 2048, plain, 4));
    memset(words, 0, WORDS * 4);
    assert_ok(cuMemcpyDtoH(words, plain, 4096));
    for (uint32_t i = 0; i < 1024; i++)
        assert_int_equal(words[i], (uint32_t)((GRANULE - 2048) / 4 + i) * 2654435761u);
    assert_ok(run_copy_words(plain, base + GRANULE - 1024, 2));
    assert_ok(cuMemcpyDtoH(words, base + GRANULE - 1024, 2048));
    assert_int_equal(words[511], (uint32_t)((GRANULE - 2048) / 4 + 511) * 2654435761u);
    /* The third granule of the reservation has no memory. */
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(words, base + 2 * GRANULE - 4, 8));
    /* The first half of the memory is at the second place. */
    assert_ok(cuMemcpyDtoH(words, base + GRANULE + 4096, 4));
    assert_ok(cuMemUnmap(base, 2 * GRANULE));
    assert_ok(cuMemMap(base, GRANULE, 0, handle, 0));
    assert_ok(allow(base, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READ));
    assert_ok(cuMemcpyDtoH(words + 1, base + 4096, 4));
    assert_int_equal(words[0], words[1]);
    assert_ok(cuMemUnmap(base, GRANULE));
    assert_ok(cuMemAddressFree(base, 3 * GRANULE));
    assert_ok(cuMemRelease(handle));
    assert_ok(cuMemFree(plain));
    free(words);
}

/* One granule is read-only, its neighbour is not: a range over both can only be read. */
static void a_range_has_only_the_rights_that_all_of_it_has(void **state)
{
    CUdeviceptr base = reserve(2 * GRANULE);
    CUmemGenericAllocationHandle handle = create(2 * GRANULE);
    char bytes[8] = {0};

    assert_ok(cuMemMap(base, GRANULE, 0, handle, 0));
    assert_ok(cuMemMap(base + GRANULE, GRANULE, GRANULE, handle, 0));
    assert_ok(allow(base, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(bytes, base + GRANULE - 4, 8));
    assert_ok(allow(base + GRANULE, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READ));
    assert_ok(cuMemcpyDtoH(bytes, base + GRANULE - 4, 8));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(base + GRANULE - 4, bytes, 8));
    assert_ok(cuMemcpyHtoD(base + GRANULE - 8, bytes, 8));
    unmap_all(base, 2 * GRANULE);
    assert_ok(cuMemRelease(handle));
}

/* The same memory at two places, and changes of one seen at the other. */
static void memory_may_be_mapped_twice(void **state)
{
    CUmemGenericAllocationHandle handle = create(GRANULE);
    CUdeviceptr base = reserve(2 * GRANULE);
    uint32_t word = 0;

    assert_ok(cuMemMap(base, GRANULE, 0, handle, 0));
    assert_ok(cuMemMap(base + GRANULE, GRANULE, 0, handle, 0));
    assert_ok(allow(base, 2 * GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    assert_ok(cuMemsetD32(base + 64, 0x1234567, 1));
    assert_ok(cuMemcpyDtoH(&word, base + GRANULE + 64, 4));
    assert_int_equal(word, 0x1234567);
    unmap_all(base, 2 * GRANULE);
    assert_ok(cuMemRelease(handle));
}

/* Loads of read-only memory work, a store is the sticky fault of its context. */
static void read_only_memory_is_read_only_for_kernels(void **state)
{
    CUdeviceptr read_only = map_new(GRANULE), plain;
    CUcontext broken;
    uint32_t word = 77;

    assert_ok(cuMemsetD32(read_only, 99, 1024));
    assert_ok(cuCtxSynchronize());
    assert_ok(allow(read_only, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_READ));
    assert_int_equal(access_at(read_only), CU_MEM_ACCESS_FLAGS_PROT_READ);
    assert_ok(cuCtxCreate(&broken, NULL, 0, 0));
    assert_ok(cuMemAlloc(&plain, 4096));
    assert_ok(run_copy_words(read_only, plain, 4));
    assert_ok(cuMemcpyDtoH(&word, plain, 4));
    assert_int_equal(word, 99);
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, run_copy_words(plain, read_only, 4));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemFree(plain));
    assert_ok(cuCtxDestroy(broken));

    /* Not at all without a right, nor where nothing is mapped. */
    assert_ok(allow(read_only, GRANULE, CU_MEM_ACCESS_FLAGS_PROT_NONE));
    assert_ok(cuCtxCreate(&broken, NULL, 0, 0));
    assert_ok(cuMemAlloc(&plain, 4096));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, run_copy_words(read_only, plain, 1));
    assert_ok(cuCtxDestroy(broken));
    assert_ok(cuMemUnmap(read_only, GRANULE));
    assert_ok(cuCtxCreate(&broken, NULL, 0, 0));
    assert_ok(cuMemAlloc(&plain, 4096));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, run_copy_words(read_only, plain, 1));
    assert_ok(cuCtxDestroy(broken));
    assert_ok(cuMemAddressFree(read_only, GRANULE));
}

/* Mappings are the process's, not a context's. */
static void a_mapping_outlives_the_context_it_was_made_in(void **state)
{
    CUcontext passing;
    CUdeviceptr base;
    uint32_t word = 0;

    assert_ok(cuCtxCreate(&passing, NULL, 0, 0));
    base = map_new(GRANULE);
    assert_ok(cuMemsetD32(base, 31, 1));
    assert_ok(cuCtxDestroy(passing));
    assert_ok(cuMemcpyDtoH(&word, base, 4));
    assert_int_equal(word, 31);
    unmap_all(base, GRANULE);
}

/* What was mapped before is zero when somebody has it next. */
static void new_memory_is_zero(void **state)
{
    CUdeviceptr base = map_new(GRANULE);
    uint32_t word = 1;

    assert_ok(cuMemsetD32(base, 0xffffffff, GRANULE / 4));
    unmap_all(base, GRANULE);
    base = map_new(GRANULE);
    assert_ok(cuMemcpyDtoH(&word, base + 4096, 4));
    assert_int_equal(word, 0);
    unmap_all(base, GRANULE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(granularity_and_properties_are_told),
        TEST_IN_CONTEXT(memory_lives_until_its_last_handle_and_mapping_are_gone),
        TEST_IN_CONTEXT(creating_refuses_what_the_documentation_says),
        TEST_IN_CONTEXT(addresses_are_reserved_as_asked),
        TEST_IN_CONTEXT(mapping_refuses_what_the_documentation_says),
        TEST_IN_CONTEXT(nobody_may_touch_a_mapping_before_access_is_set),
        TEST_IN_CONTEXT(access_refuses_what_the_documentation_says),
        TEST_IN_CONTEXT(neighbouring_mappings_are_one_range),
        TEST_IN_CONTEXT(a_range_has_only_the_rights_that_all_of_it_has),
        TEST_IN_CONTEXT(memory_may_be_mapped_twice),
        TEST_IN_CONTEXT(read_only_memory_is_read_only_for_kernels),
        TEST_IN_CONTEXT(a_mapping_outlives_the_context_it_was_made_in),
        TEST_IN_CONTEXT(new_memory_is_zero),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
