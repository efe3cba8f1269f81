/* Driver calls for the program `invisible`; see invisible.h. It knows nothing of vgpu. Functions whose plain
 * name means a newer version are asked for by symbol. */
#include "invisible.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda.h"

enum { ERRNO_MARK = 4242, IMAGE_MAX_BYTES = 1 << 20 };

/* CALL(when, f(x)): one line with the code and errno, which was ERRNO_MARK before. */
#define CALL(when, ...)                                                                                      \
    do {                                                                                                     \
        CUresult result_;                                                                                    \
                                                                                                             \
        errno = ERRNO_MARK;                                                                                  \
        result_ = (__VA_ARGS__);                                                                             \
        printf("%s: %s = %d, errno %d\n", when, #__VA_ARGS__, (int)result_, errno);                          \
    } while (0)

#define SYMBOL(name, type)                                                                                   \
    static type name##_by_symbol(void)                                                                       \
    {                                                                                                        \
        return (type)dlsym(RTLD_DEFAULT, #name);                                                             \
    }

typedef CUresult (*device_end)(CUdevice device);
typedef CUresult (*context_end)(CUcontext context);
typedef CUresult (*create_v1)(CUcontext *context, unsigned int flags, CUdevice device);
typedef CUresult (*lookup_v1)(const char *name, void **function, int version, cuuint64_t flags);

SYMBOL(cuDevicePrimaryCtxRelease, device_end)
SYMBOL(cuDevicePrimaryCtxReset, device_end)
SYMBOL(cuCtxDestroy, context_end)
SYMBOL(cuCtxCreate, create_v1)
SYMBOL(cuCtxCreate_v2, create_v1)
SYMBOL(cuGetProcAddress, lookup_v1)

static void refused_memory(const char *when)
{
    CUdeviceptr p = 0;
    size_t pitch = 0;

    CALL(when, cuMemAlloc(NULL, 4096));
    CALL(when, cuMemAlloc(NULL, SIZE_MAX));
    CALL(when, cuMemAlloc(&p, 0));
    CALL(when, cuMemAllocManaged(NULL, 4096, CU_MEM_ATTACH_GLOBAL));
    CALL(when, cuMemAllocManaged(&p, 0, CU_MEM_ATTACH_GLOBAL));
    CALL(when, cuMemAllocManaged(&p, 4096, 0));
    CALL(when, cuMemAllocManaged(&p, 4096, 99));
    CALL(when, cuMemAllocPitch(NULL, &pitch, 100, 2, 4));
    CALL(when, cuMemAllocPitch(&p, NULL, 100, 2, 4));
    CALL(when, cuMemAllocPitch(NULL, NULL, 100, 2, 4));
    CALL(when, cuMemAllocPitch(&p, &pitch, 0, 2, 4));
    CALL(when, cuMemAllocPitch(&p, &pitch, 100, 0, 4));
    CALL(when, cuMemAllocPitch(&p, &pitch, 100, 2, 3));
    CALL(when, cuMemFree(0));
    CALL(when, cuMemFree(0x1234));
    CALL(when, cuMemGetInfo(NULL, NULL));
    CALL(when, cuMemGetInfo(NULL, &pitch));
    CALL(when, cuMemGetInfo(&pitch, NULL));
    CALL(when, cuDeviceTotalMem(NULL, 0));
    CALL(when, cuDeviceTotalMem(&pitch, 99));
    CALL(when, cuDeviceTotalMem(&pitch, -1));
}

static void refused_pools(const char *when)
{
    CUmemoryPool pool = NULL;
    CUdeviceptr p = 0;

    CALL(when, cuMemAllocAsync(NULL, 4096, NULL));
    CALL(when, cuMemAllocAsync(&p, 0, NULL));
    CALL(when, cuMemFreeAsync(0, NULL));
    CALL(when, cuMemFreeAsync(0x1234, NULL));
    CALL(when, cuMemPoolCreate(&pool, NULL));
    CALL(when, cuMemPoolCreate(NULL, NULL));
    CALL(when, cuMemPoolDestroy(NULL));
    CALL(when, cuMemPoolTrimTo(NULL, 0));
}

static void refused_contexts(const char *when)
{
    CUcontext context = NULL;

    CALL(when, cuInit(1));
    CALL(when, cuCtxCreate_by_symbol()(NULL, 0, 0));
    CALL(when, cuCtxCreate_by_symbol()(&context, 0, 99));
    CALL(when, cuCtxCreate_v2_by_symbol()(NULL, 0, 0));
    CALL(when, cuCtxCreate_v2_by_symbol()(&context, 0, 99));
    CALL(when, cuCtxCreate_v2_by_symbol()(&context, 0, -1));
    CALL(when, cuCtxCreate_v2_by_symbol()(&context, 0xffffffff, 0));
    CALL(when, cuCtxCreate(NULL, NULL, 0, 0));
    CALL(when, cuCtxCreate(&context, NULL, 0, 99));
    CALL(when, cuCtxCreate(NULL, NULL, 0, 99));
    CALL(when, cuCtxDestroy(NULL));
    CALL(when, cuCtxDestroy_by_symbol()(NULL));
    CALL(when, cuDevicePrimaryCtxRetain(NULL, 0));
    CALL(when, cuDevicePrimaryCtxRetain(&context, 99));
    CALL(when, cuDevicePrimaryCtxRetain(&context, -1));
    CALL(when, cuDevicePrimaryCtxRetain(NULL, 99));
    CALL(when, cuDevicePrimaryCtxRelease(0));
    CALL(when, cuDevicePrimaryCtxRelease(99));
    CALL(when, cuDevicePrimaryCtxRelease_by_symbol()(-1));
    CALL(when, cuDevicePrimaryCtxReset(99));
    CALL(when, cuDevicePrimaryCtxReset_by_symbol()(99));
    CALL(when, cuCtxSetLimit((CUlimit)99, 1));
    CALL(when, cuCtxSetLimit((CUlimit)-1, 1));
    CALL(when, cuStreamSynchronize(NULL));
    CALL(when, cuEventSynchronize(NULL));
    CALL(when, cuCtxSynchronize());
}

static void refused_modules(const char *when)
{
    static const char garbage[64] = "no module at all";
    CUlibrary library = NULL;
    CUmodule module = NULL;

    CALL(when, cuModuleLoad(NULL, "/nonexistent/module"));
    CALL(when, cuModuleLoad(&module, "/nonexistent/module"));
    CALL(when, cuModuleLoad(&module, NULL));
    CALL(when, cuModuleLoadData(NULL, garbage));
    CALL(when, cuModuleLoadData(&module, NULL));
    CALL(when, cuModuleLoadDataEx(NULL, garbage, 0, NULL, NULL));
    CALL(when, cuModuleLoadDataEx(&module, NULL, 0, NULL, NULL));
    CALL(when, cuModuleLoadFatBinary(NULL, garbage));
    CALL(when, cuModuleLoadFatBinary(&module, NULL));
    CALL(when, cuModuleUnload(NULL));
    CALL(when, cuLibraryLoadData(NULL, garbage, NULL, NULL, 0, NULL, NULL, 0));
    CALL(when, cuLibraryLoadData(&library, NULL, NULL, NULL, 0, NULL, NULL, 0));
    CALL(when, cuLibraryLoadFromFile(NULL, NULL, NULL, NULL, 0, NULL, NULL, 0));
    CALL(when, cuLibraryLoadFromFile(&library, "/nonexistent/library", NULL, NULL, 0, NULL, NULL, 0));
    CALL(when, cuLibraryUnload(NULL));
    CALL(when, cuLibraryGetModule(NULL, NULL));
}

static void refused_lookups(const char *when)
{
    CUdriverProcAddressQueryResult status;
    void *function = NULL;

    CALL(when, cuGetProcAddress(NULL, &function, 13000, 0, &status));
    CALL(when, cuGetProcAddress("cuMemAlloc", NULL, 13000, 0, &status));
    CALL(when, cuGetProcAddress(NULL, NULL, 13000, 0, NULL));
    CALL(when, cuGetProcAddress("", &function, 13000, 0, NULL));
    CALL(when, cuGetProcAddress("cuMemAlloc", &function, 13000, 0, NULL));
    CALL(when, cuGetProcAddress("cuMemAlloc", &function, 13000, 99, &status));
    CALL(when, cuGetProcAddress("cuMemAlloc", &function, -1, 0, &status));
    CALL(when, cuGetProcAddress("cuMemAlloc\x01", &function, 13000, 0, &status));
    CALL(when, cuGetProcAddress_by_symbol()(NULL, NULL, 13000, 0));
    CALL(when, cuGetProcAddress_by_symbol()(NULL, &function, 13000, 0));
    CALL(when, cuGetProcAddress_by_symbol()("cuMemAlloc", NULL, 13000, 0));
    CALL(when, cuGetProcAddress_by_symbol()("cuNothing", &function, 13000, 0));
}

void calls_refused(const char *when)
{
    refused_memory(when);
    refused_pools(when);
    refused_contexts(when);
    refused_modules(when);
    refused_lookups(when);
}

void calls_zero(const char *when, const char *names_path)
{
    typedef CUresult (*any)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                            uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    FILE *names = fopen(names_path, "re");
    char name[256];

    while (names && fscanf(names, "%255s", name) == 1) {
        any function = (any)dlsym(RTLD_DEFAULT, name);
        CUresult result;

        errno = ERRNO_MARK;
        result = function ? function(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) : CUDA_ERROR_NOT_FOUND;
        printf("%s: %s with zeros = %d, errno %d\n", when, name, (int)result, errno);
    }
    if (names)
        fclose(names);
}

void calls_memory(const char *when)
{
    size_t free_bytes = 0, total_bytes = 0, device_bytes = 0;
    CUresult info = cuMemGetInfo(&free_bytes, &total_bytes), total = cuDeviceTotalMem(&device_bytes, 0);

    printf("%s: memory figures: %d %d\n", when, (int)info, (int)total);
    printf("memory %zu %zu %zu\n", free_bytes, total_bytes, device_bytes);
}

static char *image_read(const char *path)
{
    char *image = calloc(1, IMAGE_MAX_BYTES);
    FILE *file = fopen(path, "re");

    if (!image || !file || fread(image, 1, IMAGE_MAX_BYTES - 1, file) == 0) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return image;
}

static void ordinary_kernel(const char *when, const char *image)
{
    CUdeviceptr a = 0, b = 0, c = 0;
    CUfunction function = NULL;
    CUmodule module = NULL;
    CUstream stream = NULL;
    float one = 1.5F, sum = 0;
    int n = 1;
    void *arguments[] = {&a, &b, &c, &n};

    CALL(when, cuModuleLoadData(&module, image));
    CALL(when, cuModuleGetFunction(&function, module, "vector_add"));
    CALL(when, cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CALL(when, cuMemAlloc(&a, 4096));
    CALL(when, cuMemAllocManaged(&b, 4096, CU_MEM_ATTACH_GLOBAL));
    CALL(when, cuMemAllocAsync(&c, 4096, stream));
    CALL(when, cuStreamSynchronize(stream));
    CALL(when, cuMemcpyHtoD(a, &one, sizeof(one)));
    CALL(when, cuMemcpyHtoD(b, &one, sizeof(one)));
    CALL(when, cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, arguments, NULL));
    CALL(when, cuStreamSynchronize(stream));
    CALL(when, cuMemcpyDtoH(&sum, c, sizeof(sum)));
    printf("%s: the kernel gives %g\n", when, (double)sum);
    CALL(when, cuMemFreeAsync(c, stream));
    CALL(when, cuCtxSynchronize());
    CALL(when, cuMemFree(b));
    CALL(when, cuMemFree(a));
    CALL(when, cuMemFree(a));
    CALL(when, cuStreamDestroy(stream));
    CALL(when, cuModuleUnload(module));
}

void calls_ordinary(const char *image_path)
{
    const char *when = "with a context";
    char *image = image_read(image_path);
    CUcontext context = NULL, primary = NULL;

    CALL(when, cuCtxCreate(&context, NULL, 0, 0));
    CALL(when, cuDevicePrimaryCtxRetain(&primary, 0));
    calls_memory(when);
    calls_refused(when);
    ordinary_kernel(when, image);
    CALL(when, cuDevicePrimaryCtxRelease(0));
    CALL(when, cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20));
    CALL(when, cuCtxDestroy(context));
    CALL(when, cuCtxSynchronize());
    free(image);
}
