/* Many processes at one softgpud: they start it at the same time, take and give back at random, and are
 * killed at random moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/units.h"
#include "softgpu/device/client.h"
#include "softgpu_place.h"

enum { WORKERS = 8, STARTERS = 50, DEVICES = 2 };

static pid_t fork_worker(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* Opens when the gate does, holds the device for a moment. */
static void starter(int gate)
{
    struct sgdev *dev;
    uint64_t offset;
    char byte;
    int r;

    if (read(gate, &byte, 1) != 0)
        _exit(1);
    r = sgdev_open(&dev);
    if (r < 0 || sgdev_count(dev) != DEVICES || sgdev_segment_alloc(dev, 1, 2 * MIB, &offset) < 0)
        _exit(2);
    clock_sleep_until_ns(clock_monotonic_ns() + 20 * NS_PER_MS);
    _exit(0);
}

static void fifty_processes_that_start_at_once_start_one_softgpud(void **state)
{
    for (unsigned round = 0; round < 3; round++) {
        pid_t pids[STARTERS];
        int gate[2], lock_fd, status;

        place_begin("count=2,time=virtual");
        assert_int_equal(pipe(gate), 0);
        for (unsigned i = 0; i < STARTERS; i++)
            if ((pids[i] = fork_worker()) == 0) {
                close(gate[1]);
                starter(gate[0]);
            }
        close(gate[1]);
        for (unsigned i = 0; i < STARTERS; i++) {
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        close(gate[0]);
        assert_int_equal(place_starts(), 1);
        lock_fd = place_lock_fd();
        place_remove();
        assert_true(place_wait_unserved(lock_fd, 5 * NS_PER_S));
        close(lock_fd);
    }
}

/* What a worker holds: it writes its mark into each segment and checks it before it gives the segment back.
 */
struct holding {
    unsigned ordinal;
    uint64_t offset_bytes, bytes, mark;
};

static uint64_t *holding_map(struct sgdev *dev, const struct holding *holding)
{
    void *map = mmap(NULL, holding->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                     sgdev_arena_fd(dev, holding->ordinal), (off_t)holding->offset_bytes);

    return map == MAP_FAILED ? NULL : map;
}

/* 0, or what is wrong. */
static int holding_take(struct sgdev *dev, struct holding *holding)
{
    uint64_t *map;
    int r = sgdev_segment_alloc(dev, holding->ordinal, holding->bytes, &holding->offset_bytes);

    if (r == -ENOMEM) {
        holding->bytes = 0;
        return 0;
    }
    map = r == 0 ? holding_map(dev, holding) : NULL;
    if (!map)
        return 10;
    if (map[0] || map[holding->bytes / 8 - 1])
        return 11;
    map[0] = map[holding->bytes / 8 - 1] = holding->mark;
    munmap(map, holding->bytes);
    return 0;
}

static int holding_give(struct sgdev *dev, struct holding *holding)
{
    uint64_t *map = holding_map(dev, holding);
    bool is_mine = map && map[0] == holding->mark && map[holding->bytes / 8 - 1] == holding->mark;

    if (!is_mine)
        return 12;
    munmap(map, holding->bytes);
    if (sgdev_segment_free(dev, holding->ordinal, holding->offset_bytes) < 0)
        return 13;
    holding->bytes = 0;
    return 0;
}

static void worker(unsigned seed)
{
    struct holding holdings[16] = {0};
    uint32_t context = 0;
    struct sgdev *dev;

    if (sgdev_open(&dev) < 0)
        _exit(1);
    for (;;) {
        struct holding *holding = &holdings[rand_r(&seed) % 16];
        uint64_t ticket;
        int r = 0;

        if (holding->bytes) {
            r = holding_give(dev, holding);
        } else {
            holding->ordinal = (unsigned)rand_r(&seed) % DEVICES;
            holding->bytes = 2 * MIB * (uint64_t)(1 + rand_r(&seed) % 20);
            holding->mark = (uint64_t)getpid() << 32 | (unsigned)rand_r(&seed);
            r = holding_take(dev, holding);
        }
        if (r == 0 && !context && sgdev_context_open(dev, 0, &context) < 0)
            context = 0;
        if (r == 0 && context) {
            struct sgdev_work work = {.context = context,
                                      .ready_ns = sgdev_now_ns(dev, 0),
                                      .duration_ns = 50000,
                                      .sm_permille = 500};

            r = sgdev_submit(dev, &work, &ticket) < 0 ? 14 : 0;
        }
        if (r == 0 && context && rand_r(&seed) % 8 == 0) {
            r = sgdev_context_close(dev, context) < 0 ? 15 : 0;
            context = 0;
        }
        if (r)
            _exit(r);
    }
}

/* Looks at both devices from outside: they never hold more than there is. */
static void check_accounts(struct sgdev *dev)
{
    for (unsigned ordinal = 0; ordinal < DEVICES; ordinal++) {
        struct sgdev_account account;

        assert_int_equal(sgdev_account(dev, ordinal, &account), 0);
        assert_true(account.memory_used_bytes <= account.memory_total_bytes);
        assert_true(account.busy_ns <= account.now_ns - account.start_ns);
    }
}

static void processes_killed_at_random_leave_nothing_behind(void **state)
{
    pid_t pids[WORKERS] = {0};
    unsigned random = 42, kills = 0;
    struct sgdev_account account;
    uint64_t until_ns;
    struct sgdev *dev;
    int lock_fd, status;

    place_begin("count=2,memory=512M,context=4M");
    assert_int_equal(sgdev_open(&dev), 0);
    until_ns = clock_monotonic_ns() + 4 * NS_PER_S;
    while (clock_monotonic_ns() < until_ns) {
        unsigned i = (unsigned)rand_r(&random) % WORKERS;

        if (pids[i] > 0) {
            kill(pids[i], SIGKILL);
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFSIGNALED(status)); /* none ended by itself: nothing it saw was wrong */
            kills++;
        }
        if ((pids[i] = fork_worker()) == 0)
            worker((unsigned)rand_r(&random));
        check_accounts(dev);
        clock_sleep_until_ns(clock_monotonic_ns() + (uint64_t)(rand_r(&random) % 20) * NS_PER_MS);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        if (pids[i] > 0) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], &status, 0);
            assert_true(WIFSIGNALED(status));
        }
    assert_true(kills > 20);
    until_ns = clock_monotonic_ns() + 2 * NS_PER_S;
    for (unsigned ordinal = 0; ordinal < DEVICES; ordinal++) {
        do {
            assert_int_equal(sgdev_account(dev, ordinal, &account), 0);
        } while (account.memory_used_bytes && clock_monotonic_ns() < until_ns);
        assert_int_equal(account.memory_used_bytes, 0);
        assert_int_equal(account.n_processes, 0);
    }
    assert_int_equal(place_starts(), 1);
    lock_fd = place_lock_fd();
    sgdev_close(dev);
    place_remove();
    assert_true(place_wait_unserved(lock_fd, 5 * NS_PER_S));
    close(lock_fd);
}

