/* NVML described: the functions that monitors, schedulers and frameworks use, typed, and the names of the
 * others, which are only passed on. NVML_API and NVML_NAME and the marks of parameters are those of
 * "api/cuda_api.h"; names have no versions here because NVML is looked up by symbol. nvmlErrorString answers
 * text, so its return type is its own. */
#ifndef VGPU_API_NVML_API_H
#define VGPU_API_NVML_API_H

#include "api/nvml_types.h"

#define NVML_API(...)
#define NVML_NAME(...)
#define IN
#define OUT
#define INOUT
#define LEN(expr)
#define STRING
#define NULLABLE
#define OPAQUE

#pragma GCC visibility push(default)

/* ---- life, system ---- */

NVML_API(id = 1)
nvmlReturn_t nvmlInit(void);

NVML_API(name = nvmlInit, id = 2)
nvmlReturn_t nvmlInit_v2(void);

NVML_API(id = 3)
nvmlReturn_t nvmlInitWithFlags(unsigned int flags);

NVML_API(id = 4)
nvmlReturn_t nvmlShutdown(void);

NVML_API(id = 5)
nvmlReturn_t nvmlSystemGetDriverVersion(OUT LEN(length) char *version, unsigned int length);

NVML_API(id = 6)
nvmlReturn_t nvmlSystemGetNVMLVersion(OUT LEN(length) char *version, unsigned int length);

NVML_API(id = 7)
nvmlReturn_t nvmlSystemGetCudaDriverVersion(OUT int *version);

NVML_API(name = nvmlSystemGetCudaDriverVersion, id = 8)
nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(OUT int *version);

NVML_API(id = 9)
nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, OUT LEN(length) char *name, unsigned int length);

NVML_API(id = 10)
nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned int cpu, INOUT unsigned int *count,
                                         OUT NULLABLE LEN(*count) nvmlDevice_t *devices);

NVML_API(id = 11)
nvmlReturn_t nvmlSystemGetConfComputeState(OUT nvmlConfComputeSystemState_t *state);

NVML_API(id = 12)
nvmlReturn_t nvmlUnitGetCount(OUT unsigned int *count);

/* ---- finding devices ---- */

NVML_API(id = 13)
nvmlReturn_t nvmlDeviceGetCount(OUT unsigned int *count);

NVML_API(name = nvmlDeviceGetCount, id = 14)
nvmlReturn_t nvmlDeviceGetCount_v2(OUT unsigned int *count);

NVML_API(id = 15)
nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, OUT nvmlDevice_t *device);

NVML_API(name = nvmlDeviceGetHandleByIndex, id = 16)
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, OUT nvmlDevice_t *device);

NVML_API(id = 17)
nvmlReturn_t nvmlDeviceGetHandleBySerial(IN STRING const char *serial, OUT nvmlDevice_t *device);

NVML_API(id = 18)
nvmlReturn_t nvmlDeviceGetHandleByUUID(IN STRING const char *uuid, OUT nvmlDevice_t *device);

NVML_API(id = 19)
nvmlReturn_t nvmlDeviceGetHandleByPciBusId(IN STRING const char *bus_id, OUT nvmlDevice_t *device);

NVML_API(name = nvmlDeviceGetHandleByPciBusId, id = 20)
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(IN STRING const char *bus_id, OUT nvmlDevice_t *device);

/* ---- what a device is ---- */

NVML_API(id = 21)
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, OUT LEN(length) char *name, unsigned int length);

NVML_API(id = 22)
nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, OUT nvmlBrandType_t *brand);

NVML_API(id = 23)
nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, OUT unsigned int *index);

NVML_API(id = 24)
nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, OUT unsigned int *number);

NVML_API(id = 25)
nvmlReturn_t nvmlDeviceGetModuleId(nvmlDevice_t device, OUT unsigned int *id);

NVML_API(id = 26)
nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, OUT LEN(length) char *serial, unsigned int length);

NVML_API(id = 27)
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, OUT LEN(length) char *uuid, unsigned int length);

NVML_API(id = 28)
nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, OUT nvmlPciInfo_t *pci);

NVML_API(name = nvmlDeviceGetPciInfo, id = 29)
nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, OUT nvmlPciInfo_t *pci);

