/* An error a person reads: a negative errno and one sentence that names the bad value, what was expected and what
 * to do. Owned by the caller, of fixed size, never allocates. For daemon, command line and plugins; code in a
 * tenant's process returns plain negative errno. */
#ifndef VGPU_BASE_ERROR_H
#define VGPU_BASE_ERROR_H

#include <errno.h>

enum { ERROR_TEXT_MAX = 480 };

struct error {
    int code; /* negative errno, 0 while nothing failed */
    char text[ERROR_TEXT_MAX];
};

/* Fills *err (which may be NULL) and returns code, so that `return error_fail(err, -EINVAL, "...")` reads well.
 * code: negative errno. Text longer than ERROR_TEXT_MAX - 1 bytes is cut. Thread-safe for distinct err. */
int error_fail(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The negative errno of the call that has just failed, for `return error_errno();`. Where a failed call set none it
 * is -EIO: no failure looks like success, to callers and to tools that follow the paths of a program. */
static inline int error_errno(void)
{
    int code = -errno;

    return code < 0 ? code : -EIO;
}

/* Puts "what: " before the text already in *err; keeps its code, which is returned. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
