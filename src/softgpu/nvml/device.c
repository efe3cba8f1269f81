/* NVML's calls that find devices and say what they are. What a software device has not (serial number, VBIOS,
 * board) keeps the generated stub, which answers NVML_ERROR_NOT_SUPPORTED. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/uuid.h"
#include "softgpu/nvml/query.h"

/* ---- finding ---- */

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, count);

    if (r == NVML_SUCCESS)
        *count = sgdev_count(call.dev);
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *count)
{
    return nvmlDeviceGetCount_v2(count);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, device);

    if (r == NVML_SUCCESS && index >= sgdev_count(call.dev))
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        *device = session_device(index);
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

static bool has_uuid(const struct sgdev_properties *p, const void *wanted)
{
    char text[NVML_DEVICE_UUID_BUFFER_SIZE];

    uuid_format(p->uuid, text);
    return !strcasecmp(text, wanted);
}

/* "00000000:01:00.0", "0000:01:00.0" or "01:00.0". */
static bool has_bus_id(const struct sgdev_properties *p, const void *wanted)
{
    unsigned domain, bus, device, function;
    int end = 0;

    if (sscanf(wanted, "%x:%x:%x.%x%n", &domain, &bus, &device, &function, &end) != 4) {
        domain = 0;
        if (sscanf(wanted, "%x:%x.%x%n", &bus, &device, &function, &end) != 3)
            return false;
    }
    return !((const char *)wanted)[end] && domain == p->pci_domain && bus == p->pci_bus &&
           device == p->pci_device && !function;
}

static nvmlReturn_t find_device(const char *wanted,
                                bool (*is_it)(const struct sgdev_properties *, const void *),
                                nvmlDevice_t *device)
{
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, device);
    unsigned ordinal = 0;

    if (r == NVML_SUCCESS && !wanted)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r != NVML_SUCCESS)
        return session_end(&call, r);
    while (ordinal < sgdev_count(call.dev) && !is_it(sgdev_properties(call.dev, ordinal), wanted))
        ordinal++;
    if (ordinal == sgdev_count(call.dev))
        r = NVML_ERROR_NOT_FOUND;
    else
        *device = session_device(ordinal);
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    return find_device(uuid, has_uuid, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device)
{
    return find_device(bus_id, has_bus_id, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device)
{
    return find_device(bus_id, has_bus_id, device);
}

/* ---- identity ---- */

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, name);

    if (r == NVML_SUCCESS)
        r = session_text(name, length, call.properties->name);
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    char text[NVML_DEVICE_UUID_BUFFER_SIZE];
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, uuid);

    if (r == NVML_SUCCESS) {
        uuid_format(call.properties->uuid, text);
        r = session_text(uuid, length, text);
    }
    return session_end(&call, r);
}

/* Fills the first `bytes` of *pci: the struct has grown, and an old caller's is shorter. */
static nvmlReturn_t pci_info(nvmlDevice_t device, nvmlPciInfo_t *pci, size_t bytes)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, pci);

    if (r == NVML_SUCCESS) {
        const struct sgdev_properties *p = call.properties;
        nvmlPciInfo_t full = {.domain = p->pci_domain, .bus = p->pci_bus, .device = p->pci_device};

        snprintf(full.busIdLegacy, sizeof(full.busIdLegacy), "%04X:%02X:%02X.0", p->pci_domain & 0xffff,
                 p->pci_bus & 0xff, p->pci_device & 0x1f);
        snprintf(full.busId, sizeof(full.busId), "%08X:%02X:%02X.0", p->pci_domain, p->pci_bus & 0xff,
                 p->pci_device & 0x1f);
        memcpy(pci, &full, bytes);
    }
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return pci_info(device, pci, offsetof(nvmlPciInfo_t, pciSubSystemId));
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return pci_info(device, pci, offsetof(nvmlPciInfo_t, busId));
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    return pci_info(device, pci, sizeof(*pci));
}

