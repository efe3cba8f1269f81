/* Calls beside the gate of compute shares: what no gate may hold, and what is not billed as it seems. It
 * knows nothing of vgpu.
 *
 *     gate_calls calls N       a thread launches up to N kernels of 300 ms and comes to stand at the gate;
 *                              another one makes other calls: "CALL MICROSECONDS RESULT" for each
 *     gate_calls captures MS   two threads launch, another one captures so long in each mode:
 *                              "MODE CAPTURES LONGEST_US"
 *     gate_calls bill          says "ready PID", and obeys, each answered "ok": "capture N" streams,
 *                              "replay N" times, "update US", "settle 0"
 *     gate_calls fork MS       launches, forks, and launches on for so long; "child STATUS"
 *     gate_calls threads MS    launches in threads that live for 20 ms */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cuda.h"
#include "nap.h"

enum { BLOCK_THREADS = 32, NODES = 20 };

static const char ptx[] = NAP_PTX;

static CUcontext context;
static CUfunction nap;

static void check(CUresult r, const char *call)
{
    if (!r)
        return;
    fprintf(stderr, "gate_calls: %s: CUDA error %d\n", call, (int)r);
    _exit(1);
}

#define CHECK(call) check(call, #call)

static void begin(void)
{
    CUmodule module;

    CHECK(cuInit(0));
    CHECK(cuDevicePrimaryCtxRetain(&context, 0));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&nap, module, "nap"));
}

static void launch(CUstream stream, uint64_t us)
{
    uint64_t wait_ns = us * NS_PER_US;
    void *params[] = {&wait_ns};

    CHECK(cuLaunchKernel(nap, 1, 1, 1, BLOCK_THREADS, 1, 1, 0, stream, params, NULL));
}

/* ---- calls ---- */

static unsigned begun; /* atomic: launches that returned */

static unsigned long launches_most;

static void *run_into_debt(void *unused)
{
    CUstream stream;

    CHECK(cuCtxSetCurrent(context));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    while (__atomic_load_n(&begun, __ATOMIC_RELAXED) < launches_most) {
        launch(stream, 300000);
        __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
    }
    return unused;
}

#define TIMED(call)                                                                                          \
    do {                                                                                                     \
        uint64_t before_ns = clock_monotonic_ns();                                                           \
        CUresult timed_result = call;                                                                        \
                                                                                                             \
        printf("%s %llu %d\n", #call, (unsigned long long)((clock_monotonic_ns() - before_ns) / NS_PER_US),  \
               (int)timed_result);                                                                           \
        fflush(stdout);                                                                                      \
    } while (0)

static void graph_capture(CUstream stream, CUstreamCaptureMode mode, unsigned n, CUgraph *ret_graph)
{
    CHECK(cuStreamBeginCapture(stream, mode));
    for (unsigned i = 0; i < n; i++)
        launch(stream, 1000);
    CHECK(cuStreamEndCapture(stream, ret_graph));
}

static void time_memory(CUstream stream)
{
    CUdeviceptr p, q;
    size_t free_bytes, all_bytes;
    void *host;

    TIMED(cuMemAlloc(&p, 1 << 20));
    TIMED(cuMemGetInfo(&free_bytes, &all_bytes));
    TIMED(cuMemAllocAsync(&q, 1 << 20, stream));
    TIMED(cuMemFreeAsync(q, stream));
    TIMED(cuMemAllocHost(&host, 4096));
    TIMED(cuMemFreeHost(host));
    TIMED(cuMemFree(p));
}

static void time_graphs(CUstream stream)
{
    CUgraphExec exec;
    CUgraph graph;

    TIMED(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    launch(stream, 1000);
    TIMED(cuStreamEndCapture(stream, &graph));
    TIMED(cuGraphInstantiateWithFlags(&exec, graph, 0));
    TIMED(cuGraphExecDestroy(exec));
    TIMED(cuGraphDestroy(graph));
}

/* All in a context of its own where work is over. */
static void time_calls(void)
{
    CUcontext second;
    CUstream stream;
    CUevent event;
    CUmodule module;

    TIMED(cuCtxCreate(&second, NULL, 0, 0));
    TIMED(cuModuleLoadData(&module, ptx));
    TIMED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    TIMED(cuEventCreate(&event, CU_EVENT_DEFAULT));
    TIMED(cuEventRecord(event, stream));
    TIMED(cuStreamWaitEvent(stream, event, 0));
    TIMED(cuStreamSynchronize(stream));
    TIMED(cuEventSynchronize(event));
    TIMED(cuEventQuery(event));
    TIMED(cuStreamQuery(stream));
    TIMED(cuCtxSynchronize());
    time_memory(stream);
    CHECK(cuCtxSetCurrent(context)); /* the module of the kernel is in the first one */
    CHECK(cuStreamDestroy(stream));
    TIMED(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    time_graphs(stream);
    TIMED(cuCtxSynchronize());
    TIMED(cuEventDestroy(event));
    TIMED(cuStreamDestroy(stream));
    CHECK(cuCtxSetCurrent(second));
    TIMED(cuModuleUnload(module));
    TIMED(cuCtxDestroy(second));
}

/* Until the other thread stands at the gate, or has begun all, and what it began is over. */
static void wait_for_debt(void)
{
    unsigned before;

    do {
        before = __atomic_load_n(&begun, __ATOMIC_RELAXED);
        usleep(500000);
    } while (!before || __atomic_load_n(&begun, __ATOMIC_RELAXED) != before);
    CHECK(cuCtxSynchronize());
}

static int calls(unsigned long launches)
{
    pthread_t thread;

    launches_most = launches;
    if (pthread_create(&thread, NULL, run_into_debt, NULL))
        return 1;
    wait_for_debt();
    printf("launches %u\n", __atomic_load_n(&begun, __ATOMIC_RELAXED));
    time_calls();
    printf("still %u\n", __atomic_load_n(&begun, __ATOMIC_RELAXED));
    fflush(stdout);
    _exit(0); /* the other thread waits for its turn yet */
}

/* ---- captures ---- */

static bool is_over; /* atomic */

static void *run_beside(void *unused)
{
    CUstream stream;

    CHECK(cuCtxSetCurrent(context));
    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
        launch(stream, 500);
        __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
    }
    return unused;
}

static int captures(unsigned long ms)
{
    static const char *const names[] = {"global", "thread-local", "relaxed"};
    pthread_t threads[2];
    CUstream stream;

    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run_beside, NULL))
            return 1;
    for (int mode = 0; mode < 3; mode++) {
        uint64_t until_ns = clock_monotonic_ns() + ms * NS_PER_MS, longest_ns = 0;
        unsigned long done = 0;

        for (; clock_monotonic_ns() < until_ns; done++) {
            uint64_t before_ns = clock_monotonic_ns(), took_ns;
            CUgraphExec exec;
            CUgraph graph;
            size_t n = 0;

            graph_capture(stream, (CUstreamCaptureMode)mode, NODES, &graph);
            took_ns = clock_monotonic_ns() - before_ns;
            longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
            CHECK(cuGraphGetNodes(graph, NULL, &n));
            if (n != NODES)
                return 1;
            CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
            CHECK(cuGraphExecDestroy(exec));
            CHECK(cuGraphDestroy(graph));
        }
        printf("%s %lu %llu\n", names[mode], done, (unsigned long long)(longest_ns / NS_PER_US));
        fflush(stdout);
    }
    printf("beside %u\n", __atomic_load_n(&begun, __ATOMIC_RELAXED));
    fflush(stdout);
    __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(cuCtxSynchronize());
    return 0;
}

