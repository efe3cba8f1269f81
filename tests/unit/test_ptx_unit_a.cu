/* One of two units that are compiled apart, for test_ptx_compilers. */
__device__ int scale(int);
__device__ int shared_value = 3;
static __device__ const char *text = "a";

__global__ void kernel_a(int *out)
{
    out[0] = scale(out[1]) + shared_value + text[out[2]];
}

int main()
{
    kernel_a<<<1, 1>>>(nullptr);
}
