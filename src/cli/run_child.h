/* Running the tenant's command and being it for whoever waits: signals go in, its exit status comes out. */
#ifndef VGPU_CLI_RUN_CHILD_H
#define VGPU_CLI_RUN_CHILD_H

#include "base/error.h"
#include "cli/client.h"
#include "cli/run_mounts.h"

enum { RUN_CHILD_NO_MOUNTS = -1 };

/* Runs command with that environment until it ends, in a mount namespace of its own unless mounts is NULL.
 * client: the lease's connection; when vgpud says over it that the instance is stopped, the command is ended.
 * Returns the exit status for vgpu: the command's, 128 + signal, 125, 126 or 127. RUN_CHILD_NO_MOUNTS:
 * nothing ran, because the namespace cannot be had; err says why. */
int run_child(struct client *client, char **command, char **environment, const struct run_mounts *mounts,
              struct error *err);

#endif
