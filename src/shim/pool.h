/* Stream-ordered memory. Pools grow and shrink inside the driver, so a pool is charged by what it has
 * reserved on the device (CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), not by what was asked of it: an allocation
 * reserves the most that the pool may grow, asks the driver, and settles to the truth. pool.c keeps the
 * account, pool_api.c has the hooks. Private to src/shim. */
#ifndef VGPU_SHIM_POOL_H
#define VGPU_SHIM_POOL_H

#include <pthread.h>

#include "shim/deferred.h"
#include "shim/room.h"
#include "shim/shim.h"
#include "shim/table.h"

enum { POOL_NOT_ON_DEVICE = -2 };

struct pool {
    struct pool *next;       /* of all; never freed, so that who holds one need not lock */
    CUmemoryPool handle;     /* NULL: destroyed, may be used again once nothing of it lives */
    int device;              /* index in the instance, -1: not in it, POOL_NOT_ON_DEVICE: host memory */
    pthread_mutex_t lock;    /* for what follows */
    uint64_t charged_bytes;  /* in the ledger: reserved + pending */
    uint64_t reserved_bytes; /* by the driver, as last read */
    uint64_t pending_bytes;  /* that allocations under way may make it grow by */
    uint64_t ends;           /* allocations that ended */
    uint32_t under_way;
    uint64_t live;       /* allocations in the table */
    uint64_t live_bytes; /* of those */
    struct room room;    /* what is surely free in it */
};

/* The pool of a handle; one that the program did not make is a device's default pool. NULL: neither, so
 * nobody knows where its memory lies. */
struct pool *pool_of(CUmemoryPool handle);

/* A pool that the program made, by handle, or NULL. */
struct pool *pool_find(CUmemoryPool handle);

/* Enters a pool of a device; NULL when there is no memory. */
struct pool *pool_add(CUmemoryPool handle, int device);

/* ---- an allocation ---- */

struct pool_growth {
    struct pool *pool;
    const char *call; /* of the driver API, for people */
    uint64_t bytes;   /* reserved in the ledger */
    uint64_t wanted_bytes, ends_before;
    struct room_extent claimed; /* or: room in the pool, so that it need not grow; bytes 0 if none */
};

/* Reserves the most that the pool may grow by for an allocation of bytes in stream, or claims room in it. 0
 * or negative errno. */
int pool_growth_begin(struct pool_growth *growth, struct ledger_client *client, struct pool *pool,
                      uint64_t bytes, uintptr_t stream, const char *call);

/* After the driver; address: of the allocation, 0 when it failed. Settles; *ret_chunk is for the table entry.
 * -ENOMEM: the pool grew past what the limit allows, the caller takes the allocation back. */
int pool_growth_end(const struct pool_growth *growth, struct ledger_client *client, uint64_t address,
                    uint64_t *ret_chunk);

/* entry's allocation is gone, or will be when stream gets there (record: by which the stream is marked; NULL:
 * it is gone). */
void pool_release(struct ledger_client *client, const struct table_entry *entry, CUstream stream,
                  uintptr_t room_stream, deferred_record_fn record);

/* The program destroyed the pool. What it still holds stays charged until the last allocation is freed, or,
 * when only frees are under way, until the context has been waited for. */
void pool_retire(struct pool *pool);

/* ---- settling ---- */

/* Brings the charge to what the driver says. 0, or -ENOMEM: that passes the limit. */
int pool_settle(struct ledger_client *client, struct pool *pool);

/* Every pool, and what streams have freed by now. */
void pool_settle_all(struct ledger_client *client);

/* As pool_settle_all, after stream was waited for (ROOM_ANY_STREAM: all streams; ROOM_NO_STREAM: one cannot
 * tell which). A few loads when there is nothing to settle. */
void pool_settle_after_sync(struct ledger_client *client, uintptr_t stream);

/* What the driver's pools may give back to the device during a call that waits: it is uncertain from before
 * the call until the pools are settled after it. Nothing to do: one load. */
struct pool_slack {
    bool any;
    uint64_t bytes[LEDGER_DEVICES_MAX];
};
void pool_slack_begin(struct pool_slack *ret_slack);
void pool_slack_end(const struct pool_slack *slack);

/* cuMemPoolTrimTo, with the account. */
CUresult pool_trim(struct ledger_client *client, struct pool *pool, size_t keep_bytes);

/* Makes the pools of a device let go of what they keep without need, as the driver does when a device is
 * full. True when that was anything. */
bool pool_trim_all(struct ledger_client *client, int device);

void pool_reset_in_child(void);

#endif
