/* CUDA arrays through the driver API: what they cost, to the granule; which shapes there are; what copies to
 * and from them move and refuse. */
#include "softgpu_api.h"

static const struct {
    CUarray_format format;
    unsigned channel_bytes;
} formats[] = {
    {CU_AD_FORMAT_UNSIGNED_INT8, 1}, {CU_AD_FORMAT_UNSIGNED_INT16, 2}, {CU_AD_FORMAT_UNSIGNED_INT32, 4},
    {CU_AD_FORMAT_SIGNED_INT8, 1},   {CU_AD_FORMAT_SIGNED_INT16, 2},   {CU_AD_FORMAT_SIGNED_INT32, 4},
    {CU_AD_FORMAT_HALF, 2},          {CU_AD_FORMAT_FLOAT, 4},
};

static uint64_t rounded(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static CUarray make(size_t width, size_t height, size_t depth, unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {width, height, depth, CU_AD_FORMAT_UNSIGNED_INT32, 1, flags};
    CUarray array;

    assert_ok(cuArray3DCreate(&array, &descriptor));
    return array;
}

/* ---- memory ---- */

static void an_array_takes_what_it_says_it_requires(void **state)
{
    uint64_t before = free_bytes();
    CUDA_ARRAY_MEMORY_REQUIREMENTS need;
    CUarray array;

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        for (unsigned channels = 1; channels <= 4; channels *= 2) {
            CUDA_ARRAY_DESCRIPTOR descriptor = {1000, 3000, formats[i].format, channels};
            uint64_t bytes = rounded(1000 * formats[i].channel_bytes * channels, 512) * 3000;

            assert_ok(cuArrayCreate(&array, &descriptor));
            assert_ok(cuArrayGetMemoryRequirements(&need, array, 0));
            assert_int_equal(need.size, rounded(bytes, 2 * MIB));
            assert_int_equal(need.alignment, 2 * MIB);
            assert_int_equal(free_bytes(), before - need.size);
            assert_ok(cuArrayDestroy(array));
            assert_int_equal(free_bytes(), before);
        }
}

static void even_the_smallest_array_is_a_granule_of_its_own(void **state)
{
    uint64_t before = free_bytes();
    CUarray first = make(1, 0, 0, 0), second = make(1, 1, 1, 0);

    assert_int_equal(free_bytes(), before - 4 * MIB);
    assert_ok(cuArrayDestroy(first));
    assert_ok(cuArrayDestroy(second));
    assert_int_equal(free_bytes(), before);
}

static void layers_and_faces_cost_like_slices(void **state)
{
    static const struct {
        size_t width, height, depth;
        unsigned flags;
    } shapes[] = {
        {512, 512, 6, CUDA_ARRAY3D_CUBEMAP},
        {512, 512, 12, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED},
        {512, 512, 7, CUDA_ARRAY3D_LAYERED},
        {4096, 0, 700, CUDA_ARRAY3D_LAYERED},
        {100, 200, 300, CUDA_ARRAY3D_SURFACE_LDST},
    };
    uint64_t before = free_bytes();

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        size_t rows = shapes[i].height ? shapes[i].height : 1;
        CUarray array = make(shapes[i].width, shapes[i].height, shapes[i].depth, shapes[i].flags);
        CUDA_ARRAY3D_DESCRIPTOR told;

        assert_int_equal(before - free_bytes(),
                         rounded(rounded(shapes[i].width * 4, 512) * rows * shapes[i].depth, 2 * MIB));
        assert_ok(cuArray3DGetDescriptor(&told, array));
        assert_int_equal(told.Width, shapes[i].width);
        assert_int_equal(told.Height, shapes[i].height);
        assert_int_equal(told.Depth, shapes[i].depth);
        assert_int_equal(told.Flags, shapes[i].flags);
        assert_ok(cuArrayDestroy(array));
    }
}

