/* Loading: the fat binary's PTX, its syntax, the program, memory for its variables. Each step that can fail
 * has its own CUDA error; what the text says wrong goes into the caller's log. */
#include "softgpu/driver/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/device.h"
#include "softgpu/driver/library.h"
#include "softgpu/driver/memory.h"

static unsigned device_sm(const struct device *device)
{
    return device->properties->compute_major * 10 + device->properties->compute_minor;
}

CUresult module_find_text(const struct device *device, const void *image, size_t image_bytes, char **ret_text,
                          size_t *ret_bytes)
{
    switch (fatbin_find_ptx(image, image_bytes, device_sm(device), ret_text, ret_bytes)) {
    case 0:
        return CUDA_SUCCESS;
    case -ENOEXEC:
    case -ENOTSUP:
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case -ENOMEM:
        return CUDA_ERROR_OUT_OF_MEMORY;
    default:
        return CUDA_ERROR_INVALID_IMAGE;
    }
}

/* ---- what belongs to a module ---- */

static void module_free(void *object)
{
    struct module *module = object;

    exec_program_free(module->program);
    ptx_free(module->syntax);
    object_unref(module->library);
    free(module->functions);
    free(module->globals);
    free(module->text);
    free(module);
}

/* The last reference of a function: its memory is the module's. */
static void function_end(void *object)
{
    struct function *function = object;

    free(function->setup);
    object_unref(function->module);
}

static void log_error(struct module_log *log, const char *text)
{
    if (log && log->error && log->error_bytes)
        snprintf(log->error, log->error_bytes, "%s", text);
}

static CUresult read_program(struct module *module, size_t text_bytes, struct module_log *log)
{
    char error[PTX_ERROR_TEXT_MAX] = "";
    int code = ptx_parse(module->text, text_bytes, &module->syntax, error);

    if (!code && module->syntax->target_sm > device_sm(module->context->device))
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    if (!code)
        code = exec_program_new(module->syntax, &module->program, error);
    if (!code)
        return CUDA_SUCCESS;
    log_error(log, error);
    return code == -ENOMEM ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_PTX;
}

/* Memory for the variables; what was taken before a failure is in module->globals. */
static CUresult place_globals(struct module *module, uint64_t *addresses, void **hosts,
                              struct module_log *log)
{
    const struct exec_global *globals;
    size_t n = exec_program_globals(module->program, &globals);

    for (size_t i = 0; i < n; i++) {
        struct space_allocation allocation;
        uint64_t bytes = globals[i].size_bytes ? globals[i].size_bytes : 1;
        CUresult result;

        if (globals[i].is_extern) {
            log_error(log, globals[i].name);
            return CUDA_ERROR_INVALID_PTX;
        }
        result = memory_alloc(module->context, bytes, globals[i].is_managed ? SPACE_MANAGED : SPACE_GLOBAL,
                              CU_MEM_ATTACH_GLOBAL, &allocation);
        if (result)
            return result;
        addresses[i] = allocation.base;
        hosts[i] = allocation.host;
        module->globals[module->n_globals++] = (struct module_global){
            .name = globals[i].name,
            .address = allocation.base,
            .bytes = globals[i].size_bytes,
            .is_managed = globals[i].is_managed,
        };
    }
    return CUDA_SUCCESS;
}

static void free_globals(struct module *module)
{
    for (size_t i = 0; i < module->n_globals; i++)
        memory_free(module->globals[i].address);
    module->n_globals = 0;
}

static CUresult make_globals(struct module *module, struct module_log *log)
{
    const struct exec_global *globals;
    size_t n = exec_program_globals(module->program, &globals);
    uint64_t *addresses = calloc(n + 1, sizeof(*addresses));
    void **hosts = calloc(n + 1, sizeof(*hosts));
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;

    module->globals = calloc(n + 1, sizeof(*module->globals));
    if (addresses && hosts && module->globals)
        result = place_globals(module, addresses, hosts, log);
    if (!result)
        result = process_result(exec_program_bind(module->program, addresses, hosts));
    if (result)
        free_globals(module);
    free(addresses);
    free(hosts);
    return result;
}

