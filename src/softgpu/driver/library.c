/* The cuLibrary* and cuKernel* calls. A library keeps its PTX; the names of its kernels come from a first
 * reading. */
#include "softgpu/driver/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/function.h"

struct library {
    struct object object;
    char *text;
    size_t text_bytes;
    struct ptx_module *syntax; /* for the names */
    struct kernel *kernels;
    size_t n_kernels;
    pthread_mutex_t lock;    /* guards modules, and is held while one is loaded */
    struct module **modules; /* one for each context that needed it; not referenced */
    size_t n_modules;
};

static void library_free(void *object)
{
    struct library *library = object;

    ptx_free(library->syntax);
    pthread_mutex_destroy(&library->lock);
    free(library->kernels);
    free(library->modules);
    free(library->text);
    free(library);
}

static void kernel_end(void *object)
{
    struct kernel *kernel = object;

    object_unref(kernel->library);
}

static CUresult make_kernels(struct library *library)
{
    const struct ptx_module *syntax = library->syntax;

    library->kernels = calloc(syntax->n_funcs + 1, sizeof(*library->kernels));
    if (!library->kernels)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < syntax->n_funcs; i++) {
        struct kernel *kernel = &library->kernels[library->n_kernels];

        if (!syntax->funcs[i].is_entry || !syntax->funcs[i].has_body)
            continue;
        object_init(&kernel->object, OBJECT_KERNEL, kernel_end);
        kernel->library = object_ref(library);
        kernel->name = syntax->funcs[i].name;
        library->n_kernels++;
    }
    for (size_t i = 0; i < library->n_kernels; i++)
        object_publish(&library->kernels[i]);
    return CUDA_SUCCESS;
}

static CUresult library_new(const struct device *device, const void *image, size_t image_bytes,
                            struct module_log *log, struct library **ret_library)
{
    struct library *library = calloc(1, sizeof(*library));
    char error[PTX_ERROR_TEXT_MAX] = "";
    CUresult result;

    if (!library)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&library->object, OBJECT_LIBRARY, library_free);
    pthread_mutex_init(&library->lock, NULL);
    result = module_find_text(device, image, image_bytes, &library->text, &library->text_bytes);
    if (!result && ptx_parse(library->text, library->text_bytes, &library->syntax, error)) {
        if (log->error && log->error_bytes)
            snprintf(log->error, log->error_bytes, "%s", error);
        result = CUDA_ERROR_INVALID_PTX;
    }
    if (!result)
        result = make_kernels(library);
    if (result) {
        object_unref(library);
        return result;
    }
    object_publish(library);
    *ret_library = library;
    return CUDA_SUCCESS;
}

static struct module *module_in_locked(struct library *library, const struct context *context)
{
    for (size_t i = 0; i < library->n_modules; i++)
        if (library->modules[i]->context == context)
            return library->modules[i];
    return NULL;
}

static CUresult load_locked(struct library *library, struct context *context, struct module **ret_module)
{
    struct module **grown = realloc(library->modules, (library->n_modules + 1) * sizeof(*grown));
    char *text = grown ? malloc(library->text_bytes + 1) : NULL;
    CUresult result;

    if (grown)
        library->modules = grown;
    if (!text)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(text, library->text, library->text_bytes);
    text[library->text_bytes] = '\0';
    result = module_load(context, text, library->text_bytes, NULL, ret_module);
    if (result)
        return result;
    (*ret_module)->library = object_ref(library);
    library->modules[library->n_modules++] = *ret_module;
    return CUDA_SUCCESS;
}

/* The library's module in context, borrowed: it lives until the library or the context ends. */
static CUresult library_module(struct library *library, struct context *context, struct module **ret_module)
{
    CUresult result = CUDA_SUCCESS;

    pthread_mutex_lock(&library->lock);
    *ret_module = module_in_locked(library, context);
    if (!*ret_module)
        result = load_locked(library, context, ret_module);
    pthread_mutex_unlock(&library->lock);
    return result;
}

void library_forget_module(struct library *library, struct module *module)
{
    pthread_mutex_lock(&library->lock);
    for (size_t i = 0; i < library->n_modules; i++)
        if (library->modules[i] == module)
            library->modules[i--] = library->modules[--library->n_modules];
    pthread_mutex_unlock(&library->lock);
}

CUresult library_function(struct kernel *kernel, struct context *context, struct function **ret_function)
{
    struct module *module;
    CUresult result = library_module(kernel->library, context, &module);

    if (result)
        return result;
    struct function *function = module_find_function(module, kernel->name);

    if (!function)
        return CUDA_ERROR_NOT_FOUND;
    *ret_function = object_ref(function);
    return CUDA_SUCCESS;
}

