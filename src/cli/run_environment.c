/* Building a tenant's environment; see run_environment.h. Loader path and preload together, because each
 * alone can be passed by: the path by a program's own RPATH, the preload by dlmopen. */
#include "cli/run_environment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"

/* ---- the list of variables ---- */

/* Sets name in the list, in place of an inherited one. */
static int set_variable(struct run_environment *environment, const char *name, const char *value)
{
    size_t n_name = strlen(name), i = 0;
    char *text;

    if (asprintf(&text, "%s=%s", name, value) < 0)
        return -ENOMEM;
    for (; i < environment->n; i++) {
        const char *variable = environment->variables[i];

        if (variable && !strncmp(variable, name, n_name) && variable[n_name] == '=')
            break;
    }
    if (i < environment->n)
        free(environment->variables[i]);
    else
        environment->n++;
    environment->variables[i] = text;
    return 0;
}

static int copy_own(struct run_environment *environment)
{
    enum { OURS_MAX = 16 };
    size_t n = 0;

    while (environ[n])
        n++;
    environment->variables = calloc(n + OURS_MAX, sizeof(*environment->variables));
    if (!environment->variables)
        return -ENOMEM;
    for (; environment->n < n; environment->n++)
        if (!(environment->variables[environment->n] = strdup(environ[environment->n])))
            return -ENOMEM;
    return 0;
}

/* Puts `first` before the inherited list of that name, unless it stands there already (a `vgpu run` inside
 * another). */
static int set_first_in_list(struct run_environment *environment, const char *name, const char *first)
{
    const char *inherited = getenv(name);
    size_t n = strlen(first);
    CLEANUP_FREE char *list = NULL;

    if (!inherited || !*inherited)
        return set_variable(environment, name, first);
    if (!strncmp(inherited, first, n) && (!inherited[n] || inherited[n] == ':'))
        return set_variable(environment, name, inherited);
    return asprintf(&list, "%s:%s", first, inherited) < 0 ? -ENOMEM : set_variable(environment, name, list);
}

/* ---- what goes into it ---- */

static int find_shim(char *dir, char *library, struct error *err)
{
    char own_dir[PATH_MAX], path[PATH_MAX + 64];
    int r = paths_program_dir(own_dir, sizeof(own_dir));

    if (r < 0)
        return error_fail(err, r, "vgpu cannot tell where it is installed: %s", strerror(-r));
    snprintf(path, sizeof(path), "%s/" VGPU_SHIM_FROM_BIN, own_dir);
    if (!realpath(path, dir))
        return error_fail(err, -errno, "%s is missing: the install tree is not complete (vgpu doctor)", path);
    if ((size_t)snprintf(library, PATH_MAX, "%s/libcuda.so.1", dir) >= PATH_MAX)
        return error_fail(err, -ENAMETOOLONG, "the install tree's path is too long");
    if (access(library, R_OK) < 0)
        return error_fail(err, -errno,
                          "%s cannot be read: %s; the install tree is not complete (vgpu doctor)", library,
                          strerror(errno));
    if (strpbrk(library, ": "))
        return error_fail(err, -EINVAL,
                          "vgpu is installed in '%s', but the dynamic loader can preload nothing from a path "
                          "with a colon or a "
                          "space in it; install it elsewhere",
                          dir);
    return 0;
}

/* The instance's devices for CUDA_VISIBLE_DEVICES: "GPU-...,GPU-...". */
static int set_visible_devices(struct run_environment *environment, const json_t *instance)
{
    const json_t *devices = json_object_get(instance, "devices");
    char *list = calloc(json_array_size(devices) + 1, 64);
    const json_t *device;
    size_t i;
    int r;

    if (!list)
        return -ENOMEM;
    json_array_foreach(devices, i, device)
    {
        const char *uuid = json_string_value(json_object_get(device, "uuid"));

        sprintf(list + strlen(list), "%s%.60s", i ? "," : "", uuid ? uuid : "");
    }
    r = set_variable(environment, "CUDA_VISIBLE_DEVICES", list);
    free(list);
    return r;
}

