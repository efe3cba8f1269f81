/* Starting and greeting softgpud; see link.h. Many processes may come here at once: the first one that takes
 * the start lock starts a softgpud, the others try to connect until it answers. softgpud's own lock is what
 * makes it one; the start lock only spares the herd. */
#include "softgpu/device/link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/paths.h"
#include "softgpu/device/place.h"

#define LINK_WAIT_NS  (10 * NS_PER_S)
#define LINK_RETRY_NS (2 * NS_PER_MS)

extern char **environ;

/* ---- starting ---- */

/* softgpud lies in libexec of the prefix whose library directory holds this object, which is one or two
 * levels (Debian's) deep. */
static int daemon_path(char *buf, size_t buf_bytes, struct error *err)
{
    static const char *const places[] = {"../../../libexec/vgpu/softgpud",
                                         "../../../../libexec/vgpu/softgpud"};
    const char *value = paths_env("VGPU_SOFTGPU_DAEMON");
    char dir[PATH_MAX];
    int r;

    if (value) {
        if ((size_t)snprintf(buf, buf_bytes, "%s", value) < buf_bytes && access(buf, X_OK) == 0)
            return 0;
        return error_fail(err, -ENOENT, "VGPU_SOFTGPU_DAEMON: '%s' is no program that can be run", value);
    }
    r = paths_object_dir((const void *)(uintptr_t)link_open, dir, sizeof(dir));
    if (r < 0)
        return error_fail(
            err, r,
            "cannot tell where this library lies, and so not where softgpud does: set VGPU_SOFTGPU_DAEMON");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (place_path(dir, places[i], buf, buf_bytes) == 0 && access(buf, X_OK) == 0)
            return 0;
    return error_fail(err, -ENOENT,
                      "softgpud is neither at '%s/%s' nor a level above: is vgpu installed whole? else set "
                      "VGPU_SOFTGPU_DAEMON",
                      dir, places[0]);
}

/* The environment of softgpud: this process's, with the directory made sure and without what the loader would
 * act on: softgpud must not load the libraries of the program that happens to start it. */
static char **daemon_environment(const char *dir_setting)
{
    size_t n = 0, kept = 0;
    char **copy;

    while (environ && environ[n])
        n++;
    copy = calloc(n + 2, sizeof(*copy));
    if (!copy)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "LD_", 3) && strncmp(environ[i], "VGPU_SOFTGPU_DIR=", 17))
            copy[kept++] = environ[i];
    copy[kept] = (char *)dir_setting;
    return copy;
}

