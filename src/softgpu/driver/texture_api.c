/* Texture and surface objects: what a program says of a resource and how to sample it, checked, kept and told
 * again. Nothing reads through them, since kernels with tex or surf do not run; programs that make such
 * objects beside their other work do. */
#include <stdlib.h>

#include "softgpu/driver/array.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/texture.h"

#define SAMPLING_FLAGS                                                                                       \
    (CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |                               \
     CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

struct texture {
    struct object object;
    struct context *context; /* not referenced: its end ends its textures */
    struct texture *next;    /* in context->textures */
    CUDA_RESOURCE_DESC resource;
    CUDA_TEXTURE_DESC sampling; /* of a texture */
    CUDA_RESOURCE_VIEW_DESC view;
    bool has_view;
};

/* ---- checking ---- */

static bool array_is_live(CUarray handle, unsigned needed_flags)
{
    struct array *array = object_get(OBJECT_ARRAY, handle);
    bool live = array && (array->descriptor.Flags & needed_flags) == needed_flags;

    object_unref(array);
    return live;
}

static bool mipmap_is_live(CUmipmappedArray handle)
{
    struct array_memory *memory = object_get(OBJECT_MIPMAPPED_ARRAY, handle);

    object_unref(memory);
    return memory != NULL;
}

/* Whether [address, address + bytes) is all of one allocation, aligned as textures must be. */
static bool memory_is_there(CUdeviceptr address, uint64_t bytes)
{
    struct space_allocation found;

    return bytes && address % DEVICE_TEXTURE_ALIGN == 0 && space_find(address, &found) &&
           bytes <= found.bytes - (address - found.base);
}

/* Linear memory is seen as an array of one row would be, or of rows of the pitch. */
static CUresult check_memory(const struct context *context, const CUDA_RESOURCE_DESC *resource)
{
    bool flat = resource->resType == CU_RESOURCE_TYPE_LINEAR;
    CUDA_ARRAY3D_DESCRIPTOR shape = {
        .Width = flat ? 1 : resource->res.pitch2D.width,
        .Height = flat ? 0 : resource->res.pitch2D.height,
        .Format = flat ? resource->res.linear.format : resource->res.pitch2D.format,
        .NumChannels = flat ? resource->res.linear.numChannels : resource->res.pitch2D.numChannels,
    };
    CUresult result =
        !flat && !shape.Height ? CUDA_ERROR_INVALID_VALUE : array_check(context->device, &shape, false);
    struct array_layout layout;
    uint64_t bytes;

    if (result)
        return result;
    layout = array_layout_of(&shape, context->device->properties->pitch_align_bytes);
    if (flat)
        return memory_is_there(resource->res.linear.devPtr, resource->res.linear.sizeInBytes)
                   ? CUDA_SUCCESS
                   : CUDA_ERROR_INVALID_VALUE;
    if (resource->res.pitch2D.pitchInBytes < layout.row_bytes ||
        resource->res.pitch2D.pitchInBytes % DEVICE_TEXTURE_PITCH_ALIGN ||
        __builtin_mul_overflow(resource->res.pitch2D.pitchInBytes, shape.Height - 1, &bytes) ||
        __builtin_add_overflow(bytes, layout.row_bytes, &bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return memory_is_there(resource->res.pitch2D.devPtr, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult check_resource(const struct context *context, const CUDA_RESOURCE_DESC *resource)
{
    if (resource->flags)
        return CUDA_ERROR_INVALID_VALUE;
    switch (resource->resType) {
    case CU_RESOURCE_TYPE_ARRAY:
        return array_is_live(resource->res.array.hArray, 0) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
        return mipmap_is_live(resource->res.mipmap.hMipmappedArray) ? CUDA_SUCCESS
                                                                    : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
    case CU_RESOURCE_TYPE_PITCH2D:
        return check_memory(context, resource);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static bool sampling_is_valid(const CUDA_TEXTURE_DESC *sampling)
{
    for (int i = 0; i < 3; i++)
        if ((unsigned)sampling->addressMode[i] > CU_TR_ADDRESS_MODE_BORDER)
            return false;
    return (unsigned)sampling->filterMode <= CU_TR_FILTER_MODE_LINEAR &&
           (unsigned)sampling->mipmapFilterMode <= CU_TR_FILTER_MODE_LINEAR &&
           !(sampling->flags & ~(unsigned)SAMPLING_FLAGS);
}

/* Views are of arrays only. */
static bool view_is_valid(const CUDA_RESOURCE_DESC *resource, const CUDA_RESOURCE_VIEW_DESC *view)
{
    return (resource->resType == CU_RESOURCE_TYPE_ARRAY ||
            resource->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY) &&
           (unsigned)view->format <= CU_RES_VIEW_FORMAT_UNSIGNED_BC7 &&
           view->firstMipmapLevel <= view->lastMipmapLevel && view->firstLayer <= view->lastLayer;
}

/* ---- objects ---- */

static void texture_free(void *object)
{
    free(object);
}

/* Takes it out of its context's list, whose reference is then gone. */
static void unlink_texture(struct texture *texture)
{
    struct context *context = texture->context;
    bool found = false;

    pthread_mutex_lock(&context->lock);
    for (struct texture **link = &context->textures; *link && !found;) {
        found = *link == texture;
        if (found)
            *link = texture->next;
        else
            link = &(*link)->next;
    }
    pthread_mutex_unlock(&context->lock);
    if (found)
        object_unref(texture);
}

void texture_end_all(struct context *context)
{
    for (;;) {
        pthread_mutex_lock(&context->lock);
        struct texture *texture = context->textures;
        if (texture)
            context->textures = texture->next;
        pthread_mutex_unlock(&context->lock);
        if (!texture)
            return;
        object_retire(texture);
        object_unref(texture);
    }
}

/* A published object over a checked resource; the context's list has its reference. */
static struct texture *texture_new(struct context *context, enum object_kind kind, const struct texture *like)
{
    struct texture *texture = malloc(sizeof(*texture));

    if (!texture)
        return NULL;
    *texture = *like;
    object_init(&texture->object, kind, texture_free);
    texture->context = context;
    pthread_mutex_lock(&context->lock);
    texture->next = context->textures;
    context->textures = texture;
    pthread_mutex_unlock(&context->lock);
    object_publish(texture);
    return texture;
}

static CUresult enter(enum object_kind kind, unsigned long long handle, struct texture **ret_texture)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    *ret_texture = object_get(kind, (const void *)(uintptr_t)handle);
    return *ret_texture ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult destroy(enum object_kind kind, unsigned long long handle)
{
    struct texture *texture;
    CUresult result = enter(kind, handle, &texture);

    if (result)
        return result;
    if (object_retire(texture))
        unlink_texture(texture);
    object_unref(texture);
    return CUDA_SUCCESS;
}

static CUresult get_resource(enum object_kind kind, CUDA_RESOURCE_DESC *ret_resource,
                             unsigned long long handle)
{
    struct texture *texture;
    CUresult result = ret_resource ? enter(kind, handle, &texture) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    *ret_resource = texture->resource;
    object_unref(texture);
    return CUDA_SUCCESS;
}

/* ---- calls ---- */

CUresult cuTexObjectCreate(CUtexObject *ret_texture, const CUDA_RESOURCE_DESC *resource,
                           const CUDA_TEXTURE_DESC *sampling, const CUDA_RESOURCE_VIEW_DESC *view)
{
    struct context *context;
    struct texture like = {.has_view = view != NULL}, *texture;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_texture || !resource || !sampling || !sampling_is_valid(sampling) ||
        (view && !view_is_valid(resource, view)))
        return CUDA_ERROR_INVALID_VALUE;
    result = check_resource(context, resource);
    if (result)
        return result;
    like.resource = *resource;
    like.sampling = *sampling;
    if (view)
        like.view = *view;
    texture = texture_new(context, OBJECT_TEXTURE, &like);
    if (!texture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *ret_texture = (CUtexObject)(uintptr_t)texture;
    return CUDA_SUCCESS;
}

CUresult cuTexObjectDestroy(CUtexObject handle)
{
    return destroy(OBJECT_TEXTURE, handle);
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *ret_resource, CUtexObject handle)
{
    return get_resource(OBJECT_TEXTURE, ret_resource, handle);
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *ret_sampling, CUtexObject handle)
{
    struct texture *texture;
    CUresult result = ret_sampling ? enter(OBJECT_TEXTURE, handle, &texture) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    *ret_sampling = texture->sampling;
    object_unref(texture);
    return CUDA_SUCCESS;
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *ret_view, CUtexObject handle)
{
    struct texture *texture;
    CUresult result = ret_view ? enter(OBJECT_TEXTURE, handle, &texture) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    if (texture->has_view)
        *ret_view = texture->view;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(texture);
    return result;
}

/* A surface writes to an array that was made for it. */
CUresult cuSurfObjectCreate(CUsurfObject *ret_surface, const CUDA_RESOURCE_DESC *resource)
{
    struct context *context;
    struct texture like = {0}, *surface;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_surface || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY)
        return CUDA_ERROR_INVALID_VALUE;
    result = check_resource(context, resource);
    if (result)
        return result;
    if (!array_is_live(resource->res.array.hArray, CUDA_ARRAY3D_SURFACE_LDST))
        return CUDA_ERROR_INVALID_VALUE;
    like.resource = *resource;
    surface = texture_new(context, OBJECT_SURFACE, &like);
    if (!surface)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *ret_surface = (CUsurfObject)(uintptr_t)surface;
    return CUDA_SUCCESS;
}

CUresult cuSurfObjectDestroy(CUsurfObject handle)
{
    return destroy(OBJECT_SURFACE, handle);
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *ret_resource, CUsurfObject handle)
{
    return get_resource(OBJECT_SURFACE, ret_resource, handle);
}
