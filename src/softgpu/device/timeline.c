/* Scheduling arithmetic of one device; see timeline.h. A `lane` is the queue of one context on one engine;
 * the lanes of an engine that hold work form a ring, and `current` is the one whose turn it is. All steps of
 * an engine happen at `at_ns`, up to where it is decided what ran. */
#include "softgpu/device/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ENGINES = 2, QUEUE_FIRST = 16 };

struct item {
    uint64_t ticket, ready_ns, start_ns, remaining_ns;
    uint32_t sm_permille;
    bool is_started;
};

/* First in, first out; items[head], capacity a power of two. */
struct queue {
    struct item *items;
    uint32_t capacity, head, count;
};

struct lane {
    struct timeline_context *context;
    struct busy *busy;
    uint64_t slice_ns;
    struct lane *next, *prev; /* the ring, while the queue is not empty */
    struct queue queue;
};

struct engine {
    struct lane *current;
    uint64_t at_ns;
    uint64_t turn_left_ns;
    uint64_t switch_ns;
    bool turn_is_item;       /* a turn is one item, however long */
    bool runs_to_end;        /* an item that has begun is not interrupted */
    uint64_t loaded_context; /* number of the context that ran last; 0: none yet */
    struct busy busy;
};

struct timeline {
    enum sgdev_time_mode mode;
    uint64_t start_ns, contexts_made;
    uint64_t time_slices_ns[SGDEV_SLICES_MAX];
    uint32_t n_time_slices;
    timeline_ended *ended;
    struct engine engines[ENGINES];
};

struct timeline_context {
    struct timeline *timeline;
    void *owner;
    uint64_t number;
    struct lane lanes[ENGINES];
};

/* ---- queues and the ring ---- */

static struct item *queue_head(const struct queue *queue)
{
    return &queue->items[queue->head];
}

static int queue_push(struct queue *queue, const struct item *item)
{
    if (queue->count == queue->capacity) {
        uint32_t capacity = queue->capacity ? queue->capacity * 2 : QUEUE_FIRST;
        struct item *items = capacity > queue->capacity ? calloc(capacity, sizeof(*items)) : NULL;

        if (!items)
            return -ENOMEM;
        for (uint32_t i = 0; i < queue->count; i++)
            items[i] = queue->items[(queue->head + i) & (queue->capacity - 1)];
        free(queue->items);
        *queue = (struct queue){.items = items, .capacity = capacity, .count = queue->count};
    }
    queue->items[(queue->head + queue->count++) & (queue->capacity - 1)] = *item;
    return 0;
}

static void queue_pop(struct queue *queue)
{
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
}

static void engine_begin_turn(struct engine *engine, struct lane *lane)
{
    engine->current = lane;
    engine->turn_left_ns = lane ? lane->slice_ns : 0;
}

/* A newcomer is served last: it stands before the current one in the ring. */
static void ring_insert(struct engine *engine, struct lane *lane)
{
    if (!engine->current) {
        lane->next = lane->prev = lane;
        engine_begin_turn(engine, lane);
        return;
    }
    lane->next = engine->current;
    lane->prev = engine->current->prev;
    lane->prev->next = lane->next->prev = lane;
}

static void ring_remove(struct engine *engine, struct lane *lane)
{
    if (lane == engine->current)
        engine_begin_turn(engine, lane->next == lane ? NULL : lane->next);
    lane->prev->next = lane->next;
    lane->next->prev = lane->prev;
    lane->next = lane->prev = NULL;
}

/* ---- one step of an engine ---- */

/* What the engine would do at at_ns. */
struct decision {
    struct lane *lane;      /* the one that runs; NULL: nobody is ready */
    uint64_t next_ready_ns; /* when the earliest of the others is ready; UINT64_MAX: no other */
};

/* The work of the current lane has begun and is not interrupted, whatever is left of the turn. */
static bool engine_is_bound(const struct engine *engine)
{
    return engine->runs_to_end && queue_head(&engine->current->queue)->is_started;
}

static struct decision engine_decide(const struct engine *engine)
{
    struct decision decision = {.next_ready_ns = UINT64_MAX};
    struct lane *first, *lane;

    if (!engine->current)
        return decision;
    first = lane = engine->turn_left_ns || engine_is_bound(engine) ? engine->current : engine->current->next;
    do {
        uint64_t ready_ns = queue_head(&lane->queue)->ready_ns;

        if (!decision.lane && ready_ns <= engine->at_ns)
            decision.lane = lane;
        else if (ready_ns < decision.next_ready_ns)
            decision.next_ready_ns = ready_ns;
        lane = lane->next;
    } while (lane != first);
    return decision;
}

static bool engine_must_switch(const struct engine *engine, const struct lane *lane)
{
    return engine->loaded_context && engine->loaded_context != lane->context->number;
}

static bool decision_begins_turn(const struct engine *engine, const struct decision *decision)
{
    return decision->lane != engine->current || (!engine->turn_left_ns && !engine_is_bound(engine));
}

