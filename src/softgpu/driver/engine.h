/* The order in which work happens. A piece of work (kernel, copy, memset, host function, marker) waits for
 * the pieces it depends on, has its effect in the thread of its lane, and ends when the device's timeline
 * says so.
 *
 * A context has one `engine_queue` with four lanes: compute and copy, as hardware has engines, host
 * functions, and gates, which wait for a condition. Each lane is a thread that takes what is ready, oldest
 * first, so a host function that sleeps holds up neither kernels nor copies. After its effect a kernel or
 * copy is handed to the timeline; the next one of the lane may run meanwhile, and a second thread (the
 * retirer) waits for the ends. Threads start with the first work. On the virtual clock nobody waits, and one
 * thread serves compute and copy so that the order of submission, and with it every time stamp, is the same
 * in each run.
 *
 * One lock for all queues, because dependencies cross contexts; it is never held over a run, a wait or a
 * destroy. */
#ifndef VGPU_SOFTGPU_DRIVER_ENGINE_H
#define VGPU_SOFTGPU_DRIVER_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/device/client.h"

enum engine_lane {
    ENGINE_COMPUTE,
    ENGINE_COPY,
    ENGINE_HOST,
    ENGINE_GATE, /* run again and again while it leaves is_shut set; others of the lane go past it */
    ENGINE_LANES,
    ENGINE_MARKER = ENGINE_LANES, /* no effect: complete as soon as what it depends on is */
};

enum engine_state {
    ENGINE_NEW,
    ENGINE_PENDING,
    ENGINE_READY,
    ENGINE_RUNNING,
    ENGINE_EXECUTED,
    ENGINE_COMPLETE
};

struct engine_queue;
struct engine_edge;

/* First member of every kind of work. */
struct engine_work {
    struct engine_queue *queue;
    enum engine_lane lane;
    void (*run)(struct engine_work *work);     /* has the effect and sets duration_ns; NULL for markers */
    void (*destroy)(struct engine_work *work); /* frees it; no lock is held */
    uint64_t duration_ns;                      /* modelled length, set by run */
    uint32_t sm_permille;                      /* see struct sgdev_work */
    uint64_t ready_ns;                         /* earliest start; in run: final */
    bool is_shut;                              /* a gate's: set by run */
    uint64_t start_ns, end_ns;                 /* on the device's clock; valid when complete */

    /* the engine's own */
    uint32_t refs;
    enum engine_state state;
    uint64_t sequence, ticket;
    size_t n_unmet;
    struct engine_edge *waiters, *edges;
    struct engine_work *next;          /* in a lane's list or the garbage */
    struct engine_work *older, *newer; /* among the queue's incomplete works */
};

struct engine_list {
    struct engine_work *first, *last;
};

struct engine_worker {
    struct engine_queue *queue;
    enum engine_lane lane;
    struct engine_list list;
    pthread_cond_t wake;
    pthread_t thread;
    bool started;
};

struct engine_queue {
    struct sgdev *dev;
    unsigned ordinal;
    uint32_t device_context; /* sgdev's name for the context */
    enum sgdev_time_mode time_mode;
    bool poisoned;    /* atomic: works end without having their effect (sticky error) */
    bool device_lost; /* atomic: the timeline refused work */

    struct engine_worker executors[ENGINE_LANES], retirers[ENGINE_LANES];
    struct engine_work *oldest, *newest; /* incomplete works in order of sequence */
    size_t n_incomplete;
    pthread_cond_t completed;
    bool closing;
};

void engine_queue_init(struct engine_queue *queue, struct sgdev *dev, unsigned ordinal,
                       uint32_t device_context, enum sgdev_time_mode mode);
/* Waits for all work, ends the threads. */
void engine_queue_done(struct engine_queue *queue);

/* Fills a new work, one reference for the caller; takes its time of arrival from the device's clock. */
void engine_work_init(struct engine_work *work, struct engine_queue *queue, enum engine_lane lane,
                      void (*run)(struct engine_work *), void (*destroy)(struct engine_work *));
/* A work without an effect, one reference for the caller. NULL: no memory. */
struct engine_work *engine_marker_new(struct engine_queue *queue);
struct engine_work *engine_work_ref(struct engine_work *work);
void engine_work_unref(struct engine_work *work); /* NULL is fine */

/* The engine's lock also guards what callers derive dependencies from (the streams' frontiers). */
void engine_lock(void);
void engine_unlock(void);

/* Hands work to its queue, to run after all of deps (NULL entries are skipped). 0, -ENOMEM, -EAGAIN (no
 * thread) or -ESHUTDOWN (the queue is being closed): nothing happened. */
int engine_enqueue_locked(struct engine_work *work, struct engine_work *const *deps, size_t n_deps);
/* The two halves of it, for who hands over several works of which none may stay behind: all that can fail is
 * in the first, after which the second may be called, once, with up to n_deps of deps. */
int engine_prepare_locked(struct engine_work *work, size_t n_deps);
void engine_enqueue_prepared_locked(struct engine_work *work, struct engine_work *const *deps, size_t n_deps);
bool engine_is_complete_locked(const struct engine_work *work);
/* As engine_work_unref, for a caller that holds the lock. */
void engine_work_unref_locked(struct engine_work *work);

bool engine_is_complete(const struct engine_work *work);
/* Blocks until it is complete. */
void engine_wait(struct engine_work *work);
/* Blocks until everything enqueued so far is complete. */
void engine_wait_all(struct engine_queue *queue);
bool engine_is_idle(struct engine_queue *queue);
/* Blocks while the queue is so long that hardware would make the caller wait too. */
void engine_wait_for_room(struct engine_queue *queue);

#endif
