/* Ownership by scope: `CLEANUP_FD int fd = open(...)` closes fd when the scope ends, `steal_fd(&fd)` hands it on.
 * For daemon, command line and tests; hooks in a tenant's process use plain early returns (docs/HACKING.md). */
#ifndef VGPU_BASE_CLEANUP_H
#define VGPU_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define CLEANUP_FREE   __attribute__((cleanup(cleanup_free)))
#define CLEANUP_FD     __attribute__((cleanup(cleanup_close)))
#define CLEANUP_FCLOSE __attribute__((cleanup(cleanup_fclose)))
#define CLEANUP_DIR    __attribute__((cleanup(cleanup_closedir)))

static inline int steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* Generic over pointer types: the result has the type of *pp. */
#define steal_ptr(pp)                                                                                        \
    ({                                                                                                       \
        __typeof__(*(pp)) taken_ = *(pp);                                                                    \
        *(pp) = NULL;                                                                                        \
        taken_;                                                                                              \
    })

#endif
