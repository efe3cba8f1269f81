/* The cuUserObject* calls and the references that graphs hold. A user object's handle is valid while it has
 * references. */
#include "softgpu/driver/user_object.h"

#include <limits.h>
#include <stdlib.h>

#include "softgpu/driver/process.h"
#include "softgpu/driver/thread.h"

struct user_object {
    struct object object;
    CUhostFn destroy;
    void *pointer;
    unsigned count; /* guarded by the lock of graphs */
};

static void user_object_free(void *object)
{
    free(object);
}

CUresult cuUserObjectCreate(CUuserObject *ret_object, void *pointer, CUhostFn destroy,
                            unsigned int references, unsigned int flags)
{
    struct user_object *self;
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_object || !destroy || !references || references > INT_MAX ||
        flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
        return CUDA_ERROR_INVALID_VALUE;
    self = calloc(1, sizeof(*self));
    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&self->object, OBJECT_USER_OBJECT, user_object_free);
    self->destroy = destroy;
    self->pointer = pointer;
    self->count = references;
    object_publish(self);
    *ret_object = (CUuserObject)self;
    object_unref(self);
    return CUDA_SUCCESS;
}

/* The lock is held; count > 0 is at most what there is. True: that was the last, and the caller calls
 * user_object_end without the lock. */
static bool release_locked(struct user_object *self, unsigned count)
{
    self->count -= count;
    return self->count == 0;
}

static void user_object_end(struct user_object *self)
{
    bool was_in_callback = thread_is_in_callback();

    if (!object_retire(self))
        return;
    thread_set_in_callback(true);
    self->destroy(self->pointer);
    thread_set_in_callback(was_in_callback);
}

CUresult cuUserObjectRetain(CUuserObject handle, unsigned int count)
{
    struct user_object *self;
    CUresult result = process_check();

    if (result)
        return result;
    self = object_get(OBJECT_USER_OBJECT, handle);
    if (!self || !count || count > INT_MAX) {
        object_unref(self);
        return CUDA_ERROR_INVALID_VALUE;
    }
    graph_lock();
    if (!self->count || self->count > INT_MAX - count)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        self->count += count;
    graph_unlock();
    object_unref(self);
    return result;
}

CUresult cuUserObjectRelease(CUuserObject handle, unsigned int count)
{
    struct user_object *self;
    CUresult result = process_check();
    bool last = false;

    if (result)
        return result;
    self = object_get(OBJECT_USER_OBJECT, handle);
    if (!self || !count) {
        object_unref(self);
        return CUDA_ERROR_INVALID_VALUE;
    }
    graph_lock();
    if (count > self->count)
        result = CUDA_ERROR_INVALID_VALUE;
    else
        last = release_locked(self, count);
    graph_unlock();
    if (last)
        user_object_end(self);
    object_unref(self);
    return result;
}

/* ---- what graphs hold ---- */

static struct user_reference *find_locked(struct graph *graph, const struct user_object *object)
{
    struct user_reference *found = graph->users;

    while (found && found->object != object)
        found = found->next;
    return found;
}

static CUresult retain_locked(struct graph *graph, struct user_object *object, unsigned count, bool move)
{
    struct user_reference *reference = find_locked(graph, object);

    if (!object->count || (move && count > object->count) || (!move && object->count > INT_MAX - count))
        return CUDA_ERROR_INVALID_VALUE;
    if (!reference) {
        reference = calloc(1, sizeof(*reference));
        if (!reference)
            return CUDA_ERROR_OUT_OF_MEMORY;
        reference->object = object_ref(object);
        reference->next = graph->users;
        graph->users = reference;
    }
    reference->count += count;
    if (!move)
        object->count += count;
    return CUDA_SUCCESS;
}

CUresult cuGraphRetainUserObject(CUgraph graph_handle, CUuserObject handle, unsigned int count,
                                 unsigned int flags)
{
    struct user_object *object;
    struct graph *graph;
    CUresult result = process_check();

    if (result)
        return result;
    graph = object_get(OBJECT_GRAPH, graph_handle);
    object = object_get(OBJECT_USER_OBJECT, handle);
    if (!graph || !object || !count || count > INT_MAX || (flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        graph_lock();
        result = retain_locked(graph, object, count, flags & CU_GRAPH_USER_OBJECT_MOVE);
        graph_unlock();
    }
    object_unref(graph);
    object_unref(object);
    return result;
}

CUresult cuGraphReleaseUserObject(CUgraph graph_handle, CUuserObject handle, unsigned int count)
{
    struct user_reference *reference = NULL;
    struct user_object *object;
    struct graph *graph;
    CUresult result = process_check();
    bool last = false;

    if (result)
        return result;
    graph = object_get(OBJECT_GRAPH, graph_handle);
    object = object_get(OBJECT_USER_OBJECT, handle);
    graph_lock();
    if (graph && object && count)
        reference = find_locked(graph, object);
    if (!reference || reference->count < count) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        reference->count -= count;
        last = release_locked(object, count);
    }
    graph_unlock();
    if (last)
        user_object_end(object);
    object_unref(graph);
    object_unref(object);
    return result;
}

struct user_reference *user_references_copy(const struct user_reference *first, bool *ret_failed)
{
    struct user_reference *copies = NULL;

    for (const struct user_reference *each = first; each && !*ret_failed; each = each->next) {
        struct user_reference *copy;

        if (!each->count)
            continue;
        copy = calloc(1, sizeof(*copy));
        *ret_failed = !copy;
        if (!copy)
            break;
        *copy = (struct user_reference){object_ref(each->object), each->count, copies};
        each->object->count += each->count;
        copies = copy;
    }
    return copies;
}

void user_references_drop(struct user_reference *first)
{
    while (first) {
        struct user_reference *reference = first;
        bool last = false;

        first = reference->next;
        graph_lock();
        if (reference->count)
            last = release_locked(reference->object, reference->count);
        graph_unlock();
        if (last)
            user_object_end(reference->object);
        object_unref(reference->object);
        free(reference);
    }
}
