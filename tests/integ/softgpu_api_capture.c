/* Stream capture through the driver API: what becomes a node, how captures spread and join, what they forbid;
 * and memory operations in streams. */
#include <pthread.h>

#include "softgpu_api.h"

static CUstream new_stream(void)
{
    CUstream stream;

    assert_ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

static CUevent new_event(void)
{
    CUevent event;

    assert_ok(cuEventCreate(&event, 0));
    return event;
}

static void begin(CUstream stream)
{
    assert_ok(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
}

static CUgraph end(CUstream stream)
{
    CUgraph graph;

    assert_ok(cuStreamEndCapture(stream, &graph));
    assert_non_null(graph);
    return graph;
}

/* The capture of stream is over, and has failed so. */
static void end_failed(CUresult code, CUstream stream)
{
    CUgraph graph = (CUgraph)&graph;
    CUstreamCaptureStatus status;

    assert_code(code, cuStreamEndCapture(stream, &graph));
    assert_null(graph);
    assert_ok(cuStreamIsCapturing(stream, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_NONE);
}

static size_t count_of(CUgraph graph, CUgraphNodeType wanted)
{
    CUgraphNode nodes[32];
    size_t count = 32, found = 0;

    assert_ok(cuGraphGetNodes(graph, nodes, &count));
    for (size_t i = 0; i < count; i++) {
        CUgraphNodeType type;

        assert_ok(cuGraphNodeGetType(nodes[i], &type));
        found += type == wanted;
    }
    return found;
}

static size_t edges_of(CUgraph graph)
{
    size_t count = 0;

    assert_ok(cuGraphGetEdges(graph, NULL, NULL, NULL, &count));
    return count;
}

static void run(CUgraph graph, CUstream stream)
{
    CUgraphExec exec;

    assert_ok(cuGraphInstantiateWithFlags(&exec, graph, 0));
    assert_ok(cuGraphLaunch(exec, stream));
    assert_ok(cuStreamSynchronize(stream));
    assert_ok(cuGraphExecDestroy(exec));
}

CUresult cuLaunchHostFunc_ptsz(CUstream stream, CUhostFn function, void *user_data);
CUresult cuStreamIsCapturing_ptsz(CUstream stream, CUstreamCaptureStatus *ret_status);

static void set_flag(void *flag)
{
    *(int *)flag = 1;
}

/* ---- what is captured ---- */

static void captured_calls_do_nothing_until_the_graph_is_launched(void **state)
{
    CUmodule module = load_kernels("misc.ptx");
    CUfunction poke = get_kernel(module, "poke");
    CUstream stream = new_stream();
    unsigned words[2] = {0};
    int value = 33, flag = 0;
    CUdeviceptr memory, at;
    CUgraph graph;

    assert_ok(cuMemAlloc(&memory, 8));
    assert_ok(cuMemsetD32(memory, 1, 2));
    assert_ok(cuCtxSynchronize());
    at = memory + 4;
    void *params[] = {&at, &value};
    CUlaunchConfig config = {.gridDimX = 1,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 1,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .hStream = stream};

    begin(stream);
    assert_ok(cuMemsetD32Async(memory, 5, 2, stream));
    assert_ok(cuLaunchKernel(poke, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL));
    assert_ok(cuLaunchKernelEx(&config, poke, params, NULL));
    assert_ok(cuLaunchCooperativeKernel(poke, 1, 1, 1, 1, 1, 1, 0, stream, params));
    assert_ok(cuMemcpyDtoHAsync(words, memory, 8, stream));
    assert_ok(cuLaunchHostFunc(stream, set_flag, &flag));
    value = 99;
    graph = end(stream);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_KERNEL), 3);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_MEMSET), 1);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_MEMCPY), 1);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_HOST), 1);
    assert_int_equal(edges_of(graph), 5);
    assert_ok(cuStreamSynchronize(stream));
    assert_int_equal(words[0], 0);
    assert_int_equal(flag, 0);
    run(graph, stream);
    assert_int_equal(words[0], 5);
    assert_int_equal(words[1], 33);
    assert_int_equal(flag, 1);
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(stream));
}

