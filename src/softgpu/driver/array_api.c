/* The cuArray* and cuMipmappedArray* calls. The copies are in copy_api.c and copy_array_api.c. */
#include "softgpu/driver/array.h"

/* ---- creation and destruction ---- */

static CUresult create(CUarray *ret_handle, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    struct array_memory *memory;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_handle)
        return CUDA_ERROR_INVALID_VALUE;
    result = array_check(context->device, descriptor, false);
    if (!result)
        result = array_memory_new(context, descriptor, 1, false, &memory);
    if (result)
        return result;
    *ret_handle = (CUarray)memory->levels[0];
    object_unref(memory);
    return CUDA_SUCCESS;
}

CUresult cuArray3DCreate_v2(CUarray *ret_array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    return descriptor ? create(ret_array, descriptor) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuArrayCreate_v2(CUarray *ret_array, const CUDA_ARRAY_DESCRIPTOR *descriptor)
{
    if (!descriptor)
        return CUDA_ERROR_INVALID_VALUE;

    CUDA_ARRAY3D_DESCRIPTOR flat = {.Width = descriptor->Width,
                                    .Height = descriptor->Height,
                                    .Format = descriptor->Format,
                                    .NumChannels = descriptor->NumChannels};

    return create(ret_array, &flat);
}

CUresult cuArray3DCreate(CUarray *ret_array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor)
{
    if (!descriptor)
        return CUDA_ERROR_INVALID_VALUE;

    CUDA_ARRAY3D_DESCRIPTOR wide = {descriptor->Width,  descriptor->Height,      descriptor->Depth,
                                    descriptor->Format, descriptor->NumChannels, descriptor->Flags};

    return create(ret_array, &wide);
}

CUresult cuArrayCreate(CUarray *ret_array, const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor)
{
    if (!descriptor)
        return CUDA_ERROR_INVALID_VALUE;

    CUDA_ARRAY_DESCRIPTOR wide = {descriptor->Width, descriptor->Height, descriptor->Format,
                                  descriptor->NumChannels};

    return cuArrayCreate_v2(ret_array, &wide);
}

/* The object of a handle with a reference for the caller, once a context is entered. */
static CUresult enter(enum object_kind kind, const void *handle, void *ret_object)
{
    struct context *context;
    CUresult result = context_enter(&context);
    void *object;

    if (result)
        return result;
    object = object_get(kind, handle);
    if (!object)
        return CUDA_ERROR_INVALID_HANDLE;
    *(void **)ret_object = object;
    return CUDA_SUCCESS;
}

/* Ends the memory and drops the caller's reference of it. */
static CUresult destroy(struct array_memory *memory)
{
    if (!memory)
        return CUDA_ERROR_INVALID_HANDLE;
    array_memory_end(memory);
    object_unref(memory);
    return CUDA_SUCCESS;
}

CUresult cuArrayDestroy(CUarray handle)
{
    struct array_memory *memory;
    struct array *array;
    CUresult result = enter(OBJECT_ARRAY, handle, &array);

    if (result)
        return result;
    /* A level is none's to destroy: it goes with its mipmapped array. */
    memory = array_memory_of(array);
    object_unref(array);
    return destroy(memory);
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *ret_array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                                unsigned int levels)
{
    struct array_memory *memory;
    struct context *context;
    CUresult result = context_enter(&context);
    unsigned most;

    if (result)
        return result;
    if (!ret_array || !descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    result = array_check(context->device, descriptor, true);
    if (result)
        return result;
    most = array_levels_max(descriptor);
    levels = levels < 1 ? 1 : levels > most ? most : levels;
    result = array_memory_new(context, descriptor, levels, true, &memory);
    if (result)
        return result;
    *ret_array = (CUmipmappedArray)memory;
    object_unref(memory);
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle)
{
    struct array_memory *memory;
    CUresult result = enter(OBJECT_MIPMAPPED_ARRAY, handle, &memory);

    return result ? result : destroy(memory);
}

CUresult cuMipmappedArrayGetLevel(CUarray *ret_level, CUmipmappedArray handle, unsigned int level)
{
    struct array_memory *memory;
    CUresult result = enter(OBJECT_MIPMAPPED_ARRAY, handle, &memory);

    if (result)
        return result;
    if (!ret_level || level >= memory->n_levels)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        *ret_level = (CUarray)memory->levels[level];
    object_unref(memory);
    return result;
}

/* ---- questions ---- */

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *ret_descriptor, CUarray handle)
{
    struct array *array;
    CUresult result = enter(OBJECT_ARRAY, handle, &array);

    if (result)
        return result;
    if (ret_descriptor)
        *ret_descriptor = array->descriptor;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(array);
    return result;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *ret_descriptor, CUarray handle)
{
    CUDA_ARRAY3D_DESCRIPTOR wide;
    CUresult result = cuArray3DGetDescriptor_v2(&wide, handle);

    if (result)
        return result;
    if (!ret_descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_descriptor = (CUDA_ARRAY_DESCRIPTOR){wide.Width, wide.Height, wide.Format, wide.NumChannels};
    return CUDA_SUCCESS;
}

/* No device's array is wider than what the first version of a descriptor can say. */
CUresult cuArray3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR_v1 *ret_descriptor, CUarray handle)
{
    CUDA_ARRAY3D_DESCRIPTOR wide;
    CUresult result = cuArray3DGetDescriptor_v2(&wide, handle);

    if (result)
        return result;
    if (!ret_descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_descriptor =
        (CUDA_ARRAY3D_DESCRIPTOR_v1){(unsigned)wide.Width, (unsigned)wide.Height, (unsigned)wide.Depth,
                                     wide.Format,          wide.NumChannels,      wide.Flags};
    return CUDA_SUCCESS;
}

CUresult cuArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR_v1 *ret_descriptor, CUarray handle)
{
    CUDA_ARRAY_DESCRIPTOR wide;
    CUresult result = cuArrayGetDescriptor_v2(&wide, handle);

    if (result)
        return result;
    if (!ret_descriptor)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_descriptor = (CUDA_ARRAY_DESCRIPTOR_v1){(unsigned)wide.Width, (unsigned)wide.Height, wide.Format,
                                                 wide.NumChannels};
    return CUDA_SUCCESS;
}

/* What device takes for it: drops the caller's reference of memory. */
static CUresult requirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *ret_requirements, struct array_memory *memory,
                             CUdevice number)
{
    struct device *device;
    CUresult result = memory ? process_device(number, &device) : CUDA_ERROR_INVALID_VALUE;

    if (!result && (!ret_requirements || device != memory->context->device))
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *ret_requirements = (CUDA_ARRAY_MEMORY_REQUIREMENTS){.size = memory->bytes,
                                                             .alignment = device->properties->granule_bytes};
    object_unref(memory);
    return result;
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *ret_requirements, CUarray handle,
                                      CUdevice device)
{
    struct array_memory *memory;
    struct array *array;
    CUresult result = enter(OBJECT_ARRAY, handle, &array);

    if (result)
        return result;
    memory = array_memory_of(array);
    object_unref(array);
    return requirements(ret_requirements, memory, device);
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *ret_requirements,
                                               CUmipmappedArray handle, CUdevice device)
{
    struct array_memory *memory;
    CUresult result = enter(OBJECT_MIPMAPPED_ARRAY, handle, &memory);

    return result ? result : requirements(ret_requirements, memory, device);
}

/* No array here has planes or is sparse; of one that is not, both are documented to be an invalid value. */
static CUresult has_none(enum object_kind kind, const void *handle)
{
    void *object;
    CUresult result = enter(kind, handle, &object);

    if (result)
        return result;
    object_unref(object);
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuArrayGetPlane(CUarray *ret_plane, CUarray handle, unsigned int index)
{
    return has_none(OBJECT_ARRAY, handle);
}

CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *ret_properties, CUarray handle)
{
    return has_none(OBJECT_ARRAY, handle);
}

CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *ret_properties,
                                             CUmipmappedArray handle)
{
    return has_none(OBJECT_MIPMAPPED_ARRAY, handle);
}
