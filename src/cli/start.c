/* Starting vgpud; see start.h. The child reports over a pipe, so that the reason why it cannot run reaches
 * the person who typed the command and not only a log. */
#include "cli/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"

enum { START_READY_FD = 3, START_HIGH_FD = 16, START_WAIT_MS = 10000 };

struct start {
    char program[PATH_MAX + 8], runtime_dir[PATH_MAX], log[PATH_MAX];
};

static int start_prepare(struct start *start, struct error *err)
{
    char own_dir[PATH_MAX];
    int r = paths_program_dir(own_dir, sizeof(own_dir));

    if (r < 0)
        return error_fail(err, r, "vgpu cannot tell where it is installed: %s", strerror(-r));
    snprintf(start->program, sizeof(start->program), "%s/vgpud", own_dir);
    if (access(start->program, X_OK) < 0)
        return error_fail(err, -errno, "%s cannot be run: %s; the install tree is not complete (vgpu doctor)",
                          start->program, strerror(errno));
    if (paths_runtime_dir(start->runtime_dir, sizeof(start->runtime_dir)) < 0 ||
        (size_t)snprintf(start->log, sizeof(start->log), "%s/vgpud.log", start->runtime_dir) >=
            sizeof(start->log))
        return error_fail(err, -ENAMETOOLONG,
                          "the runtime directory's path is too long; set VGPU_RUNTIME_DIR to a shorter one");
    r = paths_make_private_dir(start->runtime_dir);
    if (r < 0)
        return error_fail(
            err, r,
            "runtime directory %s cannot be used: %s; it must be yours and writable by you alone, or set "
            "VGPU_RUNTIME_DIR to another",
            start->runtime_dir, strerror(-r));
    return 0;
}

/* In the grandchild: nothing of the caller stays but the pipe. Async-signal-safe calls only, and exec. */
static _Noreturn void start_exec(const struct start *start, int ready_fd)
{
    int high_fd = fcntl(ready_fd, F_DUPFD, START_HIGH_FD); /* out of the way of what follows */
    int null_fd = open("/dev/null", O_RDWR);
    int log_fd = open(start->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    if (high_fd < 0 || null_fd < 0 || log_fd < 0 || chdir("/") < 0 || dup2(log_fd, 2) < 0 ||
        dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(high_fd, START_READY_FD) < 0)
        _exit(1);
    closefrom(START_READY_FD + 1);
    unsetenv("LD_PRELOAD"); /* a tenant's own `vgpu`: the library that stands before the driver has no
                               business in vgpud */
    execl(start->program, "vgpud", "--ready-fd", "3", (char *)NULL);
    _exit(1);
}

/* Reads the one line that vgpud reports. */
static int start_await(const struct start *start, int fd, struct error *err)
{
    char line[ERROR_TEXT_MAX] = "";
    size_t at = 0;
    ssize_t n = 0;

    while (at + 1 < sizeof(line) && !strchr(line, '\n')) {
        if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, START_WAIT_MS) == 0)
            return error_fail(err, -ETIMEDOUT, "vgpud did not begin to listen within %d s; its log is %s",
                              START_WAIT_MS / 1000, start->log);
        n = read(fd, line + at, sizeof(line) - 1 - at);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        at += n > 0 ? (size_t)n : 0;
        line[at] = '\0';
    }
    line[strcspn(line, "\n")] = '\0';
    if (!strcmp(line, "ready"))
        return 0;
    if (!strcmp(line, "busy"))
        return error_fail(err, -EAGAIN, "another vgpud holds %s", start->runtime_dir);
    if (!line[0])
        return error_fail(err, -EIO, "vgpud ended while starting; its log is %s", start->log);
    return error_fail(err, -EIO, "vgpud cannot start: %s", line);
}

int start_daemon(struct error *err)
{
    struct start start;
    int pipe_fds[2], r = start_prepare(&start, err);
    pid_t child;

    if (r < 0)
        return r;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_fail(err, -errno, "cannot make a pipe: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        setsid();
        if (fork() == 0)
            start_exec(&start, pipe_fds[1]);
        _exit(0);
    }
    close(pipe_fds[1]);
    if (child < 0) {
        r = error_fail(err, -errno, "cannot start vgpud: %s", strerror(errno));
    } else {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        r = start_await(&start, pipe_fds[0], err);
    }
    close(pipe_fds[0]);
    return r;
}
