/* Who tries when to rejoin; see rejoin.h. What is asked and checked is attach.c's. While vgpud is away a try
 * is a connect(2) that fails. Where it is stuck a try costs the thread its whole wait, so tries grow rare: at
 * most 1 part in 100 of a program's time goes into them. */
#include "shim/rejoin.h"

#include <errno.h>

#include "shim/attach.h"

enum { WAIT_MS = 50, PAUSE_TIMES = 100 };

static uint64_t next_try_ns; /* of the process; whoever moves it on tries */

void rejoin_slow(struct ledger_client *client, uint64_t now_ns)
{
    const int kept_errno = errno;
    uint64_t due_ns = __atomic_load_n(&next_try_ns, __ATOMIC_RELAXED), took_ns;

    if (now_ns < due_ns || !__atomic_compare_exchange_n(&next_try_ns, &due_ns, now_ns + NS_PER_S, false,
                                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    attach_rejoin(client, WAIT_MS);
    took_ns = clock_coarse_ns() - now_ns;
    if (took_ns * PAUSE_TIMES > NS_PER_S)
        __atomic_store_n(&next_try_ns, now_ns + took_ns * PAUSE_TIMES, __ATOMIC_RELAXED);
    errno = kept_errno;
}
