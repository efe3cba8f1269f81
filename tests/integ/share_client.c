/* A tenant in small for compute shares: attaches to the instance in its argument as the library does, writes
 * its account as if it had used GPU time, and says what its gate says. Reads commands from standard input, a
 * line each, and answers with a line; it begins with "ready" and its slot, or with the daemon's words for why
 * not (exit status 1). work NS        has used NS of compute time just now: drawn and billed; also N times
 * with: work NS N, a millisecond apart copy NS        the same for the copy engine throttle NS    has waited
 * NS waiting N      N of its threads wait want NS        wants a window of NS; 0: none deny BYTES     was
 * refused BYTES wreck          fills its account with ones gate           the gate, as JSON change waits
 * until the gate changes, then the gate quit */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "ledger/ledger.h"
#include "wire/control.h"

static const struct ledger_limits *limits;
static struct ledger *ledger;
static uint32_t slot;

static void *map(int fd, size_t bytes, int protection)
{
    void *area = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

    if (area == MAP_FAILED)
        exit(2);
    close(fd);
    return area;
}

static void attach(const char *instance, uint32_t kind)
{
    static unsigned char message[CONTROL_MESSAGE_MAX];
    struct control_attach request = {.kind = kind, .image = 1};
    struct control_attached attached;
    struct control_header header;
    int sock = control_connect(getenv("VGPU_SOCKET")), fds[FDPASS_MAX], n_fds = FDPASS_MAX;
    ssize_t n;

    snprintf(request.instance, sizeof(request.instance), "%s", instance);
    if (sock < 0 || control_send(sock, CONTROL_ATTACH, &request, sizeof(request), NULL, 0) < 0)
        exit(2);
    n = fdpass_recv(sock, message, sizeof(message), fds, &n_fds, 0);
    if (n <= 0 || control_check(message, (size_t)n, &header) < 0)
        exit(2);
    if (header.type != CONTROL_ATTACHED) {
        printf("%s\n", ((struct control_error_body *)(message + sizeof(header)))->text);
        exit(1);
    }
    memcpy(&attached, message + sizeof(header), sizeof(attached));
    slot = attached.slot;
    limits = map(fds[0], sizeof(*limits), PROT_READ);
    ledger =
        map(fds[1], sizeof(*ledger), kind == CONTROL_CLIENT_OBSERVER ? PROT_READ : PROT_READ | PROT_WRITE);
    close(sock);
}

static void work(unsigned engine, uint64_t ns)
{
    uint64_t now_ns = clock_monotonic_ns();

    __atomic_add_fetch(&ledger->accounts[0].drawn_ns[engine], ns, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ledger->accounts[0].billed_ns_total[engine], ns, __ATOMIC_RELAXED);
    __atomic_store_n(&ledger->accounts[0].active_ns, now_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&ledger->slots[slot].devices[0].active_ns, now_ns, __ATOMIC_RELAXED);
}

static void work_times(uint64_t ns, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        work(LEDGER_COMPUTE, ns);
        if (i + 1 < times)
            usleep(1000);
    }
}

static void note(uint64_t bytes)
{
    struct ledger_note *denied = &ledger->accounts[0].denied;

    *denied = (struct ledger_note){.time_ns = clock_monotonic_ns(),
                                   .amount = bytes,
                                   .used = 7,
                                   .limit = 8,
                                   .why = LEDGER_WHY_LIMIT,
                                   .slot = slot};
    strcpy(denied->call, "cuMemAlloc_v2\033[31m");
}

static struct ledger_gate gate_read(void)
{
    const struct ledger_gate *shared = &limits->gates[0];
    struct ledger_gate gate;

    do {
        while (__atomic_load_n(&shared->sequence, __ATOMIC_ACQUIRE) % 2)
            ;
        gate = *shared;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&shared->sequence, __ATOMIC_RELAXED) != gate.sequence);
    return gate;
}

static void gate_print(void)
{
    struct ledger_gate gate = gate_read();

    printf("{\"sequence\": %u, \"flags\": %u, \"rate_ppm\": %u, \"active_clients\": %u, \"base_ns\": %" PRIu64
           ", \"base_time_ns\": %" PRIu64 ", \"period_ns\": %" PRIu64 ", \"offset_ns\": %" PRIu64
           ", \"burst_ns\": %" PRIu64 ", \"in_flight_ns\": %" PRIu64 ", \"window_from_ns\": %" PRIu64
           ", \"window_until_ns\": %" PRIu64
           ", \"window_slot\": %u, \"window_generation\": %u, \"yield\": [%" PRIu64 ", %" PRIu64
           "], \"signal_device\": %u, \"tick\": %" PRIu64 ", \"now_ns\": %" PRIu64
           ", \"policy\": %u, \"priority\": %u, "
           "\"share_permille\": %u, \"weight\": %u, \"time_slice_ns\": %" PRIu64 ", \"signal_line\": %u}\n",
           gate.sequence, gate.flags, gate.rate_ppm, gate.active_clients, gate.base_ns, gate.base_time_ns,
           gate.period_ns, gate.offset_ns, gate.burst_ns, gate.in_flight_ns, gate.window_from_ns,
           gate.window_until_ns, gate.window_slot, gate.window_generation, gate.yield[0], gate.yield[1],
           gate.signal_device, limits->tick, clock_monotonic_ns(), limits->policy, limits->priority,
           limits->devices[0].share_permille, limits->devices[0].weight, limits->devices[0].time_slice_ns,
           slot == LEDGER_OBSERVER ? LEDGER_NO_SLOT : ledger->slots[slot].signal_line);
}

static void change_await(void)
{
    uint32_t before = gate_read().sequence;

    for (int i = 0; i < 20000 && gate_read().sequence == before; i++)
        usleep(100);
    gate_print();
}

static void obey(const char *line)
{
    uint64_t a = 0, b = 1;

    if (sscanf(line, "work %" SCNu64 " %" SCNu64, &a, &b) >= 1)
        work_times(a, b);
    else if (sscanf(line, "copy %" SCNu64, &a) == 1)
        work(LEDGER_COPY, a);
    else if (sscanf(line, "throttle %" SCNu64, &a) == 1) {
        ledger->accounts[0].throttled_ns_total += a;
        ledger->accounts[0].throttled_total++;
    } else if (sscanf(line, "waiting %" SCNu64, &a) == 1)
        ledger->slots[slot].waiting = (uint32_t)a;
    else if (sscanf(line, "want %" SCNu64, &a) == 1)
        ledger->slots[slot].devices[0].wants_window_us = (uint32_t)(a / NS_PER_US);
    else if (sscanf(line, "deny %" SCNu64, &a) == 1)
        note(a);
    else if (!strncmp(line, "wreck", 5))
        memset((char *)&ledger->accounts[0] + offsetof(struct ledger_account, drawn_ns), 0xff,
               sizeof(ledger->accounts[0]) - offsetof(struct ledger_account, drawn_ns));
    else if (!strncmp(line, "gate", 4)) {
        gate_print();
        return;
    } else if (!strncmp(line, "change", 6)) {
        change_await();
        return;
    }
    printf("ok\n");
}

int main(int argc, char **argv)
{
    char line[80];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        return 2;
    attach(argv[1], argc > 2 ? CONTROL_CLIENT_OBSERVER : CONTROL_CLIENT_PROCESS);
    printf("ready %u\n", slot);
    while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4))
        obey(line);
    return 0;
}
