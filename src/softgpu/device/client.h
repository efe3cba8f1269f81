/* A process's link to the software device's resident process (softgpud), which owns device memory, the
 * timeline and the liveness of its users. Used by the software libcuda and libnvidia-ml.
 *
 * The resident process is started on demand, one for a directory (VGPU_SOFTGPU_DIR), and ends when nobody has
 * used it for a while. A user that dies, however it dies, gives everything back: the process holds a
 * connection, and the connection's end is its end. */
#ifndef VGPU_SOFTGPU_DEVICE_CLIENT_H
#define VGPU_SOFTGPU_DEVICE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SGDEV_TOKEN_BYTES = 16,
    SGDEV_DEVICES_MAX = 16,
    SGDEV_NAME_MAX = 64,
    SGDEV_PROCESSES_MAX = 4096,
    SGDEV_SLICES_MAX = 8
};

enum sgdev_time_mode {
    SGDEV_TIME_PACED,   /* work takes its modelled time on the device's clock, which is CLOCK_MONOTONIC */
    SGDEV_TIME_VIRTUAL, /* work takes its modelled time on a clock of the device that moves only with work;
                           nobody waits */
    SGDEV_TIME_ASAP     /* work takes the time the interpreter took */
};

/* One device, as described by the user (docs/softgpu.md, VGPU_SOFTGPU_DEVICES). */
struct sgdev_properties {
    char name[SGDEV_NAME_MAX];
    uint8_t uuid[16];
    uint32_t pci_domain, pci_bus, pci_device;
    uint32_t sm_count, clock_khz, memory_clock_khz, bus_width_bits;
    uint32_t compute_major, compute_minor;
    uint64_t memory_bytes;            /* capacity */
    uint64_t context_bytes;           /* what a context costs, granules of 2 MiB */
    uint64_t granule_bytes;           /* 2 MiB: unit in which device memory is taken */
    uint32_t pitch_align_bytes;       /* 512 */
    uint64_t pool_chunk_bytes;        /* growth of a memory pool, 32 MiB */
    uint64_t ips_per_sm;              /* cost model: modelled cycles a second and SM; 0 = clock_khz * 1000 */
    uint64_t copy_bytes_per_s;        /* cost model of host<->device copies */
    uint64_t device_copy_bytes_per_s; /* cost model of copies and memsets inside the device */
    uint64_t launch_ns;               /* fixed cost of a kernel on the device */
    uint64_t time_slices_ns[SGDEV_SLICES_MAX]; /* a context's turn: contexts get these in the order of their
                                                  making, over and over */
    uint32_t n_time_slices;                    /* 1: all turns are equally long */
    bool runs_to_end;   /* a turn's end waits for the end of the kernel, instead of interrupting it */
    uint64_t switch_ns; /* cost of changing between contexts */
    enum sgdev_time_mode time_mode;
};

struct sgdev; /* opaque, one a process; thread-safe */

/* Connects, starting softgpud if none runs. -ENODEV: the description asks for no device; -EINVAL: it cannot
 * be read (softgpud said why on stderr); -EPERM: the directory is somebody else's; or another negative errno.
 */
int sgdev_open(struct sgdev **ret_dev);
void sgdev_close(struct sgdev *dev);

unsigned sgdev_count(const struct sgdev *dev);
const struct sgdev_properties *sgdev_properties(const struct sgdev *dev, unsigned ordinal);

/* ---- memory ---- */

/* Takes bytes (a multiple of granule_bytes) of device memory: zeroed, contiguous in the device's arena.
 * -ENOMEM: the device is full. */
int sgdev_segment_alloc(struct sgdev *dev, unsigned ordinal, uint64_t bytes, uint64_t *ret_offset_bytes);
int sgdev_segment_free(struct sgdev *dev, unsigned ordinal, uint64_t offset_bytes);
/* A token by which another process may hold the segment too; the same one each time. -EINVAL: not held. */
int sgdev_segment_export(struct sgdev *dev, unsigned ordinal, uint64_t offset_bytes,
                         uint8_t ret_token[SGDEV_TOKEN_BYTES]);
/* Holds the segment of that token once more: it lives until everybody who holds it has freed it
 * (sgdev_segment_free) as often as it came to hold it, or ended. The process that has held it longest is the
 * one it is counted for. -ENOENT: there is none. */
int sgdev_segment_import(struct sgdev *dev, unsigned ordinal, const uint8_t token[SGDEV_TOKEN_BYTES],
                         uint64_t *ret_offset_bytes, uint64_t *ret_bytes);
