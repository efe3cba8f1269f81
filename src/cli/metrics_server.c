/* vgpu-metrics, which `vgpu metrics` runs: a program of its own, so that `vgpu` needs no web server's
 * library. */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/collect.h"
#include "cli/metrics_serve.h"
#include "cli/options.h"
#include "cli/output.h"

#define LISTEN_DEFAULT "127.0.0.1:9457"

enum { ADDRESS_MAX = 256, NODE_MAX = 256 };

static const char usage[] =
    "Usage: vgpu metrics [--listen ADDRESS:PORT] [--hami-names] [--once]\n"
    "Serves vgpud's figures to Prometheus at http://ADDRESS:PORT/metrics, until it is ended. /healthz "
    "answers as\n"
    "long as it runs. Root sees all instances, other users their own. vgpud is not started: while there is "
    "none,\n"
    "vgpu_up is 0.\n"
    "\n"
    "  --listen ADDRESS:PORT  where; [ADDRESS]:PORT for IPv6; port 0 takes a free one "
    "(default: " LISTEN_DEFAULT ")\n"
    "  --hami-names           the figures under HAMi's names too, for dashboards made for it\n"
    "  --once                 print what would be served and end; 1 when vgpud does not answer\n"
    "  --help                 this text\n";

/* ---- address ---- */

/* Splits "ADDRESS:PORT" or "[ADDRESS]:PORT". */
static int split_address(const char *text, char address[ADDRESS_MAX], const char **ret_port,
                         struct error *err)
{
    const char *colon = strrchr(text, ':');
    bool in_brackets = text[0] == '[';
    const char *begin = text + in_brackets, *end = colon ? colon - in_brackets : NULL;
    char *rest;

    if (!colon || end <= begin || end - begin >= ADDRESS_MAX || (in_brackets && *end != ']') ||
        (!in_brackets && memchr(begin, ':', (size_t)(end - begin))) || colon[1] < '0' || colon[1] > '9' ||
        strtoul(colon + 1, &rest, 10) > 65535 || *rest)
        return error_fail(err, -EINVAL,
                          "--listen: '%s' is not an address and a port; write it as " LISTEN_DEFAULT
                          " or [::1]:9457",
                          text);
    memcpy(address, begin, (size_t)(end - begin));
    address[end - begin] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int open_socket(const struct addrinfo *where)
{
    static const int yes = 1;
    CLEANUP_FD int fd = socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC, where->ai_protocol);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, METRICS_CONNECTIONS_MAX) < 0)
        return error_errno();
    return steal_fd(&fd);
}

/* A listening socket, or negative errno with err filled. */
static int open_listening(const char *text, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char address[ADDRESS_MAX];
    const char *port = NULL;
    int r = split_address(text, address, &port, err), fd;

    if (r < 0)
        return r;
    r = getaddrinfo(address, port, &hints, &found);
    if (r != 0)
        return error_fail(err, -EADDRNOTAVAIL, "--listen: '%s' is no address of this machine: %s", address,
                          gai_strerror(r));
    fd = open_socket(found);
    freeaddrinfo(found);
    return fd < 0 ? error_fail(err, fd, "--listen: cannot listen on %s: %s", text, strerror(-fd)) : fd;
}

/* Says where it serves, with the port that was taken. */
static void tell_where(int fd, const char *name)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof(address);
    char host[ADDRESS_MAX], port[16];

    if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0 ||
        getnameinfo((struct sockaddr *)&address, bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    fprintf(stderr,
            address.ss_family == AF_INET6 ? "%s: serving http://[%s]:%s/metrics\n"
                                          : "%s: serving http://%s:%s/metrics\n",
            name, host, port);
}

/* ---- commands ---- */

static int print_once(const struct metrics_wishes *wishes, char **argv)
{
    uint64_t begin_ns = clock_monotonic_ns();
    struct collect collect;
    struct error err = {0};
    CLEANUP_FREE char *text = NULL;
    json_t *answers;
    size_t bytes;

    collect_init(&collect);
    answers = collect_ask(&collect, false, begin_ns, &err);
    text = metrics_render(answers, clock_monotonic_ns() - begin_ns, wishes, &bytes);
    collect_done(&collect);
    if (text)
        fputs(text, stdout);
    if (!answers)
        return options_fail(argv, CLI_FAILED, &err);
    json_decref(answers);
    return text ? output_end() : CLI_FAILED;
}

static int serve(const char *listen_text, const struct metrics_wishes *wishes, char **argv)
{
    struct error err = {0};
    sigset_t ends;
    int fd = open_listening(listen_text, &err);

    if (fd < 0)
        return options_fail(argv, err.code == -EINVAL ? CLI_USAGE : CLI_FAILED, &err);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    tell_where(fd, argv[0]);
    return metrics_serve(fd, argv[0], wishes, &err) < 0 ? options_fail(argv, CLI_FAILED, &err) : CLI_OK;
}

int main(int argc, char **argv)
{
    enum { LISTEN = OPTIONS_OWN, HAMI_NAMES, ONCE };
    static const struct option options[] = {
        OPTIONS_HELP_ROW,
        {"listen", required_argument, NULL, LISTEN},
        {"hami-names", no_argument, NULL, HAMI_NAMES},
        {"once", no_argument, NULL, ONCE},
        OPTIONS_END_ROW,
    };
    char node[NODE_MAX] = "";
    struct metrics_wishes wishes = {.node = node};
    const char *listen_text = LISTEN_DEFAULT;
    bool once = false;
    int code;

    options_begin();
    while ((code = options_next(argc, argv, options, false)) != -1) {
        if (code == OPTIONS_HELP)
            return fputs(usage, stdout) < 0 ? CLI_FAILED : output_end();
        if (code == LISTEN)
            listen_text = optarg;
        else if (code == HAMI_NAMES)
            wishes.hami_names = true;
        else if (code == ONCE)
            once = true;
        else
            return CLI_USAGE;
    }
    if (optind < argc)
        return options_fail_arguments(argv, "no arguments");
    gethostname(node, sizeof(node) - 1);
    return once ? print_once(&wishes, argv) : serve(listen_text, &wishes, argv);
}
