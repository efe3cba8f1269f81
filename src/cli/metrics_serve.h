/* The web server of `vgpu metrics`: /metrics and /healthz, to whoever may connect. vgpud is asked by one
 * thread, so by one scrape at a time, and not more often than once a second; a scrape that it keeps waiting
 * is told vgpu_up 0. */
#ifndef VGPU_CLI_METRICS_SERVE_H
#define VGPU_CLI_METRICS_SERVE_H

#include "base/error.h"
#include "cli/metrics_render.h"

enum { METRICS_CACHE_MS = 1000, METRICS_WAIT_MS = 2000, METRICS_CONNECTIONS_MAX = 64 };

/* Serves on a listening socket, which is closed, until SIGINT or SIGTERM comes; these must be blocked in all
 * threads. What it says, of vgpud coming and going, goes to stderr after "name: ". 0 or negative errno with
 * err filled. */
int metrics_serve(int listen_fd, const char *name, const struct metrics_wishes *wishes, struct error *err);

#endif
