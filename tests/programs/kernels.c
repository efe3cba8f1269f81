/* Runs the kernels of tests/kernels on a device and compares each with a reference computed here by the C compiler.
 *
 *   kernels DIRECTORY SUFFIX      loads DIRECTORY/NAME.SUFFIX: "ptx" (clang), "nvcc.ptx", "fatbin" (nvcc, compressed)
 *
 * TAP on stdout. A program of the driver API: it runs on the software GPU and on a real one, inside a vGPU or outside. */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

static const char *kernel_dir, *kernel_suffix;
static int n_tests, n_failed;

static void ok(bool passed, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("%sok %d - ", passed ? "" : "not ", ++n_tests);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    n_failed += !passed;
}

static void must(CUresult result, const char *what)
{
    const char *name = "?";

    if (result == CUDA_SUCCESS)
        return;
    cuGetErrorName(result, &name);
    printf("Bail out! %s: %s\n", what, name);
    exit(1);
}

#define MUST(call) must(call, #call)

static CUfunction load(const char *file, const char *name)
{
    static struct loaded {
        char path[512];
        CUmodule module;
    } cache[16];
    char path[512];
    CUfunction function;
    int i;

    snprintf(path, sizeof(path), "%s/%s.%s", kernel_dir, file, kernel_suffix);
    for (i = 0; cache[i].module && strcmp(cache[i].path, path); i++)
        ;
    if (!cache[i].module) {
        memcpy(cache[i].path, path, sizeof(path));
        must(cuModuleLoad(&cache[i].module, path), path);
    }
    must(cuModuleGetFunction(&function, cache[i].module, name), name);
    return function;
}

/* Device memory with a copy of bytes from host (or zeros when host is NULL). */
static CUdeviceptr upload(const void *host, size_t bytes)
{
    CUdeviceptr p;

    MUST(cuMemAlloc(&p, bytes));
    if (host)
        MUST(cuMemcpyHtoD(p, host, bytes));
    else
        MUST(cuMemsetD8(p, 0, bytes));
    return p;
}

static void download(void *host, CUdeviceptr p, size_t bytes)
{
    MUST(cuMemcpyDtoH(host, p, bytes));
    MUST(cuMemFree(p));
}

