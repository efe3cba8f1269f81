/* Connections of the control socket; see server.h. Each has one poll handle; output that does not fit the
 * socket waits in a short queue. A connection is never closed inside the code that answers on it: it is
 * marked, and the loop closes it. */
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/attach.h"
#include "daemon/daemon.h"
#include "daemon/grant.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/request.h"
#include "daemon/say.h"

/* A message that its receiver has no room for yet. Descriptors are duplicates. */
struct conn_output {
    struct conn_output *next;
    enum control_type type;
    size_t bytes;
    int n_fds, fds[FDPASS_MAX];
    unsigned char body[];
};

/* Made beforehand, and small enough to be sent without an allocation. */
static const struct control_error_body no_memory = {
    .code = -ENOMEM,
    .text = "vgpud is out of memory and cannot answer; what was asked for may have been done"};

static void conn_poll(struct conn *conn);

static void output_free(struct conn_output *output)
{
    for (int i = 0; i < output->n_fds; i++)
        close(output->fds[i]);
    free(output);
}

static void output_drop_all(struct conn *conn)
{
    while (conn->output) {
        struct conn_output *output = conn->output;

        conn->output = output->next;
        output_free(output);
    }
    conn->output_tail = &conn->output;
    conn->n_output = 0;
}

static void conn_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;

    close(conn->fd);
    free(conn);
}

static void conn_close(struct conn *conn)
{
    struct server *server = &conn->daemon->server;

    if (conn->closing)
        return;
    conn->closing = true;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        server->connections = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    server->n_connections--;
    conn->daemon->idle_since_ns = clock_monotonic_ns();
    output_drop_all(conn);
    json_decref(conn->parked);
    conn->parked = NULL;
    grant_forget(conn->daemon, conn);
    sweep_forget(conn->daemon, conn);
    uv_close((uv_handle_t *)&conn->watch, conn_closed);
    instance_conn_ended(conn->daemon, conn);
    grant_serve(conn->daemon); /* this one may have stood before others */
    server_resume(server);
}

/* ---- output ---- */

/* Keeps a message for when the socket has room. False when the peer has let too many lie. */
static bool output_keep(struct conn *conn, enum control_type type, const void *body, size_t bytes,
                        const int *fds, int n_fds)
{
    struct conn_output *output = conn->n_output < SERVER_OUTPUT_MAX ? malloc(sizeof(*output) + bytes) : NULL;

    if (!output)
        return false;
    *output = (struct conn_output){.type = type, .bytes = bytes, .n_fds = n_fds};
    memcpy(output->body, body, bytes);
    for (int i = 0; i < n_fds; i++)
        output->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
    *conn->output_tail = output;
    conn->output_tail = &output->next;
    conn->n_output++;
    return true;
}

/* -ENOMEM: nothing was sent, and something smaller may be. */
static int conn_send(struct conn *conn, enum control_type type, const void *body, size_t bytes,
                     const int *fds, int n_fds)
{
    int r;

    if (conn->closing || conn->ending)
        return 0;
    r = conn->output ? -EAGAIN : control_send(conn->fd, type, body, bytes, fds, n_fds);
    if (r == -EAGAIN && output_keep(conn, type, body, bytes, fds, n_fds))
        r = 0;
    if (r < 0 && r != -ENOMEM)
        conn->ending = true; /* gone, or does not read */
    conn_poll(conn);
    return r;
}

static void conn_flush(struct conn *conn)
{
    while (conn->output) {
        struct conn_output *output = conn->output;
        int r = control_send(conn->fd, output->type, output->body, output->bytes, output->fds, output->n_fds);

        if (r == -EAGAIN)
            return;
        if (r < 0) {
            conn->ending = true;
            output_drop_all(conn);
            return;
        }
        conn->output = output->next;
        if (!conn->output)
            conn->output_tail = &conn->output;
        conn->n_output--;
        output_free(output);
    }
}

/* Takes over the reference. -ENOMEM: memory ran out since the request came, or does now, and nothing was
 * sent. */
static int send_json(struct conn *conn, json_t *json)
{
    CLEANUP_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    struct error err;

    json_decref(json);
    if (!text || memory_failed())
        return -ENOMEM;
    if (strlen(text) <= CONTROL_MESSAGE_MAX - sizeof(struct control_header))
        return conn_send(conn, CONTROL_JSON, text, strlen(text), NULL, 0);
    error_fail(&err, -EMSGSIZE, "the answer does not fit one message");
    conn_answer_error(conn, &err);
    return 0;
}

