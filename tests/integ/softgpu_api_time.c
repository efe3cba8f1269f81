/* The three promises about time, on a paced device and on a virtual one (the argument): work takes exactly
 * its modelled time, processes that compete have equal parts, and the device is never busy for longer than
 * time has passed. Judged by the device's own clock and account, with which NVML agrees. */
#include <nvml.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "softgpu/device/client.h"
#include "softgpu_api.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* A kernel of nothing takes `launch` and some nanoseconds; a fill of 1 MiB takes 20 ms. */
#define TIMED "memory=1G,context=64M,launch=50us,ips=1G,copy=1G,devcopy=50M,slice=2ms,time="

static const char idle_ptx[] =
    ".version 7.0\n.target sm_50\n.address_size 64\n.visible .entry idle()\n{\nret;\n}\n";

static bool paced;
static struct sgdev *judge; /* a connection of its own to the device process */

static struct sgdev_account account(void)
{
    struct sgdev_account now;

    assert_int_equal(sgdev_account(judge, 0, &now), 0);
    /* Promised at every moment. */
    assert_true(now.busy_ns <= now.now_ns - now.start_ns);
    assert_true(now.busy_last_s_ns <= NS_PER_S);
    return now;
}

/* ---- length ---- */

/* From the start of the first of n idle kernels to the end of the last, on the device's clock. */
static double run_kernels_ms(CUfunction idle, unsigned n)
{
    CUevent first, last;
    CUstream stream;
    float ms;

    assert_ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    assert_ok(cuEventCreate(&first, 0));
    assert_ok(cuEventCreate(&last, 0));
    assert_ok(cuEventRecord(first, stream));
    for (unsigned i = 0; i < n; i++)
        assert_ok(cuLaunchKernel(idle, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
    assert_ok(cuEventRecord(last, stream));
    assert_ok(cuEventSynchronize(last));
    assert_ok(cuEventElapsedTime(&ms, first, last));
    assert_ok(cuEventDestroy(first));
    assert_ok(cuEventDestroy(last));
    assert_ok(cuStreamDestroy(stream));
    return ms;
}

static void ten_thousand_kernels_of_50_us_take_500_ms(void **state)
{
    /* A busy machine may not bring kernels to a paced device in time; that delays the end, but makes no work.
     */
    const int tries = paced ? 5 : 1;
    CUmodule module;
    CUfunction idle;
    double ms = 1e9;

    assert_ok(cuModuleLoadData(&module, idle_ptx));
    idle = get_kernel(module, "idle");
    for (int i = 0; i < tries && ms > 510; i++) {
        struct sgdev_account before = account(), after;
        double now_ms = run_kernels_ms(idle, 10000);

        after = account();
        assert_true(now_ms >= 500);
        /* The account is exact whatever the machine does. */
        assert_in_range(after.busy_ns - before.busy_ns, 500 * NS_PER_MS, 502 * NS_PER_MS);
        assert_true(after.busy_ns - before.busy_ns <= after.now_ns - before.now_ns);
        ms = now_ms < ms ? now_ms : ms;
    }
    assert_true(ms <= 510);
    if (!paced)
        assert_float_equal(ms, 10000 * run_kernels_ms(idle, 1), 0.01);
    assert_ok(cuModuleUnload(module));
}

static uint64_t host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* What two events around an idle kernel tell, in ns; how long the host took from the first record to the end
 * of the launch. */
static uint64_t time_kernel_ns(CUfunction idle, CUevent events[2], uint64_t *ret_gap_ns)
{
    uint64_t begun_ns = host_ns();

    assert_ok(cuEventRecord(events[0], NULL));
    assert_ok(cuLaunchKernel(idle, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    *ret_gap_ns = host_ns() - begun_ns;
    assert_ok(cuEventRecord(events[1], NULL));
    assert_ok(cuEventSynchronize(events[1]));

    float ms;

    assert_ok(cuEventElapsedTime(&ms, events[0], events[1]));
    return (uint64_t)((double)ms * 1e6 + 0.5);
}

static void events_around_a_kernel_tell_its_time_on_the_device(void **state)
{
    CUdeviceptr memory;
    CUevent events[2];
    CUmodule module;
    CUfunction idle;

    assert_ok(cuModuleLoadData(&module, idle_ptx));
    idle = get_kernel(module, "idle");
    assert_ok(cuMemAlloc(&memory, MIB));
    assert_ok(cuEventCreate(&events[0], 0));
    assert_ok(cuEventCreate(&events[1], 0));
    for (int i = 0; i < 20; i++) {
        struct sgdev_account before = account();
        uint64_t gap_ns, kernel_ns, told_ns = time_kernel_ns(idle, events, &gap_ns);

        kernel_ns = account().busy_ns - before.busy_ns;
        /* The stream was idle: on a clock that goes on by itself, the way from one call to the next shows. */
        assert_in_range(told_ns, kernel_ns, kernel_ns + (paced ? gap_ns : 0));
        /* Behind a fill of 20 ms. */
        assert_ok(cuMemsetD8Async(memory, 1, MIB, NULL));
        told_ns = time_kernel_ns(idle, events, &gap_ns);
        if (gap_ns < 19 * NS_PER_MS)
            assert_int_equal(told_ns, kernel_ns);
    }
    assert_ok(cuEventDestroy(events[0]));
    assert_ok(cuEventDestroy(events[1]));
    assert_ok(cuMemFree(memory));
    assert_ok(cuModuleUnload(module));
}

/* ---- shares ---- */

/* A child with endless work that is always queued, until it is killed. */
static pid_t start_worker(void)
{
    pid_t pid = fork();
    CUcontext context;
    CUdeviceptr memory;

    if (pid)
        return pid;
    if (cuInit(0) || cuCtxCreate(&context, NULL, 0, 0) || cuMemAlloc(&memory, MIB))
        _exit(1);
    while (!cuMemsetD8Async(memory, 1, MIB, NULL))
        continue;
    _exit(2);
}

static struct sgdev_process row_of(pid_t pid)
{
    struct sgdev_process rows[8];
    size_t n = 8;

    assert_int_equal(sgdev_processes(judge, 0, rows, &n), 0);
    for (size_t i = 0; i < n; i++)
        if (rows[i].pid == pid)
            return rows[i];
    return (struct sgdev_process){0};
}

static uint64_t busy_of(pid_t pid)
{
    return row_of(pid).busy_ns;
}

static void wait_until(uint64_t device_ns)
{
    while (account().now_ns < device_ns)
        nanosleep(&(struct timespec){.tv_nsec = 10 * (long)NS_PER_MS}, NULL);
}

static void assert_nvml_agrees(const pid_t workers[2])
{
    nvmlProcessUtilizationSample_t samples[8];
    nvmlUtilization_t utilization;
    unsigned n = 8, seen = 0, sum = 0;
    nvmlDevice_t device;

    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetUtilizationRates(device, &utilization), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetProcessUtilization(device, samples, &n, 0), NVML_SUCCESS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    assert_in_range(utilization.gpu, 99, 100);
    for (unsigned i = 0; i < n; i++) {
        if (samples[i].pid != (unsigned)workers[0] && samples[i].pid != (unsigned)workers[1])
            continue;
        assert_in_range(samples[i].smUtil, 49, 51);
        sum += samples[i].smUtil;
        seen++;
    }
    assert_int_equal(seen, 2);
    assert_in_range(sum, 99, 100);
}

static void two_processes_with_endless_work_have_half_the_time_each(void **state)
{
    pid_t workers[2] = {start_worker(), start_worker()};
    struct sgdev_account before, after;
    uint64_t had[2], got[2];

    while (!busy_of(workers[0]) || !busy_of(workers[1]))
        nanosleep(&(struct timespec){.tv_nsec = 10 * (long)NS_PER_MS}, NULL);
    before = account();
    had[0] = busy_of(workers[0]);
    had[1] = busy_of(workers[1]);
    wait_until(before.now_ns + 3 * NS_PER_S);
    assert_nvml_agrees(workers);
    got[0] = busy_of(workers[0]) - had[0];
    got[1] = busy_of(workers[1]) - had[1];
    after = account();

    uint64_t passed_ns = after.now_ns - before.now_ns;

    for (int i = 0; i < 2; i++)
        assert_in_range(got[i] * 1000 / passed_ns, 490, 510);
    assert_true(after.busy_ns - before.busy_ns <= passed_ns);
    for (int i = 0; i < 2; i++) {
        kill(workers[i], SIGKILL);
        assert_int_equal(waitpid(workers[i], NULL, 0), workers[i]);
    }
}

static void copies_are_on_an_account_of_their_own(void **state)
{
    struct sgdev_process before = row_of(getpid()), after;
    static char host[MIB];
    CUdeviceptr memory;

    assert_ok(cuMemAlloc(&memory, MIB));
    for (int i = 0; i < 3; i++)
        assert_ok(cuMemcpyHtoD(memory, host, MIB));
    after = row_of(getpid());
    assert_int_equal(after.copy_busy_ns - before.copy_busy_ns,
                     3 * (NS_PER_S / 1024 + 1)); /* 1 GiB a second, to whole ns */
    assert_int_equal(after.busy_ns, before.busy_ns);
    assert_ok(cuMemFree(memory));
}

/* On a virtual clock nobody competes: time is what work makes it. */
static void the_account_of_a_process_is_its_own_work(void **state)
{
    struct sgdev_account before = account(), after;
    uint64_t own_ns = busy_of(getpid());
    CUmodule module;
    double ms;

    assert_ok(cuModuleLoadData(&module, idle_ptx));
    ms = run_kernels_ms(get_kernel(module, "idle"), 100);
    after = account();
    assert_float_equal((double)(after.busy_ns - before.busy_ns) / 1e6, ms, 0.001);
    assert_float_equal((double)(busy_of(getpid()) - own_ns) / 1e6, ms, 0.001);
    assert_int_equal(after.now_ns - before.now_ns, after.busy_ns - before.busy_ns);
    assert_ok(cuModuleUnload(module));
}

int main(int argc, char **argv)
{
    /* Children are forked before this process initialises its driver. */
    static const struct CMUnitTest of_paced[] = {
        cmocka_unit_test(two_processes_with_endless_work_have_half_the_time_each),
        TEST_IN_CONTEXT(ten_thousand_kernels_of_50_us_take_500_ms),
        TEST_IN_CONTEXT(events_around_a_kernel_tell_its_time_on_the_device),
    };
    static const struct CMUnitTest of_virtual[] = {
        TEST_IN_CONTEXT(ten_thousand_kernels_of_50_us_take_500_ms),
        TEST_IN_CONTEXT(events_around_a_kernel_tell_its_time_on_the_device),
        TEST_IN_CONTEXT(copies_are_on_an_account_of_their_own),
        TEST_IN_CONTEXT(the_account_of_a_process_is_its_own_work),
    };

    paced = argc > 1 && !strcmp(argv[1], "paced");
    softgpu_api_begin(paced ? TIMED "paced" : TIMED "virtual");
    if (sgdev_open(&judge))
        return 1;
    return paced ? cmocka_run_group_tests_name("softgpu_api_time_paced", of_paced, NULL, NULL)
                 : cmocka_run_group_tests_name("softgpu_api_time_virtual", of_virtual, NULL, NULL);
}
