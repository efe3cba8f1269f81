/* vgpu-keeper: holds the descriptors of accounts while vgpud may die; see keeper.h. One thread, one poll
 * loop, one table that is there from the start: nothing here can fail for want of memory. It looks into none
 * of what it keeps. It ends when no vgpud is there and it keeps nothing, when nobody can reach it any more
 * because its socket is gone, or when no vgpud came for a day. */
#include "daemon/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fdpass.h"

enum { LOOK_MS = 1000, ALONE_S = 24 * 3600 };

struct row {
    char name[KEEPER_NAME_MAX]; /* "": free */
    uint32_t owner_uid;
    int n_fds, fds[KEEPER_DESCRIPTORS];
};

static struct row rows[KEEPER_ROWS_MAX];
static unsigned n_instances;                  /* rows in use, but the one of the signals */
static int listening = -1, vgpud = KEEPER_FD; /* vgpud: -1 while there is none */

static struct row *row_find(const char *name)
{
    for (unsigned i = 0; i < KEEPER_ROWS_MAX; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static void row_drop(struct row *row)
{
    for (int i = 0; i < row->n_fds; i++)
        close(row->fds[i]);
    n_instances -= strcmp(row->name, KEEPER_SIGNALS) != 0;
    *row = (struct row){0};
}

/* Takes over fds. */
static void keep(const struct keeper_message *message, const int *fds, int n_fds)
{
    struct row *row = row_find(message->name);

    if (row)
        row_drop(row);
    else
        row = row_find("");
    if (!row) {
        for (int i = 0; i < n_fds; i++)
            close(fds[i]);
        return;
    }
    *row = (struct row){.owner_uid = message->owner_uid, .n_fds = n_fds};
    memcpy(row->name, message->name, sizeof(row->name));
    memcpy(row->fds, fds, sizeof(*fds) * (size_t)n_fds);
    n_instances += strcmp(row->name, KEEPER_SIGNALS) != 0;
}

static int answer(enum keeper_type type, const struct row *row)
{
    struct keeper_message message = {.magic = KEEPER_MAGIC, .type = type};

    if (row) {
        message.owner_uid = row->owner_uid;
        memcpy(message.name, row->name, sizeof(message.name));
    }
    return (int)fdpass_send(vgpud, &message, sizeof(message), row ? row->fds : NULL, row ? row->n_fds : 0);
}

static void vgpud_close(void)
{
    close(vgpud);
    vgpud = -1;
}

/* Waits a little where vgpud, which has asked, does not read. */
static void list(void)
{
    for (unsigned i = 0; i < KEEPER_ROWS_MAX; i++)
        if (rows[i].name[0] && answer(KEEPER_KEPT, &rows[i]) < 0) {
            vgpud_close();
            return;
        }
    answer(KEEPER_END, NULL);
}

static bool message_ok(const struct keeper_message *message, ssize_t bytes)
{
    return bytes == sizeof(*message) && message->magic == KEEPER_MAGIC &&
           memchr(message->name, '\0', sizeof(message->name)) &&
           (message->name[0] || message->type == KEEPER_LIST);
}

static void receive(void)
{
    struct keeper_message message;
    int fds[KEEPER_DESCRIPTORS], n_fds = KEEPER_DESCRIPTORS;
    ssize_t n = fdpass_recv(vgpud, &message, sizeof(message), fds, &n_fds, 0);
    struct row *row;

    if (n <= 0) {
        vgpud_close();
        return;
    }
    if (message_ok(&message, n) && message.type == KEEPER_KEEP) {
        keep(&message, fds, n_fds);
        return;
    }
    for (int i = 0; i < n_fds; i++)
        close(fds[i]);
    if (!message_ok(&message, n))
        vgpud_close();
    else if (message.type == KEEPER_LIST)
        list();
    else if (message.type == KEEPER_DROP && (row = row_find(message.name)))
        row_drop(row);
}

/* One vgpud at a time, and of this user. */
static void welcome(void)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    const struct timeval wait = {.tv_sec = 1};
    struct fdpass_peer peer;

    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (vgpud >= 0 || fdpass_peer(fd, &peer) < 0 || peer.uid != geteuid()) {
        close(fd);
        return;
    }
    vgpud = fd;
}

static int listen_at(const char *dir, struct sockaddr_un *ret_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" KEEPER_SOCKET, dir) >=
        sizeof(address.sun_path))
        return -ENAMETOOLONG;
    listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (listening < 0)
        return error_errno();
    umask(0177);
    unlink(address.sun_path); /* of a keeper that died: vgpud starts one only where none answers */
    if (bind(listening, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(listening, 16) < 0)
        return error_errno();
    *ret_address = address;
    return 0;
}

/* Somebody can still find this keeper: the socket at its path is the one that was made here. */
static bool is_reachable(const char *path, const struct stat *made)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_ino == made->st_ino && st.st_dev == made->st_dev;
}

static void serve(const char *path, const struct stat *made)
{
    uint64_t alone_since_ns = clock_monotonic_ns();

    for (;;) {
        struct pollfd watched[2] = {{.fd = vgpud, .events = POLLIN}, {.fd = listening, .events = POLLIN}};

        if (vgpud >= 0)
            alone_since_ns = clock_monotonic_ns();
        else if (!n_instances || !is_reachable(path, made) ||
                 clock_monotonic_ns() - alone_since_ns > ALONE_S * NS_PER_S)
            return;
        if (poll(watched, 2, vgpud >= 0 ? -1 : LOOK_MS) <= 0)
            continue;
        if (watched[0].revents) /* first, so that the end of one is seen before the next one comes */
            receive();
        else if (watched[1].revents)
            welcome();
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address;
    struct stat made = {0};
    struct rlimit limit;
    int r;

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* tenants of the same user may not borrow descriptors */
    if (argc != 2) {
        fprintf(stderr, "vgpu-keeper is started by vgpud, see vgpud(8)\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    r = listen_at(argv[1], &address);
    if (r < 0 || chdir("/") < 0) {
        fprintf(stderr, "vgpu-keeper: cannot listen in %s: %s\n", argv[1], strerror(-r));
        return 1;
    }
    stat(address.sun_path, &made);
    serve(address.sun_path, &made);
    if (is_reachable(address.sun_path, &made))
        unlink(address.sun_path);
    return 0;
}
