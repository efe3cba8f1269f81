/* Shapes of CUDA arrays: which there are, how large a device lets them be, and where their elements lie. Pure
 * arithmetic over descriptors and device attributes; array.c gives shapes memory. */
#include "softgpu/driver/array.h"

#define FLAGS_KNOWN                                                                                          \
    (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_TEXTURE_GATHER | \
     CUDA_ARRAY3D_DEPTH_TEXTURE | CUDA_ARRAY3D_COLOR_ATTACHMENT | CUDA_ARRAY3D_SPARSE |                      \
     CUDA_ARRAY3D_DEFERRED_MAPPING | CUDA_ARRAY3D_VIDEO_ENCODE_DECODE)
/* These ask for something that copies would notice: memory that is mapped later, or in parts, or shared with
 * a video engine. */
#define FLAGS_REFUSED (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING | CUDA_ARRAY3D_VIDEO_ENCODE_DECODE)

enum { FACES = 6 };

/* ---- formats ---- */

static const struct format {
    CUarray_format format;
    unsigned channel_bytes;
    unsigned channels; /* what it is bound to; 0: 1, 2 or 4 as the descriptor says */
} formats[] = {
    {CU_AD_FORMAT_UNSIGNED_INT8, 1, 0},  {CU_AD_FORMAT_UNSIGNED_INT16, 2, 0},
    {CU_AD_FORMAT_UNSIGNED_INT32, 4, 0}, {CU_AD_FORMAT_SIGNED_INT8, 1, 0},
    {CU_AD_FORMAT_SIGNED_INT16, 2, 0},   {CU_AD_FORMAT_SIGNED_INT32, 4, 0},
    {CU_AD_FORMAT_HALF, 2, 0},           {CU_AD_FORMAT_FLOAT, 4, 0},
    {CU_AD_FORMAT_UNORM_INT8X1, 1, 1},   {CU_AD_FORMAT_UNORM_INT8X2, 1, 2},
    {CU_AD_FORMAT_UNORM_INT8X4, 1, 4},   {CU_AD_FORMAT_UNORM_INT16X1, 2, 1},
    {CU_AD_FORMAT_UNORM_INT16X2, 2, 2},  {CU_AD_FORMAT_UNORM_INT16X4, 2, 4},
    {CU_AD_FORMAT_SNORM_INT8X1, 1, 1},   {CU_AD_FORMAT_SNORM_INT8X2, 1, 2},
    {CU_AD_FORMAT_SNORM_INT8X4, 1, 4},   {CU_AD_FORMAT_SNORM_INT16X1, 2, 1},
    {CU_AD_FORMAT_SNORM_INT16X2, 2, 2},  {CU_AD_FORMAT_SNORM_INT16X4, 2, 4},
};

static const struct format *format_find(CUarray_format format)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].format == format)
            return &formats[i];
    return NULL;
}

/* Compressed, planar and packed formats: documented, but not here. */
static bool format_is_other(CUarray_format format)
{
    return format == CU_AD_FORMAT_UNORM_INT_101010_2 || format == CU_AD_FORMAT_NV12 ||
           (format >= CU_AD_FORMAT_BC1_UNORM && format <= CU_AD_FORMAT_YUV444_16bit_SemiPlanar);
}

