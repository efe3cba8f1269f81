/* What our library costs a program, call by call: the null driver by itself and behind the library, in one
 * process and in turns, so that what else the machine does meets both. "limited": the process is one of a
 * real instance with a memory limit (bench/hooks.sh), and hooked calls are charged. "free": it belongs to no
 * instance, and every call is passed through.
 *
 *     hooks NULL-DRIVER-DIR START-PROGRAM limited|free
 *
 * Prints one row a figure. "added" is the median over the rounds of hooked minus native, "of min." what the
 * least of each side differ by, which other processes disturb less. The verdict "min" says that only the
 * minima meet the goal.
 *
 * A p99 is read from the processor's time stamps around a call, less what a pair of stamps with nothing
 * between them takes (its median). Stamps move in steps of several nanoseconds on some processors, so a
 * second p99 is that of 32 calls in a row, divided by 32. */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/cuda_table.h"
#include "base/clock.h"

enum { ROUNDS = 50, LAUNCHES = 10000000, CALLS = 200000, PAIRS = 5000, LIVE_MAX = 10000, THREADS_MAX = 2 };
enum { STARTS = 100, CROWD = 300, CROWD_ROUNDS = 5, SAMPLES_MAX = 100, TICKS_MAX = 1 << 16 };
enum { NATIVE, HOOKED, SIDES };

/* One of the two ways to the driver. */
struct side {
    struct cuda_table cuda;
    char **environment; /* for a program that goes this way */
};

struct row {
    const char *what;
    double goal;
    const char *unit;
    unsigned n;
    double samples[SIDES][SAMPLES_MAX];
};

static struct side sides[SIDES];
static double ns_per_tick;
static unsigned stamp_ticks; /* what a pair of stamps takes */
static bool limited;
static unsigned n_missed;

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *samples, unsigned n)
{
    double sorted[SAMPLES_MAX];

    memcpy(sorted, samples, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *samples, unsigned n)
{
    double m = samples[0];

    for (unsigned i = 1; i < n; i++)
        m = fmin(m, samples[i]);
    return m;
}

static void row_print(const struct row *row)
{
    const double minima = least(row->samples[HOOKED], row->n) - least(row->samples[NATIVE], row->n);
    const char *verdict = "FAIL";
    double added[SAMPLES_MAX];

    for (unsigned i = 0; i < row->n; i++)
        added[i] = row->samples[HOOKED][i] - row->samples[NATIVE][i];
    if (median(added, row->n) <= row->goal)
        verdict = "pass";
    else if (minima <= row->goal)
        verdict = "min";
    else
        n_missed++;
    printf("| %-38s | %-2s | %9.2f | %9.2f | %9.2f | %9.2f | %+9.2f | %+9.2f | %+5.0f | %-4s |\n", row->what,
           row->unit, least(row->samples[NATIVE], row->n), median(row->samples[NATIVE], row->n),
           least(row->samples[HOOKED], row->n), median(row->samples[HOOKED], row->n), minima,
           median(added, row->n), row->goal, verdict);
    fflush(stdout);
}

/* Fills and prints a row: measure(side, argument) gives one sample. Sides take turns in going first. */
static void row_fill(struct row *row, double (*measure)(struct side *side, void *argument), void *argument)
{
    for (unsigned i = 0; i < row->n; i++)
        for (unsigned turn = 0; turn < SIDES; turn++) {
            unsigned side = (i + turn) % SIDES;

            row->samples[side][i] = measure(&sides[side], argument);
        }
    row_print(row);
}

static void row_run(struct row row, double (*measure)(struct side *side, void *argument), void *argument)
{
    row_fill(&row, measure, argument);
}

/* ---- time ---- */

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    __builtin_ia32_lfence(); /* not before what came earlier is done */
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    return clock_monotonic_ns();
#endif
}

