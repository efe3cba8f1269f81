/* The driver's functions about modules, libraries, functions, linking and occupancy,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- modules ---- */

CU_API(since = 2000, id = 110, memory = module, creates = module, capture = illegal)
CUresult cuModuleLoad(OUT CUmodule *module, IN STRING const char *path);

CU_API(since = 2000, id = 111, memory = module, creates = module, capture = illegal)
CUresult cuModuleLoadData(OUT CUmodule *module, IN OPAQUE const void *image);

CU_API(since = 2010, id = 112, memory = module, creates = module, capture = illegal)
CUresult cuModuleLoadDataEx(OUT CUmodule *module, IN OPAQUE const void *image, unsigned int options_count,
                            IN LEN(options_count) CUjit_option *options,
                            INOUT LEN(options_count) OPAQUE void **values);

CU_API(since = 2000, id = 113, memory = module, creates = module, capture = illegal)
CUresult cuModuleLoadFatBinary(OUT CUmodule *module, IN OPAQUE const void *image);

CU_API(since = 2000, id = 114, memory = module, destroys = module, capture = illegal)
CUresult cuModuleUnload(CUmodule module);

CU_API(since = 11070, id = 115)
CUresult cuModuleGetLoadingMode(OUT CUmoduleLoadingMode *mode);

CU_API(since = 2000, id = 116)
CUresult cuModuleGetFunction(OUT CUfunction *function, CUmodule module, IN STRING const char *name);

CU_API(since = 12040, id = 117)
CUresult cuModuleGetFunctionCount(OUT unsigned int *count, CUmodule module);

CU_API(since = 12040, id = 118)
CUresult cuModuleEnumerateFunctions(OUT LEN(count) CUfunction *functions, unsigned int count,
                                    CUmodule module);

CU_API(since = 2000, id = 119)
CUresult cuModuleGetGlobal(OUT NULLABLE CUdeviceptr_v1 *address, OUT NULLABLE unsigned int *bytes,
                           CUmodule module, IN STRING const char *name);

CU_API(name = cuModuleGetGlobal, since = 3020, id = 120)
CUresult cuModuleGetGlobal_v2(OUT NULLABLE CUdeviceptr *address, OUT NULLABLE size_t *bytes, CUmodule module,
                              IN STRING const char *name);

CU_API(since = 2000, id = 121)
CUresult cuModuleGetTexRef(OUT CUtexref *reference, CUmodule module, IN STRING const char *name);

CU_API(since = 3000, id = 122)
CUresult cuModuleGetSurfRef(OUT CUsurfref *reference, CUmodule module, IN STRING const char *name);

/* ---- linking ---- */

CU_API(since = 5050, id = 123, creates = link_state)
CUresult cuLinkCreate(unsigned int options_count, IN LEN(options_count) CUjit_option *options,
                      INOUT LEN(options_count) OPAQUE void **values, OUT CUlinkState *state);

CU_API(name = cuLinkCreate, since = 6050, id = 124, creates = link_state)
CUresult cuLinkCreate_v2(unsigned int options_count, IN LEN(options_count) CUjit_option *options,
                         INOUT LEN(options_count) OPAQUE void **values, OUT CUlinkState *state);

CU_API(since = 5050, id = 125)
CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, IN LEN(size) void *image, size_t size,
                       IN STRING const char *name, unsigned int options_count,
                       IN LEN(options_count) CUjit_option *options,
                       INOUT LEN(options_count) OPAQUE void **values);

CU_API(name = cuLinkAddData, since = 6050, id = 126)
CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, IN LEN(size) void *image, size_t size,
                          IN STRING const char *name, unsigned int options_count,
                          IN LEN(options_count) CUjit_option *options,
                          INOUT LEN(options_count) OPAQUE void **values);

CU_API(since = 5050, id = 127)
CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, IN STRING const char *path,
                       unsigned int options_count, IN LEN(options_count) CUjit_option *options,
                       INOUT LEN(options_count) OPAQUE void **values);

CU_API(name = cuLinkAddFile, since = 6050, id = 128)
CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, IN STRING const char *path,
                          unsigned int options_count, IN LEN(options_count) CUjit_option *options,
                          INOUT LEN(options_count) OPAQUE void **values);

CU_API(since = 5050, id = 129)
CUresult cuLinkComplete(CUlinkState state, OUT OPAQUE void **image, OUT size_t *size);

CU_API(since = 5050, id = 130, destroys = link_state)
CUresult cuLinkDestroy(CUlinkState state);

/* ---- libraries and kernels ---- */

CU_API(since = 12000, id = 131, memory = module, creates = library, capture = illegal)
CUresult cuLibraryLoadData(OUT CUlibrary *library, IN OPAQUE const void *image,
                           IN LEN(jit_options_count) CUjit_option *jit_options,
                           INOUT LEN(jit_options_count) OPAQUE void **jit_values,
                           unsigned int jit_options_count, IN LEN(options_count) CUlibraryOption *options,
                           IN LEN(options_count) OPAQUE void **values, unsigned int options_count);

CU_API(since = 12000, id = 132, memory = module, creates = library, capture = illegal)
CUresult cuLibraryLoadFromFile(OUT CUlibrary *library, IN STRING const char *path,
                               IN LEN(jit_options_count) CUjit_option *jit_options,
                               INOUT LEN(jit_options_count) OPAQUE void **jit_values,
                               unsigned int jit_options_count, IN LEN(options_count) CUlibraryOption *options,
                               IN LEN(options_count) OPAQUE void **values, unsigned int options_count);

CU_API(since = 12000, id = 133, memory = module, destroys = library, capture = illegal)
CUresult cuLibraryUnload(CUlibrary library);