int run_environment_init(struct run_environment *environment, const json_t *granted, const char *socket_path,
                         const char *driver_dir, struct error *err)
{
    json_t *instance;
    const char *id, *granted_dir, *softgpu_dir, *driver_kind;
    int n_driver_devices, r;
    char shim_dir[PATH_MAX], shim_library[PATH_MAX];

    if (json_unpack((json_t *)granted, "{s:o, s:{s:s}, s:s, s:s, s:s, s:i}", "instance", &instance,
                    "instance", "id", &id, "driver_dir", &granted_dir, "softgpu_dir", &softgpu_dir,
                    "driver_kind", &driver_kind, "driver_device_count", &n_driver_devices) < 0)
        return error_fail(err, -EBADMSG, "vgpud's answer lacks a member; use vgpu and vgpud of one release");
    r = find_shim(shim_dir, shim_library, err);
    if (r < 0)
        return r;
    if (copy_own(environment) < 0 || set_variable(environment, "VGPU_INSTANCE", id) < 0 ||
        set_variable(environment, "VGPU_SOCKET", socket_path) < 0 ||
        set_variable(environment, "VGPU_DRIVER_DIR", driver_dir ? driver_dir : granted_dir) < 0 ||
        set_first_in_list(environment, "LD_LIBRARY_PATH", shim_dir) < 0 ||
        set_first_in_list(environment, "LD_PRELOAD", shim_library) < 0 ||
        (!strcmp(driver_kind, "software") &&
         set_variable(environment, "VGPU_SOFTGPU_DIR", softgpu_dir) < 0) ||
        (n_driver_devices > 1 && set_visible_devices(environment, instance) < 0))
        return error_fail(err, -ENOMEM, "out of memory");
    return 0;
}

void run_environment_done(struct run_environment *environment)
{
    for (size_t i = 0; i < environment->n; i++)
        free(environment->variables[i]);
    free(environment->variables);
    *environment = (struct run_environment){0};
}

/* ---- programs that the loader runs without our environment ---- */

/* Finds the file as execvp would. 0 or -ENOENT. */
static int find_program(const char *command, char candidate[PATH_MAX], struct stat *ret_stat)
{
    const char *path = getenv("PATH");

    if (strchr(command, '/')) {
        if (strlen(command) >= PATH_MAX || stat(command, ret_stat) < 0)
            return -ENOENT;
        strcpy(candidate, command);
        return 0;
    }
    for (path = path ? path : "/bin:/usr/bin";; path += strcspn(path, ":") + 1) {
        int n = (int)strcspn(path, ":");

        snprintf(candidate, PATH_MAX, "%.*s%s%s", n, path, n ? "/" : "", command);
        if (access(candidate, X_OK) == 0 && stat(candidate, ret_stat) == 0 && S_ISREG(ret_stat->st_mode))
            return 0;
        if (!path[n])
            return -ENOENT;
    }
}

bool run_environment_finds(const char *command)
{
    char path[PATH_MAX];
    struct stat st;

    return find_program(command, path, &st) == 0;
}

int run_environment_check(const char *command, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;

    if (find_program(command, path, &st) < 0)
        return 0;
    if (geteuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
        return error_fail(
            err, -EPERM,
            "'%s' has capabilities of its own, so the system ignores preloaded libraries for it and the "
            "limit would not hold; run it from a `vgpu run` of root's, or without them",
            command);
    if (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
        ((st.st_mode & S_ISGID) && st.st_gid != getegid()))
        return error_fail(err, -EPERM,
                          "'%s' runs with the rights of another user, so the system ignores preloaded "
                          "libraries for it and the limit "
                          "would not hold; run vgpu inside it instead (as in: %s vgpu run ...)",
                          command, command);
    return 0;
}
