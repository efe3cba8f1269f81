/* Kills a process before every store and compare-and-swap of the ledger's account, one at a time and two at
 * a time, and vgpud while it reaps one, and checks that after reaping the account is exact to the byte. */
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ledger_kill.h"

enum { STALL_MAX_MS = 50 };

static int act_reserve(struct world *w, int victim)
{
    ledger_reserve(w->victim[victim], 0, 7);
    return DONE;
}

static int act_release(struct world *w, int victim)
{
    ledger_release(w->victim[victim], 0, 40);
    return DONE;
}

static int act_charge(struct world *w, int victim)
{
    ledger_charge(w->victim[victim], 0, LIMIT_BYTES);
    return DONE;
}

static int act_refused(struct world *w, int victim)
{
    ledger_reserve(w->victim[victim], 0, LIMIT_BYTES);
    return DONE;
}

static int act_refused_then_reserve(struct world *w, int victim)
{
    ledger_reserve(w->victim[victim], 0, LIMIT_BYTES);
    ledger_reserve(w->victim[victim], 0, 13);
    return DONE;
}

/* As a hook does it: what moves is said around both. */
static int act_moving(struct world *w, int victim)
{
    struct ledger_client *client = w->victim[victim];

    ledger_moving_add(client, 0, 1000);
    ledger_reserve(client, 0, 1000);
    ledger_moving_sub(client, 0, 1000);
    ledger_moving_add(client, 0, 500);
    ledger_release(client, 0, 500);
    ledger_moving_sub(client, 0, 500);
    return DONE;
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
    {"moving: reserve, release", act_moving},
};
enum { N_ACTS = sizeof(acts) / sizeof(acts[0]) };

static uint64_t longest_ns; /* that an operation of the survivor took */

/* The survivor's operation right after a death. It makes no system call, so it cannot sleep: its own time is
 * all that it can be held up by, and the machine's other work does not show in it. */
static void survivor_acts_now(struct world *w)
{
    struct timespec before, after;
    uint64_t took_ns;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    ledger_reserve(w->survivor, 0, 5);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    took_ns = (uint64_t)(after.tv_sec - before.tv_sec) * NS_PER_S + (uint64_t)after.tv_nsec -
              (uint64_t)before.tv_nsec;
    longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
}

/* One process dies at each of its points; the survivor acts before or after the reaper. Returns how many
 * points there were. */
static int one_dies(act_fn act, bool survivor_acts)
{
    for (int point = 0;; point++) {
        struct world w;
        int result;

        world_new(&w, NOBODY);
        result = act_die_at(&w, act, 0, point);
        if (survivor_acts)
            survivor_acts_now(&w);
        world_reap(&w, 0);
        world_reap(&w, 1);
        world_check(&w);
        world_free(&w);
        if (result != KILLED || point == POINTS_MAX)
            return point;
    }
}

/* Two die, the second perhaps while it finishes the first one's operation; reaped in both orders. */
static void two_die(act_fn first, act_fn second)
{
    for (int a = 0, result_a = KILLED; result_a == KILLED && a < POINTS_MAX; a++) {
        for (int b = 0, result_b = KILLED; result_b == KILLED && b < POINTS_MAX; b++) {
            for (int order = 0; order < 2; order++) {
                struct world w;

                world_new(&w, NOBODY);
                result_a = act_die_at(&w, first, 0, a);
                result_b = act_die_at(&w, second, 1, b);
                survivor_acts_now(&w);
                world_reap(&w, order);
                world_reap(&w, !order);
                world_check(&w);
                world_free(&w);
            }
        }
    }
}

static int act_reap(struct world *w, int victim)
{
    ledger_slot_reap(&w->areas, w->victim_slot[victim], NULL);
    return DONE;
}

/* The process dies at a point, then vgpud dies at a point of reaping it; its successor reaps again. Returns
 * how many points the reaping has at most. */
static int reaper_dies(act_fn act, bool survivor_acts)
{
    int most = 0;

    for (int a = 0, result_a = KILLED; result_a == KILLED && a < POINTS_MAX; a++) {
        for (int b = 0, result_b = KILLED; result_b == KILLED && b < POINTS_MAX; b++) {
            struct world w;

            world_new(&w, NOBODY);
            result_a = act_die_at(&w, act, 0, a);
            result_b = act_die_at(&w, act_reap, 0, b);
            if (survivor_acts)
                survivor_acts_now(&w);
            world_reap(&w, 0);
            world_reap(&w, 1);
            world_check(&w);
            world_free(&w);
            most = b > most ? b : most;
        }
    }
    return most;
}

int main(void)
{
    int points = 0, reap_points = 0;

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

            reap_points = n > reap_points ? n : reap_points;
        }
    printf("reap: up to %d points\n", reap_points);
    printf("%d kill points, alone and in pairs, %d deaths, %d failures\n", points + reap_points, deaths,
           failures);
    printf("longest operation of a survivor after a death: %.3f ms\n", (double)longest_ns / NS_PER_MS);
    return failures || longest_ns > STALL_MAX_MS * NS_PER_MS || !reap_points || points < 2 * N_ACTS;
}
