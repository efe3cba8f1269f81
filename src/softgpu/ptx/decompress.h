/* The two compressions of fat binaries. Input is hostile: sizes are checked, nothing is written past `to`. */
#ifndef VGPU_SOFTGPU_PTX_DECOMPRESS_H
#define VGPU_SOFTGPU_PTX_DECOMPRESS_H

#include <stddef.h>

extern const char zstd_library_name[]; /* "libzstd.so.1" */

/* One LZ4 block (no frame). Returns 0 with *ret_bytes, at most to_bytes; -EBADMSG when it is damaged or does
 * not fit. */
int lz4_decompress(const void *from, size_t from_bytes, void *to, size_t to_bytes, size_t *ret_bytes);

/* A zstd frame, by the library of that name, opened for this call only: the software GPU must not be linked
 * with it. As above; -ELIBACC when there is no such library. */
int zstd_decompress(const char *library_name, const void *from, size_t from_bytes, void *to, size_t to_bytes,
                    size_t *ret_bytes);

#endif
