/* The null driver's only function with a body: every other entry point is generated and empty, so that what
 * stands before a driver can be measured without one. */
#include "api/cuda_api.h"
#include "api/entries.h"
#include "api/lookup.h"

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    return api_cuda_proc_address(api_cuda_entries, symbol, function, version, flags, status);
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
    return api_cuda_proc_address(api_cuda_entries, symbol, function, version, flags, NULL);
}