/* ---- libraries ---- */

/* A library is for every device; without a current context the first device decides which PTX fits. */
static const struct device *any_device(void)
{
    struct context *context;

    return context_current(&context) ? process_device_at(0) : context->device;
}

static CUresult load(CUlibrary *ret_library, const void *image, size_t image_bytes, CUjit_option *options,
                     void **values, unsigned n_options)
{
    struct module_log log = {0};
    struct library *library;
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_library || !image)
        return CUDA_ERROR_INVALID_VALUE;
    result = module_read_options(n_options, options, values, &log);
    if (!result)
        result = library_new(any_device(), image, image_bytes, &log, &library);
    module_write_options(n_options, options, values, &log);
    if (!result)
        *ret_library = (CUlibrary)library;
    return result;
}

CUresult cuLibraryLoadData(CUlibrary *ret_library, const void *image, CUjit_option *jit_options,
                           void **jit_values, unsigned int n_jit_options, CUlibraryOption *options,
                           void **values, unsigned int n_options)
{
    return load(ret_library, image, SIZE_MAX, jit_options, jit_values, n_jit_options);
}

CUresult cuLibraryLoadFromFile(CUlibrary *ret_library, const char *path, CUjit_option *jit_options,
                               void **jit_values, unsigned int n_jit_options, CUlibraryOption *options,
                               void **values, unsigned int n_options)
{
    size_t bytes;
    char *image;
    CUresult result = process_check();

    if (!result)
        result = path ? module_read_file(path, &image, &bytes) : CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    result = load(ret_library, image, bytes, jit_options, jit_values, n_jit_options);
    free(image);
    return result;
}

/* Unloads the library's modules one by one: each takes itself off the list. */
static void unload_modules(struct library *library)
{
    for (;;) {
        pthread_mutex_lock(&library->lock);
        struct module *module = library->n_modules ? object_ref(library->modules[0]) : NULL;
        pthread_mutex_unlock(&library->lock);
        if (!module)
            return;
        module_unload(module);
        object_unref(module);
    }
}

CUresult cuLibraryUnload(CUlibrary handle)
{
    CUresult result = process_check();
    struct library *library;

    if (result)
        return result;
    library = object_get(OBJECT_LIBRARY, handle);
    if (!library)
        return CUDA_ERROR_INVALID_HANDLE;
    if (object_retire(library)) {
        unload_modules(library);
        for (size_t i = 0; i < library->n_kernels; i++) {
            object_retire(&library->kernels[i]);
            object_unref(&library->kernels[i]);
        }
        object_unref(library);
    }
    object_unref(library);
    return CUDA_SUCCESS;
}

static CUresult get_library(CUlibrary handle, struct library **ret_library)
{
    CUresult result = process_check();

    if (result)
        return result;
    *ret_library = object_get(OBJECT_LIBRARY, handle);
    return *ret_library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuLibraryGetKernel(CUkernel *ret_kernel, CUlibrary handle, const char *name)
{
    struct library *library;
    CUresult result = get_library(handle, &library);

    if (result)
        return result;
    result = ret_kernel && name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < library->n_kernels && result == CUDA_ERROR_NOT_FOUND; i++) {
        if (strcmp(library->kernels[i].name, name))
            continue;
        *ret_kernel = (CUkernel)&library->kernels[i];
        result = CUDA_SUCCESS;
    }
    object_unref(library);
    return result;
}

CUresult cuLibraryGetKernelCount(unsigned int *ret_count, CUlibrary handle)
{
    struct library *library;
    CUresult result = get_library(handle, &library);

    if (result)
        return result;
    if (ret_count)
        *ret_count = (unsigned)library->n_kernels;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(library);
    return result;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int count, CUlibrary handle)
{
    struct library *library;
    CUresult result = get_library(handle, &library);

    if (result)
        return result;
    if (!kernels)
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < library->n_kernels && i < count && !result; i++)
        kernels[i] = (CUkernel)&library->kernels[i];
    object_unref(library);
    return result;
}

/* The library's module in the current context. */
static CUresult enter_module(CUlibrary handle, struct library **ret_library, struct module **ret_module)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    *ret_library = object_get(OBJECT_LIBRARY, handle);
    if (!*ret_library)
        return CUDA_ERROR_INVALID_HANDLE;
    result = library_module(*ret_library, context, ret_module);
    if (result)
        object_unref(*ret_library);
    return result;
}

