/* Allocations of cuMemAlloc between processes. A handle carries the token of the segment that the allocation
 * lies in and the place in it; whoever opens it holds the segment, and so keeps it alive until it is closed.
 * Opening the same handle again in a context gives the same address and is counted. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "softgpu/driver/context.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"

#define HANDLE_MAGIC UINT32_C(0x43504947) /* "GIPC" */

/* What is in the 64 bytes of a CUipcMemHandle. */
struct handle {
    uint32_t magic, ordinal;
    uint8_t token[SGDEV_TOKEN_BYTES];
    uint64_t process; /* of the exporter: it cannot open its own */
    uint64_t offset_bytes, bytes;
};
_Static_assert(sizeof(struct handle) <= sizeof(CUipcMemHandle), "fits");

struct opened {
    struct opened *next;
    struct handle handle;
    uint64_t address, id; /* of the allocation; it may be gone with its context */
    struct context *context;
    uint32_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct opened *list;
static uint64_t own_process; /* atomic; drawn with the first handle */

static uint64_t process_name(void)
{
    uint64_t name = 0, none = 0;

    if (!__atomic_load_n(&own_process, __ATOMIC_RELAXED) && getrandom(&name, sizeof(name), 0) == sizeof(name))
        __atomic_compare_exchange_n(&own_process, &none, name | 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return __atomic_load_n(&own_process, __ATOMIC_RELAXED);
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *ret_handle, CUdeviceptr address)
{
    struct handle handle = {.magic = HANDLE_MAGIC};
    struct space_allocation found;
    struct context *context;
    CUresult result = context_enter(&context);
    unsigned ordinal;

    if (result)
        return result;
    if (!ret_handle || !space_find(address, &found) || found.kind != SPACE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    if (segment_export(found.base, handle.token, &ordinal, &handle.offset_bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    /* Not before: a child forked from a process without the driver has a name of its own. */
    handle.process = process_name();
    handle.ordinal = ordinal;
    handle.bytes = found.bytes;
    memset(ret_handle, 0, sizeof(*ret_handle));
    memcpy(ret_handle->reserved, &handle, sizeof(handle));
    return CUDA_SUCCESS;
}

/* ---- opening ---- */

static bool is_alive(const struct opened *opened)
{
    struct space_allocation found;

    return space_find(opened->address, &found) && found.id == opened->id;
}

/* The opening of that handle in context; those whose context took them with it are forgotten on the way. */
static struct opened *opened_find_locked(const struct handle *handle, const struct context *context)
{
    struct opened **link = &list;

    while (*link) {
        struct opened *each = *link;

        if (!is_alive(each)) {
            *link = each->next;
            free(each);
            continue;
        }
        if (each->context == context && memcmp(&each->handle, handle, sizeof(*handle)) == 0)
            return each;
        link = &each->next;
    }
    return NULL;
}

static CUresult open_new_locked(struct context *context, const struct handle *handle,
                                CUdeviceptr *ret_address)
{
    struct opened *opened = calloc(1, sizeof(*opened));
    struct space_allocation allocation = {
        .bytes = handle->bytes, .reach_bytes = handle->bytes, .kind = SPACE_IPC, .owner = context};
    uint64_t segment_base, segment_bytes;
    int error =
        opened ? segment_import(handle->ordinal, handle->token, &segment_base, &segment_bytes) : -ENOMEM;

    if (error) {
        free(opened);
        return error == -ENOENT ? CUDA_ERROR_INVALID_VALUE : process_result(error);
    }
    allocation.ordinal = handle->ordinal;
    allocation.base = segment_base + handle->offset_bytes;
    allocation.host = segment_host(allocation.base);
    if (handle->offset_bytes > segment_bytes || handle->bytes > segment_bytes - handle->offset_bytes ||
        space_add(&allocation)) {
        segment_free(segment_base);
        free(opened);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *opened = (struct opened){.next = list,
                              .handle = *handle,
                              .address = allocation.base,
                              .id = allocation.id,
                              .context = context,
                              .count = 1};
    list = opened;
    *ret_address = allocation.base;
    return CUDA_SUCCESS;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *ret_address, CUipcMemHandle shared, unsigned int flags)
{
    struct opened *opened;
    struct context *context;
    struct handle handle;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    memcpy(&handle, shared.reserved, sizeof(handle));
    if (!ret_address || (flags & ~(unsigned)CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) ||
        handle.magic != HANDLE_MAGIC || handle.ordinal >= sgdev_count(process_sgdev()) || !handle.bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (handle.process == __atomic_load_n(&own_process, __ATOMIC_RELAXED))
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    opened = opened_find_locked(&handle, context);
    if (opened) {
        opened->count++;
        *ret_address = opened->address;
    } else {
        result = open_new_locked(context, &handle, ret_address);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *ret_address, CUipcMemHandle shared, unsigned int flags)
{
    return cuIpcOpenMemHandle_v2(ret_address, shared, flags);
}

/* ---- closing ---- */

/* Takes one opening of address back; true when it was the last one, and the caller ends the allocation. */
static CUresult opened_close(uint64_t address, bool *ret_last)
{
    struct opened **link = &list, *found;

    *ret_last = false;
    pthread_mutex_lock(&lock);
    while (*link && ((*link)->address != address || !is_alive(*link)))
        link = &(*link)->next;
    found = *link;
    if (found && --found->count == 0) {
        *ret_last = true;
        *link = found->next;
        free(found);
    }
    pthread_mutex_unlock(&lock);
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
    struct space_allocation gone;
    struct context *context;
    CUresult result = context_enter(&context);
    bool last;

    if (result)
        return result;
    result = opened_close(address, &last);
    if (!last)
        return result;
    context_wait_all();
    if (space_remove(address, &gone) == 0)
        segment_free(gone.base);
    return CUDA_SUCCESS;
}
