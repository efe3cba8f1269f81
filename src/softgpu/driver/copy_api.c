/* The cuMemcpy* calls. Each describes its two sides and hands them to transfer_copy. */
#include "softgpu/driver/array.h"
#include "softgpu/driver/copy.h"

static struct transfer_side device_side(CUdeviceptr address)
{
    return (struct transfer_side){.address = address};
}

static struct transfer_side host_side(const void *host)
{
    return (struct transfer_side){.address = (uint64_t)(uintptr_t)host, .may_be_pageable = true};
}

/* An address that unified addressing decides about: device memory or anything of the host's. */
static struct transfer_side unified_side(CUdeviceptr address)
{
    return (struct transfer_side){.address = address, .may_be_pageable = true};
}

static CUresult copy_in(const struct transfer_copy *copy, CUstream handle, bool per_thread,
                        enum transfer_mode mode)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = transfer_copy(stream, copy, mode);
    object_unref(stream);
    return result;
}

static CUresult copy_row(struct transfer_side to, struct transfer_side from, size_t bytes, CUstream handle,
                         bool per_thread, enum transfer_mode mode)
{
    struct transfer_copy copy = {to, from, {bytes, 1, 1}};

    return copy_in(&copy, handle, per_thread, mode);
}

/* ---- one row ---- */

