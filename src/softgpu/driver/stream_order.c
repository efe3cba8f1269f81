/* The order between streams, and waiting for them. Frontiers are read and moved under the engine's lock in
 * the same step in which work is enqueued, so that two threads cannot both come "after" the same work. */
#include "softgpu/driver/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/thread.h"

/* A growing set of works, on the stack while small. */
struct work_set {
    struct engine_work *few[16];
    struct engine_work **items;
    size_t n, capacity;
};

static void work_set_init(struct work_set *set)
{
    set->items = set->few;
    set->n = 0;
    set->capacity = sizeof(set->few) / sizeof(set->few[0]);
}

static void work_set_done(struct work_set *set)
{
    if (set->items != set->few)
        free(set->items);
}

static int work_set_add(struct work_set *set, struct engine_work *work)
{
    if (!work || engine_is_complete_locked(work))
        return 0;
    if (set->n == set->capacity) {
        struct engine_work **grown = malloc(set->capacity * 2 * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        for (size_t i = 0; i < set->n; i++)
            grown[i] = set->items[i];
        work_set_done(set);
        set->items = grown;
        set->capacity *= 2;
    }
    set->items[set->n++] = work;
    return 0;
}

static int add_frontier(struct work_set *set, struct stream *stream)
{
    int error = work_set_add(set, stream->last);

    for (size_t i = 0; i < stream->n_extras && !error; i++)
        error = work_set_add(set, stream->extras[i]);
    return error;
}

/* Everything that work enqueued in the stream now has to wait for. */
static int collect(struct work_set *set, struct stream *stream)
{
    struct context *context = stream->context;
    int error = add_frontier(set, stream);

    if (stream->is_legacy) {
        for (struct stream *each = context->streams; each && !error; each = each->next)
            if (each->is_blocking && each != stream)
                error = add_frontier(set, each);
    } else if (stream->is_blocking) {
        error = add_frontier(set, context->legacy);
    }
    return error;
}

static void drop_frontier(struct stream *stream)
{
    engine_work_unref_locked(stream->last);
    stream->last = NULL;
    for (size_t i = 0; i < stream->n_extras; i++)
        engine_work_unref_locked(stream->extras[i]);
    stream->n_extras = 0;
}

/* A marker has no effect that later work could miss, so work behind it need not wait for it; but one in the
 * legacy stream stands between the blocking streams' earlier and later work. */
static bool moves_frontier(const struct stream *stream, const struct engine_work *work)
{
    return work->lane != ENGINE_MARKER || stream->is_legacy;
}

CUresult stream_submit(struct stream *stream, struct engine_work *work)
{
    struct work_set deps;
    CUresult result;
    int error;

    /* A call that has no node of its own cannot be captured. */
    if (capture_refuse(stream, &result))
        return result;
    engine_wait_for_room(&stream->context->queue);
    work_set_init(&deps);
    engine_lock();
    error = collect(&deps, stream);
    if (!error)
        error = engine_enqueue_locked(work, deps.items, deps.n);
    if (!error && moves_frontier(stream, work)) {
        drop_frontier(stream);
        stream->last = engine_work_ref(work);
    }
    engine_unlock();
    work_set_done(&deps);
    return process_result(error);
}

/* Those that are complete need no waiting for. */
static void prune_extras(struct stream *stream)
{
    size_t kept = 0;

    for (size_t i = 0; i < stream->n_extras; i++) {
        if (engine_is_complete_locked(stream->extras[i]))
            engine_work_unref_locked(stream->extras[i]);
        else
            stream->extras[kept++] = stream->extras[i];
    }
    stream->n_extras = kept;
}

/* Room for `more` extras. */
static int reserve_extras(struct stream *stream, size_t more)
{
    size_t wanted = stream->extras_capacity ? stream->extras_capacity : 4;
    struct engine_work **grown;

    if (stream->n_extras + more <= stream->extras_capacity)
        return 0;
    while (wanted < stream->n_extras + more)
        wanted *= 2;
    grown = realloc(stream->extras, wanted * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    stream->extras = grown;
    stream->extras_capacity = wanted;
    return 0;
}

static int add_extra(struct stream *stream, struct engine_work *work)
{
    int error;

    if (engine_is_complete_locked(work))
        return 0;
    prune_extras(stream);
    error = reserve_extras(stream, 1);
    if (error)
        return error;
    stream->extras[stream->n_extras++] = engine_work_ref(work);
    return 0;
}

/* ---- several works at once ---- */

static int prepare_batch(const struct stream_batch *batch, const struct work_set *first,
                         struct engine_work *end)
{
    size_t n_leaves = 0;
    int error = 0;

    for (size_t i = 0; i < batch->n && !error; i++) {
        /* One more for what before_locked adds. */
        size_t n_deps = batch->n_deps[i] ? batch->n_deps[i] : first->n;

        error = engine_prepare_locked(batch->works[i], n_deps + 1);
        n_leaves += batch->is_leaf[i];
    }
    return error ? error : engine_prepare_locked(end, batch->n ? n_leaves : first->n);
}

/* Where very many would have to wait for very many, all of them wait for one marker. Not otherwise: what
 * waits for a marker cannot have its effect before the end of what the marker waits for. */
static int gather(struct stream *stream, const struct stream_batch *batch, struct work_set *first)
{
    enum { EDGES_MAX = 4096 };
    struct engine_work *marker;
    size_t n_roots = 0;
    int error;

    for (size_t i = 0; i < batch->n; i++)
        n_roots += !batch->n_deps[i];
    if (first->n < 2 || n_roots <= EDGES_MAX / first->n)
        return 0;
    marker = engine_marker_new(&stream->context->queue);
    if (!marker)
        return -ENOMEM;
    error = engine_enqueue_locked(marker, first->items, first->n);
    first->n = 0;
    if (!error)
        error = work_set_add(first, marker);
    /* Incomplete works are held by their queue. */
    engine_work_unref_locked(marker);
    return error;
}

/* scratch has room for any item's dependencies and for all items. */
static void enqueue_batch(const struct stream_batch *batch, const struct work_set *first,
                          struct engine_work **scratch)
{
    for (size_t i = 0; i < batch->n; i++) {
        size_t n = 0;

        for (size_t k = 0; k < batch->n_deps[i]; k++)
            scratch[n++] = batch->works[batch->deps[i][k]];
        for (size_t k = 0; k < first->n && !batch->n_deps[i]; k++)
            scratch[n++] = first->items[k];
        scratch[n++] = batch->before_locked ? batch->before_locked(batch->argument, i) : NULL;
        engine_enqueue_prepared_locked(batch->works[i], scratch, n);
    }
}

static int batch_locked(struct stream *stream, const struct stream_batch *batch, struct work_set *first,
                        struct engine_work *end)
{
    struct engine_work **scratch;
    size_t n_leaves = 0, wanted;
    int error = collect(first, stream);

    for (size_t i = 0; i < batch->n_also && !error; i++)
        error = work_set_add(first, batch->also[i]);
    if (!error)
        error = gather(stream, batch, first);
    wanted = (batch->n > first->n ? batch->n : first->n) + 1;
    if (!error)
        error = prepare_batch(batch, first, end);
    if (!error)
        error = reserve_extras(stream, batch->n);
    if (error)
        return error;
    scratch = calloc(wanted, sizeof(struct engine_work *));
    if (!scratch)
        return -ENOMEM;
    enqueue_batch(batch, first, scratch);
    if (batch->n)
        drop_frontier(stream);
    for (size_t i = 0; i < batch->n; i++) {
        if (!batch->is_leaf[i])
            continue;
        scratch[n_leaves++] = batch->works[i];
        if (!stream->last)
            stream->last = engine_work_ref(batch->works[i]);
        else
            add_extra(stream, batch->works[i]);
    }
    engine_enqueue_prepared_locked(end, batch->n ? scratch : first->items, batch->n ? n_leaves : first->n);
    free(scratch);
    return 0;
}

CUresult stream_submit_batch(struct stream *stream, const struct stream_batch *batch, struct engine_work *end)
{
    struct work_set first;

    engine_wait_for_room(&stream->context->queue);
    work_set_init(&first);
    engine_lock();
    int error = batch_locked(stream, batch, &first, end);
    engine_unlock();
    work_set_done(&first);
    return process_result(error);
}

CUresult stream_submit_aside(struct stream *stream, struct engine_work *work)
{
    struct work_set deps;
    int error;

    work_set_init(&deps);
    engine_lock();
    error = collect(&deps, stream);
    if (!error)
        error = engine_enqueue_locked(work, deps.items, deps.n);
    engine_unlock();
    work_set_done(&deps);
    return process_result(error);
}

CUresult stream_add_wait(struct stream *stream, struct engine_work *work)
{
    engine_lock();
    int error = add_extra(stream, work);
    engine_unlock();
    return process_result(error);
}

CUresult stream_synchronize(struct stream *stream)
{
    struct work_set pending;
    int error;

    work_set_init(&pending);
    engine_lock();
    error = collect(&pending, stream);
    for (size_t i = 0; i < pending.n; i++)
        engine_work_ref(pending.items[i]);
    engine_unlock();
    for (size_t i = 0; i < pending.n; i++) {
        engine_wait(pending.items[i]);
        engine_work_unref(pending.items[i]);
    }
    work_set_done(&pending);
    print_flush(&stream->context->print);
    pool_synchronized(stream->context->device);
    return error ? process_result(error) : context_status(stream->context);
}

bool stream_is_idle(struct stream *stream)
{
    struct work_set pending;

    work_set_init(&pending);
    engine_lock();
    bool idle = !collect(&pending, stream) && pending.n == 0;
    engine_unlock();
    work_set_done(&pending);
    return idle;
}

CUresult stream_submit_and_forget(struct stream *stream, struct engine_work *work)
{
    CUresult result = stream_submit(stream, work);

    engine_work_unref(work);
    return result;
}

CUresult stream_submit_and_wait(struct stream *stream, struct engine_work *work)
{
    CUresult result = stream_submit(stream, work);

    if (!result) {
        engine_wait(work);
        print_flush(&stream->context->print);
        result = context_status(stream->context);
    }
    engine_work_unref(work);
    return result;
}

/* ---- the set of streams ---- */

static void stream_free(void *object)
{
    struct stream *stream = object;

    engine_lock();
    drop_frontier(stream);
    engine_unlock();
    free(stream->extras);
    graph_nodes_done(&stream->captured);
    if (!stream->is_legacy)
        object_unref(stream->context);
    free(stream);
}

static unsigned long long next_id(void)
{
    static unsigned long long last_id;

    return __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
}

CUresult stream_new_legacy(struct context *context, struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&stream->object, OBJECT_STREAM, stream_free);
    stream->context = context;
    stream->id = next_id();
    stream->is_legacy = stream->is_blocking = true;
    *ret_stream = stream;
    return CUDA_SUCCESS;
}

CUresult stream_new(struct context *context, unsigned flags, int priority, struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&stream->object, OBJECT_STREAM, stream_free);
    stream->context = object_ref(context);
    stream->flags = flags;
    stream->priority = priority;
    stream->is_blocking = !(flags & CU_STREAM_NON_BLOCKING);
    stream->id = next_id();
    object_ref(stream);
    engine_lock();
    stream->next = context->streams;
    context->streams = stream;
    engine_unlock();
    *ret_stream = stream;
    return CUDA_SUCCESS;
}