QUERY(nvmlDeviceGetIndex, unsigned int, ordinal)
QUERY(nvmlDeviceGetMinorNumber, unsigned int, ordinal)
QUERY(nvmlDeviceGetModuleId, unsigned int, ordinal)
QUERY(nvmlDeviceGetBrand, nvmlBrandType_t, NVML_BRAND_UNKNOWN) /* none of NVIDIA's */
QUERY(nvmlDeviceGetMultiGpuBoard, unsigned int, 0)
QUERY(nvmlDeviceGetMemoryBusWidth, unsigned int, p->bus_width_bits)

/* ---- processors ---- */

static nvmlDeviceArchitecture_t architecture(const struct sgdev_properties *p)
{
    switch (p->compute_major) {
    case 5:
        return NVML_DEVICE_ARCH_MAXWELL;
    case 6:
        return NVML_DEVICE_ARCH_PASCAL;
    case 7:
        return p->compute_minor < 5 ? NVML_DEVICE_ARCH_VOLTA : NVML_DEVICE_ARCH_TURING;
    case 8:
        return p->compute_minor < 9 ? NVML_DEVICE_ARCH_AMPERE : NVML_DEVICE_ARCH_ADA;
    case 9:
        return NVML_DEVICE_ARCH_HOPPER;
    case 10:
    case 11:
    case 12:
        return NVML_DEVICE_ARCH_BLACKWELL;
    default:
        return NVML_DEVICE_ARCH_UNKNOWN;
    }
}

/* As on hardware of the same compute capability. */
static unsigned cores_per_sm(const struct sgdev_properties *p)
{
    bool is_compute_chip = (p->compute_major == 6 || p->compute_major == 8) && p->compute_minor == 0;

    return is_compute_chip || p->compute_major == 7 ? 64 : 128;
}

QUERY(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t, architecture(p))
QUERY(nvmlDeviceGetNumGpuCores, unsigned int, p->sm_count *cores_per_sm(p))

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, major);

    if (r == NVML_SUCCESS && !minor)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS) {
        *major = (int)call.properties->compute_major;
        *minor = (int)call.properties->compute_minor;
    }
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, attributes);

    if (r == NVML_SUCCESS)
        *attributes = (nvmlDeviceAttributes_t){
            .multiprocessorCount = call.properties->sm_count,
            .sharedCopyEngineCount = 1,
            .memorySizeMB = call.properties->memory_bytes >> 20,
        };
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
    return nvmlDeviceGetAttributes_v2(device, attributes);
}

/* ---- place in the machine ---- */

nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int set_size, unsigned long *cpus)
{
    enum { BITS = 8 * sizeof(unsigned long) };
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, cpus);
    unsigned long n_cpus = (unsigned long)sysconf(_SC_NPROCESSORS_CONF);

    if (r == NVML_SUCCESS && !set_size)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS) {
        memset(cpus, 0, set_size * sizeof(*cpus));
        for (unsigned long i = 0; i < n_cpus && i / BITS < set_size; i++)
            cpus[i / BITS] |= 1UL << i % BITS;
    }
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int set_size,
                                                 unsigned long *cpus, nvmlAffinityScope_t scope)
{
    return scope > NVML_AFFINITY_SCOPE_SOCKET ? NVML_ERROR_INVALID_ARGUMENT
                                              : nvmlDeviceGetCpuAffinity(device, set_size, cpus);
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device, nvmlDevice_t other,
                                                 nvmlGpuTopologyLevel_t *level)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, level);

    if (r == NVML_SUCCESS && session_ordinal(&call, other) < 0)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        *level = device == other ? NVML_TOPOLOGY_INTERNAL : NVML_TOPOLOGY_SYSTEM;
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, nvmlGpuTopologyLevel_t level,
                                              unsigned int *count, nvmlDevice_t *devices)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, count);
    unsigned room, n = 0;

    if (r != NVML_SUCCESS)
        return session_end(&call, r);
    room = devices ? *count : 0;
    for (unsigned i = 0; level == NVML_TOPOLOGY_SYSTEM && i < sgdev_count(call.dev); i++) {
        if (i == call.ordinal)
            continue;
        if (n < room)
            devices[n] = session_device(i);
        n++;
    }
    *count = n;
    return session_end(&call, devices && n > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device, nvmlDevice_t other, int *same)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, same);

    if (r == NVML_SUCCESS && session_ordinal(&call, other) < 0)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        *same = device == other;
    return session_end(&call, r);
}
