/* A mount namespace of a command's own, in which our libraries lie at every path of the driver's. This is the
 * first way in: it holds for programs that open the driver by its path, bring their own RPATH, or are started
 * without our environment. */
#ifndef VGPU_CLI_RUN_MOUNTS_H
#define VGPU_CLI_RUN_MOUNTS_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/stamp.h"

struct run_mounts {
    struct stamp stamp;                                  /* what our libraries will bear */
    char place[PATH_MAX], shim_dir[PATH_MAX];            /* of the install tree, links resolved */
    char softgpu_libdir[PATH_MAX], driver_dir[PATH_MAX]; /* outside: the software GPU's, the instance's */
    char source[PATH_MAX], softgpu_dir[PATH_MAX];        /* tree moved aside; software device or "" */
};

/* Works out what goes where; touches nothing. granted: vgpud's answer to instance.create. 0, or negative
 * errno with err filled: the install tree is not complete, or a `vgpu run` inside another one asks for
 * another driver. */
int run_mounts_init(struct run_mounts *mounts, const json_t *granted, const char *socket_path,
                    struct error *err);

/* Moves the calling process, which must have one thread, into a namespace of its own with all of it in place:
 * as root, or as a user by a user namespace in which he is who he was. 0, or negative errno with err filled;
 * the process may then be half moved and should end. */
int run_mounts_enter(const struct run_mounts *mounts, struct error *err);

/* Whether this process could have such a namespace, tried in a child. 0; or negative errno with err filled.
 * *ret_by_user: it takes a user namespace. */
int run_mounts_probe(bool *ret_by_user, struct error *err);

#endif
