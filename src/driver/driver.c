/* Opens the real driver; see driver.h. By absolute path, because in a tenant's process the name libcuda.so.1
 * means our own library; and whatever was opened is asked whether it bears our mark before any of its
 * functions is believed to be the driver's. */
#include <dlfcn.h>

#include "driver/glibc_floor.h"

#include "driver/driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/lookup.h"
#include "base/error.h"

/* Exported by our own libcuda.so.1 and libnvidia-ml.so.1. */
#define OUR_MARK "vgpu_shim_mark"

static int library_open(const char *dir, const char *name, void **ret_handle)
{
    char path[PATH_MAX];
    void *handle;
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    if (access(path, R_OK) < 0)
        return error_errno();
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return -ENOEXEC;
    if (dlsym(handle, OUR_MARK)) {
        dlclose(handle);
        return -ELOOP;
    }
    *ret_handle = handle;
    return 0;
}

static void cuda_fill(void *handle, struct cuda_table *ret_table)
{
    void **slots = (void **)ret_table;

    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        slots[slot] = dlsym(handle, api_cuda_slot(slot)->symbol);
}

static void nvml_fill(void *handle, struct nvml_table *ret_table)
{
    void **slots = (void **)ret_table;

    for (unsigned slot = 0; slot < NVML_SLOT_COUNT; slot++)
        slots[slot] = dlsym(handle, api_nvml_slot(slot)->symbol);
}

/* dir, or where the system's driver is. */
static int dir_of(const char **dir, char *buf, size_t buf_bytes)
{
    int r = 0;

    if (!*dir) {
        r = driver_find(buf, buf_bytes);
        *dir = buf;
    }
    return r;
}

int driver_open_nvml(const char *dir, struct driver *ret_driver)
{
    char found[PATH_MAX];
    void *handle;
    int r = dir_of(&dir, found, sizeof(found));

    if (r == 0)
        r = library_open(dir, "libnvidia-ml.so.1", &handle);
    if (r != 0)
        return r;
    memset(ret_driver, 0, sizeof(*ret_driver));
    ret_driver->nvml_handle = handle;
    nvml_fill(handle, &ret_driver->nvml);
    return 0;
}

int driver_open(const char *dir, struct driver *ret_driver)
{
    char found[PATH_MAX];
    void *cuda, *nvml;
    int r = dir_of(&dir, found, sizeof(found)), r_nvml;

    if (r == 0)
        r = library_open(dir, "libcuda.so.1", &cuda);
    if (r != 0)
        return r;
    r_nvml = library_open(dir, "libnvidia-ml.so.1", &nvml);
    if (r_nvml < 0 && r_nvml != -ENOENT) {
        dlclose(cuda);
        return r_nvml;
    }
    memset(ret_driver, 0, sizeof(*ret_driver));
    ret_driver->cuda_handle = cuda;
    cuda_fill(cuda, &ret_driver->cuda);
    if (r_nvml == 0) {
        ret_driver->nvml_handle = nvml;
        nvml_fill(nvml, &ret_driver->nvml);
    }
    return 0;
}

void driver_close(struct driver *driver)
{
    if (!driver)
        return;
    if (driver->cuda_handle)
        dlclose(driver->cuda_handle);
    if (driver->nvml_handle)
        dlclose(driver->nvml_handle);
    memset(driver, 0, sizeof(*driver));
}
