/* The order of work (softgpu/driver/engine.h), over a timeline of this test: work lasts as long as it says on
 * a clock that the test moves, and in paced mode ends when the test lets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "softgpu/driver/engine.h"

/* ---- the timeline ---- */

enum { TICKETS_MAX = 4096 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t now_ns, engine_end_ns[2];
    uint64_t n_tickets, n_let_end; /* paced: tickets below this have ended */
    struct {
        uint64_t start_ns, end_ns;
        enum sgdev_engine engine;
    } tickets[TICKETS_MAX];
    int submit_error;
} timeline = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

uint64_t sgdev_now_ns(struct sgdev *dev, unsigned ordinal)
{
    pthread_mutex_lock(&timeline.lock);
    uint64_t now = timeline.now_ns;
    pthread_mutex_unlock(&timeline.lock);
    return now;
}

int sgdev_submit(struct sgdev *dev, const struct sgdev_work *work, uint64_t *ret_ticket)
{
    int error;

    pthread_mutex_lock(&timeline.lock);
    error = timeline.submit_error;
    if (!error) {
        uint64_t start = work->ready_ns;

        if (start < timeline.engine_end_ns[work->engine])
            start = timeline.engine_end_ns[work->engine];
        timeline.engine_end_ns[work->engine] = start + work->duration_ns;
        timeline.tickets[timeline.n_tickets].start_ns = start;
        timeline.tickets[timeline.n_tickets].end_ns = start + work->duration_ns;
        timeline.tickets[timeline.n_tickets].engine = work->engine;
        *ret_ticket = timeline.n_tickets++;
    }
    pthread_mutex_unlock(&timeline.lock);
    return error;
}

int sgdev_wait(struct sgdev *dev, uint64_t ticket, bool poll, uint64_t *ret_start_ns, uint64_t *ret_end_ns)
{
    int error = 0;

    pthread_mutex_lock(&timeline.lock);
    while (ticket >= timeline.n_let_end && !poll)
        pthread_cond_wait(&timeline.changed, &timeline.lock);
    if (ticket >= timeline.n_let_end)
        error = -EAGAIN;
    *ret_start_ns = timeline.tickets[ticket].start_ns;
    *ret_end_ns = timeline.tickets[ticket].end_ns;
    pthread_mutex_unlock(&timeline.lock);
    return error;
}

static void let_end(uint64_t n_tickets)
{
    pthread_mutex_lock(&timeline.lock);
    timeline.n_let_end = n_tickets;
    pthread_cond_broadcast(&timeline.changed);
    pthread_mutex_unlock(&timeline.lock);
}

/* ---- work that notes when it ran ---- */

struct noted_work {
    struct engine_work work;
    uint64_t lasts_ns;
    int position; /* among all that ran, from 1; 0: not yet */
};

static int n_run;

