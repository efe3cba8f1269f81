/* What contexts and modules take of a device beyond their price: limits that are raised, and variables. All
 * of it is exact and at once, for cuMemGetInfo as for NVML. */
#include "softgpu_api.h"

#include <nvml.h>

#define SM_THREADS UINT64_C(8192) /* 8 SMs of 1024 threads */

/* What NVML says this process holds on the device. */
static uint64_t process_bytes(void)
{
    nvmlProcessInfo_t rows[4];
    unsigned count = 4;
    nvmlDevice_t device;

    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, rows), NVML_SUCCESS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    for (unsigned i = 0; i < count; i++)
        if ((pid_t)rows[i].pid == getpid())
            return rows[i].usedGpuMemory;
    return 0;
}

static void assert_taken(uint64_t before, uint64_t bytes)
{
    assert_int_equal(before - free_bytes(), bytes);
    assert_int_equal(process_bytes(), 64 * MIB + bytes);
}

static void heap_and_fifo_cost_what_exceeds_the_default(void **state)
{
    static const CUlimit limits[] = {CU_LIMIT_MALLOC_HEAP_SIZE, CU_LIMIT_PRINTF_FIFO_SIZE};
    static const uint64_t included[] = {8 * MIB, MIB};
    uint64_t before = free_bytes();

    for (int i = 0; i < 2; i++) {
        size_t value;

        assert_ok(cuCtxGetLimit(&value, limits[i]));
        assert_int_equal(value, included[i]);
        assert_ok(cuCtxSetLimit(limits[i], 4096));
        assert_taken(before, 0);
        assert_ok(cuCtxSetLimit(limits[i], included[i] + 1));
        assert_taken(before, 2 * MIB);
        assert_ok(cuCtxSetLimit(limits[i], included[i] + 100 * MIB + 1));
        assert_taken(before, 102 * MIB);
        assert_ok(cuCtxSetLimit(limits[i], included[i] + 7 * MIB));
        assert_taken(before, 8 * MIB);
        assert_ok(cuCtxGetLimit(&value, limits[i]));
        assert_int_equal(value, included[i] + 7 * MIB);
        assert_ok(cuCtxSetLimit(limits[i], included[i]));
        assert_taken(before, 0);
    }
}

static void stacks_cost_for_every_thread_the_device_can_hold(void **state)
{
    uint64_t before = free_bytes();

    assert_ok(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024 + 16));
    assert_taken(before, 2 * MIB);
    assert_ok(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 8192));
    assert_taken(before, (8192 - 1024) * SM_THREADS);
    /* Each limit is paid by itself. */
    assert_ok(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 9 * MIB));
    assert_taken(before, (8192 - 1024) * SM_THREADS + 2 * MIB);
    assert_ok(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 512));
    assert_taken(before, 2 * MIB);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 512 * 1024 + 1));
}

static void a_limit_that_does_not_fit_stays_as_it_was(void **state)
{
    uint64_t before = free_bytes();
    size_t value;

    assert_ok(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 16 * MIB));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 2 * GIB));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, SIZE_MAX));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 256 * 1024));
    assert_ok(cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE));
    assert_int_equal(value, 16 * MIB);
    assert_ok(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
    assert_int_equal(value, 1024);
    assert_taken(before, 8 * MIB);
    /* All that is left fits exactly, and not a granule more. */
    assert_ok(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 8 * MIB + before));
    assert_int_equal(free_bytes(), 0);
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 8 * MIB + before + 1));
}

static void the_end_of_a_context_gives_back_its_limits(void **state)
{
    uint64_t before = free_bytes();
    CUcontext other;

    assert_ok(cuCtxCreate(&other, NULL, 0, 0));
    assert_ok(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    assert_ok(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 100 * MIB));
    assert_int_equal(before - free_bytes(), 64 * MIB + 3072 * SM_THREADS + 92 * MIB);
    assert_ok(cuCtxDestroy(other));
    assert_taken(before, 0);
}

/* ---- variables of modules ---- */

static const char big_globals_ptx[] = ".version 7.0\n.target sm_50\n.address_size 64\n"
                                      ".visible .global .align 4 .b8 table[5242880];\n"
                                      ".visible .global .align 4 .b8 rest[3000000];\n"
                                      ".visible .const .align 4 .b8 small[64];\n"
                                      ".visible .entry idle()\n{\n\tret;\n}\n";

