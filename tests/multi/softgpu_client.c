/* Promises of client.h, against a real softgpud: memory, contexts, time, fork, and what happens when either
 * side ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/units.h"
#include "softgpu/device/client.h"
#include "softgpu/device/protocol.h"
#include "softgpu_place.h"

static struct sgdev *dev;

static void begin(const char *devices)
{
    place_begin(devices);
    assert_int_equal(sgdev_open(&dev), 0);
}

static void end(void)
{
    int lock_fd = place_lock_fd();

    sgdev_close(dev);
    assert_true(lock_fd >= 0);
    place_remove();
    assert_true(place_wait_unserved(lock_fd, 5 * NS_PER_S));
    close(lock_fd);
}

static uint64_t used_bytes(unsigned ordinal)
{
    uint64_t free_bytes, total_bytes;

    assert_int_equal(sgdev_memory(dev, ordinal, &free_bytes, &total_bytes), 0);
    return total_bytes - free_bytes;
}

static uint32_t open_context(unsigned ordinal)
{
    uint32_t context = 0;

    assert_int_equal(sgdev_context_open(dev, ordinal, &context), 0);
    return context;
}

static uint64_t submit(uint32_t context, uint64_t ready_ns, uint64_t duration_ns)
{
    struct sgdev_work work = {.context = context,
                              .engine = SGDEV_ENGINE_COMPUTE,
                              .ready_ns = ready_ns,
                              .duration_ns = duration_ns,
                              .sm_permille = 1000};
    uint64_t ticket = 0;

    assert_int_equal(sgdev_submit(dev, &work, &ticket), 0);
    return ticket;
}

/* Runs body in a child and returns its exit status. */
static int in_child(int (*body)(void *), void *argument)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(argument));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void devices_are_as_described(void **state)
{
    begin("name=A,memory=1G,sms=3;name=B,memory=2G,cc=8.0");
    assert_int_equal(sgdev_count(dev), 2);
    assert_string_equal(sgdev_properties(dev, 0)->name, "A");
    assert_int_equal(sgdev_properties(dev, 0)->sm_count, 3);
    assert_string_equal(sgdev_properties(dev, 1)->name, "B");
    assert_int_equal(sgdev_properties(dev, 1)->memory_bytes, 2 * GIB);
    assert_null(sgdev_properties(dev, 2));
    end();
}

static void memory_is_accounted_exactly(void **state)
{
    uint64_t a, b, c;

    begin("count=2,memory=64M,context=10M");
    assert_int_equal(sgdev_segment_alloc(dev, 0, 30 * MIB, &a), 0);
    assert_int_equal(used_bytes(0), 30 * MIB);
    assert_int_equal(used_bytes(1), 0);
    open_context(0);
    assert_int_equal(used_bytes(0), 40 * MIB);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 26 * MIB, &b), -ENOMEM);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 24 * MIB, &b), 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &c), -ENOMEM);
    assert_int_equal(sgdev_context_open(dev, 0, &(uint32_t){0}), -ENOMEM);
    assert_int_equal(sgdev_segment_alloc(dev, 1, 64 * MIB, &c), 0);
    assert_int_equal(sgdev_segment_free(dev, 0, b), 0);
    assert_int_equal(sgdev_segment_free(dev, 0, b), -EINVAL);
    assert_int_equal(sgdev_segment_free(dev, 1, a + 2 * MIB), -EINVAL);
    assert_int_equal(used_bytes(0), 40 * MIB);
    assert_int_equal(sgdev_segment_alloc(dev, 0, MIB, &c), -EINVAL);
    assert_int_equal(sgdev_segment_alloc(dev, 2, 2 * MIB, &c), -EINVAL);
    end();
}

static void scattered_free_memory_serves_one_large_segment(void **state)
{
    uint64_t offsets[32], large;

    begin("memory=64M");
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offsets[i]), 0);
    for (unsigned i = 0; i < 32; i += 2)
        assert_int_equal(sgdev_segment_free(dev, 0, offsets[i]), 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 32 * MIB, &large), 0);
    assert_int_equal(used_bytes(0), 64 * MIB);
    end();
}

