/* Messages of vgpud's control socket; see control.h. Used by the daemon, the command line and, for one
 * exchange, by the library in a tenant's process: there a message fits the stack and nothing is allocated. */
#include "wire/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fdpass.h"

enum { SMALL_MESSAGE_BYTES = 1024 };

int control_check(const void *message, size_t bytes, struct control_header *ret_header)
{
    struct control_header header;

    if (bytes < sizeof(header))
        return -EBADMSG;
    memcpy(&header, message, sizeof(header));
    if (header.magic != CONTROL_MAGIC)
        return -EBADMSG;
    if (header.major != CONTROL_MAJOR)
        return -EPROTO;
    if (bytes > CONTROL_MESSAGE_MAX || header.bytes != bytes - sizeof(header))
        return -EBADMSG;
    *ret_header = header;
    return 0;
}

int control_send(int sock, enum control_type type, const void *body, size_t body_bytes, const int *fds,
                 int n_fds)
{
    const struct control_header header = {.magic = CONTROL_MAGIC,
                                          .major = CONTROL_MAJOR,
                                          .minor = CONTROL_MINOR,
                                          .type = (uint16_t)type,
                                          .bytes = (uint32_t)body_bytes};
    unsigned char small[SMALL_MESSAGE_BYTES], *message = small;
    size_t bytes = sizeof(header) + body_bytes;
    ssize_t sent;

    if (body_bytes > CONTROL_MESSAGE_MAX - sizeof(header))
        return -EMSGSIZE;
    if (bytes > sizeof(small) && !(message = malloc(bytes)))
        return -ENOMEM;
    memcpy(message, &header, sizeof(header));
    if (body_bytes)
        memcpy(message + sizeof(header), body, body_bytes);
    sent = fdpass_send(sock, message, bytes, fds, n_fds);
    if (message != small)
        free(message);
    return sent < 0 ? (int)sent : 0;
}

static int waits_set(int sock, unsigned wait_ms)
{
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
        return error_errno();
    return 0;
}

/* wait_ms: 0 is for ever. */
int control_connect_within(const char *path, unsigned wait_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock, r;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return error_errno();
    r = wait_ms ? waits_set(sock, wait_ms) : 0;
    while (r == 0 && connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
        r = errno == EINTR ? 0 : error_errno();
    if (r < 0) {
        close(sock);
        return r;
    }
    return sock;
}

int control_connect(const char *path)
{
    return control_connect_within(path, 0);
}
