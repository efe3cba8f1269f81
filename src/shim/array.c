/* CUDA arrays and mipmapped arrays: device memory behind a handle. What one takes is known for certain only
 * when it is there, so a hook reserves what the shape should take, lets the driver create it, and settles to
 * what cuArrayGetMemoryRequirements says; an array that took more than the limit has room for is destroyed
 * again. NVIDIA's driver may answer that question for arrays with deferred mapping only: then the shape's
 * figure stands, and what it misses is found with the overhead (overhead.h).
 *
 * The shape's figure: rows of whole elements, each rounded up to 512 bytes, times the height, times depth,
 * layers or faces; of a mipmapped array the sum of its levels; all of it in granules of 2 MiB. Sparse arrays
 * and those with deferred mapping take no memory by themselves: what is mapped into them comes from
 * cuMemCreate and is charged there.
 *
 * No lock is held over a driver call; with no limit set each hook is a load and a tail call. */
#include <errno.h>
#include <stddef.h>

#include "shim/charge.h"
#include "shim/overhead.h"
#include "shim/shim.h"

#define GRANULE_BYTES (UINT64_C(2) << 20)
enum { PITCH_BYTES = 512 };

/* ---- what a shape takes ---- */

/* A format is a number of planes, in halves (chroma of half the height is half a plane), of blocks: side x
 * side elements in bytes. per_channel: bytes is of one channel, and the descriptor says how many there are.
 */
static const struct format {
    uint16_t format;
    uint8_t bytes, side, half_planes;
    bool per_channel;
} formats[] = {
    {CU_AD_FORMAT_UNSIGNED_INT8, 1, 1, 2, true},
    {CU_AD_FORMAT_UNSIGNED_INT16, 2, 1, 2, true},
    {CU_AD_FORMAT_UNSIGNED_INT32, 4, 1, 2, true},
    {CU_AD_FORMAT_SIGNED_INT8, 1, 1, 2, true},
    {CU_AD_FORMAT_SIGNED_INT16, 2, 1, 2, true},
    {CU_AD_FORMAT_SIGNED_INT32, 4, 1, 2, true},
    {CU_AD_FORMAT_HALF, 2, 1, 2, true},
    {CU_AD_FORMAT_FLOAT, 4, 1, 2, true},
    {CU_AD_FORMAT_UNORM_INT8X1, 1, 1, 2, false},
    {CU_AD_FORMAT_UNORM_INT8X2, 2, 1, 2, false},
    {CU_AD_FORMAT_UNORM_INT8X4, 4, 1, 2, false},
    {CU_AD_FORMAT_UNORM_INT16X1, 2, 1, 2, false},
    {CU_AD_FORMAT_UNORM_INT16X2, 4, 1, 2, false},
    {CU_AD_FORMAT_UNORM_INT16X4, 8, 1, 2, false},
    {CU_AD_FORMAT_SNORM_INT8X1, 1, 1, 2, false},
    {CU_AD_FORMAT_SNORM_INT8X2, 2, 1, 2, false},
    {CU_AD_FORMAT_SNORM_INT8X4, 4, 1, 2, false},
    {CU_AD_FORMAT_SNORM_INT16X1, 2, 1, 2, false},
    {CU_AD_FORMAT_SNORM_INT16X2, 4, 1, 2, false},
    {CU_AD_FORMAT_SNORM_INT16X4, 8, 1, 2, false},
    {CU_AD_FORMAT_UNORM_INT_101010_2, 4, 1, 2, false},
    {CU_AD_FORMAT_BC1_UNORM, 8, 4, 2, false},
    {CU_AD_FORMAT_BC1_UNORM_SRGB, 8, 4, 2, false},
    {CU_AD_FORMAT_BC2_UNORM, 16, 4, 2, false},
    {CU_AD_FORMAT_BC2_UNORM_SRGB, 16, 4, 2, false},
    {CU_AD_FORMAT_BC3_UNORM, 16, 4, 2, false},
    {CU_AD_FORMAT_BC3_UNORM_SRGB, 16, 4, 2, false},
    {CU_AD_FORMAT_BC4_UNORM, 8, 4, 2, false},
    {CU_AD_FORMAT_BC4_SNORM, 8, 4, 2, false},
    {CU_AD_FORMAT_BC5_UNORM, 16, 4, 2, false},
    {CU_AD_FORMAT_BC5_SNORM, 16, 4, 2, false},
    {CU_AD_FORMAT_BC6H_UF16, 16, 4, 2, false},
    {CU_AD_FORMAT_BC6H_SF16, 16, 4, 2, false},
    {CU_AD_FORMAT_BC7_UNORM, 16, 4, 2, false},
    {CU_AD_FORMAT_BC7_UNORM_SRGB, 16, 4, 2, false},
    {CU_AD_FORMAT_NV12, 1, 1, 3, false},
    {CU_AD_FORMAT_P010, 2, 1, 3, false},
    {CU_AD_FORMAT_P016, 2, 1, 3, false},
    {CU_AD_FORMAT_NV16, 1, 1, 4, false},
    {CU_AD_FORMAT_P210, 2, 1, 4, false},
    {CU_AD_FORMAT_P216, 2, 1, 4, false},
    {CU_AD_FORMAT_YUY2, 2, 1, 2, false},
    {CU_AD_FORMAT_Y210, 4, 1, 2, false},
    {CU_AD_FORMAT_Y216, 4, 1, 2, false},
    {CU_AD_FORMAT_AYUV, 4, 1, 2, false},
    {CU_AD_FORMAT_Y410, 4, 1, 2, false},
    {CU_AD_FORMAT_Y416, 8, 1, 2, false},
    {CU_AD_FORMAT_Y444_PLANAR8, 1, 1, 6, false},
    {CU_AD_FORMAT_Y444_PLANAR10, 2, 1, 6, false},
    {CU_AD_FORMAT_YUV444_8bit_SemiPlanar, 1, 1, 6, false},
    {CU_AD_FORMAT_YUV444_16bit_SemiPlanar, 2, 1, 6, false},
};

