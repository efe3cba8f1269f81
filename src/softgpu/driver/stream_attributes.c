/* Attributes of streams. But for the priority they are hints that the software GPU has no use for: they are
 * kept and told. */
#include <stddef.h>

#include "softgpu/driver/stream.h"

static bool is_hint(CUstreamAttrID attribute)
{
    return attribute == CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW ||
           attribute == CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY ||
           attribute == CU_STREAM_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP ||
           attribute == CU_STREAM_ATTRIBUTE_MEM_SYNC_DOMAIN;
}

static CUresult get_attribute(struct stream *stream, CUstreamAttrID attribute, CUstreamAttrValue *ret_value)
{
    if (attribute == CU_STREAM_ATTRIBUTE_PRIORITY) {
        *ret_value = (CUstreamAttrValue){.priority = stream->priority};
        return CUDA_SUCCESS;
    }
    if (!is_hint(attribute))
        return CUDA_ERROR_INVALID_VALUE;
    engine_lock();
    *ret_value = stream->attributes[attribute];
    engine_unlock();
    return CUDA_SUCCESS;
}

static CUresult set_attribute(struct stream *stream, CUstreamAttrID attribute, const CUstreamAttrValue *value)
{
    if (attribute == CU_STREAM_ATTRIBUTE_PRIORITY) {
        if (value->priority > STREAM_PRIORITY_LEAST || value->priority < STREAM_PRIORITY_GREATEST)
            return CUDA_ERROR_INVALID_VALUE;
        stream->priority = value->priority;
        return CUDA_SUCCESS;
    }
    if (!is_hint(attribute))
        return CUDA_ERROR_INVALID_VALUE;
    engine_lock();
    stream->attributes[attribute] = *value;
    engine_unlock();
    return CUDA_SUCCESS;
}

static CUresult cuStreamGetAttribute_in(bool per_thread, CUstream handle, CUstreamAttrID attribute,
                                        CUstreamAttrValue *ret_value)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = ret_value ? get_attribute(stream, attribute, ret_value) : CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamGetAttribute, _ptsz,
                (CUstream stream, CUstreamAttrID attribute, CUstreamAttrValue *ret_value), stream, attribute,
                ret_value)

static CUresult cuStreamSetAttribute_in(bool per_thread, CUstream handle, CUstreamAttrID attribute,
                                        const CUstreamAttrValue *value)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = value ? set_attribute(stream, attribute, value) : CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamSetAttribute, _ptsz,
                (CUstream stream, CUstreamAttrID attribute, const CUstreamAttrValue *value), stream,
                attribute, value)

static CUresult cuStreamCopyAttributes_in(bool per_thread, CUstream to_handle, CUstream from_handle)
{
    struct stream *to, *from;
    CUresult result = stream_enter(to_handle, per_thread, &to);

    if (result)
        return result;
    result = stream_enter(from_handle, per_thread, &from);
    if (!result) {
        engine_lock();
        for (size_t i = 0; i < STREAM_ATTRIBUTES; i++)
            to->attributes[i] = from->attributes[i];
        engine_unlock();
        to->priority = from->priority;
        object_unref(from);
    }
    object_unref(to);
    return result;
}

STREAM_VARIANTS(cuStreamCopyAttributes, _ptsz, (CUstream to, CUstream from), to, from)
