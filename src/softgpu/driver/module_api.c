/* The cuModule* calls, reading module files and JIT options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/module.h"

CUresult module_read_file(const char *path, char **ret_image, size_t *ret_bytes)
{
    FILE *file = fopen(path, "rbe");
    size_t bytes = 0, capacity = 65536;
    char *image = file ? malloc(capacity + 1) : NULL;

    while (image && !feof(file) && !ferror(file)) {
        if (bytes == capacity) {
            char *grown = realloc(image, (capacity *= 2) + 1);

            if (!grown)
                free(image);
            image = grown;
            continue;
        }
        bytes += fread(image + bytes, 1, capacity - bytes, file);
    }
    bool failed = !file || ferror(file);

    if (file)
        fclose(file);
    if (failed || !image) {
        free(image);
        return failed ? CUDA_ERROR_FILE_NOT_FOUND : CUDA_ERROR_OUT_OF_MEMORY;
    }
    image[bytes] = '\0';
    *ret_image = image;
    *ret_bytes = bytes;
    return CUDA_SUCCESS;
}

/* ---- options ---- */

CUresult module_read_options(unsigned count, const CUjit_option *options, void *const *values,
                             struct module_log *log)
{
    if (count && (!options || !values))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        if ((unsigned)options[i] >= CU_JIT_NUM_OPTIONS)
            return CUDA_ERROR_INVALID_VALUE;
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
            log->error = values[i];
        else if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
            log->error_bytes = (unsigned)(uintptr_t)values[i];
    }
    if (log->error && log->error_bytes)
        log->error[0] = '\0';
    return CUDA_SUCCESS;
}

static void empty_info_log(unsigned count, const CUjit_option *options, void **values)
{
    char *buffer = NULL;
    unsigned bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        if (options[i] == CU_JIT_INFO_LOG_BUFFER)
            buffer = values[i];
        else if (options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
            bytes = (unsigned)(uintptr_t)values[i];
    }
    if (buffer && bytes)
        buffer[0] = '\0';
}

void module_write_options(unsigned count, const CUjit_option *options, void **values,
                          const struct module_log *log)
{
    float no_time = 0;

    if (!options || !values)
        return;
    empty_info_log(count, options, values);
    for (unsigned i = 0; i < count; i++) {
        switch (options[i]) {
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            values[i] = (void *)(uintptr_t)(log->error && log->error_bytes ? strlen(log->error) : 0);
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            values[i] = NULL;
            break;
        case CU_JIT_WALL_TIME:
            memcpy(&values[i], &no_time, sizeof(no_time));
            break;
        default:
            break;
        }
    }
}

/* ---- loading ---- */

static CUresult load(CUmodule *ret_module, const void *image, size_t image_bytes, unsigned n_options,
                     CUjit_option *options, void **values)
{
    struct module_log log = {0};
    struct context *context;
    struct module *module;
    size_t text_bytes;
    char *text;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_module || !image)
        return CUDA_ERROR_INVALID_VALUE;
    result = module_read_options(n_options, options, values, &log);
    if (result)
        return result;
    print_flush(&context->print);
    result = module_find_text(context->device, image, image_bytes, &text, &text_bytes);
    if (!result)
        result = module_load(context, text, text_bytes, &log, &module);
    module_write_options(n_options, options, values, &log);
    if (!result)
        *ret_module = (CUmodule)module;
    return result;
}

CUresult cuModuleLoadData(CUmodule *ret_module, const void *image)
{
    return load(ret_module, image, SIZE_MAX, 0, NULL, NULL);
}

CUresult cuModuleLoadDataEx(CUmodule *ret_module, const void *image, unsigned int n_options,
                            CUjit_option *options, void **values)
{
    return load(ret_module, image, SIZE_MAX, n_options, options, values);
}

CUresult cuModuleLoadFatBinary(CUmodule *ret_module, const void *image)
{
    return load(ret_module, image, SIZE_MAX, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *ret_module, const char *path)
{
    struct context *context;
    size_t bytes;
    char *image;
    CUresult result = context_enter(&context);

    if (!result)
        result = path ? module_read_file(path, &image, &bytes) : CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    result = load(ret_module, image, bytes, 0, NULL, NULL);
    free(image);
    return result;
}

CUresult cuModuleUnload(CUmodule handle)
{
    struct context *context;
    struct module *module;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    module = object_get(OBJECT_MODULE, handle);
    /* A library's module goes with the library. */
    if (!module || module->library) {
        object_unref(module);
        return CUDA_ERROR_INVALID_HANDLE;
    }
    module_unload(module);
    object_unref(module);
    return CUDA_SUCCESS;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *ret_mode)
{
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_mode)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_mode = CU_MODULE_EAGER_LOADING;
    return CUDA_SUCCESS;
}

/* ---- looking inside ---- */

static CUresult enter(CUmodule handle, struct module **ret_module)
{
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    *ret_module = object_get(OBJECT_MODULE, handle);
    return *ret_module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuModuleGetFunction(CUfunction *ret_function, CUmodule handle, const char *name)
{
    struct function *function;
    struct module *module;
    CUresult result = enter(handle, &module);

    if (result)
        return result;
    if (ret_function && name && *name) {
        function = module_find_function(module, name);
        if (function)
            *ret_function = (CUfunction)function;
        else
            result = CUDA_ERROR_NOT_FOUND;
    } else {
        result = CUDA_ERROR_INVALID_VALUE;
    }
    object_unref(module);
    return result;
}

CUresult cuModuleGetFunctionCount(unsigned int *ret_count, CUmodule handle)
{
    struct module *module;
    CUresult result = enter(handle, &module);

    if (result)
        return result;
    if (ret_count)
        *ret_count = (unsigned)module->n_functions;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(module);
    return result;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int count, CUmodule handle)
{
    struct module *module;
    CUresult result = enter(handle, &module);

    if (result)
        return result;
    if (!functions)
        result = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < module->n_functions && i < count && !result; i++)
        functions[i] = (CUfunction)&module->functions[i];
    object_unref(module);
    return result;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *ret_address, size_t *ret_bytes, CUmodule handle, const char *name)
{
    const struct module_global *global;
    struct module *module;
    CUresult result = enter(handle, &module);

    if (result)
        return result;
    global = name && *name ? module_find_global(module, name) : NULL;
    if (!global)
        result = name && *name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
    if (global && ret_address)
        *ret_address = global->address;
    if (global && ret_bytes)
        *ret_bytes = global->bytes;
    object_unref(module);
    return result;
}
