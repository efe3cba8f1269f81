/* How a process comes under its limit, or does not: no instance, an instance, a daemon that says no; what
 * cuGetProcAddress answers; what a fork does; doors that are refused; what NVML shows. */
#include "shim_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <sys/wait.h>

TEST(without_an_instance_everything_is_the_drivers)
{
    struct stage *s = stage_open_unlimited();
    CUmemGenericAllocationHandle handle;
    size_t free_bytes, total_bytes;
    CUcontext context;
    CUdeviceptr a;
    void *function;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 1), CUDA_ERROR_NOT_INITIALIZED);
    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 15 * GIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemGetInfo_v2(&free_bytes, &total_bytes), CUDA_SUCCESS);
    CHECK_EQUAL(total_bytes, 16 * GIB);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, 1, NULL, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_EQUAL(strcmp(s->fake->last_call, "cuMemCreate"), 0);
    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuMemAlloc", &function, 13000, 0, NULL), CUDA_SUCCESS);
    CHECK(function != (void *)s->cuda.cuMemAlloc_v2);
}

TEST(what_is_not_hooked_reaches_the_driver_with_all_its_arguments)
{
    struct stage *s = stage_open_context(1 * GIB);

    CHECK_EQUAL(s->cuda.cuLaunchKernel(NULL, 1, 0, 0, 0, 0, 2, 4, NULL, NULL, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(strcmp(s->fake->last_call, "cuLaunchKernel"), 0);
    CHECK_EQUAL(s->cuda.cuOccupancyMaxActiveBlocksPerMultiprocessor(NULL, NULL, 0, 0),
                CUDA_ERROR_NOT_SUPPORTED);
}

static unsigned descriptors_open(void)
{
    DIR *fds = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(fds))
        n++;
    closedir(fds);
    return n;
}

TEST(attaching_leaves_no_descriptor_behind)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    unsigned before = descriptors_open();

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    usleep(20000); /* vgpud's end of the socket is in this process too */
    CHECK_EQUAL(descriptors_open(), before);
    CHECK_EQUAL(s->slots_given, 1);
    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->slots_given, 1);
}

TEST(a_daemon_that_says_no_lets_nothing_run)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    CUcontext context;
    CUdeviceptr a;

    s->attach_error = -EAGAIN;
    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_ERROR_SYSTEM_NOT_READY);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_SYSTEM_NOT_READY);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 1), CUDA_ERROR_SYSTEM_NOT_READY);
    CHECK_EQUAL(stage_device_bytes(s, 0), 0);
}

TEST(an_unreachable_daemon_lets_nothing_run)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);

    setenv("VGPU_SOCKET", "/nonexistent/vgpud.sock", 1);
    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_ERROR_SYSTEM_NOT_READY);
}

TEST(a_missing_driver_is_said_so)
{
    struct stage *s = stage_open_unlimited();

    setenv("VGPU_DRIVER_DIR", "/nonexistent", 1);
    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_ERROR_SHARED_OBJECT_INIT_FAILED);
    CHECK_EQUAL(s->cuda.cuLaunchKernel(NULL, 1, 0, 0, 0, 0, 2, 4, NULL, NULL, NULL),
                CUDA_ERROR_SHARED_OBJECT_INIT_FAILED);
}

TEST(our_own_library_is_never_taken_for_the_driver)
{
    struct stage *s = stage_open_unlimited();
    char shim_dir[] = SHIM_CUDA;

    *strrchr(shim_dir, '/') = '\0';
    setenv("VGPU_DRIVER_DIR", shim_dir, 1);
    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_ERROR_SHARED_OBJECT_INIT_FAILED);
}

TEST(proc_address_gives_our_variant_of_just_the_version_asked_for)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    void *function;

    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuMemAlloc", &function, 13000, 0, NULL), CUDA_SUCCESS);
    CHECK(function == (void *)s->cuda.cuMemAlloc_v2);
    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuMemAlloc", &function, 2000, 0, NULL), CUDA_SUCCESS);
    CHECK(function == (void *)s->cuda.cuMemAlloc);
    CHECK_EQUAL(s->cuda.cuGetProcAddress("cuMemAllocAsync", &function, 12000,
                                         CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM),
                CUDA_SUCCESS);
    CHECK(function == (void *)s->cuda.cuMemAllocAsync_ptsz);
    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuMemAllocAsync", &function, 12000,
                                            CU_GET_PROC_ADDRESS_LEGACY_STREAM, NULL),
                CUDA_SUCCESS);
    CHECK(function == (void *)s->cuda.cuMemAllocAsync);
    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuGetProcAddress", &function, 12000, 0, NULL), CUDA_SUCCESS);
    CHECK(function == (void *)s->cuda.cuGetProcAddress_v2);
    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuMemAlloc", &function, 1000, 0, NULL), CUDA_ERROR_NOT_FOUND);
}

TEST(proc_address_gives_the_drivers_own_where_nothing_is_hooked)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    void *function;

    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuDriverGetVersion", &function, 13000, 0, NULL), CUDA_SUCCESS);
    CHECK(function && function != (void *)s->cuda.cuDriverGetVersion);
}

