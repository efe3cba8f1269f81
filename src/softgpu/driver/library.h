/* Libraries: an image that is loaded into a context when that context first needs it, and kernels, which mean
 * a function in each context. */
#ifndef VGPU_SOFTGPU_DRIVER_LIBRARY_H
#define VGPU_SOFTGPU_DRIVER_LIBRARY_H

#include "softgpu/driver/module.h"

/* What CUkernel names. Holds a reference of its library. */
struct kernel {
    struct object object;
    struct library *library;
    const char *name; /* the library's */
};

/* The function that kernel is in context, loading the library there if need be; a reference for the caller.
 */
CUresult library_function(struct kernel *kernel, struct context *context, struct function **ret_function);

/* The module is being unloaded. */
void library_forget_module(struct library *library, struct module *module);

#endif
