/* Reconciling: what a driver's management library says each process holds on each device, beside what the
 * ledger says. The ledger is the account that limits are kept by; the driver's word is shown next to it, and
 * whatever differs is seen: memory that went past the library, and processes that are in no instance. Nothing
 * is done about a difference. */
#ifndef VGPU_DAEMON_RECONCILE_H
#define VGPU_DAEMON_RECONCILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "daemon/inventory.h"
#include "daemon/state.h"

struct daemon;
struct instance;

enum {
    RECONCILE_MS = 5000,      /* between two looks, while there are processes */
    RECONCILE_LOAD_MS = 2000, /* between two comparisons of work */
    RECONCILE_OVER = 2,       /* in a row raise the alarm: a burst may be billed a look later */
    RECONCILE_OVER_PERMILLE = 100,
    RECONCILE_FRESH_MS = 1000, /* a look is as good as a new one for that long */
};

/* One process on one device, as its client shows it. */
struct reconcile_figure {
    bool known; /* the driver was asked and told */
    uint64_t driver_bytes;
    bool compared;            /* there is a ledger to compare with */
    int64_t difference_bytes; /* driver_bytes less the ledger's figure at that moment */
};

/* What the driver says of a process's work beside what the gates billed it: for people alone, never for
 * control. */
struct reconcile_load {
    uint64_t looked_ns, billed_ns; /* at the last comparison */
    unsigned over;                 /* comparisons in a row in which the driver said much more */
};

struct reconcile_process {
    int pid;
    unsigned busy_permille; /* of the device, lately */
    bool known;             /* the driver tells its bytes */
    bool limited;           /* it is a client of an instance */
    uint64_t driver_bytes;
    char instance[STATE_NAME_MAX]; /* id of the one whose control group it is in, though no client; "": none's
                                    */
};

struct reconcile_device {
    uint8_t uuid[UUID_BYTES];
    enum inventory_kind kind;
    bool tells_load;
    char problem[200]; /* why its processes are unknown; "" when they are known */
    size_t n_processes;
    struct reconcile_process *processes; /* by pid */
};

struct reconcile {
    uint64_t asked_ns[INVENTORY_KINDS]; /* when the last answer came */
    uint64_t begun_ns[INVENTORY_KINDS]; /* when the look that it tells of, or one under way, began */
    unsigned n_devices;
    struct reconcile_device devices[INVENTORY_DEVICES_MAX];
};

/* A driver answered (document: the probe's), or not (NULL; why says so). */
void reconcile_receive(struct daemon *daemon, enum inventory_kind kind, const json_t *document,
                       const struct error *why);

/* Called about every second: asks the drivers of instances with processes, when it is time. */
void reconcile_tick(struct daemon *daemon, uint64_t now_ns);

/* Asks the drivers of the instance's devices, if it has processes and their figures are older than
 * RECONCILE_FRESH_MS. */
void reconcile_refresh(const struct instance *instance, uint64_t now_ns);

/* Begins a look at the devices of a kind, unless one is under way. */
void reconcile_ask(struct daemon *daemon, enum inventory_kind kind);

/* As far as the last look went: do the drivers of that kind tell who uses their devices (true before the
 * first look), and is pid among those? */
bool reconcile_can_tell(const struct daemon *daemon, enum inventory_kind kind);
bool reconcile_finds(const struct daemon *daemon, enum inventory_kind kind, int pid);

/* Whether an answer of such a driver is awaited. */
bool reconcile_is_asking(const struct instance *instance);

/* Adds `driver_bytes` and `difference_bytes` to an object; null when unknown. */
void reconcile_set_figures(json_t *object, const struct reconcile_figure *figure);

/* Adds a part to a sum, which begins as known and compared. */
void reconcile_add(struct reconcile_figure *sum, const struct reconcile_figure *part);

/* Sum of the processes of an instance on its device d; unknown when one of them is. */
struct reconcile_figure reconcile_sum(const struct instance *instance, unsigned d);

/* Whether a process of the instance works on a device much more than it pays for: the driver saw more than
 * twice as much, and 10 points. */
bool reconcile_alarm(const struct instance *instance);

/* The processes in the instance's control group that use its devices without being its clients: `pid`,
 * `command`, `driver_bytes` each. */
json_t *reconcile_rogue_json(const struct instance *instance);

/* Adds to the object of a device the sums over its instances, `driver_problem` and `not_limited`. */
void reconcile_describe(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES], json_t *object);

#endif
