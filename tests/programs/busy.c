/* A CUDA program that keeps a device at work: launches a kernel of some microseconds and waits for it, again
 * and again.
 *
 *   busy MS KERNEL_US      for MS milliseconds of the machine's clock, then "N kernels"
 *
 * A program of the driver API, which knows nothing of vgpu. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cuda.h"

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry nap(.param .u32 wait_ns)\n{\n"
                          ".reg .b32 %r1;\n"
                          "ld.param.u32 %r1, [wait_ns];\n"
                          "nanosleep.u32 %r1;\n"
                          "ret;\n}\n";

static void check(CUresult result, const char *what)
{
    const char *name = "?";

    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    fprintf(stderr, "busy: %s: %s\n", what, name);
    exit(1);
}

#define CHECK(call) check(call, #call)

int main(int argc, char **argv)
{
    uint64_t until_ns = clock_monotonic_ns() + (argc == 3 ? strtoull(argv[1], NULL, 10) : 0) * NS_PER_MS;
    unsigned wait_ns = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
    void *arguments[] = {&wait_ns};
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction kernel;
    unsigned long n = 0;

    if (!wait_ns) {
        fprintf(stderr, "usage: busy MS NAP_NS\n");
        return 2;
    }
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&kernel, module, "nap"));
    for (; clock_monotonic_ns() < until_ns; n++) {
        CHECK(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, NULL, arguments, NULL));
        CHECK(cuCtxSynchronize());
    }
    printf("%lu kernels\n", n);
    return 0;
}
