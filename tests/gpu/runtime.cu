// A program of NVIDIA's runtime, as nvcc builds one: adds two vectors of MIB mebibytes each on the device, checks every sum and says
// how much memory it sees. `runtime MIB`. Exit status: 0 all right, 1 wrong sums or another error, 2 out of memory.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../examples/vector_add.cu"

static void check(cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return;
    printf("%s: %s\n", what, cudaGetErrorString(error));
    exit(error == cudaErrorMemoryAllocation ? 2 : 1);
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)(argc > 1 ? atol(argv[1]) : 64) << 20, n = bytes / sizeof(float), free_bytes, total_bytes, wrong = 0;
    std::vector<float> host(n);
    float *a, *b, *c;

    check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
    check(cudaMalloc(&a, bytes), "cudaMalloc");
    check(cudaMalloc(&b, bytes), "cudaMalloc");
    check(cudaMalloc(&c, bytes), "cudaMalloc");
    for (size_t i = 0; i < n; i++)
        host[i] = (float)(i & 0xfffff);
    check(cudaMemcpy(a, host.data(), bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    check(cudaMemcpy(b, host.data(), bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    vector_add<<<(unsigned)((n + 255) / 256), 256>>>(a, b, c, (unsigned)n);
    check(cudaGetLastError(), "launch");
    check(cudaMemcpy(host.data(), c, bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
    for (size_t i = 0; i < n; i++)
        wrong += host[i] != 2 * (float)(i & 0xfffff);
    printf("%zu MiB in all, %zu sums, %zu wrong\n", total_bytes >> 20, n, wrong);
    return wrong != 0;
}
