/* What compilers are made to write PTX from, for test_ptx_compilers: one of each thing that shapes a module. It is built
 * by clang without any CUDA header (BARE) and by nvcc with its own. */
#ifdef BARE
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __constant__ __attribute__((constant))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __noinline__ __attribute__((noinline))
extern "C" __device__ int vprintf(const char *, const char *);
#define thread_index() __nvvm_read_ptx_sreg_tid_x()
#define shuffle(x) __nvvm_shfl_sync_bfly_i32(~0u, x, 1, 31)
#define sync() __nvvm_bar_sync(0)
#define say(text, x) vprintf(text, (const char *)(x))
#else
#include <stdio.h>
#define thread_index() threadIdx.x
#define shuffle(x) __shfl_xor_sync(~0u, x, 1)
#define sync() __syncthreads()
#define say(text, x) printf(text, *(x))
__managed__ float managed_float = 1.5f;
#endif

struct mixed {
    char c;
    double d;
    int *p;
    const char *text;
};
struct __attribute__((packed)) packed {
    char c;
    int *p;
    short s;
};
struct big {
    float a[9];
};

extern "C" {
__device__ int number = 5, numbers[4] = {1, -2, 3, 4};
__device__ int sparse[1 << 20] = {7};
__device__ const char *texts[] = {"alpha", "beta\n\"q\""};
__device__ mixed mixed_values = {'x', 3.25, &numbers[2], "hello"};
#ifndef BARE /* clang 14 writes a packed pointer as more numbers than the variable holds */
__device__ packed packed_values = {'a', numbers + 1, 7};
#endif
__constant__ float factors[3] = {1, 2, 3};
extern __shared__ float dynamic[];

__noinline__ __device__ int recurse(int n)
{
    return n < 2 ? 1 : recurse(n - 1) + recurse(n - 2);
}
__noinline__ __device__ int twice(int x)
{
    return x * 2;
}
__noinline__ __device__ int thrice(int x)
{
    return x * 3;
}
__device__ int (*table[2])(int) = {twice, thrice};

__noinline__ __device__ big by_value(big b, float f)
{
    b.a[3] += f;
    return b;
}

__global__ void __launch_bounds__(256, 2) sample(int *out, float *in, big b, int n)
{
    __shared__ double fixed[32];
    int i = thread_index(), low;

    fixed[i & 31] = in[i];
    sync();
    big r = by_value(b, in[0]);
    asm volatile("{ .reg .pred p; .reg .s32 r0;\n setp.lt.s32 p, %1, 5; selp.s32 r0, 1, 0, p; mov.s32 %0, r0; }"
                 : "=r"(low)
                 : "r"(n));
    out[i] = recurse(n) + table[n & 1](i) + (int)fixed[(i + 1) & 31] + (int)r.a[3] + low + shuffle(i);
    for (int k = 0; k < n; k++)
        in[k] = in[k] * factors[k % 3] + dynamic[k] + sparse[k] + (float)mixed_values.d;
    say(texts[n & 1], &number);
    out[n] = *mixed_values.p;
#ifndef BARE
    in[0] += managed_float + packed_values.s + *packed_values.p;
#endif
}
}
