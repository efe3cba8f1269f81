/* Physical memory of the tests' fake driver, and memory that other processes made: cuMemCreate and its
 * family, CUipcMemHandle, external memory. Physical memory is there until its last handle is released, its
 * last mapping is gone and no other process holds it. A shareable handle is a descriptor of a file that bears
 * nothing but its identity. Addresses have nothing behind them. */
#include "shim_fake_parts.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PHYSICALS = 128,
    FILES = 4,
    HANDLES = 256,
    MAPPINGS = 256,
    RESERVATIONS = 32,
    IMPORTS = 32,
    OPENED = 32
};

struct fake_physical {
    unsigned references; /* handles and mappings, and one for other processes; 0: there is none */
    CUdevice device;     /* -1: the host's memory */
    uint64_t bytes;
    unsigned elsewhere; /* of those, what other processes hold */
    bool counted;       /* it is on this process's account */
    unsigned n_files;
    ino_t files[FILES]; /* that it was exported as */
};

static struct fake_physical physicals[PHYSICALS];
static struct handle {
    struct fake_physical *physical;
    unsigned count;
} handles[HANDLES];
static struct mapping {
    uint64_t address, bytes;
    struct fake_physical *physical;
    CUcontext
        context; /* of a buffer of external memory, which ends with cuMemFree or its context; else NULL */
} mappings[MAPPINGS];
static struct reservation {
    uint64_t address, bytes;
} reservations[RESERVATIONS];
struct CUextMemory_st {
    struct fake_physical *physical;
};
static struct CUextMemory_st imports[IMPORTS];
/* Memory named by a CUipcMemHandle, opened here. */
static struct opened {
    CUipcMemHandle handle;
    uint64_t address, bytes;
    unsigned count;
    CUcontext context;
    struct fake_physical *physical; /* NULL: this process's own */
} opened[OPENED];

/* What a CUipcMemHandle of this driver says. */
struct ipc_name {
    uint64_t address; /* of this process's own allocation; 0: it is of another process */
    uint64_t bytes, physical;
};

/* ---- physical memory ---- */

static struct fake_physical *physical_new(CUdevice device, uint64_t bytes)
{
    for (int i = 0; i < PHYSICALS; i++) {
        if (physicals[i].references)
            continue;
        physicals[i] = (struct fake_physical){.references = 1, .device = device, .bytes = bytes};
        return &physicals[i];
    }
    return NULL;
}

/* The device has it from now on; false when it is full. */
static bool physical_count(struct fake_physical *physical)
{
    if (physical->counted || physical->device < 0)
        return true;
    physical->counted = fake_take(physical->device, physical->bytes);
    return physical->counted;
}

/* Other processes' memory is on this process's account as long as this process uses it. */
void fake_physical_unref(struct fake_physical *physical)
{
    physical->references--;
    if (physical->counted && physical->references == physical->elsewhere) {
        fake_state()->devices[physical->device].used_bytes -= physical->bytes;
        physical->counted = false;
    }
}

static struct fake_physical *physical_of_file(int fd)
{
    struct stat file;

    if (fstat(fd, &file) < 0)
        return NULL;
    for (int i = 0; i < PHYSICALS; i++)
        for (unsigned f = 0; f < physicals[i].n_files; f++)
            if (physicals[i].references && physicals[i].files[f] == file.st_ino)
                return &physicals[i];
    return NULL;
}

/* A file that leads to it; the same object may have several. */
static int physical_file(struct fake_physical *physical, uint64_t file_bytes)
{
    int fd = memfd_create("fake memory", MFD_CLOEXEC);
    struct stat file;

    if (physical->n_files == FILES || fd < 0 || ftruncate(fd, (off_t)file_bytes) < 0 || fstat(fd, &file) < 0)
        return -1;
    physical->files[physical->n_files++] = file.st_ino;
    return fd;
}