/* How long the decided lane runs before something else is to be decided. */
static uint64_t decision_run_ns(const struct engine *engine, const struct decision *decision,
                                uint64_t turn_left_ns)
{
    uint64_t remaining_ns = queue_head(&decision->lane->queue)->remaining_ns, limit_ns = UINT64_MAX;

    if (engine->turn_is_item)
        return remaining_ns;
    if (decision->next_ready_ns <= engine->at_ns)
        limit_ns = engine->runs_to_end ? UINT64_MAX : turn_left_ns;
    else if (decision->next_ready_ns != UINT64_MAX)
        limit_ns = decision->next_ready_ns - engine->at_ns;
    return remaining_ns < limit_ns ? remaining_ns : limit_ns;
}

static void engine_finish_item(struct timeline *timeline, struct engine *engine, struct lane *lane)
{
    struct item item = *queue_head(&lane->queue);

    queue_pop(&lane->queue);
    if (engine->turn_is_item)
        engine->turn_left_ns = 0;
    if (!lane->queue.count)
        ring_remove(engine, lane);
    timeline->ended(lane->context->owner, item.ticket, 0, item.start_ns, engine->at_ns);
}

/* Runs the head of lane for run_ns from at_ns on. */
static void engine_run(struct engine *engine, struct lane *lane, uint64_t run_ns, bool is_contested)
{
    struct item *item = queue_head(&lane->queue);
    uint64_t end_ns = engine->at_ns + run_ns;

    if (!item->is_started) {
        item->is_started = true;
        item->start_ns = engine->at_ns;
    }
    busy_add(&engine->busy, engine->at_ns, end_ns, item->sm_permille);
    busy_add(lane->busy, engine->at_ns, end_ns, item->sm_permille);
    if (is_contested && !engine->turn_is_item)
        engine->turn_left_ns -= run_ns < engine->turn_left_ns ? run_ns : engine->turn_left_ns;
    item->remaining_ns -= run_ns;
    engine->at_ns = end_ns;
}

/* One decision and its consequence; false when nothing is left to do up to limit_ns. */
static bool engine_step(struct timeline *timeline, struct engine *engine, uint64_t limit_ns)
{
    struct decision decision;
    uint64_t run_ns;

    if (engine->at_ns > limit_ns || !engine->current)
        return false;
    decision = engine_decide(engine);
    if (!decision.lane) {
        if (decision.next_ready_ns > limit_ns)
            return false;
        engine->at_ns = decision.next_ready_ns;
        return true;
    }
    if (decision_begins_turn(engine, &decision))
        engine_begin_turn(engine, decision.lane);
    if (engine_must_switch(engine, decision.lane)) {
        engine->loaded_context = decision.lane->context->number;
        engine->at_ns += engine->switch_ns;
        return true;
    }
    engine->loaded_context = decision.lane->context->number;
    run_ns = decision_run_ns(engine, &decision, engine->turn_left_ns);
    if (run_ns > limit_ns - engine->at_ns)
        run_ns = limit_ns - engine->at_ns;
    if (!run_ns && queue_head(&decision.lane->queue)->remaining_ns)
        return false;
    engine_run(engine, decision.lane, run_ns, decision.next_ready_ns <= engine->at_ns);
    if (!queue_head(&decision.lane->queue)->remaining_ns)
        engine_finish_item(timeline, engine, decision.lane);
    return true;
}

/* ASAP: the work has been done when it is told of: it has just ended. What overlaps work already on the
 * account is not counted again. */
static void engine_take_all(struct timeline *timeline, struct engine *engine, uint64_t now_ns)
{
    while (engine->current) {
        struct lane *lane = engine->current;
        struct item item = *queue_head(&lane->queue);
        uint64_t end_ns = item.ready_ns > now_ns ? item.ready_ns : now_ns;
        uint64_t start_ns =
            end_ns - item.ready_ns > item.remaining_ns ? end_ns - item.remaining_ns : item.ready_ns;
        uint64_t busy_from_ns = start_ns > engine->at_ns ? start_ns : engine->at_ns;

        if (end_ns > busy_from_ns) {
            busy_add(&engine->busy, busy_from_ns, end_ns, item.sm_permille);
            busy_add(lane->busy, busy_from_ns, end_ns, item.sm_permille);
            engine->at_ns = end_ns;
        }
        queue_pop(&lane->queue);
        if (!lane->queue.count)
            ring_remove(engine, lane);
        timeline->ended(lane->context->owner, item.ticket, 0, start_ns, end_ns);
    }
}

static uint64_t engine_next_ns(const struct engine *engine)
{
    struct decision decision;
    uint64_t at_ns = engine->at_ns, turn_left_ns = engine->turn_left_ns;

    if (!engine->current)
        return UINT64_MAX;
    decision = engine_decide(engine);
    if (!decision.lane)
        return decision.next_ready_ns;
    if (engine_must_switch(engine, decision.lane))
        at_ns += engine->switch_ns;
    if (decision_begins_turn(engine, &decision))
        turn_left_ns = decision.lane->slice_ns;
    return at_ns + decision_run_ns(engine, &decision, turn_left_ns);
}

/* ---- the timeline ---- */

