/* vgpud: the one daemon of a runtime directory. Options, the lock that makes it the only one, the loop, and
 * its end: by a signal, or after a while without instances and connections. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/paths.h"
#include "daemon/daemon.h"
#include "daemon/grant.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/probe.h"
#include "daemon/reaper.h"
#include "daemon/linger.h"
#include "daemon/reconcile.h"
#include "daemon/request.h"
#include "daemon/say.h"
#include "daemon/sweep.h"

struct options {
    bool system;
    int ready_fd; /* -1: nobody waits */
    const char *idle_s;
    const char *probe;
};

static const char usage[] =
    "Usage: vgpud [--system] [--idle SECONDS]\n"
    "Hands out vGPU instances. `vgpu` starts it on demand; an administrator may run it for all users.\n"
    "\n"
    "  --system        let all users of the machine connect (socket mode 0666)\n"
    "  --idle SECONDS  end after that long without instances and connections; 0: never\n"
    "                  (default: VGPU_IDLE_S, or 60)\n"
    "  --help          this text\n"
    "  --version       version of program and protocol\n"
    "\n"
    "Its directory is VGPU_RUNTIME_DIR. See vgpud(8).\n";

/* ---- options ---- */

enum { TABLE_MAX = 16384 /* descriptors: more than the slots of some instances */ };

enum { OPTION_SYSTEM = 256, OPTION_IDLE, OPTION_READY_FD, OPTION_PROBE, OPTION_HELP, OPTION_VERSION };

static const struct option long_options[] = {
    {"system", no_argument, NULL, OPTION_SYSTEM},
    {"idle", required_argument, NULL, OPTION_IDLE},
    {"ready-fd", required_argument, NULL,
     OPTION_READY_FD},                                /* of `vgpu`: where to say "ready" or what went wrong */
    {"probe", required_argument, NULL, OPTION_PROBE}, /* of vgpud itself: inventory.c */
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* Returns the exit status to end with, or -1 to go on. */
static int options_parse(int argc, char **argv, struct options *ret_options)
{
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case OPTION_SYSTEM:
            ret_options->system = true;
            break;
        case OPTION_IDLE:
            ret_options->idle_s = optarg;
            break;
        case OPTION_READY_FD:
            ret_options->ready_fd = atoi(optarg);
            fcntl(ret_options->ready_fd, F_SETFD, FD_CLOEXEC);
            break;
        case OPTION_PROBE:
            ret_options->probe = optarg;
            break;
        case OPTION_HELP:
            fputs(usage, stdout);
            return 0;
        case OPTION_VERSION:
            printf("vgpud %s (control protocol %d.%d)\n", VGPU_VERSION, CONTROL_MAJOR, CONTROL_MINOR);
            return 0;
        default:
            return 2;
        }
    }
    if (optind < argc && !ret_options->probe) {
        fprintf(stderr, "vgpud: unexpected argument '%s'; vgpud takes options only (vgpud --help)\n",
                argv[optind]);
        return 2;
    }
    return -1;
}

static int idle_parse(const char *text, uint64_t *ret_ns, struct error *err)
{
    char *end;
    unsigned long seconds;

    if (!text) {
        *ret_ns = DAEMON_IDLE_S * NS_PER_S;
        return 0;
    }
    seconds = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || seconds > 100000000)
        return error_fail(
            err, -EINVAL,
            "idle time '%s' is not a whole number of seconds; set VGPU_IDLE_S or --idle to one, 0 for never",
            text);
    *ret_ns = seconds * NS_PER_S;
    return 0;
}

/* ---- start ---- */