static void ticks_calibrate(void)
{
    enum { PAIRS_OF_STAMPS = 100001 };
    static uint32_t histogram[TICKS_MAX];
    uint64_t begin_ns = clock_monotonic_ns(), begin = ticks(), ns, below = 0;

    do
        ns = clock_monotonic_ns() - begin_ns;
    while (ns < 100 * NS_PER_MS);
    ns_per_tick = (double)ns / (double)(ticks() - begin);
    for (unsigned i = 0; i < PAIRS_OF_STAMPS; i++) {
        uint64_t before = ticks(), took = ticks() - before;

        histogram[took < TICKS_MAX ? took : TICKS_MAX - 1]++;
    }
    while ((below += histogram[stamp_ticks]) * 2 < PAIRS_OF_STAMPS)
        stamp_ticks++;
}

/* ---- launches ---- */

struct launches {
    struct side *side;
    pthread_barrier_t *start;
    unsigned count;
    unsigned batch;      /* 0: no look at the clock in between; else after each so many */
    double ns;           /* of all */
    uint32_t *histogram; /* of the batches, in ticks */
};

static inline void launch(struct side *side)
{
    side->cuda.cuLaunchKernel((CUfunction)1, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL);
}

static void launches_stamped(struct launches *launches)
{
    for (unsigned i = 0; i < launches->count; i += launches->batch) {
        uint64_t before = ticks(), took;

        for (unsigned k = 0; k < launches->batch; k++)
            launch(launches->side);
        took = ticks() - before;
        launches->histogram[took < TICKS_MAX ? took : TICKS_MAX - 1]++;
    }
}

static void *launches_run(void *argument)
{
    struct launches *launches = argument;
    uint64_t begin;

    pthread_barrier_wait(launches->start);
    begin = clock_monotonic_ns();
    if (launches->batch)
        launches_stamped(launches);
    else
        for (unsigned i = 0; i < launches->count; i++)
            launch(launches->side);
    launches->ns = (double)(clock_monotonic_ns() - begin);
    return NULL;
}

/* Of one call, by the stamps of n batches. */
static double p99_ns(const uint32_t *histogram, uint64_t n, unsigned batch)
{
    uint64_t below = 0;
    unsigned i = 0;

    while ((below += histogram[i]) * 100 < n * 99)
        i++;
    return (i > stamp_ticks ? i - stamp_ticks : 0) * ns_per_tick / batch;
}

struct launch_kind {
    const char *what;
    unsigned threads, batch;
    double goal[2]; /* without and with an instance */
};

static double measure_launches(struct side *side, void *argument)
{
    static uint32_t histograms[THREADS_MAX][TICKS_MAX];
    const struct launch_kind *kind = argument;
    struct launches launches[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    pthread_barrier_t start;
    double sum_ns = 0;

    memset(histograms, 0, sizeof(histograms));
    pthread_barrier_init(&start, NULL, kind->threads);
    for (unsigned i = 0; i < kind->threads; i++) {
        launches[i] = (struct launches){.side = side,
                                        .start = &start,
                                        .count = LAUNCHES / ROUNDS / kind->threads,
                                        .batch = kind->batch,
                                        .histogram = histograms[i]};
        if (pthread_create(&threads[i], NULL, launches_run, &launches[i]) != 0)
            exit(2);
    }
    for (unsigned i = 0; i < kind->threads; i++) {
        pthread_join(threads[i], NULL);
        sum_ns += launches[i].ns / launches[i].count;
        for (unsigned t = 0; i && t < TICKS_MAX; t++)
            histograms[0][t] += histograms[i][t];
    }
    pthread_barrier_destroy(&start);
    return kind->batch ? p99_ns(histograms[0], LAUNCHES / ROUNDS / kind->batch, kind->batch)
                       : sum_ns / kind->threads;
}

static void rows_launch(void)
{
    /* One launch is measured to a tick of the clock, which is 10 ns. By 32, the slowest 1 in 100 has one that
     * takes the gate's slow path, with the two events around it: a launch takes 5 us here, so that is one in
     * 200. */
    static struct launch_kind kinds[] = {
        {"launch, mean, 1 thread", 1, 0, {10, 10}},       {"launch, mean, 2 threads", 2, 0, {10, 10}},
        {"launch, p99, 1 thread", 1, 1, {11, 11}},        {"launch, p99, 2 threads", 2, 1, {11, 11}},
        {"launch, p99 by 32, 1 thread", 1, 32, {10, 25}}, {"launch, p99 by 32, 2 threads", 2, 32, {10, 25}}};
    static struct row rows[2],
        flat = {.what = "launch, mean, 2 threads over 1", .goal = 2, .unit = "ns", .n = ROUNDS};

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct row *row = &rows[i % 2];

        *row = (struct row){.what = kinds[i].what, .goal = kinds[i].goal[limited], .unit = "ns", .n = ROUNDS};
        row_fill(row, measure_launches, &kinds[i]);
        for (unsigned k = 0; i == 1 && k < ROUNDS; k++)
            for (unsigned side = 0; side < SIDES; side++)
                flat.samples[side][k] = rows[1].samples[side][k] - rows[0].samples[side][k];
        if (i == 1)
            row_print(&flat);
    }
}

