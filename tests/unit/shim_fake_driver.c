/* A driver for the tests of the shim: libcuda.so.1 and libnvidia-ml.so.1 in one object, with two devices
 * whose memory is a counter. Granules, contexts, pools and streams behave as far as accounts can see them;
 * there is nothing behind an address. One thread at a time. */
#include "shim_fake_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cuda_table.h"
#include "api/lookup.h"
#include "api/nvml_table.h"

#include <dlfcn.h>

enum {
    BLOCKS = 4096,
    CONTEXTS = 16,
    POOLS = 8,
    STACK = 8,
    SLABS = 2048,
    CHUNKS = 64,
    SMALL_MAX = 1 << 20,
    GRANULE = 2 << 20
};

struct chunk {
    uint64_t base, bytes;
};

struct CUmemPoolHandle_st {
    bool alive;
    CUdevice device;
    struct chunk chunks[CHUNKS];                      /* what the pool reserved, piece by piece */
    uint64_t reserved_bytes, used_bytes, freed_bytes; /* freed: by a stream, not yet waited for */
};

struct block {
    uint64_t address, bytes;
    CUdevice device;
    CUcontext context;
    CUmemoryPool pool;
    bool going; /* freed in a stream, not yet waited for */
};

/* A granule with small blocks, one after the other; it goes when the last of them has. */
struct slab {
    uint64_t base, filled_bytes;
    unsigned blocks;
    CUcontext context;
    bool managed;
};

static struct fake fake = {
    .devices = {{.capacity_bytes = UINT64_C(16) << 30}, {.capacity_bytes = UINT64_C(8) << 30}},
    .context_bytes = UINT64_C(100) << 20,
    .module_bytes = UINT64_C(2) << 20,
    .pool_growth = UINT64_C(32) << 20,
    .pitch_align = 512,
    .foreign_file = fake_foreign_file,
    .foreign_ipc = fake_foreign_ipc};
static struct block blocks[BLOCKS];
static struct slab slabs[SLABS];
static struct CUctx_st contexts[CONTEXTS];
static struct CUmemPoolHandle_st pools[POOLS] = {{.alive = true, .device = 0}, {.alive = true, .device = 1}};
static CUcontext primaries[FAKE_DEVICES];
static unsigned primary_references[FAKE_DEVICES];
static CUcontext stack[STACK];
static int depth;
static uint64_t next_address = UINT64_C(0x700000000000);
static bool initialised, events_done;

struct fake *fake_state(void)
{
    return &fake;
}

#define CALL(name) FAKE_CALL(name, !initialised)

static CUcontext current(void)
{
    return depth ? stack[depth - 1] : NULL;
}

