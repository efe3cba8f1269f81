/* Moving whole lane arrays about for the interpreter: mov's vector packing, changes of width. Values pass
 * as bits. */
/* clang-format off: macros and tables, laid out by hand */
#include <string.h>

#include "softgpu/exec/alu_lanes.h"

void alu_pack(void *dst, const void *const *parts, unsigned n, unsigned part_bytes, uint32_t mask)
{
    unsigned char *out = dst;

    for (uint32_t left = mask; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        for (unsigned part = 0; part < n; part++)
            memcpy(out + (lane * n + part) * part_bytes, (const unsigned char *)parts[part] + lane * part_bytes,
                   part_bytes);
    }
}

void alu_unpack(void *const *parts, const void *src, unsigned n, unsigned part_bytes, uint32_t mask)
{
    const unsigned char *in = src;

    for (uint32_t left = mask; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        unsigned char whole[64];

        /* By way of a copy: one of the parts may be the source array itself. */
        if (n * part_bytes > sizeof whole)
            return;
        memcpy(whole, in + lane * n * part_bytes, n * part_bytes);
        for (unsigned part = 0; part < n; part++)
            if (parts[part])
                memcpy((unsigned char *)parts[part] + lane * part_bytes, whole + part * part_bytes, part_bytes);
    }
}

/* ---- changes of width: one loop for each pair, vector code when all lanes are on ---- */

#define RESIZE(D, S)                                                                                            \
    do {                                                                                                        \
        D *out = dst;                                                                                           \
        const S *in = src;                                                                                      \
        if (mask == ALU_ALL)                                                                                    \
            ALU_INDEPENDENT for (unsigned i = 0; i < ALU_LANES; i++) out[i] = (D)in[i];                         \
        else                                                                                                    \
            for (uint32_t left = mask; left; left &= left - 1)                                                  \
                out[__builtin_ctz(left)] = (D)in[__builtin_ctz(left)];                                          \
    } while (0)

#define DEFINE_FROM(name, S)                                                                                    \
    static void name(void *dst, unsigned dst_bytes, const void *src, uint32_t mask)                             \
    {                                                                                                           \
        switch (dst_bytes) {                                                                                    \
        case 1: RESIZE(uint8_t, S); break;                                                                      \
        case 2: RESIZE(uint16_t, S); break;                                                                     \
        case 4: RESIZE(uint32_t, S); break;                                                                     \
        case 8: RESIZE(uint64_t, S); break;                                                                     \
        default: RESIZE(alu_word128, S);                                                                  \
        }                                                                                                       \
    }
DEFINE_FROM(from_u8, uint8_t)
DEFINE_FROM(from_s8, int8_t)
DEFINE_FROM(from_u16, uint16_t)
DEFINE_FROM(from_s16, int16_t)
DEFINE_FROM(from_u32, uint32_t)
DEFINE_FROM(from_s32, int32_t)
DEFINE_FROM(from_u64, uint64_t)
DEFINE_FROM(from_s64, int64_t)
DEFINE_FROM(from_u128, alu_word128)

void alu_resize(void *dst, unsigned dst_bytes, const void *src, unsigned src_bytes, int is_signed, uint32_t mask)
{
    switch (src_bytes) {
    case 1:
        (is_signed ? from_s8 : from_u8)(dst, dst_bytes, src, mask);
        break;
    case 2:
        (is_signed ? from_s16 : from_u16)(dst, dst_bytes, src, mask);
        break;
    case 4:
        (is_signed ? from_s32 : from_u32)(dst, dst_bytes, src, mask);
        break;
    case 8:
        (is_signed ? from_s64 : from_u64)(dst, dst_bytes, src, mask);
        break;
    default:
        from_u128(dst, dst_bytes, src, mask);
    }
}
