/* Dependencies are counted: a work knows how many it still waits for, and each of those has a list of its
 * waiters. A waiter on the same engine of the same context is let go when its predecessor has been handed to
 * the timeline, which keeps their order; any other waits for the end, because its own earliest start is that
 * end. */
#include "softgpu/driver/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include "base/clock.h"

enum { QUEUE_LENGTH_MAX = 1024 }; /* launches that wait before a launch blocks; close to what hardware has */
enum { GATE_NAP_NS = 50000 };

/* `waiter` waits for the work in whose list this is. All edges of a waiter are one array, which it owns. */
struct engine_edge {
    struct engine_work *waiter;
    struct engine_edge *next;
};

static struct {
    pthread_mutex_t lock;
    uint64_t sequence;
    struct engine_work *garbage; /* works without references, destroyed after the lock is released */
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

void engine_lock(void)
{
    pthread_mutex_lock(&engine.lock);
}

void engine_unlock(void)
{
    struct engine_work *garbage = engine.garbage;

    engine.garbage = NULL;
    pthread_mutex_unlock(&engine.lock);
    while (garbage) {
        struct engine_work *work = garbage;

        garbage = work->next;
        free(work->edges);
        work->destroy(work);
    }
}

void engine_work_init(struct engine_work *work, struct engine_queue *queue, enum engine_lane lane,
                      void (*run)(struct engine_work *), void (*destroy)(struct engine_work *))
{
    *work = (struct engine_work){
        .queue = queue,
        .lane = lane,
        .run = run,
        .destroy = destroy,
        .sm_permille = 1000,
        .refs = 1,
        .ready_ns = sgdev_now_ns(queue->dev, queue->ordinal),
    };
}

static void marker_destroy(struct engine_work *work)
{
    free(work);
}

struct engine_work *engine_marker_new(struct engine_queue *queue)
{
    struct engine_work *work = calloc(1, sizeof(*work));

