/* Asking a driver's management library, in a process of its own; see probe.h. Here alone vgpud's program
 * loads a driver. */
#include "daemon/probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/paths.h"
#include "driver/driver.h"

/* The NVIDIA driver: where VGPU_DRIVER_DIR says, or where the machine has it. */
static int nvidia_dir(char *buf, size_t buf_bytes, struct error *err)
{
    const char *given = paths_env("VGPU_DRIVER_DIR");
    int r = 0;

    if (given)
        r = (size_t)snprintf(buf, buf_bytes, "%s", given) < buf_bytes ? access(given, F_OK) : -ENAMETOOLONG;
    else
        r = driver_find(buf, buf_bytes);
    if (r == 0)
        return 0;
    buf[0] = '\0';
    return given ? error_fail(err, -ENOENT, "there is no NVIDIA driver at VGPU_DRIVER_DIR (%.200s)", given)
                 : error_fail(err, -ENOENT, "no NVIDIA driver was found on this machine");
}

static int software_dir(char *buf, size_t buf_bytes, struct error *err)
{
    const char *given = paths_env("VGPU_SOFTGPU_LIBDIR");
    char own[PATH_MAX];
    int n;

    if (given) {
        n = snprintf(buf, buf_bytes, "%s", given);
    } else {
        int r = paths_program_dir(own, sizeof(own));

        if (r < 0)
            return error_fail(err, r, "vgpud cannot tell where it is installed: %s", strerror(-r));
        n = snprintf(buf, buf_bytes, "%s/" VGPU_SOFTGPU_FROM_BIN, own);
    }
    return (size_t)n < buf_bytes ? 0 : error_fail(err, -ENAMETOOLONG, "the install tree's path is too long");
}

static int fail_open(const char *dir, int code, struct error *err)
{
    const char *problem;

    switch (code) {
    case -ENOENT:
        return error_fail(err, code, "there is no libnvidia-ml.so.1 in %s", dir);
    case -ELOOP:
        return error_fail(err, code, "the libnvidia-ml.so.1 in %s is vgpu's own, not a driver's", dir);
    default:
        problem = dlerror();
        return error_fail(err, code, "the libnvidia-ml.so.1 in %s cannot be loaded: %s", dir,
                          problem ? problem : strerror(-code));
    }
}

/* A driver too old or too strange for an inventory. */
static int check_functions(const struct nvml_table *nvml, struct error *err)
{
    if (nvml->nvmlInit_v2 && nvml->nvmlDeviceGetCount_v2 && nvml->nvmlDeviceGetHandleByIndex_v2 &&
        nvml->nvmlDeviceGetUUID && nvml->nvmlDeviceGetMemoryInfo)
        return 0;
    return error_fail(err, -ENOSYS, "its libnvidia-ml.so.1 lacks functions that vgpu needs; it is too old");
}

/* Memory that programs can have: without what the driver keeps for itself, where it tells. */
static nvmlReturn_t read_memory(const struct nvml_table *nvml, nvmlDevice_t device,
                                uint64_t *ret_capacity_bytes, uint64_t *ret_used_bytes)
{
    nvmlMemory_v2_t memory = {.version = NVML_STRUCT_VERSION(Memory, 2)};
    nvmlMemory_t older = {0};
    nvmlReturn_t r;

    if (nvml->nvmlDeviceGetMemoryInfo_v2 &&
        nvml->nvmlDeviceGetMemoryInfo_v2(device, &memory) == NVML_SUCCESS) {
        *ret_capacity_bytes = memory.total - memory.reserved;
        *ret_used_bytes = memory.used;
        return NVML_SUCCESS;
    }
    r = nvml->nvmlDeviceGetMemoryInfo(device, &older);
    *ret_capacity_bytes = older.total;
    *ret_used_bytes = older.used;
    return r;
}

/* [pid, bytes] of each; null for bytes that the driver does not tell. */
static json_t *processes_json(const nvmlProcessInfo_t *processes, unsigned n)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < n; i++) {
        json_t *row = json_pack("[i]", (int)processes[i].pid);

        json_array_append_new(row, processes[i].usedGpuMemory == (unsigned long long)NVML_VALUE_NOT_AVAILABLE
                                       ? json_null()
                                       : json_integer((json_int_t)processes[i].usedGpuMemory));
        json_array_append_new(rows, row);
    }
    return rows;
}

/* Processes on a device. Returns NULL with a reason in err when the driver has no such list. */
static json_t *read_processes(const struct nvml_table *nvml, nvmlDevice_t device, struct error *err)
{
    enum { MOST = 16384 };
    nvmlProcessInfo_t *processes = calloc(MOST, sizeof(*processes));
    nvmlReturn_t r = processes ? NVML_ERROR_FUNCTION_NOT_FOUND : NVML_ERROR_MEMORY;
    unsigned n = MOST;
    json_t *rows;

    if (processes && nvml->nvmlDeviceGetComputeRunningProcesses_v3)
        r = nvml->nvmlDeviceGetComputeRunningProcesses_v3(device, &n, processes);
    else if (processes && nvml->nvmlDeviceGetComputeRunningProcesses_v2)
        r = nvml->nvmlDeviceGetComputeRunningProcesses_v2(device, &n, processes);
    rows = r ? NULL : processes_json(processes, n < MOST ? n : MOST);
    free(processes);
    if (r)
        error_fail(err, -EIO, "NVML does not tell which processes use it (NVML error %d)", (int)r);
    return rows;
}

