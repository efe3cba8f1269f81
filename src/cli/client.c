/* Talking to vgpud; see client.h. How one is started is start.c's. */
#include "cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/fdpass.h"
#include "base/paths.h"
#include "cli/start.h"
#include "wire/control.h"

#define SYSTEM_SOCKET "/run/vgpu/vgpud.sock"

enum { OPEN_TRIES_MS = 10000, OPEN_PAUSE_MS = 20, ASK_TRIES = 3 };

static int find_socket(struct client *client, struct error *err)
{
    const char *given = paths_env("VGPU_SOCKET");
    char dir[PATH_MAX];
    int n;

    client->may_start = !given;
    if (given)
        n = snprintf(client->socket_path, sizeof(client->socket_path), "%s", given);
    else if (!paths_env("VGPU_RUNTIME_DIR") && access(SYSTEM_SOCKET, R_OK | W_OK) == 0)
        n = snprintf(client->socket_path, sizeof(client->socket_path), SYSTEM_SOCKET);
    else if (paths_runtime_dir(dir, sizeof(dir)) == 0)
        n = snprintf(client->socket_path, sizeof(client->socket_path), "%s/vgpud.sock", dir);
    else
        n = PATH_MAX;
    if (n >= PATH_MAX)
        return error_fail(
            err, -ENAMETOOLONG,
            "the path of vgpud's socket is too long; set VGPU_RUNTIME_DIR to a shorter directory");
    return 0;
}

static int fail_unreachable(const struct client *client, int code, struct error *err)
{
    if (code == -EACCES || code == -EPERM)
        return error_fail(err, code,
                          "vgpud at %s belongs to another user; set VGPU_RUNTIME_DIR to a directory of your "
                          "own to use your own",
                          client->socket_path);
    if (code == -ENAMETOOLONG)
        return error_fail(
            err, code,
            "socket path '%s' is too long for a Unix socket; set VGPU_RUNTIME_DIR to a shorter directory",
            client->socket_path);
    return error_fail(err, code, "vgpud at %s cannot be reached: %s", client->socket_path, strerror(-code));
}

int client_open_running(struct client *client, struct error *err)
{
    int r;

    client->fd = -1;
    r = find_socket(client, err);
    if (r < 0)
        return r;
    client->fd = control_connect(client->socket_path);
    return client->fd < 0 ? fail_unreachable(client, client->fd, err) : 0;
}

/* Connects, or starts a vgpud and connects, until that works: one that is just ending, or just starting
 * because somebody else was faster, is waited for. */
int client_open(struct client *client, struct error *err)
{
    uint64_t deadline_ns = clock_monotonic_ns() + OPEN_TRIES_MS * NS_PER_MS;
    int r;

    while ((r = client_open_running(client, err)) == -ENOENT || r == -ECONNREFUSED) {
        if (!client->may_start)
            return r;
        r = start_daemon(err);
        if (r < 0 && r != -EAGAIN)
            return r;
        if (clock_monotonic_ns() > deadline_ns)
            return error_fail(err, -ETIMEDOUT, "vgpud at %s neither answers nor lets another one start",
                              client->socket_path);
        if (r == -EAGAIN)
            clock_sleep_until_ns(clock_monotonic_ns() + OPEN_PAUSE_MS * NS_PER_MS);
    }
    return r;
}

void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

/* ---- messages ---- */

static int client_send(struct client *client, const json_t *request, struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(request, JSON_COMPACT);
    int r = text ? control_send(client->fd, CONTROL_JSON, text, strlen(text), NULL, 0) : -ENOMEM;

    return r < 0 ? error_fail(err, r, "cannot send a request to vgpud: %s", strerror(-r)) : 0;
}

static int fail_refused(const unsigned char *body, size_t bytes, struct error *err)
{
    struct control_error_body refusal;

    if (bytes < sizeof(refusal))
        return error_fail(err, -EBADMSG, "vgpud's answer is malformed");
    memcpy(&refusal, body, sizeof(refusal));
    refusal.text[sizeof(refusal.text) - 1] = '\0';
    return error_fail(err, refusal.code < 0 ? refusal.code : -EIO, "%s", refusal.text);
}

