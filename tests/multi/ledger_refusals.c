/* A refusal needs a proof. Threads of two processes' worth of clients hold pieces on a pretended device that
 * always has room for all of them, while the account is full of bytes that will never get there: reservations
 * whose driver call fails, frees that are under way, objects in the middle of being published. Nobody may
 * ever be told that it is surely over; and what surely is, is said. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ledger/ledger.h"

enum {
    CLIENTS = 2,
    THREADS = 2,
    ROUNDS = 100000,
    PIECE_BYTES = 1 << 20,
    LIMIT_BYTES = CLIENTS * THREADS * PIECE_BYTES, /* each thread has one piece at most */
    SPECULATIVE_BYTES = LIMIT_BYTES / 2,
};

static struct ledger_areas areas;
static struct ledger_client *clients[CLIENTS];
static atomic_ulong refused, tried_again, not_said;
static pthread_barrier_t start;

/* Takes a piece as a hook does: tries until it is taken or the refusal proven. */
static bool piece_take(struct ledger_client *client)
{
    for (;;) {
        ledger_moving_add(client, 0, PIECE_BYTES);
        if (ledger_try_reserve(client, 0, PIECE_BYTES) == 0) {
            ledger_moving_sub(client, 0, PIECE_BYTES); /* now it lies on the device */
            return true;
        }
        ledger_moving_sub(client, 0, PIECE_BYTES);
        if (ledger_is_surely_over(client, 0, PIECE_BYTES)) {
            atomic_fetch_add(&refused, 1);
            return false;
        }
        atomic_fetch_add(&tried_again, 1);
        sched_yield();
    }
}

static void piece_give(struct ledger_client *client)
{
    ledger_moving_add(client, 0, PIECE_BYTES); /* from here on the device may have it no more */
    ledger_release(client, 0, PIECE_BYTES);
    ledger_moving_sub(client, 0, PIECE_BYTES);
}

/* The driver refuses these. */
static void speculate(struct ledger_client *client)
{
    ledger_moving_add(client, 0, SPECULATIVE_BYTES);
    if (ledger_try_reserve(client, 0, SPECULATIVE_BYTES) == 0) {
        sched_yield();
        ledger_release(client, 0, SPECULATIVE_BYTES);
    }
    ledger_moving_sub(client, 0, SPECULATIVE_BYTES);
}

/* The piece becomes an object, and goes as one. */
static void piece_publish_and_give(struct ledger_client *client, uint64_t thread, uint64_t round)
{
    uint8_t key[16];
    uint32_t shared;

    memcpy(key, &thread, sizeof(thread));
    memcpy(key + sizeof(thread), &round, sizeof(round));
    if (ledger_shared_publish(client, 0, key, PIECE_BYTES, &shared) < 0) {
        atomic_fetch_add(&not_said, 1);
        return;
    }
    ledger_moving_add(client, 0, PIECE_BYTES);
    ledger_shared_leave(client, shared);
    ledger_moving_sub(client, 0, PIECE_BYTES);
}

static void *thread_run(void *index)
{
    uint64_t thread = (uint64_t)(uintptr_t)index;
    struct ledger_client *client = clients[thread % CLIENTS];

    pthread_barrier_wait(&start);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        if ((round + thread) % 3 == 0)
            speculate(client);
        if (!piece_take(client))
            continue;
        if (round % 4 == 0)
            piece_publish_and_give(client, thread, round);
        else
            piece_give(client);
        if (!ledger_is_surely_over(client, 0, LIMIT_BYTES + 1))
            atomic_fetch_add(&not_said, 1);
    }
    return NULL;
}

int main(void)
{
    const struct ledger_device_spec spec = {.memory_limit_bytes = LIMIT_BYTES,
                                            .memory_capacity_bytes = LIMIT_BYTES};
    pthread_t threads[CLIENTS * THREADS];
    uint64_t left_bytes;

    if (ledger_areas_new("refusals", "refusals", &spec, 1, &areas, NULL) < 0)
        return 1;
    for (int i = 0; i < CLIENTS; i++) {
        uint32_t slot, generation;

        if (ledger_slot_grant(&areas, 1, 1, 0, "refusals", &slot, &generation) < 0 ||
            ledger_client_new(areas.limits_fd, areas.ledger_fd, sizeof(struct ledger_limits),
                              sizeof(struct ledger), slot, &clients[i]) < 0)
            return 1;
    }
    pthread_barrier_init(&start, NULL, CLIENTS * THREADS);
    for (uintptr_t i = 0; i < CLIENTS * THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread_run, (void *)i))
            return 1;
    for (int i = 0; i < CLIENTS * THREADS; i++)
        pthread_join(threads[i], NULL);
    left_bytes = ledger_used_bytes(clients[0], 0);
    for (int i = 0; i < CLIENTS; i++)
        ledger_client_free(clients[i]);
    ledger_areas_free(&areas);
    printf("tried again %lu times, refused though there was room %lu times, %lu other failures, %llu bytes "
           "left\n",
           atomic_load(&tried_again), atomic_load(&refused), atomic_load(&not_said),
           (unsigned long long)left_bytes);
    /* Had nobody tried again, the account would never have been full, and nothing shown. */
    return atomic_load(&refused) || atomic_load(&not_said) || left_bytes || !atomic_load(&tried_again);
}
