/* Contexts and modules: charged by what the driver's NVML says, undone when they do not fit, given back with
 * all that was in them. */
#include "shim_fixture.h"

TEST(a_context_is_charged_what_it_costs)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    CUcontext a, b;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&a, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&b, 0, 1), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(stage_ledger_bytes(s, 1), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(b), CUDA_SUCCESS);
    CHECK_EXACT(s);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
}

TEST(a_context_that_does_not_fit_is_undone)
{
    struct stage *s = stage_open(150 * MIB, 50 * MIB);
    CUcontext a, b;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&a, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&b, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRetain(&b, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(stage_ledger_bytes(s, 1), 0);
    CHECK_EXACT(s);
}

TEST(destroying_a_context_gives_back_what_was_left_in_it)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr address;
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&address, 100 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&address, 1), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&address, 20 * MIB, 1), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxGetCurrent(&context), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
    CHECK_EXACT(s);
}

TEST(the_primary_context_is_charged_once_and_goes_with_its_last_reference)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    CUcontext context;
    CUdeviceptr address;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(s->cuda.cuCtxSetCurrent(context), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&address, 10 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 110 * MIB);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
    CHECK_EXACT(s);
}

TEST(a_second_context_beside_managed_memory_is_charged_its_own_cost)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr managed;
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&managed, 200 * MIB, 1), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 400 * MIB);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 300 * MIB);
    /* The same where managed memory does not lie on the device. */
    s->fake->devices[0].used_bytes -= 200 * MIB;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 400 * MIB);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 300 * MIB);
}

TEST(a_module_is_charged_and_one_that_does_not_fit_is_unloaded)
{
    struct stage *s = stage_open_context(110 * MIB);
    CUmodule module;

    CHECK_EQUAL(s->cuda.cuModuleLoadData(&module, "image"), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 102 * MIB);
    CHECK_EQUAL(s->cuda.cuModuleUnload(module), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    s->fake->module_bytes = 20 * MIB;
    CHECK_EQUAL(s->cuda.cuModuleLoadData(&module, "image"), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EXACT(s);
}

TEST(a_context_that_cannot_be_counted_is_refused)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    s->fake->hide_process = true;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(stage_device_bytes(s, 0), 0);
}

TEST(the_drivers_refusal_of_a_context_passes_unchanged)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    s->fake->fail_next = CUDA_ERROR_DEVICE_UNAVAILABLE;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
    CHECK_EXACT(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_is_charged_what_it_costs),
        cmocka_unit_test(a_context_that_does_not_fit_is_undone),
        cmocka_unit_test(destroying_a_context_gives_back_what_was_left_in_it),
        cmocka_unit_test(the_primary_context_is_charged_once_and_goes_with_its_last_reference),
        cmocka_unit_test(a_second_context_beside_managed_memory_is_charged_its_own_cost),
        cmocka_unit_test(a_module_is_charged_and_one_that_does_not_fit_is_unloaded),
        cmocka_unit_test(a_context_that_cannot_be_counted_is_refused),
        cmocka_unit_test(the_drivers_refusal_of_a_context_passes_unchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