static CUresult format_check(const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    const struct format *found = format_find(descriptor->Format);
    unsigned channels = descriptor->NumChannels;

    if (!found)
        return format_is_other(descriptor->Format) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    if (found->channels ? channels != found->channels : channels != 1 && channels != 2 && channels != 4)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

/* ---- limits ---- */

enum shape {
    SHAPE_1D,
    SHAPE_1D_LAYERED,
    SHAPE_2D,
    SHAPE_2D_LAYERED,
    SHAPE_3D,
    SHAPE_CUBE,
    SHAPE_CUBE_LAYERED,
    SHAPES
};

/* The attributes that bound a shape's width, height and depth (or layers); 0: the dimension is not there, or
 * is bound otherwise. */
#define ATTRIBUTE(name) CU_DEVICE_ATTRIBUTE_MAXIMUM_##name
static const CUdevice_attribute texture_limits[SHAPES][3] = {
    [SHAPE_1D] = {ATTRIBUTE(TEXTURE1D_WIDTH)},
    [SHAPE_1D_LAYERED] = {ATTRIBUTE(TEXTURE1D_LAYERED_WIDTH), 0, ATTRIBUTE(TEXTURE1D_LAYERED_LAYERS)},
    [SHAPE_2D] = {ATTRIBUTE(TEXTURE2D_WIDTH), ATTRIBUTE(TEXTURE2D_HEIGHT)},
    [SHAPE_2D_LAYERED] = {ATTRIBUTE(TEXTURE2D_LAYERED_WIDTH), ATTRIBUTE(TEXTURE2D_LAYERED_HEIGHT),
                          ATTRIBUTE(TEXTURE2D_LAYERED_LAYERS)},
    [SHAPE_3D] = {ATTRIBUTE(TEXTURE3D_WIDTH), ATTRIBUTE(TEXTURE3D_HEIGHT), ATTRIBUTE(TEXTURE3D_DEPTH)},
    [SHAPE_CUBE] = {ATTRIBUTE(TEXTURECUBEMAP_WIDTH)},
    [SHAPE_CUBE_LAYERED] = {ATTRIBUTE(TEXTURECUBEMAP_LAYERED_WIDTH), 0,
                            ATTRIBUTE(TEXTURECUBEMAP_LAYERED_LAYERS)},
};
static const CUdevice_attribute surface_limits[SHAPES][3] = {
    [SHAPE_1D] = {ATTRIBUTE(SURFACE1D_WIDTH)},
    [SHAPE_1D_LAYERED] = {ATTRIBUTE(SURFACE1D_LAYERED_WIDTH), 0, ATTRIBUTE(SURFACE1D_LAYERED_LAYERS)},
    [SHAPE_2D] = {ATTRIBUTE(SURFACE2D_WIDTH), ATTRIBUTE(SURFACE2D_HEIGHT)},
    [SHAPE_2D_LAYERED] = {ATTRIBUTE(SURFACE2D_LAYERED_WIDTH), ATTRIBUTE(SURFACE2D_LAYERED_HEIGHT),
                          ATTRIBUTE(SURFACE2D_LAYERED_LAYERS)},
    [SHAPE_3D] = {ATTRIBUTE(SURFACE3D_WIDTH), ATTRIBUTE(SURFACE3D_HEIGHT), ATTRIBUTE(SURFACE3D_DEPTH)},
    [SHAPE_CUBE] = {ATTRIBUTE(SURFACECUBEMAP_WIDTH)},
    [SHAPE_CUBE_LAYERED] = {ATTRIBUTE(SURFACECUBEMAP_LAYERED_WIDTH), 0,
                            ATTRIBUTE(SURFACECUBEMAP_LAYERED_LAYERS)},
};
static const CUdevice_attribute alternate_3d[3] = {ATTRIBUTE(TEXTURE3D_WIDTH_ALTERNATE),
                                                   ATTRIBUTE(TEXTURE3D_HEIGHT_ALTERNATE),
                                                   ATTRIBUTE(TEXTURE3D_DEPTH_ALTERNATE)};
static const CUdevice_attribute gather_limits[3] = {ATTRIBUTE(TEXTURE2D_GATHER_WIDTH),
                                                    ATTRIBUTE(TEXTURE2D_GATHER_HEIGHT)};
static const CUdevice_attribute mipmapped_limits[2][3] = {
    {ATTRIBUTE(TEXTURE1D_MIPMAPPED_WIDTH)},
    {ATTRIBUTE(TEXTURE2D_MIPMAPPED_WIDTH), ATTRIBUTE(TEXTURE2D_MIPMAPPED_HEIGHT)}};

static bool fits(const struct device *device, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                 const CUdevice_attribute limits[3])
{
    size_t extent[3] = {descriptor->Width, descriptor->Height, descriptor->Depth};

    for (int i = 0; i < 3; i++) {
        int max = 0;

        if (limits[i] &&
            (cuDeviceGetAttribute(&max, limits[i], (CUdevice)device->number) || extent[i] > (size_t)max))
            return false;
    }
    return true;
}

/* False: the descriptor is of no shape. */
static bool shape_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, enum shape *ret_shape)
{
    bool layered = descriptor->Flags & CUDA_ARRAY3D_LAYERED, high = descriptor->Height,
         deep = descriptor->Depth;

    if (!descriptor->Width)
        return false;
    if (descriptor->Flags & CUDA_ARRAY3D_CUBEMAP) {
        *ret_shape = layered ? SHAPE_CUBE_LAYERED : SHAPE_CUBE;
        return descriptor->Width == descriptor->Height && deep &&
               (layered ? descriptor->Depth % FACES == 0 : descriptor->Depth == FACES);
    }
    if (layered) {
        *ret_shape = high ? SHAPE_2D_LAYERED : SHAPE_1D_LAYERED;
        return deep;
    }
    *ret_shape = deep ? SHAPE_3D : high ? SHAPE_2D : SHAPE_1D;
    return high || !deep;
}

