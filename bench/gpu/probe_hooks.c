/* What calls cost the thread that makes them: nanoseconds a call, the best of some runs. With and without
 * vgpu around it the difference is what the hooks cost. The last line is a loop that is bound by launches:
 * kernels a second when each does nothing and the queue is never empty. */
#include "probe.h"

enum { RUNS = 7, CALLS = 2000, LOOP_LAUNCHES = 200000, LOOP_BATCH = 500 };

static struct {
    CUfunction kernel;
    CUstream stream;
    CUevent event;
    CUdeviceptr memory;
} probe;

static void launch(void)
{
    CHECK(cuLaunchKernel(probe.kernel, 1, 1, 1, 1, 1, 1, 0, probe.stream, NULL, NULL));
}
static void event_query(void)
{
    cuEventQuery(probe.event);
}
static void event_record(void)
{
    CHECK(cuEventRecord(probe.event, probe.stream));
}
static void memset_async(void)
{
    CHECK(cuMemsetD32Async(probe.memory, 0, 256, probe.stream));
}
static void stream_query(void)
{
    cuStreamQuery(probe.stream);
}

static void alloc_free(void)
{
    CUdeviceptr p;

    CHECK(cuMemAlloc(&p, 4096));
    CHECK(cuMemFree(p));
}

static void context_get(void)
{
    CUcontext context;

    CHECK(cuCtxGetCurrent(&context));
}

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {
    {"cuCtxGetCurrent", context_get},       {"cuEventQuery", event_query}, {"cuStreamQuery", stream_query},
    {"cuEventRecord", event_record},        {"cuLaunchKernel", launch},    {"cuMemsetD32Async", memset_async},
    {"cuMemAlloc + cuMemFree", alloc_free},
};

/* In bursts that a queue takes without making the thread wait. */
static double best_ns(void (*call)(void))
{
    uint64_t best = UINT64_MAX;

    for (int run = 0; run < RUNS; run++) {
        uint64_t spent = 0;

        for (int done = 0; done < CALLS; done += LOOP_BATCH) {
            uint64_t begin = clock_monotonic_ns();

            for (int i = 0; i < LOOP_BATCH; i++)
                call();
            spent += clock_monotonic_ns() - begin;
            CHECK(cuStreamSynchronize(probe.stream));
        }
        best = spent < best ? spent : best;
    }
    return (double)best / CALLS;
}

static double launches_per_s(void)
{
    uint64_t begin = clock_monotonic_ns();

    for (int i = 0; i < LOOP_LAUNCHES; i++)
        launch();
    CHECK(cuStreamSynchronize(probe.stream));
    return LOOP_LAUNCHES / ((double)(clock_monotonic_ns() - begin) / 1e9);
}

int main(void)
{
    CUdevice device;

    probe_open(&device);
    probe.kernel = probe_kernel(PROBE_EMPTY_PTX, "empty");
    CHECK(cuStreamCreate(&probe.stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&probe.event, CU_EVENT_DISABLE_TIMING));
    CHECK(cuMemAlloc(&probe.memory, 4096));
    event_record();
    best_ns(launch); /* the first ones pay for much that later ones do not */
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        printf("%-24s %10.1f ns\n", calls[i].name, best_ns(calls[i].call));
    printf("%-24s %10.0f launches/s\n", "launch-bound loop", launches_per_s());
    return 0;
}
