/* Calls that wait for the device. They are never held up or refused; but after one, pools may have given
 * memory back and frees may have come to pass, and other processes of the instance are waiting for it. With
 * nothing to settle this costs three loads. */
#include <stddef.h>

#include "shim/deferred.h"
#include "shim/overhead.h"
#include "shim/pool.h"
#include "shim/shim.h"

static CUresult waited(CUresult result, struct ledger_client *client, uintptr_t stream)
{
    if (result != CUDA_SUCCESS || !client)
        return result;
    if (stream == ROOM_ANY_STREAM)
        deferred_settle(client, true);
    pool_settle_after_sync(client, stream);
    overhead_settle_rest(client);
    return result;
}

#define WAIT(call, stream)                                                                                   \
    struct ledger_client *client;                                                                            \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    return result ? result : waited(call, client, stream)

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
