/* The control socket of vgpud: one SOCK_SEQPACKET message is one request or one answer.
 *
 * A message is struct control_header, then `bytes` bytes: UTF-8 JSON text for what people and tools ask (CONTROL_JSON), or
 * one of the fixed structs below for what a tenant's library asks (it has no JSON reader). Versions: a peer whose major
 * differs is answered CONTROL_ERROR with a text that names both; a higher minor only adds fields at the end and types.
 * What arrives is hostile until checked: control_check first. */
#ifndef VGPU_WIRE_CONTROL_H
#define VGPU_WIRE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#define CONTROL_MAGIC UINT32_C(0x55504756) /* "VGPU" */
enum { CONTROL_MAJOR = 1, CONTROL_MINOR = 2, CONTROL_MESSAGE_MAX = 1 << 18, CONTROL_INSTANCE_MAX = 64 };

enum control_type {
    CONTROL_JSON = 1,     /* request or answer as JSON */
    CONTROL_ERROR = 2,    /* answer: text for a person, struct control_error_body */
    CONTROL_ATTACH = 3,   /* struct control_attach -> struct control_attached + descriptors: limits, ledger; since 1.2: signals */
    CONTROL_ATTACHED = 4,
    CONTROL_REAP = 5,     /* since 1.1: struct control_reap -> struct control_reaped */
    CONTROL_REAPED = 6,
    CONTROL_REJOIN = 7,   /* since 1.2: struct control_rejoin -> struct control_attached, as for an attach */
};

struct control_header {
    uint32_t magic;
    uint16_t major, minor;
    uint16_t type;       /* enum control_type */
    uint16_t reserved;   /* 0 */
    uint32_t bytes;      /* that follow */
};

struct control_error_body {
    int32_t code;        /* negative errno */
    char text[480];      /* NUL-terminated */
};

enum control_client_kind { CONTROL_CLIENT_PROCESS = 0, CONTROL_CLIENT_WORKER = 1, CONTROL_CLIENT_VM = 2, CONTROL_CLIENT_REMOTE = 3,
                           CONTROL_CLIENT_OBSERVER = 4 /* reads figures only: gets no slot */ };

/* A process of instance `instance` (id or name) asks for its slot. The peer's credentials must be the instance owner's (or root's).
 * image tells programs apart that one process runs one after the other: after execve the pid and start time are the same, but the
 * GPU memory of the program before is gone. So a pid that attaches with another image than its live slot has: reap that slot first. */
struct control_attach {
    char instance[CONTROL_INSTANCE_MAX];
    uint32_t kind;       /* enum control_client_kind */
    uint32_t image;      /* drawn anew by the kernel at each execve (AT_RANDOM); 0: unknown */
};

struct control_attached {
    uint32_t slot;            /* index in the ledger; UINT32_MAX for an observer */
    uint32_t slot_generation; /* of that slot */
    uint64_t limits_bytes, ledger_bytes; /* sizes to map */
    char instance[CONTROL_INSTANCE_MAX]; /* the id */
    uint64_t signals_bytes;   /* since 1.2; 0: no third descriptor */
};
enum { CONTROL_ATTACHED_1_0_BYTES = offsetof(struct control_attached, signals_bytes) };

/* vgpud was restarted: a process that has a slot asks for the areas as they are now, and keeps slot and ledger. Refused: -ENOENT, this vgpud
 * does not know the instance; -ESTALE, it lost the account; -EPERM, the slot is not the peer's. */
struct control_rejoin {
    char instance[CONTROL_INSTANCE_MAX]; /* id or name */
    uint32_t slot, slot_generation;
    uint32_t image;           /* as in control_attach */
    uint32_t reserved;        /* 0 */
};

/* Before memory is refused: takes back now what dead processes of the instance hold. Answered when that is done, within 50 ms; a
 * process that has begun to exit is waited for that long, since the device may have its memory back before its end can be seen.
 * Credentials as for an attach. */
struct control_reap {
    char instance[CONTROL_INSTANCE_MAX]; /* id or name */
};

struct control_reaped {
    uint32_t reaped;     /* slots taken back since the request came */
    uint32_t reserved;   /* 0 */
};

/* Checks a received message of bytes bytes: magic, major, length. 0, -EBADMSG, or -EPROTO for another major version. */
int control_check(const void *message, size_t bytes, struct control_header *ret_header);

/* Sends header and body as one message. 0 or negative errno. */
int control_send(int sock, enum control_type type, const void *body, size_t body_bytes, const int *fds, int n_fds);

/* Connects to vgpud's socket at path. Descriptor (close-on-exec, blocking) or negative errno. */
int control_connect(const char *path);
/* The same, where connecting and later each sending and receiving wait wait_ms at most (-EAGAIN then). */
int control_connect_within(const char *path, unsigned wait_ms);

#endif