static void a_new_segment_is_zero_even_where_an_old_one_was(void **state)
{
    uint64_t offset, again;
    unsigned char *map;

    begin("memory=64M");
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offset), 0);
    map = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, sgdev_arena_fd(dev, 0), (off_t)offset);
    assert_true(map != MAP_FAILED);
    memset(map, 0xa5, 2 * MIB);
    assert_int_equal(sgdev_segment_free(dev, 0, offset), 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &again), 0);
    assert_int_equal(again, offset);
    for (unsigned i = 0; i < 2 * MIB; i++)
        assert_int_equal(map[i], 0);
    munmap(map, 2 * MIB);
    end();
}

static void paced_work_ends_at_its_modelled_time_and_not_before(void **state)
{
    uint64_t start_ns, end_ns, tickets[200], first_ns = 0, last_ns = 0, now_ns;
    uint32_t context;

    begin("time=paced");
    context = open_context(0);
    now_ns = sgdev_now_ns(dev, 0);
    for (unsigned i = 0; i < 200; i++)
        tickets[i] = submit(context, now_ns, NS_PER_MS);
    assert_int_equal(sgdev_wait(dev, tickets[199], true, &start_ns, &end_ns), -EAGAIN);
    for (unsigned i = 200; i-- > 0;) {
        assert_int_equal(sgdev_wait(dev, tickets[i], false, &start_ns, &end_ns), 0);
        assert_true(sgdev_now_ns(dev, 0) >= end_ns);
        assert_int_equal(end_ns - start_ns, NS_PER_MS);
        last_ns = i == 199 ? end_ns : last_ns;
        first_ns = start_ns;
    }
    assert_true(first_ns >= now_ns);
    assert_int_equal(last_ns - first_ns, 200 * NS_PER_MS);
    assert_int_equal(sgdev_wait(dev, tickets[0], false, &start_ns, &end_ns), -EINVAL);
    end();
}

static void virtual_time_waits_for_nobody(void **state)
{
    struct sgdev_account account;
    uint64_t start_ns, end_ns, begin_ns = clock_monotonic_ns(), now_ns, ticket;
    uint32_t context;

    begin("time=virtual");
    context = open_context(0);
    now_ns = sgdev_now_ns(dev, 0);
    ticket = submit(context, now_ns, 3600 * NS_PER_S);
    assert_int_equal(sgdev_wait(dev, ticket, false, &start_ns, &end_ns), 0);
    assert_int_equal(start_ns, now_ns);
    assert_int_equal(end_ns, now_ns + 3600 * NS_PER_S);
    assert_int_equal(sgdev_now_ns(dev, 0), end_ns);
    assert_int_equal(sgdev_account(dev, 0, &account), 0);
    assert_int_equal(account.busy_ns, 3600 * NS_PER_S);
    assert_int_equal(account.busy_last_s_ns, NS_PER_S);
    assert_true(clock_monotonic_ns() - begin_ns < 20 * NS_PER_S);
    end();
}

static void a_failed_submission_is_told_to_its_waiter(void **state)
{
    uint64_t start_ns, end_ns, ticket, now_ns;
    uint32_t context;

    begin("");
    ticket = submit(4711, 0, 1);
    assert_int_equal(sgdev_wait(dev, ticket, false, &start_ns, &end_ns), -EINVAL);
    context = open_context(0);
    now_ns = sgdev_now_ns(dev, 0);
    ticket = submit(context, now_ns, 3600 * NS_PER_S);
    assert_int_equal(sgdev_context_close(dev, context), 0);
    assert_int_equal(sgdev_wait(dev, ticket, false, &start_ns, &end_ns), -ECANCELED);
    assert_int_equal(sgdev_context_close(dev, context), -EINVAL);
    end();
}

/* Far more than what softgpud takes from one client before that reads its completions. */
static void many_outstanding_items_do_not_jam(void **state)
{
    enum { ITEMS = 150000 };
    uint64_t *tickets = calloc(ITEMS, sizeof(*tickets)), start_ns, end_ns, last_ns = 0;
    uint32_t context;

    begin("time=virtual");
    context = open_context(0);
    for (unsigned i = 0; i < ITEMS; i++)
        tickets[i] = submit(context, 0, 1000);
    for (unsigned i = 0; i < ITEMS; i++) {
        assert_int_equal(sgdev_wait(dev, tickets[i], false, &start_ns, &end_ns), 0);
        assert_true(start_ns >= last_ns);
        last_ns = end_ns;
    }
    free(tickets);
    end();
}

