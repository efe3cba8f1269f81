/* Contexts and which of them is current in a thread. */
#ifndef VGPU_SOFTGPU_DRIVER_CONTEXT_H
#define VGPU_SOFTGPU_DRIVER_CONTEXT_H

#include <pthread.h>
#include <stdbool.h>

#include "api/cuda_api.h"
#include "softgpu/driver/engine.h"
#include "softgpu/driver/heap.h"
#include "softgpu/driver/kernel_heap.h"
#include "softgpu/driver/object.h"
#include "softgpu/driver/print.h"
#include "softgpu/driver/process.h"

struct array_memory;
struct stream;
struct texture;
struct module;

/* Limits that a context has from the start; its cost covers them. */
enum { CONTEXT_STACK_BYTES = 1024, CONTEXT_PRINT_BYTES = 1 << 20, CONTEXT_HEAP_BYTES = 8 << 20 };

struct context {
    struct object object;
    struct device *device;
    uint32_t device_context; /* sgdev's name for it */
    struct engine_queue queue;
    unsigned long long id;
    unsigned api_version;
    bool is_primary;
    unsigned attachments; /* atomic; creation and cuCtxAttach, less cuCtxDetach */
    bool destroyed;       /* atomic */
    CUresult sticky;      /* atomic: the fault that every later call returns */
    struct print_buffer print;
    struct kernel_heap kernel_heap;

    struct stream *legacy;  /* the NULL stream */
    struct stream *streams; /* all streams; guarded by the engine's lock */

    pthread_mutex_t lock; /* guards what follows */
    unsigned flags;
    size_t limits[CU_LIMIT_MAX];
    CUfunc_cache cache_config;
    CUsharedconfig shared_config;
    struct heap small, small_managed; /* blocks of granules for small allocations */
    struct context **peers;           /* contexts whose memory this one may use; not referenced */
    size_t n_peers;
    struct module *modules;
    struct array_memory *arrays; /* references */
    struct texture *textures;    /* references; surfaces too */
};

/* Contexts whose memory a kernel of `self` may touch: itself and its peers. Thread-safe. */
bool context_may_use(struct context *self, const struct context *owner);

/* A new context of device, one reference, published, not current. Charges the device for it. */
CUresult context_new(struct device *device, unsigned flags, bool is_primary, struct context **ret_context);

/* Waits for its work, frees everything it owns, and gives it back to the device; threads in which it is
 * current see CUDA_ERROR_CONTEXT_IS_DESTROYED. Only the first caller does so. */
void context_destroy(struct context *context);

/* The current context of this thread, borrowed. process_check, CUDA_ERROR_NOT_PERMITTED in a host function,
 * INVALID_CONTEXT, CONTEXT_IS_DESTROYED. */
CUresult context_current(struct context **ret_context);

/* As context_current, and its sticky error. What nearly every call begins with. */
CUresult context_enter(struct context **ret_context);

/* The context of a handle with a reference for the caller (object_unref), or the current one for NULL. */
CUresult context_get(CUcontext handle, struct context **ret_context);

/* The sticky error, also when the device process went away. */
CUresult context_status(const struct context *context);

/* Sets the sticky error unless there is one, and ends all work that has not begun. */
void context_fail(struct context *context, CUresult error);

/* Calls visit for each live context of the process with a reference held; no lock is held. */
void context_for_each(void (*visit)(struct context *context, void *argument), void *argument);

/* Blocks until all work enqueued so far in any context is complete: before memory that any of them may use
 * goes. */
void context_wait_all(void);

#endif
