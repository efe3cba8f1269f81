/* What this process holds on the device, by address: so that a free knows what it gives back. A hash table in
 * stripes, each with a lock of its own that is never held over a driver call. Lookup, insertion and removal
 * are O(1). Thread-safe. Private to src/shim. */
#ifndef VGPU_SHIM_TABLE_H
#define VGPU_SHIM_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* How the memory came, which decides how it goes. */
enum table_door {
    TABLE_DIRECT,   /* cuMemAlloc, cuMemAllocPitch: owner is the context */
    TABLE_MANAGED,  /* cuMemAllocManaged: owner is the context */
    TABLE_POOL,     /* from a pool, which is what is charged: owner is the pool */
    TABLE_EXTERNAL, /* mapped from external memory: chunk is its struct physical, with a reference */
    TABLE_ARRAY,    /* an array: owner is the context, address a key made of the handle */
};

struct table_entry {
    uint64_t address; /* never 0 */
    uint64_t bytes;   /* that the device takes for it */
    uint64_t chunk;   /* in a pool: where it lies (room.h); see TABLE_EXTERNAL */
    const void *owner;
    uint32_t shared; /* exported: 1 + index of the ledger's shared object, which pays instead; else 0 */
    uint16_t device; /* index in the instance */
    uint8_t door;    /* enum table_door */
    bool shares;     /* lies with others in granules, which are what is charged */
    bool is_granule; /* of those: address is odd (so it is nobody else's), bytes is the sum of what lies in it
                      */
};

/* Where an array stands in the table: no device address has the uppermost bit. */
static inline uint64_t table_array_key(const void *handle)
{
    return (uint64_t)(uintptr_t)handle | UINT64_C(1) << 63;
}

/* 0, or -ENOMEM. An entry of the same address is replaced (the driver gave that address out again). */
int table_insert(const struct table_entry *entry);

/* Takes the entry out; false when there is none. Done before the driver frees: afterwards another thread may
 * be given the same address. */
bool table_take(uint64_t address, struct table_entry *ret_entry);

/* The entry of that address; false when there is none. */
bool table_find(uint64_t address, struct table_entry *ret_entry);

/* Marks the entry of that address, if it is there, as shared. */
void table_set_shared(uint64_t address, uint32_t shared);

/* A granule and the blocks in it: adds delta_bytes to the entry of granule->address, which is made from
 * *granule when there is none and goes when nothing is left in it. 1: it was made, or it went (then
 * granule->shared is its own); 0: it was there and stays; -ENOMEM. */
int table_granule_adjust(struct table_entry *granule, int64_t delta_bytes);

/* Some granule of owner and door has bytes in one piece that no block takes. Visits the whole table and
 * allocates: for the moment before a refusal. False also when there is no memory to look. */
bool table_granule_has_room(const void *owner, enum table_door door, uint64_t granule_bytes, uint64_t bytes);

/* Takes out all entries of owner that came through a door other than TABLE_POOL: the context was destroyed.
 * visit is called for each with a stripe locked, so it must not call the table or the driver. */
void table_take_owned(const void *owner, void (*visit)(const struct table_entry *entry, void *arg),
                      void *arg);

/* For a forked child: forgets everything, whoever held the locks at the fork. */
void table_reset_in_child(void);

#endif