/* Of one nobody knows: as large as elements get. */
static const struct format widest = {0, 16, 1, 2, false};

static const struct format *format_of(CUarray_format wanted)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].format == wanted)
            return &formats[i];
    return &widest;
}

/* a * b, or the most there is: shapes come from the program. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t units_of(uint64_t whole, uint64_t unit)
{
    return whole / unit + (whole % unit != 0);
}

static uint64_t at_least_1(uint64_t extent)
{
    return extent ? extent : 1;
}

static uint64_t level_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned level)
{
    const struct format *format = format_of(shape->Format);
    bool is_flat = shape->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    uint64_t width = at_least_1(shape->Width >> level), height = at_least_1(shape->Height >> level),
             slices = at_least_1(is_flat ? shape->Depth : shape->Depth >> level), row_bytes, rows;

    row_bytes = times(units_of(width, format->side),
                      (uint64_t)format->bytes * (format->per_channel ? shape->NumChannels : 1));
    rows = units_of(times(units_of(height, format->side), format->half_planes), 2);
    return times(times(times(units_of(row_bytes, PITCH_BYTES), PITCH_BYTES), rows), slices);
}

static bool takes_nothing(const CUDA_ARRAY3D_DESCRIPTOR *shape)
{
    return shape->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING);
}

/* Levels beyond the last one, where the longest extent is 1, are not made. */
static uint64_t shape_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned levels)
{
    uint64_t longest = (uint64_t)shape->Width | shape->Height, bytes = 0;

    if (takes_nothing(shape))
        return 0;
    if (!(shape->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)))
        longest |= shape->Depth;
    for (unsigned level = 0; level == 0 || (level < levels && level < 64 && longest >> level); level++) {
        uint64_t more = level_bytes(shape, level);

        bytes = more > UINT64_MAX - bytes ? UINT64_MAX : bytes + more;
    }
    return bytes;
}

/* ---- the frame ---- */

/* What differs between arrays and mipmapped arrays. */
struct kind {
    bool (*requirements)(void *handle, CUdevice ordinal, CUDA_ARRAY_MEMORY_REQUIREMENTS *ret_requirements);
    CUresult (*destroy)(void *handle);
};

static bool array_requirements(void *handle, CUdevice ordinal,
                               CUDA_ARRAY_MEMORY_REQUIREMENTS *ret_requirements)
{
    return real(cuArrayGetMemoryRequirements) &&
           real(cuArrayGetMemoryRequirements)(ret_requirements, handle, ordinal) == CUDA_SUCCESS;
}

static bool mipmapped_requirements(void *handle, CUdevice ordinal,
                                   CUDA_ARRAY_MEMORY_REQUIREMENTS *ret_requirements)
{
    return real(cuMipmappedArrayGetMemoryRequirements) &&
           real(cuMipmappedArrayGetMemoryRequirements)(ret_requirements, handle, ordinal) == CUDA_SUCCESS;
}

static CUresult array_destroy(void *handle)
{
    return real(cuArrayDestroy)(handle);
}

static CUresult mipmapped_destroy(void *handle)
{
    return real(cuMipmappedArrayDestroy)(handle);
}

static const struct kind array_kind = {array_requirements, array_destroy};
static const struct kind mipmapped_kind = {mipmapped_requirements, mipmapped_destroy};

/* What the device took for the array that is there now; expected_bytes where the driver does not say. */
static uint64_t taken_bytes(const struct kind *kind, void *handle, uint64_t expected_bytes)
{
    CUDA_ARRAY_MEMORY_REQUIREMENTS requirements = {0};
    CUdevice ordinal;

    if (real(cuCtxGetDevice)(&ordinal) != CUDA_SUCCESS || !kind->requirements(handle, ordinal, &requirements))
        return expected_bytes;
    return times(units_of(requirements.size, GRANULE_BYTES), GRANULE_BYTES);
}

/* Brings the reservation to bytes. -ENOMEM: they do not fit, then it stays as it is. */
static int reservation_settle(struct charge *charge, uint64_t bytes)
{
    uint64_t reserved = charge->reserved_bytes;
    int r = 0;

    if (bytes > reserved)
        r = charge_reserve(charge->client, charge->device, bytes - reserved, charge->call);
    else
        ledger_release(charge->client, (unsigned)charge->device, reserved - bytes);
    if (r == 0)
        charge->reserved_bytes = bytes;
    return r;
}

