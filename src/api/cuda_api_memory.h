/* The driver's functions about memory: allocation, pools, virtual memory, managed memory, arrays, IPC,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- how much there is ---- */

CU_API(since = 2000, id = 171, memory = query)
CUresult cuMemGetInfo(OUT unsigned int *free_bytes, OUT unsigned int *total_bytes);

CU_API(name = cuMemGetInfo, since = 3020, id = 172, memory = query)
CUresult cuMemGetInfo_v2(OUT size_t *free_bytes, OUT size_t *total_bytes);

/* ---- device memory ---- */

CU_API(since = 2000, id = 173, memory = alloc, capture = illegal)
CUresult cuMemAlloc(OUT CUdeviceptr_v1 *address, unsigned int bytes);

CU_API(name = cuMemAlloc, since = 3020, id = 174, memory = alloc, capture = illegal)
CUresult cuMemAlloc_v2(OUT CUdeviceptr *address, size_t bytes);

CU_API(since = 2000, id = 175, memory = alloc, capture = illegal)
CUresult cuMemAllocPitch(OUT CUdeviceptr_v1 *address, OUT unsigned int *pitch_bytes, unsigned int width_bytes,
                         unsigned int height, unsigned int element_bytes);

CU_API(name = cuMemAllocPitch, since = 3020, id = 176, memory = alloc, capture = illegal)
CUresult cuMemAllocPitch_v2(OUT CUdeviceptr *address, OUT size_t *pitch_bytes, size_t width_bytes,
                            size_t height, unsigned int element_bytes);

CU_API(since = 2000, id = 177, memory = free, capture = illegal)
CUresult cuMemFree(CUdeviceptr_v1 address);

CU_API(name = cuMemFree, since = 3020, id = 178, memory = free, capture = illegal)
CUresult cuMemFree_v2(CUdeviceptr address);

CU_API(since = 2000, id = 179)
CUresult cuMemGetAddressRange(OUT NULLABLE CUdeviceptr_v1 *base, OUT NULLABLE unsigned int *bytes,
                              CUdeviceptr_v1 address);

CU_API(name = cuMemGetAddressRange, since = 3020, id = 180)
CUresult cuMemGetAddressRange_v2(OUT NULLABLE CUdeviceptr *base, OUT NULLABLE size_t *bytes,
                                 CUdeviceptr address);

/* ---- host memory ---- */

CU_API(since = 2000, id = 181, capture = illegal)
CUresult cuMemAllocHost(OUT OPAQUE void **address, unsigned int bytes);

CU_API(name = cuMemAllocHost, since = 3020, id = 182, capture = illegal)
CUresult cuMemAllocHost_v2(OUT OPAQUE void **address, size_t bytes);

CU_API(since = 2000, id = 183, capture = illegal)
CUresult cuMemFreeHost(OPAQUE void *address);

CU_API(since = 2020, id = 184, capture = illegal)
CUresult cuMemHostAlloc(OUT OPAQUE void **address, size_t bytes, unsigned int flags);

CU_API(since = 2020, id = 185)
CUresult cuMemHostGetDevicePointer(OUT CUdeviceptr_v1 *address, OPAQUE void *host, unsigned int flags);

CU_API(name = cuMemHostGetDevicePointer, since = 3020, id = 186)
CUresult cuMemHostGetDevicePointer_v2(OUT CUdeviceptr *address, OPAQUE void *host, unsigned int flags);

CU_API(since = 2030, id = 187)
CUresult cuMemHostGetFlags(OUT unsigned int *flags, OPAQUE void *host);

CU_API(since = 4000, id = 188, capture = illegal)
CUresult cuMemHostRegister(OPAQUE void *host, size_t bytes, unsigned int flags);

CU_API(name = cuMemHostRegister, since = 6050, id = 189, capture = illegal)
CUresult cuMemHostRegister_v2(OPAQUE void *host, size_t bytes, unsigned int flags);

CU_API(since = 4000, id = 190, capture = illegal)
CUresult cuMemHostUnregister(OPAQUE void *host);

/* ---- managed memory ---- */

CU_API(since = 6000, id = 191, memory = alloc, capture = illegal)
CUresult cuMemAllocManaged(OUT CUdeviceptr *address, size_t bytes, unsigned int flags);

CU_API(since = 8000, id = 192, ptsz = 8000, time = copy)
CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream);

CU_API(name = cuMemPrefetchAsync, since = 12020, id = 193, ptsz = 12020, time = copy)
CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags,
                               CUstream stream);

