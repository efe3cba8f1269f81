/* NVML's calls about the library and the machine: init and shutdown, versions, texts, names of processes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "softgpu/nvml/session.h"

/* A program that parses the driver's version finds the series whose CUDA version we have; a person finds what
 * it is. */
static const char driver_version[] = "580.00 vgpu software GPU";
static const char nvml_version[] = "13.580.00 vgpu software GPU";
enum { CUDA_VERSION = 13000 };

nvmlReturn_t nvmlInit(void)
{
    return session_open();
}

nvmlReturn_t nvmlInit_v2(void)
{
    return session_open();
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    if (flags & ~(unsigned)(NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH))
        return NVML_ERROR_INVALID_ARGUMENT;
    return session_open();
}

nvmlReturn_t nvmlShutdown(void)
{
    return session_close();
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    switch (result) {
#define RESULT_CASE(name, value, text)                                                                       \
    case name:                                                                                               \
        return text;
        NVML_RESULT_LIST(RESULT_CASE)
#undef RESULT_CASE
    default:
        return "Unknown Error";
    }
}

/* Versions can be asked for only between init and shutdown, but for the CUDA one, which frameworks ask first.
 */
static nvmlReturn_t version_text(char *version, unsigned length, const char *text)
{
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, version);

    if (r == NVML_SUCCESS)
        r = session_text(version, length, text);
    return session_end(&call, r);
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    return version_text(version, length, driver_version);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    return version_text(version, length, nvml_version);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    if (!version)
        return NVML_ERROR_INVALID_ARGUMENT;
    *version = CUDA_VERSION;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return nvmlSystemGetCudaDriverVersion(version);
}

/* The program's path as it was started, or the kernel's name of the process when there is none. */
static ssize_t process_name(unsigned pid, char *name, size_t bytes)
{
    static const char *const files[] = {"cmdline", "comm"};

    for (unsigned i = 0; i < 2; i++) {
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%u/%s", pid, files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return -1;
        n = read(fd, name, bytes - 1);
        close(fd);
        if (n <= 0)
            continue;
        name[n] = '\0';
        name[strcspn(name, "\n")] = '\0';
        return n;
    }
    return -1;
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    char text[1024];
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, name);

    if (r == NVML_SUCCESS && !length)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS && process_name(pid, text, sizeof(text)) < 0)
        r = NVML_ERROR_NOT_FOUND;
    if (r == NVML_SUCCESS) {
        /* NVML cuts a name that is too long. */
        if (strlen(text) >= length)
            text[length - 1] = '\0';
        r = session_text(name, length, text);
    }
    return session_end(&call, r);
}

nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned int cpu, unsigned int *count, nvmlDevice_t *devices)
{
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, count);

    if (r != NVML_SUCCESS)
        return r;
    /* The devices are as near to one processor as to another. */
    if (devices && *count < sgdev_count(call.dev))
        r = NVML_ERROR_INSUFFICIENT_SIZE;
    *count = sgdev_count(call.dev);
    for (unsigned i = 0; devices && r == NVML_SUCCESS && i < *count; i++)
        devices[i] = session_device(i);
    return session_end(&call, r);
}

nvmlReturn_t nvmlUnitGetCount(unsigned int *count)
{
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, count);

    if (r == NVML_SUCCESS)
        *count = 0;
    return session_end(&call, r);
}