static void rows_of_a_captured_copy_keep_their_places(void **state)
{
    CUstream stream = new_stream();
    unsigned char host[64], back[64];
    CUdeviceptr memory;
    CUgraph graph;

    for (int i = 0; i < 64; i++)
        host[i] = (unsigned char)i;
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                          .srcHost = host,
                          .srcPitch = 16,
                          .srcXInBytes = 3,
                          .srcY = 1,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstPitch = 8,
                          .dstXInBytes = 2,
                          .WidthInBytes = 5,
                          .Height = 2};

    assert_ok(cuMemAlloc(&memory, 64));
    assert_ok(cuMemsetD8(memory, 0xee, 64));
    assert_ok(cuCtxSynchronize());
    copy.dstDevice = memory;
    begin(stream);
    assert_ok(cuMemcpy2DAsync(&copy, stream));
    graph = end(stream);
    run(graph, stream);
    assert_ok(cuMemcpyDtoH(back, memory, 64));
    assert_int_equal(back[1], 0xee);
    assert_int_equal(back[2], 19);
    assert_int_equal(back[6], 23);
    assert_int_equal(back[7], 0xee);
    assert_int_equal(back[10], 35);
    assert_int_equal(back[14], 39);
    assert_int_equal(back[15], 0xee);
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(stream));
}

static void memory_allocated_in_a_capture_is_the_graphs(void **state)
{
    CUstream stream = new_stream();
    uint64_t before = free_bytes();
    unsigned word = 0;
    CUdeviceptr memory;
    CUgraph graph;

    begin(stream);
    assert_ok(cuMemAllocAsync(&memory, 5 * MIB, stream));
    assert_ok(cuMemsetD32Async(memory, 8, 1, stream));
    assert_ok(cuMemcpyDtoHAsync(&word, memory, 4, stream));
    assert_ok(cuMemFreeAsync(memory, stream));
    graph = end(stream);
    assert_int_equal(free_bytes(), before);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_MEM_ALLOC), 1);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_MEM_FREE), 1);
    run(graph, stream);
    assert_int_equal(word, 8);
    assert_int_equal(free_bytes(), before - 6 * MIB);
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before);
    assert_ok(cuStreamDestroy(stream));
}

static void a_graph_launched_into_a_capture_becomes_a_child(void **state)
{
    CUstream stream = new_stream();
    CUgraph inner, outer;
    CUgraphExec exec;
    CUdeviceptr memory;
    unsigned word;

    assert_ok(cuMemAlloc(&memory, 4));
    assert_ok(cuMemsetD32(memory, 0, 1));
    assert_ok(cuCtxSynchronize());
    begin(stream);
    assert_ok(cuMemsetD32Async(memory, 77, 1, stream));
    inner = end(stream);
    assert_ok(cuGraphInstantiateWithFlags(&exec, inner, 0));
    begin(stream);
    assert_ok(cuGraphLaunch(exec, stream));
    outer = end(stream);
    assert_ok(cuGraphExecDestroy(exec));
    assert_ok(cuGraphDestroy(inner));
    assert_int_equal(count_of(outer, CU_GRAPH_NODE_TYPE_GRAPH), 1);
    assert_ok(cuMemcpyDtoH(&word, memory, 4));
    assert_int_equal(word, 0);
    run(outer, stream);
    assert_ok(cuMemcpyDtoH(&word, memory, 4));
    assert_int_equal(word, 77);
    assert_ok(cuGraphDestroy(outer));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(stream));
}

/* ---- spreading ---- */

