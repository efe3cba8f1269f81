/* A CUDA program in which every door to device memory is a word, each opened and closed in its own way. A
 * test drives it line by line and compares accounts after each answer.
 *
 *   take DOOR BYTES   -> "ok" or the CUDA error's name; one use of a door at a time
 *   give DOOR         -> "ok" or the error
 *   ipc               -> handle of what door `alloc` holds, in hex
 *   open HEX          -> opens such a handle; close -> closes it
 *   fd                -> "PID FD" of what door `vmm` holds, exported
 *   import PID FD     -> imports it and drops the descriptor; release -> releases it
 *   external PID FD BYTES -> imports it as external memory with a buffer mapped; external-end -> ends both
 *   doors             -> the names
 *   quit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "cuda.h"
#include "obedient.h"

static CUdevice device;
static CUcontext context;
static CUstream stream;
static CUmemoryPool pool;

#define TRY(call)                                                                                            \
    do {                                                                                                     \
        CUresult try_ = (call);                                                                              \
        if (try_ != CUDA_SUCCESS)                                                                            \
            return try_;                                                                                     \
    } while (0)

enum { MANY = 8 };

/* What a door holds. */
struct use {
    CUdeviceptr p[MANY];
    CUmemGenericAllocationHandle handle;
    CUarray array;
    CUmipmappedArray mipmap;
    CUgraph graph;
    CUgraphExec exec;
    CUcontext context;
    CUmodule module;
    CUlibrary library;
    size_t bytes, old;
};

/* ---- linear memory ---- */

static CUresult take_alloc(struct use *u, size_t bytes)
{
    return cuMemAlloc(&u->p[0], bytes);
}

static CUresult give_free(struct use *u)
{
    return cuMemFree(u->p[0]);
}

static CUresult take_small(struct use *u, size_t bytes)
{
    for (int i = 0; i < MANY; i++)
        TRY(cuMemAlloc(&u->p[i], bytes / 64 + 1));
    return CUDA_SUCCESS;
}

static CUresult give_small(struct use *u)
{
    for (int i = 0; i < MANY; i++)
        if (u->p[i])
            TRY(cuMemFree(u->p[i]));
    return CUDA_SUCCESS;
}

static CUresult take_pitch(struct use *u, size_t bytes)
{
    size_t pitch;

    return cuMemAllocPitch(&u->p[0], &pitch, 1000, bytes / 1000, 4);
}

static CUresult take_managed(struct use *u, size_t bytes)
{
    return cuMemAllocManaged(&u->p[0], bytes, CU_MEM_ATTACH_GLOBAL);
}

static CUresult take_managed_host(struct use *u, size_t bytes)
{
    return cuMemAllocManaged(&u->p[0], bytes, CU_MEM_ATTACH_HOST);
}

static CUresult take_small_managed(struct use *u, size_t bytes)
{
    return cuMemAllocManaged(&u->p[0], bytes / 64 + 1, CU_MEM_ATTACH_GLOBAL);
}

static CUresult give_free_async(struct use *u)
{
    TRY(cuMemFreeAsync(u->p[0], stream));
    return cuStreamSynchronize(stream);
}

/* ---- stream-ordered memory ---- */

static CUresult take_async(struct use *u, size_t bytes)
{
    return cuMemAllocAsync(&u->p[0], bytes, stream);
}

static CUresult take_async_per_thread(struct use *u, size_t bytes)
{
    return cuMemAllocAsync(&u->p[0], bytes, CU_STREAM_PER_THREAD);
}

static CUresult give_per_thread(struct use *u)
{
    TRY(cuMemFreeAsync(u->p[0], CU_STREAM_PER_THREAD));
    return cuStreamSynchronize(CU_STREAM_PER_THREAD);
}

static CUresult take_pool(struct use *u, size_t bytes)
{
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}};

    TRY(cuMemPoolCreate(&pool, &props));
    return cuMemAllocFromPoolAsync(&u->p[0], bytes, pool, stream);
}