NVML_API(name = nvmlDeviceGetPciInfo, id = 30)
nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, OUT nvmlPciInfo_t *pci);

NVML_API(id = 31)
nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, OUT nvmlDeviceArchitecture_t *architecture);

NVML_API(id = 32)
nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, OUT int *major, OUT int *minor);

NVML_API(id = 33)
nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t device, OUT unsigned int *count);

NVML_API(id = 34)
nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, OUT nvmlDeviceAttributes_t *attributes);

NVML_API(name = nvmlDeviceGetAttributes, id = 35)
nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, OUT nvmlDeviceAttributes_t *attributes);

NVML_API(id = 36)
nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, OUT LEN(length) char *version,
                                       unsigned int length);

NVML_API(id = 37)
nvmlReturn_t nvmlDeviceGetInforomVersion(nvmlDevice_t device, nvmlInforomObject_t object,
                                         OUT LEN(length) char *version, unsigned int length);

NVML_API(id = 38)
nvmlReturn_t nvmlDeviceGetInforomImageVersion(nvmlDevice_t device, OUT LEN(length) char *version,
                                              unsigned int length);

NVML_API(id = 39)
nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, OUT LEN(length) char *number,
                                          unsigned int length);

NVML_API(id = 40)
nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, OUT unsigned int *id);

NVML_API(id = 41)
nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t device, OUT unsigned int *is_multi);

NVML_API(id = 42)
nvmlReturn_t nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, OUT char *version);

NVML_API(id = 43)
nvmlReturn_t nvmlDeviceGetGspFirmwareMode(nvmlDevice_t device, OUT unsigned int *enabled,
                                          OUT unsigned int *is_default);

NVML_API(id = 44)
nvmlReturn_t nvmlDeviceGetDisplayMode(nvmlDevice_t device, OUT nvmlEnableState_t *mode);

NVML_API(id = 45)
nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, OUT nvmlEnableState_t *active);

NVML_API(id = 46)
nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, OUT nvmlEnableState_t *mode);

NVML_API(id = 47)
nvmlReturn_t nvmlDeviceSetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t mode);

NVML_API(id = 48)
nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, OUT nvmlComputeMode_t *mode);

NVML_API(id = 49)
nvmlReturn_t nvmlDeviceSetComputeMode(nvmlDevice_t device, nvmlComputeMode_t mode);

NVML_API(id = 50)
nvmlReturn_t nvmlDeviceGetVirtualizationMode(nvmlDevice_t device, OUT nvmlGpuVirtualizationMode_t *mode);

NVML_API(id = 51)
nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t device, OUT nvmlBusType_t *type);

NVML_API(id = 52)
nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t device, OUT unsigned int *node);

/* ---- memory ---- */

NVML_API(id = 53)
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, OUT nvmlMemory_t *memory);

NVML_API(name = nvmlDeviceGetMemoryInfo, id = 54)
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, INOUT nvmlMemory_v2_t *memory);

NVML_API(id = 55)
nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, OUT nvmlBAR1Memory_t *memory);

NVML_API(id = 56)
nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, OUT unsigned int *bits);

NVML_API(id = 57)
nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, OUT nvmlEnableState_t *current,
                                  OUT nvmlEnableState_t *pending);

NVML_API(id = 58)
nvmlReturn_t nvmlDeviceGetDefaultEccMode(nvmlDevice_t device, OUT nvmlEnableState_t *mode);

NVML_API(id = 59)
nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                         nvmlEccCounterType_t counter, OUT unsigned long long *count);

NVML_API(id = 60)
nvmlReturn_t nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                            nvmlEccCounterType_t counter, OUT nvmlEccErrorCounts_t *counts);

NVML_API(id = 61)
nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                             nvmlEccCounterType_t counter, nvmlMemoryLocation_t location,
                                             OUT unsigned long long *count);

NVML_API(id = 62)
nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
                                       INOUT unsigned int *count,
                                       OUT NULLABLE LEN(*count) unsigned long long *addresses);

NVML_API(id = 63)
nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t device, OUT nvmlEnableState_t *is_pending);

NVML_API(id = 64)
nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, OUT unsigned int *corrected,
                                       OUT unsigned int *uncorrected, OUT unsigned int *is_pending,
                                       OUT unsigned int *has_failed);

/* ---- use ---- */

