/* The cuDevice* calls that describe devices. What the user can choose comes from the device's properties; the
 * rest is what a card of compute capability 7.5 says of itself, less what the software GPU cannot do. */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/process.h"

CUresult cuDeviceGet(CUdevice *ret_device, int ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_device)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *ret_count)
{
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_count)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_count = (int)process_device_count();
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int name_bytes, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!name || name_bytes <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)name_bytes, "%s", device->properties->name);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *ret_uuid, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_uuid)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(ret_uuid->bytes, device->properties->uuid, sizeof(ret_uuid->bytes));
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *ret_uuid, CUdevice ordinal)
{
    return cuDeviceGetUuid_v2(ret_uuid, ordinal);
}

CUresult cuDeviceTotalMem_v2(size_t *ret_bytes, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_bytes = device->properties->memory_bytes;
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *ret_major, int *ret_minor, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_major || !ret_minor)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_major = (int)device->properties->compute_major;
    *ret_minor = (int)device->properties->compute_minor;
    return CUDA_SUCCESS;
}

/* ---- attributes ---- */

/* Attributes that are the same for every software device; those in neither table nor switch are 0: what this
 * GPU has not. */
static const int fixed_attributes[CU_DEVICE_ATTRIBUTE_MAX] = {
    [CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = DEVICE_THREADS_PER_BLOCK,
    [CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X] = DEVICE_BLOCK_X,
    [CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y] = DEVICE_BLOCK_Y,
    [CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z] = DEVICE_BLOCK_Z,
    [CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X] = DEVICE_GRID_X,
    [CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y] = DEVICE_GRID_YZ,
    [CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z] = DEVICE_GRID_YZ,
    [CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK] = DEVICE_SHARED_PER_BLOCK,
    [CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY] = 65536,
    [CU_DEVICE_ATTRIBUTE_WARP_SIZE] = DEVICE_WARP,
    [CU_DEVICE_ATTRIBUTE_MAX_PITCH] = 2147483647,
    [CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK] = DEVICE_REGISTERS,
    [CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT] = DEVICE_TEXTURE_ALIGN,
    [CU_DEVICE_ATTRIBUTE_GPU_OVERLAP] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY] = 1,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_WIDTH] = 131072,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_WIDTH] = 131072,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_HEIGHT] = 65536,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_WIDTH] = 16384,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_HEIGHT] = 16384,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_DEPTH] = 16384,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_HEIGHT] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_LAYERS] = 2048,
    [CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT] = 512,
    [CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS] = 1,
    [CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE] = 4 * (int)MIB,
    [CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR] = DEVICE_THREADS_PER_SM,
    [CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT] = 1,
    [CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING] = 1,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LAYERED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LAYERED_LAYERS] = 2048,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_GATHER_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_GATHER_HEIGHT] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE] = 8192,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE] = 8192,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE] = 32768,
    [CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT] = DEVICE_TEXTURE_PITCH_ALIGN,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURECUBEMAP_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS] = 2046,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE1D_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_WIDTH] = 131072,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_HEIGHT] = 65536,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE3D_WIDTH] = 16384,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE3D_HEIGHT] = 16384,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE3D_DEPTH] = 16384,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE1D_LAYERED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE1D_LAYERED_LAYERS] = 2048,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_LAYERED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_LAYERED_HEIGHT] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_LAYERED_LAYERS] = 2048,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACECUBEMAP_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS] = 2046,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH] = 268435456,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_WIDTH] = 131072,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_HEIGHT] = 65000,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_PITCH] = 2097120,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT] = 32768,
    [CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH] = 32768,
    [CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR] = DEVICE_SHARED_PER_SM,
    [CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR] = DEVICE_REGISTERS,
    [CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY] = 1,
    [CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO] = 32,
    [CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS] = 1,
    [CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS_V1] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR_V1] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS] = 1,
    [CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR] = 1,
    [CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH] = 1,
    [CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN] = DEVICE_SHARED_OPTIN,
    [CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR] = DEVICE_BLOCKS_PER_SM,
    [CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED] = 1,
    [CU_DEVICE_ATTRIBUTE_MEM_SYNC_DOMAIN_COUNT] = 1,
    [CU_DEVICE_ATTRIBUTE_NUMA_ID] = -1,
    [CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID] = -1,
};