static void a_capture_forks_and_joins_by_events(void **state)
{
    CUstream first = new_stream(), second = new_stream();
    CUevent fork = new_event(), join = new_event();
    CUstreamCaptureStatus status;
    cuuint64_t id, other_id;
    CUgraph graph, told;
    const CUgraphNode *dependencies;
    size_t count;
    CUdeviceptr memory;

    assert_ok(cuMemAlloc(&memory, 16));
    begin(first);
    assert_ok(cuMemsetD32Async(memory, 1, 1, first));
    assert_ok(cuEventRecord(fork, first));
    assert_ok(cuStreamWaitEvent(second, fork, 0));
    assert_ok(cuStreamGetCaptureInfo(second, &status, &other_id, NULL, NULL, NULL, NULL));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    assert_ok(cuMemsetD32Async(memory + 4, 2, 1, second));
    assert_ok(cuMemsetD32Async(memory + 8, 3, 1, first));
    assert_ok(cuEventRecord(join, second));
    assert_ok(cuStreamWaitEvent(first, join, 0));
    assert_ok(cuStreamGetCaptureInfo(first, &status, &id, &told, &dependencies, NULL, &count));
    assert_int_equal(id, other_id);
    assert_int_equal(count, 2);
    assert_ok(cuMemsetD32Async(memory + 12, 4, 1, first));
    graph = end(first);
    assert_ptr_equal(graph, told);
    assert_ok(cuStreamIsCapturing(second, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_NONE);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_MEMSET), 4);
    assert_int_equal(edges_of(graph), 4);
    assert_ok(cuGraphDestroy(graph));
    /* The event still means a place in a capture, which is over. */
    assert_code(CUDA_ERROR_CAPTURED_EVENT, cuEventQuery(fork));
    assert_code(CUDA_ERROR_CAPTURED_EVENT, cuStreamWaitEvent(second, fork, 0));
    assert_ok(cuEventRecord(fork, second));
    assert_ok(cuEventSynchronize(fork));
    assert_ok(cuEventDestroy(fork));
    assert_ok(cuEventDestroy(join));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
}

static void an_unjoined_stream_makes_the_capture_fail(void **state)
{
    CUstream first = new_stream(), second = new_stream();
    CUevent fork = new_event();
    CUdeviceptr memory;
    CUgraph graph;

    assert_ok(cuMemAlloc(&memory, 4));
    begin(first);
    assert_ok(cuEventRecord(fork, first));
    assert_ok(cuStreamWaitEvent(second, fork, 0));
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, cuStreamEndCapture(second, &graph));
    assert_ok(cuMemsetD32Async(memory, 1, 1, second));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, first);
    assert_code(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(first, &graph));
    assert_ok(cuEventDestroy(fork));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
}

static void captures_neither_merge_nor_depend_on_what_is_outside(void **state)
{
    CUstream first = new_stream(), second = new_stream();
    CUevent outside = new_event(), inside = new_event();
    CUstreamCaptureStatus status;
    CUgraph graph;

    assert_ok(cuEventRecord(outside, second));
    begin(first);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, cuStreamWaitEvent(first, outside, 0));
    assert_ok(cuStreamIsCapturing(first, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuLaunchHostFunc(first, set_flag, NULL));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, first);
    begin(first);
    begin(second);
    assert_ok(cuEventRecord(inside, first));
    assert_code(CUDA_ERROR_STREAM_CAPTURE_MERGE, cuStreamWaitEvent(second, inside, 0));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, first);
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, second);
    /* Told so, events become nodes. */
    begin(first);
    assert_ok(cuStreamWaitEvent(first, outside, CU_EVENT_WAIT_EXTERNAL));
    assert_ok(cuEventRecordWithFlags(inside, first, CU_EVENT_RECORD_EXTERNAL));
    graph = end(first);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_WAIT_EVENT), 1);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_EVENT_RECORD), 1);
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuEventDestroy(outside));
    assert_ok(cuEventDestroy(inside));
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
}

static void dependencies_of_a_capture_can_be_changed(void **state)
{
    CUstream stream = new_stream();
    CUstreamCaptureStatus status;
    CUgraph graph, own;
    CUgraphNode mine, nodes[4];
    size_t count;
    CUdeviceptr memory;

    assert_ok(cuMemAlloc(&memory, 4));
    assert_ok(cuGraphCreate(&own, 0));
    assert_ok(cuGraphAddEmptyNode(&mine, own, NULL, 0));
    assert_ok(cuStreamBeginCaptureToGraph(stream, own, &mine, NULL, 1, CU_STREAM_CAPTURE_MODE_RELAXED));
    assert_ok(cuMemsetD32Async(memory, 1, 1, stream));
    assert_ok(cuStreamUpdateCaptureDependencies(stream, &mine, NULL, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
    assert_ok(cuMemsetD32Async(memory, 2, 1, stream));
    graph = end(stream);
    assert_ptr_equal(graph, own);
    count = 4;
    assert_ok(cuGraphNodeGetDependentNodes(mine, nodes, NULL, &count));
    assert_int_equal(count, 2);
    assert_code(CUDA_ERROR_ILLEGAL_STATE, cuStreamUpdateCaptureDependencies(stream, &mine, NULL, 1, 0));
    assert_ok(cuStreamIsCapturing(stream, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_NONE);
    assert_ok(cuGraphDestroy(own));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(stream));
}

/* ---- what is forbidden ---- */

static void waiting_for_a_capturing_stream_ends_the_capture(void **state)
{
    CUstream stream = new_stream(), blocking;
    CUevent event = new_event();
    CUdeviceptr memory;
    CUstreamCaptureStatus status;

    assert_ok(cuMemAlloc(&memory, 4));
    assert_ok(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    begin(stream);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(stream));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream);
    begin(stream);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemcpyDtoH(&status, memory, 4));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream);
    begin(stream);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuEventQuery(event));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream);
    begin(stream);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxSynchronize());
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream);
    begin(stream);
    assert_ok(cuEventRecord(event, stream));
    assert_code(CUDA_ERROR_CAPTURED_EVENT, cuEventSynchronize(event));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream);
    begin(blocking);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuStreamIsCapturing(NULL, &status));
    assert_code(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemcpyDtoH(&status, memory, 4));
    assert_code(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(memory, 1, 1, NULL));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, blocking);
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    assert_ok(cuEventDestroy(event));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(stream));
    assert_ok(cuStreamDestroy(blocking));
}

