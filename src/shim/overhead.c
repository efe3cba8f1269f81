/* The charge for contexts and modules: brought to what the driver's NVML says, see overhead.h. The figures
 * are read without a lock (NVML is part of the driver) and applied only if nothing of this process moved
 * meanwhile; the last of several attempts may raise the charge but not lower it. */
#include "shim/overhead.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"

enum { PROCESSES_USUAL = 128, PROCESSES_MAX = 16384, ATTEMPTS = 8 };

static struct device_overhead {
    pthread_mutex_t lock;
    uint64_t charged_bytes;
    uint64_t prepaid_bytes;     /* reserved for what is about to be made, and not used for it yet */
    uint64_t outstanding_bytes; /* of all prepayments that have not ended */
    uint64_t uncertain_bytes;   /* atomic */
    uint64_t held_bytes;        /* atomic; of shared objects */
    uint64_t changes;           /* atomic; +1 whenever something of this process may move */
    nvmlDevice_t handle;        /* of NVML; NULL until asked for */
    CUdevice ordinal;           /* as last settled */
    bool in_range;              /* atomic; the charge is known to lie in a range, not to be exact */
} overheads[LEDGER_DEVICES_MAX] = {[0 ... LEDGER_DEVICES_MAX - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static bool some_in_range; /* atomic; that of any device */

#define nvml(name) (shim_driver.nvml.name)

int overhead_init(void)
{
    if (!shim_driver.nvml_handle || !nvml(nvmlInit_v2) || !nvml(nvmlDeviceGetHandleByUUID) ||
        !(nvml(nvmlDeviceGetComputeRunningProcesses_v3) || nvml(nvmlDeviceGetComputeRunningProcesses_v2)))
        return -ENOENT;
    return nvml(nvmlInit_v2)() == NVML_SUCCESS ? 0 : -EIO;
}

static void change(int device, uint64_t *figure, uint64_t delta)
{
    __atomic_add_fetch(figure, delta, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&overheads[device].changes, 1, __ATOMIC_SEQ_CST);
}

void overhead_unplaced_add(int device, uint64_t bytes)
{
    if (device >= 0)
        change(device, &overheads[device].uncertain_bytes, bytes);
}

void overhead_unplaced_sub(int device, uint64_t bytes)
{
    if (device >= 0)
        change(device, &overheads[device].uncertain_bytes, 0 - bytes);
}

void overhead_uncertain_add(int device, uint64_t bytes)
{
    if (device < 0)
        return;
    ledger_moving_add(shim.client, (unsigned)device, bytes);
    overhead_unplaced_add(device, bytes);
}

void overhead_uncertain_sub(int device, uint64_t bytes)
{
    if (device < 0)
        return;
    overhead_unplaced_sub(device, bytes);
    ledger_moving_sub(shim.client, (unsigned)device, bytes);
}

void overhead_held_add(int device, uint64_t bytes)
{
    overhead_unplaced_add(device, bytes);
    if (device >= 0)
        change(device, &overheads[device].held_bytes, bytes);
}

void overhead_held_sub(int device, uint64_t bytes)
{
    if (device >= 0)
        change(device, &overheads[device].held_bytes, 0 - bytes);
    overhead_unplaced_sub(device, bytes);
}

/* NVML's handle of a CUDA device, found by UUID; a partition of a device bears another prefix. */
static nvmlDevice_t device_handle(int device, CUdevice ordinal)
{
    static const char *const prefixes[] = {"GPU", "MIG"};
    nvmlDevice_t handle = __atomic_load_n(&overheads[device].handle, __ATOMIC_RELAXED);
    CUuuid uuid;

    if (handle || real(cuDeviceGetUuid_v2)(&uuid, ordinal) != CUDA_SUCCESS)
        return handle;
    for (int i = 0; i < 2 && !handle; i++) {
        char name[UUID_TEXT_BYTES];

        uuid_format((const uint8_t *)uuid.bytes, name);
        memcpy(name, prefixes[i], strlen(prefixes[i]));
        if (nvml(nvmlDeviceGetHandleByUUID)(name, &handle) != NVML_SUCCESS)
            handle = NULL;
    }
    __atomic_store_n(&overheads[device].handle, handle, __ATOMIC_RELAXED);
    return handle;
}

/* The processes on a device into rows, which have room for *n of them. */
static nvmlReturn_t list_processes(nvmlDevice_t handle, unsigned int *n, nvmlProcessInfo_t *rows)
{
    return nvml(nvmlDeviceGetComputeRunningProcesses_v3)
               ? nvml(nvmlDeviceGetComputeRunningProcesses_v3)(handle, n, rows)
               : nvml(nvmlDeviceGetComputeRunningProcesses_v2)(handle, n, rows);
}

/* Sums up the rows of one process. -ENODATA where NVML does not tell, as under WSL. */
static int sum_rows(const nvmlProcessInfo_t *rows, unsigned int n, int pid, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;

    for (unsigned int i = 0; i < n; i++) {
        if ((int)rows[i].pid != pid)
            continue;
        if (rows[i].usedGpuMemory > INT64_MAX)
            return -ENODATA;
        bytes += rows[i].usedGpuMemory;
    }
    *ret_bytes = bytes;
    return 0;
}

/* The same of a device with more processes than usual. */
static int process_bytes_of_many(nvmlDevice_t handle, int pid, uint64_t *ret_bytes)
{
    unsigned int n = PROCESSES_MAX;
    nvmlProcessInfo_t *rows = malloc(n * sizeof(*rows));
    int r = -ENOMEM;

    if (rows)
        r = list_processes(handle, &n, rows) == NVML_SUCCESS ? sum_rows(rows, n, pid, ret_bytes) : -EIO;
    free(rows);
    return r;
}

/* What NVML says this process holds on the device; 0 when it does not list it. NVML knows processes as vgpud
 * does: by host pid. */
static int process_bytes(struct ledger_client *client, int device, CUdevice ordinal, uint64_t *ret_bytes)
{
    nvmlProcessInfo_t rows[PROCESSES_USUAL];
    unsigned int n = PROCESSES_USUAL;
    nvmlDevice_t handle = device_handle(device, ordinal);
    nvmlReturn_t result;

    if (!handle)
        return -ENODEV;
    result = list_processes(handle, &n, rows);
    if (result == NVML_ERROR_INSUFFICIENT_SIZE)
        return process_bytes_of_many(handle, ledger_own_pid(client), ret_bytes);
    return result == NVML_SUCCESS ? sum_rows(rows, n, ledger_own_pid(client), ret_bytes) : -EIO;
}

struct view {
    uint64_t changes, charged_bytes;
    bool listed;          /* NVML says that this process holds something */
    int64_t beyond_bytes; /* NVML's figure minus what is charged for allocations: the overhead, if all of that
                             lies on the device */
    int64_t uncertain_bytes; /* but so much of it may not */
};

static int view_read(struct ledger_client *client, int device, CUdevice ordinal, struct view *ret_view)
{
    struct device_overhead *overhead = &overheads[device];
    uint64_t bytes, own, other, uncertain;
    struct view view;
    int r;

    view.changes = __atomic_load_n(&overhead->changes, __ATOMIC_SEQ_CST);
    view.charged_bytes = __atomic_load_n(&overhead->charged_bytes, __ATOMIC_SEQ_CST);
    r = process_bytes(client, device, ordinal, &bytes);
    if (r < 0)
        return r;
    own = ledger_own_bytes(client, (unsigned)device);
    other = view.charged_bytes + __atomic_load_n(&overhead->prepaid_bytes, __ATOMIC_SEQ_CST);
    own = (own > other ? own - other : 0) + __atomic_load_n(&overhead->held_bytes, __ATOMIC_SEQ_CST);
    uncertain = __atomic_load_n(&overhead->uncertain_bytes, __ATOMIC_SEQ_CST);
    view.listed = bytes != 0;
    view.beyond_bytes = (int64_t)bytes - (int64_t)own;
    view.uncertain_bytes = (int64_t)(uncertain < own ? uncertain : own);
    *ret_view = view;
    return 0;
}

struct overhead_mark overhead_mark(struct ledger_client *client, int device, CUdevice ordinal)
{
    struct overhead_mark mark = {0};
    struct view view;

    /* Without uncertain bytes the figure after the call says all. */
    if (device >= 0 && __atomic_load_n(&overheads[device].uncertain_bytes, __ATOMIC_SEQ_CST) &&
        view_read(client, device, ordinal, &view) == 0)
        mark = (struct overhead_mark){.known = true, .beyond_bytes = view.beyond_bytes};
    return mark;
}

static uint64_t overhead_wanted(const struct view *view, const struct overhead_mark *mark)
{
    int64_t wanted = (int64_t)view->charged_bytes, most = view->beyond_bytes + view->uncertain_bytes;

    if (mark->known)
        wanted += view->beyond_bytes - mark->beyond_bytes;
    if (wanted < view->beyond_bytes)
        wanted = view->beyond_bytes;
    if (wanted > most)
        wanted = most;
    return wanted > 0 ? (uint64_t)wanted : 0;
}

/* Moves the charge to wanted_bytes, with what was prepaid first; the lock is held, and no driver call is
 * made. */
static void charge_move_locked(struct ledger_client *client, int device, uint64_t wanted_bytes)
{
    struct device_overhead *overhead = &overheads[device];
    uint64_t charged = overhead->charged_bytes, more = wanted_bytes > charged ? wanted_bytes - charged : 0,
             prepaid = more < overhead->prepaid_bytes ? more : overhead->prepaid_bytes;

    __atomic_add_fetch(&overhead->changes, 1, __ATOMIC_SEQ_CST);
    if (more)
        ledger_charge(client, (unsigned)device, more - prepaid);
    else
        ledger_release(client, (unsigned)device, charged - wanted_bytes);
    __atomic_store_n(&overhead->prepaid_bytes, overhead->prepaid_bytes - prepaid, __ATOMIC_SEQ_CST);
    __atomic_store_n(&overhead->charged_bytes, wanted_bytes, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&overhead->changes, 1, __ATOMIC_SEQ_CST);
}

void overhead_prepay(int device, uint64_t bytes)
{
    struct device_overhead *overhead = &overheads[device];

    pthread_mutex_lock(&overhead->lock);
    overhead->outstanding_bytes += bytes;
    change(device, &overhead->prepaid_bytes, bytes);
    pthread_mutex_unlock(&overhead->lock);
}

void overhead_prepaid_end(struct ledger_client *client, int device, uint64_t bytes)
{
    struct device_overhead *overhead = &overheads[device];
    uint64_t left = 0;

    pthread_mutex_lock(&overhead->lock);
    overhead->outstanding_bytes -= bytes;
    if (overhead->prepaid_bytes > overhead->outstanding_bytes) {
        left = overhead->prepaid_bytes - overhead->outstanding_bytes;
        ledger_release(client, (unsigned)device, left);
        change(device, &overhead->prepaid_bytes, 0 - left);
    }
    pthread_mutex_unlock(&overhead->lock);
}

uint64_t overhead_bytes(int device)
{
    return __atomic_load_n(&overheads[device].charged_bytes, __ATOMIC_SEQ_CST);
}

static void in_range_set(struct device_overhead *overhead, CUdevice ordinal, bool in_range)
{
    overhead->ordinal = ordinal;
    __atomic_store_n(&overhead->in_range, in_range, __ATOMIC_RELAXED);
    if (in_range)
        __atomic_store_n(&some_in_range, true, __ATOMIC_RELAXED);
}

int overhead_settle(struct ledger_client *client, int device, CUdevice ordinal,
                    const struct overhead_mark *mark, bool must_hold)
{
    struct device_overhead *overhead;
    bool applied = false;

    if (device < 0)
        return 0;
    overhead = &overheads[device];
    for (int attempt = 1; !applied; attempt++) {
        struct view view;
        uint64_t wanted;
        int r = view_read(client, device, ordinal, &view);

        if (r < 0)
            return r;
        if (must_hold && !view.listed)
            return -ENODATA;
        wanted = overhead_wanted(&view, mark);
        pthread_mutex_lock(&overhead->lock);
        applied = __atomic_load_n(&overhead->changes, __ATOMIC_SEQ_CST) == view.changes;
        if (applied || (attempt == ATTEMPTS && wanted > overhead->charged_bytes))
            charge_move_locked(client, device, wanted);
        in_range_set(overhead, ordinal, !applied || view.uncertain_bytes);
        pthread_mutex_unlock(&overhead->lock);
        applied |= attempt == ATTEMPTS;
    }
    return ledger_used_bytes(client, (unsigned)device) > ledger_limit_bytes(client, (unsigned)device)
               ? -ENOMEM
               : 0;
}

void overhead_settle_rest(struct ledger_client *client)
{
    const struct overhead_mark none = {0};

    if (!__atomic_load_n(&some_in_range, __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&some_in_range, false, __ATOMIC_RELAXED);
    for (int device = 0; device < LEDGER_DEVICES_MAX; device++) {
        if (!__atomic_load_n(&overheads[device].in_range, __ATOMIC_RELAXED))
            continue;
        if (__atomic_load_n(&overheads[device].uncertain_bytes, __ATOMIC_SEQ_CST))
            __atomic_store_n(&some_in_range, true, __ATOMIC_RELAXED);
        else
            overhead_settle(client, device, overheads[device].ordinal, &none, false);
    }
}

void overhead_reset_in_child(void)
{
    for (int i = 0; i < LEDGER_DEVICES_MAX; i++)
        overheads[i] = (struct device_overhead){.lock = PTHREAD_MUTEX_INITIALIZER};
    some_in_range = false;
}
