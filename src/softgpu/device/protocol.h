/* What goes over the socket between softgpud and its clients, and the page they all read. Both are private to
 * this room: both sides come from one build, and a different version is refused at the first message. One
 * SOCK_SEQPACKET message is one struct; the receiver believes nothing before it has checked size, magic,
 * version and kind. */
#ifndef VGPU_SOFTGPU_DEVICE_PROTOCOL_H
#define VGPU_SOFTGPU_DEVICE_PROTOCOL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/device/client.h"

enum {
    PROTOCOL_MAGIC = 0x75706773,
    PROTOCOL_VERSION = 3,
    PROTOCOL_ENDED_MAX = 128,        /* completions in a message */
    PROTOCOL_ROWS_MAX = 64,          /* process rows in a message */
    PROTOCOL_USED_HISTORY_MAX = 1024 /* latest values of a device's used bytes in the page */
};

/* Names of the files in the directory of a device process. */
#define PROTOCOL_SOCKET_NAME "softgpud.sock"
#define PROTOCOL_LOCK_NAME   "softgpud.lock"
#define PROTOCOL_START_NAME  "start.lock"
#define PROTOCOL_LOG_NAME    "softgpud.log"

/*  X(name): requests of a client. HELLO is the first one; SUBMIT is answered by its completion; GOODBYE by
 * nothing. */
#define PROTOCOL_REQUESTS(X)                                                                                 \
    X(HELLO)                                                                                                 \
    X(ARENA)                                                                                                 \
    X(SEGMENT_ALLOC)                                                                                         \
    X(SEGMENT_FREE)                                                                                          \
    X(SEGMENT_EXPORT) X(SEGMENT_IMPORT) X(CONTEXT_OPEN) X(CONTEXT_CLOSE) X(CONTEXT_RESIZE) X(SUBMIT)         \
        X(ACCOUNT) X(HISTORY) X(PROCESSES) X(GOODBYE)

enum protocol_kind {
    PROTOCOL_NONE,
#define PROTOCOL_KIND(name) PROTOCOL_##name,
    PROTOCOL_REQUESTS(PROTOCOL_KIND)
#undef PROTOCOL_KIND
        PROTOCOL_REQUEST_KINDS,
    PROTOCOL_REPLY = 100, /* to the request with this ticket */
    PROTOCOL_ENDED        /* completions */
};

struct protocol_head {
    uint32_t magic;
    uint16_t version, kind;
    uint64_t ticket; /* chosen by the client; names the reply or the completion */
};

struct protocol_request {
    struct protocol_head head;
    uint32_t ordinal;
    uint32_t context;
    union {
        struct {
            uint64_t fingerprint; /* describe_fingerprint of the client's description */
            uint32_t is_explicit; /* the client has a description of its own and will not take another */
            uint32_t unused;
        } hello;
        uint64_t bytes;                   /* SEGMENT_ALLOC; CONTEXT_RESIZE: beyond context_bytes */
        uint64_t offset_bytes;            /* SEGMENT_FREE, SEGMENT_EXPORT */
        uint8_t token[SGDEV_TOKEN_BYTES]; /* SEGMENT_IMPORT */
        uint64_t engine;                  /* HISTORY */
        uint64_t after_serial;            /* PROCESSES: rows of connections behind this one */
        struct {
            uint64_t ready_ns, duration_ns;
            uint32_t engine, sm_permille;
        } work;
    };
};

struct protocol_ended {
    uint64_t ticket;
    int64_t status; /* 0 or negative errno */
    uint64_t start_ns, end_ns;
};

struct protocol_answer {
    struct protocol_head head;
    int32_t status; /* REPLY: 0 or negative errno */
    uint32_t count; /* ENDED: completions; PROCESSES: rows */
    uint64_t value; /* offset, context, or the serial to go on with (0: no more rows) */
    union {
        struct sgdev_account account;
        uint8_t token[SGDEV_TOKEN_BYTES]; /* SEGMENT_EXPORT */
        uint64_t bytes;                   /* SEGMENT_IMPORT; the offset is `value` */
        struct sgdev_history history;
        struct sgdev_process rows[PROTOCOL_ROWS_MAX];
        struct protocol_ended ended[PROTOCOL_ENDED_MAX];
    };
};

#define PROTOCOL_ANSWER_HEAD_BYTES offsetof(struct protocol_answer, account)

/* HELLO statuses with a meaning of their own: the devices are others and in use; they are others, nobody uses
 * them, and softgpud is about to end so that it can be started anew. */
enum { PROTOCOL_OTHER_DEVICES = -EBUSY, PROTOCOL_RESTARTING = -EAGAIN };

/* The page: a memfd that only softgpud can write. HELLO's reply carries it. */
struct protocol_page {
    uint32_t magic;
    uint32_t version;
    uint32_t n_devices;
    uint32_t unused;
    struct {
        _Alignas(64) uint64_t
            used_bytes; /* relaxed atomics; up to date before the reply that changed them is sent */
        uint64_t virtual_now_ns;
        struct sgdev_properties properties;
        uint64_t used_peak_bytes; /* highest used_bytes ever */
        uint64_t used_changes;    /* of used_bytes so far; its value after change n is in [n % MAX] below */
        uint64_t used_history_bytes[PROTOCOL_USED_HISTORY_MAX];
    } devices[SGDEV_DEVICES_MAX];
};

#endif
