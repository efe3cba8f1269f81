/* The driver's functions about devices, initialisation and the diagnostics around them,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- initialisation, errors, entry points ---- */

CU_API(since = 2000, id = 1, sync = local)
CUresult cuInit(unsigned int flags);

CU_API(since = 2020, id = 2, sync = local)
CUresult cuDriverGetVersion(OUT int *version);

CU_API(since = 6000, id = 3, sync = local)
CUresult cuGetErrorString(CUresult error, OUT STRING const char **text);

CU_API(since = 6000, id = 4, sync = local)
CUresult cuGetErrorName(CUresult error, OUT STRING const char **text);

CU_API(since = 11030, id = 5, sync = local)
CUresult cuGetProcAddress(IN STRING const char *symbol, OUT OPAQUE void **function, int version,
                          cuuint64_t flags);

CU_API(name = cuGetProcAddress, since = 12000, id = 6, sync = local)
CUresult cuGetProcAddress_v2(IN STRING const char *symbol, OUT OPAQUE void **function, int version,
                             cuuint64_t flags, OUT NULLABLE CUdriverProcAddressQueryResult *status);

CU_API(since = 3000, id = 7, sync = local)
CUresult cuGetExportTable(OUT OPAQUE const void **table, IN const CUuuid *id);

/* ---- devices ---- */

CU_API(since = 2000, id = 8)
CUresult cuDeviceGet(OUT CUdevice *device, int ordinal);

CU_API(since = 2000, id = 9)
CUresult cuDeviceGetCount(OUT int *count);

CU_API(since = 2000, id = 10)
CUresult cuDeviceGetName(OUT LEN(len) char *name, int len, CUdevice device);

CU_API(since = 9020, id = 11)
CUresult cuDeviceGetUuid(OUT CUuuid *uuid, CUdevice device);

CU_API(name = cuDeviceGetUuid, since = 11040, id = 12)
CUresult cuDeviceGetUuid_v2(OUT CUuuid *uuid, CUdevice device);

CU_API(since = 10000, id = 13)
CUresult cuDeviceGetLuid(OUT LEN(8) char *luid, OUT unsigned int *node_mask, CUdevice device);

CU_API(since = 2000, id = 14, memory = query)
CUresult cuDeviceTotalMem(OUT unsigned int *bytes, CUdevice device);

CU_API(name = cuDeviceTotalMem, since = 3020, id = 15, memory = query)
CUresult cuDeviceTotalMem_v2(OUT size_t *bytes, CUdevice device);

CU_API(since = 11010, id = 16)
CUresult cuDeviceGetTexture1DLinearMaxWidth(OUT size_t *max_width, CUarray_format format, unsigned channels,
                                            CUdevice device);

CU_API(since = 2000, id = 17)
CUresult cuDeviceGetAttribute(OUT int *value, CUdevice_attribute attribute, CUdevice device);

CU_API(since = 13000, id = 18)
CUresult cuDeviceGetHostAtomicCapabilities(OUT LEN(count) unsigned int *capabilities,
                                           IN LEN(count) const CUatomicOperation *operations,
                                           unsigned int count, CUdevice device);

CU_API(since = 13000, id = 19)
CUresult cuDeviceGetP2PAtomicCapabilities(OUT LEN(count) unsigned int *capabilities,
                                          IN LEN(count) const CUatomicOperation *operations,
                                          unsigned int count, CUdevice source, CUdevice destination);

CU_API(since = 10020, id = 20)
CUresult cuDeviceGetNvSciSyncAttributes(INOUT OPAQUE void *attributes, CUdevice device, int flags);

CU_API(since = 11020, id = 21, memory = pool)
CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool);

CU_API(since = 11020, id = 22, memory = pool)
CUresult cuDeviceGetMemPool(OUT CUmemoryPool *pool, CUdevice device);

CU_API(since = 11020, id = 23, memory = pool)
CUresult cuDeviceGetDefaultMemPool(OUT CUmemoryPool *pool, CUdevice device);

CU_API(since = 11040, id = 24)
CUresult cuDeviceGetExecAffinitySupport(OUT int *supported, CUexecAffinityType type, CUdevice device);

CU_API(since = 11030, id = 25)
CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget target,
                                    CUflushGPUDirectRDMAWritesScope scope);

CU_API(since = 2000, id = 26)
CUresult cuDeviceGetProperties(OUT CUdevprop *properties, CUdevice device);

CU_API(since = 2000, id = 27)
CUresult cuDeviceComputeCapability(OUT int *major, OUT int *minor, CUdevice device);

CU_API(since = 4010, id = 28)
CUresult cuDeviceGetByPCIBusId(OUT CUdevice *device, IN STRING const char *bus_id);

CU_API(since = 4010, id = 29)
CUresult cuDeviceGetPCIBusId(OUT LEN(len) char *bus_id, int len, CUdevice device);

CU_API(since = 12040, id = 30)
CUresult cuDeviceRegisterAsyncNotification(CUdevice device, CALLBACK CUasyncCallback function,
                                           OPAQUE void *user_data, OUT CUasyncCallbackHandle *callback);

