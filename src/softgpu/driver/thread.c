/* Thread-local state. The stack's memory goes when the thread ends (a key's destructor), and with it the
 * references. */
#include "softgpu/driver/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "softgpu/driver/object.h"
#include "softgpu/driver/stream.h"

static __thread struct {
    void **contexts;
    size_t depth, capacity;
    uint64_t serial;
    bool in_callback;
    bool has_destructor;
} self;

static pthread_key_t end_key;
static pthread_once_t end_key_once = PTHREAD_ONCE_INIT;
static bool end_key_made;

static void thread_end(void *unused)
{
    if (self.serial)
        stream_thread_ended(self.serial);
    while (self.depth)
        object_unref(self.contexts[--self.depth]);
    free(self.contexts);
    self.contexts = NULL;
    self.capacity = 0;
    self.has_destructor = false;
}

static void make_end_key(void)
{
    end_key_made = pthread_key_create(&end_key, thread_end) == 0;
}

static void want_destructor(void)
{
    if (self.has_destructor)
        return;
    pthread_once(&end_key_once, make_end_key);
    /* Any value but NULL makes the destructor run. */
    self.has_destructor = end_key_made && pthread_setspecific(end_key, &end_key) == 0;
}

struct context *thread_top(void)
{
    return self.depth ? self.contexts[self.depth - 1] : NULL;
}

int thread_push(struct context *context)
{
    if (self.depth == self.capacity) {
        size_t wanted = self.capacity ? self.capacity * 2 : 8;
        void **grown = realloc(self.contexts, wanted * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        self.contexts = grown;
        self.capacity = wanted;
    }
    want_destructor();
    self.contexts[self.depth++] = object_ref(context);
    return 0;
}

struct context *thread_pop(void)
{
    return self.depth ? self.contexts[--self.depth] : NULL;
}

uint64_t thread_serial(void)
{
    static uint64_t last;

    if (!self.serial) {
        self.serial = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
        want_destructor();
    }
    return self.serial;
}

bool thread_is_in_callback(void)
{
    return self.in_callback;
}

void thread_set_in_callback(bool in_callback)
{
    self.in_callback = in_callback;
}