NVML_API(id = 65)
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, OUT nvmlUtilization_t *utilization);

NVML_API(id = 66)
nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, OUT unsigned int *utilization,
                                             OUT unsigned int *period_us);

NVML_API(id = 67)
nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, OUT unsigned int *utilization,
                                             OUT unsigned int *period_us);

NVML_API(id = 68)
nvmlReturn_t nvmlDeviceGetJpgUtilization(nvmlDevice_t device, OUT unsigned int *utilization,
                                         OUT unsigned int *period_us);

NVML_API(id = 69)
nvmlReturn_t nvmlDeviceGetOfaUtilization(nvmlDevice_t device, OUT unsigned int *utilization,
                                         OUT unsigned int *period_us);

NVML_API(id = 70)
nvmlReturn_t nvmlDeviceGetEncoderCapacity(nvmlDevice_t device, nvmlEncoderType_t type,
                                          OUT unsigned int *capacity);

NVML_API(id = 71)
nvmlReturn_t nvmlDeviceGetEncoderStats(nvmlDevice_t device, OUT unsigned int *sessions,
                                       OUT unsigned int *average_fps, OUT unsigned int *average_latency);

NVML_API(id = 72)
nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type, unsigned long long since,
                                  OUT nvmlValueType_t *value_type, INOUT unsigned int *count,
                                  OUT NULLABLE LEN(*count) nvmlSample_t *samples);

NVML_API(id = 73)
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count,
                                      INOUT LEN(count) nvmlFieldValue_t *values);

NVML_API(id = 74)
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, INOUT unsigned int *count,
                                                  OUT NULLABLE LEN(*count) nvmlProcessInfo_v1_t *processes);

NVML_API(name = nvmlDeviceGetComputeRunningProcesses, id = 75)
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, INOUT unsigned int *count,
                                                     OUT NULLABLE LEN(*count)
                                                         nvmlProcessInfo_v2_t *processes);

NVML_API(name = nvmlDeviceGetComputeRunningProcesses, id = 76)
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, INOUT unsigned int *count,
                                                     OUT NULLABLE LEN(*count) nvmlProcessInfo_t *processes);

NVML_API(id = 77)
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, INOUT unsigned int *count,
                                                   OUT NULLABLE LEN(*count) nvmlProcessInfo_v1_t *processes);

NVML_API(name = nvmlDeviceGetGraphicsRunningProcesses, id = 78)
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, INOUT unsigned int *count,
                                                      OUT NULLABLE LEN(*count)
                                                          nvmlProcessInfo_v2_t *processes);

NVML_API(name = nvmlDeviceGetGraphicsRunningProcesses, id = 79)
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, INOUT unsigned int *count,
                                                      OUT NULLABLE LEN(*count) nvmlProcessInfo_t *processes);

NVML_API(id = 80)
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, INOUT unsigned int *count,
                                                     OUT NULLABLE LEN(*count)
                                                         nvmlProcessInfo_v1_t *processes);

NVML_API(name = nvmlDeviceGetMPSComputeRunningProcesses, id = 81)
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device, INOUT unsigned int *count,
                                                        OUT NULLABLE LEN(*count)
                                                            nvmlProcessInfo_v2_t *processes);

NVML_API(name = nvmlDeviceGetMPSComputeRunningProcesses, id = 82)
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, INOUT unsigned int *count,
                                                        OUT NULLABLE LEN(*count)
                                                            nvmlProcessInfo_t *processes);

NVML_API(id = 83)
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                             OUT NULLABLE LEN(*count) nvmlProcessUtilizationSample_t *samples,
                                             INOUT unsigned int *count, unsigned long long since);

NVML_API(id = 84)
nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
                                                   INOUT nvmlProcessesUtilizationInfo_t *utilization);

NVML_API(id = 85)
nvmlReturn_t nvmlDeviceGetAccountingMode(nvmlDevice_t device, OUT nvmlEnableState_t *mode);

NVML_API(id = 86)
nvmlReturn_t nvmlDeviceGetAccountingStats(nvmlDevice_t device, unsigned int pid,
                                          OUT nvmlAccountingStats_t *stats);

NVML_API(id = 87)
nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, INOUT unsigned int *count,
                                         OUT NULLABLE LEN(*count) unsigned int *pids);

