/* A load for `./dev bench share`: keeps a GPU at work with kernels of a wanted length, by one of the doors
 * through which work comes to it. For any driver that the loader finds as libcuda.so.1; it knows nothing of
 * vgpu.
 *
 *     share_load [OPTION VALUE]...
 *       --door D     kernel, ex, cooperative, graph, ptsz (default stream of the thread, by the _ptsz call)
 *       --grid N     blocks (1)
 *       --time US    length of a kernel alone on the device (1000)
 *       --kernel K   spin (watches the clock, which goes on while another context runs), nap (sleeps; cheap
 *                    for an interpreter), work (computes: only its own turns on the device bring it further)
 *       --wait NS    what each block waits (work: how often it computes), as an earlier --calibrate said; 0:
 *                    find it out first
 *       --nodes K    kernels in a graph (8)
 *       --loop L     async (some steps in flight, an event behind each; as training does), sync (launch and
 *                    wait), calibrate (say what --wait is, and end)
 *       --request MS every --every MS: a request of so much work; its latencies are said at the end
 *       --for S      seconds; 0: until SIGTERM
 *
 * Says "ready PID" when it begins, and at the end a line of JSON; after each SIGUSR1 one that says how many
 * kernels had run, and when. */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cuda.h"
#include "nap.h"
#include "number_option.h"

enum {
    BLOCK_THREADS = 32,
    STEPS_IN_FLIGHT = 3,
    LATENCIES_MAX = 1 << 20,
    CALIBRATE_RUNS = 5,
    CALIBRATE_STEPS = 3
};

/* A step is so much work that waking up for its end costs little beside it. */
static const uint64_t step_ns = 5 * NS_PER_MS;

static const char ptx[] = NAP_PTX ".visible .entry spin(.param .u64 wait_ns)\n{\n"
                                  ".reg .pred %p1;\n.reg .b64 %rd<4>;\n"
                                  "ld.param.u64 %rd1, [wait_ns];\n"
                                  "mov.u64 %rd2, %globaltimer;\n"
                                  "NEXT:\n"
                                  "mov.u64 %rd3, %globaltimer;\n"
                                  "sub.u64 %rd3, %rd3, %rd2;\n"
                                  "setp.lt.u64 %p1, %rd3, %rd1;\n"
                                  "@%p1 bra NEXT;\n"
                                  "ret;\n}\n"
                                  ".visible .entry work(.param .u64 wait_ns)\n{\n"
                                  ".reg .pred %p1;\n.reg .b32 %r1;\n.reg .b64 %rd1;\n.reg .f32 %f1;\n"
                                  "ld.param.u64 %rd1, [wait_ns];\n"
                                  "mov.f32 %f1, 0f3F800000;\n"
                                  "NEXT:\n"
                                  "fma.rn.f32 %f1, %f1, %f1, %f1;\n"
                                  "fma.rn.f32 %f1, %f1, %f1, %f1;\n"
                                  "fma.rn.f32 %f1, %f1, %f1, %f1;\n"
                                  "fma.rn.f32 %f1, %f1, %f1, %f1;\n"
                                  "sub.u64 %rd1, %rd1, 1;\n"
                                  "setp.ne.u64 %p1, %rd1, 0;\n"
                                  "@%p1 bra NEXT;\n"
                                  /* Never true; without it the assembler would leave the arithmetic out. */
                                  "mov.b32 %r1, %f1;\n"
                                  "setp.ne.u32 %p1, %r1, 1;\n"
                                  "@%p1 bra END;\n"
                                  "trap;\n"
                                  "END:\n"
                                  "ret;\n}\n";