/* True when the list held it; its reference is then the caller's. */
static bool unlink_locked(struct stream *stream)
{
    struct stream **link = &stream->context->streams;

    while (*link && *link != stream)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = stream->next;
    return true;
}

/* The legacy stream goes on waiting for what a blocking stream had pending when it went. */
static void leave_frontier_to_legacy(struct stream *stream)
{
    struct stream *legacy = stream->context->legacy;

    if (!stream->is_blocking)
        return;
    if (stream->last)
        add_extra(legacy, stream->last);
    for (size_t i = 0; i < stream->n_extras; i++)
        add_extra(legacy, stream->extras[i]);
}

void stream_unlink(struct stream *stream)
{
    engine_lock();
    bool held = unlink_locked(stream);
    if (held)
        leave_frontier_to_legacy(stream);
    engine_unlock();
    if (held)
        object_unref(stream);
}

static struct stream *find_per_thread(struct context *context, uint64_t serial)
{
    engine_lock();
    struct stream *found = context->streams;
    while (found && found->thread != serial)
        found = found->next;
    if (found)
        object_ref(found);
    engine_unlock();
    return found;
}

static CUresult per_thread_stream(struct context *context, struct stream **ret_stream)
{
    uint64_t serial = thread_serial();
    CUresult result = CUDA_SUCCESS;

    /* Only this thread makes streams of its serial, so looking and making need not be one step. */
    *ret_stream = find_per_thread(context, serial);
    if (!*ret_stream) {
        result = stream_new(context, CU_STREAM_DEFAULT, STREAM_PRIORITY_LEAST, ret_stream);
        if (!result) {
            engine_lock();
            (*ret_stream)->thread = serial;
            engine_unlock();
        }
    }
    return result;
}

