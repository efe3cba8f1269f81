/* The checks that need no vgpud: files of the install tree, whether the loader takes our libraries, and what
 * the kernel can. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "cli/doctor.h"
#include "cli/run_mounts.h"

#ifndef F_SEAL_FUTURE_WRITE
#    define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef SO_PEERPIDFD
#    define SO_PEERPIDFD 77
#endif

static const char reinstall[] = "install vgpu again, or build it with ./dev build";

static bool own_dir(struct doctor *doctor, char dir[PATH_MAX])
{
    int r = paths_program_dir(dir, PATH_MAX);

    if (r < 0)
        doctor_add(doctor, "install tree", DOCTOR_FAIL, reinstall,
                   "vgpu cannot tell where it is installed: %s", strerror(-r));
    return r == 0;
}

void doctor_check_install(struct doctor *doctor)
{
    static const char *const files[] = {
        "vgpud",
        VGPU_SHIM_FROM_BIN "/libcuda.so.1",
        VGPU_SHIM_FROM_BIN "/libnvidia-ml.so.1",
        VGPU_SOFTGPU_FROM_BIN "/libcuda.so.1",
        VGPU_SOFTGPU_FROM_BIN "/libnvidia-ml.so.1",
        VGPU_ASIDE_FROM_BIN,
    };
    char dir[PATH_MAX], path[PATH_MAX + 128];
    unsigned n_missing = 0;

    if (!own_dir(doctor, dir))
        return;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        if (access(path, R_OK) == 0)
            continue;
        n_missing++;
        doctor_add(doctor, "install tree", DOCTOR_FAIL, reinstall, "%s: %s", path, strerror(errno));
    }
    if (!n_missing)
        doctor_add(doctor, "install tree", DOCTOR_OK, NULL, "complete, at %s", dir);
}

/* Loads a library in a process of its own, since loading runs what is in it. Fills text with the loader's
 * complaint. */
static bool loads(const char *path, char *text, size_t text_bytes)
{
    int report[2], status = 0;
    ssize_t n = 0;
    pid_t pid;

    text[0] = '\0';
    if (pipe2(report, O_CLOEXEC) < 0)
        return false;
    pid = fork();
    if (pid == 0) {
        const char *problem = dlopen(path, RTLD_NOW | RTLD_LOCAL) ? "" : dlerror();

        if (write(report[1], problem, strlen(problem)) < 0)
            _exit(2);
        _exit(*problem != '\0');
    }
    close(report[1]);
    n = read(report[0], text, text_bytes - 1);
    close(report[0]);
    text[n > 0 ? n : 0] = '\0';
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    if (WIFSIGNALED(status))
        snprintf(text, text_bytes, "it crashes while it is loaded (signal %d)", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void doctor_check_loading(struct doctor *doctor)
{
    static const char *const libraries[] = {VGPU_SHIM_FROM_BIN "/libcuda.so.1",
                                            VGPU_SHIM_FROM_BIN "/libnvidia-ml.so.1"};
    char dir[PATH_MAX], path[PATH_MAX + 128], text[300];
    bool all = true;

    if (paths_program_dir(dir, sizeof(dir)) < 0)
        return;
    for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, libraries[i]);
        if (access(path, R_OK) < 0 ||
            loads(path, text, sizeof(text))) /* a missing one is the install tree's matter */
            continue;
        all = false;
        doctor_add(doctor, "libraries", DOCTOR_FAIL,
                   "this build does not fit this system; install one made for it", "%s", text);
    }
    if (strpbrk(dir, ": "))
        doctor_add(doctor, "libraries", DOCTOR_FAIL, "install vgpu elsewhere",
                   "nothing can be preloaded from '%s': a colon or a space is in it", dir);
    else if (all)
        doctor_add(doctor, "libraries", DOCTOR_OK, NULL, "the dynamic loader takes them");
}

static void check_seals(struct doctor *doctor)
{
    CLEANUP_FD int fd = memfd_create("vgpu-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        doctor_add(doctor, "sealed memory", DOCTOR_OK, NULL,
                   "limits can be shared so that tenants cannot write them");
    else
        doctor_add(doctor, "sealed memory", DOCTOR_FAIL,
                   "Linux 5.1 or later is needed; in a sandbox, allow memfd_create and its seals",
                   "the kernel gives no sealed memory: %s", strerror(errno));
}

static void check_pidfd(struct doctor *doctor)
{
    CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int pair[2], peer_fd = -1;
    socklen_t len = sizeof(peer_fd);
    bool by_socket;

    if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0) {
        doctor_add(doctor, "process handles", DOCTOR_FAIL,
                   "Linux 5.3 or later is needed; in a sandbox, allow the pidfd calls",
                   "the kernel gives no pidfd: %s", strerror(errno));
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    by_socket = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &peer_fd, &len) == 0;
    close(pair[0]);
    close(pair[1]);
    if (peer_fd >= 0)
        close(peer_fd);
    doctor_add(doctor, "process handles", DOCTOR_OK, NULL,
               by_socket ? "the end of a process is seen at once"
                         : "the end of a process is seen at once (by its pid: this kernel has "
                           "no SO_PEERPIDFD, which came with Linux 6.5)");
}

static void check_dmem(struct doctor *doctor)
{
    CLEANUP_FCLOSE FILE *f = fopen("/sys/fs/cgroup/cgroup.controllers", "re");
    char line[512] = "";

    if (f && fgets(line, sizeof(line), f) && strstr(line, "dmem"))
        doctor_add(doctor, "cgroup dmem", DOCTOR_OK, NULL,
                   "available: the kernel could hold memory limits itself");
    else
        doctor_add(doctor, "cgroup dmem", DOCTOR_WARN,
                   "nothing to do; it comes with Linux 6.14 and drivers that support it",
                   "not available: memory limits are held by vgpu's library alone, which a hostile program "
                   "can go round");
}

/* What to do where a command gets no mount namespace of its own. */
static const char *mounts_advice(void)
{
    if (geteuid() == 0)
        return "in a container, give it CAP_SYS_ADMIN, or start vgpu run outside of it";
    if (access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) == 0)
        return "root can permit it: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor "
               "profile for "
               "vgpu; or run vgpu as root";
    return "root can permit it: sysctl user.max_user_namespaces above 0, and on older Debians "
           "kernel.unprivileged_userns_clone=1; in a container, its seccomp profile; or run vgpu as root";
}

static void check_way_in(struct doctor *doctor)
{
    struct error err = {0};
    bool by_user;

    if (run_mounts_probe(&by_user, &err) == 0)
        doctor_add(doctor, "way in", DOCTOR_OK, NULL,
                   "our library stands at the driver's own path (a mount namespace%s)",
                   by_user ? " in a user namespace: setuid programs get no other rights inside" : "");
    else
        doctor_add(
            doctor, "way in", DOCTOR_WARN, mounts_advice(),
            "loader path and preload alone, which programs that open the driver by its path or empty their "
            "environment pass by: %s",
            err.text);
}

void doctor_check_kernel(struct doctor *doctor)
{
    check_way_in(doctor);
    check_seals(doctor);
    check_pidfd(doctor);
    check_dmem(doctor);
}
