/* Starting vgpud on demand. */
#ifndef VGPU_CLI_START_H
#define VGPU_CLI_START_H

#include "base/error.h"

/* Starts the vgpud beside this program as a daemon of its own (session, log file in the runtime directory,
 * nothing inherited) and waits until it listens. 0; -EAGAIN: another one holds the runtime directory; or
 * negative errno with err filled. */
int start_daemon(struct error *err);

#endif
