/* The state of this process: which mode it is in, how it gets there, what a fork does to it. See shim.h.
 * Everything here runs once, or once per forked child; hooks come here only by shim_limit_slow. */
#include <dlfcn.h>

#include "driver/glibc_floor.h"

#include "shim/shim.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "api/lookup.h"
#include "api/trampolines.h"
#include "shim/attach.h"
#include "shim/deferred.h"
#include "shim/external.h"
#include "shim/gate.h"
#include "shim/ipc.h"
#include "shim/origin.h"
#include "shim/graph_charge.h"
#include "shim/overhead.h"
#include "shim/physical.h"
#include "shim/pool.h"
#include "shim/table.h"
#include "shim/vmm.h"

struct shim shim;
struct driver shim_driver;

/* By this driver_open tells our libraries from NVIDIA's. */
__attribute__((visibility("default"))) const char vgpu_shim_mark[] = "vgpu";

static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER;
static bool driver_is_open, fork_is_watched;
static struct ledger_client *parents_client; /* in a forked child: mapped, but not ours to use */

CUresult shim_result(int error)
{
    switch (error) {
    case 0:
        return CUDA_SUCCESS;
    case -ENOMEM:
    case -ENODEV: /* not in the instance: the limit there is 0 */
        return CUDA_ERROR_OUT_OF_MEMORY;
    case -EPERM:
    case -EACCES:
        return CUDA_ERROR_NOT_PERMITTED;
    default: /* the instance was stopped, or nobody can say what it may have */
        return CUDA_ERROR_SYSTEM_NOT_READY;
    }
}

static CUresult not_supported(void)
{
    return CUDA_ERROR_NOT_SUPPORTED;
}

void *const shim_missing = (void *)not_supported;

