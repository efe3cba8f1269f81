/* NVML's calls about clocks and modes. The clocks are those of the description and never change. Nothing here
 * makes heat: temperature, power and fans keep the generated stubs, which answer NVML_ERROR_NOT_SUPPORTED,
 * and so do ECC, PCI express and NVLink. */
#include "softgpu/nvml/query.h"

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *mhz)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, mhz);

    if (r != NVML_SUCCESS)
        return session_end(&call, r);
    switch (type) {
    case NVML_CLOCK_GRAPHICS:
    case NVML_CLOCK_SM:
        *mhz = call.properties->clock_khz / 1000;
        break;
    case NVML_CLOCK_MEM:
        *mhz = call.properties->memory_clock_khz / 1000;
        break;
    case NVML_CLOCK_VIDEO:
        r = NVML_ERROR_NOT_SUPPORTED;
        break;
    default:
        r = NVML_ERROR_INVALID_ARGUMENT;
    }
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *mhz)
{
    return nvmlDeviceGetClockInfo(device, type, mhz);
}

nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t type, nvmlClockId_t id,
                                unsigned int *mhz)
{
    if ((unsigned)id >= NVML_CLOCK_ID_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    return id == NVML_CLOCK_ID_CURRENT ? nvmlDeviceGetClockInfo(device, type, mhz) : NVML_ERROR_NOT_SUPPORTED;
}

QUERY(nvmlDeviceGetPerformanceState, nvmlPstates_t, NVML_PSTATE_0)
QUERY(nvmlDeviceGetPowerState, nvmlPstates_t, NVML_PSTATE_0)
QUERY(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, nvmlClocksEventReasonNone)
QUERY(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, nvmlClocksEventReasonNone)
QUERY(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, nvmlClocksEventReasonNone)
QUERY(nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, nvmlClocksEventReasonNone)

QUERY(nvmlDeviceGetComputeMode, nvmlComputeMode_t, NVML_COMPUTEMODE_DEFAULT)
QUERY(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, NVML_FEATURE_DISABLED)
QUERY(nvmlDeviceGetDisplayMode, nvmlEnableState_t, NVML_FEATURE_DISABLED)
QUERY(nvmlDeviceGetDisplayActive, nvmlEnableState_t, NVML_FEATURE_DISABLED)
QUERY(nvmlDeviceGetAccountingMode, nvmlEnableState_t, NVML_FEATURE_DISABLED)
QUERY(nvmlDeviceGetVirtualizationMode, nvmlGpuVirtualizationMode_t, NVML_GPU_VIRTUALIZATION_MODE_NONE)
QUERY(nvmlDeviceGetSupportedEventTypes, unsigned long long, nvmlEventTypeNone)

/* ---- partitions: there are none ---- */

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, current);

    if (r == NVML_SUCCESS && !pending)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        *current = *pending = 0;
    return session_end(&call, r);
}

QUERY(nvmlDeviceGetMaxMigDeviceCount, unsigned int, 0)
QUERY(nvmlDeviceIsMigDeviceHandle, unsigned int, 0)
