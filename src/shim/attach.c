/* The exchange with vgpud by which a process gets its slot; see attach.h. The answer is checked like any
 * message from outside, the two descriptors are mapped and closed before this returns, and so is the socket:
 * an application that closes or counts its descriptors must not meet ours. vgpud watches the process by a
 * pidfd of its own. */
#include "shim/attach.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/paths.h"
#include "shim/origin.h"

/* For a slot a program can wait; a refusal must not be put off for long because vgpud is stuck. */
enum { ANSWER_WAIT_MS = 10000, REAP_WAIT_MS = 500 };

union answer {
    struct control_header header;
    struct {
        struct control_header header;
        struct control_attached body;
    } attached;
    struct {
        struct control_header header;
        struct control_error_body body;
    } error;
    unsigned char bytes[1024];
};

const char *attach_instance(void)
{
    return origin_instance();
}

static int socket_path(char *buf, size_t buf_bytes)
{
    const char *given = origin_socket();
    char dir[PATH_MAX];
    int n;

    if (!given && paths_runtime_dir(dir, sizeof(dir)) < 0)
        return -ENAMETOOLONG;
    n = given ? snprintf(buf, buf_bytes, "%s", given) : snprintf(buf, buf_bytes, "%s/vgpud.sock", dir);
    return n < 0 || (size_t)n >= buf_bytes ? -ENAMETOOLONG : 0;
}

/* The kernel gives each program that is started 16 random bytes; threads and forks share them, the next
 * execve gets others. */
static uint32_t image_id(void)
{
    const void *random = (const void *)getauxval(AT_RANDOM);
    uint32_t id = 0;

    if (random)
        memcpy(&id, random, sizeof(id));
    return id ? id : 1;
}

static int request_send(int sock, const char *instance, enum control_client_kind kind)
{
    struct control_attach request = {.kind = kind, .image = image_id()};

    if (strlen(instance) >= sizeof(request.instance))
        return -ENAMETOOLONG;
    strcpy(request.instance, instance);
    return control_send(sock, CONTROL_ATTACH, &request, sizeof(request), NULL, 0);
}

/* Whether the answer is one to an attach, with its descriptors: limits, ledger, and signals from a vgpud that
 * has them. */
static bool is_attached(const struct control_header *header, int n_fds)
{
    return header->type == CONTROL_ATTACHED && header->bytes >= CONTROL_ATTACHED_1_0_BYTES &&
           (n_fds == 2 || n_fds == 3);
}

/* A process without the signals goes on without them. */
static void signals_take(struct ledger_client *client, const struct control_header *header,
                         const struct control_attached *body, const int *fds, int n_fds)
{
    if (n_fds == 3 && header->bytes >= sizeof(*body))
        ledger_client_signals_map(client, fds[2], body->signals_bytes);
}

/* Turns the answer into a client. The descriptors stay the caller's. */
static int answer_take(union answer *answer, ssize_t bytes, const int *fds, int n_fds,
                       struct ledger_client **ret_client, char *text, size_t text_bytes)
{
    struct control_header header;
    int r = control_check(answer, (size_t)bytes, &header);

    if (r < 0) {
        snprintf(text, text_bytes,
                 r == -EPROTO ? "vgpud speaks another version of the protocol: restart it"
                              : "vgpud's answer is garbled");
        return r;
    }
    if (header.type == CONTROL_ERROR && header.bytes >= sizeof(answer->error.body)) {
        snprintf(text, text_bytes, "%.*s", (int)sizeof(answer->error.body.text) - 1, answer->error.body.text);
        return answer->error.body.code < 0 ? answer->error.body.code : -EPROTO;
    }
    if (!is_attached(&header, n_fds)) {
        snprintf(text, text_bytes, "vgpud's answer is not one to an attach");
        return -EBADMSG;
    }
    r = ledger_client_new(fds[0], fds[1], answer->attached.body.limits_bytes,
                          answer->attached.body.ledger_bytes, answer->attached.body.slot, ret_client);
    if (r == 0)
        signals_take(*ret_client, &header, &answer->attached.body, fds, n_fds);
    else if (r == -EPROTO || r == -EBADMSG)
        snprintf(text, text_bytes,
                 "the account that vgpud sent %s: end vgpud when nothing runs, and start anew",
                 r == -EPROTO ? "is of another version of vgpu than this library"
                              : "is not one, or could shrink under the program");
    else
        snprintf(text, text_bytes, "the account that vgpud sent cannot be used: %s", strerror(-r));
    return r;
}

