/* What the ways_in programs share: once a program has the driver's functions, it starts and asks for more
 * than it may have, and says what became of it. Private to tests/programs/ways_in*.c, each of which gives
 * by_way. */
#ifndef TESTS_PROGRAMS_WAYS_IN_H
#define TESTS_PROGRAMS_WAYS_IN_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

typedef CUresult init_fn(unsigned flags);
typedef CUresult device_fn(CUdevice *device, int ordinal);
typedef CUresult retain_fn(CUcontext *ctx, CUdevice device);
typedef CUresult current_fn(CUcontext ctx);
typedef CUresult alloc_fn(CUdeviceptr *p, size_t bytes);

struct driver {
    init_fn *init;
    device_fn *device;
    retain_fn *retain;
    current_fn *current;
    alloc_fn *alloc;
};

static size_t bytes; /* what to ask for */

static int refused(const char *why)
{
    printf("refused %s\n", why ? why : "");
    return 1;
}

/* By name in a handle; 0 when the library has all. */
static int from_handle(void *handle, struct driver *ret_driver)
{
    *ret_driver = (struct driver){
        .init = (init_fn *)dlsym(handle, "cuInit"),
        .device = (device_fn *)dlsym(handle, "cuDeviceGet"),
        .retain = (retain_fn *)dlsym(handle, "cuDevicePrimaryCtxRetain"),
        .current = (current_fn *)dlsym(handle, "cuCtxSetCurrent"),
        .alloc = (alloc_fn *)dlsym(handle, "cuMemAlloc_v2"),
    };
    return ret_driver->init && ret_driver->device && ret_driver->retain && ret_driver->current &&
                   ret_driver->alloc
               ? 0
               : refused("a function is missing");
}

static int start(const struct driver *driver)
{
    CUcontext ctx;
    CUdevice device;
    char why[64];
    CUresult r;

    if ((r = driver->init(0)) || (r = driver->device(&device, 0)) || (r = driver->retain(&ctx, device)) ||
        (r = driver->current(ctx))) {
        snprintf(why, sizeof(why), "error %d", (int)r);
        return refused(why);
    }
    return 0;
}

/* Says what became of the request; 0. */
static int ask(alloc_fn *alloc, const char *how)
{
    CUdeviceptr p;
    CUresult r = alloc(&p, bytes);

    printf("%s %s (error %d)\n",
           r == CUDA_SUCCESS               ? "free"
           : r == CUDA_ERROR_OUT_OF_MEMORY ? "limited"
                                           : "refused",
           how, (int)r);
    return 0;
}

static int start_and_ask(const struct driver *driver, const char *how)
{
    return start(driver) || ask(driver->alloc, how);
}

/* Gets at the driver in that way and asks; the exit status. */
static int by_way(const char *way, const char *path);

/* The programs' main: WAY PATH MIB. Holds what it has until its standard input ends. */
static int ways_in_main(int argc, char **argv)
{
    int status;

    if (argc != 4)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    bytes = strtoull(argv[3], NULL, 10) << 20;
    status = by_way(argv[1], argv[2]);
    while (getchar() != EOF)
        ;
    return status;
}

#endif