int conn_try_answer(struct conn *conn, json_t *answer)
{
    bool was_busy = conn->busy;
    int r;

    if (answer)
        json_object_set_new(answer, "ok", json_true());
    conn->busy = false;
    r = send_json(conn, answer);
    if (r < 0)
        conn->busy = was_busy;
    return r;
}

void conn_answer(struct conn *conn, json_t *answer)
{
    if (conn_try_answer(conn, answer) == 0)
        return;
    conn->busy = false;
    conn_send(conn, CONTROL_ERROR, &no_memory, sizeof(no_memory), NULL, 0);
}

/* An event is no answer, so one that could not be made is left out: what it tells can be asked for, too. */
void conn_event(struct conn *conn, json_t *event)
{
    send_json(conn, event);
}

void conn_answer_error(struct conn *conn, const struct error *err)
{
    struct control_error_body body = {.code = err->code};

    _Static_assert(sizeof(body.text) >= ERROR_TEXT_MAX, "an error's text fits the message");
    strcpy(body.text, err->text);
    conn->busy = false;
    conn_send(conn, CONTROL_ERROR, &body, sizeof(body), NULL, 0);
}

void conn_answer_attached(struct conn *conn, const struct control_attached *attached, const int *fds,
                          int n_fds)
{
    conn->busy = false;
    conn_send(conn, CONTROL_ATTACHED, attached, sizeof(*attached), fds, n_fds);
}

void conn_answer_reaped(struct conn *conn, const struct control_reaped *reaped)
{
    conn->busy = false;
    conn_send(conn, CONTROL_REAPED, reaped, sizeof(*reaped), NULL, 0);
}

/* ---- input ---- */

/* A peer that does not speak our protocol is told so, once, and let go. */
static void conn_refuse(struct conn *conn, const struct control_header *header, int code)
{
    struct error err;

    if (code == -EPROTO)
        error_fail(
            &err, code,
            "this vgpud speaks version %d.%d of the control protocol, the request is of version %u.%u; "
            "use programs of one release, or end this vgpud so that the next command starts its own",
            CONTROL_MAJOR, CONTROL_MINOR, header->major, header->minor);
    else
        error_fail(&err, code, "this is not a message of vgpu's control protocol");
    conn_answer_error(conn, &err);
    conn->ending = true;
}

static void conn_dispatch(struct conn *conn, unsigned char *message, size_t bytes)
{
    struct control_header header = {0};
    int r = control_check(message, bytes, &header);

    if (r < 0) {
        if (bytes >= sizeof(header))
            memcpy(&header, message, sizeof(header));
        conn_refuse(conn, &header, r);
        return;
    }
    conn->busy = true;
    conn->minor = header.minor;
    memory_set_failed(false);
    switch (header.type) {
    case CONTROL_JSON:
        request_receive(conn, (const char *)message + sizeof(header), header.bytes);
        break;
    case CONTROL_ATTACH:
        attach_receive(conn, message + sizeof(header), header.bytes);
        break;
    case CONTROL_REJOIN:
        attach_receive_rejoin(conn, message + sizeof(header), header.bytes);
        break;
    case CONTROL_REAP:
        sweep_receive(conn, message + sizeof(header), header.bytes);
        break;
    default: {
        struct error err;

        error_fail(&err, -EOPNOTSUPP, "this vgpud has no request of type %u", header.type);
        conn_answer_error(conn, &err);
    }
    }
}

/* Reads one message; the next one waits for its turn in the loop, so that nobody keeps the daemon to himself.
 */
static void conn_read(struct conn *conn)
{
    static unsigned char message[CONTROL_MESSAGE_MAX]; /* one thread; valid until the next read */
    int n_fds = 0;
    ssize_t n = fdpass_recv(conn->fd, message, sizeof(message), NULL, &n_fds, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return;
    if (n == -EMSGSIZE)
        conn_refuse(conn, NULL, -EBADMSG);
    else if (n <= 0)
        conn_close(conn);
    else
        conn_dispatch(conn, message, (size_t)n);
}

static void conn_ready(uv_poll_t *watch, int status, int events)
{
    struct conn *conn = watch->data;

    if (status < 0) {
        conn_close(conn);
        return;
    }
    if (events & UV_WRITABLE)
        conn_flush(conn);
    if (!conn->ending && !conn->busy && (events & UV_READABLE))
        conn_read(conn);
    else if (events & UV_DISCONNECT)
        conn->ending = true;
    if (conn->closing)
        return;
    if (conn->ending && (!conn->output || (events & UV_DISCONNECT)))
        conn_close(conn);
    else
        conn_poll(conn);
}

/* Waits for what matters now: requests while none is worked on, room while output waits, and always the
 * peer's end. */
static void conn_poll(struct conn *conn)
{
    int events = UV_DISCONNECT;

    if (conn->closing)
        return;
    if (!conn->busy && !conn->ending)
        events |= UV_READABLE;
    if (conn->output || conn->ending) /* an ending one is closed from the loop */
        events |= UV_WRITABLE;
    uv_poll_start(&conn->watch, events, conn_ready);
}

/* ---- accepting ---- */

int server_check_descriptor(int fd, struct error *err)
{
    struct rlimit limit;

    /* The kernel gives the lowest free number, so this one says how many are taken. */
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || (rlim_t)fd + SERVER_DESCRIPTORS_SPARE < limit.rlim_cur)
        return 0;
    return error_fail(err, -EMFILE,
                      "vgpud has too few descriptors left for another process or instance (%llu are all it "
                      "may have); end some, "
                      "or start vgpud with a higher hard limit (ulimit -Hn)",
                      (unsigned long long)limit.rlim_cur);
}

