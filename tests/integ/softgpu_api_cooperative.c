/* Launches with more than a grid and a block: cooperative ones and their barrier, attributes, occupancy; and
 * kernels that end themselves. */
#include "softgpu_api.h"

#define PTX_HEAD  ".version 7.0\n.target sm_75\n.address_size 64\n"
#define REGISTERS ".reg .pred %p<4>;\n.reg .b32 %r<16>;\n.reg .b64 %rd<8>;\n"

/* What a grid barrier is in PTX: each block adds to a word of the workspace that two special registers name,
 * the first one as much as makes the sum turn its highest bit, and waits for that. */
#define GRID_SYNC(round)                                                                                     \
    "bar.sync 0;\nmov.u32 %r5, %tid.x;\nsetp.ne.u32 %p1, %r5, 0;\n@%p1 bra JOIN" round ";\n"                 \
    "mov.u32 %r6, %envreg1;\nmov.u32 %r7, %envreg2;\nmov.b64 %rd5, {%r7, %r6};\n"                            \
    "mov.u32 %r8, %ctaid.x;\nmov.u32 %r9, %nctaid.x;\nsetp.eq.u32 %p2, %r8, 0;\nsub.u32 %r10, 0x80000001, "  \
    "%r9;\n"                                                                                                 \
    "selp.u32 %r11, %r10, 1, %p2;\natom.add.release.gpu.u32 %r12, [%rd5+4], %r11;\n"                         \
    "POLL" round                                                                                             \
    ": ld.acquire.gpu.u32 %r13, [%rd5+4];\nxor.b32 %r14, %r12, %r13;\nsetp.ge.s32 %p3, %r14, 0;\n"           \
    "@%p3 bra POLL" round ";\nJOIN" round ": bar.sync 0;\n"

/* pass(words): block b writes b + 500, all meet, it reads its neighbour's word, all meet, and it writes what
 * it read. */
static const char grid_ptx[] =
    PTX_HEAD ".visible .entry pass(.param .u64 words)\n{\n" REGISTERS
             "ld.param.u64 %rd1, [words];\nmov.u32 %r1, %ctaid.x;\nmul.wide.u32 %rd2, %r1, 4;\nadd.u64 %rd3, "
             "%rd1, %rd2;\n"
             "add.u32 %r2, %r1, 500;\nst.global.u32 [%rd3], %r2;\n" GRID_SYNC(
                 "1") "add.u32 %r3, %r1, 1;\nmov.u32 %r4, %nctaid.x;\nrem.u32 %r3, %r3, %r4;\nmul.wide.u32 "
                      "%rd4, %r3, 4;\n"
                      "add.u64 %rd4, %rd1, %rd4;\nld.global.u32 %r2, [%rd4];\n" GRID_SYNC(
                          "2") "st.global.u32 [%rd3], %r2;\nret;\n}\n";

enum { BLOCKS_MAX = 8 * 16 }; /* 8 SMs, 16 blocks of up to 64 threads each */

static void assert_passed(CUdeviceptr words, unsigned blocks)
{
    unsigned got[BLOCKS_MAX];

    assert_ok(cuMemcpyDtoH(got, words, blocks * sizeof(got[0])));
    for (unsigned i = 0; i < blocks; i++)
        assert_int_equal(got[i], 500 + (i + 1) % blocks);
}

static void all_blocks_of_a_cooperative_grid_meet(void **state)
{
    static const unsigned counts[] = {1, 2, 7, 60, BLOCKS_MAX};
    CUmodule module;
    CUdeviceptr words;
    void *params[] = {&words};
    CUfunction pass;

    assert_ok(cuModuleLoadData(&module, grid_ptx));
    pass = get_kernel(module, "pass");
    assert_ok(cuMemAlloc(&words, BLOCKS_MAX * 4));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        unsigned blocks = counts[i];

        assert_ok(cuLaunchCooperativeKernel(pass, blocks, 1, 1, 64, 1, 1, 0, NULL, params));
        assert_passed(words, blocks);
    }
    assert_ok(cuMemFree(words));
    assert_ok(cuModuleUnload(module));
}

