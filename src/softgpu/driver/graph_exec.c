/* Executable graphs: making, launching and changing them. A launch makes work of every node first, which can
 * fail, and then hands all of it to the engine in one step. A marker behind it all keeps the exec, and the
 * memory that the launch frees, until the work is done. */
#include "softgpu/driver/graph_exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/user_object.h"

/* ---- life ---- */

static void give_memory(struct graph_exec *exec)
{
    for (size_t i = 0; i < exec->plan.n && exec->has_memory; i++)
        if (node_params_type(exec->plan.nodes[i].params) == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
            graph_allocation_give(exec->plan.nodes[i].params->allocation);
    exec->has_memory = false;
}

static void drop_last(struct graph_exec *exec)
{
    for (size_t i = 0; i < exec->n_last; i++)
        engine_work_unref(exec->last[i]);
    free(exec->last);
    exec->last = NULL;
    exec->n_last = 0;
}

static void graph_exec_free(void *object)
{
    struct graph_exec *exec = object;

    give_memory(exec);
    drop_last(exec);
    user_references_drop(exec->users);
    exec_plan_done(&exec->plan);
    pthread_mutex_destroy(&exec->lock);
    free(exec);
}

/* The exec of a graph with memory nodes is the only one until it ends. */
static CUresult claim_memory_locked(struct graph_exec *exec, struct graph *graph)
{
    if (!graph_has_memory_locked(graph))
        return CUDA_SUCCESS;
    if (graph->exec_id)
        return CUDA_ERROR_NOT_SUPPORTED;
    graph->exec_id = exec->id;
    exec->memory_graph = object_ref(graph);
    return CUDA_SUCCESS;
}

CUresult graph_exec_new(struct graph *graph, uint64_t flags, struct graph_exec **ret_exec)
{
    struct graph_exec *exec = calloc(1, sizeof(*exec));
    bool failed = false;
    CUresult result;

    if (!exec)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&exec->object, OBJECT_GRAPH_EXEC, graph_exec_free);
    exec->id = graph_next_id();
    exec->flags = flags;
    pthread_mutex_init(&exec->lock, NULL);
    graph_lock();
    result = exec_plan_read_locked(graph, &exec->plan);
    if (!result)
        exec->users = user_references_copy(graph->users, &failed);
    if (failed)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (!result)
        result = claim_memory_locked(exec, graph);
    graph_unlock();
    if (result) {
        object_unref(exec);
        return result;
    }
    object_publish(exec);
    *ret_exec = exec;
    return CUDA_SUCCESS;
}

void graph_exec_end(struct graph_exec *exec)
{
    struct graph *graph;

    if (!object_retire(exec))
        return;
    graph_lock();
    graph = exec->memory_graph;
    exec->memory_graph = NULL;
    if (graph)
        graph->exec_id = 0;
    graph_unlock();
    object_unref(graph);
}

/* ---- memory ---- */

static bool is_of_type(const struct graph_exec *exec, size_t place, CUgraphNodeType type)
{
    return node_params_type(exec->plan.nodes[place].params) == type;
}

static CUresult take_memory(struct graph_exec *exec)
{
    size_t n = exec->plan.n, i = 0;
    int error = 0;

    if (exec->has_memory)
        return CUDA_SUCCESS;
    for (; i < n && !error; i++)
        if (is_of_type(exec, i, CU_GRAPH_NODE_TYPE_MEM_ALLOC))
            error = graph_allocation_take(exec->plan.nodes[i].params->allocation);
    if (!error) {
        exec->has_memory = true;
        return CUDA_SUCCESS;
    }
    /* i is one behind the node that failed. */
    for (size_t k = 0; k + 1 < i; k++)
        if (is_of_type(exec, k, CU_GRAPH_NODE_TYPE_MEM_ALLOC))
            graph_allocation_give(exec->plan.nodes[k].params->allocation);
    return process_result(error);
}

CUresult graph_exec_upload(struct graph_exec *exec)
{
    pthread_mutex_lock(&exec->lock);
    CUresult result = take_memory(exec);
    pthread_mutex_unlock(&exec->lock);
    return result;
}

/* Whether another node of the plan, of the given type, is about the same allocation. */
static bool has_partner(const struct graph_exec *exec, size_t place, CUgraphNodeType type)
{
    for (size_t i = 0; i < exec->plan.n; i++)
        if (is_of_type(exec, i, type) &&
            exec->plan.nodes[i].params->allocation == exec->plan.nodes[place].params->allocation)
            return true;
    return false;
}

