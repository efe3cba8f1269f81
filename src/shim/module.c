/* Modules and libraries: their code and global variables take device memory, how much the driver alone knows.
 * Measured when they are loaded; what a driver loads later, at first use, is found at the next measurement.
 */
#include <stddef.h>

#include "shim/measure.h"

static CUresult undo_module(void *module)
{
    return real(cuModuleUnload)(module);
}

static CUresult undo_library(void *library)
{
    return real(cuLibraryUnload)(library);
}

/* A call without a place for its answer is the driver's to refuse. */
#define LOAD(loaded, undo, name, ...)                                                                        \
    struct ledger_client *client;                                                                            \
    struct measure measure;                                                                                  \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client || !(loaded))                                                                      \
        return result ? result : real(name)(__VA_ARGS__);                                                    \
    result = measure_begin_current(&measure, __func__);                                                      \
    if (result)                                                                                              \
        return result;                                                                                       \
    result = real(name)(__VA_ARGS__);                                                                        \
    return measure_end_creation(&measure, result, result ? NULL : *(loaded), undo)

CUresult cuModuleLoad(CUmodule *module, const char *path)
{
    LOAD(module, undo_module, cuModuleLoad, module, path);
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    LOAD(module, undo_module, cuModuleLoadData, module, image);
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *options,
                            void **values)
{
    LOAD(module, undo_module, cuModuleLoadDataEx, module, image, count, options, values);
}

CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image)
{
    LOAD(module, undo_module, cuModuleLoadFatBinary, module, image);
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *image, CUjit_option *jit_options,
                           void **jit_values, unsigned int jit_count, CUlibraryOption *options, void **values,
                           unsigned int count)
{
    LOAD(library, undo_library, cuLibraryLoadData, library, image, jit_options, jit_values, jit_count,
         options, values, count);
}

CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *path, CUjit_option *jit_options,
                               void **jit_values, unsigned int jit_count, CUlibraryOption *options,
                               void **values, unsigned int count)
{
    LOAD(library, undo_library, cuLibraryLoadFromFile, library, path, jit_options, jit_values, jit_count,
         options, values, count);
}

/* Frames of calls that may load or unload something but make nothing that could be undone: when it does not
 * fit it is charged all the same, and the caller is told. */
#define TOUCH(name, ...)                                                                                     \
    struct ledger_client *client;                                                                            \
    struct measure measure;                                                                                  \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client)                                                                                   \
        return result ? result : real(name)(__VA_ARGS__);                                                    \
    result = measure_begin_current(&measure, __func__);                                                      \
    if (result)                                                                                              \
        return result;                                                                                       \
    result = real(name)(__VA_ARGS__);                                                                        \
    return measure_end(&measure) < 0 && result == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : result

CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
    TOUCH(cuLibraryGetModule, module, library);
}

CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    TOUCH(cuLibraryGetGlobal, address, bytes, library, name);
}

CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name)
{
    TOUCH(cuLibraryGetManaged, address, bytes, library, name);
}

/* An unload is never refused, whatever the account says. */
#define UNLOAD(name, unloaded)                                                                               \
    struct ledger_client *client;                                                                            \
    struct measure measure;                                                                                  \
    CUdevice device;                                                                                         \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client || real(cuCtxGetDevice)(&device) != CUDA_SUCCESS)                                  \
        return result ? result : real(name)(unloaded);                                                       \
    measure_begin_destruction(&measure, client, device);                                                     \
    result = real(name)(unloaded);                                                                           \
    measure_end(&measure);                                                                                   \
    return result

CUresult cuModuleUnload(CUmodule module)
{
    UNLOAD(cuModuleUnload, module);
}

CUresult cuLibraryUnload(CUlibrary library)
{
    UNLOAD(cuLibraryUnload, library);
}
