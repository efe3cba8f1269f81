/* Reservation arithmetic; see reservation.h. Overcommitted instances count in full, so that their excess is
 * never free for somebody who did not ask for it. */
#include "daemon/reservation.h"

#include <errno.h>

#include "place/offer.h"

uint64_t reservation_named_bytes(const struct reservation_request *request, uint64_t capacity_bytes)
{
    switch (request->amount) {
    case RESERVATION_BYTES:
        return request->bytes;
    case RESERVATION_PERMILLE:
        /* In two parts, so that no capacity overflows. */
        return capacity_bytes / 1000 * request->permille + capacity_bytes % 1000 * request->permille / 1000;
    case RESERVATION_ALL_FREE:
        break;
    }
    return 0;
}

int reservation_limit(const struct reservation_request *request, uint64_t capacity_bytes,
                      uint64_t reserved_bytes, uint64_t *ret_limit_bytes)
{
    uint64_t free_bytes = place_free_bytes(capacity_bytes, reserved_bytes);
    uint64_t limit_bytes = reservation_named_bytes(request, capacity_bytes);

    if (request->amount == RESERVATION_ALL_FREE)
        limit_bytes = request->overcommit ? capacity_bytes : free_bytes;
    if (limit_bytes > capacity_bytes)
        return -ERANGE;
    if (!limit_bytes || (limit_bytes > free_bytes && !request->overcommit))
        return -ENOSPC;
    *ret_limit_bytes = limit_bytes;
    return 0;
}

int reservation_change(const struct reservation_request *request, uint64_t capacity_bytes,
                       uint64_t reserved_bytes, uint64_t held_bytes, uint64_t *ret_limit_bytes)
{
    uint64_t named_bytes = reservation_named_bytes(request, capacity_bytes);

    if (request->amount != RESERVATION_ALL_FREE && named_bytes && named_bytes <= held_bytes) {
        *ret_limit_bytes = named_bytes;
        return 0;
    }
    return reservation_limit(request, capacity_bytes, reserved_bytes, ret_limit_bytes);
}
