/* A load for bench/gpu/run that is bound by launches: empty kernels one after the other, with a wait for each
 * 500 of them. `launch_loop --for SECONDS`. Says "ready PID", goes on at a line on its standard input, and
 * says a line of JSON at the end. */
#include "probe.h"

enum { BATCH = 500 };

int main(int argc, char **argv)
{
    uint64_t seconds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5, begin, steps = 0;
    CUfunction kernel;
    CUstream stream;
    CUdevice device;
    int c;

    probe_open(&device);
    kernel = probe_kernel(PROBE_EMPTY_PTX, "empty");
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
    CHECK(cuStreamSynchronize(stream));
    printf("ready %d\n", (int)getpid());
    while ((c = getchar()) != '\n' && c != EOF)
        ;
    begin = clock_monotonic_ns();
    while (clock_monotonic_ns() - begin < seconds * NS_PER_S) {
        for (int i = 0; i < BATCH; i++)
            CHECK(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
        CHECK(cuStreamSynchronize(stream));
        steps += BATCH;
    }
    printf("{\"steps\": %llu, \"seconds\": %.3f}\n", (unsigned long long)steps,
           (double)(clock_monotonic_ns() - begin) / 1e9);
    return 0;
}
