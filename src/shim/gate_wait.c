/* Where threads wait; see gate_wait.h. What vgpud publishes is copied once a look; the last good copy goes on
 * when vgpud is away or was killed while it wrote. A waiting thread sleeps on the gate's sequence word, so
 * that a raised share wakes it at once. */
#include "shim/gate_wait.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "meter/allowance.h"
#include "meter/draw.h"
#include "shim/gate_signal.h"
#include "shim/gate_thread.h"
#include "shim/rejoin.h"
#include "shim/sample.h"

#define POLITE_NS        (UINT64_C(100) * NS_PER_MS) /* the longest wait for another reason than debt */
#define POLITE_WINDOW_NS (UINT64_C(350) * NS_PER_MS) /* but for a window, which vgpud ends earlier */
#define STALE_NS         (UINT64_C(1) * NS_PER_S)    /* vgpud is away */
#define NAP_NS           (UINT64_C(50) * NS_PER_US)
#define NAP_MOST_NS      (UINT64_C(400) * NS_PER_US)
#define NOTE_NS          (UINT64_C(1) * NS_PER_MS) /* shorter waits are not worth a note */
/* A window for work of some length: so many of it, and a little. */
#define WINDOW_WORKS    3
#define WINDOW_LEAST_NS (UINT64_C(4) * NS_PER_MS)
#define WINDOW_MOST_NS  (UINT64_C(200) * NS_PER_MS)
/* Between a process's windows, and how often that is doubled. */
#define WISH_PAUSE_NS   (UINT64_C(250) * NS_PER_MS)
#define WISH_SHIFT_MOST 5
/* In its window a process may measure though it is in debt, but no more than it takes. */
#define WINDOW_FREE   2
#define WINDOW_NAP_NS (UINT64_C(1) * NS_PER_MS)
/* How long the longest work counts as recent. */
#define LENGTH_FOR_NS (UINT64_C(5) * NS_PER_S)

static pthread_mutex_t gates_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ledger_gate gates[LEDGER_DEVICES_MAX]; /* as read last */

/* ---- looking ---- */

struct look {
    struct ledger_gate gate;
    uint64_t now_ns;
    bool is_fresh; /* vgpud lives: what it said of others holds */
};

static void look(struct ledger_client *client, int device, struct look *ret_look)
{
    uint64_t beat_ns = ledger_heartbeat_ns(client);
    bool was_read = ledger_gate_read(client, (unsigned)device, &ret_look->gate);

    ret_look->now_ns = clock_monotonic_ns();
    ret_look->is_fresh = was_read && (beat_ns > ret_look->now_ns || ret_look->now_ns - beat_ns < STALE_NS);
    if (!ret_look->is_fresh)
        rejoin_if_stale(client);
    pthread_mutex_lock(&gates_lock);
    if (was_read)
        gates[device] = ret_look->gate;
    else
        ret_look->gate = gates[device];
    pthread_mutex_unlock(&gates_lock);
}

static bool window_is_mine(const struct look *look, struct ledger_client *client)
{
    const struct ledger_slot *slot = ledger_own_slot(client);

    return slot && look->gate.window_slot == ledger_own_slot_index(client) &&
           __atomic_load_n(&slot->generation, __ATOMIC_RELAXED) == look->gate.window_generation;
}

static bool window_is_open(const struct look *look)
{
    return look->is_fresh && look->now_ns >= look->gate.window_from_ns &&
           look->now_ns < look->gate.window_until_ns;
}

enum gate_company gate_company(struct ledger_client *client, int device, uint64_t ran_from_ns,
                               uint64_t *ret_window)
{
    struct look seen;

    look(client, device, &seen);
    if (!seen.is_fresh)
        return GATE_DISTURBED;
    if (window_is_open(&seen) && window_is_mine(&seen, client) &&
        (!ran_from_ns || ran_from_ns >= seen.gate.window_clean_ns)) {
        if (ret_window)
            *ret_window = seen.gate.window_from_ns;
        return GATE_IN_WINDOW;
    }
    return seen.gate.active_clients <= 1 ? GATE_ALONE : GATE_DISTURBED;
}

