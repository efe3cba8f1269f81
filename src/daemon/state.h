/* What vgpud remembers across its own crash: which instances it had handed out and which processes were in
 * them. One JSON file an instance, replaced by rename, so a reader sees an old or a new state and never half
 * of one; one that cannot be read costs no other instance anything. It is not synced to disk: a machine that
 * went down took every process in it along, and the boot id says so. */
#ifndef VGPU_DAEMON_STATE_H
#define VGPU_DAEMON_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/uuid.h"
#include "ledger/layout.h"

enum {
    STATE_VERSION = 2,
    STATE_NAME_MAX = 64,
    STATE_BOOT_ID_MAX = 40,
    STATE_CGROUP_MAX = 256,
    STATE_BYTES_MAX = 1 << 20
};

/* A process, named beyond reuse of its pid. */
struct state_process {
    int pid;
    uint64_t start_ticks;
};

/* Who a client is, by vgpud's own word: what the ledger says of it, tenants can write. */
struct state_client {
    struct state_process process; /* pid in vgpud's pid namespace; 0 when it is not visible there */
    uint32_t slot;        /* UINT32_MAX: none, the holder of a lease or a process of an orphaned instance */
    uint32_t generation;  /* of the slot */
    uint32_t kind;        /* enum control_client_kind */
    uint32_t image;       /* which program of the process; 0: unknown */
    uint32_t signal_line; /* LEDGER_NO_SLOT: none */
    char command[32];
};

struct state_device {
    uint8_t uuid[UUID_BYTES];
    uint64_t memory_limit_bytes, memory_capacity_bytes;
    uint32_t share_permille, weight; /* as asked; a share of 0: none */
    uint64_t time_slice_ns;          /* 0: not */
};

struct state_instance {
    char id[STATE_NAME_MAX], name[STATE_NAME_MAX];
    uid_t owner_uid;
    uint64_t created_ms; /* Unix time */
    uint64_t sequence;   /* of its making */
    bool overcommit;
    enum ledger_policy policy;
    enum ledger_priority priority;
    bool persistent;               /* made without a lease */
    char cgroup[STATE_CGROUP_MAX]; /* its processes are those in there (cgroup.h); "": unknown */
    struct state_process holder;   /* the `vgpu run` that has the lease; pid 0: none */
    unsigned n_devices;
    struct state_device devices[LEDGER_DEVICES_MAX];
    size_t n_clients;
    struct state_client
        *clients; /* owned by whoever filled the struct; state_done frees what state_decode made */
};

/* The document to save. NULL when out of memory. */
json_t *state_encode(const struct state_instance *instance, const char *boot_id);

/* Reads a document; all of it is checked. 0 and *ret_instance (release with state_done), or -EINVAL with err
 * filled. */
int state_decode(const json_t *document, struct state_instance *ret_instance,
                 char ret_boot_id[STATE_BOOT_ID_MAX], struct error *err);
void state_done(struct state_instance *instance);

/* Writes document to path by way of path.new; mode 0600. 0 or negative errno. */
int state_save(const char *path, const json_t *document);

/* Reads path. 0; -ENOENT when there is none; otherwise negative errno with err filled: not ours (another
 * owner, not a plain file), not JSON, or not a state of this version. */
int state_load(const char *path, struct state_instance *ret_instance, char ret_boot_id[STATE_BOOT_ID_MAX],
               struct error *err);

/* This boot's id from the kernel, or "" when it has none. */
void state_boot_id(char *buf, size_t buf_bytes);

#endif
