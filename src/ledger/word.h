/* Shared words of the ledger: every load and every store of the protocol goes through this file. The stores
 * and compare-and-swaps announce themselves through LEDGER_STEP, which is nothing in the product; the build
 * that the kill test uses defines LEDGER_STEP_HOOK and dies there. Private to src/ledger. */
#ifndef VGPU_LEDGER_WORD_H
#define VGPU_LEDGER_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/layout.h"

#ifdef LEDGER_STEP_HOOK
void ledger_step_hook(const char *what);
#    define LEDGER_STEP(what) ledger_step_hook(what)
#else
#    define LEDGER_STEP(what) ((void)0)
#endif

typedef unsigned __int128 ledger_u128;

/* The two halves as they lie in memory, whatever the byte order. */
union ledger_pair {
    struct ledger_word word;
    ledger_u128 both;
};

static inline uint64_t ledger_load(const uint64_t *shared)
{
    return __atomic_load_n(shared, __ATOMIC_ACQUIRE);
}

static inline void ledger_store(uint64_t *shared, uint64_t value, const char *what)
{
    (void)what;
    LEDGER_STEP(what);
    __atomic_store_n(shared, value, __ATOMIC_RELEASE);
}

/* Reads both halves without writing. Each change of a word changes its tag and no tag comes back, so the same
 * tag before and after means that the value between belongs to it. False when the word kept changing under
 * the reader. */
static inline bool ledger_word_try_load(const struct ledger_word *shared, struct ledger_word *ret_word)
{
    for (int attempt = 0; attempt < 64; attempt++) {
        uint64_t tag = ledger_load(&shared->tag);
        uint64_t value = ledger_load(&shared->value);

        if (ledger_load(&shared->tag) == tag) {
            *ret_word = (struct ledger_word){.value = value, .tag = tag};
            return true;
        }
    }
    return false;
}

/* One 16-byte compare-and-swap; on failure *expected becomes what is there. A full barrier either way. The
 * __sync builtin, because gcc sends the 16-byte __atomic ones to libatomic, which must not be pulled into
 * tenants' processes. */
static inline bool ledger_word_cas(struct ledger_word *shared, struct ledger_word *expected,
                                   struct ledger_word wanted, const char *what)
{
    union ledger_pair old = {.word = *expected}, new = {.word = wanted}, seen;

    (void)what;
    LEDGER_STEP(what);
    seen.both = __sync_val_compare_and_swap((ledger_u128 *)(void *)shared, old.both, new.both);
    *expected = seen.word;
    return seen.both == old.both;
}

/* As ledger_word_try_load, but certain: under contention it asks by a compare-and-swap that changes nothing.
 */
static inline struct ledger_word ledger_word_load(struct ledger_word *shared)
{
    struct ledger_word word;
    union ledger_pair seen;

    if (ledger_word_try_load(shared, &word))
        return word;
    seen.both = __sync_val_compare_and_swap((ledger_u128 *)(void *)shared, 0, 0);
    return seen.word;
}

#endif
