/* Talking to the keeper; see keeping.h. Nothing here waits but the fetching at the start. A keeper that ends
 * while vgpud lives (somebody killed it) is replaced within a second and given everything anew. */
#include "daemon/keeping.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/paths.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/say.h"
#include "wire/control.h"

enum { CONNECT_TRIES = 10, CONNECT_PAUSE_MS = 100, ANSWER_WAIT_MS = 2000, START_PAUSE_MS = 5000 };

static void watch_closed(uv_handle_t *watch)
{
    free(watch);
}

static void keeper_lost(struct daemon *daemon)
{
    struct keeping *keeping = &daemon->keeping;

    if (keeping->watch) {
        uv_poll_stop(keeping->watch);
        uv_close((uv_handle_t *)keeping->watch, watch_closed);
        keeping->watch = NULL;
    }
    if (keeping->fd >= 0)
        close(keeping->fd);
    keeping->fd = -1;
    daemon->signals.is_kept = false;
    for (struct instance *i = daemon->instances; i; i = i->next)
        i->is_kept = false;
}

/* The keeper says nothing unasked, so this is its end. */
static void keeper_ended(uv_poll_t *watch, int status, int events)
{
    keeper_lost(watch->data);
}

/* Takes over fd. */
static bool keeper_set(struct daemon *daemon, int fd)
{
    struct keeping *keeping = &daemon->keeping;
    uv_poll_t *watch = calloc(1, sizeof(*watch));

    if (!watch || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || uv_poll_init(&daemon->loop, watch, fd) < 0) {
        free(watch);
        close(fd);
        return false;
    }
    watch->data = daemon;
    uv_poll_start(watch, UV_READABLE | UV_DISCONNECT, keeper_ended);
    keeping->watch = watch;
    keeping->fd = fd;
    return true;
}

/* ---- starting one ---- */

static void process_closed(uv_handle_t *process)
{
    free(process);
}

static void process_exited(uv_process_t *process, int64_t exit_status, int term_signal)
{
    uv_close((uv_handle_t *)process, process_closed);
}

static int keeper_spawn(struct daemon *daemon, int its_end)
{
    char own_dir[PATH_MAX - 64], program[PATH_MAX];
    char *args[] = {program, daemon->runtime_dir, NULL};
    uv_stdio_container_t stdio[KEEPER_FD + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = its_end},
    };
    uv_process_options_t options = {.exit_cb = process_exited,
                                    .file = program,
                                    .args = args,
                                    .stdio = stdio,
                                    .stdio_count = KEEPER_FD + 1,
                                    .flags = UV_PROCESS_DETACHED};
    uv_process_t *process = calloc(1, sizeof(*process));
    int r = process ? paths_program_dir(own_dir, sizeof(own_dir)) : -ENOMEM;

    if (r == 0) {
        snprintf(program, sizeof(program), "%s/" VGPU_LIBEXEC_FROM_BIN "/vgpu-keeper", own_dir);
        r = uv_spawn(&daemon->loop, process, &options);
    }
    if (process && r == 0)
        uv_unref((uv_handle_t *)process);
    else if (process && process->type)
        uv_close((uv_handle_t *)process, process_closed);
    else
        free(process);
    return r;
}

static bool keeper_start(struct daemon *daemon)
{
    uint64_t now_ns = clock_monotonic_ns();
    int ends[2], r;

    if (daemon->keeping.started_ns && now_ns - daemon->keeping.started_ns < START_PAUSE_MS * NS_PER_MS)
        return false;
    daemon->keeping.started_ns = now_ns;
    r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
    if (r == 0) {
        r = keeper_spawn(daemon, ends[1]);
        close(ends[1]);
        if (r < 0)
            close(ends[0]);
    }
    if (r < 0) {
        say("cannot start vgpu-keeper: %s; should vgpud crash, running instances would be orphaned",
            strerror(-r));
        return false;
    }
    return keeper_set(daemon, ends[0]);
}

/* ---- giving ---- */

static bool keeper_tell(struct daemon *daemon, enum keeper_type type, const char *name, uid_t owner_uid,
                        const int *fds, int n_fds)
{
    struct keeper_message message = {.magic = KEEPER_MAGIC, .type = type, .owner_uid = owner_uid};
    ssize_t n;

    if (daemon->keeping.fd < 0)
        return false;
    snprintf(message.name, sizeof(message.name), "%s", name);
    n = fdpass_send(daemon->keeping.fd, &message, sizeof(message), fds, n_fds);
    return n == sizeof(message);
}

void keeping_keep(struct instance *instance)
{
    struct daemon *daemon = instance->daemon;
    const int fds[] = {instance->areas.limits_fd, instance->areas.ledger_fd};

    if (instance->orphaned || (daemon->keeping.fd < 0 && !keeper_start(daemon)))
        return;
    instance->is_kept =
        keeper_tell(daemon, KEEPER_KEEP, instance->facts.id, instance->facts.owner_uid, fds, 2);
}