static void a_module_takes_memory_for_its_variables(void **state)
{
    uint64_t before = free_bytes();
    CUmodule module, second;
    CUdeviceptr address;
    size_t bytes;

    assert_ok(cuModuleLoadData(&module, big_globals_ptx));
    /* 5 MiB are 3 granules, 3,000,000 bytes are 2, and the constants share one. */
    assert_taken(before, 12 * MIB);
    assert_ok(cuModuleGetGlobal(&address, &bytes, module, "table"));
    assert_int_equal(bytes, 5 * MIB);
    assert_ok(cuModuleLoadData(&second, big_globals_ptx));
    assert_taken(before, 22 * MIB);
    assert_ok(cuModuleUnload(module));
    assert_taken(before, 12 * MIB);
    assert_ok(cuModuleUnload(second));
    assert_taken(before, 0);
}

static void a_library_takes_memory_where_its_variables_are_used(void **state)
{
    uint64_t before = free_bytes();
    CUlibrary library;
    CUdeviceptr address;

    assert_ok(cuLibraryLoadData(&library, big_globals_ptx, NULL, NULL, 0, NULL, NULL, 0));
    assert_ok(cuLibraryGetGlobal(&address, NULL, library, "rest"));
    assert_taken(before, 12 * MIB);
    assert_ok(cuLibraryUnload(library));
    assert_taken(before, 0);
}

static void a_module_that_does_not_fit_is_not_loaded(void **state)
{
    uint64_t before = free_bytes();
    CUdeviceptr most;
    CUmodule module;

    assert_ok(cuMemAlloc(&most, before - 10 * MIB));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuModuleLoadData(&module, big_globals_ptx));
    assert_taken(before, before - 10 * MIB);
    assert_ok(cuMemFree(most));
}

/* ---- the heap of kernels ---- */

static const char heap_ptx[] =
    ".version 7.0\n.target sm_50\n.address_size 64\n"
    ".extern .func (.param .b64 result) malloc(.param .b64 bytes);\n"
    ".extern .func free(.param .b64 address);\n"
    /* take(out, bytes): out[i] is where thread i got bytes, in which it wrote its number. */
    ".visible .entry take(.param .u64 out, .param .u64 bytes)\n{\n"
    ".reg .pred %p<2>;\n.reg .b32 %r<2>;\n.reg .b64 %rd<6>;\n"
    "ld.param.u64 %rd1, [out];\nld.param.u64 %rd2, [bytes];\nmov.u32 %r1, %tid.x;\n"
    "mul.wide.u32 %rd3, %r1, 8;\nadd.u64 %rd3, %rd1, %rd3;\n"
    "{ .param .b64 a; .param .b64 b;\nst.param.b64 [a], %rd2;\ncall.uni (b), malloc, (a);\n"
    "ld.param.b64 %rd4, [b]; }\n"
    "st.global.u64 [%rd3], %rd4;\nsetp.eq.u64 %p1, %rd4, 0;\n@%p1 ret;\nst.u32 [%rd4], %r1;\nret;\n}\n"
    /* give(out): thread i frees out[i] and leaves what was written there. */
    ".visible .entry give(.param .u64 out)\n{\n"
    ".reg .b32 %r<3>;\n.reg .b64 %rd<6>;\n"
    "ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %rd3, %r1, 8;\nadd.u64 %rd3, %rd1, %rd3;\n"
    "ld.global.u64 %rd4, [%rd3];\nld.u32 %r2, [%rd4];\ncvt.u64.u32 %rd5, %r2;\nst.global.u64 [%rd3], %rd5;\n"
    "{ .param .b64 a;\nst.param.b64 [a], %rd4;\ncall.uni free, (a); }\nret;\n}\n";

enum { TAKERS = 64 };

static unsigned take_in_kernel(CUmodule module, CUdeviceptr out, uint64_t bytes, uint64_t addresses[TAKERS])
{
    void *params[] = {&out, &bytes};
    unsigned got = 0;

    assert_ok(cuLaunchKernel(get_kernel(module, "take"), 1, 1, 1, TAKERS, 1, 1, 0, NULL, params, NULL));
    assert_ok(cuMemcpyDtoH(addresses, out, TAKERS * sizeof(addresses[0])));
    for (int i = 0; i < TAKERS; i++)
        got += addresses[i] != 0;
    return got;
}

