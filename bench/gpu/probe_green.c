/* Green contexts: how many multiprocessors a kernel is spread over in the whole device and in half of it, how
 * long the same work takes there, and what making such a context and a stream of it costs. */
#include "probe.h"

enum { BLOCKS = 4096, THREADS = 256, SMS_MAX = 1024, ITERATIONS = 20000 };

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry where(.param .u64 to, .param .u32 count)\n{\n"
                          ".reg .pred %p1;\n.reg .b32 %r<4>;\n.reg .b64 %rd<4>;\n.reg .f32 %f1;\n"
                          "ld.param.u64 %rd1, [to];\n"
                          "ld.param.u32 %r1, [count];\n"
                          "mov.f32 %f1, 0f3F800000;\n"
                          "NEXT:\n"
                          "fma.rn.f32 %f1, %f1, %f1, %f1;\n"
                          "sub.u32 %r1, %r1, 1;\n"
                          "setp.ne.u32 %p1, %r1, 0;\n"
                          "@%p1 bra NEXT;\n"
                          "mov.b32 %r3, %f1;\n"
                          "mov.u32 %r2, %smid;\n"
                          "mul.wide.u32 %rd2, %r2, 4;\n"
                          "add.u64 %rd3, %rd1, %rd2;\n"
                          "st.global.u32 [%rd3], %r3;\n"
                          "ret;\n}\n";

static double ms_of(uint64_t since_ns)
{
    return (double)(clock_monotonic_ns() - since_ns) / 1e6;
}

/* Runs the kernel by the stream of the current context; says where its blocks were. */
static void spread(const char *what, CUstream stream, CUfunction kernel)
{
    static unsigned seen[SMS_MAX];
    unsigned count = ITERATIONS, sms = 0;
    CUdeviceptr memory;
    void *params[] = {&memory, &count};
    uint64_t begin;
    double ms = 0;

    CHECK(cuMemAlloc(&memory, sizeof(seen)));
    CHECK(cuMemsetD8(memory, 0, sizeof(seen)));
    CHECK(cuCtxSynchronize());
    for (int run = 0; run < 2; run++) {
        begin = clock_monotonic_ns();
        CHECK(cuLaunchKernel(kernel, BLOCKS, 1, 1, THREADS, 1, 1, 0, stream, params, NULL));
        CHECK(cuStreamSynchronize(stream));
        ms = ms_of(begin);
    }
    CHECK(cuMemcpyDtoH(seen, memory, sizeof(seen)));
    CHECK(cuMemFree(memory));
    for (int i = 0; i < SMS_MAX; i++)
        sms += seen[i] != 0;
    printf("%-30s %4u multiprocessors, %8.2f ms\n", what, sms, ms);
}

int main(void)
{
    CUdevResource all, half;
    CUdevResourceDesc description;
    CUgreenCtx green;
    CUcontext context;
    CUstream stream;
    CUdevice device;
    unsigned groups = 1;
    uint64_t begin;

    probe_open(&device);
    probe_need("cuGreenCtxCreate");
    probe_need("cuGreenCtxStreamCreate");
    CHECK(cuDeviceGetDevResource(device, &all, CU_DEV_RESOURCE_TYPE_SM));
    CHECK(cuDevSmResourceSplitByCount(&half, &groups, &all, NULL, 0, all.sm.smCount / 2));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    spread("the whole device", stream, probe_kernel(ptx, "where"));
    CHECK(cuDevResourceGenerateDesc(&description, &half, 1));
    begin = clock_monotonic_ns();
    CHECK(cuGreenCtxCreate(&green, description, device, CU_GREEN_CTX_DEFAULT_STREAM));
    printf("%-30s %8.3f ms\n", "making a green context", ms_of(begin));
    begin = clock_monotonic_ns();
    CHECK(cuGreenCtxStreamCreate(&stream, green, CU_STREAM_NON_BLOCKING, 0));
    printf("%-30s %8.3f ms\n", "making a stream of it", ms_of(begin));
    CHECK(cuCtxFromGreenCtx(&context, green));
    CHECK(cuCtxSetCurrent(context));
    printf("it was given %u of %u multiprocessors\n", half.sm.smCount, all.sm.smCount);
    spread("half of it, a green context", stream, probe_kernel(ptx, "where"));
    return 0;
}
