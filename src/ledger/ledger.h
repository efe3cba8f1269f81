/* The account of an instance's memory: reserve, act, keep or release. layout.h says how it stays exact when processes
 * die in the middle; docs/ledger.md says why that holds. No function here blocks, allocates or makes a system call, but the
 * ones marked so. All are thread-safe: operations of one process on one device are put in order by a short lock of that process. */
#ifndef VGPU_LEDGER_LEDGER_H
#define VGPU_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ledger/layout.h"

/* ---- the daemon's side (system calls, allocation) ---- */

struct ledger_device_spec {
    uint8_t uuid[16];
    uint64_t memory_limit_bytes, memory_capacity_bytes;
};

/* An instance's two areas, made by vgpud: the descriptors to hand to clients (ledger: read-write, limits: sealed against
 * writing) and vgpud's own mappings. */
struct ledger_areas {
    int limits_fd, ledger_fd;
    struct ledger_limits *limits;
    struct ledger *ledger;
    uint32_t n_own;
    struct ledger_slot_own *own; /* private, n_own of them: vgpud's own word on each slot, because tenants can write the shared one */
};

int ledger_areas_new(const char *instance, const char *name, const struct ledger_device_spec *devices, unsigned n_devices,
                     struct ledger_areas *ret_areas, struct error *err);
void ledger_areas_free(struct ledger_areas *areas);

/* Takes an account over from a vgpud that is dead. limits_fd: its limits area, which nobody could change since; its ledger_fd. Both are checked
 * like anything from outside. The new limits area says what the old one said, with the next epoch and without a window; the old one stays as it is
 * in the processes that have it mapped, until they replace it (ledger_client_limits_replace). All slots are free then: next, tell of each that
 * ledger_slot_left finds whether its process lives (ledger_slot_adopt). ledger_fd is ret_areas' on success; limits_fd stays the caller's. */
int ledger_areas_adopt(const char *instance, int limits_fd, int ledger_fd, struct ledger_areas *ret_areas, struct error *err);
/* What a slot that is free for vgpud says of itself when it is not empty: state, bytes or an unfinished operation. Hostile. False: it is empty. */
struct ledger_slot_left {
    uint32_t generation, kind, signal_line;
    int pid;
    uint64_t start_ticks;
    bool is_live;
    char command[32]; /* fit to print */
};
bool ledger_slot_left(const struct ledger_areas *areas, uint32_t slot, struct ledger_slot_left *ret_left);
/* vgpud's word on a slot after ledger_areas_adopt: it is this process's; when that is dead, reap it then. -EEXIST: it is somebody's already. */
int ledger_slot_adopt(struct ledger_areas *areas, uint32_t slot, const struct ledger_slot_left *left);
/* Publishes a new ceiling; may lie below what is in use. */
void ledger_limit_set(struct ledger_areas *areas, unsigned device, uint64_t memory_limit_bytes);

/* Publishes what was asked for in shares (docs/shares.md), for people and clients; what a gate does is published apart. */
void ledger_class_set(struct ledger_areas *areas, enum ledger_policy policy, enum ledger_priority priority);
void ledger_share_set(struct ledger_areas *areas, unsigned device, uint32_t share_permille, uint32_t weight, uint64_t time_slice_ns);

/* Publishes a device's gate (its sequence is this function's own) and wakes those who wait at it: one system call. Readers never see a
 * half. */
void ledger_gate_publish(struct ledger_areas *areas, unsigned device, const struct ledger_gate *gate);
/* +1 to the tick: vgpud has looked at the gates. */
void ledger_tick(struct ledger_areas *areas);

/* The signal line of a slot's process; LEDGER_NO_SLOT: none. */
void ledger_slot_signal_set(struct ledger_areas *areas, uint32_t slot, uint32_t signal_line);

