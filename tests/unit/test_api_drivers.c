/* Promises of the generated drivers and of the shim's trampolines. The two test drivers are loaded from the
 * paths in argv; the trampolines are linked into this program, which stands for the shim: their functions
 * lead to the recording driver. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/cuda_table.h"
#include "api/lookup.h"
#include "api/trampolines.h"
#include "nulldrv/recdrv.h"

static void *null_driver, *recording_driver;
static const struct recdrv_call *(*last)(void);
static int (*result_of)(uint32_t slot, uint64_t serial);
static unsigned resolved_count;

static void *symbol(void *library, const char *name)
{
    void *address = dlsym(library, name);

    assert_non_null(address);
    return address;
}

/* Spoils the registers that carry arguments, as a resolver that does real work would. */
void *shim_resolve(unsigned slot)
{
    char text[256];

    resolved_count++;
    snprintf(text, sizeof(text), "%g %g %g %g %s", 1.5 * slot, 2.5, 3.5, 4.5, api_cuda_slot(slot)->symbol);
    __atomic_store_n(&shim_cuda_table[slot], symbol(recording_driver, strrchr(text, ' ') + 1),
                     __ATOMIC_RELAXED);
    return shim_cuda_table[slot];
}

static void *resolver_of(unsigned slot)
{
    static void *first[CUDA_SLOT_COUNT];

    if (!first[0])
        memcpy(first, shim_cuda_table, sizeof(first));
    return first[slot];
}

static void the_null_driver_exports_every_name_and_does_nothing(void **state)
{
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        symbol(null_driver, api_cuda_slot(slot)->symbol);
    assert_int_equal(((__typeof__(cuInit) *)symbol(null_driver, "cuInit"))(0), CUDA_SUCCESS);
    assert_int_equal(((__typeof__(cuMemAlloc_v2) *)symbol(null_driver, "cuMemAlloc_v2"))(NULL, 1),
                     CUDA_SUCCESS);
}

static void the_null_driver_finds_its_functions_by_name_and_version(void **state)
{
    __typeof__(cuGetProcAddress_v2) *find = symbol(null_driver, "cuGetProcAddress_v2");
    __typeof__(cuGetProcAddress) *find_v1 = symbol(null_driver, "cuGetProcAddress");
    CUdriverProcAddressQueryResult status;
    void *function;

    assert_int_equal(find("cuMemAlloc", &function, 13000, 0, &status), CUDA_SUCCESS);
    assert_ptr_equal(function, symbol(null_driver, "cuMemAlloc_v2"));
    assert_int_equal(
        find("cuMemcpy", &function, 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status),
        CUDA_SUCCESS);
    assert_ptr_equal(function, symbol(null_driver, "cuMemcpy_ptds"));
    assert_int_equal(find_v1("cuNothing", &function, 13000, 0), CUDA_ERROR_NOT_FOUND);
}

static void the_recording_driver_keeps_every_argument(void **state)
{
    __typeof__(cuMemsetD2D32Async) *fill = symbol(recording_driver, "cuMemsetD2D32Async");
    uint64_t before = last()->serial;
    int result = fill(0x1111222233334444, 22, 33, 44, 55, (CUstream)66);
    const struct recdrv_call *call = last();

    assert_int_equal(call->slot, CUDA_SLOT_cuMemsetD2D32Async);
    assert_int_equal(call->serial, before + 1);
    assert_int_equal(result, call->result);
    assert_int_equal(result, result_of(CUDA_SLOT_cuMemsetD2D32Async, before + 1));
    assert_int_equal(call->gp[0], 0x1111222233334444);
    for (unsigned i = 1; i < 6; i++)
        assert_int_equal(call->gp[i], 11 * (i + 1));
}

static void the_recording_driver_answers_each_slot_in_its_own_way(void **state)
{
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++) {
        int result = ((cuda_opaque_fn *)symbol(recording_driver, api_cuda_slot(slot)->symbol))();

        assert_int_equal(last()->slot, slot);
        assert_int_equal(result, result_of(slot, last()->serial));
    }
}

/* Calls with more arguments than there are registers, and with a float; once through the resolver and once
 * past it. */
static void a_trampoline_passes_registers_and_stack_on_unchanged(void **state)
{
    const unsigned slot = CUDA_SLOT_cuTensorMapEncodeTiled;

    shim_cuda_table[slot] = resolver_of(slot);
    resolved_count = 0;
    for (int turn = 0; turn < 2; turn++) {
        CUresult result = cuTensorMapEncodeTiled(
            (CUtensorMap *)1, (CUtensorMapDataType)2, 3, (void *)4, (const cuuint64_t *)5,
            (const cuuint64_t *)6, (const cuuint32_t *)7, (const cuuint32_t *)8, (CUtensorMapInterleave)9,
            (CUtensorMapSwizzle)10, (CUtensorMapL2promotion)11, (CUtensorMapFloatOOBfill)12);
        const struct recdrv_call *call = last();
        const unsigned in_registers = call->gp[6] == 7 ? 8 : 6; /* arm64, x86-64 */

        assert_int_equal(call->slot, slot);
        assert_int_equal((int)result, call->result);
        for (unsigned i = 0; i < 12; i++)
            assert_int_equal((uint32_t)(i < in_registers ? call->gp[i] : call->stack[i - in_registers]),
                             i + 1);
        assert_int_equal(resolved_count, 1);
    }
}

static void a_trampoline_passes_floating_point_on_unchanged(void **state)
{
    for (int turn = 0; turn < 2; turn++) {
        float bias = 1.25F + (float)turn;
        uint32_t bits;

        cuTexRefSetMipmapLevelClamp((CUtexref)(uintptr_t)7, bias, -bias);
        assert_int_equal(last()->slot, CUDA_SLOT_cuTexRefSetMipmapLevelClamp);
        assert_int_equal(last()->gp[0], 7);
        memcpy(&bits, &bias, sizeof(bits));
        assert_int_equal((uint32_t)last()->fp[0][0], bits);
        assert_int_equal((uint32_t)last()->fp[1][0], bits | 0x80000000U);
    }
}

static void every_name_without_a_hook_has_a_trampoline_to_its_own_slot(void **state)
{
    void *self = dlopen(NULL, RTLD_NOW);
    unsigned passed_on = 0;

    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++) {
        cuda_opaque_fn *function = (cuda_opaque_fn *)dlsym(self, api_cuda_slot(slot)->symbol);

        assert_true(api_cuda_slot(slot)->hooked ? !function : !!function);
        if (!function)
            continue;
        function();
        assert_int_equal(last()->slot, slot);
        passed_on++;
    }
    assert_true(passed_on > 400);
    dlclose(self);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_null_driver_exports_every_name_and_does_nothing),
        cmocka_unit_test(the_null_driver_finds_its_functions_by_name_and_version),
        cmocka_unit_test(the_recording_driver_keeps_every_argument),
        cmocka_unit_test(the_recording_driver_answers_each_slot_in_its_own_way),
        cmocka_unit_test(a_trampoline_passes_registers_and_stack_on_unchanged),
        cmocka_unit_test(a_trampoline_passes_floating_point_on_unchanged),
        cmocka_unit_test(every_name_without_a_hook_has_a_trampoline_to_its_own_slot),
    };

    if (argc != 3)
        return 2;
    resolver_of(0);
    null_driver = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    recording_driver = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    if (!null_driver || !recording_driver) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    last = (const struct recdrv_call *(*)(void))dlsym(recording_driver, "recdrv_last");
    result_of = (int (*)(uint32_t, uint64_t))dlsym(recording_driver, "recdrv_result");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
