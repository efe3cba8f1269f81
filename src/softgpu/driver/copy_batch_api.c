/* The cuMemcpy*BatchAsync calls: many copies described at once. A batch promises no order among its copies,
 * so they are simply one after the other in the stream; the first that is refused ends the batch, and those
 * before it stand. */
#include "softgpu/driver/array.h"
#include "softgpu/driver/copy.h"

static bool order_is_valid(CUmemcpySrcAccessOrder order)
{
    return order == CU_MEMCPY_SRC_ACCESS_ORDER_STREAM ||
           order == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL || order == CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

/* What batches have in common: a stream that is not the legacy one, and an end. */
static CUresult batch_enter(CUstream handle, bool per_thread, struct stream **ret_stream)
{
    CUresult result = stream_enter(handle, per_thread, ret_stream);

    if (result || !(*ret_stream)->is_legacy)
        return result;
    object_unref(*ret_stream);
    return CUDA_ERROR_INVALID_VALUE;
}

/* during_call: some source may not be read after the call. */
static CUresult batch_leave(struct stream *stream, bool during_call, CUresult result)
{
    if (!result && during_call)
        result = stream_synchronize(stream);
    object_unref(stream);
    return result;
}

/* attributes[k] are those of the copies from first[k] to before first[k + 1]. */
static bool attributes_are_valid(const CUmemcpyAttributes *attributes, const size_t *first, size_t n,
                                 size_t count, bool *ret_during_call)
{
    if (!attributes || !first || !n || n > count || first[0])
        return false;
    for (size_t k = 0; k < n; k++) {
        if (!order_is_valid(attributes[k].srcAccessOrder) || first[k] >= count ||
            (k && first[k] <= first[k - 1]))
            return false;
        *ret_during_call |= attributes[k].srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
    }
    return true;
}

static CUresult copy_batch(bool per_thread, const CUdeviceptr *to, const CUdeviceptr *from,
                           const size_t *sizes, size_t count, const CUmemcpyAttributes *attributes,
                           const size_t *first, size_t n, size_t *ret_failed, CUstream handle)
{
    bool during_call = false;
    struct stream *stream;
    CUresult result;

    if (ret_failed)
        *ret_failed = SIZE_MAX;
    if (!to || !from || !sizes || !count || !attributes_are_valid(attributes, first, n, count, &during_call))
        return CUDA_ERROR_INVALID_VALUE;
    result = batch_enter(handle, per_thread, &stream);
    if (result)
        return result;
    for (size_t i = 0; i < count && !result; i++) {
        struct transfer_copy copy = {{.address = to[i], .may_be_pageable = true},
                                     {.address = from[i], .may_be_pageable = true},
                                     {sizes[i], 1, 1}};

        result = sizes[i] ? transfer_copy(stream, &copy, TRANSFER_ASYNC) : CUDA_ERROR_INVALID_VALUE;
        if (result && ret_failed)
            *ret_failed = i;
    }
    return batch_leave(stream, during_call, result);
}

static CUresult cuMemcpyBatchAsync_in(bool per_thread, CUdeviceptr *to, CUdeviceptr *from, size_t *sizes,
                                      size_t count, CUmemcpyAttributes *attributes, size_t *first, size_t n,
                                      size_t *ret_failed, CUstream stream)
{
    return copy_batch(per_thread, to, from, sizes, count, attributes, first, n, ret_failed, stream);
}

STREAM_VARIANTS(cuMemcpyBatchAsync, _ptsz,
                (CUdeviceptr * to, CUdeviceptr *from, size_t *sizes, size_t count,
                 CUmemcpyAttributes *attributes, size_t *first, size_t n, size_t *ret_failed,
                 CUstream stream),
                to, from, sizes, count, attributes, first, n, ret_failed, stream)

static CUresult cuMemcpyBatchAsync_v2_in(bool per_thread, CUdeviceptr *to, CUdeviceptr *from, size_t *sizes,
                                         size_t count, CUmemcpyAttributes *attributes, size_t *first,
                                         size_t n, CUstream stream)
{
    return copy_batch(per_thread, to, from, sizes, count, attributes, first, n, NULL, stream);
}

STREAM_VARIANTS(cuMemcpyBatchAsync_v2, _ptsz,
                (CUdeviceptr * to, CUdeviceptr *from, size_t *sizes, size_t count,
                 CUmemcpyAttributes *attributes, size_t *first, size_t n, CUstream stream),
                to, from, sizes, count, attributes, first, n, stream)

/* ---- boxes ---- */

/* Bytes of what an operand counts in: an array's elements; 0: no such array. Pointers count in those of the
 * other operand, or in bytes. */
static uint64_t element_bytes(const CUmemcpy3DOperand *operand, const CUmemcpy3DOperand *other)
{
    const CUmemcpy3DOperand *array_operand = operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY ? operand : other;
    struct array *array;
    uint64_t bytes;

    if (array_operand->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
        return 1;
    array = object_get(OBJECT_ARRAY, array_operand->op.array.array);
    bytes = array ? array->layout.element_bytes : 0;
    object_unref(array);
    return bytes;
}

static bool operand_is_valid(const CUmemcpy3DOperand *operand)
{
    return operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER || operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY;
}

/* The copy as cuMemcpy3D takes it. */
static CUresult box_of(const CUDA_MEMCPY3D_BATCH_OP *op, CUDA_MEMCPY3D *ret_copy)
{
    const CUmemcpy3DOperand *from = &op->src, *to = &op->dst;
    CUDA_MEMCPY3D copy = {.Height = op->extent.height, .Depth = op->extent.depth};
    uint64_t from_bytes = element_bytes(from, to), to_bytes = element_bytes(to, from);

    if (!operand_is_valid(from) || !operand_is_valid(to) || !order_is_valid(op->srcAccessOrder) ||
        from_bytes != to_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (!from_bytes)
        return CUDA_ERROR_INVALID_HANDLE;
    if (__builtin_mul_overflow(op->extent.width, from_bytes, &copy.WidthInBytes))
        return CUDA_ERROR_INVALID_VALUE;
    if (from->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
        copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.srcArray = from->op.array.array;
        copy.srcXInBytes = from->op.array.offset.x * from_bytes;
        copy.srcY = from->op.array.offset.y;
        copy.srcZ = from->op.array.offset.z;
    } else {
        copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
        copy.srcDevice = from->op.ptr.ptr;
        copy.srcPitch = from->op.ptr.rowLength * from_bytes;
        copy.srcHeight = from->op.ptr.layerHeight;
    }
    if (to->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
        copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
        copy.dstArray = to->op.array.array;
        copy.dstXInBytes = to->op.array.offset.x * to_bytes;
        copy.dstY = to->op.array.offset.y;
        copy.dstZ = to->op.array.offset.z;
    } else {
        copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
        copy.dstDevice = to->op.ptr.ptr;
        copy.dstPitch = to->op.ptr.rowLength * to_bytes;
        copy.dstHeight = to->op.ptr.layerHeight;
    }
    *ret_copy = copy;
    return CUDA_SUCCESS;
}

static CUresult copy_boxes(bool per_thread, size_t count, const CUDA_MEMCPY3D_BATCH_OP *ops,
                           size_t *ret_failed, unsigned long long flags, CUstream handle)
{
    bool during_call = false;
    struct stream *stream;
    CUresult result;

    if (ret_failed)
        *ret_failed = SIZE_MAX;
    if (!count || !ops || flags)
        return CUDA_ERROR_INVALID_VALUE;
    result = batch_enter(handle, per_thread, &stream);
    if (result)
        return result;
    for (size_t i = 0; i < count && !result; i++) {
        CUDA_MEMCPY3D copy;

        during_call |= ops[i].srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
        result = box_of(&ops[i], &copy);
        if (!result)
            result = copy_3d(&copy, handle, per_thread, TRANSFER_ASYNC);
        if (result && ret_failed)
            *ret_failed = i;
    }
    return batch_leave(stream, during_call, result);
}

static CUresult cuMemcpy3DBatchAsync_in(bool per_thread, size_t count, CUDA_MEMCPY3D_BATCH_OP *ops,
                                        size_t *ret_failed, unsigned long long flags, CUstream stream)
{
    return copy_boxes(per_thread, count, ops, ret_failed, flags, stream);
}

STREAM_VARIANTS(cuMemcpy3DBatchAsync, _ptsz,
                (size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *ret_failed, unsigned long long flags,
                 CUstream stream),
                count, ops, ret_failed, flags, stream)

static CUresult cuMemcpy3DBatchAsync_v2_in(bool per_thread, size_t count, CUDA_MEMCPY3D_BATCH_OP *ops,
                                           unsigned long long flags, CUstream stream)
{
    return copy_boxes(per_thread, count, ops, NULL, flags, stream);
}

STREAM_VARIANTS(cuMemcpy3DBatchAsync_v2, _ptsz,
                (size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, unsigned long long flags, CUstream stream), count,
                ops, flags, stream)
