/* See graph_charge.h. For each device the ledger holds charged = reserved + pending, as for a memory pool
 * (pool.c): reserved is the driver's figure as last read, pending what calls under way may still make it grow
 * by. A reading counts only if no such call ended since it was begun, so whoever ends last reads last, and at
 * rest the charge is the truth. */
#include "shim/graph_charge.h"

#include <errno.h>
#include <pthread.h>

#include "shim/charge.h"
#include "shim/overhead.h"

enum { SETTLE_ATTEMPTS = 8 };

static struct account {
    pthread_mutex_t lock;    /* for what follows, but atomics may be read without */
    CUdevice ordinal;        /* atomic */
    uint64_t charged_bytes;  /* atomic; in the ledger: reserved + pending */
    uint64_t reserved_bytes; /* atomic; by the driver, as last read */
    uint64_t pending_bytes;  /* that calls under way may make it grow by */
    uint64_t ends;           /* atomic; calls that ended */
} accounts[LEDGER_DEVICES_MAX] = {[0 ... LEDGER_DEVICES_MAX - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static bool some_charged; /* atomic: some account was ever charged */
static bool slack;        /* atomic: the driver may give something back by the next wait */

/* ---- settling ---- */

static bool account_read(const struct account *account, uint64_t *ret_bytes)
{
    cuuint64_t bytes;

    if (!real(cuDeviceGetGraphMemAttribute) ||
        real(cuDeviceGetGraphMemAttribute)(__atomic_load_n(&account->ordinal, __ATOMIC_RELAXED),
                                           CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, &bytes) != CUDA_SUCCESS)
        return false;
    *ret_bytes = bytes;
    return true;
}

/* What was taken beyond the reservation is charged all the same, even past the limit. */
static void charge_move_locked(struct ledger_client *client, int device, uint64_t wanted_bytes)
{
    struct account *account = &accounts[device];
    uint64_t charged = account->charged_bytes;

    overhead_uncertain_add(device, 0); /* only to say that something moves */
    if (wanted_bytes > charged)
        ledger_charge(client, (unsigned)device, wanted_bytes - charged);
    else
        ledger_release(client, (unsigned)device, charged - wanted_bytes);
    __atomic_store_n(&account->charged_bytes, wanted_bytes, __ATOMIC_RELAXED);
    overhead_uncertain_sub(device, 0);
}

static void account_settle(struct ledger_client *client, int device)
{
    struct account *account = &accounts[device];
    bool counts = false;

    for (int attempt = 0; attempt < SETTLE_ATTEMPTS && !counts; attempt++) {
        uint64_t ends = __atomic_load_n(&account->ends, __ATOMIC_SEQ_CST), reserved;

        if (!account_read(account, &reserved))
            return; /* the charge stays as it is */
        pthread_mutex_lock(&account->lock);
        counts = account->ends == ends;
        if (counts) {
            __atomic_store_n(&account->reserved_bytes, reserved, __ATOMIC_RELAXED);
            charge_move_locked(client, device, reserved + account->pending_bytes);
        }
        pthread_mutex_unlock(&account->lock);
        if (counts)
            graph_exec_cap_left(device, reserved);
    }
    /* Not counted: whoever keeps ending calls settles. */
}

void graph_settle_all(struct ledger_client *client)
{
    if (!__atomic_load_n(&some_charged, __ATOMIC_RELAXED))
        return;
    for (int device = 0; device < LEDGER_DEVICES_MAX; device++)
        if (__atomic_load_n(&accounts[device].charged_bytes, __ATOMIC_RELAXED))
            account_settle(client, device);
}

void graph_settle_later(void)
{
    __atomic_store_n(&slack, true, __ATOMIC_RELAXED);
}

void graph_settle_after_sync(struct ledger_client *client)
{
    if (!__atomic_load_n(&slack, __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&slack, false, __ATOMIC_RELAXED);
    graph_settle_all(client);
}

/* ---- a call that may grow ---- */

CUresult graph_trim(struct ledger_client *client, int device, CUdevice ordinal)
{
    uint64_t bytes = device < 0 ? 0 : __atomic_load_n(&accounts[device].charged_bytes, __ATOMIC_RELAXED);
    CUresult result;

    overhead_uncertain_add(device, bytes);
    result = real(cuDeviceGraphMemTrim)(ordinal);
    if (bytes)
        account_settle(client, device);
    overhead_uncertain_sub(device, bytes);
    return result;
}

/* Gives back what no graph uses. That is the program's to do (cuDeviceGraphMemTrim), but before a refusal
 * nothing is lost by it. */
static void account_trim(struct ledger_client *client, const struct graph_need *need)
{
    CUstreamCaptureMode mode;
    bool relaxed = shim_capture_relax(&mode);

    graph_trim(client, need->device, need->ordinal);
    shim_capture_restore(relaxed, mode);
}

/* Every graph that was launched has all its memory, even if all run at once: launching one of them again
 * takes no more. */
static bool all_have_theirs(struct ledger_client *client, int device)
{
    account_settle(client, device);
    return __atomic_load_n(&accounts[device].reserved_bytes, __ATOMIC_RELAXED) >=
           graph_exec_launched_bytes(device);
}

static int need_reserve(struct ledger_client *client, const struct graph_need *need, bool launched,
                        const char *call, uint64_t *ret_bytes)
{
    struct account *account = &accounts[need->device < 0 ? 0 : need->device];
    uint64_t bytes = need->bytes;
    int r;

    if (need->device >= 0 && !charge_fits(client, need->device, bytes)) {
        if (launched && all_have_theirs(client, need->device))
            bytes = 0;
        else
            account_trim(client, need);
    }
    r = charge_reserve(client, need->device, bytes, call);
    if (r < 0)
        return r;
    pthread_mutex_lock(&account->lock);
    __atomic_store_n(&account->ordinal, need->ordinal, __ATOMIC_RELAXED);
    account->pending_bytes += bytes;
    __atomic_store_n(&account->charged_bytes, account->charged_bytes + bytes, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&account->lock);
    *ret_bytes = bytes;
    return 0;
}

static void need_end(struct ledger_client *client, const struct graph_need *need, uint64_t bytes)
{
    struct account *account = &accounts[need->device];

    pthread_mutex_lock(&account->lock);
    account->pending_bytes -= bytes;
    __atomic_add_fetch(&account->ends, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&account->lock);
    account_settle(client, need->device);
    overhead_uncertain_sub(need->device, bytes);
}

int graph_growth_begin(struct graph_growth *growth, struct ledger_client *client,
                       const struct graph_needs *needs, bool launched, const char *call)
{
    growth->client = client;
    growth->needs = needs;
    __atomic_store_n(&some_charged, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < needs->n; i++) {
        int r = need_reserve(client, &needs->of[i], launched, call, &growth->reserved_bytes[i]);

        if (r == 0)
            continue;
        while (i > 0) {
            i--;
            need_end(client, &needs->of[i], growth->reserved_bytes[i]);
        }
        return r;
    }
    return 0;
}

void graph_growth_end(const struct graph_growth *growth)
{
    for (unsigned i = 0; i < growth->needs->n; i++)
        need_end(growth->client, &growth->needs->of[i], growth->reserved_bytes[i]);
    graph_settle_later();
}

void graph_charge_reset_in_child(void)
{
    for (int i = 0; i < LEDGER_DEVICES_MAX; i++)
        accounts[i] = (struct account){.lock = PTHREAD_MUTEX_INITIALIZER};
    some_charged = slack = false;
}
