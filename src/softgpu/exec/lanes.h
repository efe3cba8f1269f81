/* The inner loops of memory access: 32 addresses to 32 checked pointers, 32 elements through them. Compiled
 * twice, plainly and for AVX2; lanes_best says which this processor runs. No state, no faults: the caller
 * decides what false means. */
#ifndef VGPU_SOFTGPU_EXEC_LANES_H
#define VGPU_SOFTGPU_EXEC_LANES_H

#include <stdbool.h>
#include <stdint.h>

enum { LANES_COUNT = 32 };

struct lanes_access {
    const void *addresses; /* lane array of width_bytes (4 or 8) each */
    unsigned width_bytes;
    uint64_t offset; /* added to each */
    uint32_t mask;   /* lanes that count; not 0 */
    uint64_t base, size_bytes;
    char *host;            /* [base, base + size_bytes) begins here */
    unsigned bytes, align; /* of each lane's element; align is a power of two */
};

struct lanes_ops {
    /* True and 32 pointers when every lane of mask is aligned and inside; lanes outside mask point where the
     * first one does. */
    bool (*place)(const struct lanes_access *access, char *ret_pointers[LANES_COUNT]);
    /* Elements of 1, 2, 4 or 8 bytes at pointers[lane] + offset, from or into a lane array. */
    void (*load)(void *to, char *const pointers[LANES_COUNT], uint64_t offset, unsigned bytes, uint32_t mask);
    void (*store)(const void *from, char *const pointers[LANES_COUNT], uint64_t offset, unsigned bytes,
                  uint32_t mask);
};

extern const struct lanes_ops lanes_plain;
#ifdef LANES_HAVE_AVX2
extern const struct lanes_ops lanes_avx2;
#endif

static inline const struct lanes_ops *lanes_best(void)
{
#ifdef LANES_HAVE_AVX2
    if (__builtin_cpu_supports("avx2"))
        return &lanes_avx2;
#endif
    return &lanes_plain;
}

#endif
