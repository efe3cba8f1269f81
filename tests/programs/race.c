/* Many processes of one instance take and give memory through six doors at once, and some are killed. Run
 * under `vgpu run`: race PROCESSES ROUNDS KILLS SEED; with 0 rounds they go on until its input ends. The
 * judge is the software device's own account, which this program reads from the device process itself; it
 * shares no code with the ledger: overshoot      the device held more than the highest limit there was false
 * refusal  out of memory, though the device's account plus what the request takes of it stayed within the
 * limit from the beginning of the call to its end Prints one line of figures; exit status 0 when there was
 * neither, and 1 otherwise. Between rounds the test may change the limit (vgpu instance set). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cuda.h"
#include "softgpu/device/client.h"

enum { PROCESSES_MAX = 64, PIECES = 24, DOORS = 6 };

struct tally {
    atomic_ulong rounds, taken, refused, device_peak_bytes, false_refusals, errors, starts_refused;
    atomic_ulong done[PROCESSES_MAX]; /* rounds of each, over its lives */
    atomic_bool over;                 /* all end */
    atomic_ulong waited_ns_max;       /* longest call that was refused */
};

static struct tally *tally;
static struct sgdev *judge;

static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* ---- doors ---- */

struct piece {
    int door; /* 1 + index; 0: free */
    CUdeviceptr p;
    CUmemGenericAllocationHandle handle;
    CUarray array;
};

static CUstream stream;

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static CUresult piece_take(struct piece *piece, int door, size_t bytes)
{
    const CUmemAllocationProp physical = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                          .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    const CUDA_ARRAY3D_DESCRIPTOR shape = {.Width = 512,
                                           .Height = bytes / 2048 ? bytes / 2048 : 1,
                                           .Format = CU_AD_FORMAT_FLOAT,
                                           .NumChannels = 1};
    size_t pitch;

    switch (door) {
    case 0:
        return cuMemAlloc(&piece->p, bytes);
    case 1:
        return cuMemAllocManaged(&piece->p, bytes, CU_MEM_ATTACH_GLOBAL);
    case 2:
        return cuMemAllocPitch(&piece->p, &pitch, 2048, bytes / 2048 ? bytes / 2048 : 1, 4);
    case 3:
        return cuMemAllocAsync(&piece->p, bytes, stream);
    case 4:
        return cuMemCreate(&piece->handle, round_up(bytes, 2 * MIB), &physical, 0);
    default:
        return cuArray3DCreate(&piece->array, &shape);
    }
}

static CUresult piece_give(struct piece *piece)
{
    switch (piece->door - 1) {
    case 3:
        if (cuMemFreeAsync(piece->p, stream) != CUDA_SUCCESS)
            return CUDA_ERROR_UNKNOWN;
        return cuStreamSynchronize(stream);
    case 4:
        return cuMemRelease(piece->handle);
    case 5:
        return cuArrayDestroy(piece->array);
    default:
        return cuMemFree(piece->p);
    }
}

/* The most that the device takes for it. */
static uint64_t piece_need(int door, uint64_t bytes)
{
    return round_up(bytes, door == 3 ? 32 * MIB : 2 * MIB);
}

/* ---- a worker ---- */

static uint64_t limit_bytes(void)
{
    size_t bytes = 0;

    return cuDeviceTotalMem(&bytes, 0) == CUDA_SUCCESS ? bytes : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static size_t random_bytes(uint32_t *seed)
{
    static const size_t most[] = {64 * KIB, 4 * MIB, 40 * MIB};

    return 1 + random_next(seed) % most[random_next(seed) % 3];
}

static void refusal_judge(int door, uint64_t bytes, uint64_t limit, uint64_t changes_before,
                          uint64_t since_ns)
{
    uint64_t most_used = sgdev_used_most(judge, 0, changes_before),
             waited_ns = clock_monotonic_ns() - since_ns;
    unsigned long longest = tally->waited_ns_max;

    tally->refused++;
    while (waited_ns > longest && !atomic_compare_exchange_weak(&tally->waited_ns_max, &longest, waited_ns))
        ;
    limit = least(limit, limit_bytes());
    if (most_used != UINT64_MAX && most_used + piece_need(door, bytes) <= limit) {
        tally->false_refusals++;
        fprintf(stderr, "false refusal: door %d, %llu bytes, device at most %llu MiB, limit %llu MiB\n", door,
                (unsigned long long)bytes, (unsigned long long)(most_used / MIB),
                (unsigned long long)(limit / MIB));
    }
}

static void round_take(struct piece *piece, uint32_t *seed)
{
    int door = (int)(random_next(seed) % DOORS);
    size_t bytes = random_bytes(seed);
    uint64_t limit = limit_bytes(), changes = sgdev_used_changes(judge, 0), now_ns = clock_monotonic_ns();
    CUresult r = piece_take(piece, door, bytes);

    if (r == CUDA_SUCCESS) {
        piece->door = door + 1;
        tally->taken++;
    } else if (r == CUDA_ERROR_OUT_OF_MEMORY) {
        refusal_judge(door, bytes, limit, changes, now_ns);
    } else {
        tally->errors++;
        fprintf(stderr, "door %d: error %d\n", door, (int)r);
    }
}

static void worker_rounds(unsigned index, unsigned long rounds, uint32_t seed)
{
    struct piece pieces[PIECES] = {0};

    while ((!rounds || tally->done[index] < rounds) && !tally->over) {
        struct piece *piece = &pieces[random_next(&seed) % PIECES];

        if (!piece->door) {
            round_take(piece, &seed);
        } else if (piece_give(piece) != CUDA_SUCCESS) {
            tally->errors++;
            fprintf(stderr, "giving back failed\n");
        } else {
            piece->door = 0;
        }
        tally->done[index]++;
        tally->rounds++;
    }
    for (int i = 0; i < PIECES; i++)
        if (pieces[i].door)
            piece_give(&pieces[i]);
}

/* 2: this life could not begin, because the instance was full. */
static int worker_run(unsigned index, unsigned long rounds, uint32_t seed)
{
    CUcontext context;
    CUresult r;

    if (sgdev_open(&judge) < 0)
        return 1;
    r = cuInit(0);
    if (r == CUDA_SUCCESS)
        r = cuCtxCreate(&context, NULL, 0, 0);
    if (r == CUDA_SUCCESS)
        r = cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING);
    if (r == CUDA_ERROR_OUT_OF_MEMORY) {
        tally->starts_refused++;
        return 2;
    }
    if (r != CUDA_SUCCESS) {
        fprintf(stderr, "start: error %d\n", (int)r);
        tally->errors++;
        return 1;
    }
    worker_rounds(index, rounds, seed);
    tally->device_peak_bytes = sgdev_used_peak(judge, 0);
    return 0;
}

