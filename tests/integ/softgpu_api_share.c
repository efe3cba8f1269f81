/* Several processes on one device, through the driver API: memory is common, faults and deaths are not.
 * Children are forked before this process initialises the driver; pipes say when each has come how far. */
#include <signal.h>
#include <sys/wait.h>

#include "softgpu_api.h"

struct child {
    pid_t pid;
    int say, hear; /* the parent's ends */
};

/* In the child: tells the parent a number, and waits until it may go on. */
static void report(int say, int hear, uint64_t number)
{
    char go;

    if (write(say, &number, sizeof(number)) != sizeof(number) || read(hear, &go, 1) != 1)
        _exit(9);
}

/* A process that allocates 100 MiB and reports what is free, before and after. */
static struct child start_child(void (*run)(int say, int hear))
{
    int up[2], down[2];
    struct child child;

    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    child.pid = fork();
    if (!child.pid) {
        close(up[0]);
        close(down[1]);
        run(up[1], down[0]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    child.hear = up[0];
    child.say = down[1];
    return child;
}

static uint64_t hear_child(const struct child *child)
{
    uint64_t number = 0;

    assert_int_equal(read(child->hear, &number, sizeof(number)), sizeof(number));
    return number;
}

static void let_child_go_on(const struct child *child)
{
    assert_int_equal(write(child->say, "g", 1), 1);
}

static int end_of(const struct child *child)
{
    int status;

    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->say);
    close(child->hear);
    return status;
}

static uint64_t child_free_bytes(void)
{
    size_t free_now = 0, total;

    if (cuMemGetInfo(&free_now, &total))
        _exit(2);
    return free_now;
}

static void hold_100_mib(int say, int hear)
{
    CUcontext context;
    CUdeviceptr address;

    if (cuInit(0) || cuCtxCreate(&context, NULL, 0, 0))
        _exit(1);
    report(say, hear, child_free_bytes());
    if (cuMemAlloc(&address, 100 * MIB))
        _exit(3);
    report(say, hear, child_free_bytes());
}

static void break_own_context(int say, int hear)
{
    unsigned long long nowhere = 64;
    int value = 1;
    void *params[] = {&nowhere, &value};
    CUcontext context;
    CUmodule module;
    CUfunction function;

    if (cuInit(0) || cuCtxCreate(&context, NULL, 0, 0) || cuModuleLoad(&module, KERNELS_DIR "/misc.ptx") ||
        cuModuleGetFunction(&function, module, "poke") ||
        cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL))
        _exit(1);
    report(say, hear, cuCtxSynchronize());
}

static void two_processes_share_memory_and_a_death_gives_it_back(void **state)
{
    struct child first = start_child(hold_100_mib), second;
    uint64_t alone;

    assert_int_equal(hear_child(&first), GIB - 64 * MIB);
    let_child_go_on(&first);
    assert_int_equal(hear_child(&first), GIB - 164 * MIB);

    second = start_child(hold_100_mib);
    assert_int_equal(hear_child(&second), GIB - 228 * MIB);
    let_child_go_on(&second);
    assert_int_equal(hear_child(&second), GIB - 328 * MIB);

    kill(first.pid, SIGKILL);
    assert_true(WIFSIGNALED(end_of(&first)));
    let_child_go_on(&second);
    assert_int_equal(end_of(&second), 0);

    /* Death is noticed by the device process in its own time, which the kernel's close of the connection
     * starts. */
    first = start_child(hold_100_mib);
    alone = hear_child(&first);
    for (int tries = 0; alone != GIB - 64 * MIB && tries < 100; tries++) {
        let_child_go_on(&first);
        hear_child(&first);
        let_child_go_on(&first);
        assert_int_equal(end_of(&first), 0);
        first = start_child(hold_100_mib);
        alone = hear_child(&first);
    }
    assert_int_equal(alone, GIB - 64 * MIB);
    let_child_go_on(&first);
    hear_child(&first);
    let_child_go_on(&first);
    assert_int_equal(end_of(&first), 0);
}

static void a_fault_stays_in_its_process(void **state)
{
    struct child healthy = start_child(hold_100_mib), broken = start_child(break_own_context);

    hear_child(&healthy);
    assert_int_equal(hear_child(&broken), CUDA_ERROR_ILLEGAL_ADDRESS);
    let_child_go_on(&healthy);
    hear_child(&healthy);
    let_child_go_on(&broken);
    let_child_go_on(&healthy);
    assert_int_equal(end_of(&healthy), 0);
    assert_int_equal(end_of(&broken), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_share_memory_and_a_death_gives_it_back),
        cmocka_unit_test(a_fault_stays_in_its_process),
    };

    softgpu_api_begin(DEVICE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