/* The arena's descriptor (a memfd), to map segments of; borrowed. */
int sgdev_arena_fd(struct sgdev *dev, unsigned ordinal);
/* Capacity and what is free of it now, over all processes. */
int sgdev_memory(struct sgdev *dev, unsigned ordinal, uint64_t *ret_free_bytes, uint64_t *ret_total_bytes);

/* For judges of accounts, without a message: how often what is in use has changed; the most that was in use
 * from change number `since` (its value included) until now, UINT64_MAX when that is longer ago than is
 * remembered (1024 changes); and the most that ever was. */
uint64_t sgdev_used_changes(struct sgdev *dev, unsigned ordinal);
uint64_t sgdev_used_most(struct sgdev *dev, unsigned ordinal, uint64_t since);
uint64_t sgdev_used_peak(struct sgdev *dev, unsigned ordinal);

/* ---- contexts ---- */

/* A context: charged context_bytes, scheduled by itself on the timeline. -ENOMEM when it does not fit. */
int sgdev_context_open(struct sgdev *dev, unsigned ordinal, uint32_t *ret_context);
int sgdev_context_close(struct sgdev *dev, uint32_t context);
/* What the context is charged beyond context_bytes, from now on: extra_bytes, a multiple of the granule.
 * -ENOMEM when that does not fit; then nothing changes. Closing gives it back. */
int sgdev_context_resize(struct sgdev *dev, uint32_t context, uint64_t extra_bytes);

/* ---- the timeline ---- */

enum sgdev_engine { SGDEV_ENGINE_COMPUTE, SGDEV_ENGINE_COPY };

struct sgdev_work {
    uint32_t context;
    enum sgdev_engine engine;
    uint64_t ready_ns; /* earliest start on the device's clock: when it was enqueued, and the end of what it
                          depends on */
    uint64_t duration_ns; /* modelled length; in ASAP mode what it really took, up to the submission */
    uint32_t sm_permille; /* part of the device's SMs it occupies, for the SM-fraction account; 1000 = all */
};

/* The device's clock now (CLOCK_MONOTONIC, or the virtual one). */
uint64_t sgdev_now_ns(struct sgdev *dev, unsigned ordinal);

/* Hands work to the timeline; does not wait. Work of one context and engine runs in order of submission;
 * contexts take turns by time_slices_ns. *ret_ticket names it for sgdev_wait. Each ticket must be waited for
 * once (sgdev_wait), from any thread. */
int sgdev_submit(struct sgdev *dev, const struct sgdev_work *work, uint64_t *ret_ticket);
/* Blocks until the work has ended on the device's clock; tells when it started and ended. poll: do not block,
 * -EAGAIN if not yet. */
int sgdev_wait(struct sgdev *dev, uint64_t ticket, bool poll, uint64_t *ret_start_ns, uint64_t *ret_end_ns);

/* ---- what NVML sees ---- */

struct sgdev_process {
    int pid;                 /* as softgpud sees it */
    uint64_t memory_bytes;   /* segments and contexts */
    uint64_t busy_ns;        /* compute time so far, on the device's clock */
    uint64_t copy_busy_ns;   /* the same of the copy engine */
    uint64_t last_busy_ns;   /* end of its latest compute work, device clock */
    uint64_t busy_last_s_ns; /* its part of the device's busy_last_s_ns */
    uint32_t contexts;
};

struct sgdev_account {
    uint64_t now_ns;   /* device clock */
    uint64_t busy_ns;  /* time in which compute work ran, all processes; never more than now_ns - start_ns */
    uint64_t start_ns; /* when the device process began to count */
    uint64_t copy_busy_ns; /* the same of the copy engine */
    uint64_t copy_busy_last_s_ns;
    uint64_t busy_last_s_ns; /* busy part of the last second */
    uint64_t sm_busy_ns;     /* busy_ns, each piece of work weighted by its sm_permille */
    uint64_t memory_used_bytes, memory_total_bytes;
    uint32_t n_processes;
};

int sgdev_account(struct sgdev *dev, unsigned ordinal, struct sgdev_account *ret_account);
/* How busy an engine was in the latest whole slots of slot_ns each; the last one, busy_ns[n - 1], ended at
 * end_ns. */
enum { SGDEV_HISTORY_MAX = 128 };
struct sgdev_history {
    uint64_t slot_ns, end_ns;
    uint32_t n;
    uint32_t busy_ns[SGDEV_HISTORY_MAX];
};
int sgdev_history(struct sgdev *dev, unsigned ordinal, enum sgdev_engine engine,
                  struct sgdev_history *ret_history);

/* At most *n_processes rows; sets it to how many there are. Rows of processes that hold a context. */
int sgdev_processes(struct sgdev *dev, unsigned ordinal, struct sgdev_process *rows, size_t *n_processes);

#endif