static void a_mipmapped_array_takes_its_levels_together(void **state)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {1024, 512, 0, CU_AD_FORMAT_FLOAT, 4, 0}, told;
    uint64_t before = free_bytes(), bytes = 0;
    CUDA_ARRAY_MEMORY_REQUIREMENTS need;
    CUmipmappedArray mipmap;
    CUarray level;

    /* More levels than there can be are as many as there can be: 1024 to 1. */
    assert_ok(cuMipmappedArrayCreate(&mipmap, &descriptor, 99));
    for (unsigned i = 0; i <= 10; i++) {
        size_t height = 512 >> i ? 512 >> i : 1;

        bytes += rounded((1024 >> i) * 16, 512) * height;
        assert_ok(cuMipmappedArrayGetLevel(&level, mipmap, i));
        assert_ok(cuArray3DGetDescriptor(&told, level));
        assert_int_equal(told.Width, 1024 >> i);
        assert_int_equal(told.Height, height);
    }
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetLevel(&level, mipmap, 11));
    assert_ok(cuMipmappedArrayGetMemoryRequirements(&need, mipmap, 0));
    assert_int_equal(need.size, rounded(bytes, 2 * MIB));
    assert_int_equal(free_bytes(), before - need.size);
    /* A level goes with the whole, not by itself. */
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(level));
    assert_ok(cuMipmappedArrayDestroy(mipmap));
    assert_int_equal(free_bytes(), before);
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuArray3DGetDescriptor(&told, level));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayDestroy(mipmap));
}

static void a_full_device_refuses_an_array_and_takes_nothing(void **state)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {16384, 16384, 0, CU_AD_FORMAT_FLOAT, 4, 0};
    CUarray array = (CUarray)42;
    CUmipmappedArray mipmap;
    uint64_t before = free_bytes();
    CUdeviceptr most;

    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuArray3DCreate(&array, &descriptor));
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuMipmappedArrayCreate(&mipmap, &descriptor, 3));
    assert_ptr_equal(array, (CUarray)42);
    assert_int_equal(free_bytes(), before);
    assert_ok(cuMemAlloc(&most, before));
    descriptor.Width = descriptor.Height = 1;
    assert_code(CUDA_ERROR_OUT_OF_MEMORY, cuArray3DCreate(&array, &descriptor));
    assert_ok(cuMemFree(most));
}

static void the_end_of_a_context_frees_its_arrays(void **state)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {1024, 1024, 0, CU_AD_FORMAT_FLOAT, 4, 0}, told;
    uint64_t before = free_bytes();
    CUmipmappedArray mipmap;
    CUcontext leaky;
    CUarray array;

    assert_ok(cuCtxCreate(&leaky, NULL, 0, 0));
    array = make(1024, 1024, 4, 0);
    assert_ok(cuMipmappedArrayCreate(&mipmap, &descriptor, 4));
    assert_ok(cuCtxDestroy(leaky));
    assert_int_equal(free_bytes(), before);
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuArray3DGetDescriptor(&told, array));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(array));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayDestroy(mipmap));
}

static void a_used_device_gives_zeroed_arrays(void **state)
{
    CUarray array = make(64, 0, 0, 0);
    unsigned words[64];

    memset(words, 0xff, sizeof(words));
    assert_ok(cuMemcpyHtoA(array, 0, words, sizeof(words)));
    assert_ok(cuArrayDestroy(array));
    array = make(64, 0, 0, 0);
    assert_ok(cuMemcpyAtoH(words, array, 0, sizeof(words)));
    for (int i = 0; i < 64; i++)
        assert_int_equal(words[i], 0);
    assert_ok(cuArrayDestroy(array));
}

/* ---- refusals ---- */

static CUresult try_shape(size_t width, size_t height, size_t depth, CUarray_format format, unsigned channels,
                          unsigned flags)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {width, height, depth, format, channels, flags};
    CUarray array;
    CUresult result = cuArray3DCreate(&array, &descriptor);

    if (!result)
        assert_ok(cuArrayDestroy(array));
    return result;
}

