/* Following vgpud over a restart: a process notices that the vgpud whose limits area it has mapped is gone,
 * and asks the next one for its own. Private to src/shim; used by both libraries. */
#ifndef VGPU_SHIM_REJOIN_H
#define VGPU_SHIM_REJOIN_H

#include "base/clock.h"
#include "ledger/ledger.h"

/* A heartbeat that old is that of a vgpud that is gone or stuck (it beats every 100 ms). */
#define REJOIN_STALE_NS NS_PER_S

void rejoin_slow(struct ledger_client *client, uint64_t now_ns);

/* To be called where a process asks the account, but not on a fast path: a coarse clock and a comparison
 * while vgpud lives. Else one thread a second tries to rejoin, for 50 ms at most; where vgpud is stuck (100 ms) each 10 s.
 * errno stays. */
static inline void rejoin_if_stale(struct ledger_client *client)
{
    uint64_t now_ns = clock_coarse_ns(), beat_ns = ledger_heartbeat_ns(client);

    if (now_ns > beat_ns + REJOIN_STALE_NS && beat_ns)
        rejoin_slow(client, now_ns);
}

/* The same for calls that programs may make all the time: one look in many. */
static inline void rejoin_now_and_then(struct ledger_client *client)
{
    static unsigned calls; /* threads that race lose some, which only puts a look off */
    unsigned call = __atomic_load_n(&calls, __ATOMIC_RELAXED);

    __atomic_store_n(&calls, call + 1, __ATOMIC_RELAXED);
    if (call % 64 == 0)
        rejoin_if_stale(client);
}

#endif
