/* Compute shares: every 10 ms, while an instance has processes, vgpud looks at what each used of each device,
 * has src/policy divide it anew, and publishes what changed in the gates of the limits areas
 * (docs/shares.md). What is read from ledgers is hostile. */
#ifndef VGPU_DAEMON_SHARE_H
#define VGPU_DAEMON_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "base/uuid.h"
#include "daemon/signals.h"
#include "ledger/ledger.h"
#include "meter/allowance.h"
#include "policy/policy.h"

struct daemon;
struct instance;

enum { SHARE_TICK_MS = 10, SHARE_SAMPLES = 12, SHARE_SAMPLE_MS = 100, SHARE_ROUNDS = 10 };

/* What an instance used of a device since its begin: only grows. */
struct share_totals {
    uint64_t used_ns[LEDGER_ENGINES];
    uint64_t throttled_ns, throttled;
};

struct share_sample {
    uint64_t time_ns; /* 0: none */
    struct share_totals totals;
};

/* An instance on one of its devices. */
struct share_tenant {
    /* ---- what a tick looks at while the instance rests */
    struct share_tenant *next; /* on the device, in the order of turns; while the instance has processes */
    const uint64_t *active_ns; /* in the account */
    uint64_t seen_active_ns;   /* what stood there at the last look */
    uint64_t awake_until_ns;   /* until then every tick looks at all of it */
    uint32_t round;            /* of SHARE_ROUNDS ticks, the one that looks at it though it rests */
    uint32_t n_active;         /* processes of it that were active at the last look */
    bool is_listed;
    bool has_news; /* its terms changed: publish at the next look, whatever the difference */
    bool is_due;   /* this tick looks at it */
    /* ---- */
    struct instance *instance;
    unsigned d;              /* of the instance's devices */
    unsigned device;         /* of struct share */
    struct ledger_time last; /* as last read */
    struct share_totals
        shift; /* from what was read to the totals, since a tenant may have written over its account */
    struct share_totals totals, looked;
    struct policy_demand demand;
    uint64_t published_ns;
    struct share_sample samples[SHARE_SAMPLES];
    unsigned sample; /* the newest */
};

/* While one process measures, nobody else begins work. */
struct share_window {
    uint64_t from_ns, clean_ns, until_ns, next_ns; /* next_ns: the earliest begin of another one */
    uint64_t sequence;                             /* of the instance */
    const struct share_tenant *tenant;             /* NULL: without processes by now */
    uint32_t slot, generation;
};

/* What all on a device are told. */
struct share_surroundings {
    struct share_window window;
    uint64_t lines[POLICY_CLASSES][SIGNALS_WORDS]; /* signal lines, by priority */
};

struct share_device {
    uint8_t uuid[UUID_BYTES];
    unsigned n_instances; /* 0: the entry is free */
    struct share_tenant *tenants;
    size_t n_tenants;
    bool has_news; /* processes or priorities changed */
    struct policy_device policy;
    struct share_surroundings now, published;
};

struct share {
    uv_timer_t timer;
    struct share_device devices[LEDGER_SIGNAL_DEVICES_MAX]; /* the index is that of the signals area */
    unsigned round;
    /* Of one look: those that it looks at. */
    struct share_tenant **due;
    struct policy_tenant *policy_tenants;
    size_t due_max;
};

void share_init(struct daemon *daemon);

/* Makes an instance's tenants and publishes its first gates. 0 or negative errno with err filled. */
int share_instance_made(struct instance *instance, struct error *err);
/* The same of an instance of a former vgpud: its gates, and where its devices are in the signals area, stay
 * as they are. */
int share_instance_restored(struct instance *instance, struct error *err);
void share_instance_ended(struct instance *instance);
/* A process joined: looks go on, the first one soon. */
void share_client_joined(struct instance *instance);
/* The instance's share, policy, weight, priority or time slice is another: published by the next look, or at
 * once where none is due. */
void share_terms_changed(struct instance *instance);

/* A process of the instance got a signal line or gave it back. */
void share_lines_changed(const struct instance *instance);

/* Looks at all devices now. */
void share_look(struct daemon *daemon, uint64_t now_ns);

/* ---- figures, of share_figures.c ---- */

struct allowance share_allowance(const struct ledger_gate *gate);

/* Begins with what the account says. */
void share_totals_init(struct share_tenant *tenant);
/* Takes in what was used since the last time. */
void share_totals_update(struct share_tenant *tenant, uint64_t now_ns);

struct share_figures {
    uint32_t rate_ppm;
    unsigned used_permille, copy_permille; /* of the last second */
    uint64_t throttled_permille;           /* threads add up */
    struct share_totals totals;
    uint64_t debt_ns;
    unsigned queued; /* processes that wait at a gate */
    bool is_active;
};

void share_figures_read(const struct instance *instance, unsigned d, uint64_t now_ns,
                        struct share_figures *ret_figures);

#endif
