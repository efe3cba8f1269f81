/* Two ranks whose kernels wait for each other, as collectives do: each rank works, says on its stream that it
 * has come so far, and spins in a kernel until the other one has too. It knows nothing of vgpu.
 *
 *     ranks MODE DEVICES ROUNDS WORK_US
 *       processes  two processes, each on its device (2) or both on one (1)
 *       threads    the same in one process
 *       debt       in one process; rank 0 spins until all work of rank 1 is done
 *       streams    a kernel spins until another stream, without work, answers
 *       values     two streams wait for each other's values; no kernel spins
 *
 * Ends with a line "done ROUNDS MILLISECONDS". */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cuda.h"
#include "nap.h"

enum { BLOCK_THREADS = 32, PAGE_BYTES = 4096, APART = 64 };

static const char ptx[] = NAP_PTX ".visible .entry spin(.param .u64 at, .param .u32 value)\n{\n"
                                  ".reg .pred %p1;\n.reg .b32 %r<3>;\n.reg .b64 %rd1;\n"
                                  "ld.param.u64 %rd1, [at];\n"
                                  "ld.param.u32 %r1, [value];\n"
                                  "NEXT:\n"
                                  "ld.volatile.global.u32 %r2, [%rd1];\n"
                                  "setp.lt.u32 %p1, %r2, %r1;\n"
                                  "@%p1 bra NEXT;\n"
                                  "ret;\n}\n";

static _Thread_local CUfunction nap, spin;
static CUdeviceptr flags; /* one for each rank, in memory that all see */
static uint8_t *page;
static uint64_t work_ns;
static unsigned long rounds;

static void check(CUresult r, const char *call)
{
    if (!r)
        return;
    fprintf(stderr, "ranks: %s: CUDA error %d\n", call, (int)r);
    exit(1);
}

#define CHECK(call) check(call, #call)

/* Each thread with its own kernels, on a device of its own. */
static void begin(int ordinal)
{
    CUcontext context;
    CUmodule module;
    CUdevice device;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, ordinal));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&nap, module, "nap"));
    CHECK(cuModuleGetFunction(&spin, module, "spin"));
}

static void share_page(void)
{
    CHECK(cuMemHostRegister(page, PAGE_BYTES, CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_PORTABLE));
    CHECK(cuMemHostGetDevicePointer(&flags, page, 0));
}

static void work(CUstream stream)
{
    void *params[] = {&work_ns};

    CHECK(cuLaunchKernel(nap, 1, 1, 1, BLOCK_THREADS, 1, 1, 0, stream, params, NULL));
}

static void say(CUstream stream, unsigned rank, uint32_t value)
{
    CHECK(cuStreamWriteValue32(stream, flags + (uint64_t)rank * APART, value, 0));
}

static void spin_until(CUstream stream, unsigned rank, uint32_t value)
{
    CUdeviceptr at = flags + (uint64_t)rank * APART;
    void *params[] = {&at, &value};

    CHECK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL));
}

static void wait_until(CUstream stream, unsigned rank, uint32_t value)
{
    CHECK(cuStreamWaitValue32(stream, flags + (uint64_t)rank * APART, value, CU_STREAM_WAIT_VALUE_GEQ));
}

/* Neither rank is more than some rounds ahead of its device. */
static void run_rank(unsigned rank, void (*wait)(CUstream, unsigned, uint32_t))
{
    CUstream stream;

    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (uint32_t i = 1; i <= rounds; i++) {
        work(stream);
        say(stream, rank, i);
        wait(stream, !rank, i);
        if (i % 4 == 0)
            CHECK(cuStreamSynchronize(stream));
    }
    CHECK(cuStreamSynchronize(stream));
}

/* Rank 0 waits for all that the other one does. */
static void run_debtor(unsigned rank, void (*wait)(CUstream, unsigned, uint32_t))
{
    CUstream stream;

    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (unsigned long i = 0; rank && i < rounds; i++)
        work(stream);
    if (rank)
        say(stream, rank, 1);
    else
        wait(stream, 1, 1);
    CHECK(cuStreamSynchronize(stream));
}

static int processes(int devices)
{
    int status = 0;
    pid_t child = fork();

    begin(child ? 0 : devices - 1);
    share_page();
    run_rank(child ? 0 : 1, spin_until);
    if (!child)
        _exit(0);
    return waitpid(child, &status, 0) == child && !status ? 0 : 1;
}

/* What the second thread does, and where. */
struct beside {
    void (*run)(unsigned rank, void (*wait)(CUstream, unsigned, uint32_t));
    void (*wait)(CUstream, unsigned, uint32_t);
    int device;
};

static void *run_beside(void *argument)
{
    struct beside *beside = argument;

    begin(beside->device);
    beside->run(1, beside->wait);
    return NULL;
}

static int threads(void (*run)(unsigned, void (*)(CUstream, unsigned, uint32_t)),
                   void (*wait)(CUstream, unsigned, uint32_t), struct beside *beside)
{
    pthread_t thread;

    begin(0);
    share_page();
    if (pthread_create(&thread, NULL, run_beside, beside))
        return 1;
    run(0, wait);
    pthread_join(thread, NULL);
    return 0;
}

/* Says what the other one has said. */
static void run_answerer(unsigned rank, void (*wait)(CUstream, unsigned, uint32_t))
{
    CUstream stream;

    CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (uint32_t i = 1; i <= rounds; i++) {
        wait(stream, !rank, i);
        say(stream, rank, i);
    }
    CHECK(cuStreamSynchronize(stream));
}

static int run_mode(const char *mode, int devices)
{
    if (!strcmp(mode, "processes"))
        return processes(devices);
    if (!strcmp(mode, "threads"))
        return threads(run_rank, spin_until, &(struct beside){run_rank, spin_until, devices - 1});
    if (!strcmp(mode, "debt"))
        return threads(run_debtor, spin_until, &(struct beside){run_debtor, spin_until, devices - 1});
    if (!strcmp(mode, "streams"))
        return threads(run_rank, spin_until, &(struct beside){run_answerer, wait_until, 0});
    return threads(run_rank, wait_until, &(struct beside){run_rank, wait_until, 0});
}

int main(int argc, char **argv)
{
    uint64_t begin_ns = clock_monotonic_ns();
    int status;

    if (argc != 5)
        return 2;
    work_ns = strtoul(argv[argc - 1], NULL, 10) * NS_PER_US;
    rounds = strtoul(argv[argc - 2], NULL, 10);
    page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 1;
    status = run_mode(argv[1], atoi(argv[2]));
    if (!status)
        printf("done %lu %llu\n", rounds,
               (unsigned long long)((clock_monotonic_ns() - begin_ns) / NS_PER_MS));
    return status;
}
