/* Placement by free memory; see offer.h. Most free first spreads tenants over devices, which is what keeps
 * each of them fast while there is room; packing is a policy of clusters and comes with them. */
#include "place/offer.h"

uint64_t place_free_bytes(uint64_t capacity_bytes, uint64_t reserved_bytes)
{
    return reserved_bytes < capacity_bytes ? capacity_bytes - reserved_bytes : 0;
}

unsigned place_free_permille(unsigned reserved_permille)
{
    return reserved_permille < PLACE_COMPUTE_PERMILLE ? PLACE_COMPUTE_PERMILLE - reserved_permille : 0;
}

static uint64_t place_free_of(const struct place_offer *device)
{
    return place_free_bytes(device->capacity_bytes, device->reserved_bytes);
}

static bool offer_fits(const struct place_offer *device, enum place_rule rule)
{
    uint64_t room_bytes = rule == PLACE_FREE_NOW ? place_free_of(device) : device->capacity_bytes;
    unsigned compute_permille = rule == PLACE_FREE_NOW
                                    ? place_free_permille(device->compute_reserved_permille)
                                    : PLACE_COMPUTE_PERMILLE;

    return device->eligible && room_bytes > 0 && device->request_bytes <= room_bytes &&
           device->compute_request_permille <= compute_permille;
}

size_t place_most_free(const struct place_offer *devices, size_t n_devices, enum place_rule rule)
{
    size_t best = PLACE_NONE;

    for (size_t i = 0; i < n_devices; i++) {
        if (!offer_fits(&devices[i], rule))
            continue;
        if (best == PLACE_NONE || place_free_of(&devices[i]) > place_free_of(&devices[best]))
            best = i;
    }
    return best;
}
