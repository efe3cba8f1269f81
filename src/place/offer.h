/* Which device a request goes to: pure functions over a snapshot of devices. No clock, no allocation, no
 * state. */
#ifndef VGPU_PLACE_OFFER_H
#define VGPU_PLACE_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One device as the caller sees it at this moment. */
struct place_offer {
    uint64_t capacity_bytes;
    uint64_t reserved_bytes; /* sum of the limits granted on it; may pass the capacity where overcommit was
                                asked for */
    uint64_t request_bytes;  /* what is asked of this device; 0: whatever is free there, and some must be */
    unsigned compute_reserved_permille, compute_request_permille; /* shares of its time */
    bool eligible;                                                /* false: never choose it */
};

enum place_rule {
    PLACE_FREE_NOW,      /* the request fits what memory and what share are free now */
    PLACE_WITHIN_DEVICE, /* the request fits the device, whatever others hold (overcommit, or waiting for it)
                          */
};

#define PLACE_NONE ((size_t)-1)

enum { PLACE_COMPUTE_PERMILLE = 1000 }; /* of a device */

/* What of a device's time is not reserved. */
unsigned place_free_permille(unsigned reserved_permille);

/* capacity - reserved, 0 where others overcommitted. */
uint64_t place_free_bytes(uint64_t capacity_bytes, uint64_t reserved_bytes);

/* Index of the eligible device with most free memory on which the request fits by `rule`; the first among
 * equals; PLACE_NONE when there is none. */
size_t place_most_free(const struct place_offer *devices, size_t n_devices, enum place_rule rule);

#endif
