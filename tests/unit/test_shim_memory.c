/* cuMemAlloc and its family under a limit, over a driver whose own account judges: what the ledger says is
 * what the device holds, to the byte, whatever succeeded, failed or was freed how. */
#include "shim_fixture.h"

TEST(an_allocation_is_charged_as_the_device_takes_it)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a, b, c;

    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 64 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 3 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&c, 1), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 170 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(b), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(c), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(the_limit_is_exact_and_the_device_never_held_more)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address[20];
    int n = 0;

    while (n < 20 && s->cuda.cuMemAlloc_v2(&address[n], 84 * MIB) == CUDA_SUCCESS)
        n++;
    CHECK_EQUAL(n, 11); /* 100 + 11 * 84 = 1024 */
    CHECK_EQUAL(stage_device_bytes(s, 0), 1 * GIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&address[n], 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 1 * GIB);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(address[0]), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&address[0], 84 * MIB), CUDA_SUCCESS);
    CHECK_EXACT(s);
}

TEST(small_allocations_share_granules_and_are_charged_by_those)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a[7], managed;

    for (int i = 0; i < 7; i++)
        CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a[i], 300 * KIB), CUDA_SUCCESS); /* six to a granule */
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 104 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&managed, 100, 1), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EXACT(s);
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(s->cuda.cuMemFree_v2(a[i]), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 106 * MIB);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a[5]), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(managed), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 102 * MIB);
    CHECK_EXACT(s);
}

TEST(small_allocations_fill_the_limit_and_never_pass_it)
{
    struct stage *s = stage_open_context(110 * MIB);
    CUdeviceptr a;
    int n = 0;

    while (s->cuda.cuMemAlloc_v2(&a, 300 * KIB) == CUDA_SUCCESS)
        n++;
    CHECK_EQUAL(n, 30);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 1000), CUDA_SUCCESS); /* into what is left of a granule */
    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&a, 1000, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 110 * MIB);
    CHECK_EXACT(s);
}

TEST(a_refusal_does_not_reach_the_driver)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a;

    s->fake->last_call = "none";
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 2 * GIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&a, 2 * GIB, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemAllocPitch_v2(&a, &(size_t){0}, SIZE_MAX / 2, 4, 4), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(strcmp(s->fake->last_call, "none"), 0);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(the_drivers_own_errors_pass_unchanged_and_cost_nothing)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a;

    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, MIB), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(NULL, 512), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(12345), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(0), CUDA_SUCCESS);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_ERROR_INVALID_VALUE);
    CHECK_EXACT(s);
    s->fake->devices[0].capacity_bytes = 200 * MIB;
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 150 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EXACT(s);
}

TEST(a_pitched_allocation_is_charged_by_its_real_pitch)
{
    struct stage *s = stage_open_context(1 * GIB);
    size_t pitch;
    CUdeviceptr a;

    for (unsigned align = 256; align <= 4096; align *= 2) {
        s->fake->pitch_align = align;
        CHECK_EQUAL(s->cuda.cuMemAllocPitch_v2(&a, &pitch, 1000, 10000, 4), CUDA_SUCCESS);
        CHECK_EXACT(s);
        CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
        CHECK_EXACT(s);
    }
}

TEST(a_pitch_that_passes_the_limit_is_undone)
{
    struct stage *s = stage_open_context(200 * MIB);
    size_t pitch;
    CUdeviceptr a;

    s->fake->pitch_align = 1 << 20;
    CHECK_EQUAL(s->cuda.cuMemAllocPitch_v2(&a, &pitch, 1000, 1000, 4), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(managed_memory_is_charged_in_full)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&a, 500 * MIB, 1), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 600 * MIB);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(the_first_abi_is_counted_too)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr_v1 a;

    CHECK_EQUAL(s->cuda.cuMemAlloc(&a, 64 << 20), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc(&a, UINT32_MAX), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EXACT(s);
}

TEST(a_limit_lowered_below_usage_holds_new_allocations_back)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a, b;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 500 * MIB), CUDA_SUCCESS);
    ledger_limit_set(&s->areas, 0, 300 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 200 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EXACT(s);
}

