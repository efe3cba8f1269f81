/* NVML's calls about use: memory, processes, utilisation. All of it is softgpud's account. "Utilisation" is
 * the part of the last second in which work ran: gpu means the compute engine; memory means the copy engine,
 * since what kernels do to memory is not modelled. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "softgpu/nvml/session.h"

/* No MIG instance: what NVML puts there. */
#define NO_INSTANCE 0xffffffffu

/* ---- memory ---- */

static nvmlReturn_t memory_now(nvmlDevice_t device, const void *argument, uint64_t *ret_free_bytes,
                               uint64_t *ret_total_bytes)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, argument);

    if (r == NVML_SUCCESS)
        r = session_error(sgdev_memory(call.dev, call.ordinal, ret_free_bytes, ret_total_bytes));
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    uint64_t free_bytes = 0, total_bytes = 0;
    nvmlReturn_t r = memory_now(device, memory, &free_bytes, &total_bytes);

    if (r == NVML_SUCCESS)
        *memory = (nvmlMemory_t){.total = total_bytes, .free = free_bytes, .used = total_bytes - free_bytes};
    return r;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    uint64_t free_bytes = 0, total_bytes = 0;
    nvmlReturn_t r = memory_now(device, memory, &free_bytes, &total_bytes);

    if (r != NVML_SUCCESS)
        return r;
    if (memory->version != nvmlMemory_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memory->total = total_bytes;
    memory->reserved = 0;
    memory->free = free_bytes;
    memory->used = total_bytes - free_bytes;
    return NVML_SUCCESS;
}

/* ---- processes ---- */

/* A process with two connections (two copies of the driver) is one process. */
static size_t rows_merge(struct sgdev_process *rows, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        size_t same = 0;

        while (same < kept && rows[same].pid != rows[i].pid)
            same++;
        if (same == kept) {
            rows[kept++] = rows[i];
            continue;
        }
        rows[same].memory_bytes += rows[i].memory_bytes;
        rows[same].busy_ns += rows[i].busy_ns;
        rows[same].busy_last_s_ns += rows[i].busy_last_s_ns;
        rows[same].contexts += rows[i].contexts;
        if (rows[i].last_busy_ns > rows[same].last_busy_ns)
            rows[same].last_busy_ns = rows[i].last_busy_ns;
    }
    return kept;
}

/* All processes of a device; the caller frees *ret_rows. */
static nvmlReturn_t rows_get(nvmlDevice_t device, const void *argument, struct sgdev_process **ret_rows,
                             size_t *ret_n, uint64_t *ret_now_ns)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, argument);
    struct sgdev_process *rows;
    size_t n = SGDEV_PROCESSES_MAX;

    if (r != NVML_SUCCESS)
        return session_end(&call, r);
    rows = malloc(n * sizeof(*rows));
    if (!rows)
        return session_end(&call, NVML_ERROR_MEMORY);
    r = session_error(sgdev_processes(call.dev, call.ordinal, rows, &n));
    if (r != NVML_SUCCESS) {
        free(rows);
        return session_end(&call, r);
    }
    *ret_n = rows_merge(rows, n < SGDEV_PROCESSES_MAX ? n : SGDEV_PROCESSES_MAX);
    *ret_rows = rows;
    *ret_now_ns = sgdev_now_ns(call.dev, call.ordinal);
    return session_end(&call, NVML_SUCCESS);
}

