/* JSON requests, {"op": "instance.create", ...}: docs/control-protocol.md. */
#ifndef VGPU_DAEMON_REQUEST_H
#define VGPU_DAEMON_REQUEST_H

#include <stddef.h>

struct conn;
struct daemon;

/* Works on one request of bytes bytes; it is answered now or, where it must wait, later. The text is hostile.
 */
void request_receive(struct conn *conn, const char *text, size_t bytes);

/* The inventory knows more: requests that waited for it are worked on. */
void request_resume_all(struct daemon *daemon);

#endif
