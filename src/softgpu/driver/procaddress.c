/* cuGetProcAddress: which of our functions a name means at a version. The rows are generated from the
 * description. */
#include "api/entries.h"
#include "api/lookup.h"
#include "softgpu/driver/process.h"

CUresult cuGetProcAddress_v2(const char *symbol, void **ret_function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *ret_status)
{
    return api_cuda_proc_address(api_cuda_entries, symbol, ret_function, version, flags, ret_status);
}

CUresult cuGetProcAddress(const char *symbol, void **ret_function, int version, cuuint64_t flags)
{
    return api_cuda_proc_address(api_cuda_entries, symbol, ret_function, version, flags, NULL);
}