/* Two processes with endless work each: the judge is the device's own account. */
static void two_processes_with_endless_work_get_half_each(void **state)
{
    struct sgdev_process rows[2];
    size_t n_rows = 2;
    struct sgdev *dev;
    pid_t pids[2];
    int lock_fd;

    place_begin("");
    assert_int_equal(sgdev_open(&dev), 0);
    for (unsigned i = 0; i < 2; i++)
        if ((pids[i] = fork_worker()) == 0) {
            struct sgdev_work work = {.duration_ns = 60 * NS_PER_S, .sm_permille = 1000};
            uint64_t ticket;

            if (sgdev_context_open(dev, 0, &work.context) < 0)
                _exit(1);
            work.ready_ns = sgdev_now_ns(dev, 0);
            sgdev_submit(dev, &work, &ticket);
            for (;;)
                pause();
        }
    do {
        n_rows = 2;
        assert_int_equal(sgdev_processes(dev, 0, rows, &n_rows), 0);
    } while (n_rows < 2 || rows[1].busy_ns < 100 * NS_PER_MS);
    /* The first one was alone for a while; from here on both work. */
    {
        uint64_t before[2] = {rows[0].busy_ns, rows[1].busy_ns}, a, b;

        clock_sleep_until_ns(clock_monotonic_ns() + 500 * NS_PER_MS);
        assert_int_equal(sgdev_processes(dev, 0, rows, &n_rows), 0);
        a = rows[0].busy_ns - before[0];
        b = rows[1].busy_ns - before[1];
        assert_true(a + b >= 500 * NS_PER_MS);
        assert_true((a > b ? a - b : b - a) <= 4 * NS_PER_MS); /* a slice at either end */
    }
    for (unsigned i = 0; i < 2; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    lock_fd = place_lock_fd();
    sgdev_close(dev);
    place_remove();
    assert_true(place_wait_unserved(lock_fd, 5 * NS_PER_S));
    close(lock_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_processes_that_start_at_once_start_one_softgpud),
        cmocka_unit_test(processes_killed_at_random_leave_nothing_behind),
        cmocka_unit_test(two_processes_with_endless_work_get_half_each),
    };

    return cmocka_run_group_tests_name("softgpu_race", tests, NULL, NULL);
}
