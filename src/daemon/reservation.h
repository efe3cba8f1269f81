/* The arithmetic of memory reservations: what limit a request comes to on a device, and whether it may be
 * granted. Pure. */
#ifndef VGPU_DAEMON_RESERVATION_H
#define VGPU_DAEMON_RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

enum reservation_amount {
    RESERVATION_ALL_FREE, /* no amount was named: all that is free on the device at this moment */
    RESERVATION_BYTES,
    RESERVATION_PERMILLE, /* of the device's capacity */
};

struct reservation_request {
    enum reservation_amount amount;
    uint64_t bytes;    /* RESERVATION_BYTES */
    unsigned permille; /* RESERVATION_PERMILLE, 1..1000 */
    bool overcommit;   /* may pass what others left free, never the device's capacity */
};

/* The bytes that the request names on a device of that capacity; 0 for RESERVATION_ALL_FREE. */
uint64_t reservation_named_bytes(const struct reservation_request *request, uint64_t capacity_bytes);

/* The limit to grant where reserved_bytes are held by others. 0 and *ret_limit_bytes; -ERANGE: more than the
 * device has, no waiting helps; -ENOSPC: not free now. RESERVATION_ALL_FREE with overcommit is the whole
 * capacity. */
int reservation_limit(const struct reservation_request *request, uint64_t capacity_bytes,
                      uint64_t reserved_bytes, uint64_t *ret_limit_bytes);

/* The same for an instance that already holds held_bytes of the device (not counted in reserved_bytes):
 * shrinking is always allowed. */
int reservation_change(const struct reservation_request *request, uint64_t capacity_bytes,
                       uint64_t reserved_bytes, uint64_t held_bytes, uint64_t *ret_limit_bytes);

#endif
