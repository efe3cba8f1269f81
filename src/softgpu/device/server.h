/* softgpud's event loop: the socket, the clients' liveness, the clock. */
#ifndef VGPU_SOFTGPU_DEVICE_SERVER_H
#define VGPU_SOFTGPU_DEVICE_SERVER_H

#include <stdint.h>

#include "base/error.h"
#include "softgpu/device/describe.h"

struct server;

/* Listens in dir (which is private and whose lock the caller holds) and makes the devices. idle_ns: ends
 * after so long without a client. 0 or negative errno with err filled. */
int server_open(const char *dir, const struct describe *describe, uint64_t idle_ns,
                struct server **ret_server, struct error *err);

/* Serves until nobody needs it any more: idle, directory gone, SIGTERM, or clients that want other devices. 0
 * or negative errno. */
int server_run(struct server *server);

/* Removes the socket, closes everything. NULL is accepted. */
void server_close(struct server *server);

#endif
