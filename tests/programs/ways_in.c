/* A CUDA program that gets at the driver in one way and asks it for more than it may have:
 *
 *   ways_in WAY PATH MIB
 *
 * WAY: soname, path (PATH), devname (libcuda.so), deepbind, newlm and newlm-path (dlmopen), proc (every
 * version and flag that cuGetProcAddress takes), proc-v1 (the same by the function of CUDA 11), runtime (as
 * the static runtime does it: the loader opened late, one symbol, every function by version); nvml and
 * nvml-path (libnvidia-ml.so, and libnvidia-ml.so.1 beside PATH: how much memory it shows).
 *
 * Prints what became of a request for MIB mebibytes, and a reason; then holds what it has until its standard
 * input ends. "limited": CUDA_ERROR_OUT_OF_MEMORY. "free": it got them. "refused": anything before that
 * failed. "shown": NVML shows at least as much memory.
 *
 * It knows nothing of vgpu. */
#include "ways_in.h"

#include "api/nvml_types.h"

typedef CUresult lookup_v2_fn(const char *name, void **function, int version, cuuint64_t flags,
                              CUdriverProcAddressQueryResult *status);
typedef CUresult lookup_fn(const char *name, void **function, int version, cuuint64_t flags);

/* ---- by cuGetProcAddress ---- */

static const int versions[] = {2000, 3020, 4000, 6050, 7000, 9020, 10020, 11020, 11030, 12000, 12050, 13000};
static const cuuint64_t flags[] = {CU_GET_PROC_ADDRESS_DEFAULT, CU_GET_PROC_ADDRESS_LEGACY_STREAM,
                                   CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM};
enum { N_VERSIONS = sizeof(versions) / sizeof(*versions), N_FLAGS = sizeof(flags) / sizeof(*flags) };

struct lookup {
    lookup_v2_fn *v2; /* else v1 */
    lookup_fn *v1;
};

static void *look_up(const struct lookup *lookup, const char *name, int version, cuuint64_t flag)
{
    void *function = NULL;
    CUresult r = lookup->v2 ? lookup->v2(name, &function, version, flag, NULL)
                            : lookup->v1(name, &function, version, flag);

    return r == CUDA_SUCCESS ? function : NULL;
}

/* Each allocation function that any version and flag leads to. One that gets through is the answer. */
static int ask_every_version(const struct lookup *lookup)
{
    unsigned asked = 0;

    for (unsigned i = 0; i < N_VERSIONS; i++)
        for (unsigned f = 0; f < N_FLAGS; f++) {
            alloc_fn *alloc = (alloc_fn *)look_up(lookup, "cuMemAlloc", versions[i], flags[f]);
            CUdeviceptr p = 0;
            CUresult r;

            if (!alloc ||
                versions[i] < 3020) /* before 3.2 sizes had 32 bits: another function, asked below */
                continue;
            r = alloc(&p, bytes);
            if (r == CUDA_ERROR_OUT_OF_MEMORY) {
                asked++;
                continue;
            }
            printf("%s version %d, flags %d (error %d)\n", r ? "refused" : "free", versions[i], (int)flags[f],
                   (int)r);
            return 0;
        }
    printf("%s %u lookups\n", asked ? "limited" : "refused", asked);
    return 0;
}

static int by_lookup(void *handle, int v1)
{
    struct lookup lookup = {
        .v2 = v1 ? NULL : (lookup_v2_fn *)dlsym(handle, "cuGetProcAddress_v2"),
        .v1 = v1 ? (lookup_fn *)dlsym(handle, "cuGetProcAddress") : NULL,
    };
    struct driver driver;

    if (!lookup.v2 && !lookup.v1)
        return refused("no cuGetProcAddress");
    driver = (struct driver){
        .init = (init_fn *)look_up(&lookup, "cuInit", 12000, 0),
        .device = (device_fn *)look_up(&lookup, "cuDeviceGet", 12000, 0),
        .retain = (retain_fn *)look_up(&lookup, "cuDevicePrimaryCtxRetain", 12000, 0),
        .current = (current_fn *)look_up(&lookup, "cuCtxSetCurrent", 12000, 0),
    };
    if (!driver.init || !driver.device || !driver.retain || !driver.current)
        return refused("a function is missing");
    return start(&driver) || ask_every_version(&lookup);
}

/* Only one symbol by name, everything through it, the per-thread variants where there are any, and pooled
 * memory as the runtime takes it. */
