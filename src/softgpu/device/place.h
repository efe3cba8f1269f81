/* The directory of a device process and the address of its socket. */
#ifndef VGPU_SOFTGPU_DEVICE_PLACE_H
#define VGPU_SOFTGPU_DEVICE_PLACE_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

/* VGPU_SOFTGPU_DIR or its default, made if it is missing, as an absolute path (buf of at least PATH_MAX
 * bytes). 0, or negative errno with err filled: -EPERM when the directory is not this user's alone. */
int place_make(char *buf, size_t buf_bytes, struct error *err);

/* buf = dir/name. 0 or -ENAMETOOLONG. */
int place_path(const char *dir, const char *name, char *buf, size_t buf_bytes);

/* Address of dir's socket, and in *ret_dir_fd a descriptor to close after its use, or -1: a directory whose
 * path does not fit into an address is named through /proc/self/fd. 0 or negative errno. */
int place_address(const char *dir, struct sockaddr_un *ret_address, int *ret_dir_fd);

#endif
