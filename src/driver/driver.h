/* The real driver behind our libraries: opened by its absolute path, its functions in two typed tables. A
 * symbol that this driver does not have is NULL in the table. Allocates only inside dlopen. */
#ifndef VGPU_DRIVER_DRIVER_H
#define VGPU_DRIVER_DRIVER_H

#include <limits.h>
#include <stddef.h>

#include "api/cuda_table.h"
#include "api/nvml_table.h"

struct driver {
    void *cuda_handle,
        *nvml_handle; /* of dlopen; nvml_handle is NULL when the driver has no libnvidia-ml.so.1 */
    struct cuda_table cuda;
    struct nvml_table nvml;
};

/* Opens libcuda.so.1 and libnvidia-ml.so.1 of dir, or of the system's driver when dir is NULL. Never takes
 * one of our own libraries for the driver (-ELOOP). -ENOENT: no libcuda.so.1 there; -ENOEXEC: it does not
 * load. *ret_driver is untouched on failure. Blocks while the libraries load; thread-safe. */
int driver_open(const char *dir, struct driver *ret_driver);
void driver_close(struct driver *driver);

/* As driver_open, but for libnvidia-ml.so.1 alone (cuda_handle stays NULL). -ENOENT: there is none. */
int driver_open_nvml(const char *dir, struct driver *ret_driver);

/* Directory of the machine's own libcuda.so.1: what the dynamic linker's configuration names, and where
 * distributions and NVIDIA's tools put it. Loads nothing. Ours and the toolkit's stubs are passed over.
 * -ENOENT when the machine has none. */
int driver_find(char *buf, size_t buf_bytes);

enum driver_library { DRIVER_CUDA, DRIVER_NVML };

/* Told the path of a driver's file, links resolved; other than 0 ends the walk. */
typedef int driver_file_fn(const char *path, enum driver_library library, void *context);

/* Every file by whose path a program could open the machine's driver: libcuda.so* and libnvidia-ml.so* in the
 * directories of driver_find and in the toolkits' compatibility directories. The same path may be told twice.
 * 0, or what `file` returned. Loads nothing. */
int driver_files(driver_file_fn *file, void *context);

/* The same for one directory; one that is not there has none. */
int driver_files_of(const char *dir, driver_file_fn *file, void *context);

#endif