static int join(char *buf, const char *dir, const char *name, struct error *err)
{
    if ((size_t)snprintf(buf, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
        return error_fail(err, -ENAMETOOLONG, "the path of %s in the runtime directory is too long", name);
    return 0;
}

static int paths_set(struct daemon *daemon, struct error *err)
{
    const char *softgpu_dir = paths_env("VGPU_SOFTGPU_DIR");
    const char *dir = daemon->runtime_dir;

    if (paths_runtime_dir(daemon->runtime_dir, sizeof(daemon->runtime_dir)) < 0)
        return error_fail(err, -ENAMETOOLONG,
                          "the runtime directory's path is too long; set VGPU_RUNTIME_DIR to a shorter one");
    if (join(daemon->socket_path, dir, "vgpud.sock", err) < 0 ||
        join(daemon->state_dir, dir, "instances", err) < 0 ||
        join(daemon->softgpu_dir, dir, "softgpu", err) < 0)
        return -ENAMETOOLONG;
    if (softgpu_dir)
        snprintf(daemon->softgpu_dir, sizeof(daemon->softgpu_dir), "%s", softgpu_dir);
    return 0;
}

/* What a tenant's environment brought along when vgpud was started from one. The software GPU's directory is
 * told to probes, so that they and the tenants mean the same. */
static void environment_clean(const struct daemon *daemon)
{
    unsetenv("LD_PRELOAD");
    if (paths_env("VGPU_INSTANCE")) /* then it is the tenant's driver, not the machine's */
        unsetenv("VGPU_DRIVER_DIR");
    unsetenv("VGPU_INSTANCE");
    unsetenv("VGPU_SOCKET");
    unsetenv("CUDA_VISIBLE_DEVICES");
    setenv("VGPU_SOFTGPU_DIR", daemon->softgpu_dir, 1);
}

/* Takes the lock that the one vgpud of a directory holds while it lives. -EAGAIN: another has it. The
 * descriptor stays open. */
static int lock_take(const struct daemon *daemon, bool system, struct error *err)
{
    char path[PATH_MAX], text[16];
    int fd, r = paths_make_private_dir(daemon->runtime_dir);

    if (r < 0)
        return error_fail(
            err, r, "runtime directory %s cannot be used: %s; it must be yours and writable by you alone",
            daemon->runtime_dir, strerror(-r));
    if (system && chmod(daemon->runtime_dir, 0711) < 0)
        return error_fail(err, -errno, "cannot open %s to other users: %s", daemon->runtime_dir,
                          strerror(errno));
    if (join(path, daemon->runtime_dir, "vgpud.lock", err) < 0)
        return -ENAMETOOLONG;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_fail(err, -errno, "cannot open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return error_fail(err, -EAGAIN, "another vgpud runs in %s already", daemon->runtime_dir);
    }
    snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
        say("cannot write the pid to %s: %s", path, strerror(errno));
    return 0;
}

static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- the loop ---- */

static void heartbeat(uv_timer_t *timer)
{
    instance_beat_all(timer->data, clock_monotonic_ns());
}

void daemon_instances_changed(struct daemon *daemon)
{
    daemon->idle_since_ns = clock_monotonic_ns();
    if (!daemon->n_instances) {
        uv_timer_stop(&daemon->heartbeat);
    } else if (!uv_is_active((uv_handle_t *)&daemon->heartbeat)) {
        uv_timer_start(&daemon->heartbeat, heartbeat, 0, DAEMON_HEARTBEAT_MS);
    }
}

static void daemon_end(struct daemon *daemon)
{
    unlink(daemon->socket_path);
    inventory_stop(&daemon->inventory);
    uv_stop(&daemon->loop);
}

static void housekeeping(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    uint64_t now_ns = clock_monotonic_ns();

    server_resume(&daemon->server);
    for (struct instance *i = daemon->instances; i; i = i->next)
        reaper_retry(i);
    instance_settle_all(daemon);
    reconcile_tick(daemon, now_ns);
    keeping_tick(daemon);
    grant_serve(daemon); /* instances over their limits may have freed some */
    if (daemon->n_instances || daemon->server.n_connections || !daemon->idle_ns ||
        now_ns - daemon->idle_since_ns < daemon->idle_ns)
        return;
    say("ending after %llu s without instances and connections",
        (unsigned long long)(daemon->idle_ns / NS_PER_S));
    daemon_end(daemon);
}

static void ended_by_signal(uv_signal_t *signal, int number)
{
    struct daemon *daemon = signal->data;

    say("ending by signal %d with %u instances", number, daemon->n_instances);
    daemon_end(daemon);
}

static void inventory_changed(void *context)
{
    struct daemon *daemon = context;

    request_resume_all(daemon);
    instance_find_drivers(daemon);
    grant_serve(daemon);
}

static void inventory_answered(void *context, enum inventory_kind kind, const json_t *document,
                               const struct error *why)
{
    reconcile_receive(context, kind, document, why);
}

static void table_grown(uv_handle_t *handle)
{
    close((int)(intptr_t)handle->data);
}

static void never_readable(uv_poll_t *watch, int status, int events)
{
}

/* libuv ends the program when its table of descriptors cannot grow, so it is made large while there is
 * memory: by watching, for a moment, a high descriptor. */
static void table_grow(uv_loop_t *loop)
{
    static uv_poll_t watch;
    struct rlimit limit;
    int low = eventfd(0, EFD_CLOEXEC), high;

    if (low < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    high = fcntl(low, F_DUPFD_CLOEXEC, limit.rlim_cur < TABLE_MAX ? (int)limit.rlim_cur - 1 : TABLE_MAX - 1);
    close(low);
    if (high < 0 || uv_poll_init(loop, &watch, high) < 0)
        return;
    watch.data = (void *)(intptr_t)high;
    uv_poll_start(&watch, UV_READABLE, never_readable);
    uv_close((uv_handle_t *)&watch, table_grown);
}

static int loop_prepare(struct daemon *daemon, unsigned socket_mode, struct error *err)
{
    static const int signals[] = {SIGTERM, SIGINT};
    int r = uv_loop_init(&daemon->loop);

    if (r < 0)
        return error_fail(err, r, "cannot make the event loop: %s", uv_strerror(r));
    table_grow(&daemon->loop);
    daemon->waiting_tail = &daemon->waiting;
    daemon->started_ns = daemon->idle_since_ns = clock_monotonic_ns();
    uv_timer_init(&daemon->loop, &daemon->heartbeat);
    uv_timer_init(&daemon->loop, &daemon->housekeeping);
    daemon->heartbeat.data = daemon->housekeeping.data = daemon;
    sweep_init(daemon);
    linger_init(daemon);
    share_init(daemon);
    keeping_open(daemon);
    r = signals_open(daemon, err);
    if (r < 0)
        return r;
    uv_timer_init(&daemon->loop, &daemon->save_timer);
    daemon->save_timer.data = daemon;
    uv_timer_start(&daemon->housekeeping, housekeeping, DAEMON_HOUSEKEEPING_MS, DAEMON_HOUSEKEEPING_MS);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        uv_signal_init(&daemon->loop, &daemon->ending[i]);
        daemon->ending[i].data = daemon;
        uv_signal_start(&daemon->ending[i], ended_by_signal, signals[i]);
    }
    inventory_init(&daemon->inventory, &daemon->loop, inventory_changed, inventory_answered, daemon);
    inventory_probe(&daemon->inventory, INVENTORY_NVIDIA, NULL);
    instance_load_all(daemon);
    return server_open(&daemon->server, daemon, daemon->socket_path, socket_mode, err);
}

static int daemon_start(struct daemon *daemon, const struct options *options, struct error *err)
{
    int r;

    if ((r = idle_parse(options->idle_s ? options->idle_s : paths_env("VGPU_IDLE_S"), &daemon->idle_ns,
                        err)) < 0 ||
        (r = paths_set(daemon, err)) < 0 || (r = lock_take(daemon, options->system, err)) < 0)
        return r;
    state_boot_id(daemon->boot_id, sizeof(daemon->boot_id));
    environment_clean(daemon);
    descriptors_raise();
    memory_init();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    umask(077);
    /* Tenants run under the same uid: they must not write limits through /proc/PID/mem or borrow descriptors.
     */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_fail(err, -errno, "vgpud cannot be made unreadable to its tenants: %s", strerror(errno));
    return loop_prepare(daemon, options->system ? 0666 : 0600, err);
}

/* Tells who started vgpud on demand how that went. */
static void report_ready(int ready_fd, const char *text)
{
    if (ready_fd < 0)
        return;
    dprintf(ready_fd, "%s\n", text);
    close(ready_fd);
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    struct options options = {.ready_fd = -1};
    struct error err = {0};
    int status = options_parse(argc, argv, &options);

    if (status >= 0)
        return status;
    if (options.probe)
        return probe_main(options.probe, argv[optind]);
    if (daemon_start(&daemon, &options, &err) < 0) {
        report_ready(options.ready_fd, err.code == -EAGAIN ? "busy" : err.text);
        if (err.code != -EAGAIN || options.ready_fd < 0)
            say("%s", err.text);
        return 1;
    }
    say("vgpud %s listens on %s", VGPU_VERSION, daemon.socket_path);
    report_ready(options.ready_fd, "ready");
    uv_run(&daemon.loop, UV_RUN_DEFAULT);
    return 0;
}