static bool take(CUdevice device, uint64_t bytes)
{
    struct fake_device *d = &fake.devices[device];

    if (bytes > d->capacity_bytes - d->used_bytes)
        return false;
    d->used_bytes += bytes;
    if (d->used_bytes > d->most_used_bytes)
        d->most_used_bytes = d->used_bytes;
    return true;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static uint64_t address_take(uint64_t bytes)
{
    uint64_t address = next_address;

    next_address += round_up(bytes, GRANULE);
    return address;
}

CUcontext fake_current(void)
{
    return current();
}

bool fake_take(CUdevice device, uint64_t bytes)
{
    return take(device, bytes);
}

uint64_t fake_address_take(uint64_t bytes)
{
    return address_take(bytes);
}

CUresult fake_fail(void)
{
    CUresult result = (CUresult)fake.fail_next;

    fake.fail_next = 0;
    return result;
}

/* A place in a slab for a small block, 0 when the device is full. */
static uint64_t slab_take(uint64_t bytes, bool managed)
{
    struct slab *unused = NULL;

    for (int i = 0; i < SLABS; i++) {
        struct slab *slab = &slabs[i];

        if (!slab->blocks) {
            unused = slab;
        } else if (slab->context == current() && slab->managed == managed &&
                   slab->filled_bytes + bytes <= GRANULE) {
            slab->blocks++;
            slab->filled_bytes += bytes;
            return slab->base + slab->filled_bytes - bytes;
        }
    }
    if (!unused || !take(current()->device, GRANULE))
        return 0;
    *unused = (struct slab){address_take(GRANULE), bytes, 1, current(), managed};
    return unused->base;
}

/* What the device gets back when the block goes. */
static uint64_t block_give(const struct block *block)
{
    if (block->bytes > SMALL_MAX)
        return round_up(block->bytes, GRANULE);
    for (int i = 0; i < SLABS; i++)
        if (slabs[i].blocks && slabs[i].base == block->address / GRANULE * GRANULE)
            return --slabs[i].blocks ? 0 : GRANULE;
    return 0;
}

/* ---- devices ---- */

CUresult cuInit(unsigned int flags)
{
    initialised = true;
    fake.last_call = "cuInit";
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version)
{
    *version = 13000;
    fake.last_call = "cuDriverGetVersion";
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    CALL(cuDeviceGetCount);
    *count = FAKE_DEVICES;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    if (ordinal < 0 || ordinal >= FAKE_DEVICES)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    memset(uuid, 0x10 + device, sizeof(*uuid));
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CALL(cuDeviceTotalMem_v2);
    *bytes = fake.devices[device].capacity_bytes;
    return CUDA_SUCCESS;
}

/* ---- contexts ---- */

static CUresult context_new(CUcontext *context, CUdevice device)
{
    void (*meanwhile)(void) = fake.while_context;

    fake.while_context = NULL;
    if (meanwhile)
        meanwhile();
    if (fake.fail_next) {
        CUresult result = (CUresult)fake.fail_next;

        fake.fail_next = 0;
        return result;
    }
    for (int i = 0; i < CONTEXTS; i++) {
        if (contexts[i].alive)
            continue;
        if (!take(device, fake.context_bytes))
            return CUDA_ERROR_OUT_OF_MEMORY;
        contexts[i] = (struct CUctx_st){.alive = true, .device = device};
        *context = &contexts[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

static void context_end(CUcontext context)
{
    fake.devices[context->device].used_bytes -= fake.context_bytes;
    for (int i = 0; i < BLOCKS; i++) {
        if (!blocks[i].address || blocks[i].context != context || blocks[i].pool)
            continue;
        fake.devices[blocks[i].device].used_bytes -= block_give(&blocks[i]);
        blocks[i].address = 0;
    }
    fake_arrays_end(context);
    fake_vmm_end(context);
    context->alive = false;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    CUresult result;

    CALL(cuCtxCreate_v2);
    result = context_new(context, device);
    if (result == CUDA_SUCCESS)
        stack[depth++] = *context;
    return result;
}

CUresult cuCtxDestroy_v2(CUcontext context)
{
    CALL(cuCtxDestroy_v2);
    if (!context || !context->alive)
        return CUDA_ERROR_INVALID_CONTEXT;
    if (current() == context)
        depth--;
    context_end(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    *context = current();
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context)
{
    depth = context ? 1 : 0;
    stack[0] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context)
{
    if (!context->alive || depth == STACK)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context)
{
    *context = stack[--depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    if (!current())
        return CUDA_ERROR_INVALID_CONTEXT;
    *device = current()->device;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    CUresult result = CUDA_SUCCESS;

    CALL(cuDevicePrimaryCtxRetain);
    if (!primary_references[device])
        result = context_new(&primaries[device], device);
    if (result)
        return result;
    primary_references[device]++;
    *context = primaries[device];
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    CALL(cuDevicePrimaryCtxRelease_v2);
    if (!primary_references[device])
        return CUDA_ERROR_INVALID_CONTEXT;
    if (--primary_references[device] == 0)
        context_end(primaries[device]);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active)
{
    *flags = 0;
    *active = primary_references[device] != 0;
    return CUDA_SUCCESS;
}

/* ---- memory ---- */

static CUresult block_new(uint64_t address, uint64_t bytes, CUmemoryPool pool)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i].address)
            continue;
        blocks[i] =
            (struct block){address, bytes, pool ? pool->device : current()->device, current(), pool, false};
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

static CUresult alloc(CUdeviceptr *address, uint64_t bytes, bool managed)
{
    if (fake.fail_next) {
        CUresult result = (CUresult)fake.fail_next;

        fake.fail_next = 0;
        return result;
    }
    if (!current())
        return CUDA_ERROR_INVALID_CONTEXT;
    if (!bytes || !address)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > SMALL_MAX)
        *address = take(current()->device, round_up(bytes, GRANULE)) ? address_take(bytes) : 0;
    else
        *address = slab_take(round_up(bytes, 512), managed);
    return *address ? block_new(*address, bytes, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
    CALL(cuMemAlloc_v2);
    return alloc(address, bytes, false);
}

CUresult cuMemAlloc(CUdeviceptr_v1 *address, unsigned int bytes)
{
    CUdeviceptr wide;
    CUresult result;

    CALL(cuMemAlloc);
    result = alloc(&wide, bytes, false);
    if (result == CUDA_SUCCESS)
        *address = (CUdeviceptr_v1)wide;
    return result;
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags)
{
    CALL(cuMemAllocManaged);
    return alloc(address, bytes, true);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
                            unsigned int element_bytes)
{
    CALL(cuMemAllocPitch_v2);
    *pitch = (width + fake.pitch_align - 1) / fake.pitch_align * fake.pitch_align;
    return alloc(address, *pitch * height, false);
}

static struct block *block_of(CUdeviceptr address)
{
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].address && blocks[i].address == address)
            return &blocks[i];
    return NULL;
}

bool fake_block_at(CUdeviceptr address, uint64_t *ret_base, uint64_t *ret_bytes)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (!blocks[i].address || address < blocks[i].address ||
            address - blocks[i].address >= blocks[i].bytes)
            continue;
        *ret_base = blocks[i].address;
        *ret_bytes = blocks[i].bytes;
        return true;
    }
    return false;
}

