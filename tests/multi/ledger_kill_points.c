/* Kills a process before every store and compare-and-swap of the ledger's protocol, one at a time and two at
 * a time, and checks that after reaping the account is exact to the byte. The points are not listed here:
 * this program is linked with a ledger whose every shared store calls ledger_step_hook, and counts them as it
 * goes. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/ledger.h"

void ledger_step_hook(const char *what);

enum { LIMIT_BYTES = 10000, POINTS_MAX = 64, NEVER = -1 };

/* Counts down in the process that shall die; NEVER in all others. */
static int steps_left = NEVER;

void ledger_step_hook(const char *what)
{
    if (steps_left == NEVER)
        return;
    if (steps_left-- == 0)
        kill(getpid(), SIGKILL);
}

static int failures, points, runs;

#define CHECK(what, got, want)                                                                               \
    do {                                                                                                     \
        unsigned long long got_ = (got), want_ = (want);                                                     \
        if (got_ != want_) {                                                                                 \
            fprintf(stderr, "%s:%d: %s: %llu, not %llu\n", __func__, __LINE__, what, got_, want_);           \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

static struct ledger_client *client_new(struct ledger_areas *areas, uint32_t *ret_slot)
{
    struct ledger_client *client;
    uint32_t generation;

    if (ledger_slot_grant(areas, 1, 1, 0, "kill", ret_slot, &generation) < 0 ||
        ledger_client_new(areas->limits_fd, areas->ledger_fd, sizeof(struct ledger_limits),
                          sizeof(struct ledger), *ret_slot, &client) < 0) {
        fprintf(stderr, "no client\n");
        exit(1);
    }
    return client;
}

/* What a process does before it dies. It may hold 100 bytes when it begins. */
typedef void (*act_fn)(struct ledger_client *client);

static void act_reserve(struct ledger_client *client)
{
    ledger_reserve(client, 0, 7);
}

static void act_release(struct ledger_client *client)
{
    ledger_release(client, 0, 40);
}

static void act_charge(struct ledger_client *client)
{
    ledger_charge(client, 0, LIMIT_BYTES);
}

static void act_refused(struct ledger_client *client)
{
    ledger_reserve(client, 0, LIMIT_BYTES);
}

static void act_refused_then_reserve(struct ledger_client *client)
{
    ledger_reserve(client, 0, LIMIT_BYTES);
    ledger_reserve(client, 0, 13);
}

static void act_mixed(struct ledger_client *client)
{
    ledger_reserve(client, 0, 1000);
    ledger_release(client, 0, 500);
    ledger_reserve(client, 0, 3);
}

static const struct {
    const char *name;
    act_fn act;
} acts[] = {
    {"reserve", act_reserve},
    {"release", act_release},
    {"charge", act_charge},
    {"refused", act_refused},
    {"refused, then reserve", act_refused_then_reserve},
    {"reserve, release, reserve", act_mixed},
};
enum { N_ACTS = sizeof(acts) / sizeof(acts[0]) };

/* Runs act in a child that dies at its point-th step. True when the child got past its last step alive. */
static bool die_at(act_fn act, struct ledger_client *client, int point)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        steps_left = point;
        act(client);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        exit(1);
    }
    runs++;
    return WIFEXITED(status);
}

static uint64_t rows_sum(const struct ledger_areas *areas)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++)
        sum += areas->ledger->slots[i].devices[0].applied.value;
    return sum;
}

struct world {
    struct ledger_areas areas;
    struct ledger_client *victim[2], *survivor;
    uint32_t victim_slot[2], survivor_slot;
};

static void world_new(struct world *w)
{
    const struct ledger_device_spec spec = {.memory_limit_bytes = LIMIT_BYTES,
                                            .memory_capacity_bytes = 1 << 30};

    if (ledger_areas_new("kill", "kill", &spec, 1, &w->areas, NULL) < 0)
        exit(1);
    for (int i = 0; i < 2; i++) {
        w->victim[i] = client_new(&w->areas, &w->victim_slot[i]);
        ledger_reserve(w->victim[i], 0, 100);
    }
    w->survivor = client_new(&w->areas, &w->survivor_slot);
    ledger_reserve(w->survivor, 0, 50);
}

static void world_free(struct world *w)
{
    for (int i = 0; i < 2; i++)
        ledger_client_free(w->victim[i]);
    ledger_client_free(w->survivor);
    ledger_areas_free(&w->areas);
}

/* After the victims are reaped: only the survivor's bytes are there, it goes on exactly, and the slots serve
 * again exactly. */
