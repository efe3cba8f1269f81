/* Memory of other processes under a limit: CUipcMemHandles and external memory. What the instance exported it
 * pays once, as long as one of its processes holds it; what comes from outside is charged to whoever opens
 * it. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "shim_fixture.h"

#define CHECK_CHARGED(stage, mib)                                                                            \
    do {                                                                                                     \
        CHECK_EQUAL(stage_ledger_bytes(stage, 0), (100 + (mib)) * MIB);                                      \
        CHECK_EXACT(stage);                                                                                  \
    } while (0)

static CUdeviceptr alloc(struct stage *s, uint64_t bytes)
{
    CUdeviceptr address;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&address, bytes), CUDA_SUCCESS);
    return address;
}

static CUipcMemHandle export(struct stage *s, CUdeviceptr address)
{
    CUipcMemHandle handle;

    CHECK_EQUAL(s->cuda.cuIpcGetMemHandle(&handle, address), CUDA_SUCCESS);
    return handle;
}

static CUdeviceptr open_handle(struct stage *s, CUipcMemHandle handle)
{
    CUdeviceptr address;

    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle_v2(&address, handle, 1), CUDA_SUCCESS);
    return address;
}

/* Runs body in a process of its own, which shares nothing with this one but the ledger. It answers when it
 * has done its first part, and ends when it is let. */
struct other {
    pid_t pid;
    int done, go;
};

static struct other other_start(void (*body)(struct stage *s, const CUipcMemHandle *handle), struct stage *s,
                                const CUipcMemHandle *handle)
{
    int done[2], go[2];
    struct other other;
    char byte;

    CHECK(pipe(done) == 0 && pipe(go) == 0);
    other.pid = fork();
    if (other.pid == 0) {
        body(s, handle);
        CHECK_EQUAL(write(done[1], "d", 1), 1);
        CHECK_EQUAL(read(go[0], &byte, 1), 1);
        _exit(0);
    }
    close(done[1]);
    CHECK_EQUAL(read(done[0], &byte, 1), 1);
    other.done = done[0];
    other.go = go[1];
    return other;
}

static void other_end(struct stage *s, const struct other *other, uint32_t slot)
{
    int status;

    CHECK_EQUAL(write(other->go, "g", 1), 1);
    CHECK_EQUAL(waitpid(other->pid, &status, 0), other->pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQUAL(ledger_slot_reap(&s->areas, slot, NULL), 0);
}

static void open_it(struct stage *s, const CUipcMemHandle *handle)
{
    uint64_t before = stage_ledger_bytes(s, 0);

    open_handle(s, *handle);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), before);
}

static void open_and_close_it(struct stage *s, const CUipcMemHandle *handle)
{
    CUdeviceptr a = open_handle(s, *handle), b = open_handle(s, *handle);

    CHECK_EQUAL(a, b);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_ERROR_INVALID_VALUE);
}

TEST(what_another_process_has_open_stays_charged)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a = alloc(s, 64 * MIB);
    CUipcMemHandle handle = export(s, a);
    struct other other;

    CHECK_CHARGED(s, 64);
    other = other_start(open_it, s, &handle);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 64 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    other_end(s, &other, 1);
    CHECK_CHARGED(s, 0);
    alloc(s, 100 * MIB);
    CHECK_CHARGED(s, 100);
}

TEST(what_another_process_closed_goes_with_its_free)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a = alloc(s, 64 * MIB);
    CUipcMemHandle handle = export(s, a);
    struct other other = other_start(open_and_close_it, s, &handle);

    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    other_end(s, &other, 1);
    CHECK_CHARGED(s, 0);
}

TEST(an_export_is_charged_once_however_often_it_is_made)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a = alloc(s, 64 * MIB), small = alloc(s, 1000);

    for (int i = 0; i < 5; i++) {
        export(s, a);
        export(s, a + MIB);
        export(s, small);
    }
    CHECK_CHARGED(s, 66);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(small), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

/* Small allocations lie together: exporting one gives the others away too. */
TEST(small_exports_are_charged_by_the_granule)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a = alloc(s, 300 * KIB), b = alloc(s, 300 * KIB);
    CUipcMemHandle handle_a = export(s, a), handle_b = export(s, b);
    struct other other;

    CHECK_CHARGED(s, 2);
    other = other_start(open_it, s, &handle_b);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(b), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 102 * MIB);
    other_end(s, &other, 1);
    CHECK_CHARGED(s, 0);
    /* What comes into the same place anew is its own. */
    a = alloc(s, 300 * KIB);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    (void)handle_a;
}