TEST(an_allocating_function_newer_than_we_know_is_refused)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    void *function;

    CHECK_EQUAL(s->cuda.cuGetProcAddress_v2("cuMemAllocNew", &function, 14000, 0, NULL),
                CUDA_ERROR_NOT_FOUND);
    CHECK(!function);
}

TEST(doors_that_are_not_counted_are_refused)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUmemoryPool pool;

    s->fake->last_call = "none";
    CHECK_EQUAL(s->cuda.cuMemPoolImportFromShareableHandle(&pool, NULL, 1, 0), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(s->cuda.cuGLCtxCreate_v2(), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_EQUAL(strcmp(s->fake->last_call, "none"), 0);
}

TEST(a_forked_child_gets_a_slot_of_its_own)
{
    struct stage *s = stage_open_context(1 * GIB);
    CUdeviceptr a;
    int status;
    pid_t pid;

    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 100 * MIB), CUDA_SUCCESS);
    pid = fork();
    if (pid == 0) {
        /* The fake driver works on in a child, so what the parent had can be freed there: that gives back
         * nothing of the parent's. */
        CUdeviceptr b;

        if (s->cuda.cuMemFree_v2(a) != CUDA_SUCCESS || s->cuda.cuMemAlloc_v2(&b, 30 * MIB) != CUDA_SUCCESS)
            _exit(1);
        _exit(0);
    }
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQUAL(s->slots_given, 2);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 230 * MIB);
    ledger_slot_reap(&s->areas, 1, NULL);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 200 * MIB);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
}

TEST(nvml_shows_the_slice_and_the_instances_processes)
{
    struct stage *s = stage_open_context(1 * GIB);
    nvmlProcessInfo_t rows[8];
    nvmlMemory_t memory;
    nvmlDevice_t device;
    unsigned int n = 8;

    CHECK_EQUAL(s->nvml.nvmlInit_v2(), NVML_SUCCESS);
    CHECK_EQUAL(s->nvml.nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
    CHECK_EQUAL(s->nvml.nvmlDeviceGetMemoryInfo(device, &memory), NVML_SUCCESS);
    CHECK_EQUAL(memory.total, 1 * GIB);
    CHECK_EQUAL(memory.used, 100 * MIB);
    CHECK_EQUAL(memory.free, 924 * MIB);
    CHECK_EQUAL(s->nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, rows), NVML_SUCCESS);
    CHECK_EQUAL(n, 1);
    CHECK_EQUAL(rows[0].pid, getpid());
    CHECK_EQUAL(s->slots_given, 1);
}

TEST(nvml_without_an_instance_is_the_drivers)
{
    struct stage *s = stage_open_unlimited();
    nvmlProcessInfo_t rows[8];
    nvmlMemory_t memory;
    nvmlDevice_t device;
    unsigned int n = 8;

    CHECK_EQUAL(s->nvml.nvmlDeviceGetHandleByIndex_v2(1, &device), NVML_SUCCESS);
    CHECK_EQUAL(s->nvml.nvmlDeviceGetMemoryInfo(device, &memory), NVML_SUCCESS);
    CHECK_EQUAL(memory.total, 8 * GIB);
    CHECK_EQUAL(s->nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, &n, rows), NVML_SUCCESS);
    CHECK_EQUAL(rows[0].pid, 1);
}

TEST(nvml_of_an_unreachable_instance_shows_no_memory)
{
    struct stage *s = stage_open(1 * GIB, 1 * GIB);
    nvmlMemory_t memory;
    nvmlDevice_t device;

    s->attach_error = -ENOENT;
    CHECK_EQUAL(s->nvml.nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
    CHECK_EQUAL(s->nvml.nvmlDeviceGetMemoryInfo(device, &memory), NVML_ERROR_NO_PERMISSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_instance_everything_is_the_drivers),
        cmocka_unit_test(what_is_not_hooked_reaches_the_driver_with_all_its_arguments),
        cmocka_unit_test(attaching_leaves_no_descriptor_behind),
        cmocka_unit_test(a_daemon_that_says_no_lets_nothing_run),
        cmocka_unit_test(an_unreachable_daemon_lets_nothing_run),
        cmocka_unit_test(a_missing_driver_is_said_so),
        cmocka_unit_test(our_own_library_is_never_taken_for_the_driver),
        cmocka_unit_test(proc_address_gives_our_variant_of_just_the_version_asked_for),
        cmocka_unit_test(proc_address_gives_the_drivers_own_where_nothing_is_hooked),
        cmocka_unit_test(an_allocating_function_newer_than_we_know_is_refused),
        cmocka_unit_test(doors_that_are_not_counted_are_refused),
        cmocka_unit_test(a_forked_child_gets_a_slot_of_its_own),
        cmocka_unit_test(nvml_shows_the_slice_and_the_instances_processes),
        cmocka_unit_test(nvml_without_an_instance_is_the_drivers),
        cmocka_unit_test(nvml_of_an_unreachable_instance_shows_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
