/* From rates to turns; see policy.h. Those who have the same period and always have work run one after the
 * other, since each one's period begins when the part of the one before it ends. */
#include "policy/policy.h"

#define NEAR_NS UINT64_C(100000000) /* how long a little difference waits */

enum { NEAR_PPM = 5000, NEAR_LEAST_PPM = 100, NEAR_PART = 16, SAME_PART = 1000 };

static uint64_t period_of(const struct policy_tenant *tenant)
{
    uint64_t period_ns = POLICY_PERIOD_NS;

    if (tenant->terms.time_slice_ns) {
        if (!tenant->turn.rate_ppm)
            return POLICY_PERIOD_MOST_NS;
        period_ns = tenant->terms.time_slice_ns * POLICY_ALL_PPM / tenant->turn.rate_ppm;
    }
    if (period_ns < POLICY_PERIOD_LEAST_NS)
        return POLICY_PERIOD_LEAST_NS;
    return period_ns > POLICY_PERIOD_MOST_NS ? POLICY_PERIOD_MOST_NS : period_ns;
}

static bool has_class(const struct policy_tenant *tenant)
{
    return tenant->terms.policy != POLICY_FIXED_SHARE;
}

/* The highest priority that was at work lately; -1: none was. */
static int highest_recent(const struct policy_tenant *tenants, size_t n_tenants, uint64_t now_ns)
{
    int highest = -1;

    for (size_t i = 0; i < n_tenants; i++) {
        const struct policy_tenant *t = &tenants[i];

        if (has_class(t) && (int)t->terms.priority > highest && t->demand.active_ns &&
            now_ns < t->demand.active_ns + POLICY_RECENT_NS)
            highest = (int)t->terms.priority;
    }
    return highest;
}

void policy_take_turns(struct policy_tenant *tenants, size_t n_tenants, uint64_t now_ns)
{
    int highest = highest_recent(tenants, n_tenants, now_ns);
    uint64_t before_ppm = 0;

    for (size_t i = 0; i < n_tenants; i++) {
        struct policy_tenant *t = &tenants[i];

        t->turn.period_ns = period_of(t);
        t->turn.burst_ns = POLICY_BURST_NS * t->turn.rate_ppm / POLICY_ALL_PPM;
        t->turn.in_flight_ns = has_class(t) && (int)t->terms.priority < highest ? POLICY_IN_FLIGHT_NS : 0;
        t->turn.offset_ns = 0;
        if (!t->demand.is_active || !t->turn.is_capped)
            continue;
        t->turn.offset_ns = before_ppm * t->turn.period_ns / POLICY_ALL_PPM;
        before_ppm = (before_ppm + t->turn.rate_ppm) % POLICY_ALL_PPM;
    }
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static bool is_alike(const struct policy_turn *a, const struct policy_turn *b)
{
    return a->is_capped == b->is_capped && a->in_flight_ns == b->in_flight_ns &&
           !a->rate_ppm == !b->rate_ppm && difference(a->offset_ns, b->offset_ns) < a->period_ns / NEAR_PART;
}

/* Whether two turns are as good as the same for some ticks. */
static bool is_near(const struct policy_turn *a, const struct policy_turn *b)
{
    uint32_t near_ppm = a->rate_ppm / NEAR_PART;

    if (near_ppm > NEAR_PPM)
        near_ppm = NEAR_PPM;
    if (near_ppm < NEAR_LEAST_PPM)
        near_ppm = NEAR_LEAST_PPM;
    return is_alike(a, b) && difference(a->rate_ppm, b->rate_ppm) < near_ppm;
}

/* Whether they are for good. */
static bool is_same(const struct policy_turn *a, const struct policy_turn *b)
{
    return is_alike(a, b) && difference(a->rate_ppm, b->rate_ppm) <= a->rate_ppm / SAME_PART &&
           difference(a->period_ns, b->period_ns) <= a->period_ns / SAME_PART;
}

bool policy_is_due(const struct policy_turn *published, uint64_t published_ns, const struct policy_turn *turn,
                   bool is_active, uint64_t now_ns)
{
    bool is_soon = now_ns < published_ns + NEAR_NS;

    if (is_active)
        return !is_near(published, turn) || (!is_soon && !is_same(published, turn));
    return !is_soon && !is_near(published, turn);
}
