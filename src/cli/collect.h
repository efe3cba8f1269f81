/* One look at everything that vgpud knows: what `vgpu top` draws and `vgpu metrics` serves. Blocking, but
 * never for long: an answer that does not come in time is a failure, and the connection is made anew the next
 * time. */
#ifndef VGPU_CLI_COLLECT_H
#define VGPU_CLI_COLLECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "cli/client.h"

enum {
    COLLECT_WAIT_MS = 3000,       /* for one answer */
    COLLECT_FRESH_EVERY_MS = 5000 /* the drivers are asked, for memory in use: not more often */
};

struct collect {
    struct client client;
    uint64_t fresh_ns; /* when the drivers were last asked; 0: never */
};

void collect_init(struct collect *collect);
void collect_done(struct collect *collect);

/* Connects, unless connected. may_start: starts vgpud where none runs. 0, or negative errno with err
 * filled. */
int collect_connect(struct collect *collect, bool may_start, struct error *err);

/* Asks for all; connects to a running vgpud first where need be. The answer, the caller's, is an object:
 * "time_ms" (Unix time), "daemon" (as daemon.status), "devices" (of device.list), "instances" (of
 * instance.list). with_clients: instances with processes have "clients", as in instance.show. now_ns decides
 * whether drivers are asked first. NULL with err filled when vgpud cannot be reached, refuses or takes too
 * long. */
json_t *collect_ask(struct collect *collect, bool with_clients, uint64_t now_ns, struct error *err);

#endif
