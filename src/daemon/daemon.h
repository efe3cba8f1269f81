/* The state of one vgpud, tied to one libuv loop and one thread. */
#ifndef VGPU_DAEMON_DAEMON_H
#define VGPU_DAEMON_DAEMON_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/inventory.h"
#include "daemon/keeping.h"
#include "daemon/reconcile.h"
#include "daemon/server.h"
#include "daemon/share.h"
#include "daemon/signals.h"

struct instance;
struct grant_waiting;

enum { DAEMON_HEARTBEAT_MS = 100, DAEMON_HOUSEKEEPING_MS = 1000, DAEMON_IDLE_S = 60, DAEMON_BUCKETS = 512 };

struct daemon {
    uv_loop_t loop;
    char runtime_dir[PATH_MAX], socket_path[PATH_MAX], state_dir[PATH_MAX], softgpu_dir[PATH_MAX];
    char boot_id[40];
    int save_error;   /* of the last try to save the state; 0: it went well */
    uint64_t idle_ns; /* 0: never ends by itself */
    uint64_t idle_since_ns;
    uint64_t started_ns;
    struct server server;
    struct inventory inventory;
    struct reconcile reconcile; /* what drivers say of processes */
    struct share share;         /* whose turn it is on which device */
    struct signals signals;     /* the lines by which processes tell others that they work */
    struct keeping keeping;     /* descriptors that outlive this vgpud */
    struct instance *instances;
    struct instance *instances_by_id[DAEMON_BUCKETS];
    unsigned n_instances;
    uint64_t last_sequence;                        /* of instances */
    struct grant_waiting *waiting, **waiting_tail; /* first come, first served */
    struct sweep *sweeps;                          /* reap requests that wait */
    uv_timer_t heartbeat, housekeeping, sweep_timer, linger_timer;
    uv_timer_t save_timer; /* of instances that are unsaved */
    uv_signal_t ending[2];
};

/* The set of instances changed: starts or stops the heartbeat, and sees whether those who wait can be served.
 */
void daemon_instances_changed(struct daemon *daemon);

#endif
