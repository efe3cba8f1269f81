/* The text of a device-side printf: vprintf(format, arguments) with both lying in the kernel's memory.
 *
 * Rules are C's with CUDA's extras: the result counts arguments, not characters; at most 32 arguments are
 * formatted, what follows is printed as it stands; so is a conversion C does not have, and %n. Arguments are
 * packed as the compiler lays out the buffer: each at a multiple of its own size, 4 bytes for int and
 * narrower, 8 for long, long long, pointers and double. Nothing here trusts the kernel: all memory is read
 * through `read`, widths and precisions are limited to PRINT_FIELD_MAX, and the output never passes its
 * buffer. */
#ifndef VGPU_SOFTGPU_EXEC_PRINT_H
#define VGPU_SOFTGPU_EXEC_PRINT_H

#include <stddef.h>
#include <stdint.h>

enum { PRINT_ARGUMENTS_MAX = 32, PRINT_FIELD_MAX = 4096 };

struct print_call {
    uint64_t format;    /* device address of the format string */
    uint64_t arguments; /* device address of the packed arguments; not read when the format asks for none */
    /* Copies up to `bytes` bytes from a device address; returns how many were there to copy (0: not mapped at
     * all). */
    size_t (*read)(void *owner, uint64_t address, void *buffer, size_t bytes);
    void *owner;
};

/* Formats into out (out_bytes > 0; the text is cut where it does not fit and is not NUL-terminated by
 * contract), *ret_bytes is the text's length. Returns what vprintf returns to the kernel: the number of
 * arguments, or -1 for a NULL format. -EFAULT: the format, an argument or a string lies outside memory,
 * *ret_fault is the address; ret_bytes is then untouched. Thread-safe, does not allocate or block. */
int print_format(const struct print_call *call, char *out, size_t out_bytes, size_t *ret_bytes,
                 uint64_t *ret_fault);

#endif
