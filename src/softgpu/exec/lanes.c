/* See lanes.h. Written so that compilers make vector code of every full-mask loop: no exit, no call, one
 * accumulator for all that can be wrong. */
#include "softgpu/exec/lanes.h"

#include <string.h>

#define FULL UINT32_MAX

static inline __attribute__((always_inline)) bool
place(const struct lanes_access *access, uint64_t addr[LANES_COUNT], char *pointers[LANES_COUNT])
{
    uint64_t base = access->base, last = access->size_bytes - access->bytes, outside = 0, low_bits = 0;

    if (access->mask != FULL) {
        uint64_t first = addr[__builtin_ctz(access->mask)];

        for (unsigned i = 0; i < LANES_COUNT; i++)
            addr[i] = access->mask >> i & 1 ? addr[i] : first;
    }
    for (unsigned i = 0; i < LANES_COUNT; i++) {
        uint64_t at = addr[i] - base;

        outside |=
            at |
            (last -
             at); /* sizes are far below 2^63: the top bit is set in one of them exactly when at > last */
        low_bits |= addr[i];
        pointers[i] =
            (char *)((uintptr_t)access->host + at); /* no arithmetic on a pointer that may lead nowhere */
    }
    return !(outside >> 63) && !(low_bits & (access->align - 1));
}

static bool lanes_place(const struct lanes_access *access, char *ret_pointers[LANES_COUNT])
{
    uint64_t addr[LANES_COUNT];

    if (access->size_bytes < access->bytes)
        return false;
    if (access->width_bytes == 8)
        for (unsigned i = 0; i < LANES_COUNT; i++)
            addr[i] = ((const uint64_t *)access->addresses)[i] + access->offset;
    else
        for (unsigned i = 0; i < LANES_COUNT; i++)
            addr[i] = ((const uint32_t *)access->addresses)[i] + access->offset;
    return place(access, addr, ret_pointers);
}

/* Lanes side by side in memory: the commonest pattern, one copy. */
static inline bool consecutive(char *const pointers[LANES_COUNT], unsigned bytes)
{
    uintptr_t first = (uintptr_t)pointers[0], difference = 0;

    for (unsigned i = 0; i < LANES_COUNT; i++)
        difference |= (uintptr_t)pointers[i] - (first + (uintptr_t)i * bytes);
    return difference == 0;
}

#define FOR_LANES(statement)                                                                                 \
    do {                                                                                                     \
        if (mask == FULL)                                                                                    \
            for (unsigned i = 0; i < LANES_COUNT; i++)                                                       \
                statement;                                                                                   \
        else                                                                                                 \
            for (uint32_t left = mask; left; left &= left - 1) {                                             \
                unsigned i = (unsigned)__builtin_ctz(left);                                                  \
                statement;                                                                                   \
            }                                                                                                \
    } while (0)

static void lanes_load(void *to, char *const pointers[LANES_COUNT], uint64_t offset, unsigned bytes,
                       uint32_t mask)
{
    if (mask == FULL && consecutive(pointers, bytes)) {
        memcpy(to, pointers[0] + offset, (size_t)LANES_COUNT * bytes);
        return;
    }
    switch (bytes) {
    case 1:
        FOR_LANES(((uint8_t *)to)[i] = *(const uint8_t *)(pointers[i] + offset));
        break;
    case 2:
        FOR_LANES(((uint16_t *)to)[i] = *(const uint16_t *)(pointers[i] + offset));
        break;
    case 4:
        FOR_LANES(((uint32_t *)to)[i] = *(const uint32_t *)(pointers[i] + offset));
        break;
    default:
        FOR_LANES(((uint64_t *)to)[i] = *(const uint64_t *)(pointers[i] + offset));
    }
}

static void lanes_store(const void *from, char *const pointers[LANES_COUNT], uint64_t offset, unsigned bytes,
                        uint32_t mask)
{
    if (mask == FULL && consecutive(pointers, bytes)) {
        memcpy(pointers[0] + offset, from, (size_t)LANES_COUNT * bytes);
        return;
    }
    switch (bytes) {
    case 1:
        FOR_LANES(*(uint8_t *)(pointers[i] + offset) = ((const uint8_t *)from)[i]);
        break;
    case 2:
        FOR_LANES(*(uint16_t *)(pointers[i] + offset) = ((const uint16_t *)from)[i]);
        break;
    case 4:
        FOR_LANES(*(uint32_t *)(pointers[i] + offset) = ((const uint32_t *)from)[i]);
        break;
    default:
        FOR_LANES(*(uint64_t *)(pointers[i] + offset) = ((const uint64_t *)from)[i]);
    }
}

#ifdef LANES_AVX2
const struct lanes_ops lanes_avx2 = {lanes_place, lanes_load, lanes_store};
#else
const struct lanes_ops lanes_plain = {lanes_place, lanes_load, lanes_store};
#endif
