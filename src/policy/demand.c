/* What a tenant wants, guessed from what it did; see policy.h. Wanting more is believed at once, wanting less
 * only after some looks: who is held too short by a wrong guess waits, and who is given too much for a moment
 * costs little. */
#include "policy/policy.h"

#define IDLE_AFTER_NS UINT64_C(20000000) /* two ticks */
#define BUSY_MOST_NS  UINT64_C(50000000) /* long kernels: how long what was paid for keeps a tenant active */
#define FLIGHT_NS                                                                                            \
    UINT64_C(200000000) /* how long work under way keeps it active: not all look when theirs has ended */
#define HELD_MOST_NS  UINT64_C(400000000) /* of what was longer ago, half counts */
#define SMOOTH_NS     UINT64_C(40000000)
#define LOOK_LEAST_NS UINT64_C(1000000) /* what was used in less says nothing of a rate */

static uint64_t scale(uint64_t value, uint64_t by, uint64_t per)
{
    unsigned __int128 scaled = (unsigned __int128)value * by / (per ? per : 1);

    return scaled > UINT64_MAX ? UINT64_MAX : (uint64_t)scaled;
}

/* The tenant's work takes the longer on the device, the less of it the tenant has. */
static void busy_extend(struct policy_demand *demand, uint64_t used_ns, uint32_t rate_ppm, uint64_t now_ns)
{
    uint64_t takes_ns = scale(used_ns, POLICY_ALL_PPM, rate_ppm);

    if (!used_ns)
        return;
    if (demand->busy_until_ns < now_ns)
        demand->busy_until_ns = now_ns;
    demand->busy_until_ns =
        takes_ns < BUSY_MOST_NS ? demand->busy_until_ns + takes_ns : now_ns + BUSY_MOST_NS;
    if (demand->busy_until_ns > now_ns + BUSY_MOST_NS)
        demand->busy_until_ns = now_ns + BUSY_MOST_NS;
}

static void used_smooth(struct policy_demand *demand, uint64_t used_ns, uint64_t elapsed_ns)
{
    uint64_t now_ppm = scale(used_ns, POLICY_ALL_PPM, elapsed_ns);

    if (now_ppm > POLICY_ALL_PPM)
        now_ppm = POLICY_ALL_PPM;
    if (now_ppm >= demand->used_ppm || elapsed_ns >= SMOOTH_NS)
        demand->used_ppm = (uint32_t)now_ppm;
    else
        demand->used_ppm -= (uint32_t)scale(demand->used_ppm - now_ppm, elapsed_ns, SMOOTH_NS);
}

static uint32_t demand_of(const struct policy_demand *demand, uint64_t now_ns)
{
    uint32_t ppm = demand->used_ppm + demand->used_ppm / 4 + POLICY_LEAST_PPM;

    if (!demand->is_active)
        return 0;
    return now_ns < demand->wants_until_ns || ppm > POLICY_ALL_PPM ? POLICY_ALL_PPM : ppm;
}

/* Since when the device is what holds the tenant up, and what it used since. */
static void held_note(struct policy_demand *demand, const struct policy_seen *seen, uint64_t now_ns)
{
    if (!seen->is_busy || seen->waited || !demand->is_active) {
        demand->held_since_ns = demand->held_used_ns = 0;
        return;
    }
    if (!demand->held_since_ns) {
        demand->held_since_ns = now_ns;
        return;
    }
    demand->held_used_ns += seen->used_ns;
    if (now_ns - demand->held_since_ns > HELD_MOST_NS) {
        demand->held_since_ns += (now_ns - demand->held_since_ns) / 2;
        demand->held_used_ns /= 2;
    }
}

void policy_look(struct policy_demand *demand, const struct policy_seen *seen, uint32_t rate_ppm,
                 uint64_t period_ns, uint64_t now_ns)
{
    uint64_t elapsed_ns = demand->looked_ns ? now_ns - demand->looked_ns : POLICY_PERIOD_NS;
    uint64_t idle_ns = now_ns > seen->active_ns ? now_ns - seen->active_ns : 0;

    if (elapsed_ns < LOOK_LEAST_NS)
        elapsed_ns = LOOK_LEAST_NS;
    busy_extend(demand, seen->used_ns, rate_ppm, now_ns);
    used_smooth(demand, seen->used_ns, elapsed_ns);
    demand->looked_ns = now_ns;
    demand->active_ns = seen->active_ns;
    demand->is_active = seen->active_ns && (idle_ns < IDLE_AFTER_NS || now_ns < demand->busy_until_ns ||
                                            (seen->is_busy && idle_ns < FLIGHT_NS) ||
                                            (seen->in_debt && idle_ns < POLICY_RECENT_NS));
    if (seen->waited && demand->is_active)
        demand->wants_until_ns = now_ns + period_ns + IDLE_AFTER_NS;
    demand->demand_ppm = demand_of(demand, now_ns);
    held_note(demand, seen, now_ns);
}