/* [pid, permille] of the processes that lately kept the device busy, as far as the driver tells; a process
 * may have several rows. NULL when it does not tell. */
static json_t *read_utilization(const struct nvml_table *nvml, nvmlDevice_t device)
{
    enum { MOST = 4096, LATELY_S = 5 };
    nvmlProcessUtilizationSample_t *samples = calloc(MOST, sizeof(*samples));
    unsigned long long since_us = ((unsigned long long)time(NULL) - LATELY_S) * 1000000;
    nvmlReturn_t r =
        samples && nvml->nvmlDeviceGetProcessUtilization ? NVML_SUCCESS : NVML_ERROR_FUNCTION_NOT_FOUND;
    unsigned n = MOST;
    json_t *rows = NULL;

    if (!r)
        r = nvml->nvmlDeviceGetProcessUtilization(device, samples, &n, since_us);
    if (r == NVML_ERROR_NOT_FOUND) /* nobody did */
        n = 0;
    if (!r || r == NVML_ERROR_NOT_FOUND) {
        rows = json_array();
        for (unsigned i = 0; i < n && i < MOST; i++)
            json_array_append_new(rows,
                                  json_pack("[i, i]", (int)samples[i].pid, (int)samples[i].smUtil * 10));
    }
    free(samples);
    return rows;
}

/* Appends device number `index`. */
static nvmlReturn_t probe_device(const struct nvml_table *nvml, unsigned index, json_t *devices)
{
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "", name[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = "unnamed device";
    uint64_t capacity_bytes, used_bytes;
    nvmlPciInfo_t pci = {0};
    struct error problem = {0};
    json_t *object, *processes, *utilization;
    nvmlDevice_t device;
    nvmlReturn_t r;

    if ((r = nvml->nvmlDeviceGetHandleByIndex_v2(index, &device)) ||
        (r = nvml->nvmlDeviceGetUUID(device, uuid, sizeof(uuid))) ||
        (r = read_memory(nvml, device, &capacity_bytes, &used_bytes)))
        return r;
    if (nvml->nvmlDeviceGetName)
        nvml->nvmlDeviceGetName(device, name, sizeof(name));
    if (nvml->nvmlDeviceGetPciInfo_v3)
        nvml->nvmlDeviceGetPciInfo_v3(device, &pci); /* stays empty where a device has none */
    processes = read_processes(nvml, device, &problem);
    object = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "uuid", uuid, "name", name, "pci_bus_id", pci.busId,
                       "memory_capacity_bytes", (json_int_t)capacity_bytes, "memory_used_bytes",
                       (json_int_t)used_bytes, "processes_error", problem.text);
    json_object_set_new(object, "processes", processes ? processes : json_null());
    utilization = read_utilization(nvml, device);
    json_object_set_new(object, "utilization", utilization ? utilization : json_null());
    json_array_append_new(devices, object);
    return NVML_SUCCESS;
}

static int probe_devices(const struct nvml_table *nvml, json_t *devices, struct error *err)
{
    unsigned n_devices = 0;
    nvmlReturn_t r = nvml->nvmlDeviceGetCount_v2(&n_devices);

    if (r)
        return error_fail(err, -EIO, "nvmlDeviceGetCount_v2 failed (NVML error %d)", (int)r);
    for (unsigned i = 0; i < n_devices; i++)
        if ((r = probe_device(nvml, i, devices)))
            fprintf(stderr,
                    "vgpud: device %u of the driver does not answer (NVML error %d) and is left out\n", i,
                    (int)r);
    return 0;
}

static int probe(const char *kind, char *dir, char *version, json_t *devices, struct error *err)
{
    struct driver driver;
    nvmlReturn_t nvml_error;
    int r = strcmp(kind, "software") ? nvidia_dir(dir, PATH_MAX, err) : software_dir(dir, PATH_MAX, err);

    if (r < 0)
        return r;
    r = driver_open_nvml(dir, &driver);
    if (r < 0)
        return fail_open(dir, r, err);
    r = check_functions(&driver.nvml, err);
    if (r < 0)
        return r;
    nvml_error = driver.nvml.nvmlInit_v2();
    if (nvml_error)
        return error_fail(err, -EIO, "nvmlInit_v2 of %s failed (NVML error %d)", dir, (int)nvml_error);
    if (!driver.nvml.nvmlSystemGetDriverVersion ||
        driver.nvml.nvmlSystemGetDriverVersion(version, NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE))
        strcpy(version, "unknown");
    r = probe_devices(&driver.nvml, devices, err);
    if (driver.nvml.nvmlShutdown)
        driver.nvml.nvmlShutdown();
    return r;
}

int probe_main(const char *kind, const char *software_devices)
{
    char dir[PATH_MAX] = "", real[PATH_MAX], version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = "";
    json_t *devices = json_array(), *document;
    struct error err = {0};

    if (software_devices)
        setenv("VGPU_SOFTGPU_DEVICES", software_devices, 1);
    probe(kind, dir, version, devices, &err);
    document = json_pack("{s:s, s:s, s:o, s:s}", "driver_dir", realpath(dir, real) ? real : dir,
                         "driver_version", version, "devices", devices, "error", err.text);
    if (!document || json_dumpf(document, stdout, JSON_COMPACT) < 0 || fflush(stdout) != 0) {
        fprintf(stderr, "vgpud: cannot answer for the %s driver\n", kind);
        return 1;
    }
    json_decref(document);
    return 0;
}