struct attempt {
    CUcontext context;
    CUstreamCaptureMode mode;
    CUresult result, end_result;
    CUstream stream;
};

static void *try_to_allocate(void *argument)
{
    struct attempt *attempt = argument;
    CUdeviceptr memory;
    CUgraph graph;

    assert_ok(cuCtxSetCurrent(attempt->context));
    assert_ok(cuThreadExchangeStreamCaptureMode(&attempt->mode));
    attempt->result = cuMemAlloc(&memory, 4);
    if (!attempt->result)
        assert_ok(cuMemFree(memory));
    attempt->end_result = cuStreamEndCapture(attempt->stream, &graph);
    return NULL;
}

/* What cuMemAlloc answers to another thread of mode `theirs` while this one captures in mode `ours`. */
static CUresult elsewhere(CUcontext context, CUstreamCaptureMode ours, CUstreamCaptureMode theirs)
{
    CUstream stream = new_stream();
    struct attempt attempt = {.context = context, .mode = theirs, .stream = stream};
    pthread_t thread;
    CUgraph graph = NULL;

    assert_ok(cuStreamBeginCapture(stream, ours));
    assert_int_equal(pthread_create(&thread, NULL, try_to_allocate, &attempt), 0);
    pthread_join(thread, NULL);
    if (ours == CU_STREAM_CAPTURE_MODE_RELAXED) {
        assert_int_equal(attempt.end_result, CUDA_SUCCESS);
    } else {
        assert_int_equal(attempt.end_result, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
        assert_code(attempt.result ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS,
                    cuStreamEndCapture(stream, &graph));
    }
    assert_ok(cuStreamDestroy(stream));
    return attempt.result;
}

static void modes_decide_whose_unsafe_calls_are_forbidden(void **state)
{
    const CUstreamCaptureMode global = CU_STREAM_CAPTURE_MODE_GLOBAL,
                              local = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                              relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUstreamCaptureMode mode = relaxed;
    CUstream stream = new_stream();
    CUdeviceptr memory;
    CUgraph graph;

    assert_int_equal(elsewhere(*state, global, global), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    assert_int_equal(elsewhere(*state, global, local), CUDA_SUCCESS);
    assert_int_equal(elsewhere(*state, global, relaxed), CUDA_SUCCESS);
    assert_int_equal(elsewhere(*state, local, global), CUDA_SUCCESS);
    assert_int_equal(elsewhere(*state, relaxed, global), CUDA_SUCCESS);
    /* In the capturing thread itself. */
    assert_ok(cuStreamBeginCapture(stream, local));
    assert_code(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc(&memory, 4));
    end_failed(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, stream);
    assert_ok(cuStreamBeginCapture(stream, relaxed));
    assert_ok(cuMemAlloc(&memory, 4));
    assert_ok(cuStreamEndCapture(stream, &graph));
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, global);
    begin(stream);
    assert_ok(cuMemFree(memory));
    assert_ok(cuGraphDestroy(end(stream)));
    assert_ok(cuThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, relaxed);
    assert_ok(cuStreamDestroy(stream));
}

static void the_default_stream_of_a_thread_captures_too(void **state)
{
    CUstreamCaptureStatus status;
    int flag = 0;
    CUgraph graph;

    begin(CU_STREAM_PER_THREAD);
    assert_ok(cuLaunchHostFunc_ptsz(NULL, set_flag, &flag));
    assert_ok(cuStreamIsCapturing_ptsz(NULL, &status));
    assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    graph = end(CU_STREAM_PER_THREAD);
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_HOST), 1);
    run(graph, CU_STREAM_PER_THREAD);
    assert_int_equal(flag, 1);
    assert_ok(cuGraphDestroy(graph));
}

