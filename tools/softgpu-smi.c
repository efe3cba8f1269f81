/* softgpu-smi: the devices and their processes as a table of text, from whatever libnvidia-ml.so.1 the loader
 * finds, as nvidia-smi does it. For people and tests; it knows nothing of the software GPU but its own name.
 * What a device does not tell is shown as N/A. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/nvml_types.h"
#include "base/units.h"

/*  X(name, parameters): the functions used. */
#define SMI_FUNCTIONS(X)                                                                                     \
    X(nvmlInit_v2, (void))                                                                                   \
    X(nvmlShutdown, (void))                                                                                  \
    X(nvmlSystemGetDriverVersion, (char *, unsigned))                                                        \
    X(nvmlSystemGetCudaDriverVersion_v2, (int *))                                                            \
    X(nvmlSystemGetProcessName, (unsigned, char *, unsigned))                                                \
    X(nvmlDeviceGetCount_v2, (unsigned *))                                                                   \
    X(nvmlDeviceGetHandleByIndex_v2, (unsigned, nvmlDevice_t *))                                             \
    X(nvmlDeviceGetName, (nvmlDevice_t, char *, unsigned))                                                   \
    X(nvmlDeviceGetUUID, (nvmlDevice_t, char *, unsigned))                                                   \
    X(nvmlDeviceGetPciInfo_v3, (nvmlDevice_t, nvmlPciInfo_t *))                                              \
    X(nvmlDeviceGetMemoryInfo, (nvmlDevice_t, nvmlMemory_t *))                                               \
    X(nvmlDeviceGetUtilizationRates, (nvmlDevice_t, nvmlUtilization_t *))                                    \
    X(nvmlDeviceGetTemperature, (nvmlDevice_t, nvmlTemperatureSensors_t, unsigned *))                        \
    X(nvmlDeviceGetComputeRunningProcesses_v3, (nvmlDevice_t, unsigned *, nvmlProcessInfo_t *))

static struct {
#define SMI_POINTER(name, parameters) nvmlReturn_t(*name) parameters;
    SMI_FUNCTIONS(SMI_POINTER)
#undef SMI_POINTER
    const char *(*nvmlErrorString)(nvmlReturn_t);
} nvml;

static void *need(void *library, const char *name)
{
    void *symbol = dlsym(library, name);

    if (!symbol) {
        fprintf(stderr, "softgpu-smi: libnvidia-ml.so.1 has no %s\n", name);
        exit(1);
    }
    return symbol;
}

static void open_library(void)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW);

    if (!library) {
        fprintf(stderr, "softgpu-smi: %s\n", dlerror());
        exit(1);
    }
#define SMI_NEED(name, parameters) *(void **)&nvml.name = need(library, #name);
    SMI_FUNCTIONS(SMI_NEED)
#undef SMI_NEED
    *(void **)&nvml.nvmlErrorString = need(library, "nvmlErrorString");
}

static void check(nvmlReturn_t r, const char *what)
{
    if (r == NVML_SUCCESS)
        return;
    fprintf(stderr, "softgpu-smi: %s: %s\n", what, nvml.nvmlErrorString(r));
    exit(1);
}

/* A number, or N/A. */
static const char *number_text(nvmlReturn_t r, unsigned value, const char *unit, char text[16])
{
    if (r == NVML_SUCCESS)
        snprintf(text, 16, "%u%s", value, unit);
    else
        snprintf(text, 16, "N/A");
    return text;
}

static void print_device(unsigned index, nvmlDevice_t device)
{
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE], uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE], gpu_text[16],
        temperature_text[16];
    nvmlPciInfo_t pci;
    nvmlMemory_t memory;
    nvmlUtilization_t use = {0};
    unsigned temperature = 0;
    nvmlReturn_t r;

    check(nvml.nvmlDeviceGetName(device, name, sizeof(name)), "name");
    check(nvml.nvmlDeviceGetUUID(device, uuid, sizeof(uuid)), "uuid");
    check(nvml.nvmlDeviceGetPciInfo_v3(device, &pci), "pci info");
    check(nvml.nvmlDeviceGetMemoryInfo(device, &memory), "memory info");
    r = nvml.nvmlDeviceGetUtilizationRates(device, &use);
    number_text(r, use.gpu, "%", gpu_text);
    r = nvml.nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &temperature);
    number_text(r, temperature, "C", temperature_text);
    printf("%-3u  %-24s  %-16s  %6lluMiB / %6lluMiB  %5s  %5s\n", index, name, pci.busId, memory.used / MIB,
           memory.total / MIB, gpu_text, temperature_text);
    printf("     %s\n", uuid);
}

static void print_processes(unsigned index, nvmlDevice_t device)
{
    nvmlProcessInfo_t *processes = NULL;
    unsigned count = 0;
    nvmlReturn_t r;

    /* Processes may come between asking how many and asking for them. */
    while ((r = nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, &count, processes)) ==
           NVML_ERROR_INSUFFICIENT_SIZE) {
        count += 16;
        free(processes);
        processes = calloc(count, sizeof(*processes));
        if (!processes)
            exit(1);
    }
    check(r, "processes");
    for (unsigned i = 0; i < count; i++) {
        char name[256];

        if (nvml.nvmlSystemGetProcessName(processes[i].pid, name, sizeof(name)) != NVML_SUCCESS)
            snprintf(name, sizeof(name), "-");
        printf("%-3u  %8u  %10lluMiB  %s\n", index, processes[i].pid, processes[i].usedGpuMemory / MIB, name);
    }
    free(processes);
}

int main(void)
{
    char version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
    nvmlDevice_t devices[64];
    unsigned count;
    int cuda;

    open_library();
    check(nvml.nvmlInit_v2(), "init");
    check(nvml.nvmlSystemGetDriverVersion(version, sizeof(version)), "driver version");
    check(nvml.nvmlSystemGetCudaDriverVersion_v2(&cuda), "CUDA version");
    check(nvml.nvmlDeviceGetCount_v2(&count), "count");
    count = count < 64 ? count : 64;
    for (unsigned i = 0; i < count; i++)
        check(nvml.nvmlDeviceGetHandleByIndex_v2(i, &devices[i]), "handle");
    printf("Driver %s, CUDA %d.%d\n\n", version, NVML_CUDA_DRIVER_VERSION_MAJOR(cuda),
           NVML_CUDA_DRIVER_VERSION_MINOR(cuda));
    printf("%-3s  %-24s  %-16s  %21s  %5s  %5s\n", "GPU", "Name", "Bus", "Memory", "Util", "Temp");
    for (unsigned i = 0; i < count; i++)
        print_device(i, devices[i]);
    printf("\n%-3s  %8s  %13s  %s\n", "GPU", "PID", "Memory", "Process");
    for (unsigned i = 0; i < count; i++)
        print_processes(i, devices[i]);
    check(nvml.nvmlShutdown(), "shutdown");
    return 0;
}
