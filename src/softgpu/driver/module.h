/* Modules and functions: from an image to something that can be launched. */
#ifndef VGPU_SOFTGPU_DRIVER_MODULE_H
#define VGPU_SOFTGPU_DRIVER_MODULE_H

#include "api/cuda_api.h"
#include "softgpu/driver/context.h"
#include "softgpu/exec/exec.h"

struct function_setup;
struct library;
struct module;

/* What CUfunction names. Holds a reference of its module. */
struct function {
    struct object object;
    struct module *module;
    uint32_t index; /* into exec_program_kernels */
    const struct exec_kernel *kernel;
    int max_dynamic_shared_bytes, carveout; /* atomic; cuFuncSetAttribute */
    struct function_setup *setup;           /* launch_legacy.c; NULL: nothing was told yet */
};

struct module_global {
    const char *name;
    uint64_t address, bytes;
    bool is_managed;
};

struct module {
    struct object object;
    struct context *context; /* not referenced: the context unloads its modules */
    struct library *library; /* whose module in this context it is, or NULL; referenced */
    char *text;
    struct ptx_module *syntax;
    struct exec_program *program;
    struct function *functions; /* one for each kernel of the program */
    size_t n_functions;
    struct module_global *globals;
    size_t n_globals;
    struct module *next; /* in context->modules */
};

/* What the caller of cuModuleLoadDataEx wants to be told: a buffer for the text of an error. */
struct module_log {
    char *error;
    size_t error_bytes;
};

/* The PTX in an image for device, as malloc'd text. image_bytes: SIZE_MAX where the caller gave no length. */
CUresult module_find_text(const struct device *device, const void *image, size_t image_bytes, char **ret_text,
                          size_t *ret_bytes);

/* Loads text, which it takes over (also when it fails), into context: variables get memory and contents. One
 * reference for the caller, published, with its functions. log may be NULL. */
CUresult module_load(struct context *context, char *text, size_t text_bytes, struct module_log *log,
                     struct module **ret_module);

/* Waits for the context's work, ends the handles of the module and frees its variables. Only the first caller
 * does so. */
void module_unload(struct module *module);
void module_unload_all(struct context *context);

struct function *module_find_function(struct module *module, const char *name);
const struct module_global *module_find_global(struct module *module, const char *name);

/* The function that a CUfunction, or a CUkernel in its place, means in context, with a reference for the
 * caller. INVALID_HANDLE. */
CUresult function_resolve(struct context *context, CUfunction handle, struct function **ret_function);

/* Everything of a file, malloc'd, with a NUL behind it. FILE_NOT_FOUND, OUT_OF_MEMORY. */
CUresult module_read_file(const char *path, char **ret_image, size_t *ret_bytes);

/* Reads JIT options into log, and, after loading, writes back what they ask for. INVALID_VALUE: an option
 * that does not exist. */
CUresult module_read_options(unsigned count, const CUjit_option *options, void *const *values,
                             struct module_log *log);
void module_write_options(unsigned count, const CUjit_option *options, void **values,
                          const struct module_log *log);

#endif
