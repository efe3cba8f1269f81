/* The gate: GPU time is paid for before work is handed to the device, and a thread waits here when its
 * instance has none left (docs/shares.md). Used by the hooks of every door that gives the device work:
 * launches, graphs, copies, fills, memory operations of streams.
 *
 *     struct gate_ticket ticket;
 *
 *     if (!gate_is_on())                         one load; no share is metered in this process
 *         return real(...)(...);
 *     gate_enter(&ticket, &work);                may wait; never refuses
 *     result = real(...)(...);
 *     gate_leave(&ticket, result);
 *
 * A launch whose cost is known and whose thread has credit needs neither: gate_pay is its fast path. No lock
 * is held over the driver's call, and nothing here ends or refuses one. All of it is thread-safe. */
#ifndef VGPU_SHIM_GATE_H
#define VGPU_SHIM_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/cuda_api.h"
#include "ledger/layout.h"

enum gate_kind {
    GATE_KERNEL,
    GATE_GRAPH,
    GATE_COPY_TO_DEVICE, /* host to device */
    GATE_COPY_TO_HOST,
    GATE_COPY_INSIDE,      /* device to device, the same */
    GATE_COPY_PEER,        /* between devices */
    GATE_COPY_UNKNOWN,     /* unified addresses: the driver alone knows */
    GATE_FILL,             /* memset */
    GATE_STREAM_OPERATION, /* write and wait values, batches of them */
};

/* One piece of work. Kernels: object is the CUfunction, dims the grid, block and dynamic shared memory;
 * graphs: object is the CUgraphExec; the rest: bytes (or the number of operations). */
struct gate_work {
    enum gate_kind kind;
    const char *call;   /* of the driver API, for notes; a literal */
    CUstream stream;    /* as the driver's function gets it: for _ptsz and _ptds variants see is_per_thread */
    bool is_per_thread; /* stream 0 is the thread's own */
    bool is_synchronous; /* the driver's call returns when the work is over (plain cuMemcpy) */
    const void *object;
    uint32_t dims[7];
    uint64_t bytes;
};

/* On the caller's stack between enter and leave. */
struct gate_ticket {
    int device; /* index in the instance; -1: nothing was paid */
    bool is_per_thread;
    enum ledger_engine engine;
    CUstream stream;
    void *sample; /* a measurement under way; NULL: none */
    uint64_t key;
    uint64_t paid_ns;
};

extern bool gate_on; /* written at attach and fork, see gate_is_on */

static inline bool gate_is_on(void)
{
    return __atomic_load_n(&gate_on, __ATOMIC_RELAXED);
}

/* Pays for work, waiting where its instance has to. Work for a stream that captures is not paid for. */
void gate_enter(struct gate_ticket *ticket, const struct gate_work *work);

/* The driver's call returned result: what was not begun is paid back; a measurement goes on. */
void gate_leave(struct gate_ticket *ticket, CUresult result);

/* ---- for core.c, sync.c and those who destroy ---- */

struct ledger_client;

/* This process has attached. */
void gate_begin(struct ledger_client *client);
void gate_reset_in_child(void);
/* Takes in what measurements are over: after a wait for the device. One load when none is under way. */
void gate_settle(void);
/* Around a wait for all that this process had begun: those of less priority are told that it is over. */
struct gate_marks {
    unsigned n;
    uint64_t begun[LEDGER_DEVICES_MAX];
};
void gate_mark(struct gate_marks *ret_marks);
void gate_waited(const struct gate_marks *marks); /* settles too */
/* A context was destroyed; an executable graph was destroyed or changed. */
void gate_forget_context(CUcontext context);
void gate_forget_graph(CUgraphExec exec);

#endif