/* The node's signals area: vgpud's mapping, and the descriptor to hand to clients, sealed against changes of size. */
int ledger_signals_new(int *ret_fd, struct ledger_signals **ret_signals, struct error *err);
/* The same of a former vgpud, mapped again. fd stays the caller's on failure. */
int ledger_signals_adopt(int fd, struct ledger_signals **ret_signals, struct error *err);
void ledger_signals_free(int fd, struct ledger_signals *signals);
/* What a line says, whoever wrote it: whether its process has work on the device. */
bool ledger_signal_is_busy(const struct ledger_signals *signals, unsigned device, unsigned line);
/* Takes a line back from a process that is no more: it has no work on the device. */
void ledger_signal_clear(struct ledger_signals *signals, unsigned device, unsigned line);

/* Hands a free slot to a process. -EAGAIN when all are taken. */
int ledger_slot_grant(struct ledger_areas *areas, int pid, uint64_t start_ticks, unsigned kind, const char *command,
                      uint32_t *ret_slot, uint32_t *ret_generation);
/* Gives everything a dead process's slot holds back to the account, takes it out of the holders of shared objects (those left without a
 * holder are given back too) and frees the slot. Idempotent: may be repeated after a
 * crash at any point. *ret_bytes (n_devices entries, may be NULL) says how much the slot itself held per device. The process must be dead.
 * 0, or -EBUSY when a tenant changed the account so fast (on purpose: 2^16 times in a row) that this did not get through; the slot
 * then stays taken, and a later call, or a grant that finds no other slot, tries again. */
int ledger_slot_reap(struct ledger_areas *areas, uint32_t slot, uint64_t *ret_bytes);

/* How often the slot was handed out, by vgpud's own word. */
uint32_t ledger_slot_generation(const struct ledger_areas *areas, uint32_t slot);

/* ---- a client's side ---- */

struct ledger_client; /* opaque: mapped areas and the process's slot */

#define LEDGER_OBSERVER UINT32_MAX /* in place of a slot: may read figures, may not take */

/* Maps the areas received from vgpud (the descriptors stay the caller's and may be closed) and checks magic, version and size.
 * -EPROTO: another major version; -EBADMSG: not a ledger, or one whose file could shrink under the reader. System calls.
 * A forked child must not use its parent's client, whose slot is the parent's: it frees it (that only unmaps) and attaches anew. */
int ledger_client_new(int limits_fd, int ledger_fd, uint64_t limits_bytes, uint64_t ledger_bytes, uint32_t slot,
                      struct ledger_client **ret_client);
void ledger_client_free(struct ledger_client *client);

/* Puts another limits area of the same instance where the one in use is: vgpud was restarted. The new one is checked first, and other threads see
 * the one or the other. -EBADMSG: not one of this instance. System calls. */
int ledger_client_limits_replace(struct ledger_client *client, int fd, uint64_t bytes);
/* Maps the node's signals, or puts others where they are: for reading only when fd is. One thread at a time. System calls. */
int ledger_client_signals_map(struct ledger_client *client, int fd, uint64_t bytes);
/* How often the slot of this process had been handed out when it was; 0 for an observer. */
uint32_t ledger_own_generation(const struct ledger_client *client);
/* Id of the instance; lives as long as the client. */
const char *ledger_instance(const struct ledger_client *client);

/* Index of a device in the instance, by UUID; -ENODEV when the instance has no part of it. */
int ledger_device_index(const struct ledger_client *client, const uint8_t uuid[16]);

/* Takes bytes under the instance's limit before the driver is asked. 0, -ENOMEM: the limit would be passed (counted as refused), or
 * -ESTALE: the instance was stopped. */
int ledger_reserve(struct ledger_client *client, unsigned device, uint64_t bytes);
/* The same without counting a refusal, for a caller that may look again; ledger_deny counts one, when it has refused, and writes down
 * for people which call of the driver API that was, and for how much. */
int ledger_try_reserve(struct ledger_client *client, unsigned device, uint64_t bytes);
void ledger_deny(struct ledger_client *client, unsigned device, const char *call, uint64_t bytes);
/* Writes down that the device itself had no more, within the limit. */
void ledger_deny_by_driver(struct ledger_client *client, unsigned device, const char *call, uint64_t bytes);
/* ledger_try_reserve for bytes that will be given back but for a part nobody knows yet: no peak. ledger_peak_look makes one of what is
 * in use then. */
