/* Tenants among the peers; see tenant.h. The walk up the parents is about the peer only while it lives, which
 * its pidfd says before and after. A process that gave up its parents and its environment is not recognised.
 */
#include "daemon/tenant.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/process.h"

enum { PARENTS_MAX = 256 };

static bool is_process(const struct state_process *process, int pid)
{
    uint64_t start_ticks;

    return process->pid == pid && clock_process_start(pid, &start_ticks) == 0 &&
           start_ticks == process->start_ticks;
}

/* The instance that a process is in by itself, or that its children are in since it holds the lease. */
static const struct instance *instance_of(const struct daemon *daemon, int pid, bool is_parent)
{
    for (const struct instance *i = daemon->instances; i; i = i->next) {
        if (is_parent && i->lease && is_process(&i->facts.holder, pid))
            return i;
        for (const struct client *c = i->clients; c; c = c->next)
            if (!c->dead && is_process(&c->who.process, pid))
                return i;
    }
    return NULL;
}

/* Whether the process was started with VGPU_INSTANCE in its environment, as far as that can be read. */
static bool was_told_to_join(int pid)
{
    static const char name[] = "VGPU_INSTANCE=";
    size_t at = 0;
    char path[40];
    CLEANUP_FCLOSE FILE *f = NULL;
    bool begins = true; /* a variable */
    int c;

    snprintf(path, sizeof(path), "/proc/%d/environ", pid);
    f = fopen(path, "re");
    if (!f && errno == ENOMEM)
        return true; /* who cannot be judged is refused */
    while (f && (c = getc(f)) != EOF) {
        if (c == '\0') {
            begins = true;
            at = 0;
        } else if (begins && c == name[at]) {
            if (!name[++at])
                return true;
        } else {
            begins = false;
        }
    }
    return false;
}

static bool lives(int pidfd)
{
    return poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0) == 0;
}

static int fail_unseen(struct error *err)
{
    return error_fail(
        err, -EPERM,
        "the process that asks cannot be seen any more, or not from here, so it may not change limits");
}

int tenant_refuse(const struct conn *conn, struct error *err)
{
    CLEANUP_FD int pidfd = fdpass_peer_pidfd(conn->fd);
    struct process_stat stat;
    int pid = conn->peer.pid;

    if (pid <= 0 || pidfd < 0 || !lives(pidfd))
        return fail_unseen(err);
    for (int i = 0; pid > 0; pid = stat.parent_pid, i++) {
        const struct instance *instance = instance_of(conn->daemon, pid, i > 0);

        if (instance)
            return error_fail(
                err, -EPERM,
                "process %d runs inside instance '%s', and may not change limits; do that from outside",
                conn->peer.pid, instance->facts.name);
        if (i < PARENTS_MAX && process_stat(pid, &stat))
            continue;
        if (i > 0 && i < PARENTS_MAX && kill(pid, 0) < 0 && errno == EPERM)
            break; /* hidden (hidepid), for it is another user's */
        return fail_unseen(err);
    }
    if (was_told_to_join(conn->peer.pid))
        return error_fail(err, -EPERM,
                          "process %d was started inside an instance (it has VGPU_INSTANCE), and may not "
                          "change limits; do that "
                          "from outside",
                          conn->peer.pid);
    return lives(pidfd) ? 0 : fail_unseen(err);
}
