/* Decompression for fatbin.c: a small LZ4 block decoder, and zstd borrowed from the machine at run time. */
#include "softgpu/ptx/decompress.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

const char zstd_library_name[] = "libzstd.so.1";

/* ---- LZ4: a block is a row of (token, literals, distance back, match length) ---- */

enum { LZ4_LENGTH_MORE = 15, LZ4_MATCH_MIN = 4 };

struct lz4 {
    const uint8_t *from, *from_end;
    uint8_t *to_start, *to, *to_end;
};

/* A length that did not fit its 4 bits goes on in bytes, up to the first that is not 255. */
static bool lz4_length(struct lz4 *lz4, size_t *length)
{
    if (*length < LZ4_LENGTH_MORE)
        return true;
    uint8_t more;
    do {
        if (lz4->from == lz4->from_end)
            return false;
        more = *lz4->from++;
        *length += more;
    } while (more == UINT8_MAX);
    return true;
}

static bool lz4_literals(struct lz4 *lz4, size_t length)
{
    if (!lz4_length(lz4, &length) || length > (size_t)(lz4->from_end - lz4->from) ||
        length > (size_t)(lz4->to_end - lz4->to))
        return false;
    memcpy(lz4->to, lz4->from, length);
    lz4->from += length;
    lz4->to += length;
    return true;
}

static bool lz4_match(struct lz4 *lz4, size_t length)
{
    if (lz4->from_end - lz4->from < 2)
        return false;
    size_t distance = (size_t)(lz4->from[0] | lz4->from[1] << 8);
    lz4->from += 2;
    if (!lz4_length(lz4, &length))
        return false;
    length += LZ4_MATCH_MIN;
    if (!distance || distance > (size_t)(lz4->to - lz4->to_start) || length > (size_t)(lz4->to_end - lz4->to))
        return false;
    /* Byte by byte: a match may overlap what it writes, which repeats a pattern. */
    for (; length; length--, lz4->to++)
        *lz4->to = lz4->to[-(ptrdiff_t)distance];
    return true;
}

int lz4_decompress(const void *from, size_t from_bytes, void *to, size_t to_bytes, size_t *ret_bytes)
{
    struct lz4 lz4 = {.from = from, .to_start = to, .to = to};
    lz4.from_end = lz4.from + from_bytes;
    lz4.to_end = lz4.to + to_bytes;
    if (!from_bytes)
        return -EBADMSG;
    while (lz4.from < lz4.from_end) {
        unsigned token = *lz4.from++;
        if (!lz4_literals(&lz4, token >> 4))
            return -EBADMSG;
        if (lz4.from == lz4.from_end)
            break; /* the last row has literals only */
        if (!lz4_match(&lz4, token & 15))
            return -EBADMSG;
    }
    *ret_bytes = (size_t)(lz4.to - lz4.to_start);
    return 0;
}

/* ---- zstd ---- */

typedef size_t (*zstd_decompress_fn)(void *to, size_t to_bytes, const void *from, size_t from_bytes);
typedef unsigned (*zstd_is_error_fn)(size_t code);

int zstd_decompress(const char *library_name, const void *from, size_t from_bytes, void *to, size_t to_bytes,
                    size_t *ret_bytes)
{
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return -ELIBACC;
    int rc = -ELIBACC;
    zstd_decompress_fn decompress = (zstd_decompress_fn)dlsym(library, "ZSTD_decompress");
    zstd_is_error_fn is_error = (zstd_is_error_fn)dlsym(library, "ZSTD_isError");
    if (decompress && is_error) {
        size_t bytes = decompress(to, to_bytes, from, from_bytes);
        rc = is_error(bytes) ? -EBADMSG : 0;
        if (!rc)
            *ret_bytes = bytes;
    }
    dlclose(library);
    return rc;
}
