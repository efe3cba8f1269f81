/* Who gets how much of a device's time, and when its turn is (docs/shares.md). Pure functions over what was
 * seen of each tenant: no clock, no allocation, no state but what the caller hands in. Called by vgpud every
 * tick for each device, in this order:
 *
 *     policy_look      for each tenant: what it did since the last look, so whether it is active and how much
 * it wants policy_divide    the device among all of them policy_take_turns    from rates to periods, offsets
 * and bounds policy_is_due    for each tenant: whether that is to be published now */
#ifndef VGPU_POLICY_POLICY_H
#define VGPU_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_kind { POLICY_BEST_EFFORT = 0, POLICY_EQUAL_SHARE = 1, POLICY_FIXED_SHARE = 2 };
enum { POLICY_CLASSES = 3 }; /* priorities: 0 low, 1 normal, 2 high */

enum {
    POLICY_ALL_PPM = 1000000, /* of a device */
    POLICY_LEAST_PPM =
        10000, /* a demand is never thought to be less; what best effort keeps beside equal shares */
    POLICY_TRICKLE_PPM = 1000,    /* what goes even where fixed shares leave nothing */
    POLICY_AGED_STEP_PPM = 10000, /* each second, for a class that gets nothing */
    POLICY_AGED_MOST_PPM = 50000,
    POLICY_LOST_MOST_PPM = 100000, /* what is thought to be lost */
};

#define POLICY_PERIOD_NS       UINT64_C(20000000)
#define POLICY_PERIOD_LEAST_NS UINT64_C(1000000)
#define POLICY_PERIOD_MOST_NS  UINT64_C(100000000)
#define POLICY_BURST_NS        UINT64_C(100000000) /* of time: what an allowance grows in it is kept */
#define POLICY_IN_FLIGHT_NS    UINT64_C(500000)
#define POLICY_RECENT_NS       UINT64_C(500000000) /* how long a class counts as at work after it was */

/* What was asked for. */
struct policy_terms {
    enum policy_kind policy;
    unsigned priority;       /* below POLICY_CLASSES; of no meaning for POLICY_FIXED_SHARE */
    uint32_t share_permille; /* 0: nothing was asked for */
    uint32_t weight;         /* at least 1 */
    uint64_t time_slice_ns;  /* 0: nothing was asked for */
};

/* One look at a tenant's account. */
struct policy_seen {
    uint64_t active_ns; /* when it last began work or waited to; 0: never */
    uint64_t used_ns;   /* since the look before, of the busier engine */
    bool waited;        /* since the look before, or now: it wants more than it has */
    bool in_debt;       /* it may draw no more now */
    bool is_busy;       /* it has work under way on the device; false where that is not known */
};

/* What is known of a tenant's wants; kept between looks, zero before the first. */
struct policy_demand {
    uint64_t looked_ns, active_ns;
    uint64_t busy_until_ns;  /* what it paid for takes until then */
    uint64_t wants_until_ns; /* it waited: until then it is thought to want all it can get */
    uint64_t held_since_ns;  /* always busy since then, and its allowance never what it waited for; 0: it is
                                not so */
    uint64_t held_used_ns;   /* since then */
    uint32_t used_ppm;       /* lately; more at once, less by and by */
    uint32_t demand_ppm;     /* POLICY_ALL_PPM: all it can get; 0: it is idle */
    bool is_active;
};

struct policy_turn {
    uint32_t rate_ppm;  /* of the device's time */
    bool is_capped;     /* false: it may use what there is */
    uint64_t period_ns; /* at least 1 */
    uint64_t
        offset_ns; /* periods begin at offset_ns + k * period_ns of the monotonic clock; below period_ns */
    uint64_t burst_ns;
    uint64_t in_flight_ns; /* 0: no bound */
};

struct policy_tenant {
    struct policy_terms terms;
    struct policy_demand demand;
    struct policy_turn turn;    /* in: rate_ppm that it has; out: what it gets */
    struct policy_tenant *next; /* policy_divide's own */
};

/* Of one device; kept between ticks, zero before the first. */
struct policy_device {
    uint64_t starving_since_ns[POLICY_CLASSES]; /* 0: it does not */
    uint64_t divided_ns;                        /* when policy_divide was called last */
    uint32_t lost_ppm; /* what the device does not give to anybody: changes of context, say */
    uint32_t
        given_away_ppm; /* by how much rates add up to more than the device: what some have and do not use */
};

/* Takes a look in. rate_ppm, period_ns: of the turn that it has. */
void policy_look(struct policy_demand *demand, const struct policy_seen *seen, uint32_t rate_ppm,
                 uint64_t period_ns, uint64_t now_ns);

/* Caps that add up to more than a device can give hold nobody but those whom the device serves well, and the
 * others get what is left. So when a tenant is held up by the device and not by its cap, all caps but fixed
 * shares become smaller, until it is not.
 *
 * Sets rate_ppm and is_capped of each turn. An idle tenant gets what it would have were it active, so that it
 * can begin at once. */
void policy_divide(struct policy_device *device, struct policy_tenant *tenants, size_t n_tenants,
                   uint64_t now_ns);

/* Sets the rest of each turn, for tenants in the order in which they take turns. */
void policy_take_turns(struct policy_tenant *tenants, size_t n_tenants, uint64_t now_ns);

/* Whether a turn differs so much from the one published at published_ns that it is worth publishing: a little
 * difference waits for 100 ms, and of an idle tenant a large one. Less than a thousandth, and of an idle
 * tenant a little difference, is none. */
bool policy_is_due(const struct policy_turn *published, uint64_t published_ns, const struct policy_turn *turn,
                   bool is_active, uint64_t now_ns);

#endif
