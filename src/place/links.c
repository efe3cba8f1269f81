/* Choosing sets by links and NUMA nodes; see links.h. */
#include "place/links.h"

enum { EXACT_MAX = 16 /* candidates: at most 12,870 sets are tried */ };

struct best_set {
    uint64_t set;
    unsigned within, between;
};

unsigned place_link_weight(uint8_t link)
{
    return link < PLACE_LINK_NVLINK ? 10U * link : 100U * (link - PLACE_LINK_NVLINK + 1U);
}

static unsigned link_weight(const struct place_node *node, unsigned a, unsigned b)
{
    return node->links ? place_link_weight(node->links[a * node->n_devices + b]) : 0;
}

unsigned place_links_between(const struct place_node *node, uint64_t set, uint64_t others)
{
    unsigned sum = 0;

    for (uint64_t i = set; i; i &= i - 1) {
        for (uint64_t j = others; j; j &= j - 1)
            sum += link_weight(node, (unsigned)__builtin_ctzll(i), (unsigned)__builtin_ctzll(j));
    }
    return sum;
}

unsigned place_links_within(const struct place_node *node, uint64_t set)
{
    unsigned sum = 0;

    for (uint64_t i = set; i; i &= i - 1) /* each pair once: the first with those above it */
        sum += place_links_between(node, i & -i, i & (i - 1));
    return sum;
}

static void consider(const struct place_node *node, uint64_t devices, uint64_t set, struct best_set *best)
{
    unsigned within = place_links_within(node, set);
    unsigned between = place_links_between(node, set, devices & ~set);

    if (!best->set || within > best->within || (within == best->within && between < best->between))
        *best = (struct best_set){.set = set, .within = within, .between = between};
}

static void pick_exactly(const struct place_node *node, uint64_t devices, uint64_t set, uint64_t above,
                         unsigned n, struct best_set *best)
{
    if (!n) {
        consider(node, devices, set, best);
        return;
    }
    for (uint64_t left = above; (unsigned)__builtin_popcountll(left) >= n; left &= left - 1)
        pick_exactly(node, devices, set | (left & -left), left & (left - 1), n - 1, best);
}

/* From one device on, always the one that adds most. */
static uint64_t grow(const struct place_node *node, uint64_t devices, uint64_t set, unsigned n)
{
    while ((unsigned)__builtin_popcountll(set) < n) {
        uint64_t best = 0;
        unsigned most = 0;

        for (uint64_t left = devices & ~set; left; left &= left - 1) {
            unsigned adds = place_links_between(node, left & -left, set);

            if (!best || adds > most) {
                best = left & -left;
                most = adds;
            }
        }
        set |= best;
    }
    return set;
}

uint64_t place_links_pick(const struct place_node *node, uint64_t devices, unsigned n)
{
    struct best_set best = {0};

    if (!n)
        return 0;
    if (__builtin_popcountll(devices) <= EXACT_MAX) {
        pick_exactly(node, devices, 0, devices, n, &best);
        return best.set;
    }
    for (uint64_t left = devices; left; left &= left - 1)
        consider(node, devices, grow(node, devices, left & -left, n), &best);
    return best.set;
}

uint64_t place_numa_mates(const struct place_node *node, uint64_t devices, unsigned device)
{
    uint64_t mates = 0;

    for (uint64_t left = devices; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);

        if (node->devices[i].numa_node == node->devices[device].numa_node)
            mates |= UINT64_C(1) << i;
    }
    return mates;
}

static uint64_t lowest(uint64_t devices, unsigned n)
{
    uint64_t set = 0;

    for (; n && devices; n--, devices &= devices - 1)
        set |= devices & -devices;
    return set;
}

/* The NUMA node to take from next: the smallest that holds all n, else the largest. */
static uint64_t numa_next(const struct place_node *node, uint64_t devices, unsigned n)
{
    uint64_t best = 0;
    unsigned best_count = 0;

    for (uint64_t left = devices; left;) {
        uint64_t mates = place_numa_mates(node, devices, (unsigned)__builtin_ctzll(left));
        unsigned count = (unsigned)__builtin_popcountll(mates);
        bool better = best_count >= n ? count >= n && count < best_count : count > best_count;

        if (!best || better) {
            best = mates;
            best_count = count;
        }
        left &= ~mates;
    }
    return best;
}

uint64_t place_numa_pick(const struct place_node *node, uint64_t devices, unsigned n)
{
    uint64_t set = 0;

    while (n && devices) {
        uint64_t mates = numa_next(node, devices, n), taken = lowest(mates, n);

        set |= taken;
        n -= (unsigned)__builtin_popcountll(taken);
        devices &= ~mates;
    }
    return set;
}

unsigned place_numa_count(const struct place_node *node, uint64_t set)
{
    unsigned n = 0;

    for (; set; n++)
        set &= ~place_numa_mates(node, set, (unsigned)__builtin_ctzll(set));
    return n;
}