static void world_check(struct world *w, uint64_t survivor_bytes)
{
    struct ledger_client *next;
    uint32_t slot;

    CHECK("total after reaping", ledger_used_bytes(w->survivor, 0), survivor_bytes);
    CHECK("rows after reaping", rows_sum(&w->areas), survivor_bytes);
    CHECK("reserve all that is left",
          (unsigned long long)-ledger_reserve(w->survivor, 0, LIMIT_BYTES - survivor_bytes), 0);
    CHECK("one byte more", (unsigned long long)-ledger_reserve(w->survivor, 0, 1), ENOMEM);
    ledger_release(w->survivor, 0, LIMIT_BYTES);
    CHECK("survivor gave all back", ledger_used_bytes(w->survivor, 0), 0);
    next = client_new(&w->areas, &slot);
    CHECK("the first dead slot again", slot, w->victim_slot[0]);
    ledger_reserve(next, 0, 21);
    ledger_release(next, 0, 20);
    CHECK("next holder", ledger_own_bytes(next, 0), 1);
    CHECK("total with next holder", ledger_used_bytes(next, 0), 1);
    ledger_slot_reap(&w->areas, slot, NULL);
    CHECK("total at the end", ledger_used_bytes(w->survivor, 0), 0);
    CHECK("rows at the end", rows_sum(&w->areas), 0);
    ledger_client_free(next);
}

/* One process dies at each of its points; the survivor acts before or after the reaper. Returns how many
 * points there were. */
static int one_dies(act_fn act, bool survivor_acts)
{
    for (int point = 0;; point++) {
        struct world w;
        bool done;

        world_new(&w);
        done = die_at(act, w.victim[0], point);
        if (survivor_acts)
            ledger_reserve(w.survivor, 0, 5);
        ledger_slot_reap(&w.areas, w.victim_slot[0], NULL);
        ledger_slot_reap(&w.areas, w.victim_slot[1], NULL);
        world_check(&w, ledger_own_bytes(w.survivor, 0));
        world_free(&w);
        if (done || point == POINTS_MAX)
            return point;
    }
}

/* Two die, the second perhaps while it finishes the first one's operation; reaped in both orders. */
static void two_die(act_fn first, act_fn second)
{
    for (int a = 0, done_a = 0; !done_a && a < POINTS_MAX; a++) {
        for (int b = 0, done_b = 0; !done_b && b < POINTS_MAX; b++) {
            for (int order = 0; order < 2; order++) {
                struct world w;

                world_new(&w);
                done_a = die_at(first, w.victim[0], a);
                done_b = die_at(second, w.victim[1], b);
                ledger_reserve(w.survivor, 0, 5);
                ledger_slot_reap(&w.areas, w.victim_slot[order], NULL);
                ledger_slot_reap(&w.areas, w.victim_slot[!order], NULL);
                world_check(&w, ledger_own_bytes(w.survivor, 0));
                world_free(&w);
            }
        }
    }
}

static struct ledger_areas *reaper_areas;
static uint32_t reaper_slot;

static void act_reap(struct ledger_client *client)
{
    ledger_slot_reap(reaper_areas, reaper_slot, NULL);
}

/* The process dies at a point, then vgpud dies at a point of reaping it; its successor reaps again. */
static int reaper_dies(act_fn act, bool survivor_acts)
{
    int most = 0;

    for (int a = 0, done_a = 0; !done_a && a < POINTS_MAX; a++) {
        for (int b = 0, done_b = 0; !done_b && b < POINTS_MAX; b++) {
            struct world w;

            world_new(&w);
            done_a = die_at(act, w.victim[0], a);
            reaper_areas = &w.areas;
            reaper_slot = w.victim_slot[0];
            done_b = die_at(act_reap, NULL, b);
            if (survivor_acts)
                ledger_reserve(w.survivor, 0, 5);
            ledger_slot_reap(&w.areas, w.victim_slot[0], NULL);
            ledger_slot_reap(&w.areas, w.victim_slot[1], NULL);
            world_check(&w, ledger_own_bytes(w.survivor, 0));
            world_free(&w);
            most = b > most ? b : most;
        }
    }
    return most;
}

int main(void)
{
    alarm(300);
    for (int i = 0; i < N_ACTS; i++) {
        int n = one_dies(acts[i].act, false);

        one_dies(acts[i].act, true);
        printf("%s: %d points\n", acts[i].name, n);
        points += n;
    }
    for (int i = 0; i < N_ACTS; i++)
        for (int j = 0; j < N_ACTS; j++)
            two_die(acts[i].act, acts[j].act);
    for (int i = 0; i < N_ACTS; i++)
        for (int survivor_acts = 0; survivor_acts < 2; survivor_acts++) {
            int n = reaper_dies(acts[i].act, survivor_acts);

            if (!i && !survivor_acts) {
                printf("reap: %d points\n", n);
                points += n;
            }
        }
    printf("%d kill points, alone and in pairs, %d deaths, %d failures\n", points, runs, failures);
    return failures || points < 2 * N_ACTS;
}