/* What became of a process's wishes for windows. One that does not lead to a measurement is repeated less and
 * less often, since what is begun in a window is begun in debt too. gates_lock. */
static struct {
    uint64_t asked_ns; /* since when it wants one; 0: it does not */
    uint64_t next_ns;  /* not before */
    unsigned n_vain;
} wishes[LEDGER_DEVICES_MAX];

static uint64_t window_wish_ns(int device, uint64_t work_ns, uint32_t own_slot, uint64_t now_ns)
{
    const struct ledger_gate *gate = &gates[device];
    uint64_t wanted_ns = work_ns < WINDOW_MOST_NS ? WINDOW_WORKS * work_ns + WINDOW_LEAST_NS : WINDOW_MOST_NS;

    if (!work_ns) {
        wishes[device].asked_ns = 0;
        wishes[device].n_vain = 0;
        wishes[device].next_ns = now_ns + WISH_PAUSE_NS;
    } else if (wishes[device].asked_ns && gate->window_slot == own_slot &&
               gate->window_from_ns > wishes[device].asked_ns && now_ns >= gate->window_until_ns) {
        wishes[device].asked_ns = 0;
        wishes[device].next_ns = now_ns + (WISH_PAUSE_NS << wishes[device].n_vain);
        wishes[device].n_vain += wishes[device].n_vain < WISH_SHIFT_MOST;
    } else if (!wishes[device].asked_ns && now_ns >= wishes[device].next_ns &&
               (gate->flags & LEDGER_GATE_CAPPED)) {
        wishes[device].asked_ns = now_ns;
    }
    return !wishes[device].asked_ns ? 0 : wanted_ns < WINDOW_MOST_NS ? wanted_ns : WINDOW_MOST_NS;
}

void gate_want_window(struct ledger_client *client, int device, uint64_t work_ns)
{
    uint32_t *wants_us = &ledger_own_slot(client)->devices[device].wants_window_us, wanted_us;
    uint64_t now_ns = clock_monotonic_ns();

    pthread_mutex_lock(&gates_lock);
    wanted_us =
        (uint32_t)(window_wish_ns(device, work_ns, ledger_own_slot_index(client), now_ns) / NS_PER_US);
    pthread_mutex_unlock(&gates_lock);
    if (__atomic_load_n(wants_us, __ATOMIC_RELAXED) != wanted_us)
        __atomic_store_n(wants_us, wanted_us, __ATOMIC_RELAXED);
}

