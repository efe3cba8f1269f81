/* The shared account of one instance: the ABI of its two shared-memory areas. docs/ledger.md has the drawing.
 *
 * limits area  one sealed memfd, written by vgpud alone, mapped read-only by clients: what the instance may have.
 * ledger area  one sealed memfd that clients write: what the instance has. To vgpud all of it is hostile.
 *
 * Exactness. account[d] is one 16-byte word {total_bytes, tag}; each change of it is one compare-and-swap that carries in
 * tag which slot made it and that slot's sequence number. The slot's own row {used_bytes, sequence} follows by a second
 * compare-and-swap, which anybody may do for it: whoever changes account[d] next first finishes the operation its tag
 * names. So a process killed between the two leaves nothing undone, nobody waits for anybody, and
 *     account[d].total_bytes == sum over slots of applied.used_bytes, up to the one operation that the tag names.
 * A dead process's row is given back by an operation that the reaper does in the dead slot's name. Memory that may outlive its
 * allocator has a row of its own (shared[]), so `slots` above means slots and shared objects. */
#ifndef VGPU_LEDGER_LAYOUT_H
#define VGPU_LEDGER_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEDGER_MAJOR = 2,
    LEDGER_MINOR = 0,
    LEDGER_DEVICES_MAX = 16,
    LEDGER_SLOTS_MAX = 1024,  /* processes of one instance at a time */
    LEDGER_SLOT_DEVICES = LEDGER_DEVICES_MAX,
    LEDGER_LINE_BYTES = 64,
};

#define LEDGER_LIMITS_MAGIC UINT64_C(0x314d494c55504756) /* "VGPULIM1" */
#define LEDGER_MAGIC        UINT64_C(0x3147444c55504756) /* "VGPULDG1" */

/* ---- limits area (writer: vgpud) ---- */

struct ledger_limits_device {
    uint8_t uuid[16];
    uint64_t memory_limit_bytes;   /* ceiling for the instance on this device */
    uint64_t memory_capacity_bytes; /* of the physical device */
    uint32_t share_permille;       /* compute share; 1000 = all. Scheduling fields are written but not used before the meter exists */
    uint32_t weight;
    uint64_t budget_ns;
    uint32_t context_reserve_bytes_hint; /* 0: unknown */
    uint32_t flags;                /* LEDGER_DEVICE_* */
    uint8_t reserved[8];
};
_Static_assert(sizeof(struct ledger_limits_device) == 64, "one line each");

struct ledger_limits {
    uint64_t magic;
    uint16_t major, minor;
    uint32_t n_devices;
    uint64_t area_bytes;
    char instance[64];             /* id, NUL-terminated */
    char name[64];
    uint32_t policy, priority;     /* 0: none set */
    uint32_t epoch;                /* +1 at each change of limits */
    uint32_t revoked;              /* 1: the instance is stopped; clients refuse new work */
    uint8_t pad0[24];
    /* one line: what changes by itself */
    uint64_t heartbeat_ns;         /* CLOCK_MONOTONIC of vgpud's last sign of life */
    uint64_t tick;                 /* coarse clock for gates */
    uint8_t pad1[48];
    struct ledger_limits_device devices[LEDGER_DEVICES_MAX];
};
_Static_assert(offsetof(struct ledger_limits, heartbeat_ns) == 192, "own line");
_Static_assert(offsetof(struct ledger_limits, devices) == 256, "layout");

/* ---- ledger area (writers: clients; reaper in a dead slot's name) ---- */

/* tag: owner in the low 16 bits, sequence in the high 48; 0 = no operation yet (sequences begin at 1). Owner: a slot's index, or
 * LEDGER_SLOTS_MAX + the index of a shared object. */
struct ledger_word {
    uint64_t value;   /* bytes */
    uint64_t tag;     /* account: owner | sequence << 16; row: sequence */
} __attribute__((aligned(16)));

/* What one owner holds on one device. */
struct ledger_row {
    struct ledger_word applied;    /* {used_bytes, sequence of the last operation that counts} */
    uint64_t intent_sequence;      /* the operation being made; written last */
    int64_t intent_delta_bytes;
};

