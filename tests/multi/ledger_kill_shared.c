/* Shared objects under kills: processes that publish, name, join and leave, and vgpud that reaps them, die
 * before every store; and two of them are interleaved at every store of the first, each with a death at every
 * store or none. What a live process holds stays charged; when all are reaped the account is exact to the
 * byte. */
#include <unistd.h>

#include "ledger/shared.h"
#include "ledger_kill.h"

static int interleavings;
static const uint8_t key_new[16] = "a-new-object---";

static int publish(struct world *w, int victim, const uint8_t key[16])
{
    uint32_t shared;

    return ledger_shared_publish(w->victim[victim], 0, key, OBJECT_BYTES, &shared) == 0 ? HOLDS : DONE;
}

static int act_publish(struct world *w, int victim)
{
    return publish(w, victim, key_new);
}

static int act_publish_name_leave(struct world *w, int victim)
{
    uint32_t shared;

    if (ledger_shared_publish(w->victim[victim], 0, key_new, OBJECT_BYTES, &shared) < 0)
        return DONE;
    ledger_shared_alias(w->victim[victim], shared, (const uint8_t *)"another-name---");
    ledger_shared_leave(w->victim[victim], shared);
    return DONE;
}

static int join(struct world *w, int victim, const uint8_t key[16])
{
    unsigned device;
    uint32_t shared;
    uint64_t bytes;

    return ledger_shared_join(w->victim[victim], key, &shared, &device, &bytes) == 0 ? HOLDS : DONE;
}

static int act_join(struct world *w, int victim)
{
    return join(w, victim, key_object);
}

static int act_join_by_name(struct world *w, int victim)
{
    return join(w, victim, key_alias);
}

static int act_leave(struct world *w, int victim)
{
    ledger_shared_leave(w->victim[victim], w->object);
    return DONE;
}

static int act_leave_join(struct world *w, int victim)
{
    ledger_shared_leave(w->victim[victim], w->object);
    return join(w, victim, key_object);
}

static int act_leave_publish_same(struct world *w, int victim)
{
    ledger_shared_leave(w->victim[victim], w->object);
    return publish(w, victim, key_object);
}

static int act_name(struct world *w, int victim)
{
    ledger_shared_alias(w->victim[victim], w->object, (const uint8_t *)"another-name---");
    return DONE;
}

static int act_reserve(struct world *w, int victim)
{
    ledger_reserve(w->victim[victim], 0, 7);
    return DONE;
}

/* What anybody sees meanwhile: the total is never below what all hold, and nobody is refused because of bytes
 * that are counted twice for a moment. */
static int act_look(struct world *w, int victim)
{
    enum { ALL_HOLD = 100 + 100 + 50 };

    return ledger_used_bytes(w->victim[victim], 0) >= ALL_HOLD &&
                   !ledger_is_surely_over(w->victim[victim], 0, LIMIT_BYTES - ALL_HOLD)
               ? DONE
               : WRONG;
}

/* vgpud reaps the victim, which was dead before it did anything: in a pair, vgpud stands in its place. */
static int act_reap(struct world *w, int victim)
{
    ledger_slot_reap(&w->areas, w->victim_slot[victim], NULL);
    return DONE;
}

/* Some object that victim holds has its bytes, whoever has been reaped. */
static void held_check(const struct world *w, int victim)
{
    int held = 0;

    for (uint32_t i = 0; i < LEDGER_SHARED_MAX; i++) {
        const struct ledger_shared *entry = &w->areas.ledger->shared[i];

        if (!shared_has_holder(entry, w->victim_slot[victim]))
            continue;
        CHECK("held object is there", shared_kind(entry->state), LEDGER_SHARED_READY);
        CHECK("held object's bytes", entry->row.applied.value, OBJECT_BYTES);
        held++;
    }
    CHECK("holds one", (unsigned long long)held, 1);
    CHECK("total has the held bytes", ledger_used_bytes(w->survivor, 0) >= OBJECT_BYTES, true);
}

static const struct {
    const char *name;
    unsigned holders;
    act_fn act;
} alone[] = {
    {"publish", NOBODY, act_publish},
    {"publish, name, leave", NOBODY, act_publish_name_leave},
    {"join", SURVIVOR, act_join},
    {"join by another name", VICTIM_1, act_join_by_name},
    {"name", VICTIM_0, act_name},
    {"leave, not the last", VICTIM_0 | SURVIVOR, act_leave},
    {"leave, the last", VICTIM_0, act_leave},
    {"leave, publish the same", VICTIM_0, act_leave_publish_same},
};
enum { N_ALONE = sizeof(alone) / sizeof(alone[0]) };

/* A victim dies at each point, then vgpud at each point of reaping it; its successor ends it. Returns the
 * points. */
