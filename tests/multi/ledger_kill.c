/* Worlds, deaths and checks; see ledger_kill.h. */
#include "ledger_kill.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/shared.h"

void ledger_step_hook(const char *what);

const uint8_t key_object[16] = "the-object-----", key_alias[16] = "its-other-name-";
int failures, deaths;

/* Of the process that acts; in all others nothing is counted. */
static struct {
    bool is_acting;
    int step, dies_at;
    const struct interleaving *plan; /* of the first of two */
    struct world *world;
    struct outcome *outcome; /* shared with the parent */
} me;

static int result_of(pid_t pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        exit(1);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

void ledger_step_hook(const char *what)
{
    if (!me.is_acting)
        return;
    if (me.plan && me.step == me.plan->switch_at) {
        me.outcome->is_switched = true;
        me.outcome->second = act_die_at(me.world, me.plan->second, 1, me.plan->second_dies_at);
    }
    if (me.step++ == me.dies_at)
        kill(getpid(), SIGKILL);
}

int act_die_at(struct world *w, act_fn act, int victim, int point)
{
    int result;
    pid_t pid = fork();

    if (pid == 0) {
        me.is_acting = true;
        me.plan = NULL;
        me.step = 0;
        me.dies_at = point;
        _exit(act(w, victim));
    }
    result = result_of(pid);
    deaths += result == KILLED;
    return result;
}

struct outcome acts_interleave(struct world *w, const struct interleaving *plan)
{
    static struct outcome *outcome;
    pid_t pid;

    if (!outcome)
        outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcome == MAP_FAILED)
        exit(1);
    *outcome = (struct outcome){.first = NEVER, .second = NEVER};
    pid = fork();
    if (pid == 0) {
        me.is_acting = true;
        me.plan = plan;
        me.world = w;
        me.outcome = outcome;
        me.step = 0;
        me.dies_at = plan->first_dies_at;
        _exit(plan->first(w, 0));
    }
    outcome->first = result_of(pid);
    deaths += (outcome->first == KILLED) + (outcome->is_switched && outcome->second == KILLED);
    return *outcome;
}

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

/* The survivor makes the object; who shall not hold it leaves. */
static void object_new(struct world *w, unsigned holders)
{
    unsigned device;
    uint64_t bytes;
    int r;

    r = ledger_reserve(w->survivor, 0, OBJECT_BYTES);
    r += ledger_shared_publish(w->survivor, 0, key_object, OBJECT_BYTES, &w->object);
    r += ledger_shared_alias(w->survivor, w->object, key_alias);
    for (int i = 0; i < 2; i++)
        if (holders & (VICTIM_0 << i))
            r += ledger_shared_join(w->victim[i], key_object, &w->object, &device, &bytes);
    if (!(holders & SURVIVOR))
        ledger_shared_leave(w->survivor, w->object);
    CHECK("object made", (unsigned long long)r, 0);
}

void world_new(struct world *w, unsigned holders)
{
    const struct ledger_device_spec spec = {.memory_limit_bytes = LIMIT_BYTES,
                                            .memory_capacity_bytes = 1 << 30};

    memset(w, 0, sizeof(*w));
    if (ledger_areas_new("kill", "kill", &spec, 1, &w->areas, NULL) < 0)
        exit(1);
    for (int i = 0; i < 2; i++) {
        w->victim[i] = client_new(&w->areas, &w->victim_slot[i]);
        ledger_reserve(w->victim[i], 0, 100);
    }
    w->survivor = client_new(&w->areas, &w->survivor_slot);
    ledger_reserve(w->survivor, 0, 50);
    if (holders)
        object_new(w, holders);
}

void world_free(struct world *w)
{
    for (int i = 0; i < 2; i++)
        ledger_client_free(w->victim[i]);
    ledger_client_free(w->survivor);
    ledger_areas_free(&w->areas);
}

void world_reap(struct world *w, int victim)
{
    CHECK("reaped", (unsigned long long)ledger_slot_reap(&w->areas, w->victim_slot[victim], NULL), 0);
}

static uint64_t rows_sum(const struct ledger_areas *areas)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++)
        sum += areas->ledger->slots[i].devices[0].row.applied.value;
    return sum;
}

/* Objects have no holder but the survivor; those without one are free and empty, and so are names of them.
 * Returns the bytes of the rest. */
static uint64_t objects_check(const struct world *w)
{
    uint64_t held_bytes = 0;

    for (uint32_t i = 0; i < LEDGER_SHARED_MAX; i++) {
        const struct ledger_shared *entry = &w->areas.ledger->shared[i];
        unsigned kind = shared_kind(entry->state);
        bool is_held = shared_has_holder(entry, w->survivor_slot);

        CHECK("holders", shared_holders_count(entry), is_held);
        CHECK("bytes in a row", entry->row.applied.value, is_held ? OBJECT_BYTES : 0);
        if (kind == LEDGER_SHARED_ALIAS)
            CHECK("name of a held object",
                  shared_has_holder(&w->areas.ledger->shared[entry->alias_of], w->survivor_slot), true);
        else
            CHECK("kind", kind, is_held ? LEDGER_SHARED_READY : LEDGER_SHARED_FREE);
        held_bytes += entry->row.applied.value;
    }
    return held_bytes;
}

void world_check(struct world *w)
{
    uint64_t own_bytes = ledger_own_bytes(w->survivor, 0), held_bytes = objects_check(w),
             bytes = own_bytes + held_bytes;
    struct ledger_client *next;
    uint32_t slot;

    CHECK("total after reaping", ledger_used_bytes(w->survivor, 0), bytes);
    CHECK("rows after reaping", rows_sum(&w->areas), own_bytes);
    CHECK("reserve all that is left",
          (unsigned long long)-ledger_reserve(w->survivor, 0, LIMIT_BYTES - bytes), 0);
    CHECK("one byte more", (unsigned long long)-ledger_reserve(w->survivor, 0, 1), ENOMEM);
    CHECK("nothing moves", ledger_is_surely_over(w->survivor, 0, 1), true);
    ledger_release(w->survivor, 0, LIMIT_BYTES);
    CHECK("survivor gave all back", ledger_used_bytes(w->survivor, 0), held_bytes);
    ledger_shared_leave(w->survivor, w->object);
    CHECK("its object too", ledger_used_bytes(w->survivor, 0), 0);
    CHECK("no object", objects_check(w), 0);
    next = client_new(&w->areas, &slot);
    CHECK("the first dead slot again", slot, w->victim_slot[0]);
    ledger_reserve(next, 0, OBJECT_BYTES + 1);
    CHECK("an object again",
          (unsigned long long)-ledger_shared_publish(next, 0, key_object, OBJECT_BYTES, &w->object), 0);
    CHECK("next holder", ledger_own_bytes(next, 0), 1);
    CHECK("total with next holder", ledger_used_bytes(next, 0), OBJECT_BYTES + 1);
    ledger_slot_reap(&w->areas, slot, NULL);
    CHECK("total at the end", ledger_used_bytes(w->survivor, 0), 0);
    CHECK("rows at the end", rows_sum(&w->areas) + objects_check(w), 0);
    ledger_client_free(next);
}