CU_API(since = 12000, id = 134)
CUresult cuLibraryGetKernel(OUT CUkernel *kernel, CUlibrary library, IN STRING const char *name);

CU_API(since = 12040, id = 135)
CUresult cuLibraryGetKernelCount(OUT unsigned int *count, CUlibrary library);

CU_API(since = 12040, id = 136)
CUresult cuLibraryEnumerateKernels(OUT LEN(count) CUkernel *kernels, unsigned int count, CUlibrary library);

CU_API(since = 12000, id = 137, memory = module)
CUresult cuLibraryGetModule(OUT CUmodule *module, CUlibrary library);

CU_API(since = 12000, id = 138, memory = module)
CUresult cuLibraryGetGlobal(OUT NULLABLE CUdeviceptr *address, OUT NULLABLE size_t *bytes, CUlibrary library,
                            IN STRING const char *name);

CU_API(since = 12000, id = 139, memory = module)
CUresult cuLibraryGetManaged(OUT NULLABLE CUdeviceptr *address, OUT NULLABLE size_t *bytes, CUlibrary library,
                             IN STRING const char *name);

CU_API(since = 12000, id = 140)
CUresult cuLibraryGetUnifiedFunction(OUT OPAQUE void **function, CUlibrary library,
                                     IN STRING const char *symbol);

CU_API(since = 12000, id = 141, memory = module)
CUresult cuKernelGetFunction(OUT CUfunction *function, CUkernel kernel);

CU_API(since = 12050, id = 142)
CUresult cuKernelGetLibrary(OUT CUlibrary *library, CUkernel kernel);

CU_API(since = 12000, id = 143)
CUresult cuKernelGetAttribute(OUT int *value, CUfunction_attribute attribute, CUkernel kernel,
                              CUdevice device);

CU_API(since = 12000, id = 144)
CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device);

CU_API(since = 12000, id = 145)
CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice device);

CU_API(since = 12030, id = 146)
CUresult cuKernelGetName(OUT STRING const char **name, CUkernel kernel);

CU_API(since = 12040, id = 147)
CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, OUT size_t *offset, OUT NULLABLE size_t *size);

/* ---- functions ---- */

CU_API(since = 2020, id = 148)
CUresult cuFuncGetAttribute(OUT int *value, CUfunction_attribute attribute, CUfunction function);

CU_API(since = 9000, id = 149)
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value);

CU_API(since = 3000, id = 150)
CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config);

CU_API(since = 11000, id = 151)
CUresult cuFuncGetModule(OUT CUmodule *module, CUfunction function);

CU_API(since = 12030, id = 152)
CUresult cuFuncGetName(OUT STRING const char **name, CUfunction function);

CU_API(since = 12040, id = 153)
CUresult cuFuncGetParamInfo(CUfunction function, size_t index, OUT size_t *offset, OUT NULLABLE size_t *size);

CU_API(since = 12040, id = 154)
CUresult cuFuncIsLoaded(OUT CUfunctionLoadingState *state, CUfunction function);

CU_API(since = 12040, id = 155, memory = module)
CUresult cuFuncLoad(CUfunction function);

CU_API(since = 4020, id = 156)
CUresult cuFuncSetSharedMemConfig(CUfunction function, CUsharedconfig config);

CU_API(since = 2000, id = 157)
CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z);

CU_API(since = 2000, id = 158)
CUresult cuFuncSetSharedSize(CUfunction function, unsigned int bytes);

CU_API(since = 2000, id = 159)
CUresult cuParamSetSize(CUfunction function, unsigned int bytes);

CU_API(since = 2000, id = 160)
CUresult cuParamSeti(CUfunction function, int offset, unsigned int value);

CU_API(since = 2000, id = 161)
CUresult cuParamSetf(CUfunction function, int offset, float value);

CU_API(since = 2000, id = 162)
CUresult cuParamSetv(CUfunction function, int offset, IN LEN(bytes) void *value, unsigned int bytes);

CU_API(since = 2000, id = 163)
CUresult cuParamSetTexRef(CUfunction function, int unit, CUtexref reference);

/* ---- occupancy ---- */

CU_API(since = 6050, id = 164)
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(OUT int *blocks, CUfunction function, int block_size,
                                                     size_t dynamic_bytes);

CU_API(since = 7000, id = 165)
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(OUT int *blocks, CUfunction function,
                                                              int block_size, size_t dynamic_bytes,
                                                              unsigned int flags);

CU_API(since = 6050, id = 166)
CUresult cuOccupancyMaxPotentialBlockSize(OUT int *min_grid_size, OUT int *block_size, CUfunction function,
                                          CALLBACK NULLABLE CUoccupancyB2DSize dynamic_bytes_of,
                                          size_t dynamic_bytes, int block_size_limit);

CU_API(since = 7000, id = 167)
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(OUT int *min_grid_size, OUT int *block_size,
                                                   CUfunction function,
                                                   CALLBACK NULLABLE CUoccupancyB2DSize dynamic_bytes_of,
                                                   size_t dynamic_bytes, int block_size_limit,
                                                   unsigned int flags);

CU_API(since = 10020, id = 168)
CUresult cuOccupancyAvailableDynamicSMemPerBlock(OUT size_t *dynamic_bytes, CUfunction function, int blocks,
                                                 int block_size);

CU_API(since = 11070, id = 169)
CUresult cuOccupancyMaxPotentialClusterSize(OUT int *cluster_size, CUfunction function,
                                            IN const CUlaunchConfig *config);

CU_API(since = 11070, id = 170)
CUresult cuOccupancyMaxActiveClusters(OUT int *clusters, CUfunction function,
                                      IN const CUlaunchConfig *config);
