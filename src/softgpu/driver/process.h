/* What a process has once: whether it is initialised, its devices, and how failures are told. */
#ifndef VGPU_SOFTGPU_DRIVER_PROCESS_H
#define VGPU_SOFTGPU_DRIVER_PROCESS_H

#include <pthread.h>
#include <stdbool.h>

#include "api/cuda_api.h"
#include "softgpu/device/client.h"

enum { PROCESS_DRIVER_VERSION = CUDA_VERSION };

struct context;
struct pool;

struct device {
    unsigned ordinal; /* of the device process */
    unsigned number;  /* what the program calls it: its place among the visible ones */
    const struct sgdev_properties *properties;
    pthread_mutex_t lock; /* guards what follows */
    struct context *primary;
    unsigned primary_refs, primary_flags;
    struct pool *default_pool, *current_pool;
};

/* CUDA_ERROR_NOT_INITIALIZED before cuInit, and in a child forked after it: there the driver's state is the
 * parent's. */
CUresult process_check(void);

/* process_check, and the device that the program calls so. */
CUresult process_device(CUdevice number, struct device **ret_device);

/* Devices that an initialised process sees, 0 <= number < count. */
unsigned process_device_count(void);
struct device *process_device_at(unsigned number);
/* The program's number for the device process's ordinal. */
unsigned process_device_number(unsigned ordinal);
struct sgdev *process_sgdev(void);

/* The driver's code for a negative errno of the device process or of this machine's memory. */
CUresult process_result(int error);

/* One line on stderr, unless VGPU_LOG is none or error. */
void process_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