static void note(struct engine_work *work)
{
    struct noted_work *self = (struct noted_work *)work;

    __atomic_store_n(&self->position, __atomic_add_fetch(&n_run, 1, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    work->duration_ns = self->lasts_ns;
}

static void release(struct engine_work *work)
{
    free(work);
}

static struct noted_work *enqueue(struct engine_queue *queue, enum engine_lane lane, uint64_t lasts_ns,
                                  struct noted_work *after, struct noted_work *also_after)
{
    struct engine_work *deps[] = {after ? &after->work : NULL, also_after ? &also_after->work : NULL};
    struct noted_work *self = calloc(1, sizeof(*self));

    engine_work_init(&self->work, queue, lane, lane == ENGINE_MARKER ? NULL : note, release);
    self->lasts_ns = lasts_ns;
    engine_lock();
    assert_int_equal(engine_enqueue_locked(&self->work, deps, 2), 0);
    engine_unlock();
    return self;
}

static int position_of(struct noted_work *work)
{
    return __atomic_load_n(&work->position, __ATOMIC_SEQ_CST);
}

static void open_queue(struct engine_queue *queue, enum sgdev_time_mode mode)
{
    pthread_mutex_lock(&timeline.lock);
    timeline.now_ns = 1000;
    timeline.engine_end_ns[0] = timeline.engine_end_ns[1] = 0;
    timeline.n_tickets = 0;
    timeline.n_let_end = mode == SGDEV_TIME_PACED ? 0 : UINT64_MAX;
    timeline.submit_error = 0;
    pthread_mutex_unlock(&timeline.lock);
    n_run = 0;
    engine_queue_init(queue, NULL, 0, 1, mode);
}

static void drop(struct noted_work *work)
{
    engine_work_unref(&work->work);
}

/* ---- promises ---- */

static void work_runs_after_what_it_depends_on(void **state)
{
    struct engine_queue queue;
    struct noted_work *all[300];

    open_queue(&queue, SGDEV_TIME_ASAP);
    for (int i = 0; i < 300; i++)
        all[i] = enqueue(&queue, i % 2 ? ENGINE_COPY : ENGINE_COMPUTE, 10, i ? all[i - 1] : NULL, NULL);
    engine_wait_all(&queue);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(position_of(all[i]), i + 1);
        drop(all[i]);
    }
    engine_queue_done(&queue);
}

static void virtual_times_are_exact_over_engines(void **state)
{
    struct engine_queue queue;
    struct noted_work *copy, *kernel, *beside, *marker;

    open_queue(&queue, SGDEV_TIME_VIRTUAL);
    copy = enqueue(&queue, ENGINE_COPY, 500, NULL, NULL);
    kernel = enqueue(&queue, ENGINE_COMPUTE, 300, copy, NULL);
    beside = enqueue(&queue, ENGINE_COPY, 100, NULL, NULL);
    marker = enqueue(&queue, ENGINE_MARKER, 0, kernel, beside);
    engine_wait(&marker->work);
    assert_int_equal(copy->work.end_ns, 1500);
    assert_int_equal(kernel->work.start_ns, 1500);
    assert_int_equal(kernel->work.end_ns, 1800);
    assert_int_equal(beside->work.end_ns, 1600);
    assert_int_equal(marker->work.end_ns, 1800);
    drop(copy);
    drop(kernel);
    drop(beside);
    drop(marker);
    engine_queue_done(&queue);
}

static void effects_run_ahead_on_one_engine_but_ends_are_the_timelines(void **state)
{
    struct engine_queue queue;
    struct noted_work *first, *second, *copy;

    open_queue(&queue, SGDEV_TIME_PACED);
    first = enqueue(&queue, ENGINE_COMPUTE, 100, NULL, NULL);
    second = enqueue(&queue, ENGINE_COMPUTE, 100, first, NULL);
    copy = enqueue(&queue, ENGINE_COPY, 100, second, NULL);
    while (!position_of(second))
        sched_yield();
    assert_false(engine_is_complete(&first->work));
    /* Another engine's work waits for the end: that is where it begins. */
    assert_int_equal(position_of(copy), 0);
    let_end(1);
    engine_wait(&first->work);
    assert_false(engine_is_complete(&second->work));
    let_end(UINT64_MAX);
    engine_wait(&copy->work);
    assert_int_equal(copy->work.start_ns, second->work.end_ns);
    drop(first);
    drop(second);
    drop(copy);
    engine_queue_done(&queue);
}

struct held_work {
    struct engine_work work;
    pthread_mutex_t *door;
};

static void pass_door(struct engine_work *work)
{
    struct held_work *self = (struct held_work *)work;

    pthread_mutex_lock(self->door);
    pthread_mutex_unlock(self->door);
}

static void a_host_function_that_waits_holds_up_nothing_else(void **state)
{
    pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
    struct held_work *held = calloc(1, sizeof(*held));
    struct noted_work *kernel, *behind;
    struct engine_work *deps[1];
    struct engine_queue queue;

    open_queue(&queue, SGDEV_TIME_ASAP);
    pthread_mutex_lock(&door);
    engine_work_init(&held->work, &queue, ENGINE_HOST, pass_door, release);
    held->door = &door;
    engine_lock();
    assert_int_equal(engine_enqueue_locked(&held->work, deps, 0), 0);
    engine_unlock();
    behind = calloc(1, sizeof(*behind));
    engine_work_init(&behind->work, &queue, ENGINE_COMPUTE, note, release);
    deps[0] = &held->work;
    engine_lock();
    assert_int_equal(engine_enqueue_locked(&behind->work, deps, 1), 0);
    engine_unlock();
    kernel = enqueue(&queue, ENGINE_COMPUTE, 1, NULL, NULL);
    engine_wait(&kernel->work);
    assert_int_equal(position_of(behind), 0);
    pthread_mutex_unlock(&door);
    engine_wait(&behind->work);
    engine_work_unref(&held->work);
    drop(behind);
    drop(kernel);
    engine_queue_done(&queue);
}

struct gate {
    struct engine_work work;
    bool open; /* atomic */
    int asked; /* atomic */
};

static void ask_gate(struct engine_work *work)
{
    struct gate *gate = (struct gate *)work;

    work->is_shut = !__atomic_load_n(&gate->open, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&gate->asked, 1, __ATOMIC_SEQ_CST);
}

static struct gate *enqueue_gate(struct engine_queue *queue, bool open)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    engine_work_init(&gate->work, queue, ENGINE_GATE, ask_gate, release);
    gate->open = open;
    engine_lock();
    assert_int_equal(engine_enqueue_locked(&gate->work, NULL, 0), 0);
    engine_unlock();
    return gate;
}

