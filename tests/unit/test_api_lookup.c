/* Promises of api/lookup.h: what a name means at a version, and that rows, slots, symbols and tables agree.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/cuda_table.h"
#include "api/lookup.h"
#include "api/nvml_table.h"

enum { LEGACY = CU_GET_PROC_ADDRESS_LEGACY_STREAM, OWN = CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM };

static const char *symbol_of(const char *name, int version, cuuint64_t flags)
{
    const struct cuda_row *row = NULL;

    return api_cuda_find(name, version, flags, &row) == 0 ? row->symbol : NULL;
}

static void a_name_means_the_newest_function_that_existed_at_the_version(void **state)
{
    static const struct {
        const char *name;
        int version;
        const char *symbol;
    } cases[] = {
        {"cuInit", 2000, "cuInit"},
        {"cuInit", 13000, "cuInit"},
        {"cuMemAlloc", 2000, "cuMemAlloc"},
        {"cuMemAlloc", 3010, "cuMemAlloc"},
        {"cuMemAlloc", 3020, "cuMemAlloc_v2"},
        {"cuMemAlloc", 13000, "cuMemAlloc_v2"},
        {"cuCtxCreate", 2000, "cuCtxCreate"},
        {"cuCtxCreate", 3020, "cuCtxCreate_v2"},
        {"cuCtxCreate", 11030, "cuCtxCreate_v2"},
        {"cuCtxCreate", 11040, "cuCtxCreate_v3"},
        {"cuCtxCreate", 12050, "cuCtxCreate_v4"},
        {"cuCtxCreate", 13000, "cuCtxCreate_v4"},
        {"cuCtxGetDevice", 12090, "cuCtxGetDevice"},
        {"cuCtxGetDevice", 13000, "cuCtxGetDevice_v2"},
        {"cuCtxSynchronize", 12090, "cuCtxSynchronize"},
        {"cuCtxSynchronize", 13000, "cuCtxSynchronize_v2"},
        {"cuGetProcAddress", 11030, "cuGetProcAddress"},
        {"cuGetProcAddress", 12000, "cuGetProcAddress_v2"},
        {"cuDeviceGetUuid", 9020, "cuDeviceGetUuid"},
        {"cuDeviceGetUuid", 11040, "cuDeviceGetUuid_v2"},
        {"cuStreamGetCaptureInfo", 11020, "cuStreamGetCaptureInfo"},
        {"cuStreamGetCaptureInfo", 12020, "cuStreamGetCaptureInfo_v2"},
        {"cuStreamGetCaptureInfo", 12030, "cuStreamGetCaptureInfo_v3"},
        {"cuTexRefSetAddress2D", 4010, "cuTexRefSetAddress2D_v3"},
        {"cuEventElapsedTime", 12070, "cuEventElapsedTime"},
        {"cuEventElapsedTime", 12080, "cuEventElapsedTime_v2"},
        {"cuGraphInstantiate", 13000, "cuGraphInstantiate_v2"},
        {"cuGraphInstantiateWithFlags", 13000, "cuGraphInstantiateWithFlags"},
        {"cuWaitExternalSemaphoresAsync", 13000, "cuWaitExternalSemaphoresAsync"},
        {"cuMemAlloc", 99999, "cuMemAlloc_v2"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(symbol_of(cases[i].name, cases[i].version, 0), cases[i].symbol);
}

static void the_per_thread_flag_gives_the_per_thread_variant_where_there_is_one(void **state)
{
    assert_string_equal(symbol_of("cuMemcpyHtoD", 13000, 0), "cuMemcpyHtoD_v2");
    assert_string_equal(symbol_of("cuMemcpyHtoD", 13000, LEGACY), "cuMemcpyHtoD_v2");
    assert_string_equal(symbol_of("cuMemcpyHtoD", 13000, OWN), "cuMemcpyHtoD_v2_ptds");
    assert_string_equal(symbol_of("cuLaunchKernel", 13000, OWN), "cuLaunchKernel_ptsz");
    assert_string_equal(symbol_of("cuMemPrefetchAsync", 12010, OWN), "cuMemPrefetchAsync_ptsz");
    assert_string_equal(symbol_of("cuMemPrefetchAsync", 12020, OWN), "cuMemPrefetchAsync_v2_ptsz");
    assert_string_equal(symbol_of("cuStreamGetCaptureInfo", 12020, OWN), "cuStreamGetCaptureInfo_v2_ptsz");
    /* Older than the first per-thread function, or a function that has none. */
    assert_string_equal(symbol_of("cuLaunchKernel", 6050, OWN), "cuLaunchKernel");
    assert_string_equal(symbol_of("cuMemAlloc", 13000, OWN), "cuMemAlloc_v2");
}

