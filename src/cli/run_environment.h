/* The environment that puts our library before the driver, for one command and all it starts. */
#ifndef VGPU_CLI_RUN_ENVIRONMENT_H
#define VGPU_CLI_RUN_ENVIRONMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

struct run_environment {
    char **variables; /* for execve: this process's environment with ours in it */
    size_t n;
};

/* granted: vgpud's answer to instance.create. driver_dir: where the command finds the real driver, NULL:
 * where vgpud says. Sets VGPU_INSTANCE, VGPU_SOCKET, VGPU_DRIVER_DIR, LD_LIBRARY_PATH (our libraries first),
 * LD_PRELOAD, for the software GPU VGPU_SOFTGPU_DIR, and CUDA_VISIBLE_DEVICES where the driver has more
 * devices than the instance. 0, or negative errno with err filled when the install tree is not complete or
 * its path cannot be preloaded. */
int run_environment_init(struct run_environment *environment, const json_t *granted, const char *socket_path,
                         const char *driver_dir, struct error *err);
void run_environment_done(struct run_environment *environment);

/* Whether PATH (or the path that it is) leads to such a command. */
bool run_environment_finds(const char *command);

/* Whether the loader will heed that environment for this command: -EPERM with err filled for a program with
 * more rights than its caller (setuid, setgid, file capabilities), to which a limit would not apply. A
 * command that is not found is no failure here. */
int run_environment_check(const char *command, struct error *err);

#endif