int ledger_try_reserve_ahead(struct ledger_client *client, unsigned device, uint64_t bytes);
void ledger_peak_look(struct ledger_client *client, unsigned device);
/* Gives bytes back: after the driver freed them, or when it refused. More than the process holds gives back what it holds. */
void ledger_release(struct ledger_client *client, unsigned device, uint64_t bytes);
/* Charges what is known only afterwards (a context, a module), even past the limit. Returns true when the limit still holds;
 * otherwise the caller undoes its act and releases. */
bool ledger_charge(struct ledger_client *client, unsigned device, uint64_t bytes);

/* Bytes that this process has charged but that may not lie on the device: a reservation whose driver call has not ended, or memory whose
 * free is under way. The caller's promise, at every moment: the instance's memory on the device >= account's total - all that moves.
 * So: add, reserve, driver's allocation, sub; and: add, driver's free, release (or leave), sub. What is added is subtracted in the same
 * pieces: each is rounded up to KiB. A process that dies keeps its word until the reaper has given its row back. One atomic addition. */
void ledger_moving_add(struct ledger_client *client, unsigned device, uint64_t bytes);
void ledger_moving_sub(struct ledger_client *client, unsigned device, uint64_t bytes);
/* A consistent snapshot proves that what surely lies on the device and bytes together pass the limit: the one good reason to refuse. The
 * caller has no moving bytes of its own for this request any more. False: not proven, because there is room by now or something
 * moves: wait a little, then try to reserve again. Bounded. */
bool ledger_is_surely_over(const struct ledger_client *client, unsigned device, uint64_t bytes);

/* What a context on the device cost when a process of the instance last measured it; 0: nobody did. A hint: another process wrote it. */
uint64_t ledger_context_bytes(const struct ledger_client *client, unsigned device);
void ledger_context_bytes_set(struct ledger_client *client, unsigned device, uint64_t bytes);

/* ---- shared objects: memory that may outlive its allocator ---- */

/* An object is found by key, bears its bytes in a row of its own, and is held by processes: however often one joins it, it holds it once (callers
 * count their own references). The bytes go back when the last holder left or was reaped. The acts of one process on objects are put in
 * order by a short lock. None blocks. For all: -ENODEV for an observer. */

/* Makes an object of bytes that this process's row holds (-EINVAL: it holds less, or bytes is 0); this process becomes its holder. For a moment
 * the account has the bytes twice; they count as moving then. -EEXIST: the key has an object: join it. -EAGAIN: another process is
 * making one with that key right now, or dying: look again a little later. -ENOSPC: the table is full, the bytes stay in the row. */
int ledger_shared_publish(struct ledger_client *client, unsigned device, const uint8_t key[16], uint64_t bytes, uint32_t *ret_shared);
/* Gives an object, which this process holds (-EINVAL if not), another name. 0 too if it has that name already; -EEXIST: the name is another
 * object's; -EAGAIN, -ENOSPC as above. */
int ledger_shared_alias(struct ledger_client *client, uint32_t shared, const uint8_t key[16]);
/* Becomes a holder of the object that has this name. -ENOENT: none has. -EAGAIN: it is being made or given back right now. */
int ledger_shared_join(struct ledger_client *client, const uint8_t key[16], uint32_t *ret_shared, unsigned *ret_device, uint64_t *ret_bytes);
/* Ceases to be a holder. The last one gives the bytes back and frees the entry and its other names. Nothing happens for what is not held. */
void ledger_shared_leave(struct ledger_client *client, uint32_t shared);

bool ledger_is_revoked(const struct ledger_client *client);                       /* the instance was stopped */
uint64_t ledger_limit_bytes(const struct ledger_client *client, unsigned device);
uint64_t ledger_used_bytes(const struct ledger_client *client, unsigned device);  /* whole instance */
uint64_t ledger_own_bytes(const struct ledger_client *client, unsigned device);   /* this process's row, without shared objects; 0 for an observer */
int ledger_own_pid(const struct ledger_client *client);                           /* as vgpud sees it; 0 for an observer */
bool ledger_has_pid(const struct ledger_client *client, int pid);                 /* pid, as vgpud sees it, holds a slot */

