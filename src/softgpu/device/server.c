/* The event loop of softgpud; see server.h. Everything happens in one thread: read what clients ask, let the
 * devices' time pass, send what has ended, sleep until the next of these. A client's end is the end of its
 * connection or of its process, whichever is seen first: a connection alone is not enough, since a forked
 * child inherits it. */
#include "softgpu/device/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "softgpu/device/connection.h"
#include "softgpu/device/place.h"

enum { BACKLOG = 1024, EVENTS_A_TURN = 64 };

/* Time for the first client to come, whatever the idle time is. */
#define FIRST_CLIENT_NS (10 * NS_PER_S)

struct server {
    struct host host;
    char dir[PATH_MAX], socket_path[PATH_MAX];
    struct stat socket_stat;
    int epoll_fd, listen_fd, timer_fd, watch_fd, signal_fd;
    uint64_t idle_ns, idle_since_ns;
    bool has_served, must_end;
};

/* epoll data: the low bit tells a pidfd from a socket of a connection; small numbers are the server's own
 * descriptors. */
enum { EVENT_LISTEN, EVENT_TIMER, EVENT_WATCH, EVENT_SIGNAL, EVENT_OWN_COUNT };

static int server_poll_add(struct server *server, int fd, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};

    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- opening ---- */

static int server_listen(struct server *server)
{
    struct sockaddr_un address;
    int dir_fd, r = place_address(server->dir, &address, &dir_fd);

    if (r < 0)
        return r;
    server->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The lock is held, so a socket that lies here is a dead one's. */
    if (server->listen_fd < 0 || (unlink(server->socket_path) < 0 && errno != ENOENT) ||
        bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(server->listen_fd, BACKLOG) < 0 || lstat(server->socket_path, &server->socket_stat) < 0)
        r = -errno;
    if (dir_fd >= 0)
        close(dir_fd);
    return r;
}

static int server_watch_dir(struct server *server)
{
    server->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (server->watch_fd < 0 ||
        inotify_add_watch(server->watch_fd, server->dir,
                          IN_DELETE | IN_MOVED_FROM | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR) < 0)
        return -errno;
    return 0;
}

static int server_open_signals(struct server *server)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    server->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return server->signal_fd < 0 ? -errno : 0;
}

static int server_open_loop(struct server *server)
{
    int r;

    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0)
        return -errno;
    server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (server->timer_fd < 0)
        return -errno;
    r = server_watch_dir(server);
    if (r == 0)
        r = server_open_signals(server);
    if (r == 0)
        r = server_poll_add(server, server->timer_fd, EVENT_TIMER);
    if (r == 0)
        r = server_poll_add(server, server->watch_fd, EVENT_WATCH);
    if (r == 0)
        r = server_poll_add(server, server->signal_fd, EVENT_SIGNAL);
    return r;
}

int server_open(const char *dir, const struct describe *describe, uint64_t idle_ns,
                struct server **ret_server, struct error *err)
{
    struct server *server = calloc(1, sizeof(*server));
    int r;

