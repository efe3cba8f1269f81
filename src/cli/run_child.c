/* The command's parent; see run_child.h. One poll loop over signals and the lease. The command stays in our
 * process group, so the terminal's own signals reach it without us; only what somebody sent to this process
 * is passed on. */
#include "cli/run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/run_environment.h"

struct child {
    struct client *client; /* fd -1 once vgpud is gone */
    pid_t pid;
    int signal_fd;
    uint64_t kill_at_ns;      /* 0: nobody asked for its end */
    sigset_t before;          /* mask of this process when it began, which is the command's */
    sighandler_t before_chld; /* and what it did with SIGCHLD: ignored, nobody's status could be had */
};

static void signals_wanted(sigset_t *ret_set)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};

    sigemptyset(ret_set);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        sigaddset(ret_set, wanted[i]);
}

/* ---- starting ---- */

/* What the new process says when it does not become the command. */
struct start_failure {
    int exec_errno; /* 0: it was the namespace, and err says why */
    struct error err;
};

static _Noreturn void child_exec(const struct child *child, char **command, char **environment,
                                 const struct run_mounts *mounts, int report_fd)
{
    struct start_failure failure = {0};

    if (!mounts || run_mounts_enter(mounts, &failure.err) == 0) {
        signal(SIGCHLD, child->before_chld);
        sigprocmask(SIG_SETMASK, &child->before, NULL);
        execvpe(command[0], command, environment);
        failure.exec_errno = errno;
    }
    if (write(report_fd, &failure, sizeof(failure)) < 0)
        _exit(CLI_RUN_FAILED);
    _exit(CLI_RUN_CANNOT_EXEC);
}

static int fail_exec(const char *command, int code)
{
    /* execvp says "permission denied" of a name it finds nowhere when it may not look into some directory of
     * PATH. */
    if (code == EACCES && !run_environment_finds(command))
        code = ENOENT;
    fprintf(stderr, "vgpu run: cannot run '%s': %s\n", command,
            code == ENOENT ? "there is no such command" : strerror(code));
    return code == ENOENT ? CLI_RUN_NOT_FOUND : CLI_RUN_CANNOT_EXEC;
}

/* Forks and waits until the command is executed. -1 and child->pid set, with *ret_failed when it was the
 * namespace and nothing runs; or the exit status to end with. */
static int child_start(struct child *child, char **command, char **environment,
                       const struct run_mounts *mounts, bool *ret_failed, struct error *err)
{
    struct start_failure failure = {0};
    int report[2];
    ssize_t n;

    *ret_failed = false;
    if (pipe2(report, O_CLOEXEC) < 0 || (child->pid = fork()) < 0) {
        fprintf(stderr, "vgpu run: cannot start a process: %s\n", strerror(errno));
        return CLI_RUN_FAILED;
    }
    if (child->pid == 0)
        child_exec(child, command, environment, mounts, report[1]);
    close(report[1]);
    do
        n = read(report[0], &failure, sizeof(failure));
    while (n < 0 && errno == EINTR);
    close(report[0]);
    if (n != (ssize_t)sizeof(failure))
        return -1;
    waitpid(child->pid, NULL, 0);
    if (failure.exec_errno)
        return fail_exec(command[0], failure.exec_errno);
    *ret_failed = true;
    *err = failure.err;
    return -1;
}

/* ---- while it runs ---- */

/* Reads one signal. True when the command ended, with its status. */
static bool take_signal(struct child *child, int *ret_status)
{
    struct signalfd_siginfo info;
    int status;

    if (read(child->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    if (info.ssi_signo != SIGCHLD) {
        if (info.ssi_code != SI_KERNEL) /* a key of the terminal reached the command as well */
            kill(child->pid, (int)info.ssi_signo);
        return false;
    }
    if (waitpid(child->pid, &status, WNOHANG) != child->pid)
        return false;
    *ret_status = WIFSIGNALED(status) ? CLI_RUN_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

/* vgpud ends the instance: the command gets the grace period that its GPU processes get. Those vgpud signals
 * itself. */
static void stop_asked(struct child *child, const json_t *event)
{
    const json_t *signalled = json_object_get(event, "signalled"), *pid;
    uint64_t grace_ms = (uint64_t)json_integer_value(json_object_get(event, "grace_ms"));
    bool reached = child->kill_at_ns != 0;
    size_t i;

    json_array_foreach(signalled, i, pid) reached |= json_integer_value(pid) == child->pid;
    if (!child->kill_at_ns)
        fprintf(stderr, "vgpu run: the instance is being stopped\n");
    if (!reached)
        kill(child->pid, SIGTERM);
    child->kill_at_ns = clock_monotonic_ns() + grace_ms * NS_PER_MS;
}

static void take_message(struct child *child)
{
    struct error err = {0};
    json_t *message = NULL;
    const char *event;

    if (client_receive(child->client, &message, &err) <= 0) {
        client_close(child->client);
        fprintf(
            stderr,
            "vgpu run: vgpud has ended; the command goes on, and new processes can join it when vgpud is back\n");
        return;
    }
    event = json_string_value(json_object_get(message, "event"));
    if (event && !strcmp(event, "instance.stopping"))
        stop_asked(child, message);
    json_decref(message);
}

static int wait_ms(const struct child *child)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (!child->kill_at_ns)
        return -1;
    return child->kill_at_ns > now_ns ? (int)((child->kill_at_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

static int child_await(struct child *child)
{
    int status = CLI_RUN_FAILED;

    for (;;) {
        struct pollfd fds[2] = {{.fd = child->signal_fd, .events = POLLIN},
                                {.fd = child->client->fd, .events = POLLIN}};
        int n = poll(fds, 2, wait_ms(child));

        if (n < 0 && errno != EINTR)
            return status;
        if (child->kill_at_ns && clock_monotonic_ns() >= child->kill_at_ns) {
            kill(child->pid, SIGKILL);
            child->kill_at_ns = clock_monotonic_ns() + NS_PER_S;
        }
        if (n > 0 && fds[1].revents)
            take_message(child);
        if (n > 0 && fds[0].revents && take_signal(child, &status))
            return status;
    }
}

int run_child(struct client *client, char **command, char **environment, const struct run_mounts *mounts,
              struct error *err)
{
    struct child child = {.client = client};
    sigset_t wanted;
    bool failed;
    int status;

    signals_wanted(&wanted);
    sigprocmask(SIG_BLOCK, &wanted, &child.before);
    child.before_chld = signal(SIGCHLD, SIG_DFL);
    child.signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC);
    if (child.signal_fd < 0) {
        fprintf(stderr, "vgpu run: cannot watch signals: %s\n", strerror(errno));
        return CLI_RUN_FAILED;
    }
    status = child_start(&child, command, environment, mounts, &failed, err);
    if (status < 0 && !failed)
        status = child_await(&child);
    close(child.signal_fd);
    signal(SIGCHLD, child.before_chld);
    if (failed)
        sigprocmask(SIG_SETMASK, &child.before, NULL); /* the next attempt passes it on as its own */
    return failed ? RUN_CHILD_NO_MOUNTS : status;
}
