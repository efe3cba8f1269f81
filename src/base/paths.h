/* Where things lie. Every environment variable that vgpu reads is a row of PATHS_ENV; docs/environment.md prints it. */
#ifndef VGPU_BASE_PATHS_H
#define VGPU_BASE_PATHS_H

#include <stddef.h>

/*  X(name, default, help) */
#define PATHS_ENV(X)                                                                                         \
    X(VGPU_RUNTIME_DIR, "$XDG_RUNTIME_DIR/vgpu, for root /run/vgpu, else /tmp/vgpu-UID",                     \
      "directory of vgpud's control socket and state file")                                                  \
    X(VGPU_SOCKET, "VGPU_RUNTIME_DIR/vgpud.sock", "vgpud's control socket; `vgpu run` sets it for the tenant") \
    X(VGPU_INSTANCE, "", "id of the instance a process belongs to; `vgpu run` sets it for the tenant (docs/ways-in.md says when it is heeded)")       \
    X(VGPU_DRIVER_DIR, "", "directory that holds the driver behind the shim; `vgpu run` sets it for the tenant") \
    X(VGPU_SOFTGPU_DIR, "VGPU_RUNTIME_DIR/softgpu", "directory of the software GPU's device process")        \
    X(VGPU_SOFTGPU_DAEMON, "found beside the library", "path of softgpud, for a build that is not installed") \
    X(VGPU_SOFTGPU_IDLE_S, "30", "seconds without a user after which softgpud ends")                         \
    X(VGPU_SOFTGPU_DEVICES, "one device, 8 SMs, 16 GiB", "description of the software devices (docs/softgpu.md)") \
    X(VGPU_SOFTGPU_LIBDIR, "LIBDIR/vgpu/softgpu of the install tree", "directory of the software GPU's libraries, for tests") \
    X(VGPU_IDLE_S, "60", "seconds after which a vgpud without instances and connections ends; 0: never") \
    X(VGPU_LOG, "warn", "what libraries write to stderr: none, error, warn or debug")

/* Value of an environment variable of the table, or NULL when unset, empty, or ignored because the process runs with
 * more rights than its caller (secure_getenv). */
const char *paths_env(const char *name);

/* Writes the runtime directory into buf (PATH_MAX bytes suffice). 0, or -ENAMETOOLONG. Creates nothing. */
int paths_runtime_dir(char *buf, size_t buf_bytes);

/* Creates dir and its missing parents with mode 0700 and checks that the last one belongs to the caller and is not
 * writable by others. 0 or negative errno (-EPERM: somebody else's). */
int paths_make_private_dir(const char *dir);

/* Directory of the running program's file, links resolved: how programs find the install tree, whatever name they were started by. 0 or
 * -errno. */
int paths_program_dir(char *buf, size_t buf_bytes);

/* Directory of the object that holds address `symbol`, links resolved; libraries find the install tree from it. 0 or -errno. */
int paths_object_dir(const void *symbol, char *buf, size_t buf_bytes);

#endif
