/* A tenant with endless work for the tests of shares: gives the device work of a wanted length through one
 * door, as much as it takes, and waits only for what it began some steps ago. It knows nothing of vgpu.
 *
 *     tenant [OPTION VALUE]...
 *       --door D      kernel, ex, cooperative, graph, ptsz (default stream of the thread, by the _ptsz call),
 *                     to-device, to-host, inside (copies), fill
 *       --grid N      blocks (1)
 *       --time US     how long a kernel sleeps (1000); what is added to it is some microseconds
 *       --bytes N     of a copy or fill (1 MiB)
 *       --nodes K     kernels in a graph (4)
 *       --threads N   that do it at once, each with a stream of its own (1)
 *       --device N    (0)
 *       --request MS  no endless work, but requests of so many milliseconds of work, one every --every MS
 *       --for MS      0: until SIGTERM
 *
 * Says "ready PID", and at the end a line of JSON. SIGUSR1: rests; SIGUSR2: goes on. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cuda.h"
#include "nap.h"
#include "number_option.h"

/* By symbol: the header's names mean one variant of each. */
extern __typeof__(cuLaunchKernel) cuLaunchKernel_ptsz;
extern __typeof__(cuEventRecord) cuEventRecord_ptsz;
extern __typeof__(cuStreamSynchronize) cuStreamSynchronize_ptsz;

enum {
    BLOCK_THREADS = 32,
    STEPS_IN_FLIGHT = 3,
    LATENCIES_MAX = 1 << 14,
    WARM_REQUESTS = 10, /* not counted: the first ones pay for what the others do not */
    THREADS_MAX = 16
};

/* A step is so much work that waking up for its end costs little beside it. */
static const uint64_t step_ns = 4 * NS_PER_MS;

static const char ptx[] = NAP_PTX;

enum door {
    DOOR_KERNEL,
    DOOR_EX,
    DOOR_COOPERATIVE,
    DOOR_GRAPH,
    DOOR_PTSZ,
    DOOR_TO_DEVICE,
    DOOR_TO_HOST,
    DOOR_INSIDE,
    DOOR_FILL,
    DOORS
};

static const char *const door_names[DOORS] = {"kernel",    "ex",      "cooperative", "graph", "ptsz",
                                              "to-device", "to-host", "inside",      "fill"};

static struct {
    enum door door;
    unsigned long grid, time_us, bytes, nodes, threads, device, request_ms, every_ms, for_ms;
} options = {.grid = 1, .time_us = 1000, .bytes = 1 << 20, .nodes = 4, .threads = 1, .every_ms = 100};

static struct {
    CUcontext context;
    CUfunction function;
    uint64_t wait_ns, end_ns;
    unsigned long launches; /* atomic */
} load;

static volatile sig_atomic_t is_over, is_resting;

static void on_signal(int signal)
{
    if (signal == SIGUSR1 || signal == SIGUSR2)
        is_resting = signal == SIGUSR1;
    else
        is_over = 1;
}

static void check(CUresult r, const char *call)
{
    if (!r)
        return;
    fprintf(stderr, "tenant: %s: CUDA error %d\n", call, (int)r);
    _exit(1);
}

#define CHECK(call) check(call, #call)

/* ---- options ---- */

static const struct number_option numbers[] = {
    {"--grid", &options.grid},          {"--time", &options.time_us},
    {"--bytes", &options.bytes},        {"--nodes", &options.nodes},
    {"--threads", &options.threads},    {"--device", &options.device},
    {"--request", &options.request_ms}, {"--every", &options.every_ms},
    {"--for", &options.for_ms},         {NULL, NULL},
};

static bool read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return false;
        if (!strcmp(argv[i], "--door")) {
            while (options.door < DOORS && strcmp(door_names[options.door], argv[i + 1]))
                options.door++;
        } else if (!number_option_read(numbers, argv[i], argv[i + 1])) {
            return false;
        }
    }
    return options.door < DOORS && options.grid && options.nodes && options.threads &&
           options.threads <= THREADS_MAX && options.every_ms;
}

