/* Ancillary data and peer identity of Unix sockets; see fdpass.h. */
#include "base/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
# define SO_PEERPIDFD 77
#endif
#ifndef SYS_pidfd_open
# define SYS_pidfd_open 434
#endif

ssize_t fdpass_send(int sock, const void *buf, size_t bytes, const int *fds, int n_fds)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (n_fds < 0 || n_fds > FDPASS_MAX)
        return -EINVAL;
    if (n_fds) {
        struct cmsghdr *cmsg;

        msg.msg_control = control.space;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * (size_t)n_fds);
    }
    do
        n = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Moves the descriptors of msg into fds; returns how many came, with those past room closed. */
static int take_fds(struct msghdr *msg, int *fds, int room)
{
    int came = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++, came++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (came < room)
                fds[came] = fd;
            else
                close(fd);
        }
    }
    return came;
}

ssize_t fdpass_recv(int sock, void *buf, size_t bytes, int *fds, int *n_fds, int flags)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
    } control;
    struct iovec iov = {.iov_base = buf, .iov_len = bytes};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
    int room = n_fds ? *n_fds : 0, came;
    ssize_t n;

    do
        n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    came = take_fds(&msg, fds, room);
    if (came > room || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        for (int i = 0; i < came && i < room; i++)
            close(fds[i]);
        if (n_fds)
            *n_fds = 0;
        return -EMSGSIZE;
    }
    if (n_fds)
        *n_fds = came;
    return n;
}

int fdpass_peer(int sock, struct fdpass_peer *ret_peer)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret_peer = (struct fdpass_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    return 0;
}

int fdpass_peer_pidfd(int sock)
{
    struct fdpass_peer peer = {0};
    socklen_t len = sizeof(int);
    int fd, r;

    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0)
        return fd;
    r = fdpass_peer(sock, &peer);
    if (r < 0)
        return r;
    if (peer.pid <= 0)
        return -ESRCH;
    fd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
    return fd < 0 ? -errno : fd;
}