static void a_shut_gate_lets_others_of_its_lane_past(void **state)
{
    struct engine_queue queue;
    struct gate *shut, *open;

    open_queue(&queue, SGDEV_TIME_VIRTUAL);
    shut = enqueue_gate(&queue, false);
    open = enqueue_gate(&queue, true);
    engine_wait(&open->work);
    while (__atomic_load_n(&shut->asked, __ATOMIC_SEQ_CST) < 3)
        sched_yield();
    assert_false(engine_is_complete(&shut->work));
    __atomic_store_n(&shut->open, true, __ATOMIC_SEQ_CST);
    engine_wait(&shut->work);
    assert_int_equal(open->asked, 1);
    engine_work_unref(&shut->work);
    engine_work_unref(&open->work);
    engine_queue_done(&queue);
}

static void a_poisoned_queue_ends_work_without_its_effect(void **state)
{
    struct engine_queue queue;
    struct noted_work *kernel, *host;

    open_queue(&queue, SGDEV_TIME_ASAP);
    __atomic_store_n(&queue.poisoned, true, __ATOMIC_RELEASE);
    kernel = enqueue(&queue, ENGINE_COMPUTE, 1, NULL, NULL);
    host = enqueue(&queue, ENGINE_HOST, 1, kernel, NULL);
    engine_wait(&host->work);
    assert_int_equal(position_of(kernel), 0);
    assert_int_equal(position_of(host), 1);
    drop(kernel);
    drop(host);
    engine_queue_done(&queue);
}

static void a_lost_device_ends_all_work_and_is_told(void **state)
{
    struct engine_queue queue;
    struct noted_work *kernel;

    open_queue(&queue, SGDEV_TIME_ASAP);
    pthread_mutex_lock(&timeline.lock);
    timeline.submit_error = -EPIPE;
    pthread_mutex_unlock(&timeline.lock);
    kernel = enqueue(&queue, ENGINE_COMPUTE, 1, NULL, NULL);
    engine_wait(&kernel->work);
    assert_true(__atomic_load_n(&queue.device_lost, __ATOMIC_ACQUIRE));
    assert_true(engine_is_idle(&queue));
    drop(kernel);
    engine_queue_done(&queue);
}

static void a_long_chain_of_markers_completes(void **state)
{
    enum { LENGTH = 100000 };
    struct engine_queue queue;
    struct noted_work *kernel, *marker, *before;

    open_queue(&queue, SGDEV_TIME_PACED);
    kernel = before = enqueue(&queue, ENGINE_COMPUTE, 5, NULL, NULL);
    engine_work_ref(&kernel->work);
    for (int i = 0; i < LENGTH; i++) {
        marker = enqueue(&queue, ENGINE_MARKER, 0, before, NULL);
        drop(before);
        before = marker;
    }
    let_end(UINT64_MAX);
    engine_wait(&marker->work);
    assert_int_equal(marker->work.end_ns, kernel->work.end_ns);
    drop(kernel);
    drop(marker);
    engine_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_after_what_it_depends_on),
        cmocka_unit_test(virtual_times_are_exact_over_engines),
        cmocka_unit_test(effects_run_ahead_on_one_engine_but_ends_are_the_timelines),
        cmocka_unit_test(a_host_function_that_waits_holds_up_nothing_else),
        cmocka_unit_test(a_shut_gate_lets_others_of_its_lane_past),
        cmocka_unit_test(a_poisoned_queue_ends_work_without_its_effect),
        cmocka_unit_test(a_lost_device_ends_all_work_and_is_told),
        cmocka_unit_test(a_long_chain_of_markers_completes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
