/* What kernels print: kept until a synchronisation point writes it to stdout. A full buffer loses its oldest
 * lines, as the hardware's FIFO does. Thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_PRINT_H
#define VGPU_SOFTGPU_DRIVER_PRINT_H

#include <pthread.h>
#include <stddef.h>

struct print_call;

struct print_buffer {
    pthread_mutex_t lock;
    size_t limit_bytes, used_bytes;
    struct print_call *first, *last;
};

void print_init(struct print_buffer *buffer, size_t limit_bytes);
void print_done(struct print_buffer *buffer);
void print_set_limit(struct print_buffer *buffer, size_t limit_bytes);

/* One finished call of printf in a kernel; shaped for exec_launch.print. */
void print_add(void *buffer, const char *text, size_t bytes);

/* Writes everything to stdout, in order. No lock is held while writing. */
void print_flush(struct print_buffer *buffer);

#endif