/*  X(member, declared name, symbol): what is used of the driver. */
#define DRIVER_FUNCTIONS(X)                                                                                  \
    X(init, cuInit, "cuInit")                                                                                \
    X(device_get, cuDeviceGet, "cuDeviceGet")                                                                \
    X(context_retain, cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain")                                  \
    X(context_set, cuCtxSetCurrent, "cuCtxSetCurrent")                                                       \
    X(module_load, cuModuleLoadData, "cuModuleLoadData")                                                     \
    X(function_get, cuModuleGetFunction, "cuModuleGetFunction")                                              \
    X(stream_create, cuStreamCreate, "cuStreamCreate")                                                       \
    X(stream_wait, cuStreamSynchronize, "cuStreamSynchronize")                                               \
    X(stream_wait_ptsz, cuStreamSynchronize, "cuStreamSynchronize_ptsz")                                     \
    X(event_create, cuEventCreate, "cuEventCreate")                                                          \
    X(event_record, cuEventRecord, "cuEventRecord")                                                          \
    X(event_record_ptsz, cuEventRecord, "cuEventRecord_ptsz")                                                \
    X(event_wait, cuEventSynchronize, "cuEventSynchronize")                                                  \
    X(event_elapsed, cuEventElapsedTime, "cuEventElapsedTime")                                               \
    X(launch, cuLaunchKernel, "cuLaunchKernel")                                                              \
    X(launch_ptsz, cuLaunchKernel, "cuLaunchKernel_ptsz")                                                    \
    X(launch_ex, cuLaunchKernelEx, "cuLaunchKernelEx")                                                       \
    X(launch_cooperative, cuLaunchCooperativeKernel, "cuLaunchCooperativeKernel")                            \
    X(graph_create, cuGraphCreate, "cuGraphCreate")                                                          \
    X(graph_add_kernel, cuGraphAddKernelNode_v2, "cuGraphAddKernelNode_v2")                                  \
    X(graph_instantiate, cuGraphInstantiateWithFlags, "cuGraphInstantiateWithFlags")                         \
    X(graph_launch, cuGraphLaunch, "cuGraphLaunch")

static struct {
#define DRIVER_MEMBER(member, declared, symbol) __typeof__(&(declared)) member;
    DRIVER_FUNCTIONS(DRIVER_MEMBER)
#undef DRIVER_MEMBER
} driver;

enum door { DOOR_KERNEL, DOOR_EX, DOOR_COOPERATIVE, DOOR_GRAPH, DOOR_PTSZ, DOOR_NONE };

static const char *const door_names[] = {"kernel", "ex", "cooperative", "graph", "ptsz"};

static struct {
    enum door door;
    const char *kernel, *loop;
    unsigned long grid, time_us, wait_ns, nodes, request_ms, every_ms, seconds;
} options = {.kernel = "spin", .loop = "async", .grid = 1, .time_us = 1000, .nodes = 8, .every_ms = 100};

static struct {
    enum door door;
    CUfunction function;
    CUstream stream;
    CUgraphExec graph;
    CUevent steps[STEPS_IN_FLIGHT];
    uint64_t wait_ns, kernels;
} load;

static volatile sig_atomic_t is_over, is_asked;

static void on_end(int signal)
{
    is_over = 1;
}

static void on_question(int signal)
{
    is_asked = 1;
}

static void check(CUresult r, const char *what)
{
    if (!r)
        return;
    fprintf(stderr, "share_load: %s: CUDA error %d\n", what, (int)r);
    exit(1);
}

#define CHECK(call) check(call, #call)

/* ---- options ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: share_load [--door D] [--grid N] [--time US] [--kernel spin|nap|work] [--wait NS]\n"
            "                  [--nodes K] [--loop async|sync|calibrate] [--request MS] [--every MS]\n"
            "                  [--for S]\n");
    return 2;
}

static enum door read_door(const char *value)
{
    enum door door = 0;

    while (door < DOOR_NONE && strcmp(door_names[door], value))
        door++;
    return door;
}

static const struct number_option numbers[] = {
    {"--grid", &options.grid},          {"--time", &options.time_us},
    {"--wait", &options.wait_ns},       {"--nodes", &options.nodes},
    {"--request", &options.request_ms}, {"--every", &options.every_ms},
    {"--for", &options.seconds},        {NULL, NULL},
};

static bool read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (!value)
            return false;
        if (!strcmp(name, "--door"))
            options.door = read_door(value);
        else if (!strcmp(name, "--kernel"))
            options.kernel = value;
        else if (!strcmp(name, "--loop"))
            options.loop = value;
        else if (!number_option_read(numbers, name, value))
            return false;
    }
    return options.door < DOOR_NONE && options.grid && options.time_us && options.nodes && options.every_ms;
}

/* ---- the driver ---- */

static void *need(void *library, const char *name)
{
    void *symbol = dlsym(library, name);

    if (!symbol) {
        fprintf(stderr, "share_load: libcuda.so.1 has no %s\n", name);
        exit(1);
    }
    return symbol;
}

static void driver_open(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);

    if (!library) {
        fprintf(stderr, "share_load: %s\n", dlerror());
        exit(1);
    }
#define DRIVER_NEED(member, declared, symbol) *(void **)&driver.member = need(library, symbol);
    DRIVER_FUNCTIONS(DRIVER_NEED)
#undef DRIVER_NEED
}