    if (work)
        engine_work_init(work, queue, ENGINE_MARKER, NULL, marker_destroy);
    return work;
}

struct engine_work *engine_work_ref(struct engine_work *work)
{
    __atomic_fetch_add(&work->refs, 1, __ATOMIC_RELAXED);
    return work;
}

void engine_work_unref_locked(struct engine_work *work)
{
    if (work && __atomic_sub_fetch(&work->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        work->next = engine.garbage;
        engine.garbage = work;
    }
}

void engine_work_unref(struct engine_work *work)
{
    if (work && __atomic_sub_fetch(&work->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(work->edges);
        work->destroy(work);
    }
}

/* ---- lists ---- */

static void list_append(struct engine_list *list, struct engine_work *work)
{
    work->next = NULL;
    if (list->last)
        list->last->next = work;
    else
        list->first = work;
    list->last = work;
}

/* Oldest first: what was enqueued earlier goes first when both could go. */
static void list_insert_by_age(struct engine_list *list, struct engine_work *work)
{
    struct engine_work **link = &list->first;

    if (!list->last || list->last->sequence < work->sequence) {
        list_append(list, work);
        return;
    }
    while ((*link)->sequence < work->sequence)
        link = &(*link)->next;
    work->next = *link;
    *link = work;
}

static struct engine_work *list_pop(struct engine_list *list)
{
    struct engine_work *work = list->first;

    list->first = work->next;
    if (!list->first)
        list->last = NULL;
    work->next = NULL;
    return work;
}

static void incomplete_append(struct engine_work *work)
{
    struct engine_queue *queue = work->queue;

    work->older = queue->newest;
    work->newer = NULL;
    if (queue->newest)
        queue->newest->newer = work;
    else
        queue->oldest = work;
    queue->newest = work;
    queue->n_incomplete++;
}

static void incomplete_remove(struct engine_work *work)
{
    struct engine_queue *queue = work->queue;

    if (work->older)
        work->older->newer = work->newer;
    else
        queue->oldest = work->newer;
    if (work->newer)
        work->newer->older = work->older;
    else
        queue->newest = work->older;
    queue->n_incomplete--;
}

/* ---- dependencies ---- */

/* Which executor serves a lane; see the header for the virtual clock. */
static struct engine_worker *executor_of(struct engine_queue *queue, enum engine_lane lane)
{
    if (lane == ENGINE_COPY && queue->time_mode == SGDEV_TIME_VIRTUAL)
        lane = ENGINE_COMPUTE;
    return &queue->executors[lane];
}

static bool timeline_keeps_order(const struct engine_work *earlier, const struct engine_work *later)
{
    return earlier->queue == later->queue && earlier->lane == later->lane &&
           (later->lane == ENGINE_COMPUTE || later->lane == ENGINE_COPY);
}

static bool is_met(const struct engine_work *dep, const struct engine_work *waiter)
{
    return dep->state == ENGINE_COMPLETE ||
           (dep->state == ENGINE_EXECUTED && timeline_keeps_order(dep, waiter));
}

static void make_ready(struct engine_work *work)
{
    struct engine_worker *executor = executor_of(work->queue, work->lane);

    work->state = ENGINE_READY;
    list_insert_by_age(&executor->list, work);
    pthread_cond_signal(&executor->wake);
}

/* Completes work and every marker that waited for nothing else. `next` links those still to be completed. */
static void complete_locked(struct engine_work *work)
{
    struct engine_list completing = {0};

    list_append(&completing, work);
    while (completing.first) {
        struct engine_work *done = list_pop(&completing);

        done->state = ENGINE_COMPLETE;
        incomplete_remove(done);
        pthread_cond_broadcast(&done->queue->completed);
        for (struct engine_edge *edge = done->waiters; edge; edge = edge->next) {
            struct engine_work *waiter = edge->waiter;

            if (waiter->ready_ns < done->end_ns)
                waiter->ready_ns = done->end_ns;
            if (--waiter->n_unmet)
                continue;
            if (waiter->lane != ENGINE_MARKER) {
                make_ready(waiter);
                continue;
            }
            waiter->start_ns = waiter->end_ns = waiter->ready_ns;
            list_append(&completing, waiter);
        }
        done->waiters = NULL;
        engine_work_unref_locked(done);
    }
}

/* The effect has happened and the timeline has the work: those behind it on the same engine may have theirs.
 */
static void let_followers_run(struct engine_work *work)
{
    struct engine_edge **link = &work->waiters;

    work->state = ENGINE_EXECUTED;
    while (*link) {
        struct engine_work *waiter = (*link)->waiter;

        if (!timeline_keeps_order(work, waiter)) {
            link = &(*link)->next;
            continue;
        }
        *link = (*link)->next;
        if (--waiter->n_unmet == 0)
            make_ready(waiter);
    }
}

/* ---- threads ---- */

/* Hands executed work to the timeline. True when it is complete already. */
static bool submit(struct engine_work *work)
{
    struct engine_queue *queue = work->queue;
    struct sgdev_work order = {
        .context = queue->device_context,
        .engine = work->lane == ENGINE_COPY ? SGDEV_ENGINE_COPY : SGDEV_ENGINE_COMPUTE,
        .ready_ns = work->ready_ns,
        .duration_ns = work->duration_ns,
        .sm_permille = work->sm_permille,
    };
    bool poll = queue->time_mode != SGDEV_TIME_VIRTUAL;
    int error = sgdev_submit(queue->dev, &order, &work->ticket);

    if (!error) {
        error = sgdev_wait(queue->dev, work->ticket, poll, &work->start_ns, &work->end_ns);
        if (error == -EAGAIN)
            return false;
    }
    if (error) {
        work->start_ns = work->end_ns = work->ready_ns;
        __atomic_store_n(&queue->device_lost, true, __ATOMIC_RELEASE);
        __atomic_store_n(&queue->poisoned, true, __ATOMIC_RELEASE);
    }
    return true;
}

/* Has the effect of work. True when it is complete. */
static bool execute(struct engine_work *work)
{
    struct engine_queue *queue = work->queue;
    uint64_t begin_ns = clock_monotonic_ns();
    bool poisoned = __atomic_load_n(&queue->poisoned, __ATOMIC_ACQUIRE);

    /* Host functions and gates decide themselves what a sticky error means to them. */
    bool is_timed = work->lane == ENGINE_COMPUTE || work->lane == ENGINE_COPY;

    if (!poisoned || !is_timed)
        work->run(work);
    if (!is_timed) {
        work->start_ns = work->ready_ns;
        work->end_ns = sgdev_now_ns(queue->dev, queue->ordinal);
        return true;
    }
    if (poisoned) {
        work->start_ns = work->end_ns = work->ready_ns;
        return true;
    }
    if (queue->time_mode == SGDEV_TIME_ASAP)
        work->duration_ns = clock_monotonic_ns() - begin_ns;
    return submit(work);
}

static void worker_start_thread(struct engine_worker *worker, void *(*main)(void *), int *ret_error)
{
    sigset_t all, before;

    if (worker->started)
        return;
    /* The application's signals belong to the application's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&worker->thread, NULL, main, worker))
        *ret_error = -EAGAIN;
    else
        worker->started = true;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A gate that is still shut is asked again after the others of its lane. Nobody tells us when it opens: it is
 * memory that anybody may write. */
static void put_off(struct engine_worker *self, struct engine_work *work)
{
    struct timespec until;

    list_append(&self->list, work);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += GATE_NAP_NS;
    if (until.tv_nsec >= (long)NS_PER_S) {
        until.tv_nsec -= (long)NS_PER_S;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&self->wake, &engine.lock, &until);
}

static void *executor_main(void *argument)
{
    struct engine_worker *self = argument;
    struct engine_queue *queue = self->queue;

    engine_lock();
    for (;;) {
        while (!self->list.first && !queue->closing)
            pthread_cond_wait(&self->wake, &engine.lock);
        if (!self->list.first)
            break;
        struct engine_work *work = list_pop(&self->list);

        work->state = ENGINE_RUNNING;
        engine_unlock();
        bool complete = execute(work);
        engine_lock();
        if (work->is_shut) {
            put_off(self, work);
            continue;
        }
        if (complete && !queue->retirers[work->lane].list.first) {
            complete_locked(work);
        } else {
            struct engine_worker *retirer = &queue->retirers[work->lane];

            /* Already complete, but behind one that is not retired yet: it keeps its turn, without a ticket.
             */
            if (complete)
                work->ticket = UINT64_MAX;
            let_followers_run(work);
            list_append(&retirer->list, work);
            pthread_cond_signal(&retirer->wake);
        }
    }
    engine_unlock();
    return NULL;
}

static void *retirer_main(void *argument)
{
    struct engine_worker *self = argument;
    struct engine_queue *queue = self->queue;

    engine_lock();
    for (;;) {
        while (!self->list.first && !queue->closing)
            pthread_cond_wait(&self->wake, &engine.lock);
        if (!self->list.first)
            break;
        /* Stays in the list while it is waited for, so that a later one cannot overtake it. */
        struct engine_work *work = self->list.first;

        if (work->ticket != UINT64_MAX) {
            engine_unlock();
            if (sgdev_wait(queue->dev, work->ticket, false, &work->start_ns, &work->end_ns)) {
                work->start_ns = work->end_ns = work->ready_ns;
                __atomic_store_n(&queue->device_lost, true, __ATOMIC_RELEASE);
                __atomic_store_n(&queue->poisoned, true, __ATOMIC_RELEASE);
            }
            engine_lock();
        }
        list_pop(&self->list);
        complete_locked(work);
    }
    engine_unlock();
    return NULL;
}

static int start_threads(struct engine_queue *queue, enum engine_lane lane)
{
    int error = 0;

    if (lane == ENGINE_MARKER)
        return 0;
    worker_start_thread(executor_of(queue, lane), executor_main, &error);
    if (!error && (lane == ENGINE_COMPUTE || lane == ENGINE_COPY) && queue->time_mode != SGDEV_TIME_VIRTUAL)
        worker_start_thread(&queue->retirers[lane], retirer_main, &error);
    return error;
}

/* ---- queues ---- */

void engine_queue_init(struct engine_queue *queue, struct sgdev *dev, unsigned ordinal,
                       uint32_t device_context, enum sgdev_time_mode mode)
{
    *queue = (struct engine_queue){
        .dev = dev, .ordinal = ordinal, .device_context = device_context, .time_mode = mode};
    pthread_cond_init(&queue->completed, NULL);
    for (enum engine_lane lane = 0; lane < ENGINE_LANES; lane++) {
        queue->executors[lane] = (struct engine_worker){.queue = queue, .lane = lane};
        queue->retirers[lane] = (struct engine_worker){.queue = queue, .lane = lane};
        pthread_cond_init(&queue->executors[lane].wake, NULL);
        pthread_cond_init(&queue->retirers[lane].wake, NULL);
    }
}

static void worker_stop(struct engine_worker *worker)
{
    if (worker->started)
        pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->wake);
}

void engine_queue_done(struct engine_queue *queue)
{
    engine_wait_all(queue);
    engine_lock();
    queue->closing = true;
    for (enum engine_lane lane = 0; lane < ENGINE_LANES; lane++) {
        pthread_cond_broadcast(&queue->executors[lane].wake);
        pthread_cond_broadcast(&queue->retirers[lane].wake);
    }
    engine_unlock();
    for (enum engine_lane lane = 0; lane < ENGINE_LANES; lane++) {
        worker_stop(&queue->executors[lane]);
        worker_stop(&queue->retirers[lane]);
    }
    pthread_cond_destroy(&queue->completed);
}

int engine_prepare_locked(struct engine_work *work, size_t n_deps)
{
    int error = work->queue->closing ? -ESHUTDOWN : start_threads(work->queue, work->lane);

    if (error)
        return error;
    free(work->edges);
    work->edges = n_deps ? calloc(n_deps, sizeof(*work->edges)) : NULL;
    return n_deps && !work->edges ? -ENOMEM : 0;
}

void engine_enqueue_prepared_locked(struct engine_work *work, struct engine_work *const *deps, size_t n_deps)
{
    work->sequence = ++engine.sequence;
    work->state = ENGINE_PENDING;
    incomplete_append(engine_work_ref(work));
    for (size_t i = 0; i < n_deps; i++) {
        if (!deps[i])
            continue;
        if (is_met(deps[i], work)) {
            if (deps[i]->state == ENGINE_COMPLETE && work->ready_ns < deps[i]->end_ns)
                work->ready_ns = deps[i]->end_ns;
            continue;
        }
        work->edges[i] = (struct engine_edge){.waiter = work, .next = deps[i]->waiters};
        deps[i]->waiters = &work->edges[i];
        work->n_unmet++;
    }
    if (work->n_unmet)
        return;
    if (work->lane != ENGINE_MARKER) {
        make_ready(work);
        return;
    }
    work->start_ns = work->end_ns = work->ready_ns;
    complete_locked(work);
}

int engine_enqueue_locked(struct engine_work *work, struct engine_work *const *deps, size_t n_deps)
{
    int error = engine_prepare_locked(work, n_deps);

    if (!error)
        engine_enqueue_prepared_locked(work, deps, n_deps);
    return error;
}

bool engine_is_complete_locked(const struct engine_work *work)
{
    return work->state == ENGINE_COMPLETE;
}

bool engine_is_complete(const struct engine_work *work)
{
    engine_lock();
    bool complete = engine_is_complete_locked(work);
    engine_unlock();
    return complete;
}

void engine_wait(struct engine_work *work)
{
    engine_lock();
    while (work->state != ENGINE_COMPLETE)
        pthread_cond_wait(&work->queue->completed, &engine.lock);
    engine_unlock();
}

void engine_wait_all(struct engine_queue *queue)
{
    engine_lock();
    uint64_t last = engine.sequence;
    while (queue->oldest && queue->oldest->sequence <= last)
        pthread_cond_wait(&queue->completed, &engine.lock);
    engine_unlock();
}

bool engine_is_idle(struct engine_queue *queue)
{
    engine_lock();
    bool idle = !queue->oldest;
    engine_unlock();
    return idle;
}

void engine_wait_for_room(struct engine_queue *queue)
{
    engine_lock();
    while (queue->n_incomplete >= QUEUE_LENGTH_MAX)
        pthread_cond_wait(&queue->completed, &engine.lock);
    engine_unlock();
}
