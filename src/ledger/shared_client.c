/* A process's acts on shared objects: make one of its own bytes, name it, find and hold it, let it go. Called
 * by the hooks that export and import memory. Nothing here blocks but on this process's own short locks; what
 * another process is in the middle of is answered by -EAGAIN. */
#include <errno.h>
#include <string.h>

#include "ledger/client.h"
#include "ledger/operation.h"
#include "ledger/shared.h"
#include "ledger/word.h"

enum { JOIN_ATTEMPTS = 64, NO_ENTRY = LEDGER_SHARED_MAX };

/* What a search by key found: an object that was ready then. */
struct found {
    uint32_t index;
    uint64_t state;
};

static bool key_is(const struct ledger_shared *entry, const uint64_t key[2])
{
    return __atomic_load_n(&entry->key[0], __ATOMIC_SEQ_CST) == key[0] &&
           __atomic_load_n(&entry->key[1], __ATOMIC_SEQ_CST) == key[1];
}

static void key_write(struct ledger_shared *entry, const uint64_t key[2])
{
    for (int i = 0; i < 2; i++) {
        LEDGER_STEP("key");
        __atomic_store_n(&entry->key[i], key[i], __ATOMIC_SEQ_CST);
    }
}

/* The object that an entry with the right key stands for. -EAGAIN: it is being made or given back; -ENOENT:
 * none. */
static int entry_resolve(const struct ledger *ledger, uint32_t index, uint64_t state, struct found *ret_found)
{
    const struct ledger_shared *entry = &ledger->shared[index];
    uint32_t object = index;

    if (shared_kind(state) == LEDGER_SHARED_ALIAS) {
        uint64_t use = ledger_load(&entry->alias_uses);

        object = __atomic_load_n(&entry->alias_of, __ATOMIC_RELAXED);
        if (__atomic_load_n(&entry->state, __ATOMIC_SEQ_CST) != state)
            return -EAGAIN;
        if (object >= LEDGER_SHARED_MAX)
            return -ENOENT;
        state = __atomic_load_n(&ledger->shared[object].state, __ATOMIC_SEQ_CST);
        if (shared_use(state) != use)
            return -ENOENT;
    }
    if (shared_kind(state) != LEDGER_SHARED_READY)
        return -EAGAIN;
    *ret_found = (struct found){.index = object, .state = state};
    return 0;
}

/* Looks for key everywhere but in entry `except`. */
static int key_find(const struct ledger *ledger, const uint64_t key[2], uint32_t except,
                    struct found *ret_found)
{
    uint32_t mark = shared_mark(ledger);
    int answer = -ENOENT;

    for (uint32_t i = 0; i < mark; i++) {
        const struct ledger_shared *entry = &ledger->shared[i];
        uint64_t state = __atomic_load_n(&entry->state, __ATOMIC_SEQ_CST);
        int r;

        if (i == except || shared_kind(state) == LEDGER_SHARED_FREE || !key_is(entry, key))
            continue;
        r = __atomic_load_n(&entry->state, __ATOMIC_SEQ_CST) == state
                ? entry_resolve(ledger, i, state, ret_found)
                : -EAGAIN;
        if (r == 0)
            return 0;
        if (r == -EAGAIN)
            answer = r;
    }
    return answer;
}