static void what_is_no_shape_is_refused(void **state)
{
    const CUarray_format word = CU_AD_FORMAT_UNSIGNED_INT32;
    uint64_t before = free_bytes();
    CUarray array;

    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(0, 0, 0, word, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 0, 8, word, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 0, word, 3, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 0, word, 0, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 0, (CUarray_format)0x77, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 0, word, 1, CUDA_ARRAY3D_LAYERED));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 4, 6, word, 1, CUDA_ARRAY3D_CUBEMAP));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 5, word, 1, CUDA_ARRAY3D_CUBEMAP));
    assert_code(CUDA_ERROR_INVALID_VALUE,
                try_shape(8, 8, 9, word, 1, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 8, word, 1, CUDA_ARRAY3D_TEXTURE_GATHER));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(8, 8, 0, word, 1, 0x8000));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(131073, 1, 0, word, 1, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(SIZE_MAX, SIZE_MAX, SIZE_MAX, word, 4, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, try_shape(40000, 0, 0, word, 1, CUDA_ARRAY3D_SURFACE_LDST));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, try_shape(8, 8, 0, word, 1, CUDA_ARRAY3D_DEFERRED_MAPPING));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, try_shape(8, 8, 0, word, 1, CUDA_ARRAY3D_SPARSE));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, try_shape(8, 8, 0, CU_AD_FORMAT_NV12, 3, 0));
    assert_code(CUDA_ERROR_NOT_SUPPORTED, try_shape(8, 8, 0, CU_AD_FORMAT_BC1_UNORM, 4, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuArray3DCreate(&array, NULL));
    assert_int_equal(free_bytes(), before);
}

static void questions_that_do_not_apply_are_invalid(void **state)
{
    CUarray array = make(8, 8, 0, 0), plane;
    CUDA_ARRAY_SPARSE_PROPERTIES sparse;
    CUDA_ARRAY_MEMORY_REQUIREMENTS need;
    CUDA_ARRAY_DESCRIPTOR flat;

    assert_code(CUDA_ERROR_INVALID_VALUE, cuArrayGetPlane(&plane, array, 0));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuArrayGetSparseProperties(&sparse, array));
    assert_code(CUDA_ERROR_INVALID_DEVICE, cuArrayGetMemoryRequirements(&need, array, 7));
    assert_ok(cuArrayGetDescriptor(&flat, array));
    assert_int_equal(flat.Height, 8);
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuArrayGetDescriptor(&flat, (CUarray)&flat));
    assert_ok(cuArrayDestroy(array));
}

/* ---- copies ---- */

static void rows_go_to_an_array_and_come_back(void **state)
{
    unsigned from[100], to[100] = {0};
    CUarray array = make(100, 0, 0, 0), other = make(100, 0, 0, 0), flat = make(100, 2, 0, 0);
    CUdeviceptr memory;
    CUstream stream;

    for (unsigned i = 0; i < 100; i++)
        from[i] = i * 2654435761u;
    assert_ok(cuMemAlloc(&memory, sizeof(from)));
    assert_ok(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    assert_ok(cuMemcpyHtoA(array, 40, from + 10, sizeof(from) - 40));
    assert_ok(cuMemcpyHtoAAsync(array, 0, from, 40, stream));
    assert_ok(cuStreamSynchronize(stream));
    assert_ok(cuMemcpyAtoA(other, 0, array, 0, sizeof(from)));
    assert_ok(cuMemcpyAtoD(memory, other, 0, sizeof(from)));
    assert_ok(cuMemcpyDtoA(other, 4, memory, sizeof(from) - 4));
    assert_ok(cuMemcpyAtoHAsync(to, other, 4, sizeof(to) - 4, stream));
    assert_ok(cuStreamSynchronize(stream));
    assert_memory_equal(to, from, sizeof(from) - 4);

    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(array, 4, from, sizeof(from)));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(array, 2, from, 4));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(flat, 0, from, 4));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuMemcpyHtoA((CUarray)from, 0, from, 4));
    assert_ok(cuStreamDestroy(stream));
    assert_ok(cuMemFree(memory));
    assert_ok(cuArrayDestroy(flat));
    assert_ok(cuArrayDestroy(other));
    assert_ok(cuArrayDestroy(array));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuMemcpyHtoA(array, 0, from, 4));
}

