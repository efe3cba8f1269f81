/* The command line's connection to vgpud, which is started when none runs. Blocking, one request at a time.
 */
#ifndef VGPU_CLI_CLIENT_H
#define VGPU_CLI_CLIENT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "base/error.h"

/* Told of messages that arrive before the answer: {"event": ...}. */
typedef void (*client_event_fn)(const json_t *event, void *context);

struct client {
    int fd; /* -1: closed */
    char socket_path[PATH_MAX];
    bool may_start; /* false: VGPU_SOCKET names a daemon that somebody else keeps */
    bool stays;     /* the caller's: client_ask does not look for another vgpud when this one ends */
    client_event_fn event;
    void *event_context;
    int idle_ms; /* 0: nothing; else while an answer is waited for, `idle` is called each time that long */
    void (*idle)(void *context); /* with event_context */
};

/* Finds the socket: VGPU_SOCKET, else the one in VGPU_RUNTIME_DIR, else the machine's (/run/vgpu) where this
 * user may connect to it, else the user's own; connects, starting vgpud if need be. 0 or negative errno with
 * err filled. client_close is due after either. */
int client_open(struct client *client, struct error *err);
/* The same without starting anything: -ENOENT or -ECONNREFUSED when no vgpud runs. */
int client_open_running(struct client *client, struct error *err);
void client_close(struct client *client);

/* Sends a request and waits for its answer, which is the caller's. NULL with err filled when vgpud refused or
 * is gone. */
json_t *client_ask(struct client *client, const json_t *request, struct error *err);

/* The same over this connection alone: no other vgpud is asked when this one is gone. For what only the
 * daemon that holds the lease can answer. */
json_t *client_ask_here(struct client *client, const json_t *request, struct error *err);

/* Waits for one message: 1 and *ret_message (JSON), 0 when vgpud closed the connection, or negative errno
 * with err filled (a refusal has the refusal's code). */
int client_receive(struct client *client, json_t **ret_message, struct error *err);

/* Appends all instances that the asker may see to a list. 0 or negative errno with err filled. */
int client_ask_instances(struct client *client, json_t *instances, struct error *err);

/* Opens, asks once and closes. */
json_t *client_ask_once(const json_t *request, struct error *err);

#endif
