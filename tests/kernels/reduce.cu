/* Sum of n integers: grid-stride load, tree in shared memory, one atomic a block. */
#include "cuda_device.h"

extern "C" __global__ void reduce_sum(const int *in, unsigned long long *out, unsigned n)
{
    __shared__ long long part[256];
    long long sum = 0;

    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += in[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        atomicAdd(out, (unsigned long long)part[0]);
}

/* The same with shared memory whose size the launch gives. */
extern "C" __global__ void reduce_dynamic(const float *in, float *out, unsigned n)
{
    extern __shared__ float scratch[];
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    scratch[threadIdx.x] = i < n ? in[i] : 0.0f;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half >>= 1) {
        if (threadIdx.x < half)
            scratch[threadIdx.x] += scratch[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = scratch[0];
}
