/* Drawing GPU time from an instance's account: a counter that all its processes share and that the allowance,
 * which grows by the clock, is compared with (docs/shares.md). Lock-free; nothing here waits, reads a clock
 * or believes what it reads to be sane. */
#ifndef VGPU_METER_DRAW_H
#define VGPU_METER_DRAW_H

#include <stdbool.h>
#include <stdint.h>

/* Takes ns when the account is below allowance_ns, however far that takes it beyond (a debt). What was left
 * unused for long is forfeited first: the account is never more than burst_ns below. False, with *ret_debt_ns
 * (0 where it is just used up): nothing was taken. */
bool draw_try(uint64_t *drawn_ns, uint64_t ns, uint64_t allowance_ns, uint64_t burst_ns,
              uint64_t *ret_debt_ns);

/* Takes ns whatever the allowance; negative gives back, never below 0. */
void draw_adjust(uint64_t *drawn_ns, int64_t ns);

#endif
