/* What may be called while a stream captures: for each capture mode, by the thread that captures and by
 * another, as it is and after cuThreadExchangeStreamCaptureMode(relaxed). A cell says the error, and whether
 * the capture lived on and got a node more. Calls of vgpu's gate (src/shim/sample.c) must be "ok" where it
 * makes them. `probe_capture blocking`: the capturing stream is one that the legacy stream waits for. */
#include <pthread.h>

#include "probe.h"

static struct {
    CUcontext context;
    CUfunction kernel;
    CUstream captured, other;
    CUevent done, done_later, unused, into_capture;
    CUdeviceptr memory;
    CUstreamCaptureMode mode;
    bool is_relaxed;
    unsigned stream_flags;
    CUresult result;
} probe;

/* ---- the calls ---- */

static CUresult event_query(void)
{
    return cuEventQuery(probe.done);
}
static CUresult event_query_captured(void)
{
    return cuEventQuery(probe.into_capture);
}
static CUresult event_record(void)
{
    return cuEventRecord(probe.unused, probe.other);
}
static CUresult event_record_captured(void)
{
    return cuEventRecord(probe.unused, probe.captured);
}
static CUresult event_synchronize(void)
{
    return cuEventSynchronize(probe.done);
}

static CUresult event_elapsed(void)
{
    float ms;

    return cuEventElapsedTime(&ms, probe.done, probe.done_later);
}

static CUresult event_create(void)
{
    CUevent event;

    return cuEventCreate(&event, CU_EVENT_DEFAULT);
}

static CUresult event_destroy(void)
{
    CUresult result = cuEventDestroy(probe.unused);

    if (result == CUDA_SUCCESS)
        probe.unused = NULL;
    return result;
}

static CUresult stream_query(void)
{
    return cuStreamQuery(probe.other);
}
static CUresult stream_synchronize(void)
{
    return cuStreamSynchronize(probe.other);
}

static CUresult is_capturing_of(CUstream stream)
{
    CUstreamCaptureStatus status;

    return cuStreamIsCapturing(stream, &status);
}

static CUresult is_capturing(void)
{
    return is_capturing_of(probe.captured);
}
static CUresult is_capturing_legacy(void)
{
    return is_capturing_of(NULL);
}

static CUresult context_get(void)
{
    CUcontext context;

    return cuCtxGetCurrent(&context);
}

static CUresult context_synchronize(void)
{
    return cuCtxSynchronize();
}

static CUresult launch_on(CUstream stream)
{
    return cuLaunchKernel(probe.kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL);
}

static CUresult launch_other(void)
{
    return launch_on(probe.other);
}
static CUresult launch_captured(void)
{
    return launch_on(probe.captured);
}
static CUresult launch_legacy(void)
{
    return launch_on(NULL);
}

static CUresult function_attribute(void)
{
    int value;

    return cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, probe.kernel);
}

static CUresult memory_info(void)
{
    size_t free_bytes, total_bytes;

    return cuMemGetInfo(&free_bytes, &total_bytes);
}

static CUresult memory_alloc(void)
{
    CUdeviceptr p;
    CUresult result = cuMemAlloc(&p, 1 << 20);

    if (result == CUDA_SUCCESS && !probe.memory)
        probe.memory = p;
    return result;
}

static CUresult memory_free(void)
{
    CUresult result = cuMemFree(probe.memory);

    if (result == CUDA_SUCCESS)
        probe.memory = 0;
    return result;
}

static const struct {
    const char *name;
    CUresult (*call)(void);
} calls[] = {
    {"cuEventQuery", event_query},
    {"cuEventQuery, recorded in the capture", event_query_captured},
    {"cuEventRecord, other stream", event_record},
    {"cuEventRecord, captured stream", event_record_captured},
    {"cuEventSynchronize", event_synchronize},
    {"cuEventElapsedTime", event_elapsed},
    {"cuEventCreate", event_create},
    {"cuEventDestroy", event_destroy},
    {"cuStreamQuery, other stream", stream_query},
    {"cuStreamSynchronize, other stream", stream_synchronize},
    {"cuStreamIsCapturing, captured stream", is_capturing},
    {"cuStreamIsCapturing, legacy stream", is_capturing_legacy},
    {"cuCtxGetCurrent", context_get},
    {"cuCtxSynchronize", context_synchronize},
    {"cuLaunchKernel, other stream", launch_other},
    {"cuLaunchKernel, captured stream", launch_captured},
    {"cuLaunchKernel, legacy stream", launch_legacy},
    {"cuFuncGetAttribute", function_attribute},
    {"cuMemGetInfo", memory_info},
    {"cuMemAlloc", memory_alloc},
    {"cuMemFree", memory_free},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]), CELL = 24 };