static void a_destroyed_stream_gives_its_capture_up(void **state)
{
    CUstream stream = new_stream();
    CUcontext other;
    CUdeviceptr memory;

    assert_ok(cuCtxCreate(&other, NULL, 0, 0));
    begin(new_stream());
    assert_ok(cuCtxDestroy(other));
    assert_ok(cuCtxSetCurrent(*state));

    begin(stream);
    assert_ok(cuLaunchHostFunc(stream, set_flag, NULL));
    assert_ok(cuStreamDestroy(stream));
    assert_ok(cuMemAlloc(&memory, 4));
    assert_ok(cuMemFree(memory));
}

enum { CAPTURERS = 4, ROUNDS = 25 };

struct capturer {
    CUcontext context;
    unsigned number, wrong;
};

/* Captures, launches and throws away graphs that fill its own memory, with what each round demands. */
static void *capture_often(void *argument)
{
    struct capturer *self = argument;
    unsigned word;

    assert_ok(cuCtxSetCurrent(self->context));
    CUstream stream = new_stream();
    for (unsigned round = 0; round < ROUNDS; round++) {
        CUdeviceptr memory;
        CUgraph graph;

        assert_ok(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        assert_ok(cuMemAllocAsync(&memory, 4, stream));
        assert_ok(cuMemsetD32Async(memory, self->number * ROUNDS + round, 1, stream));
        assert_ok(cuMemcpyDtoHAsync(&word, memory, 4, stream));
        assert_ok(cuMemFreeAsync(memory, stream));
        graph = end(stream);
        run(graph, stream);
        assert_ok(cuGraphDestroy(graph));
        self->wrong += word != self->number * ROUNDS + round;
    }
    assert_ok(cuStreamDestroy(stream));
    return NULL;
}

static void threads_capture_and_launch_beside_one_another(void **state)
{
    struct capturer capturers[CAPTURERS] = {{0}};
    pthread_t threads[CAPTURERS];
    uint64_t before = free_bytes();

    for (unsigned i = 0; i < CAPTURERS; i++) {
        capturers[i] = (struct capturer){*state, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, capture_often, &capturers[i]), 0);
    }
    for (unsigned i = 0; i < CAPTURERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(capturers[i].wrong, 0);
    }
    assert_ok(cuDeviceGraphMemTrim(0));
    assert_int_equal(free_bytes(), before);
}

/* ---- memory operations ---- */

static void a_wait_holds_its_stream_until_the_value_is_written(void **state)
{
    CUstream waiting = new_stream(), writing = new_stream();
    unsigned *flags;
    CUdeviceptr at;
    int reached = 0;

    assert_ok(cuMemHostAlloc((void **)&flags, 16, 0));
    memset(flags, 0, 16);
    assert_ok(cuMemHostGetDevicePointer(&at, flags, 0));
    assert_ok(cuStreamWaitValue32(waiting, at, 3, CU_STREAM_WAIT_VALUE_GEQ));
    assert_ok(cuLaunchHostFunc(waiting, set_flag, &reached));
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(waiting));
    /* Others of the same context go past it. */
    assert_ok(cuStreamWriteValue32(writing, at, 2, 0));
    assert_ok(cuStreamWriteValue64(writing, at + 8, UINT64_C(0x100000002), 0));
    assert_ok(cuStreamSynchronize(writing));
    assert_int_equal(flags[0], 2);
    assert_int_equal(flags[3], 1);
    assert_code(CUDA_ERROR_NOT_READY, cuStreamQuery(waiting));
    assert_int_equal(reached, 0);
    __atomic_store_n(&flags[0], 3, __ATOMIC_RELEASE);
    assert_ok(cuStreamSynchronize(waiting));
    assert_int_equal(reached, 1);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamWriteValue32(writing, at + 2, 0, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamWaitValue32(writing, at, 0, 7));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamWriteValue32(writing, 4, 0, 0));
    assert_ok(cuMemFreeHost(flags));
    assert_ok(cuStreamDestroy(waiting));
    assert_ok(cuStreamDestroy(writing));
}

