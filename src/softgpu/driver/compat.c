/* The first ABI of calls that have had a wider one since CUDA 3.2: addresses and sizes of 32 bits. Each is
 * the call of today with its arguments widened. What the answer says must fit in 32 bits: where it does not,
 * the call fails with NOT_SUPPORTED, and nothing is allocated; it never cuts a number short. No address of
 * the software GPU fits, so the first ABI gets as far as programs that ask, and is told so. */
#include <stddef.h>
#include <stdint.h>

#include "api/cuda_api.h"

static CUresult narrow(uint64_t wide, unsigned *ret_narrow)
{
    if (wide > UINT32_MAX)
        return CUDA_ERROR_NOT_SUPPORTED;
    *ret_narrow = (unsigned)wide;
    return CUDA_SUCCESS;
}

/* ---- memory ---- */

CUresult cuDeviceTotalMem(unsigned int *ret_bytes, CUdevice device)
{
    size_t bytes;
    CUresult result = ret_bytes ? cuDeviceTotalMem_v2(&bytes, device) : CUDA_ERROR_INVALID_VALUE;

    return result ? result : narrow(bytes, ret_bytes);
}

CUresult cuMemGetInfo(unsigned int *ret_free, unsigned int *ret_total)
{
    size_t free_bytes, total_bytes;
    CUresult result =
        ret_free && ret_total ? cuMemGetInfo_v2(&free_bytes, &total_bytes) : CUDA_ERROR_INVALID_VALUE;
    unsigned narrow_free;

    if (!result)
        result = narrow(free_bytes, &narrow_free);
    if (!result)
        result = narrow(total_bytes, ret_total);
    if (!result)
        *ret_free = narrow_free;
    return result;
}

CUresult cuMemAlloc(CUdeviceptr_v1 *ret_address, unsigned int bytes)
{
    CUdeviceptr address;
    CUresult result = ret_address ? cuMemAlloc_v2(&address, bytes) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    result = narrow(address, ret_address);
    if (result)
        cuMemFree_v2(address);
    return result;
}

CUresult cuMemAllocPitch(CUdeviceptr_v1 *ret_address, unsigned int *ret_pitch, unsigned int width_bytes,
                         unsigned int height, unsigned int element_bytes)
{
    CUdeviceptr address;
    size_t pitch;
    unsigned narrow_pitch;
    CUresult result = ret_address && ret_pitch
                          ? cuMemAllocPitch_v2(&address, &pitch, width_bytes, height, element_bytes)
                          : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    result = narrow(pitch, &narrow_pitch);
    if (!result)
        result = narrow(address, ret_address);
    if (result)
        cuMemFree_v2(address);
    else
        *ret_pitch = narrow_pitch;
    return result;
}

CUresult cuMemFree(CUdeviceptr_v1 address)
{
    return cuMemFree_v2(address);
}