/* ---- work ---- */

/* What a thread works with. */
struct worker {
    CUstream stream;
    CUgraphExec graph;
    CUdeviceptr here, there;
    void *host;
    CUevent steps[STEPS_IN_FLIGHT];
};

static void graph_make(CUgraphExec *ret_exec)
{
    void *params[] = {&load.wait_ns};
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = load.function,
                                      .gridDimX = (unsigned)options.grid,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = BLOCK_THREADS,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = params};
    CUgraphNode before = NULL, node;
    CUgraph graph;

    CHECK(cuGraphCreate(&graph, 0));
    for (unsigned long i = 0; i < options.nodes; i++) {
        CHECK(cuGraphAddKernelNode_v2(&node, graph, before ? &before : NULL, before ? 1 : 0, &kernel));
        before = node;
    }
    CHECK(cuGraphInstantiateWithFlags(ret_exec, graph, 0));
}

static void worker_begin(struct worker *worker)
{
    memset(worker, 0, sizeof(*worker));
    CHECK(cuCtxSetCurrent(load.context));
    /* The thread's own default stream has no handle that the plain calls would take for it. */
    if (options.door != DOOR_PTSZ)
        CHECK(cuStreamCreate(&worker->stream, CU_STREAM_NON_BLOCKING));
    if (options.door == DOOR_GRAPH)
        graph_make(&worker->graph);
    if (options.door >= DOOR_TO_DEVICE) {
        CHECK(cuMemAlloc(&worker->here, options.bytes));
        CHECK(cuMemAlloc(&worker->there, options.bytes));
        CHECK(cuMemAllocHost(&worker->host, options.bytes));
    }
    for (int i = 0; i < STEPS_IN_FLIGHT; i++)
        CHECK(cuEventCreate(&worker->steps[i], CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
}

static void record(struct worker *worker, unsigned step)
{
    CUevent event = worker->steps[step % STEPS_IN_FLIGHT];

    CHECK(options.door == DOOR_PTSZ ? cuEventRecord_ptsz(event, NULL) : cuEventRecord(event, worker->stream));
}

static void stream_wait(struct worker *worker)
{
    CHECK(options.door == DOOR_PTSZ ? cuStreamSynchronize_ptsz(NULL) : cuStreamSynchronize(worker->stream));
}

static void launch(struct worker *worker)
{
    void *params[] = {&load.wait_ns};
    unsigned grid = (unsigned)options.grid;
    CUlaunchConfig config = {.gridDimX = grid,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = BLOCK_THREADS,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .hStream = worker->stream};

    __atomic_add_fetch(&load.launches, 1, __ATOMIC_RELAXED);
    switch (options.door) {
    case DOOR_EX:
        CHECK(cuLaunchKernelEx(&config, load.function, params, NULL));
        break;
    case DOOR_COOPERATIVE:
        CHECK(cuLaunchCooperativeKernel(load.function, grid, 1, 1, BLOCK_THREADS, 1, 1, 0, worker->stream,
                                        params));
        break;
    case DOOR_GRAPH:
        CHECK(cuGraphLaunch(worker->graph, worker->stream));
        break;
    case DOOR_PTSZ:
        CHECK(cuLaunchKernel_ptsz(load.function, grid, 1, 1, BLOCK_THREADS, 1, 1, 0, NULL, params, NULL));
        break;
    case DOOR_TO_DEVICE:
        CHECK(cuMemcpyHtoDAsync(worker->here, worker->host, options.bytes, worker->stream));
        break;
    case DOOR_TO_HOST:
        CHECK(cuMemcpyDtoHAsync(worker->host, worker->here, options.bytes, worker->stream));
        break;
    case DOOR_INSIDE:
        CHECK(cuMemcpyDtoDAsync(worker->there, worker->here, options.bytes, worker->stream));
        break;
    case DOOR_FILL:
        CHECK(cuMemsetD8Async(worker->here, 7, options.bytes, worker->stream));
        break;
    default:
        CHECK(
            cuLaunchKernel(load.function, grid, 1, 1, BLOCK_THREADS, 1, 1, 0, worker->stream, params, NULL));
    }
}

static unsigned long launches_of(uint64_t ns)
{
    uint64_t launch_ns = options.time_us * NS_PER_US * (options.door == DOOR_GRAPH ? options.nodes : 1);

    return launch_ns && ns > launch_ns ? (ns + launch_ns / 2) / launch_ns : 1;
}

static bool is_time(void)
{
    return is_over || (load.end_ns && clock_monotonic_ns() >= load.end_ns);
}

static void *run_endless(void *unused)
{
    struct worker worker;

    worker_begin(&worker);
    for (unsigned step = 0; !is_time(); step++) {
        CHECK(cuEventSynchronize(worker.steps[step % STEPS_IN_FLIGHT])); /* not recorded yet: complete */
        if (is_resting) {
            stream_wait(&worker);
            while (is_resting && !is_time())
                usleep(1000);
        }
        for (unsigned long i = launches_of(step_ns); i > 0 && !is_over; i--)
            launch(&worker);
        record(&worker, step);
    }
    stream_wait(&worker);
    return unused;
}

/* ---- requests ---- */

static uint64_t latencies_ns[LATENCIES_MAX];
static size_t n_latencies;

/* Requests come at fixed times; one that comes while another is served waits, and its latency says so. */
static void run_requests(void)
{
    uint64_t due_ns = clock_monotonic_ns();
    struct worker worker;

    worker_begin(&worker);
    for (unsigned long n = 0; n_latencies < LATENCIES_MAX; n++, due_ns += options.every_ms * NS_PER_MS) {
        clock_sleep_until_ns(due_ns);
        if (is_time())
            break;
        for (unsigned long i = launches_of(options.request_ms * NS_PER_MS); i > 0; i--)
            launch(&worker);
        stream_wait(&worker);
        if (n >= WARM_REQUESTS)
            latencies_ns[n_latencies++] = clock_monotonic_ns() - due_ns;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void print_latency(const char *name, size_t index)
{
    printf(", \"%s_ms\": %.3f", name, (double)latencies_ns[index] / 1e6);
}

static void print_latencies(void)
{
    size_t n = n_latencies;

    if (!n)
        return;
    qsort(latencies_ns, n, sizeof(*latencies_ns), compare);
    printf(", \"requests\": %zu", n);
    print_latency("p50", n / 2);
    print_latency("p95", n * 95 / 100);
    print_latency("p99", n * 99 / 100);
    print_latency("max", n - 1);
}

/* ---- all of it ---- */

static void load_begin(void)
{
    CUmodule module;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, (int)options.device));
    CHECK(cuDevicePrimaryCtxRetain(&load.context, device));
    CHECK(cuCtxSetCurrent(load.context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&load.function, module, "nap"));
    load.wait_ns = options.time_us * NS_PER_US;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX] = {0};

    if (!read_options(argc, argv)) {
        fprintf(stderr,
                "usage: tenant [--door D] [--grid N] [--time US] [--bytes N] [--nodes K] [--threads N]\n"
                "              [--device N] [--request MS] [--every MS] [--for MS]\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    load_begin();
    load.end_ns = options.for_ms ? clock_monotonic_ns() + options.for_ms * NS_PER_MS : 0;
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    if (options.request_ms) {
        run_requests();
    } else {
        for (unsigned long i = 1; i < options.threads; i++)
            if (pthread_create(&threads[i], NULL, run_endless, NULL))
                return 1;
        run_endless(NULL);
        for (unsigned long i = 1; i < options.threads; i++)
            pthread_join(threads[i], NULL);
    }
    printf("{\"launches\": %lu", load.launches);
    print_latencies();
    puts("}");
    return 0;
}
