/* The driver's functions about streams, events, capture, external objects and launches,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- streams ---- */

CU_API(since = 2000, id = 331, creates = stream)
CUresult cuStreamCreate(OUT CUstream *stream, unsigned int flags);

CU_API(since = 5050, id = 332, creates = stream)
CUresult cuStreamCreateWithPriority(OUT CUstream *stream, unsigned int flags, int priority);

CU_API(since = 2000, id = 333, destroys = stream)
CUresult cuStreamDestroy(CUstream stream);

CU_API(name = cuStreamDestroy, since = 4000, id = 334, destroys = stream)
CUresult cuStreamDestroy_v2(CUstream stream);

CU_API(since = 5050, id = 335, ptsz = 7000)
CUresult cuStreamGetPriority(CUstream stream, OUT int *priority);

CU_API(since = 12080, id = 336, ptsz = 12080)
CUresult cuStreamGetDevice(CUstream stream, OUT CUdevice *device);

CU_API(since = 5050, id = 337, ptsz = 7000)
CUresult cuStreamGetFlags(CUstream stream, OUT unsigned int *flags);

CU_API(since = 12000, id = 338, ptsz = 12000)
CUresult cuStreamGetId(CUstream stream, OUT unsigned long long *id);

CU_API(since = 9020, id = 339, ptsz = 9020)
CUresult cuStreamGetCtx(CUstream stream, OUT CUcontext *context);

CU_API(name = cuStreamGetCtx, since = 12050, id = 340, ptsz = 12050, public = no)
CUresult cuStreamGetCtx_v2(CUstream stream, OUT CUcontext *context, OUT CUgreenCtx *green_context);

CU_API(since = 12040, id = 341)
CUresult cuStreamGetGreenCtx(CUstream stream, OUT CUgreenCtx *context);

CU_API(since = 3020, id = 342, ptsz = 7000, sync = oneway)
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags);

CU_API(since = 5000, id = 343, ptsz = 7000)
CUresult cuStreamAddCallback(CUstream stream, CALLBACK CUstreamCallback function, OPAQUE void *user_data,
                             unsigned int flags);

CU_API(since = 2000, id = 344, ptsz = 7000, capture = illegal)
CUresult cuStreamSynchronize(CUstream stream);

CU_API(since = 2000, id = 345, ptsz = 7000, capture = illegal)
CUresult cuStreamQuery(CUstream stream);

CU_API(since = 11000, id = 346, ptsz = 11000)
CUresult cuStreamCopyAttributes(CUstream destination, CUstream source);

CU_API(since = 11000, id = 347, ptsz = 11000)
CUresult cuStreamGetAttribute(CUstream stream, CUstreamAttrID attribute, OUT CUstreamAttrValue *value);

CU_API(since = 11000, id = 348, ptsz = 11000)
CUresult cuStreamSetAttribute(CUstream stream, CUstreamAttrID attribute, IN const CUstreamAttrValue *value);

/* ---- memory operations in a stream ---- */

CU_API(since = 8000, id = 349, ptsz = 8000, time = operation, sync = oneway)
CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags);

CU_API(name = cuStreamWaitValue32, since = 11070, id = 350, ptsz = 11070, time = operation, sync = oneway)
CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags);

CU_API(since = 9000, id = 351, ptsz = 9000, time = operation, sync = oneway)
CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags);

CU_API(name = cuStreamWaitValue64, since = 11070, id = 352, ptsz = 11070, time = operation, sync = oneway)
CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags);

CU_API(since = 8000, id = 353, ptsz = 8000, time = operation, sync = oneway)
CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags);

CU_API(name = cuStreamWriteValue32, since = 11070, id = 354, ptsz = 11070, time = operation, sync = oneway)
CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags);

CU_API(since = 9000, id = 355, ptsz = 9000, time = operation, sync = oneway)
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags);

CU_API(name = cuStreamWriteValue64, since = 11070, id = 356, ptsz = 11070, time = operation, sync = oneway)
CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags);