static CUresult open_locked(void)
{
    void **slots = (void **)&shim_driver.cuda;
    const char *dir = origin_driver_dir();
    int r;

    if (driver_is_open)
        return CUDA_SUCCESS;
    r = driver_open(dir, &shim_driver);
    if (r < 0) {
        shim_say("cannot open the driver's libcuda.so.1%s%s: %s", dir ? " in " : "", dir ? dir : "",
                 r == -ELOOP     ? "what is there is vgpu's own library"
                 : r == -ENOEXEC ? "it does not load"
                                 : strerror(-r));
        return r == -ENOENT && !dir ? CUDA_ERROR_NO_DEVICE : CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
    }
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        if (!slots[slot])
            slots[slot] = shim_missing;
    __atomic_store_n(&driver_is_open, true, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}

CUresult shim_open(void)
{
    const int kept_errno = errno;
    CUresult result;

    if (__atomic_load_n(&driver_is_open, __ATOMIC_ACQUIRE))
        return CUDA_SUCCESS;
    pthread_mutex_lock(&slow_lock);
    result = open_locked();
    pthread_mutex_unlock(&slow_lock);
    errno = kept_errno;
    return result;
}

/* In the child only the forking thread is left, whatever the others held; and the slot is the parent's. */
static void forked_child(void)
{
    slow_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (shim.mode != SHIM_LIMITED)
        return;
    parents_client = shim.client;
    shim.client = NULL;
    shim.mode = SHIM_NEW;
    table_reset_in_child();
    pool_reset_in_child();
    deferred_reset_in_child();
    overhead_reset_in_child();
    physical_reset_in_child();
    vmm_reset_in_child();
    ipc_reset_in_child();
    external_reset_in_child();
    graph_exec_reset_in_child();
    graph_charge_reset_in_child();
    gate_reset_in_child();
}

static enum shim_mode refuse(const char *instance, const char *why, CUresult result)
{
    shim_say("instance %s: %s; nothing runs without its limit", instance, why);
    shim.refusal = result;
    return SHIM_REFUSED;
}

static enum shim_mode attach_locked(const char *instance)
{
    char why[512];
    int r;

    ledger_client_free(parents_client);
    parents_client = NULL;
    if (!fork_is_watched && pthread_atfork(NULL, NULL, forked_child) != 0)
        return refuse(instance, "no memory to watch for forks", CUDA_ERROR_OUT_OF_MEMORY);
    fork_is_watched = true;
    r = attach_open(instance, CONTROL_CLIENT_PROCESS, &shim.client, why, sizeof(why));
    if (r < 0)
        return refuse(instance, why, shim_result(r == -ENOMEM ? -EIO : r));
    gate_begin(shim.client);
    return SHIM_LIMITED;
}

/* What opening and attaching do to errno is not the application's business. */
CUresult shim_limit_slow(struct ledger_client **ret_client)
{
    const int kept_errno = errno;
    CUresult result;

    pthread_mutex_lock(&slow_lock);
    result = open_locked();
    if (result == CUDA_SUCCESS && shim.mode == SHIM_NEW) {
        const char *instance = attach_instance();

        __atomic_store_n(&shim.mode, instance ? attach_locked(instance) : SHIM_PASS, __ATOMIC_RELEASE);
    }
    if (result == CUDA_SUCCESS && shim.mode == SHIM_REFUSED)
        result = shim.refusal;
    if (result == CUDA_SUCCESS)
        *ret_client = shim.client;
    pthread_mutex_unlock(&slow_lock);
    errno = kept_errno;
    return result;
}

int shim_device_index(CUdevice device)
{
    CUuuid uuid;
    CUresult result;
    int8_t known;
    int index;

    if (device < 0 || device >= SHIM_DEVICES_MAX)
        return -1;
    known = __atomic_load_n(&shim.device_index[device], __ATOMIC_RELAXED);
    if (known)
        return known > 0 ? known - 1 : -1;
    result = (void *)real(cuDeviceGetUuid_v2) != shim_missing ? real(cuDeviceGetUuid_v2)(&uuid, device)
                                                              : real(cuDeviceGetUuid)(&uuid, device);
    if (result != CUDA_SUCCESS)
        return -1;
    index = ledger_device_index(shim.client, (const uint8_t *)uuid.bytes);
    __atomic_store_n(&shim.device_index[device], (int8_t)(index < 0 ? -1 : index + 1), __ATOMIC_RELAXED);
    return index < 0 ? -1 : index;
}

CUresult shim_current_index(int *ret_index)
{
    CUdevice device;
    CUresult result = real(cuCtxGetDevice)(&device);

    if (result == CUDA_SUCCESS)
        *ret_index = shim_device_index(device);
    return result;
}

bool shim_capture_relax(CUstreamCaptureMode *ret_mode)
{
    *ret_mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    return real(cuThreadExchangeStreamCaptureMode)(ret_mode) == CUDA_SUCCESS;
}

void shim_capture_restore(bool relaxed, CUstreamCaptureMode mode)
{
    if (relaxed)
        real(cuThreadExchangeStreamCaptureMode)(&mode);
}

/* ---- what is not hooked ---- */

bool shim_is_limited(void)
{
    enum shim_mode mode = __atomic_load_n(&shim.mode, __ATOMIC_ACQUIRE);

    return mode == SHIM_NEW ? attach_instance() != NULL : mode != SHIM_PASS;
}

bool shim_is_closed(const struct cuda_row *row)
{
    switch (row->memory) {
    case API_MEMORY_ALLOC:
    case API_MEMORY_CONTEXT:
    case API_MEMORY_MODULE:
    case API_MEMORY_IMPORT:
    case API_MEMORY_GRAPH:
        return !row->typed;
    default:
        return false;
    }
}

static CUresult no_driver(void)
{
    return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
}

void *shim_resolve(unsigned slot)
{
    void *function;

    if (shim_open() != CUDA_SUCCESS)
        return (void *)no_driver;
    if (shim_is_closed(api_cuda_slot(slot)) && shim_is_limited()) {
        shim_refuse(api_cuda_slot(slot)->symbol);
        return shim_missing;
    }
    function = ((void **)&shim_driver.cuda)[slot];
    __atomic_store_n(&shim_cuda_table[slot], function, __ATOMIC_RELAXED);
    return function;
}
