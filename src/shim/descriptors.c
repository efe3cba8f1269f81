/* Descriptors with high numbers; see descriptors.h. A library's descriptors cannot be moved once it knows
 * them, so the low numbers are taken while it opens them and given back at once. Fails silently into low
 * numbers, which work as well: an application that counts its descriptors is the only one to notice. */
#include "shim/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FLOOR = 128, WORD_BITS = 64 };

/* Half of what the process may have, if that is less: never the reason why it can open no more. */
static int floor_of_process(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    return limit.rlim_cur / 2 < FLOOR ? (int)(limit.rlim_cur / 2) : FLOOR;
}

int descriptors_open_high(int (*open_something)(void))
{
    uint64_t taken[FLOOR / WORD_BITS] = {0};
    const int kept_errno = errno, floor = floor_of_process();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), r;

    /* Each gets the lowest number that is free. */
    while (fd >= 0 && fd < floor) {
        taken[fd / WORD_BITS] |= UINT64_C(1) << fd % WORD_BITS;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    if (fd >= 0)
        close(fd);
    r = open_something();
    for (fd = 0; fd < floor; fd++)
        if (taken[fd / WORD_BITS] >> fd % WORD_BITS & 1)
            close(fd);
    errno = kept_errno;
    return r;
}
