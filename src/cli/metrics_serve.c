/* Serving; see metrics_serve.h. Each connection has a thread, which may wait for the asking thread; the
 * response is made once a look and shared by all that get it. */
#include "cli/metrics_serve.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/collect.h"

enum {
    IDLE_S = 10,
    STACK_BYTES = 256 << 10,
    REQUEST_BYTES_MAX = 16 << 10,
    PER_ADDRESS_MAX = METRICS_CONNECTIONS_MAX / 2
};

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PLAIN_TYPE   "text/plain; charset=utf-8"

struct server {
    const char *name;
    const struct metrics_wishes *wishes;
    pthread_mutex_t mutex;
    pthread_cond_t wanted, looked;
    bool is_wanted;
    unsigned long looks;
    struct MHD_Response *response; /* of the last look, or NULL */
    uint64_t response_ns;
    struct collect collect; /* the asking thread's alone */
};

/* ---- responses ---- */

static struct MHD_Response *text_response(char *text, size_t bytes, enum MHD_ResponseMemoryMode mode,
                                          const char *type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, text, mode);

    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

static struct MHD_Response *metrics_response(const json_t *answers, uint64_t asked_ns,
                                             const struct metrics_wishes *wishes)
{
    size_t bytes;
    char *text = metrics_render(answers, asked_ns, wishes, &bytes);

    return text ? text_response(text, bytes, MHD_RESPMEM_MUST_FREE, METRICS_TYPE) : NULL;
}

static enum MHD_Result answer_plainly(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        text_response((char *)text, strlen(text), MHD_RESPMEM_PERSISTENT, PLAIN_TYPE);
    enum MHD_Result r = MHD_NO;

    if (response) {
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
            MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        r = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
    }
    return r;
}

/* ---- the asking thread ---- */

/* Says when vgpud comes and goes. was_up: -1 at first. */
static void tell(const struct server *server, int was_up, const struct error *problem)
{
    if (problem->code && was_up != 0)
        fprintf(stderr, "%s: vgpu_up is 0: %s\n", server->name, problem->text);
    else if (!problem->code && was_up == 0)
        fprintf(stderr, "%s: vgpud at %s answers\n", server->name, server->collect.client.socket_path);
}

static void *ask(void *context)
{
    struct server *server = context;
    int was_up = -1;

    pthread_mutex_lock(&server->mutex);
    for (;;) {
        struct MHD_Response *response;
        struct error problem = {0};
        uint64_t begin_ns;
        json_t *answers;

        while (!server->is_wanted)
            pthread_cond_wait(&server->wanted, &server->mutex);
        pthread_mutex_unlock(&server->mutex);
        begin_ns = clock_monotonic_ns();
        answers = collect_ask(&server->collect, false, begin_ns, &problem);
        tell(server, was_up, &problem);
        was_up = answers != NULL;
        response = metrics_response(answers, clock_monotonic_ns() - begin_ns, server->wishes);
        json_decref(answers);
        pthread_mutex_lock(&server->mutex);
        if (server->response)
            MHD_destroy_response(server->response);
        server->response = response;
        server->response_ns = clock_monotonic_ns();
        server->is_wanted = false;
        server->looks++;
        pthread_cond_broadcast(&server->looked);
    }
    return NULL;
}

/* ---- requests ---- */

/* Waits for the look that is under way, or a new one. false: it takes too long. Locked. */
static bool await_look_locked(struct server *server)
{
    uint64_t until_ns = clock_monotonic_ns() + METRICS_WAIT_MS * NS_PER_MS;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};
    unsigned long looks = server->looks;

    server->is_wanted = true;
    pthread_cond_signal(&server->wanted);
    while (server->looks == looks)
        if (pthread_cond_timedwait(&server->looked, &server->mutex, &until) != 0)
            return false;
    return true;
}

static enum MHD_Result answer_metrics(struct server *server, struct MHD_Connection *connection)
{
    enum MHD_Result r = MHD_NO;
    struct MHD_Response *down;
    bool in_time = true;

    pthread_mutex_lock(&server->mutex);
    if (!server->response || clock_monotonic_ns() - server->response_ns >= METRICS_CACHE_MS * NS_PER_MS)
        in_time = await_look_locked(server);
    if (in_time && server->response)
        r = MHD_queue_response(connection, MHD_HTTP_OK, server->response);
    pthread_mutex_unlock(&server->mutex);
    if (in_time)
        return r;
    down = metrics_response(NULL, METRICS_WAIT_MS * NS_PER_MS, server->wishes);
    if (down) {
        r = MHD_queue_response(connection, MHD_HTTP_OK, down);
        MHD_destroy_response(down);
    }
    return r;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_plainly(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (!strcmp(url, "/metrics"))
        return answer_metrics(context, connection);
    if (!strcmp(url, "/healthz"))
        return answer_plainly(connection, MHD_HTTP_OK, "ok\n");
    if (!strcmp(url, "/"))
        return answer_plainly(connection, MHD_HTTP_OK, "vgpu: /metrics has the figures\n");
    return answer_plainly(connection, MHD_HTTP_NOT_FOUND, "there is /metrics and /healthz\n");
}

/* What peers do wrong is theirs to know. */
static __attribute__((format(printf, 2, 0))) void say_nothing(void *context, const char *format,
                                                              va_list arguments)
{
}

static void init(struct server *server, const char *name, const struct metrics_wishes *wishes)
{
    pthread_condattr_t attr;

    *server = (struct server){.name = name, .wishes = wishes};
    collect_init(&server->collect);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->looked, &attr);
    pthread_cond_init(&server->wanted, NULL);
    pthread_condattr_destroy(&attr);
}

static struct MHD_Daemon *start(struct server *server, int listen_fd)
{
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, answer, server, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET,
        listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
}

int metrics_serve(int listen_fd, const char *name, const struct metrics_wishes *wishes, struct error *err)
{
    static struct server
        server; /* the asking thread lives as long as the process: it may be waiting for vgpud */
    struct MHD_Daemon *daemon;
    pthread_t thread;
    sigset_t ends;
    int r, signal_number;

    init(&server, name, wishes);
    r = -pthread_create(&thread, NULL, ask, &server);
    if (r < 0) {
        close(listen_fd);
        return error_fail(err, r, "cannot start a thread: %s", strerror(-r));
    }
    pthread_detach(thread);
    daemon = start(&server, listen_fd);
    if (!daemon) {
        close(listen_fd);
        return error_fail(err, -EIO, "cannot start the web server");
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    while (sigwait(&ends, &signal_number) != 0)
        ;
    MHD_stop_daemon(daemon);
    return 0;
}