static CUresult cuMemcpy_in(bool per_thread, CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return copy_row(unified_side(to), unified_side(from), bytes, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpy, _ptds, (CUdeviceptr to, CUdeviceptr from, size_t bytes), to, from, bytes)

static CUresult cuMemcpyAsync_in(bool per_thread, CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                 CUstream stream)
{
    return copy_row(unified_side(to), unified_side(from), bytes, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpyAsync, _ptsz, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream), to,
                from, bytes, stream)

static CUresult cuMemcpyHtoD_v2_in(bool per_thread, CUdeviceptr to, const void *from, size_t bytes)
{
    return copy_row(device_side(to), host_side(from), bytes, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpyHtoD_v2, _ptds, (CUdeviceptr to, const void *from, size_t bytes), to, from, bytes)

static CUresult cuMemcpyHtoDAsync_v2_in(bool per_thread, CUdeviceptr to, const void *from, size_t bytes,
                                        CUstream stream)
{
    return copy_row(device_side(to), host_side(from), bytes, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpyHtoDAsync_v2, _ptsz,
                (CUdeviceptr to, const void *from, size_t bytes, CUstream stream), to, from, bytes, stream)

static CUresult cuMemcpyDtoH_v2_in(bool per_thread, void *to, CUdeviceptr from, size_t bytes)
{
    return copy_row(host_side(to), device_side(from), bytes, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpyDtoH_v2, _ptds, (void *to, CUdeviceptr from, size_t bytes), to, from, bytes)

static CUresult cuMemcpyDtoHAsync_v2_in(bool per_thread, void *to, CUdeviceptr from, size_t bytes,
                                        CUstream stream)
{
    return copy_row(host_side(to), device_side(from), bytes, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpyDtoHAsync_v2, _ptsz, (void *to, CUdeviceptr from, size_t bytes, CUstream stream), to,
                from, bytes, stream)

static CUresult cuMemcpyDtoD_v2_in(bool per_thread, CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    return copy_row(device_side(to), device_side(from), bytes, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpyDtoD_v2, _ptds, (CUdeviceptr to, CUdeviceptr from, size_t bytes), to, from, bytes)

static CUresult cuMemcpyDtoDAsync_v2_in(bool per_thread, CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                        CUstream stream)
{
    return copy_row(device_side(to), device_side(from), bytes, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpyDtoDAsync_v2, _ptsz,
                (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream), to, from, bytes, stream)

/* ---- between contexts ---- */

static bool contexts_exist(CUcontext first, CUcontext second)
{
    struct context *a = object_get(OBJECT_CONTEXT, first), *b = object_get(OBJECT_CONTEXT, second);
    bool exist = a && b;

    object_unref(a);
    object_unref(b);
    return exist;
}

static CUresult copy_peer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                          size_t bytes, CUstream stream, bool per_thread)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!contexts_exist(to_context, from_context))
        return CUDA_ERROR_INVALID_CONTEXT;
    /* Copies between devices do not block the host. */
    return copy_row(device_side(to), device_side(from), bytes, stream, per_thread, TRANSFER_ASYNC);
}

static CUresult cuMemcpyPeer_in(bool per_thread, CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                                CUcontext from_context, size_t bytes)
{
    return copy_peer(to, to_context, from, from_context, bytes, NULL, per_thread);
}

STREAM_VARIANTS(cuMemcpyPeer, _ptds,
                (CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                 size_t bytes),
                to, to_context, from, from_context, bytes)

static CUresult cuMemcpyPeerAsync_in(bool per_thread, CUdeviceptr to, CUcontext to_context, CUdeviceptr from,
                                     CUcontext from_context, size_t bytes, CUstream stream)
{
    return copy_peer(to, to_context, from, from_context, bytes, stream, per_thread);
}

STREAM_VARIANTS(cuMemcpyPeerAsync, _ptsz,
                (CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes,
                 CUstream stream),
                to, to_context, from, from_context, bytes, stream)

/* ---- two and three dimensions ---- */

/* One side as CUDA_MEMCPY2D and CUDA_MEMCPY3D describe it. */
struct side_description {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    CUarray array;
    size_t x_bytes, y, z, pitch_bytes, height;
};

/* A box of an array: all inside, and of whole elements. The pitch is the array's own. */
static CUresult array_side(const struct side_description *from, size_t width_bytes, size_t height,
                           size_t depth, struct transfer_side *ret_side)
{
    struct array *array = object_get(OBJECT_ARRAY, from->array);

    if (!array)
        return CUDA_ERROR_INVALID_HANDLE;

    const struct array_layout *layout = &array->layout;
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    if (from->x_bytes % layout->element_bytes == 0 && width_bytes % layout->element_bytes == 0 &&
        width_bytes <= layout->row_bytes && from->x_bytes <= layout->row_bytes - width_bytes &&
        height <= layout->rows && from->y <= layout->rows - height && depth <= layout->slices &&
        from->z <= layout->slices - depth) {
        *ret_side = (struct transfer_side){
            .address = array->address + from->z * layout->slice_bytes + from->y * layout->pitch_bytes +
                       from->x_bytes,
            .is_array = true,
            .pitch_bytes = layout->pitch_bytes,
            .slice_bytes = layout->slice_bytes,
        };
        result = CUDA_SUCCESS;
    }
    object_unref(array);
    return result;
}

static CUresult side_from(const struct side_description *from, size_t width_bytes, size_t height,
                          size_t depth, struct transfer_side *ret_side)
{
    struct transfer_side side;
    size_t pitch = from->pitch_bytes ? from->pitch_bytes : from->x_bytes + width_bytes;
    size_t rows = from->height ? from->height : from->y + height;
    size_t offset, slice;

    switch (from->type) {
    case CU_MEMORYTYPE_HOST:
        side = host_side(from->host);
        break;
    case CU_MEMORYTYPE_DEVICE:
        side = device_side(from->device);
        break;
    case CU_MEMORYTYPE_UNIFIED:
        side = unified_side(from->device);
        break;
    case CU_MEMORYTYPE_ARRAY:
        return array_side(from, width_bytes, height, depth, ret_side);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    /* Rows must not overlap, nor slices. */
    if ((height > 1 || depth > 1) && (pitch < width_bytes || pitch - width_bytes < from->x_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (depth > 1 && (rows < height || rows - height < from->y))
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(pitch, rows, &slice) || __builtin_mul_overflow(slice, from->z, &offset) ||
        __builtin_add_overflow(offset, from->y * pitch + from->x_bytes, &offset))
        return CUDA_ERROR_INVALID_VALUE;
    side.address += offset;
    side.pitch_bytes = pitch;
    side.slice_bytes = slice;
    *ret_side = side;
    return CUDA_SUCCESS;
}

static CUresult copy_box(const struct side_description *to, const struct side_description *from,
                         size_t width_bytes, size_t height, size_t depth, CUstream stream, bool per_thread,
                         enum transfer_mode mode)
{
    struct transfer_copy copy = {.box = {width_bytes, height, depth}};
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = side_from(to, width_bytes, height, depth, &copy.destination);
    if (!result)
        result = side_from(from, width_bytes, height, depth, &copy.source);
    return result ? result : copy_in(&copy, stream, per_thread, mode);
}

static CUresult copy_2d(const CUDA_MEMCPY2D *copy, CUstream stream, bool per_thread, enum transfer_mode mode)
{
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;

    struct side_description to = {copy->dstMemoryType,
                                  copy->dstHost,
                                  copy->dstDevice,
                                  copy->dstArray,
                                  copy->dstXInBytes,
                                  copy->dstY,
                                  0,
                                  copy->dstPitch,
                                  0};
    struct side_description from = {copy->srcMemoryType,
                                    copy->srcHost,
                                    copy->srcDevice,
                                    copy->srcArray,
                                    copy->srcXInBytes,
                                    copy->srcY,
                                    0,
                                    copy->srcPitch,
                                    0};

    return copy_box(&to, &from, copy->WidthInBytes, copy->Height, 1, stream, per_thread, mode);
}

static CUresult cuMemcpy2D_v2_in(bool per_thread, const CUDA_MEMCPY2D *copy)
{
    return copy_2d(copy, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpy2D_v2, _ptds, (const CUDA_MEMCPY2D *copy), copy)

static CUresult cuMemcpy2DUnaligned_v2_in(bool per_thread, const CUDA_MEMCPY2D *copy)
{
    return copy_2d(copy, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpy2DUnaligned_v2, _ptds, (const CUDA_MEMCPY2D *copy), copy)

static CUresult cuMemcpy2DAsync_v2_in(bool per_thread, const CUDA_MEMCPY2D *copy, CUstream stream)
{
    return copy_2d(copy, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpy2DAsync_v2, _ptsz, (const CUDA_MEMCPY2D *copy, CUstream stream), copy, stream)

/* CUDA_MEMCPY3D and CUDA_MEMCPY3D_PEER name the sides alike, so one macro reads both. */
#define SIDES_3D(copy)                                                                                       \
    struct side_description to = {(copy)->dstMemoryType, (copy)->dstHost,     (copy)->dstDevice,             \
                                  (copy)->dstArray,      (copy)->dstXInBytes, (copy)->dstY,                  \
                                  (copy)->dstZ,          (copy)->dstPitch,    (copy)->dstHeight};            \
    struct side_description from = {(copy)->srcMemoryType, (copy)->srcHost,     (copy)->srcDevice,           \
                                    (copy)->srcArray,      (copy)->srcXInBytes, (copy)->srcY,                \
                                    (copy)->srcZ,          (copy)->srcPitch,    (copy)->srcHeight}

CUresult transfer_describe_3d(const CUDA_MEMCPY3D *description, struct transfer_copy *ret_copy)
{
    size_t width_bytes = description->WidthInBytes, height = description->Height, depth = description->Depth;
    struct transfer_copy copy = {.box = {width_bytes, height, depth}};
    CUresult result;

    if (description->srcLOD || description->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    SIDES_3D(description);

    result = side_from(&to, width_bytes, height, depth, &copy.destination);
    if (!result)
        result = side_from(&from, width_bytes, height, depth, &copy.source);
    if (!result)
        *ret_copy = copy;
    return result;
}

CUresult copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, bool per_thread, enum transfer_mode mode)
{
    if (!copy || copy->srcLOD || copy->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    SIDES_3D(copy);

    return copy_box(&to, &from, copy->WidthInBytes, copy->Height, copy->Depth, stream, per_thread, mode);
}

static CUresult cuMemcpy3D_v2_in(bool per_thread, const CUDA_MEMCPY3D *copy)
{
    return copy_3d(copy, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpy3D_v2, _ptds, (const CUDA_MEMCPY3D *copy), copy)

static CUresult cuMemcpy3DAsync_v2_in(bool per_thread, const CUDA_MEMCPY3D *copy, CUstream stream)
{
    return copy_3d(copy, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpy3DAsync_v2, _ptsz, (const CUDA_MEMCPY3D *copy, CUstream stream), copy, stream)

/* The context is asked for where the memory is a device's. */
static bool peer_exists(CUmemorytype type, CUcontext context)
{
    return (type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_ARRAY) || contexts_exist(context, context);
}

static CUresult copy_3d_peer(const CUDA_MEMCPY3D_PEER *copy, CUstream stream, bool per_thread,
                             enum transfer_mode mode)
{
    if (!copy || copy->srcLOD || copy->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    if (!peer_exists(copy->dstMemoryType, copy->dstContext) ||
        !peer_exists(copy->srcMemoryType, copy->srcContext))
        return CUDA_ERROR_INVALID_CONTEXT;
    SIDES_3D(copy);

    return copy_box(&to, &from, copy->WidthInBytes, copy->Height, copy->Depth, stream, per_thread, mode);
}

static CUresult cuMemcpy3DPeer_in(bool per_thread, const CUDA_MEMCPY3D_PEER *copy)
{
    return copy_3d_peer(copy, NULL, per_thread, TRANSFER_SYNC);
}

STREAM_VARIANTS(cuMemcpy3DPeer, _ptds, (const CUDA_MEMCPY3D_PEER *copy), copy)

static CUresult cuMemcpy3DPeerAsync_in(bool per_thread, const CUDA_MEMCPY3D_PEER *copy, CUstream stream)
{
    return copy_3d_peer(copy, stream, per_thread, TRANSFER_ASYNC);
}

STREAM_VARIANTS(cuMemcpy3DPeerAsync, _ptsz, (const CUDA_MEMCPY3D_PEER *copy, CUstream stream), copy, stream)