/* What a launch leaves allocated, and what it frees that another launch allocated. */
static bool outlives_launch(const struct graph_exec *exec, size_t place)
{
    return is_of_type(exec, place, CU_GRAPH_NODE_TYPE_MEM_ALLOC) &&
           !has_partner(exec, place, CU_GRAPH_NODE_TYPE_MEM_FREE);
}

static bool frees_foreign(const struct graph_exec *exec, size_t place)
{
    return is_of_type(exec, place, CU_GRAPH_NODE_TYPE_MEM_FREE) &&
           !has_partner(exec, place, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
}

/* ---- launching ---- */

/* The marker behind a launch. */
struct end_work {
    struct engine_work work;
    struct graph_exec *exec;
    size_t n_freed;
    struct graph_allocation *freed[];
};

static void end_destroy(struct engine_work *work)
{
    struct end_work *self = (struct end_work *)work;

    for (size_t i = 0; i < self->n_freed; i++)
        graph_allocation_give(self->freed[i]);
    object_unref(self->exec);
    free(self);
}

/* One launch while it is put together. */
struct launch {
    struct graph_exec *exec;
    struct stream *stream;
    struct engine_work **works;
    const size_t **deps;
    size_t *n_deps;
    bool *is_leaf;
    struct engine_work **old_records; /* what the events of record nodes meant before */
    struct end_work *end;
};

static CUresult make_works(struct launch *launch)
{
    const struct exec_plan *plan = &launch->exec->plan;
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < plan->n && !result; i++) {
        const struct exec_node *node = &plan->nodes[i];

        launch->deps[i] = node->deps;
        launch->n_deps[i] = node->n_deps;
        launch->is_leaf[i] = node->is_leaf;
        result = node_params_work(node->params, launch->stream->context, node->disabled, &launch->works[i]);
    }
    return result;
}

static CUresult launch_init(struct launch *launch)
{
    size_t n = launch->exec->plan.n;

    launch->works = calloc(n + 1, sizeof(struct engine_work *));
    launch->old_records = calloc(n + 1, sizeof(struct engine_work *));
    launch->deps = calloc(n + 1, sizeof(size_t *));
    launch->n_deps = calloc(n + 1, sizeof(*launch->n_deps));
    launch->is_leaf = calloc(n + 1, sizeof(*launch->is_leaf));
    launch->end = calloc(1, sizeof(*launch->end) + n * sizeof(struct graph_allocation *));
    if (!launch->works || !launch->old_records || !launch->deps || !launch->n_deps || !launch->is_leaf ||
        !launch->end)
        return CUDA_ERROR_OUT_OF_MEMORY;
    engine_work_init(&launch->end->work, &launch->stream->context->queue, ENGINE_MARKER, NULL, end_destroy);
    launch->end->exec = object_ref(launch->exec);
    return make_works(launch);
}

static void launch_done(struct launch *launch)
{
    size_t n = launch->exec->plan.n;

    for (size_t i = 0; i < n && launch->works; i++)
        engine_work_unref(launch->works[i]);
    for (size_t i = 0; i < n && launch->old_records; i++)
        engine_work_unref(launch->old_records[i]);
    free(launch->works);
    free(launch->old_records);
    free(launch->deps);
    free(launch->n_deps);
    free(launch->is_leaf);
    if (launch->end && launch->end->exec)
        engine_work_unref(&launch->end->work);
    else
        free(launch->end);
}

/* Events mean what they mean when the launch is enqueued: a record node's event is that record from then on,
 * a wait node waits for the record that its event has then. */
static struct engine_work *take_events_locked(void *argument, size_t place)
{
    struct launch *launch = argument;
    const struct node_params *params = launch->exec->plan.nodes[place].params;

    switch (node_params_type(params)) {
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        launch->old_records[place] = params->event->recorded;
        params->event->recorded = engine_work_ref(launch->works[place]);
        return NULL;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
        return params->event->recorded;
    default:
        return NULL;
    }
}

static void freed_by_launch(struct launch *launch, struct graph_allocation *allocation)
{
    launch->end->freed[launch->end->n_freed++] = allocation;
}

/* Takes back what begin_memory did: the launch has not happened. */
static void undo_memory(struct launch *launch, size_t n_begun)
{
    struct graph_exec *exec = launch->exec;

    for (size_t i = 0; i < n_begun; i++)
        if (outlives_launch(exec, i) && !graph_allocation_end(exec->plan.nodes[i].params->allocation))
            graph_allocation_give(exec->plan.nodes[i].params->allocation);
    for (size_t i = 0; i < launch->end->n_freed; i++)
        graph_allocation_undo_end(launch->end->freed[i]);
    launch->end->n_freed = 0;
}

