/* Shared-memory areas; see area.h. Called by vgpud alone. */
#include "ledger/area.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#    define MFD_NOEXEC_SEAL 0x0008U
#endif

int area_new(const char *label, size_t bytes, int seals, int *ret_fd, void **ret_map, struct error *err)
{
    void *map;
    int r, fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* kernels before 6.3 */
        fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
        goto fail;
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        goto fail;
    if (fcntl(fd, F_ADD_SEALS, seals) < 0) {
        munmap(map, bytes);
        goto fail;
    }
    *ret_fd = fd;
    *ret_map = map;
    return 0;
fail:
    r = error_errno();
    error_fail(err, r, "cannot make the %s area of %zu bytes: %s", label, bytes, strerror(-r));
    if (fd >= 0)
        close(fd);
    return r;
}

int area_adopt(const char *label, int fd, size_t bytes, int seals, int prot, void **ret_map,
               struct error *err)
{
    int has = fcntl(fd, F_GET_SEALS);
    off_t end = lseek(fd, 0, SEEK_END);
    void *map;

    if (has < 0 || end < 0 || (size_t)end != bytes || (has & seals) != seals || (has & F_SEAL_WRITE))
        return error_fail(err, -EBADMSG, "the %s that was kept is not one of this vgpud", label);
    map = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        int r = error_errno();

        return error_fail(err, r, "the %s that was kept cannot be mapped: %s", label, strerror(-r));
    }
    *ret_map = map;
    return 0;
}
