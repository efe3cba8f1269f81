/* Reap requests: before a tenant's library refuses memory, it asks vgpud to take back what dead processes of
 * its instance hold (wire/control.h). A death is noticed by its pidfd anyway; but the device has a dying
 * process's memory back a moment before that, and in this moment nobody may be refused for it. */
#ifndef VGPU_DAEMON_SWEEP_H
#define VGPU_DAEMON_SWEEP_H

#include <stddef.h>
#include <stdint.h>

struct conn;
struct daemon;
struct instance;

/* How long an answer waits at most for processes that are exiting, and for drivers to let go of dead ones'
 * memory. */
enum { SWEEP_WAIT_MS = 50, SWEEP_LINGER_MS = 250 };

/* The request a connection waits with; part of struct conn, so that asking allocates nothing. */
struct sweep {
    struct sweep *next;
    struct conn *conn; /* NULL: none */
    struct instance *instance;
    uint64_t reaped_before; /* instance->reaped_total when it came */
    uint64_t deadline_ns;   /* 0: the instance's processes were not looked at for it yet */
};

void sweep_init(struct daemon *daemon);

/* Answers CONTROL_REAPED, within SWEEP_LINGER_MS and not before the loop's next turn, or CONTROL_ERROR at
 * once. The body is hostile. */
void sweep_receive(struct conn *conn, const void *body, size_t bytes);

/* A process of the instance was reaped: answers those who waited for just that. */
void sweep_client_ended(struct instance *instance);

/* The instance ends: answers those who wait for it. */
void sweep_instance_ended(struct instance *instance);

/* conn waits for nothing any more. */
void sweep_forget(struct daemon *daemon, struct conn *conn);

#endif
