/* Allowances that change: what vgpud publishes when an instance's rate, period or turn is another from now
 * on. Pure. */
#ifndef VGPU_METER_ALLOWANCE_CHANGE_H
#define VGPU_METER_ALLOWANCE_CHANGE_H

#include "meter/allowance.h"

/* The terms of an allowance from some time on. */
struct allowance_terms {
    uint64_t period_ns, offset_ns;
    uint32_t rate_ppm;
};

/* An allowance that begins at now_ns for an instance that has drawn drawn_ns: no debt and no credit of before
 * counts, and it may begin at once, with its part of the period under way. */
struct allowance allowance_begin(uint64_t drawn_ns, const struct allowance_terms *terms, uint64_t now_ns);

/* The allowance that follows another one at now_ns. A step grants the whole period that it begins: of the
 * period under way, what the former allowance granted beyond now_ns is taken back, and the new one's part is
 * granted. So in the long run nothing is won or lost, however often terms change. It may be less than the
 * former was. */
struct allowance allowance_change(const struct allowance *before, const struct allowance_terms *terms,
                                  uint64_t now_ns);

#endif
