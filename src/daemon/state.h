/* What vgpud remembers across its own crash: which instances it had handed out and which processes were in
 * them. A JSON file in the runtime directory, replaced by rename, so a reader sees an old or a new state and
 * never half of one. It is not synced to disk: a machine that went down took every process in it along, and
 * the boot id says so. */
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

enum { STATE_VERSION = 1, STATE_NAME_MAX = 64, STATE_BYTES_MAX = 8 << 20 };

/* A process, named beyond reuse of its pid. */
struct state_process {
    int pid;
    uint64_t start_ticks;
};

struct state_device {
    uint8_t uuid[UUID_BYTES];
    uint64_t memory_limit_bytes, memory_capacity_bytes;
};

struct state_instance {
    char id[STATE_NAME_MAX], name[STATE_NAME_MAX];
    uid_t owner_uid;
    uint64_t created_ms; /* Unix time */
    bool overcommit;
    struct state_process holder; /* the `vgpu run` that has the lease; pid 0: none */
    unsigned n_devices;
    struct state_device devices[LEDGER_DEVICES_MAX];
    size_t n_clients;
    struct state_process
        *clients; /* owned by whoever filled the struct; state_free frees what state_decode made */
};

struct state {
    char boot_id[40];
    size_t n_instances;
    struct state_instance *instances;
};

/* The document to save. NULL when out of memory. */
json_t *state_encode(const struct state *state);

/* Reads a document; all of it is checked. 0 and *ret_state (release with state_free), or -EINVAL with err
 * filled. */
int state_decode(const json_t *document, struct state *ret_state, struct error *err);
void state_free(struct state *state);

/* Writes document to path by way of path.new; mode 0600. 0 or negative errno. */
int state_save(const char *path, const json_t *document);

/* Reads path. 0; -ENOENT when there is none; otherwise negative errno with err filled: not ours (another
 * owner, not a plain file), not JSON, or not a state of this version. */
int state_load(const char *path, struct state *ret_state, struct error *err);

/* This boot's id from the kernel, or "" when it has none. */
void state_boot_id(char *buf, size_t buf_bytes);

#endif
