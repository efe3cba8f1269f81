/* Arrays of the tests' fake driver: of elements of 4 bytes whatever the format, with nothing behind them. */
#include "shim_fake_parts.h"

enum { ARRAYS = 64 };

/* A mipmapped array is one too. */
struct CUarray_st {
    CUcontext context; /* NULL: there is none */
    bool mipmapped;
    uint64_t bytes;
    struct fake_physical *physical; /* external memory that it lies in, or NULL */
};

static struct CUarray_st arrays[ARRAYS];

static uint64_t row_bytes(uint64_t elements)
{
    uint64_t align = fake_state()->pitch_align;

    return (elements * 4 + align - 1) / align * align;
}

static void array_end(CUarray array)
{
    fake_state()->devices[array->context->device].used_bytes -= array->bytes;
    if (array->physical)
        fake_physical_unref(array->physical);
    array->context = NULL;
}

void fake_arrays_end(CUcontext context)
{
    for (int i = 0; i < ARRAYS; i++)
        if (arrays[i].context == context)
            array_end(&arrays[i]);
}

static CUresult array_new(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned levels,
                          bool mipmapped)
{
    uint64_t bytes = fake_state()->array_extra_bytes;

    CUresult result = fake_fail();

    if (result)
        return result;
    if (!fake_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!shape || !array)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned level = 0; level < levels; level++) {
        uint64_t width = shape->Width >> level, height = shape->Height >> level;

        bytes += row_bytes((width ? width : 1) * shape->NumChannels) * (height ? height : 1) *
                 (shape->Depth ? shape->Depth : 1);
    }
    bytes = shape->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING) ? 0 : fake_granules(bytes);
    for (int i = 0; i < ARRAYS; i++) {
        if (arrays[i].context)
            continue;
        if (!fake_take(fake_current()->device, bytes))
            return CUDA_ERROR_OUT_OF_MEMORY;
        arrays[i] = (struct CUarray_st){fake_current(), mipmapped, bytes, NULL};
        *array = &arrays[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

CUresult fake_array_of(CUmipmappedArray *array, struct fake_physical *physical)
{
    for (int i = 0; i < ARRAYS; i++) {
        if (arrays[i].context)
            continue;
        arrays[i] = (struct CUarray_st){fake_current(), true, 0, physical};
        *array = (CUmipmappedArray)(void *)&arrays[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

/* What any descriptor says, in the widest form. */
#define SHAPE(descriptor, ...)                                                                               \
    ((descriptor) ? &(const CUDA_ARRAY3D_DESCRIPTOR){.Width = (descriptor)->Width,                           \
                                                     .Height = (descriptor)->Height,                         \
                                                     .NumChannels = (descriptor)->NumChannels,               \
                                                     __VA_ARGS__}                                            \
                  : NULL)

CUresult cuArrayCreate(CUarray *array, const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor)
{
    FAKE_CALL(cuArrayCreate, false);
    return array_new(array, SHAPE(descriptor), 1, false);
}

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *descriptor)
{
    FAKE_CALL(cuArrayCreate_v2, false);
    return array_new(array, SHAPE(descriptor), 1, false);
}

CUresult cuArray3DCreate(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor)
{
    FAKE_CALL(cuArray3DCreate, false);
    return array_new(array, SHAPE(descriptor, .Depth = descriptor->Depth, .Flags = descriptor->Flags), 1,
                     false);
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    FAKE_CALL(cuArray3DCreate_v2, false);
    return array_new(array, descriptor, 1, false);
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                                unsigned int levels)
{
    FAKE_CALL(cuMipmappedArrayCreate, false);
    return array_new((CUarray *)(void *)array, descriptor, levels, true);
}

static CUresult array_destroy(CUarray array, bool mipmapped)
{
    if (!array || !array->context || array->mipmapped != mipmapped)
        return CUDA_ERROR_INVALID_HANDLE;
    array_end(array);
    return CUDA_SUCCESS;
}

CUresult cuArrayDestroy(CUarray array)
{
    FAKE_CALL(cuArrayDestroy, false);
    return array_destroy(array, false);
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array)
{
    FAKE_CALL(cuMipmappedArrayDestroy, false);
    return array_destroy((CUarray)(void *)array, true);
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements, CUarray array,
                                      CUdevice device)
{
    if (fake_state()->hide_requirements || array->context->device != device)
        return CUDA_ERROR_INVALID_VALUE;
    *requirements = (CUDA_ARRAY_MEMORY_REQUIREMENTS){.size = array->bytes, .alignment = FAKE_GRANULE};
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *requirements,
                                               CUmipmappedArray array, CUdevice device)
{
    return cuArrayGetMemoryRequirements(requirements, (CUarray)(void *)array, device);
}
