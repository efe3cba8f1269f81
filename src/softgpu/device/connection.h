/* One client inside softgpud: what it asks, what it holds, what is to be sent to it. Never blocks; only
 * softgpud's one thread calls here. */
#ifndef VGPU_SOFTGPU_DEVICE_CONNECTION_H
#define VGPU_SOFTGPU_DEVICE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "softgpu/device/device.h"
#include "softgpu/device/protocol.h"

struct connection;

/* What all connections share. */
struct host {
    struct device devices[SGDEV_DEVICES_MAX];
    unsigned n_devices;
    uint64_t fingerprint;
    struct protocol_page *page;
    int page_fd;
    struct connection *first, *last; /* in order of their serials */
    uint64_t serials;
    unsigned n_connections, n_greeted;
    bool must_restart; /* a client wants other devices and nobody uses these */
};

/* 0 or negative errno; host_done cleans up after either. */
struct describe;
int host_init(struct host *host, const struct describe *describe, uint64_t now_ns);
void host_done(struct host *host);

/* Takes over sock, a freshly accepted SOCK_SEQPACKET. Negative errno (sock is closed then): no memory, a peer
 * that is gone or of another user. */
int connection_new(struct host *host, int sock, struct connection **ret_connection);

/* Closes it and gives back everything it holds. */
void connection_free(struct connection *connection, uint64_t now_ns);

/* Handles a bounded number of waiting messages. 0; -EPIPE: the client has ended; -EPROTO: it does not speak
 * as it should. */
int connection_read(struct connection *connection, uint64_t now_ns);

/* Sends what can be sent without blocking. 0 or -EPIPE. */
int connection_flush(struct connection *connection);

bool connection_wants_read(const struct connection *connection);
bool connection_wants_write(const struct connection *connection);
int connection_sock(const struct connection *connection);
int connection_pidfd(const struct connection *connection);
pid_t connection_pid(const struct connection *connection);
struct connection *connection_next(const struct connection *connection);

/* A word the event loop keeps per connection: which epoll events it asked for. */
uint32_t *connection_epoll_events(struct connection *connection);

#endif
