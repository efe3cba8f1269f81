/* What an instance may have drawn by a time: a staircase that the clock alone climbs (struct ledger_gate in ledger/layout.h). Pure. */
#ifndef VGPU_METER_ALLOWANCE_H
#define VGPU_METER_ALLOWANCE_H

#include <stdint.h>

/* Times are CLOCK_MONOTONIC; period_ns 0 is taken for 1. */
struct allowance {
    uint64_t base_ns, base_time_ns; /* the allowance is base_ns until the first begin of a period after base_time_ns */
    uint64_t period_ns, offset_ns;  /* a period begins at each offset_ns + k * period_ns, k of any sign */
    uint32_t rate_ppm;
};

/* The allowance at now_ns; base_ns where now_ns is before the base. */
uint64_t allowance_at(const struct allowance *allowance, uint64_t now_ns);

/* When it is first more than drawn_ns; UINT64_MAX: never, or not for 2^62 ns. */
uint64_t allowance_when_above(const struct allowance *allowance, uint64_t drawn_ns);

#endif
