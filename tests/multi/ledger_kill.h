/* What the kill tests of the ledger share: a small world of one instance, processes that die before their
 * n-th store into shared memory, and the checks of what is left. The points are found mechanically: the
 * programs are linked with a ledger whose every shared store calls ledger_step_hook. For ledger_kill_points.c
 * and ledger_kill_shared.c alone. */
#ifndef LEDGER_KILL_H
#define LEDGER_KILL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ledger/ledger.h"

enum { LIMIT_BYTES = 10000, OBJECT_BYTES = 30, POINTS_MAX = 64, NEVER = -1 };

/* Who holds the object that a world begins with; NOBODY: there is none. */
enum { NOBODY = 0, VICTIM_0 = 1, VICTIM_1 = 2, SURVIVOR = 4 };

/* Three processes of an instance: victims, which hold 100 bytes each, and one that nobody kills, which
 * holds 50. */
struct world {
    struct ledger_areas areas;
    struct ledger_client *victim[2], *survivor;
    uint32_t victim_slot[2], survivor_slot;
    uint32_t object; /* shared object, of OBJECT_BYTES, named key_object and key_alias */
};

extern const uint8_t key_object[16], key_alias[16];

/* What a victim does. HOLDS: it holds an object now. WRONG: it saw what must not be. */
enum { DONE, HOLDS, WRONG };
typedef int (*act_fn)(struct world *w, int victim);

extern int failures, deaths;

#define CHECK(what, got, want)                                                                               \
    do {                                                                                                     \
        unsigned long long got_ = (got), want_ = (want);                                                     \
        if (got_ != want_) {                                                                                 \
            fprintf(stderr, "%s:%d: %s: %llu, not %llu\n", __func__, __LINE__, what, got_, want_);           \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

void world_new(struct world *w, unsigned holders);
void world_free(struct world *w);
/* Nobody but the survivor is left: the account is exact to the byte, it goes on exactly, and the slots serve
 * again exactly. */
void world_check(struct world *w);
void world_reap(struct world *w, int victim);

/* How an act went that may have been ended by a kill: its result, or KILLED. */
enum { KILLED = NEVER };

/* Does act as a victim in a process that dies before its point-th store. */
int act_die_at(struct world *w, act_fn act, int victim, int point);

struct interleaving {
    act_fn first, second; /* by victim 0, by victim 1 */
    int switch_at;        /* before this store of the first, the second does its act, */
    int second_dies_at;   /* until it dies, */
    int first_dies_at;    /* then the first goes on, until it dies */
};
struct outcome {
    int first,
        second; /* results or KILLED; the second's is NEVER too when the first ended before the switch */
    bool is_switched;
};
struct outcome acts_interleave(struct world *w, const struct interleaving *plan);

#endif
