/* Our libnvidia-ml.so.1: everything is the driver's own, but a process of an instance sees of a device's
 * memory its slice, and of the processes on it those of its instance. Devices that the instance has no part
 * of show no memory and no processes.
 *
 * It is a library by itself: it attaches as an observer, which takes no slot, and its state is its own. When
 * the account cannot be had, these figures are refused rather than the whole device's shown. */
#include <dlfcn.h>

#include "driver/glibc_floor.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/trampolines.h"
#include "driver/driver.h"
#include "ledger/ledger.h"
#include "shim/attach.h"
#include "shim/origin.h"
#include "shim/rejoin.h"
#include "shim/say.h"

__attribute__((visibility("default"))) const char vgpu_shim_mark[] = "vgpu";

enum mode { MODE_NEW, MODE_PASS, MODE_LIMITED, MODE_REFUSED };

static struct driver driver;
static enum mode mode; /* stored last, with release */
static struct ledger_client *client;
static bool driver_is_open;
static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER;

#define real(name) (driver.nvml.name)

static nvmlReturn_t open_locked(void)
{
    int r;

    if (driver_is_open)
        return NVML_SUCCESS;
    r = driver_open_nvml(origin_driver_dir(), &driver);
    if (r < 0) {
        shim_say("cannot open the driver's libnvidia-ml.so.1: %s",
                 r == -ELOOP ? "what is there is vgpu's own library" : strerror(-r));
        return NVML_ERROR_LIBRARY_NOT_FOUND;
    }
    __atomic_store_n(&driver_is_open, true, __ATOMIC_RELEASE);
    return NVML_SUCCESS;
}

static enum mode attach_locked(const char *instance)
{
    char why[512];

    if (attach_open(instance, CONTROL_CLIENT_OBSERVER, &client, why, sizeof(why)) == 0)
        return MODE_LIMITED;
    shim_say("instance %s: %s; NVML shows no memory", instance, why);
    return MODE_REFUSED;
}

/* What a hook may do: pass the call on (MODE_PASS), or show what the account says. */
static nvmlReturn_t limit(enum mode *ret_mode)
{
    nvmlReturn_t result = NVML_SUCCESS;

    *ret_mode = __atomic_load_n(&mode, __ATOMIC_ACQUIRE);
    if (*ret_mode == MODE_NEW) {
        const int kept_errno = errno; /* opening and attaching are not the application's business */

        pthread_mutex_lock(&slow_lock);
        result = open_locked();
        if (result == NVML_SUCCESS && mode == MODE_NEW) {
            const char *instance = attach_instance();

            __atomic_store_n(&mode, instance ? attach_locked(instance) : MODE_PASS, __ATOMIC_RELEASE);
        }
        *ret_mode = mode;
        pthread_mutex_unlock(&slow_lock);
        errno = kept_errno;
    }
    if (*ret_mode == MODE_LIMITED)
        rejoin_if_stale(client);
    return result == NVML_SUCCESS && *ret_mode == MODE_REFUSED ? NVML_ERROR_NO_PERMISSION : result;
}

static nvmlReturn_t not_in_this_driver(void)
{
    return NVML_ERROR_FUNCTION_NOT_FOUND;
}

void *shim_nvml_resolve(unsigned slot)
{
    nvmlReturn_t result;
    void *function;

    pthread_mutex_lock(&slow_lock);
    result = open_locked();
    pthread_mutex_unlock(&slow_lock);
    function = result == NVML_SUCCESS ? ((void **)&driver.nvml)[slot] : NULL;
    if (!function)
        return (void *)not_in_this_driver;
    __atomic_store_n(&shim_nvml_table[slot], function, __ATOMIC_RELAXED);
    return function;
}

