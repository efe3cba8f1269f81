/* Which instance a process belongs to by its control group: from the host's side, whatever the process says.
 * Of the unified hierarchy (version 2) alone; where a machine has none a process is in no control group here.
 */
#ifndef VGPU_DAEMON_CGROUP_H
#define VGPU_DAEMON_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/uuid.h"

struct daemon;
struct instance;

enum { CGROUP_MAX = 256 };

/* In an attach, in place of an instance's name: the one whose control group the process is in. */
#define CGROUP_INSTANCE "@cgroup"

/* Whether text may be an instance's control group: an absolute path below the root, without empty parts, "."
 * or "..". */
bool cgroup_ok(const char *text);

/* Whether inner is outer or below it. */
bool cgroup_contains(const char *outer, const char *inner);

/* The path in a text like /proc/PID/cgroup; false when that has none, or it is the root, outside of what
 * vgpud sees, or too long. */
bool cgroup_parse(const char *text, char ret_path[CGROUP_MAX]);

/* The same of a process. */
bool cgroup_of_process(int pid, char ret_path[CGROUP_MAX]);

/* The instance whose control group is the deepest that contains the path, or NULL. */
struct instance *cgroup_find(struct daemon *daemon, const char *path);

/* A process has joined the instance: when it is the first one and lives in a container (its pid namespace is
 * not vgpud's), its control group becomes the instance's. Elsewhere a control group, say a login session's,
 * holds others too. */
void cgroup_record(struct instance *instance, int pid);

#endif