static int as_runtime(void)
{
    void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    lookup_v2_fn *find = handle ? (lookup_v2_fn *)dlsym(handle, "cuGetProcAddress_v2") : NULL;
    struct lookup lookup = {.v2 = find};
    CUresult (*async)(CUdeviceptr *, size_t, CUstream);
    CUdeviceptr p;
    struct driver driver;
    CUresult r;

    if (!find)
        return refused(handle ? "no cuGetProcAddress_v2" : dlerror());
    driver = (struct driver){
        .init = (init_fn *)look_up(&lookup, "cuInit", 2000, 2),
        .device = (device_fn *)look_up(&lookup, "cuDeviceGet", 2000, 2),
        .retain = (retain_fn *)look_up(&lookup, "cuDevicePrimaryCtxRetain", 7000, 2),
        .current = (current_fn *)look_up(&lookup, "cuCtxSetCurrent", 4000, 2),
        .alloc = (alloc_fn *)look_up(&lookup, "cuMemAlloc", 3020, 2),
    };
    if (!driver.init || !driver.device || !driver.retain || !driver.current || !driver.alloc)
        return refused("a function is missing");
    if (start(&driver))
        return 1;
    async = (CUresult(*)(CUdeviceptr *, size_t, CUstream))look_up(&lookup, "cuMemAllocAsync", 11020, 2);
    r = async ? async(&p, bytes, NULL) : CUDA_ERROR_OUT_OF_MEMORY;
    if (r != CUDA_ERROR_OUT_OF_MEMORY) {
        printf("%s cuMemAllocAsync (error %d)\n", r ? "refused" : "free", (int)r);
        return 0;
    }
    return ask(driver.alloc, "cuMemAlloc and cuMemAllocAsync");
}

/* ---- NVML ---- */

/* It gives no memory, so the question is what it shows: less than what was asked for, or the whole device. */
static int show_memory(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW);
    nvmlReturn_t (*init)(void);
    nvmlReturn_t (*by_index)(unsigned, nvmlDevice_t *);
    nvmlReturn_t (*memory_info)(nvmlDevice_t, nvmlMemory_t *);
    nvmlMemory_t memory;
    nvmlDevice_t device;

    if (!handle)
        return refused(dlerror());
    init = (nvmlReturn_t(*)(void))dlsym(handle, "nvmlInit_v2");
    by_index = (nvmlReturn_t(*)(unsigned, nvmlDevice_t *))dlsym(handle, "nvmlDeviceGetHandleByIndex_v2");
    memory_info = (nvmlReturn_t(*)(nvmlDevice_t, nvmlMemory_t *))dlsym(handle, "nvmlDeviceGetMemoryInfo");
    if (!init || !by_index || !memory_info || init() || by_index(0, &device) || memory_info(device, &memory))
        return refused("NVML does not say");
    printf("%s %llu MiB\n", memory.total < bytes ? "limited" : "shown",
           (unsigned long long)(memory.total >> 20));
    return 0;
}

static int show_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    char library[4096];

    snprintf(library, sizeof(library), "%.*s/libnvidia-ml.so.1", slash ? (int)(slash - path) : 0, path);
    return show_memory(library);
}

/* ---- the ways ---- */

static int by_way(const char *way, const char *path)
{
    struct driver driver;
    void *handle;

    if (!strcmp(way, "runtime"))
        return as_runtime();
    if (!strncmp(way, "nvml", 4))
        return strcmp(way, "nvml") ? show_beside(path) : show_memory("libnvidia-ml.so");
    if (!strncmp(way, "newlm", 5))
        handle = dlmopen(LM_ID_NEWLM, strcmp(way, "newlm") ? path : "libcuda.so.1", RTLD_NOW);
    else
        handle = dlopen(!strcmp(way, "path")      ? path
                        : !strcmp(way, "devname") ? "libcuda.so"
                                                  : "libcuda.so.1",
                        RTLD_NOW | (strcmp(way, "deepbind") ? 0 : RTLD_DEEPBIND));
    if (!handle)
        return refused(dlerror());
    if (!strncmp(way, "proc", 4))
        return by_lookup(handle, !strcmp(way, "proc-v1"));
    return from_handle(handle, &driver) || start_and_ask(&driver, way);
}

int main(int argc, char **argv)
{
    return ways_in_main(argc, argv);
}
