/* The tick of compute shares; see share.h. A look goes over the lists of tenants that have processes, device
 * by device; the arithmetic is src/policy's and src/meter's. The gates that are published stand in the limits
 * areas, which vgpud alone can write, so what was published last is read from there. */
#include "daemon/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "meter/allowance_change.h"

_Static_assert((int)LEDGER_BEST_EFFORT == (int)POLICY_BEST_EFFORT &&
                   (int)LEDGER_EQUAL_SHARE == (int)POLICY_EQUAL_SHARE &&
                   (int)LEDGER_FIXED_SHARE == (int)POLICY_FIXED_SHARE &&
                   (int)LEDGER_PRIORITY_HIGH < (int)POLICY_CLASSES,
               "policies and priorities have one number");

#define ACTIVE_NS      (UINT64_C(30) * NS_PER_MS)
#define WINDOW_SOON_NS (UINT64_C(1) * NS_PER_MS)
#define WINDOW_MOST_NS (UINT64_C(200) * NS_PER_MS)
/* How long others' work under way may keep a window from being clean, at most. */
#define DRAIN_MOST_NS (UINT64_C(100) * NS_PER_MS)
/* What a thread draws at a time. */
#define DRAW_NS (UINT64_C(1) * NS_PER_MS)
/* Of a device's time, 3 parts of 10 at most are windows. */
enum { WINDOW_PART = 3, WINDOW_PARTS = 10, PLENTY_ACTIVE = 2, UNDER_WAY = 3 /* long works of a process */ };

/* What one look finds on a device besides the tenants. */
struct look {
    uint64_t now_ns;
    uint32_t n_active; /* processes */
    /* Who may have a window: the first one after the last holder, and the first of all. */
    struct share_window after, first;
    uint64_t under_way_ns; /* what all active processes may have begun that has not ended */
};

/* ---- devices and lists ---- */

static int device_take(struct share *share, const uint8_t uuid[UUID_BYTES], unsigned *ret_device)
{
    struct share_device *free_one = NULL;

    for (unsigned i = LEDGER_SIGNAL_DEVICES_MAX; i-- > 0;) {
        struct share_device *device = &share->devices[i];

        if (!device->n_instances)
            free_one = device;
        if (device->n_instances && !memcmp(device->uuid, uuid, UUID_BYTES)) {
            free_one = device;
            break;
        }
    }
    if (!free_one)
        return -ENOSPC;
    if (!free_one->n_instances++) {
        *free_one = (struct share_device){.n_instances = 1};
        memcpy(free_one->uuid, uuid, UUID_BYTES);
    }
    *ret_device = (unsigned)(free_one - share->devices);
    return 0;
}

/* Instances of several devices have their turns first, so that they come at the same time on each. */
static bool goes_before(const struct share_tenant *a, const struct share_tenant *b)
{
    bool a_gang = a->instance->facts.n_devices > 1, b_gang = b->instance->facts.n_devices > 1;

    return a_gang != b_gang ? a_gang : a->instance->sequence < b->instance->sequence;
}

static void tenant_list(struct share_device *device, struct share_tenant *tenant)
{
    struct share_tenant **at = &device->tenants;

    if (tenant->is_listed)
        return;
    while (*at && goes_before(*at, tenant))
        at = &(*at)->next;
    tenant->next = *at;
    *at = tenant;
    tenant->active_ns = &tenant->instance->areas.ledger->accounts[tenant->d].active_ns;
    tenant->round = (uint32_t)(tenant->instance->sequence % SHARE_ROUNDS);
    tenant->is_listed = true;
    tenant->has_news = true;
    device->n_tenants++;
}

static void tenant_unlist(struct share_device *device, struct share_tenant *tenant)
{
    struct share_tenant **at = &device->tenants;

    if (!tenant->is_listed)
        return;
    while (*at != tenant)
        at = &(*at)->next;
    *at = tenant->next;
    tenant->is_listed = false;
    device->n_tenants--;
    if (device->now.window.tenant == tenant)
        device->now.window.tenant = NULL;
}

