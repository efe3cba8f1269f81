/* Kernels through the driver API: modules from text and from fat binaries, launches and what they refuse,
 * faults. */
#include "softgpu_api.h"

enum { COUNT = 1000 };

static void add_vectors_with(CUmodule module)
{
    float a[COUNT], b[COUNT], c[COUNT];
    CUdeviceptr da, db, dc;
    unsigned n = COUNT;
    void *params[] = {&da, &db, &dc, &n};

    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)i;
        b[i] = (float)(2 * i);
    }
    assert_ok(cuMemAlloc(&da, sizeof(a)));
    assert_ok(cuMemAlloc(&db, sizeof(b)));
    assert_ok(cuMemAlloc(&dc, sizeof(c)));
    assert_ok(cuMemcpyHtoD(da, a, sizeof(a)));
    assert_ok(cuMemcpyHtoD(db, b, sizeof(b)));
    assert_ok(cuLaunchKernel(get_kernel(module, "vector_add"), (COUNT + 127) / 128, 1, 1, 128, 1, 1, 0, NULL,
                             params, NULL));
    assert_ok(cuMemcpyDtoH(c, dc, sizeof(c)));
    for (int i = 0; i < COUNT; i++)
        assert_true(c[i] == (float)(3 * i));
    assert_ok(cuMemFree(da));
    assert_ok(cuMemFree(db));
    assert_ok(cuMemFree(dc));
}

static void a_module_of_text_adds_vectors(void **state)
{
    CUmodule module = load_kernels("vector_add.ptx");

    add_vectors_with(module);
    assert_ok(cuModuleUnload(module));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
}

static void a_module_of_a_fat_binary_adds_vectors(void **state)
{
    CUmodule module;

    if (access(KERNELS_DIR "/vector_add.fatbin", R_OK))
        skip();
    module = load_kernels("vector_add.fatbin");
    add_vectors_with(module);
    assert_ok(cuModuleUnload(module));
}

static void images_without_a_program_are_refused(void **state)
{
    static const char machine_code[64] = "\177ELF\2\1\1";
    char log[200] = "before";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof(log)};
    CUmodule module = (CUmodule)0x77;

    assert_code(CUDA_ERROR_INVALID_PTX,
                cuModuleLoadDataEx(
                    &module,
                    ".version 7.0\n.target sm_75\n.address_size 64\n.entry k() { mov.u32 %undeclared, 1; }\n",
                    2, options, values));
    assert_string_not_equal(log, "before");
    assert_int_equal((uintptr_t)values[1], strlen(log));
    assert_true(strlen(log) > 0);
    assert_code(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, machine_code));
    assert_code(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/no/such/file"));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&module, NULL));
    assert_ptr_equal(module, (CUmodule)0x77);
}

static void variables_of_a_module_have_contents_and_addresses(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    int value = 0, out[4];
    CUdeviceptr counter, buffer;
    void *params[] = {&buffer};
    size_t bytes;

    assert_ok(cuModuleGetGlobal(&counter, &bytes, module, "counter"));
    assert_int_equal(bytes, 4);
    assert_ok(cuMemcpyDtoH(&value, counter, 4));
    assert_int_equal(value, 40);
    value = 100;
    assert_ok(cuMemcpyHtoD(counter, &value, 4));
    assert_ok(cuMemAlloc(&buffer, sizeof(out)));
    assert_ok(cuLaunchKernel(get_kernel(module, "use_globals"), 1, 1, 1, 4, 1, 1, 0, NULL, params, NULL));
    assert_ok(cuMemcpyDtoH(out, buffer, sizeof(out)));
    assert_int_equal(out[0], 103);
    assert_int_equal(out[2], 104);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(counter));
    assert_code(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&counter, NULL, module, "absent"));
    assert_ok(cuMemFree(buffer));
    assert_ok(cuModuleUnload(module));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&value, counter, 4));
}

