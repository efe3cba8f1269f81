/* What vgpud and its keeper (vgpu-keeper) say to each other: fixed messages over one SOCK_SEQPACKET
 * connection. The keeper is a program of its own that holds the descriptors of accounts, so that they outlive
 * vgpud: what it is given under a name it gives back to the next vgpud of the same directory. It serves one
 * vgpud at a time: the one that started it, by a socket pair, and when that has ended whoever of the same
 * user connects first to KEEPER_SOCKET in the runtime directory. */
#ifndef VGPU_DAEMON_KEEPER_H
#define VGPU_DAEMON_KEEPER_H

#include <stdint.h>

#define KEEPER_MAGIC   UINT32_C(0x504b4756) /* "VGKP" */
#define KEEPER_SOCKET  "kept.sock"
#define KEEPER_SIGNALS "signals" /* the name of the signals area, for which alone no keeper stays */

enum {
    KEEPER_NAME_MAX = 64,
    KEEPER_DESCRIPTORS = 2, /* of a name, at most */
    KEEPER_ROWS_MAX = 1100, /* all instances and the signals */
    KEEPER_FD = 3,          /* the keeper's end of the socket pair */
};

enum keeper_type {
    KEEPER_KEEP = 1, /* to the keeper, with descriptors: keeps them in place of what it had under the name */
    KEEPER_DROP = 2, /* to the keeper: lets go of a name */
    KEEPER_LIST =
        3, /* to the keeper: answered KEEPER_KEPT, with descriptors, for each name, then KEEPER_END */
    KEEPER_KEPT = 4,
    KEEPER_END = 5,
};

struct keeper_message {
    uint32_t magic, type;
    uint32_t owner_uid; /* of the instance; the keeper only keeps it */
    uint32_t reserved;
    char name[KEEPER_NAME_MAX]; /* id of an instance, or "signals"; NUL-terminated */
};

#endif
