/* Attach requests: a process of an instance asks for its slot in the ledger (wire/control.h). */
#ifndef VGPU_DAEMON_ATTACH_H
#define VGPU_DAEMON_ATTACH_H

#include <stddef.h>

struct conn;
struct error;
struct instance;

/* Answers CONTROL_ATTACHED with the descriptors of limits and ledger, or CONTROL_ERROR. The body is hostile.
 */
void attach_receive(struct conn *conn, const void *body, size_t bytes);

/* The same for CONTROL_REJOIN: a process that has a slot gets the areas of this vgpud.
 */
void attach_receive_rejoin(struct conn *conn, const void *body, size_t bytes);

/* The instance that a tenant's library names in a message (CONTROL_INSTANCE_MAX bytes, hostile), if the peer
 * may use it and it has a ledger; else NULL with err filled. */
struct instance *attach_find(const struct conn *conn, const char *name, struct error *err);

#endif
