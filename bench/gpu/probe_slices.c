/* How the device's own turns between contexts look: two processes each run one block that reads the device's
 * clock without pause and notes where it jumped. A jump is the other's turn and two changes of context;
 * between the last reading of one and the first of the other lies one change. */
#include <sys/wait.h>

#include "probe.h"

enum { JUMPS_MAX = 4096 };

static uint64_t for_ms = 1000;

/* What one process saw, in device time: when it began to wait and when it went on. */
struct seen {
    uint64_t n, begin_ns, end_ns;
    uint64_t jumps[JUMPS_MAX][2];
};

static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry watch(.param .u64 to, .param .u64 most, .param .u64 for_ns, "
                          ".param .u64 jump_ns)\n{\n"
                          ".reg .pred %p<3>;\n.reg .b64 %rd<14>;\n"
                          "ld.param.u64 %rd1, [to];\n"
                          "ld.param.u64 %rd2, [most];\n"
                          "ld.param.u64 %rd3, [for_ns];\n"
                          "ld.param.u64 %rd4, [jump_ns];\n"
                          "mov.u64 %rd5, %globaltimer;\n"
                          "st.global.u64 [%rd1+8], %rd5;\n"
                          "add.u64 %rd6, %rd5, %rd3;\n"
                          "mov.u64 %rd7, 0;\n"
                          "add.u64 %rd8, %rd1, 24;\n"
                          "NEXT:\n"
                          "mov.u64 %rd9, %globaltimer;\n"
                          "sub.u64 %rd10, %rd9, %rd5;\n"
                          "setp.lt.u64 %p1, %rd10, %rd4;\n"
                          "@%p1 bra GO;\n"
                          "st.global.u64 [%rd8], %rd5;\n"
                          "st.global.u64 [%rd8+8], %rd9;\n"
                          "add.u64 %rd8, %rd8, 16;\n"
                          "add.u64 %rd7, %rd7, 1;\n"
                          "setp.ge.u64 %p2, %rd7, %rd2;\n"
                          "@%p2 bra END;\n"
                          "GO:\n"
                          "mov.u64 %rd5, %rd9;\n"
                          "setp.lt.u64 %p1, %rd9, %rd6;\n"
                          "@%p1 bra NEXT;\n"
                          "END:\n"
                          "st.global.u64 [%rd1+16], %rd9;\n"
                          "st.global.u64 [%rd1], %rd7;\n"
                          "ret;\n}\n";

/* Runs in a process of its own: the driver is opened after the fork. */
static void watch(int go, int done)
{
    static struct seen seen;
    uint64_t most = JUMPS_MAX, for_ns = for_ms * NS_PER_MS, jump_ns = 20 * NS_PER_US;
    CUdeviceptr memory;
    CUfunction kernel;
    CUdevice device;
    char c = 0;
    void *params[] = {&memory, &most, &for_ns, &jump_ns};

    probe_open(&device);
    kernel = probe_kernel(ptx, "watch");
    CHECK(cuMemAlloc(&memory, sizeof(seen)));
    CHECK(cuMemsetD8(memory, 0, sizeof(seen)));
    CHECK(cuCtxSynchronize());
    if (write(done, &c, 1) != 1 || read(go, &c, 1) != 1)
        exit(1);
    CHECK(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    CHECK(cuCtxSynchronize());
    CHECK(cuMemcpyDtoH(&seen, memory, sizeof(seen)));
    for (size_t at = 0; at < sizeof(seen);) {
        ssize_t n = write(done, (char *)&seen + at, sizeof(seen) - at);

        if (n <= 0)
            exit(1);
        at += (size_t)n;
    }
    exit(0);
}

static void read_all(int fd, void *to, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t n = read(fd, (char *)to + at, bytes - at);

        if (n <= 0) {
            printf("a watcher ended early\n");
            exit(1);
        }
        at += (size_t)n;
    }
}

static void print_spread(const char *what, uint64_t *ns, size_t n)
{
    if (!n) {
        printf("%-42s none\n", what);
        return;
    }
    qsort(ns, n, sizeof(*ns), probe_compare);
    printf("%-42s %6zu, us: least %.1f, 10%% %.1f, median %.1f, 90%% %.1f, most %.1f\n", what, n,
           (double)ns[0] / 1e3, (double)ns[n / 10] / 1e3, (double)ns[n / 2] / 1e3,
           (double)ns[n * 9 / 10] / 1e3, (double)ns[n - 1] / 1e3);
}

/* Changes from one to the other: it begins to wait, and the other goes on before it does itself. */
static size_t changes_of(const struct seen *from, const struct seen *to, uint64_t ns[JUMPS_MAX])
{
    size_t n = 0;

    for (uint64_t i = 0, k = 0; i < from->n; i++) {
        while (k < to->n && to->jumps[k][1] < from->jumps[i][0])
            k++;
        if (k < to->n && to->jumps[k][1] < from->jumps[i][1])
            ns[n++] = to->jumps[k][1] - from->jumps[i][0];
    }
    return n;
}

static void report(const struct seen seen[2])
{
    static uint64_t ns[2 * JUMPS_MAX];
    size_t n = 0;

    for (int p = 0; p < 2; p++)
        for (uint64_t i = 1; i < seen[p].n; i++)
            ns[n++] = seen[p].jumps[i][0] - seen[p].jumps[i - 1][1];
    print_spread("turns on the device", ns, n);
    n = 0;
    for (int p = 0; p < 2; p++)
        for (uint64_t i = 0; i < seen[p].n; i++)
            ns[n++] = seen[p].jumps[i][1] - seen[p].jumps[i][0];
    print_spread("waits for the other's turn", ns, n);
    n = changes_of(&seen[0], &seen[1], ns);
    n += changes_of(&seen[1], &seen[0], ns + n);
    print_spread("changes of context", ns, n);
}

int main(int argc, char **argv)
{
    static struct seen seen[2];
    int go[2], done[2][2];
    char c = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        for_ms = strtoul(argv[1], NULL, 10);
    if (pipe(go))
        return 1;
    for (int p = 0; p < 2; p++) {
        if (pipe(done[p]))
            return 1;
        if (!fork())
            watch(go[0], done[p][1]);
        close(done[p][1]);
        read_all(done[p][0], &c, 1);
    }
    if (write(go[1], "gg", 2) != 2)
        return 1;
    for (int p = 0; p < 2; p++)
        read_all(done[p][0], &seen[p], sizeof(seen[p]));
    while (wait(NULL) > 0)
        ;
    report(seen);
    return 0;
}
