/* A crowd of CUDA processes: crowd COUNT BATCH SECONDS starts COUNT copies of itself, BATCH at a time, each
 * of which makes a context, takes 2 MiB, reports how that went and waits. Prints "ran R, refused N, silent S:
 * ERROR", where silent ones neither ran nor were refused within SECONDS of their start, and ERROR is what the
 * refused got (or "several errors"); then ends them when its input ends. */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda.h"

enum { REPORT_FD = 3, WAIT_FD = 4, PIECE_BYTES = 2 << 20 };

extern char **environ;

static int one(void)
{
    CUcontext context;
    CUdevice device;
    CUdeviceptr p;
    int result = cuInit(0);
    char byte;

    if (!result)
        result = cuDeviceGet(&device, 0);
    if (!result)
        result = cuCtxCreate(&context, NULL, 0, device);
    if (!result)
        result = cuMemAlloc(&p, PIECE_BYTES);
    if (write(REPORT_FD, &result, sizeof(result)) != sizeof(result))
        return 2;
    close(REPORT_FD);
    return result ? 1 : read(WAIT_FD, &byte, 1) != 0; /* until the starter's end closes */
}

static void start(int report_fd, int wait_fd)
{
    static char *const arguments[] = {(char *)"crowd", (char *)"one", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, report_fd, REPORT_FD);
    posix_spawn_file_actions_adddup2(&actions, wait_fd, WAIT_FD);
    if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environ))
        exit(2);
    posix_spawn_file_actions_destroy(&actions);
}

struct counts {
    int ran, refused, silent, error, is_mixed;
};

/* Takes the reports of n processes. */
static void gather(int fd, int n, int seconds, struct counts *counts)
{
    for (; n > 0; n--) {
        int result;

        if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, seconds * 1000) <= 0 ||
            read(fd, &result, sizeof(result)) != sizeof(result)) {
            counts->silent += n;
            return;
        }
        if (!result) {
            counts->ran++;
            continue;
        }
        counts->is_mixed |= counts->refused && counts->error != result;
        counts->error = result;
        counts->refused++;
    }
}

/* A pipe whose descriptors are out of the way of those that children get. */
static void open_pipe(int ends[2])
{
    int low[2];

    if (pipe(low) < 0)
        exit(2);
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 16);
        close(low[i]);
    }
}

int main(int argc, char **argv)
{
    const char *name = "none";
    int reports[2], waits[2], count, batch, seconds;
    struct counts counts = {0};

    if (argc == 2)
        return one();
    if (argc != 4)
        return 2;
    count = atoi(argv[1]);
    batch = atoi(argv[2]);
    seconds = atoi(argv[3]);
    open_pipe(reports);
    open_pipe(waits);
    for (int left = count; left > 0 && !counts.silent; left -= batch) {
        int n = left < batch ? left : batch;

        for (int i = 0; i < n; i++)
            start(reports[1], waits[0]);
        gather(reports[0], n, seconds, &counts);
    }
    if (counts.refused)
        cuGetErrorName((CUresult)counts.error, &name);
    printf("ran %d, refused %d, silent %d: %s\n", counts.ran, counts.refused, counts.silent,
           counts.is_mixed ? "several errors" : name);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    close(waits[1]);
    while (wait(NULL) > 0)
        ;
    return 0;
}
