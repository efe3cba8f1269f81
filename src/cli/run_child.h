/* Running the tenant's command and being it for whoever waits: signals go in, its exit status comes out. */
#ifndef VGPU_CLI_RUN_CHILD_H
#define VGPU_CLI_RUN_CHILD_H

#include "cli/client.h"

/* Runs command with that environment until it ends. client: the lease's connection; when vgpud says over it
 * that the instance is stopped, the command is ended. Returns the exit status for vgpu: the command's, 128 +
 * signal, 125, 126 or 127. */
int run_child(struct client *client, char **command, char **environment);

#endif