static void launch(CUfunction f, unsigned grid, unsigned block, unsigned shared_bytes, void **params)
{
    MUST(cuLaunchKernel(f, grid, 1, 1, block, 1, 1, shared_bytes, NULL, params, NULL));
    MUST(cuCtxSynchronize());
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void vector_add(void)
{
    enum { N = 100003 };
    float *a = malloc(N * 4), *b = malloc(N * 4), *c = malloc(N * 4);
    CUdeviceptr da, db, dc;
    unsigned n = N, wrong = 0;

    for (int i = 0; i < N; i++) {
        a[i] = (float)i * 0.25f;
        b[i] = (float)(N - i) * 3.5f;
    }
    da = upload(a, N * 4);
    db = upload(b, N * 4);
    dc = upload(NULL, N * 4);
    launch(load("vector_add", "vector_add"), (N + 255) / 256, 256, 0, (void *[]){&da, &db, &dc, &n});
    download(c, dc, N * 4);
    for (int i = 0; i < N; i++)
        wrong += c[i] != a[i] + b[i];
    ok(!wrong, "vector add: %u of %u sums differ", wrong, n);
    cuMemFree(da);
    cuMemFree(db);
    free(a);
    free(b);
    free(c);
}

static void reduce(void)
{
    enum { N = 200001, BLOCKS = 7 };
    int *in = malloc(N * sizeof(int));
    float *values = malloc(1024 * 4), partial[4], sums[4] = {0};
    unsigned long long got, want = 0;
    unsigned n = N, small = 1000;
    uint32_t seed = 1;
    CUdeviceptr din, dout;

    for (int i = 0; i < N; i++) {
        in[i] = (int)next_random(&seed) - (1 << 23);
        want += (unsigned long long)(long long)in[i];
    }
    din = upload(in, N * sizeof(int));
    dout = upload(NULL, 8);
    launch(load("reduce", "reduce_sum"), BLOCKS, 256, 0, (void *[]){&din, &dout, &n});
    download(&got, dout, 8);
    cuMemFree(din);
    ok(got == want, "shared-memory reduction: %lld, expected %lld", (long long)got, (long long)want);

    for (int i = 0; i < 1024; i++) {
        values[i] = (float)(i % 17);
        if (i < (int)small)
            sums[i / 256] += values[i];
    }
    din = upload(values, 1024 * 4);
    dout = upload(NULL, sizeof(partial));
    launch(load("reduce", "reduce_dynamic"), 4, 256, 256 * 4, (void *[]){&din, &dout, &small});
    download(partial, dout, sizeof(partial));
    cuMemFree(din);
    ok(!memcmp(partial, sums, sizeof(sums)), "reduction in dynamic shared memory");
    free(in);
    free(values);
}

struct atomics_result {
    int min, max, exchanged, locked_count;
    unsigned wrapped;
    float float_sum;
};

static void atomics(void)
{
    enum { N = 5000, BYTES = 70000 };
    struct atomics_result result = {.min = 1 << 30, .max = -(1 << 30)};
    unsigned bins[256] = {0}, got[256], n = N, bytes = BYTES;
    unsigned char *text = malloc(BYTES);
    int *in = malloc(N * sizeof(int)), min = 1 << 30, max = -(1 << 30);
    uint32_t seed = 7;
    CUdeviceptr din, dout, dlock;

    for (int i = 0; i < BYTES; i++)
        bins[text[i] = (unsigned char)next_random(&seed)]++;
    din = upload(text, BYTES);
    dout = upload(NULL, sizeof(got));
    launch(load("atomics", "atomics_histogram"), 9, 128, 0, (void *[]){&din, &dout, &bytes});
    download(got, dout, sizeof(got));
    cuMemFree(din);
    ok(!memcmp(bins, got, sizeof(bins)), "histogram by shared and global atomics");

    for (int i = 0; i < N; i++) {
        in[i] = (int)next_random(&seed) - (1 << 22);
        min = in[i] < min ? in[i] : min;
        max = in[i] > max ? in[i] : max;
    }
    din = upload(in, N * sizeof(int));
    dout = upload(&result, sizeof(result));
    dlock = upload(NULL, 4);
    launch(load("atomics", "atomics_all"), (N + 127) / 128, 128, 0, (void *[]){&din, &dout, &dlock, &n});
    download(&result, dout, sizeof(result));
    cuMemFree(din);
    cuMemFree(dlock);
    ok(result.min == min && result.max == max, "atomic min and max: %d %d, expected %d %d", result.min, result.max, min, max);
    ok(result.exchanged == 1 && result.float_sum == (float)N && result.wrapped == N % 100,
       "atomic exchange, float add and wrapping increment: %d %g %u", result.exchanged, (double)result.float_sum,
       result.wrapped);
    ok(result.locked_count == N, "a spin lock taken by every thread counts %d of %d", result.locked_count, N);
    free(text);
    free(in);
}

static void matmul(void)
{
    enum { N = 75 };
    static float a[N * N], b[N * N], c[N * N];
    unsigned n = N, wrong = 0, tiles = (N + 15) / 16;
    CUdeviceptr da, db, dc;
    CUfunction f = load("matmul", "matmul");

    for (int i = 0; i < N * N; i++) {
        a[i] = (float)(i % 13) - 6;
        b[i] = (float)(i % 7) - 3;
    }
    da = upload(a, sizeof(a));
    db = upload(b, sizeof(b));
    dc = upload(NULL, sizeof(c));
    MUST(cuLaunchKernel(f, tiles, tiles, 1, 16, 16, 1, 0, NULL, (void *[]){&da, &db, &dc, &n}, NULL));
    download(c, dc, sizeof(c));
    for (int row = 0; row < N; row++)
        for (int col = 0; col < N; col++) {
            float sum = 0; /* small integers: exact in any order */

            for (int k = 0; k < N; k++)
                sum += a[row * N + k] * b[k * N + col];
            wrong += c[row * N + col] != sum;
        }
    ok(!wrong, "tiled matrix product: %u of %u elements differ", wrong, n * n);
    cuMemFree(da);
    cuMemFree(db);
}

/* Distance in units of the last place of the reference, in the float or double grid. */
static double ulps(double got, double want, int mantissa_bits)
{
    int exponent;

    if (isnan(got) || isnan(want) || isinf(got) || isinf(want))
        return (isnan(got) && isnan(want)) || got == want ? 0 : INFINITY;
    if (want == 0)
        return got == 0 ? 0 : INFINITY;
    frexp(want, &exponent);
    return fabs(got - want) / ldexp(1.0, exponent - mantissa_bits);
}

static double reference_float(int row, float x)
{
    switch (row) {
    case 0: return sin((double)x);
    case 1: return cos((double)x);
    case 2: return exp((double)x);
    case 3: return log((double)x);
    case 4: return pow((double)x, 1.5);
    case 5: return tanh((double)x);
    case 6: return atan2((double)x, 2.0);
    case 7: return sqrt((double)x);
    case 8: return (double)fmaf(x, x, -1.0f);
    default: return (double)(1.0f / x);
    }
}

static double reference_double(int row, double x)
{
    switch (row) {
    case 0: return sin(x);
    case 1: return exp(x);
    case 2: return log(x);
    case 3: return sqrt(x);
    default: return x / 3.0;
    }
}

static void math_float(void)
{
    /* Documented bounds of OpenCL's full profile, which libclc follows; libdevice is tighter. fma, sqrt and division are exact. */
    static const struct { const char *name; double ulps; } rows[] = {
        {"sinf", 4}, {"cosf", 4}, {"expf", 3}, {"logf", 3}, {"powf", 16}, {"tanhf", 5}, {"atan2f", 6}, {"sqrtf", 0.51},
        {"fmaf", 0}, {"1/x", 0}};
    enum { N = 1000, ROWS = 10 };
    float in[N], *out = malloc(sizeof(float) * N * ROWS);
    unsigned n = N;
    CUdeviceptr din, dout;

    for (int i = 0; i < N; i++)
        in[i] = 0.001f + (float)i * 0.037f;
    din = upload(in, sizeof(in));
    dout = upload(NULL, sizeof(float) * N * ROWS);
    launch(load("math", "math_float"), (N + 127) / 128, 128, 0, (void *[]){&din, &dout, &n});
    download(out, dout, sizeof(float) * N * ROWS);
    cuMemFree(din);
    for (int r = 0; r < ROWS; r++) {
        double worst = 0;

        for (int i = 0; i < N; i++)
            worst = fmax(worst, ulps((double)out[r * N + i], reference_float(r, in[i]), 24));
        ok(worst <= rows[r].ulps, "%s within %g ulp: %.2f", rows[r].name, rows[r].ulps, worst);
    }
    free(out);
}

static void math_double(void)
{
    static const struct { const char *name; double ulps; } rows[] = {
        {"sin", 4}, {"exp", 3}, {"log", 3}, {"sqrt", 0.51}, {"x/3", 0}};
    enum { N = 500, ROWS = 5 };
    double in[N], *out = malloc(sizeof(double) * N * ROWS);
    unsigned n = N;
    CUdeviceptr din, dout;

    for (int i = 0; i < N; i++)
        in[i] = 0.003 + i * 0.11;
    din = upload(in, sizeof(in));
    dout = upload(NULL, sizeof(double) * N * ROWS);
    launch(load("math", "math_double"), (N + 127) / 128, 128, 0, (void *[]){&din, &dout, &n});
    download(out, dout, sizeof(double) * N * ROWS);
    cuMemFree(din);
    for (int r = 0; r < ROWS; r++) {
        double worst = 0;

        for (int i = 0; i < N; i++)
            worst = fmax(worst, ulps(out[r * N + i], reference_double(r, in[i]), 53));
        ok(worst <= rows[r].ulps, "double %s within %g ulp: %.2f", rows[r].name, rows[r].ulps, worst);
    }
    free(out);
}

static long long reference_int(int row, int x)
{
    switch (row) {
    case 0: return x / 7;
    case 1: return x % 7;
    case 2: return (long long)((unsigned)x / 7u);
    case 3: return (long long)x * x;
    case 4: return x >> 3;
    case 5: return (long long)((unsigned)x >> 3);
    case 6: return __builtin_popcount((unsigned)x);
    case 7: return (short)x;
    case 8: return (unsigned char)x;
    case 9: return (long long)((float)x * 0.5f);
    default: return (long long)((unsigned long long)(long long)x << 20) / 12345;
    }
}

static void math_int(void)
{
    enum { N = 777, ROWS = 11 };
    int in[N];
    long long *out = malloc(sizeof(long long) * N * ROWS);
    unsigned n = N, wrong = 0;
    uint32_t seed = 3;
    CUdeviceptr din, dout;

    for (int i = 0; i < N; i++)
        in[i] = (int)(next_random(&seed) << 8) ^ (int)next_random(&seed);
    in[0] = 0;
    in[1] = INT32_MIN;
    in[2] = INT32_MAX;
    in[3] = -1;
    din = upload(in, sizeof(in));
    dout = upload(NULL, sizeof(long long) * N * ROWS);
    launch(load("math", "math_int"), (N + 63) / 64, 64, 0, (void *[]){&din, &dout, &n});
    download(out, dout, sizeof(long long) * N * ROWS);
    cuMemFree(din);
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < N; i++)
            if (out[r * N + i] != reference_int(r, in[i]) && !wrong++)
                printf("# row %d of %d: %lld, expected %lld\n", r, in[i], out[r * N + i], reference_int(r, in[i]));
    ok(!wrong, "integer arithmetic: %u of %d differ", wrong, N * ROWS);
    free(out);
}