TEST(a_stopped_instance_allocates_nothing_and_frees_everything)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a, b;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 10 * MIB), CUDA_SUCCESS);
    s->areas.limits->revoked = 1;
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 10 * MIB), CUDA_ERROR_SYSTEM_NOT_READY);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(devices_are_told_apart_by_uuid)
{
    struct stage *s = stage_open(0, 500 * MIB); /* index 0 of the instance is ordinal 1 */
    CUcontext context;
    CUdeviceptr a;
    size_t bytes;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuDeviceTotalMem_v2(&bytes, 0), CUDA_SUCCESS);
    CHECK_EQUAL(bytes, 0);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 1), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 100 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 200 * MIB);
    CHECK_EQUAL(stage_device_bytes(s, 1), 200 * MIB);
    CHECK_EQUAL(stage_device_bytes(s, 0), 0);
}

TEST(the_application_sees_its_slice)
{
    struct stage *s = stage_open_context(1 * GIB);
    size_t free_bytes, total_bytes;
    unsigned int free_v1, total_v1;

    CHECK_EQUAL(s->cuda.cuMemGetInfo_v2(&free_bytes, &total_bytes), CUDA_SUCCESS);
    CHECK_EQUAL(total_bytes, 1 * GIB);
    CHECK_EQUAL(free_bytes, 924 * MIB);
    CHECK_EQUAL(s->cuda.cuMemGetInfo(&free_v1, &total_v1), CUDA_SUCCESS);
    CHECK_EQUAL(total_v1, 1 * GIB);
    CHECK_EQUAL(s->cuda.cuDeviceTotalMem_v2(&total_bytes, 0), CUDA_SUCCESS);
    CHECK_EQUAL(total_bytes, 1 * GIB);
    ledger_limit_set(&s->areas, 0, 50 * MIB);
    CHECK_EQUAL(s->cuda.cuMemGetInfo_v2(&free_bytes, &total_bytes), CUDA_SUCCESS);
    CHECK_EQUAL(free_bytes, 0);
    CHECK_EQUAL(total_bytes, 50 * MIB);
    CHECK_EQUAL(s->cuda.cuMemGetInfo_v2(NULL, NULL), CUDA_SUCCESS);
}

TEST(ten_thousand_allocations_come_and_go_exactly)
{
    struct stage *s = stage_open_context(8 * GIB);
    static CUdeviceptr address[3000];
    uint32_t seed = 7;

    for (int i = 0; i < 10000; i++) {
        CUdeviceptr *slot = &address[(seed = seed * 1664525 + 1013904223) % 3000];

        if (*slot) {
            CHECK_EQUAL(s->cuda.cuMemFree_v2(*slot), CUDA_SUCCESS);
            *slot = 0;
        } else {
            CHECK_EQUAL(s->cuda.cuMemAlloc_v2(slot, 1 + seed % (2 << 20)), CUDA_SUCCESS);
        }
        if (i % 1000 == 0)
            CHECK_EXACT(s);
    }
    for (int i = 0; i < 3000; i++)
        s->cuda.cuMemFree_v2(address[i]);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocation_is_charged_as_the_device_takes_it),
        cmocka_unit_test(the_limit_is_exact_and_the_device_never_held_more),
        cmocka_unit_test(small_allocations_share_granules_and_are_charged_by_those),
        cmocka_unit_test(small_allocations_fill_the_limit_and_never_pass_it),
        cmocka_unit_test(a_refusal_does_not_reach_the_driver),
        cmocka_unit_test(the_drivers_own_errors_pass_unchanged_and_cost_nothing),
        cmocka_unit_test(a_pitched_allocation_is_charged_by_its_real_pitch),
        cmocka_unit_test(a_pitch_that_passes_the_limit_is_undone),
        cmocka_unit_test(managed_memory_is_charged_in_full),
        cmocka_unit_test(the_first_abi_is_counted_too),
        cmocka_unit_test(a_limit_lowered_below_usage_holds_new_allocations_back),
        cmocka_unit_test(a_stopped_instance_allocates_nothing_and_frees_everything),
        cmocka_unit_test(devices_are_told_apart_by_uuid),
        cmocka_unit_test(the_application_sees_its_slice),
        cmocka_unit_test(ten_thousand_allocations_come_and_go_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