static void *thread_of_work(void *argument)
{
    uint32_t context = open_context(0);

    for (unsigned i = 0; i < 300; i++) {
        uint64_t start_ns, end_ns, offset, ticket = submit(context, sgdev_now_ns(dev, 0), 20000);

        if (i % 3 == 0) {
            assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offset), 0);
            assert_int_equal(sgdev_segment_free(dev, 0, offset), 0);
        }
        if (i % 2)
            while (sgdev_wait(dev, ticket, true, &start_ns, &end_ns) == -EAGAIN)
                ;
        else
            assert_int_equal(sgdev_wait(dev, ticket, false, &start_ns, &end_ns), 0);
    }
    assert_int_equal(sgdev_context_close(dev, context), 0);
    return NULL;
}

static void eight_threads_share_the_connection(void **state)
{
    struct sgdev_account account;
    pthread_t threads[8];

    begin("");
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread_of_work, NULL), 0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(sgdev_account(dev, 0, &account), 0);
    assert_int_equal(account.busy_ns, 8 * 300 * 20000);
    assert_true(account.busy_ns <= account.now_ns - account.start_ns);
    assert_int_equal(used_bytes(0), 0);
    end();
}

static void a_context_is_charged_more_or_less_in_one_step(void **state)
{
    struct sgdev_process row;
    uint32_t context;
    size_t n = 1;

    begin("memory=64M,context=10M");
    context = open_context(0);
    assert_int_equal(sgdev_context_resize(dev, context, 20 * MIB), 0);
    assert_int_equal(used_bytes(0), 30 * MIB);
    assert_int_equal(sgdev_processes(dev, 0, &row, &n), 0);
    assert_int_equal(row.memory_bytes, 30 * MIB);
    assert_int_equal(sgdev_context_resize(dev, context, 56 * MIB), -ENOMEM);
    assert_int_equal(sgdev_context_resize(dev, context, MIB), -EINVAL);
    assert_int_equal(sgdev_context_resize(dev, context + 1, 2 * MIB), -EINVAL);
    assert_int_equal(used_bytes(0), 30 * MIB);
    assert_int_equal(sgdev_context_resize(dev, context, 54 * MIB), 0);
    assert_int_equal(used_bytes(0), 64 * MIB);
    assert_int_equal(sgdev_context_resize(dev, context, 4 * MIB), 0);
    assert_int_equal(used_bytes(0), 14 * MIB);
    assert_int_equal(sgdev_context_close(dev, context), 0);
    assert_int_equal(used_bytes(0), 0);
    end();
}

static void changes_of_what_is_used_are_remembered(void **state)
{
    uint64_t a, b, before;

    begin("memory=64M");
    before = sgdev_used_changes(dev, 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 10 * MIB, &a), 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 20 * MIB, &b), 0);
    assert_int_equal(sgdev_used_changes(dev, 0), before + 2);
    assert_int_equal(sgdev_segment_free(dev, 0, b), 0);
    assert_int_equal(sgdev_used_changes(dev, 0), before + 3);
    assert_int_equal(sgdev_used_most(dev, 0, before), 30 * MIB);
    assert_int_equal(sgdev_used_most(dev, 0, before + 3), 10 * MIB);
    assert_int_equal(sgdev_used_peak(dev, 0), 30 * MIB);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 60 * MIB, &b), -ENOMEM);
    assert_int_equal(sgdev_used_changes(dev, 0), before + 3);
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &b), 0);
        assert_int_equal(sgdev_segment_free(dev, 0, b), 0);
    }
    assert_int_equal(sgdev_used_most(dev, 0, before + 3), UINT64_MAX); /* forgotten */
    assert_int_equal(sgdev_used_most(dev, 0, sgdev_used_changes(dev, 0) - 10), 12 * MIB);
    assert_int_equal(sgdev_used_peak(dev, 0), 30 * MIB);
    end();
}