static const char managed_ptx[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    ".visible .global .attribute(.managed) .align 4 .u32 shared_word = 7;\n"
    ".visible .entry twice()\n{\n.reg .u32 %r<2>;\nld.global.u32 %r0, [shared_word];\n"
    "add.u32 %r1, %r0, %r0;\nst.global.u32 [shared_word], %r1;\nret;\n}\n";

static void managed_variables_are_the_hosts_too(void **state)
{
    CUdeviceptr address;
    CUmodule module;
    unsigned managed;

    assert_ok(cuModuleLoadData(&module, managed_ptx));
    assert_ok(cuModuleGetGlobal(&address, NULL, module, "shared_word"));
    assert_ok(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address));
    assert_int_equal(managed, 1);
    assert_int_equal(*(volatile unsigned *)(uintptr_t)address, 7);
    assert_ok(cuLaunchKernel(get_kernel(module, "twice"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    assert_ok(cuCtxSynchronize());
    assert_int_equal(*(volatile unsigned *)(uintptr_t)address, 14);
    assert_ok(cuModuleUnload(module));
}

static void a_librarys_kernel_launches_in_every_context(void **state)
{
    CUkernel kernel;
    CUlibrary library;
    CUcontext other;
    unsigned count;
    const char *name;

    assert_ok(cuLibraryLoadData(&library, managed_ptx, NULL, NULL, 0, NULL, NULL, 0));
    assert_ok(cuLibraryGetKernelCount(&count, library));
    assert_int_equal(count, 1);
    assert_ok(cuLibraryGetKernel(&kernel, library, "twice"));
    assert_ok(cuKernelGetName(&name, kernel));
    assert_string_equal(name, "twice");
    assert_code(CUDA_ERROR_NOT_FOUND, cuLibraryGetKernel(&kernel, library, "thrice"));
    for (int i = 0; i < 2; i++) {
        CUdeviceptr address;

        if (i)
            assert_ok(cuCtxCreate(&other, NULL, 0, 0));
        assert_ok(cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        assert_ok(cuCtxSynchronize());
        assert_ok(cuLibraryGetManaged(&address, NULL, library, "shared_word"));
        assert_int_equal(*(volatile unsigned *)(uintptr_t)address, 14);
    }
    assert_ok(cuCtxDestroy(other));
    assert_ok(cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    assert_ok(cuLibraryUnload(library));
    assert_code(CUDA_ERROR_INVALID_HANDLE,
                cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
}

/* ---- launches ---- */

static void launches_out_of_bounds_are_refused(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction function = get_kernel(module, "use_globals");
    CUdeviceptr buffer;
    void *params[] = {&buffer}, *none[] = {NULL};
    void *extra[] = {CU_LAUNCH_PARAM_END};

    assert_ok(cuMemAlloc(&buffer, 4096));
#define LAUNCH(gx, gy, bx, bz, shared)                                                                       \
    cuLaunchKernel(function, gx, gy, 1, bx, 1, bz, shared, NULL, params, NULL)
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(0, 1, 1, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 65536, 1, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 1, 0, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 1, 1025, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 1, 1, 65, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 1, 512, 3, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 1, 1, 1, 49153));
    assert_ok(LAUNCH(1, 1, 1, 1, 49152));
    assert_ok(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536));
    assert_ok(LAUNCH(1, 1, 1, 1, 65536));
    assert_code(CUDA_ERROR_INVALID_VALUE, LAUNCH(1, 1, 1, 1, 65537));
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65537));
#undef LAUNCH
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, none, NULL));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, params, extra));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    assert_code(CUDA_ERROR_INVALID_HANDLE,
                cuLaunchKernel((CUfunction)module, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    assert_code(CUDA_ERROR_INVALID_HANDLE,
                cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, (CUstream)function, params, NULL));
    assert_ok(cuCtxSynchronize());
    assert_ok(cuMemFree(buffer));
    assert_ok(cuModuleUnload(module));
}

