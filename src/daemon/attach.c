/* Attaching; see attach.h. The order matters: the pidfd comes first and pins the process, so that whatever is
 * granted after it is reaped by it, even when the process died a moment before. */
#include "daemon/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/cgroup.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/process.h"
#include "daemon/reaper.h"
#include "wire/control.h"

/* Fills who and returns a pidfd of the peer, or negative errno. */
static int identify(const struct conn *conn, const struct control_attach *request,
                    struct state_client *ret_who)
{
    struct state_client who = {.process.pid = conn->peer.pid, .kind = request->kind, .image = request->image};
    int pidfd = fdpass_peer_pidfd(conn->fd);

    if (pidfd < 0)
        return pidfd;
    if (who.process.pid > 0 && clock_process_start(who.process.pid, &who.process.start_ticks) < 0)
        who.process.pid = 0;
    process_command(who.process.pid, who.command, sizeof(who.command));
    /* It lives still, so the pid was its own while its start time was read. */
    if (poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0) != 0) {
        close(pidfd);
        return -ESRCH;
    }
    *ret_who = who;
    return pidfd;
}

static int grant_slot(struct conn *conn, struct instance *instance, const struct control_attach *request,
                      struct control_attached *attached, struct error *err)
{
    struct state_client who;
    int pidfd = identify(conn, request, &who), r;

    if (pidfd < 0)
        return error_fail(err, pidfd, "the process that attaches cannot be watched: %s", strerror(-pidfd));
    r = server_check_descriptor(pidfd, err);
    if (r < 0) {
        close(pidfd);
        return r;
    }
    reaper_replace(instance, &who);
    r = ledger_slot_grant(&instance->areas, who.process.pid, who.process.start_ticks, who.kind, who.command,
                          &attached->slot, &attached->slot_generation);
    if (r < 0) {
        close(pidfd);
        if (r == -ENOMEM)
            return error_fail(err, r, "vgpud is out of memory");
        return error_fail(err, r, "instance '%s' has %d processes already, which is all it may have",
                          instance->facts.name, LEDGER_SLOTS_MAX);
    }
    who.slot = attached->slot;
    who.generation = attached->slot_generation;
    r = reaper_watch(instance, pidfd, &who);
    if (r < 0) {
        ledger_slot_reap(&instance->areas, attached->slot, NULL);
        return error_fail(err, r, "the process that attaches cannot be watched: %s", strerror(-r));
    }
    cgroup_record(instance, who.process.pid);
    signals_settle(instance);
    share_client_joined(instance);
    instance->clients->rejoined = true;
    instance_save_client(instance);
    return 0;
}

/* An observer reads figures: its ledger is opened for reading only. */
static int reopen_read_only(int fd)
{
    char path[40];
    int fresh;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    fresh = open(path, O_RDONLY | O_CLOEXEC);
    return fresh < 0 ? -errno : fresh;
}

/* The instance that a process is in without being told. */
static struct instance *find_by_cgroup(const struct conn *conn, struct error *err)
{
    char path[CGROUP_MAX];
    struct instance *instance = NULL;

    if (!cgroup_of_process(conn->peer.pid, path))
        error_fail(err, -ENOENT,
                   "process %d is in no control group that can be seen, so in no instance by that",
                   conn->peer.pid);
    else if (!(instance = cgroup_find(conn->daemon, path)))
        error_fail(err, -ENOENT, "process %d is in control group %s, which is no instance's", conn->peer.pid,
                   path);
    else if (instance_find(conn->daemon, instance->facts.id, conn->peer.uid, &instance, err) < 0)
        instance = NULL;
    return instance;
}

struct instance *attach_find(const struct conn *conn, const char *name, struct error *err)
{
    struct instance *instance = NULL;

    if (!memchr(name, '\0', CONTROL_INSTANCE_MAX))
        error_fail(err, -EBADMSG, "the instance's name in the request has no end");
    else if (!name[0] || !strcmp(name, CGROUP_INSTANCE))
        instance = find_by_cgroup(conn, err);
    else
        instance_find(conn->daemon, name, conn->peer.uid, &instance, err);
    if (!instance)
        return NULL;
    if (instance->orphaned) {
        error_fail(
            err, -ESTALE,
            "instance '%s' lost its account when vgpud and its keeper ended, so no new process may join it; "
            "end its processes and run the program anew",
            instance->facts.name);
        return NULL;
    }
    return instance;
}

/* The instance that the request may join, or NULL with err filled. */
static struct instance *find_joinable(const struct conn *conn, const struct control_attach *request,
                                      struct error *err)
{
    struct instance *instance;

