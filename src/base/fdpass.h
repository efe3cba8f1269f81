/* Descriptors over a Unix socket (SCM_RIGHTS) and what the kernel says of the peer. */
#ifndef VGPU_BASE_FDPASS_H
#define VGPU_BASE_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

enum { FDPASS_MAX = 8 };

/* Sends one message with n_fds descriptors (0 <= n_fds <= FDPASS_MAX); MSG_NOSIGNAL. Returns bytes sent or negative
 * errno. The descriptors stay the caller's. */
ssize_t fdpass_send(int sock, const void *buf, size_t bytes, const int *fds, int n_fds);

/* Receives one message; *n_fds says how many descriptors fds has room for and then how many came (close-on-exec, now
 * the caller's). More than that are closed and give -EMSGSIZE, as does a message cut short. Returns bytes, 0 at end
 * of file, or negative errno. */
ssize_t fdpass_recv(int sock, void *buf, size_t bytes, int *fds, int *n_fds, int flags);

struct fdpass_peer {
    pid_t pid; /* in the caller's pid namespace; 0 if the peer is not visible there */
    uid_t uid;
    gid_t gid;
};

/* SO_PEERCRED of a connected Unix socket. 0 or negative errno. */
int fdpass_peer(int sock, struct fdpass_peer *ret_peer);

/* A pidfd of the peer: SO_PEERPIDFD where the kernel has it (6.5), else pidfd_open of the peer's pid. Returns the
 * descriptor or negative errno. */
int fdpass_peer_pidfd(int sock);

#endif
