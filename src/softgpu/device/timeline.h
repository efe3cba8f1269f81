/* The timeline of one device: which work runs when. Pure arithmetic: time is an argument, nothing waits,
 * nothing is read from outside.
 *
 * Work of one context and engine runs in order of submission. On the compute engine contexts with work take
 * turns, round robin, each context of its own length, and a turn's end interrupts the work (runs_to_end: the
 * turn lasts until the work's end); a turn is counted only while another context waits. Changing to another
 * context takes switch_ns, in which nobody is busy. On the copy engine they take turns by item, without that
 * cost. Work starts at the latest of: its ready
 * time, the end of what ran before it, the engine's free time. An engine's free time is the end of its last
 * work and not "now", so work that arrives late starts where it would have started: 10,000 items of 50 us
 * take 500 ms.
 *
 * In ASAP mode none of this is modelled: work is submitted when it has been done, and took the time up to
 * then. */
#ifndef VGPU_SOFTGPU_DEVICE_TIMELINE_H
#define VGPU_SOFTGPU_DEVICE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/device/busy.h"
#include "softgpu/device/client.h"

struct timeline;
struct timeline_context;

/* The longest work a timeline takes, and how far ahead of the clock its ready time may lie: one day. */
#define TIMELINE_SPAN_MAX_NS (UINT64_C(86400) * 1000000000)

struct timeline_config {
    enum sgdev_time_mode mode;
    uint64_t start_ns;                         /* the device's clock at the start */
    uint64_t time_slices_ns[SGDEV_SLICES_MAX]; /* each more than 0; see struct sgdev_properties */
    uint32_t n_time_slices;
    bool runs_to_end;
    uint64_t switch_ns;
};

/* Told of each work's end (status 0), or that it was dropped (-ECANCELED, start and end 0). Must not change
 * the timeline. */
typedef void timeline_ended(void *owner, uint64_t ticket, int status, uint64_t start_ns, uint64_t end_ns);

/* -ENOMEM or 0. */
int timeline_new(const struct timeline_config *config, timeline_ended *ended, struct timeline **ret_timeline);
/* After all its contexts have been freed. NULL is accepted. */
void timeline_free(struct timeline *timeline);

/* busy and copy_busy, which outlive the context and may be shared by several, get the context's time on each
 * engine. -ENOMEM or 0. */
int timeline_context_new(struct timeline *timeline, struct busy *busy, struct busy *copy_busy, void *owner,
                         struct timeline_context **ret_context);
/* Its work leaves the queues at once; tells of each item when `tell`. What ran of it stays on the account. */
void timeline_context_free(struct timeline_context *context, bool tell);

/* Queues work; `context` of `work` is not looked at. -EINVAL: longer, or further ahead of
 * timeline_now(now_ns), than TIMELINE_SPAN_MAX_NS, sm_permille over 1000, or no such engine. -ENOMEM. */
int timeline_submit(struct timeline_context *context, const struct sgdev_work *work, uint64_t ticket,
                    uint64_t now_ns);

/* Runs what runs until now_ns (VIRTUAL and ASAP: everything there is) and tells what has ended. */
void timeline_advance(struct timeline *timeline, uint64_t now_ns);

/* When timeline_advance has something to do next; UINT64_MAX: not before more work comes. */
uint64_t timeline_next_ns(const struct timeline *timeline);

/* The device's clock: now_ns, in VIRTUAL mode the latest end so far. */
uint64_t timeline_now_ns(const struct timeline *timeline, uint64_t now_ns);

/* The device's account of an engine, as of the last timeline_advance. */
const struct busy *timeline_busy(const struct timeline *timeline, enum sgdev_engine engine);

#endif