static void a_rectangle_of_an_array_is_copied_in_place(void **state)
{
    unsigned from[5][6], to[8][10];
    CUarray array = make(10, 8, 0, 0);
    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = from,
                        .srcPitch = sizeof(from[0]),
                        .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                        .dstArray = array,
                        .dstXInBytes = 12,
                        .dstY = 2,
                        .WidthInBytes = 24,
                        .Height = 5};
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                         .srcArray = array,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = to,
                         .dstPitch = sizeof(to[0]),
                         .WidthInBytes = 40,
                         .Height = 8};

    for (unsigned i = 0; i < 30; i++)
        from[i / 6][i % 6] = i + 1;
    assert_ok(cuMemcpy2D(&in));
    assert_ok(cuMemcpy2DUnaligned(&out));
    for (unsigned y = 0; y < 8; y++)
        for (unsigned x = 0; x < 10; x++)
            assert_int_equal(to[y][x], y >= 2 && y < 7 && x >= 3 && x < 9 ? (y - 2) * 6 + x - 2 : 0);
    in.dstY = 4;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&in));
    in.dstY = 2;
    in.dstXInBytes = 20;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&in));
    in.dstXInBytes = 13;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&in));
    in.dstArray = NULL;
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuMemcpy2D(&in));
    assert_ok(cuArrayDestroy(array));
}

static void boxes_of_arrays_are_copied_between_levels_and_layers(void **state)
{
    CUDA_ARRAY3D_DESCRIPTOR descriptor = {16, 8, 3, CU_AD_FORMAT_UNSIGNED_INT32, 1, CUDA_ARRAY3D_LAYERED};
    unsigned from[3][4][8], to[3][4][8];
    CUmipmappedArray mipmap;
    CUarray level, plain = make(16, 8, 4, 0);

    for (unsigned i = 0; i < 96; i++)
        ((unsigned *)from)[i] = i + 1;
    assert_ok(cuMipmappedArrayCreate(&mipmap, &descriptor, 2));
    assert_ok(cuMipmappedArrayGetLevel(&level, mipmap, 1));

    CUDA_MEMCPY3D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = from,
                        .srcPitch = sizeof(from[0][0]),
                        .srcHeight = 4,
                        .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                        .dstArray = level,
                        .WidthInBytes = 32,
                        .Height = 4,
                        .Depth = 3};
    CUDA_MEMCPY3D_PEER across = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                                 .srcArray = level,
                                 .srcContext = *state,
                                 .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                                 .dstArray = plain,
                                 .dstContext = *state,
                                 .dstXInBytes = 16,
                                 .dstY = 3,
                                 .dstZ = 1,
                                 .WidthInBytes = 32,
                                 .Height = 4,
                                 .Depth = 3};
    CUDA_MEMCPY3D out = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                         .srcArray = plain,
                         .srcXInBytes = 16,
                         .srcY = 3,
                         .srcZ = 1,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = to,
                         .dstPitch = sizeof(to[0][0]),
                         .dstHeight = 4,
                         .WidthInBytes = 32,
                         .Height = 4,
                         .Depth = 3};

    assert_ok(cuMemcpy3D(&in));
    assert_ok(cuMemcpy3DPeer(&across));
    assert_ok(cuMemcpy3DAsync(&out, NULL));
    assert_ok(cuCtxSynchronize());
    assert_memory_equal(from, to, sizeof(from));
    across.dstZ = 2;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpy3DPeer(&across));
    assert_ok(cuMipmappedArrayDestroy(mipmap));
    assert_ok(cuArrayDestroy(plain));
}

static void an_address_never_reaches_an_array(void **state)
{
    CUdeviceptr below, address;
    CUarray array;
    char byte = 0;

    /* Addresses are handed out from below, so the array lies where the segment was. */
    assert_ok(cuMemAlloc(&below, 4 * MIB));
    assert_ok(cuMemFree(below));
    array = make(1024, 1024, 0, 0);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(below, &byte, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&byte, below, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(below, 1, 1));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuMemFree(below));
    assert_code(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange(&address, NULL, below));
    assert_ok(cuArrayDestroy(array));
}

