/* Many threads at once on one context, through the driver API: each finds its own results, and nothing is
 * left behind. */
#include <pthread.h>
#include <sys/wait.h>

#include "softgpu_api.h"

enum { THREADS = 6, ROUNDS = 25, COUNT = 512 };

struct worker {
    pthread_t thread;
    CUcontext context;
    CUfunction add;
    unsigned number;
    bool uses_pool;
};

static void add_once(const struct worker *self, CUstream stream, unsigned round)
{
    float in[COUNT], out[COUNT];
    CUdeviceptr a, c;
    unsigned n = COUNT;
    void *params[] = {&a, &a, &c, &n};
    CUevent event;

    for (unsigned i = 0; i < COUNT; i++)
        in[i] = (float)(self->number * 1000 + round + i);
    assert_ok(self->uses_pool ? cuMemAllocAsync(&a, sizeof(in), stream) : cuMemAlloc(&a, sizeof(in)));
    assert_ok(self->uses_pool ? cuMemAllocAsync(&c, sizeof(in), stream) : cuMemAlloc(&c, sizeof(in)));
    assert_ok(cuMemcpyHtoDAsync(a, in, sizeof(in), stream));
    assert_ok(cuLaunchKernel(self->add, COUNT / 64, 1, 1, 64, 1, 1, 0, stream, params, NULL));
    assert_ok(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    assert_ok(cuEventRecord(event, stream));
    assert_ok(cuMemcpyDtoHAsync(out, c, sizeof(out), stream));
    assert_ok(cuStreamSynchronize(stream));
    assert_ok(cuEventQuery(event));
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(out[i] == in[i] + in[i]);
    assert_ok(self->uses_pool ? cuMemFreeAsync(a, stream) : cuMemFree(a));
    assert_ok(self->uses_pool ? cuMemFreeAsync(c, stream) : cuMemFree(c));
    assert_ok(cuEventDestroy(event));
}

static void *work(void *argument)
{
    struct worker *self = argument;
    CUstream streams[3] = {CU_STREAM_PER_THREAD, CU_STREAM_LEGACY};

    assert_ok(cuCtxSetCurrent(self->context));
    assert_ok(cuStreamCreate(&streams[2], CU_STREAM_NON_BLOCKING));
    for (unsigned round = 0; round < ROUNDS; round++)
        add_once(self, streams[round % 3], round);
    assert_ok(cuStreamDestroy(streams[2]));
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    CUmodule module = load_kernels("vector_add.ptx");
    struct worker workers[THREADS];
    uint64_t before;

    assert_ok(cuCtxSynchronize());
    before = free_bytes();
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){
            .context = *state, .add = get_kernel(module, "vector_add"), .number = i, .uses_pool = i % 2};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    assert_ok(cuCtxSynchronize());
    assert_int_equal(free_bytes(), before);
    assert_ok(cuModuleUnload(module));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(threads_do_not_disturb_each_other),
    };

    /* Once on the virtual clock, once as fast as possible, once paced: three ways through the engine. */
    static const char *const modes[] = {"virtual", "asap", "paced"};
    pid_t child = -1;

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char devices[200];
        int status;

        snprintf(devices, sizeof(devices), "memory=1G,sms=8,context=64M,time=%s,launch=50us,ips=100000000",
                 modes[i]);
        child = fork();
        if (!child) {
            softgpu_api_begin(devices);
            exit(cmocka_run_group_tests_name(modes[i], tests, NULL, NULL));
        }
        if (waitpid(child, &status, 0) != child || status)
            return 1;
    }
    return 0;
}
