/* How much of what a process's kernels cost each is really spent, when several of its streams work at once.
 * Pure arithmetic.
 *
 * A kernel's cost is measured from an event before it to one after it in its stream. With other streams at
 * work it is too long, by what the device did for them meanwhile, or what it did at the same time; so the sum
 * of costs is more than the time for which the device was busy. The factor between them is measured where the
 * device went from the end of one measurement to the end of the next without a pause (the one before had not
 * ended when the next had been handed over): between the two ends it was busy all the time, while the
 * instance paid what was drawn meanwhile. */
#ifndef VGPU_METER_OVERLAP_H
#define VGPU_METER_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

enum { OVERLAP_ITEMS = 64, OVERLAP_PPM = 1000000 };

/* One measurement. Sequences are given out in the order of handing over, from 1, without gaps; they may be
 * taken in any order. */
struct overlap_item {
    uint64_t sequence;
    uint64_t epoch; /* ends of one epoch can be compared */
    int64_t end_ns; /* on the device's clock, from the epoch's begin */
    uint64_t
        drawn_ns; /* what was drawn when it began, for it and for what followed it, as it was corrected */
    uintptr_t stream;
    bool is_chained; /* the device did not pause between the end before and this one */
    bool is_clean;   /* nobody else worked on the device; false also for one that failed */
};

/* Begins as all zero. */
struct overlap {
    struct overlap_item items[OVERLAP_ITEMS]; /* by sequence */
    struct overlap_item last;                 /* the one counted last */
    int64_t busy_ns;
    uint64_t paid_ns, paid_before_ns; /* when the factor was measured last */
    uint32_t factor_ppm;              /* 0: not measured yet */
    uint32_t n_alone;                 /* items in a row of one stream */
};

void overlap_take(struct overlap *overlap, const struct overlap_item *item);

/* Millionths of a draw that are really spent; at most OVERLAP_PPM. */
uint32_t overlap_factor_ppm(const struct overlap *overlap);

#endif
