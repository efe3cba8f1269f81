/* The handles we gave out. A CUDA handle is the address of one of our objects; before one is looked into, its
 * address is searched here, so a stale or invented handle is an error code and never a crash.
 *
 * An object lives while it is published (one reference) or somebody holds a reference. All functions are
 * thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_OBJECT_H
#define VGPU_SOFTGPU_DRIVER_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

enum object_kind {
    OBJECT_CONTEXT,
    OBJECT_STREAM,
    OBJECT_EVENT,
    OBJECT_MODULE,
    OBJECT_FUNCTION,
    OBJECT_LIBRARY,
    OBJECT_KERNEL,
    OBJECT_POOL,
    OBJECT_ARRAY,
    OBJECT_MIPMAPPED_ARRAY,
    OBJECT_PHYSICAL,
    OBJECT_EXTERNAL_MEMORY,
    OBJECT_GRAPH,
    OBJECT_GRAPH_NODE,
    OBJECT_GRAPH_EXEC,
    OBJECT_USER_OBJECT,
    OBJECT_TEXTURE,
    OBJECT_SURFACE,
};

/* First member of everything that has a handle. */
struct object {
    enum object_kind kind;
    uint32_t refs;                 /* atomic */
    void (*destroy)(void *object); /* frees it, when the last reference goes; no lock is held */
    struct object *next_live;      /* in the table */
    bool published;
};

/* One reference, the caller's; not yet a handle. */
void object_init(struct object *object, enum object_kind kind, void (*destroy)(void *object));

/* Makes its address a valid handle; the table takes a reference of its own. */
void object_publish(void *object);

/* The handle is no longer valid. True for the one caller who retired it, who then finishes the object's
 * public life. */
bool object_retire(void *object);

/* The live object of that kind at this address with a reference for the caller, or NULL. handle may be
 * anything. */
void *object_get(enum object_kind kind, const void *handle);

void *object_ref(void *object);
/* Takes a reference unless the last one is gone already: for lists that do not hold references. */
bool object_try_ref(void *object);
void object_unref(void *object); /* NULL is fine */

#endif