/* ---- other calls ---- */

/* MEASURE(name, expression): ns of one call, which sees `cuda`. */
#define MEASURE(name, call)                                                                                  \
    static double name(struct side *side, void *argument)                                                    \
    {                                                                                                        \
        const struct cuda_table *cuda = &side->cuda;                                                         \
        uint64_t begin = clock_monotonic_ns();                                                               \
                                                                                                             \
        for (unsigned i = 0; i < CALLS; i++)                                                                 \
            call;                                                                                            \
        return (double)(clock_monotonic_ns() - begin) / CALLS;                                               \
    }

static unsigned char host[64];
static CUcontext context;
static CUdevice device;
static size_t free_bytes, total_bytes;

MEASURE(measure_to_device, cuda->cuMemcpyHtoD_v2(UINT64_C(1) << 44, host, sizeof(host)))
MEASURE(measure_to_host, cuda->cuMemcpyDtoH_v2(host, UINT64_C(1) << 44, sizeof(host)))
MEASURE(measure_inside, cuda->cuMemcpyDtoD_v2(UINT64_C(1) << 44, UINT64_C(2) << 44, 64))
MEASURE(measure_async, cuda->cuMemcpyAsync(UINT64_C(1) << 44, UINT64_C(2) << 44, 64, NULL))
MEASURE(measure_to_device_async, cuda->cuMemcpyHtoDAsync_v2(UINT64_C(1) << 44, host, sizeof(host), NULL))
MEASURE(measure_fill, cuda->cuMemsetD8Async(UINT64_C(1) << 44, 0, 64, NULL))
MEASURE(measure_write, cuda->cuStreamWriteValue32_v2(NULL, UINT64_C(1) << 44, 1, 0))
MEASURE(measure_current, cuda->cuCtxGetCurrent(&context))
MEASURE(measure_current_set, cuda->cuCtxSetCurrent(context))
MEASURE(measure_device, cuda->cuCtxGetDevice(&device))
MEASURE(measure_info, cuda->cuMemGetInfo_v2(&free_bytes, &total_bytes))

/* Copies and fills are work for the device: in an instance they are paid for, so they are hooked and may cost
 * what a launch may. Elsewhere a hook is a load more than what is passed on. */
static void rows_calls(void)
{
    static const struct {
        const char *what, *what_limited;
        double (*measure)(struct side *side, void *argument);
        double goal_limited;
    } calls[] = {
        {"cuMemcpyHtoD", "cuMemcpyHtoD, limited", measure_to_device, 10},
        {"cuMemcpyDtoH", "cuMemcpyDtoH, limited", measure_to_host, 10},
        {"cuMemcpyDtoD", "cuMemcpyDtoD, limited", measure_inside, 10},
        {"cuMemcpyAsync", "cuMemcpyAsync, limited", measure_async, 10},
        {"cuMemcpyHtoDAsync", "cuMemcpyHtoDAsync, limited", measure_to_device_async, 10},
        {"cuMemsetD8Async", "cuMemsetD8Async, limited", measure_fill, 10},
        {"cuStreamWriteValue32", "cuStreamWriteValue32, limited", measure_write, 10},
        {"cuCtxGetCurrent", "cuCtxGetCurrent", measure_current, 2},
        {"cuCtxSetCurrent", "cuCtxSetCurrent", measure_current_set, 2},
        {"cuCtxGetDevice", "cuCtxGetDevice", measure_device, 2},
        {"cuMemGetInfo", "cuMemGetInfo, limited", measure_info, 10},
    };

    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        row_run((struct row){.what = limited ? calls[i].what_limited : calls[i].what,
                             .goal = limited ? calls[i].goal_limited : 2,
                             .unit = "ns",
                             .n = ROUNDS},
                calls[i].measure, NULL);
}

