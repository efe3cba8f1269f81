/* The time between a process's end and the driver's having taken its memory back. A driver may do that later
 * than the kernel tells of the end; what the process held may be given to nobody else before, or the device
 * would hold more than the instance's limit. So the slot of a process that held something is reaped when a
 * look that was begun after its end no longer finds the process on the device, and after LINGER_MS in any
 * case. Where the driver does not tell who uses a device, it is reaped at once. */
#ifndef VGPU_DAEMON_LINGER_H
#define VGPU_DAEMON_LINGER_H

#include <stdbool.h>

#include "daemon/inventory.h"

struct client;
struct daemon;
struct instance;

enum { LINGER_MS = 1000 };

void linger_init(struct daemon *daemon);

/* The client's process has ended. True: its slot must wait, and linger_receive or the deadline reaps it. */
bool linger_begin(struct client *client);

/* The client's process ended while no vgpud was there: nobody knows when, and the drivers are not known yet.
 * Its slot waits for the deadline. */
void linger_begin_unseen(struct client *client);

/* The driver of that kind answered, and what it said is in daemon->reconcile. */
void linger_receive(struct daemon *daemon, enum inventory_kind kind);

bool linger_is_any(const struct instance *instance);

#endif
