/* Streams and events through the driver API: what comes after what, and when it is said to be over. Time is
 * virtual, so durations are exact. A host function that waits for the test holds a stream back for as long as
 * the test likes. */
#include <pthread.h>

#include "softgpu_api.h"

/* ---- a door in a stream ---- */

struct door {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open, reached;
};

#define DOOR                                                                                                 \
    {                                                                                                        \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false                                    \
    }

static void wait_at_door(void *argument)
{
    struct door *door = argument;

    pthread_mutex_lock(&door->lock);
    door->reached = true;
    pthread_cond_broadcast(&door->changed);
    while (!door->open)
        pthread_cond_wait(&door->changed, &door->lock);
    pthread_mutex_unlock(&door->lock);
}

static void open_door(struct door *door)
{
    pthread_mutex_lock(&door->lock);
    door->open = true;
    pthread_cond_broadcast(&door->changed);
    pthread_mutex_unlock(&door->lock);
}

static void wait_until_reached(struct door *door)
{
    pthread_mutex_lock(&door->lock);
    while (!door->reached)
        pthread_cond_wait(&door->changed, &door->lock);
    pthread_mutex_unlock(&door->lock);
}

static CUstream new_stream(unsigned flags)
{
    CUstream stream;

    assert_ok(cuStreamCreate(&stream, flags));
    return stream;
}

/* ---- order ---- */

static void a_held_stream_holds_the_null_stream_but_no_non_blocking_one(void **state)
{
    CUstream held = new_stream(CU_STREAM_DEFAULT), free_stream = new_stream(CU_STREAM_NON_BLOCKING);
    struct door door = DOOR;
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 64));
    assert_ok(cuLaunchHostFunc(held, wait_at_door, &door));
    assert_ok(cuMemsetD8Async(address, 1, 64, free_stream));
    assert_ok(cuStreamSynchronize(free_stream));
    assert_ok(cuMemsetD8Async(address, 2, 64, NULL));
    wait_until_reached(&door);
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL));
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(held));
    assert_ok(cuStreamQuery(free_stream));
    open_door(&door);
    assert_ok(cuStreamSynchronize(NULL));
    assert_ok(cuStreamQuery(held));
    assert_ok(cuMemFree(address));
    assert_ok(cuStreamDestroy(held));
    assert_ok(cuStreamDestroy(free_stream));
}

static void work_in_a_blocking_stream_waits_for_the_null_stream(void **state)
{
    CUstream blocking = new_stream(CU_STREAM_DEFAULT);
    struct door door = DOOR;
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 64));
    assert_ok(cuLaunchHostFunc(NULL, wait_at_door, &door));
    assert_ok(cuMemsetD8Async(address, 2, 64, blocking));
    wait_until_reached(&door);
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(blocking));
    open_door(&door);
    assert_ok(cuStreamSynchronize(blocking));
    assert_ok(cuStreamQuery(NULL));
    assert_ok(cuMemFree(address));
    assert_ok(cuStreamDestroy(blocking));
}

static void an_event_carries_order_from_stream_to_stream(void **state)
{
    CUstream first = new_stream(CU_STREAM_NON_BLOCKING), second = new_stream(CU_STREAM_NON_BLOCKING);
    struct door door = DOOR;
    CUdeviceptr address;
    CUevent event;
    unsigned word = 0;

    assert_ok(cuMemAlloc(&address, 4));
    assert_ok(cuEventCreate(&event, CU_EVENT_DEFAULT));
    assert_ok(cuEventQuery(event));
    assert_ok(cuStreamWaitEvent(second, event, 0));
    assert_ok(cuLaunchHostFunc(first, wait_at_door, &door));
    assert_ok(cuMemsetD32Async(address, 11, 1, first));
    assert_ok(cuEventRecord(event, first));
    assert_ok(cuStreamWaitEvent(second, event, 0));
    assert_ok(cuMemsetD32Async(address, 22, 1, second));
    assert_code(CUDA_ERROR_NOT_READY, cuEventQuery(event));
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(second));
    open_door(&door);
    assert_ok(cuStreamSynchronize(second));
    assert_ok(cuEventQuery(event));
    assert_ok(cuMemcpyDtoH(&word, address, 4));
    assert_int_equal(word, 22);
    assert_ok(cuEventDestroy(event));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(event, first));
    assert_ok(cuMemFree(address));
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
}

static void *use_own_stream(void *context)
{
    CUdeviceptr address;

    assert_ok(cuCtxSetCurrent(context));
    assert_ok(cuMemAlloc(&address, 16));
    assert_ok(cuMemsetD8Async(address, 1, 16, CU_STREAM_PER_THREAD));
    assert_ok(cuStreamSynchronize(CU_STREAM_PER_THREAD));
    /* Not cuMemFree, which waits for all work: the other thread's stream is held. */
    return NULL;
}