/* What is not held is not exported, what was not exported is not imported, and neither is counted. */
static void exports_and_imports_of_nothing_are_refused(void **state)
{
    uint8_t token[SGDEV_TOKEN_BYTES], garbage[SGDEV_TOKEN_BYTES];
    uint64_t offset, theirs, imported, bytes;
    struct sgdev *other;
    unsigned random = 5;

    begin("count=2,memory=64M");
    assert_int_equal(sgdev_open(&other), 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 4 * MIB, &offset), 0);
    assert_int_equal(sgdev_segment_alloc(other, 0, 2 * MIB, &theirs), 0);
    assert_int_equal(sgdev_segment_export(dev, 0, theirs, token), -EINVAL);
    assert_int_equal(sgdev_segment_export(dev, 0, offset + 2 * MIB, token), -EINVAL);
    assert_int_equal(sgdev_segment_export(dev, 0, UINT64_MAX, token), -EINVAL);
    assert_int_equal(sgdev_segment_export(dev, 1, offset, token), -EINVAL);
    assert_int_equal(sgdev_segment_export(dev, 2, offset, token), -EINVAL);
    assert_int_equal(sgdev_segment_export(dev, 0, offset, token), 0);
    assert_int_equal(sgdev_segment_import(other, 1, token, &imported, &bytes), -ENOENT);
    assert_int_equal(sgdev_segment_import(other, 2, token, &imported, &bytes), -EINVAL);
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < SGDEV_TOKEN_BYTES; i++)
            garbage[i] = (uint8_t)rand_r(&random);
        assert_int_equal(sgdev_segment_import(other, 0, garbage, &imported, &bytes), -ENOENT);
    }
    assert_int_equal(sgdev_segment_free(other, 0, offset), -EINVAL);
    assert_int_equal(sgdev_segment_import(other, 0, token, &imported, &bytes), 0);
    assert_int_equal(imported, offset);
    assert_int_equal(bytes, 4 * MIB);
    assert_int_equal(used_bytes(0), 6 * MIB);
    assert_int_equal(sgdev_segment_free(dev, 0, offset), 0);
    assert_int_equal(sgdev_segment_free(dev, 0, offset), -EINVAL);
    assert_int_equal(used_bytes(0), 6 * MIB);
    sgdev_close(other);
    for (uint64_t until_ns = clock_monotonic_ns() + NS_PER_S; used_bytes(0);)
        assert_true(clock_monotonic_ns() < until_ns);
    end();
}

static int child_uses_memory(void *argument)
{
    struct sgdev_process rows[4];
    size_t n_rows = 4;
    uint64_t offset, start_ns, end_ns;
    uint32_t context;

    /* The parent's ticket and context are unknown here. */
    if (sgdev_wait(dev, *(uint64_t *)argument, true, &start_ns, &end_ns) != -EINVAL)
        return 1;
    if (sgdev_segment_alloc(dev, 0, 8 * MIB, &offset) < 0 || sgdev_context_open(dev, 0, &context) < 0)
        return 2;
    if (sgdev_wait(dev, submit(context, sgdev_now_ns(dev, 0), 1000), false, &start_ns, &end_ns) < 0)
        return 3;
    if (used_bytes(0) != (32 + 10 + 8 + 10) * MIB)
        return 4;
    if (sgdev_processes(dev, 0, rows, &n_rows) < 0 || n_rows != 2 || rows[0].pid != getppid() ||
        rows[1].pid != getpid())
        return 5;
    return rows[1].memory_bytes == 18 * MIB ? 0 : 6;
}

static void a_forked_child_is_a_process_of_its_own(void **state)
{
    uint64_t offset, ticket, start_ns, end_ns;

    begin("context=10M");
    assert_int_equal(sgdev_segment_alloc(dev, 0, 32 * MIB, &offset), 0);
    ticket = submit(open_context(0), sgdev_now_ns(dev, 0), NS_PER_MS);
    assert_int_equal(in_child(child_uses_memory, &ticket), 0);
    assert_int_equal(sgdev_wait(dev, ticket, false, &start_ns, &end_ns), 0);
    for (uint64_t until_ns = clock_monotonic_ns() + NS_PER_S; used_bytes(0) != 42 * MIB;)
        assert_true(clock_monotonic_ns() < until_ns);
    end();
}

