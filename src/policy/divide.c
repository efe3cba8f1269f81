/* Dividing a device; see policy.h. First what fixed shares use, then the priorities from high to low; in each
 * of them the equal shares, then best effort by water-filling. Rates are caps, so one that has more than it
 * uses may keep its part while another is given what is not used: caps may add up to more than the device by
 * just that. */
#include "policy/policy.h"

enum { LEVEL_SHIFT = 16, LEVEL_ROUNDS = 48 };

#define NS_PER_SECOND UINT64_C(1000000000)
#define HELD_NS       UINT64_C(200000000)
#define LOOK_MOST_NS  UINT64_C(100000000)

#define LOST_MORE_PPM_PER_S UINT64_C(50000)
#define LOST_LESS_PPM_PER_S UINT64_C(10000)

/* The tenants of one priority. */
struct class
{
    struct policy_tenant *equal, *best; /* that are active */
    uint64_t equal_weight, best_weight; /* of those */
    uint32_t n_plain;                   /* active best effort without a share */
    uint32_t guaranteed_ppm;            /* shares of active best effort, as far as they want them */
    uint32_t aged_ppm;
    /* what idle ones would have */
    uint32_t equal_ppm, best_ppm;
};

static uint32_t least(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

static uint32_t less(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0;
}

static bool is_fixed(const struct policy_tenant *tenant)
{
    return tenant->terms.policy == POLICY_FIXED_SHARE;
}

static uint32_t share_ppm(const struct policy_tenant *tenant)
{
    return least((uint64_t)tenant->terms.share_permille * 1000, POLICY_ALL_PPM);
}

static void turn_set(struct policy_tenant *tenant, uint32_t rate_ppm, bool is_capped)
{
    tenant->turn.rate_ppm = rate_ppm;
    tenant->turn.is_capped = is_capped;
}

/* ---- water-filling among the best effort of a class ---- */

/* What a tenant has at a level of ppm by weight: at least its share and at most most_ppm, as far as it wants
 * it. */
static uint32_t part_at(const struct policy_tenant *tenant, uint64_t level, bool by_demand)
{
    uint32_t most_ppm = by_demand ? tenant->demand.demand_ppm : POLICY_ALL_PPM;
    uint32_t by_weight = least(level * tenant->terms.weight >> LEVEL_SHIFT, POLICY_ALL_PPM);
    uint32_t at_least = share_ppm(tenant);

    return least(by_weight > at_least ? by_weight : at_least, most_ppm);
}

static uint64_t sum_at(const struct policy_tenant *list, uint64_t level, bool by_demand)
{
    uint64_t sum = 0;

    for (; list; list = list->next)
        sum += part_at(list, level, by_demand);
    return sum;
}

/* The highest level at which all of them together have no more than total_ppm. */
static uint64_t level_find(const struct class *class, uint32_t total_ppm, bool by_demand)
{
    uint64_t low = 0, high = ((uint64_t)POLICY_ALL_PPM + 1) << LEVEL_SHIFT;

    if (!by_demand && !class->guaranteed_ppm)
        return class->best_weight ? ((uint64_t)total_ppm << LEVEL_SHIFT) / class->best_weight : 0;
    if (sum_at(class->best, high, by_demand) <= total_ppm)
        return high;
    for (int round = 0; round < LEVEL_ROUNDS && low + 1 < high; round++) {
        uint64_t middle = low + (high - low) / 2;

        if (sum_at(class->best, middle, by_demand) <= total_ppm)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Returns what they use of total_ppm. */
static uint32_t best_divide(struct class *class, uint32_t total_ppm)
{
    uint64_t even = level_find(class, total_ppm, false), wanted = level_find(class, total_ppm, true);
    uint64_t used_ppm = 0;

    for (struct policy_tenant *t = class->best; t; t = t->next) {
        uint32_t part_ppm = part_at(t, even, false), wanted_ppm = part_at(t, wanted, true);

        turn_set(t, part_ppm > wanted_ppm ? part_ppm : wanted_ppm, true);
        used_ppm += wanted_ppm;
    }
    class->best_ppm = total_ppm;
    return least(used_ppm, total_ppm);
}

/* ---- equal shares ---- */

static uint32_t equal_divide(struct class *class, uint32_t total_ppm)
{
    uint64_t used_ppm = 0;

    for (struct policy_tenant *t = class->equal; t; t = t->next) {
        uint32_t part_ppm = (uint32_t)((uint64_t)total_ppm * t->terms.weight / class->equal_weight);

        turn_set(t, part_ppm, true);
        used_ppm += least(part_ppm, t->demand.demand_ppm);
    }
    class->equal_ppm = total_ppm;
    return least(used_ppm, total_ppm);
}

/* Equal shares take what there is but the shares of best effort, and a little that keeps best effort going.
 * Returns what the class uses of total_ppm. */
static uint32_t class_divide(struct class *class, uint32_t total_ppm)
{
    uint32_t kept_ppm = class->guaranteed_ppm + (class->n_plain ? least(POLICY_LEAST_PPM, total_ppm / 2) : 0);
    uint32_t equal_ppm = equal_divide(class, less(total_ppm, kept_ppm));

    return equal_ppm + best_divide(class, total_ppm - equal_ppm);
}

/* What a tenant that is idle would have, were it active. */
static void idle_set(struct policy_tenant *tenant, const struct class *class)
{
    bool is_equal = tenant->terms.policy == POLICY_EQUAL_SHARE;
    uint64_t others = is_equal ? class->equal_weight : class->best_weight;
    uint64_t total_ppm = is_equal ? class->equal_ppm : class->best_ppm;
    uint32_t part_ppm = (uint32_t)(total_ppm * tenant->terms.weight / (others + tenant->terms.weight));

    turn_set(tenant, !is_equal && part_ppm < share_ppm(tenant) ? share_ppm(tenant) : part_ppm, true);
}

/* ---- classes ---- */

static void class_add(struct class *class, struct policy_tenant *tenant)
{
    struct policy_tenant **list = tenant->terms.policy == POLICY_EQUAL_SHARE ? &class->equal : &class->best;

    tenant->next = *list;
    *list = tenant;
    if (list == &class->equal) {
        class->equal_weight += tenant->terms.weight;
        return;
    }
    class->best_weight += tenant->terms.weight;
    class->n_plain += !tenant->terms.share_permille;
    class->guaranteed_ppm += least(share_ppm(tenant), tenant->demand.demand_ppm);
}

static bool class_is_active(const struct class *class)
{
    return class->equal || class->best;
}

static uint32_t aged_ppm(uint64_t since_ns, uint64_t now_ns)
{
    return since_ns ? least((now_ns - since_ns) / NS_PER_SECOND * POLICY_AGED_STEP_PPM, POLICY_AGED_MOST_PPM)
                    : 0;
}

/* Sorts the tenants that are active, and returns what fixed shares leave of the device. */
static uint32_t classes_fill(struct class classes[POLICY_CLASSES], struct policy_tenant *tenants,
                             size_t n_tenants)
{
    uint64_t fixed_ppm = 0;

    for (size_t i = 0; i < n_tenants; i++) {
        struct policy_tenant *t = &tenants[i];

        if (is_fixed(t)) {
            turn_set(t, share_ppm(t), true);
            fixed_ppm += least(share_ppm(t), t->demand.demand_ppm);
        } else if (t->demand.is_active) {
            class_add(&classes[t->terms.priority], t);
        }
    }
    return POLICY_ALL_PPM - least(fixed_ppm, POLICY_ALL_PPM);
}

/* Whether the device is what keeps a tenant below its cap: it always has work under way, never waits for its
 * allowance, and uses less than that. One that uses much less may just want no more, and never look when its
 * work has ended. */
static bool is_held(const struct policy_tenant *tenant, uint64_t now_ns)
{
    const struct policy_demand *demand = &tenant->demand;
    uint64_t since_ns = demand->held_since_ns ? now_ns - demand->held_since_ns : 0, capped_ns;

    if (is_fixed(tenant) || !tenant->turn.is_capped || since_ns < HELD_NS)
        return false;
    capped_ns = since_ns / 1000 * tenant->turn.rate_ppm / 1000;
    return demand->held_used_ns >= capped_ns / 2 && demand->held_used_ns < capped_ns - capped_ns / 100;
}

/* By the turns of before. */
static void lost_adjust(struct policy_device *device, const struct policy_tenant *tenants, size_t n_tenants,
                        uint64_t now_ns)
{
    uint64_t elapsed_ns = least(now_ns - device->divided_ns, LOOK_MOST_NS);
    uint32_t more_ppm = (uint32_t)(LOST_MORE_PPM_PER_S * elapsed_ns / NS_PER_SECOND);
    uint32_t less_ppm = (uint32_t)(LOST_LESS_PPM_PER_S * elapsed_ns / NS_PER_SECOND);
    bool any_held = false;

    for (size_t i = 0; i < n_tenants && !any_held; i++)
        any_held = is_held(&tenants[i], now_ns);
    device->lost_ppm = any_held ? least(device->lost_ppm + more_ppm, POLICY_LOST_MOST_PPM)
                                : less(device->lost_ppm, less_ppm);
    device->divided_ns = now_ns;
}

/* Whether a class that works gets nothing of its own right because of those above. */
static void starving_note(uint64_t *since_ns, bool starves, uint64_t now_ns)
{
    if (!starves)
        *since_ns = 0;
    else if (!*since_ns)
        *since_ns = now_ns;
}

/* From the highest class down. What is kept for those below: shares that best effort was promised, and what
 * they have by age. */
static void classes_divide(struct policy_device *device, struct class classes[POLICY_CLASSES],
                           uint32_t left_ppm, uint64_t now_ns)
{
    uint32_t kept_ppm = 0;
    bool is_first = true;

    for (unsigned c = 0; c < POLICY_CLASSES; c++) {
        classes[c].aged_ppm =
            class_is_active(&classes[c]) ? aged_ppm(device->starving_since_ns[c], now_ns) : 0;
        kept_ppm += classes[c].guaranteed_ppm + classes[c].aged_ppm;
    }
    for (unsigned c = POLICY_CLASSES; c-- > 0;) {
        struct class *class = &classes[c];
        uint32_t total_ppm, own_ppm;

        kept_ppm -= class->guaranteed_ppm + class->aged_ppm;
        total_ppm = less(left_ppm, kept_ppm);
        own_ppm = less(total_ppm, class->guaranteed_ppm + class->aged_ppm);
        starving_note(&device->starving_since_ns[c],
                      class_is_active(class) && !is_first && own_ppm < POLICY_LEAST_PPM, now_ns);
        if (total_ppm < POLICY_TRICKLE_PPM && (is_first || class->aged_ppm))
            total_ppm = POLICY_TRICKLE_PPM;
        left_ppm = less(left_ppm, class_divide(class, total_ppm));
        is_first &= !class_is_active(class);
    }
}

static uint32_t given_away(const struct policy_tenant *tenants, size_t n_tenants)
{
    uint64_t sum_ppm = 0;

    for (size_t i = 0; i < n_tenants; i++)
        if (tenants[i].demand.is_active && tenants[i].turn.is_capped)
            sum_ppm += tenants[i].turn.rate_ppm;
    return sum_ppm > POLICY_ALL_PPM ? (uint32_t)(sum_ppm - POLICY_ALL_PPM) : 0;
}

void policy_divide(struct policy_device *device, struct policy_tenant *tenants, size_t n_tenants,
                   uint64_t now_ns)
{
    struct class classes[POLICY_CLASSES] = {0};
    uint32_t left_ppm;
    size_t n_active = 0;

    lost_adjust(device, tenants, n_tenants, now_ns);
    left_ppm = classes_fill(classes, tenants, n_tenants);
    classes_divide(device, classes, less(left_ppm, device->lost_ppm), now_ns);
    for (size_t i = 0; i < n_tenants; i++) {
        n_active += tenants[i].demand.is_active;
        if (!is_fixed(&tenants[i]) && !tenants[i].demand.is_active)
            idle_set(&tenants[i], &classes[tenants[i].terms.priority]);
    }
    for (size_t i = 0; i < n_tenants && n_active <= 1; i++)
        if (!is_fixed(&tenants[i]) && tenants[i].demand.is_active == (n_active == 1))
            turn_set(&tenants[i], POLICY_ALL_PPM, false);
    device->given_away_ppm = given_away(tenants, n_tenants);
}
