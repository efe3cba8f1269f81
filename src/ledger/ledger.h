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
    struct ledger_slot_own *own; /* private: vgpud's own word on each slot, because tenants can write the shared one */
};

int ledger_areas_new(const char *instance, const char *name, const struct ledger_device_spec *devices, unsigned n_devices,
                     struct ledger_areas *ret_areas, struct error *err);
void ledger_areas_free(struct ledger_areas *areas);

/* Publishes a new ceiling; may lie below what is in use. */
void ledger_limit_set(struct ledger_areas *areas, unsigned device, uint64_t memory_limit_bytes);

/* Hands a free slot to a process. -EAGAIN when all are taken. */
int ledger_slot_grant(struct ledger_areas *areas, int pid, uint64_t start_ticks, unsigned kind, const char *command,
                      uint32_t *ret_slot, uint32_t *ret_generation);
/* Gives everything a dead process's slot holds back to the account, takes it out of the holders of shared objects (those left without a
 * holder are given back too) and frees the slot. Idempotent: may be repeated after a
 * crash at any point. *ret_bytes (n_devices entries, may be NULL) says how much the slot itself held per device. The process must be dead.
 * 0, or -EBUSY when a tenant changed the account so fast (on purpose: 2^16 times in a row) that this did not get through; the slot
 * then stays taken, and a later call, or a grant that finds no other slot, tries again. */
int ledger_slot_reap(struct ledger_areas *areas, uint32_t slot, uint64_t *ret_bytes);

/* ---- a client's side ---- */

struct ledger_client; /* opaque: mapped areas and the process's slot */

#define LEDGER_OBSERVER UINT32_MAX /* in place of a slot: may read figures, may not take */

/* Maps the areas received from vgpud (the descriptors stay the caller's and may be closed) and checks magic, version and size.
 * -EPROTO: another major version; -EBADMSG: not a ledger, or one whose file could shrink under the reader. System calls.
 * A forked child must not use its parent's client, whose slot is the parent's: it frees it (that only unmaps) and attaches anew. */
int ledger_client_new(int limits_fd, int ledger_fd, uint64_t limits_bytes, uint64_t ledger_bytes, uint32_t slot,
                      struct ledger_client **ret_client);
void ledger_client_free(struct ledger_client *client);

/* Index of a device in the instance, by UUID; -ENODEV when the instance has no part of it. */
int ledger_device_index(const struct ledger_client *client, const uint8_t uuid[16]);

/* Takes bytes under the instance's limit before the driver is asked. 0, -ENOMEM: the limit would be passed (counted as refused), or
 * -ESTALE: the instance was stopped. */
int ledger_reserve(struct ledger_client *client, unsigned device, uint64_t bytes);
/* The same without counting a refusal, for a caller that may look again; ledger_deny counts one, when it has refused. */
int ledger_try_reserve(struct ledger_client *client, unsigned device, uint64_t bytes);
void ledger_deny(struct ledger_client *client, unsigned device);
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

struct ledger_shared_usage {
    uint32_t shared, device, n_holders;
    uint64_t used_bytes;
};
/* Fills rows (room for max) with the shared objects; returns how many there are. */
size_t ledger_shared_read(const struct ledger *ledger, struct ledger_shared_usage *rows, size_t max);

#endif
