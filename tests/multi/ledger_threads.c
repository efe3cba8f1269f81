/* Threads of two processes' worth of clients race on one account; made for ThreadSanitizer. The total is
 * never seen above the limit, and all comes back to zero. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ledger/ledger.h"

enum { CLIENTS = 2, THREADS = 3, ROUNDS = 200000, LIMIT_BYTES = 1000, MEET_ROUNDS = 64 };

static struct ledger_areas areas;
static struct ledger_client *clients[CLIENTS];
static atomic_ulong over, refused;
static pthread_barrier_t start;

static void *thread_run(void *client)
{
    pthread_barrier_wait(&start);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t bytes = 1 + round * 7 % 400;

        if (ledger_reserve(client, 0, bytes) < 0) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        if (ledger_used_bytes(client, 0) > LIMIT_BYTES)
            atomic_fetch_add(&over, 1);
        /* A thread may end its rounds within one time slice: handing the processor on with bytes in hand makes them meet. */
        if (round % MEET_ROUNDS == 0)
            sched_yield();
        ledger_release(client, 0, bytes);
    }
    return NULL;
}

int main(void)
{
    const struct ledger_device_spec spec = {.memory_limit_bytes = LIMIT_BYTES,
                                            .memory_capacity_bytes = LIMIT_BYTES};
    pthread_t threads[CLIENTS * THREADS];
    struct ledger_usage usage;
    int failures = 0;

    if (ledger_areas_new("threads", "threads", &spec, 1, &areas, NULL) < 0)
        return 1;
    for (int i = 0; i < CLIENTS; i++) {
        uint32_t slot, generation;

        if (ledger_slot_grant(&areas, 1, 1, 0, "threads", &slot, &generation) < 0 ||
            ledger_client_new(areas.limits_fd, areas.ledger_fd, sizeof(struct ledger_limits),
                              sizeof(struct ledger), slot, &clients[i]) < 0)
            return 1;
    }
    pthread_barrier_init(&start, NULL, CLIENTS * THREADS);
    for (int i = 0; i < CLIENTS * THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread_run, clients[i % CLIENTS]))
            return 1;
    for (int i = 0; i < CLIENTS * THREADS; i++)
        pthread_join(threads[i], NULL);
    ledger_usage_read(areas.ledger, areas.limits, 0, &usage);
    failures += usage.used_bytes != 0 || usage.denied_total != atomic_load(&refused) ||
                usage.peak_bytes > LIMIT_BYTES;
    for (int i = 0; i < CLIENTS; i++) {
        failures += ledger_own_bytes(clients[i], 0) != 0;
        ledger_client_free(clients[i]);
    }
    ledger_areas_free(&areas);
    printf("peak %llu of %d, %lu refused, seen over the limit %lu times, %d failures\n",
           (unsigned long long)usage.peak_bytes, LIMIT_BYTES, atomic_load(&refused), atomic_load(&over),
           failures);
    /* Threads that never met would show nothing. */
    return failures || atomic_load(&over) || !atomic_load(&refused);
}