void gate_note_length(struct ledger_client *client, int device, uint64_t work_ns)
{
    static struct {
        uint64_t since_ns, longest_ns; /* races between threads lose one */
    } recent[LEDGER_DEVICES_MAX];
    uint64_t now_ns = clock_monotonic_ns();
    uint32_t us;

    if (now_ns - __atomic_load_n(&recent[device].since_ns, __ATOMIC_RELAXED) > LENGTH_FOR_NS) {
        __atomic_store_n(&recent[device].since_ns, now_ns, __ATOMIC_RELAXED);
        __atomic_store_n(&recent[device].longest_ns, 0, __ATOMIC_RELAXED);
    }
    if (work_ns <= __atomic_load_n(&recent[device].longest_ns, __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&recent[device].longest_ns, work_ns, __ATOMIC_RELAXED);
    us = work_ns / NS_PER_US < UINT32_MAX ? (uint32_t)(work_ns / NS_PER_US) : UINT32_MAX;
    __atomic_store_n(&ledger_own_slot(client)->devices[device].longest_us, us, __ATOMIC_RELAXED);
}

uint64_t gate_chunk_most_ns(int device, uint64_t most_ns)
{
    uint64_t in_flight_ns;

    pthread_mutex_lock(&gates_lock);
    in_flight_ns = gates[device].in_flight_ns;
    pthread_mutex_unlock(&gates_lock);
    return in_flight_ns && in_flight_ns / 2 < most_ns ? in_flight_ns / 2 : most_ns;
}

/* ---- the account ---- */

static void bill(struct ledger_client *client, int device, enum ledger_engine engine, int64_t ns)
{
    struct ledger_account *account = ledger_time_account(client, (unsigned)device);
    struct ledger_slot *slot = ledger_own_slot(client);

    draw_adjust(&account->billed_ns_total[engine], ns);
    draw_adjust(&slot->devices[device].billed_ns, ns);
}

void gate_correct(struct ledger_client *client, int device, enum ledger_engine engine, int64_t delta_ns)
{
    struct ledger_account *account = ledger_time_account(client, (unsigned)device);

    if (!delta_ns)
        return;
    draw_adjust(&account->drawn_ns[engine], delta_ns);
    bill(client, device, engine, delta_ns);
    __atomic_add_fetch(&account->corrected_ns_total, (uint64_t)(delta_ns < 0 ? -delta_ns : delta_ns),
                       __ATOMIC_RELAXED);
}

void gate_give_back(struct ledger_client *client, unsigned device, enum ledger_engine engine, uint64_t ns)
{
    draw_adjust(&ledger_time_account(client, device)->drawn_ns[engine], -(int64_t)ns);
    bill(client, (int)device, engine, -(int64_t)ns);
}

static struct allowance allowance_of(const struct ledger_gate *gate)
{
    return (struct allowance){.base_ns = gate->base_ns,
                              .base_time_ns = gate->base_time_ns,
                              .period_ns = gate->period_ns,
                              .offset_ns = gate->offset_ns,
                              .rate_ppm = gate->rate_ppm};
}

/* Until when the account of a device has nothing to draw; 0: it has. */
static uint64_t debt_until_ns(struct ledger_client *client, unsigned device, enum ledger_engine engine,
                              const struct ledger_gate *gate, uint64_t now_ns, uint64_t *ret_debt_ns)
{
    const struct allowance allowance = allowance_of(gate);
    uint64_t drawn_ns =
        __atomic_load_n(&ledger_time_account(client, device)->drawn_ns[engine], __ATOMIC_RELAXED);
    uint64_t allowed_ns = allowance_at(&allowance, now_ns);

    if (!(gate->flags & LEDGER_GATE_CAPPED) || drawn_ns < allowed_ns)
        return 0;
    *ret_debt_ns = drawn_ns - allowed_ns;
    return allowance_when_above(&allowance, drawn_ns);
}

/* ---- waiting ---- */

/* Why the thread cannot go on, and until when to sleep before it looks again. */
struct obstacle {
    enum ledger_why why; /* NONE: it can, and has drawn */
    uint64_t until_ns;
    uint64_t debt_ns;
};

/* The devices of a gang stop together: collectives on one would only wait for those on the other, and be
 * billed for it. */
static bool gang_is_in_debt(struct ledger_client *client, int device, enum ledger_engine engine,
                            const struct look *seen, struct obstacle *obstacle)
{
    for (unsigned d = 0; d < ledger_device_count(client); d++) {
        struct look other;

        if (d == (unsigned)device)
            continue;
        look(client, (int)d, &other);
        obstacle->until_ns = debt_until_ns(client, d, engine, &other.gate, seen->now_ns, &obstacle->debt_ns);
        if (obstacle->until_ns)
            return true;
    }
    return false;
}

static void draw_or_debt(struct ledger_client *client, int device, enum ledger_engine engine, uint64_t ns,
                         const struct look *seen, struct obstacle *obstacle)
{
    uint64_t *drawn_ns = &ledger_time_account(client, (unsigned)device)->drawn_ns[engine];
    const struct allowance allowance = allowance_of(&seen->gate);
    bool is_mine = window_is_open(seen) && window_is_mine(seen, client);
    bool is_free = !(seen->gate.flags & LEDGER_GATE_CAPPED) || (is_mine && sample_count() < WINDOW_FREE);
    uint64_t most_ns;

    if (is_free) {
        draw_adjust(drawn_ns, (int64_t)ns);
    } else if (((seen->gate.flags & LEDGER_GATE_GANG) &&
                gang_is_in_debt(client, device, engine, seen, obstacle)) ||
               !draw_try(drawn_ns, ns, allowance_at(&allowance, seen->now_ns), seen->gate.burst_ns,
                         &obstacle->debt_ns)) {
        obstacle->why = LEDGER_WHY_DEBT;
        if (!obstacle->until_ns)
            obstacle->until_ns = debt_until_ns(client, (unsigned)device, engine, &seen->gate, seen->now_ns,
                                               &obstacle->debt_ns);
        /* Look now and then whether a new vgpud says something else, and often while measurements are awaited
         * that count only in the window. */
        most_ns = seen->now_ns + (is_mine ? WINDOW_NAP_NS : POLITE_NS);
        if (obstacle->until_ns > most_ns)
            obstacle->until_ns = most_ns;
    }
}

/* Somebody of a higher priority is at work, or soon will be: what takes longer than may be under way beside
 * him is begun only where it fits into his pause. */
static bool must_yield(struct ledger_client *client, const struct look *seen, uint64_t ns)
{
    const struct ledger_gate *gate = &seen->gate;
    enum gate_signal signal = gate_signal_look(client, gate, ns * (1 + sample_count()), seen->now_ns);

    return signal == GATE_SIGNAL_BUSY ||
           (signal == GATE_SIGNAL_SHORT && gate->in_flight_ns && ns > gate->in_flight_ns);
}

/* What keeps the thread from beginning work now; when nothing does, ns are drawn. polite_since_ns:
 * since when it waits for others; 0: it does not. */
static struct obstacle try_draw(struct ledger_client *client, int device, enum ledger_engine engine,
                                uint64_t ns, uint64_t polite_since_ns, struct look *seen)
{
    struct obstacle obstacle = {.why = LEDGER_WHY_NONE};
    uint64_t deferred_ns;
    bool polite;

    look(client, device, seen);
    deferred_ns = polite_since_ns ? seen->now_ns - polite_since_ns : 0;
    polite = deferred_ns < POLITE_NS;
    if (deferred_ns < POLITE_WINDOW_NS && window_is_open(seen) && !window_is_mine(seen, client))
        obstacle = (struct obstacle){.why = LEDGER_WHY_WINDOW, .until_ns = seen->gate.window_until_ns};
    else if (polite && seen->is_fresh && must_yield(client, seen, ns))
        obstacle = (struct obstacle){.why = LEDGER_WHY_YIELD, .until_ns = seen->now_ns + NAP_NS};
    else if (polite && seen->is_fresh && seen->gate.in_flight_ns && sample_count() > 1)
        obstacle = (struct obstacle){.why = LEDGER_WHY_IN_FLIGHT, .until_ns = seen->now_ns + NAP_NS};
    else
        draw_or_debt(client, device, engine, ns, seen, &obstacle);
    return obstacle;
}

static void sleep_at(const uint32_t *word, uint32_t sequence, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};

    syscall(SYS_futex, word, FUTEX_WAIT_BITSET, sequence, &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* A thread's wait, for the figures of those who look. */
struct wait {
    uint64_t began_ns;        /* 0: it does not wait */
    uint64_t polite_since_ns; /* for others; 0: it did not yet */
    enum ledger_why why;
    uint64_t debt_ns;
};

static void wait_begin(struct wait *wait, struct ledger_client *client, const struct obstacle *obstacle,
                       uint64_t now_ns)
{
    if (!wait->began_ns) {
        wait->began_ns = now_ns;
        __atomic_add_fetch(&ledger_own_slot(client)->waiting, 1, __ATOMIC_RELAXED);
    }
    if (!wait->polite_since_ns && obstacle->why != LEDGER_WHY_DEBT)
        wait->polite_since_ns = now_ns;
    if (obstacle->debt_ns >= wait->debt_ns || obstacle->why != wait->why) {
        wait->why = obstacle->why;
        wait->debt_ns = obstacle->debt_ns;
    }
}

static void wait_end(const struct wait *wait, struct ledger_client *client, int device,
                     const struct gate_work *work, const struct look *seen)
{
    struct ledger_account *account = ledger_time_account(client, (unsigned)device);
    uint64_t waited_ns;

    if (!wait->began_ns)
        return;
    waited_ns = clock_monotonic_ns() - wait->began_ns;
    __atomic_sub_fetch(&ledger_own_slot(client)->waiting, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&account->throttled_ns_total, waited_ns, __ATOMIC_RELAXED);
    __atomic_add_fetch(&account->throttled_total, 1, __ATOMIC_RELAXED);
    if (waited_ns >= NOTE_NS)
        ledger_note_set(&account->held, seen->now_ns, wait->why, ledger_own_slot_index(client), work->call,
                        waited_ns, wait->debt_ns, seen->gate.rate_ppm);
}

static void active_set(struct ledger_client *client, int device, uint64_t now_ns)
{
    __atomic_store_n(&ledger_time_account(client, (unsigned)device)->active_ns, now_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&ledger_own_slot(client)->devices[device].active_ns, now_ns, __ATOMIC_RELAXED);
}

/* Other work of this process may be waiting for what the thread is about to begin: then one launch is let
 * through now and then, and the debt grows. */
static bool let_through(const struct wait *wait, const struct gate_work *work, uint64_t now_ns)
{
    static uint64_t last_ns;
    uint64_t before_ns = __atomic_load_n(&last_ns, __ATOMIC_RELAXED);

    return wait->began_ns && now_ns - wait->began_ns >= POLITE_NS && now_ns - before_ns >= POLITE_NS &&
           sample_is_overdue(now_ns, POLITE_NS, work->stream, work->is_per_thread) &&
           __atomic_compare_exchange_n(&last_ns, &before_ns, now_ns, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

void gate_draw(struct ledger_client *client, int device, enum ledger_engine engine,
               const struct gate_work *work, uint64_t ns)
{
    struct wait wait = {0};
    struct look seen;

    for (;;) {
        struct obstacle obstacle = try_draw(client, device, engine, ns, wait.polite_since_ns, &seen);

        active_set(client, device, seen.now_ns);
        if (obstacle.why == LEDGER_WHY_NONE)
            break;
        if (obstacle.why == LEDGER_WHY_DEBT && let_through(&wait, work, seen.now_ns)) {
            draw_adjust(&ledger_time_account(client, (unsigned)device)->drawn_ns[engine], (int64_t)ns);
            break;
        }
        wait_begin(&wait, client, &obstacle, seen.now_ns);
        sleep_at(ledger_gate_word(client, (unsigned)device), seen.gate.sequence, obstacle.until_ns);
        gate_settle();
    }
    wait_end(&wait, client, device, work, &seen);
    bill(client, device, engine, (int64_t)ns);
}

void gate_wait_for_cost(struct ledger_client *client, int device, const struct gate_work *work, uint64_t key)
{
    struct wait wait = {0};
    struct look seen;
    uint64_t nap_ns = NAP_NS;

    for (;;) {
        look(client, device, &seen);
        if (!(seen.gate.flags & LEDGER_GATE_CAPPED) || !gate_is_awaited(key) ||
            (wait.began_ns && seen.now_ns - wait.began_ns >= POLITE_NS))
            break;
        wait_begin(&wait, client, &(struct obstacle){.why = LEDGER_WHY_UNKNOWN_COST}, seen.now_ns);
        clock_sleep_until_ns(seen.now_ns + nap_ns);
        nap_ns = 2 * nap_ns < NAP_MOST_NS ? 2 * nap_ns : NAP_MOST_NS;
        gate_settle();
    }
    wait_end(&wait, client, device, work, &seen);
}

void gate_wait_begin(struct ledger_client *client)
{
    struct look seen;

    for (unsigned d = 0; d < ledger_device_count(client); d++)
        look(client, (int)d, &seen);
}

void gate_wait_reset_in_child(void)
{
    gates_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    gate_signal_reset_in_child();
}
