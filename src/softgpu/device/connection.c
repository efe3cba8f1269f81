/* Requests of clients; see connection.h. A client is not trusted: each message is checked, each number is
 * looked up in what this client holds, and one that sends faster than it reads is not read any further. */
#include "softgpu/device/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fdpass.h"
#include "softgpu/device/describe.h"

enum {
    MESSAGES_A_READ = 64,     /* before others get their turn */
    OPEN_ITEMS_MAX = 1 << 16, /* work of one client that has not been told of as ended */
};

struct context {
    struct context *next;
    struct timeline_context *timeline;
    uint32_t id, ordinal;
    uint64_t extra_bytes; /* charged for it beyond what every context costs */
};

struct connection {
    struct connection *next, *prev;
    struct host *host;
    int sock, pidfd;
    pid_t pid;
    uint64_t serial;
    uint32_t epoll_events;
    bool is_greeted, is_blocked;

    struct context *contexts;
    uint32_t contexts_made;

    /* Completions to send, a ring with room for every open item: telling of an end cannot fail. */
    struct protocol_ended *ended;
    uint32_t ended_capacity, ended_head, ended_count, open_items;

    /* At most one reply waits; nothing more is read before it has gone. */
    bool has_reply;
    struct protocol_answer reply;
    size_t reply_bytes;
    int reply_fd; /* -1, or one of the host's */

    struct device_share shares[];
};

/* ---- the host ---- */

