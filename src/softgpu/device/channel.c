/* Tickets and the reading in turns; see channel.h. A ticket is a slot's number and how often the slot has
 * been used, so that a stale one is recognised. The lock is held for bookkeeping only, never while a message
 * is waited for. */
#include "softgpu/device/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"

enum { SLOTS_FIRST = 64, SLOTS_MAX = 1 << 24 };

enum slot_state { SLOT_FREE, SLOT_PENDING, SLOT_DONE };

struct channel_slot {
    uint32_t use; /* from 1 on, so that no ticket is 0 */
    enum slot_state state;
    uint32_t next_free;
    struct channel_result result;
    struct protocol_answer *answer;
    int *answer_fd;
    struct channel_waiter *waiter;
};

/* A thread in channel_wait; lives on its stack. */
struct channel_waiter {
    struct channel_waiter *next, **at;
    pthread_cond_t wake;
};

/* ---- slots; all with the lock held ---- */

static int slots_grow_locked(struct channel *ch)
{
    uint32_t n = ch->n_slots ? ch->n_slots * 2 : SLOTS_FIRST;
    struct channel_slot *slots = n <= SLOTS_MAX ? realloc(ch->slots, n * sizeof(*slots)) : NULL;

    if (!slots)
        return -ENOMEM;
    memset(slots + ch->n_slots, 0, (n - ch->n_slots) * sizeof(*slots));
    for (uint32_t i = ch->n_slots; i < n; i++)
        slots[i].next_free = i + 1;
    ch->first_free = ch->n_slots;
    ch->slots = slots;
    ch->n_slots = n;
    return 0;
}

static int slot_take_locked(struct channel *ch, struct protocol_answer *answer, int *ret_fd,
                            uint64_t *ret_ticket)
{
    struct channel_slot *slot;

    if (ch->is_lost)
        return -EPIPE;
    if (ch->first_free == ch->n_slots && slots_grow_locked(ch) < 0)
        return -ENOMEM;
    slot = &ch->slots[ch->first_free];
    *ret_ticket = (uint64_t)++slot->use << 32 | ch->first_free;
    ch->first_free = slot->next_free;
    slot->state = SLOT_PENDING;
    slot->answer = answer;
    slot->answer_fd = ret_fd;
    slot->waiter = NULL;
    return 0;
}

static struct channel_slot *slot_find_locked(struct channel *ch, uint64_t ticket)
{
    uint32_t number = (uint32_t)ticket;

    if (number >= ch->n_slots || ch->slots[number].use != ticket >> 32 ||
        ch->slots[number].state == SLOT_FREE)
        return NULL;
    return &ch->slots[number];
}

static void slot_give_back_locked(struct channel *ch, struct channel_slot *slot)
{
    slot->state = SLOT_FREE;
    slot->next_free = ch->first_free;
    ch->first_free = (uint32_t)(slot - ch->slots);
}

static void slot_done_locked(struct channel_slot *slot, int status, uint64_t start_ns, uint64_t end_ns)
{
    slot->result = (struct channel_result){.status = status, .start_ns = start_ns, .end_ns = end_ns};
    slot->state = SLOT_DONE;
    if (slot->waiter)
        pthread_cond_signal(&slot->waiter->wake);
}

/* ---- receiving ---- */

/* -EPROTO when the answer is none, or none for somebody who asked. Takes fd. */
static int answer_deliver_locked(struct channel *ch, const struct protocol_answer *answer, size_t bytes,
                                 int fd)
{
    struct channel_slot *slot;

    if (bytes < PROTOCOL_ANSWER_HEAD_BYTES || answer->head.magic != PROTOCOL_MAGIC ||
        answer->head.version != PROTOCOL_VERSION)
        return -EPROTO;
    if (answer->head.kind == PROTOCOL_ENDED) {
        if (answer->count > PROTOCOL_ENDED_MAX ||
            bytes != PROTOCOL_ANSWER_HEAD_BYTES + answer->count * sizeof(answer->ended[0]))
            return -EPROTO;
        for (uint32_t i = 0; i < answer->count; i++) {
            const struct protocol_ended *ended = &answer->ended[i];

            slot = slot_find_locked(ch, ended->ticket);
            if (!slot || slot->answer || slot->state != SLOT_PENDING)
                return -EPROTO;
            slot_done_locked(slot, (int)ended->status, ended->start_ns, ended->end_ns);
        }
        return 0;
    }
    slot = slot_find_locked(ch, answer->head.ticket);
    if (answer->head.kind != PROTOCOL_REPLY || !slot || !slot->answer || slot->state != SLOT_PENDING)
        return -EPROTO;
    memcpy(slot->answer, answer, bytes);
    if (slot->answer_fd)
        *slot->answer_fd = fd;
    else if (fd >= 0)
        close(fd);
    slot_done_locked(slot, answer->status, 0, 0);
    return 0;
}

