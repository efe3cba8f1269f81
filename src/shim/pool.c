/* The account of memory pools; see pool.h. For each pool the ledger holds
 *     charged = reserved + pending
 * where reserved is the driver's figure as last read and pending is what allocations under way may still make
 * it grow by. A reading counts only if no allocation ended since it was begun (ends): then every growth that
 * it could have missed is still pending. Whoever ends last reads last, so at rest the charge is the truth.
 * Locks are held for arithmetic and ledger operations, never over the driver. */
#include "shim/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "shim/charge.h"
#include "shim/deferred.h"
#include "shim/overhead.h"

/* A pool is taken to grow in pieces of this size, so the most that it grows for a request is that request,
 * rounded up. A driver whose pools grow by more is caught afterwards: the allocation is taken back
 * (pool_api.c). */
#define GROWTH_BYTES (UINT64_C(32) << 20)

enum { SETTLE_ATTEMPTS = 8, BLOCK_BYTES = 512 };

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool *pools;
static bool some_slack; /* atomic: some pool may have something to give back at the next wait */

/* ---- which pools there are ---- */

struct pool *pool_find(CUmemoryPool handle)
{
    struct pool *pool;

    if (!handle)
        return NULL;
    pthread_mutex_lock(&pools_lock);
    for (pool = pools; pool && pool->handle != handle; pool = pool->next)
        ;
    pthread_mutex_unlock(&pools_lock);
    return pool;
}

struct pool *pool_add(CUmemoryPool handle, int device)
{
    struct pool *pool;

    pthread_mutex_lock(&pools_lock);
    for (pool = pools; pool; pool = pool->next)
        if (pool->handle == handle || (!pool->handle && !pool->live))
            break;
    if (!pool && (pool = calloc(1, sizeof(*pool)))) {
        pthread_mutex_init(&pool->lock, NULL);
        pool->next = pools;
        pools = pool;
    }
    if (pool && pool->handle != handle) {
        pool->device = device;
        pool->charged_bytes = pool->reserved_bytes = pool->pending_bytes = 0;
        room_clear(&pool->room);
        pool->handle = handle;
    }
    pthread_mutex_unlock(&pools_lock);
    return pool;
}

struct pool *pool_of(CUmemoryPool handle)
{
    struct pool *pool = pool_find(handle);
    int n_devices;

    if (pool || real(cuDeviceGetCount)(&n_devices) != CUDA_SUCCESS)
        return pool;
    for (CUdevice device = 0; device < n_devices; device++) {
        CUmemoryPool default_pool;

        if (real(cuDeviceGetDefaultMemPool)(&default_pool, device) == CUDA_SUCCESS && default_pool == handle)
            return pool_add(handle, shim_device_index(device));
    }
    return NULL;
}

/* ---- what the driver may let go of ---- */

static uint64_t pool_slack_bytes(struct pool *pool)
{
    uint64_t bytes = 0;

    pthread_mutex_lock(&pool->lock);
    if (pool->device >= 0 && pool->charged_bytes > pool->live_bytes)
        bytes = pool->charged_bytes - pool->live_bytes;
    pthread_mutex_unlock(&pool->lock);
    return bytes;
}