static int attribute_value(const struct sgdev_properties *properties, CUdevice_attribute attribute)
{
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
        return (int)properties->clock_khz;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        return (int)properties->sm_count;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
        return (int)properties->pci_bus;
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
        return (int)properties->pci_device;
    case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
        return (int)properties->pci_domain;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
        return (int)properties->memory_clock_khz;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
        return (int)properties->bus_width_bits;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        return (int)properties->compute_major;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        return (int)properties->compute_minor;
    default:
        return fixed_attributes[attribute];
    }
}

CUresult cuDeviceGetAttribute(int *ret_value, CUdevice_attribute attribute, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_value || (int)attribute <= 0 || attribute >= CU_DEVICE_ATTRIBUTE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_value = attribute_value(device->properties, attribute);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *ret_properties, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_properties)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_properties = (CUdevprop){
        .maxThreadsPerBlock = DEVICE_THREADS_PER_BLOCK,
        .maxThreadsDim = {DEVICE_BLOCK_X, DEVICE_BLOCK_Y, DEVICE_BLOCK_Z},
        .maxGridSize = {DEVICE_GRID_X, DEVICE_GRID_YZ, DEVICE_GRID_YZ},
        .sharedMemPerBlock = DEVICE_SHARED_PER_BLOCK,
        .totalConstantMemory = 65536,
        .SIMDWidth = DEVICE_WARP,
        .memPitch = 2147483647,
        .regsPerBlock = DEVICE_REGISTERS,
        .clockRate = (int)device->properties->clock_khz,
        .textureAlign = DEVICE_TEXTURE_ALIGN,
    };
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int *ret_supported, CUexecAffinityType type, CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!ret_supported || (unsigned)type >= CU_EXEC_AFFINITY_TYPE_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_supported = 0;
    return CUDA_SUCCESS;
}

/* ---- the bus ---- */

CUresult cuDeviceGetPCIBusId(char *text, int text_bytes, CUdevice ordinal)
{
    enum { BUS_ID_BYTES = 13 }; /* "0000:00:00.0" and its NUL */
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!text || text_bytes < BUS_ID_BYTES)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(text, (size_t)text_bytes, "%04X:%02X:%02X.0", device->properties->pci_domain,
             device->properties->pci_bus, device->properties->pci_device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *ret_device, const char *text)
{
    unsigned domain = 0, bus, slot, function = 0;
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_device || !text)
        return CUDA_ERROR_INVALID_VALUE;
    if (sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3) {
        domain = 0;
        if (sscanf(text, "%x:%x.%x", &bus, &slot, &function) < 2)
            return CUDA_ERROR_INVALID_VALUE;
    }
    for (unsigned i = 0; i < process_device_count(); i++) {
        const struct sgdev_properties *properties = process_device_at(i)->properties;

        if (properties->pci_domain == domain && properties->pci_bus == bus &&
            properties->pci_device == slot) {
            *ret_device = (CUdevice)i;
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_INVALID_DEVICE;
}

/* ---- peers ---- */

/* All software devices are this process's memory, so any two reach each other. */
CUresult cuDeviceCanAccessPeer(int *ret_can, CUdevice ordinal, CUdevice peer)
{
    struct device *device, *other;
    CUresult result = process_device(ordinal, &device);

    if (!result)
        result = process_device(peer, &other);
    if (result)
        return result;
    if (!ret_can)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_can = device != other;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *ret_value, CUdevice_P2PAttribute attribute, CUdevice ordinal,
                                 CUdevice peer)
{
    struct device *device, *other;
    CUresult result = process_device(ordinal, &device);

    if (!result)
        result = process_device(peer, &other);
    if (result)
        return result;
    if (device == other)
        return CUDA_ERROR_INVALID_DEVICE;
    if (!ret_value)
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED:
    case CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED:
        *ret_value = 1;
        return CUDA_SUCCESS;
    case CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK:
    case CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED:
        *ret_value = 0;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}
