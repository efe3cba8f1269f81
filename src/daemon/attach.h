/* Attach requests: a process of an instance asks for its slot in the ledger (wire/control.h). */
#ifndef VGPU_DAEMON_ATTACH_H
#define VGPU_DAEMON_ATTACH_H

#include <stddef.h>

struct conn;

/* Answers CONTROL_ATTACHED with the descriptors of limits and ledger, or CONTROL_ERROR. The body is hostile.
 */
void attach_receive(struct conn *conn, const void *body, size_t bytes);

#endif
