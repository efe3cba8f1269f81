/* The driver's functions about contexts and green contexts,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- contexts ---- */

CU_API(since = 2000, id = 63, memory = context, creates = context)
CUresult cuCtxCreate(OUT CUcontext *context, unsigned int flags, CUdevice device);

CU_API(name = cuCtxCreate, since = 3020, id = 64, memory = context, creates = context)
CUresult cuCtxCreate_v2(OUT CUcontext *context, unsigned int flags, CUdevice device);

CU_API(name = cuCtxCreate, since = 11040, id = 65, memory = context, creates = context)
CUresult cuCtxCreate_v3(OUT CUcontext *context, IN LEN(params_count) CUexecAffinityParam *params,
                        int params_count, unsigned int flags, CUdevice device);

CU_API(name = cuCtxCreate, since = 12050, id = 66, memory = context, creates = context)
CUresult cuCtxCreate_v4(OUT CUcontext *context, IN NULLABLE CUctxCreateParams *params, unsigned int flags,
                        CUdevice device);

CU_API(since = 2000, id = 67, memory = context, destroys = context)
CUresult cuCtxDestroy(CUcontext context);

CU_API(name = cuCtxDestroy, since = 4000, id = 68, memory = context, destroys = context)
CUresult cuCtxDestroy_v2(CUcontext context);

CU_API(since = 2000, id = 69)
CUresult cuCtxAttach(OUT CUcontext *context, unsigned int flags);

CU_API(since = 2000, id = 70, memory = context, destroys = context)
CUresult cuCtxDetach(CUcontext context);

CU_API(since = 2000, id = 71, sync = local)
CUresult cuCtxPushCurrent(CUcontext context);

CU_API(name = cuCtxPushCurrent, since = 4000, id = 72, sync = local)
CUresult cuCtxPushCurrent_v2(CUcontext context);

CU_API(since = 2000, id = 73, sync = local)
CUresult cuCtxPopCurrent(OUT NULLABLE CUcontext *context);

CU_API(name = cuCtxPopCurrent, since = 4000, id = 74, sync = local)
CUresult cuCtxPopCurrent_v2(OUT NULLABLE CUcontext *context);

CU_API(since = 4000, id = 75, sync = local)
CUresult cuCtxSetCurrent(CUcontext context);

CU_API(since = 4000, id = 76, sync = local)
CUresult cuCtxGetCurrent(OUT CUcontext *context);

CU_API(since = 2000, id = 77, sync = local)
CUresult cuCtxGetDevice(OUT CUdevice *device);

CU_API(name = cuCtxGetDevice, since = 13000, id = 78, sync = local, public = no)
CUresult cuCtxGetDevice_v2(OUT CUdevice *device, CUcontext context);

CU_API(since = 7000, id = 79)
CUresult cuCtxGetFlags(OUT unsigned int *flags);

CU_API(since = 12010, id = 80)
CUresult cuCtxSetFlags(unsigned int flags);

CU_API(since = 12000, id = 81)
CUresult cuCtxGetId(CUcontext context, OUT unsigned long long *id);

CU_API(since = 2000, id = 82, capture = illegal)
CUresult cuCtxSynchronize(void);

CU_API(name = cuCtxSynchronize, since = 13000, id = 83, capture = illegal, public = no)
CUresult cuCtxSynchronize_v2(CUcontext context);

CU_API(since = 3010, id = 84, memory = context)
CUresult cuCtxSetLimit(CUlimit limit, size_t value);

CU_API(since = 3010, id = 85)
CUresult cuCtxGetLimit(OUT size_t *value, CUlimit limit);

CU_API(since = 3020, id = 86)
CUresult cuCtxGetCacheConfig(OUT CUfunc_cache *config);

CU_API(since = 3020, id = 87)
CUresult cuCtxSetCacheConfig(CUfunc_cache config);

CU_API(since = 4020, id = 88)
CUresult cuCtxGetSharedMemConfig(OUT CUsharedconfig *config);

CU_API(since = 4020, id = 89)
CUresult cuCtxSetSharedMemConfig(CUsharedconfig config);

CU_API(since = 3020, id = 90)
CUresult cuCtxGetApiVersion(CUcontext context, OUT unsigned int *version);

CU_API(since = 5050, id = 91)
CUresult cuCtxGetStreamPriorityRange(OUT NULLABLE int *least, OUT NULLABLE int *greatest);

CU_API(since = 11000, id = 92)
CUresult cuCtxResetPersistingL2Cache(void);

CU_API(since = 11040, id = 93)
CUresult cuCtxGetExecAffinity(OUT CUexecAffinityParam *param, CUexecAffinityType type);

CU_API(since = 12050, id = 94)
CUresult cuCtxRecordEvent(CUcontext context, CUevent event);

CU_API(since = 12050, id = 95)
CUresult cuCtxWaitEvent(CUcontext context, CUevent event);

CU_API(since = 4000, id = 96)
CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags);

CU_API(since = 4000, id = 97)
CUresult cuCtxDisablePeerAccess(CUcontext peer);

/* ---- green contexts ---- */

CU_API(since = 12040, id = 98, memory = context, creates = green_context)
CUresult cuGreenCtxCreate(OUT CUgreenCtx *context, CUdevResourceDesc description, CUdevice device,
                          unsigned int flags);

CU_API(since = 12040, id = 99, memory = context, destroys = green_context)
CUresult cuGreenCtxDestroy(CUgreenCtx context);

CU_API(since = 12040, id = 100)
CUresult cuCtxFromGreenCtx(OUT CUcontext *context, CUgreenCtx green_context);

CU_API(since = 12040, id = 101)
CUresult cuDeviceGetDevResource(CUdevice device, OUT CUdevResource *resource, CUdevResourceType type);

CU_API(since = 12040, id = 102)
CUresult cuCtxGetDevResource(CUcontext context, OUT CUdevResource *resource, CUdevResourceType type);

CU_API(since = 12040, id = 103)
CUresult cuGreenCtxGetDevResource(CUgreenCtx context, OUT CUdevResource *resource, CUdevResourceType type);

CU_API(since = 12040, id = 104)
CUresult cuDevSmResourceSplitByCount(OUT NULLABLE LEN(*groups_count) CUdevResource *groups,
                                     INOUT unsigned int *groups_count, IN const CUdevResource *input,
                                     OUT NULLABLE CUdevResource *remaining, unsigned int flags,
                                     unsigned int min_count);

CU_API(since = 12040, id = 105, creates = resource_description)
CUresult cuDevResourceGenerateDesc(OUT CUdevResourceDesc *description,
                                   IN LEN(resources_count) CUdevResource *resources,
                                   unsigned int resources_count);

CU_API(since = 12040, id = 106)
CUresult cuGreenCtxRecordEvent(CUgreenCtx context, CUevent event);

CU_API(since = 12040, id = 107)
CUresult cuGreenCtxWaitEvent(CUgreenCtx context, CUevent event);

CU_API(since = 12050, id = 108, creates = stream)
CUresult cuGreenCtxStreamCreate(OUT CUstream *stream, CUgreenCtx context, unsigned int flags, int priority);

CU_API(since = 12090, id = 109)
CUresult cuGreenCtxGetId(CUgreenCtx context, OUT unsigned long long *id);
