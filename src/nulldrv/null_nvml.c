/* The null driver's libnvidia-ml.so.1: as much as vgpud needs to take its one device into the inventory, and
 * as our library needs to see that a process holds nothing on it. */
#include <stdio.h>
#include <string.h>

#include "api/nvml_api.h"
#include "nulldrv/null.h"

static char the_device;

nvmlReturn_t nvmlInit_v2(void)
{
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = 1;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    if (index)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = (nvmlDevice_t)(void *)&the_device;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    return strcmp(uuid, NULL_UUID_TEXT) ? NVML_ERROR_NOT_FOUND : nvmlDeviceGetHandleByIndex_v2(0, device);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int bytes)
{
    snprintf(uuid, bytes, "%s", NULL_UUID_TEXT);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int bytes)
{
    snprintf(name, bytes, "null device");
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    *memory = (nvmlMemory_t){.total = NULL_MEMORY_BYTES, .free = NULL_MEMORY_BYTES};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_t *processes)
{
    *count = 0;
    return NVML_SUCCESS;
}
