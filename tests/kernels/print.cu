/* printf from the device: one line a thread of the first warp's first lanes. */
#include "cuda_device.h"

extern "C" __global__ void print_lines(int base)
{
    if (threadIdx.x < 3)
        printf("block %u thread %d: %5.2f %s %lld %x\n", blockIdx.x, base + (int)threadIdx.x, 1.5 * (double)threadIdx.x,
               threadIdx.x & 1 ? "odd" : "even", 1ll << 40, 255);
}