static CUresult handle_new(CUmemGenericAllocationHandle *value, struct fake_physical *physical)
{
    for (int i = 0; i < HANDLES; i++) {
        if (handles[i].count)
            continue;
        handles[i] = (struct handle){physical, 1};
        *value = (CUmemGenericAllocationHandle)(i + 1) << 12;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

static struct handle *handle_of(CUmemGenericAllocationHandle value)
{
    uint64_t i = (value >> 12) - 1;

    return !(value & 0xfff) && i < HANDLES && handles[i].count ? &handles[i] : NULL;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *properties, unsigned long long flags)
{
    struct fake_physical *physical;
    CUresult result = fake_fail();
    bool on_device;

    FAKE_CALL(cuMemCreate, false);
    if (result)
        return result;
    if (!handle || !properties || !bytes || bytes % FAKE_GRANULE || flags)
        return CUDA_ERROR_INVALID_VALUE;
    on_device = properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
    if (on_device && (properties->location.id < 0 || properties->location.id >= FAKE_DEVICES))
        return CUDA_ERROR_INVALID_DEVICE;
    if (!on_device && properties->location.type != CU_MEM_LOCATION_TYPE_HOST &&
        properties->location.type != CU_MEM_LOCATION_TYPE_HOST_NUMA)
        return CUDA_ERROR_INVALID_VALUE;
    physical = physical_new(on_device ? properties->location.id : -1, bytes);
    if (!physical)
        return CUDA_ERROR_UNKNOWN;
    if (!physical_count(physical)) {
        fake_physical_unref(physical);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return handle_new(handle, physical);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle value)
{
    struct handle *handle = handle_of(value);
    CUresult result = fake_fail();

    FAKE_CALL(cuMemRelease, false);
    if (result || !handle)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    handle->count--;
    fake_physical_unref(handle->physical);
    return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties,
                                                CUmemGenericAllocationHandle value)
{
    const struct handle *handle = handle_of(value);

    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    memset(properties, 0, sizeof(*properties));
    properties->type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties->location.type =
        handle->physical->device < 0 ? CU_MEM_LOCATION_TYPE_HOST_NUMA : CU_MEM_LOCATION_TYPE_DEVICE;
    properties->location.id = handle->physical->device < 0 ? 0 : handle->physical->device;
    return CUDA_SUCCESS;
}

/* A multicast object costs a granule of the current device. */
CUresult cuMulticastCreate(CUmemGenericAllocationHandle *handle, const CUmulticastObjectProp *properties)
{
    struct fake_physical *physical;
    CUresult result = fake_fail();

    FAKE_CALL(cuMulticastCreate, false);
    if (result || !handle || !properties || !properties->size)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    physical = physical_new(fake_current()->device, FAKE_GRANULE);
    if (!physical || !physical_count(physical))
        return CUDA_ERROR_OUT_OF_MEMORY;
    return handle_new(handle, physical);
}

/* ---- addresses and mappings ---- */

CUresult cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment, CUdeviceptr wish,
                             unsigned long long flags)
{
    FAKE_CALL(cuMemAddressReserve, false);
    if (!address || !bytes || bytes % FAKE_GRANULE)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < RESERVATIONS; i++) {
        if (reservations[i].bytes)
            continue;
        reservations[i] = (struct reservation){fake_address_take(bytes), bytes};
        *address = reservations[i].address;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

static struct mapping *mapping_in(uint64_t address, uint64_t bytes)
{
    for (int i = 0; i < MAPPINGS; i++)
        if (mappings[i].bytes && mappings[i].address < address + bytes &&
            address < mappings[i].address + mappings[i].bytes)
            return &mappings[i];
    return NULL;
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes)
{
    FAKE_CALL(cuMemAddressFree, false);
    for (int i = 0; i < RESERVATIONS; i++) {
        if (!bytes || reservations[i].address != address || reservations[i].bytes != bytes ||
            mapping_in(address, bytes))
            continue;
        reservations[i].bytes = 0;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static bool is_reserved(uint64_t address, uint64_t bytes)
{
    for (int i = 0; i < RESERVATIONS; i++)
        if (address >= reservations[i].address && bytes <= reservations[i].bytes &&
            address - reservations[i].address <= reservations[i].bytes - bytes)
            return true;
    return false;
}

static CUresult mapping_new(uint64_t address, uint64_t bytes, struct fake_physical *physical,
                            CUcontext context)
{
    for (int i = 0; i < MAPPINGS; i++) {
        if (mappings[i].bytes)
            continue;
        mappings[i] = (struct mapping){address, bytes, physical, context};
        physical->references++;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset_bytes, CUmemGenericAllocationHandle value,
                  unsigned long long flags)
{
    const struct handle *handle = handle_of(value);
    CUresult result = fake_fail();

    FAKE_CALL(cuMemMap, false);
    if (result)
        return result;
    if (!handle || !bytes || bytes % FAKE_GRANULE || offset_bytes % FAKE_GRANULE || flags ||
        bytes > handle->physical->bytes || offset_bytes > handle->physical->bytes - bytes ||
        !is_reserved(address, bytes) || mapping_in(address, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    return mapping_new(address, bytes, handle->physical, NULL);
}

/* All of the range is mapped, and no mapping lies only partly in it. */
static bool is_mapped_whole(uint64_t address, uint64_t bytes)
{
    uint64_t sum = 0;

    for (int i = 0; i < MAPPINGS; i++) {
        const struct mapping *m = &mappings[i];

        if (!m->bytes || m->address >= address + bytes || m->address + m->bytes <= address)
            continue;
        if (m->address < address || m->address + m->bytes > address + bytes)
            return false;
        sum += m->bytes;
    }
    return bytes && sum == bytes;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes)
{
    struct mapping *mapping;
    CUresult result = fake_fail();

    FAKE_CALL(cuMemUnmap, false);
    if (result || !is_mapped_whole(address, bytes))
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    while ((mapping = mapping_in(address, bytes))) {
        mapping->bytes = 0;
        fake_physical_unref(mapping->physical);
    }
    return CUDA_SUCCESS;
}

/* The same handle once more: it takes one more release. When it was released already: a new one. */
CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *value, void *address)
{
    const struct mapping *mapping = mapping_in((uint64_t)(uintptr_t)address, 1);
    CUresult result = fake_fail();

    FAKE_CALL(cuMemRetainAllocationHandle, false);
    if (result || !mapping || !value)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    mapping->physical->references++;
    for (int i = 0; i < HANDLES; i++) {
        if (!handles[i].count || handles[i].physical != mapping->physical)
            continue;
        handles[i].count++;
        *value = (CUmemGenericAllocationHandle)(i + 1) << 12;
        return CUDA_SUCCESS;
    }
    return handle_new(value, mapping->physical);
}

/* ---- between processes ---- */

CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle value,
                                      CUmemAllocationHandleType type, unsigned long long flags)
{
    const struct handle *handle = handle_of(value);
    CUresult result = fake_fail();
    uint64_t name;
    int fd;

    FAKE_CALL(cuMemExportToShareableHandle, false);
    if (result || !handle || !shareable)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    if (type == CU_MEM_HANDLE_TYPE_FABRIC) {
        name = (uint64_t)(handle->physical - physicals);
        memset(shareable, 0x5a, sizeof(CUmemFabricHandle));
        memcpy(shareable, &name, sizeof(name));
        return CUDA_SUCCESS;
    }
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_NOT_SUPPORTED;
    fd = physical_file(handle->physical, handle->physical->bytes);
    if (fd < 0)
        return CUDA_ERROR_UNKNOWN;
    *(int *)shareable = fd;
    return CUDA_SUCCESS;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *os_handle,
                                        CUmemAllocationHandleType type)
{
    struct fake_physical *physical = NULL;
    CUresult result = fake_fail();
    uint64_t name;

    FAKE_CALL(cuMemImportFromShareableHandle, false);
    if (result || !handle)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    if (type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
        physical = physical_of_file((int)(intptr_t)os_handle);
    } else if (type == CU_MEM_HANDLE_TYPE_FABRIC && os_handle) {
        memcpy(&name, os_handle, sizeof(name));
        physical = name < PHYSICALS && physicals[name].references ? &physicals[name] : NULL;
    }
    if (!physical)
        return CUDA_ERROR_INVALID_VALUE;
    if (!physical_count(physical))
        return CUDA_ERROR_OUT_OF_MEMORY;
    physical->references++;
    return handle_new(handle, physical);
}

/* ---- what other processes do ---- */

int fake_foreign_file(int device, uint64_t bytes, uint64_t file_bytes)
{
    struct fake_physical *physical = physical_new(device, bytes);

    physical->elsewhere = 1;
    return physical_file(physical, file_bytes);
}

void fake_foreign_ipc(int device, uint64_t bytes, void *handle)
{
    struct ipc_name name = {.bytes = bytes, .physical = (uint64_t)(physical_new(device, bytes) - physicals)};

    physicals[name.physical].elsewhere = 1;
    memset(handle, 0x77, sizeof(CUipcMemHandle));
    memcpy(handle, &name, sizeof(name));
}

/* ---- CUipcMemHandle ---- */

static struct opened *opened_at(uint64_t address)
{
    for (int i = 0; i < OPENED; i++)
        if (opened[i].count && opened[i].address == address)
            return &opened[i];
    return NULL;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *ret_base, size_t *ret_bytes, CUdeviceptr address)
{
    const struct mapping *mapping = mapping_in(address, 1);
    const struct opened *open = opened_at(address);
    uint64_t base = address, bytes = 0;

    if (open) {
        bytes = open->bytes;
    } else if (mapping) {
        base = mapping->address;
        bytes = mapping->bytes;
    } else if (!fake_block_at(address, &base, &bytes)) {
        return CUDA_ERROR_NOT_FOUND;
    }
    if (ret_base)
        *ret_base = base;
    if (ret_bytes)
        *ret_bytes = bytes;
    return CUDA_SUCCESS;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
    struct ipc_name name = {0};
    CUresult result = fake_fail();

    FAKE_CALL(cuIpcGetMemHandle, false);
    if (result || !handle || !fake_block_at(address, &name.address, &name.bytes))
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    memset(handle, 0x77, sizeof(*handle));
    memcpy(handle, &name, sizeof(name));
    return CUDA_SUCCESS;
}

/* A handle that is open in the context gives the same address once more. */
CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    struct fake_physical *physical = NULL;
    CUresult result = fake_fail();
    struct ipc_name name;
    int unused = -1;

    FAKE_CALL(cuIpcOpenMemHandle_v2, false);
    memcpy(&name, &handle, sizeof(name));
    if (result || !address || !name.bytes || !fake_current())
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < OPENED; i++) {
        if (!opened[i].count) {
            unused = i;
        } else if (opened[i].context == fake_current() &&
                   memcmp(&opened[i].handle, &handle, sizeof(handle)) == 0) {
            opened[i].count++;
            *address = opened[i].address;
            return CUDA_SUCCESS;
        }
    }
    if (!name.address) {
        physical = &physicals[name.physical];
        if (!physical_count(physical))
            return CUDA_ERROR_OUT_OF_MEMORY;
        physical->references++;
    }
    *address = fake_address_take(name.bytes);
    opened[unused] = (struct opened){handle, *address, name.bytes, 1, fake_current(), physical};
    return CUDA_SUCCESS;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    return cuIpcOpenMemHandle_v2(address, handle, flags);
}

static void opened_end(struct opened *open)
{
    open->count = 0;
    if (open->physical)
        fake_physical_unref(open->physical);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
    struct opened *open = opened_at(address);
    CUresult result = fake_fail();

    FAKE_CALL(cuIpcCloseMemHandle, false);
    if (result || !open)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    if (--open->count == 0)
        opened_end(open);
    return CUDA_SUCCESS;
}

/* ---- external memory ---- */

CUresult cuImportExternalMemory(CUexternalMemory *memory, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description)
{
    struct fake_physical *physical;
    CUresult result = fake_fail();

    FAKE_CALL(cuImportExternalMemory, false);
    if (result || !memory || !description)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    if (!fake_current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (description->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD ||
        !(physical = physical_of_file(description->handle.fd)))
        return CUDA_ERROR_INVALID_HANDLE;
    for (int i = 0; i < IMPORTS; i++) {
        if (imports[i].physical)
            continue;
        if (!physical_count(physical))
            return CUDA_ERROR_OUT_OF_MEMORY;
        physical->references++;
        imports[i].physical = physical;
        *memory = &imports[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

/* What is mapped from it stays until that is freed. */
CUresult cuDestroyExternalMemory(CUexternalMemory memory)
{
    CUresult result = fake_fail();

    FAKE_CALL(cuDestroyExternalMemory, false);
    if (result || !memory || !memory->physical)
        return result ? result : CUDA_ERROR_INVALID_HANDLE;
    fake_physical_unref(memory->physical);
    memory->physical = NULL;
    return CUDA_SUCCESS;
}

CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr *address, CUexternalMemory memory,
                                         const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *description)
{
    CUresult result = fake_fail();

    FAKE_CALL(cuExternalMemoryGetMappedBuffer, false);
    if (result || !address || !memory || !memory->physical || !description || !description->size)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    *address = fake_address_take(description->size);
    return mapping_new(*address, description->size, memory->physical, fake_current());
}

bool fake_buffer_free(CUdeviceptr address)
{
    struct mapping *mapping = mapping_in(address, 1);

    if (!mapping || !mapping->context || mapping->address != address)
        return false;
    mapping->bytes = 0;
    fake_physical_unref(mapping->physical);
    return true;
}

CUresult cuExternalMemoryGetMappedMipmappedArray(CUmipmappedArray *array, CUexternalMemory memory,
                                                 const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC *description)
{
    CUresult result = fake_fail();

    FAKE_CALL(cuExternalMemoryGetMappedMipmappedArray, false);
    if (result || !array || !memory || !memory->physical || !description)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    result = fake_array_of(array, memory->physical);
    if (result == CUDA_SUCCESS)
        memory->physical->references++;
    return result;
}

/* Opened handles and mapped buffers go with their context. */
void fake_vmm_end(CUcontext context)
{
    for (int i = 0; i < OPENED; i++)
        if (opened[i].count && opened[i].context == context)
            opened_end(&opened[i]);
    for (int i = 0; i < MAPPINGS; i++)
        if (mappings[i].bytes && mappings[i].context == context)
            fake_buffer_free(mappings[i].address);
}
