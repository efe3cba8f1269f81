/* The cuMemset* calls: a value of one, two or four bytes over a row or rows. */
#include "softgpu/driver/transfer.h"

static CUresult fill_in(struct transfer_fill *fill, CUstream handle, bool per_thread, enum transfer_mode mode)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = transfer_fill(stream, fill, mode);
    object_unref(stream);
    return result;
}

/* width and pitch as the calls give them: width in elements, pitch in bytes and only for more than one row.
 */
CUresult transfer_describe_fill(CUdeviceptr to, size_t pitch_bytes, uint32_t value, unsigned value_bytes,
                                size_t width, size_t height, struct transfer_fill *ret_fill)
{
    struct transfer_fill fill = {
        .destination = {.address = to, .pitch_bytes = pitch_bytes},
        .box = {.height = height, .depth = 1},
        .value = value,
        .value_bytes = value_bytes,
    };

    if (__builtin_mul_overflow(width, (size_t)value_bytes, &fill.box.width_bytes) || to % value_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (height > 1 && (pitch_bytes % value_bytes || pitch_bytes < fill.box.width_bytes))
        return CUDA_ERROR_INVALID_VALUE;
    *ret_fill = fill;
    return CUDA_SUCCESS;
}

static CUresult fill(CUdeviceptr to, size_t pitch_bytes, uint32_t value, unsigned value_bytes, size_t width,
                     size_t height, CUstream stream, bool per_thread, enum transfer_mode mode)
{
    struct transfer_fill fill;
    CUresult result = transfer_describe_fill(to, pitch_bytes, value, value_bytes, width, height, &fill);

    return result ? result : fill_in(&fill, stream, per_thread, mode);
}

#define FILL_ROW(bits, type)                                                                                 \
    static CUresult cuMemsetD##bits##_v2_in(bool per_thread, CUdeviceptr to, type value, size_t count)       \
    {                                                                                                        \
        return fill(to, 0, value, sizeof(type), count, 1, NULL, per_thread, TRANSFER_SYNC);                  \
    }                                                                                                        \
    STREAM_VARIANTS(cuMemsetD##bits##_v2, _ptds, (CUdeviceptr to, type value, size_t count), to, value,      \
                    count)                                                                                   \
    static CUresult cuMemsetD##bits##Async_in(bool per_thread, CUdeviceptr to, type value, size_t count,     \
                                              CUstream stream)                                               \
    {                                                                                                        \
        return fill(to, 0, value, sizeof(type), count, 1, stream, per_thread, TRANSFER_ASYNC);               \
    }                                                                                                        \
    STREAM_VARIANTS(cuMemsetD##bits##Async, _ptsz,                                                           \
                    (CUdeviceptr to, type value, size_t count, CUstream stream), to, value, count, stream)

#define FILL_ROWS(bits, type)                                                                                \
    static CUresult cuMemsetD2D##bits##_v2_in(bool per_thread, CUdeviceptr to, size_t pitch, type value,     \
                                              size_t width, size_t height)                                   \
    {                                                                                                        \
        return fill(to, pitch, value, sizeof(type), width, height, NULL, per_thread, TRANSFER_SYNC);         \
    }                                                                                                        \
    STREAM_VARIANTS(cuMemsetD2D##bits##_v2, _ptds,                                                           \
                    (CUdeviceptr to, size_t pitch, type value, size_t width, size_t height), to, pitch,      \
                    value, width, height)                                                                    \
    static CUresult cuMemsetD2D##bits##Async_in(bool per_thread, CUdeviceptr to, size_t pitch, type value,   \
                                                size_t width, size_t height, CUstream stream)                \
    {                                                                                                        \
        return fill(to, pitch, value, sizeof(type), width, height, stream, per_thread, TRANSFER_ASYNC);      \
    }                                                                                                        \
    STREAM_VARIANTS(                                                                                         \
        cuMemsetD2D##bits##Async, _ptsz,                                                                     \
        (CUdeviceptr to, size_t pitch, type value, size_t width, size_t height, CUstream stream), to, pitch, \
        value, width, height, stream)

FILL_ROW(8, unsigned char)
FILL_ROW(16, unsigned short)
FILL_ROW(32, unsigned int)
FILL_ROWS(8, unsigned char)
FILL_ROWS(16, unsigned short)
FILL_ROWS(32, unsigned int)
