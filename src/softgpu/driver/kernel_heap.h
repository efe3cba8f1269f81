/* The heap of a context that kernels take memory from with malloc: as large as CU_LIMIT_MALLOC_HEAP_SIZE said
 * when the first kernel did. Only kernels reach it: copies and frees of the host do not, as on hardware.
 * Thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_KERNEL_HEAP_H
#define VGPU_SOFTGPU_DRIVER_KERNEL_HEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "softgpu/driver/heap.h"

struct kernel_heap {
    pthread_mutex_t lock;
    uint64_t base, bytes; /* 0: no kernel has asked yet */
    char *host;           /* where this process touches base */
    uint32_t *units;      /* for each unit of the heap: as many as the block that begins there has; else 0 */
    struct heap blocks;
};

void kernel_heap_init(struct kernel_heap *heap);
/* For the end of a context, whose work is done: its memory leaves the address space. */
void kernel_heap_done(struct kernel_heap *heap);

/* A kernel has asked for memory: the size no longer changes. */
bool kernel_heap_is_made(struct kernel_heap *heap);

/* malloc and free of a kernel of a struct context; shaped for exec_launch. 0: there is no room. -EINVAL: no
 * block begins at address. */
uint64_t kernel_heap_take(void *context, uint64_t bytes);
int kernel_heap_give(void *context, uint64_t address);

#endif
