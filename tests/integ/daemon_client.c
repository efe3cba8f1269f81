/* A tenant in small: attaches to its instance like the library does and moves memory in the ledger alone,
 * without a driver. It reads commands from standard input, a line each, and answers with a line:
 *   reserve MIB   "ok" or the error's name
 *   release MIB   "ok"
 *   used          "OWN INSTANCE LIMIT", in MiB
 *   exec          attaches again as another program of the same process
 *   rejoin        asks for the areas of a vgpud that was restarted
 *   linger        "ok", then its first thread ends and another one stays
 *   quit          ends, as the end of input does
 * It begins with "ready" or with the daemon's words for why not (exit status 1).
 * --ignore-term      as above, deaf to SIGTERM
 * --json TEXT        sends one request and prints the answer
 * --version-major N  sends a request of another version and prints the answer
 * --garbage          sends what is no message; exit status 0 when each was refused
 * --rejoin SLOT GENERATION  claims a slot of VGPU_INSTANCE; prints the refusal
 * --reap             asks for the dead of VGPU_INSTANCE to be reaped, prints "reaped N"
 * --reap-race N      N times: a tenant with memory is killed, and once it has let go of its descriptors the
 * dead are reaped; prints how often the ledger was not empty then
 * --flood N          opens N connections, says how many were refused, and keeps the others until its input
 * ends */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/units.h"
#include "ledger/ledger.h"
#include "wire/control.h"

static int control_socket(void)
{
    int sock = control_connect(getenv("VGPU_SOCKET"));

    if (sock < 0) {
        printf("cannot connect: %s\n", strerror(-sock));
        exit(1);
    }
    return sock;
}

/* Receives one message and prints it when it is an error or JSON. Returns its type, 0 at the end. */
static int receive(int sock, struct control_attached *ret_attached, int fds[3])
{
    static unsigned char message[CONTROL_MESSAGE_MAX];
    struct control_header header;
    int n_fds = 3;
    ssize_t n;

    fds[2] = -1; /* what an older vgpud does not send */
    n = fdpass_recv(sock, message, sizeof(message) - 1, fds, &n_fds, 0);
    if (n <= 0 || control_check(message, (size_t)n, &header) < 0) {
        printf("no answer\n");
        return 0;
    }
    message[n] = '\0';
    if (header.type == CONTROL_ERROR)
        printf("%s\n", ((struct control_error_body *)(message + sizeof(header)))->text);
    else if (header.type == CONTROL_JSON)
        printf("%s\n", message + sizeof(header));
    else if (ret_attached)
        memcpy(ret_attached, message + sizeof(header), sizeof(*ret_attached));
    return header.type;
}

static struct ledger_client *attach(uint32_t image)
{
    struct control_attach request = {.kind = CONTROL_CLIENT_PROCESS, .image = image};
    struct control_attached attached;
    struct ledger_client *client = NULL;
    int sock = control_socket(), fds[3];

    snprintf(request.instance, sizeof(request.instance), "%s", getenv("VGPU_INSTANCE"));
    control_send(sock, CONTROL_ATTACH, &request, sizeof(request), NULL, 0);
    if (receive(sock, &attached, fds) != CONTROL_ATTACHED)
        exit(1);
    if (ledger_client_new(fds[0], fds[1], attached.limits_bytes, attached.ledger_bytes, attached.slot,
                          &client) < 0)
        exit(2);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(sock);
    return client;
}

static _Noreturn void *stay(void *unused)
{
    printf("ok\n");
    for (;;)
        pause();
}

/* To the kernel, a process whose first thread has ended looks like one that is exiting. */
static void linger(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, stay, NULL);
    pthread_exit(NULL);
}

static int reap(uint32_t *ret_reaped)
{
    unsigned char message[sizeof(struct control_header) + sizeof(struct control_error_body)];
    struct control_reap request = {0};
    struct control_header header;
    struct control_reaped reaped;
    int sock = control_socket(), r = -1;
    ssize_t n;

    snprintf(request.instance, sizeof(request.instance), "%s", getenv("VGPU_INSTANCE"));
    control_send(sock, CONTROL_REAP, &request, sizeof(request), NULL, 0);
    n = fdpass_recv(sock, message, sizeof(message), NULL, NULL, 0);
    close(sock);
    if (n <= 0 || control_check(message, (size_t)n, &header) < 0)
        return r;
    if (header.type == CONTROL_ERROR) {
        printf("%s\n", ((struct control_error_body *)(message + sizeof(header)))->text);
    } else if (header.type == CONTROL_REAPED && header.bytes == sizeof(reaped)) {
        memcpy(&reaped, message + sizeof(header), sizeof(reaped));
        *ret_reaped = reaped.reaped;
        r = 0;
    }
    return r;
}

/* Starts a tenant that holds 64 MiB and has said so; *ret_lifeline gives end of file when its descriptors are
 * closed. */
static pid_t start_holder(int *ret_lifeline)
{
    int ends[2];
    char byte;
    pid_t pid;

    if (pipe(ends) < 0 || (pid = fork()) < 0)
        exit(2);
    if (pid == 0) {
        struct ledger_client *client = attach(1);

        byte = ledger_reserve(client, 0, 64 * MIB) == 0 ? 'y' : 'n';
        if (write(ends[1], &byte, 1) != 1)
            exit(2);
        for (;;)
            pause();
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1 || byte != 'y') {
        printf("a new tenant found the memory of dead ones taken\n");
        exit(1);
    }
    *ret_lifeline = ends[0];
    return pid;
}

