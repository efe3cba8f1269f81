/* A CUDA program as anybody writes it against the driver API: it knows nothing of vgpu. It takes three
 * vectors of device memory, adds two of them on the device, checks every sum and says what device it saw.
 * With --work it goes on adding for some seconds, as fast as the device lets it, and says how fast that was.
 *
 *   vector_add [--memory 768M] [--work SECONDS] [--hold SECONDS]
 *
 * Exit status: 0 all sums right, 1 wrong result or CUDA error, 2 out of memory, 64 bad usage. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cuda.h"

extern const char vector_add_ptx[];

enum { EXIT_CUDA = 1, EXIT_NO_MEMORY = 2, EXIT_USAGE = 64, BLOCK = 256 };

/* One line that names the call, the CUDA error and what it means; then the end. */
static void check(CUresult result, const char *what)
{
    const char *name = "unknown error", *text = "";

    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    cuGetErrorString(result, &text);
    printf("%s: %s (%s)\n", what, name, text);
    exit(result == CUDA_ERROR_OUT_OF_MEMORY ? EXIT_NO_MEMORY : EXIT_CUDA);
}

static CUdeviceptr take(size_t bytes)
{
    CUdeviceptr p = 0;
    char what[64];

    snprintf(what, sizeof(what), "cuMemAlloc of %zu MiB", bytes >> 20);
    check(cuMemAlloc(&p, bytes), what);
    return p;
}

static void show_device(CUdevice device)
{
    size_t free_bytes, total_bytes;
    char name[100];

    check(cuDeviceGetName(name, sizeof(name), device), "cuDeviceGetName");
    check(cuMemGetInfo(&free_bytes, &total_bytes), "cuMemGetInfo");
    printf("%s: %zu MiB of memory, %zu MiB free\n", name, total_bytes >> 20, free_bytes >> 20);
}

/* Fills a and b on the device from one host buffer: a[i] = i, b[i] = 2 i, both mod 2^20 so that floats hold
 * them. */
static void fill(CUdeviceptr a, CUdeviceptr b, float *host, size_t n)
{
    for (size_t i = 0; i < n; i++)
        host[i] = (float)(i & 0xfffff);
    check(cuMemcpyHtoD(a, host, n * sizeof(float)), "cuMemcpyHtoD");
    for (size_t i = 0; i < n; i++)
        host[i] = 2 * host[i];
    check(cuMemcpyHtoD(b, host, n * sizeof(float)), "cuMemcpyHtoD");
}

static CUfunction load_kernel(void)
{
    CUfunction kernel;
    CUmodule module;

    check(cuModuleLoadData(&module, vector_add_ptx), "cuModuleLoadData");
    check(cuModuleGetFunction(&kernel, module, "vector_add"), "cuModuleGetFunction");
    return kernel;
}

static void add(CUfunction kernel, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c, unsigned n)
{
    void *params[] = {&a, &b, &c, &n};

    check(cuLaunchKernel(kernel, (n + BLOCK - 1) / BLOCK, 1, 1, BLOCK, 1, 1, 0, NULL, params, NULL),
          "cuLaunchKernel");
}

static float add_on_device(CUfunction kernel, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c, unsigned n)
{
    CUevent begin, end;
    float ms;

    check(cuEventCreate(&begin, CU_EVENT_DEFAULT), "cuEventCreate");
    check(cuEventCreate(&end, CU_EVENT_DEFAULT), "cuEventCreate");
    check(cuEventRecord(begin, NULL), "cuEventRecord");
    add(kernel, a, b, c, n);
    check(cuEventRecord(end, NULL), "cuEventRecord");
    check(cuCtxSynchronize(), "cuCtxSynchronize");
    check(cuEventElapsedTime(&ms, begin, end), "cuEventElapsedTime");
    return ms;
}

/* Adds for that long, with a few launches under way at a time. */
static void work(CUfunction kernel, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c, unsigned n, unsigned seconds)
{
    enum { UNDER_WAY = 3 };
    CUevent ends[UNDER_WAY];
    time_t until = time(NULL) + seconds;
    unsigned long count = 0;

    for (unsigned i = 0; i < UNDER_WAY; i++)
        check(cuEventCreate(&ends[i], CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    for (; time(NULL) < until; count++) {
        check(cuEventSynchronize(ends[count % UNDER_WAY]), "cuEventSynchronize");
        add(kernel, a, b, c, n);
        check(cuEventRecord(ends[count % UNDER_WAY], NULL), "cuEventRecord");
    }
    check(cuCtxSynchronize(), "cuCtxSynchronize");
    printf("%.1f million sums a second for %u s\n", (double)count * n / 1e6 / seconds, seconds);
    fflush(stdout);
}

static int run(size_t memory_bytes, unsigned work_s, unsigned hold_s)
{
    size_t n = memory_bytes / 3 / sizeof(float), bytes = n * sizeof(float), wrong = 0;
    CUdeviceptr a, b, c;
    CUdevice device;
    CUfunction kernel;
    CUcontext ctx;
    float *host, ms;

    check(cuInit(0), "cuInit");
    check(cuDeviceGet(&device, 0), "cuDeviceGet");
    check(cuDevicePrimaryCtxRetain(&ctx, device), "cuDevicePrimaryCtxRetain");
    check(cuCtxSetCurrent(ctx), "cuCtxSetCurrent");
    show_device(device);

    a = take(bytes);
    b = take(bytes);
    c = take(bytes);
    host = malloc(bytes);
    if (!host) {
        printf("no host memory for %zu MiB\n", bytes >> 20);
        return EXIT_CUDA;
    }
    fill(a, b, host, n);
    kernel = load_kernel();
    ms = add_on_device(kernel, a, b, c, (unsigned)n);
    check(cuMemcpyDtoH(host, c, bytes), "cuMemcpyDtoH");
    for (size_t i = 0; i < n; i++)
        wrong += host[i] != (float)(3 * (i & 0xfffff));
    free(host);
    printf("%zu sums, %zu wrong, %.1f ms on the device\n", n, wrong, (double)ms);
    fflush(stdout);
    if (work_s)
        work(kernel, a, b, c, (unsigned)n, work_s);
    sleep(hold_s);
    check(cuMemFree(a), "cuMemFree");
    check(cuMemFree(b), "cuMemFree");
    check(cuMemFree(c), "cuMemFree");
    check(cuDevicePrimaryCtxRelease(device), "cuDevicePrimaryCtxRelease");
    return wrong ? EXIT_CUDA : 0;
}

static size_t parse_mib(const char *text)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || v <= 0 || (strcmp(end, "M") && strcmp(end, "G")) || v > 1e6) {
        fprintf(stderr, "vector_add: --memory '%s': write for example 768M or 2G\n", text);
        exit(EXIT_USAGE);
    }
    return (size_t)(v * (*end == 'G' ? 1024 : 1)) << 20;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"memory", required_argument, NULL, 'm'},
                                            {"work", required_argument, NULL, 'w'},
                                            {"hold", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    size_t memory_bytes = (size_t)48 << 20;
    unsigned work_s = 0, hold_s = 0;
    int c;

    while ((c = getopt_long(argc, argv, "m:w:t:", options, NULL)) != -1) {
        if (c == 'm')
            memory_bytes = parse_mib(optarg);
        else if (c == 'w')
            work_s = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 't')
            hold_s = (unsigned)strtoul(optarg, NULL, 10);
        else
            return EXIT_USAGE;
    }
    return run(memory_bytes, work_s, hold_s);
}