/* Fills processes, whose element is v1's or the later, longer one. */
static nvmlReturn_t running_processes(nvmlDevice_t device, unsigned *count, void *processes, bool is_v1)
{
    struct sgdev_process *rows = NULL;
    uint64_t now_ns = 0;
    size_t n = 0;
    nvmlReturn_t r = rows_get(device, count, &rows, &n, &now_ns);

    if (r != NVML_SUCCESS)
        return r;
    if (n > *count || (n && !processes)) {
        *count = (unsigned)n;
        free(rows);
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_v1)
            ((nvmlProcessInfo_v1_t *)processes)[i] =
                (nvmlProcessInfo_v1_t){.pid = (unsigned)rows[i].pid, .usedGpuMemory = rows[i].memory_bytes};
        else
            ((nvmlProcessInfo_v2_t *)processes)[i] = (nvmlProcessInfo_v2_t){
                .pid = (unsigned)rows[i].pid,
                .usedGpuMemory = rows[i].memory_bytes,
                .gpuInstanceId = NO_INSTANCE,
                .computeInstanceId = NO_INSTANCE,
            };
    }
    *count = (unsigned)n;
    free(rows);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int *count,
                                                  nvmlProcessInfo_v1_t *processes)
{
    return running_processes(device, count, processes, true);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_v2_t *processes)
{
    return running_processes(device, count, processes, false);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_t *processes)
{
    return running_processes(device, count, processes, false);
}

/* No process does graphics, and there is no MPS. */
static nvmlReturn_t no_processes(nvmlDevice_t device, unsigned int *count)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, count);

    if (r == NVML_SUCCESS)
        *count = 0;
    return session_end(&call, r);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned int *count,
                                                   nvmlProcessInfo_v1_t *processes)
{
    return no_processes(device, count);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned int *count,
                                                      nvmlProcessInfo_v2_t *processes)
{
    return no_processes(device, count);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                      nvmlProcessInfo_t *processes)
{
    return no_processes(device, count);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, unsigned int *count,
                                                     nvmlProcessInfo_v1_t *processes)
{
    return no_processes(device, count);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int *count,
                                                        nvmlProcessInfo_v2_t *processes)
{
    return no_processes(device, count);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *count,
                                                        nvmlProcessInfo_t *processes)
{
    return no_processes(device, count);
}

/* ---- utilisation ---- */

static unsigned percent(uint64_t busy_ns, uint64_t of_ns)
{
    return (unsigned)((busy_ns * 100 + of_ns / 2) / of_ns);
}

/* NVML's timestamps are microseconds of the machine's clock. */
static uint64_t timestamp_us(uint64_t device_ns, uint64_t device_now_ns)
{
    struct timespec now;
    uint64_t age_us = device_now_ns > device_ns ? (device_now_ns - device_ns) / 1000 : 0, now_us;

    clock_gettime(CLOCK_REALTIME, &now);
    now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    return age_us < now_us ? now_us - age_us : 0;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    struct sgdev_account account;
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, utilization);

    if (r == NVML_SUCCESS)
        r = session_error(sgdev_account(call.dev, call.ordinal, &account));
    if (r == NVML_SUCCESS)
        *utilization = (nvmlUtilization_t){.gpu = percent(account.busy_last_s_ns, NS_PER_S),
                                           .memory = percent(account.copy_busy_last_s_ns, NS_PER_S)};
    return session_end(&call, r);
}

/* Keeps the processes that worked in the last second and after since_us; puts the time of that into
 * last_busy_ns, in us. */
static size_t rows_keep_active(struct sgdev_process *rows, size_t n, uint64_t now_ns, uint64_t since_us)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t at_us = timestamp_us(rows[i].last_busy_ns, now_ns);

        if (!rows[i].busy_last_s_ns || at_us <= since_us)
            continue;
        rows[kept] = rows[i];
        rows[kept++].last_busy_ns = at_us;
    }
    return kept;
}

/* The active processes, or why there is nothing to give: room is for fewer, or there is none. */
static nvmlReturn_t rows_get_active(nvmlDevice_t device, unsigned *count, bool has_room, uint64_t since_us,
                                    struct sgdev_process **ret_rows)
{
    struct sgdev_process *rows = NULL;
    uint64_t now_ns = 0;
    size_t n = 0;
    nvmlReturn_t r = rows_get(device, count, &rows, &n, &now_ns);

