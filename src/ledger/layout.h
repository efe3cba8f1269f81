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
    LEDGER_MAJOR = 3,
    LEDGER_MINOR = 0,
    LEDGER_DEVICES_MAX = 16,
    LEDGER_SLOTS_MAX = 1024,  /* processes of one instance at a time */
    LEDGER_SLOT_DEVICES = LEDGER_DEVICES_MAX,
    LEDGER_LINE_BYTES = 64,
    LEDGER_ENGINES = 2,
    LEDGER_SIGNALS_MAX = 128, /* lines of one device */
};

/* What works on a device at a time. A share holds for each by itself (docs/shares.md). */
enum ledger_engine { LEDGER_COMPUTE = 0, LEDGER_COPY = 1 };

enum ledger_policy { LEDGER_BEST_EFFORT = 0, LEDGER_EQUAL_SHARE = 1, LEDGER_FIXED_SHARE = 2 };
enum ledger_priority { LEDGER_PRIORITY_LOW = 0, LEDGER_PRIORITY_NORMAL = 1, LEDGER_PRIORITY_HIGH = 2 };

#define LEDGER_LIMITS_MAGIC UINT64_C(0x314d494c55504756) /* "VGPULIM1" */
#define LEDGER_MAGIC        UINT64_C(0x3147444c55504756) /* "VGPULDG1" */

/* ---- limits area (writer: vgpud) ---- */

struct ledger_limits_device {
    uint8_t uuid[16];
    uint64_t memory_limit_bytes;   /* ceiling for the instance on this device */
    uint64_t memory_capacity_bytes; /* of the physical device */
    uint32_t share_permille;       /* what was asked for; 0: nothing, what there is */
    uint32_t weight;
    uint64_t time_slice_ns;        /* what was asked for; 0: nothing */
    uint8_t reserved[16];
};
_Static_assert(sizeof(struct ledger_limits_device) == 64, "one line each");

/* What a gate does on a device, per instance. vgpud writes it under `sequence`: odd while it writes. Who finds it odd for long (vgpud was
 * killed there) goes on by what it read last.
 *
 * Allowance, in ns of GPU time, at the monotonic time t:
 *     base_ns + rate_ppm * period_ns * (floor((t - offset_ns) / period_ns) - floor((base_time_ns - offset_ns) / period_ns)) / 1e6
 * It grows in steps, one at the begin of each period, so that those who share a device take turns where their offsets differ. It needs no
 * vgpud to grow. An instance may begin work while what it drew (ledger_account.drawn_ns) is below it; what it draws beyond is a debt that
 * later periods pay. What is left unused is kept up to burst_ns. */
enum ledger_gate_flags {
    LEDGER_GATE_METERED = 1, /* GPU time is counted */
    LEDGER_GATE_CAPPED = 2,  /* and the allowance holds */
    LEDGER_GATE_GANG = 4,    /* the instance's devices begin and stop together */
};

#define LEDGER_NO_SLOT UINT32_MAX

struct ledger_gate {
    uint32_t sequence;
    uint32_t flags;
    uint32_t rate_ppm;             /* GPU time per time that passes, in millionths */
    uint32_t active_clients;       /* processes of all instances that lately had work on the device; of this one at least 1 is counted */
    uint64_t base_ns, base_time_ns;
    uint64_t period_ns, offset_ns; /* period_ns > 0; offset_ns is a monotonic time at which a period begins */
    uint64_t burst_ns;
    uint64_t in_flight_ns;         /* most predicted time under way; 0: no bound */
    /* ---- a window: from window_from_ns to window_until_ns only the process in window_slot begins work, and may measure */
    uint64_t window_from_ns, window_until_ns;
    uint32_t window_slot;          /* LEDGER_NO_SLOT: another instance's process */
    uint32_t window_generation;    /* of that slot */
    uint64_t yield[2];             /* signal lines (bits) of those who go before this instance */
    uint32_t signal_device;        /* index in the signals area */
    uint64_t window_clean_ns;      /* since when in the window what others had under way is over, as predicted */
    uint8_t pad[72];
};
_Static_assert(sizeof(struct ledger_gate) == 192 && offsetof(struct ledger_gate, window_from_ns) == 64, "own lines");