    if (request->kind > CONTROL_CLIENT_OBSERVER) {
        error_fail(err, -EINVAL, "%u is not a kind of client that this vgpud knows", request->kind);
        return NULL;
    }
    instance = attach_find(conn, request->instance, err);
    if (!instance)
        return NULL;
    if (instance->stopping && request->kind != CONTROL_CLIENT_OBSERVER) {
        error_fail(err, -ESTALE, "instance '%s' is being stopped", instance->facts.name);
        return NULL;
    }
    return instance;
}

/* Sends the areas. ledger_fd: as this client may use it. */
static void answer(struct conn *conn, const struct instance *instance, struct control_attached *attached,
                   int ledger_fd)
{
    int fds[] = {instance->areas.limits_fd, ledger_fd, signals_descriptor(instance)};
    bool with_signals = fds[2] >= 0 && conn->minor >= 2;

    strcpy(attached->instance, instance->facts.id);
    attached->limits_bytes = sizeof(struct ledger_limits);
    attached->ledger_bytes = sizeof(struct ledger);
    attached->signals_bytes = with_signals ? sizeof(struct ledger_signals) : 0;
    conn_answer_attached(conn, attached, fds, with_signals ? 3 : 2);
}

static int attach(struct conn *conn, const struct control_attach *request, struct error *err)
{
    struct control_attached attached = {.slot = UINT32_MAX};
    CLEANUP_FD int observer_fd = -1;
    struct instance *instance = find_joinable(conn, request, err);
    int r;

    if (!instance)
        return err->code;
    if (request->kind == CONTROL_CLIENT_OBSERVER) {
        observer_fd = reopen_read_only(instance->areas.ledger_fd);
        r = observer_fd;
        if (r < 0)
            error_fail(err, r, "the ledger cannot be opened for reading: %s", strerror(-r));
    } else {
        r = grant_slot(conn, instance, request, &attached, err);
    }
    if (r < 0)
        return r;
    answer(conn, instance, &attached, observer_fd >= 0 ? observer_fd : instance->areas.ledger_fd);
    return 0;
}

/* Reads a fixed request, to which a later minor version may have added fields behind. */
static bool read_request(struct conn *conn, const void *body, size_t bytes, void *ret_request,
                         size_t request_bytes)
{
    struct error err;

    if (bytes >= request_bytes) {
        memcpy(ret_request, body, request_bytes);
        return true;
    }
    error_fail(&err, -EBADMSG, "a request of this type has at least %zu bytes, this one has %zu",
               request_bytes, bytes);
    conn_answer_error(conn, &err);
    return false;
}

void attach_receive(struct conn *conn, const void *body, size_t bytes)
{
    struct control_attach request;
    struct error err = {0};

    if (read_request(conn, body, bytes, &request, sizeof(request)) && attach(conn, &request, &err) < 0)
        conn_answer_error(conn, &err);
}

/* ---- rejoining ---- */

/* The client that the peer is, by the kernel's word on who it is. One that vgpud could not see is believed
 * its slot. */
static struct client *find_client(const struct conn *conn, const struct instance *instance,
                                  const struct control_rejoin *request)
{
    for (struct client *c = instance->clients; c; c = c->next)
        if (!c->dead && c->who.slot == request->slot && c->who.generation == request->slot_generation &&
            c->who.slot != REAPER_NO_SLOT && c->who.process.pid == conn->peer.pid &&
            (c->who.image == request->image || !c->who.image))
            return c;
    return NULL;
}

static int rejoin(struct conn *conn, const struct control_rejoin *request, struct error *err)
{
    struct control_attached attached = {.slot = request->slot, .slot_generation = request->slot_generation};
    struct instance *instance = attach_find(conn, request->instance, err);
    struct client *client;
    int r = 0;

    if (!instance)
        return err->code;
    client = find_client(conn, instance, request);
    if (!client)
        return error_fail(err, -EPERM, "slot %u of instance '%s' is not that of process %d", request->slot,
                          instance->facts.name, conn->peer.pid);
    client->who.image = request->image;
    if (client->who.process.pid || client->rejoined)
        client->rejoined = true;
    else
        r = reaper_watch_peer(client, conn->fd);
    if (r < 0)
        return error_fail(err, r, "the process that rejoins cannot be watched: %s", strerror(-r));
    answer(conn, instance, &attached, instance->areas.ledger_fd);
    return 0;
}

void attach_receive_rejoin(struct conn *conn, const void *body, size_t bytes)
{
    struct control_rejoin request;
    struct error err = {0};

    if (read_request(conn, body, bytes, &request, sizeof(request)) && rejoin(conn, &request, &err) < 0)
        conn_answer_error(conn, &err);
}