static int reap_race(int n_rounds)
{
    struct ledger_client *client = attach(1);
    uint32_t n_reaped;
    int n_left = 0, lifeline;
    char byte;

    for (int i = 0; i < n_rounds; i++) {
        pid_t pid = start_holder(&lifeline);

        kill(pid, SIGKILL);
        if (read(lifeline, &byte, 1) != 0 || reap(&n_reaped) < 0)
            exit(2);
        n_left += ledger_used_bytes(client, 0) != 0;
        close(lifeline);
        waitpid(pid, NULL, 0);
    }
    printf("%d of %d left something\n", n_left, n_rounds);
    ledger_client_free(client);
    return 0;
}

static int rejoin(struct ledger_client *client)
{
    struct control_rejoin request = {
        .slot = ledger_own_slot_index(client), .slot_generation = ledger_own_generation(client), .image = 1};
    int sock = control_socket(), fds[3], r = -EPERM;
    struct control_attached attached;

    strcpy(request.instance, ledger_instance(client));
    control_send(sock, CONTROL_REJOIN, &request, sizeof(request), NULL, 0);
    if (receive(sock, &attached, fds) == CONTROL_ATTACHED) {
        r = ledger_client_limits_replace(client, fds[0], attached.limits_bytes);
        for (int i = 0; i < 3; i++)
            close(fds[i]);
    }
    close(sock);
    return r;
}

/* Claims a slot that is another process's. */
static int claim(uint32_t slot, uint32_t generation)
{
    struct control_rejoin request = {.slot = slot, .slot_generation = generation, .image = 1};
    int sock = control_socket(), fds[3];

    snprintf(request.instance, sizeof(request.instance), "%s", getenv("VGPU_INSTANCE"));
    control_send(sock, CONTROL_REJOIN, &request, sizeof(request), NULL, 0);
    return receive(sock, NULL, fds) == CONTROL_ERROR ? 0 : 1;
}

static void obey(struct ledger_client **client, const char *line)
{
    uint64_t mib = 0;
    int r = 0;

    if (sscanf(line, "reserve %lu", &mib) == 1)
        r = ledger_reserve(*client, 0, mib * MIB);
    else if (sscanf(line, "release %lu", &mib) == 1)
        ledger_release(*client, 0, mib * MIB);
    else if (!strncmp(line, "rejoin", 6))
        r = rejoin(*client);
    else if (!strncmp(line, "linger", 6))
        linger();
    else if (!strncmp(line, "exec", 4)) {
        ledger_client_free(*client);
        *client = attach(2);
    } else if (!strncmp(line, "used", 4)) {
        printf("%lu %lu %lu\n", ledger_own_bytes(*client, 0) / MIB, ledger_used_bytes(*client, 0) / MIB,
               ledger_limit_bytes(*client, 0) / MIB);
        return;
    }
    printf("%s\n", r ? strerrorname_np(-r) : "ok");
}

/* A well-formed request of another major version. */
static int speak_version(int major)
{
    struct control_header header = {.magic = CONTROL_MAGIC, .major = (uint16_t)major, .type = CONTROL_JSON};
    int sock = control_socket(), fds[3];

    send(sock, &header, sizeof(header), MSG_NOSIGNAL);
    return receive(sock, NULL, fds) == CONTROL_ERROR ? 0 : 1;
}

static int ask_json(const char *text)
{
    int sock = control_socket(), fds[3];

    control_send(sock, CONTROL_JSON, text, strlen(text), NULL, 0);
    return receive(sock, NULL, fds) == CONTROL_JSON ? 0 : 1;
}

/* Sends what is no message at all, of many sizes, each on a connection of its own. */
static int send_garbage(void)
{
    unsigned char bytes[4096];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 167 + 13);
    for (unsigned n = 1; n < sizeof(bytes); n = n * 3 / 2 + 1) {
        int sock = control_socket(), fds[3];

        send(sock, bytes, n, MSG_NOSIGNAL);
        if (receive(sock, NULL, fds) != CONTROL_ERROR)
            return 1;
        close(sock);
    }
    return 0;
}

/* Opens n connections, says how many were refused, and keeps them until its input ends. */
static int flood(int n)
{
    int *socks = calloc((size_t)n, sizeof(*socks)), n_refused = 0;

    for (int i = 0; i < n; i++)
        socks[i] = control_socket();
    for (int i = 0; i < n; i++)
        n_refused += poll(&(struct pollfd){.fd = socks[i], .events = POLLIN}, 1, i ? 0 : 300) > 0;
    printf("%d open, %d refused\n", n - n_refused, n_refused);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    free(socks);
    return 0;
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "", *value = argc > 2 ? argv[2] : "";
    struct ledger_client *client;
    char line[80];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(option, "--version-major"))
        return speak_version(atoi(value));
    if (!strcmp(option, "--json"))
        return ask_json(value);
    if (!strcmp(option, "--garbage"))
        return send_garbage();
    if (!strcmp(option, "--flood"))
        return flood(atoi(value));
    if (!strcmp(option, "--rejoin"))
        return claim((uint32_t)atoi(value), argc > 3 ? (uint32_t)atoi(argv[3]) : 1);
    if (!strcmp(option, "--reap-race"))
        return reap_race(atoi(value));
    if (!strcmp(option, "--reap")) {
        uint32_t n_reaped;

        if (reap(&n_reaped) < 0)
            return 1;
        printf("reaped %u\n", n_reaped);
        return 0;
    }
    if (!strcmp(option, "--ignore-term"))
        signal(SIGTERM, SIG_IGN);
    client = attach(1);
    printf("ready\n");
    while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4))
        obey(&client, line);
    ledger_client_free(client);
    return 0;
}