    if (!server)
        return error_fail(err, -ENOMEM, "out of memory");
    server->listen_fd = server->epoll_fd = server->timer_fd = server->watch_fd = server->signal_fd = -1;
    server->idle_ns = idle_ns;
    server->idle_since_ns = clock_monotonic_ns();
    snprintf(server->dir, sizeof(server->dir), "%s", dir);
    r = host_init(&server->host, describe, server->idle_since_ns);
    if (r < 0)
        error_fail(err, r, "cannot make the devices: %s", strerror(-r));
    if (r == 0)
        r = place_path(dir, PROTOCOL_SOCKET_NAME, server->socket_path, sizeof(server->socket_path));
    if (r == 0)
        r = server_open_loop(server);
    /* Last: from here on clients may come. */
    if (r == 0)
        r = server_listen(server);
    if (r == 0)
        r = server_poll_add(server, server->listen_fd, EVENT_LISTEN);
    if (r < 0) {
        if (!err->code)
            error_fail(err, r, "cannot serve in '%s': %s", dir, strerror(-r));
        server_close(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

static bool server_owns_socket(const struct server *server)
{
    struct stat now;

    return lstat(server->socket_path, &now) == 0 && now.st_dev == server->socket_stat.st_dev &&
           now.st_ino == server->socket_stat.st_ino;
}

void server_close(struct server *server)
{
    const int *fds[] = {&server->listen_fd, &server->epoll_fd, &server->timer_fd, &server->watch_fd,
                        &server->signal_fd};

    if (!server)
        return;
    /* The name goes before the connections: a client that sees its connection end must not find this socket
     * again. */
    if (server->listen_fd >= 0 && server_owns_socket(server))
        unlink(server->socket_path);
    while (server->host.first)
        connection_free(server->host.first, clock_monotonic_ns());
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (*fds[i] >= 0)
            close(*fds[i]);
    host_done(&server->host);
    free(server);
}

/* ---- connections ---- */

static uint64_t connection_tag(const struct connection *connection, bool is_pidfd)
{
    return (uint64_t)(uintptr_t)connection | is_pidfd;
}

static void server_accept(struct server *server)
{
    for (;;) {
        struct connection *connection;
        int sock = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), r;

        if (sock < 0)
            return;
        if (server->host.n_connections >= SGDEV_PROCESSES_MAX) {
            close(sock);
            continue;
        }
        r = connection_new(&server->host, sock, &connection);
        if (r < 0) {
            fprintf(stderr, "softgpud: refused a connection: %s\n", strerror(-r));
            continue;
        }
        server->has_served = true;
        *connection_epoll_events(connection) = EPOLLIN;
        if (server_poll_add(server, sock, connection_tag(connection, false)) < 0 ||
            server_poll_add(server, connection_pidfd(connection), connection_tag(connection, true)) < 0)
            connection_free(connection, clock_monotonic_ns());
    }
}

/* Ends a connection and takes its other descriptor's event out of those still to be handled. */
static void server_drop(struct server *server, struct connection *connection, int why,
                        struct epoll_event *rest, int n_rest)
{
    if (why == -EPROTO)
        fprintf(stderr,
                "softgpud: process %d sent what this version does not understand, or too much; dropped\n",
                (int)connection_pid(connection));
    for (int i = 0; i < n_rest; i++)
        if ((rest[i].data.u64 & ~UINT64_C(1)) == connection_tag(connection, false))
            rest[i].data.u64 = EVENT_OWN_COUNT;
    connection_free(connection, clock_monotonic_ns());
}

/* Sends what is there; asks epoll for what is needed next. */
static void server_flush(struct server *server)
{
    struct connection *next;

    for (struct connection *connection = server->host.first; connection; connection = next) {
        uint32_t *asked = connection_epoll_events(connection), wanted;
        int r = connection_wants_write(connection) ? connection_flush(connection) : 0;

        next = connection_next(connection);
        if (r < 0) {
            server_drop(server, connection, r, NULL, 0);
            continue;
        }
        wanted = (connection_wants_read(connection) ? (uint32_t)EPOLLIN : 0) |
                 (connection_wants_write(connection) ? (uint32_t)EPOLLOUT : 0);
        if (wanted != *asked) {
            struct epoll_event event = {.events = wanted, .data.u64 = connection_tag(connection, false)};

            if (epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, connection_sock(connection), &event) == 0)
                *asked = wanted;
        }
    }
}

/* ---- the loop ---- */

static void server_drain(int fd)
{
    char buf[4096];

    while (read(fd, buf, sizeof(buf)) > 0)
        ;
}

static void server_handle_own(struct server *server, uint64_t tag)
{
    switch (tag) {
    case EVENT_LISTEN:
        server_accept(server);
        break;
    case EVENT_TIMER:
        server_drain(server->timer_fd);
        break;
    case EVENT_WATCH:
        server_drain(server->watch_fd);
        server->must_end |= !server_owns_socket(server);
        break;
    case EVENT_SIGNAL:
        server->must_end = true;
        break;
    default: /* of a connection dropped meanwhile */
        break;
    }
}

static void server_handle(struct server *server, struct epoll_event *event, int n_rest)
{
    uint64_t tag = event->data.u64;
    struct connection *connection = (struct connection *)(uintptr_t)(tag & ~UINT64_C(1));
    int r = 0;

    if (tag <= EVENT_OWN_COUNT) {
        server_handle_own(server, tag);
        return;
    }
    if (tag & 1)
        r = -EPIPE;
    else if (event->events & EPOLLIN)
        r = connection_read(connection, clock_monotonic_ns());
    /* A connection that is not read because it reads nothing itself can still be gone. */
    if (r == 0 && (event->events & (EPOLLHUP | EPOLLERR)) && !(event->events & EPOLLIN))
        r = -EPIPE;
    if (r < 0)
        server_drop(server, connection, r, event + 1, n_rest);
}

/* Lets time pass on all devices; sets the timer for what comes next. */
static int server_advance(struct server *server)
{
    uint64_t now_ns = clock_monotonic_ns(), next_ns = UINT64_MAX;
    struct itimerspec spec = {0};

    for (unsigned i = 0; i < server->host.n_devices; i++) {
        uint64_t device_ns;

        device_advance(&server->host.devices[i], now_ns);
        device_ns = timeline_next_ns(server->host.devices[i].timeline);
        next_ns = device_ns < next_ns ? device_ns : next_ns;
    }
    if (server->host.n_connections) {
        server->idle_since_ns = now_ns;
    } else {
        uint64_t idle_ns =
            server->has_served || server->idle_ns > FIRST_CLIENT_NS ? server->idle_ns : FIRST_CLIENT_NS;

        server->must_end |= now_ns - server->idle_since_ns >= idle_ns;
        if (server->idle_since_ns + idle_ns < next_ns)
            next_ns = server->idle_since_ns + idle_ns;
    }
    if (next_ns != UINT64_MAX) {
        next_ns = next_ns ? next_ns : 1;
        spec.it_value =
            (struct timespec){.tv_sec = (time_t)(next_ns / NS_PER_S), .tv_nsec = (long)(next_ns % NS_PER_S)};
    }
    return timerfd_settime(server->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

int server_run(struct server *server)
{
    struct epoll_event events[EVENTS_A_TURN];

    while (!server->must_end && !server->host.must_restart) {
        int r = server_advance(server), n;

        if (r < 0)
            return r;
        server_flush(server);
        if (server->must_end)
            break;
        n = epoll_wait(server->epoll_fd, events, EVENTS_A_TURN, -1);
        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n; i++)
            server_handle(server, &events[i], n - i - 1);
    }
    server_flush(server);
    return 0;
}
