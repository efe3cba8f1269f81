/* Whether somebody who asks for something is a tenant: a process inside an instance. Tenants run under the
 * uid that owns their instance, so credentials do not tell them from the person who handed the instance out.
 */
#ifndef VGPU_DAEMON_TENANT_H
#define VGPU_DAEMON_TENANT_H

#include "base/error.h"

struct conn;

/* 0 when the peer is a live process outside of all instances: neither a process of one, nor started by one or
 * by the holder of a lease, nor told to join one (VGPU_INSTANCE). -EPERM with err filled otherwise, also when
 * that cannot be seen. docs/control-protocol.md says what this holds against and what not. */
int tenant_refuse(const struct conn *conn, struct error *err);

#endif