TEST(a_block_that_joins_an_exported_granule_does_not_bring_another)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a = alloc(s, 300 * KIB), b;

    export(s, a);
    b = alloc(s, 300 * KIB);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 2);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(a_handle_from_outside_the_instance_is_charged_while_it_is_open)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUipcMemHandle handle;
    CUdeviceptr a, b;

    s->fake->foreign_ipc(0, 64 * MIB, &handle);
    a = open_handle(s, handle);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle(&b, handle, 1), CUDA_SUCCESS);
    CHECK_EQUAL(a, b);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_ERROR_INVALID_VALUE);
    CHECK_CHARGED(s, 0);
}

TEST(a_handle_over_the_limit_is_closed_again)
{
    struct stage *s = stage_open_context(150 * MIB);
    CUipcMemHandle handle;
    CUdeviceptr a;

    s->fake->foreign_ipc(0, 64 * MIB, &handle);
    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle_v2(&a, handle, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_CHARGED(s, 0);
    ledger_limit_set(&s->areas, 0, 200 * MIB);
    open_handle(s, handle);
    CHECK_CHARGED(s, 64);
}

TEST(what_is_open_goes_with_its_context)
{
    struct stage *s = stage_open_context(400 * MIB);
    CUipcMemHandle handle;
    CUcontext first, second;

    s->fake->foreign_ipc(0, 64 * MIB, &handle);
    CHECK_EQUAL(s->cuda.cuCtxGetCurrent(&first), CUDA_SUCCESS);
    open_handle(s, handle);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&second, 0, 0), CUDA_SUCCESS);
    CHECK_CHARGED(s, 164);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(second), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(first), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
    CHECK_EXACT(s);
}

TEST(the_drivers_own_errors_pass_unchanged_and_cost_nothing)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a = alloc(s, 16 * MIB), b;
    CUipcMemHandle handle, nonsense = {{0}};

    CHECK_EQUAL(s->cuda.cuIpcGetMemHandle(NULL, a), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuIpcGetMemHandle(&handle, 12345), CUDA_ERROR_INVALID_VALUE);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuIpcGetMemHandle(&handle, a), CUDA_ERROR_ILLEGAL_ADDRESS);
    handle = export(s, a);
    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle_v2(NULL, handle, 1), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle_v2(&b, nonsense, 1), CUDA_ERROR_INVALID_VALUE);
    s->fake->fail_next = CUDA_ERROR_INVALID_CONTEXT;
    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle_v2(&b, handle, 1), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(0), CUDA_ERROR_INVALID_VALUE);
    CHECK_CHARGED(s, 16);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(without_a_limit_handles_pass)
{
    struct stage *s = stage_open_unlimited();
    CUipcMemHandle handle;
    CUcontext context;
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    a = alloc(s, 64 * MIB);
    handle = export(s, a);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(open_handle(s, handle)), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuIpcGetMemHandle(NULL, a), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_device_bytes(s, 0), 100 * MIB);
}

/* ---- external memory ---- */

static CUDA_EXTERNAL_MEMORY_HANDLE_DESC external(int fd, uint64_t bytes)
{
    return (CUDA_EXTERNAL_MEMORY_HANDLE_DESC){
        .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .handle.fd = fd, .size = bytes};
}

static CUexternalMemory import(struct stage *s, int fd)
{
    const CUDA_EXTERNAL_MEMORY_HANDLE_DESC description = external(fd, 64 * MIB);
    CUexternalMemory memory;

    CHECK_EQUAL(s->cuda.cuImportExternalMemory(&memory, &description), CUDA_SUCCESS);
    return memory;
}

static const CUDA_EXTERNAL_MEMORY_BUFFER_DESC half = {.size = 32 << 20};

TEST(external_memory_is_charged_until_import_and_mappings_are_gone)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUexternalMemory memory = import(s, s->fake->foreign_file(0, 64 * MIB, 0));
    const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC shape = {.numLevels = 1};
    CUmipmappedArray array;
    CUdeviceptr a, b;

    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&a, memory, &half), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&b, memory, &half), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedMipmappedArray(&array, memory, &shape), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(b), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMipmappedArrayDestroy(array), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_ERROR_INVALID_HANDLE);
}

TEST(a_mapped_buffer_that_is_freed_leaves_the_import)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUexternalMemory memory = import(s, s->fake->foreign_file(0, 64 * MIB, 0));
    CUdeviceptr a;

    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&a, memory, &half), CUDA_SUCCESS);
        CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
        CHECK_CHARGED(s, 64);
    }
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(mapped_buffers_go_with_their_context)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUexternalMemory memory = import(s, s->fake->foreign_file(0, 64 * MIB, 0));
    CUcontext context;
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&a, memory, &half), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxGetCurrent(&context), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
    CHECK_EXACT(s);
}

