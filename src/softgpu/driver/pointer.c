/* What a pointer is: cuPointerGetAttribute(s), and the hints about managed memory, which the software GPU
 * accepts and remembers but has no use for: its managed memory never moves. */
#include <string.h>

#include "softgpu/driver/context.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/stream.h"

static bool is_host_kind(enum space_kind kind)
{
    return kind == SPACE_HOST || kind == SPACE_HOST_REGISTERED;
}

static bool is_visible_to_host(enum space_kind kind)
{
    return is_host_kind(kind) || kind == SPACE_MANAGED;
}

#define PUT(type, expression)                                                                                \
    do {                                                                                                     \
        *(type *)value = (type)(expression);                                                                 \
        return CUDA_SUCCESS;                                                                                 \
    } while (0)

static CUresult put_attribute(void *value, CUpointer_attribute attribute,
                              const struct space_allocation *found, uint64_t address)
{
    bool on_host = is_host_kind(found->kind);

    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        PUT(CUcontext, found->owner);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        PUT(unsigned, on_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        PUT(CUdeviceptr, address);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (!is_visible_to_host(found->kind))
            return CUDA_ERROR_INVALID_VALUE;
        PUT(void *, (uintptr_t)address);
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        PUT(int, found->sync_memops);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        PUT(unsigned long long, found->id);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        PUT(int, found->kind == SPACE_MANAGED);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        PUT(int, (int)process_device_number(found->ordinal));
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        PUT(int, 0);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        PUT(CUdeviceptr, found->base);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        PUT(size_t, found->bytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
        PUT(int, 1);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        PUT(unsigned long long, 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        PUT(unsigned, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        PUT(CUmemoryPool, found->pool);
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        PUT(unsigned long long, found->id);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
    struct space_allocation found;
    CUresult result = process_check();

    if (result)
        return result;
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    /* Memory nobody allocated through the driver is not an error for this one question alone. */
    if (!space_find(address, &found)) {
        if (attribute == CU_POINTER_ATTRIBUTE_MAPPED)
            PUT(int, 0);
        return CUDA_ERROR_INVALID_VALUE;
    }
    return put_attribute(value, attribute, &found, address);
}

/* Value of an attribute for a pointer that is nobody's, as cuPointerGetAttributes reports it without failing.
 */
static CUresult put_nothing(void *value, CUpointer_attribute attribute)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        PUT(void *, NULL);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        PUT(unsigned long long, 0);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        PUT(int, CU_DEVICE_INVALID);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
        PUT(int, 0);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **values,
                                CUdeviceptr address)
{
    struct space_allocation found;
    CUresult result = process_check();

    if (result)
        return result;
    if (!count || !attributes || !values)
        return CUDA_ERROR_INVALID_VALUE;
    bool is_ours = space_find(address, &found);
    for (unsigned i = 0; i < count && !result; i++) {
        if (!values[i])
            return CUDA_ERROR_INVALID_VALUE;
        /* Asked for together, what does not apply is reported as nothing rather than as an error. */
        if (!is_ours || put_attribute(values[i], attributes[i], &found, address))
            result = put_nothing(values[i], attributes[i]);
    }
    return result;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
    struct space_allocation found;
    CUresult result = process_check();

    if (result)
        return result;
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !space_find(address, &found) ||
        found.base != address)
        return CUDA_ERROR_INVALID_VALUE;
    found.sync_memops = *(const int *)value != 0;
    return space_update(&found) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* ---- managed memory ---- */

static bool find_managed(uint64_t address, uint64_t bytes, struct space_allocation *ret_found)
{
    return space_find(address, ret_found) && ret_found->kind == SPACE_MANAGED && bytes &&
           bytes <= ret_found->bytes - (address - ret_found->base);
}

static bool location_is_valid(CUmemLocation location)
{
    switch (location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return location.id >= 0 && (unsigned)location.id < process_device_count();
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        return true;
    default:
        return false;
    }
}

static CUresult advise(uint64_t address, uint64_t bytes, CUmem_advise advice, CUmemLocation location)
{
    struct space_allocation found;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if ((int)advice < CU_MEM_ADVISE_SET_READ_MOSTLY || (int)advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY ||
        !find_managed(address, bytes, &found))
        return CUDA_ERROR_INVALID_VALUE;
    if (advice == CU_MEM_ADVISE_SET_READ_MOSTLY || advice == CU_MEM_ADVISE_UNSET_READ_MOSTLY) {
        found.is_read_mostly = advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
        return space_update(&found) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    }
    if (advice != CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION && !location_is_valid(location))
        return CUDA_ERROR_INVALID_DEVICE;
    return CUDA_SUCCESS;
}

static CUmemLocation location_of_device(CUdevice device)
{
    return (CUmemLocation){
        .type = device == CU_DEVICE_CPU ? CU_MEM_LOCATION_TYPE_HOST : CU_MEM_LOCATION_TYPE_DEVICE,
        .id = device == CU_DEVICE_CPU ? 0 : device,
    };
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device)
{
    return advise(address, bytes, advice, location_of_device(device));
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location)
{
    return advise(address, bytes, advice, location);
}

static CUresult prefetch(uint64_t address, uint64_t bytes, CUmemLocation location, CUstream handle,
                         bool per_thread)
{
    struct space_allocation found;
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    object_unref(stream);
    if (!find_managed(address, bytes, &found))
        return CUDA_ERROR_INVALID_VALUE;
    return location_is_valid(location) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

static CUresult cuMemPrefetchAsync_in(bool per_thread, CUdeviceptr address, size_t bytes, CUdevice device,
                                      CUstream stream)
{
    return prefetch(address, bytes, location_of_device(device), stream, per_thread);
}

STREAM_VARIANTS(cuMemPrefetchAsync, _ptsz,
                (CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream), address, bytes, device,
                stream)

static CUresult cuMemPrefetchAsync_v2_in(bool per_thread, CUdeviceptr address, size_t bytes,
                                         CUmemLocation location, unsigned int flags, CUstream stream)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : prefetch(address, bytes, location, stream, per_thread);
}

STREAM_VARIANTS(cuMemPrefetchAsync_v2, _ptsz,
                (CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags,
                 CUstream stream),
                address, bytes, location, flags, stream)

CUresult cuMemRangeGetAttribute(void *value, size_t value_bytes, CUmem_range_attribute attribute,
                                CUdeviceptr address, size_t bytes)
{
    struct space_allocation found;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!value || value_bytes < sizeof(int) || value_bytes % sizeof(int) ||
        !find_managed(address, bytes, &found))
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
        PUT(int, found.is_read_mostly);
    case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
        for (size_t i = 0; i < value_bytes / sizeof(int); i++)
            ((int *)value)[i] = CU_DEVICE_INVALID;
        return CUDA_SUCCESS;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
        PUT(int, CU_DEVICE_INVALID);
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}

CUresult cuMemRangeGetAttributes(void **values, size_t *value_bytes, CUmem_range_attribute *attributes,
                                 size_t count, CUdeviceptr address, size_t bytes)
{
    CUresult result = values && value_bytes && attributes && count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (size_t i = 0; i < count && !result; i++)
        result = cuMemRangeGetAttribute(values[i], value_bytes[i], attributes[i], address, bytes);
    return result;
}

static CUresult cuStreamAttachMemAsync_in(bool per_thread, CUstream handle, CUdeviceptr address, size_t bytes,
                                          unsigned int flags)
{
    struct space_allocation found;
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    object_unref(stream);
    if (!space_find(address, &found) || found.kind != SPACE_MANAGED || found.base != address ||
        (bytes && bytes != found.bytes) ||
        (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

STREAM_VARIANTS(cuStreamAttachMemAsync, _ptsz,
                (CUstream stream, CUdeviceptr address, size_t bytes, unsigned int flags), stream, address,
                bytes, flags)
