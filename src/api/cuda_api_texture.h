/* The driver's functions about textures, surfaces, tensor maps and graphics resources,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- texture references ---- */

CU_API(since = 2000, id = 487, creates = texref)
CUresult cuTexRefCreate(OUT CUtexref *reference);

CU_API(since = 2000, id = 488, destroys = texref)
CUresult cuTexRefDestroy(CUtexref reference);

CU_API(since = 2000, id = 489)
CUresult cuTexRefSetArray(CUtexref reference, CUarray array, unsigned int flags);

CU_API(since = 5000, id = 490)
CUresult cuTexRefSetMipmappedArray(CUtexref reference, CUmipmappedArray array, unsigned int flags);

CU_API(since = 2000, id = 491)
CUresult cuTexRefSetAddress(OUT NULLABLE unsigned int *offset_bytes, CUtexref reference,
                            CUdeviceptr_v1 address, unsigned int bytes);

CU_API(name = cuTexRefSetAddress, since = 3020, id = 492)
CUresult cuTexRefSetAddress_v2(OUT NULLABLE size_t *offset_bytes, CUtexref reference, CUdeviceptr address,
                               size_t bytes);

CU_API(since = 2020, id = 493)
CUresult cuTexRefSetAddress2D(CUtexref reference, IN const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor,
                              CUdeviceptr_v1 address, unsigned int pitch_bytes);

CU_API(name = cuTexRefSetAddress2D, since = 3020, id = 494)
CUresult cuTexRefSetAddress2D_v2(CUtexref reference, IN const CUDA_ARRAY_DESCRIPTOR *descriptor,
                                 CUdeviceptr address, size_t pitch_bytes);

CU_API(name = cuTexRefSetAddress2D, since = 4010, id = 495)
CUresult cuTexRefSetAddress2D_v3(CUtexref reference, IN const CUDA_ARRAY_DESCRIPTOR *descriptor,
                                 CUdeviceptr address, size_t pitch_bytes);

CU_API(since = 2000, id = 496)
CUresult cuTexRefSetFormat(CUtexref reference, CUarray_format format, int components);

CU_API(since = 2000, id = 497)
CUresult cuTexRefSetAddressMode(CUtexref reference, int dimension, CUaddress_mode mode);

CU_API(since = 2000, id = 498)
CUresult cuTexRefSetFilterMode(CUtexref reference, CUfilter_mode mode);

CU_API(since = 5000, id = 499)
CUresult cuTexRefSetMipmapFilterMode(CUtexref reference, CUfilter_mode mode);

CU_API(since = 5000, id = 500)
CUresult cuTexRefSetMipmapLevelBias(CUtexref reference, float bias);

CU_API(since = 5000, id = 501)
CUresult cuTexRefSetMipmapLevelClamp(CUtexref reference, float min, float max);

CU_API(since = 5000, id = 502)
CUresult cuTexRefSetMaxAnisotropy(CUtexref reference, unsigned int max);

CU_API(since = 8000, id = 503)
CUresult cuTexRefSetBorderColor(CUtexref reference, IN LEN(4) float *color);

CU_API(since = 2000, id = 504)
CUresult cuTexRefSetFlags(CUtexref reference, unsigned int flags);

CU_API(since = 2000, id = 505)
CUresult cuTexRefGetAddress(OUT CUdeviceptr_v1 *address, CUtexref reference);

CU_API(name = cuTexRefGetAddress, since = 3020, id = 506)
CUresult cuTexRefGetAddress_v2(OUT CUdeviceptr *address, CUtexref reference);

CU_API(since = 2000, id = 507)
CUresult cuTexRefGetArray(OUT CUarray *array, CUtexref reference);

CU_API(since = 5000, id = 508)
CUresult cuTexRefGetMipmappedArray(OUT CUmipmappedArray *array, CUtexref reference);

CU_API(since = 2000, id = 509)
CUresult cuTexRefGetAddressMode(OUT CUaddress_mode *mode, CUtexref reference, int dimension);

CU_API(since = 2000, id = 510)
CUresult cuTexRefGetFilterMode(OUT CUfilter_mode *mode, CUtexref reference);

CU_API(since = 2000, id = 511)
CUresult cuTexRefGetFormat(OUT CUarray_format *format, OUT int *channels, CUtexref reference);

CU_API(since = 5000, id = 512)
CUresult cuTexRefGetMipmapFilterMode(OUT CUfilter_mode *mode, CUtexref reference);

CU_API(since = 5000, id = 513)
CUresult cuTexRefGetMipmapLevelBias(OUT float *bias, CUtexref reference);

CU_API(since = 5000, id = 514)
CUresult cuTexRefGetMipmapLevelClamp(OUT float *min, OUT float *max, CUtexref reference);

CU_API(since = 5000, id = 515)
CUresult cuTexRefGetMaxAnisotropy(OUT int *max, CUtexref reference);

CU_API(since = 8000, id = 516)
CUresult cuTexRefGetBorderColor(OUT LEN(4) float *color, CUtexref reference);

CU_API(since = 2000, id = 517)
CUresult cuTexRefGetFlags(OUT unsigned int *flags, CUtexref reference);

CU_API(since = 3000, id = 518)
CUresult cuSurfRefSetArray(CUsurfref reference, CUarray array, unsigned int flags);