CU_API(since = 13000, id = 194, ptsz = 13000, time = copy)
CUresult cuMemPrefetchBatchAsync(IN LEN(count) CUdeviceptr *addresses, IN LEN(count) size_t *sizes,
                                 size_t count, IN LEN(locations_count) CUmemLocation *locations,
                                 IN LEN(locations_count) size_t *location_first, size_t locations_count,
                                 unsigned long long flags, CUstream stream);

CU_API(since = 13000, id = 195, ptsz = 13000)
CUresult cuMemDiscardBatchAsync(IN LEN(count) CUdeviceptr *addresses, IN LEN(count) size_t *sizes,
                                size_t count, unsigned long long flags, CUstream stream);

CU_API(since = 13000, id = 196, ptsz = 13000, time = copy)
CUresult cuMemDiscardAndPrefetchBatchAsync(IN LEN(count) CUdeviceptr *addresses, IN LEN(count) size_t *sizes,
                                           size_t count, IN LEN(locations_count) CUmemLocation *locations,
                                           IN LEN(locations_count) size_t *location_first,
                                           size_t locations_count, unsigned long long flags, CUstream stream);

CU_API(since = 8000, id = 197)
CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device);

CU_API(name = cuMemAdvise, since = 12020, id = 198)
CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location);

CU_API(since = 8000, id = 199)
CUresult cuMemRangeGetAttribute(OUT LEN(value_bytes) void *value, size_t value_bytes,
                                CUmem_range_attribute attribute, CUdeviceptr address, size_t bytes);

CU_API(since = 8000, id = 200)
CUresult cuMemRangeGetAttributes(OUT LEN(count) OPAQUE void **values, IN LEN(count) size_t *value_bytes,
                                 IN LEN(count) CUmem_range_attribute *attributes, size_t count,
                                 CUdeviceptr address, size_t bytes);

CU_API(since = 6000, id = 201, ptsz = 7000)
CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t bytes, unsigned int flags);

/* ---- pointers ---- */

CU_API(since = 4000, id = 202)
CUresult cuPointerGetAttribute(OUT OPAQUE void *value, CUpointer_attribute attribute, CUdeviceptr address);

CU_API(since = 7000, id = 203)
CUresult cuPointerGetAttributes(unsigned int count, IN LEN(count) CUpointer_attribute *attributes,
                                OUT LEN(count) OPAQUE void **values, CUdeviceptr address);

CU_API(since = 6000, id = 204)
CUresult cuPointerSetAttribute(IN OPAQUE const void *value, CUpointer_attribute attribute,
                               CUdeviceptr address);

/* ---- stream-ordered memory and pools ---- */

CU_API(since = 11020, id = 205, ptsz = 11020, memory = alloc)
CUresult cuMemAllocAsync(OUT CUdeviceptr *address, size_t bytes, CUstream stream);

CU_API(since = 11020, id = 206, ptsz = 11020, memory = alloc)
CUresult cuMemAllocFromPoolAsync(OUT CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream);

CU_API(since = 11020, id = 207, ptsz = 11020, memory = free, sync = oneway)
CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream);

CU_API(since = 11020, id = 208, memory = pool, creates = mem_pool)
CUresult cuMemPoolCreate(OUT CUmemoryPool *pool, IN const CUmemPoolProps *properties);

CU_API(since = 11020, id = 209, memory = pool, destroys = mem_pool)
CUresult cuMemPoolDestroy(CUmemoryPool pool);

CU_API(since = 11020, id = 210, memory = pool)
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep_bytes);

CU_API(since = 11020, id = 211, memory = pool)
CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, IN LEN(8) void *value);

CU_API(since = 11020, id = 212, memory = pool)
CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, OUT LEN(8) void *value);

CU_API(since = 11020, id = 213)
CUresult cuMemPoolSetAccess(CUmemoryPool pool, IN LEN(count) const CUmemAccessDesc *access, size_t count);

CU_API(since = 11020, id = 214)
CUresult cuMemPoolGetAccess(OUT CUmemAccess_flags *flags, CUmemoryPool pool, IN CUmemLocation *location);

CU_API(since = 13000, id = 215, memory = pool)
CUresult cuMemGetDefaultMemPool(OUT CUmemoryPool *pool, IN CUmemLocation *location, CUmemAllocationType type);

CU_API(since = 13000, id = 216, memory = pool)
CUresult cuMemGetMemPool(OUT CUmemoryPool *pool, IN CUmemLocation *location, CUmemAllocationType type);

CU_API(since = 13000, id = 217, memory = pool)
CUresult cuMemSetMemPool(IN CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool);

