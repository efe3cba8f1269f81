/* A management library without a GPU, for tests of vgpud and the command line: FAKE_NVML_DEVICES devices (1)
 * of FAKE_NVML_GIB GiB (8). FAKE_NVML_FAULT makes it "hang", "crash" or "fail". FAKE_NVML_PROCESSES names a
 * file with a line "PID BYTES" for each process on every device (BYTES: "na" for what is not available);
 * without the file it does not tell. FAKE_NVML_LOAD names a file with a line "PID PERCENT" for each that
 * works; without it that is not told. FAKE_NVML_LOG names a file that gets a line each time the library is
 * opened. Built twice: FAKE_KIND tells an NVIDIA driver's devices from the software GPU's. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, UNKNOWN = 999 };

struct memory {
    unsigned long long total, free, used;
};
struct pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_sub_system_id;
    char bus_id[32];
};

struct process {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
};

struct sample {
    unsigned pid;
    unsigned long long time_us;
    unsigned sm, memory, encoder, decoder;
};

EXPORT int nvmlDeviceGetProcessUtilization(void *device, struct sample *samples, unsigned *count,
                                           unsigned long long since_us);
EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned bytes);
EXPORT int nvmlDeviceGetCount_v2(unsigned *ret_count);
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret_device);
EXPORT int nvmlDeviceGetUUID(void *device, char *text, unsigned bytes);
EXPORT int nvmlDeviceGetName(void *device, char *text, unsigned bytes);
EXPORT int nvmlDeviceGetMemoryInfo(void *device, struct memory *ret_memory);
EXPORT int nvmlDeviceGetPciInfo_v3(void *device, struct pci *ret_pci);
EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *processes);

static unsigned setting(const char *name, unsigned fallback)
{
    const char *text = getenv(name);

    return text ? (unsigned)atoi(text) : fallback;
}

int nvmlInit_v2(void)
{
    const char *fault = getenv("FAKE_NVML_FAULT"), *log = getenv("FAKE_NVML_LOG");
    FILE *f = log ? fopen(log, "a") : NULL;

    if (f) {
        fputs("opened\n", f);
        fclose(f);
    }
    if (!fault)
        return OK;
    if (!strcmp(fault, "hang"))
        pause();
    if (!strcmp(fault, "crash"))
        raise(SIGABRT);
    return UNKNOWN;
}

int nvmlShutdown(void)
{
    return OK;
}

int nvmlSystemGetDriverVersion(char *text, unsigned bytes)
{
    snprintf(text, bytes, "580.fake");
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *ret_count)
{
    *ret_count = setting("FAKE_NVML_DEVICES", 1);
    return OK;
}

/* A handle is the device's number plus one. */
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret_device)
{
    if (index >= setting("FAKE_NVML_DEVICES", 1))
        return INVALID_ARGUMENT;
    *ret_device = (void *)(unsigned long)(index + 1);
    return OK;
}

static unsigned number(void *device)
{
    return (unsigned)(unsigned long)device - 1;
}

int nvmlDeviceGetUUID(void *device, char *text, unsigned bytes)
{
    snprintf(text, bytes, "GPU-%s-0000-0000-0000-%012u",
             strcmp(FAKE_KIND, "nvidia") ? "5050f7a3" : "0f1d1a00", number(device));
    return OK;
}

int nvmlDeviceGetName(void *device, char *text, unsigned bytes)
{
    snprintf(text, bytes, "Fake %s GPU %u", FAKE_KIND, number(device));
    return OK;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *ret_memory)
{
    *ret_memory = (struct memory){.total = (unsigned long long)setting("FAKE_NVML_GIB", 8) << 30};
    ret_memory->free = ret_memory->total;
    return OK;
}

int nvmlDeviceGetPciInfo_v3(void *device, struct pci *ret_pci)
{
    *ret_pci = (struct pci){.bus = number(device) + 1};
    snprintf(ret_pci->bus_id, sizeof(ret_pci->bus_id), "00000000:%02X:00.0", number(device) + 1);
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *processes)
{
    const char *path = getenv("FAKE_NVML_PROCESSES");
    FILE *f = path ? fopen(path, "r") : NULL;
    unsigned n = 0, pid;
    char bytes[32];

    if (!f)
        return NOT_SUPPORTED;
    for (; fscanf(f, "%u %31s", &pid, bytes) == 2; n++)
        if (n < *count)
            processes[n] = (struct process){.pid = pid,
                                            .bytes = strcmp(bytes, "na") ? strtoull(bytes, NULL, 10) : ~0ull};
    fclose(f);
    if (n > *count) {
        *count = n;
        return INSUFFICIENT_SIZE;
    }
    *count = n;
    return OK;
}

int nvmlDeviceGetProcessUtilization(void *device, struct sample *samples, unsigned *count,
                                    unsigned long long since_us)
{
    const char *path = getenv("FAKE_NVML_LOAD");
    FILE *f = path ? fopen(path, "r") : NULL;
    unsigned n = 0, pid, percent;

    if (!f)
        return NOT_SUPPORTED;
    for (; n < *count && fscanf(f, "%u %u", &pid, &percent) == 2; n++)
        samples[n] = (struct sample){.pid = pid, .time_us = since_us + 1, .sm = percent};
    fclose(f);
    *count = n;
    return n ? OK : NOT_FOUND;
}