struct ledger_account {
    struct ledger_word used;       /* total over the instance, 16-byte CAS */
    uint64_t peak_bytes;           /* highest total seen; monotonic CAS, advisory */
    uint64_t denied_total;        /* allocations refused; advisory */
    uint64_t throttled_ns_total, billed_ns_total; /* for the meter */
    uint64_t context_bytes;        /* what a context cost when last measured; a hint among clients, 0: unknown */
    uint8_t pad[8];
};
_Static_assert(sizeof(struct ledger_account) == 64, "own line");

struct ledger_slot_device {
    struct ledger_row row;
    uint64_t billed_ns, debt_ns;   /* for the meter */
    uint64_t moving;               /* bytes charged that may not lie on the device: KiB in the low 40 bits, changes counted above */
    uint8_t pad[8];
};
_Static_assert(sizeof(struct ledger_slot_device) == 64, "own line");

enum ledger_slot_state { LEDGER_SLOT_FREE = 0, LEDGER_SLOT_LIVE = 1, LEDGER_SLOT_DEAD = 2 };

struct ledger_slot {
    uint32_t state;                /* written by vgpud: it hands slots out and reaps them */
    uint32_t generation;           /* +1 each time the slot is handed out */
    int32_t pid;                   /* in vgpud's pid namespace */
    uint32_t kind;                 /* enum control_client_kind */
    uint64_t start_ticks;          /* of the process */
    uint64_t heartbeat_ns;
    char command[32];
    struct ledger_slot_device devices[LEDGER_SLOT_DEVICES];
};
_Static_assert(sizeof(struct ledger_slot) == 64 + 64 * LEDGER_SLOT_DEVICES, "layout");

/* Memory that may outlive its allocator (exported handles, IPC): charged once, in a row of its own, as long as a process holds it. An
 * entry is an object or another name (alias) of one. */
enum { LEDGER_SHARED_MAX = 1024 };

enum ledger_shared_kind {
    LEDGER_SHARED_FREE = 0,
    LEDGER_SHARED_CLAIMED = 1,     /* being made by a slot; nobody else may write it */
    LEDGER_SHARED_READY = 2,       /* an object; it has holders */
    LEDGER_SHARED_DYING = 3,       /* being given back by a slot */
    LEDGER_SHARED_ALIAS = 4,
};

struct ledger_shared {
    struct ledger_row row;         /* on `device`; its sequence is never reset */
    uint64_t state;                /* kind in the low 8 bits, slot (CLAIMED, DYING) in the next 16, uses of the entry above; by CAS */
    uint64_t bytes;
    uint64_t key[2];
    /* ---- */
    uint32_t device;
    uint32_t has_aliases;
    uint64_t alias_uses;           /* an alias: which use of the entry alias_of it names */
    uint32_t alias_of;
    uint8_t pad[44];
    /* ---- */
    uint64_t holders[LEDGER_SLOTS_MAX / 64]; /* bit of each slot that holds the object */
};
_Static_assert(sizeof(struct ledger_shared) == 256 && offsetof(struct ledger_shared, holders) == 128, "own lines");
_Static_assert(LEDGER_SLOTS_MAX + LEDGER_SHARED_MAX <= 1 << 16, "owners fit into a tag");

struct ledger {
    uint64_t magic;
    uint16_t major, minor;
    uint32_t n_devices;
    uint64_t area_bytes;
    uint32_t n_slots, n_shared;
    char instance[64];
    uint32_t slots_mark;           /* slots from here on were never in use; a hint, written by vgpud */
    uint32_t shared_mark;          /* the same of shared[], written by clients, only growing */
    uint8_t pad[152];
    struct ledger_account accounts[LEDGER_DEVICES_MAX];
    struct ledger_shared shared[LEDGER_SHARED_MAX];
    struct ledger_slot slots[LEDGER_SLOTS_MAX];
};
_Static_assert(offsetof(struct ledger, accounts) == 256, "layout");

#endif