/* ---- which device ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", or MIG- */
static int uuid_parse(const char *text, uint8_t ret_uuid[16])
{
    int n = 0;

    text = strchr(text, '-');
    for (text = text ? text + 1 : ""; *text && n < 32; text++) {
        int digit = hex_digit(*text);

        if (*text == '-')
            continue;
        if (digit < 0)
            return -EINVAL;
        ret_uuid[n / 2] = (uint8_t)(n % 2 ? ret_uuid[n / 2] | digit : digit << 4);
        n++;
    }
    return n == 32 && !*text ? 0 : -EINVAL;
}

/* Index of the device in the instance, or -1. */
static int device_index(nvmlDevice_t device)
{
    char text[96];
    uint8_t uuid[16];
    int index;

    if (real(nvmlDeviceGetUUID)(device, text, sizeof(text)) != NVML_SUCCESS || uuid_parse(text, uuid) < 0)
        return -1;
    index = ledger_device_index(client, uuid);
    return index < 0 ? -1 : index;
}

/* ---- memory ---- */

static void slice(nvmlDevice_t device, unsigned long long *total, unsigned long long *free_bytes,
                  unsigned long long *used)
{
    int index = device_index(device);
    uint64_t limit_bytes = index < 0 ? 0 : ledger_limit_bytes(client, (unsigned)index);
    uint64_t used_bytes = index < 0 ? 0 : ledger_used_bytes(client, (unsigned)index);

    if (*total > limit_bytes)
        *total = limit_bytes;
    *used = used_bytes < *total ? used_bytes : *total;
    if (*free_bytes > *total - *used)
        *free_bytes = *total - *used;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    enum mode now;
    nvmlReturn_t result = limit(&now);

    if (result != NVML_SUCCESS)
        return result;
    result = real(nvmlDeviceGetMemoryInfo)(device, memory);
    if (result == NVML_SUCCESS && now == MODE_LIMITED)
        slice(device, &memory->total, &memory->free, &memory->used);
    return result;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    enum mode now;
    nvmlReturn_t result = limit(&now);

    if (result != NVML_SUCCESS)
        return result;
    if (!real(nvmlDeviceGetMemoryInfo_v2))
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    result = real(nvmlDeviceGetMemoryInfo_v2)(device, memory);
    if (result == NVML_SUCCESS && now == MODE_LIMITED) {
        slice(device, &memory->total, &memory->free, &memory->used);
        memory->reserved = 0;
    }
    return result;
}

/* ---- processes ---- */

/* Keeps of n rows those of the instance's processes. A row begins with its pid in every version; NVML and
 * vgpud name processes alike. */
static unsigned int rows_keep(nvmlDevice_t device, void *rows, unsigned int n, size_t row_bytes)
{
    bool ours = device_index(device) >= 0;
    unsigned int kept = 0;
    char *row = rows;

    for (unsigned int i = 0; ours && i < n; i++) {
        unsigned int pid;

        memcpy(&pid, row + i * row_bytes, sizeof(pid));
        if (ledger_has_pid(client, (int)pid))
            memmove(row + kept++ * row_bytes, row + i * row_bytes, row_bytes);
    }
    return kept;
}

/* How many rows there are in all is told by an error when the caller's room is too small; it stays the whole
 * device's number then, which is enough room for the instance's. */
#define PROCESSES(function, row_type)                                                                        \
    nvmlReturn_t function(nvmlDevice_t device, unsigned int *count, row_type *rows)                          \
    {                                                                                                        \
        enum mode now;                                                                                       \
        nvmlReturn_t result = limit(&now);                                                                   \
                                                                                                             \
        if (result != NVML_SUCCESS)                                                                          \
            return result;                                                                                   \
        if (!real(function))                                                                                 \
            return NVML_ERROR_FUNCTION_NOT_FOUND;                                                            \
        result = real(function)(device, count, rows);                                                        \
        if (result == NVML_SUCCESS && now == MODE_LIMITED && rows)                                           \
            *count = rows_keep(device, rows, *count, sizeof(*rows));                                         \
        return result;                                                                                       \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_t)