static int one_and_reaper_die(unsigned holders, act_fn act, int *ret_reap_points)
{
    int a = 0, result_a = KILLED;

    for (;; a++) {
        for (int b = 0, result_b = KILLED; result_b == KILLED && b < POINTS_MAX; b++) {
            struct world w;

            world_new(&w, holders);
            result_a = act_die_at(&w, act, 0, a);
            result_b = act_die_at(&w, act_reap, 0, b);
            ledger_reserve(w.survivor, 0, 5);
            world_reap(&w, 0);
            world_reap(&w, 1);
            world_check(&w);
            world_free(&w);
            if (b > *ret_reap_points)
                *ret_reap_points = b;
        }
        if (result_a != KILLED || a == POINTS_MAX)
            return a;
    }
}

static const struct {
    const char *name;
    unsigned holders;
    act_fn first, second;
} pairs[] = {
    {"two leave, both the last", VICTIM_0 | VICTIM_1, act_leave, act_leave},
    {"the last leaves, one joins", VICTIM_0, act_leave, act_join},
    {"one joins, the last leaves", VICTIM_1, act_join, act_leave},
    {"the last leaves, one joins by name", VICTIM_0, act_leave, act_join_by_name},
    {"one joins by name, the last leaves", VICTIM_1, act_join_by_name, act_leave},
    {"one leaves and joins, one leaves", VICTIM_0 | VICTIM_1, act_leave_join, act_leave},
    {"two publish one name", NOBODY, act_publish, act_publish},
    {"one publishes, one reserves", NOBODY, act_publish, act_reserve},
    {"one publishes, one looks", NOBODY, act_publish, act_look},
    {"one reserves, one publishes and leaves", NOBODY, act_reserve, act_publish_name_leave},
    {"one joins, the last leaves and publishes anew", VICTIM_1, act_join, act_leave_publish_same},
    {"one leaves, vgpud reaps the other holder", VICTIM_0 | VICTIM_1, act_leave, act_reap},
    {"vgpud reaps the last holder, one joins", VICTIM_0, act_reap, act_join},
    {"one joins, vgpud reaps the last holder", VICTIM_1, act_join, act_reap},
};
enum { N_PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

/* Reaps both, first one that is not known to hold anything; what a live one holds must outlast that. */
static void pair_check(struct world *w, const struct outcome *outcome)
{
    int last = outcome->is_switched && outcome->second == HOLDS ? 1 : 0;

    CHECK("the second saw what it must not", outcome->second == WRONG, false);
    world_reap(w, !last);
    if ((last ? outcome->second : outcome->first) == HOLDS)
        held_check(w, last);
    world_reap(w, last);
    world_check(w);
}

/* The first goes on from the switch to its end, and to a death at each of the stores that follow. */
static struct outcome first_goes_on(unsigned holders, struct interleaving plan)
{
    struct outcome outcome, alive = {0};

    for (int c = plan.switch_at - 1; c < POINTS_MAX; c++) {
        struct world w;

        plan.first_dies_at = c < plan.switch_at ? NEVER : c;
        world_new(&w, holders);
        outcome = acts_interleave(&w, &plan);
        pair_check(&w, &outcome);
        world_free(&w);
        interleavings++;
        if (c < plan.switch_at)
            alive = outcome;
        if (outcome.first != KILLED && c >= plan.switch_at)
            break;
        if (!outcome.is_switched)
            break;
    }
    return alive;
}

/* Returns at how many stores of the first the second came in. */
static int pair_interleave(unsigned holders, act_fn first, act_fn second)
{
    for (int a = 0;; a++) {
        for (int b = 0;; b++) {
            struct interleaving plan = {
                .first = first, .second = second, .switch_at = a, .second_dies_at = b};
            struct outcome outcome = first_goes_on(holders, plan);

            if (!outcome.is_switched || a == POINTS_MAX)
                return a;
            if (outcome.second != KILLED || b == POINTS_MAX)
                break;
        }
    }
}

int main(void)
{
    int points = 0, reap_points = 0;

    alarm(300);
    for (int i = 0; i < N_ALONE; i++) {
        int n = one_and_reaper_die(alone[i].holders, alone[i].act, &reap_points);

        printf("%s: %d points\n", alone[i].name, n);
        failures += n == 0 || n == POINTS_MAX;
        points += n;
    }
    printf("reap: up to %d points\n", reap_points);
    for (int i = 0; i < N_PAIRS; i++) {
        int n = pair_interleave(pairs[i].holders, pairs[i].first, pairs[i].second);

        printf("%s: %d switches\n", pairs[i].name, n);
        failures += n == 0 || n == POINTS_MAX;
        points += n;
    }
    printf("%d kill points, %d interleavings of two, %d deaths, %d failures\n", points + reap_points,
           interleavings, deaths, failures);
    return failures || !reap_points;
}
