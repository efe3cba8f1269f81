/* A list of texts, one a call. Kernels' printf has a buffer of a fixed size on hardware; the bound here
 * counts text. */
#include "softgpu/driver/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct print_call {
    struct print_call *next;
    size_t bytes;
    char text[];
};

void print_init(struct print_buffer *buffer, size_t limit_bytes)
{
    *buffer = (struct print_buffer){.limit_bytes = limit_bytes};
    pthread_mutex_init(&buffer->lock, NULL);
}

static void drop_oldest_locked(struct print_buffer *buffer)
{
    struct print_call *oldest = buffer->first;

    buffer->first = oldest->next;
    if (!buffer->first)
        buffer->last = NULL;
    buffer->used_bytes -= oldest->bytes;
    free(oldest);
}

void print_done(struct print_buffer *buffer)
{
    while (buffer->first)
        drop_oldest_locked(buffer);
    pthread_mutex_destroy(&buffer->lock);
}

void print_set_limit(struct print_buffer *buffer, size_t limit_bytes)
{
    pthread_mutex_lock(&buffer->lock);
    buffer->limit_bytes = limit_bytes;
    pthread_mutex_unlock(&buffer->lock);
}

void print_add(void *owner, const char *text, size_t bytes)
{
    struct print_buffer *buffer = owner;
    struct print_call *call = malloc(sizeof(*call) + bytes);

    if (!call)
        return;
    call->next = NULL;
    call->bytes = bytes;
    memcpy(call->text, text, bytes);

    pthread_mutex_lock(&buffer->lock);
    if (buffer->last)
        buffer->last->next = call;
    else
        buffer->first = call;
    buffer->last = call;
    buffer->used_bytes += bytes;
    while (buffer->first && buffer->used_bytes > buffer->limit_bytes)
        drop_oldest_locked(buffer);
    pthread_mutex_unlock(&buffer->lock);
}

void print_flush(struct print_buffer *buffer)
{
    pthread_mutex_lock(&buffer->lock);
    struct print_call *call = buffer->first;
    buffer->first = buffer->last = NULL;
    buffer->used_bytes = 0;
    pthread_mutex_unlock(&buffer->lock);
    if (!call)
        return;
    while (call) {
        struct print_call *next = call->next;

        fwrite(call->text, 1, call->bytes, stdout);
        free(call);
        call = next;
    }
    fflush(stdout);
}