int client_receive(struct client *client, json_t **ret_message, struct error *err)
{
    CLEANUP_FREE unsigned char *message = malloc(CONTROL_MESSAGE_MAX);
    struct control_header header;
    const unsigned char *body = message + sizeof(header);
    int n_fds = 0, r;
    ssize_t n = message ? fdpass_recv(client->fd, message, CONTROL_MESSAGE_MAX, NULL, &n_fds, 0) : -ENOMEM;

    if (n == 0 || n == -ECONNRESET)
        return 0;
    if (n < 0)
        return error_fail(err, (int)n, "cannot read from vgpud: %s", strerror((int)-n));
    r = control_check(message, (size_t)n, &header);
    if (r == -EPROTO)
        return error_fail(err, r,
                          "vgpud at %s is of another version than this vgpu; end it so that the next command "
                          "starts its own",
                          client->socket_path);
    if (r < 0)
        return error_fail(err, r, "what answers at %s is not vgpud", client->socket_path);
    if (header.type == CONTROL_ERROR)
        return fail_refused(body, header.bytes, err);
    *ret_message = json_loadb((const char *)body, header.bytes, 0, NULL);
    return *ret_message ? 1 : error_fail(err, -EBADMSG, "vgpud's answer is not JSON");
}

/* Waits for a message while the person is told that it takes long. */
static void await_message(const struct client *client)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};

    while (client->idle_ms && poll(&fd, 1, client->idle_ms) == 0)
        client->idle(client->event_context);
}

/* The answer, with events before it passed on. 1, 0 or negative errno as client_receive. */
static int receive_answer(struct client *client, json_t **ret_answer, struct error *err)
{
    for (;;) {
        int r;

        await_message(client);
        r = client_receive(client, ret_answer, err);
        if (r <= 0 || !json_object_get(*ret_answer, "event"))
            return r;
        if (client->event)
            client->event(*ret_answer, client->event_context);
        json_decref(*ret_answer);
    }
}

json_t *client_ask(struct client *client, const json_t *request, struct error *err)
{
    json_t *answer = NULL;
    int r = 0;

    /* A vgpud that ends because nobody needs it closes connections just made: nothing was done for them, so
     * ask the next one. */
    for (int i = 0; i < ASK_TRIES && r == 0; i++) {
        r = client_send(client, request, err);
        if (r == 0)
            r = receive_answer(client, &answer, err);
        else if (r == -EPIPE || r == -ECONNRESET)
            r = 0;
        if (r == 0) {
            client_close(client);
            if (!client->stays && client_open(client, err) < 0)
                break;
            error_fail(err, -ECONNRESET,
                       "vgpud at %s ended before it answered; its log is vgpud.log beside the socket",
                       client->socket_path);
            if (client->stays)
                break;
        }
    }
    return r == 1 ? answer : NULL;
}

json_t *client_ask_here(struct client *client, const json_t *request, struct error *err)
{
    json_t *answer = NULL;
    int r = client->fd < 0 ? -EPIPE : client_send(client, request, err);

    if (r == 0)
        r = receive_answer(client, &answer, err);
    if (r == 0 || r == -EPIPE || r == -ECONNRESET)
        error_fail(err, -ECONNRESET, "vgpud has ended");
    return r == 1 ? answer : NULL;
}

json_t *client_ask_once(const json_t *request, struct error *err)
{
    struct client client = {.fd = -1};
    json_t *answer = client_open(&client, err) == 0 ? client_ask(&client, request, err) : NULL;

    client_close(&client);
    return answer;
}

int client_ask_instances(struct client *client, json_t *instances, struct error *err)
{
    json_int_t after = 0;

    for (;;) {
        json_auto_t *request = json_pack("{s:s, s:I}", "op", "instance.list", "after", after);
        json_auto_t *answer = client_ask(client, request, err);
        const json_t *next = json_object_get(answer, "next");

        if (!answer)
            return err->code;
        json_array_extend(instances, json_object_get(answer, "instances"));
        after = json_is_integer(next) ? json_integer_value(next) : 0;
        if (!after)
            return 0;
    }
}