CUresult stream_resolve(struct context *current, CUstream handle, bool per_thread, struct stream **ret_stream)
{
    struct stream *stream;
    CUresult result;

    if (handle == CU_STREAM_PER_THREAD || (!handle && per_thread))
        return per_thread_stream(current, ret_stream);
    if (!handle || handle == CU_STREAM_LEGACY) {
        *ret_stream = object_ref(current->legacy);
        return CUDA_SUCCESS;
    }
    stream = object_get(OBJECT_STREAM, handle);
    if (!stream)
        return CUDA_ERROR_INVALID_HANDLE;
    result = context_status(stream->context);
    if (result) {
        object_unref(stream);
        return result;
    }
    *ret_stream = stream;
    return CUDA_SUCCESS;
}

static void drop_streams_of_thread(struct context *context, void *argument)
{
    uint64_t serial = *(const uint64_t *)argument;
    struct stream *stream = find_per_thread(context, serial);

    if (!stream)
        return;
    capture_stream_ended(stream);
    stream_unlink(stream);
    object_unref(stream);
}

void stream_thread_ended(uint64_t serial)
{
    if (process_check() == CUDA_SUCCESS)
        context_for_each(drop_streams_of_thread, &serial);
}

void stream_drop_all(struct context *context)
{
    engine_lock();
    struct stream *stream = context->streams;
    context->streams = NULL;
    engine_unlock();
    while (stream) {
        struct stream *next = stream->next;

        object_retire(stream);
        capture_stream_ended(stream);
        object_unref(stream);
        stream = next;
    }
}

CUresult stream_enter(CUstream handle, bool per_thread, struct stream **ret_stream)
{
    struct context *context;
    CUresult result = context_enter(&context);

    return result ? result : stream_resolve(context, handle, per_thread, ret_stream);
}
