/* Striped open addressing, linear probing, removal by shifting back (no tombstones: a process that allocates
 * and frees for days must not slow down). See table.h. */
#include "shim/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STRIPES = 64, STRIPE_FIRST_ROOM = 64 };

struct stripe {
    pthread_mutex_t lock;
    size_t room, n; /* room: 0 or a power of two */
    struct table_entry *entries;
} __attribute__((aligned(64)));

static struct stripe stripes[STRIPES] = {[0 ... STRIPES - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* Device addresses are multiples of 512 or more: the multiplication brings their upper bits to the top, where
 * they are taken from. */
static uint64_t hash(uint64_t address)
{
    return address * UINT64_C(0x9e3779b97f4a7c15);
}

static struct stripe *stripe_of(uint64_t address)
{
    return &stripes[hash(address) >> 58];
}

static size_t home_of(const struct stripe *stripe, uint64_t address)
{
    return (size_t)(hash(address) >> 16) & (stripe->room - 1);
}

/* Where address is, or the empty place where it would go. */
static size_t place_of(const struct stripe *stripe, uint64_t address)
{
    size_t i = home_of(stripe, address);

    while (stripe->entries[i].address && stripe->entries[i].address != address)
        i = (i + 1) & (stripe->room - 1);
    return i;
}

static int stripe_grow(struct stripe *stripe)
{
    struct stripe bigger = {.room = stripe->room ? 2 * stripe->room : STRIPE_FIRST_ROOM};

    bigger.entries = calloc(bigger.room, sizeof(*bigger.entries));
    if (!bigger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < stripe->room; i++)
        if (stripe->entries[i].address)
            bigger.entries[place_of(&bigger, stripe->entries[i].address)] = stripe->entries[i];
    free(stripe->entries);
    stripe->entries = bigger.entries;
    stripe->room = bigger.room;
    return 0;
}

static int insert_locked(struct stripe *stripe, const struct table_entry *entry)
{
    struct table_entry *place;

    if (4 * (stripe->n + 1) > 3 * stripe->room && stripe_grow(stripe) < 0)
        return -ENOMEM;
    place = &stripe->entries[place_of(stripe, entry->address)];
    stripe->n += !place->address;
    *place = *entry;
    return 0;
}

int table_insert(const struct table_entry *entry)
{
    struct stripe *stripe = stripe_of(entry->address);
    int r;

    pthread_mutex_lock(&stripe->lock);
    r = insert_locked(stripe, entry);
    pthread_mutex_unlock(&stripe->lock);
    return r;
}

/* Empties place i and moves later entries of the run back, so that no search ends early. */
static void remove_at(struct stripe *stripe, size_t i)
{
    const size_t mask = stripe->room - 1;

    for (size_t j = (i + 1) & mask; stripe->entries[j].address; j = (j + 1) & mask) {
        size_t home = home_of(stripe, stripe->entries[j].address);

        if (((j - home) & mask) >= ((j - i) & mask)) {
            stripe->entries[i] = stripe->entries[j];
            i = j;
        }
    }
    stripe->entries[i].address = 0;
    stripe->n--;
}

bool table_take(uint64_t address, struct table_entry *ret_entry)
{
    struct stripe *stripe = stripe_of(address);
    bool found = false;

    if (!address)
        return false;
    pthread_mutex_lock(&stripe->lock);
    if (stripe->room) {
        size_t i = place_of(stripe, address);

        found = stripe->entries[i].address != 0;
        if (found) {
            *ret_entry = stripe->entries[i];
            remove_at(stripe, i);
        }
    }
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

bool table_find(uint64_t address, struct table_entry *ret_entry)
{
    struct stripe *stripe = stripe_of(address);
    bool found = false;

    pthread_mutex_lock(&stripe->lock);
    if (address && stripe->room) {
        const struct table_entry *entry = &stripe->entries[place_of(stripe, address)];

        found = entry->address != 0;
        if (found)
            *ret_entry = *entry;
    }
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

void table_set_shared(uint64_t address, uint32_t shared)
{
    struct stripe *stripe = stripe_of(address);

    pthread_mutex_lock(&stripe->lock);
    if (stripe->room) {
        struct table_entry *entry = &stripe->entries[place_of(stripe, address)];

        if (entry->address)
            entry->shared = shared;
    }
    pthread_mutex_unlock(&stripe->lock);
}

static int granule_adjust_locked(struct stripe *stripe, struct table_entry *granule, int64_t delta_bytes)
{
    struct table_entry made = *granule, *entry;
    size_t i;

    if (stripe->room) {
        i = place_of(stripe, granule->address);
        entry = &stripe->entries[i];
        if (entry->address) {
            entry->bytes += (uint64_t)delta_bytes;
            if (entry->bytes)
                return 0;
            granule->shared = entry->shared;
            remove_at(stripe, i);
            return 1;
        }
    }
    made.bytes = (uint64_t)delta_bytes;
    return delta_bytes <= 0 ? 0 : insert_locked(stripe, &made) < 0 ? -ENOMEM : 1;
}

int table_granule_adjust(struct table_entry *granule, int64_t delta_bytes)
{
    struct stripe *stripe = stripe_of(granule->address);
    int r;

    pthread_mutex_lock(&stripe->lock);
    r = granule_adjust_locked(stripe, granule, delta_bytes);
    pthread_mutex_unlock(&stripe->lock);
    return r;
}

/* ---- room in granules ---- */

struct block {
    uint64_t base, bytes;
};

static int by_base(const void *a, const void *b)
{
    const struct block *x = a, *y = b;

    return (x->base > y->base) - (x->base < y->base);
}

/* Copies the blocks of owner and door that lie in granules, as many as there is room for. Returns how many
 * there are. */
static size_t blocks_copy(const void *owner, enum table_door door, struct block *blocks, size_t room)
{
    size_t n = 0;

    for (int s = 0; s < STRIPES; s++) {
        struct stripe *stripe = &stripes[s];

        pthread_mutex_lock(&stripe->lock);
        for (size_t i = 0; i < stripe->room; i++) {
            const struct table_entry *entry = &stripe->entries[i];

            if (!entry->address || !entry->shares || entry->owner != owner || entry->door != door)
                continue;
            if (n < room)
                blocks[n] = (struct block){entry->address, entry->bytes};
            n++;
        }
        pthread_mutex_unlock(&stripe->lock);
    }
    return n;
}

/* Is there a gap of bytes between the sorted blocks, or between one and a border of the granule it lies in?
 */
static bool blocks_have_gap(const struct block *blocks, size_t n, uint64_t granule_bytes, uint64_t bytes)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t end = blocks[i].base + blocks[i].bytes,
                 first = blocks[i].base / granule_bytes * granule_bytes,
                 last = (end - 1) / granule_bytes * granule_bytes + granule_bytes,
                 before = i && blocks[i - 1].base + blocks[i - 1].bytes > first
                              ? blocks[i - 1].base + blocks[i - 1].bytes
                              : first,
                 after = i + 1 < n && blocks[i + 1].base < last ? blocks[i + 1].base : last;

        if (blocks[i].base - before >= bytes || after - end >= bytes)
            return true;
    }
    return false;
}

bool table_granule_has_room(const void *owner, enum table_door door, uint64_t granule_bytes, uint64_t bytes)
{
    size_t n = blocks_copy(owner, door, NULL, 0), room = n + n / 8 + 16;
    struct block *blocks = calloc(room, sizeof(*blocks));
    bool found;

    if (!blocks)
        return false;
    n = blocks_copy(owner, door, blocks, room);
    found = n <= room;
    if (found) {
        qsort(blocks, n, sizeof(*blocks), by_base);
        found = blocks_have_gap(blocks, n, granule_bytes, bytes);
    }
    free(blocks);
    return found;
}

void table_take_owned(const void *owner, void (*visit)(const struct table_entry *entry, void *arg), void *arg)
{
    for (int s = 0; s < STRIPES; s++) {
        struct stripe *stripe = &stripes[s];

        pthread_mutex_lock(&stripe->lock);
        for (size_t i = 0; i < stripe->room;) {
            struct table_entry *entry = &stripe->entries[i];

            if (!entry->address || entry->owner != owner || entry->door == TABLE_POOL) {
                i++;
                continue;
            }
            visit(entry, arg);
            remove_at(stripe, i); /* what moved to i is looked at next */
        }
        pthread_mutex_unlock(&stripe->lock);
    }
}

void table_reset_in_child(void)
{
    /* The memory is left where it is: at the fork another thread may have been in the middle of changing it.
     */
    for (int s = 0; s < STRIPES; s++)
        stripes[s] = (struct stripe){.lock = PTHREAD_MUTEX_INITIALIZER};
}