CU_API(since = 11020, id = 218, memory = export)
CUresult cuMemPoolExportToShareableHandle(OUT OPAQUE void *handle, CUmemoryPool pool,
                                          CUmemAllocationHandleType type, unsigned long long flags);

CU_API(since = 11020, id = 219, memory = import, creates = mem_pool)
CUresult cuMemPoolImportFromShareableHandle(OUT CUmemoryPool *pool, OPAQUE void *handle,
                                            CUmemAllocationHandleType type, unsigned long long flags);

CU_API(since = 11020, id = 220, memory = export)
CUresult cuMemPoolExportPointer(OUT CUmemPoolPtrExportData *exported, CUdeviceptr address);

CU_API(since = 11020, id = 221, memory = import)
CUresult cuMemPoolImportPointer(OUT CUdeviceptr *address, CUmemoryPool pool,
                                IN CUmemPoolPtrExportData *exported);

/* ---- virtual memory ---- */

CU_API(since = 10020, id = 222)
CUresult cuMemAddressReserve(OUT CUdeviceptr *address, size_t bytes, size_t alignment_bytes,
                             CUdeviceptr wanted, unsigned long long flags);

CU_API(since = 10020, id = 223)
CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes);

CU_API(since = 10020, id = 224, memory = alloc, creates = allocation)
CUresult cuMemCreate(OUT CUmemGenericAllocationHandle *handle, size_t bytes,
                     IN const CUmemAllocationProp *properties, unsigned long long flags);

CU_API(since = 10020, id = 225, memory = free, destroys = allocation)
CUresult cuMemRelease(CUmemGenericAllocationHandle handle);

CU_API(since = 10020, id = 226, memory = map)
CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset_bytes, CUmemGenericAllocationHandle handle,
                  unsigned long long flags);

CU_API(since = 11010, id = 227, ptsz = 11010, memory = map)
CUresult cuMemMapArrayAsync(IN LEN(count) CUarrayMapInfo *maps, unsigned int count, CUstream stream);

CU_API(since = 10020, id = 228, memory = unmap)
CUresult cuMemUnmap(CUdeviceptr address, size_t bytes);

CU_API(since = 10020, id = 229)
CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, IN LEN(count) const CUmemAccessDesc *access,
                        size_t count);

CU_API(since = 10020, id = 230)
CUresult cuMemGetAccess(OUT unsigned long long *flags, IN const CUmemLocation *location, CUdeviceptr address);

CU_API(since = 10020, id = 231, memory = export)
CUresult cuMemExportToShareableHandle(OUT OPAQUE void *shareable, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType type, unsigned long long flags);

CU_API(since = 10020, id = 232, memory = import, creates = allocation)
CUresult cuMemImportFromShareableHandle(OUT CUmemGenericAllocationHandle *handle, OPAQUE void *shareable,
                                        CUmemAllocationHandleType type);

CU_API(since = 10020, id = 233)
CUresult cuMemGetAllocationGranularity(OUT size_t *granularity_bytes,
                                       IN const CUmemAllocationProp *properties,
                                       CUmemAllocationGranularity_flags option);

CU_API(since = 10020, id = 234)
CUresult cuMemGetAllocationPropertiesFromHandle(OUT CUmemAllocationProp *properties,
                                                CUmemGenericAllocationHandle handle);

CU_API(since = 11000, id = 235, memory = import)
CUresult cuMemRetainAllocationHandle(OUT CUmemGenericAllocationHandle *handle, OPAQUE void *address);

CU_API(since = 11070, id = 236, memory = export)
CUresult cuMemGetHandleForAddressRange(OUT OPAQUE void *handle, CUdeviceptr address, size_t bytes,
                                       CUmemRangeHandleType type, unsigned long long flags);

/* ---- multicast ---- */

CU_API(since = 12010, id = 237, memory = alloc, creates = allocation)
CUresult cuMulticastCreate(OUT CUmemGenericAllocationHandle *handle,
                           IN const CUmulticastObjectProp *properties);

CU_API(since = 12010, id = 238)
CUresult cuMulticastAddDevice(CUmemGenericAllocationHandle handle, CUdevice device);

CU_API(since = 12010, id = 239, memory = map)
CUresult cuMulticastBindMem(CUmemGenericAllocationHandle multicast, size_t multicast_offset,
                            CUmemGenericAllocationHandle memory, size_t memory_offset, size_t bytes,
                            unsigned long long flags);

CU_API(since = 12010, id = 240, memory = map)
CUresult cuMulticastBindAddr(CUmemGenericAllocationHandle multicast, size_t multicast_offset,
                             CUdeviceptr address, size_t bytes, unsigned long long flags);