static CUresult give_pool(struct use *u)
{
    if (u->p[0])
        TRY(give_free_async(u));
    return cuMemPoolDestroy(pool);
}

/* A pool that keeps what is freed until it is told to let go. */
static CUresult take_kept(struct use *u, size_t bytes)
{
    cuuint64_t threshold = UINT64_MAX;
    CUmemoryPool default_pool;

    TRY(cuDeviceGetDefaultMemPool(&default_pool, device));
    TRY(cuMemPoolSetAttribute(default_pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    TRY(take_async(u, bytes));
    return give_free_async(u);
}

static CUresult give_kept(struct use *u)
{
    cuuint64_t threshold = 0;
    CUmemoryPool default_pool;

    TRY(cuDeviceGetDefaultMemPool(&default_pool, device));
    TRY(cuMemPoolSetAttribute(default_pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    return cuMemPoolTrimTo(default_pool, 0);
}

/* ---- virtual memory management ---- */

static const CUmemAllocationProp physical = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                             .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};

static size_t granules(size_t bytes)
{
    const size_t granule = (size_t)2 << 20;

    return (bytes + granule - 1) / granule * granule;
}

static CUresult take_vmm(struct use *u, size_t bytes)
{
    u->bytes = granules(bytes);
    return cuMemCreate(&u->handle, u->bytes, &physical, 0);
}

static CUresult give_vmm(struct use *u)
{
    return cuMemRelease(u->handle);
}

/* Mapped, and its handle released: only the mapping keeps it. */
static CUresult take_mapped(struct use *u, size_t bytes)
{
    TRY(take_vmm(u, bytes));
    TRY(cuMemAddressReserve(&u->p[0], u->bytes, 0, 0, 0));
    TRY(cuMemMap(u->p[0], u->bytes, 0, u->handle, 0));
    return cuMemRelease(u->handle);
}

static CUresult give_mapped(struct use *u)
{
    TRY(cuMemUnmap(u->p[0], u->bytes));
    return cuMemAddressFree(u->p[0], u->bytes);
}

/* Mapped twice, unmapped once, released, retained again through the address. */
static CUresult take_retained(struct use *u, size_t bytes)
{
    CUmemGenericAllocationHandle again;

    TRY(take_vmm(u, bytes));
    TRY(cuMemAddressReserve(&u->p[0], 2 * u->bytes, 0, 0, 0));
    TRY(cuMemMap(u->p[0], u->bytes, 0, u->handle, 0));
    TRY(cuMemMap(u->p[0] + u->bytes, u->bytes, 0, u->handle, 0));
    TRY(cuMemUnmap(u->p[0] + u->bytes, u->bytes));
    TRY(cuMemRetainAllocationHandle(&again, (void *)(u->p[0] + 4096)));
    TRY(cuMemRelease(u->handle));
    TRY(cuMemUnmap(u->p[0], u->bytes));
    u->handle = again;
    return cuMemAddressFree(u->p[0], 2 * u->bytes);
}

/* Exported and imported again by the same process: one piece of memory, two handles. */
static CUresult take_twice(struct use *u, size_t bytes)
{
    CUmemGenericAllocationHandle again;
    CUresult r;
    int fd;

    TRY(take_vmm(u, bytes));
    TRY(cuMemExportToShareableHandle(&fd, u->handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    r = cuMemImportFromShareableHandle(&again, (void *)(size_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    close(fd);
    TRY(r);
    TRY(cuMemRelease(u->handle));
    u->handle = again;
    return CUDA_SUCCESS;
}

/* ---- arrays ---- */

static CUresult take_array(struct use *u, size_t bytes)
{
    const CUDA_ARRAY_DESCRIPTOR shape = {
        .Width = 1000, .Height = bytes / 4000, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};

    return cuArrayCreate(&u->array, &shape);
}

static CUresult take_array_line(struct use *u, size_t bytes)
{
    const CUDA_ARRAY_DESCRIPTOR shape = {
        .Width = 50000, .Height = 0, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 4};

    return cuArrayCreate(&u->array, &shape);
}

static CUresult array_3d(struct use *u, size_t width, size_t height, size_t depth, unsigned flags)
{
    const CUDA_ARRAY3D_DESCRIPTOR shape = {.Width = width,
                                           .Height = height,
                                           .Depth = depth,
                                           .Format = CU_AD_FORMAT_HALF,
                                           .NumChannels = 2,
                                           .Flags = flags};

    return cuArray3DCreate(&u->array, &shape);
}

static CUresult take_array_3d(struct use *u, size_t bytes)
{
    return array_3d(u, 100, 100, bytes / 40000, 0);
}

static CUresult take_array_layered(struct use *u, size_t bytes)
{
    return array_3d(u, 100, bytes / 4000, 10, CUDA_ARRAY3D_LAYERED);
}

static CUresult take_array_cube(struct use *u, size_t bytes)
{
    return array_3d(u, 300, 300, 6, CUDA_ARRAY3D_CUBEMAP);
}

static CUresult give_array(struct use *u)
{
    return cuArrayDestroy(u->array);
}

static CUresult take_mipmap(struct use *u, size_t bytes)
{
    const CUDA_ARRAY3D_DESCRIPTOR shape = {
        .Width = 512, .Height = bytes / 2048, .Depth = 0, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};

    return cuMipmappedArrayCreate(&u->mipmap, &shape, 5);
}

static CUresult give_mipmap(struct use *u)
{
    return cuMipmappedArrayDestroy(u->mipmap);
}

/* ---- graphs ---- */

static CUresult graph_add(struct use *u, size_t bytes)
{
    CUDA_MEM_ALLOC_NODE_PARAMS take = {
        .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}},
        .bytesize = bytes};
    CUgraphNode taken, given;

    TRY(cuGraphCreate(&u->graph, 0));
    TRY(cuGraphAddMemAllocNode(&taken, u->graph, NULL, 0, &take));
    return cuGraphAddMemFreeNode(&given, u->graph, &taken, 1, take.dptr);
}

static CUresult take_graph(struct use *u, size_t bytes)
{
    TRY(graph_add(u, bytes));
    TRY(cuGraphInstantiate(&u->exec, u->graph, 0));
    TRY(cuGraphLaunch(u->exec, stream));
    return cuStreamSynchronize(stream);
}

static CUresult take_upload(struct use *u, size_t bytes)
{
    TRY(graph_add(u, bytes));
    TRY(cuGraphInstantiate(&u->exec, u->graph, 0));
    TRY(cuGraphUpload(u->exec, stream));
    return cuStreamSynchronize(stream);
}

static CUresult take_capture(struct use *u, size_t bytes)
{
    CUdeviceptr p;

    TRY(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    TRY(cuMemAllocAsync(&p, bytes, stream));
    TRY(cuMemFreeAsync(p, stream));
    TRY(cuStreamEndCapture(stream, &u->graph));
    TRY(cuGraphInstantiate(&u->exec, u->graph, 0));
    TRY(cuGraphLaunch(u->exec, stream));
    return cuStreamSynchronize(stream);
}

static CUresult give_graph(struct use *u)
{
    if (u->exec)
        TRY(cuGraphExecDestroy(u->exec));
    if (u->graph)
        TRY(cuGraphDestroy(u->graph));
    return cuDeviceGraphMemTrim(device);
}

/* ---- contexts and what they hold ---- */

static CUresult take_context(struct use *u, size_t bytes)
{
    CUcontext popped;

    TRY(cuCtxCreate(&u->context, NULL, 0, device));
    return cuCtxPopCurrent(&popped);
}

static CUresult give_context(struct use *u)
{
    return cuCtxDestroy(u->context);
}

/* Left in a context that is destroyed: memory, an array, a mapping. */
static CUresult take_left(struct use *u, size_t bytes)
{
    CUcontext popped;

    TRY(cuCtxCreate(&u->context, NULL, 0, device));
    TRY(take_alloc(u, bytes));
    TRY(take_array(u, bytes));
    return cuCtxPopCurrent(&popped);
}

static CUresult limit_take(struct use *u, CUlimit limit, size_t bytes)
{
    TRY(cuCtxGetLimit(&u->old, limit));
    return cuCtxSetLimit(limit, u->old + bytes);
}

static CUresult take_heap(struct use *u, size_t bytes)
{
    return limit_take(u, CU_LIMIT_MALLOC_HEAP_SIZE, bytes);
}

static CUresult give_heap(struct use *u)
{
    return cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, u->old);
}

static CUresult take_printf(struct use *u, size_t bytes)
{
    return limit_take(u, CU_LIMIT_PRINTF_FIFO_SIZE, bytes);
}

static CUresult give_printf(struct use *u)
{
    return cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, u->old);
}

static CUresult take_stack(struct use *u, size_t bytes)
{
    return limit_take(u, CU_LIMIT_STACK_SIZE, 4096);
}

static CUresult give_stack(struct use *u)
{
    return cuCtxSetLimit(CU_LIMIT_STACK_SIZE, u->old);
}

/* ---- modules ---- */

static void ptx_of(char *buf, size_t buf_bytes, size_t bytes)
{
    snprintf(buf, buf_bytes,
             ".version 6.4\n.target sm_75\n.address_size 64\n"
             ".visible .global .align 4 .b8 big[%zu];\n.visible .entry none() { ret; }\n",
             bytes);
}

static CUresult take_module(struct use *u, size_t bytes)
{
    char ptx[256];

    ptx_of(ptx, sizeof(ptx), bytes);
    return cuModuleLoadData(&u->module, ptx);
}

static CUresult give_module(struct use *u)
{
    return cuModuleUnload(u->module);
}

static CUresult take_library(struct use *u, size_t bytes)
{
    char ptx[256];
    size_t got;

    ptx_of(ptx, sizeof(ptx), bytes);
    TRY(cuLibraryLoadData(&u->library, ptx, NULL, NULL, 0, NULL, NULL, 0));
    return cuLibraryGetGlobal(&u->p[0], &got, u->library, "big");
}

static CUresult give_library(struct use *u)
{
    return cuLibraryUnload(u->library);
}

/* ---- the table ---- */

struct door {
    const char *name;
    CUresult (*take)(struct use *u, size_t bytes);
    CUresult (*give)(struct use *u);
};

static const struct door doors[] = {
    {"alloc", take_alloc, give_free},
    {"small", take_small, give_small},
    {"pitch", take_pitch, give_free},
    {"managed", take_managed, give_free},
    {"managed-host", take_managed_host, give_free},
    {"small-managed", take_small_managed, give_free},
    {"async", take_async, give_free_async},
    {"async-free", take_async, give_free},
    {"async-per-thread", take_async_per_thread, give_per_thread},
    {"pool", take_pool, give_pool},
    {"pool-kept", take_kept, give_kept},
    {"vmm", take_vmm, give_vmm},
    {"vmm-mapped", take_mapped, give_mapped},
    {"vmm-retained", take_retained, give_vmm},
    {"vmm-imported-again", take_twice, give_vmm},
    {"array", take_array, give_array},
    {"array-1d", take_array_line, give_array},
    {"array-3d", take_array_3d, give_array},
    {"array-layered", take_array_layered, give_array},
    {"array-cubemap", take_array_cube, give_array},
    {"mipmap", take_mipmap, give_mipmap},
    {"graph-launch", take_graph, give_graph},
    {"graph-upload", take_upload, give_graph},
    {"graph-captured", take_capture, give_graph},
    {"context", take_context, give_context},
    {"context-destroyed", take_left, give_context},
    {"limit-heap", take_heap, give_heap},
    {"limit-printf", take_printf, give_printf},
    {"limit-stack", take_stack, give_stack},
    {"module", take_module, give_module},
    {"library", take_library, give_library},
};

enum { DOORS = sizeof(doors) / sizeof(doors[0]) };

static struct use uses[DOORS];

static int door_index(const char *name)
{
    for (int i = 0; i < DOORS; i++)
        if (name && !strcmp(doors[i].name, name))
            return i;
    return -1;
}

static void say(CUresult result)
{
    printf("%s\n", result == CUDA_SUCCESS ? "ok" : name_of(result));
}

/* ---- between processes ---- */

static CUdeviceptr opened, buffer;
static CUmemGenericAllocationHandle imported;
static CUexternalMemory external;

static void say_ipc(void)
{
    CUipcMemHandle handle;
    CUresult r = cuIpcGetMemHandle(&handle, uses[door_index("alloc")].p[0]);

    if (r != CUDA_SUCCESS) {
        say(r);
        return;
    }
    for (size_t i = 0; i < sizeof(handle.reserved); i++)
        printf("%02x", (unsigned char)handle.reserved[i]);
    printf("\n");
}

static CUresult ipc_open(const char *hex)
{
    CUipcMemHandle handle;

    for (size_t i = 0; i < sizeof(handle.reserved); i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

        handle.reserved[i] = (char)strtol(digits, NULL, 16);
    }
    return cuIpcOpenMemHandle(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
}

static void say_fd(void)
{
    CUresult r;
    int fd;

    r = cuMemExportToShareableHandle(&fd, uses[door_index("vmm")].handle,
                                     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
    if (r == CUDA_SUCCESS)
        printf("%d %d\n", (int)getpid(), fd);
    else
        say(r);
}

/* The same open file description, as if it had come over a socket. */
static int fd_of(const char *pid, const char *fd)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

static CUresult import_fd(const char *pid, const char *number)
{
    int fd = fd_of(pid, number);
    CUresult r = cuMemImportFromShareableHandle(&imported, (void *)(size_t)fd,
                                                CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);

    close(fd);
    return r;
}

static CUresult import_external(const char *pid, const char *number, size_t bytes)
{
    const CUDA_EXTERNAL_MEMORY_HANDLE_DESC description = {
        .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .handle.fd = fd_of(pid, number), .size = bytes};
    const CUDA_EXTERNAL_MEMORY_BUFFER_DESC all = {.size = bytes};

    TRY(cuImportExternalMemory(&external, &description));
    return cuExternalMemoryGetMappedBuffer(&buffer, external, &all);
}

static CUresult end_external(void)
{
    TRY(cuDestroyExternalMemory(external));
    return cuMemFree(buffer);
}

/* One command; returns 0 at the end. */
static int obey(char *line)
{
    char *word = strtok(line, " \n"), *first = strtok(NULL, " \n"), *second = strtok(NULL, " \n"),
         *third = strtok(NULL, " \n");
    int i = door_index(first);
    CUresult r;

    if (!word || !strcmp(word, "quit"))
        return 0;
    if (!strcmp(word, "doors")) {
        for (i = 0; i < DOORS; i++)
            printf("%s%c", doors[i].name, i + 1 < DOORS ? ' ' : '\n');
    } else if (!strcmp(word, "take") && i >= 0 && second) {
        uses[i] = (struct use){0};
        say(doors[i].take(&uses[i], strtoull(second, NULL, 10)));
    } else if (!strcmp(word, "give") && i >= 0) {
        r = doors[i].give(&uses[i]);
        say(r ? r : cuCtxSynchronize());
    } else if (!strcmp(word, "ipc")) {
        say_ipc();
    } else if (!strcmp(word, "open") && first) {
        say(ipc_open(first));
    } else if (!strcmp(word, "close")) {
        say(cuIpcCloseMemHandle(opened));
    } else if (!strcmp(word, "fd")) {
        say_fd();
    } else if (!strcmp(word, "import") && second) {
        say(import_fd(first, second));
    } else if (!strcmp(word, "release")) {
        say(cuMemRelease(imported));
    } else if (!strcmp(word, "external") && third) {
        say(import_external(first, second, strtoull(third, NULL, 10)));
    } else if (!strcmp(word, "external-end")) {
        say(end_external());
    } else {
        printf("unknown command\n");
    }
    return 1;
}

int main(void)
{
    return obey_input(&device, &context, &stream, obey);
}