/* Which allocations the launch frees and which it leaves live; the order of the calls decides. */
static CUresult begin_memory(struct launch *launch)
{
    struct graph_exec *exec = launch->exec;
    bool auto_free = exec->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    size_t n = exec->plan.n, i;

    for (i = 0; i < n; i++) {
        struct graph_allocation *allocation = exec->plan.nodes[i].params->allocation;
        bool again = outlives_launch(exec, i);

        if (again && !auto_free && graph_allocation_is_live(allocation))
            break;
        if (frees_foreign(exec, i) || (again && auto_free && graph_allocation_is_live(allocation))) {
            if (graph_allocation_end(allocation))
                break;
            freed_by_launch(launch, allocation);
        }
    }
    if (i < n) {
        undo_memory(launch, 0);
        return CUDA_ERROR_INVALID_VALUE;
    }
    for (i = 0; i < n; i++) {
        if (outlives_launch(exec, i) && graph_allocation_begin(exec->plan.nodes[i].params->allocation)) {
            undo_memory(launch, i);
            return CUDA_ERROR_INVALID_VALUE;
        }
    }
    return CUDA_SUCCESS;
}

/* What an event meant in a capture, its record in a launch has replaced. */
static void forget_captured_events(const struct graph_exec *exec)
{
    for (size_t i = 0; i < exec->plan.n; i++)
        if (is_of_type(exec, i, CU_GRAPH_NODE_TYPE_EVENT_RECORD))
            capture_forget_event(exec->plan.nodes[i].params->event);
}

/* The leaves are what the next launch comes after, whatever stream it is in. */
static void remember_leaves(struct launch *launch)
{
    struct graph_exec *exec = launch->exec;

    drop_last(exec);
    exec->last = calloc(exec->plan.n + 1, sizeof(struct engine_work *));
    for (size_t i = 0; i < exec->plan.n && exec->last; i++)
        if (launch->is_leaf[i])
            exec->last[exec->n_last++] = engine_work_ref(launch->works[i]);
}

static CUresult submit(struct launch *launch)
{
    struct graph_exec *exec = launch->exec;
    struct stream_batch batch = {
        .works = launch->works,
        .deps = launch->deps,
        .n_deps = launch->n_deps,
        .is_leaf = launch->is_leaf,
        .n = exec->plan.n,
        .also = exec->last,
        .n_also = exec->n_last,
        .before_locked = take_events_locked,
        .argument = launch,
    };
    CUresult result = begin_memory(launch);

    if (result)
        return result;
    result = stream_submit_batch(launch->stream, &batch, &launch->end->work);
    if (result) {
        undo_memory(launch, exec->plan.n);
        return result;
    }
    remember_leaves(launch);
    forget_captured_events(exec);
    return CUDA_SUCCESS;
}

CUresult graph_exec_launch(struct graph_exec *exec, struct stream *stream)
{
    struct launch launch = {.exec = exec, .stream = stream};

    pthread_mutex_lock(&exec->lock);
    CUresult result = take_memory(exec);
    if (!result)
        result = launch_init(&launch);
    if (!result)
        result = submit(&launch);
    launch_done(&launch);
    pthread_mutex_unlock(&exec->lock);
    return result;
}

/* ---- as a graph again ---- */

static CUresult rebuild_locked(const struct exec_plan *plan, struct graph *graph)
{
    struct graph_node **before = calloc(plan->n + 1, sizeof(struct graph_node *));
    CUresult result = before ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

    for (size_t i = 0; i < plan->n && !result; i++) {
        const struct exec_node *node = &plan->nodes[i];
        struct graph_node *added;

        for (size_t k = 0; k < node->n_deps; k++)
            before[k] = graph->nodes.items[node->deps[k]];
        result = graph_add_locked(graph, before, node->n_deps, node->params, &added);
        if (!result)
            node_params_ref(node->params);
    }
    free(before);
    return result;
}

CUresult graph_exec_to_graph(struct graph_exec *exec, struct graph **ret_graph)
{
    struct graph *graph = graph_create();
    CUresult result;

    if (!graph)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&exec->lock);
    graph_lock();
    result = rebuild_locked(&exec->plan, graph);
    graph_unlock();
    pthread_mutex_unlock(&exec->lock);
    if (result)
        object_unref(graph);
    else
        *ret_graph = graph;
    return result;
}
