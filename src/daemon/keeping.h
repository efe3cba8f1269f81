/* vgpud's side of its keeper (keeper.h): gives it the descriptors of accounts as they are made, starts one
 * when there is none, and fetches what a keeper has when vgpud starts. Where no keeper can be had vgpud works
 * all the same, and a crash leaves orphans. */
#ifndef VGPU_DAEMON_KEEPING_H
#define VGPU_DAEMON_KEEPING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "daemon/keeper.h"

struct daemon;
struct instance;

/* What the keeper of a former vgpud had under a name. */
struct kept {
    char name[KEEPER_NAME_MAX];
    uid_t owner_uid;
    int n_fds, fds[KEEPER_DESCRIPTORS]; /* instances: limits and ledger; signals: one. Who takes one over sets
                                           it to -1 */
    bool used;
};

struct keeping {
    int fd; /* -1: no keeper */
    uv_poll_t *watch;
    uint64_t started_ns; /* the last try to start one */
    size_t n_kept;
    struct kept *kept;
};

/* Finds the keeper of a former vgpud and fetches what it has; waits a second or two for it at most. */
void keeping_open(struct daemon *daemon);

/* What was fetched under a name, or NULL. */
struct kept *keeping_find(struct daemon *daemon, const char *name);

/* What was fetched and is not `used` is not needed any more: the keeper lets go of it. */
void keeping_settle(struct daemon *daemon);

/* Gives the keeper an instance's descriptors, or the signals'; what cannot be done now keeping_tick tries
 * again. */
void keeping_keep(struct instance *instance);
void keeping_keep_signals(struct daemon *daemon);
void keeping_drop(struct daemon *daemon, const char *name);

/* Called about every second. */
void keeping_tick(struct daemon *daemon);

#endif
