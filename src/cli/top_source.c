/* The asking thread; see top_source.h. */
#include "cli/top_source.h"

#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Until the interval is over, or somebody wants answers at once. Locked. */
static void wait_locked(struct top_source *source, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                                   .tv_nsec = (long)(until_ns % NS_PER_S)};

    while (!source->at_once && pthread_cond_timedwait(&source->wanted, &source->mutex, &until) == 0)
        ;
    source->at_once = false;
}

static void *run(void *context)
{
    const uint64_t one = 1;
    struct top_source *source = context;

    pthread_mutex_lock(&source->mutex);
    for (;;) {
        struct error problem = {0};
        uint64_t now_ns = clock_monotonic_ns();
        bool with_clients = source->with_clients;
        json_t *answers;

        pthread_mutex_unlock(&source->mutex);
        answers = collect_ask(source->collect, with_clients, now_ns, &problem);
        pthread_mutex_lock(&source->mutex);
        if (answers) {
            json_decref(source->answers);
            source->answers = answers;
        }
        source->problem = problem;
        if (write(source->ready_fd, &one, sizeof(one)) < 0)
            break; /* the descriptor is closed: nobody takes any more */
        wait_locked(source, now_ns + source->interval_ms * NS_PER_MS);
    }
    pthread_mutex_unlock(&source->mutex);
    return NULL;
}

int top_source_start(struct top_source *source, struct collect *collect, unsigned interval_ms,
                     bool with_clients, struct error *err)
{
    pthread_condattr_t attr;
    pthread_t thread;
    int r;

    *source =
        (struct top_source){.interval_ms = interval_ms, .collect = collect, .with_clients = with_clients};
    source->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (source->ready_fd < 0)
        return error_fail(err, error_errno(), "cannot make an event descriptor: %s", strerror(errno));
    pthread_mutex_init(&source->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&source->wanted, &attr);
    pthread_condattr_destroy(&attr);
    r = -pthread_create(&thread, NULL, run, source);
    if (r < 0)
        return error_fail(err, r, "cannot start a thread: %s", strerror(-r));
    pthread_detach(thread);
    return 0;
}

void top_source_want(struct top_source *source, bool with_clients)
{
    pthread_mutex_lock(&source->mutex);
    source->with_clients = with_clients;
    source->at_once = true;
    pthread_cond_signal(&source->wanted);
    pthread_mutex_unlock(&source->mutex);
}

void top_source_take(struct top_source *source, json_t **ret_answers, struct error *ret_problem)
{
    uint64_t count;

    if (read(source->ready_fd, &count, sizeof(count)) < 0)
        count = 0; /* nothing new: what is there is taken all the same */
    pthread_mutex_lock(&source->mutex);
    *ret_answers = source->answers;
    source->answers = NULL;
    *ret_problem = source->problem;
    pthread_mutex_unlock(&source->mutex);
}
