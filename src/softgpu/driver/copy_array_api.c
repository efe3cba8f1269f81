/* The copies to and from arrays of one row, cuMemcpyHtoA and its kin: boxes of one row, handed to the calls
 * that copy boxes. What those check of an array (its elements are not divided, its end is not passed) holds
 * here too. */
#include "softgpu/driver/array.h"
#include "softgpu/driver/copy.h"

static CUresult copy_row(bool per_thread, CUDA_MEMCPY3D *copy, size_t bytes)
{
    copy->WidthInBytes = bytes;
    copy->Height = copy->Depth = 1;
    return copy_3d(copy, NULL, per_thread, TRANSFER_SYNC);
}

static CUresult copy_row_async(bool per_thread, CUDA_MEMCPY3D *copy, size_t bytes, CUstream stream)
{
    copy->WidthInBytes = bytes;
    copy->Height = copy->Depth = 1;
    return copy_3d(copy, stream, per_thread, TRANSFER_ASYNC);
}

/* These calls are for arrays of one dimension; another has rows that the bytes would have to go around. */
static CUresult check_row(CUarray handle)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor;
    CUresult result = cuArray3DGetDescriptor_v2(&descriptor, handle);

    if (result)
        return result;
    return descriptor.Height > 1 || descriptor.Depth > 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

#define TO_ARRAY(array, offset)                                                                              \
    .dstMemoryType = CU_MEMORYTYPE_ARRAY, .dstArray = (array), .dstXInBytes = (offset)
#define FROM_ARRAY(array, offset)                                                                            \
    .srcMemoryType = CU_MEMORYTYPE_ARRAY, .srcArray = (array), .srcXInBytes = (offset)

static CUresult cuMemcpyDtoA_v2_in(bool per_thread, CUarray to, size_t to_offset, CUdeviceptr from,
                                   size_t bytes)
{
    CUDA_MEMCPY3D copy = {TO_ARRAY(to, to_offset), .srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = from};
    CUresult result = check_row(to);

    return result ? result : copy_row(per_thread, &copy, bytes);
}

STREAM_VARIANTS(cuMemcpyDtoA_v2, _ptds, (CUarray to, size_t to_offset, CUdeviceptr from, size_t bytes), to,
                to_offset, from, bytes)

static CUresult cuMemcpyAtoD_v2_in(bool per_thread, CUdeviceptr to, CUarray from, size_t from_offset,
                                   size_t bytes)
{
    CUDA_MEMCPY3D copy = {FROM_ARRAY(from, from_offset), .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                          .dstDevice = to};
    CUresult result = check_row(from);

    return result ? result : copy_row(per_thread, &copy, bytes);
}

STREAM_VARIANTS(cuMemcpyAtoD_v2, _ptds, (CUdeviceptr to, CUarray from, size_t from_offset, size_t bytes), to,
                from, from_offset, bytes)

static CUresult cuMemcpyHtoA_v2_in(bool per_thread, CUarray to, size_t to_offset, const void *from,
                                   size_t bytes)
{
    CUDA_MEMCPY3D copy = {TO_ARRAY(to, to_offset), .srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = from};
    CUresult result = check_row(to);

    return result ? result : copy_row(per_thread, &copy, bytes);
}

STREAM_VARIANTS(cuMemcpyHtoA_v2, _ptds, (CUarray to, size_t to_offset, const void *from, size_t bytes), to,
                to_offset, from, bytes)

static CUresult cuMemcpyAtoH_v2_in(bool per_thread, void *to, CUarray from, size_t from_offset, size_t bytes)
{
    CUDA_MEMCPY3D copy = {FROM_ARRAY(from, from_offset), .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = to};
    CUresult result = check_row(from);

    return result ? result : copy_row(per_thread, &copy, bytes);
}

STREAM_VARIANTS(cuMemcpyAtoH_v2, _ptds, (void *to, CUarray from, size_t from_offset, size_t bytes), to, from,
                from_offset, bytes)

static CUresult cuMemcpyAtoA_v2_in(bool per_thread, CUarray to, size_t to_offset, CUarray from,
                                   size_t from_offset, size_t bytes)
{
    CUDA_MEMCPY3D copy = {TO_ARRAY(to, to_offset), FROM_ARRAY(from, from_offset)};
    CUresult result = check_row(to);

    if (!result)
        result = check_row(from);
    return result ? result : copy_row(per_thread, &copy, bytes);
}

STREAM_VARIANTS(cuMemcpyAtoA_v2, _ptds,
                (CUarray to, size_t to_offset, CUarray from, size_t from_offset, size_t bytes), to, to_offset,
                from, from_offset, bytes)

static CUresult cuMemcpyHtoAAsync_v2_in(bool per_thread, CUarray to, size_t to_offset, const void *from,
                                        size_t bytes, CUstream stream)
{
    CUDA_MEMCPY3D copy = {TO_ARRAY(to, to_offset), .srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = from};
    CUresult result = check_row(to);

    return result ? result : copy_row_async(per_thread, &copy, bytes, stream);
}

STREAM_VARIANTS(cuMemcpyHtoAAsync_v2, _ptsz,
                (CUarray to, size_t to_offset, const void *from, size_t bytes, CUstream stream), to,
                to_offset, from, bytes, stream)

static CUresult cuMemcpyAtoHAsync_v2_in(bool per_thread, void *to, CUarray from, size_t from_offset,
                                        size_t bytes, CUstream stream)
{
    CUDA_MEMCPY3D copy = {FROM_ARRAY(from, from_offset), .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = to};
    CUresult result = check_row(from);

    return result ? result : copy_row_async(per_thread, &copy, bytes, stream);
}

STREAM_VARIANTS(cuMemcpyAtoHAsync_v2, _ptsz,
                (void *to, CUarray from, size_t from_offset, size_t bytes, CUstream stream), to, from,
                from_offset, bytes, stream)