static void an_unknown_name_and_one_too_young_are_told_apart(void **state)
{
    const struct cuda_row *row = NULL;

    assert_int_equal(api_cuda_find("cuNothing", 13000, 0, &row), -ENOENT);
    assert_int_equal(api_cuda_find("", 13000, 0, &row), -ENOENT);
    assert_int_equal(api_cuda_find("zz", 13000, 0, &row), -ENOENT);
    assert_int_equal(api_cuda_find("cuMemAlloc_v2", 13000, 0, &row), -ENOENT);
    assert_int_equal(api_cuda_find("cuMemcpy_ptds", 13000, 0, &row), -ENOENT);
    assert_int_equal(api_cuda_find("cuMemAllocAsync", 11010, 0, &row), -ERANGE);
    assert_int_equal(api_cuda_find("cuMemAlloc", 1000, 0, &row), -ERANGE);
    assert_int_equal(api_cuda_find("cuMemcpyAsync", 3020, OWN, &row), -ERANGE);
    assert_null(row);
    assert_int_equal(api_cuda_find("cuMemAllocAsync", 11020, 0, &row), 0);
}

static void rows_are_sorted_and_every_index_leads_to_its_row(void **state)
{
    assert_int_equal(api_cuda_rows_count, CUDA_SLOT_COUNT);
    assert_int_equal(api_nvml_rows_count, NVML_SLOT_COUNT);
    for (unsigned i = 0; i < CUDA_SLOT_COUNT; i++) {
        const struct cuda_row *row = &api_cuda_rows[i];

        assert_ptr_equal(api_cuda_symbol(row->symbol), row);
        assert_ptr_equal(api_cuda_slot(row->slot), row);
        assert_true(i == 0 || strcmp(row[-1].name, row->name) <= 0);
        assert_true(row->since >= 2000 && row->since <= 13000);
    }
    for (unsigned i = 0; i < NVML_SLOT_COUNT; i++) {
        assert_ptr_equal(api_nvml_symbol(api_nvml_rows[i].symbol), &api_nvml_rows[i]);
        assert_ptr_equal(api_nvml_slot(api_nvml_rows[i].slot), &api_nvml_rows[i]);
    }
    assert_null(api_cuda_symbol("cuNothing"));
    assert_null(api_cuda_slot(CUDA_SLOT_COUNT));
    assert_null(api_nvml_symbol("nvmlNothing"));
    assert_null(api_nvml_slot(NVML_SLOT_COUNT));
}

static void slot_i_of_a_table_is_its_pointer_i(void **state)
{
    assert_int_equal(offsetof(struct cuda_table, cuInit), CUDA_SLOT_cuInit * sizeof(void *));
    assert_int_equal(offsetof(struct cuda_table, cuMemAlloc_v2), CUDA_SLOT_cuMemAlloc_v2 * sizeof(void *));
    assert_int_equal(offsetof(struct cuda_table, cuLaunchKernel_ptsz),
                     CUDA_SLOT_cuLaunchKernel_ptsz * sizeof(void *));
    assert_int_equal(offsetof(struct cuda_table, cuVDPAUGetDevice),
                     CUDA_SLOT_cuVDPAUGetDevice * sizeof(void *));
    assert_int_equal(offsetof(struct nvml_table, nvmlErrorString),
                     NVML_SLOT_nvmlErrorString * sizeof(void *));
    assert_string_equal(api_cuda_slot(CUDA_SLOT_cuMemcpy_ptds)->symbol, "cuMemcpy_ptds");
    assert_string_equal(api_nvml_slot(NVML_SLOT_nvmlInit_v2)->name, "nvmlInit");
}

