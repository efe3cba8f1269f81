/* Measurements of work on the device: two timing events around one piece of it, taken back when they are
 * over. A fixed number at a time; no lock is held over the driver. Private to src/shim: gate.c decides what
 * is measured. */
#ifndef VGPU_SHIM_SAMPLE_H
#define VGPU_SHIM_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/gate_wait.h"

/* What is measured, as whoever has it measured knows it. */
struct sample_work {
    uint64_t key;
    uint64_t paid_ns;  /* its predicted cost; 0: not known */
    uint64_t drawn_ns; /* what was drawn when it began: for this piece and others after it */
    double per_key;    /* the key's cost is so much of the work's time: 1, of copies by MiB */
    int device;
    enum ledger_engine engine;
    enum gate_company company; /* when it began */
    bool is_first;             /* of its key: others wait for what it says */
};

struct sample {
    struct sample_work work;
    /* ---- of sample.c */
    bool is_chained; /* the one before was not over when this one had been handed over */
    bool is_gapless; /* the device did not wait for the host meanwhile */
    unsigned state;
    uint64_t sequence; /* in the order of handing over, from 1 */
    uintptr_t stream;
    struct sample *before; /* the one handed over before it, if its slot still holds that one */
    uint64_t epoch;        /* which base event its end can be compared with; 0: none */
    int64_t end_ns;        /* then: when it ended, after that event */
    CUcontext context;
    CUevent begin, end;
    uint64_t pending_ns; /* when it was last seen not to be over */
    uint64_t begun_ns;   /* monotonic, when it was handed over */
    uint64_t gap_ns;     /* between the two calls, where it is not gapless */
};

/* Takes a free measurement and records its begin in the stream, whose context is current. NULL: none is free,
 * or the driver would not. The stream does not capture. */
struct sample *sample_begin(const struct sample_work *work, CUstream stream, bool is_per_thread);

/* The work was handed over with `result`: records the end. False: it failed, or the record did, and the
 * measurement is dropped. */
bool sample_end(struct sample *sample, CUstream stream, bool is_per_thread, CUresult result);

/* Gives the time of each measurement that is over to `take`, in no order; take may be called by several
 * threads at once. */
typedef void sample_taken(const struct sample *sample, uint64_t measured_ns);
void sample_collect(sample_taken *take);

/* Measurements under way. One load. */
unsigned sample_count(void);

/* Whether work in another stream than this one is under way for late_ns longer than it may ever take by its
 * prediction: then it may be waiting for work that comes later. */
bool sample_is_overdue(uint64_t now_ns, uint64_t late_ns, CUstream stream, bool is_per_thread);

/* The context was destroyed, and its events with it. */
void sample_forget_context(CUcontext context);
void sample_reset_in_child(void);

#endif