TEST(external_memory_over_the_limit_is_refused)
{
    struct stage *s = stage_open_context(150 * MIB);
    const CUDA_EXTERNAL_MEMORY_HANDLE_DESC description =
        external(s->fake->foreign_file(0, 64 * MIB, 0), 64 * MIB);
    CUexternalMemory memory;

    s->fake->last_call = "none";
    CHECK_EQUAL(s->cuda.cuImportExternalMemory(&memory, &description), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(strcmp(s->fake->last_call, "none"), 0);
    CHECK_CHARGED(s, 0);
}

TEST(external_memory_that_this_instance_exported_is_not_charged_again)
{
    struct stage *s = stage_open_context(200 * MIB);
    const CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                            .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    CUmemGenericAllocationHandle handle;
    CUexternalMemory memory;
    CUdeviceptr a;
    int fd;

    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, 64 * MIB, &properties, 0), CUDA_SUCCESS);
    CHECK_EQUAL(
        s->cuda.cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
        CUDA_SUCCESS);
    memory = import(s, fd);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&a, memory, &half), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemRelease(handle), CUDA_SUCCESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

TEST(errors_about_external_memory_pass_unchanged_and_cost_nothing)
{
    struct stage *s = stage_open_context(200 * MIB);
    int fd = s->fake->foreign_file(0, 64 * MIB, 0);
    const CUDA_EXTERNAL_MEMORY_HANDLE_DESC good = external(fd, 64 * MIB), bad = external(-1, 64 * MIB);
    CUexternalMemory memory;
    CUcontext context;
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuImportExternalMemory(NULL, &good), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuImportExternalMemory(&memory, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuImportExternalMemory(&memory, &bad), CUDA_ERROR_INVALID_HANDLE);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(NULL), CUDA_ERROR_INVALID_HANDLE);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&a, NULL, &half), CUDA_ERROR_INVALID_VALUE);
    CHECK_CHARGED(s, 0);
    memory = import(s, fd);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(NULL, memory, &half), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedBuffer(&a, memory, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(s->cuda.cuExternalMemoryGetMappedMipmappedArray(NULL, memory, NULL),
                CUDA_ERROR_INVALID_VALUE);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_CHARGED(s, 64);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
    CHECK_EQUAL(s->cuda.cuCtxPopCurrent_v2(&context), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuImportExternalMemory(&memory, &good), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_CHARGED(s, 0);
}

TEST(a_forked_child_holds_no_import)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUexternalMemory memory = import(s, s->fake->foreign_file(0, 64 * MIB, 0));
    CUipcMemHandle handle;
    CUdeviceptr a;
    int status;
    pid_t pid;

    s->fake->foreign_ipc(0, 16 * MIB, &handle);
    a = open_handle(s, handle);
    CHECK_CHARGED(s, 80);
    pid = fork();
    if (pid == 0) {
        CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
        CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_SUCCESS);
        CHECK_EQUAL(stage_ledger_bytes(s, 0), 180 * MIB);
        _exit(0);
    }
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQUAL(s->cuda.cuDestroyExternalMemory(memory), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuIpcCloseMemHandle(a), CUDA_SUCCESS);
    CHECK_CHARGED(s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_process_has_open_stays_charged),
        cmocka_unit_test(what_another_process_closed_goes_with_its_free),
        cmocka_unit_test(an_export_is_charged_once_however_often_it_is_made),
        cmocka_unit_test(small_exports_are_charged_by_the_granule),
        cmocka_unit_test(a_block_that_joins_an_exported_granule_does_not_bring_another),
        cmocka_unit_test(a_handle_from_outside_the_instance_is_charged_while_it_is_open),
        cmocka_unit_test(a_handle_over_the_limit_is_closed_again),
        cmocka_unit_test(what_is_open_goes_with_its_context),
        cmocka_unit_test(the_drivers_own_errors_pass_unchanged_and_cost_nothing),
        cmocka_unit_test(without_a_limit_handles_pass),
        cmocka_unit_test(external_memory_is_charged_until_import_and_mappings_are_gone),
        cmocka_unit_test(a_mapped_buffer_that_is_freed_leaves_the_import),
        cmocka_unit_test(mapped_buffers_go_with_their_context),
        cmocka_unit_test(external_memory_over_the_limit_is_refused),
        cmocka_unit_test(external_memory_that_this_instance_exported_is_not_charged_again),
        cmocka_unit_test(errors_about_external_memory_pass_unchanged_and_cost_nothing),
        cmocka_unit_test(a_forked_child_holds_no_import),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