/* The time until used bytes of device 0 are `bytes`. */
static uint64_t ns_until_used(uint64_t bytes)
{
    uint64_t begin_ns = clock_monotonic_ns();

    while (used_bytes(0) != bytes && clock_monotonic_ns() - begin_ns < 5 * NS_PER_S)
        clock_sleep_until_ns(clock_monotonic_ns() + 100 * NS_PER_US);
    return clock_monotonic_ns() - begin_ns;
}

/* A process that holds 100 MiB and endless work, says so, and never ends by itself. with_heir: its child,
 * which never called the device, inherits the connection and outlives it. */
static pid_t start_holder(bool with_heir, pid_t *ret_heir)
{
    int ends[2];
    pid_t pid, heir = 0;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        uint64_t offset;
        uint32_t context;

        if (sgdev_segment_alloc(dev, 0, 80 * MIB, &offset) < 0 || sgdev_context_open(dev, 0, &context) < 0 ||
            sgdev_context_resize(dev, context, 10 * MIB) < 0)
            _exit(1);
        submit(context, sgdev_now_ns(dev, 0), 3600 * NS_PER_S);
        if (with_heir && (heir = fork()) == 0)
            for (;;)
                pause();
        if (write(ends[1], &heir, sizeof(heir)) != sizeof(heir))
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &heir, sizeof(heir)), sizeof(heir));
    close(ends[0]);
    if (ret_heir)
        *ret_heir = heir;
    return pid;
}

static void a_killed_process_gives_everything_back_within_100_ms(void **state)
{
    uint64_t start_ns, end_ns, ticket;
    struct sgdev_account account;
    pid_t pid, heir;

    begin("context=10M");
    for (unsigned with_heir = 0; with_heir < 2; with_heir++) {
        pid = start_holder(with_heir, &heir);
        assert_int_equal(used_bytes(0), 100 * MIB);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(ns_until_used(0) < 100 * NS_PER_MS);
        /* Its endless work is gone too. */
        ticket = submit(open_context(0), sgdev_now_ns(dev, 0), 1000);
        assert_int_equal(sgdev_wait(dev, ticket, false, &start_ns, &end_ns), 0);
        assert_int_equal(sgdev_account(dev, 0, &account), 0);
        assert_int_equal(account.n_processes, 1);
        if (with_heir)
            kill(heir, SIGKILL);
        sgdev_close(dev);
        assert_int_equal(sgdev_open(&dev), 0);
        assert_true(ns_until_used(0) < 100 * NS_PER_MS);
    }
    end();
}

static void closing_gives_back_though_a_child_holds_the_connection(void **state)
{
    struct sgdev *other;
    uint64_t offset;
    pid_t pid;

    begin("");
    assert_int_equal(sgdev_open(&other), 0);
    assert_int_equal(sgdev_segment_alloc(other, 0, 4 * MIB, &offset), 0);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    sgdev_close(other);
    assert_true(ns_until_used(0) < 100 * NS_PER_MS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    end();
}

static int pid_of_softgpud(void)
{
    char path[128], line[256];
    int pid = 0;
    FILE *log;

    snprintf(path, sizeof(path), "%s/softgpud.log", place);
    log = fopen(path, "re");
    while (log && fgets(line, sizeof(line), log))
        if (strstr(line, ": serves "))
            sscanf(line, "softgpud %d:", &pid);
    if (log)
        fclose(log);
    return pid;
}

static void *wait_endlessly(void *argument)
{
    uint64_t start_ns, end_ns;

    return (void *)(intptr_t)sgdev_wait(dev, *(uint64_t *)argument, false, &start_ns, &end_ns);
}

static void the_end_of_softgpud_wakes_all_who_wait(void **state)
{
    uint64_t tickets[3], offset;
    pthread_t threads[3];
    uint32_t context;
    void *result;

    begin("");
    context = open_context(0);
    for (unsigned i = 0; i < 3; i++) {
        tickets[i] = submit(context, sgdev_now_ns(dev, 0), 3600 * NS_PER_S);
        assert_int_equal(pthread_create(&threads[i], NULL, wait_endlessly, &tickets[i]), 0);
    }
    assert_true(pid_of_softgpud() > 1);
    kill(pid_of_softgpud(), SIGKILL);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((int)(intptr_t)result, -EPIPE);
    }
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offset), -EPIPE);
    /* A new one can be started in the same place. */
    sgdev_close(dev);
    assert_int_equal(sgdev_open(&dev), 0);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offset), 0);
    end();
}