CU_API(since = 8000, id = 357, ptsz = 8000, time = operation, sync = oneway)
CUresult cuStreamBatchMemOp(CUstream stream, unsigned int count,
                            IN LEN(count) CUstreamBatchMemOpParams *operations, unsigned int flags);

CU_API(name = cuStreamBatchMemOp, since = 11070, id = 358, ptsz = 11070, time = operation, sync = oneway)
CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned int count,
                               IN LEN(count) CUstreamBatchMemOpParams *operations, unsigned int flags);

/* ---- capture ---- */

CU_API(since = 10000, id = 359, ptsz = 10000)
CUresult cuStreamBeginCapture(CUstream stream);

CU_API(name = cuStreamBeginCapture, since = 10010, id = 360, ptsz = 10010)
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode);

CU_API(since = 12030, id = 361, ptsz = 12030)
CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph,
                                     IN LEN(count) const CUgraphNode *dependencies,
                                     IN NULLABLE LEN(count) const CUgraphEdgeData *edges, size_t count,
                                     CUstreamCaptureMode mode);

CU_API(since = 10010, id = 362, sync = local)
CUresult cuThreadExchangeStreamCaptureMode(INOUT CUstreamCaptureMode *mode);

CU_API(since = 10000, id = 363, ptsz = 10000, creates = graph)
CUresult cuStreamEndCapture(CUstream stream, OUT CUgraph *graph);

CU_API(since = 10000, id = 364, ptsz = 10000)
CUresult cuStreamIsCapturing(CUstream stream, OUT CUstreamCaptureStatus *status);

CU_API(since = 10010, id = 365, ptsz = 10010)
CUresult cuStreamGetCaptureInfo(CUstream stream, OUT CUstreamCaptureStatus *status,
                                OUT NULLABLE cuuint64_t *id);

CU_API(name = cuStreamGetCaptureInfo, since = 11030, id = 366, ptsz = 11030)
CUresult cuStreamGetCaptureInfo_v2(CUstream stream, OUT CUstreamCaptureStatus *status,
                                   OUT NULLABLE cuuint64_t *id, OUT NULLABLE CUgraph *graph,
                                   OUT NULLABLE OPAQUE const CUgraphNode **dependencies,
                                   OUT NULLABLE size_t *count);

CU_API(name = cuStreamGetCaptureInfo, since = 12030, id = 367, ptsz = 12030)
CUresult cuStreamGetCaptureInfo_v3(CUstream stream, OUT CUstreamCaptureStatus *status,
                                   OUT NULLABLE cuuint64_t *id, OUT NULLABLE CUgraph *graph,
                                   OUT NULLABLE OPAQUE const CUgraphNode **dependencies,
                                   OUT NULLABLE OPAQUE const CUgraphEdgeData **edges,
                                   OUT NULLABLE size_t *count);

CU_API(since = 11030, id = 368, ptsz = 11030)
CUresult cuStreamUpdateCaptureDependencies(CUstream stream, IN LEN(count) CUgraphNode *dependencies,
                                           size_t count, unsigned int flags);

CU_API(name = cuStreamUpdateCaptureDependencies, since = 12030, id = 369, ptsz = 12030)
CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, IN LEN(count) CUgraphNode *dependencies,
                                              IN NULLABLE LEN(count) const CUgraphEdgeData *edges,
                                              size_t count, unsigned int flags);

/* ---- events ---- */

CU_API(since = 2000, id = 370, creates = event)
CUresult cuEventCreate(OUT CUevent *event, unsigned int flags);

CU_API(since = 2000, id = 371, ptsz = 7000, sync = oneway)
CUresult cuEventRecord(CUevent event, CUstream stream);

CU_API(since = 11010, id = 372, ptsz = 11010, sync = oneway)
CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags);

CU_API(since = 2000, id = 373, capture = illegal)
CUresult cuEventQuery(CUevent event);

CU_API(since = 2000, id = 374, capture = illegal)
CUresult cuEventSynchronize(CUevent event);