static CUresult make_functions(struct module *module)
{
    const struct exec_kernel *kernels;
    size_t n = exec_program_kernels(module->program, &kernels);

    module->functions = calloc(n + 1, sizeof(*module->functions));
    if (!module->functions)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        struct function *function = &module->functions[i];
        int spare = DEVICE_SHARED_PER_BLOCK - (int)kernels[i].static_shared_bytes;

        object_init(&function->object, OBJECT_FUNCTION, function_end);
        function->module = object_ref(module);
        function->index = (uint32_t)i;
        function->kernel = &kernels[i];
        function->max_dynamic_shared_bytes = spare > 0 ? spare : 0;
        function->carveout = -1;
    }
    module->n_functions = n;
    return CUDA_SUCCESS;
}

static void link_module(struct module *module)
{
    struct context *context = module->context;

    pthread_mutex_lock(&context->lock);
    module->next = context->modules;
    context->modules = module;
    pthread_mutex_unlock(&context->lock);
    for (size_t i = 0; i < module->n_functions; i++)
        object_publish(&module->functions[i]);
    object_publish(module);
}

CUresult module_load(struct context *context, char *text, size_t text_bytes, struct module_log *log,
                     struct module **ret_module)
{
    struct module *module = calloc(1, sizeof(*module));
    CUresult result;

    if (!module) {
        free(text);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    object_init(&module->object, OBJECT_MODULE, module_free);
    module->context = context;
    module->text = text;
    result = read_program(module, text_bytes, log);
    if (!result)
        result = make_globals(module, log);
    if (!result) {
        result = make_functions(module);
        if (result)
            free_globals(module);
    }
    if (result) {
        object_unref(module);
        return result;
    }
    link_module(module);
    *ret_module = module;
    return CUDA_SUCCESS;
}

static void unlink_module(struct module *module)
{
    struct context *context = module->context;

    pthread_mutex_lock(&context->lock);
    for (struct module **link = &context->modules; *link; link = &(*link)->next) {
        if (*link != module)
            continue;
        *link = module->next;
        break;
    }
    pthread_mutex_unlock(&context->lock);
}

void module_unload(struct module *module)
{
    object_ref(module);
    if (object_retire(module)) {
        engine_wait_all(&module->context->queue);
        print_flush(&module->context->print);
        unlink_module(module);
        if (module->library)
            library_forget_module(module->library, module);
        free_globals(module);
        for (size_t i = 0; i < module->n_functions; i++) {
            object_retire(&module->functions[i]);
            object_unref(&module->functions[i]);
        }
        object_unref(module);
    }
    object_unref(module);
}

void module_unload_all(struct context *context)
{
    for (;;) {
        pthread_mutex_lock(&context->lock);
        struct module *module = context->modules ? object_ref(context->modules) : NULL;
        pthread_mutex_unlock(&context->lock);
        if (!module)
            return;
        module_unload(module);
        object_unref(module);
    }
}

/* ---- finding ---- */

struct function *module_find_function(struct module *module, const char *name)
{
    for (size_t i = 0; i < module->n_functions; i++)
        if (!strcmp(module->functions[i].kernel->name, name))
            return &module->functions[i];
    return NULL;
}

const struct module_global *module_find_global(struct module *module, const char *name)
{
    for (size_t i = 0; i < module->n_globals; i++)
        if (!strcmp(module->globals[i].name, name))
            return &module->globals[i];
    return NULL;
}

CUresult function_resolve(struct context *context, CUfunction handle, struct function **ret_function)
{
    struct kernel *kernel;
    CUresult result;

    *ret_function = object_get(OBJECT_FUNCTION, handle);
    if (*ret_function)
        return CUDA_SUCCESS;
    kernel = object_get(OBJECT_KERNEL, handle);
    if (!kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    result = library_function(kernel, context, ret_function);
    object_unref(kernel);
    return result;
}