/* Keeps the array and what it took; -ENOMEM: that does not fit, or cannot be written down. */
static int array_keep(struct charge *charge, const struct kind *kind, void *handle)
{
    struct table_entry entry = {.address = table_array_key(handle),
                                .bytes = taken_bytes(kind, handle, charge->reserved_bytes),
                                .owner = charge->context,
                                .device = (uint16_t)charge->device,
                                .door = TABLE_ARRAY};
    int r = reservation_settle(charge, entry.bytes);

    return r < 0 ? r : table_insert(&entry);
}

/* After the driver; is_empty: the array takes nothing by itself. */
static CUresult array_end(struct charge *charge, CUresult result, const struct kind *kind, void *handle,
                          bool is_empty)
{
    uint64_t uncertain_bytes = charge->reserved_bytes;

    if (result == CUDA_SUCCESS && !is_empty && array_keep(charge, kind, handle) < 0) {
        kind->destroy(handle);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (charge->reserved_bytes > uncertain_bytes)
        uncertain_bytes = charge->reserved_bytes;
    if (result != CUDA_SUCCESS)
        ledger_release(charge->client, (unsigned)charge->device, charge->reserved_bytes);
    overhead_uncertain_sub(charge->device, uncertain_bytes);
    return result;
}

/* A hook that creates. Without a descriptor, or a place for the handle, it is the driver that refuses; the
 * rest is what the descriptor says, in the widest form. */
#define CREATE(call, array, descriptor, kind, levels, ...)                                                   \
    struct ledger_client *client;                                                                            \
    struct charge charge;                                                                                    \
    CUDA_ARRAY3D_DESCRIPTOR shape;                                                                           \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client || !(array) || !(descriptor))                                                      \
        return result ? result : call;                                                                       \
    shape = (CUDA_ARRAY3D_DESCRIPTOR){__VA_ARGS__};                                                          \
    result = charge_begin(&charge, __func__, shape_bytes(&shape, levels), TABLE_ARRAY);                      \
    if (result)                                                                                              \
        return result;                                                                                       \
    result = call;                                                                                           \
    return array_end(&charge, result, kind, result ? NULL : (void *)*(array), takes_nothing(&shape))

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *descriptor)
{
    CREATE(real(cuArrayCreate_v2)(array, descriptor), array, descriptor, &array_kind, 1,
           .Width = descriptor->Width, .Height = descriptor->Height, .Format = descriptor->Format,
           .NumChannels = descriptor->NumChannels);
}

CUresult cuArrayCreate(CUarray *array, const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor)
{
    CREATE(real(cuArrayCreate)(array, descriptor), array, descriptor, &array_kind, 1,
           .Width = descriptor->Width, .Height = descriptor->Height, .Format = descriptor->Format,
           .NumChannels = descriptor->NumChannels);
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
    CREATE(real(cuArray3DCreate_v2)(array, descriptor), array, descriptor, &array_kind, 1,
           .Width = descriptor->Width, .Height = descriptor->Height, .Depth = descriptor->Depth,
           .Format = descriptor->Format, .NumChannels = descriptor->NumChannels, .Flags = descriptor->Flags);
}

CUresult cuArray3DCreate(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor)
{
    CREATE(real(cuArray3DCreate)(array, descriptor), array, descriptor, &array_kind, 1,
           .Width = descriptor->Width, .Height = descriptor->Height, .Depth = descriptor->Depth,
           .Format = descriptor->Format, .NumChannels = descriptor->NumChannels, .Flags = descriptor->Flags);
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                                unsigned int levels)
{
    CREATE(real(cuMipmappedArrayCreate)(array, descriptor, levels), array, descriptor, &mipmapped_kind,
           levels, .Width = descriptor->Width, .Height = descriptor->Height, .Depth = descriptor->Depth,
           .Format = descriptor->Format, .NumChannels = descriptor->NumChannels, .Flags = descriptor->Flags);
}

/* ---- destroying ---- */

/* The entry is taken out before the driver destroys: the moment it has, another thread may be given the
 * handle. What is not in the table (a level, an array that takes nothing) is the driver's alone.
 */
static CUresult destroy(void *handle, CUresult (*driver_destroy)(void *handle))
{
    struct ledger_client *client;
    struct table_entry entry;
    CUresult result = shim_limit(&client);

    if (result)
        return result;
    if (!client || !table_take(table_array_key(handle), &entry))
        return driver_destroy(handle);
    overhead_uncertain_add(entry.device, entry.bytes);
    result = driver_destroy(handle);
    if (result == CUDA_SUCCESS)
        charge_release(client, &entry);
    else
        table_insert(&entry); /* into the room it just left */
    overhead_uncertain_sub(entry.device, entry.bytes);
    return result;
}

CUresult cuArrayDestroy(CUarray array)
{
    return destroy(array, array_destroy);
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array)
{
    return destroy(array, mipmapped_destroy);
}