static void warp(void)
{
    enum { BLOCKS = 5, N = BLOCKS * 32 };
    int in[N], scanned[N], sum = 0;
    unsigned votes[6], odd = 0, same = 0, wrong = 0, total = 0, collatz[300], steps[300], n = 300;
    CUdeviceptr din, dout;

    for (int i = 0; i < N; i++)
        in[i] = (i * 37) % 101 - 20;
    din = upload(in, sizeof(in));
    dout = upload(NULL, sizeof(scanned));
    launch(load("warp", "warp_scan"), BLOCKS, 32, 0, (void *[]){&din, &dout});
    download(scanned, dout, sizeof(scanned));
    cuMemFree(din);
    for (int i = 0; i < N; i++) {
        sum = i % 32 ? sum + in[i] : in[i];
        wrong += scanned[i] != sum;
    }
    ok(!wrong, "scan by shuffles: %u of %d differ", wrong, N);

    for (int i = 0; i < 32; i++) {
        in[i] = i + 1;
        total += (unsigned)in[i];
        odd |= (unsigned)(in[i] & 1) << i;
        same |= (unsigned)(in[i] % 4 == 6 % 4) << i;
    }
    din = upload(in, 32 * sizeof(int));
    dout = upload(NULL, sizeof(votes));
    launch(load("warp", "warp_vote"), 1, 32, 0, (void *[]){&din, &dout});
    download(votes, dout, sizeof(votes));
    cuMemFree(din);
    ok(votes[0] == total && votes[1] == odd && votes[2] == 1 && votes[3] == 1 && votes[4] == same && votes[5] == 8,
       "votes: sum %u ballot %x all %u any %u match %x told %u", votes[0], votes[1], votes[2], votes[3], votes[4], votes[5]);

    for (unsigned i = 0; i < n; i++)
        collatz[i] = i + 1;
    din = upload(collatz, sizeof(collatz));
    dout = upload(NULL, sizeof(steps));
    launch(load("warp", "warp_diverge"), 3, 128, 0, (void *[]){&din, &dout, &n});
    download(steps, dout, sizeof(steps));
    cuMemFree(din);
    wrong = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned want = 0;

        for (unsigned v = collatz[i]; v != 1; want++)
            v = v & 1 ? 3 * v + 1 : v / 2;
        wrong += steps[i] != want;
    }
    ok(!wrong, "lanes that leave a loop one by one: %u of %u differ", wrong, n);
}