/* ---- bill ---- */

static CUgraph graph;
static CUgraphExec graph_exec;

static void graph_update(uint64_t us)
{
    uint64_t wait_ns = us * NS_PER_US;
    void *params[] = {&wait_ns};
    CUDA_KERNEL_NODE_PARAMS kernel = {.func = nap,
                                      .gridDimX = 1,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = BLOCK_THREADS,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .kernelParams = params};
    CUgraphNode nodes[NODES];
    size_t n = NODES;

    CHECK(cuGraphGetNodes(graph, nodes, &n));
    for (size_t i = 0; i < n; i++)
        CHECK(cuGraphExecKernelNodeSetParams_v2(graph_exec, nodes[i], &kernel));
}

static int bill(void)
{
    CUstream stream;
    char command[32];
    unsigned long n;

    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    while (scanf("%31s %lu", command, &n) == 2) {
        if (!strcmp(command, "capture")) {
            for (unsigned long i = 0; i < n; i++)
                graph_capture(stream, (CUstreamCaptureMode)(i % 3), NODES, &graph);
            CHECK(cuGraphInstantiateWithFlags(&graph_exec, graph, 0));
        } else if (!strcmp(command, "replay")) {
            for (unsigned long i = 0; i < n; i++)
                CHECK(cuGraphLaunch(graph_exec, stream));
            CHECK(cuStreamSynchronize(stream));
        } else if (!strcmp(command, "update")) {
            graph_update(n);
        }
        CHECK(cuCtxSynchronize());
        puts("ok");
        fflush(stdout);
    }
    return 0;
}

/* ---- children and threads ---- */

static void work_for(unsigned long ms, uint64_t us)
{
    uint64_t until_ns = clock_monotonic_ns() + ms * NS_PER_MS;
    CUstream stream;
    CUevent event;

    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
    while (clock_monotonic_ns() < until_ns) {
        CHECK(cuEventSynchronize(event));
        for (int i = 0; i < 8; i++)
            launch(stream, us);
        CHECK(cuEventRecord(event, stream));
        for (int i = 0; i < 8; i++)
            launch(stream, us);
    }
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuEventDestroy(event));
    CHECK(cuStreamDestroy(stream));
}

/* The parent has launched, and launches on; its child ends with what the driver says to it: it has nothing of
 * its parent's driver. */
static int forks(unsigned long ms)
{
    int status = 0;
    pid_t child;

    work_for(300, 500);
    child = fork();
    if (!child) {
        CUresult result = cuInit(0);

        if (result)
            _exit((int)result);
        work_for(ms, 1000);
        _exit(0);
    }
    work_for(ms, 500);
    if (waitpid(child, &status, 0) != child)
        return 1;
    printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}

static void *run_short(void *unused)
{
    CHECK(cuCtxSetCurrent(context));
    work_for(20, 500);
    return unused;
}

/* Threads come and go: what one drew and did not use is not lost. */
static int short_threads(unsigned long ms)
{
    uint64_t until_ns = clock_monotonic_ns() + ms * NS_PER_MS;
    unsigned long n = 0;

    for (; clock_monotonic_ns() < until_ns; n += 2) {
        pthread_t threads[2];

        for (int i = 0; i < 2; i++)
            if (pthread_create(&threads[i], NULL, run_short, NULL))
                return 1;
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
    }
    printf("threads %lu\n", n);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;

    begin();
    if (!strcmp(what, "calls"))
        return calls(n);
    if (!strcmp(what, "captures"))
        return captures(n);
    if (!strcmp(what, "bill"))
        return bill();
    if (!strcmp(what, "fork") || !strcmp(what, "threads")) {
        printf("ready %d\n", (int)getpid());
        fflush(stdout);
        return *what == 'f' ? forks(n) : short_threads(n);
    }
    return 2;
}
