/* The load of bench/daemon.sh: daemon SOCKET INSTANCES JOINS_PER_S SECONDS. Makes that many instances of one
 * device at vgpud, each with a process that attaches and stays; then for the seconds processes attach to one
 * after the other, take and give back memory, and end. Prints "joins N late N failed N": the joins made and
 * those that began more than 100 ms late. What vgpud used meanwhile the script reads; the load says "begin"
 * and "end" on lines of their own, and ends its instances when its input ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "ledger/ledger.h"
#include "wire/control.h"

enum { INSTANCES_MAX = 1024, FDS = 3 };

static const char *socket_path;
static char ids[INSTANCES_MAX][CONTROL_INSTANCE_MAX];

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench/daemon: %s\n", what);
    exit(1);
}

static int connect_or_fail(void)
{
    int sock = control_connect(socket_path);

    if (sock < 0)
        fail("cannot connect to vgpud");
    return sock;
}

/* Without a JSON library: the id is the first of the answer's. */
static void instance_make(int sock, unsigned index)
{
    static char answer[CONTROL_MESSAGE_MAX];
    char request[200], *id;
    int n = snprintf(request, sizeof(request),
                     "{\"op\":\"instance.create\",\"name\":\"bench-%u\",\"memory_limit_bytes\":%d,\"lease\":"
                     "false,\"overcommit\":true}",
                     index, 64 << 20);
    ssize_t got;

    if (control_send(sock, CONTROL_JSON, request, (size_t)n, NULL, 0) < 0)
        fail("cannot ask for an instance");
    got = fdpass_recv(sock, answer, sizeof(answer) - 1, NULL, NULL, 0);
    if (got <= 0)
        fail("no answer");
    answer[got] = '\0';
    id = strstr(answer + sizeof(struct control_header), "\"id\":");
    if (!id ||
        sscanf(id, "\"id\":%*[ ]\"%63[^\"]", ids[index]) + sscanf(id, "\"id\":\"%63[^\"]", ids[index]) < 1)
        fail(answer + sizeof(struct control_header));
}

static struct ledger_client *attach(unsigned index)
{
    struct control_attach request = {.kind = CONTROL_CLIENT_PROCESS, .image = 1};
    struct {
        struct control_header header;
        struct control_attached body;
        char more[512];
    } answer;
    int sock = connect_or_fail(), fds[FDS], n_fds = FDS;
    struct ledger_client *client;

    memcpy(request.instance, ids[index], sizeof(request.instance));
    control_send(sock, CONTROL_ATTACH, &request, sizeof(request), NULL, 0);
    if (fdpass_recv(sock, &answer, sizeof(answer), fds, &n_fds, 0) <= 0 ||
        answer.header.type != CONTROL_ATTACHED)
        fail(answer.header.type == CONTROL_ERROR ? (const char *)&answer.body + 4 : "not attached");
    if (ledger_client_new(fds[0], fds[1], answer.body.limits_bytes, answer.body.ledger_bytes,
                          answer.body.slot, &client) < 0)
        fail("no account");
    for (int i = 0; i < n_fds; i++)
        close(fds[i]);
    close(sock);
    return client;
}

static int attached[2]; /* a pipe: a byte of each that stays */

static void stay(unsigned index)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    attach(index);
    if (write(attached[1], "", 1) != 1)
        fail("nobody listens");
    for (;;)
        pause();
}

static void visit(unsigned index)
{
    struct ledger_client *client = attach(index);

    if (ledger_reserve(client, 0, 2 << 20) < 0)
        fail("no memory");
    ledger_release(client, 0, 2 << 20);
    _exit(0);
}

static pid_t start(void (*run)(unsigned index), unsigned index)
{
    pid_t pid = fork();

    if (pid < 0)
        fail("cannot fork");
    if (pid == 0)
        run(index);
    return pid;
}

static void load(unsigned n, unsigned joins_per_s, unsigned seconds)
{
    uint64_t begin_ns = clock_monotonic_ns(), pause_ns = NS_PER_S / joins_per_s;
    unsigned n_joins = joins_per_s * seconds, n_late = 0, n_failed = 0;
    int status;

    for (unsigned i = 0; i < n_joins; i++) {
        uint64_t due_ns = begin_ns + i * pause_ns;

        clock_sleep_until_ns(due_ns);
        n_late += clock_monotonic_ns() - due_ns > 100 * NS_PER_MS;
        start(visit, i * 7 % n);
        while (waitpid(-1, &status, WNOHANG) > 0)
            n_failed += status != 0;
    }
    for (uint64_t until_ns = clock_monotonic_ns() + NS_PER_S; clock_monotonic_ns() < until_ns; usleep(1000))
        while (waitpid(-1, &status, WNOHANG) > 0)
            n_failed += status != 0;
    printf("joins %u late %u failed %u\n", n_joins, n_late, n_failed);
}

int main(int argc, char **argv)
{
    unsigned n = argc == 5 ? (unsigned)atoi(argv[2]) : 0, i;
    char byte;
    int sock;

    if (!n || n > INSTANCES_MAX)
        fail("usage: daemon SOCKET INSTANCES JOINS_PER_S SECONDS");
    setvbuf(stdout, NULL, _IOLBF, 0);
    socket_path = argv[1];
    sock = connect_or_fail();
    for (i = 0; i < n; i++)
        instance_make(sock, i);
    close(sock);
    if (pipe(attached) < 0)
        fail("no pipe");
    for (i = 0; i < n; i++)
        start(stay, i);
    for (i = 0; i < n; i++)
        if (read(attached[0], &byte, 1) != 1)
            fail("not all attached");
    sleep(2);
    printf("begin\n");
    load(n, (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    printf("end\n");
    while (getchar() != EOF)
        ;
    kill(0, SIGTERM);
    return 0;
}