CUresult cuMemFree_v2(CUdeviceptr address)
{
    struct block *block = block_of(address);

    CALL(cuMemFree_v2);
    if (!address || fake_graph_node_at(address) || fake_buffer_free(address))
        return CUDA_SUCCESS;
    if (!block || block->going)
        return CUDA_ERROR_INVALID_VALUE;
    if (block->pool)
        block->pool->used_bytes -= block->bytes;
    else
        fake.devices[block->device].used_bytes -= block_give(block);
    block->address = 0;
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    const struct fake_device *device;

    CALL(cuMemGetInfo_v2);
    if (!current())
        return CUDA_ERROR_INVALID_CONTEXT;
    device = &fake.devices[current()->device];
    if (free_bytes)
        *free_bytes = device->capacity_bytes - device->used_bytes;
    if (total_bytes)
        *total_bytes = device->capacity_bytes;
    return CUDA_SUCCESS;
}

/* As the first version does: figures that do not fit are shown as the most that do. */
CUresult cuMemGetInfo(unsigned int *free_bytes, unsigned int *total_bytes)
{
    size_t free_v2, total_v2;
    CUresult result = cuMemGetInfo_v2(&free_v2, &total_v2);

    if (result)
        return result;
    *free_bytes = free_v2 < UINT32_MAX ? (unsigned int)free_v2 : UINT32_MAX;
    *total_bytes = total_v2 < UINT32_MAX ? (unsigned int)total_v2 : UINT32_MAX;
    return CUDA_SUCCESS;
}