static void a_kernel_beyond_the_interpreter_is_refused_alone(void **state)
{
    static const char ptx[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
                              ".visible .entry strange()\n{\nfrobnicate.u32;\nret;\n}\n"
                              ".visible .entry plain()\n{\nret;\n}\n";
    CUmodule module;

    assert_ok(cuModuleLoadData(&module, ptx));
    assert_code(CUDA_ERROR_NOT_SUPPORTED,
                cuLaunchKernel(get_kernel(module, "strange"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    assert_ok(cuLaunchKernel(get_kernel(module, "plain"), 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    assert_ok(cuCtxSynchronize());
    assert_ok(cuModuleUnload(module));
}

static void parameters_come_as_a_buffer_too(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction function = get_kernel(module, "poke");
    int value = 0;
    CUdeviceptr buffer;

    assert_ok(cuMemAlloc(&buffer, 4));

    struct {
        unsigned long long address;
        int value;
    } block = {buffer, 4711};
    size_t bytes = sizeof(block);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &block, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                     CU_LAUNCH_PARAM_END};
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_PRIORITY, .value = {.priority = 0}};
    CUlaunchConfig config = {1, 1, 1, 1, 1, 1, 0, NULL, &attribute, 1};
    size_t offset, parameter_bytes;

    assert_ok(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    assert_ok(cuMemcpyDtoH(&value, buffer, 4));
    assert_int_equal(value, 4711);
    block.value = 815;
    assert_ok(cuLaunchKernelEx(&config, function, NULL, extra));
    assert_ok(cuMemcpyDtoH(&value, buffer, 4));
    assert_int_equal(value, 815);
    bytes = 8;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    assert_ok(cuFuncGetParamInfo(function, 1, &offset, &parameter_bytes));
    assert_int_equal(offset, 8);
    assert_int_equal(parameter_bytes, 4);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(function, 2, &offset, NULL));
    assert_ok(cuMemFree(buffer));
    assert_ok(cuModuleUnload(module));
}

static void occupancy_is_what_the_scarcest_resource_allows(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction function = get_kernel(module, "use_globals");
    int blocks, threads, grid, size;

    assert_ok(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function));
    assert_int_equal(threads, 1024);
    assert_ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 1024, 0));
    assert_int_equal(blocks, 1);
    assert_ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 32, 0));
    assert_int_equal(blocks, 16);
    assert_ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 32, 20000));
    assert_int_equal(blocks, 3);
    assert_ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 1025, 0));
    assert_int_equal(blocks, 0);
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 0, 0));
    assert_ok(cuOccupancyMaxPotentialBlockSize(&grid, &size, function, NULL, 0, 0));
    assert_int_equal(size, 1024);
    assert_int_equal(grid, 8);
    assert_ok(cuModuleUnload(module));
}

/* ---- faults ---- */

static void an_illegal_access_is_sticky_in_its_context_only(void **state)
{
    CUcontext broken, current;
    CUdeviceptr buffer, kept;
    CUmodule module;
    unsigned long long nowhere = 64;
    int value = 1;
    void *params[] = {&nowhere, &value};
    uint64_t before;

    assert_ok(cuMemAlloc(&kept, 4));
    before = free_bytes();
    assert_ok(cuCtxCreate(&broken, NULL, 0, 0));
    assert_ok(cuMemAlloc(&buffer, 4));
    module = load_kernels("misc.ptx");
    assert_ok(cuLaunchKernel(get_kernel(module, "poke"), 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc(&buffer, 4));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemcpyDtoH(&value, buffer, 4));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamQuery(NULL));
    assert_ok(cuCtxPopCurrent(&current));
    assert_ptr_equal(current, broken);
    assert_ok(cuMemsetD32(kept, 3, 1));
    assert_ok(cuMemcpyDtoH(&value, kept, 4));
    assert_int_equal(value, 3);
    assert_ok(cuCtxDestroy(broken));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuMemFree(kept));
}

