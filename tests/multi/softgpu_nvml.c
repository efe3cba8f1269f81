/* Promises of the software GPU's libnvidia-ml.so.1: it tells what softgpud accounts, of all processes, and
 * says so where there is nothing to tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>

#include "api/nvml_api.h"
#include "base/units.h"
#include "softgpu/device/client.h"
#include "softgpu_place.h"

static nvmlDevice_t device;

static void begin(const char *devices)
{
    place_begin(devices);
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_SUCCESS);
}

static void end(void)
{
    int lock_fd = place_lock_fd();

    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    place_remove();
    assert_true(place_wait_unserved(lock_fd, 5 * NS_PER_S));
    close(lock_fd);
}

/* A process that holds memory and endless work on device 0, until it is killed. */
static pid_t start_user(uint64_t bytes)
{
    int ends[2];
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sgdev_work work = {.duration_ns = 3600 * NS_PER_S, .sm_permille = 1000};
        uint64_t offset, ticket;
        struct sgdev *dev;

        if (sgdev_open(&dev) < 0 || sgdev_segment_alloc(dev, 0, bytes, &offset) < 0 ||
            sgdev_context_open(dev, 0, &work.context) < 0)
            _exit(1);
        work.ready_ns = sgdev_now_ns(dev, 0);
        if (sgdev_submit(dev, &work, &ticket) < 0 || write(ends[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void stop_user(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void nothing_works_outside_init_and_shutdown(void **state)
{
    unsigned count;
    char text[80];

    assert_int_equal(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
    assert_int_equal(nvmlDeviceGetPowerUsage(NULL, &count), NVML_ERROR_UNINITIALIZED);
    assert_int_equal(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
    begin("count=2");
    assert_int_equal(nvmlInit(), NVML_SUCCESS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetCount_v2(&count), NVML_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(nvmlSystemGetDriverVersion(text, sizeof(text)), NVML_SUCCESS);
    assert_non_null(strstr(text, "vgpu"));
    assert_int_equal(nvmlSystemGetDriverVersion(text, 5), NVML_ERROR_INSUFFICIENT_SIZE);
    end();
    assert_int_equal(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
}

static void an_unreadable_description_means_no_driver(void **state)
{
    place_begin("sms=many");
    setenv("VGPU_LOG", "none", 1);
    assert_int_equal(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
    unsetenv("VGPU_LOG");
    place_remove();
}

static void a_device_is_found_by_index_uuid_and_bus(void **state)
{
    nvmlDevice_t found;
    nvmlPciInfo_t pci;
    char uuid[NVML_DEVICE_UUID_BUFFER_SIZE], name[64];
    unsigned index;

    begin("name=A,uuid=01234567-89ab-cdef-0123-456789abcdef;name=B");
    assert_int_equal(nvmlDeviceGetHandleByUUID("GPU-01234567-89ab-cdef-0123-456789abcdef", &found),
                     NVML_SUCCESS);
    assert_ptr_equal(found, device);
    assert_int_equal(nvmlDeviceGetUUID(device, uuid, sizeof(uuid)), NVML_SUCCESS);
    assert_string_equal(uuid, "GPU-01234567-89ab-cdef-0123-456789abcdef");
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(1, &found), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetPciInfo_v3(found, &pci), NVML_SUCCESS);
    assert_string_equal(pci.busId, "00000000:02:00.0");
    assert_string_equal(pci.busIdLegacy, "0000:02:00.0");
    assert_int_equal(nvmlDeviceGetHandleByPciBusId_v2("0000:02:00.0", &found), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetIndex(found, &index), NVML_SUCCESS);
    assert_int_equal(index, 1);
    assert_int_equal(nvmlDeviceGetName(found, name, sizeof(name)), NVML_SUCCESS);
    assert_string_equal(name, "B");
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(2, &found), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlDeviceGetHandleByUUID("GPU-0", &found), NVML_ERROR_NOT_FOUND);
    assert_int_equal(nvmlDeviceGetIndex((nvmlDevice_t)((char *)device + 2), &index),
                     NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlDeviceGetIndex(NULL, &index), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlDeviceGetIndex(device, NULL), NVML_ERROR_INVALID_ARGUMENT);
    end();
}

static void an_old_caller_gets_no_more_than_its_struct_holds(void **state)
{
    nvmlPciInfo_t pci;

    begin("");
    memset(&pci, 0x5a, sizeof(pci));
    assert_int_equal(nvmlDeviceGetPciInfo(device, &pci), NVML_SUCCESS);
    assert_int_equal(pci.bus, 1);
    assert_int_equal(pci.pciSubSystemId, 0x5a5a5a5a);
    assert_int_equal(nvmlDeviceGetPciInfo_v2(device, &pci), NVML_SUCCESS);
    assert_int_equal(pci.pciSubSystemId, 0);
    assert_int_equal(pci.busId[0], 0x5a);
    end();
}

static void the_device_is_what_its_description_says(void **state)
{
    unsigned value, pending;
    int major, minor;
    nvmlComputeMode_t mode;

    begin("sms=4,cc=8.6,clock=1500MHz,memclock=800MHz,bus=384");
    assert_int_equal(nvmlDeviceGetCudaComputeCapability(device, &major, &minor), NVML_SUCCESS);
    assert_int_equal(major * 10 + minor, 86);
    assert_int_equal(nvmlDeviceGetNumGpuCores(device, &value), NVML_SUCCESS);
    assert_int_equal(value, 4 * 128);
    assert_int_equal(nvmlDeviceGetArchitecture(device, &value), NVML_SUCCESS);
    assert_int_equal(value, NVML_DEVICE_ARCH_AMPERE);
    assert_int_equal(nvmlDeviceGetClockInfo(device, NVML_CLOCK_SM, &value), NVML_SUCCESS);
    assert_int_equal(value, 1500);
    assert_int_equal(nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_MEM, &value), NVML_SUCCESS);
    assert_int_equal(value, 800);
    assert_int_equal(nvmlDeviceGetMemoryBusWidth(device, &value), NVML_SUCCESS);
    assert_int_equal(value, 384);
    assert_int_equal(nvmlDeviceGetComputeMode(device, &mode), NVML_SUCCESS);
    assert_int_equal(mode, NVML_COMPUTEMODE_DEFAULT);
    assert_int_equal(nvmlDeviceGetMigMode(device, &value, &pending), NVML_SUCCESS);
    assert_int_equal(value + pending, 0);
    end();
}

static void what_is_not_modelled_is_not_supported(void **state)
{
    unsigned value;
    nvmlEnableState_t a, b;
    nvmlFieldValue_t field = {.fieldId = 1};

    begin("");
    assert_int_equal(nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &value),
                     NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetPowerUsage(device, &value), NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetFanSpeed(device, &value), NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetEccMode(device, &a, &b), NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetCurrPcieLinkWidth(device, &value), NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetClockInfo(device, NVML_CLOCK_VIDEO, &value), NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetFieldValues(device, 1, &field), NVML_SUCCESS);
    assert_int_equal(field.nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
    assert_string_equal(nvmlErrorString(NVML_ERROR_NOT_SUPPORTED), "Not Supported");
    end();
}

static void memory_and_processes_are_those_of_all_processes(void **state)
{
    nvmlMemory_t memory;
    nvmlMemory_v2_t memory_v2 = {.version = nvmlMemory_v2};
    nvmlProcessInfo_t rows[4];
    nvmlProcessInfo_v1_t old_rows[4];
    unsigned count = 0;
    pid_t pids[2];

    begin("memory=1G,context=10M");
    pids[0] = start_user(100 * MIB);
    pids[1] = start_user(200 * MIB);
    assert_int_equal(nvmlDeviceGetMemoryInfo(device, &memory), NVML_SUCCESS);
    assert_int_equal(memory.total, GIB);
    assert_int_equal(memory.used, 320 * MIB);
    assert_int_equal(memory.free, GIB - 320 * MIB);
    assert_int_equal(nvmlDeviceGetMemoryInfo_v2(device, &memory_v2), NVML_SUCCESS);
    assert_int_equal(memory_v2.used, 320 * MIB);
    memory_v2.version = 7;
    assert_int_equal(nvmlDeviceGetMemoryInfo_v2(device, &memory_v2), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);

    assert_int_equal(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, NULL),
                     NVML_ERROR_INSUFFICIENT_SIZE);
    assert_int_equal(count, 2);
    count = 4;
    assert_int_equal(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, rows), NVML_SUCCESS);
    assert_int_equal(count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rows[i].pid, pids[i]);
        assert_int_equal(rows[i].usedGpuMemory, (i ? 210 : 110) * MIB);
        assert_int_equal(rows[i].gpuInstanceId, 0xffffffffu);
    }
    count = 4;
    assert_int_equal(nvmlDeviceGetComputeRunningProcesses(device, &count, old_rows), NVML_SUCCESS);
    assert_int_equal(old_rows[1].pid, pids[1]);
    assert_int_equal(old_rows[1].usedGpuMemory, 210 * MIB);

    stop_user(pids[0]);
    for (uint64_t until_ns = clock_monotonic_ns() + NS_PER_S; count != 1;) {
        count = 4;
        assert_int_equal(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, rows), NVML_SUCCESS);
        assert_true(clock_monotonic_ns() < until_ns);
    }
    assert_int_equal(rows[0].pid, pids[1]);
    stop_user(pids[1]);
    end();
}

static void utilisation_is_the_busy_part_of_the_last_second(void **state)
{
    nvmlUtilization_t use;
    nvmlProcessUtilizationSample_t rows[4];
    nvmlSample_t samples[200];
    nvmlValueType_t type;
    unsigned count = 4;
    pid_t pids[2];

    begin("");
    assert_int_equal(nvmlDeviceGetUtilizationRates(device, &use), NVML_SUCCESS);
    assert_int_equal(use.gpu, 0);
    assert_int_equal(nvmlDeviceGetProcessUtilization(device, rows, &count, 0), NVML_ERROR_NOT_FOUND);
    for (unsigned i = 0; i < 2; i++)
        pids[i] = start_user(2 * MIB);
    clock_sleep_until_ns(clock_monotonic_ns() + 1200 * NS_PER_MS);
    assert_int_equal(nvmlDeviceGetUtilizationRates(device, &use), NVML_SUCCESS);
    assert_int_equal(use.gpu, 100);
    assert_int_equal(use.memory, 0);
    count = 0;
    assert_int_equal(nvmlDeviceGetProcessUtilization(device, NULL, &count, 0), NVML_ERROR_INSUFFICIENT_SIZE);
    assert_int_equal(count, 2);
    assert_int_equal(nvmlDeviceGetProcessUtilization(device, rows, &count, 0), NVML_SUCCESS);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rows[i].pid, pids[i]);
        assert_in_range(rows[i].smUtil, 49, 51);
    }
    assert_int_equal(
        nvmlDeviceGetProcessUtilization(device, rows, &count, rows[0].timeStamp + 3600 * UINT64_C(1000000)),
        NVML_ERROR_NOT_FOUND);
    count = 200;
    assert_int_equal(nvmlDeviceGetSamples(device, NVML_GPU_UTILIZATION_SAMPLES, 0, &type, &count, samples),
                     NVML_SUCCESS);
    assert_int_equal(type, NVML_VALUE_TYPE_UNSIGNED_INT);
    assert_true(count >= 100);
    assert_int_equal(samples[count - 1].sampleValue.uiVal, 100);
    for (unsigned i = 1; i < count; i++)
        assert_true(samples[i].timeStamp > samples[i - 1].timeStamp);
    for (unsigned i = 0; i < 2; i++)
        stop_user(pids[i]);
    end();
}

static void a_forked_child_can_go_on_asking(void **state)
{
    pid_t pid;
    int status;

    begin("memory=1G");
    pid = fork();
    if (pid == 0) {
        nvmlUtilization_t use;
        nvmlMemory_t memory;

        _exit(nvmlDeviceGetMemoryInfo(device, &memory) != NVML_SUCCESS || memory.total != GIB ||
              nvmlDeviceGetUtilizationRates(device, &use) != NVML_SUCCESS);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    end();
}

/* softgpu-smi, a program that finds the library as nvidia-smi would. */
static void the_table_shows_devices_and_processes(void **state)
{
    char line[512], pid_text[32];
    bool has_device = false, has_process = false;
    FILE *smi;
    pid_t pid;

    begin("name=Table Device,memory=1G,context=10M");
    pid = start_user(54 * MIB);
    snprintf(pid_text, sizeof(pid_text), " %d ", (int)pid);
    smi = popen(getenv("SOFTGPU_SMI"), "r");
    assert_non_null(smi);
    while (fgets(line, sizeof(line), smi)) {
        has_device |= strstr(line, "Table Device") && strstr(line, "64MiB /   1024MiB");
        has_process |= strstr(line, pid_text) && strstr(line, "64MiB") && strstr(line, "softgpu_nvml");
    }
    assert_int_equal(pclose(smi), 0);
    assert_true(has_device);
    assert_true(has_process);
    stop_user(pid);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_works_outside_init_and_shutdown),
        cmocka_unit_test(an_unreadable_description_means_no_driver),
        cmocka_unit_test(a_device_is_found_by_index_uuid_and_bus),
        cmocka_unit_test(an_old_caller_gets_no_more_than_its_struct_holds),
        cmocka_unit_test(the_device_is_what_its_description_says),
        cmocka_unit_test(what_is_not_modelled_is_not_supported),
        cmocka_unit_test(memory_and_processes_are_those_of_all_processes),
        cmocka_unit_test(utilisation_is_the_busy_part_of_the_last_second),
        cmocka_unit_test(a_forked_child_can_go_on_asking),
        cmocka_unit_test(the_table_shows_devices_and_processes),
    };

    return cmocka_run_group_tests_name("softgpu_nvml", tests, NULL, NULL);
}