/* copy=1G and devcopy=10G: 4 MiB take 3,906,250 ns from the host and a tenth inside the device. */
static void copies_of_arrays_take_the_time_of_their_bytes(void **state)
{
    CUarray first = make(1024, 1024, 0, 0), second = make(1024, 1024, 0, 0);
    CUevent begin, middle, end;
    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                        .dstArray = first,
                        .WidthInBytes = 4096,
                        .Height = 1024};
    CUDA_MEMCPY2D inside = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                            .srcArray = first,
                            .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                            .dstArray = second,
                            .WidthInBytes = 4096,
                            .Height = 1024};
    float ms;
    void *host;

    assert_ok(cuMemAllocHost(&host, 4 * MIB));
    in.srcHost = host;
    assert_ok(cuEventCreate(&begin, 0));
    assert_ok(cuEventCreate(&middle, 0));
    assert_ok(cuEventCreate(&end, 0));
    assert_ok(cuEventRecord(begin, NULL));
    assert_ok(cuMemcpy2DAsync(&in, NULL));
    assert_ok(cuEventRecord(middle, NULL));
    assert_ok(cuMemcpy2DAsync(&inside, NULL));
    assert_ok(cuEventRecord(end, NULL));
    assert_ok(cuEventSynchronize(end));
    assert_ok(cuEventElapsedTime(&ms, begin, middle));
    assert_float_equal(ms, 3.90625, 0.001);
    assert_ok(cuEventElapsedTime(&ms, middle, end));
    assert_float_equal(ms, 0.390625, 0.001);
    assert_ok(cuEventDestroy(begin));
    assert_ok(cuEventDestroy(middle));
    assert_ok(cuEventDestroy(end));
    assert_ok(cuMemFreeHost(host));
    assert_ok(cuArrayDestroy(first));
    assert_ok(cuArrayDestroy(second));
}

/* ---- textures and surfaces ---- */

static void textures_keep_what_they_are_told(void **state)
{
    CUarray array = make(64, 64, 0, 0);
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array}, told;
    CUDA_TEXTURE_DESC sampling = {.filterMode = CU_TR_FILTER_MODE_LINEAR,
                                  .flags = CU_TRSF_NORMALIZED_COORDINATES},
                      told_sampling;
    CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_UINT_1X32, .width = 64, .height = 64},
                            told_view;
    CUtexObject plain, viewed;

    assert_ok(cuTexObjectCreate(&plain, &resource, &sampling, NULL));
    assert_ok(cuTexObjectCreate(&viewed, &resource, &sampling, &view));
    assert_ok(cuTexObjectGetResourceDesc(&told, plain));
    assert_ptr_equal(told.res.array.hArray, array);
    assert_ok(cuTexObjectGetTextureDesc(&told_sampling, plain));
    assert_memory_equal(&told_sampling, &sampling, sizeof(sampling));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectGetResourceViewDesc(&told_view, plain));
    assert_ok(cuTexObjectGetResourceViewDesc(&told_view, viewed));
    assert_int_equal(told_view.format, CU_RES_VIEW_FORMAT_UINT_1X32);
    assert_ok(cuTexObjectDestroy(plain));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectGetResourceDesc(&told, plain));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectDestroy(plain));
    sampling.addressMode[1] = (CUaddress_mode)9;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&plain, &resource, &sampling, NULL));
    sampling.addressMode[1] = CU_TR_ADDRESS_MODE_CLAMP;
    assert_ok(cuArrayDestroy(array));
    assert_code(CUDA_ERROR_INVALID_HANDLE, cuTexObjectCreate(&plain, &resource, &sampling, NULL));
    assert_ok(cuTexObjectDestroy(viewed));
}