static void globals(void)
{
    static const int want[4] = {3 + 41, 1 + 41, 4 + 41, 1 + 41};
    CUfunction f = load("misc", "use_globals");
    CUdeviceptr dout = upload(NULL, sizeof(want)), counter;
    size_t bytes;
    int got[4], value;
    CUmodule module;

    MUST(cuFuncGetModule(&module, f));
    MUST(cuModuleGetGlobal(&counter, &bytes, module, "counter"));
    MUST(cuMemcpyDtoH(&value, counter, sizeof(value)));
    ok(bytes == 4 && value == 40, "a module variable holds its initial value: %d", value);
    value = 41;
    MUST(cuMemcpyHtoD(counter, &value, sizeof(value)));
    launch(f, 1, 4, 0, (void *[]){&dout});
    download(got, dout, sizeof(got));
    ok(!memcmp(got, want, sizeof(want)), "constants and a variable set by the host: %d %d %d %d", got[0], got[1], got[2], got[3]);
}

/* The device's lines go to stdout, where TAP readers skip them: they are compared through a pipe by the caller's test script. */
static void print(void)
{
    int base = 10;

    launch(load("print", "print_lines"), 2, 32, 0, (void *[]){&base});
    ok(true, "printf from the device");
}

static void run_all(void)
{
    vector_add();
    reduce();
    atomics();
    matmul();
    math_float();
    math_double();
    math_int();
    warp();
    globals();
    print();
}

int main(int argc, char **argv)
{
    CUdevice device;
    CUcontext ctx;

    if (argc != 3) {
        fprintf(stderr, "usage: kernels DIRECTORY SUFFIX\n");
        return 64;
    }
    kernel_dir = argv[1];
    kernel_suffix = argv[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDevicePrimaryCtxRetain(&ctx, device));
    MUST(cuCtxSetCurrent(ctx));
    run_all();
    MUST(cuDevicePrimaryCtxRelease(device));
    printf("1..%d\n", n_tests);
    return n_failed != 0;
}
