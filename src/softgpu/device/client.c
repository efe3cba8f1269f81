/* client.h over a channel. What is asked often and changes seldom is read from the page that softgpud
 * publishes (free memory, the virtual clock); the rest are requests. A forked child has no part in its
 * parent's connection: its first call connects it as a process of its own. */
#include "softgpu/device/client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/paths.h"
#include "softgpu/device/channel.h"
#include "softgpu/device/describe.h"
#include "softgpu/device/link.h"

struct sgdev {
    struct sgdev *next, **at; /* all of this process, for fork */
    struct describe devices;  /* as softgpud has them */
    struct channel channel;
    const struct protocol_page *page;
    bool is_connected;    /* false in a forked child before its first call */
    pthread_mutex_t lock; /* of connecting, and of arena_fds */
    int arena_fds[SGDEV_DEVICES_MAX];
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sgdev *all;

/* ---- fork ---- */

static void fork_prepare(void)
{
    pthread_mutex_lock(&all_lock);
    for (struct sgdev *dev = all; dev; dev = dev->next) {
        pthread_mutex_lock(&dev->lock);
        channel_fork_prepare(&dev->channel);
    }
}

static void fork_parent(void)
{
    for (struct sgdev *dev = all; dev; dev = dev->next) {
        channel_fork_parent(&dev->channel);
        pthread_mutex_unlock(&dev->lock);
    }
    pthread_mutex_unlock(&all_lock);
}

static void arenas_close(struct sgdev *dev)
{
    for (unsigned i = 0; i < SGDEV_DEVICES_MAX; i++) {
        if (dev->arena_fds[i] >= 0)
            close(dev->arena_fds[i]);
        dev->arena_fds[i] = -1;
    }
}

static void fork_child(void)
{
    for (struct sgdev *dev = all; dev; dev = dev->next) {
        channel_fork_child(&dev->channel);
        arenas_close(dev);
        dev->is_connected = false;
        pthread_mutex_unlock(&dev->lock);
    }
    pthread_mutex_unlock(&all_lock);
}

static void fork_register(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- connecting ---- */

static void page_devices(const struct protocol_page *page, struct describe *ret_devices)
{
    memset(ret_devices, 0, sizeof(*ret_devices));
    ret_devices->n_devices = page->n_devices;
    for (unsigned i = 0; i < page->n_devices; i++)
        ret_devices->devices[i] = page->devices[i].properties;
}

static int sgdev_link(struct link *ret_link, struct error *err)
{
    struct describe wanted;
    int r = describe_from_env(&wanted, err);

    if (r == 0 && !wanted.n_devices)
        r = error_fail(err, -ENODEV, "VGPU_SOFTGPU_DEVICES asks for no device");
    if (r == 0)
        r = link_open(&wanted, paths_env("VGPU_SOFTGPU_DEVICES") != NULL, ret_link, err);
    return r;
}

/* Connects a forked child anew. */
static int sgdev_reconnect(struct sgdev *dev)
{
    struct error err = {0};
    struct describe *devices;
    struct link link = {.sock = -1};
    int r = 0;

    pthread_mutex_lock(&dev->lock);
    if (dev->is_connected)
        goto unlock;
    r = sgdev_link(&link, &err);
    if (r != 0)
        goto unlock;
    devices = calloc(1, sizeof(*devices));
    if (devices)
        page_devices(link.page, devices);
    if (!devices || describe_fingerprint(devices) != describe_fingerprint(&dev->devices)) {
        r = devices ? -ENODEV : -ENOMEM;
        close(link.sock);
        munmap((void *)link.page, sizeof(*link.page));
    } else {
        munmap((void *)dev->page, sizeof(*dev->page));
        dev->page = link.page;
        channel_reconnect(&dev->channel, link.sock);
        __atomic_store_n(&dev->is_connected, true, __ATOMIC_RELEASE);
    }
    free(devices);
unlock:
    pthread_mutex_unlock(&dev->lock);
    return r;
}

/* Begins every call: is ordinal one of ours, and do we have a connection? */
static int sgdev_enter(struct sgdev *dev, unsigned ordinal)
{
    if (ordinal >= dev->devices.n_devices)
        return -EINVAL;
    return __atomic_load_n(&dev->is_connected, __ATOMIC_ACQUIRE) ? 0 : sgdev_reconnect(dev);
}

static void sgdev_complain(const struct error *err)
{
    const char *level = paths_env("VGPU_LOG");

    if (!level || strcmp(level, "none"))
        fprintf(stderr, "vgpu software GPU: %s\n", err->text);
}

int sgdev_open(struct sgdev **ret_dev)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sgdev *dev = calloc(1, sizeof(*dev));
    struct error err = {0};
    struct link link = {.sock = -1};
    int r;

    if (!dev)
        return -ENOMEM;
    pthread_once(&once, fork_register);
    r = sgdev_link(&link, &err);
    if (r != 0) {
        sgdev_complain(&err);
        free(dev);
        return r;
    }
    page_devices(link.page, &dev->devices);
    dev->page = link.page;
    dev->is_connected = true;
    pthread_mutex_init(&dev->lock, NULL);
    for (unsigned i = 0; i < SGDEV_DEVICES_MAX; i++)
        dev->arena_fds[i] = -1;
    channel_init(&dev->channel, link.sock);
    pthread_mutex_lock(&all_lock);
    dev->next = all;
    dev->at = &all;
    if (all)
        all->at = &dev->next;
    all = dev;
    pthread_mutex_unlock(&all_lock);
    *ret_dev = dev;
    return 0;
}

void sgdev_close(struct sgdev *dev)
{
    struct protocol_request goodbye = {.head.kind = PROTOCOL_GOODBYE};

    if (!dev)
        return;
    pthread_mutex_lock(&all_lock);
    *dev->at = dev->next;
    if (dev->next)
        dev->next->at = dev->at;
    pthread_mutex_unlock(&all_lock);
    /* Closing alone would not end the connection while a forked child that never called us holds a copy of
     * the socket. */
    if (dev->is_connected)
        channel_post(&dev->channel, &goodbye, NULL, NULL);
    channel_done(&dev->channel);
    arenas_close(dev);
    munmap((void *)dev->page, sizeof(*dev->page));
    pthread_mutex_destroy(&dev->lock);
    free(dev);
}

unsigned sgdev_count(const struct sgdev *dev)
{
    return dev->devices.n_devices;
}

const struct sgdev_properties *sgdev_properties(const struct sgdev *dev, unsigned ordinal)
{
    return ordinal < dev->devices.n_devices ? &dev->devices.devices[ordinal] : NULL;
}

/* ---- requests ---- */

/* One question, one answer. A status below 0 in the answer is the result. */
static int sgdev_ask(struct sgdev *dev, struct protocol_request *request, struct protocol_answer *answer,
                     int *ret_fd)
{
    struct channel_result result = {0};
    int r = sgdev_enter(dev, request->ordinal);

    if (r == 0)
        r = channel_post(&dev->channel, request, answer, ret_fd);
    if (r == 0)
        r = channel_wait(&dev->channel, request->head.ticket, false, &result);
    return r != 0 ? r : result.status;
}

int sgdev_segment_alloc(struct sgdev *dev, unsigned ordinal, uint64_t bytes, uint64_t *ret_offset_bytes)
{
    struct protocol_request request = {
        .head.kind = PROTOCOL_SEGMENT_ALLOC, .ordinal = ordinal, .bytes = bytes};
    struct protocol_answer answer;
    int r = sgdev_ask(dev, &request, &answer, NULL);

    if (r == 0)
        *ret_offset_bytes = answer.value;
    return r;
}

int sgdev_segment_free(struct sgdev *dev, unsigned ordinal, uint64_t offset_bytes)
{
    struct protocol_request request = {
        .head.kind = PROTOCOL_SEGMENT_FREE, .ordinal = ordinal, .offset_bytes = offset_bytes};
    struct protocol_answer answer;

    return sgdev_ask(dev, &request, &answer, NULL);
}

int sgdev_segment_export(struct sgdev *dev, unsigned ordinal, uint64_t offset_bytes,
                         uint8_t ret_token[SGDEV_TOKEN_BYTES])
{
    struct protocol_request request = {
        .head.kind = PROTOCOL_SEGMENT_EXPORT, .ordinal = ordinal, .offset_bytes = offset_bytes};
    struct protocol_answer answer;
    int r = sgdev_ask(dev, &request, &answer, NULL);

    if (r == 0)
        memcpy(ret_token, answer.token, SGDEV_TOKEN_BYTES);
    return r;
}

int sgdev_segment_import(struct sgdev *dev, unsigned ordinal, const uint8_t token[SGDEV_TOKEN_BYTES],
                         uint64_t *ret_offset_bytes, uint64_t *ret_bytes)
{
    struct protocol_request request = {.head.kind = PROTOCOL_SEGMENT_IMPORT, .ordinal = ordinal};
    struct protocol_answer answer;
    int r;

    memcpy(request.token, token, SGDEV_TOKEN_BYTES);
    r = sgdev_ask(dev, &request, &answer, NULL);
    if (r == 0) {
        *ret_offset_bytes = answer.value;
        *ret_bytes = answer.bytes;
    }
    return r;
}

int sgdev_arena_fd(struct sgdev *dev, unsigned ordinal)
{
    struct protocol_request request = {.head.kind = PROTOCOL_ARENA, .ordinal = ordinal};
    struct protocol_answer answer;
    int fd = -1, r = sgdev_enter(dev, ordinal);

    if (r < 0)
        return r;
    pthread_mutex_lock(&dev->lock);
    if (dev->arena_fds[ordinal] < 0) {
        r = sgdev_ask(dev, &request, &answer, &fd);
        if (r == 0 && fd < 0)
            r = -EPROTO;
        if (r == 0)
            dev->arena_fds[ordinal] = fd;
    }
    if (r == 0)
        r = dev->arena_fds[ordinal];
    pthread_mutex_unlock(&dev->lock);
    return r;
}

int sgdev_memory(struct sgdev *dev, unsigned ordinal, uint64_t *ret_free_bytes, uint64_t *ret_total_bytes)
{
    uint64_t total_bytes, used_bytes;
    int r = sgdev_enter(dev, ordinal);

    if (r < 0)
        return r;
    total_bytes = dev->devices.devices[ordinal].memory_bytes;
    used_bytes = __atomic_load_n(&dev->page->devices[ordinal].used_bytes, __ATOMIC_ACQUIRE);
    *ret_free_bytes = used_bytes < total_bytes ? total_bytes - used_bytes : 0;
    *ret_total_bytes = total_bytes;
    return 0;
}

uint64_t sgdev_used_changes(struct sgdev *dev, unsigned ordinal)
{
    return __atomic_load_n(&dev->page->devices[ordinal].used_changes, __ATOMIC_ACQUIRE);
}

uint64_t sgdev_used_most(struct sgdev *dev, unsigned ordinal, uint64_t since)
{
    uint64_t now = sgdev_used_changes(dev, ordinal), most = 0;

    for (uint64_t change = since; change <= now; change++) {
        uint64_t bytes = __atomic_load_n(
            &dev->page->devices[ordinal].used_history_bytes[change % PROTOCOL_USED_HISTORY_MAX],
            __ATOMIC_ACQUIRE);

        if (bytes > most)
            most = bytes;
    }
    /* What was read first is overwritten first; the one after it may be in the writing. */
    return sgdev_used_changes(dev, ordinal) - since >= PROTOCOL_USED_HISTORY_MAX - 1 ? UINT64_MAX : most;
}

uint64_t sgdev_used_peak(struct sgdev *dev, unsigned ordinal)
{
    return __atomic_load_n(&dev->page->devices[ordinal].used_peak_bytes, __ATOMIC_ACQUIRE);
}

int sgdev_context_open(struct sgdev *dev, unsigned ordinal, uint32_t *ret_context)
{
    struct protocol_request request = {.head.kind = PROTOCOL_CONTEXT_OPEN, .ordinal = ordinal};
    struct protocol_answer answer;
    int r = sgdev_ask(dev, &request, &answer, NULL);

    if (r == 0)
        *ret_context = (uint32_t)answer.value;
    return r;
}

int sgdev_context_close(struct sgdev *dev, uint32_t context)
{
    struct protocol_request request = {.head.kind = PROTOCOL_CONTEXT_CLOSE, .context = context};
    struct protocol_answer answer;

    return sgdev_ask(dev, &request, &answer, NULL);
}

int sgdev_context_resize(struct sgdev *dev, uint32_t context, uint64_t extra_bytes)
{
    struct protocol_request request = {
        .head.kind = PROTOCOL_CONTEXT_RESIZE, .context = context, .bytes = extra_bytes};
    struct protocol_answer answer;

    return sgdev_ask(dev, &request, &answer, NULL);
}

/* ---- the timeline ---- */

uint64_t sgdev_now_ns(struct sgdev *dev, unsigned ordinal)
{
    if (ordinal >= dev->devices.n_devices || dev->devices.devices[ordinal].time_mode != SGDEV_TIME_VIRTUAL)
        return clock_monotonic_ns();
    return __atomic_load_n(&dev->page->devices[ordinal].virtual_now_ns, __ATOMIC_ACQUIRE);
}

int sgdev_submit(struct sgdev *dev, const struct sgdev_work *work, uint64_t *ret_ticket)
{
    struct protocol_request request = {
        .head.kind = PROTOCOL_SUBMIT,
        .context = work->context,
        .work = {.ready_ns = work->ready_ns,
                 .duration_ns = work->duration_ns,
                 .engine = work->engine,
                 .sm_permille = work->sm_permille},
    };
    int r = sgdev_enter(dev, 0);

    if (r == 0)
        r = channel_post(&dev->channel, &request, NULL, NULL);
    if (r == 0)
        *ret_ticket = request.head.ticket;
    return r;
}

int sgdev_wait(struct sgdev *dev, uint64_t ticket, bool poll, uint64_t *ret_start_ns, uint64_t *ret_end_ns)
{
    struct channel_result result;
    int r = channel_wait(&dev->channel, ticket, poll, &result);

    if (r == 0)
        r = result.status;
    if (r == 0) {
        *ret_start_ns = result.start_ns;
        *ret_end_ns = result.end_ns;
    }
    return r;
}

/* ---- accounts ---- */

int sgdev_account(struct sgdev *dev, unsigned ordinal, struct sgdev_account *ret_account)
{
    struct protocol_request request = {.head.kind = PROTOCOL_ACCOUNT, .ordinal = ordinal};
    struct protocol_answer answer;
    int r = sgdev_ask(dev, &request, &answer, NULL);

    if (r == 0)
        *ret_account = answer.account;
    return r;
}

int sgdev_history(struct sgdev *dev, unsigned ordinal, enum sgdev_engine engine,
                  struct sgdev_history *ret_history)
{
    struct protocol_request request = {.head.kind = PROTOCOL_HISTORY, .ordinal = ordinal, .engine = engine};
    struct protocol_answer answer;
    int r = sgdev_ask(dev, &request, &answer, NULL);

    if (r == 0 && answer.history.n > SGDEV_HISTORY_MAX)
        r = -EPROTO;
    if (r == 0)
        *ret_history = answer.history;
    return r;
}

int sgdev_processes(struct sgdev *dev, unsigned ordinal, struct sgdev_process *rows, size_t *n_processes)
{
    struct protocol_request request = {.head.kind = PROTOCOL_PROCESSES, .ordinal = ordinal};
    size_t room = *n_processes, n = 0;

    do {
        struct protocol_answer answer;
        int r = sgdev_ask(dev, &request, &answer, NULL);

        if (r != 0)
            return r;
        if (answer.count > PROTOCOL_ROWS_MAX)
            return -EPROTO;
        for (uint32_t i = 0; i < answer.count; i++, n++)
            if (n < room)
                rows[n] = answer.rows[i];
        request.after_serial = answer.value;
    } while (request.after_serial);
    *n_processes = n;
    return 0;
}