/* ---- the parent, which uses no CUDA ---- */

static pid_t worker_start(char **argv, unsigned index, unsigned seed, int shared_fd)
{
    char text[3][16];
    pid_t pid;

    snprintf(text[0], sizeof(text[0]), "%u", index);
    snprintf(text[1], sizeof(text[1]), "%u", seed);
    snprintf(text[2], sizeof(text[2]), "%d", shared_fd);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", argv[0], "worker", argv[2], text[0], text[1], text[2], (char *)NULL);
        _exit(127);
    }
    return pid;
}

static unsigned index_of(const pid_t *pids, unsigned n, pid_t pid)
{
    unsigned i = 0;

    while (i < n && pids[i] != pid)
        i++;
    return i;
}

static bool input_ended(void)
{
    char byte;

    return poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, 0) > 0 &&
           read(STDIN_FILENO, &byte, 1) <= 0;
}

static int parent_run(char **argv, unsigned n, unsigned long rounds, unsigned kills, uint32_t seed,
                      int shared_fd)
{
    pid_t pids[PROCESSES_MAX];
    unsigned living = n, killed = 0, failed = 0;

    for (unsigned i = 0; i < n; i++)
        pids[i] = worker_start(argv, i, random_next(&seed), shared_fd);
    while (living) {
        unsigned long due = kills ? n * rounds / (kills + 1) * (killed + 1) : 0;
        int status;
        pid_t pid = waitpid(-1, &status, killed < kills || (!rounds && !tally->over) ? WNOHANG : 0);
        unsigned i = index_of(pids, n, pid);

        if (pid == 0) {
            if (!rounds)
                tally->over = input_ended();
            if (killed < kills && tally->rounds >= due) {
                kill(pids[random_next(&seed) % n], SIGKILL);
                killed++;
            }
            usleep(500);
            continue;
        }
        if (pid < 0 || i == n)
            break;
        if (WIFSIGNALED(status) || WEXITSTATUS(status) == 2) {
            failed += WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
            pids[i] = worker_start(argv, i, random_next(&seed), shared_fd);
            continue;
        }
        failed += WEXITSTATUS(status) != 0;
        pids[i] = -1;
        living--;
        if (killed < kills && living < n)
            kills = killed; /* the end: nobody else is killed */
    }
    printf("rounds %lu taken %lu refused %lu killed %u starts-refused %lu longest-refusal-ms %lu "
           "false-refusals %lu errors %lu failed %u device-peak-bytes %lu\n",
           tally->rounds, tally->taken, tally->refused, killed, tally->starts_refused,
           tally->waited_ns_max / NS_PER_MS, tally->false_refusals, tally->errors, failed,
           tally->device_peak_bytes);
    return tally->false_refusals || tally->errors || failed;
}

int main(int argc, char **argv)
{
    bool is_worker = argc > 1 && strcmp(argv[1], "worker") == 0;
    int fd;

    if (argc < 5) {
        fprintf(stderr, "usage: race PROCESSES ROUNDS KILLS SEED\n");
        return 64;
    }
    fd = is_worker ? atoi(argv[5]) : memfd_create("race", 0);
    if (fd < 0 || (!is_worker && ftruncate(fd, sizeof(*tally)) < 0))
        return 1;
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (tally == MAP_FAILED)
        return 1;
    if (is_worker)
        return worker_run((unsigned)atoi(argv[3]), strtoul(argv[2], NULL, 10), (uint32_t)atoi(argv[4]) | 1);
    return parent_run(argv, (unsigned)atoi(argv[1]), strtoul(argv[2], NULL, 10), (unsigned)atoi(argv[3]),
                      (uint32_t)atoi(argv[4]) | 1, fd);
}