CU_API(since = 12010, id = 241, memory = unmap)
CUresult cuMulticastUnbind(CUmemGenericAllocationHandle multicast, CUdevice device, size_t multicast_offset,
                           size_t bytes);

CU_API(since = 12010, id = 242)
CUresult cuMulticastGetGranularity(OUT size_t *granularity_bytes, IN const CUmulticastObjectProp *properties,
                                   CUmulticastGranularity_flags option);

/* ---- other processes ---- */

CU_API(since = 4010, id = 243, memory = export)
CUresult cuIpcGetEventHandle(OUT CUipcEventHandle *handle, CUevent event);

CU_API(since = 4010, id = 244, creates = event)
CUresult cuIpcOpenEventHandle(OUT CUevent *event, CUipcEventHandle handle);

CU_API(since = 4010, id = 245, memory = export)
CUresult cuIpcGetMemHandle(OUT CUipcMemHandle *handle, CUdeviceptr address);

CU_API(since = 4010, id = 246, memory = import)
CUresult cuIpcOpenMemHandle(OUT CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags);

CU_API(name = cuIpcOpenMemHandle, since = 11000, id = 247, memory = import)
CUresult cuIpcOpenMemHandle_v2(OUT CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags);

CU_API(since = 4010, id = 248, memory = unmap)
CUresult cuIpcCloseMemHandle(CUdeviceptr address);

/* ---- arrays ---- */

CU_API(since = 2000, id = 249, memory = alloc, creates = array, capture = illegal)
CUresult cuArrayCreate(OUT CUarray *array, IN const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor);

CU_API(name = cuArrayCreate, since = 3020, id = 250, memory = alloc, creates = array, capture = illegal)
CUresult cuArrayCreate_v2(OUT CUarray *array, IN const CUDA_ARRAY_DESCRIPTOR *descriptor);

CU_API(since = 2000, id = 251)
CUresult cuArrayGetDescriptor(OUT CUDA_ARRAY_DESCRIPTOR_v1 *descriptor, CUarray array);

CU_API(name = cuArrayGetDescriptor, since = 3020, id = 252)
CUresult cuArrayGetDescriptor_v2(OUT CUDA_ARRAY_DESCRIPTOR *descriptor, CUarray array);

CU_API(since = 2000, id = 253, memory = free, destroys = array, capture = illegal)
CUresult cuArrayDestroy(CUarray array);

CU_API(since = 2000, id = 254, memory = alloc, creates = array, capture = illegal)
CUresult cuArray3DCreate(OUT CUarray *array, IN const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor);

CU_API(name = cuArray3DCreate, since = 3020, id = 255, memory = alloc, creates = array, capture = illegal)
CUresult cuArray3DCreate_v2(OUT CUarray *array, IN const CUDA_ARRAY3D_DESCRIPTOR *descriptor);

CU_API(since = 2000, id = 256)
CUresult cuArray3DGetDescriptor(OUT CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor, CUarray array);

CU_API(name = cuArray3DGetDescriptor, since = 3020, id = 257)
CUresult cuArray3DGetDescriptor_v2(OUT CUDA_ARRAY3D_DESCRIPTOR *descriptor, CUarray array);

CU_API(since = 11010, id = 258)
CUresult cuArrayGetSparseProperties(OUT CUDA_ARRAY_SPARSE_PROPERTIES *properties, CUarray array);

CU_API(since = 11060, id = 259)
CUresult cuArrayGetMemoryRequirements(OUT CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUarray array,
                                      CUdevice device);

CU_API(since = 11020, id = 260)
CUresult cuArrayGetPlane(OUT CUarray *plane, CUarray array, unsigned int index);

CU_API(since = 5000, id = 261, memory = alloc, creates = mipmapped_array, capture = illegal)
CUresult cuMipmappedArrayCreate(OUT CUmipmappedArray *array, IN const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                                unsigned int levels);

CU_API(since = 5000, id = 262)
CUresult cuMipmappedArrayGetLevel(OUT CUarray *level_array, CUmipmappedArray array, unsigned int level);

CU_API(since = 5000, id = 263, memory = free, destroys = mipmapped_array, capture = illegal)
CUresult cuMipmappedArrayDestroy(CUmipmappedArray array);

CU_API(since = 11010, id = 264)
CUresult cuMipmappedArrayGetSparseProperties(OUT CUDA_ARRAY_SPARSE_PROPERTIES *properties,
                                             CUmipmappedArray array);

CU_API(since = 11060, id = 265)
CUresult cuMipmappedArrayGetMemoryRequirements(OUT CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements,
                                               CUmipmappedArray array, CUdevice device);
