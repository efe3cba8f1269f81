/* Processes hammer one account while they are killed at random and replaced, limits move, and this program
 * plays vgpud: the total is never seen above the highest limit, and in the end it is exactly what the
 * survivors say they hold. ledger_race [SECONDS] */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ledger/ledger.h"

#if defined(__SANITIZE_THREAD__)
#    define THREAD_SANITIZER 1
#elif defined(__has_feature)
#    define THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#    define THREAD_SANITIZER 0
#endif

enum { PROCESSES = 8, LIMIT_BYTES = 100000, LOW_BYTES = 40000, PIECES = 32 };

struct shared {
    atomic_bool stop;
    atomic_ulong over, operations;
    atomic_ulong held_bytes[PROCESSES]; /* what a survivor holds at its end */
};

struct worker {
    pid_t pid;
    uint32_t slot;
};

static struct ledger_areas areas;
static struct shared *shared;
static struct worker workers[PROCESSES];
static unsigned long kills;

static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A tenant's process: takes and gives pieces until told to stop, then says what it holds. */
static void worker_run(unsigned index, uint32_t slot, uint32_t seed)
{
    uint64_t piece_bytes[PIECES] = {0}, held_bytes = 0;
    struct ledger_client *client;

    if (ledger_client_new(areas.limits_fd, areas.ledger_fd, sizeof(struct ledger_limits),
                          sizeof(struct ledger), slot, &client) < 0)
        _exit(2);
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        unsigned i = random_next(&seed) % PIECES;

        if (piece_bytes[i]) {
            ledger_release(client, 0, piece_bytes[i]);
            piece_bytes[i] = 0;
        } else {
            uint64_t bytes = 1 + random_next(&seed) % (LIMIT_BYTES / 20);

            if (ledger_reserve(client, 0, bytes) == 0)
                piece_bytes[i] = bytes;
            if (ledger_used_bytes(client, 0) > LIMIT_BYTES)
                atomic_fetch_add(&shared->over, 1);
        }
        atomic_fetch_add_explicit(&shared->operations, 1, memory_order_relaxed);
    }
    for (unsigned i = 0; i < PIECES; i++)
        held_bytes += piece_bytes[i];
    atomic_store(&shared->held_bytes[index], held_bytes);
    _exit(ledger_own_bytes(client, 0) == held_bytes ? 0 : 3);
}

static void worker_start(unsigned index, uint32_t seed)
{
    uint32_t slot, generation;
    pid_t pid;

    if (ledger_slot_grant(&areas, 1, 1, 0, "race", &slot, &generation) < 0) {
        fprintf(stderr, "no slot\n");
        exit(1);
    }
    pid = fork();
    if (pid == 0)
        worker_run(index, slot, seed | 1);
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    workers[index] = (struct worker){.pid = pid, .slot = slot};
}

static void worker_kill(unsigned index)
{
    int status;

    kill(workers[index].pid, SIGKILL);
    waitpid(workers[index].pid, &status, 0);
    if (ledger_slot_reap(&areas, workers[index].slot, NULL) < 0)
        fprintf(stderr, "reap came to nothing\n");
    kills++;
}

static void observe(void)
{
    for (int i = 0; i < 200; i++)
        if (__atomic_load_n(&areas.ledger->accounts[0].used.value, __ATOMIC_RELAXED) > LIMIT_BYTES)
            atomic_fetch_add(&shared->over, 1);
}

static uint64_t rows_sum(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++)
        sum += areas.ledger->slots[i].devices[0].applied.value;
    return sum;
}

/* Ends all: every other worker is killed, the rest stop and say what they hold. Returns failures. */
static int finish(void)
{
    uint64_t held_bytes = 0;
    int failures = 0, status;

    for (unsigned i = 0; i < PROCESSES; i += 2)
        worker_kill(i);
    atomic_store(&shared->stop, true);
    for (unsigned i = 1; i < PROCESSES; i += 2) {
        waitpid(workers[i].pid, &status, 0);
        failures += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        held_bytes += atomic_load(&shared->held_bytes[i]);
    }
    failures += areas.ledger->accounts[0].used.value != held_bytes || rows_sum() != held_bytes;
    printf("survivors hold %llu, account says %llu\n", (unsigned long long)held_bytes,
           (unsigned long long)areas.ledger->accounts[0].used.value);
    for (unsigned i = 1; i < PROCESSES; i += 2)
        ledger_slot_reap(&areas, workers[i].slot, NULL);
    failures += areas.ledger->accounts[0].used.value != 0 || rows_sum() != 0;
    return failures;
}

int main(int argc, char **argv)
{
    const struct ledger_device_spec spec = {.memory_limit_bytes = LIMIT_BYTES,
                                            .memory_capacity_bytes = LIMIT_BYTES};
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)(argc > 1 ? atoi(argv[1]) : 3) * NS_PER_S;
    uint32_t seed = (uint32_t)getpid() | 1;
    int failures;

    if (THREAD_SANITIZER) {
        printf("SKIP: ThreadSanitizer puts a lock of each process in place of the 16-byte compare-and-swap; "
               "between processes that "
               "is no atom. ledger_threads is the test for it.\n");
        return 77;
    }
    alarm(600);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || ledger_areas_new("race", "race", &spec, 1, &areas, NULL) < 0)
        return 1;
    for (unsigned i = 0; i < PROCESSES; i++)
        worker_start(i, random_next(&seed));
    while (clock_monotonic_ns() < end_ns) {
        unsigned victim = random_next(&seed) % PROCESSES;

        observe();
        ledger_limit_set(&areas, 0, random_next(&seed) & 1 ? LIMIT_BYTES : LOW_BYTES);
        observe();
        usleep(random_next(&seed) % 1500);
        worker_kill(victim);
        observe();
        worker_start(victim, random_next(&seed));
    }
    failures = finish();
    printf("%lu operations, %lu kills, seen over the limit %lu times, %d failures\n",
           atomic_load(&shared->operations), kills, atomic_load(&shared->over), failures);
    return failures || atomic_load(&shared->over) || !kills;
}
