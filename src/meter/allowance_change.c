/* Changes of an allowance; see allowance_change.h. Called by vgpud, and by tests in its place. */
#include "meter/allowance_change.h"

/* What the allowance has granted at now_ns for the rest of the period under way. */
static uint64_t granted_ahead(const struct allowance_terms *terms, uint64_t now_ns)
{
    uint64_t period_ns = terms->period_ns ? terms->period_ns : 1;
    uint64_t offset_ns = terms->offset_ns % period_ns;
    uint64_t phase_ns = (now_ns % period_ns + period_ns - offset_ns) % period_ns;

    return (uint64_t)((unsigned __int128)(period_ns - phase_ns) * terms->rate_ppm / 1000000);
}

static struct allowance allowance_from(uint64_t base_ns, const struct allowance_terms *terms, uint64_t now_ns)
{
    uint64_t ahead_ns = granted_ahead(terms, now_ns);

    return (struct allowance){.base_ns = base_ns > UINT64_MAX - ahead_ns ? UINT64_MAX : base_ns + ahead_ns,
                              .base_time_ns = now_ns,
                              .period_ns = terms->period_ns,
                              .offset_ns = terms->offset_ns,
                              .rate_ppm = terms->rate_ppm};
}

struct allowance allowance_begin(uint64_t drawn_ns, const struct allowance_terms *terms, uint64_t now_ns)
{
    return allowance_from(drawn_ns, terms, now_ns);
}

struct allowance allowance_change(const struct allowance *before, const struct allowance_terms *terms,
                                  uint64_t now_ns)
{
    const struct allowance_terms former = {
        .period_ns = before->period_ns, .offset_ns = before->offset_ns, .rate_ppm = before->rate_ppm};
    uint64_t reached_ns = allowance_at(before, now_ns), ahead_ns = granted_ahead(&former, now_ns);

    return allowance_from(reached_ns > ahead_ns ? reached_ns - ahead_ns : 0, terms, now_ns);
}