static void rows_carry_the_marks_of_the_description(void **state)
{
    const struct cuda_row *alloc = api_cuda_symbol("cuMemAlloc_v2");
    const struct cuda_row *launch = api_cuda_symbol("cuLaunchKernel_ptsz");
    const struct cuda_row *gl = api_cuda_symbol("cuGLMapBufferObject_v2_ptds");

    assert_int_equal(alloc->memory, API_MEMORY_ALLOC);
    assert_int_equal(alloc->sync, API_SYNC_SYNC);
    assert_true(alloc->typed && alloc->illegal_capture);
    assert_int_equal(launch->time, API_TIME_LAUNCH);
    assert_int_equal(launch->sync, API_SYNC_ONEWAY);
    assert_int_equal(launch->variant, API_PTSZ);
    assert_int_equal(launch->id, api_cuda_symbol("cuLaunchKernel")->id | 0x8000);
    assert_false(launch->illegal_capture);
    assert_false(gl->typed);
    assert_int_equal(gl->variant, API_PTDS);
    assert_int_equal(api_cuda_symbol("cuCtxGetCurrent")->sync, API_SYNC_LOCAL);
}

static void proc_address_answers_as_the_driver_does(void **state)
{
    void *entries[CUDA_SLOT_COUNT] = {[CUDA_SLOT_cuMemAlloc_v2] = &entries[1]};
    CUdriverProcAddressQueryResult status;
    void *function = NULL;

    assert_int_equal(api_cuda_proc_address(entries, "cuMemAlloc", &function, 13000, 0, &status),
                     CUDA_SUCCESS);
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SUCCESS);
    assert_ptr_equal(function, &entries[1]);
    /* A driver without the function: unknown to it. */
    assert_int_equal(api_cuda_proc_address(entries, "cuMemFree", &function, 13000, 0, &status), CUDA_SUCCESS);
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    assert_null(function);
    assert_int_equal(api_cuda_proc_address(entries, "cuMemAllocAsync", &function, 11000, 0, &status),
                     CUDA_SUCCESS);
    assert_int_equal(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    assert_int_equal(api_cuda_proc_address(entries, "cuNothing", &function, 13000, 0, NULL),
                     CUDA_ERROR_NOT_FOUND);
    assert_int_equal(api_cuda_proc_address(entries, NULL, &function, 13000, 0, NULL),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(api_cuda_proc_address(entries, "cuInit", NULL, 13000, 0, NULL),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(api_cuda_proc_address(entries, "cuInit", &function, 13000, LEGACY | OWN, NULL),
                     CUDA_ERROR_INVALID_VALUE);
    assert_int_equal(api_cuda_proc_address(entries, "cuInit", &function, 13000, 4, NULL),
                     CUDA_ERROR_INVALID_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_means_the_newest_function_that_existed_at_the_version),
        cmocka_unit_test(the_per_thread_flag_gives_the_per_thread_variant_where_there_is_one),
        cmocka_unit_test(an_unknown_name_and_one_too_young_are_told_apart),
        cmocka_unit_test(rows_are_sorted_and_every_index_leads_to_its_row),
        cmocka_unit_test(slot_i_of_a_table_is_its_pointer_i),
        cmocka_unit_test(rows_carry_the_marks_of_the_description),
        cmocka_unit_test(proc_address_answers_as_the_driver_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
