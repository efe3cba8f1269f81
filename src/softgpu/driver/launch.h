/* Kernel launches for who makes them other than by a cuLaunch* call: nodes of graphs. */
#ifndef VGPU_SOFTGPU_DRIVER_LAUNCH_H
#define VGPU_SOFTGPU_DRIVER_LAUNCH_H

#include "softgpu/driver/module.h"
#include "softgpu/driver/stream.h"

/* What the launch calls have in common. */
struct launch_request {
    unsigned grid[3], block[3];
    unsigned shared_bytes;
    CUstream stream;
    void **params, **extra;
    bool per_thread, cooperative;
    const CUlaunchAttribute *attributes; /* as the call gave them */
    unsigned n_attributes;
};

/* Whether the device can run such a launch of the function; parameters are not looked at. */
CUresult launch_check(const struct launch_request *request, const struct function *function);

/* Takes the values of the parameters into params, kernel->param_bytes long. */
CUresult launch_copy_params(const struct launch_request *request, const struct exec_kernel *kernel,
                            char *params);

/* Takes one launch attribute into the request. NOT_SUPPORTED, INVALID_VALUE. */
CUresult launch_apply_attribute(struct launch_request *request, const CUlaunchAttribute *attribute);

/* A checked launch as work of context, one reference for the caller, not enqueued. */
CUresult launch_work_new(const struct launch_request *request, struct function *function,
                         struct context *context, struct engine_work **ret_work);

#endif