void keeping_keep_signals(struct daemon *daemon)
{
    struct signals *signals = &daemon->signals;

    if (daemon->keeping.fd >= 0)
        signals->is_kept = keeper_tell(daemon, KEEPER_KEEP, KEEPER_SIGNALS, 0, &signals->fd, 1);
}

void keeping_drop(struct daemon *daemon, const char *name)
{
    keeper_tell(daemon, KEEPER_DROP, name, 0, NULL, 0);
}

void keeping_tick(struct daemon *daemon)
{
    for (struct instance *i = daemon->instances; i; i = i->next)
        if (!i->is_kept)
            keeping_keep(i);
    if (daemon->n_instances && !daemon->signals.is_kept)
        keeping_keep_signals(daemon);
}

/* ---- fetching ---- */

/* A row for what comes next. */
static struct kept *kept_new(struct keeping *keeping)
{
    if (!keeping->kept)
        keeping->kept = calloc(KEEPER_ROWS_MAX, sizeof(*keeping->kept));
    return keeping->kept && keeping->n_kept < KEEPER_ROWS_MAX ? &keeping->kept[keeping->n_kept] : NULL;
}

/* 1: one more came; 0: that was all; negative errno. */
static int fetch_one(struct keeping *keeping, int sock)
{
    struct kept *kept = kept_new(keeping);
    struct keeper_message message;
    int fds[KEEPER_DESCRIPTORS], n_fds = KEEPER_DESCRIPTORS;
    ssize_t n = fdpass_recv(sock, &message, sizeof(message), fds, &n_fds, 0);

    if (n <= 0)
        return n < 0 ? (int)n : -ECONNRESET;
    if (n == sizeof(message) && message.magic == KEEPER_MAGIC && message.type == KEEPER_KEPT && kept &&
        memchr(message.name, '\0', sizeof(message.name))) {
        *kept = (struct kept){.owner_uid = message.owner_uid, .n_fds = n_fds};
        memcpy(kept->name, message.name, sizeof(kept->name));
        memcpy(kept->fds, fds, sizeof(fds));
        keeping->n_kept++;
        return 1;
    }
    for (int i = 0; i < n_fds; i++)
        close(fds[i]);
    return n == sizeof(message) && message.magic == KEEPER_MAGIC && message.type == KEEPER_END ? 0 : -EBADMSG;
}

static void kept_forget(struct keeping *keeping)
{
    for (size_t i = 0; i < keeping->n_kept; i++)
        for (int f = 0; f < keeping->kept[i].n_fds; f++)
            if (keeping->kept[i].fds[f] >= 0)
                close(keeping->kept[i].fds[f]);
    free(keeping->kept);
    keeping->kept = NULL;
    keeping->n_kept = 0;
}

static int fetch_all(struct keeping *keeping, int sock)
{
    const struct keeper_message message = {.magic = KEEPER_MAGIC, .type = KEEPER_LIST};
    ssize_t sent = fdpass_send(sock, &message, sizeof(message), NULL, 0);
    int r = sent < 0 ? (int)sent : 1;

    while (r == 1)
        r = fetch_one(keeping, sock);
    if (r < 0)
        kept_forget(keeping);
    return r;
}

void keeping_open(struct daemon *daemon)
{
    char path[PATH_MAX];
    int r = -ENAMETOOLONG;

    daemon->keeping.fd = -1;
    if ((size_t)snprintf(path, sizeof(path), "%s/" KEEPER_SOCKET, daemon->runtime_dir) >= sizeof(path))
        return;
    /* A keeper that serves somebody else hangs up at once. */
    for (int i = 0; i < CONNECT_TRIES; i++) {
        int sock = control_connect_within(path, ANSWER_WAIT_MS);

        if (sock < 0)
            return; /* none is there */
        r = fetch_all(&daemon->keeping, sock);
        if (r == 0) {
            keeper_set(daemon, sock);
            return;
        }
        close(sock);
        clock_sleep_until_ns(clock_monotonic_ns() + CONNECT_PAUSE_MS * NS_PER_MS);
    }
    say("vgpu-keeper does not give back what it keeps: %s; running instances are orphaned", strerror(-r));
}

struct kept *keeping_find(struct daemon *daemon, const char *name)
{
    for (size_t i = 0; i < daemon->keeping.n_kept; i++)
        if (!strcmp(daemon->keeping.kept[i].name, name))
            return &daemon->keeping.kept[i];
    return NULL;
}

void keeping_settle(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->keeping.n_kept; i++)
        if (!daemon->keeping.kept[i].used)
            keeping_drop(daemon, daemon->keeping.kept[i].name);
    kept_forget(&daemon->keeping);
}