CU_API(since = 12040, id = 31)
CUresult cuDeviceUnregisterAsyncNotification(CUdevice device, CUasyncCallbackHandle callback);

CU_API(since = 4000, id = 32)
CUresult cuDeviceCanAccessPeer(OUT int *can_access, CUdevice device, CUdevice peer);

CU_API(since = 8000, id = 33)
CUresult cuDeviceGetP2PAttribute(OUT int *value, CUdevice_P2PAttribute attribute, CUdevice source,
                                 CUdevice destination);

CU_API(since = 11040, id = 34, memory = query)
CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute,
                                      OUT LEN(8) void *value);

CU_API(since = 11040, id = 35, memory = query)
CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, IN LEN(8) void *value);

CU_API(since = 11040, id = 36, memory = free)
CUresult cuDeviceGraphMemTrim(CUdevice device);

/* ---- primary contexts ---- */

CU_API(since = 7000, id = 37, memory = context, creates = context)
CUresult cuDevicePrimaryCtxRetain(OUT CUcontext *context, CUdevice device);

CU_API(since = 7000, id = 38, memory = context, destroys = context)
CUresult cuDevicePrimaryCtxRelease(CUdevice device);

CU_API(name = cuDevicePrimaryCtxRelease, since = 11000, id = 39, memory = context, destroys = context)
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);

CU_API(since = 7000, id = 40)
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags);

CU_API(name = cuDevicePrimaryCtxSetFlags, since = 11000, id = 41)
CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags);

CU_API(since = 7000, id = 42)
CUresult cuDevicePrimaryCtxGetState(CUdevice device, OUT unsigned int *flags, OUT int *active);

CU_API(since = 7000, id = 43, memory = context, destroys = context)
CUresult cuDevicePrimaryCtxReset(CUdevice device);

CU_API(name = cuDevicePrimaryCtxReset, since = 11000, id = 44, memory = context, destroys = context)
CUresult cuDevicePrimaryCtxReset_v2(CUdevice device);

/* ---- profiler, core dumps, checkpoints, logs ---- */

CU_API(since = 4000, id = 45)
CUresult cuProfilerInitialize(IN STRING const char *config_file, IN STRING const char *output_file,
                              CUoutput_mode mode);

CU_API(since = 4000, id = 46)
CUresult cuProfilerStart(void);

CU_API(since = 4000, id = 47)
CUresult cuProfilerStop(void);

CU_API(since = 12010, id = 48)
CUresult cuCoredumpGetAttribute(CUcoredumpSettings attribute, OUT LEN(*size) void *value, INOUT size_t *size);

CU_API(since = 12010, id = 49)
CUresult cuCoredumpGetAttributeGlobal(CUcoredumpSettings attribute, OUT LEN(*size) void *value,
                                      INOUT size_t *size);

CU_API(since = 12010, id = 50)
CUresult cuCoredumpSetAttribute(CUcoredumpSettings attribute, IN LEN(*size) void *value, IN size_t *size);

CU_API(since = 12010, id = 51)
CUresult cuCoredumpSetAttributeGlobal(CUcoredumpSettings attribute, IN LEN(*size) void *value,
                                      IN size_t *size);

CU_API(since = 12080, id = 52)
CUresult cuCheckpointProcessGetRestoreThreadId(int pid, OUT int *tid);

CU_API(since = 12080, id = 53)
CUresult cuCheckpointProcessGetState(int pid, OUT CUprocessState *state);

CU_API(since = 12080, id = 54)
CUresult cuCheckpointProcessLock(int pid, IN NULLABLE CUcheckpointLockArgs *args);

CU_API(since = 12080, id = 55, memory = free)
CUresult cuCheckpointProcessCheckpoint(int pid, IN NULLABLE CUcheckpointCheckpointArgs *args);

CU_API(since = 12080, id = 56, memory = alloc)
CUresult cuCheckpointProcessRestore(int pid, IN NULLABLE CUcheckpointRestoreArgs *args);

CU_API(since = 12080, id = 57)
CUresult cuCheckpointProcessUnlock(int pid, IN NULLABLE CUcheckpointUnlockArgs *args);

CU_API(since = 12090, id = 58, sync = local)
CUresult cuLogsRegisterCallback(CALLBACK CUlogsCallback function, OPAQUE void *user_data,
                                OUT NULLABLE CUlogsCallbackHandle *callback);

CU_API(since = 12090, id = 59, sync = local)
CUresult cuLogsUnregisterCallback(CUlogsCallbackHandle callback);

CU_API(since = 12090, id = 60, sync = local)
CUresult cuLogsCurrent(OUT CUlogIterator *iterator, unsigned int flags);

CU_API(since = 12090, id = 61, sync = local)
CUresult cuLogsDumpToFile(INOUT NULLABLE CUlogIterator *iterator, IN STRING const char *path,
                          unsigned int flags);

CU_API(since = 12090, id = 62, sync = local)
CUresult cuLogsDumpToMemory(INOUT NULLABLE CUlogIterator *iterator, OUT LEN(*size) char *buffer,
                            INOUT size_t *size, unsigned int flags);
