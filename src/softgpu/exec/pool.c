/* A list of jobs under one lock. Helpers sleep until a job has room for one; the thread that brought the job
 * works too, so a job is never late because helpers are busy. After fork the child starts with no threads and
 * a fresh lock: the parent's may have been held. Helpers live in a stranger's process: all signals blocked,
 * small stacks, no output. */
#include "softgpu/exec/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

enum { HELPERS_MAX = 255, STACK_BYTES = 512 * 1024 };

struct job {
    void (*work)(void *data);
    void *data;
    unsigned wanted, active; /* helpers still welcome, helpers inside */
    struct job *next;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t some_job, helper_left;
    struct job *jobs;
    unsigned n_threads, limit;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .some_job = PTHREAD_COND_INITIALIZER,
          .helper_left = PTHREAD_COND_INITIALIZER};
static pthread_once_t fork_handled = PTHREAD_ONCE_INIT;

static void after_fork(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

    pool.lock = lock;
    pool.some_job = pool.helper_left = cond;
    pool.jobs = NULL;
    pool.n_threads = 0;
}

static void handle_fork(void)
{
    pthread_atfork(NULL, NULL, after_fork);
}

unsigned pool_threads(void)
{
    unsigned limit = __atomic_load_n(&pool.limit, __ATOMIC_RELAXED);
    cpu_set_t set;
    int n = 1;

    if (limit)
        return limit;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    return n > HELPERS_MAX ? HELPERS_MAX + 1u : (unsigned)n;
}

void pool_limit(unsigned threads)
{
    __atomic_store_n(&pool.limit, threads, __ATOMIC_RELAXED);
}

static struct job *find_job(void)
{
    struct job *job = pool.jobs;

    while (job && !job->wanted)
        job = job->next;
    return job;
}

static void *helper(void *unused)
{
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct job *job = find_job();

        if (!job) {
            pthread_cond_wait(&pool.some_job, &pool.lock);
            continue;
        }
        job->wanted--;
        job->active++;
        pthread_mutex_unlock(&pool.lock);
        job->work(job->data);
        pthread_mutex_lock(&pool.lock);
        if (--job->active == 0)
            pthread_cond_broadcast(&pool.helper_left);
    }
    return NULL;
}

static int start_helper(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int ret = pthread_attr_init(&attr);

    if (ret)
        return ret;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ret = pthread_create(&thread, &attr, helper, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return ret;
}

static void remove_job(struct job *job)
{
    struct job **at = &pool.jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
}

void pool_run(void (*work)(void *data), void *data, unsigned helpers)
{
    struct job job = {.work = work, .data = data, .wanted = helpers};

    if (helpers == 0) {
        work(data);
        return;
    }
    pthread_once(&fork_handled, handle_fork);
    pthread_mutex_lock(&pool.lock);
    while (pool.n_threads < helpers && pool.n_threads < HELPERS_MAX && start_helper() == 0)
        pool.n_threads++;
    job.next = pool.jobs;
    pool.jobs = &job;
    pthread_cond_broadcast(&pool.some_job);
    pthread_mutex_unlock(&pool.lock);
    work(data);
    pthread_mutex_lock(&pool.lock);
    job.wanted = 0;
    while (job.active)
        pthread_cond_wait(&pool.helper_left, &pool.lock);
    remove_job(&job);
    pthread_mutex_unlock(&pool.lock);
}
