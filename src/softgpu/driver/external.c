/* External memory: what cuMemExportToShareableHandle exported as a file descriptor is taken for an opaque one
 * of another API. A mapped buffer has addresses of its own and keeps the memory alive by itself. */
#include "softgpu/driver/external.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softgpu/driver/context.h"
#include "softgpu/driver/physical.h"
#include "softgpu/driver/segment.h"

struct external {
    struct object object;
    struct physical *physical; /* with its one handle */
};

static void external_free(void *object)
{
    struct external *external = object;

    physical_release((CUmemGenericAllocationHandle)(uintptr_t)external->physical);
    free(external);
}

CUresult cuImportExternalMemory(CUexternalMemory *ret_memory,
                                const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description)
{
    struct external *external;
    struct context *context;
    CUresult result = context_enter(&context);
    int error;

    if (result)
        return result;
    if (!ret_memory || !description || !description->size)
        return CUDA_ERROR_INVALID_VALUE;
    if (description->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD)
        return CUDA_ERROR_NOT_SUPPORTED;
    external = calloc(1, sizeof(*external));
    if (!external)
        return CUDA_ERROR_OUT_OF_MEMORY;
    error = physical_import(description->handle.fd, &external->physical);
    if (error) {
        free(external);
        return error == -EINVAL || error == -ENOENT || error == -EBADF ? CUDA_ERROR_INVALID_VALUE
                                                                       : process_result(error);
    }
    object_init(&external->object, OBJECT_EXTERNAL_MEMORY, external_free);
    object_publish(external);
    object_unref(external);
    /* As documented: the descriptor is the driver's from now on. */
    close(description->handle.fd);
    *ret_memory = (CUexternalMemory)(void *)external;
    return CUDA_SUCCESS;
}

CUresult cuDestroyExternalMemory(CUexternalMemory memory)
{
    CUresult result = process_check();
    struct external *external;

    if (result)
        return result;
    external = object_get(OBJECT_EXTERNAL_MEMORY, memory);
    if (!external || !object_retire(external))
        result = CUDA_ERROR_INVALID_HANDLE;
    object_unref(external);
    return result;
}

/* Addresses and a mapping for bytes of physical from offset_bytes on. 0 or negative errno. */
static int buffer_make(struct context *context, struct physical *physical, uint64_t offset_bytes,
                       uint64_t bytes, CUdeviceptr *ret_address)
{
    uint64_t granule = context->device->properties->granule_bytes, before = offset_bytes % granule,
             whole_bytes = segment_round(physical->ordinal, before + bytes), base;
    struct space_allocation buffer = {.bytes = bytes,
                                      .reach_bytes = bytes,
                                      .kind = SPACE_EXTERNAL,
                                      .ordinal = physical->ordinal,
                                      .owner = context,
                                      .physical = physical};
    int error = segment_addresses_take(whole_bytes, 0, 0, &base);

    if (error)
        return error;
    buffer.base = base + before;
    buffer.host = physical_map(physical, offset_bytes - before, whole_bytes, NULL);
    if (buffer.host) {
        buffer.host += before;
        error = space_add(&buffer);
        if (error)
            munmap(buffer.host - before, whole_bytes);
    }
    if (!buffer.host || error) {
        segment_addresses_give(base, whole_bytes);
        return -ENOMEM;
    }
    object_ref(physical);
    *ret_address = buffer.base;
    return 0;
}

void external_buffer_end(const struct space_allocation *buffer)
{
    uint64_t granule = sgdev_properties(process_sgdev(), buffer->ordinal)->granule_bytes,
             before = buffer->base % granule,
             whole_bytes = segment_round(buffer->ordinal, before + buffer->bytes);

    munmap(buffer->host - before, whole_bytes);
    segment_addresses_give(buffer->base - before, whole_bytes);
    object_unref(buffer->physical);
}

CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr *ret_address, CUexternalMemory memory,
                                         const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *description)
{
    struct external *external;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    external = object_get(OBJECT_EXTERNAL_MEMORY, memory);
    if (!external)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!ret_address || !description || !description->size || description->flags ||
        description->offset > external->physical->bytes ||
        description->size > external->physical->bytes - description->offset)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = process_result(
            buffer_make(context, external->physical, description->offset, description->size, ret_address));
    object_unref(external);
    return result;
}