/* ---- pools and streams: what a stream frees is free when somebody waits ---- */

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device)
{
    *pool = &pools[device];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device)
{
    *pool = &pools[device];
    return CUDA_SUCCESS;
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties)
{
    CALL(cuMemPoolCreate);
    for (int i = FAKE_DEVICES; i < POOLS; i++) {
        if (pools[i].alive)
            continue;
        pools[i] = (struct CUmemPoolHandle_st){.alive = true, .device = properties->location.id};
        *pool = &pools[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

static const struct block *block_in(uint64_t base, uint64_t bytes)
{
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].address && blocks[i].pool && blocks[i].address < base + bytes &&
            base < blocks[i].address + blocks[i].bytes)
            return &blocks[i];
    return NULL;
}

/* Chunks in which nothing lies go back to the device. */
static void pool_trim(CUmemoryPool pool, uint64_t keep_bytes)
{
    for (int i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = &pool->chunks[i];

        if (!chunk->bytes || block_in(chunk->base, chunk->bytes) ||
            pool->reserved_bytes - chunk->bytes < keep_bytes)
            continue;
        fake.devices[pool->device].used_bytes -= chunk->bytes;
        pool->reserved_bytes -= chunk->bytes;
        chunk->bytes = 0;
    }
}

/* First fit. 0 when no chunk has room. */
static uint64_t pool_place(CUmemoryPool pool, uint64_t bytes)
{
    for (int i = 0; i < CHUNKS; i++) {
        const struct chunk *chunk = &pool->chunks[i];
        uint64_t base = chunk->base;
        const struct block *block;

        while (base + bytes <= chunk->base + chunk->bytes) {
            block = block_in(base, bytes);
            if (!block)
                return base;
            base = block->address + block->bytes;
        }
    }
    return 0;
}

static bool pool_grow(CUmemoryPool pool, uint64_t bytes)
{
    uint64_t growth = round_up(bytes, fake.pool_growth);

    for (int i = 0; i < CHUNKS; i++) {
        if (pool->chunks[i].bytes)
            continue;
        if (!take(pool->device, growth))
            return false;
        pool->chunks[i] = (struct chunk){address_take(growth), growth};
        pool->reserved_bytes += growth;
        return true;
    }
    return false;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep_bytes)
{
    CALL(cuMemPoolTrimTo);
    pool_trim(pool, keep_bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    CALL(cuMemPoolDestroy);
    pool->alive = false;
    pool_trim(pool, 0);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    if (!pool->alive)
        return CUDA_ERROR_INVALID_VALUE;
    *(cuuint64_t *)value = attribute == CU_MEMPOOL_ATTR_USED_MEM_CURRENT
                               ? pool->used_bytes + pool->freed_bytes
                               : pool->reserved_bytes;
    return CUDA_SUCCESS;
}

static CUresult pool_alloc(CUdeviceptr *address, uint64_t bytes, CUmemoryPool pool)
{
    if (fake.fail_next) {
        CUresult result = (CUresult)fake.fail_next;

        fake.fail_next = 0;
        return result;
    }
    if (fake.capturing)
        return fake_capture_alloc(address, bytes, pool->device);
    bytes = round_up(bytes, 512);
    *address = pool_place(pool, bytes);
    if (!*address && pool_grow(pool, bytes))
        *address = pool_place(pool, bytes);
    if (!*address)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pool->used_bytes += bytes;
    return block_new(*address, bytes, pool);
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    CALL(cuMemAllocAsync);
    return pool_alloc(address, bytes,
                      &pools[stream ? ((CUcontext)(void *)stream)->device : current()->device]);
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    CALL(cuMemAllocAsync_ptsz);
    return pool_alloc(address, bytes, &pools[current()->device]);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    CALL(cuMemAllocFromPoolAsync);
    return pool_alloc(address, bytes, pool);
}

/* A stream is its context. */
CUresult cuStreamGetCtx(CUstream stream, CUcontext *context)
{
    *context = (CUcontext)(void *)stream;
    return CUDA_SUCCESS;
}

static CUresult free_async(CUdeviceptr address)
{
    struct block *block = block_of(address);

    if (fake_graph_node_at(address))
        return CUDA_SUCCESS;
    if (!block || block->going)
        return CUDA_ERROR_INVALID_VALUE;
    block->going = true;
    events_done = false;
    if (block->pool) {
        block->pool->used_bytes -= block->bytes;
        block->pool->freed_bytes += block->bytes;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
    CALL(cuMemFreeAsync);
    return free_async(address);
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream)
{
    CALL(cuMemFreeAsync_ptsz);
    return free_async(address);
}

static CUresult wait_all(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (!blocks[i].address || !blocks[i].going)
            continue;
        if (blocks[i].pool)
            blocks[i].pool->freed_bytes -= blocks[i].bytes;
        else
            fake.devices[blocks[i].device].used_bytes -= block_give(&blocks[i]);
        blocks[i].address = 0;
    }
    for (int i = 0; i < POOLS; i++)
        pool_trim(&pools[i], 0);
    events_done = true;
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream)
{
    CALL(cuStreamSynchronize);
    return wait_all();
}

CUresult cuStreamSynchronize_ptsz(CUstream stream)
{
    CALL(cuStreamSynchronize_ptsz);
    return wait_all();
}

CUresult cuCtxSynchronize(void)
{
    CALL(cuCtxSynchronize);
    return wait_all();
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    *status = fake.capturing ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing_ptsz(CUstream stream, CUstreamCaptureStatus *status)
{
    return cuStreamIsCapturing(stream, status);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    *event = (CUevent)&fake;
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    return CUDA_SUCCESS;
}

CUresult cuEventRecord_ptsz(CUevent event, CUstream stream)
{
    return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event)
{
    return events_done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventDestroy_v2(CUevent event)
{
    return CUDA_SUCCESS;
}

/* ---- modules, and doors that are refused ---- */

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    CALL(cuModuleLoadData);
    if (!take(current()->device, fake.module_bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    *module = (CUmodule)&fake;
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module)
{
    CALL(cuModuleUnload);
    fake.devices[current()->device].used_bytes -= fake.module_bytes;
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
                        unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared_bytes,
                        CUstream stream, void **params, void **extra)
{
    CALL(cuLaunchKernel);
    return gx + bz + shared_bytes == 7 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- lookup ---- */

/* By the same rows as everybody, so that a name of a version is that function of this object; "cuMemAllocNew"
 * is one that nobody knows. */
CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    const struct cuda_row *row;
    Dl_info self;
    void *handle;

    *function = NULL;
    if (strcmp(symbol, "cuMemAllocNew") == 0) {
        *function = (void *)cuModuleUnload;
        return CUDA_SUCCESS;
    }
    if (api_cuda_find(symbol, version, flags, &row) < 0)
        return CUDA_ERROR_NOT_FOUND;
    dladdr((void *)cuGetProcAddress_v2, &self);
    handle = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    *function = dlsym(handle, row->symbol);
    dlclose(handle);
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
    return cuGetProcAddress_v2(symbol, function, version, flags, NULL);
}

/* ---- NVML ---- */

nvmlReturn_t nvmlInit_v2(void)
{
    return NVML_SUCCESS;
}

static nvmlDevice_t handle_of(CUdevice device)
{
    return (nvmlDevice_t)&fake.devices[device];
}

static CUdevice device_of(nvmlDevice_t handle)
{
    return (CUdevice)((struct fake_device *)(void *)handle - fake.devices);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t handle, char *uuid, unsigned int length)
{
    int b = 0x10 + device_of(handle);

    snprintf(uuid, length, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b, b,
             b, b, b, b, b, b, b, b, b, b, b, b, b, b);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *handle)
{
    if (index >= FAKE_DEVICES)
        return NVML_ERROR_INVALID_ARGUMENT;
    *handle = handle_of((CUdevice)index);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *handle)
{
    for (CUdevice device = 0; device < FAKE_DEVICES; device++) {
        char name[64];

        nvmlDeviceGetUUID(handle_of(device), name, sizeof(name));
        if (strcmp(name, uuid) == 0) {
            *handle = handle_of(device);
            return NVML_SUCCESS;
        }
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned int *count,
                                                     nvmlProcessInfo_t *rows)
{
    if (*count < 2)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    rows[0] = (nvmlProcessInfo_t){.pid = 1, .usedGpuMemory = UINT64_C(7) << 30};
    rows[1] = (nvmlProcessInfo_t){.pid = (unsigned int)getpid(),
                                  .usedGpuMemory = fake.devices[device_of(handle)].used_bytes};
    *count = fake.hide_process || !rows[1].usedGpuMemory ? 1 : 2;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, nvmlMemory_t *memory)
{
    const struct fake_device *device = &fake.devices[device_of(handle)];

    *memory = (nvmlMemory_t){.total = device->capacity_bytes,
                             .free = device->capacity_bytes - device->used_bytes,
                             .used = device->used_bytes};
    return NVML_SUCCESS;
}