static void graph_make(void)
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

    CHECK(driver.graph_create(&graph, 0));
    for (unsigned long i = 0; i < options.nodes; i++) {
        CHECK(driver.graph_add_kernel(&node, graph, before ? &before : NULL, before ? 1 : 0, &kernel));
        before = node;
    }
    CHECK(driver.graph_instantiate(&load.graph, graph, 0));
}

static void load_open(void)
{
    CUcontext context;
    CUmodule module;
    CUdevice device;

    driver_open();
    CHECK(driver.init(0));
    CHECK(driver.device_get(&device, 0));
    CHECK(driver.context_retain(&context, device));
    CHECK(driver.context_set(context));
    CHECK(driver.module_load(&module, ptx));
    CHECK(driver.function_get(&load.function, module, options.kernel));
    /* The thread's own default stream has no handle that the plain calls would take for it. */
    if (options.door != DOOR_PTSZ)
        CHECK(driver.stream_create(&load.stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < STEPS_IN_FLIGHT; i++)
        CHECK(driver.event_create(&load.steps[i], CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
}

static void record(CUevent event)
{
    CHECK((load.door == DOOR_PTSZ ? driver.event_record_ptsz : driver.event_record)(event, load.stream));
}

static void stream_wait(void)
{
    CHECK((load.door == DOOR_PTSZ ? driver.stream_wait_ptsz : driver.stream_wait)(load.stream));
}

/* ---- work ---- */

static void launch(void)
{
    void *params[] = {&load.wait_ns};
    unsigned grid = (unsigned)options.grid;
    CUlaunchConfig config = {.gridDimX = grid,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = BLOCK_THREADS,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .hStream = load.stream};

    load.kernels += load.door == DOOR_GRAPH ? options.nodes : 1;
    switch (load.door) {
    case DOOR_EX:
        CHECK(driver.launch_ex(&config, load.function, params, NULL));
        break;
    case DOOR_COOPERATIVE:
        CHECK(driver.launch_cooperative(load.function, grid, 1, 1, BLOCK_THREADS, 1, 1, 0, load.stream,
                                        params));
        break;
    case DOOR_GRAPH:
        CHECK(driver.graph_launch(load.graph, load.stream));
        break;
    case DOOR_PTSZ:
        CHECK(
            driver.launch_ptsz(load.function, grid, 1, 1, BLOCK_THREADS, 1, 1, 0, load.stream, params, NULL));
        break;
    default:
        CHECK(driver.launch(load.function, grid, 1, 1, BLOCK_THREADS, 1, 1, 0, load.stream, params, NULL));
    }
}

static uint64_t launch_ns(void)
{
    return options.time_us * NS_PER_US * (load.door == DOOR_GRAPH ? options.nodes : 1);
}

static uint64_t launches_of(uint64_t ns)
{
    return ns > launch_ns() ? (ns + launch_ns() / 2) / launch_ns() : 1;
}

/* ---- calibration ---- */

/* The length of one launch whose blocks wait for wait_ns, behind others so that no host latency is in it. */
static double measure_ns(uint64_t wait_ns)
{
    static CUevent begin, end;
    float ms, least_ms = 1e9F;

    if (!begin) {
        CHECK(driver.event_create(&begin, CU_EVENT_DEFAULT));
        CHECK(driver.event_create(&end, CU_EVENT_DEFAULT));
    }
    load.wait_ns = wait_ns;
    for (int i = 0; i < CALIBRATE_RUNS; i++) {
        for (uint64_t n = launches_of(step_ns); n > 0; n--)
            launch();
        record(begin);
        launch();
        record(end);
        CHECK(driver.event_wait(end));
        CHECK(driver.event_elapsed(&ms, begin, end));
        least_ms = ms < least_ms ? ms : least_ms;
    }
    return (double)least_ms * 1e6;
}

/* A launch takes something, and for each round of blocks what a block waits. By the plainest door: how long
 * a kernel is does not depend on it. */
static void calibrate(void)
{
    double target_ns = (double)options.time_us * 1e3, now_ns, rounds, wait_ns;
    uint64_t short_wait_ns = (uint64_t)target_ns / 64, long_wait_ns = (uint64_t)target_ns / 16;

    load.door = DOOR_KERNEL;
    now_ns = measure_ns(short_wait_ns);
    rounds = (measure_ns(long_wait_ns) - now_ns) / (double)(long_wait_ns - short_wait_ns);
    wait_ns = (double)short_wait_ns;
    for (int i = 0; i < CALIBRATE_STEPS; i++) {
        wait_ns += (target_ns - now_ns) / (rounds > 1 ? rounds : 1);
        wait_ns = wait_ns > 1 ? wait_ns : 1;
        now_ns = measure_ns((uint64_t)(wait_ns + 0.5));
    }
    load.wait_ns = (uint64_t)(wait_ns + 0.5);
}

/* ---- loops ---- */

static bool is_time(uint64_t end_ns)
{
    return is_over || (end_ns && clock_monotonic_ns() >= end_ns);
}

/* To be asked where it is known how many have run. */
static void answer(uint64_t kernels)
{
    if (!is_asked)
        return;
    is_asked = 0;
    printf("{\"t_ns\": %llu, \"kernels\": %llu}\n", (unsigned long long)clock_monotonic_ns(),
           (unsigned long long)kernels);
    fflush(stdout);
}

static void run_async(uint64_t end_ns)
{
    uint64_t launches = launches_of(step_ns), launched[STEPS_IN_FLIGHT] = {0};

    for (unsigned step = 0; !is_time(end_ns); step++) {
        unsigned slot = step % STEPS_IN_FLIGHT;

        CHECK(driver.event_wait(load.steps[slot])); /* not recorded yet: complete */
        answer(launched[slot]);
        for (uint64_t i = 0; i < launches; i++)
            launch();
        record(load.steps[slot]);
        launched[slot] = load.kernels;
    }
    stream_wait();
}

static void run_sync(uint64_t end_ns)
{
    while (!is_time(end_ns)) {
        launch();
        stream_wait();
        answer(load.kernels);
    }
}

static void sleep_until(uint64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Requests come at fixed times; one that comes while another is served waits, and its latency says so. */
static size_t run_requests(uint64_t end_ns, uint64_t latencies_ns[LATENCIES_MAX])
{
    uint64_t launches = launches_of(options.request_ms * NS_PER_MS), due_ns = clock_monotonic_ns();
    size_t n = 0;

    for (; n < LATENCIES_MAX; due_ns += options.every_ms * NS_PER_MS) {
        sleep_until(due_ns); /* or a signal */
        if (is_time(end_ns))
            break;
        for (uint64_t i = 0; i < launches; i++)
            launch();
        stream_wait();
        latencies_ns[n++] = clock_monotonic_ns() - due_ns;
    }
    return n;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_latencies(uint64_t *ns, size_t n)
{
    if (!n)
        return;
    qsort(ns, n, sizeof(*ns), compare);
    printf(", \"requests\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f", n,
           (double)ns[n / 2] / 1e6, (double)ns[n * 99 / 100] / 1e6, (double)ns[n - 1] / 1e6);
}

int main(int argc, char **argv)
{
    static uint64_t latencies_ns[LATENCIES_MAX];
    uint64_t begin_ns, end_ns;
    size_t n = 0;

    if (!read_options(argc, argv))
        return usage();
    signal(SIGTERM, on_end);
    signal(SIGINT, on_end);
    signal(SIGUSR1, on_question);
    load_open();
    load.wait_ns = options.wait_ns;
    if (!load.wait_ns || !strcmp(options.loop, "calibrate"))
        calibrate();
    if (!strcmp(options.loop, "calibrate")) {
        printf("{\"wait_ns\": %llu, \"time_us\": %.3f}\n", (unsigned long long)load.wait_ns,
               measure_ns(load.wait_ns) / 1e3);
        return 0;
    }
    load.door = options.door;
    if (load.door == DOOR_GRAPH)
        graph_make();
    /* The first launch pays for much that the others do not. */
    launch();
    stream_wait();
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    begin_ns = clock_monotonic_ns();
    end_ns = options.seconds ? begin_ns + options.seconds * NS_PER_S : 0;
    load.kernels = 0;
    if (options.request_ms)
        n = run_requests(end_ns, latencies_ns);
    else if (!strcmp(options.loop, "sync"))
        run_sync(end_ns);
    else
        run_async(end_ns);
    printf("{\"pid\": %d, \"kernels\": %llu, \"seconds\": %.3f, \"cpu_seconds\": %.3f", (int)getpid(),
           (unsigned long long)load.kernels, (double)(clock_monotonic_ns() - begin_ns) / 1e9, cpu_seconds());
    print_latencies(latencies_ns, n);
    puts("}");
    return 0;
}