static void memory_of_another_context_needs_peer_access(void **state)
{
    CUcontext owner = *state, other;
    unsigned long long address;
    CUdeviceptr buffer;
    CUmodule module;
    int value = 9;
    void *params[] = {&address, &value};

    assert_ok(cuMemAlloc(&buffer, 4));
    address = buffer;
    for (int with_access = 1; with_access >= 0; with_access--) {
        assert_ok(cuCtxCreate(&other, NULL, 0, 0));
        module = load_kernels("misc.ptx");
        if (with_access)
            assert_ok(cuCtxEnablePeerAccess(owner, 0));
        assert_ok(cuLaunchKernel(get_kernel(module, "poke"), 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
        assert_code(with_access ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
        assert_ok(cuCtxDestroy(other));
    }
    assert_ok(cuMemcpyDtoH(&value, buffer, 4));
    assert_int_equal(value, 9);
    assert_ok(cuMemFree(buffer));
}

static void freed_memory_is_illegal_to_kernels(void **state)
{
    CUmodule module;
    unsigned long long address;
    CUcontext context;
    CUdeviceptr buffer;
    int value = 9;
    void *params[] = {&address, &value};

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    module = load_kernels("misc.ptx");
    assert_ok(cuMemAlloc(&buffer, 4));
    address = buffer;
    assert_ok(cuLaunchKernel(get_kernel(module, "poke"), 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    assert_ok(cuMemFree(buffer));
    assert_ok(cuLaunchKernel(get_kernel(module, "poke"), 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    assert_ok(cuCtxDestroy(context));
}

/* ---- printf ---- */

/* What is written to stdout while `run` runs. */
static void capture(void (*run)(void *), void *argument, char *text, size_t text_bytes)
{
    FILE *file = tmpfile();
    int saved = dup(1);
    size_t bytes;

    fflush(stdout);
    dup2(fileno(file), 1);
    run(argument);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    rewind(file);
    bytes = fread(text, 1, text_bytes - 1, file);
    text[bytes] = '\0';
    fclose(file);
}

static void print_from_kernel(void *module)
{
    int base = 10;
    void *params[] = {&base};

    assert_ok(cuLaunchKernel(get_kernel(module, "print_lines"), 1, 1, 1, 32, 1, 1, 0, NULL, params, NULL));
    assert_ok(cuCtxSynchronize());
}

static void what_a_kernel_prints_is_out_after_synchronisation(void **state)
{
    CUmodule module = load_kernels("print.ptx");
    char text[1000];

    capture(print_from_kernel, module, text, sizeof(text));
    assert_string_equal(text, "block 0 thread 10:  0.00 even 1099511627776 ff\n"
                              "block 0 thread 11:  1.50 odd 1099511627776 ff\n"
                              "block 0 thread 12:  3.00 even 1099511627776 ff\n");
    assert_ok(cuModuleUnload(module));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(a_module_of_text_adds_vectors),
        TEST_IN_CONTEXT(a_module_of_a_fat_binary_adds_vectors),
        TEST_IN_CONTEXT(images_without_a_program_are_refused),
        TEST_IN_CONTEXT(variables_of_a_module_have_contents_and_addresses),
        TEST_IN_CONTEXT(managed_variables_are_the_hosts_too),
        TEST_IN_CONTEXT(a_librarys_kernel_launches_in_every_context),
        TEST_IN_CONTEXT(launches_out_of_bounds_are_refused),
        TEST_IN_CONTEXT(a_kernel_beyond_the_interpreter_is_refused_alone),
        TEST_IN_CONTEXT(parameters_come_as_a_buffer_too),
        TEST_IN_CONTEXT(occupancy_is_what_the_scarcest_resource_allows),
        TEST_IN_CONTEXT(an_illegal_access_is_sticky_in_its_context_only),
        TEST_IN_CONTEXT(memory_of_another_context_needs_peer_access),
        TEST_IN_CONTEXT(freed_memory_is_illegal_to_kernels),
        TEST_IN_CONTEXT(what_a_kernel_prints_is_out_after_synchronisation),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