static void kernels_take_from_a_heap_of_the_limits_size(void **state)
{
    uint64_t addresses[TAKERS], word, before = free_bytes();
    CUdeviceptr out;
    CUmodule module;

    assert_ok(cuModuleLoadData(&module, heap_ptx));
    assert_ok(cuMemAlloc(&out, sizeof(addresses)));
    assert_ok(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 32 * MIB));
    /* 64 threads ask for a MiB each: half of them get one, and none is given twice. */
    assert_int_equal(take_in_kernel(module, out, MIB, addresses), 32);
    for (int i = 0; i < TAKERS; i++)
        for (int k = 0; k < i; k++)
            assert_true(!addresses[i] || addresses[i] != addresses[k]);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 64 * MIB));
    /* The memory is the kernels' alone, and was paid with the limit. */
    for (int i = 0; i < TAKERS; i++)
        if (addresses[i]) {
            assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&word, addresses[i], 4));
            assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy((CUdeviceptr)(uintptr_t)&word, addresses[i], 4));
            assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(addresses[i]));
        }
    assert_taken(before, 26 * MIB);
    assert_ok(cuMemFree(out));
    assert_ok(cuModuleUnload(module));
}

static void what_kernels_free_can_be_had_again(void **state)
{
    uint64_t addresses[TAKERS], said[TAKERS];
    CUdeviceptr out;
    CUmodule module;
    void *params[] = {&out};

    assert_ok(cuModuleLoadData(&module, heap_ptx));
    assert_ok(cuMemAlloc(&out, sizeof(addresses)));
    /* The default of 8 MiB, all of it, several times over. */
    for (int round = 0; round < 4; round++) {
        assert_int_equal(take_in_kernel(module, out, MIB / 8, addresses), TAKERS);
        assert_ok(cuLaunchKernel(get_kernel(module, "give"), 1, 1, 1, TAKERS, 1, 1, 0, NULL, params, NULL));
        assert_ok(cuMemcpyDtoH(said, out, sizeof(said)));
        for (int i = 0; i < TAKERS; i++)
            assert_int_equal(said[i], i);
    }
    assert_ok(cuMemFree(out));
    assert_ok(cuModuleUnload(module));
}

static void a_free_of_what_was_not_taken_is_a_fault(void **state)
{
    uint64_t addresses[TAKERS];
    CUcontext broken;
    CUdeviceptr out;
    CUmodule module;
    void *params[] = {&out};

    assert_ok(cuCtxCreate(&broken, NULL, 0, 0));
    assert_ok(cuModuleLoadData(&module, heap_ptx));
    assert_ok(cuMemAlloc(&out, sizeof(addresses)));
    assert_int_equal(take_in_kernel(module, out, 256, addresses), TAKERS);
    addresses[5] += 16;
    assert_ok(cuMemcpyHtoD(out, addresses, sizeof(addresses)));
    assert_ok(cuLaunchKernel(get_kernel(module, "give"), 1, 1, 1, TAKERS, 1, 1, 0, NULL, params, NULL));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    assert_ok(cuCtxDestroy(broken));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(heap_and_fifo_cost_what_exceeds_the_default),
        TEST_IN_CONTEXT(stacks_cost_for_every_thread_the_device_can_hold),
        TEST_IN_CONTEXT(a_limit_that_does_not_fit_stays_as_it_was),
        TEST_IN_CONTEXT(the_end_of_a_context_gives_back_its_limits),
        TEST_IN_CONTEXT(a_module_takes_memory_for_its_variables),
        TEST_IN_CONTEXT(a_library_takes_memory_where_its_variables_are_used),
        TEST_IN_CONTEXT(a_module_that_does_not_fit_is_not_loaded),
        TEST_IN_CONTEXT(kernels_take_from_a_heap_of_the_limits_size),
        TEST_IN_CONTEXT(what_kernels_free_can_be_had_again),
        TEST_IN_CONTEXT(a_free_of_what_was_not_taken_is_a_fault),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests_name("softgpu_api_limits", tests, NULL, NULL);
}
