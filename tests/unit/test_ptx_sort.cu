/* Real code by the hundred kilobytes, for test_ptx_compilers: the parallel algorithms of NVIDIA's library. */
#include <thrust/device_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>

int main()
{
    thrust::device_vector<int> keys(1000);
    thrust::device_vector<float> values(1000);

    thrust::sort(keys.begin(), keys.end());
    thrust::stable_sort_by_key(values.begin(), values.end(), keys.begin());
    thrust::inclusive_scan(keys.begin(), keys.end(), keys.begin());
    return (int)thrust::reduce(values.begin(), values.end());
}
