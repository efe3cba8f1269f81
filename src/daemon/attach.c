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
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/process.h"
#include "daemon/reaper.h"
#include "wire/control.h"

/* Fills who and returns a pidfd of the peer, or negative errno. */
static int identify(const struct conn *conn, const struct control_attach *request,
                    struct client_identity *ret_who)
{
    struct client_identity who = {
        .process.pid = conn->peer.pid, .kind = request->kind, .image = request->image};
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
    struct client_identity who;
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
        return error_fail(err, r, "instance '%s' has %d processes already, which is all it may have",
                          instance->facts.name, LEDGER_SLOTS_MAX);
    }
    who.slot = attached->slot;
    r = reaper_watch(instance, pidfd, &who);
    if (r < 0) {
        ledger_slot_reap(&instance->areas, attached->slot, NULL);
        return error_fail(err, r, "the process that attaches cannot be watched: %s", strerror(-r));
    }
    instance_save_all(instance->daemon);
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

struct instance *attach_find(const struct conn *conn, const char *name, struct error *err)
{
    struct instance *instance = NULL;

    if (!memchr(name, '\0', CONTROL_INSTANCE_MAX))
        error_fail(err, -EBADMSG, "the instance's name in the request has no end");
    else
        instance_find(conn->daemon, name, conn->peer.uid, &instance, err);
    if (!instance)
        return NULL;
    if (instance->orphaned) {
        error_fail(err, -ESTALE,
                   "instance '%s' lost its account when vgpud was restarted, so no new process may join it; "
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

static int attach(struct conn *conn, const struct control_attach *request, struct error *err)
{
    struct control_attached attached = {.slot = UINT32_MAX,
                                        .limits_bytes = sizeof(struct ledger_limits),
                                        .ledger_bytes = sizeof(struct ledger)};
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
    strcpy(attached.instance, instance->facts.id);
    conn_answer_attached(
        conn, &attached,
        (int[]){instance->areas.limits_fd, observer_fd >= 0 ? observer_fd : instance->areas.ledger_fd}, 2);
    return 0;
}

void attach_receive(struct conn *conn, const void *body, size_t bytes)
{
    struct control_attach request;
    struct error err = {0};

    if (bytes < sizeof(request)) {
        error_fail(&err, -EBADMSG, "an attach request has at least %zu bytes, this one has %zu",
                   sizeof(request), bytes);
        conn_answer_error(conn, &err);
        return;
    }
    memcpy(&request, body, sizeof(request)); /* a later minor version may have added fields behind */
    if (attach(conn, &request, &err) < 0)
        conn_answer_error(conn, &err);
}
