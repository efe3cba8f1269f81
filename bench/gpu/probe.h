/* What the probes of bench/gpu share: a context on the first device, and an end that names the call which
 * failed. Each probe is a program for any driver that the loader finds as libcuda.so.1; it knows nothing of
 * vgpu, says what it measures in lines of text, and ends with 77 and a reason where the driver cannot do it.
 */
#ifndef BENCH_GPU_PROBE_H
#define BENCH_GPU_PROBE_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cuda.h"

enum { PROBE_SKIPPED = 77 };

static inline const char *probe_name(CUresult result)
{
    const char *name = "CUDA_ERROR_WITHOUT_NAME";

    cuGetErrorName(result, &name);
    return name;
}

static inline void probe_check(CUresult result, const char *what)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("%s: %s\n", what, probe_name(result));
    exit(result == CUDA_ERROR_NOT_SUPPORTED ? PROBE_SKIPPED : 1);
}

#define CHECK(call) probe_check(call, #call)

/* Ends the probe when the driver is too old to have the function. */
static inline void probe_need(const char *symbol)
{
    if (dlsym(RTLD_DEFAULT, symbol))
        return;
    printf("this driver has no %s\n", symbol);
    exit(PROBE_SKIPPED);
}

static inline CUcontext probe_open(CUdevice *ret_device)
{
    CUcontext context;

    setvbuf(stdout, NULL, _IOLBF, 0);
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(ret_device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, *ret_device));
    CHECK(cuCtxSetCurrent(context));
    return context;
}

static inline CUfunction probe_kernel(const char *ptx, const char *name)
{
    CUfunction function;
    CUmodule module;

    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&function, module, name));
    return function;
}

static inline int probe_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* An empty kernel. */
#define PROBE_EMPTY_PTX ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry empty()\n{\nret;\n}\n"

#endif
