/* C = A * B for square matrices of order n, in 16x16 tiles through shared memory. */
#include "cuda_device.h"

enum { TILE = 16 };

extern "C" __global__ void matmul(const float *a, const float *b, float *c, unsigned n)
{
    __shared__ float ta[TILE][TILE], tb[TILE][TILE];
    unsigned row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;

    for (unsigned t = 0; t < (n + TILE - 1) / TILE; t++) {
        unsigned ac = t * TILE + threadIdx.x, br = t * TILE + threadIdx.y;

        ta[threadIdx.y][threadIdx.x] = row < n && ac < n ? a[row * n + ac] : 0.0f;
        tb[threadIdx.y][threadIdx.x] = br < n && col < n ? b[br * n + col] : 0.0f;
        __syncthreads();
        for (unsigned k = 0; k < TILE; k++)
            sum += ta[threadIdx.y][k] * tb[k][threadIdx.x];
        __syncthreads();
    }
    if (row < n && col < n)
        c[row * n + col] = sum;
}
