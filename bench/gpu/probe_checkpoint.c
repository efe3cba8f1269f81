/* How fast a process's device memory goes to the host and comes back: cuCheckpointProcess* on a child that
 * holds `probe_checkpoint MIB` (2048). */
#include <signal.h>
#include <sys/wait.h>

#include "probe.h"

/* Holds the memory until it is told to look whether all of it is as it was. */
static void hold(int in, int out, size_t bytes)
{
    CUdeviceptr memory;
    CUdevice device;
    unsigned word = 0;
    char c = 0;

    probe_open(&device);
    CHECK(cuMemAlloc(&memory, bytes));
    CHECK(cuMemsetD32(memory, 0x5a5a5a5aU, bytes / 4));
    CHECK(cuCtxSynchronize());
    if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
        exit(1);
    CHECK(cuMemcpyDtoH(&word, memory + bytes - 4, sizeof(word)));
    c = word == 0x5a5a5a5aU;
    exit(write(out, &c, 1) != 1);
}

static void timed(const char *what, CUresult (*call)(int pid), int pid, size_t bytes)
{
    uint64_t begin = clock_monotonic_ns();
    CUresult result = call(pid);
    double ms = (double)(clock_monotonic_ns() - begin) / 1e6;

    if (result != CUDA_SUCCESS) {
        printf("%s: %s\n", what, probe_name(result));
        kill(pid, SIGKILL);
        exit(result == CUDA_ERROR_NOT_SUPPORTED ? PROBE_SKIPPED : 1);
    }
    printf("%-12s %9.2f ms", what, ms);
    printf(bytes ? "  %6.2f GB/s\n" : "\n", (double)bytes / ms / 1e6);
}

static CUresult lock(int pid)
{
    return cuCheckpointProcessLock(pid, NULL);
}
static CUresult checkpoint(int pid)
{
    return cuCheckpointProcessCheckpoint(pid, NULL);
}
static CUresult restore(int pid)
{
    return cuCheckpointProcessRestore(pid, NULL);
}
static CUresult unlock(int pid)
{
    return cuCheckpointProcessUnlock(pid, NULL);
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)(argc > 1 ? atol(argv[1]) : 2048) << 20;
    int in[2], out[2], pid;
    char c = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (pipe(in) || pipe(out))
        return 1;
    pid = fork();
    if (!pid)
        hold(in[0], out[1], bytes);
    close(out[1]);
    if (read(out[0], &c, 1) != 1)
        return 1;
    probe_need("cuCheckpointProcessLock");
    CHECK(cuInit(0));
    printf("a process with %zu MiB of device memory\n", bytes >> 20);
    timed("lock", lock, pid, 0);
    timed("checkpoint", checkpoint, pid, bytes);
    timed("restore", restore, pid, bytes);
    timed("unlock", unlock, pid, 0);
    if (write(in[1], &c, 1) != 1 || read(out[0], &c, 1) != 1)
        return 1;
    printf("its memory is %s\n", c ? "as it was" : "NOT as it was");
    waitpid(pid, NULL, 0);
    return !c;
}
