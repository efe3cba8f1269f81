/* The control socket: accepting, reading one request at a time from each connection, answering without ever
 * blocking. What arrives is hostile: sizes, versions and the number of connections per user are bounded here;
 * what a request means is request.c's (JSON) and attach.c's (tenants' libraries). */
#ifndef VGPU_DAEMON_SERVER_H
#define VGPU_DAEMON_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/error.h"
#include "base/fdpass.h"
#include "daemon/sweep.h"
#include "wire/control.h"

struct daemon;
struct instance;
struct grant_waiting;

enum {
    SERVER_CONNECTIONS_PER_UID_MAX = 512, /* but for root */
    SERVER_CONNECTIONS_MAX = 8192,
    SERVER_DESCRIPTORS_SPARE =
        64,                 /* kept for connections and probes: no process or instance takes the last ones */
    SERVER_OUTPUT_MAX = 64, /* messages that wait for a peer who does not read */
};

struct conn {
    struct conn *next, *prev;
    struct daemon *daemon;
    int fd;
    uv_poll_t watch;
    struct fdpass_peer peer;
    unsigned minor; /* version of the last request */
    bool busy;      /* a request is being worked on: nothing more is read until it is answered */
    bool ending;    /* close once the output is sent */
    bool closing;
    json_t *parked;                /* a request that waits for the inventory */
    bool repeated;                 /* the request being worked on was parked before */
    struct grant_waiting *waiting; /* a request that waits for free memory */
    struct sweep sweep;            /* a reap request that waits */
    unsigned n_instances;          /* whose lease it has, or for whose end it waits */
    unsigned n_output;
    struct conn_output *output, **output_tail;
};

struct server {
    struct daemon *daemon;
    int fd; /* -1 once closed */
    uv_poll_t watch;
    bool paused; /* no descriptors left: accepts again when a connection ends, or at the next housekeeping */
    struct conn *connections;
    unsigned n_connections;
};

/* Listens on path, which must be free to take (the caller holds the daemon's lock). mode: of the socket file.
 * 0 or negative errno with err filled. */
int server_open(struct server *server, struct daemon *daemon, const char *path, unsigned mode,
                struct error *err);

/* Stops listening and ends every connection. */
void server_close_all(struct server *server);

/* Accepts again after having run out of descriptors. */
void server_resume(struct server *server);

/* Whether vgpud may keep a descriptor it has just got for long. -EMFILE with err filled when there are too
 * few left. */
int server_check_descriptor(int fd, struct error *err);

/* ---- answers; each ends the request that the connection was busy with, but events ---- */

/* Takes over the reference to answer; adds "ok": true. */
void conn_answer(struct conn *conn, json_t *answer);
/* The same, but when memory is out it returns -ENOMEM and the request is still to be answered. */
int conn_try_answer(struct conn *conn, json_t *answer);
void conn_answer_error(struct conn *conn, const struct error *err);
void conn_answer_attached(struct conn *conn, const struct control_attached *attached, const int *fds,
                          int n_fds);
void conn_answer_reaped(struct conn *conn, const struct control_reaped *reaped);
/* An unasked message, {"event": ...}; takes over the reference. */
void conn_event(struct conn *conn, json_t *event);

#endif
