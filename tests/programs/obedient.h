/* Programs that do what a test tells them on standard input, a line a command, on the first device. */
#ifndef VGPU_TESTS_OBEDIENT_H
#define VGPU_TESTS_OBEDIENT_H

#include <stdio.h>

#include "cuda.h"

static const char *name_of(CUresult result)
{
    const char *name = "CUDA_ERROR_WITHOUT_NAME";

    cuGetErrorName(result, &name);
    return name;
}

/* Makes the primary context current and a stream in it, says "ready", or which error there was, and obeys
 * each line until one is answered with 0. Returns the exit status. */
static int obey_input(CUdevice *ret_device, CUcontext *ret_context, CUstream *ret_stream,
                      int (*obey)(char *line))
{
    char line[512];
    CUresult r;

    setvbuf(stdout, NULL, _IOLBF, 0);
    r = cuInit(0);
    if (r == CUDA_SUCCESS)
        r = cuDeviceGet(ret_device, 0);
    if (r == CUDA_SUCCESS)
        r = cuDevicePrimaryCtxRetain(ret_context, *ret_device);
    if (r == CUDA_SUCCESS)
        r = cuCtxSetCurrent(*ret_context);
    if (r == CUDA_SUCCESS)
        r = cuStreamCreate(ret_stream, CU_STREAM_NON_BLOCKING);
    if (r != CUDA_SUCCESS) {
        printf("%s\n", name_of(r));
        return 1;
    }
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin) && obey(line))
        ;
    return 0;
}

#endif