CU_API(since = 3000, id = 519)
CUresult cuSurfRefGetArray(OUT CUarray *array, CUsurfref reference);

/* ---- texture and surface objects ---- */

CU_API(since = 5000, id = 520, creates = texture)
CUresult cuTexObjectCreate(OUT CUtexObject *texture, IN const CUDA_RESOURCE_DESC *resource,
                           IN const CUDA_TEXTURE_DESC *description,
                           IN NULLABLE const CUDA_RESOURCE_VIEW_DESC *view);

CU_API(since = 5000, id = 521, destroys = texture)
CUresult cuTexObjectDestroy(CUtexObject texture);

CU_API(since = 5000, id = 522)
CUresult cuTexObjectGetResourceDesc(OUT CUDA_RESOURCE_DESC *resource, CUtexObject texture);

CU_API(since = 5000, id = 523)
CUresult cuTexObjectGetTextureDesc(OUT CUDA_TEXTURE_DESC *description, CUtexObject texture);

CU_API(since = 5000, id = 524)
CUresult cuTexObjectGetResourceViewDesc(OUT CUDA_RESOURCE_VIEW_DESC *view, CUtexObject texture);

CU_API(since = 5000, id = 525, creates = surface)
CUresult cuSurfObjectCreate(OUT CUsurfObject *surface, IN const CUDA_RESOURCE_DESC *resource);

CU_API(since = 5000, id = 526, destroys = surface)
CUresult cuSurfObjectDestroy(CUsurfObject surface);

CU_API(since = 5000, id = 527)
CUresult cuSurfObjectGetResourceDesc(OUT CUDA_RESOURCE_DESC *resource, CUsurfObject surface);

/* ---- tensor maps ---- */

CU_API(since = 12000, id = 528, sync = local)
CUresult cuTensorMapEncodeTiled(OUT CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                OPAQUE void *address, IN LEN(rank) const cuuint64_t *dimensions,
                                IN LEN(rank - 1) const cuuint64_t *strides,
                                IN LEN(rank) const cuuint32_t *box,
                                IN LEN(rank) const cuuint32_t *element_strides,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill);

CU_API(since = 12000, id = 529, sync = local)
CUresult cuTensorMapEncodeIm2col(OUT CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                 OPAQUE void *address, IN LEN(rank) const cuuint64_t *dimensions,
                                 IN LEN(rank - 1) const cuuint64_t *strides,
                                 IN LEN(rank - 2) const int *box_lower, IN LEN(rank - 2) const int *box_upper,
                                 cuuint32_t channels_per_pixel, cuuint32_t pixels_per_column,
                                 IN LEN(rank) const cuuint32_t *element_strides,
                                 CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                 CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill);

CU_API(since = 12080, id = 530, sync = local)
CUresult cuTensorMapEncodeIm2colWide(OUT CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                     OPAQUE void *address, IN LEN(rank) const cuuint64_t *dimensions,
                                     IN LEN(rank - 1) const cuuint64_t *strides, int box_lower_width,
                                     int box_upper_width, cuuint32_t channels_per_pixel,
                                     cuuint32_t pixels_per_column,
                                     IN LEN(rank) const cuuint32_t *element_strides,
                                     CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode,
                                     CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                     CUtensorMapFloatOOBfill fill);

CU_API(since = 12000, id = 531, sync = local)
CUresult cuTensorMapReplaceAddress(INOUT CUtensorMap *map, OPAQUE void *address);

/* ---- graphics resources ---- */

CU_API(since = 3000, id = 532, destroys = graphics_resource)
CUresult cuGraphicsUnregisterResource(CUgraphicsResource resource);

CU_API(since = 3000, id = 533)
CUresult cuGraphicsSubResourceGetMappedArray(OUT CUarray *array, CUgraphicsResource resource,
                                             unsigned int index, unsigned int level);

CU_API(since = 5000, id = 534)
CUresult cuGraphicsResourceGetMappedMipmappedArray(OUT CUmipmappedArray *array, CUgraphicsResource resource);

CU_API(since = 3000, id = 535)
CUresult cuGraphicsResourceGetMappedPointer(OUT CUdeviceptr_v1 *address, OUT unsigned int *bytes,
                                            CUgraphicsResource resource);

CU_API(name = cuGraphicsResourceGetMappedPointer, since = 3020, id = 536)
CUresult cuGraphicsResourceGetMappedPointer_v2(OUT CUdeviceptr *address, OUT size_t *bytes,
                                               CUgraphicsResource resource);

CU_API(since = 3000, id = 537)
CUresult cuGraphicsResourceSetMapFlags(CUgraphicsResource resource, unsigned int flags);

CU_API(name = cuGraphicsResourceSetMapFlags, since = 6050, id = 538)
CUresult cuGraphicsResourceSetMapFlags_v2(CUgraphicsResource resource, unsigned int flags);

CU_API(since = 3000, id = 539, ptsz = 7000, memory = map)
CUresult cuGraphicsMapResources(unsigned int count, IN LEN(count) CUgraphicsResource *resources,
                                CUstream stream);

CU_API(since = 3000, id = 540, ptsz = 7000, memory = unmap)
CUresult cuGraphicsUnmapResources(unsigned int count, IN LEN(count) CUgraphicsResource *resources,
                                  CUstream stream);
