/* What work costs: a table from 64-bit keys (a kernel and its shape, a graph, a kind and size of copy) to
 * predicted GPU time. Fixed in size, so that it never allocates: 1,024 sets of four; where a set is full, the
 * one that cost least in all makes room.
 *
 * Look-ups are lock-free and may run beside everything else: a set is one cache line, and who finds a key
 * whose cost was just replaced by another's pays a wrong cost once. Changes are the caller's to put in order
 * (one lock). */
#ifndef VGPU_METER_COST_H
#define VGPU_METER_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/estimate.h"

enum { COST_SETS = 1024, COST_WAYS = 4 };

/* No look-up finds this affordable: what it stands for takes the slow path. */
#define COST_UNKNOWN_NS (INT64_MAX / 4)

struct cost_set {
    uint64_t keys[COST_WAYS]; /* 0: free */
    int64_t costs_ns[COST_WAYS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct cost_set) == 64, "one line");

/* What the slow path knows beside the cost. */
struct cost_more {
    struct estimate estimate;
    uint64_t paid_ns; /* in all, by slow paths: what is worth keeping */
    uint64_t unpaid;  /* times it was begun while nobody knew its cost */
    bool is_awaited;  /* its first measurement is under way */
};

struct cost_table {
    struct cost_set sets[COST_SETS];
    struct cost_more more[COST_SETS][COST_WAYS];
};

/* A key that is never 0, well mixed, from the parts that name work. */
static inline uint64_t cost_key(uint64_t object, uint64_t grid, uint64_t block)
{
    uint64_t h = object * UINT64_C(0x9e3779b97f4a7c15) ^
                 (grid + UINT64_C(0x165667b19e3779f9)) * UINT64_C(0xc2b2ae3d27d4eb4f) ^
                 (block + UINT64_C(0x27d4eb2f165667c5)) * UINT64_C(0xff51afd7ed558ccd);

    return (h ^ h >> 29) | 1;
}

static inline struct cost_set *cost_set(struct cost_table *table, uint64_t key)
{
    return &table->sets[key >> 54];
}
_Static_assert(COST_SETS == 1 << (64 - 54), "the key's high bits choose the set");

/* The predicted cost of key, in ns; COST_UNKNOWN_NS when there is none. */
static inline int64_t cost_find(struct cost_table *table, uint64_t key)
{
    struct cost_set *set = cost_set(table, key);

    for (unsigned way = 0; way < COST_WAYS; way++)
        if (__atomic_load_n(&set->keys[way], __ATOMIC_RELAXED) == key)
            return __atomic_load_n(&set->costs_ns[way], __ATOMIC_RELAXED);
    return COST_UNKNOWN_NS;
}

/* ---- with the caller's lock ---- */

/* The rest of what is known of key, making it (with an unknown cost) where it is new. */
struct cost_more *cost_get(struct cost_table *table, uint64_t key);
/* The same, or NULL. */
struct cost_more *cost_look(struct cost_table *table, uint64_t key);
/* Publishes what `more`, of key, says by now. */
void cost_publish(struct cost_table *table, uint64_t key, const struct cost_more *more);
/* Forgets key: its work was changed (a graph was updated) or its name may come again (a module was unloaded).
 */
void cost_forget(struct cost_table *table, uint64_t key);

#endif