static void softgpud_ends_when_nobody_needs_it(void **state)
{
    int lock_fd;

    place_begin("");
    setenv("VGPU_SOFTGPU_IDLE_S", "0", 1);
    assert_int_equal(sgdev_open(&dev), 0);
    lock_fd = place_lock_fd();
    assert_true(place_is_served(lock_fd));
    sgdev_close(dev);
    assert_true(place_wait_unserved(lock_fd, 5 * NS_PER_S));
    close(lock_fd);
    place_remove();
}

static void softgpud_ends_at_once_when_its_directory_is_gone(void **state)
{
    uint64_t offset;
    int lock_fd;

    begin("");
    lock_fd = place_lock_fd();
    place_remove();
    assert_true(place_wait_unserved(lock_fd, NS_PER_S));
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offset), -EPIPE);
    close(lock_fd);
    sgdev_close(dev);
}

static void other_devices_replace_unused_ones_and_are_refused_beside_used_ones(void **state)
{
    struct sgdev *other;

    begin("count=1");
    setenv("VGPU_SOFTGPU_DEVICES", "count=2", 1);
    setenv("VGPU_LOG", "none", 1);
    assert_int_equal(sgdev_open(&other), -EBUSY);
    /* A process without a description of its own takes those in use. */
    setenv("VGPU_SOFTGPU_DEVICES", "memory=1G", 1);
    sgdev_close(dev);
    assert_int_equal(sgdev_open(&dev), 0);
    assert_int_equal(sgdev_properties(dev, 0)->memory_bytes, GIB);
    unsetenv("VGPU_SOFTGPU_DEVICES");
    assert_int_equal(sgdev_open(&other), 0);
    assert_int_equal(sgdev_properties(other, 0)->memory_bytes, GIB);
    sgdev_close(other);
    unsetenv("VGPU_LOG");
    end();
}

static int raw_connection(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", place, PROTOCOL_SOCKET_NAME);
    assert_int_equal(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
    return sock;
}

/* Whether softgpud closes the connection when it gets these bytes, after hello if that is given. */
static bool is_dropped_for(const void *bytes, size_t n, const struct protocol_request *hello)
{
    int sock = raw_connection();
    char answer[sizeof(struct protocol_answer)];
    struct pollfd poll_fd = {.fd = sock, .events = POLLIN};
    ssize_t got;

    if (hello) {
        assert_int_equal(send(sock, hello, sizeof(*hello), MSG_NOSIGNAL), sizeof(*hello));
        assert_true(recv(sock, answer, sizeof(answer), 0) > 0);
    }
    if (send(sock, bytes, n, MSG_NOSIGNAL) != (ssize_t)n) {
        close(sock);
        return true;
    }
    assert_int_equal(poll(&poll_fd, 1, 2000), 1);
    got = recv(sock, answer, sizeof(answer), 0);
    close(sock);
    return got <= 0;
}

static void a_client_that_speaks_nonsense_is_dropped_and_harms_nobody(void **state)
{
    struct protocol_request hello = {
        .head = {.magic = PROTOCOL_MAGIC, .version = PROTOCOL_VERSION, .kind = PROTOCOL_HELLO, .ticket = 1}};
    struct protocol_request bad = hello;
    struct protocol_answer answer;
    unsigned char noise[sizeof(bad)];
    unsigned random = 3;
    uint64_t offset;
    int sock;

    begin("");
    assert_true(is_dropped_for("x", 1, NULL));
    assert_true(is_dropped_for(&hello, sizeof(hello), &hello)); /* twice */
    bad.head.kind = PROTOCOL_SEGMENT_ALLOC;                     /* before hello */
    assert_true(is_dropped_for(&bad, sizeof(bad), NULL));
    bad.head.kind = PROTOCOL_REQUEST_KINDS;
    assert_true(is_dropped_for(&bad, sizeof(bad), &hello));
    bad.head.kind = PROTOCOL_NONE;
    assert_true(is_dropped_for(&bad, sizeof(bad), &hello));
    assert_true(is_dropped_for(&hello, sizeof(hello) - 1, &hello));
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < sizeof(noise); i++)
            noise[i] = (unsigned char)rand_r(&random);
        /* Mostly past the first checks, so that the requests' own fields are noise. */
        bad.head.kind = (uint16_t)(1 + round % (PROTOCOL_REQUEST_KINDS - 1));
        if (round % 4)
            memcpy(noise, &bad.head, sizeof(bad.head));
        sock = raw_connection();
        assert_int_equal(send(sock, &hello, sizeof(hello), 0), sizeof(hello));
        for (unsigned i = 0; i < 4 && send(sock, noise, sizeof(noise), MSG_NOSIGNAL) > 0; i++)
            ;
        close(sock);
    }
    /* Another version is told so. */
    bad = hello;
    bad.head.version++;
    sock = raw_connection();
    assert_int_equal(send(sock, &bad, sizeof(bad), 0), sizeof(bad));
    assert_true(recv(sock, &answer, sizeof(answer), 0) > 0);
    assert_int_equal(answer.status, -EPROTONOSUPPORT);
    close(sock);
    assert_int_equal(sgdev_segment_alloc(dev, 0, 2 * MIB, &offset), 0);
    assert_true(ns_until_used(2 * MIB) < NS_PER_S);
    end();
}

