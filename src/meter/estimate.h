/* What a piece of work costs, learnt from measurements of unequal worth. Pure arithmetic.
 *
 * A measurement is the device's time between an event before the work and one after it. It is
 *   exact   when nobody else worked on the device and the device went from one event to the other without
 * waiting for the host (the event before was still pending when the event after had been handed over); near
 * when nobody else worked, but the device was idle before: then the gap between the two calls is in it; a
 * bound when others worked meanwhile: it is too long by what they took, and no formula says how much, since
 * that depends on the hardware's time slices. The cost follows exact measurements by a moving average, near
 * ones where there are no exact ones; a bound can only lower it: work that once took less than was thought
 * surely costs less. */
#ifndef VGPU_METER_ESTIMATE_H
#define VGPU_METER_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

enum estimate_worth { ESTIMATE_BOUND, ESTIMATE_NEAR, ESTIMATE_EXACT };

/* How long an exact measurement outdoes near ones, and how long a clean one (exact or near) counts as fresh.
 */
#define ESTIMATE_EXACT_NS UINT64_C(1000000000)
#define ESTIMATE_CLEAN_NS UINT64_C(10000000000)

struct estimate {
    uint64_t cost_q4_ns;                   /* sixteenths of a ns */
    uint64_t least_ns;                     /* shortest clean measurement that the cost rests on; 0: none */
    uint64_t exact_time_ns, clean_time_ns; /* of the last one; 0: never */
    uint32_t n_measured;
    uint64_t window, window_ns; /* the last window's name, and what its first measurement said */
    bool is_raised;             /* the last window raised the cost, which was not believed yet */
    int8_t n_off;               /* clean ones in a row that were far off, by side */
};

/* Takes a measurement of ns (at least 1 counts) made at now_ns. */
void estimate_take(struct estimate *estimate, uint64_t ns, enum estimate_worth worth, uint64_t now_ns);

static inline uint64_t estimate_cost_ns(const struct estimate *estimate)
{
    return estimate->cost_q4_ns >> 4;
}

/* The same for a clean measurement made in a window, in which others were kept from beginning work. One who
 * was about to, and lost the processor just then, may still disturb it: so it takes two to be learnt, of one
 * window (window: any number but 0 that names it; the shorter counts where they differ by much) or of two
 * that agree; and what raises the cost by much has to be confirmed once more. */
void estimate_take_window(struct estimate *estimate, uint64_t ns, uint64_t window, uint64_t now_ns);

/* Whether a clean measurement is wanted: there is none, or it is old. */
bool estimate_is_unsure(const struct estimate *estimate, uint64_t now_ns);

#endif
