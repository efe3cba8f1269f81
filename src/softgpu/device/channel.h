/* A process's end of the connection to softgpud: requests and work go out, replies and completions come in,
 * from and to any thread. There is no thread of its own: of those that wait, one reads for all and wakes whom
 * it concerns. */
#ifndef VGPU_SOFTGPU_DEVICE_CHANNEL_H
#define VGPU_SOFTGPU_DEVICE_CHANNEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "softgpu/device/protocol.h"

struct channel_slot;
struct channel_waiter;

struct channel {
    pthread_mutex_t lock;
    int sock;
    bool is_lost; /* softgpud has ended, or does not speak as it should */
    bool has_reader;
    struct channel_slot *slots;
    uint32_t n_slots, first_free; /* n_slots: none free */
    struct channel_waiter *waiters;
};

/* What a ticket brought. */
struct channel_result {
    int status;
    uint64_t start_ns, end_ns;
};

void channel_init(struct channel *channel, int sock);

/* Closes the socket. Nobody waits any more. */
void channel_done(struct channel *channel);

/* For the handlers of pthread_atfork. The child's channel has no connection and no tickets; those of the
 * parent are unknown to it. */
void channel_fork_prepare(struct channel *channel);
void channel_fork_parent(struct channel *channel);
void channel_fork_child(struct channel *channel);

/* The child's new connection. */
void channel_reconnect(struct channel *channel, int sock);

/* Sends request under a new ticket, which goes into its head. When answer is not NULL the reply is put there,
 * and a descriptor it carries into *ret_fd, before channel_wait of the ticket returns. Does not wait for an
 * answer. -EPIPE: the connection is lost. */
int channel_post(struct channel *channel, struct protocol_request *request, struct protocol_answer *answer,
                 int *ret_fd);

/* Waits for ticket, which is then forgotten. poll: -EAGAIN instead of waiting. -EINVAL: no such ticket, or
 * another thread waits for it; -EPIPE: the connection is lost; 0: look at ret_result. */
int channel_wait(struct channel *channel, uint64_t ticket, bool poll, struct channel_result *ret_result);

#endif
