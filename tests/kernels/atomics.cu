/* Every kind of atomic that many threads can race on: histogram, extremes, counter with wrap, and a spin lock by
 * compare-and-swap that guards a plain read-modify-write. */
#include "cuda_device.h"

struct atomics_result {
    int min, max, exchanged, locked_count;
    unsigned wrapped;
    float float_sum;
};

extern "C" __global__ void atomics_histogram(const unsigned char *in, unsigned *bins, unsigned n)
{
    __shared__ unsigned local[256];

    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x)
        local[i] = 0;
    __syncthreads();
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&local[in[i]], 1u);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < 256; i += blockDim.x)
        atomicAdd(&bins[i], local[i]);
}

extern "C" __global__ void atomics_all(const int *in, struct atomics_result *result, int *lock, unsigned n)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= n)
        return;
    atomicMin(&result->min, in[i]);
    atomicMax(&result->max, in[i]);
    atomicExch(&result->exchanged, 1);
    atomicInc(&result->wrapped, 99u);
    atomicAdd(&result->float_sum, 1.0f);
    for (bool done = false; !done;) {
        if (atomicCAS(lock, 0, 1) == 0) {
            volatile int *count = &result->locked_count;

            *count = *count + 1;
            __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}
