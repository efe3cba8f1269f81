/* The driver's functions about copies and fills,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- linear copies ---- */

CU_API(since = 4000, id = 266, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpy(CUdeviceptr destination, CUdeviceptr source, size_t bytes);

CU_API(since = 4000, id = 267, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyPeer(CUdeviceptr destination, CUcontext destination_context, CUdeviceptr source,
                      CUcontext source_context, size_t bytes);

CU_API(since = 2000, id = 268, time = copy, capture = illegal)
CUresult cuMemcpyHtoD(CUdeviceptr_v1 destination, IN LEN(bytes) const void *source, unsigned int bytes);

CU_API(name = cuMemcpyHtoD, since = 3020, id = 269, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyHtoD_v2(CUdeviceptr destination, IN LEN(bytes) const void *source, size_t bytes);

CU_API(since = 2000, id = 270, time = copy, capture = illegal)
CUresult cuMemcpyDtoH(OUT LEN(bytes) void *destination, CUdeviceptr_v1 source, unsigned int bytes);

CU_API(name = cuMemcpyDtoH, since = 3020, id = 271, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyDtoH_v2(OUT LEN(bytes) void *destination, CUdeviceptr source, size_t bytes);

CU_API(since = 2000, id = 272, time = copy, capture = illegal)
CUresult cuMemcpyDtoD(CUdeviceptr_v1 destination, CUdeviceptr_v1 source, unsigned int bytes);

CU_API(name = cuMemcpyDtoD, since = 3020, id = 273, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyDtoD_v2(CUdeviceptr destination, CUdeviceptr source, size_t bytes);

CU_API(since = 2000, id = 274, time = copy, capture = illegal)
CUresult cuMemcpyDtoA(CUarray destination, unsigned int destination_offset, CUdeviceptr_v1 source,
                      unsigned int bytes);

CU_API(name = cuMemcpyDtoA, since = 3020, id = 275, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyDtoA_v2(CUarray destination, size_t destination_offset, CUdeviceptr source, size_t bytes);

CU_API(since = 2000, id = 276, time = copy, capture = illegal)
CUresult cuMemcpyAtoD(CUdeviceptr_v1 destination, CUarray source, unsigned int source_offset,
                      unsigned int bytes);

CU_API(name = cuMemcpyAtoD, since = 3020, id = 277, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyAtoD_v2(CUdeviceptr destination, CUarray source, size_t source_offset, size_t bytes);

CU_API(since = 2000, id = 278, time = copy, capture = illegal)
CUresult cuMemcpyHtoA(CUarray destination, unsigned int destination_offset, IN LEN(bytes) const void *source,
                      unsigned int bytes);

CU_API(name = cuMemcpyHtoA, since = 3020, id = 279, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyHtoA_v2(CUarray destination, size_t destination_offset, IN LEN(bytes) const void *source,
                         size_t bytes);

CU_API(since = 2000, id = 280, time = copy, capture = illegal)
CUresult cuMemcpyAtoH(OUT LEN(bytes) void *destination, CUarray source, unsigned int source_offset,
                      unsigned int bytes);

CU_API(name = cuMemcpyAtoH, since = 3020, id = 281, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyAtoH_v2(OUT LEN(bytes) void *destination, CUarray source, size_t source_offset,
                         size_t bytes);

CU_API(since = 2000, id = 282, time = copy, capture = illegal)
CUresult cuMemcpyAtoA(CUarray destination, unsigned int destination_offset, CUarray source,
                      unsigned int source_offset, unsigned int bytes);

CU_API(name = cuMemcpyAtoA, since = 3020, id = 283, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpyAtoA_v2(CUarray destination, size_t destination_offset, CUarray source, size_t source_offset,
                         size_t bytes);

/* ---- linear copies in a stream ---- */

CU_API(since = 4000, id = 284, ptsz = 7000, time = copy, sync = oneway)
CUresult cuMemcpyAsync(CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream);

CU_API(since = 4000, id = 285, ptsz = 7000, time = copy, sync = oneway)
CUresult cuMemcpyPeerAsync(CUdeviceptr destination, CUcontext destination_context, CUdeviceptr source,
                           CUcontext source_context, size_t bytes, CUstream stream);

CU_API(since = 2000, id = 286, time = copy)
CUresult cuMemcpyHtoDAsync(CUdeviceptr_v1 destination, IN LEN(bytes) const void *source, unsigned int bytes,
                           CUstream stream);

CU_API(name = cuMemcpyHtoDAsync, since = 3020, id = 287, ptsz = 7000, time = copy)
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr destination, IN LEN(bytes) const void *source, size_t bytes,
                              CUstream stream);

CU_API(since = 2000, id = 288, time = copy)
CUresult cuMemcpyDtoHAsync(OUT LEN(bytes) void *destination, CUdeviceptr_v1 source, unsigned int bytes,
                           CUstream stream);

CU_API(name = cuMemcpyDtoHAsync, since = 3020, id = 289, ptsz = 7000, time = copy)
CUresult cuMemcpyDtoHAsync_v2(OUT LEN(bytes) void *destination, CUdeviceptr source, size_t bytes,
                              CUstream stream);

CU_API(since = 3000, id = 290, time = copy, sync = oneway)
CUresult cuMemcpyDtoDAsync(CUdeviceptr_v1 destination, CUdeviceptr_v1 source, unsigned int bytes,
                           CUstream stream);

CU_API(name = cuMemcpyDtoDAsync, since = 3020, id = 291, ptsz = 7000, time = copy, sync = oneway)
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream);

CU_API(since = 2000, id = 292, time = copy)
CUresult cuMemcpyHtoAAsync(CUarray destination, unsigned int destination_offset,
                           IN LEN(bytes) const void *source, unsigned int bytes, CUstream stream);

CU_API(name = cuMemcpyHtoAAsync, since = 3020, id = 293, ptsz = 7000, time = copy)
CUresult cuMemcpyHtoAAsync_v2(CUarray destination, size_t destination_offset,
                              IN LEN(bytes) const void *source, size_t bytes, CUstream stream);

CU_API(since = 2000, id = 294, time = copy)
CUresult cuMemcpyAtoHAsync(OUT LEN(bytes) void *destination, CUarray source, unsigned int source_offset,
                           unsigned int bytes, CUstream stream);

CU_API(name = cuMemcpyAtoHAsync, since = 3020, id = 295, ptsz = 7000, time = copy)
CUresult cuMemcpyAtoHAsync_v2(OUT LEN(bytes) void *destination, CUarray source, size_t source_offset,
                              size_t bytes, CUstream stream);

/* ---- copies of rectangles and boxes ---- */

CU_API(since = 2000, id = 296, time = copy, capture = illegal)
CUresult cuMemcpy2D(IN const CUDA_MEMCPY2D_v1 *copy);

CU_API(name = cuMemcpy2D, since = 3020, id = 297, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpy2D_v2(IN const CUDA_MEMCPY2D *copy);

CU_API(since = 2000, id = 298, time = copy, capture = illegal)
CUresult cuMemcpy2DUnaligned(IN const CUDA_MEMCPY2D_v1 *copy);

CU_API(name = cuMemcpy2DUnaligned, since = 3020, id = 299, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpy2DUnaligned_v2(IN const CUDA_MEMCPY2D *copy);

CU_API(since = 2000, id = 300, time = copy, capture = illegal)
CUresult cuMemcpy3D(IN const CUDA_MEMCPY3D_v1 *copy);

CU_API(name = cuMemcpy3D, since = 3020, id = 301, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpy3D_v2(IN const CUDA_MEMCPY3D *copy);

CU_API(since = 4000, id = 302, ptds = 7000, time = copy, capture = illegal)
CUresult cuMemcpy3DPeer(IN const CUDA_MEMCPY3D_PEER *copy);

CU_API(since = 2000, id = 303, time = copy)
CUresult cuMemcpy2DAsync(IN const CUDA_MEMCPY2D_v1 *copy, CUstream stream);

CU_API(name = cuMemcpy2DAsync, since = 3020, id = 304, ptsz = 7000, time = copy)
CUresult cuMemcpy2DAsync_v2(IN const CUDA_MEMCPY2D *copy, CUstream stream);

CU_API(since = 2000, id = 305, time = copy)
CUresult cuMemcpy3DAsync(IN const CUDA_MEMCPY3D_v1 *copy, CUstream stream);

CU_API(name = cuMemcpy3DAsync, since = 3020, id = 306, ptsz = 7000, time = copy)
CUresult cuMemcpy3DAsync_v2(IN const CUDA_MEMCPY3D *copy, CUstream stream);

CU_API(since = 4000, id = 307, ptsz = 7000, time = copy)
CUresult cuMemcpy3DPeerAsync(IN const CUDA_MEMCPY3D_PEER *copy, CUstream stream);

/* ---- many copies at once ---- */

CU_API(since = 12080, id = 308, ptsz = 12080, time = copy)
CUresult cuMemcpyBatchAsync(IN LEN(count) CUdeviceptr *destinations, IN LEN(count) CUdeviceptr *sources,
                            IN LEN(count) size_t *sizes, size_t count,
                            IN LEN(attributes_count) CUmemcpyAttributes *attributes,
                            IN LEN(attributes_count) size_t *attribute_first, size_t attributes_count,
                            OUT NULLABLE size_t *failed, CUstream stream);

CU_API(name = cuMemcpyBatchAsync, since = 13000, id = 309, ptsz = 13000, time = copy)
CUresult cuMemcpyBatchAsync_v2(IN LEN(count) CUdeviceptr *destinations, IN LEN(count) CUdeviceptr *sources,
                               IN LEN(count) size_t *sizes, size_t count,
                               IN LEN(attributes_count) CUmemcpyAttributes *attributes,
                               IN LEN(attributes_count) size_t *attribute_first, size_t attributes_count,
                               CUstream stream);

CU_API(since = 12080, id = 310, ptsz = 12080, time = copy)
CUresult cuMemcpy3DBatchAsync(size_t count, IN LEN(count) CUDA_MEMCPY3D_BATCH_OP *copies,
                              OUT NULLABLE size_t *failed, unsigned long long flags, CUstream stream);

CU_API(name = cuMemcpy3DBatchAsync, since = 13000, id = 311, ptsz = 13000, time = copy)
CUresult cuMemcpy3DBatchAsync_v2(size_t count, IN LEN(count) CUDA_MEMCPY3D_BATCH_OP *copies,
                                 unsigned long long flags, CUstream stream);

CU_API(since = 12060, id = 312, ptsz = 12060, time = copy)
CUresult cuMemBatchDecompressAsync(INOUT LEN(count) CUmemDecompressParams *jobs, size_t count,
                                   unsigned int flags, OUT NULLABLE size_t *failed, CUstream stream);

/* ---- fills ---- */

CU_API(since = 2000, id = 313, time = fill, capture = illegal)
CUresult cuMemsetD8(CUdeviceptr_v1 destination, unsigned char value, unsigned int count);

CU_API(name = cuMemsetD8, since = 3020, id = 314, ptds = 7000, time = fill, capture = illegal)
CUresult cuMemsetD8_v2(CUdeviceptr destination, unsigned char value, size_t count);

CU_API(since = 2000, id = 315, time = fill, capture = illegal)
CUresult cuMemsetD16(CUdeviceptr_v1 destination, unsigned short value, unsigned int count);

CU_API(name = cuMemsetD16, since = 3020, id = 316, ptds = 7000, time = fill, capture = illegal)
CUresult cuMemsetD16_v2(CUdeviceptr destination, unsigned short value, size_t count);

CU_API(since = 2000, id = 317, time = fill, capture = illegal)
CUresult cuMemsetD32(CUdeviceptr_v1 destination, unsigned int value, unsigned int count);

CU_API(name = cuMemsetD32, since = 3020, id = 318, ptds = 7000, time = fill, capture = illegal)
CUresult cuMemsetD32_v2(CUdeviceptr destination, unsigned int value, size_t count);

CU_API(since = 2000, id = 319, time = fill, capture = illegal)
CUresult cuMemsetD2D8(CUdeviceptr_v1 destination, unsigned int pitch_bytes, unsigned char value,
                      unsigned int width, unsigned int height);

CU_API(name = cuMemsetD2D8, since = 3020, id = 320, ptds = 7000, time = fill, capture = illegal)
CUresult cuMemsetD2D8_v2(CUdeviceptr destination, size_t pitch_bytes, unsigned char value, size_t width,
                         size_t height);

CU_API(since = 2000, id = 321, time = fill, capture = illegal)
CUresult cuMemsetD2D16(CUdeviceptr_v1 destination, unsigned int pitch_bytes, unsigned short value,
                       unsigned int width, unsigned int height);

CU_API(name = cuMemsetD2D16, since = 3020, id = 322, ptds = 7000, time = fill, capture = illegal)
CUresult cuMemsetD2D16_v2(CUdeviceptr destination, size_t pitch_bytes, unsigned short value, size_t width,
                          size_t height);

CU_API(since = 2000, id = 323, time = fill, capture = illegal)
CUresult cuMemsetD2D32(CUdeviceptr_v1 destination, unsigned int pitch_bytes, unsigned int value,
                       unsigned int width, unsigned int height);

CU_API(name = cuMemsetD2D32, since = 3020, id = 324, ptds = 7000, time = fill, capture = illegal)
CUresult cuMemsetD2D32_v2(CUdeviceptr destination, size_t pitch_bytes, unsigned int value, size_t width,
                          size_t height);

CU_API(since = 3020, id = 325, ptsz = 7000, time = fill, sync = oneway)
CUresult cuMemsetD8Async(CUdeviceptr destination, unsigned char value, size_t count, CUstream stream);

CU_API(since = 3020, id = 326, ptsz = 7000, time = fill, sync = oneway)
CUresult cuMemsetD16Async(CUdeviceptr destination, unsigned short value, size_t count, CUstream stream);

CU_API(since = 3020, id = 327, ptsz = 7000, time = fill, sync = oneway)
CUresult cuMemsetD32Async(CUdeviceptr destination, unsigned int value, size_t count, CUstream stream);

CU_API(since = 3020, id = 328, ptsz = 7000, time = fill, sync = oneway)
CUresult cuMemsetD2D8Async(CUdeviceptr destination, size_t pitch_bytes, unsigned char value, size_t width,
                           size_t height, CUstream stream);

CU_API(since = 3020, id = 329, ptsz = 7000, time = fill, sync = oneway)
CUresult cuMemsetD2D16Async(CUdeviceptr destination, size_t pitch_bytes, unsigned short value, size_t width,
                            size_t height, CUstream stream);

CU_API(since = 3020, id = 330, ptsz = 7000, time = fill, sync = oneway)
CUresult cuMemsetD2D32Async(CUdeviceptr destination, size_t pitch_bytes, unsigned int value, size_t width,
                            size_t height, CUstream stream);