static void a_batch_of_operations_is_captured_as_one_node(void **state)
{
    CUstream stream = new_stream();
    CUstreamBatchMemOpParams operations[2] = {
        {.writeValue = {.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .value = 5}},
        {.waitValue = {
             .operation = CU_STREAM_MEM_OP_WAIT_VALUE_32, .value = 5, .flags = CU_STREAM_WAIT_VALUE_EQ}}};
    CUdeviceptr memory;
    CUgraph graph;
    unsigned word;

    assert_ok(cuMemAlloc(&memory, 4));
    assert_ok(cuMemsetD32(memory, 0, 1));
    assert_ok(cuCtxSynchronize());
    operations[0].writeValue.address = operations[1].waitValue.address = memory;
    begin(stream);
    assert_ok(cuStreamBatchMemOp(stream, 2, operations, 0));
    graph = end(stream);
    operations[0].writeValue.value = 6;
    assert_int_equal(count_of(graph, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP), 1);
    run(graph, stream);
    assert_ok(cuMemcpyDtoH(&word, memory, 4));
    assert_int_equal(word, 5);
    assert_ok(cuGraphDestroy(graph));
    assert_ok(cuMemFree(memory));
    assert_ok(cuStreamDestroy(stream));
}

/* ---- attributes ---- */

static void attributes_of_streams_are_kept_and_copied(void **state)
{
    CUstream first = new_stream(), second = new_stream();
    CUstreamAttrValue value = {.syncPolicy = CU_SYNC_POLICY_YIELD}, got = {{0}};
    int priority;

    assert_ok(cuStreamSetAttribute(first, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    value = (CUstreamAttrValue){.priority = -3};
    assert_ok(cuStreamSetAttribute(first, CU_STREAM_ATTRIBUTE_PRIORITY, &value));
    value.priority = -6;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuStreamSetAttribute(first, CU_STREAM_ATTRIBUTE_PRIORITY, &value));
    assert_code(CUDA_ERROR_INVALID_VALUE,
                cuStreamSetAttribute(first, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value));
    assert_ok(cuStreamCopyAttributes(second, first));
    assert_ok(cuStreamGetAttribute(second, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &got));
    assert_int_equal(got.syncPolicy, CU_SYNC_POLICY_YIELD);
    assert_ok(cuStreamGetPriority(second, &priority));
    assert_int_equal(priority, -3);
    assert_ok(cuStreamDestroy(first));
    assert_ok(cuStreamDestroy(second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(captured_calls_do_nothing_until_the_graph_is_launched),
        TEST_IN_CONTEXT(rows_of_a_captured_copy_keep_their_places),
        TEST_IN_CONTEXT(memory_allocated_in_a_capture_is_the_graphs),
        TEST_IN_CONTEXT(a_graph_launched_into_a_capture_becomes_a_child),
        TEST_IN_CONTEXT(a_capture_forks_and_joins_by_events),
        TEST_IN_CONTEXT(an_unjoined_stream_makes_the_capture_fail),
        TEST_IN_CONTEXT(captures_neither_merge_nor_depend_on_what_is_outside),
        TEST_IN_CONTEXT(dependencies_of_a_capture_can_be_changed),
        TEST_IN_CONTEXT(waiting_for_a_capturing_stream_ends_the_capture),
        TEST_IN_CONTEXT(modes_decide_whose_unsafe_calls_are_forbidden),
        TEST_IN_CONTEXT(threads_capture_and_launch_beside_one_another),
        TEST_IN_CONTEXT(the_default_stream_of_a_thread_captures_too),
        TEST_IN_CONTEXT(a_destroyed_stream_gives_its_capture_up),
        TEST_IN_CONTEXT(a_wait_holds_its_stream_until_the_value_is_written),
        TEST_IN_CONTEXT(a_batch_of_operations_is_captured_as_one_node),
        TEST_IN_CONTEXT(attributes_of_streams_are_kept_and_copied),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
