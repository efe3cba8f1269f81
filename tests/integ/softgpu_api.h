/* What the tests of the software GPU's driver API share. Each program is a process of its own with a device
 * process of its own: it calls softgpu_api_begin first, which makes a directory for them and describes the
 * devices. */
#ifndef VGPU_TESTS_SOFTGPU_API_H
#define VGPU_TESTS_SOFTGPU_API_H

/* cmocka wants these before it, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cuda.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)

/* The devices of most tests: virtual time, so that what is measured is exact, and round numbers. */
#define DEVICE "memory=1G,sms=8,context=64M,time=virtual,launch=5us,copy=1G,devcopy=10G,ips=1000000"

static char softgpu_api_dir[64];

static inline void softgpu_api_end(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf '%s'", softgpu_api_dir);
    if (system(command))
        perror(command);
}

static inline void softgpu_api_begin(const char *devices)
{
    strcpy(softgpu_api_dir, "/tmp/softgpu-api-XXXXXX");
    if (!mkdtemp(softgpu_api_dir)) {
        perror("mkdtemp");
        exit(1);
    }
    setenv("VGPU_SOFTGPU_DIR", softgpu_api_dir, 1);
    setenv("VGPU_SOFTGPU_DAEMON", SOFTGPU_DAEMON, 1);
    setenv("VGPU_SOFTGPU_IDLE_S", "1", 1);
    setenv("VGPU_SOFTGPU_DEVICES", devices, 1);
    setenv("VGPU_LOG", "error", 1);
    atexit(softgpu_api_end);
}

/* `call` gives exactly `code`. */
#define assert_code(code, call)                                                                              \
    do {                                                                                                     \
        CUresult got_ = (call);                                                                              \
        if (got_ != (code))                                                                                  \
            fail_msg("%s: %d, expected is %d", #call, (int)got_, (int)(code));                               \
    } while (0)
#define assert_ok(call) assert_code(CUDA_SUCCESS, call)

static inline uint64_t free_bytes(void)
{
    size_t free_now, total;

    assert_ok(cuMemGetInfo(&free_now, &total));
    return free_now;
}

/* A module from the kernels that the tests have compiled. */
static inline CUmodule load_kernels(const char *name)
{
    char path[512];
    CUmodule module;

    snprintf(path, sizeof(path), "%s/%s", KERNELS_DIR, name);
    assert_ok(cuModuleLoad(&module, path));
    return module;
}

static inline CUfunction get_kernel(CUmodule module, const char *name)
{
    CUfunction function;

    assert_ok(cuModuleGetFunction(&function, module, name));
    return function;
}

/* Set-up and tear-down of a test: a context on device 0, current, and gone again. */
static inline int new_context(void **state)
{
    CUcontext context;

    assert_ok(cuInit(0));
    assert_ok(cuCtxCreate(&context, NULL, 0, 0));
    *state = context;
    return 0;
}

static inline int end_context(void **state)
{
    assert_ok(cuCtxDestroy(*state));
    return 0;
}

#define TEST_IN_CONTEXT(name) cmocka_unit_test_setup_teardown(name, new_context, end_context)

#endif