/* Runs softgpud, whose first process ends as soon as it has forked; ready_fd becomes its descriptor 3. */
static int daemon_spawn(const char *path, const char *dir, int ready_fd)
{
    char setting[PATH_MAX + 32];
    char *argv[] = {(char *)"softgpud", (char *)"--ready-fd", (char *)"3", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char **env;
    pid_t pid;
    int r;

    snprintf(setting, sizeof(setting), "VGPU_SOFTGPU_DIR=%s", dir);
    env = daemon_environment(setting);
    if (!env)
        return -ENOMEM;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, ready_fd, 3);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    r = -posix_spawn(&pid, path, &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(env);
    /* ECHILD: the program reaps its children by itself. */
    while (r == 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}

/* Waits until softgpud closes its end; what it wrote before is why it could not start. */
static int daemon_wait_ready(int fd, uint64_t deadline_ns, struct error *err)
{
    char text[ERROR_TEXT_MAX];
    size_t n = 0;

    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (now_ns >= deadline_ns)
            return error_fail(err, -ETIMEDOUT, "softgpud was started, but is not ready after 10 s");
        if (poll(&poll_fd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) <= 0)
            continue;
        got = read(fd, text + n, sizeof(text) - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || n + (size_t)got == sizeof(text) - 1)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    return n ? error_fail(err, -EINVAL, "softgpud: %s", text) : 0;
}

static int daemon_start(const char *dir, uint64_t deadline_ns, struct error *err)
{
    char path[PATH_MAX];
    int ends[2], high_fd, r = daemon_path(path, sizeof(path), err);

    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_fail(err, -errno, "cannot make a pipe: %s", strerror(errno));
    /* dup2 onto itself would leave it close-on-exec. */
    high_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
    close(ends[1]);
    r = high_fd < 0 ? -errno : daemon_spawn(path, dir, high_fd);
    if (high_fd >= 0)
        close(high_fd);
    r = r < 0 ? error_fail(err, r, "cannot run '%s': %s", path, strerror(-r))
              : daemon_wait_ready(ends[0], deadline_ns, err);
    close(ends[0]);
    return r;
}

/* ---- connecting ---- */

static int sock_connect(const char *dir)
{
    /* The wait for a place in the backlog must end as well. */
    struct timeval wait = {.tv_sec = LINK_WAIT_NS / NS_PER_S};
    struct sockaddr_un address;
    int dir_fd, sock, r = place_address(dir, &address, &dir_fd);

    if (r < 0)
        return r;
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
        connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
        r = -errno;
    if (dir_fd >= 0)
        close(dir_fd);
    if (r < 0 && sock >= 0)
        close(sock);
    return r < 0 ? r : sock;
}

static int page_map(int fd, const struct protocol_page **ret_page)
{
    const struct protocol_page *page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        return -errno;
    if (page->magic != PROTOCOL_MAGIC || page->version != PROTOCOL_VERSION ||
        page->n_devices > SGDEV_DEVICES_MAX) {
        munmap((void *)page, sizeof(*page));
        return -EPROTONOSUPPORT;
    }
    *ret_page = page;
    return 0;
}

/* Says hello and reads the answer. -ECONNRESET: this softgpud is ending, try again. */
static int sock_greet(int sock, const struct describe *describe, bool is_explicit, uint64_t deadline_ns,
                      struct link *ret_link)
{
    struct protocol_request hello = {
        .head = {.magic = PROTOCOL_MAGIC, .version = PROTOCOL_VERSION, .kind = PROTOCOL_HELLO},
        .hello = {.fingerprint = describe_fingerprint(describe), .is_explicit = is_explicit},
    };
    struct protocol_answer answer;
    struct pollfd poll_fd = {.fd = sock, .events = POLLIN};
    uint64_t now_ns = clock_monotonic_ns();
    int page_fd = -1, n_fds = 1, r;
    ssize_t n;

    if (fdpass_send(sock, &hello, sizeof(hello), NULL, 0) < 0)
        return -ECONNRESET;
    if (now_ns >= deadline_ns || poll(&poll_fd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) <= 0)
        return -ETIMEDOUT;
    n = fdpass_recv(sock, &answer, sizeof(answer), &page_fd, &n_fds, 0);
    if (n <= 0)
        return -ECONNRESET;
    r = (size_t)n < PROTOCOL_ANSWER_HEAD_BYTES || answer.head.magic != PROTOCOL_MAGIC ? -EPROTO
                                                                                      : answer.status;
    if (r == PROTOCOL_RESTARTING)
        r = -ECONNRESET;
    if (r == 0 && n_fds != 1)
        r = -EPROTO;
    if (r == 0)
        r = page_map(page_fd, &ret_link->page);
    if (n_fds == 1)
        close(page_fd);
    if (r == 0)
        ret_link->sock = sock;
    return r;
}

/* One attempt. -ECONNREFUSED: nobody serves here (now). */
static int link_try(const char *dir, const struct describe *describe, bool is_explicit, uint64_t deadline_ns,
                    struct link *ret_link)
{
    int sock = sock_connect(dir), r;

    if (sock < 0)
        return sock == -ENOENT || sock == -ECONNREFUSED ? -ECONNREFUSED : sock;
    r = sock_greet(sock, describe, is_explicit, deadline_ns, ret_link);
    if (r < 0)
        close(sock);
    return r == -ECONNRESET ? -ECONNREFUSED : r;
}

static int link_explain(int r, const char *dir, struct error *err)
{
    if (r == PROTOCOL_OTHER_DEVICES)
        return error_fail(
            err, r,
            "other software devices than VGPU_SOFTGPU_DEVICES describes are in use in '%s': wait until its "
            "programs have ended, or choose another VGPU_SOFTGPU_DIR",
            dir);
    if (r == -EPROTONOSUPPORT)
        return error_fail(
            err, r, "the softgpud that serves '%s' is of another vgpu version: end its programs first", dir);
    if (r == -ETIMEDOUT || r == -ECONNREFUSED)
        return error_fail(err, -ETIMEDOUT, "no softgpud answers in '%s' after 10 s: its log is %s there", dir,
                          PROTOCOL_LOG_NAME);
    return error_fail(err, r, "cannot connect to the softgpud of '%s': %s", dir, strerror(-r));
}

int link_open(const struct describe *describe, bool is_explicit, struct link *ret_link, struct error *err)
{
    uint64_t deadline_ns = clock_monotonic_ns() + LINK_WAIT_NS;
    char dir[PATH_MAX], lock_path[PATH_MAX + 16];
    int lock = -1, r = place_make(dir, sizeof(dir), err);

    if (r < 0)
        return r;
    snprintf(lock_path, sizeof(lock_path), "%s/%s", dir, PROTOCOL_START_NAME);
    while ((r = link_try(dir, describe, is_explicit, deadline_ns, ret_link)) == -ECONNREFUSED &&
           clock_monotonic_ns() < deadline_ns) {
        if (lock < 0)
            lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0) {
            r = error_fail(err, -errno, "cannot open '%s': %s", lock_path, strerror(errno));
            break;
        }
        /* The starter keeps the lock until it is connected; it may have been let go of since the attempt
         * above, so that is repeated. */
        if (flock(lock, LOCK_EX | LOCK_NB) == 0 &&
            (r = link_try(dir, describe, is_explicit, deadline_ns, ret_link)) != -ECONNREFUSED)
            break;
        if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
            r = daemon_start(dir, deadline_ns, err);
            if (r < 0)
                break;
        }
        clock_sleep_until_ns(clock_monotonic_ns() + LINK_RETRY_NS);
    }
    if (lock >= 0)
        close(lock);
    if (r < 0 && !err->code)
        link_explain(r, dir, err);
    return r < 0 ? err->code : 0;
}