static int page_open(struct host *host)
{
    int fd = memfd_create("softgpu-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return error_errno();
    host->page_fd = fd;
    if (ftruncate(fd, sizeof(*host->page)) < 0)
        return error_errno();
    host->page = mmap(NULL, sizeof(*host->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (host->page == MAP_FAILED) {
        host->page = NULL;
        return error_errno();
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
        return error_errno();
    return 0;
}

static void work_ended(void *owner, uint64_t ticket, int status, uint64_t start_ns, uint64_t end_ns)
{
    struct connection *c = owner;
    uint32_t at = (c->ended_head + c->ended_count++) & (c->ended_capacity - 1);

    c->ended[at] =
        (struct protocol_ended){.ticket = ticket, .status = status, .start_ns = start_ns, .end_ns = end_ns};
}

int host_init(struct host *host, const struct describe *describe, uint64_t now_ns)
{
    int r;

    *host = (struct host){.page_fd = -1, .fingerprint = describe_fingerprint(describe)};
    r = page_open(host);
    if (r < 0)
        return r;
    host->page->magic = PROTOCOL_MAGIC;
    host->page->version = PROTOCOL_VERSION;
    host->page->n_devices = describe->n_devices;
    while (host->n_devices < describe->n_devices) {
        unsigned ordinal = host->n_devices++;

        r = device_init(&host->devices[ordinal], &describe->devices[ordinal], host->page, ordinal, work_ended,
                        now_ns);
        if (r < 0)
            return r;
    }
    return 0;
}

void host_done(struct host *host)
{
    for (unsigned i = 0; i < host->n_devices; i++)
        device_done(&host->devices[i]);
    if (host->page)
        munmap(host->page, sizeof(*host->page));
    if (host->page_fd >= 0)
        close(host->page_fd);
}

/* ---- replies ---- */

static void reply_set(struct connection *c, uint64_t ticket, int status, uint64_t value)
{
    c->reply.head = (struct protocol_head){
        .magic = PROTOCOL_MAGIC, .version = PROTOCOL_VERSION, .kind = PROTOCOL_REPLY, .ticket = ticket};
    c->reply.status = status;
    c->reply.count = 0;
    c->reply.value = value;
    c->reply_bytes = PROTOCOL_ANSWER_HEAD_BYTES;
    c->reply_fd = -1;
    c->has_reply = true;
}

static struct context **context_find(struct connection *c, uint32_t id)
{
    struct context **at = &c->contexts;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* ---- requests: 0, with a reply set or not, or -EPROTO ---- */

static int request_hello(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    struct host *host = c->host;
    int status = 0;

    if (q->hello.fingerprint != host->fingerprint) {
        if (!host->n_greeted) {
            host->must_restart = true;
            status = PROTOCOL_RESTARTING;
        } else if (q->hello.is_explicit) {
            status = PROTOCOL_OTHER_DEVICES;
        }
    }
    reply_set(c, q->head.ticket, status, host->n_devices);
    if (status == 0) {
        c->is_greeted = true;
        host->n_greeted++;
        c->reply_fd = host->page_fd;
    }
    return 0;
}

static int request_arena(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    reply_set(c, q->head.ticket, 0, 0);
    c->reply_fd = c->host->devices[q->ordinal].arena_fd;
    return 0;
}

static int request_segment_alloc(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    uint64_t offset_bytes = 0;
    int status =
        device_segment_alloc(&c->host->devices[q->ordinal], &c->shares[q->ordinal], q->bytes, &offset_bytes);

    reply_set(c, q->head.ticket, status, offset_bytes);
    return 0;
}

static int request_segment_free(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    int status = device_segment_free(&c->host->devices[q->ordinal], &c->shares[q->ordinal], q->offset_bytes);

    reply_set(c, q->head.ticket, status, 0);
    return 0;
}

static int request_segment_export(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    uint8_t token[SGDEV_TOKEN_BYTES] = {0};
    int status =
        device_segment_export(&c->host->devices[q->ordinal], &c->shares[q->ordinal], q->offset_bytes, token);

    reply_set(c, q->head.ticket, status, 0);
    memcpy(c->reply.token, token, sizeof(token));
    c->reply_bytes += sizeof(c->reply.token);
    return 0;
}

static int request_segment_import(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    uint64_t offset_bytes = 0, bytes = 0;
    int status = device_segment_import(&c->host->devices[q->ordinal], &c->shares[q->ordinal], q->token,
                                       &offset_bytes, &bytes);

    reply_set(c, q->head.ticket, status, offset_bytes);
    c->reply.bytes = bytes;
    c->reply_bytes += sizeof(c->reply.bytes);
    return 0;
}

static int request_context_open(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    struct context *context = calloc(1, sizeof(*context));
    int status = -ENOMEM;

    if (context)
        status =
            device_context_open(&c->host->devices[q->ordinal], &c->shares[q->ordinal], c, &context->timeline);
    if (status < 0) {
        free(context);
        reply_set(c, q->head.ticket, status, 0);
        return 0;
    }
    do
        context->id = ++c->contexts_made;
    while (!context->id || *context_find(c, context->id));
    context->ordinal = q->ordinal;
    context->next = c->contexts;
    c->contexts = context;
    reply_set(c, q->head.ticket, 0, context->id);
    return 0;
}

static void context_close(struct connection *c, struct context **at, bool tell, uint64_t now_ns)
{
    struct context *context = *at;
    struct device *device = &c->host->devices[context->ordinal];

    device_advance(device, now_ns);
    device_context_resize(device, &c->shares[context->ordinal], context->extra_bytes, 0);
    device_context_close(device, &c->shares[context->ordinal], context->timeline, tell);
    *at = context->next;
    free(context);
}

static int request_context_close(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    struct context **at = context_find(c, q->context);

    if (!*at) {
        reply_set(c, q->head.ticket, -EINVAL, 0);
        return 0;
    }
    context_close(c, at, true, now_ns);
    reply_set(c, q->head.ticket, 0, 0);
    return 0;
}

static int request_context_resize(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    struct context *context = *context_find(c, q->context);
    int status = -EINVAL;

    if (context)
        status = device_context_resize(&c->host->devices[context->ordinal], &c->shares[context->ordinal],
                                       context->extra_bytes, q->bytes);
    if (status == 0)
        context->extra_bytes = q->bytes;
    reply_set(c, q->head.ticket, status, 0);
    return 0;
}

/* Room for one more completion. */
static int ended_grow(struct connection *c)
{
    uint32_t capacity = c->ended_capacity ? c->ended_capacity * 2 : 64;
    struct protocol_ended *ended;

    if (c->open_items < c->ended_capacity)
        return 0;
    ended = calloc(capacity, sizeof(*ended));
    if (!ended)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->ended_count; i++)
        ended[i] = c->ended[(c->ended_head + i) & (c->ended_capacity - 1)];
    free(c->ended);
    c->ended = ended;
    c->ended_capacity = capacity;
    c->ended_head = 0;
    return 0;
}

static int request_submit(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    struct sgdev_work work = {
        .ready_ns = q->work.ready_ns,
        .duration_ns = q->work.duration_ns,
        .sm_permille = q->work.sm_permille,
    };
    struct context *context = *context_find(c, q->context);
    int status = -EINVAL;

    /* Without room for its completion the client could not even be told of the failure. */
    if (ended_grow(c) < 0)
        return -EPROTO;
    c->open_items++;
    if (context && q->work.engine <= SGDEV_ENGINE_COPY) {
        work.engine = (enum sgdev_engine)q->work.engine;
        status = timeline_submit(context->timeline, &work, q->head.ticket, now_ns);
    }
    if (status < 0)
        work_ended(c, q->head.ticket, status, 0, 0);
    else if (c->host->devices[context->ordinal].properties.time_mode == SGDEV_TIME_VIRTUAL)
        device_advance(&c->host->devices[context->ordinal], now_ns);
    return 0;
}

static int request_account(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    device_advance(&c->host->devices[q->ordinal], now_ns);
    reply_set(c, q->head.ticket, 0, 0);
    device_account(&c->host->devices[q->ordinal], now_ns, &c->reply.account);
    c->reply_bytes += sizeof(c->reply.account);
    return 0;
}

static int request_history(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    reply_set(c, q->head.ticket, q->engine > SGDEV_ENGINE_COPY ? -EINVAL : 0, 0);
    if (c->reply.status < 0)
        return 0;
    device_advance(&c->host->devices[q->ordinal], now_ns);
    device_history(&c->host->devices[q->ordinal], (enum sgdev_engine)q->engine, now_ns, &c->reply.history);
    c->reply_bytes += sizeof(c->reply.history);
    return 0;
}

static int request_processes(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    const struct device *device = &c->host->devices[q->ordinal];
    const struct connection *other;

    device_advance(&c->host->devices[q->ordinal], now_ns);
    reply_set(c, q->head.ticket, 0, 0);
    for (other = c->host->first; other; other = other->next) {
        const struct device_share *share = &other->shares[q->ordinal];

        if (other->serial <= q->after_serial || !share->n_contexts)
            continue;
        if (c->reply.count == PROTOCOL_ROWS_MAX)
            break;
        device_process(device, share, other->pid, now_ns, &c->reply.rows[c->reply.count++]);
        c->reply.value = other->serial;
    }
    if (!other)
        c->reply.value = 0;
    c->reply_bytes += c->reply.count * sizeof(c->reply.rows[0]);
    return 0;
}

static int request_goodbye(struct connection *c, const struct protocol_request *q, uint64_t now_ns)
{
    return -EPIPE;
}

static const struct {
    int (*handle)(struct connection *c, const struct protocol_request *q, uint64_t now_ns);
    bool has_ordinal;
} requests[PROTOCOL_REQUEST_KINDS] = {
    [PROTOCOL_HELLO] = {request_hello, false},
    [PROTOCOL_ARENA] = {request_arena, true},
    [PROTOCOL_SEGMENT_ALLOC] = {request_segment_alloc, true},
    [PROTOCOL_SEGMENT_FREE] = {request_segment_free, true},
    [PROTOCOL_SEGMENT_EXPORT] = {request_segment_export, true},
    [PROTOCOL_SEGMENT_IMPORT] = {request_segment_import, true},
    [PROTOCOL_CONTEXT_OPEN] = {request_context_open, true},
    [PROTOCOL_CONTEXT_CLOSE] = {request_context_close, false},
    [PROTOCOL_CONTEXT_RESIZE] = {request_context_resize, false},
    [PROTOCOL_SUBMIT] = {request_submit, false},
    [PROTOCOL_ACCOUNT] = {request_account, true},
    [PROTOCOL_HISTORY] = {request_history, true},
    [PROTOCOL_PROCESSES] = {request_processes, true},
    [PROTOCOL_GOODBYE] = {request_goodbye, false},
};

static int request_handle(struct connection *c, const struct protocol_request *q, size_t bytes,
                          uint64_t now_ns)
{
    unsigned kind;

    if (bytes != sizeof(*q) || q->head.magic != PROTOCOL_MAGIC)
        return -EPROTO;
    kind = q->head.kind;
    if (q->head.version != PROTOCOL_VERSION) {
        /* The head is the same in every version: so the client can be told. */
        reply_set(c, q->head.ticket, -EPROTONOSUPPORT, PROTOCOL_VERSION);
        return 0;
    }
    if (kind == PROTOCOL_NONE || kind >= PROTOCOL_REQUEST_KINDS || (kind == PROTOCOL_HELLO) == c->is_greeted)
        return -EPROTO;
    if (requests[kind].has_ordinal && q->ordinal >= c->host->n_devices) {
        reply_set(c, q->head.ticket, -EINVAL, 0);
        return 0;
    }
    return requests[kind].handle(c, q, now_ns);
}

/* ---- connection.h ---- */

int connection_new(struct host *host, int sock, struct connection **ret_connection)
{
    struct connection *c = calloc(1, sizeof(*c) + host->n_devices * sizeof(c->shares[0]));
    struct fdpass_peer peer;
    int r = c ? fdpass_peer(sock, &peer) : -ENOMEM;

    if (r == 0 && peer.uid != geteuid() && peer.uid != 0)
        r = -EPERM;
    if (r == 0)
        r = c->pidfd = fdpass_peer_pidfd(sock);
    if (r < 0) {
        close(sock);
        free(c);
        return r;
    }
    c->host = host;
    c->sock = sock;
    c->pid = peer.pid;
    c->serial = ++host->serials;
    c->prev = host->last;
    if (host->last)
        host->last->next = c;
    else
        host->first = c;
    host->last = c;
    host->n_connections++;
    *ret_connection = c;
    return 0;
}

void connection_free(struct connection *c, uint64_t now_ns)
{
    struct host *host = c->host;

    while (c->contexts)
        context_close(c, &c->contexts, false, now_ns);
    for (unsigned i = 0; i < host->n_devices; i++)
        device_share_done(&host->devices[i], &c->shares[i]);
    if (c->prev)
        c->prev->next = c->next;
    else
        host->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        host->last = c->prev;
    host->n_connections--;
    host->n_greeted -= c->is_greeted;
    close(c->sock);
    close(c->pidfd);
    free(c->ended);
    free(c);
}

int connection_read(struct connection *c, uint64_t now_ns)
{
    for (int i = 0; i < MESSAGES_A_READ && connection_wants_read(c); i++) {
        struct protocol_request q;
        ssize_t n = recv(c->sock, &q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC);
        int r;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            return -EPIPE;
        r = request_handle(c, &q, (size_t)n, now_ns);
        if (r == 0 && c->has_reply)
            r = connection_flush(c);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sends one message; is_blocked tells that it must wait. */
static int connection_send(struct connection *c, const void *message, size_t bytes, int fd)
{
    ssize_t n;

    /* The socket of the daemon does not block (O_NONBLOCK), so this does not either. */
    n = fdpass_send(c->sock, message, bytes, &fd, fd >= 0 ? 1 : 0);
    c->is_blocked = n == -EAGAIN || n == -ENOBUFS || n == -ENOMEM;
    return n >= 0 || c->is_blocked ? 0 : -EPIPE;
}

static int connection_flush_ended(struct connection *c)
{
    struct protocol_answer message = {
        .head = {.magic = PROTOCOL_MAGIC, .version = PROTOCOL_VERSION, .kind = PROTOCOL_ENDED},
    };
    int r;

    while (message.count < PROTOCOL_ENDED_MAX && message.count < c->ended_count) {
        message.ended[message.count] = c->ended[(c->ended_head + message.count) & (c->ended_capacity - 1)];
        message.count++;
    }
    r = connection_send(c, &message, PROTOCOL_ANSWER_HEAD_BYTES + message.count * sizeof(message.ended[0]),
                        -1);
    if (r == 0 && !c->is_blocked) {
        c->ended_head = (c->ended_head + message.count) & (c->ended_capacity - 1);
        c->ended_count -= message.count;
        c->open_items -= message.count;
    }
    return r;
}

int connection_flush(struct connection *c)
{
    int r = 0;

    c->is_blocked = false;
    if (c->has_reply) {
        r = connection_send(c, &c->reply, c->reply_bytes, c->reply_fd);
        c->has_reply = c->is_blocked;
    }
    while (r == 0 && !c->is_blocked && c->ended_count)
        r = connection_flush_ended(c);
    return r;
}

bool connection_wants_read(const struct connection *c)
{
    return !c->has_reply && c->open_items < OPEN_ITEMS_MAX;
}

bool connection_wants_write(const struct connection *c)
{
    return c->has_reply || c->ended_count;
}

int connection_sock(const struct connection *c)
{
    return c->sock;
}

int connection_pidfd(const struct connection *c)
{
    return c->pidfd;
}

pid_t connection_pid(const struct connection *c)
{
    return c->pid;
}

struct connection *connection_next(const struct connection *c)
{
    return c->next;
}

uint32_t *connection_epoll_events(struct connection *c)
{
    return &c->epoll_events;
}
