/* Stopping an instance: new work is refused at once, its processes are asked to end, then made to. Three
 * steps of one timer: after the grace period SIGKILL; should the holder of the lease not be gone a while
 * after that, its lease ends without it. */
#include <signal.h>

#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/reaper.h"

enum { STOP_LEASE_MS = 2000 /* for `vgpu run` to see its command end */ };

/* Tells the holder of the lease, whose command may not have touched the GPU yet, and so be no client.
 * `signalled` says whom vgpud signals itself, so that nobody is asked twice. */
static void tell_holder(const struct instance *instance, uint64_t grace_ms)
{
    json_t *signalled = json_array();

    for (const struct client *c = instance->clients; c; c = c->next)
        if (!c->dead)
            json_array_append_new(signalled, json_integer(c->who.process.pid));
    conn_event(instance->lease,
               json_pack("{s:s, s:s, s:I, s:o}", "event", "instance.stopping", "instance", instance->facts.id,
                         "grace_ms", (json_int_t)grace_ms, "signalled", signalled));
}

static void patience_ended(uv_timer_t *timer)
{
    struct instance *instance = timer->data;

    reaper_signal(instance,
                  SIGKILL); /* one in an uninterruptible wait stays a client until the kernel lets go of it */
    if (instance->killed)
        instance->lease = NULL;
    instance->killed = true;
    uv_timer_start(timer, patience_ended, STOP_LEASE_MS, 0);
    instance_settle(instance);
}

static void refuse_new_work(struct instance *instance)
{
    instance->stopping = true;
    if (!instance->orphaned)
        __atomic_store_n(&instance->areas.limits->revoked, 1, __ATOMIC_RELEASE);
}

void instance_stop(struct instance *instance, uint64_t grace_ms)
{
    bool again = instance->stopping;

    refuse_new_work(instance);
    if (instance->lease) /* before its command may end by the signal, so that it can say why */
        tell_holder(instance, grace_ms);
    if (!again)
        reaper_signal(instance, SIGTERM);
    if (!again || grace_ms < uv_timer_get_due_in(&instance->grace))
        uv_timer_start(&instance->grace, patience_ended, grace_ms, 0);
    instance_settle(instance);
}