NVML_API(id = 88)
nvmlReturn_t nvmlDeviceGetAccountingBufferSize(nvmlDevice_t device, OUT unsigned int *size);

/* ---- clocks, power, temperature ---- */

NVML_API(id = 89)
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, OUT unsigned int *mhz);

NVML_API(id = 90)
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, OUT unsigned int *mhz);

NVML_API(id = 91)
nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t type, nvmlClockId_t id,
                                OUT unsigned int *mhz);

NVML_API(id = 92)
nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, nvmlClockType_t type, OUT unsigned int *mhz);

NVML_API(id = 93)
nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, nvmlClockType_t type,
                                                   OUT unsigned int *mhz);

NVML_API(id = 94)
nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, nvmlClockType_t type,
                                                OUT unsigned int *mhz);

NVML_API(id = 95)
nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, INOUT unsigned int *count,
                                                OUT NULLABLE LEN(*count) unsigned int *mhz);

NVML_API(id = 96)
nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memory_mhz,
                                                  INOUT unsigned int *count,
                                                  OUT NULLABLE LEN(*count) unsigned int *mhz);

NVML_API(id = 97)
nvmlReturn_t nvmlDeviceGetAutoBoostedClocksEnabled(nvmlDevice_t device, OUT nvmlEnableState_t *enabled,
                                                   OUT nvmlEnableState_t *default_enabled);

NVML_API(id = 98)
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, OUT unsigned long long *reasons);

NVML_API(id = 99)
nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, OUT unsigned long long *reasons);

NVML_API(id = 100)
nvmlReturn_t nvmlDeviceGetSupportedClocksThrottleReasons(nvmlDevice_t device,
                                                         OUT unsigned long long *reasons);

NVML_API(id = 101)
nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t device, OUT unsigned long long *reasons);

NVML_API(id = 102)
nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, nvmlPerfPolicyType_t policy,
                                          OUT nvmlViolationTime_t *violation);

NVML_API(id = 103)
nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, OUT nvmlPstates_t *state);

NVML_API(id = 104)
nvmlReturn_t nvmlDeviceGetPowerState(nvmlDevice_t device, OUT nvmlPstates_t *state);

NVML_API(id = 105)
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      OUT unsigned int *celsius);

NVML_API(id = 106)
nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, INOUT nvmlTemperature_t *temperature);

NVML_API(id = 107)
nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, nvmlTemperatureThresholds_t threshold,
                                               OUT unsigned int *celsius);

NVML_API(id = 108)
nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, OUT unsigned int *percent);

NVML_API(name = nvmlDeviceGetFanSpeed, id = 109)
nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan, OUT unsigned int *percent);

NVML_API(id = 110)
nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, OUT unsigned int *count);

NVML_API(id = 111)
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, OUT unsigned int *milliwatts);

NVML_API(id = 112)
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, OUT unsigned long long *millijoules);

NVML_API(id = 113)
nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, OUT nvmlEnableState_t *mode);

NVML_API(id = 114)
nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, OUT unsigned int *milliwatts);

NVML_API(id = 115)
nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device,
                                                          OUT unsigned int *min_milliwatts,
                                                          OUT unsigned int *max_milliwatts);

NVML_API(id = 116)
nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, OUT unsigned int *milliwatts);

NVML_API(id = 117)
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, OUT unsigned int *milliwatts);

NVML_API(id = 118)
nvmlReturn_t nvmlDeviceGetPowerSource(nvmlDevice_t device, OUT nvmlPowerSource_t *source);

/* ---- between devices ---- */

NVML_API(id = 119)
nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter,
                                         OUT unsigned int *kib_per_s);

NVML_API(id = 120)
nvmlReturn_t nvmlDeviceGetPcieReplayCounter(nvmlDevice_t device, OUT unsigned int *count);

NVML_API(id = 121)
nvmlReturn_t nvmlDeviceGetPcieSpeed(nvmlDevice_t device, OUT unsigned int *mbps);

NVML_API(id = 122)
nvmlReturn_t nvmlDeviceGetPcieLinkMaxSpeed(nvmlDevice_t device, OUT unsigned int *speed);

NVML_API(id = 123)
nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, OUT unsigned int *generation);

NVML_API(id = 124)
nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, OUT unsigned int *width);