CUresult cuMemGetAddressRange(CUdeviceptr_v1 *ret_base, unsigned int *ret_bytes, CUdeviceptr_v1 address)
{
    CUdeviceptr base;
    size_t bytes;
    unsigned narrow_base, narrow_bytes;
    CUresult result = cuMemGetAddressRange_v2(&base, &bytes, address);

    if (!result)
        result = narrow(base, &narrow_base);
    if (!result)
        result = narrow(bytes, &narrow_bytes);
    if (result)
        return result;
    if (ret_base)
        *ret_base = narrow_base;
    if (ret_bytes)
        *ret_bytes = narrow_bytes;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal(CUdeviceptr_v1 *ret_address, unsigned int *ret_bytes, CUmodule module,
                           const char *name)
{
    CUdeviceptr address;
    size_t bytes;
    unsigned narrow_address = 0, narrow_bytes = 0;
    CUresult result = cuModuleGetGlobal_v2(&address, &bytes, module, name);

    if (!result && ret_address)
        result = narrow(address, &narrow_address);
    if (!result && ret_bytes)
        result = narrow(bytes, &narrow_bytes);
    if (result)
        return result;
    if (ret_address)
        *ret_address = narrow_address;
    if (ret_bytes)
        *ret_bytes = narrow_bytes;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocHost(void **ret_host, unsigned int bytes)
{
    return cuMemAllocHost_v2(ret_host, bytes);
}

CUresult cuMemHostRegister(void *host, size_t bytes, unsigned int flags)
{
    return cuMemHostRegister_v2(host, bytes, flags);
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr_v1 *ret_address, void *host, unsigned int flags)
{
    CUdeviceptr address;
    CUresult result =
        ret_address ? cuMemHostGetDevicePointer_v2(&address, host, flags) : CUDA_ERROR_INVALID_VALUE;

    return result ? result : narrow(address, ret_address);
}

/* ---- copies of rows, and fills: arguments in, nothing out ---- */

/* name: the first ABI's; its arguments are passed on, and the compiler widens them. */
#define WIDENED(name, params, ...)                                                                           \
    CUresult name params                                                                                     \
    {                                                                                                        \
        return name##_v2(__VA_ARGS__);                                                                       \
    }

WIDENED(cuMemcpyHtoD, (CUdeviceptr_v1 to, const void *from, unsigned int bytes), to, from, bytes)
WIDENED(cuMemcpyDtoH, (void *to, CUdeviceptr_v1 from, unsigned int bytes), to, from, bytes)
WIDENED(cuMemcpyDtoD, (CUdeviceptr_v1 to, CUdeviceptr_v1 from, unsigned int bytes), to, from, bytes)
WIDENED(cuMemcpyDtoA, (CUarray to, unsigned int offset, CUdeviceptr_v1 from, unsigned int bytes), to, offset,
        from, bytes)
WIDENED(cuMemcpyAtoD, (CUdeviceptr_v1 to, CUarray from, unsigned int offset, unsigned int bytes), to, from,
        offset, bytes)
WIDENED(cuMemcpyHtoA, (CUarray to, unsigned int offset, const void *from, unsigned int bytes), to, offset,
        from, bytes)
WIDENED(cuMemcpyAtoH, (void *to, CUarray from, unsigned int offset, unsigned int bytes), to, from, offset,
        bytes)
WIDENED(cuMemcpyAtoA,
        (CUarray to, unsigned int to_offset, CUarray from, unsigned int from_offset, unsigned int bytes), to,
        to_offset, from, from_offset, bytes)
WIDENED(cuMemcpyHtoDAsync, (CUdeviceptr_v1 to, const void *from, unsigned int bytes, CUstream stream), to,
        from, bytes, stream)
WIDENED(cuMemcpyDtoHAsync, (void *to, CUdeviceptr_v1 from, unsigned int bytes, CUstream stream), to, from,
        bytes, stream)
WIDENED(cuMemcpyDtoDAsync, (CUdeviceptr_v1 to, CUdeviceptr_v1 from, unsigned int bytes, CUstream stream), to,
        from, bytes, stream)
WIDENED(cuMemcpyHtoAAsync,
        (CUarray to, unsigned int offset, const void *from, unsigned int bytes, CUstream stream), to, offset,
        from, bytes, stream)
WIDENED(cuMemcpyAtoHAsync, (void *to, CUarray from, unsigned int offset, unsigned int bytes, CUstream stream),
        to, from, offset, bytes, stream)
WIDENED(cuMemsetD8, (CUdeviceptr_v1 to, unsigned char value, unsigned int count), to, value, count)
WIDENED(cuMemsetD16, (CUdeviceptr_v1 to, unsigned short value, unsigned int count), to, value, count)
WIDENED(cuMemsetD32, (CUdeviceptr_v1 to, unsigned int value, unsigned int count), to, value, count)
WIDENED(cuMemsetD2D8,
        (CUdeviceptr_v1 to, unsigned int pitch, unsigned char value, unsigned int width, unsigned int height),
        to, pitch, value, width, height)
WIDENED(cuMemsetD2D16,
        (CUdeviceptr_v1 to, unsigned int pitch, unsigned short value, unsigned int width,
         unsigned int height),
        to, pitch, value, width, height)
WIDENED(cuMemsetD2D32,
        (CUdeviceptr_v1 to, unsigned int pitch, unsigned int value, unsigned int width, unsigned int height),
        to, pitch, value, width, height)

/* ---- copies of boxes ---- */

/* Both sides of a description that has the same members in both ABIs. */
#define SIDES(from)                                                                                          \
    .srcXInBytes = (from)->srcXInBytes, .srcY = (from)->srcY, .srcMemoryType = (from)->srcMemoryType,        \
    .srcHost = (from)->srcHost, .srcDevice = (from)->srcDevice, .srcArray = (from)->srcArray,                \
    .srcPitch = (from)->srcPitch, .dstXInBytes = (from)->dstXInBytes, .dstY = (from)->dstY,                  \
    .dstMemoryType = (from)->dstMemoryType, .dstHost = (from)->dstHost, .dstDevice = (from)->dstDevice,      \
    .dstArray = (from)->dstArray, .dstPitch = (from)->dstPitch, .WidthInBytes = (from)->WidthInBytes,        \
    .Height = (from)->Height

static CUDA_MEMCPY2D wide_2d(const CUDA_MEMCPY2D_v1 *copy)
{
    return (CUDA_MEMCPY2D){SIDES(copy)};
}

static CUDA_MEMCPY3D wide_3d(const CUDA_MEMCPY3D_v1 *copy)
{
    return (CUDA_MEMCPY3D){SIDES(copy),
                           .srcZ = copy->srcZ,
                           .srcLOD = copy->srcLOD,
                           .srcHeight = copy->srcHeight,
                           .dstZ = copy->dstZ,
                           .dstLOD = copy->dstLOD,
                           .dstHeight = copy->dstHeight,
                           .Depth = copy->Depth};
}

CUresult cuMemcpy2D(const CUDA_MEMCPY2D_v1 *copy)
{
    CUDA_MEMCPY2D wide = copy ? wide_2d(copy) : (CUDA_MEMCPY2D){0};

    return cuMemcpy2D_v2(copy ? &wide : NULL);
}

CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D_v1 *copy)
{
    CUDA_MEMCPY2D wide = copy ? wide_2d(copy) : (CUDA_MEMCPY2D){0};

    return cuMemcpy2DUnaligned_v2(copy ? &wide : NULL);
}

CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D_v1 *copy, CUstream stream)
{
    CUDA_MEMCPY2D wide = copy ? wide_2d(copy) : (CUDA_MEMCPY2D){0};

    return cuMemcpy2DAsync_v2(copy ? &wide : NULL, stream);
}

CUresult cuMemcpy3D(const CUDA_MEMCPY3D_v1 *copy)
{
    CUDA_MEMCPY3D wide = copy ? wide_3d(copy) : (CUDA_MEMCPY3D){0};

    return cuMemcpy3D_v2(copy ? &wide : NULL);
}

CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D_v1 *copy, CUstream stream)
{
    CUDA_MEMCPY3D wide = copy ? wide_3d(copy) : (CUDA_MEMCPY3D){0};

    return cuMemcpy3DAsync_v2(copy ? &wide : NULL, stream);
}
