/* What it costs to mark how far a stream has come: an event with times, one without, a 32-bit write, behind
 * every N-th of many short kernels. Per kernel: what the thread spent, and how long the device took. */
#include "probe.h"

enum { KERNELS = 20000, RUNS = 3, EVENTS = 64 };

static struct {
    CUfunction kernel;
    CUstream stream;
    CUevent timed[EVENTS], plain[EVENTS];
    CUdeviceptr word;
} probe;

static void mark_none(unsigned i)
{
}
static void mark_timed(unsigned i)
{
    CHECK(cuEventRecord(probe.timed[i % EVENTS], probe.stream));
}
static void mark_plain(unsigned i)
{
    CHECK(cuEventRecord(probe.plain[i % EVENTS], probe.stream));
}

static void mark_write(unsigned i)
{
    CHECK(cuStreamWriteValue32_v2(probe.stream, probe.word, i, CU_STREAM_WRITE_VALUE_DEFAULT));
}

static void mark_write_unordered(unsigned i)
{
    CHECK(cuStreamWriteValue32_v2(probe.stream, probe.word, i, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER));
}

static const struct {
    const char *name;
    void (*mark)(unsigned i);
} markers[] = {
    {"none", mark_none},
    {"event with times", mark_timed},
    {"event without", mark_plain},
    {"cuStreamWriteValue32", mark_write},
    {"the same, no barrier", mark_write_unordered},
};

static void measure(void (*mark)(unsigned), unsigned every)
{
    double host_ns = 1e18, device_ns = 1e18;

    for (int run = 0; run < RUNS; run++) {
        uint64_t begin = clock_monotonic_ns(), spent;

        for (unsigned i = 0; i < KERNELS; i++) {
            CHECK(cuLaunchKernel(probe.kernel, 1, 1, 1, 1, 1, 1, 0, probe.stream, NULL, NULL));
            if (i % every == 0)
                mark(i);
        }
        spent = clock_monotonic_ns() - begin;
        CHECK(cuStreamSynchronize(probe.stream));
        host_ns = (double)spent < host_ns ? (double)spent : host_ns;
        spent = clock_monotonic_ns() - begin;
        device_ns = (double)spent < device_ns ? (double)spent : device_ns;
    }
    printf("  %8.0f /%8.0f", host_ns / KERNELS, device_ns / KERNELS);
}

int main(void)
{
    static const unsigned often[] = {1, 4, 16, 64};
    CUdevice device;

    probe_open(&device);
    probe_need("cuStreamWriteValue32_v2");
    probe.kernel = probe_kernel(PROBE_EMPTY_PTX, "empty");
    CHECK(cuStreamCreate(&probe.stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemAlloc(&probe.word, 4096));
    for (int i = 0; i < EVENTS; i++) {
        CHECK(cuEventCreate(&probe.timed[i], CU_EVENT_DEFAULT));
        CHECK(cuEventCreate(&probe.plain[i], CU_EVENT_DISABLE_TIMING));
    }
    printf("ns a kernel: spent by the thread / until all had run\n%-22s", "marker behind every");
    for (size_t n = 0; n < sizeof(often) / sizeof(often[0]); n++)
        printf("  %16u. ", often[n]);
    printf("\n");
    for (size_t m = 0; m < sizeof(markers) / sizeof(markers[0]); m++) {
        printf("%-22s", markers[m].name);
        for (size_t n = 0; n < sizeof(often) / sizeof(often[0]); n++)
            measure(markers[m].mark, often[n]);
        printf("\n");
    }
    return 0;
}