NVML_API(id = 125)
nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, OUT unsigned int *generation);

NVML_API(id = 126)
nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, OUT unsigned int *width);

NVML_API(id = 127)
nvmlReturn_t nvmlDeviceGetGpuMaxPcieLinkGeneration(nvmlDevice_t device, OUT unsigned int *generation);

NVML_API(id = 128)
nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device, nvmlDevice_t other,
                                                 OUT nvmlGpuTopologyLevel_t *level);

NVML_API(id = 129)
nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, nvmlGpuTopologyLevel_t level,
                                              INOUT unsigned int *count,
                                              OUT NULLABLE LEN(*count) nvmlDevice_t *devices);

NVML_API(id = 130)
nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t device, nvmlDevice_t other, nvmlGpuP2PCapsIndex_t index,
                                    OUT nvmlGpuP2PStatus_t *status);

NVML_API(id = 131)
nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device, nvmlDevice_t other, OUT int *same);

NVML_API(id = 132)
nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link, OUT nvmlEnableState_t *active);

NVML_API(id = 133)
nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int link, OUT unsigned int *version);

NVML_API(id = 134)
nvmlReturn_t nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned int link,
                                           nvmlNvLinkCapability_t capability, OUT unsigned int *value);

NVML_API(id = 135)
nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t device, unsigned int link, OUT nvmlPciInfo_t *pci);

NVML_API(name = nvmlDeviceGetNvLinkRemotePciInfo, id = 136)
nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned int link,
                                                 OUT nvmlPciInfo_t *pci);

NVML_API(id = 137)
nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned int link,
                                                 OUT nvmlIntNvLinkDeviceType_t *type);

NVML_API(id = 138)
nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, OUT nvmlGpuFabricInfo_t *fabric);

NVML_API(id = 139)
nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, INOUT nvmlGpuFabricInfoV_t *fabric);

NVML_API(id = 140)
nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int set_size,
                                      OUT LEN(set_size) unsigned long *cpus);

NVML_API(id = 141)
nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int set_size,
                                                 OUT LEN(set_size) unsigned long *cpus,
                                                 nvmlAffinityScope_t scope);

NVML_API(id = 142)
nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int set_size,
                                         OUT LEN(set_size) unsigned long *nodes, nvmlAffinityScope_t scope);

NVML_API(id = 143)
nvmlReturn_t nvmlDeviceSetCpuAffinity(nvmlDevice_t device);

NVML_API(id = 144)
nvmlReturn_t nvmlDeviceClearCpuAffinity(nvmlDevice_t device);

/* ---- partitions ---- */

NVML_API(id = 145)
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, OUT unsigned int *current, OUT unsigned int *pending);

NVML_API(id = 146)
nvmlReturn_t nvmlDeviceSetMigMode(nvmlDevice_t device, unsigned int mode, OUT nvmlReturn_t *activation);

NVML_API(id = 147)
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, OUT unsigned int *count);

NVML_API(id = 148)
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index,
                                                 OUT nvmlDevice_t *mig_device);

NVML_API(id = 149)
nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig_device, OUT nvmlDevice_t *device);

NVML_API(id = 150)
nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, OUT unsigned int *is_mig);

NVML_API(id = 151)
nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, OUT unsigned int *id);

NVML_API(id = 152)
nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, OUT unsigned int *id);

/* ---- events ---- */

NVML_API(id = 153)
nvmlReturn_t nvmlEventSetCreate(OUT nvmlEventSet_t *set);

NVML_API(id = 154)
nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set);

NVML_API(id = 155)
nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, OUT nvmlEventData_t *event, unsigned int timeout_ms);

NVML_API(name = nvmlEventSetWait, id = 156)
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, OUT nvmlEventData_t *event, unsigned int timeout_ms);

NVML_API(id = 157)
nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set);

NVML_API(id = 158)
nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, OUT unsigned long long *types);

/* ---- texts ---- */

NVML_API(id = 159)
const char *nvmlErrorString(nvmlReturn_t result);

#include "api/nvml_api_names.h"
#pragma GCC visibility pop

#undef NVML_API
#undef NVML_NAME
#undef IN
#undef OUT
#undef INOUT
#undef LEN
#undef STRING
#undef NULLABLE
#undef OPAQUE

#endif
