/* Doors to device memory that are not accounted for: pools of other processes. With no limit set they are the
 * driver's; with one they are refused, because what is not counted would break it. Each says its name once.
 */
#include "shim/shim.h"

CUresult shim_refuse(const char *call)
{
    static const char *said[32];

    for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        const char *none = NULL;

        if (__atomic_compare_exchange_n(&said[i], &none, call, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            shim_say("%s is refused: its memory cannot be counted yet, and this instance has a memory limit",
                     call);
            break;
        }
        if (none == call)
            break;
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* A hook that passes the call on when no limit is set and refuses it otherwise. */
#define REFUSED(name, parameters, ...)                                                                       \
    CUresult name parameters                                                                                 \
    {                                                                                                        \
        static const char call[] = #name;                                                                    \
        struct ledger_client *client;                                                                        \
        CUresult result = shim_limit(&client);                                                               \
                                                                                                             \
        if (result)                                                                                          \
            return result;                                                                                   \
        return client ? shim_refuse(call) : real(name)(__VA_ARGS__);                                         \
    }

REFUSED(cuMemPoolImportFromShareableHandle,
        (CUmemoryPool * pool, void *handle, CUmemAllocationHandleType type, unsigned long long flags), pool,
        handle, type, flags)
REFUSED(cuMemPoolImportPointer, (CUdeviceptr * address, CUmemoryPool pool, CUmemPoolPtrExportData *exported),
        address, pool, exported)
