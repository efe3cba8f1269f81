/* Searches in the generated rows. They are sorted by name, then version, so the rows of one name are
 * neighbours and the last one that is old enough is the newest; bytes are compared with strcmp, as the
 * generator sorts them. */
#include "api/lookup.h"

#include <errno.h>
#include <string.h>

#include "api/lookup_rows.h"

/* First row whose name is not less than name. */
static unsigned first_of_name(const char *name)
{
    unsigned low = 0, high = api_cuda_rows_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (strcmp(api_cuda_rows[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int api_cuda_find(const char *name, int version, cuuint64_t flags, const struct cuda_row **ret_row)
{
    const bool per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    const struct cuda_row *plain = NULL, *own_stream = NULL;
    unsigned i = first_of_name(name);

    if (i == api_cuda_rows_count || strcmp(api_cuda_rows[i].name, name) != 0)
        return -ENOENT;
    for (; i < api_cuda_rows_count && strcmp(api_cuda_rows[i].name, name) == 0; i++) {
        const struct cuda_row *row = &api_cuda_rows[i];

        if (row->since > version)
            continue;
        if (row->variant == API_PLAIN)
            plain = row;
        else
            own_stream = row;
    }
    if (!plain)
        return -ERANGE;
    *ret_row = per_thread && own_stream ? own_stream : plain;
    return 0;
}

const struct cuda_row *api_cuda_symbol(const char *symbol)
{
    unsigned low = 0, high = api_cuda_rows_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const struct cuda_row *row = &api_cuda_rows[api_cuda_by_symbol[middle]];
        int order = strcmp(row->symbol, symbol);

        if (order == 0)
            return row;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct nvml_row *api_nvml_symbol(const char *symbol)
{
    unsigned low = 0, high = api_nvml_rows_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const struct nvml_row *row = &api_nvml_rows[api_nvml_by_symbol[middle]];
        int order = strcmp(row->symbol, symbol);

        if (order == 0)
            return row;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct cuda_row *api_cuda_slot(unsigned slot)
{
    return slot < api_cuda_rows_count ? &api_cuda_rows[api_cuda_by_slot[slot]] : NULL;
}

const struct nvml_row *api_nvml_slot(unsigned slot)
{
    return slot < api_nvml_rows_count ? &api_nvml_rows[api_nvml_by_slot[slot]] : NULL;
}

CUresult api_cuda_proc_address(void *const *entries, const char *name, void **ret_function, int version,
                               cuuint64_t flags, CUdriverProcAddressQueryResult *ret_status)
{
    const cuuint64_t known =
        CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    const struct cuda_row *row;
    void *function = NULL;
    int r;

    if (!name || !ret_function || (flags & ~known) || flags == known)
        return CUDA_ERROR_INVALID_VALUE;
    r = api_cuda_find(name, version, flags, &row);
    if (r == 0)
        function = entries[row->slot];
    if (function)
        status = CU_GET_PROC_ADDRESS_SUCCESS;
    else if (r == -ERANGE)
        status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    if (ret_status)
        *ret_status = status;
    *ret_function = function;
    /* With a status to read, a missing name is an answer; without one it is an error. */
    return function || ret_status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