static unsigned connections_of(const struct server *server, uid_t uid)
{
    unsigned n = 0;

    for (const struct conn *c = server->connections; c; c = c->next)
        n += c->peer.uid == uid;
    return n;
}

static struct conn *conn_new(struct server *server, int fd)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    if (!conn || fdpass_peer(fd, &conn->peer) < 0 ||
        uv_poll_init(&server->daemon->loop, &conn->watch, fd) < 0) {
        control_send(fd, CONTROL_ERROR, &no_memory, sizeof(no_memory), NULL, 0);
        free(conn);
        close(fd);
        return NULL;
    }
    conn->daemon = server->daemon;
    conn->fd = fd;
    conn->watch.data = conn;
    conn->output_tail = &conn->output;
    conn->next = server->connections;
    if (conn->next)
        conn->next->prev = conn;
    server->connections = conn;
    server->n_connections++;
    return conn;
}

static void server_welcome(struct server *server, int fd)
{
    int send_bytes = 2 * CONTROL_MESSAGE_MAX; /* an answer must fit; the kernel may grant less, and then large
                                                 lists fail with a text */
    struct conn *conn = conn_new(server, fd);
    struct error err;

    if (!conn)
        return;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    if (server->n_connections > SERVER_CONNECTIONS_MAX ||
        (conn->peer.uid != 0 && connections_of(server, conn->peer.uid) > SERVER_CONNECTIONS_PER_UID_MAX)) {
        error_fail(&err, -EUSERS, "uid %u has too many connections to vgpud (%d at most, %d for all users)",
                   (unsigned)conn->peer.uid, SERVER_CONNECTIONS_PER_UID_MAX, SERVER_CONNECTIONS_MAX);
        conn_answer_error(conn, &err);
        conn->ending = true;
    }
    conn_poll(conn);
}

static void server_accept(uv_poll_t *watch, int status, int events)
{
    struct server *server = watch->data;
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        server_welcome(server, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        say("cannot accept a connection: %s; trying again when one ends", strerror(errno));
        server->paused = true;
        uv_poll_stop(watch);
    }
}

void server_resume(struct server *server)
{
    if (!server->paused || server->fd < 0)
        return;
    server->paused = false;
    uv_poll_start(&server->watch, UV_READABLE, server_accept);
}

/* Binds path anew; the mode is set before anybody can connect. */
static int listen_at(const char *path, unsigned mode, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_fail(err, -errno, "cannot make a socket: %s", strerror(errno));
    if (strlen(path) >= sizeof(address.sun_path))
        return error_fail(
            err, -ENAMETOOLONG,
            "socket path '%s' is longer than the %zu bytes a Unix socket may have; set VGPU_RUNTIME_DIR "
            "to a shorter one",
            path, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    unlink(path); /* of a vgpud that crashed: the lock says that none runs */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, mode) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return error_fail(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    return steal_fd(&fd);
}

int server_open(struct server *server, struct daemon *daemon, const char *path, unsigned mode,
                struct error *err)
{
    int r = listen_at(path, mode, err);

    server->daemon = daemon;
    server->fd = r;
    if (r < 0)
        return r;
    r = uv_poll_init(&daemon->loop, &server->watch, server->fd);
    if (r < 0)
        return error_fail(err, r, "cannot watch the socket: %s", uv_strerror(r));
    server->watch.data = server;
    return uv_poll_start(&server->watch, UV_READABLE, server_accept);
}

static void server_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;

    close(server->fd);
    server->fd = -1;
}

void server_close_all(struct server *server)
{
    if (!uv_is_closing((uv_handle_t *)&server->watch))
        uv_close((uv_handle_t *)&server->watch, server_closed);
    while (server->connections)
        conn_close(server->connections);
}