static void a_grid_that_is_not_resident_at_once_is_too_large(void **state)
{
    CUmodule module;
    CUdeviceptr words;
    void *params[] = {&words};
    CUfunction pass;
    int per_sm;

    assert_ok(cuModuleLoadData(&module, grid_ptx));
    pass = get_kernel(module, "pass");
    assert_ok(cuMemAlloc(&words, BLOCKS_MAX * 4));
    assert_code(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
                cuLaunchCooperativeKernel(pass, BLOCKS_MAX + 1, 1, 1, 64, 1, 1, 0, NULL, params));
    /* Shared memory makes it fewer; occupancy says how many, and so many are right. */
    assert_ok(cuOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, pass, 64, 30000));
    assert_int_equal(per_sm, 2);
    assert_ok(cuLaunchCooperativeKernel(pass, 16, 1, 1, 64, 1, 1, 30000, NULL, params));
    assert_passed(words, 16);
    assert_code(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
                cuLaunchCooperativeKernel(pass, 17, 1, 1, 64, 1, 1, 30000, NULL, params));
    assert_code(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
                cuLaunchCooperativeKernel(pass, 9, 1, 1, 1024, 1, 1, 0, NULL, params));
    assert_ok(cuCtxSynchronize());
    assert_ok(cuMemFree(words));
    assert_ok(cuModuleUnload(module));
}

static void attributes_make_a_launch_cooperative(void **state)
{
    CUlaunchAttribute attributes[] = {{.id = CU_LAUNCH_ATTRIBUTE_PRIORITY, .value = {.priority = -1}},
                                      {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
                                       .value = {.programmaticStreamSerializationAllowed = 1}},
                                      {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value = {.cooperative = 1}}};
    CUlaunchConfig config = {20, 1, 1, 32, 1, 1, 0, NULL, attributes, 3};
    CUmodule module;
    CUdeviceptr words;
    void *params[] = {&words};
    CUfunction pass;

    assert_ok(cuModuleLoadData(&module, grid_ptx));
    pass = get_kernel(module, "pass");
    assert_ok(cuMemAlloc(&words, BLOCKS_MAX * 4));
    assert_ok(cuLaunchKernelEx(&config, pass, params, NULL));
    assert_passed(words, 20);
    config.gridDimX = BLOCKS_MAX + 1;
    assert_code(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, cuLaunchKernelEx(&config, pass, params, NULL));
    assert_ok(cuMemFree(words));
    assert_ok(cuModuleUnload(module));
}

static void without_cooperation_there_is_no_grid_barrier(void **state)
{
    CUcontext broken;
    CUmodule module;
    CUdeviceptr words;
    void *params[] = {&words};

    assert_ok(cuCtxCreate(&broken, NULL, 0, 0));
    assert_ok(cuModuleLoadData(&module, grid_ptx));
    assert_ok(cuMemAlloc(&words, BLOCKS_MAX * 4));
    assert_ok(cuLaunchKernel(get_kernel(module, "pass"), 4, 1, 1, 32, 1, 1, 0, NULL, params, NULL));
    assert_code(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    assert_ok(cuCtxDestroy(broken));
}

/* ---- attributes ---- */

static void what_cc_7_5_does_not_have_is_refused(void **state)
{
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                                   .value = {.clusterDim = {2, 1, 1}}};
    CUlaunchConfig config = {4, 1, 1, 32, 1, 1, 0, NULL, &attribute, 1};
    int has_clusters = 1, count;
    CUmodule module;
    CUdeviceptr words;
    void *params[] = {&words};
    CUfunction pass;

    assert_ok(cuModuleLoadData(&module, grid_ptx));
    pass = get_kernel(module, "pass");
    assert_ok(cuMemAlloc(&words, 4096));
    assert_ok(cuDeviceGetAttribute(&has_clusters, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 0));
    assert_int_equal(has_clusters, 0);
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuLaunchKernelEx(&config, pass, params, NULL));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuOccupancyMaxActiveClusters(&count, pass, &config));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuOccupancyMaxPotentialClusterSize(&count, pass, &config));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuOccupancyMaxActiveClusters(&count, (CUfunction)module, &config));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuOccupancyMaxActiveClusters(NULL, pass, &config));
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT;
    assert_code(CUDA_ERROR_NOT_SUPPORTED, cuLaunchKernelEx(&config, pass, params, NULL));
    attribute.id = (CUlaunchAttributeID)77;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(&config, pass, params, NULL));
    assert_ok(cuMemFree(words));
    assert_ok(cuModuleUnload(module));
}

/* ---- occupancy ---- */

static size_t four_kib_a_warp(int block_size)
{
    return (size_t)block_size / 32 * 4096;
}