static void each_thread_has_a_default_stream_of_its_own(void **state)
{
    struct door door = DOOR;
    pthread_t thread;

    assert_ok(cuLaunchHostFunc(CU_STREAM_PER_THREAD, wait_at_door, &door));
    wait_until_reached(&door);
    pthread_create(&thread, NULL, use_own_stream, *state);
    pthread_join(thread, NULL);
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_PER_THREAD));
    open_door(&door);
    assert_ok(cuStreamSynchronize(CU_STREAM_PER_THREAD));
}

static void a_destroyed_stream_finishes_its_work(void **state)
{
    CUstream stream = new_stream(CU_STREAM_DEFAULT);
    struct door door = DOOR;
    CUdeviceptr address;
    unsigned word;

    assert_ok(cuMemAlloc(&address, 4));
    assert_ok(cuMemsetD32(address, 1, 1));
    assert_ok(cuLaunchHostFunc(stream, wait_at_door, &door));
    assert_ok(cuMemsetD32Async(address, 5, 1, stream));
    assert_ok(cuStreamDestroy(stream));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuStreamQuery(stream));
    open_door(&door);
    assert_ok(cuMemcpyDtoH(&word, address, 4));
    assert_int_equal(word, 5);
    assert_ok(cuMemFree(address));
}

/* ---- host functions ---- */

static void note_order(void *argument)
{
    int *next = argument;

    *next = *next * 10 + 1;
}

static void try_a_cuda_call(void *argument)
{
    size_t ignored;

    *(CUresult *)argument = cuMemGetInfo(&ignored, &ignored);
}

static void note_status(CUstream stream, CUresult status, void *argument)
{
    *(CUresult *)argument = status;
}

static void host_functions_run_in_order_and_make_no_calls(void **state)
{
    CUresult called = CUDA_SUCCESS, status = CUDA_ERROR_UNKNOWN;
    int order = 0;

    for (int i = 0; i < 5; i++)
        assert_ok(cuLaunchHostFunc(NULL, note_order, &order));
    assert_ok(cuLaunchHostFunc(NULL, try_a_cuda_call, &called));
    assert_ok(cuStreamAddCallback(NULL, note_status, &status, 0));
    assert_ok(cuCtxSynchronize());
    assert_int_equal(order, 11111);
    assert_int_equal(called, CUDA_ERROR_NOT_PERMITTED);
    assert_int_equal(status, CUDA_SUCCESS);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuLaunchHostFunc(NULL, NULL, NULL));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamAddCallback(NULL, note_status, NULL, 1));
}

static void the_source_of_an_asynchronous_copy_may_change_at_once(void **state)
{
    CUstream stream = new_stream(CU_STREAM_NON_BLOCKING);
    struct door door = DOOR;
    int word = 1, back = 0;
    CUdeviceptr address;

    assert_ok(cuMemAlloc(&address, 4));
    assert_ok(cuLaunchHostFunc(stream, wait_at_door, &door));
    assert_ok(cuMemcpyHtoDAsync(address, &word, 4, stream));
    word = 2;
    open_door(&door);
    assert_ok(cuStreamSynchronize(stream));
    assert_ok(cuMemcpyDtoH(&back, address, 4));
    assert_int_equal(back, 1);
    assert_ok(cuMemFree(address));
    assert_ok(cuStreamDestroy(stream));
}

/* ---- time ---- */

static float ms_between(CUevent start, CUevent end)
{
    float ms;

    assert_ok(cuEventElapsedTime(&ms, start, end));
    return ms;
}

static void work_takes_the_time_that_the_device_says(void **state)
{
    CUevent start, copied, filled;
    CUdeviceptr address;
    void *host;

    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&copied, 0));
    assert_ok(cuEventCreate(&filled, 0));
    assert_ok(cuMemAlloc(&address, 10 * MIB));
    assert_ok(cuMemAllocHost(&host, MIB));
    assert_ok(cuEventRecord(start, NULL));
    assert_ok(cuMemcpyHtoDAsync(address, host, MIB, NULL));
    assert_ok(cuEventRecord(copied, NULL));
    assert_ok(cuMemsetD8Async(address, 0, 10 * MIB, NULL));
    assert_ok(cuEventRecord(filled, NULL));
    assert_ok(cuEventSynchronize(filled));
    /* 1 MiB at 1 GiB/s, and 10 MiB at 10 GiB/s, rounded up to whole nanoseconds. */
    assert_true(ms_between(start, copied) == 0.976563f);
    assert_true(ms_between(copied, filled) == 0.976563f);
    assert_true(ms_between(filled, start) == -1.953126f);
    assert_ok(cuMemFreeHost(host));
    assert_ok(cuMemFree(address));
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(copied));
    assert_ok(cuEventDestroy(filled));
}