static void mark_raise(struct ledger *ledger, uint32_t mark)
{
    uint32_t seen = __atomic_load_n(&ledger->shared_mark, __ATOMIC_SEQ_CST);

    while (seen < mark) {
        LEDGER_STEP("shared mark");
        if (__atomic_compare_exchange_n(&ledger->shared_mark, &seen, mark, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return;
    }
}

/* Makes a free entry this slot's, with key. Two who claim entries for one key at the same time see each
 * other, because each looks once more after its key is written. */
static int entry_claim(struct ledger_client *client, const uint64_t key[2], struct found *ret_claimed)
{
    struct ledger *ledger = client->ledger;

    for (uint32_t i = 0; i < LEDGER_SHARED_MAX; i++) {
        struct ledger_shared *entry = &ledger->shared[i];
        uint64_t state = __atomic_load_n(&entry->state, __ATOMIC_SEQ_CST);
        uint64_t claimed = shared_state(LEDGER_SHARED_CLAIMED, client->slot, shared_use(state) + 1);
        struct found other;
        int r;

        if (shared_kind(state) != LEDGER_SHARED_FREE)
            continue;
        mark_raise(ledger, i + 1);
        if (!shared_state_change(entry, state, claimed, "claimed"))
            continue;
        LEDGER_STEP("has aliases");
        __atomic_store_n(&entry->has_aliases, 0, __ATOMIC_RELAXED);
        key_write(entry, key);
        r = key_find(ledger, key, i, &other);
        if (r != -ENOENT) {
            shared_state_change(entry, claimed, shared_state(LEDGER_SHARED_FREE, 0, shared_use(claimed)),
                                "claim free");
            return r == 0 ? -EEXIST : r;
        }
        *ret_claimed = (struct found){.index = i, .state = claimed};
        return 0;
    }
    return -ENOSPC;
}

/* The object's bytes come before the row's go: a total that is too low for a moment would let others pass the
 * limit. Too high for a moment is covered by what moves. */
static void bytes_transfer(struct ledger_client *client, unsigned device, uint32_t index, uint64_t bytes)
{
    const struct operation_terms terms = {.limit_bytes = LEDGER_NO_LIMIT, .is_peakless = true};

    ledger_moving_add(client, device, bytes);
    operation_apply(client->ledger, device, LEDGER_OWNER_SHARED(index), (int64_t)bytes, &terms, NULL);
    operation_apply(client->ledger, device, client->slot, -(int64_t)bytes, &terms, NULL);
    ledger_moving_sub(client, device, bytes);
}

/* Under both locks. */
static int publish(struct ledger_client *client, unsigned device, const uint64_t key[2], uint64_t bytes,
                   uint32_t *ret_shared)
{
    struct ledger_shared *entry;
    struct found it;
    int r;

    if (!bytes || bytes > INT64_MAX || bytes > operation_settle(client->ledger, device, client->slot))
        return -EINVAL;
    r = key_find(client->ledger, key, NO_ENTRY, &it);
    if (r != -ENOENT)
        return r == 0 ? -EEXIST : r;
    r = entry_claim(client, key, &it);
    if (r < 0)
        return r;
    entry = &client->ledger->shared[it.index];
    LEDGER_STEP("device");
    __atomic_store_n(&entry->device, device, __ATOMIC_RELEASE);
    ledger_store(&entry->bytes, bytes, "bytes");
    shared_holder_set(entry, client->slot);
    bytes_transfer(client, device, it.index, bytes);
    shared_state_change(entry, it.state, shared_state(LEDGER_SHARED_READY, 0, shared_use(it.state)), "ready");
    *ret_shared = it.index;
    return 0;
}

int ledger_shared_publish(struct ledger_client *client, unsigned device, const uint8_t key[16],
                          uint64_t bytes, uint32_t *ret_shared)
{
    uint64_t words[2];
    int r;

    if (!client_can_take(client, device))
        return -ENODEV;
    memcpy(words, key, sizeof(words));
    pthread_mutex_lock(&client->shared_lock);
    pthread_mutex_lock(&client->locks[device].mutex);
    r = publish(client, device, words, bytes, ret_shared);
    pthread_mutex_unlock(&client->locks[device].mutex);
    pthread_mutex_unlock(&client->shared_lock);
    return r;
}

/* Under the lock. */
static int alias_make(struct ledger_client *client, uint32_t shared, const uint64_t key[2])
{
    struct ledger_shared *object = &client->ledger->shared[shared], *alias;
    uint64_t state = __atomic_load_n(&object->state, __ATOMIC_SEQ_CST);
    struct found it;
    int r;

    /* A holder's object may be DYING for a moment, while somebody finds that it is held. */
    if ((shared_kind(state) != LEDGER_SHARED_READY && shared_kind(state) != LEDGER_SHARED_DYING) ||
        !shared_has_holder(object, client->slot))
        return -EINVAL;
    r = key_find(client->ledger, key, NO_ENTRY, &it);
    if (r != -ENOENT)
        return r == 0 ? (it.index == shared ? 0 : -EEXIST) : r;
    r = entry_claim(client, key, &it);
    if (r < 0)
        return r;
    alias = &client->ledger->shared[it.index];
    LEDGER_STEP("alias of");
    __atomic_store_n(&alias->alias_of, shared, __ATOMIC_RELAXED);
    ledger_store(&alias->alias_uses, shared_use(state), "alias uses");
    LEDGER_STEP("has aliases");
    __atomic_store_n(&object->has_aliases, 1, __ATOMIC_RELEASE);
    shared_state_change(alias, it.state, shared_state(LEDGER_SHARED_ALIAS, 0, shared_use(it.state)), "alias");
    return 0;
}

int ledger_shared_alias(struct ledger_client *client, uint32_t shared, const uint8_t key[16])
{
    uint64_t words[2];
    int r;

    if (client->slot == LEDGER_OBSERVER)
        return -ENODEV;
    if (shared >= LEDGER_SHARED_MAX)
        return -EINVAL;
    memcpy(words, key, sizeof(words));
    pthread_mutex_lock(&client->shared_lock);
    r = alias_make(client, shared, words);
    pthread_mutex_unlock(&client->shared_lock);
    return r;
}

/* Holds what was found, if it still is what was found. */
static bool hold(struct ledger_client *client, const struct found *it)
{
    struct ledger_shared *entry = &client->ledger->shared[it->index];
    bool was_holder = shared_has_holder(entry, client->slot);

    if (!was_holder)
        shared_holder_set(entry, client->slot);
    LEDGER_STEP("state looked at"); /* as in is_held */
    if (__atomic_load_n(&entry->state, __ATOMIC_SEQ_CST) == it->state)
        return true;
    if (!was_holder) {
        /* The bit may have kept the last holder of whatever lies here now from giving it back. */
        shared_holder_clear(entry, client->slot);
        shared_release_unheld(client->ledger, client->n_devices, it->index, client->slot, 0);
    }
    return false;
}

int ledger_shared_join(struct ledger_client *client, const uint8_t key[16], uint32_t *ret_shared,
                       unsigned *ret_device, uint64_t *ret_bytes)
{
    uint64_t words[2];
    struct found it;
    int r = -EAGAIN;

    if (client->slot == LEDGER_OBSERVER)
        return -ENODEV;
    memcpy(words, key, sizeof(words));
    pthread_mutex_lock(&client->shared_lock);
    for (int attempt = 0; r == -EAGAIN && attempt < JOIN_ATTEMPTS; attempt++) {
        r = key_find(client->ledger, words, NO_ENTRY, &it);
        if (r == 0 && !hold(client, &it))
            r = -EAGAIN;
    }
    if (r == 0) {
        *ret_shared = it.index;
        *ret_device = __atomic_load_n(&client->ledger->shared[it.index].device, __ATOMIC_ACQUIRE);
        *ret_bytes = ledger_load(&client->ledger->shared[it.index].bytes);
    }
    pthread_mutex_unlock(&client->shared_lock);
    return r;
}

void ledger_shared_leave(struct ledger_client *client, uint32_t shared)
{
    struct ledger_shared *entry;

    if (client->slot == LEDGER_OBSERVER || shared >= LEDGER_SHARED_MAX)
        return;
    entry = &client->ledger->shared[shared];
    pthread_mutex_lock(&client->shared_lock);
    if (shared_has_holder(entry, client->slot)) {
        shared_holder_clear(entry, client->slot);
        shared_release_unheld(client->ledger, client->n_devices, shared, client->slot, 0);
    }
    pthread_mutex_unlock(&client->shared_lock);
}
