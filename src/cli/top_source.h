/* A thread that asks vgpud at an interval, so that keys work however long an answer takes. */
#ifndef VGPU_CLI_TOP_SOURCE_H
#define VGPU_CLI_TOP_SOURCE_H

#include <pthread.h>

#include "cli/collect.h"

struct top_source {
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    int ready_fd; /* readable when there is something to take */
    unsigned interval_ms;
    struct collect *collect; /* the thread's alone */
    bool with_clients, at_once;
    json_t *answers;      /* not taken yet */
    struct error problem; /* of the last look; code 0: none */
};

/* Starts it; collect is connected and from now on the thread's. It runs until the process ends, as it may
 * wait for vgpud then. 0 or negative errno with err filled. */
int top_source_start(struct top_source *source, struct collect *collect, unsigned interval_ms,
                     bool with_clients, struct error *err);

/* Asks with or without processes from now on, and at once. */
void top_source_want(struct top_source *source, bool with_clients);

/* Takes what came: *ret_answers the newest ones, the caller's, or NULL; *ret_problem why the last look
 * failed. */
void top_source_take(struct top_source *source, json_t **ret_answers, struct error *ret_problem);

#endif