CU_API(since = 2000, id = 375, destroys = event)
CUresult cuEventDestroy(CUevent event);

CU_API(name = cuEventDestroy, since = 4000, id = 376, destroys = event)
CUresult cuEventDestroy_v2(CUevent event);

CU_API(since = 2000, id = 377)
CUresult cuEventElapsedTime(OUT float *milliseconds, CUevent start, CUevent end);

CU_API(name = cuEventElapsedTime, since = 12080, id = 378)
CUresult cuEventElapsedTime_v2(OUT float *milliseconds, CUevent start, CUevent end);

/* ---- memory and semaphores of other APIs ---- */

CU_API(since = 10000, id = 379, memory = import, creates = external_memory)
CUresult cuImportExternalMemory(OUT CUexternalMemory *memory,
                                IN const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description);

CU_API(since = 10000, id = 380, memory = map)
CUresult cuExternalMemoryGetMappedBuffer(OUT CUdeviceptr *address, CUexternalMemory memory,
                                         IN const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *description);

CU_API(since = 10000, id = 381, memory = map, creates = mipmapped_array)
CUresult
cuExternalMemoryGetMappedMipmappedArray(OUT CUmipmappedArray *array, CUexternalMemory memory,
                                        IN const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC *description);

CU_API(since = 10000, id = 382, memory = free, destroys = external_memory)
CUresult cuDestroyExternalMemory(CUexternalMemory memory);

CU_API(since = 10000, id = 383, creates = external_semaphore)
CUresult cuImportExternalSemaphore(OUT CUexternalSemaphore *semaphore,
                                   IN const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC *description);

CU_API(since = 10000, id = 384, ptsz = 10000)
CUresult cuSignalExternalSemaphoresAsync(IN LEN(count) const CUexternalSemaphore *semaphores,
                                         IN LEN(count) const CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS *params,
                                         unsigned int count, CUstream stream);

CU_API(since = 10000, id = 385, ptsz = 10000)
CUresult cuWaitExternalSemaphoresAsync(IN LEN(count) const CUexternalSemaphore *semaphores,
                                       IN LEN(count) const CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS *params,
                                       unsigned int count, CUstream stream);

CU_API(since = 10000, id = 386, destroys = external_semaphore)
CUresult cuDestroyExternalSemaphore(CUexternalSemaphore semaphore);

/* ---- launches ---- */

CU_API(since = 4000, id = 387, ptsz = 7000, time = launch, sync = oneway)
CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z,
                        unsigned int shared_bytes, CUstream stream, IN NULLABLE KERNEL_PARAMS void **params,
                        IN NULLABLE KERNEL_EXTRA void **extra);

CU_API(since = 11060, id = 388, ptsz = 11060, time = launch, sync = oneway)
CUresult cuLaunchKernelEx(IN const CUlaunchConfig *config, CUfunction function,
                          IN NULLABLE KERNEL_PARAMS void **params, IN NULLABLE KERNEL_EXTRA void **extra);

CU_API(since = 9000, id = 389, ptsz = 9000, time = launch, sync = oneway)
CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                                   unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                                   unsigned int block_z, unsigned int shared_bytes, CUstream stream,
                                   IN NULLABLE KERNEL_PARAMS void **params);

CU_API(since = 9000, id = 390, time = launch)
CUresult cuLaunchCooperativeKernelMultiDevice(IN LEN(count) CUDA_LAUNCH_PARAMS *launches, unsigned int count,
                                              unsigned int flags);

CU_API(since = 10000, id = 391, ptsz = 10000, time = host)
CUresult cuLaunchHostFunc(CUstream stream, CALLBACK CUhostFn function, OPAQUE void *user_data);

CU_API(since = 2000, id = 392, time = launch)
CUresult cuLaunch(CUfunction function);

CU_API(since = 2000, id = 393, time = launch)
CUresult cuLaunchGrid(CUfunction function, int width, int height);

CU_API(since = 2000, id = 394, time = launch)
CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream);