/* ---- memory ---- */

static double measure_pairs(struct side *side, void *argument)
{
    const size_t bytes = *(const size_t *)argument;
    CUdeviceptr address;
    uint64_t begin = clock_monotonic_ns();

    for (unsigned i = 0; i < PAIRS; i++)
        if (side->cuda.cuMemAlloc_v2(&address, bytes) || side->cuda.cuMemFree_v2(address))
            exit(2);
    return (double)(clock_monotonic_ns() - begin) / PAIRS;
}

/* An allocation and its release, while so many others of the same size live on either side. */
static void row_memory(const char *what, size_t bytes, unsigned live)
{
    static CUdeviceptr addresses[SIDES][LIVE_MAX];

    for (unsigned s = 0; s < SIDES; s++)
        for (unsigned i = 0; i < live; i++)
            if (sides[s].cuda.cuMemAlloc_v2(&addresses[s][i], bytes))
                exit(2);
    row_run((struct row){.what = what, .goal = limited ? 200 : 4, .unit = "ns", .n = ROUNDS}, measure_pairs,
            &bytes);
    for (unsigned s = 0; s < SIDES; s++)
        for (unsigned i = 0; i < live; i++)
            sides[s].cuda.cuMemFree_v2(addresses[s][i]);
}

static void rows_memory(void)
{
    const size_t large = 2 << 20, small = 4 << 10;

    row_memory("alloc + free of 2 MiB, 0 live", large, 0);
    row_memory("alloc + free of 2 MiB, 100 live", large, 100);
    row_memory("alloc + free of 2 MiB, 1,000 live", large, 1000);
    row_memory("alloc + free of 2 MiB, 10,000 live", large, 10000);
    row_memory("alloc + free of 4 KiB, 0 live", small, 0);
    row_memory("alloc + free of 4 KiB, 100 live", small, 100);
    row_memory("alloc + free of 4 KiB, 1,000 live", small, 1000);
    row_memory("alloc + free of 4 KiB, 10,000 live", small, 10000);
}

/* ---- start of a process ---- */

static char *start_program;

static pid_t start(struct side *side)
{
    char *const arguments[] = {start_program, NULL};
    pid_t pid;

    if (posix_spawn(&pid, start_program, NULL, NULL, arguments, side->environment) != 0)
        exit(2);
    return pid;
}

static void finish(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "hooks: %s failed\n", start_program);
        exit(2);
    }
}

/* Milliseconds a process: `count` of them are started at once. */
static double measure_start(struct side *side, void *argument)
{
    const unsigned count = *(const unsigned *)argument;
    pid_t pids[CROWD];
    uint64_t begin = clock_monotonic_ns();

    for (unsigned i = 0; i < count; i++)
        pids[i] = start(side);
    for (unsigned i = 0; i < count; i++)
        finish(pids[i]);
    return (double)(clock_monotonic_ns() - begin) / count / NS_PER_MS;
}

/* Milliseconds of processor time of one process, which do not depend on what else the machine does. vgpud's
 * are not among them. */
static double measure_start_work(struct side *side, void *argument)
{
    struct rusage before, after;

    getrusage(RUSAGE_CHILDREN, &before);
    finish(start(side));
    getrusage(RUSAGE_CHILDREN, &after);
    timersub(&after.ru_utime, &before.ru_utime, &after.ru_utime);
    timersub(&after.ru_stime, &before.ru_stime, &after.ru_stime);
    timeradd(&after.ru_utime, &after.ru_stime, &after.ru_utime);
    return (double)after.ru_utime.tv_sec * 1e3 + (double)after.ru_utime.tv_usec / 1e3;
}

