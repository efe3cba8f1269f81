/* A sorted array of pointers under a reader-writer lock: a program has at most some ten thousand allocations,
 * lookups vastly outnumber changes, and a change moves eight bytes for each allocation above it. */
#include "softgpu/driver/space.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_rwlock_t lock;
    struct space_allocation **all; /* sorted by base; ranges do not overlap */
    size_t n, capacity;
    uint64_t next_id;
    uint64_t generation; /* atomic */
} space = {.lock = PTHREAD_RWLOCK_INITIALIZER, .next_id = 1, .generation = 1};

const uint64_t *space_generation(void)
{
    return &space.generation;
}

void space_invalidate(void)
{
    __atomic_fetch_add(&space.generation, 1, __ATOMIC_RELEASE);
}

static size_t index_after(uint64_t addr)
{
    size_t low = 0, high = space.n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (space.all[mid]->base <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static uint64_t extent(const struct space_allocation *allocation)
{
    return allocation->reach_bytes > allocation->bytes ? allocation->reach_bytes : allocation->bytes;
}

static struct space_allocation *holder(uint64_t addr)
{
    size_t after = index_after(addr);
    struct space_allocation *found = after ? space.all[after - 1] : NULL;

    return found && addr - found->base < extent(found) ? found : NULL;
}

static int insert_locked(struct space_allocation *copy)
{
    size_t at = index_after(copy->base);

    if ((at && space.all[at - 1]->base + extent(space.all[at - 1]) > copy->base) ||
        (at < space.n && copy->base + extent(copy) > space.all[at]->base))
        return -EEXIST;
    if (space.n == space.capacity) {
        size_t wanted = space.capacity ? space.capacity * 2 : 64;
        struct space_allocation **grown = realloc(space.all, wanted * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        space.all = grown;
        space.capacity = wanted;
    }
    memmove(space.all + at + 1, space.all + at, (space.n - at) * sizeof(*space.all));
    space.all[at] = copy;
    space.n++;
    return 0;
}

int space_add(struct space_allocation *allocation)
{
    struct space_allocation *copy = malloc(sizeof(*copy));
    int error;

    if (!copy)
        return -ENOMEM;
    pthread_rwlock_wrlock(&space.lock);
    allocation->id = space.next_id++;
    *copy = *allocation;
    error = insert_locked(copy);
    pthread_rwlock_unlock(&space.lock);
    if (error)
        free(copy);
    return error;
}

int space_remove(uint64_t base, struct space_allocation *ret_allocation)
{
    struct space_allocation *removed = NULL;

    pthread_rwlock_wrlock(&space.lock);
    size_t after = index_after(base);
    if (after && space.all[after - 1]->base == base) {
        removed = space.all[after - 1];
        memmove(space.all + after - 1, space.all + after, (space.n - after) * sizeof(*space.all));
        space.n--;
    }
    pthread_rwlock_unlock(&space.lock);
    if (!removed)
        return -ENOENT;
    space_invalidate();
    *ret_allocation = *removed;
    free(removed);
    return 0;
}

bool space_find(uint64_t addr, struct space_allocation *ret_allocation)
{
    pthread_rwlock_rdlock(&space.lock);
    struct space_allocation *found = holder(addr);
    bool usable = found && found->kind != SPACE_ARRAY && found->kind != SPACE_KERNEL_HEAP &&
                  !found->freed_in_stream && addr - found->base < found->bytes;
    if (usable)
        *ret_allocation = *found;
    pthread_rwlock_unlock(&space.lock);
    return usable;
}

int space_update(const struct space_allocation *allocation)
{
    int error = -ENOENT;

    pthread_rwlock_wrlock(&space.lock);
    struct space_allocation *found = holder(allocation->base);
    if (found && found->base == allocation->base) {
        *found = *allocation;
        error = 0;
    }
    pthread_rwlock_unlock(&space.lock);
    if (!error)
        space_invalidate();
    return error;
}

static bool find_where(const struct context *owner, const struct pool *pool,
                       struct space_allocation *ret_allocation)
{
    bool found = false;

    pthread_rwlock_rdlock(&space.lock);
    for (size_t i = 0; i < space.n && !found; i++) {
        const struct space_allocation *each = space.all[i];

        found = (owner && each->owner == owner) || (pool && each->pool == pool && !each->freed_in_stream);
        if (found)
            *ret_allocation = *each;
    }
    pthread_rwlock_unlock(&space.lock);
    return found;
}

bool space_find_owned(const struct context *owner, struct space_allocation *ret_allocation)
{
    return find_where(owner, NULL, ret_allocation);
}

bool space_find_in_pool(const struct pool *pool, struct space_allocation *ret_allocation)
{
    return find_where(NULL, pool, ret_allocation);
}

bool space_claim_freed(uint64_t base, struct space_allocation *ret_allocation)
{
    pthread_rwlock_wrlock(&space.lock);
    struct space_allocation *found = holder(base);
    bool claimed = found && found->base == base && found->kind == SPACE_POOL && !found->freed_in_stream;
    if (claimed) {
        *ret_allocation = *found;
        found->freed_in_stream = true;
        found->reach_bytes = found->block_bytes;
    }
    pthread_rwlock_unlock(&space.lock);
    return claimed;
}

void space_set_pool_devices(const struct pool *pool, uint32_t device_mask)
{
    pthread_rwlock_wrlock(&space.lock);
    for (size_t i = 0; i < space.n; i++)
        if (space.all[i]->pool == pool)
            space.all[i]->device_mask = device_mask;
    pthread_rwlock_unlock(&space.lock);
    space_invalidate();
}

bool space_touches(uint64_t base, uint64_t bytes)
{
    bool touches;
    size_t after;

    pthread_rwlock_rdlock(&space.lock);
    after = index_after(base);
    touches = holder(base) || (after < space.n && space.all[after]->base - base < bytes);
    pthread_rwlock_unlock(&space.lock);
    return touches;
}

/* Do mapped ranges from the one that holds addr on reach to addr + bytes, here as on the device? What the
 * others do not allow is taken out of *first. */
static bool reaches(uint64_t addr, uint64_t bytes, struct space_allocation *first)
{
    const struct space_allocation *last = first;

    if (addr + bytes < addr)
        return false;
    for (size_t i = index_after(addr); addr + bytes - last->base > last->bytes; i++) {
        const struct space_allocation *next = i < space.n ? space.all[i] : NULL;

        if (!next || next->kind != SPACE_MAPPED || last->base + last->bytes != next->base ||
            last->host + last->bytes != next->host)
            return false;
        first->device_mask &= next->device_mask;
        first->write_mask &= next->write_mask;
        last = next;
    }
    return true;
}

bool space_resolve(uint64_t addr, uint64_t bytes, char **ret_host, struct space_allocation *ret_allocation)
{
    struct space_allocation first;
    bool inside;

    pthread_rwlock_rdlock(&space.lock);
    struct space_allocation *found = holder(addr);
    inside = found != NULL;
    if (inside) {
        first = *found;
        inside = bytes <= extent(found) - (addr - found->base) ||
                 (found->kind == SPACE_MAPPED && reaches(addr, bytes, &first));
    }
    if (inside) {
        *ret_host = first.host + (addr - first.base);
        if (ret_allocation)
            *ret_allocation = first;
    }
    pthread_rwlock_unlock(&space.lock);
    return inside;
}
