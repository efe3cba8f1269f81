/* Paths of a device process; see place.h. Shared by softgpud and its clients, so that both mean the same
 * place. */
#include "softgpu/device/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "softgpu/device/protocol.h"

/* Inside a `vgpu run` the device is the run's, whatever the environment says or no longer says: beside the
 * directory that this library lies in, the run has put a link to it (src/cli/run_mounts.c). Elsewhere there
 * is none. */
static bool place_of_run(char *buf, size_t buf_bytes)
{
    char own[PATH_MAX], link[PATH_MAX], found[PATH_MAX];

    if (paths_object_dir((const void *)(uintptr_t)place_of_run, own, sizeof(own)) < 0 ||
        place_path(own, "../aside/softgpu", link, sizeof(link)) < 0 || !realpath(link, found))
        return false;
    return (size_t)snprintf(buf, buf_bytes, "%s", found) < buf_bytes;
}

static int place_name(char *buf, size_t buf_bytes)
{
    const char *value = paths_env("VGPU_SOFTGPU_DIR");
    char runtime[PATH_MAX];
    int r;

    if (place_of_run(buf, buf_bytes))
        return 0;
    if (value) {
        int n = snprintf(buf, buf_bytes, "%s", value);

        return n < 0 || (size_t)n >= buf_bytes ? -ENAMETOOLONG : 0;
    }
    r = paths_runtime_dir(runtime, sizeof(runtime));
    return r < 0 ? r : place_path(runtime, "softgpu", buf, buf_bytes);
}

int place_make(char *buf, size_t buf_bytes, struct error *err)
{
    char name[PATH_MAX];
    int r = buf_bytes < PATH_MAX ? -EINVAL : place_name(name, sizeof(name));

    if (r < 0)
        return error_fail(err, r, "VGPU_SOFTGPU_DIR: %s", strerror(-r));
    r = paths_make_private_dir(name);
    if (r == 0 && !realpath(name, buf))
        r = -errno;
    if (r == -EPERM)
        return error_fail(err, r,
                          "VGPU_SOFTGPU_DIR: '%s' belongs to somebody else, or others may write to it", name);
    if (r < 0)
        return error_fail(err, r, "VGPU_SOFTGPU_DIR: '%s' cannot be made: %s", name, strerror(-r));
    return 0;
}

int place_path(const char *dir, const char *name, char *buf, size_t buf_bytes)
{
    int n = snprintf(buf, buf_bytes, "%s/%s", dir, name);

    return n < 0 || (size_t)n >= buf_bytes ? -ENAMETOOLONG : 0;
}

int place_address(const char *dir, struct sockaddr_un *ret_address, int *ret_dir_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char short_dir[32];
    int fd;

    *ret_dir_fd = -1;
    if (place_path(dir, PROTOCOL_SOCKET_NAME, address.sun_path, sizeof(address.sun_path)) < 0) {
        fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        snprintf(short_dir, sizeof(short_dir), "/proc/self/fd/%d", fd);
        place_path(short_dir, PROTOCOL_SOCKET_NAME, address.sun_path, sizeof(address.sun_path));
        *ret_dir_fd = fd;
    }
    *ret_address = address;
    return 0;
}