static void kernels_of_two_streams_take_turns_on_the_device(void **state)
{
    CUstream first = new_stream(CU_STREAM_NON_BLOCKING), second = new_stream(CU_STREAM_NON_BLOCKING);
    CUmodule module = load_kernels("vector_add.ptx");
    CUfunction function = get_kernel(module, "vector_add");
    CUevent start, one, two;
    CUdeviceptr none = 0;
    unsigned n = 0;
    void *params[] = {&none, &none, &none, &n};
    float alone;

    assert_ok(cuEventCreate(&start, 0));
    assert_ok(cuEventCreate(&one, 0));
    assert_ok(cuEventCreate(&two, 0));
    assert_ok(cuEventRecord(start, first));
    assert_ok(cuLaunchKernel(function, 80, 1, 1, 256, 1, 1, 0, first, params, NULL));
    assert_ok(cuEventRecord(one, first));
    assert_ok(cuLaunchKernel(function, 80, 1, 1, 256, 1, 1, 0, second, params, NULL));
    assert_ok(cuEventRecord(two, second));
    assert_ok(cuEventSynchronize(one));
    assert_ok(cuEventSynchronize(two));
    alone = ms_between(start, one);
    assert_true(alone > 0.005f);
    assert_true(ms_between(one, two) == alone);
    assert_ok(cuModuleUnload(module));
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
    assert_ok(cuEventDestroy(start));
    assert_ok(cuEventDestroy(one));
    assert_ok(cuEventDestroy(two));
}

static void events_without_time_or_record_have_no_elapsed_time(void **state)
{
    CUevent timed, untimed, never;
    float ms;

    assert_ok(cuEventCreate(&timed, 0));
    assert_ok(cuEventCreate(&never, 0));
    assert_ok(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    assert_ok(cuEventRecord(timed, NULL));
    assert_ok(cuEventRecord(untimed, NULL));
    assert_ok(cuCtxSynchronize());
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, timed, untimed));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, timed, never));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, timed, (CUevent)0x1234));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuEventElapsedTime(NULL, timed, timed));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&never, 0x100));
    assert_ok(cuEventDestroy(timed));
    assert_ok(cuEventDestroy(untimed));
}

static void streams_have_flags_and_priorities(void **state)
{
    CUstreamCaptureStatus capturing = CU_STREAM_CAPTURE_STATUS_ACTIVE;
    int least, greatest, priority;
    CUcontext context;
    CUstream stream;
    unsigned flags;

    assert_ok(cuCtxGetStreamPriorityRange(&least, &greatest));
    assert_true(greatest < least);
    assert_ok(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, greatest - 10));
    assert_ok(cuStreamGetPriority(stream, &priority));
    assert_int_equal(priority, greatest);
    assert_ok(cuStreamGetFlags(stream, &flags));
    assert_int_equal(flags, CU_STREAM_NON_BLOCKING);
    assert_ok(cuStreamIsCapturing(stream, &capturing));
    assert_int_equal(capturing, CU_STREAM_CAPTURE_STATUS_NONE);
    assert_ok(cuStreamDestroy(stream));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&stream, 0x40));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(NULL, 0));
    assert_ok(cuCtxGetCurrent(&context));
    assert_ptr_equal(context, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(a_held_stream_holds_the_null_stream_but_no_non_blocking_one),
        TEST_IN_CONTEXT(work_in_a_blocking_stream_waits_for_the_null_stream),
        TEST_IN_CONTEXT(an_event_carries_order_from_stream_to_stream),
        TEST_IN_CONTEXT(each_thread_has_a_default_stream_of_its_own),
        TEST_IN_CONTEXT(a_destroyed_stream_finishes_its_work),
        TEST_IN_CONTEXT(host_functions_run_in_order_and_make_no_calls),
        TEST_IN_CONTEXT(the_source_of_an_asynchronous_copy_may_change_at_once),
        TEST_IN_CONTEXT(work_takes_the_time_that_the_device_says),
        TEST_IN_CONTEXT(kernels_of_two_streams_take_turns_on_the_device),
        TEST_IN_CONTEXT(events_without_time_or_record_have_no_elapsed_time),
        TEST_IN_CONTEXT(streams_have_flags_and_priorities),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
