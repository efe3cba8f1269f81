/* Arrays and mipmapped arrays: charged by what the device takes for their shape, given back when they, or
 * their context, are destroyed. */
#include "shim_fixture.h"

static CUDA_ARRAY3D_DESCRIPTOR shape_of(size_t width, size_t height, size_t depth, unsigned flags)
{
    return (CUDA_ARRAY3D_DESCRIPTOR){.Width = width,
                                     .Height = height,
                                     .Depth = depth,
                                     .Format = CU_AD_FORMAT_FLOAT,
                                     .NumChannels = 1,
                                     .Flags = flags};
}

TEST(an_array_is_charged_as_the_device_takes_it)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1000, 1000, CU_AD_FORMAT_FLOAT, 1};
    const CUDA_ARRAY3D_DESCRIPTOR deep = shape_of(100, 100, 100, 0);
    CUarray a, b;

    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_SUCCESS); /* rows of 4096 bytes */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 104 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArray3DCreate_v2(&b, &deep), CUDA_SUCCESS); /* 10000 rows of 512 bytes */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(b), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(the_first_abi_is_counted_too)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY_DESCRIPTOR_v1 flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 4};
    const CUDA_ARRAY3D_DESCRIPTOR_v1 deep = {1024, 1024, 2, CU_AD_FORMAT_FLOAT, 1, 0};
    CUarray a, b;

    CHECK_EQUAL(s->cuda.cuArrayCreate(&a, &flat), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuArray3DCreate(&b, &deep), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 124 * MIB);
    CHECK_EXACT(s);
}

TEST(a_mipmapped_array_is_charged_with_all_its_levels)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY3D_DESCRIPTOR shape = shape_of(2048, 2048, 0, 0);
    CUmipmappedArray a;

    CHECK_EQUAL(s->cuda.cuMipmappedArrayCreate(&a, &shape, 3), CUDA_SUCCESS); /* 16, 4 and 1 MiB */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 122 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(layers_count_on_every_level)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY3D_DESCRIPTOR shape = shape_of(1024, 1024, 4, CUDA_ARRAY3D_LAYERED);
    CUmipmappedArray a;

    CHECK_EQUAL(s->cuda.cuMipmappedArrayCreate(&a, &shape, 2), CUDA_SUCCESS); /* 4 times 4 and 1 MiB */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 120 * MIB);
    CHECK_EXACT(s);
}

TEST(arrays_fill_the_limit_and_never_pass_it)
{
    struct stage *s = stage_open_context(111 * MIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUarray a[3];

    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a[0], &flat), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a[1], &flat), CUDA_SUCCESS);
    s->fake->last_call = "none";
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a[2], &flat), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(strcmp(s->fake->last_call, "none"), 0);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 108 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a[0]), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a[2], &flat), CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(an_array_that_takes_more_than_its_shape_is_charged_by_the_truth)
{
    struct stage *s = stage_open_context(120 * MIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUarray a, b;

    s->fake->array_extra_bytes = 6 * MIB;
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EXACT(s);
    s->fake->array_extra_bytes = 8 * MIB;
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&b, &flat), CUDA_ERROR_OUT_OF_MEMORY); /* and is destroyed again */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(a_shape_stands_for_the_truth_where_the_driver_does_not_say)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1000, 1000, CU_AD_FORMAT_FLOAT, 1};
    CUarray a;

    s->fake->hide_requirements = true;
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_SUCCESS);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(arrays_that_are_mapped_later_take_nothing_by_themselves)
{
    struct stage *s = stage_open_context(101 * MIB);
    const CUDA_ARRAY3D_DESCRIPTOR sparse = shape_of(8192, 8192, 0, CUDA_ARRAY3D_SPARSE),
                                  deferred = shape_of(8192, 8192, 0, CUDA_ARRAY3D_DEFERRED_MAPPING);
    CUmipmappedArray b;
    CUarray a;

    CHECK_EQUAL(s->cuda.cuArray3DCreate_v2(&a, &sparse), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayCreate(&b, &deferred, 2), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayDestroy(b), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(the_drivers_own_errors_pass_unchanged_and_cost_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUmipmappedArray mipmapped;
    CUarray a;

    s->fake->fail_next = CUDA_ERROR_NOT_SUPPORTED;
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(NULL, &flat), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuArray3DCreate(&a, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayCreate(&mipmapped, NULL, 1), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(NULL), CUDA_ERROR_INVALID_HANDLE);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(a_destruction_that_the_driver_refuses_gives_nothing_back)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUarray a;

    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayDestroy((CUmipmappedArray)(void *)a), CUDA_ERROR_INVALID_HANDLE);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 104 * MIB);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(a_shape_beyond_all_numbers_is_refused)
{
    struct stage *s = stage_open_context(1 * GIB);
    const CUDA_ARRAY3D_DESCRIPTOR shape = shape_of(SIZE_MAX, SIZE_MAX, SIZE_MAX, 0);
    CUmipmappedArray b;
    CUarray a;

    CHECK_EQUAL(s->cuda.cuArray3DCreate_v2(&a, &shape), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayCreate(&b, &shape, UINT32_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EXACT(s);
}

TEST(a_context_takes_its_arrays_with_it)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    const CUDA_ARRAY_DESCRIPTOR flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUcontext context;
    CUarray a;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_ERROR_INVALID_HANDLE);
    CHECK_EXACT(s);
}

TEST(without_an_instance_arrays_are_the_drivers)
{
    struct stage *s = stage_open_unlimited();
    const CUDA_ARRAY_DESCRIPTOR flat = {1024, 1024, CU_AD_FORMAT_FLOAT, 1};
    CUcontext context;
    CUarray a;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&a, &flat), CUDA_SUCCESS);
    CHECK_EQUAL(strcmp(s->fake->last_call, "cuArrayCreate_v2"), 0);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuArrayDestroy(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_device_bytes(s, 0), 100 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_is_charged_as_the_device_takes_it),
        cmocka_unit_test(the_first_abi_is_counted_too),
        cmocka_unit_test(a_mipmapped_array_is_charged_with_all_its_levels),
        cmocka_unit_test(layers_count_on_every_level),
        cmocka_unit_test(arrays_fill_the_limit_and_never_pass_it),
        cmocka_unit_test(an_array_that_takes_more_than_its_shape_is_charged_by_the_truth),
        cmocka_unit_test(a_shape_stands_for_the_truth_where_the_driver_does_not_say),
        cmocka_unit_test(arrays_that_are_mapped_later_take_nothing_by_themselves),
        cmocka_unit_test(the_drivers_own_errors_pass_unchanged_and_cost_nothing),
        cmocka_unit_test(a_destruction_that_the_driver_refuses_gives_nothing_back),
        cmocka_unit_test(a_shape_beyond_all_numbers_is_refused),
        cmocka_unit_test(a_context_takes_its_arrays_with_it),
        cmocka_unit_test(without_an_instance_arrays_are_the_drivers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
