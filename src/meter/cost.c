/* The cost table's slow half; see cost.h. */
#include "meter/cost.h"

#include <string.h>

static int way_of(const struct cost_set *set, uint64_t key)
{
    for (int way = 0; way < COST_WAYS; way++)
        if (set->keys[way] == key)
            return way;
    return -1;
}

static int way_to_use(const struct cost_table *table, size_t index)
{
    int least = 0;

    for (int way = 0; way < COST_WAYS; way++) {
        if (!table->sets[index].keys[way])
            return way;
        if (table->more[index][way].paid_ns < table->more[index][least].paid_ns)
            least = way;
    }
    return least;
}

struct cost_more *cost_look(struct cost_table *table, uint64_t key)
{
    size_t index = (size_t)(cost_set(table, key) - table->sets);
    int way = way_of(&table->sets[index], key);

    return way < 0 ? NULL : &table->more[index][way];
}

struct cost_more *cost_get(struct cost_table *table, uint64_t key)
{
    struct cost_set *set = cost_set(table, key);
    size_t index = (size_t)(set - table->sets);
    int way = way_of(set, key);

    if (way >= 0)
        return &table->more[index][way];
    way = way_to_use(table, index);
    __atomic_store_n(&set->costs_ns[way], COST_UNKNOWN_NS, __ATOMIC_RELAXED);
    __atomic_store_n(&set->keys[way], key, __ATOMIC_RELEASE);
    memset(&table->more[index][way], 0, sizeof(table->more[index][way]));
    return &table->more[index][way];
}

void cost_publish(struct cost_table *table, uint64_t key, const struct cost_more *more)
{
    struct cost_set *set = cost_set(table, key);
    int way = way_of(set, key);
    uint64_t cost_ns = estimate_cost_ns(&more->estimate);

    if (way < 0)
        return;
    if (cost_ns > COST_UNKNOWN_NS - 1)
        cost_ns = COST_UNKNOWN_NS - 1;
    __atomic_store_n(&set->costs_ns[way], more->estimate.n_measured ? (int64_t)cost_ns : COST_UNKNOWN_NS,
                     __ATOMIC_RELAXED);
}

void cost_forget(struct cost_table *table, uint64_t key)
{
    struct cost_set *set = cost_set(table, key);
    int way = way_of(set, key);

    if (way >= 0)
        __atomic_store_n(&set->keys[way], 0, __ATOMIC_RELAXED);
}
