/* Processes hammer one account, and publish, join and leave shared objects under a few names, while they are
 * killed at random and replaced, limits move, and this program plays vgpud: apart from what is moving, the
 * total is never seen above the highest limit, never below what one process holds, and in the end it is
 * exactly what the survivors say they hold and the objects that they share. ledger_race [SECONDS] */
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

enum { PROCESSES = 8, LIMIT_BYTES = 100000, LOW_BYTES = 40000, PIECES = 32, NAMES = 6 };

#define KIB_MASK ((UINT64_C(1) << 40) - 1)

struct shared {
    atomic_bool stop;
    atomic_ulong over, below, operations, published, joined;
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

/* Sees a total above the limit that stays when nothing moves: bytes that are handed over count twice for a
 * moment. */
static void over_look(void)
{
    const struct ledger_account *account = &areas.ledger->accounts[0];
    uint64_t tag = __atomic_load_n(&account->used.tag, __ATOMIC_SEQ_CST), moving = 0;
    uint64_t total = __atomic_load_n(&account->used.value, __ATOMIC_SEQ_CST);

    if (total <= LIMIT_BYTES)
        return;
    for (int i = 0; i < 2 * PROCESSES; i++)
        moving |= __atomic_load_n(&areas.ledger->slots[i].devices[0].moving, __ATOMIC_SEQ_CST) & KIB_MASK;
    if (!moving && __atomic_load_n(&account->used.tag, __ATOMIC_SEQ_CST) == tag)
        atomic_fetch_add(&shared->over, 1);
}

/* What one process knows of what it holds. */
struct holdings {
    struct ledger_client *client;
    uint64_t piece_bytes[PIECES];
    uint64_t object_bytes[NAMES];
    uint32_t object[NAMES];
};

static void key_make(unsigned name, uint8_t ret_key[16])
{
    memset(ret_key, 0, 16);
    ret_key[0] = (uint8_t)(1 + name);
}

/* Takes piece i, or gives it back. */
static void piece_turn(struct holdings *h, unsigned i, uint32_t *seed)
{
    uint64_t bytes = 1 + random_next(seed) % (LIMIT_BYTES / 20);

    if (h->piece_bytes[i]) {
        ledger_release(h->client, 0, h->piece_bytes[i]);
        h->piece_bytes[i] = 0;
    } else if (ledger_reserve(h->client, 0, bytes) == 0) {
        h->piece_bytes[i] = bytes;
    }
}

/* Lets the object of this name go, or joins it, or makes it out of piece i. */
static void name_turn(struct holdings *h, unsigned name, unsigned i)
{
    uint8_t key[16];
    unsigned device;

    if (h->object_bytes[name]) {
        ledger_shared_leave(h->client, h->object[name]);
        h->object_bytes[name] = 0;
        return;
    }
    key_make(name, key);
    if (ledger_shared_join(h->client, key, &h->object[name], &device, &h->object_bytes[name]) == 0) {
        atomic_fetch_add_explicit(&shared->joined, 1, memory_order_relaxed);
    } else if (h->piece_bytes[i] &&
               ledger_shared_publish(h->client, 0, key, h->piece_bytes[i], &h->object[name]) == 0) {
        h->object_bytes[name] = h->piece_bytes[i];
        h->piece_bytes[i] = 0;
        ledger_shared_alias(h->client, h->object[name], (const uint8_t *)"one-more-name--");
        atomic_fetch_add_explicit(&shared->published, 1, memory_order_relaxed);
    }
}

/* What this process holds is there, whatever others do. */
static void holdings_look(const struct holdings *h)
{
    uint64_t held_bytes = ledger_own_bytes(h->client, 0);
    bool is_below = false;

    for (unsigned i = 0; i < NAMES; i++) {
        uint64_t row_bytes =
            __atomic_load_n(&areas.ledger->shared[h->object[i]].row.applied.value, __ATOMIC_ACQUIRE);

        is_below |= h->object_bytes[i] && row_bytes != h->object_bytes[i];
        held_bytes += h->object_bytes[i];
    }
    if (is_below || ledger_used_bytes(h->client, 0) < held_bytes)
        atomic_fetch_add(&shared->below, 1);
}

/* A tenant's process: takes, gives and shares pieces until told to stop, then says what its row holds. */
static void worker_run(unsigned index, uint32_t slot, uint32_t seed)
{
    static struct holdings h;
    uint64_t held_bytes = 0;

    if (ledger_client_new(areas.limits_fd, areas.ledger_fd, sizeof(struct ledger_limits),
                          sizeof(struct ledger), slot, &h.client) < 0)
        _exit(2);
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        unsigned i = random_next(&seed) % PIECES;

        if (random_next(&seed) % 4 == 0)
            name_turn(&h, random_next(&seed) % NAMES, i);
        else
            piece_turn(&h, i, &seed);
        holdings_look(&h);
        over_look();
        atomic_fetch_add_explicit(&shared->operations, 1, memory_order_relaxed);
    }
    for (unsigned i = 0; i < PIECES; i++)
        held_bytes += h.piece_bytes[i];
    atomic_store(&shared->held_bytes[index], held_bytes);
    _exit(ledger_own_bytes(h.client, 0) == held_bytes ? 0 : 3);
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
        over_look();
}

static uint64_t rows_sum(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++)
        sum += areas.ledger->slots[i].devices[0].row.applied.value;
    return sum;
}

static uint64_t objects_sum(void)
{
    static struct ledger_shared_usage rows[LEDGER_SHARED_MAX];
    size_t n = ledger_shared_read(areas.ledger, rows, LEDGER_SHARED_MAX);
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += rows[i].n_holders ? rows[i].used_bytes : LIMIT_BYTES;
    return sum;
}

/* Nothing of any object is left, but the sequences. */
static bool objects_are_gone(void)
{
    bool gone = true;

    for (int i = 0; i < LEDGER_SHARED_MAX; i++) {
        const struct ledger_shared *entry = &areas.ledger->shared[i];

        gone &= (entry->state & 0xff) == LEDGER_SHARED_FREE && !entry->row.applied.value;
        for (int word = 0; word < LEDGER_SLOTS_MAX / 64; word++)
            gone &= !entry->holders[word];
    }
    return gone;
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
    failures +=
        areas.ledger->accounts[0].used.value != held_bytes + objects_sum() || rows_sum() != held_bytes;
    printf("survivors hold %llu and share %llu, account says %llu\n", (unsigned long long)held_bytes,
           (unsigned long long)objects_sum(), (unsigned long long)areas.ledger->accounts[0].used.value);
    for (unsigned i = 1; i < PROCESSES; i += 2)
        ledger_slot_reap(&areas, workers[i].slot, NULL);
    failures += areas.ledger->accounts[0].used.value != 0 || rows_sum() != 0 || !objects_are_gone();
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
    printf("%lu operations, %lu published, %lu joined, %lu kills, seen over the limit %lu times, below what "
           "is held %lu times, "
           "%d failures\n",
           atomic_load(&shared->operations), atomic_load(&shared->published), atomic_load(&shared->joined),
           kills, atomic_load(&shared->over), atomic_load(&shared->below), failures);
    return failures || atomic_load(&shared->over) || atomic_load(&shared->below) || !kills ||
           !atomic_load(&shared->published) || !atomic_load(&shared->joined);
}
