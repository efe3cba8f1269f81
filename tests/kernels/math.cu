/* Device math: row r of out holds function r of in. Single precision first, then double. */
#include "cuda_device.h"

extern "C" __global__ void math_float(const float *in, float *out, unsigned n)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float x;

    if (i >= n)
        return;
    x = in[i];
    out[0 * n + i] = sinf(x);
    out[1 * n + i] = cosf(x);
    out[2 * n + i] = expf(x);
    out[3 * n + i] = logf(x);
    out[4 * n + i] = powf(x, 1.5f);
    out[5 * n + i] = tanhf(x);
    out[6 * n + i] = atan2f(x, 2.0f);
    out[7 * n + i] = sqrtf(x);
    out[8 * n + i] = fmaf(x, x, -1.0f);
    out[9 * n + i] = 1.0f / x;
}

extern "C" __global__ void math_double(const double *in, double *out, unsigned n)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    double x;

    if (i >= n)
        return;
    x = in[i];
    out[0 * n + i] = sin(x);
    out[1 * n + i] = exp(x);
    out[2 * n + i] = log(x);
    out[3 * n + i] = sqrt(x);
    out[4 * n + i] = x / 3.0;
}

/* Integers: division, shifts, bits, 64-bit products and conversions, so that wrong widths and signs show. */
extern "C" __global__ void math_int(const int *in, long long *out, unsigned n)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    int x;

    if (i >= n)
        return;
    x = in[i];
    out[0 * n + i] = x / 7;
    out[1 * n + i] = x % 7;
    out[2 * n + i] = (long long)((unsigned)x / 7u);
    out[3 * n + i] = (long long)x * x;
    out[4 * n + i] = x >> 3;
    out[5 * n + i] = (long long)((unsigned)x >> 3);
    out[6 * n + i] = __popc((unsigned)x);
    out[7 * n + i] = (short)x;
    out[8 * n + i] = (unsigned char)x;
    out[9 * n + i] = (long long)((float)x * 0.5f);
    out[10 * n + i] = ((long long)x << 20) / 12345;
}
