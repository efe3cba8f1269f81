/* Kernels that misbehave or pass time: for fault and timing tests. */
#include "cuda_device.h"

/* Writes to an address the host chose. */
extern "C" __global__ void poke(unsigned long long address, int value)
{
    *(int *)address = value;
}

/* Runs for `clocks` ticks of the SM's clock. */
extern "C" __global__ void spin(long long clocks)
{
    long long start = clock64();

    while (clock64() - start < clocks)
        ;
}

__device__ int counter = 40;
__constant__ int table[4] = {3, 1, 4, 1};

extern "C" __global__ void use_globals(int *out)
{
    out[threadIdx.x] = table[threadIdx.x & 3] + counter;
}