/* ---- gates ---- */

static const struct ledger_gate *gate_of(const struct share_tenant *tenant)
{
    return &tenant->instance->areas.limits->gates[tenant->d];
}

struct allowance share_allowance(const struct ledger_gate *gate)
{
    return (struct allowance){.base_ns = gate->base_ns,
                              .base_time_ns = gate->base_time_ns,
                              .period_ns = gate->period_ns,
                              .offset_ns = gate->offset_ns,
                              .rate_ppm = gate->rate_ppm};
}

static struct policy_turn turn_of(const struct ledger_gate *gate)
{
    return (struct policy_turn){.rate_ppm = gate->rate_ppm,
                                .is_capped = gate->flags & LEDGER_GATE_CAPPED,
                                .period_ns = gate->period_ns,
                                .offset_ns = gate->offset_ns,
                                .burst_ns = gate->burst_ns,
                                .in_flight_ns = gate->in_flight_ns};
}

/* A tenant may write what it likes: no more than half of what the word holds, so that nothing wraps. */
static uint64_t drawn_of(const struct share_tenant *tenant)
{
    uint64_t drawn_ns = tenant->last.drawn_ns[LEDGER_COMPUTE];

    if (tenant->last.drawn_ns[LEDGER_COPY] > drawn_ns)
        drawn_ns = tenant->last.drawn_ns[LEDGER_COPY];
    return drawn_ns < INT64_MAX ? drawn_ns : INT64_MAX;
}

/* A turn into the gate. Who was not capped begins anew, without a debt or a credit from that time. */
static void gate_turn(struct ledger_gate *gate, const struct share_tenant *tenant,
                      const struct policy_turn *turn, uint64_t now_ns)
{
    struct allowance_terms terms = {
        .period_ns = turn->period_ns, .offset_ns = turn->offset_ns, .rate_ppm = turn->rate_ppm};
    struct allowance before = share_allowance(gate);
    bool begins = turn->is_capped && !(gate->flags & LEDGER_GATE_CAPPED);
    struct allowance after = begins ? allowance_begin(drawn_of(tenant), &terms, now_ns)
                                    : allowance_change(&before, &terms, now_ns);

    gate->flags = LEDGER_GATE_METERED | (turn->is_capped ? LEDGER_GATE_CAPPED : 0) |
                  (tenant->instance->facts.n_devices > 1 ? LEDGER_GATE_GANG : 0);
    gate->rate_ppm = turn->rate_ppm;
    gate->base_ns = after.base_ns;
    gate->base_time_ns = now_ns;
    gate->period_ns = turn->period_ns;
    gate->offset_ns = turn->offset_ns;
    gate->burst_ns = turn->burst_ns;
    gate->in_flight_ns = turn->in_flight_ns;
    gate->signal_device = tenant->device;
}

static struct policy_terms terms_of(const struct share_tenant *tenant)
{
    const struct state_instance *facts = &tenant->instance->facts;
    const struct state_device *device = &facts->devices[tenant->d];

    return (struct policy_terms){.policy = (enum policy_kind)facts->policy,
                                 .priority = (unsigned)facts->priority,
                                 .share_permille = device->share_permille,
                                 .weight = device->weight,
                                 .time_slice_ns = device->time_slice_ns};
}

/* The gate of an instance without processes: as if it were alone. */
static void publish_first(struct share_tenant *tenant, uint64_t now_ns)
{
    struct policy_tenant alone = {.terms = terms_of(tenant)};
    struct policy_device device = {0};
    struct ledger_gate gate = *gate_of(tenant);

    policy_divide(&device, &alone, 1, now_ns);
    policy_take_turns(&alone, 1, now_ns);
    gate_turn(&gate, tenant, &alone.turn, now_ns);
    ledger_gate_publish(&tenant->instance->areas, tenant->d, &gate);
    tenant->published_ns = now_ns;
}

