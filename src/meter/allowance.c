/* The staircase; see allowance.h. Steps are counted from the base, so that nothing drifts: the sum after k periods is
 * floor(k * rate * period), not k times a rounded step. */
#include "meter/allowance.h"

#define NEVER_NS (UINT64_C(1) << 62)

static uint64_t period_of(const struct allowance *allowance)
{
    return allowance->period_ns ? allowance->period_ns : 1;
}

/* How far into its period the base is. */
static uint64_t base_phase(const struct allowance *allowance)
{
    uint64_t period = period_of(allowance);

    if (allowance->base_time_ns >= allowance->offset_ns)
        return (allowance->base_time_ns - allowance->offset_ns) % period;
    return (period - (allowance->offset_ns - allowance->base_time_ns) % period) % period;
}

static uint64_t after_periods(const struct allowance *allowance, uint64_t n)
{
    unsigned __int128 grown = (unsigned __int128)n * period_of(allowance) * allowance->rate_ppm / 1000000;

    return grown > UINT64_MAX - allowance->base_ns ? UINT64_MAX : allowance->base_ns + (uint64_t)grown;
}

uint64_t allowance_at(const struct allowance *allowance, uint64_t now_ns)
{
    if (now_ns <= allowance->base_time_ns)
        return allowance->base_ns;
    return after_periods(allowance, (now_ns - allowance->base_time_ns + base_phase(allowance)) / period_of(allowance));
}

uint64_t allowance_when_above(const struct allowance *allowance, uint64_t drawn_ns)
{
    uint64_t period = period_of(allowance), n;
    unsigned __int128 step = (unsigned __int128)period * allowance->rate_ppm, wait;

    if (drawn_ns < allowance->base_ns)
        return allowance->base_time_ns;
    if (!step)
        return UINT64_MAX;
    /* The least n with floor(n * step / 1e6) > drawn - base. */
    wait = ((unsigned __int128)(drawn_ns - allowance->base_ns) + 1) * 1000000;
    wait = (wait + step - 1) / step;
    if (wait > NEVER_NS / period)
        return UINT64_MAX;
    n = (uint64_t)wait;
    return allowance->base_time_ns + n * period - base_phase(allowance);
}