static void linear_textures_lie_in_allocated_memory(void **state)
{
    CUDA_RESOURCE_DESC flat = {
        .resType = CU_RESOURCE_TYPE_LINEAR,
        .res.linear = {.format = CU_AD_FORMAT_FLOAT, .numChannels = 2, .sizeInBytes = 4096}};
    CUDA_RESOURCE_DESC rows = {
        .resType = CU_RESOURCE_TYPE_PITCH2D,
        .res.pitch2D = {
            .format = CU_AD_FORMAT_FLOAT, .numChannels = 1, .width = 100, .height = 8, .pitchInBytes = 512}};
    CUDA_TEXTURE_DESC sampling = {.filterMode = CU_TR_FILTER_MODE_POINT};
    CUdeviceptr memory;
    CUtexObject texture;

    assert_ok(cuMemAlloc(&memory, 4096));
    flat.res.linear.devPtr = rows.res.pitch2D.devPtr = memory;
    assert_ok(cuTexObjectCreate(&texture, &flat, &sampling, NULL));
    assert_ok(cuTexObjectDestroy(texture));
    assert_ok(cuTexObjectCreate(&texture, &rows, &sampling, NULL));
    assert_ok(cuTexObjectDestroy(texture));
    flat.res.linear.sizeInBytes = 4097;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&texture, &flat, &sampling, NULL));
    rows.res.pitch2D.height = 9;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&texture, &rows, &sampling, NULL));
    rows.res.pitch2D.height = 8;
    rows.res.pitch2D.pitchInBytes = 384;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&texture, &rows, &sampling, NULL));
    rows.res.pitch2D.pitchInBytes = 408;
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&texture, &rows, &sampling, NULL));
    assert_ok(cuMemFree(memory));
}

static void surfaces_need_arrays_made_for_them(void **state)
{
    CUarray plain = make(64, 64, 0, 0), writable = make(64, 64, 0, CUDA_ARRAY3D_SURFACE_LDST);
    CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = plain}, told;
    CUsurfObject surface, left;
    CUcontext other;

    assert_code(CUDA_ERROR_INVALID_VALUE, cuSurfObjectCreate(&surface, &resource));
    resource.res.array.hArray = writable;
    assert_ok(cuSurfObjectCreate(&surface, &resource));
    assert_ok(cuSurfObjectGetResourceDesc(&told, surface));
    assert_ptr_equal(told.res.array.hArray, writable);
    assert_code(CUDA_ERROR_INVALID_VALUE, cuTexObjectDestroy((CUtexObject)surface));
    assert_ok(cuSurfObjectDestroy(surface));
    /* Objects end with their context. */
    assert_ok(cuCtxCreate(&other, NULL, 0, 0));
    assert_ok(cuSurfObjectCreate(&left, &resource));
    assert_ok(cuCtxDestroy(other));
    assert_code(CUDA_ERROR_INVALID_VALUE, cuSurfObjectGetResourceDesc(&told, left));
    assert_ok(cuArrayDestroy(plain));
    assert_ok(cuArrayDestroy(writable));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST_IN_CONTEXT(an_array_takes_what_it_says_it_requires),
        TEST_IN_CONTEXT(even_the_smallest_array_is_a_granule_of_its_own),
        TEST_IN_CONTEXT(layers_and_faces_cost_like_slices),
        TEST_IN_CONTEXT(a_mipmapped_array_takes_its_levels_together),
        TEST_IN_CONTEXT(a_full_device_refuses_an_array_and_takes_nothing),
        TEST_IN_CONTEXT(the_end_of_a_context_frees_its_arrays),
        TEST_IN_CONTEXT(a_used_device_gives_zeroed_arrays),
        TEST_IN_CONTEXT(what_is_no_shape_is_refused),
        TEST_IN_CONTEXT(questions_that_do_not_apply_are_invalid),
        TEST_IN_CONTEXT(rows_go_to_an_array_and_come_back),
        TEST_IN_CONTEXT(a_rectangle_of_an_array_is_copied_in_place),
        TEST_IN_CONTEXT(boxes_of_arrays_are_copied_between_levels_and_layers),
        TEST_IN_CONTEXT(an_address_never_reaches_an_array),
        TEST_IN_CONTEXT(copies_of_arrays_take_the_time_of_their_bytes),
        TEST_IN_CONTEXT(textures_keep_what_they_are_told),
        TEST_IN_CONTEXT(linear_textures_lie_in_allocated_memory),
        TEST_IN_CONTEXT(surfaces_need_arrays_made_for_them),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests_name("softgpu_api_arrays", tests, NULL, NULL);
}