struct ledger_limits {
    uint64_t magic;
    uint16_t major, minor;
    uint32_t n_devices;
    uint64_t area_bytes;
    char instance[64];             /* id, NUL-terminated */
    char name[64];
    uint32_t policy, priority;     /* enum ledger_policy, enum ledger_priority */
    uint32_t epoch;                /* +1 at each change of limits */
    uint32_t revoked;              /* 1: the instance is stopped; clients refuse new work */
    uint8_t pad0[24];
    /* one line: what changes by itself */
    uint64_t heartbeat_ns;         /* CLOCK_MONOTONIC of vgpud's last sign of life */
    uint64_t tick;                 /* +1 at each of vgpud's looks at the gates */
    uint8_t pad1[48];
    struct ledger_limits_device devices[LEDGER_DEVICES_MAX];
    struct ledger_gate gates[LEDGER_DEVICES_MAX];
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

/* The last time that something was refused or held back; for people. Written without care: parts of two may mix. */
struct ledger_note {
    uint64_t time_ns;              /* monotonic; 0: never */
    uint64_t amount;               /* bytes asked for, or ns held back */
    uint64_t used;                 /* bytes in use then, or ns of debt */
    uint64_t limit;                /* bytes, or rate_ppm */
    uint32_t why;                  /* enum ledger_why */
    uint32_t slot;
    char call[24];                 /* of the driver API */
};
_Static_assert(sizeof(struct ledger_note) == 64, "own line");

enum ledger_why {
    LEDGER_WHY_NONE = 0,
    LEDGER_WHY_LIMIT = 1,          /* memory: it would have passed the limit */
    LEDGER_WHY_DEBT = 2,           /* time: the share of this period is used up */
    LEDGER_WHY_WINDOW = 3,         /* time: another process measures */
    LEDGER_WHY_YIELD = 4,          /* time: a higher priority works */
    LEDGER_WHY_IN_FLIGHT = 5,      /* time: enough is under way while a higher priority is active */
    LEDGER_WHY_UNKNOWN_COST = 6,   /* time: the first launch of a kernel is awaited, to learn what it costs */
    LEDGER_WHY_DRIVER = 7,         /* memory: the device itself had no more */
};

struct ledger_account {
    struct ledger_word used;       /* total over the instance, 16-byte CAS */
    uint64_t peak_bytes;           /* highest total seen; monotonic CAS, advisory */
    uint64_t denied_total;        /* allocations refused; advisory */
    uint64_t context_bytes;        /* what a context cost when last measured; a hint among clients, 0: unknown */
    uint8_t pad[24];
    /* ---- time, by engine */
    uint64_t drawn_ns[LEDGER_ENGINES];        /* of the allowance: used or forfeited; debts are above it */
    uint64_t billed_ns_total[LEDGER_ENGINES]; /* GPU time used */
    uint64_t throttled_ns_total;   /* that threads waited at gates */
    uint64_t throttled_total;      /* waits */
    uint64_t active_ns;            /* monotonic time when a process last began work or waited to */
    uint64_t corrected_ns_total;   /* by which predictions were put right, both ways; a measure of their quality */
    struct ledger_note denied, held;
};
_Static_assert(sizeof(struct ledger_account) == 256 && offsetof(struct ledger_account, drawn_ns) == 64, "own lines");

struct ledger_slot_device {
    struct ledger_row row;
    uint64_t billed_ns;            /* GPU time used, both engines */
    uint64_t active_ns;            /* as in the account, of this process */
    uint64_t moving;               /* bytes charged that may not lie on the device: KiB in the low 40 bits, changes counted above */
    uint32_t wants_window_us;      /* how long this process would like to measure without others; 0: not now */
    uint32_t longest_us;           /* the longest single work it began lately, as predicted */
};
_Static_assert(sizeof(struct ledger_slot_device) == 64, "own line");

enum ledger_slot_state { LEDGER_SLOT_FREE = 0, LEDGER_SLOT_LIVE = 1, LEDGER_SLOT_DEAD = 2 };

struct ledger_slot {
    uint32_t state;                /* written by vgpud: it hands slots out and reaps them */
    uint32_t generation;           /* +1 each time the slot is handed out */
    int32_t pid;                   /* in vgpud's pid namespace */
    uint32_t kind;                 /* enum control_client_kind */
    uint64_t start_ticks;          /* of the process */
    uint32_t signal_line;          /* of this process on each device; LEDGER_NO_SLOT: none */
    uint32_t waiting;              /* threads of this process that wait at gates now */
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

/* ---- signals area: one of a node; writers: clients of more than the lowest priority, readers: all ---- */

#define LEDGER_SIGNALS_MAGIC UINT64_C(0x3147495355504756) /* "VGPUSIG1" */

enum { LEDGER_SIGNAL_DEVICES_MAX = 64 };

/* One process on one device: it has work there while begun != ended. */
struct ledger_signal {
    uint64_t begun;                /* launches, by the process */
    uint64_t ended;                /* `begun` of when it last saw that all had ended */
    uint8_t pad[48];
};
_Static_assert(sizeof(struct ledger_signal) == 64, "own line");

struct ledger_signals {
    uint64_t magic;
    uint16_t major, minor;
    uint32_t n_devices;
    uint64_t area_bytes;
    uint8_t pad[40];
    struct ledger_signal lines[LEDGER_SIGNAL_DEVICES_MAX][LEDGER_SIGNALS_MAX];
};
_Static_assert(offsetof(struct ledger_signals, lines) == 64, "layout");

#endif
