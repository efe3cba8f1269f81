/* The session of the software libnvidia-ml; see session.h. Handles are addresses in a static array: they stay
 * valid over shutdown and a new init, as programs expect, and what is none can be told by its address. */
#include "softgpu/nvml/session.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/paths.h"

struct nvmlDevice_st {
    char unused;
};

static struct nvmlDevice_st handles[SGDEV_DEVICES_MAX];

/* Calls read, init and shutdown write. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct sgdev *session;
static unsigned users;

/* A call that another thread made at the moment of the fork will never end in the child. */
static void fork_child(void)
{
    pthread_rwlock_init(&lock, NULL);
}

static void fork_register(void)
{
    pthread_atfork(NULL, NULL, fork_child);
}

nvmlReturn_t session_open(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int r = 0;

    pthread_once(&once, fork_register);
    pthread_rwlock_wrlock(&lock);
    if (!session)
        r = sgdev_open(&session);
    if (r == 0)
        users++;
    pthread_rwlock_unlock(&lock);
    if (r == -EPERM)
        return NVML_ERROR_NO_PERMISSION;
    return r < 0 ? NVML_ERROR_DRIVER_NOT_LOADED : NVML_SUCCESS;
}

nvmlReturn_t session_close(void)
{
    nvmlReturn_t r = NVML_SUCCESS;

    pthread_rwlock_wrlock(&lock);
    if (!session) {
        r = NVML_ERROR_UNINITIALIZED;
    } else if (--users == 0) {
        sgdev_close(session);
        session = NULL;
    }
    pthread_rwlock_unlock(&lock);
    return r;
}

nvmlReturn_t session_begin(struct session_call *call, const void *argument)
{
    nvmlReturn_t r = NVML_SUCCESS;

    *call = (struct session_call){0};
    pthread_rwlock_rdlock(&lock);
    if (!session)
        r = NVML_ERROR_UNINITIALIZED;
    else if (!argument)
        r = NVML_ERROR_INVALID_ARGUMENT;
    else
        call->dev = session;
    if (r != NVML_SUCCESS)
        pthread_rwlock_unlock(&lock);
    return r;
}

nvmlReturn_t session_begin_device(struct session_call *call, nvmlDevice_t device, const void *argument)
{
    nvmlReturn_t r = session_begin(call, argument);
    int ordinal;

    if (r != NVML_SUCCESS)
        return r;
    ordinal = session_ordinal(call, device);
    if (ordinal < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    call->ordinal = (unsigned)ordinal;
    call->properties = sgdev_properties(call->dev, call->ordinal);
    return NVML_SUCCESS;
}

void session_leave(struct session_call *call)
{
    if (call->dev)
        pthread_rwlock_unlock(&lock);
}

nvmlDevice_t session_device(unsigned ordinal)
{
    return &handles[ordinal];
}

int session_ordinal(const struct session_call *call, nvmlDevice_t device)
{
    uintptr_t offset = (uintptr_t)device - (uintptr_t)handles;

    return offset < sgdev_count(call->dev) ? (int)offset : -1;
}

nvmlReturn_t session_error(int r)
{
    switch (r) {
    case 0:
        return NVML_SUCCESS;
    case -ENOMEM:
        return NVML_ERROR_MEMORY;
    case -EPIPE:
        return NVML_ERROR_GPU_IS_LOST;
    default:
        return NVML_ERROR_UNKNOWN;
    }
}

nvmlReturn_t session_text(char *to, unsigned length, const char *text)
{
    size_t bytes = strlen(text) + 1;

    if (bytes > length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(to, text, bytes);
    return NVML_SUCCESS;
}

int softgpu_nvml_unsupported(const char *symbol)
{
    const char *level = paths_env("VGPU_LOG");
    struct session_call call;
    nvmlReturn_t r = session_begin(&call, symbol);

    if (r == NVML_SUCCESS && level && !strcmp(level, "debug"))
        fprintf(stderr, "vgpu software GPU: %s is not supported\n", symbol);
    return session_end(&call, r == NVML_SUCCESS ? NVML_ERROR_NOT_SUPPORTED : r);
}