static void what_cannot_be_opened_says_why_by_its_code(void **state)
{
    char path[128];

    setenv("VGPU_LOG", "none", 1);
    place_begin("sms=none");
    assert_int_equal(sgdev_open(&dev), -EINVAL);
    setenv("VGPU_SOFTGPU_DEVICES", "count=0", 1);
    assert_int_equal(sgdev_open(&dev), -ENODEV);
    unsetenv("VGPU_SOFTGPU_DEVICES");
    chmod(place, 0777);
    assert_int_equal(sgdev_open(&dev), -EPERM);
    chmod(place, 0700);
    snprintf(path, sizeof(path), "%s", getenv("VGPU_SOFTGPU_DAEMON"));
    setenv("VGPU_SOFTGPU_DAEMON", "/nowhere/softgpud", 1);
    assert_int_equal(sgdev_open(&dev), -ENOENT);
    setenv("VGPU_SOFTGPU_DAEMON", path, 1);
    setenv("VGPU_SOFTGPU_IDLE_S", "soon", 1);
    assert_int_equal(sgdev_open(&dev), -EINVAL);
    unsetenv("VGPU_LOG");
    place_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_as_described),
        cmocka_unit_test(memory_is_accounted_exactly),
        cmocka_unit_test(scattered_free_memory_serves_one_large_segment),
        cmocka_unit_test(a_new_segment_is_zero_even_where_an_old_one_was),
        cmocka_unit_test(paced_work_ends_at_its_modelled_time_and_not_before),
        cmocka_unit_test(virtual_time_waits_for_nobody),
        cmocka_unit_test(a_failed_submission_is_told_to_its_waiter),
        cmocka_unit_test(many_outstanding_items_do_not_jam),
        cmocka_unit_test(eight_threads_share_the_connection),
        cmocka_unit_test(a_context_is_charged_more_or_less_in_one_step),
        cmocka_unit_test(changes_of_what_is_used_are_remembered),
        cmocka_unit_test(exports_and_imports_of_nothing_are_refused),
        cmocka_unit_test(a_forked_child_is_a_process_of_its_own),
        cmocka_unit_test(a_killed_process_gives_everything_back_within_100_ms),
        cmocka_unit_test(closing_gives_back_though_a_child_holds_the_connection),
        cmocka_unit_test(the_end_of_softgpud_wakes_all_who_wait),
        cmocka_unit_test(softgpud_ends_when_nobody_needs_it),
        cmocka_unit_test(softgpud_ends_at_once_when_its_directory_is_gone),
        cmocka_unit_test(other_devices_replace_unused_ones_and_are_refused_beside_used_ones),
        cmocka_unit_test(a_client_that_speaks_nonsense_is_dropped_and_harms_nobody),
        cmocka_unit_test(what_cannot_be_opened_says_why_by_its_code),
    };

    return cmocka_run_group_tests_name("softgpu_client", tests, NULL, NULL);
}
