/* Random numbers for ties and simulations: small, seeded, the same on every machine. The generator is
 * SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). Not for
 * secrets. */
#ifndef VGPU_PLACE_RANDOM_H
#define VGPU_PLACE_RANDOM_H

#include <stdint.h>

struct place_random {
    uint64_t state; /* any value is a good seed */
};

static inline uint64_t place_random_next(struct place_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in 0..n-1; n > 0. */
static inline uint64_t place_random_below(struct place_random *random, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)place_random_next(random) * n) >> 64);
}

/* Uniform in (0, 1]. */
static inline double place_random_unit(struct place_random *random)
{
    return (double)((place_random_next(random) >> 11) + 1) * 0x1p-53;
}

#endif