static void the_best_block_size_follows_from_shared_memory(void **state)
{
    CUmodule module;
    CUfunction pass;
    size_t bytes;
    int grid, size, blocks;

    assert_ok(cuModuleLoadData(&module, grid_ptx));
    pass = get_kernel(module, "pass");
    /* 4 KiB a warp: 16 warps fill the 64 KiB of an SM, whatever the block. */
    assert_ok(cuOccupancyMaxPotentialBlockSize(&grid, &size, pass, four_kib_a_warp, 0, 0));
    assert_int_equal(size, 512);
    assert_int_equal(grid, 8);
    assert_ok(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &size, pass, NULL, 0, 100, 0));
    assert_ok(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, pass, size, 0, 0));
    assert_true(size <= 100);
    assert_int_equal(grid, blocks * 8);
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &size, pass, NULL, 0, 100, 8));
    assert_ok(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, pass, 4, 64));
    assert_int_equal(bytes, 16384);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuOccupancyAvailableDynamicSMemPerBlock(&bytes, pass, 17, 64));
    assert_ok(cuModuleUnload(module));
}

/* ---- kernels that end themselves ---- */

static const char end_ptx[] = PTX_HEAD
    ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n, .param .b64 c);\n"
    ".global .align 1 .b8 message[6] = {120, 32, 62, 32, 48, 0};\n"
    ".global .align 1 .b8 file[5] = {97, 46, 99, 117, 0};\n"
    ".visible .entry fail()\n{\n" REGISTERS
    "mov.u64 %rd1, message;\ncvta.global.u64 %rd1, %rd1;\nmov.u64 %rd2, file;\ncvta.global.u64 %rd2, %rd2;\n"
    "mov.u64 %rd3, 1;\n"
    "{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 d; .param .b64 e;\n"
    "st.param.b64 [a], %rd1; st.param.b64 [b], %rd2; st.param.b32 [c], 12; st.param.b64 [d], %rd2;\n"
    "st.param.b64 [e], %rd3;\ncall.uni __assertfail, (a, b, c, d, e); }\nret;\n}\n"
    ".visible .entry halt()\n{\ntrap;\nret;\n}\n";

struct ending {
    const char *kernel;
    CUresult code;
};

/* The context is lost, says so from every call, and its end leaves the device as it was. */
static void run_to_its_end(const struct ending *ending)
{
    uint64_t before = free_bytes();
    CUcontext context;
    CUdeviceptr address;
    CUmodule module;

    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    assert_ok(cuModuleLoadData(&module, end_ptx));
    assert_ok(cuLaunchKernel(get_kernel(module, ending->kernel), 2, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
    assert_code(ending->code, cuCtxSynchronize());
    assert_code(ending->code, cuMemAlloc(&address, 16));
    assert_code(ending->code, cuStreamQuery(NULL));
    assert_ok(cuCtxDestroy(context));
    assert_int_equal(free_bytes(), before);
}

static void a_trap_is_a_launch_that_failed(void **state)
{
    static const struct ending halt = {"halt", CUDA_ERROR_LAUNCH_FAILED};

    assert_int_equal(CUDA_ERROR_LAUNCH_FAILED, 719);
    run_to_its_end(&halt);
}

static void a_failed_assertion_is_sticky_and_told_on_stderr(void **state)
{
    static const struct ending fail = {"fail", CUDA_ERROR_ASSERT};
    FILE *file = tmpfile();
    int saved = dup(2);
    char text[1000];
    size_t bytes;

    assert_int_equal(CUDA_ERROR_ASSERT, 710);
    fflush(stderr);
    dup2(fileno(file), 2);
    run_to_its_end(&fail);
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    rewind(file);
    bytes = fread(text, 1, sizeof(text) - 1, file);
    text[bytes] = '\0';
    fclose(file);
    assert_non_null(strstr(text, "assertion `x > 0' failed, a.cu:12"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(all_blocks_of_a_cooperative_grid_meet),
        TEST_IN_CONTEXT(a_grid_that_is_not_resident_at_once_is_too_large),
        TEST_IN_CONTEXT(attributes_make_a_launch_cooperative),
        TEST_IN_CONTEXT(without_cooperation_there_is_no_grid_barrier),
        TEST_IN_CONTEXT(what_cc_7_5_does_not_have_is_refused),
        TEST_IN_CONTEXT(the_best_block_size_follows_from_shared_memory),
        TEST_IN_CONTEXT(a_trap_is_a_launch_that_failed),
        TEST_IN_CONTEXT(a_failed_assertion_is_sticky_and_told_on_stderr),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests_name("softgpu_api_cooperative", tests, NULL, NULL);
}
