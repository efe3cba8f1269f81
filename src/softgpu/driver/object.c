/* The table of live handles: chained hashing by address under one mutex. Lookups are a few dozen nanoseconds
 * beside operations of microseconds, so a reader-writer lock would buy nothing. */
#include "softgpu/driver/object.h"

#include <pthread.h>
#include <stddef.h>

enum { BUCKETS = 1024 };

static struct {
    pthread_mutex_t lock;
    struct object *buckets[BUCKETS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct object **bucket_of(const void *address)
{
    uint64_t bits = (uint64_t)(uintptr_t)address >> 4;

    return &table.buckets[(bits * UINT64_C(0x9E3779B97F4A7C15)) >> 54];
}

void object_init(struct object *object, enum object_kind kind, void (*destroy)(void *object))
{
    *object = (struct object){.kind = kind, .refs = 1, .destroy = destroy};
}

void object_publish(void *object)
{
    struct object *self = object_ref(object);
    struct object **bucket = bucket_of(self);

    pthread_mutex_lock(&table.lock);
    self->next_live = *bucket;
    self->published = true;
    *bucket = self;
    pthread_mutex_unlock(&table.lock);
}

bool object_retire(void *object)
{
    struct object *self = object;
    bool retired = false;

    pthread_mutex_lock(&table.lock);
    if (self->published) {
        struct object **link = bucket_of(self);

        while (*link != self)
            link = &(*link)->next_live;
        *link = self->next_live;
        self->published = false;
        retired = true;
    }
    pthread_mutex_unlock(&table.lock);
    if (retired)
        object_unref(self);
    return retired;
}

void *object_get(enum object_kind kind, const void *handle)
{
    struct object *found;

    pthread_mutex_lock(&table.lock);
    for (found = *bucket_of(handle); found && found != handle; found = found->next_live)
        ;
    if (found && found->kind == kind)
        object_ref(found);
    else
        found = NULL;
    pthread_mutex_unlock(&table.lock);
    return found;
}

void *object_ref(void *object)
{
    struct object *self = object;

    __atomic_fetch_add(&self->refs, 1, __ATOMIC_RELAXED);
    return self;
}

bool object_try_ref(void *object)
{
    struct object *self = object;
    uint32_t refs = __atomic_load_n(&self->refs, __ATOMIC_RELAXED);

    while (refs && !__atomic_compare_exchange_n(&self->refs, &refs, refs + 1, true, __ATOMIC_RELAXED,
                                                __ATOMIC_RELAXED))
        ;
    return refs != 0;
}

void object_unref(void *object)
{
    struct object *self = object;

    if (self && __atomic_sub_fetch(&self->refs, 1, __ATOMIC_ACQ_REL) == 0)
        self->destroy(self);
}
