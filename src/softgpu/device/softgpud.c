/* softgpud: the resident process of the software GPU. It owns device memory, the timeline and the liveness of
 * its users for one directory (VGPU_SOFTGPU_DIR). Clients start it on demand and tell it by --ready-fd where
 * they wait: it writes there one line that says why it could not start, or nothing, and closes it. Exactly
 * one runs in a directory: the one that holds the lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/paths.h"
#include "softgpu/device/describe.h"
#include "softgpu/device/place.h"
#include "softgpu/device/protocol.h"
#include "softgpu/device/server.h"

enum { IDLE_DEFAULT_S = 30, IDLE_MAX_S = 86400, LOG_MAX_BYTES = 1 << 20 };

struct options {
    int ready_fd; /* -1: nobody waits */
    bool is_foreground;
};

static const char usage[] =
    "usage: softgpud [--foreground] [--ready-fd FD]\n"
    "The device process of vgpu's software GPU. Programs that use the software GPU start it by themselves.\n"
    "  --foreground    stay in this terminal and log to stderr\n"
    "  --ready-fd FD   close FD when ready to serve; write one line there when that fails\n"
    "Environment: VGPU_SOFTGPU_DIR, VGPU_SOFTGPU_DEVICES, VGPU_SOFTGPU_IDLE_S (docs/softgpu.md).\n";

static int options_parse(int argc, char **argv, struct options *ret_options)
{
    static const struct option longs[] = {{"foreground", no_argument, NULL, 'f'},
                                          {"ready-fd", required_argument, NULL, 'r'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int c;

    *ret_options = (struct options){.ready_fd = -1};
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
            ret_options->is_foreground = true;
            break;
        case 'r':
            ret_options->ready_fd = atoi(optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return -EINVAL;
        }
    }
    return optind == argc ? 0 : -EINVAL;
}

/* A device process outlives its starter; it must not keep the starter's files, pipes and sockets open. */
static void close_inherited(int keep_fd)
{
    CLEANUP_DIR DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        int fd = atoi(entry->d_name);

        if (fd > STDERR_FILENO && fd != keep_fd && fd != dirfd(dir))
            close(fd);
    }
}

static int idle_from_env(uint64_t *ret_ns, struct error *err)
{
    const char *text = paths_env("VGPU_SOFTGPU_IDLE_S");
    unsigned long seconds = IDLE_DEFAULT_S;
    char *end = NULL;

    if (text) {
        seconds = strtoul(text, &end, 10);
        if (*end || *text < '0' || *text > '9' || seconds > IDLE_MAX_S)
            return error_fail(err, -EINVAL,
                              "VGPU_SOFTGPU_IDLE_S is '%.64s': expected are seconds from 0 to %d", text,
                              IDLE_MAX_S);
    }
    *ret_ns = seconds * NS_PER_S;
    return 0;
}

/* Two forks and a session of its own: no terminal, no parent that must wait for it. */
static int detach(void)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return -errno;
        if (pid > 0)
            _exit(0);
        if (i == 0 && setsid() < 0)
            return -errno;
    }
    return 0;
}

static int redirect_output(const char *dir, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    CLEANUP_FD int log = -1;
    CLEANUP_FD int null = -1;

    if (place_path(dir, PROTOCOL_LOG_NAME, path, sizeof(path)) < 0)
        return error_fail(err, -ENAMETOOLONG, "the path of '%s' is too long", dir);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (log < 0 || null < 0)
        return error_fail(err, -errno, "cannot open the log '%s': %s", path, strerror(errno));
    if (fstat(log, &st) == 0 && st.st_size > LOG_MAX_BYTES && ftruncate(log, 0) < 0)
        return error_fail(err, -errno, "cannot shorten the log '%s': %s", path, strerror(errno));
    if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        return error_fail(err, -errno, "cannot redirect the output: %s", strerror(errno));
    return 0;
}

/* -EALREADY: another one serves this directory. */
static int take_lock(const char *dir, int *ret_fd, struct error *err)
{
    char path[PATH_MAX];
    CLEANUP_FD int fd = -1;

    if (place_path(dir, PROTOCOL_LOCK_NAME, path, sizeof(path)) < 0)
        return error_fail(err, -ENAMETOOLONG, "the path of '%s' is too long", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_fail(err, -errno, "cannot open '%s': %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return error_fail(err, -EALREADY, "another softgpud serves '%s'", dir);
        return error_fail(err, -errno, "cannot lock '%s': %s", path, strerror(errno));
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* Two descriptors a client, so thousands of clients need more than the usual 1,024; and pacing needs a timer
 * without slack. */
static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_TIMERSLACK, 1);
}

static int serve(const char *dir, const struct describe *describe, uint64_t idle_ns, int *ready_fd,
                 struct error *err)
{
    CLEANUP_FD int lock = -1;
    struct server *server = NULL;
    int r = take_lock(dir, &lock, err);

    if (r == 0)
        r = server_open(dir, describe, idle_ns, &server, err);
    if (r < 0)
        return r;
    fprintf(stderr, "softgpud %d: serves %u device(s) in %s\n", (int)getpid(), describe->n_devices, dir);
    if (*ready_fd >= 0)
        close(steal_fd(ready_fd));
    r = server_run(server);
    server_close(server);
    fprintf(stderr, "softgpud %d: ends\n", (int)getpid());
    return r < 0 ? error_fail(err, r, "the event loop failed: %s", strerror(-r)) : 0;
}

static int start(const struct options *options, int *ready_fd, struct error *err)
{
    CLEANUP_FREE struct describe *describe = calloc(1, sizeof(*describe));
    char dir[PATH_MAX];
    uint64_t idle_ns = 0;
    int r;

    if (!describe)
        return error_fail(err, -ENOMEM, "out of memory");
    r = describe_from_env(describe, err);
    if (r == 0)
        r = place_make(dir, sizeof(dir), err);
    if (r == 0)
        r = idle_from_env(&idle_ns, err);
    if (r == 0 && !options->is_foreground) {
        r = detach();
        r = r < 0 ? error_fail(err, r, "cannot fork: %s", strerror(-r)) : redirect_output(dir, err);
    }
    if (r == 0 && chdir("/") < 0)
        r = error_fail(err, -errno, "cannot change to /: %s", strerror(errno));
    raise_limits();
    return r < 0 ? r : serve(dir, describe, idle_ns, ready_fd, err);
}

int main(int argc, char **argv)
{
    struct options options;
    struct error err = {0};
    int ready_fd, r;

    if (options_parse(argc, argv, &options) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    ready_fd = options.ready_fd;
    if (!options.is_foreground)
        close_inherited(ready_fd);
    umask(077);
    r = start(&options, &ready_fd, &err);
    /* That another one serves is no failure for a client that only wants one. */
    if (r == 0 || r == -EALREADY)
        return 0;
    if (ready_fd >= 0)
        dprintf(ready_fd, "%s", err.text);
    else
        fprintf(stderr, "softgpud: %s\n", err.text);
    return 1;
}
