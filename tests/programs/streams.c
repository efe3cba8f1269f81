/* A saturating load on several streams of one context at once: what they have under way overlaps, as far as the device runs it at
 * once. For the test of shares: each kernel sleeps so long as --wait says, so it costs an interpreter little.
 *
 *     streams STREAMS WAIT_NS SECONDS      says "ready", and at the end how many kernels it launched */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "api/cuda_api.h"

enum { STREAMS_MAX = 16, IN_FLIGHT = 4 };

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry nap(.param .u32 wait_ns)\n{\n"
                          ".reg .b32 %r1;\n"
                          "ld.param.u32 %r1, [wait_ns];\n"
                          "nanosleep.u32 %r1;\n"
                          "ret;\n}\n";

static void check(CUresult result, const char *call)
{
    if (result == CUDA_SUCCESS)
        return;
    fprintf(stderr, "%s: %d\n", call, (int)result);
    exit(1);
}

#define CHECK(call) check(call, #call)

int main(int argc, char **argv)
{
    unsigned n = argc > 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, wait_ns;
    CUstream streams[STREAMS_MAX];
    CUevent ends[STREAMS_MAX][IN_FLIGHT];
    unsigned long launched = 0;
    uint64_t until_ns;
    CUfunction nap;
    CUcontext context;
    CUmodule module;

    if (!n || n > STREAMS_MAX)
        return 2;
    wait_ns = (unsigned)strtoul(argv[2], NULL, 10);
    CHECK(cuInit(0));
    CHECK(cuDevicePrimaryCtxRetain(&context, 0));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&nap, module, "nap"));
    for (unsigned s = 0; s < n; s++) {
        CHECK(cuStreamCreate(&streams[s], CU_STREAM_NON_BLOCKING));
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            CHECK(cuEventCreate(&ends[s][i], CU_EVENT_DISABLE_TIMING));
            CHECK(cuEventRecord(ends[s][i], streams[s]));
        }
    }
    puts("ready");
    fflush(stdout);
    until_ns = clock_monotonic_ns() + strtoul(argv[3], NULL, 10) * NS_PER_S;
    for (unsigned round = 0; clock_monotonic_ns() < until_ns; round++) {
        for (unsigned s = 0; s < n; s++) {
            void *params[] = {&wait_ns};

            CHECK(cuEventSynchronize(ends[s][round % IN_FLIGHT]));
            CHECK(cuLaunchKernel(nap, 1, 1, 1, 32, 1, 1, 0, streams[s], params, NULL));
            CHECK(cuEventRecord(ends[s][round % IN_FLIGHT], streams[s]));
            launched++;
        }
    }
    CHECK(cuCtxSynchronize());
    printf("{\"kernels\": %lu}\n", launched);
    return 0;
}
