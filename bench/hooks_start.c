/* The smallest program of the driver API: what bench_hooks starts to see what a start costs. */
#include "api/cuda_api.h"

int main(void)
{
    return cuInit(0) != CUDA_SUCCESS;
}
