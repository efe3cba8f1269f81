/* An event that several processes record and wait for: a small file in the directory of the device process,
 * which all who take part map. Records have serials; what an event means is its latest record. A process that
 * dies takes its records with it: they count as complete. Called by ipc_event.c alone; all functions are
 * thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_SHARED_EVENT_H
#define VGPU_SOFTGPU_DRIVER_SHARED_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/device/client.h"

struct shared_event;

/* A new one, with one reference, whose file is there as long as this process has references. 0 or negative
 * errno. */
int shared_event_new(struct shared_event **ret_shared);

/* The one of that token with a reference. 0, -EXDEV: this process made it, -ENOENT: there is none, -EUSERS:
 * too many processes take part, or another negative errno. */
int shared_event_open(const uint8_t token[SGDEV_TOKEN_BYTES], struct shared_event **ret_shared);

const uint8_t *shared_event_token(const struct shared_event *shared);

struct shared_event *shared_event_ref(struct shared_event *shared);
void shared_event_unref(struct shared_event *shared); /* NULL is fine */

/* Begins a record, which is the latest from then on, and returns its serial; blocks while too many are
 * pending. */
uint64_t shared_event_begin(struct shared_event *shared);
/* The stream has reached the record. */
void shared_event_complete(struct shared_event *shared, uint64_t serial);

/* Serial of the latest record; 0: there is none, which is complete. */
uint64_t shared_event_latest(const struct shared_event *shared);
bool shared_event_is_complete(struct shared_event *shared, uint64_t serial);
/* Blocks until it is. */
void shared_event_wait(struct shared_event *shared, uint64_t serial);

#endif
