/* Calls that wait for the device. They are never held up or refused; but after one, pools may have given
 * memory back and frees may have come to pass, and other processes of the instance are waiting for it. With
 * nothing to settle this costs four loads. */
#include <stddef.h>

#include "shim/deferred.h"
#include "shim/gate.h"
#include "shim/graph_charge.h"
#include "shim/overhead.h"
#include "shim/pool.h"
#include "shim/shim.h"

static void waited(struct ledger_client *client, uintptr_t stream)
{
    if (stream == ROOM_ANY_STREAM)
        deferred_settle(client, true);
    pool_settle_after_sync(client, stream);
    graph_settle_after_sync(client);
    overhead_settle_rest(client);
}

#define WAIT(call, stream)                                                                                   \
    struct ledger_client *client;                                                                            \
    struct pool_slack slack;                                                                                 \
    struct gate_marks marks;                                                                                 \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client)                                                                                   \
        return result ? result : call;                                                                       \
    pool_slack_begin(&slack);                                                                                \
    gate_mark(&marks);                                                                                       \
    result = call;                                                                                           \
    if (result == CUDA_SUCCESS)                                                                              \
        waited(client, stream);                                                                              \
    gate_waited(&marks);                                                                                     \
    pool_slack_end(&slack);                                                                                  \
    return result

CUresult cuStreamSynchronize(CUstream stream)
{
    WAIT(real(cuStreamSynchronize)(stream), (uintptr_t)(stream ? stream : CU_STREAM_LEGACY));
}

CUresult cuStreamSynchronize_ptsz(CUstream stream)
{
    WAIT(real(cuStreamSynchronize_ptsz)(stream), stream ? (uintptr_t)stream : ROOM_NO_STREAM);
}

CUresult cuEventSynchronize(CUevent event)
{
    WAIT(real(cuEventSynchronize)(event), ROOM_NO_STREAM);
}

CUresult cuCtxSynchronize(void)
{
    WAIT(real(cuCtxSynchronize)(), ROOM_ANY_STREAM);
}

/* Context NULL is the current one; of another one only its own frees are known to be over when it was made
 * current, so events are asked. */
CUresult cuCtxSynchronize_v2(CUcontext context)
{
    WAIT(real(cuCtxSynchronize_v2)(context), context ? ROOM_NO_STREAM : ROOM_ANY_STREAM);
}
