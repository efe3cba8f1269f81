/* What a thread has: its stack of current contexts, and a number that no other thread ever had. */
#ifndef VGPU_SOFTGPU_DRIVER_THREAD_H
#define VGPU_SOFTGPU_DRIVER_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct context;

/* Top of the stack, borrowed from it; NULL when empty. */
struct context *thread_top(void);

/* Each entry of the stack holds a reference. 0 or -ENOMEM. */
int thread_push(struct context *context);
/* Takes the top off; its reference goes to the caller. NULL when empty. */
struct context *thread_pop(void);

/* Never 0. */
uint64_t thread_serial(void);

/* True while a host function runs in this thread: it must make no CUDA calls. */
bool thread_is_in_callback(void);
void thread_set_in_callback(bool in_callback);

#endif