/* Everybody who waits learns that nothing will come any more. */
static void channel_lose_locked(struct channel *ch)
{
    ch->is_lost = true;
    shutdown(ch->sock, SHUT_RDWR);
    for (struct channel_waiter *waiter = ch->waiters; waiter; waiter = waiter->next)
        pthread_cond_signal(&waiter->wake);
}

/* Receives one message, and delivers it. The caller is the reader; lock is not held. false: nothing there
 * (MSG_DONTWAIT), or the connection is lost. */
static bool channel_receive(struct channel *ch, int flags)
{
    struct protocol_answer answer;
    int fd = -1, n_fds = 1, r;
    ssize_t n = fdpass_recv(ch->sock, &answer, sizeof(answer), &fd, &n_fds, flags);

    if (n == -EAGAIN)
        return false;
    pthread_mutex_lock(&ch->lock);
    r = n <= 0 ? -EPIPE : answer_deliver_locked(ch, &answer, (size_t)n, n_fds == 1 ? fd : -1);
    if (r < 0) {
        if (n > 0 && n_fds == 1)
            close(fd);
        channel_lose_locked(ch);
    }
    pthread_mutex_unlock(&ch->lock);
    return r == 0;
}

/* Becomes the reader for what lies there already, unless there is a reader. */
static void channel_drain(struct channel *ch)
{
    bool is_reader;

    pthread_mutex_lock(&ch->lock);
    is_reader = !ch->has_reader && !ch->is_lost;
    ch->has_reader |= is_reader;
    pthread_mutex_unlock(&ch->lock);
    if (!is_reader)
        return;
    while (channel_receive(ch, MSG_DONTWAIT))
        ;
    pthread_mutex_lock(&ch->lock);
    ch->has_reader = false;
    if (ch->waiters)
        pthread_cond_signal(&ch->waiters->wake);
    pthread_mutex_unlock(&ch->lock);
}

/* ---- sending ---- */

/* softgpud does not read from a process that does not read from it: so whoever finds the way full also
 * empties the way back. */