CUresult cuLibraryGetModule(CUmodule *ret_module, CUlibrary handle)
{
    struct library *library;
    struct module *module;
    CUresult result;

    if (!ret_module)
        return CUDA_ERROR_INVALID_VALUE;
    result = enter_module(handle, &library, &module);
    if (result)
        return result;
    *ret_module = (CUmodule)module;
    object_unref(library);
    return CUDA_SUCCESS;
}

static CUresult get_global(CUdeviceptr *ret_address, size_t *ret_bytes, CUlibrary handle, const char *name,
                           bool managed)
{
    const struct module_global *global;
    struct library *library;
    struct module *module;
    CUresult result;

    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    result = enter_module(handle, &library, &module);
    if (result)
        return result;
    global = module_find_global(module, name);
    if (!global || (managed && !global->is_managed))
        result = CUDA_ERROR_NOT_FOUND;
    if (!result && ret_address)
        *ret_address = global->address;
    if (!result && ret_bytes)
        *ret_bytes = global->bytes;
    object_unref(library);
    return result;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *ret_address, size_t *ret_bytes, CUlibrary library, const char *name)
{
    return get_global(ret_address, ret_bytes, library, name, false);
}

CUresult cuLibraryGetManaged(CUdeviceptr *ret_address, size_t *ret_bytes, CUlibrary library, const char *name)
{
    return get_global(ret_address, ret_bytes, library, name, true);
}

/* ---- kernels ---- */

static CUresult get_kernel(CUkernel handle, struct kernel **ret_kernel)
{
    CUresult result = process_check();

    if (result)
        return result;
    *ret_kernel = object_get(OBJECT_KERNEL, handle);
    return *ret_kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuKernelGetName(const char **ret_name, CUkernel handle)
{
    struct kernel *kernel;
    CUresult result = get_kernel(handle, &kernel);

    if (result)
        return result;
    if (ret_name)
        *ret_name = kernel->name;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(kernel);
    return result;
}

CUresult cuKernelGetLibrary(CUlibrary *ret_library, CUkernel handle)
{
    struct kernel *kernel;
    CUresult result = get_kernel(handle, &kernel);

    if (result)
        return result;
    if (ret_library)
        *ret_library = (CUlibrary)kernel->library;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(kernel);
    return result;
}

/* The function of a kernel in the current context, with a reference. */
static CUresult enter_function(CUkernel handle, struct function **ret_function)
{
    struct context *context;
    struct kernel *kernel;
    CUresult result = context_enter(&context);

    if (!result)
        result = get_kernel(handle, &kernel);
    if (result)
        return result;
    result = library_function(kernel, context, ret_function);
    object_unref(kernel);
    return result;
}

CUresult cuKernelGetFunction(CUfunction *ret_function, CUkernel handle)
{
    struct function *function;
    CUresult result = ret_function ? enter_function(handle, &function) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    *ret_function = (CUfunction)function;
    object_unref(function);
    return CUDA_SUCCESS;
}

/* A kernel's attributes are those of its function in the current context; only that context's device can be
 * asked for. */
static CUresult enter_function_on(CUkernel handle, CUdevice ordinal, struct function **ret_function)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (!result)
        result = enter_function(handle, ret_function);
    if (!result && (*ret_function)->module->context->device != device) {
        object_unref(*ret_function);
        result = CUDA_ERROR_NOT_SUPPORTED;
    }
    return result;
}

CUresult cuKernelGetAttribute(int *ret_value, CUfunction_attribute attribute, CUkernel handle,
                              CUdevice ordinal)
{
    struct function *function;
    CUresult result = enter_function_on(handle, ordinal, &function);

    if (result)
        return result;
    result = function_get_attribute(function, attribute, ret_value);
    object_unref(function);
    return result;
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice ordinal)
{
    struct function *function;
    CUresult result = enter_function_on(handle, ordinal, &function);

    if (result)
        return result;
    result = function_set_attribute(function, attribute, value);
    object_unref(function);
    return result;
}

CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config, CUdevice ordinal)
{
    struct function *function;
    CUresult result = enter_function_on(handle, ordinal, &function);

    if (result)
        return result;
    object_unref(function);
    return (unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *ret_offset, size_t *ret_bytes)
{
    struct function *function;
    CUresult result = enter_function(handle, &function);

    if (result)
        return result;
    result = function_get_parameter(function, index, ret_offset, ret_bytes);
    object_unref(function);
    return result;
}