static void rows_start(void)
{
    unsigned one = 1, crowd = CROWD;

    row_run((struct row){.what = "process start, p50 of one", .goal = 2, .unit = "ms", .n = STARTS},
            measure_start, &one);
    row_run((struct row){.what = "process start, one, processor time", .goal = 2, .unit = "ms", .n = STARTS},
            measure_start_work, NULL);
    row_run(
        (struct row){
            .what = "process start, total/N of 300 at once", .goal = 2, .unit = "ms", .n = CROWD_ROUNDS},
        measure_start, &crowd);
}

/* ---- */

static void side_open(struct side *side, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        fprintf(stderr, "hooks: %s\n", dlerror());
        exit(2);
    }
#define FUNCTION(name) side->cuda.name = (__typeof__(side->cuda.name))dlsym(library, #name)
    FUNCTION(cuInit);
    FUNCTION(cuLaunchKernel);
    FUNCTION(cuMemcpyHtoD_v2);
    FUNCTION(cuMemcpyDtoH_v2);
    FUNCTION(cuMemcpyDtoD_v2);
    FUNCTION(cuMemcpyAsync);
    FUNCTION(cuMemcpyHtoDAsync_v2);
    FUNCTION(cuMemsetD8Async);
    FUNCTION(cuStreamWriteValue32_v2);
    FUNCTION(cuCtxSetCurrent);
    FUNCTION(cuCtxGetCurrent);
    FUNCTION(cuCtxGetDevice);
    FUNCTION(cuMemGetInfo_v2);
    FUNCTION(cuMemAlloc_v2);
    FUNCTION(cuMemFree_v2);
#undef FUNCTION
    if (side->cuda.cuInit(0)) {
        fprintf(stderr, "hooks: %s: cuInit failed\n", path);
        exit(2);
    }
}

/* Ours without what `vgpu run` put into it. */
static char **environment_native(const char *null_dir)
{
    static const char *const ours[] = {"VGPU_", "LD_PRELOAD=", "LD_LIBRARY_PATH="};
    size_t n = 0, kept = 0;
    char **environment;

    while (environ[n])
        n++;
    environment = calloc(n + 2, sizeof(*environment));
    if (!environment || asprintf(&environment[kept++], "LD_LIBRARY_PATH=%s", null_dir) < 0)
        exit(2);
    for (size_t i = 0; i < n; i++) {
        bool is_ours = false;

        for (unsigned k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
            is_ours |= !strncmp(environ[i], ours[k], strlen(ours[k]));
        if (!is_ours)
            environment[kept++] = environ[i];
    }
    return environment;
}

/* The figures mean nothing when the hooked side is not what it should be. */
static void sides_check(void)
{
    size_t total[SIDES];

    for (unsigned s = 0; s < SIDES; s++)
        sides[s].cuda.cuMemGetInfo_v2(&free_bytes, &total[s]);
    if ((total[HOOKED] < total[NATIVE]) == limited &&
        sides[HOOKED].cuda.cuLaunchKernel != sides[NATIVE].cuda.cuLaunchKernel)
        return;
    fprintf(stderr, "hooks: this process has %s memory limit\n", limited ? "no" : "a");
    exit(2);
}

int main(int argc, char **argv)
{
    char *null_driver;

    if (argc != 4 || asprintf(&null_driver, "%s/libcuda.so.1", argv[1]) < 0) {
        fprintf(stderr, "usage: %s NULL-DRIVER-DIR START-PROGRAM limited|free\n", argv[0]);
        return 2;
    }
    start_program = argv[2];
    limited = !strcmp(argv[3], "limited");
    side_open(&sides[HOOKED], "libcuda.so.1"); /* first: afterwards the name would mean the null driver */
    side_open(&sides[NATIVE], null_driver);
    free(null_driver);
    sides[NATIVE].environment = environment_native(argv[1]);
    sides[HOOKED].environment = environ;
    sides_check();
    ticks_calibrate();
    printf("| %-38s | %-2s | %9s | %9s | %9s | %9s | %9s | %9s | %5s | %-4s |\n", "a call", "", "nat. min",
           "nat. med.", "hook. min", "hook. med", "of min.", "added", "goal", "");
    printf("|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n");
    rows_launch();
    rows_calls();
    rows_memory();
    rows_start();
    printf("\n%u goals missed\n", n_missed);
    free(sides[NATIVE].environment[0]);
    free(sides[NATIVE].environment);
    return 0;
}