static int channel_send(struct channel *ch, const struct protocol_request *request)
{
    for (;;) {
        ssize_t n = send(ch->sock, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd poll_fd = {.fd = ch->sock, .events = POLLOUT | POLLIN};

        if (n >= 0)
            return 0;
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
            return -EPIPE;
        channel_drain(ch);
        pthread_mutex_lock(&ch->lock);
        if (ch->has_reader)
            poll_fd.events = POLLOUT;
        pthread_mutex_unlock(&ch->lock);
        /* Bounded, since another thread's reading may take away what this one would be woken by. */
        poll(&poll_fd, 1, 10);
    }
}

int channel_post(struct channel *ch, struct protocol_request *request, struct protocol_answer *answer,
                 int *ret_fd)
{
    int r;

    if (ret_fd)
        *ret_fd = -1;
    request->head.magic = PROTOCOL_MAGIC;
    request->head.version = PROTOCOL_VERSION;
    pthread_mutex_lock(&ch->lock);
    r = slot_take_locked(ch, answer, ret_fd, &request->head.ticket);
    pthread_mutex_unlock(&ch->lock);
    if (r < 0)
        return r;
    r = channel_send(ch, request);
    if (r < 0) {
        pthread_mutex_lock(&ch->lock);
        channel_lose_locked(ch);
        slot_give_back_locked(ch, slot_find_locked(ch, request->head.ticket));
        pthread_mutex_unlock(&ch->lock);
    }
    return r;
}

/* ---- waiting ---- */

static void waiter_add_locked(struct channel *ch, struct channel_waiter *waiter)
{
    pthread_cond_init(&waiter->wake, NULL);
    waiter->next = ch->waiters;
    waiter->at = &ch->waiters;
    if (waiter->next)
        waiter->next->at = &waiter->next;
    ch->waiters = waiter;
}

static void waiter_remove_locked(struct channel_waiter *waiter)
{
    *waiter->at = waiter->next;
    if (waiter->next)
        waiter->next->at = waiter->at;
    pthread_cond_destroy(&waiter->wake);
}

/* Waits until slot `number` is done or the connection is lost. Slots may move meanwhile: they are named by
 * number. */
static void channel_await_locked(struct channel *ch, uint32_t number)
{
    struct channel_waiter self;

    waiter_add_locked(ch, &self);
    ch->slots[number].waiter = &self;
    while (ch->slots[number].state == SLOT_PENDING && !ch->is_lost) {
        if (ch->has_reader) {
            pthread_cond_wait(&self.wake, &ch->lock);
            continue;
        }
        ch->has_reader = true;
        pthread_mutex_unlock(&ch->lock);
        channel_receive(ch, 0);
        pthread_mutex_lock(&ch->lock);
        ch->has_reader = false;
    }
    ch->slots[number].waiter = NULL;
    waiter_remove_locked(&self);
    /* The reading goes on in another thread. */
    if (!ch->has_reader && ch->waiters)
        pthread_cond_signal(&ch->waiters->wake);
}

int channel_wait(struct channel *ch, uint64_t ticket, bool poll, struct channel_result *ret_result)
{
    uint32_t number = (uint32_t)ticket;
    struct channel_slot *slot;
    int r = 0;

    pthread_mutex_lock(&ch->lock);
    slot = slot_find_locked(ch, ticket);
    if (slot && slot->state == SLOT_PENDING && poll) {
        pthread_mutex_unlock(&ch->lock);
        channel_drain(ch);
        pthread_mutex_lock(&ch->lock);
        slot = slot_find_locked(ch, ticket);
    } else if (slot && slot->state == SLOT_PENDING && !slot->waiter) {
        channel_await_locked(ch, number);
        slot = &ch->slots[number];
    }
    if (!slot || slot->waiter) {
        r = -EINVAL;
    } else if (slot->state == SLOT_DONE) {
        *ret_result = slot->result;
        slot_give_back_locked(ch, slot);
    } else if (ch->is_lost) {
        slot_give_back_locked(ch, slot);
        r = -EPIPE;
    } else {
        r = -EAGAIN;
    }
    pthread_mutex_unlock(&ch->lock);
    return r;
}

void channel_init(struct channel *ch, int sock)
{
    *ch = (struct channel){.lock = PTHREAD_MUTEX_INITIALIZER, .sock = sock};
}

void channel_done(struct channel *ch)
{
    if (ch->sock >= 0)
        close(ch->sock);
    free(ch->slots);
    pthread_mutex_destroy(&ch->lock);
    *ch = (struct channel){.sock = -1};
}

/* ---- fork ---- */

void channel_fork_prepare(struct channel *ch)
{
    pthread_mutex_lock(&ch->lock);
}

void channel_fork_parent(struct channel *ch)
{
    pthread_mutex_unlock(&ch->lock);
}

/* Only the thread that forked lives here: nobody reads or waits. The uses of the slots go on, so that tickets
 * of the parent stay unknown. */
void channel_fork_child(struct channel *ch)
{
    if (ch->sock >= 0)
        close(ch->sock);
    ch->sock = -1;
    ch->is_lost = true;
    ch->has_reader = false;
    ch->waiters = NULL;
    for (uint32_t i = 0; i < ch->n_slots; i++) {
        ch->slots[i].state = SLOT_FREE;
        ch->slots[i].next_free = i + 1;
    }
    ch->first_free = 0;
    pthread_mutex_unlock(&ch->lock);
}

void channel_reconnect(struct channel *ch, int sock)
{
    pthread_mutex_lock(&ch->lock);
    ch->sock = sock;
    ch->is_lost = false;
    pthread_mutex_unlock(&ch->lock);
}
