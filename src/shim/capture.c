/* Capture of streams: what is launched into one is recorded and not run, so it is neither paid for nor
 * measured, and nothing of ours may get into the recording. Here it is only counted how many there are, so
 * that launches ask the driver no more often than they need. */
#include "shim/gate.h"
#include "shim/gate_thread.h"
#include "shim/shim.h"

/* Raised before the driver may begin, lowered when it has ended. A stream that is destroyed while it captures
 * leaves it raised: then launches go on asking, and the driver answers. */
static void count(int delta)
{
    unsigned captures = __atomic_load_n(&gate_captures, __ATOMIC_RELAXED), next;

    do
        next = delta < 0 ? captures - !!captures : captures + 1;
    while (!__atomic_compare_exchange_n(&gate_captures, &captures, next, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
}

#define BEGIN(name, ...)                                                                                     \
    struct ledger_client *client;                                                                            \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client)                                                                                   \
        return result ? result : real(name)(__VA_ARGS__);                                                    \
    count(1);                                                                                                \
    result = real(name)(__VA_ARGS__);                                                                        \
    if (result != CUDA_SUCCESS)                                                                              \
        count(-1);                                                                                           \
    return result

CUresult cuStreamBeginCapture(CUstream stream)
{
    BEGIN(cuStreamBeginCapture, stream);
}

CUresult cuStreamBeginCapture_ptsz(CUstream stream)
{
    BEGIN(cuStreamBeginCapture_ptsz, stream);
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    BEGIN(cuStreamBeginCapture_v2, stream, mode);
}

CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, CUstreamCaptureMode mode)
{
    BEGIN(cuStreamBeginCapture_v2_ptsz, stream, mode);
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
                                     const CUgraphEdgeData *edges, size_t count_, CUstreamCaptureMode mode)
{
    BEGIN(cuStreamBeginCaptureToGraph, stream, graph, dependencies, edges, count_, mode);
}

CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
                                          const CUgraphEdgeData *edges, size_t count_,
                                          CUstreamCaptureMode mode)
{
    BEGIN(cuStreamBeginCaptureToGraph_ptsz, stream, graph, dependencies, edges, count_, mode);
}

/* An invalidated capture is over too, whatever the code. */
static bool is_over(CUresult result)
{
    return result == CUDA_SUCCESS || result == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

#define END(name, stream, graph)                                                                             \
    struct ledger_client *client;                                                                            \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client)                                                                                   \
        return result ? result : real(name)(stream, graph);                                                  \
    result = real(name)(stream, graph);                                                                      \
    if (is_over(result))                                                                                     \
        count(-1);                                                                                           \
    return result

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    END(cuStreamEndCapture, stream, graph);
}

CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph *graph)
{
    END(cuStreamEndCapture_ptsz, stream, graph);
}