/* ---- time (docs/shares.md): what the gate of a process reads and writes; src/meter has the arithmetic ---- */

/* A consistent copy of a device's gate, which vgpud may be changing. False when it could not be had within a few attempts (vgpud was
 * killed in the middle, or device is not one of the instance's): go on by the copy of before. */
bool ledger_gate_read(const struct ledger_client *client, unsigned device, struct ledger_gate *ret_gate);
uint32_t ledger_tick_seen(const struct ledger_client *client); /* counts vgpud's looks at the gates */
/* The word that changes whenever the gate does, to wait at with a futex; NULL for a device that the instance has not. */
const uint32_t *ledger_gate_word(const struct ledger_client *client, unsigned device);
/* Shared with the instance's other processes: atomic operations only. NULL as above, and for an observer. They live as long as client. */
struct ledger_account *ledger_time_account(struct ledger_client *client, unsigned device);
struct ledger_slot *ledger_own_slot(struct ledger_client *client);
uint32_t ledger_own_slot_index(const struct ledger_client *client); /* LEDGER_OBSERVER for one */
unsigned ledger_device_count(const struct ledger_client *client);
uint64_t ledger_heartbeat_ns(const struct ledger_client *client); /* vgpud's last sign of life, monotonic */
/* The node's signals; NULL when vgpud gave none. may_signal: they may be written. */
struct ledger_signals *ledger_client_signals(const struct ledger_client *client);
bool ledger_client_may_signal(const struct ledger_client *client);
/* Writes down what was refused or held back last. call: a name of the driver API. */
void ledger_note_set(struct ledger_note *note, uint64_t time_ns, enum ledger_why why, uint32_t slot, const char *call, uint64_t amount,
                     uint64_t used, uint64_t limit);

/* ---- readers (vgpud, command line): figures from a hostile area, each clamped to what is possible ---- */

struct ledger_usage {
    uint64_t used_bytes, peak_bytes, denied_total;
};
void ledger_usage_read(const struct ledger *ledger, const struct ledger_limits *limits, unsigned device, struct ledger_usage *ret_usage);

struct ledger_slot_usage {
    uint32_t slot, kind;
    int pid;
    char command[32];
    uint64_t used_bytes[LEDGER_DEVICES_MAX];
};
/* Fills rows (room for max) with the live slots; returns how many there are. */
size_t ledger_slots_read(const struct ledger *ledger, struct ledger_slot_usage *rows, size_t max);

/* Copies a text that a tenant could write, cut to bytes and fit to print. */
void ledger_text_copy(const char *shared, char *ret_text, size_t bytes);

/* Time on a device, as it stands there: not in order, not monotonic, whatever a tenant wrote. */
struct ledger_time {
    uint64_t drawn_ns[LEDGER_ENGINES], billed_ns[LEDGER_ENGINES];
    uint64_t throttled_ns, throttled, active_ns;
};
void ledger_time_read(const struct ledger *ledger, unsigned device, struct ledger_time *ret_time);

/* The last refusal, or the last wait, on a device. False: there was none, or what stands there is none. call is fit to print. */
bool ledger_denied_read(const struct ledger *ledger, unsigned device, struct ledger_note *ret_note);
bool ledger_held_read(const struct ledger *ledger, unsigned device, struct ledger_note *ret_note);

/* One process on a device, as it stands there. */
struct ledger_slot_time {
    uint64_t active_ns, wants_window_ns, longest_ns;
    uint32_t waiting;
};
void ledger_slot_time_read(const struct ledger *ledger, uint32_t slot, unsigned device, struct ledger_slot_time *ret_time);

struct ledger_shared_usage {
    uint32_t shared, device, n_holders;
    uint64_t used_bytes;
};
/* Fills rows (room for max) with the shared objects; returns how many there are. */
size_t ledger_shared_read(const struct ledger *ledger, struct ledger_shared_usage *rows, size_t max);

#endif