/* ---- one cell ---- */

static void prepare(void)
{
    if (!probe.unused)
        CHECK(cuEventCreate(&probe.unused, CU_EVENT_DEFAULT));
    if (!probe.memory)
        CHECK(cuMemAlloc(&probe.memory, 1 << 20));
    CHECK(cuStreamCreate(&probe.captured, probe.stream_flags));
    CHECK(cuEventCreate(&probe.into_capture, CU_EVENT_DEFAULT));
    CHECK(cuEventRecord(probe.done, probe.other));
    CHECK(cuEventRecord(probe.done_later, probe.other));
    CHECK(cuStreamSynchronize(probe.other));
}

static void *make_call(void *index)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

    CHECK(cuCtxSetCurrent(probe.context));
    if (probe.is_relaxed)
        CHECK(cuThreadExchangeStreamCaptureMode(&mode));
    probe.result = calls[(uintptr_t)index].call();
    if (probe.is_relaxed)
        CHECK(cuThreadExchangeStreamCaptureMode(&mode));
    return NULL;
}

static void name_cell(char cell[CELL], CUresult ended, CUgraph graph)
{
    const char *name = probe.result == CUDA_SUCCESS ? "ok" : probe_name(probe.result),
               *prefix = "CUDA_ERROR_";
    size_t nodes = 0;

    if (!strncmp(name, "CUDA_ERROR_STREAM_", 18))
        name += 18;
    else if (!strncmp(name, prefix, strlen(prefix)))
        name += strlen(prefix);
    if (ended == CUDA_SUCCESS && graph)
        CHECK(cuGraphGetNodes(graph, NULL, &nodes));
    snprintf(cell, CELL, "%.16s%s", name, ended != CUDA_SUCCESS ? " LOST" : nodes > 1 ? " +node" : "");
}

/* One kernel is captured before the call, so a graph of one node is what should come out. */
static void try_call(uintptr_t index, bool by_other, char cell[CELL])
{
    CUgraph graph = NULL;
    pthread_t thread;
    CUresult ended;

    prepare();
    CHECK(cuStreamBeginCapture(probe.captured, probe.mode));
    CHECK(launch_captured());
    CHECK(cuEventRecord(probe.into_capture, probe.captured));
    if (by_other) {
        if (pthread_create(&thread, NULL, make_call, (void *)index))
            exit(1);
        pthread_join(thread, NULL);
    } else {
        make_call((void *)index);
    }
    ended = cuStreamEndCapture(probe.captured, &graph);
    name_cell(cell, ended, graph);
    if (graph)
        CHECK(cuGraphDestroy(graph));
    CHECK(cuEventDestroy(probe.into_capture));
    CHECK(cuStreamDestroy(probe.captured));
}

static void print_table(bool by_other)
{
    static const char *const modes[] = {"global", "thread-local", "relaxed"};

    printf("\ncalled by %s\n%-38s", by_other ? "another thread" : "the thread that captures", "");
    for (int column = 0; column < 6; column++)
        printf(" %-22.22s", column % 2 ? "  after exchange" : modes[column / 2]);
    printf("\n");
    for (uintptr_t i = 0; i < CALLS; i++) {
        printf("%-38s", calls[i].name);
        for (int column = 0; column < 6; column++) {
            char cell[CELL];

            probe.mode = (CUstreamCaptureMode)(column / 2);
            probe.is_relaxed = column % 2;
            try_call(i, by_other, cell);
            printf(" %-22s", cell);
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    CUdevice device;

    probe.stream_flags =
        argc > 1 && !strcmp(argv[1], "blocking") ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING;
    probe.context = probe_open(&device);
    probe.kernel = probe_kernel(PROBE_EMPTY_PTX, "empty");
    CHECK(cuStreamCreate(&probe.other, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&probe.done, CU_EVENT_DEFAULT));
    CHECK(cuEventCreate(&probe.done_later, CU_EVENT_DEFAULT));
    printf("a stream %s captures\n",
           probe.stream_flags ? "of its own order" : "that the legacy stream waits for");
    printf("LOST: the capture was invalidated; +node: it got a node; exchange: to the relaxed mode, by the "
           "calling thread\n");
    print_table(false);
    print_table(true);
    return 0;
}
