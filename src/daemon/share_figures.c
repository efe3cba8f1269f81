/* Figures of compute shares, from accounts that tenants can write: sums that only grow, and what the last
 * second was; see share.h. */
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/share.h"

#define ACTIVE_NS    UINT64_C(100000000)
#define SECOND_NS    (NS_PER_S - UINT64_C(50000000)) /* samples are a tenth apart */
#define STEP_MOST_NS (60 * NS_PER_S)                 /* more in one step is no time that somebody used */

enum { PERMILLE_MOST = 1000, THREADS_MOST = 1000000 };

/* A total follows its counter, but does not go back: predictions are put right in the account, both ways.
 * Where the counter jumps by more than most it is taken to go on from there. */
static void total_follow(uint64_t *total, uint64_t *shift, uint64_t before, uint64_t now, uint64_t most)
{
    uint64_t step = now > before ? now - before : before - now;

    if (step > most)
        *shift += before - now;
    if (now + *shift > *total && now + *shift - *total <= most)
        *total = now + *shift;
}

static void sample_keep(struct share_tenant *tenant, uint64_t now_ns)
{
    if (tenant->samples[tenant->sample].time_ns + SHARE_SAMPLE_MS * NS_PER_MS > now_ns)
        return;
    tenant->sample = (tenant->sample + 1) % SHARE_SAMPLES;
    tenant->samples[tenant->sample] = (struct share_sample){.time_ns = now_ns, .totals = tenant->totals};
}

void share_totals_init(struct share_tenant *tenant)
{
    struct ledger_time *last = &tenant->last;

    ledger_time_read(tenant->instance->areas.ledger, tenant->d, last);
    for (unsigned e = 0; e < LEDGER_ENGINES; e++)
        tenant->totals.used_ns[e] = last->billed_ns[e];
    tenant->totals.throttled_ns = last->throttled_ns;
    tenant->totals.throttled = last->throttled;
    tenant->looked = tenant->totals;
}

void share_totals_update(struct share_tenant *tenant, uint64_t now_ns)
{
    struct ledger_time before = tenant->last, *last = &tenant->last;
    struct share_totals *totals = &tenant->totals, *shift = &tenant->shift;

    ledger_time_read(tenant->instance->areas.ledger, tenant->d, last);
    for (unsigned e = 0; e < LEDGER_ENGINES; e++)
        total_follow(&totals->used_ns[e], &shift->used_ns[e], before.billed_ns[e], last->billed_ns[e],
                     STEP_MOST_NS);
    total_follow(&totals->throttled_ns, &shift->throttled_ns, before.throttled_ns, last->throttled_ns,
                 STEP_MOST_NS * LEDGER_SLOTS_MAX);
    total_follow(&totals->throttled, &shift->throttled, before.throttled, last->throttled, UINT32_MAX);
    sample_keep(tenant, now_ns);
}

/* The youngest sample that is a second old, or the oldest there is. */
static const struct share_sample *sample_of_a_second(const struct share_tenant *tenant, uint64_t now_ns)
{
    const struct share_sample *found = &tenant->samples[tenant->sample];

    for (unsigned back = 1; back < SHARE_SAMPLES && found->time_ns + SECOND_NS > now_ns; back++) {
        const struct share_sample *older =
            &tenant->samples[(tenant->sample + SHARE_SAMPLES - back) % SHARE_SAMPLES];

        if (!older->time_ns)
            break;
        found = older;
    }
    return found;
}

static uint64_t permille(uint64_t now, uint64_t before, uint64_t elapsed_ns, uint64_t most)
{
    uint64_t part = (uint64_t)((unsigned __int128)(now - before) * 1000 / elapsed_ns);

    return part < most ? part : most;
}

static void last_second(const struct share_tenant *tenant, uint64_t now_ns, struct share_figures *figures)
{
    const struct share_sample *sample = sample_of_a_second(tenant, now_ns);
    const struct share_totals *now = &tenant->totals, *before = &sample->totals;
    uint64_t elapsed_ns = now_ns - sample->time_ns;

    if (!sample->time_ns || elapsed_ns < NS_PER_MS)
        return;
    figures->used_permille = (unsigned)permille(now->used_ns[LEDGER_COMPUTE], before->used_ns[LEDGER_COMPUTE],
                                                elapsed_ns, PERMILLE_MOST);
    figures->copy_permille = (unsigned)permille(now->used_ns[LEDGER_COPY], before->used_ns[LEDGER_COPY],
                                                elapsed_ns, PERMILLE_MOST);
    figures->throttled_permille = permille(now->throttled_ns, before->throttled_ns, elapsed_ns, THREADS_MOST);
}

static uint64_t debt_ns(const struct share_tenant *tenant, const struct ledger_gate *gate, uint64_t now_ns)
{
    struct allowance allowance = share_allowance(gate);
    uint64_t reached_ns = allowance_at(&allowance, now_ns), most_ns = 0;

    for (unsigned e = 0; e < LEDGER_ENGINES && gate->flags & LEDGER_GATE_CAPPED; e++)
        if (tenant->last.drawn_ns[e] > reached_ns && tenant->last.drawn_ns[e] - reached_ns > most_ns)
            most_ns = tenant->last.drawn_ns[e] - reached_ns;
    return most_ns;
}

/* Processes that wait at a gate, of the instance: a process does not say on which of its devices. */
static unsigned queued(const struct instance *instance)
{
    unsigned n = 0;

    for (const struct client *c = instance->clients; c; c = c->next) {
        struct ledger_slot_time time;

        if (c->dead || c->who.slot == LEDGER_NO_SLOT)
            continue;
        ledger_slot_time_read(instance->areas.ledger, c->who.slot, 0, &time);
        n += time.waiting != 0;
    }
    return n;
}

void share_figures_read(const struct instance *instance, unsigned d, uint64_t now_ns,
                        struct share_figures *ret_figures)
{
    struct share_tenant *tenant = &instance->tenants[d];
    const struct ledger_gate *gate = &instance->areas.limits->gates[d];
    struct share_figures figures = {.rate_ppm = gate->rate_ppm};

    share_totals_update(tenant, now_ns);
    last_second(tenant, now_ns, &figures);
    figures.totals = tenant->totals;
    figures.debt_ns = debt_ns(tenant, gate, now_ns);
    figures.queued = queued(instance);
    figures.is_active = tenant->last.active_ns && now_ns < tenant->last.active_ns + ACTIVE_NS;
    *ret_figures = figures;
}