static int exchange(int sock, const char *instance, enum control_client_kind kind,
                    struct ledger_client **ret_client, char *text, size_t text_bytes)
{
    union answer answer;
    int fds[FDPASS_MAX], n_fds = FDPASS_MAX, r = request_send(sock, instance, kind);
    ssize_t bytes;

    if (r < 0) {
        snprintf(text, text_bytes, "cannot ask vgpud: %s", strerror(-r));
        return r;
    }
    bytes = fdpass_recv(sock, &answer, sizeof(answer), fds, &n_fds, 0);
    if (bytes <= 0) {
        r = bytes ? (int)bytes : -ECONNRESET;
        snprintf(text, text_bytes, "no answer from vgpud: %s", strerror(-r));
        return r;
    }
    r = answer_take(&answer, bytes, fds, n_fds, ret_client, text, text_bytes);
    for (int i = 0; i < n_fds; i++)
        close(fds[i]);
    return r;
}

int attach_open(const char *instance, enum control_client_kind kind, struct ledger_client **ret_client,
                char *text, size_t text_bytes)
{
    char path[PATH_MAX];
    int sock, r = socket_path(path, sizeof(path));

    if (r < 0) {
        snprintf(text, text_bytes, "the path of vgpud's socket is too long");
        return r;
    }
    sock = control_connect_within(path, ANSWER_WAIT_MS);
    if (sock < 0) {
        snprintf(text, text_bytes, "cannot reach vgpud at %s: %s", path, strerror(-sock));
        return sock;
    }
    r = exchange(sock, instance, kind, ret_client, text, text_bytes);
    close(sock);
    return r;
}

/* ---- after a restart of vgpud ---- */

static int rejoin_send(int sock, const struct ledger_client *client)
{
    struct control_rejoin request = {.slot = ledger_own_slot_index(client),
                                     .slot_generation = ledger_own_generation(client),
                                     .image = image_id()};

    if (request.slot == LEDGER_OBSERVER)
        return request_send(sock, ledger_instance(client), CONTROL_CLIENT_OBSERVER);
    snprintf(request.instance, sizeof(request.instance), "%s", ledger_instance(client));
    return control_send(sock, CONTROL_REJOIN, &request, sizeof(request), NULL, 0);
}

static int rejoin_take(struct ledger_client *client, union answer *answer, ssize_t bytes, const int *fds,
                       int n_fds)
{
    const struct control_attached *body = &answer->attached.body;
    struct control_header header;
    int r = bytes <= 0 ? -EPROTO : control_check(answer, (size_t)bytes, &header);

    if (r < 0)
        return r;
    if (!is_attached(&header, n_fds) || body->slot != ledger_own_slot_index(client))
        return -EPROTO;
    r = ledger_client_limits_replace(client, fds[0], body->limits_bytes);
    if (r == 0)
        signals_take(client, &header, body, fds, n_fds);
    return r;
}

int attach_rejoin(struct ledger_client *client, unsigned wait_ms)
{
    int fds[FDPASS_MAX], n_fds = FDPASS_MAX, sock, r;
    union answer answer;
    char path[PATH_MAX];
    ssize_t bytes;

    r = socket_path(path, sizeof(path));
    sock = r < 0 ? r : control_connect_within(path, wait_ms);
    if (sock < 0)
        return sock;
    r = rejoin_send(sock, client);
    if (r == 0) {
        bytes = fdpass_recv(sock, &answer, sizeof(answer), fds, &n_fds, 0);
        if (bytes < 0)
            n_fds = 0;
        r = rejoin_take(client, &answer, bytes, fds, n_fds);
        for (int i = 0; i < n_fds; i++)
            close(fds[i]);
    }
    close(sock);
    return r;
}

/* ---- reaping ---- */

int attach_reap(void)
{
    const char *instance = attach_instance();
    struct control_reap request = {0};
    struct control_header header;
    int sock, r, no_fds = 0;
    union answer answer;
    char path[PATH_MAX];
    ssize_t bytes;

    if (!instance || strlen(instance) >= sizeof(request.instance))
        return -EINVAL;
    strcpy(request.instance, instance);
    r = socket_path(path, sizeof(path));
    sock = r < 0 ? r : control_connect_within(path, REAP_WAIT_MS);
    if (sock < 0)
        return sock;
    r = control_send(sock, CONTROL_REAP, &request, sizeof(request), NULL, 0);
    if (r == 0) {
        bytes = fdpass_recv(sock, &answer, sizeof(answer), NULL, &no_fds, 0);
        r = bytes <= 0 ? -EPROTO : control_check(&answer, (size_t)bytes, &header);
        if (r == 0 && header.type != CONTROL_REAPED)
            r = -EPROTO;
    }
    close(sock);
    return r;
}