CUresult array_check(const struct device *device, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                     bool is_mipmapped)
{
    CUresult result = format_check(descriptor);
    unsigned flags = descriptor->Flags;
    enum shape shape;

    if (result)
        return result;
    if ((flags & ~(unsigned)FLAGS_KNOWN) || !shape_of(descriptor, &shape))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & FLAGS_REFUSED)
        return CUDA_ERROR_NOT_SUPPORTED;
    if ((flags & CUDA_ARRAY3D_TEXTURE_GATHER) &&
        (shape != SHAPE_2D || !fits(device, descriptor, gather_limits)))
        return CUDA_ERROR_INVALID_VALUE;
    if ((flags & CUDA_ARRAY3D_SURFACE_LDST) && !fits(device, descriptor, surface_limits[shape]))
        return CUDA_ERROR_INVALID_VALUE;
    if (is_mipmapped && (shape == SHAPE_1D || shape == SHAPE_2D) &&
        !fits(device, descriptor, mipmapped_limits[shape == SHAPE_2D]))
        return CUDA_ERROR_INVALID_VALUE;
    if (fits(device, descriptor, texture_limits[shape]) ||
        (shape == SHAPE_3D && fits(device, descriptor, alternate_3d)))
        return CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}

/* ---- layout ---- */

struct array_layout array_layout_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, uint64_t pitch_align_bytes)
{
    const struct format *format = format_find(descriptor->Format);
    struct array_layout layout = {
        .element_bytes = format ? (uint64_t)format->channel_bytes * descriptor->NumChannels : 0,
        .rows = descriptor->Height ? descriptor->Height : 1,
        .slices = descriptor->Depth ? descriptor->Depth : 1,
    };

    layout.row_bytes = descriptor->Width * layout.element_bytes;
    layout.pitch_bytes = (layout.row_bytes + pitch_align_bytes - 1) / pitch_align_bytes * pitch_align_bytes;
    layout.slice_bytes = layout.pitch_bytes * layout.rows;
    layout.bytes = layout.slice_bytes * layout.slices;
    return layout;
}

static size_t halved(size_t extent, unsigned times)
{
    return extent >> times ? extent >> times : (extent != 0);
}

CUDA_ARRAY3D_DESCRIPTOR array_level_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned level)
{
    CUDA_ARRAY3D_DESCRIPTOR at = *descriptor;

    at.Width = halved(at.Width, level);
    at.Height = halved(at.Height, level);
    /* Layers and faces are as many on every level. */
    if (!(at.Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)))
        at.Depth = halved(at.Depth, level);
    return at;
}

unsigned array_levels_max(const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    bool flat = descriptor->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    size_t extent = descriptor->Width | descriptor->Height | (flat ? 0 : descriptor->Depth);
    unsigned levels = 0;

    /* The highest bit of any of them is that of the greatest. */
    for (; extent; extent >>= 1)
        levels++;
    return levels;
}