void pool_slack_begin(struct pool_slack *ret_slack)
{
    struct pool *pool;

    *ret_slack = (struct pool_slack){0};
    if (!__atomic_load_n(&some_slack, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&pools_lock);
    pool = pools;
    pthread_mutex_unlock(&pools_lock);
    for (; pool; pool = pool->next)
        if (pool->device >= 0)
            ret_slack->bytes[pool->device] += pool_slack_bytes(pool);
    ret_slack->any = true;
    for (int device = 0; device < LEDGER_DEVICES_MAX; device++)
        if (ret_slack->bytes[device])
            overhead_uncertain_add(device, ret_slack->bytes[device]);
}

void pool_slack_end(const struct pool_slack *slack)
{
    if (!slack->any)
        return;
    for (int device = 0; device < LEDGER_DEVICES_MAX; device++)
        if (slack->bytes[device])
            overhead_uncertain_sub(device, slack->bytes[device]);
}

/* ---- settling ---- */

static bool pool_read(const struct pool *pool, CUmemPool_attribute attribute, uint64_t *ret_bytes)
{
    cuuint64_t bytes;

    if (!pool->handle || real(cuMemPoolGetAttribute)(pool->handle, attribute, &bytes) != CUDA_SUCCESS)
        return false;
    *ret_bytes = bytes;
    return true;
}

/* Moves the charge to wanted_bytes. -ENOMEM: the pool grew past what was reserved and that passes the limit;
 * it is charged all the same. */
static int charge_move_locked(struct ledger_client *client, struct pool *pool, uint64_t wanted_bytes)
{
    uint64_t charged = pool->charged_bytes;

    pool->charged_bytes = wanted_bytes;
    if (wanted_bytes <= charged) {
        ledger_release(client, (unsigned)pool->device, charged - wanted_bytes);
        return 0;
    }
    return ledger_charge(client, (unsigned)pool->device, wanted_bytes - charged) ? 0 : -ENOMEM;
}

int pool_settle(struct ledger_client *client, struct pool *pool)
{
    if (pool->device < 0)
        return 0;
    for (int attempt = 0; attempt < SETTLE_ATTEMPTS; attempt++) {
        uint64_t ends = __atomic_load_n(&pool->ends, __ATOMIC_SEQ_CST), reserved, used;
        bool counts;
        int r = 0;

        if (!pool_read(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &reserved))
            return 0; /* the charge stays as it is */
        if (pool_read(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used) && used < reserved)
            __atomic_store_n(&some_slack, true, __ATOMIC_RELAXED);
        pthread_mutex_lock(&pool->lock);
        counts = pool->ends == ends && pool->handle;
        if (counts) {
            /* What the driver gave back may be any of what is known to be free. */
            if (reserved < pool->reserved_bytes)
                room_clear(&pool->room);
            pool->reserved_bytes = reserved;
            overhead_uncertain_add(pool->device, 0); /* only to say that something moves */
            r = charge_move_locked(client, pool, reserved + pool->pending_bytes);
            overhead_uncertain_sub(pool->device, 0);
        }
        pthread_mutex_unlock(&pool->lock);
        if (counts)
            return r;
    }
    return 0; /* whoever keeps ending allocations settles */
}

void pool_settle_all(struct ledger_client *client)
{
    struct pool *pool;

    deferred_settle(client, false);
    pthread_mutex_lock(&pools_lock);
    pool = pools;
    pthread_mutex_unlock(&pools_lock);
    for (; pool; pool = pool->next)
        pool_settle(client, pool);
}

CUresult pool_trim(struct ledger_client *client, struct pool *pool, size_t keep_bytes)
{
    uint64_t slack_bytes = pool_slack_bytes(pool);
    CUresult result;

    overhead_uncertain_add(pool->device, slack_bytes);
    result = real(cuMemPoolTrimTo)(pool->handle, keep_bytes);
    pool_settle(client, pool);
    overhead_uncertain_sub(pool->device, slack_bytes);
    return result;
}

bool pool_trim_all(struct ledger_client *client, int device)
{
    CUstreamCaptureMode mode;
    bool relaxed = shim_capture_relax(&mode), any = false;
    struct pool *pool;

    pthread_mutex_lock(&pools_lock);
    pool = pools;
    pthread_mutex_unlock(&pools_lock);
    for (; pool; pool = pool->next) {
        uint64_t slack_bytes = pool_slack_bytes(pool);

        if (pool->device != device || !slack_bytes || !pool->handle)
            continue;
        pool_trim(client, pool, 0);
        any |= pool_slack_bytes(pool) < slack_bytes;
    }
    shim_capture_restore(relaxed, mode);
    return any;
}

/* A wait for all streams is one for the current context's: it says nothing of pools on other devices. */
static void rooms_ready(uintptr_t stream)
{
    struct pool *pool;
    int device = -1;

    if (stream == ROOM_ANY_STREAM && shim_current_index(&device) != CUDA_SUCCESS)
        return;

    pthread_mutex_lock(&pools_lock);
    pool = pools;
    pthread_mutex_unlock(&pools_lock);
    for (; pool; pool = pool->next) {
        if (stream == ROOM_ANY_STREAM && pool->device != device)
            continue;
        pthread_mutex_lock(&pool->lock);
        room_ready(&pool->room, stream);
        pthread_mutex_unlock(&pool->lock);
    }
}

void pool_settle_after_sync(struct ledger_client *client, uintptr_t stream)
{
    if (!__atomic_load_n(&some_slack, __ATOMIC_RELAXED)) {
        deferred_settle(client, false);
        return;
    }
    __atomic_store_n(&some_slack, false, __ATOMIC_RELAXED);
    pool_settle_all(client);
    if (stream != ROOM_NO_STREAM)
        rooms_ready(stream);
}

/* ---- an allocation ---- */

static uint64_t block_bytes(uint64_t bytes)
{
    return bytes > UINT64_MAX - BLOCK_BYTES ? UINT64_MAX
                                            : (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

static bool room_claim_in(struct pool *pool, uint64_t bytes, uintptr_t stream, struct room_extent *ret_extent)
{
    bool found;

    pthread_mutex_lock(&pool->lock);
    found = room_claim(&pool->room, bytes, stream, ret_extent);
    pthread_mutex_unlock(&pool->lock);
    return found;
}

int pool_growth_begin(struct pool_growth *growth, struct ledger_client *client, struct pool *pool,
                      uint64_t bytes, uintptr_t stream, const char *call)
{
    int r;

    *growth = (struct pool_growth){.pool = pool, .call = call, .wanted_bytes = block_bytes(bytes)};
    growth->bytes = bytes > UINT64_MAX - GROWTH_BYTES
                        ? UINT64_MAX
                        : (bytes + GROWTH_BYTES - 1) / GROWTH_BYTES * GROWTH_BYTES;
    if (pool->device >= 0 && !charge_fits(client, pool->device, growth->bytes)) {
        pool_settle_all(client);
        if (!charge_fits(client, pool->device, growth->bytes) &&
            room_claim_in(pool, growth->wanted_bytes, stream, &growth->claimed))
            growth->bytes = 0;
    }
    r = charge_reserve(client, pool->device, growth->bytes, call);
    pthread_mutex_lock(&pool->lock);
    if (r < 0) {
        room_give(&pool->room, growth->claimed);
    } else {
        pool->charged_bytes += growth->bytes;
        pool->pending_bytes += growth->bytes;
        pool->under_way++;
        growth->ends_before = pool->ends;
    }
    pthread_mutex_unlock(&pool->lock);
    return r;
}

/* Learns from an allocation where the pool is free. When the pool grew for it and nobody else used the pool
 * meanwhile, what the new piece has beyond the allocation is free. */
static uint64_t room_learn_locked(const struct pool_growth *growth, uint64_t address,
                                  uint64_t reserved_before, bool alone)
{
    struct pool *pool = growth->pool;
    uint64_t grown = pool->reserved_bytes > reserved_before ? pool->reserved_bytes - reserved_before : 0,
             chunk;

    room_give(&pool->room, growth->claimed);
    if (!address)
        return 0;
    chunk = room_take(&pool->room, address, growth->wanted_bytes);
    if (chunk || !alone || grown < growth->wanted_bytes)
        return chunk;
    room_give(&pool->room, (struct room_extent){address + growth->wanted_bytes, grown - growth->wanted_bytes,
                                                address, ROOM_ANY_STREAM});
    return address;
}

int pool_growth_end(const struct pool_growth *growth, struct ledger_client *client, uint64_t address,
                    uint64_t *ret_chunk)
{
    struct pool *pool = growth->pool;
    uint64_t reserved_before;
    bool alone;
    int r;

    pthread_mutex_lock(&pool->lock);
    pool->pending_bytes -= growth->bytes;
    pool->under_way--;
    alone = pool->ends == growth->ends_before && !pool->under_way;
    reserved_before = pool->reserved_bytes;
    __atomic_add_fetch(&pool->ends, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&pool->lock);
    r = pool_settle(client, pool);
    pthread_mutex_lock(&pool->lock);
    *ret_chunk = room_learn_locked(growth, address, reserved_before,
                                   alone && pool->ends == growth->ends_before + 1 && !pool->under_way);
    pthread_mutex_unlock(&pool->lock);
    overhead_uncertain_sub(pool->device, growth->bytes);
    if (r == -ENOMEM && address)
        ledger_deny(client, (unsigned)pool->device, growth->call, growth->wanted_bytes);
    return r;
}

void pool_release(struct ledger_client *client, const struct table_entry *entry, CUstream stream,
                  uintptr_t room_stream, deferred_record_fn record)
{
    struct pool *pool = (struct pool *)entry->owner;
    struct table_entry rest = {.device = entry->device, .door = TABLE_DIRECT};

    __atomic_store_n(&some_slack, true, __ATOMIC_RELAXED);
    pthread_mutex_lock(&pool->lock);
    room_give(&pool->room, (struct room_extent){entry->address, entry->bytes, entry->chunk, room_stream});
    pool->live_bytes -= entry->bytes < pool->live_bytes ? entry->bytes : pool->live_bytes;
    /* The last allocation of a destroyed pool takes the pool's memory with it. */
    if (--pool->live == 0 && !pool->handle) {
        rest.bytes = pool->charged_bytes;
        pool->charged_bytes = 0;
    }
    pthread_mutex_unlock(&pool->lock);
    if (rest.bytes && record)
        deferred_add(&rest, stream, record);
    else
        charge_release(client, &rest);
}

void pool_retire(struct pool *pool)
{
    struct table_entry rest = {.device = (uint16_t)pool->device, .door = TABLE_DIRECT};

    pthread_mutex_lock(&pool->lock);
    pool->handle = NULL;
    if (!pool->live) {
        rest.bytes = pool->charged_bytes;
        pool->charged_bytes = 0;
    }
    pthread_mutex_unlock(&pool->lock);
    if (rest.bytes)
        deferred_add(&rest, NULL, NULL);
}

void pool_reset_in_child(void)
{
    pools_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pools = NULL;
    some_slack = false;
}
