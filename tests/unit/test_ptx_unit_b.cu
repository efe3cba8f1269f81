/* The other of two units that are compiled apart, for test_ptx_compilers. */
extern __device__ int shared_value;
static __device__ const char *text = "b";

__device__ int scale(int x)
{
    return x * shared_value;
}

__global__ void kernel_b(int *out)
{
    out[0] = scale(text[out[1]]);
}
