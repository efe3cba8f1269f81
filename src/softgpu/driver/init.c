/* cuInit, the version, error names, and the way to find a function by name. The first call that needs the
 * device process connects to it; nothing happens when the library is loaded. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/paths.h"
#include "softgpu/driver/process.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/visible.h"

static struct {
    pthread_mutex_t lock;
    bool ready;  /* atomic: cuInit succeeded */
    bool forked; /* atomic: ready was inherited from a parent */
    struct sgdev *dev;
    unsigned n_devices; /* visible ones */
    struct device devices[SGDEV_DEVICES_MAX];
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

void process_warn(const char *format, ...)
{
    const char *level = paths_env("VGPU_LOG");
    char text[512];
    va_list args;

    if (level && (!strcmp(level, "none") || !strcmp(level, "error")))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "softgpu: %s\n", text);
}

CUresult process_result(int error)
{
    switch (error) {
    case 0:
        return CUDA_SUCCESS;
    case -ENOMEM:
    case -EAGAIN:
    case -ENOSPC:
        return CUDA_ERROR_OUT_OF_MEMORY;
    case -ENODEV:
        return CUDA_ERROR_NO_DEVICE;
    case -ESHUTDOWN:
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    case -EINVAL:
        return CUDA_ERROR_INVALID_VALUE;
    default:
        return CUDA_ERROR_OPERATING_SYSTEM;
    }
}

CUresult process_check(void)
{
    if (!__atomic_load_n(&process.ready, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&process.forked, __ATOMIC_RELAXED))
        return CUDA_ERROR_NOT_INITIALIZED;
    return CUDA_SUCCESS;
}

unsigned process_device_count(void)
{
    return process.n_devices;
}

struct device *process_device_at(unsigned number)
{
    return &process.devices[number];
}

unsigned process_device_number(unsigned ordinal)
{
    unsigned number = 0;

    while (number < process.n_devices && process.devices[number].ordinal != ordinal)
        number++;
    return number;
}

struct sgdev *process_sgdev(void)
{
    return process.dev;
}

CUresult process_device(CUdevice number, struct device **ret_device)
{
    CUresult result = process_check();

    if (result)
        return result;
    if (number < 0 || (unsigned)number >= process_device_count())
        return CUDA_ERROR_INVALID_DEVICE;
    *ret_device = process_device_at((unsigned)number);
    return CUDA_SUCCESS;
}

static void mark_forked(void)
{
    __atomic_store_n(&process.forked, true, __ATOMIC_RELAXED);
}

static void devices_find(struct sgdev *dev)
{
    const struct sgdev_properties *all[SGDEV_DEVICES_MAX];
    unsigned ordinals[SGDEV_DEVICES_MAX], n_all = sgdev_count(dev);

    for (unsigned i = 0; i < n_all; i++)
        all[i] = sgdev_properties(dev, i);
    process.n_devices = visible_devices(getenv("CUDA_VISIBLE_DEVICES"), all, n_all, ordinals);
    for (unsigned i = 0; i < process.n_devices; i++) {
        process.devices[i] = (struct device){.ordinal = ordinals[i], .number = i, .properties = all[ordinals[i]]};
        pthread_mutex_init(&process.devices[i].lock, NULL);
    }
}

static CUresult connect_locked(void)
{
    struct sgdev *dev;
    int error = sgdev_open(&dev);

    if (error == -ENODEV || error == -EINVAL)
        return CUDA_ERROR_NO_DEVICE;
    if (error) {
        process_warn("cannot reach the device process: %s", strerror(-error));
        return process_result(error);
    }
    devices_find(dev);
    if (!process.n_devices) {
        sgdev_close(dev);
        return CUDA_ERROR_NO_DEVICE;
    }
    error = segment_reserve_window(dev);
    if (!error)
        error = -pthread_atfork(NULL, NULL, mark_forked);
    if (error) {
        sgdev_close(dev);
        return process_result(error);
    }
    process.dev = dev;
    __atomic_store_n(&process.ready, true, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags)
{
    CUresult result = CUDA_SUCCESS;

    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (__atomic_load_n(&process.forked, __ATOMIC_RELAXED))
        return CUDA_ERROR_NOT_INITIALIZED;
    pthread_mutex_lock(&process.lock);
    if (!process.ready)
        result = connect_locked();
    pthread_mutex_unlock(&process.lock);
    return result;
}

CUresult cuDriverGetVersion(int *version)
{
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = PROCESS_DRIVER_VERSION;
    return CUDA_SUCCESS;
}

/* ---- errors ---- */

static const struct result_row {
    CUresult code;
    const char *name, *text;
} results[] = {
#define RESULT_ROW(name, value, text) {name, #name, text},
    CUDA_RESULT_LIST(RESULT_ROW)
#undef RESULT_ROW
};

static const struct result_row *result_find(CUresult code)
{
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i].code == code)
            return &results[i];
    return NULL;
}

CUresult cuGetErrorName(CUresult error, const char **text)
{
    const struct result_row *row = result_find(error);

    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = row ? row->name : NULL;
    return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    const struct result_row *row = result_find(error);

    if (!text)
        return CUDA_ERROR_INVALID_VALUE;
    *text = row ? row->text : NULL;
    return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* The vendor's private tables are not ours to imitate (docs/softgpu.md): none is ever found. */
CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
    static bool said;

    if (!table || !id)
        return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
        process_warn("this program asks for a private table of NVIDIA's driver, as NVIDIA's CUDA runtime library (libcudart) "
                     "does: it needs a real driver; the software GPU runs programs of the CUDA driver API");
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuProfilerStart(void)
{
    return process_check();
}

CUresult cuProfilerStop(void)
{
    return process_check();
}

/* What the generated stub of every function that we do not have says, once for each name. */
CUresult softgpu_unsupported(const char *name);

CUresult softgpu_unsupported(const char *name)
{
    enum { NAMES_MAX = 1024 };
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const char *said[NAMES_MAX];
    static size_t n_said;
    bool first = true;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_said && first; i++)
        first = strcmp(said[i], name) != 0;
    if (first && n_said < NAMES_MAX)
        said[n_said++] = name;
    pthread_mutex_unlock(&lock);
    if (first)
        process_warn("%s is not supported by the software GPU", name);
    return CUDA_ERROR_NOT_SUPPORTED;
}
