/* vGPU instances: what was handed out, to whom, and which processes use it. Owns their ledger areas and is
 * the only writer of their limits. An instance ends when its lease is gone and no client is left. */
#ifndef VGPU_DAEMON_INSTANCE_H
#define VGPU_DAEMON_INSTANCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"
#include "daemon/reconcile.h"
#include "daemon/share_terms.h"
#include "daemon/state.h"
#include "ledger/ledger.h"

struct conn;
struct daemon;
struct share_tenant;

enum {
    INSTANCES_MAX = 1024,
    INSTANCES_PER_UID_MAX = 256,
    INSTANCE_GRACE_MS = 5000,
    INSTANCE_GRACE_MAX_MS = 3600 * 1000
};

/* One process of an instance. Its pidfd is polled, so its end is seen at once. */
struct client {
    struct client *next;
    struct instance *instance;
    struct state_client who;
    struct reconcile_figure driver[LEDGER_DEVICES_MAX];
    struct reconcile_load load[LEDGER_DEVICES_MAX];
    int pidfd;                 /* a descriptor that says nothing where the process cannot be seen */
    uint32_t signal_line;      /* of signals.c; LEDGER_NO_SLOT: none */
    bool is_saved;             /* the state file tells of it */
    bool rejoined;             /* it has the limits area of this vgpud */
    bool dead;                 /* ended, and its slot is not reaped yet */
    bool exiting;              /* and worth waiting for, when a sweep looked last */
    uint64_t exiting_since_ns; /* when a sweep saw that first; 0: never */
    unsigned linger_kinds;     /* dead; kinds of devices, as bits, whose drivers may still hold its memory */
    uint64_t ended_ns;         /* then: since when */
    uv_poll_t watch;
};

/* Somebody to be answered when the instance is gone. */
struct instance_waiter {
    struct instance_waiter *next;
    struct conn *conn;
};

struct instance {
    struct instance *next;
    struct instance *next_by_id; /* in its bucket */
    struct daemon *daemon;
    uint64_t sequence;           /* of its making, from 1: the cursor of lists */
    struct state_instance facts; /* facts.clients stays empty here: `clients` is the truth */
    struct conn *lease;          /* NULL: its holder ended, or it never had one */
    bool persistent;             /* made without a lease: stays until it is stopped */
    bool orphaned;               /* from before vgpud's restart: only its reservation is left */
    bool stopping;
    bool is_kept;                 /* the keeper has its descriptors */
    bool is_unsaved;              /* the state file tells what is not so any more */
    bool is_to_save;              /* a client came or went: see whether it need be written */
    struct ledger_areas areas;    /* all zero when orphaned */
    struct share_tenant *tenants; /* share.c's, one of each device; NULL when orphaned */
    struct client *clients;
    unsigned n_clients;    /* that live, the holder of the lease as well where no connection stands for it */
    int rogue_said_pid;    /* the process that the log told of last */
    uint64_t reaped_total; /* slots taken back from the dead */
    struct instance_waiter *waiters;
    uv_timer_t grace; /* while stopping: when patience ends */
    bool killed;      /* patience ended once already */
};

/* Whether text may name an instance: a letter or digit, then up to 62 of letters, digits, '_', '.', '-'. */
bool instance_name_ok(const char *text);

/* An instance of those facts, without areas, linked into the daemon; NULL when out of memory. */
struct instance *instance_link(struct daemon *daemon, const struct state_instance *facts);

/* Makes an instance with its areas and links it into the daemon. facts: all but id and created_ms, which are
 * set here; an empty name becomes the id. 0 or negative errno with err filled. */
int instance_new(struct daemon *daemon, const struct state_instance *facts, struct conn *lease,
                 struct instance **ret_instance, struct error *err);

/* The instance that a person or client of uid means: by id, or by name among its own; root also by anybody's
 * name when that is unambiguous. 0; -ENOENT; -EPERM: somebody else's; -ENOTUNIQ. */
int instance_find(struct daemon *daemon, const char *text, uid_t uid, struct instance **ret_instance,
                  struct error *err);

/* The instance of that id, or NULL. */
struct instance *instance_find_by_id(const struct daemon *daemon, const char *id);

/* Sets the limit of each device, published to the clients at once. limits_bytes: facts.n_devices entries. The
 * caller saves the state and serves those who wait. */
void instance_set_limits(struct instance *instance, const uint64_t *limits_bytes);
/* The same for what it has of the devices' time. */
void instance_set_share(struct instance *instance, const struct share_terms *terms);
struct share_terms instance_share_terms(const struct instance *instance);

/* Ends the instance if nothing holds it any more; it is freed then. Saves the state. */
void instance_settle(struct instance *instance);

/* The same for all of them. */
void instance_settle_all(struct daemon *daemon);

/* Revokes the instance and ends its processes: SIGTERM now, SIGKILL after grace_ms. Repeatable; a shorter
 * grace wins. The instance may be gone on return. */
void instance_stop(struct instance *instance, uint64_t grace_ms);

/* conn is answered when the instance is gone. 0 or -ENOMEM. */
int instance_add_waiter(struct instance *instance, struct conn *conn);

/* A connection is gone: its leases end, and it waits for nothing any more. */
void instance_conn_ended(struct daemon *daemon, struct conn *conn);

/* What all instances but `except` (may be NULL) keep from others on a device: their limits, or more where
 * more is in use. */
uint64_t instance_reserved_bytes(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES],
                                 const struct instance *except);

/* The shares of a device's time that all instances but `except` (may be NULL) were promised. */
unsigned instance_reserved_permille(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES],
                                    const struct instance *except);

/* Whether an instance holds a part of the device. */
bool instance_holds(const struct instance *instance, const uint8_t uuid[UUID_BYTES]);

/* Its processes that live; without the holder of its lease. */
unsigned instance_client_count(const struct instance *instance);

/* The object that answers show for it (docs/control-protocol.md). */
json_t *instance_json(const struct instance *instance, bool with_clients);

/* Saves the instance to its state file now; says so when that fails. */
void instance_save(struct instance *instance);
/* The same a little later, for what a restart would find out by itself: clients that came (their slots tell)
 * or went (they are dead). Those that stayed for less than that moment cost nothing. */
void instance_save_later(struct instance *instance);
/* A client has come. At once when it is the only one in the file: a next vgpud without the account must know
 * that somebody has it. */
void instance_save_client(struct instance *instance);
/* Before a client is freed. */
void instance_client_leaves(const struct client *client);
/* Its state is not needed any more. */
void instance_forget_state(const struct instance *instance);

/* The two areas of an instance of those facts. */
int instance_make_areas(const struct state_instance *facts, struct ledger_areas *ret_areas,
                        struct error *err);

/* Brings back what a former vgpud recorded and its keeper kept (instance_restore.c). Called once, at start.
 */
void instance_load_all(struct daemon *daemon);

/* Asks for the driver of instances that were brought back, when it is not the one that is asked at the start.
 */
void instance_find_drivers(struct daemon *daemon);

/* Makes the directory of the state files. 0 or negative errno. */
int instance_state_dir(const struct daemon *daemon);
/* Path of the state file of an instance. -ENAMETOOLONG. */
int instance_state_path(const struct daemon *daemon, const char *id, char *buf, size_t buf_bytes);

/* Writes the heartbeat of every instance. */
void instance_beat_all(struct daemon *daemon, uint64_t now_ns);

#endif