int timeline_new(const struct timeline_config *config, timeline_ended *ended, struct timeline **ret_timeline)
{
    struct timeline *timeline = calloc(1, sizeof(*timeline));

    if (!timeline)
        return -ENOMEM;
    timeline->mode = config->mode;
    timeline->start_ns = config->start_ns;
    timeline->ended = ended;
    for (int i = 0; i < ENGINES; i++)
        timeline->engines[i].at_ns = config->start_ns;
    memcpy(timeline->time_slices_ns, config->time_slices_ns, sizeof(timeline->time_slices_ns));
    timeline->n_time_slices = config->n_time_slices;
    timeline->engines[SGDEV_ENGINE_COMPUTE].switch_ns = config->switch_ns;
    timeline->engines[SGDEV_ENGINE_COMPUTE].runs_to_end = config->runs_to_end;
    timeline->engines[SGDEV_ENGINE_COPY].turn_is_item = true;
    *ret_timeline = timeline;
    return 0;
}

void timeline_free(struct timeline *timeline)
{
    free(timeline);
}

int timeline_context_new(struct timeline *timeline, struct busy *busy, struct busy *copy_busy, void *owner,
                         struct timeline_context **ret_context)
{
    struct timeline_context *context = calloc(1, sizeof(*context));

    if (!context)
        return -ENOMEM;
    context->timeline = timeline;
    context->owner = owner;
    for (int i = 0; i < ENGINES; i++)
        context->lanes[i].context = context;
    context->lanes[SGDEV_ENGINE_COMPUTE].busy = busy;
    context->lanes[SGDEV_ENGINE_COMPUTE].slice_ns =
        timeline->time_slices_ns[timeline->contexts_made % timeline->n_time_slices];
    context->lanes[SGDEV_ENGINE_COPY].busy = copy_busy;
    context->lanes[SGDEV_ENGINE_COPY].slice_ns = UINT64_MAX;
    context->number = ++timeline->contexts_made;
    *ret_context = context;
    return 0;
}

void timeline_context_free(struct timeline_context *context, bool tell)
{
    for (int i = 0; i < ENGINES; i++) {
        struct queue *queue = &context->lanes[i].queue;

        if (queue->count)
            ring_remove(&context->timeline->engines[i], &context->lanes[i]);
        for (; queue->count; queue_pop(queue))
            if (tell)
                context->timeline->ended(context->owner, queue_head(queue)->ticket, -ECANCELED, 0, 0);
        free(queue->items);
    }
    free(context);
}

int timeline_submit(struct timeline_context *context, const struct sgdev_work *work, uint64_t ticket,
                    uint64_t now_ns)
{
    struct timeline *timeline = context->timeline;
    struct lane *lane;
    struct item item = {
        .ticket = ticket,
        .ready_ns = work->ready_ns > timeline->start_ns ? work->ready_ns : timeline->start_ns,
        .remaining_ns = work->duration_ns,
        .sm_permille = work->sm_permille,
    };
    int r;

    if ((unsigned)work->engine >= ENGINES || work->sm_permille > 1000 ||
        work->duration_ns > TIMELINE_SPAN_MAX_NS ||
        (item.ready_ns > timeline_now_ns(timeline, now_ns) &&
         item.ready_ns - timeline_now_ns(timeline, now_ns) > TIMELINE_SPAN_MAX_NS))
        return -EINVAL;
    lane = &context->lanes[work->engine];
    r = queue_push(&lane->queue, &item);
    if (r == 0 && lane->queue.count == 1)
        ring_insert(&timeline->engines[work->engine], lane);
    return r;
}

void timeline_advance(struct timeline *timeline, uint64_t now_ns)
{
    for (int i = 0; i < ENGINES; i++) {
        struct engine *engine = &timeline->engines[i];
        uint64_t limit_ns = timeline->mode == SGDEV_TIME_VIRTUAL ? UINT64_MAX - 1 : now_ns;

        if (timeline->mode == SGDEV_TIME_ASAP)
            engine_take_all(timeline, engine, now_ns);
        else
            while (engine_step(timeline, engine, limit_ns))
                ;
    }
}

uint64_t timeline_next_ns(const struct timeline *timeline)
{
    uint64_t next_ns = UINT64_MAX;

    for (int i = 0; i < ENGINES; i++) {
        uint64_t engine_ns = engine_next_ns(&timeline->engines[i]);

        next_ns = engine_ns < next_ns ? engine_ns : next_ns;
    }
    return next_ns;
}

uint64_t timeline_now_ns(const struct timeline *timeline, uint64_t now_ns)
{
    uint64_t latest_ns = timeline->start_ns;

    if (timeline->mode != SGDEV_TIME_VIRTUAL)
        return now_ns;
    for (int i = 0; i < ENGINES; i++)
        latest_ns = timeline->engines[i].at_ns > latest_ns ? timeline->engines[i].at_ns : latest_ns;
    return latest_ns;
}

const struct busy *timeline_busy(const struct timeline *timeline, enum sgdev_engine engine)
{
    return &timeline->engines[engine].busy;
}
