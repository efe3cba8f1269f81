/* What lanes of a warp tell each other: shuffles, votes, and code in which they part and meet again. */
#include "cuda_device.h"

/* Inclusive scan of 32 values by shuffles, one warp a block. */
extern "C" __global__ void warp_scan(const int *in, int *out)
{
    int lane = (int)threadIdx.x, v = in[blockIdx.x * 32 + threadIdx.x];

    for (int d = 1; d < 32; d *= 2) {
        int below = __shfl_up_sync(0xffffffffu, v, (unsigned)d);

        if (lane >= d)
            v += below;
    }
    out[blockIdx.x * 32 + threadIdx.x] = v;
}

/* out[0]: sum by xor shuffles; [1] ballot of odd values; [2] all > 0; [3] any > 30; [4] lanes with the same value mod 4 as lane 5;
 * [5] lane 7's value, told to all. */
extern "C" __global__ void warp_vote(const int *in, unsigned *out)
{
    int v = in[threadIdx.x], sum = v;
    unsigned odd, same;
    int all, any, seventh;

    for (int m = 16; m; m >>= 1)
        sum += __shfl_xor_sync(0xffffffffu, sum, m);
    odd = __ballot_sync(0xffffffffu, v & 1);
    all = __all_sync(0xffffffffu, v > 0);
    any = __any_sync(0xffffffffu, v > 30);
#if defined(__NVCC__) || __CUDA_ARCH__ >= 700
    same = __match_any_sync(0xffffffffu, (unsigned)v % 4);
#else
    same = 0;
#endif
    seventh = __shfl_sync(0xffffffffu, v, 7);
    if (threadIdx.x == 5) {
        out[0] = (unsigned)sum;
        out[1] = odd;
        out[2] = (unsigned)all;
        out[3] = (unsigned)any;
        out[4] = same;
        out[5] = (unsigned)seventh;
    }
}

/* Steps of the Collatz walk of each value: lanes leave the loop one by one. */
extern "C" __global__ void warp_diverge(const unsigned *in, unsigned *out, unsigned n)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x, steps = 0;

    if (i >= n)
        return;
    for (unsigned v = in[i]; v != 1; steps++) {
        if (v & 1)
            v = 3 * v + 1;
        else
            v /= 2;
    }
    out[i] = steps;
}