static void publish_asked(struct instance *instance)
{
    struct ledger_areas *areas = &instance->areas;

    ledger_class_set(areas, instance->facts.policy, instance->facts.priority);
    for (unsigned d = 0; d < instance->facts.n_devices; d++)
        ledger_share_set(areas, d, instance->facts.devices[d].share_permille,
                         instance->facts.devices[d].weight, instance->facts.devices[d].time_slice_ns);
}

/* ---- looking ---- */

/* Whether it has used up what it may draw now. */
static bool is_used_up(const struct share_tenant *tenant, uint64_t now_ns)
{
    struct allowance allowance = share_allowance(gate_of(tenant));

    return gate_of(tenant)->flags & LEDGER_GATE_CAPPED &&
           drawn_of(tenant) >= allowance_at(&allowance, now_ns);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What a look at an instance's processes finds. */
struct found {
    bool waits;   /* one waits at a gate */
    bool is_busy; /* one has work under way */
};

/* Takes in what the instance did since the last look. */
static void tenant_look(struct share_tenant *tenant, bool is_over, const struct found *found, uint64_t now_ns)
{
    const struct ledger_gate *gate = gate_of(tenant);
    struct policy_seen seen = {
        .in_debt = is_over, .active_ns = tenant->last.active_ns, .is_busy = found->is_busy};

    tenant->seen_active_ns = tenant->last.active_ns;
    if (found->waits || seen.active_ns > now_ns)
        seen.active_ns = now_ns;
    for (unsigned e = 0; e < LEDGER_ENGINES; e++)
        seen.used_ns = later(seen.used_ns, tenant->totals.used_ns[e] - tenant->looked.used_ns[e]);
    seen.waited = is_over || (gate->flags & LEDGER_GATE_CAPPED &&
                              (found->waits || tenant->totals.throttled != tenant->looked.throttled));
    tenant->looked = tenant->totals;
    policy_look(&tenant->demand, &seen, gate->rate_ppm, gate->period_ns, now_ns);
    tenant->awake_until_ns =
        seen.active_ns ? seen.active_ns + POLICY_RECENT_NS + SHARE_SAMPLE_MS * NS_PER_MS : 0;
}

static bool is_after(const struct share_window *a, const struct share_window *b)
{
    return a->sequence != b->sequence ? a->sequence > b->sequence : a->slot > b->slot;
}

static void window_offer(struct look *look, const struct share_device *device,
                         const struct share_window *wish)
{
    if (!look->first.sequence || is_after(&look->first, wish))
        look->first = *wish;
    if (is_after(wish, &device->now.window) && (!look->after.sequence || is_after(&look->after, wish)))
        look->after = *wish;
}

/* What a process may have under way, by the longest work that it begins and what it draws at a time. */
static uint64_t under_way_ns(const struct ledger_slot_time *time)
{
    return UNDER_WAY * time->longest_ns + DRAW_NS;
}

/* Nobody of a higher class, which was at work lately, is kept waiting for the measurements of a lower one. */
static bool may_measure(const struct share_tenant *tenant)
{
    return !gate_of(tenant)->in_flight_ns;
}

static void client_look(struct look *look, const struct share_device *device, struct share_tenant *tenant,
                        const struct client *client, bool is_over, struct found *found)
{
    struct share_window wish = {
        .sequence = tenant->instance->sequence, .tenant = tenant, .slot = client->who.slot};
    struct ledger_slot_time time;

    ledger_slot_time_read(tenant->instance->areas.ledger, client->who.slot, tenant->d, &time);
    if (time.waiting || (time.active_ns && look->now_ns < time.active_ns + ACTIVE_NS)) {
        tenant->n_active++;
        look->under_way_ns += under_way_ns(&time);
    }
    /* In debt it begins only what already waits. */
    if (time.wants_window_ns && may_measure(tenant) && (!is_over || time.waiting)) {
        wish.until_ns = time.wants_window_ns < WINDOW_MOST_NS ? time.wants_window_ns : WINDOW_MOST_NS;
        window_offer(look, device, &wish);
    }
    found->waits |= time.waiting != 0;
    found->is_busy |=
        client->signal_line != LEDGER_NO_SLOT &&
        ledger_signal_is_busy(tenant->instance->daemon->signals.area, tenant->device, client->signal_line);
}

/* Processes matter while their instance is at work. */
static struct found clients_look(struct look *look, const struct share_device *device,
                                 struct share_tenant *tenant, bool is_over)
{
    struct found found = {0};

    tenant->n_active = 0;
    if (!tenant->last.active_ns || look->now_ns >= tenant->last.active_ns + POLICY_RECENT_NS)
        return found;
    for (const struct client *c = tenant->instance->clients; c; c = c->next)
        if (!c->dead && c->who.slot != LEDGER_NO_SLOT)
            client_look(look, device, tenant, c, is_over, &found);
    look->n_active += tenant->n_active;
    return found;
}

/* ---- signal lines ---- */

/* A process that has ended or is stuck must not make others wait: its line counts while it does something now
 * and then, or is at rest. */
static bool is_line_alive(const struct share_tenant *tenant, const struct client *client, uint64_t now_ns)
{
    const struct ledger_signals *area = tenant->instance->daemon->signals.area;
    struct ledger_slot_time time;

    ledger_slot_time_read(tenant->instance->areas.ledger, client->who.slot, tenant->d, &time);
    return now_ns < time.active_ns + POLICY_RECENT_NS ||
           !ledger_signal_is_busy(area, tenant->device, client->signal_line);
}

static bool has_class(const struct share_tenant *tenant)
{
    return tenant->instance->facts.policy != LEDGER_FIXED_SHARE;
}

static unsigned lowest_priority(const struct share_device *device)
{
    unsigned lowest = POLICY_CLASSES;

    for (const struct share_tenant *t = device->tenants; t; t = t->next)
        if (has_class(t) && (unsigned)t->instance->facts.priority < lowest)
            lowest = (unsigned)t->instance->facts.priority;
    return lowest;
}

/* The lines of each priority that somebody on the device looks at. */
static void lines_look(struct share_device *device, uint64_t now_ns)
{
    unsigned lowest = lowest_priority(device);

    memset(device->now.lines, 0, sizeof(device->now.lines));
    for (const struct share_tenant *t = device->tenants; t; t = t->next) {
        unsigned priority = (unsigned)t->instance->facts.priority;

        for (const struct client *c = t->instance->clients; c && has_class(t) && priority > lowest;
             c = c->next)
            if (!c->dead && c->signal_line != LEDGER_NO_SLOT && is_line_alive(t, c, now_ns))
                device->now.lines[priority][c->signal_line / 64] |= UINT64_C(1) << c->signal_line % 64;
    }
    device->has_news = false;
}

void share_lines_changed(const struct instance *instance)
{
    for (unsigned d = 0; instance->tenants && d < instance->facts.n_devices; d++)
        instance->daemon->share.devices[instance->tenants[d].device].has_news = true;
}

/* ---- windows ---- */

/* Whether the process that has the window still wants it, and may. */
static bool window_is_wanted(const struct share_window *window)
{
    const struct share_tenant *tenant = window->tenant;
    struct ledger_slot_time time;

    if (!tenant)
        return false;
    ledger_slot_time_read(tenant->instance->areas.ledger, window->slot, tenant->d, &time);
    return time.wants_window_ns && may_measure(tenant);
}

/* How long what the others have under way takes, as far as they know what it costs. */
static uint64_t drain_of(const struct look *look, const struct share_window *next)
{
    struct ledger_slot_time own;
    uint64_t others_ns = look->under_way_ns;

    if (next->tenant) {
        ledger_slot_time_read(next->tenant->instance->areas.ledger, next->slot, next->tenant->d, &own);
        others_ns -= under_way_ns(&own) < others_ns ? under_way_ns(&own) : others_ns;
    }
    return others_ns < DRAIN_MOST_NS ? others_ns : DRAIN_MOST_NS;
}

static void windows_divide(struct share_device *device, const struct look *look)
{
    struct share_window *window = &device->now.window;
    const struct share_window *next = look->after.sequence ? &look->after : &look->first;
    uint64_t drain_ns = drain_of(look, next), length_ns = drain_ns + next->until_ns;

    if (look->now_ns < window->until_ns) {
        if (look->now_ns > window->from_ns && !window_is_wanted(window))
            window->until_ns = look->now_ns; /* it has measured, or is gone */
        return;
    }
    if (look->now_ns < window->next_ns || look->n_active < PLENTY_ACTIVE || !next->sequence)
        return;
    *window = (struct share_window){.from_ns = look->now_ns + WINDOW_SOON_NS,
                                    .clean_ns = look->now_ns + WINDOW_SOON_NS + drain_ns,
                                    .until_ns = look->now_ns + WINDOW_SOON_NS + length_ns,
                                    .sequence = next->sequence,
                                    .slot = next->slot,
                                    .tenant = next->tenant,
                                    .generation =
                                        ledger_slot_generation(&next->tenant->instance->areas, next->slot)};
    window->next_ns = window->from_ns + length_ns * WINDOW_PARTS / WINDOW_PART;
}

/* Whoever waits for the end of a window keeps what its allowance grew by, however long that was. */
static void gate_window(struct ledger_gate *gate, const struct share_window *window, uint64_t sequence)
{
    uint64_t kept_ns = POLICY_BURST_NS + (window->until_ns - window->from_ns);
    bool is_holder = window->sequence == sequence;

    gate->burst_ns = kept_ns * gate->rate_ppm / POLICY_ALL_PPM;

    gate->window_from_ns = window->from_ns;
    gate->window_until_ns = window->until_ns;
    gate->window_clean_ns = window->clean_ns;
    gate->window_slot = is_holder ? window->slot : LEDGER_NO_SLOT;
    gate->window_generation = is_holder ? window->generation : 0;
}

/* ---- publishing ---- */

static void gate_yield(struct ledger_gate *gate, const struct share_tenant *tenant,
                       const struct share_device *device)
{
    unsigned priority = (unsigned)tenant->instance->facts.priority;

    memset(gate->yield, 0, sizeof(gate->yield));
    for (unsigned c = priority + 1; c < POLICY_CLASSES && has_class(tenant); c++)
        for (unsigned word = 0; word < SIGNALS_WORDS; word++)
            gate->yield[word] |= device->now.lines[c][word];
}

/* All but the turn; true when it is worth publishing. An instance that rests counts as one process that is
 * active: should one of its begin, it is not alone where another one is. How many there are is worth
 * publishing when it is no longer just one, or again. */
static bool gate_surroundings(struct ledger_gate *gate, const struct share_tenant *tenant,
                              const struct share_device *device, uint32_t n_active)
{
    struct ledger_gate before = *gate;

    gate_window(gate, &device->now.window, tenant->instance->sequence);
    gate_yield(gate, tenant, device);
    gate->active_clients = n_active + !tenant->n_active;
    return (before.active_clients < PLENTY_ACTIVE) != (gate->active_clients < PLENTY_ACTIVE) ||
           before.window_from_ns != gate->window_from_ns || before.window_until_ns != gate->window_until_ns ||
           memcmp(before.yield, gate->yield, sizeof(gate->yield));
}

static void publish(struct share_tenant *tenant, const struct share_device *device,
                    const struct policy_tenant *found, const struct look *look)
{
    struct ledger_gate gate = *gate_of(tenant);
    struct policy_turn published = turn_of(&gate);
    bool is_due = tenant->has_news || policy_is_due(&published, tenant->published_ns, &found->turn,
                                                    found->demand.is_active, look->now_ns);

    if (is_due) {
        gate_turn(&gate, tenant, &found->turn, look->now_ns);
        tenant->published_ns = look->now_ns;
        tenant->has_news = false;
    }
    if (!gate_surroundings(&gate, tenant, device, look->n_active) && !is_due)
        return;
    ledger_gate_publish(&tenant->instance->areas, tenant->d, &gate);
}

/* What concerns those at rest, too: a process of theirs may begin at any time. */
static void publish_surroundings(struct share_device *device, uint32_t n_active)
{
    if (!memcmp(&device->now, &device->published, sizeof(device->now)))
        return;
    device->published = device->now;
    for (struct share_tenant *t = device->tenants; t; t = t->next) {
        struct ledger_gate gate;

        if (t->is_due)
            continue;
        gate = *gate_of(t);
        if (gate_surroundings(&gate, t, device, n_active))
            ledger_gate_publish(&t->instance->areas, t->d, &gate);
    }
}

/* ---- the tick ---- */

static bool due_reserve(struct share *share, size_t n)
{
    struct policy_tenant *policy_tenants;
    struct share_tenant **due;

    if (n <= share->due_max)
        return true;
    due = reallocarray(share->due, n + n / 2, sizeof(*due));
    if (!due)
        return false;
    share->due = due;
    policy_tenants = reallocarray(share->policy_tenants, n + n / 2, sizeof(*policy_tenants));
    if (!policy_tenants)
        return false;
    share->policy_tenants = policy_tenants;
    share->due_max = n + n / 2;
    return true;
}

/* Whom this tick looks at: who is awake, or did something, or whose round it is. Of those at rest it reads
 * one line each, of hundreds. Tenants without processes are dropped from the list. */
static size_t due_choose(struct share *share, struct share_device *device, uint64_t now_ns)
{
    size_t n = 0;

    for (struct share_tenant *t = device->tenants, *next; t; t = next) {
        next = t->next;
        t->is_due = now_ns < t->awake_until_ns || t->has_news || t->round == share->round ||
                    __atomic_load_n(t->active_ns, __ATOMIC_RELAXED) != t->seen_active_ns;
        if (!t->is_due)
            continue;
        if (t->instance->n_clients)
            share->due[n++] = t;
        else
            tenant_unlist(device, t);
    }
    return n;
}

static void device_look(struct share *share, struct share_device *device, uint64_t now_ns)
{
    struct look look = {.now_ns = now_ns};
    size_t n;

    if (!due_reserve(share, device->n_tenants))
        return;
    n = due_choose(share, device, now_ns);
    if (device->has_news || share->round == 0)
        lines_look(device, now_ns);
    for (size_t i = 0; i < n; i++) {
        struct share_tenant *t = share->due[i];
        struct found found;
        bool is_over;

        share_totals_update(t, now_ns);
        is_over = is_used_up(t, now_ns);
        found = clients_look(&look, device, t, is_over);
        tenant_look(t, is_over, &found, now_ns);
        share->policy_tenants[i] =
            (struct policy_tenant){.terms = terms_of(t), .demand = t->demand, .turn = turn_of(gate_of(t))};
    }
    policy_divide(&device->policy, share->policy_tenants, n, now_ns);
    policy_take_turns(share->policy_tenants, n, now_ns);
    windows_divide(device, &look);
    for (size_t i = 0; i < n; i++) {
        publish(share->due[i], device, &share->policy_tenants[i], &look);
        if (share->due[i]->d == 0)
            ledger_tick(&share->due[i]->instance->areas);
    }
    publish_surroundings(device, look.n_active);
}

static bool has_tenants(const struct share *share)
{
    for (unsigned i = 0; i < LEDGER_SIGNAL_DEVICES_MAX; i++)
        if (share->devices[i].tenants)
            return true;
    return false;
}

void share_look(struct daemon *daemon, uint64_t now_ns)
{
    struct share *share = &daemon->share;

    share->round = (share->round + 1) % SHARE_ROUNDS;
    for (unsigned i = 0; i < LEDGER_SIGNAL_DEVICES_MAX; i++)
        if (share->devices[i].tenants)
            device_look(share, &share->devices[i], now_ns);
}

static void tick(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;

    share_look(daemon, clock_monotonic_ns());
    if (!has_tenants(&daemon->share))
        uv_timer_stop(timer);
}

void share_init(struct daemon *daemon)
{
    uv_timer_init(&daemon->loop, &daemon->share.timer);
    daemon->share.timer.data = daemon;
}

/* ---- instances come and go ---- */

/* A former vgpud had the device there: signals of before are in those lines. */
static bool device_take_again(struct share *share, const uint8_t uuid[UUID_BYTES], unsigned index)
{
    struct share_device *device = &share->devices[index];

    if (index >= LEDGER_SIGNAL_DEVICES_MAX ||
        (device->n_instances && memcmp(device->uuid, uuid, UUID_BYTES) != 0))
        return false;
    memcpy(device->uuid, uuid, UUID_BYTES);
    device->n_instances++;
    return true;
}

/* Makes an instance's tenants, on its devices. */
static int tenants_make(struct instance *instance, bool again, struct error *err)
{
    unsigned n_devices = instance->facts.n_devices;
    struct share_tenant *tenants = calloc(n_devices, sizeof(*tenants));
    struct share *share = &instance->daemon->share;

    if (!tenants)
        return error_fail(err, -ENOMEM, "vgpud is out of memory");
    for (unsigned d = 0; d < n_devices; d++) {
        const uint8_t *uuid = instance->facts.devices[d].uuid;

        tenants[d].instance = instance;
        tenants[d].d = d;
        tenants[d].device = instance->areas.limits->gates[d].signal_device;
        if (!(again && device_take_again(share, uuid, tenants[d].device)) &&
            device_take(share, uuid, &tenants[d].device) < 0) {
            while (d-- > 0)
                share->devices[tenants[d].device].n_instances--;
            free(tenants);
            return error_fail(err, -ENOSPC,
                              "there are instances on %d devices already, which is all that vgpud can share",
                              LEDGER_SIGNAL_DEVICES_MAX);
        }
        share_totals_init(&tenants[d]);
    }
    instance->tenants = tenants;
    return 0;
}

int share_instance_made(struct instance *instance, struct error *err)
{
    uint64_t now_ns = clock_monotonic_ns();
    int r = tenants_make(instance, false, err);

    if (r < 0)
        return r;
    publish_asked(instance);
    for (unsigned d = 0; d < instance->facts.n_devices; d++)
        publish_first(&instance->tenants[d], now_ns);
    return 0;
}

int share_instance_restored(struct instance *instance, struct error *err)
{
    int r = tenants_make(instance, true, err);

    for (unsigned d = 0; r == 0 && d < instance->facts.n_devices; d++)
        instance->tenants[d].has_news = true;
    return r;
}

void share_instance_ended(struct instance *instance)
{
    for (unsigned d = 0; instance->tenants && d < instance->facts.n_devices; d++) {
        struct share_device *device = &instance->daemon->share.devices[instance->tenants[d].device];

        tenant_unlist(device, &instance->tenants[d]);
        device->n_instances--;
    }
    free(instance->tenants);
    instance->tenants = NULL;
}

void share_client_joined(struct instance *instance)
{
    struct share *share = &instance->daemon->share;

    for (unsigned d = 0; d < instance->facts.n_devices; d++)
        tenant_list(&share->devices[instance->tenants[d].device], &instance->tenants[d]);
    if (!uv_is_active((uv_handle_t *)&share->timer))
        uv_timer_start(&share->timer, tick, 0, SHARE_TICK_MS);
}

void share_terms_changed(struct instance *instance)
{
    uint64_t now_ns = clock_monotonic_ns();

    publish_asked(instance);
    for (unsigned d = 0; d < instance->facts.n_devices; d++) {
        struct share_tenant *tenant = &instance->tenants[d];

        tenant->has_news = tenant->is_listed;
        if (!tenant->is_listed)
            publish_first(tenant, now_ns);
    }
    share_lines_changed(instance);
}