    if (r != NVML_SUCCESS)
        return r;
    n = rows_keep_active(rows, n, now_ns, since_us);
    if (!n)
        r = NVML_ERROR_NOT_FOUND;
    else if (!has_room || n > *count)
        r = NVML_ERROR_INSUFFICIENT_SIZE;
    *count = (unsigned)n;
    if (r == NVML_SUCCESS)
        *ret_rows = rows;
    else
        free(rows);
    return r;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples,
                                             unsigned int *count, unsigned long long since)
{
    struct sgdev_process *rows = NULL;
    nvmlReturn_t r = rows_get_active(device, count, samples != NULL, since, &rows);

    if (r != NVML_SUCCESS)
        return r;
    for (unsigned i = 0; i < *count; i++)
        samples[i] = (nvmlProcessUtilizationSample_t){.pid = (unsigned)rows[i].pid,
                                                      .timeStamp = rows[i].last_busy_ns,
                                                      .smUtil = percent(rows[i].busy_last_s_ns, NS_PER_S)};
    free(rows);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
                                                   nvmlProcessesUtilizationInfo_t *utilization)
{
    struct sgdev_process *rows = NULL;
    nvmlReturn_t r;

    if (!utilization)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (utilization->version != nvmlProcessesUtilizationInfo_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    r = rows_get_active(device, &utilization->processSamplesCount, utilization->procUtilArray != NULL,
                        utilization->lastSeenTimeStamp, &rows);
    if (r != NVML_SUCCESS)
        return r;
    for (unsigned i = 0; i < utilization->processSamplesCount; i++)
        utilization->procUtilArray[i] =
            (nvmlProcessUtilizationInfo_v1_t){.pid = (unsigned)rows[i].pid,
                                              .timeStamp = rows[i].last_busy_ns,
                                              .smUtil = percent(rows[i].busy_last_s_ns, NS_PER_S)};
    free(rows);
    return NVML_SUCCESS;
}

/* The history of an engine as NVML's samples, oldest first: those after since_us. */
static nvmlReturn_t history_samples(const struct sgdev_history *history, uint64_t now_ns, uint64_t since_us,
                                    unsigned *count, nvmlSample_t *samples)
{
    unsigned room = samples ? *count : 0, n = 0;

    for (uint32_t i = 0; i < history->n; i++) {
        uint64_t at_us = timestamp_us(history->end_ns - (history->n - 1 - i) * history->slot_ns, now_ns);

        if (at_us <= since_us)
            continue;
        if (n < room)
            samples[n] = (nvmlSample_t){.timeStamp = at_us,
                                        .sampleValue.uiVal = percent(history->busy_ns[i], history->slot_ns)};
        n++;
    }
    *count = n;
    if (!n)
        return NVML_ERROR_NOT_FOUND;
    return samples && n > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type, unsigned long long since,
                                  nvmlValueType_t *value_type, unsigned int *count, nvmlSample_t *samples)
{
    bool is_gpu = type == NVML_GPU_UTILIZATION_SAMPLES;
    struct sgdev_history history;
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, count);

    if (r == NVML_SUCCESS && (!value_type || (unsigned)type >= NVML_SAMPLINGTYPE_COUNT))
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS && !is_gpu && type != NVML_MEMORY_UTILIZATION_SAMPLES)
        r = NVML_ERROR_NOT_SUPPORTED;
    if (r == NVML_SUCCESS)
        r = session_error(sgdev_history(call.dev, call.ordinal,
                                        is_gpu ? SGDEV_ENGINE_COMPUTE : SGDEV_ENGINE_COPY, &history));
    if (r == NVML_SUCCESS) {
        *value_type = NVML_VALUE_TYPE_UNSIGNED_INT;
        r = history_samples(&history, sgdev_now_ns(call.dev, call.ordinal), since, count, samples);
    }
    return session_end(&call, r);
}

/* Each value tells for itself; we have none. */
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    struct session_call call;
    nvmlReturn_t r = session_begin_device(&call, device, values);

    if (r == NVML_SUCCESS && count <= 0)
        r = NVML_ERROR_INVALID_ARGUMENT;
    for (int i = 0; r == NVML_SUCCESS && i < count; i++)
        values[i].nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
    return session_end(&call, r);
}
