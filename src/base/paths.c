/* Directories and environment; see paths.h. Used in tenants' processes too: allocates nothing, changes nothing there. */
#include "base/paths.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *paths_env(const char *name)
{
    const char *value = secure_getenv(name);

    return value && *value ? value : NULL;
}

int paths_runtime_dir(char *buf, size_t buf_bytes)
{
    const char *value = paths_env("VGPU_RUNTIME_DIR");
    int n;

    if (value)
        n = snprintf(buf, buf_bytes, "%s", value);
    else if (geteuid() == 0)
        n = snprintf(buf, buf_bytes, "/run/vgpu");
    else if ((value = paths_env("XDG_RUNTIME_DIR")))
        n = snprintf(buf, buf_bytes, "%s/vgpu", value);
    else
        n = snprintf(buf, buf_bytes, "/tmp/vgpu-%u", (unsigned)geteuid());
    return n < 0 || (size_t)n >= buf_bytes ? -ENAMETOOLONG : 0;
}

int paths_make_private_dir(const char *dir)
{
    char path[PATH_MAX];
    struct stat st;
    size_t len = strlen(dir);

    if (!len || len >= sizeof(path))
        return -ENAMETOOLONG;
    memcpy(path, dir, len + 1);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return st.st_uid == geteuid() && !(st.st_mode & 022) ? 0 : -EPERM;
}

int paths_program_dir(char *buf, size_t buf_bytes)
{
    char file[PATH_MAX], *slash;
    ssize_t n = readlink("/proc/self/exe", file, sizeof(file) - 1);

    if (n < 0)
        return -errno;
    file[n] = '\0';
    slash = strrchr(file, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    if (strlen(file) >= buf_bytes)
        return -ENAMETOOLONG;
    strcpy(buf, file);
    return 0;
}

int paths_object_dir(const void *symbol, char *buf, size_t buf_bytes)
{
    char real[PATH_MAX], *slash;
    Dl_info info;

    if (!dladdr(symbol, &info) || !info.dli_fname || !realpath(info.dli_fname, real))
        return -ENOENT;
    slash = strrchr(real, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    if (strlen(real) >= buf_bytes)
        return -ENAMETOOLONG;
    strcpy(buf, real);
    return 0;
}
