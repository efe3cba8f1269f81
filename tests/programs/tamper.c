/* A tenant that means harm: a CUDA program that tries to change its own limit. It reads a word a line: the
 * name of an attempt is answered with what the kernel or vgpud said to it, "take BYTES" with the result of
 * cuMemAlloc, "names" with all attempts. The test judges by the limit afterwards, not by these words.
 * VGPUD_PID names the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "cuda.h"
#include "ledger/layout.h"
#include "wire/control.h"

#ifndef F_SEAL_FUTURE_WRITE
#    define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef SYS_pidfd_open
#    define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#    define SYS_pidfd_getfd 438
#endif

static const uint64_t forged_bytes = UINT64_C(1) << 40;
static volatile struct ledger_limits *limits; /* as the library mapped it */
static char range[64];                        /* of that mapping: "START-END" */
static int limits_fd = -1, ledger_fd = -1;    /* got from vgpud by an attach of our own */
static pid_t daemon_pid;
static const char *socket_path, *instance, *command; /* of the environment */
static char runtime_dir[256];
static char said[512]; /* vgpud's last words */

/* ---- what there is to attack ---- */

static void find_mapping(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long start, end;

    while (f && fgets(line, sizeof(line), f))
        if (strstr(line, "vgpu-limits") && sscanf(line, "%lx-%lx", &start, &end) == 2) {
            limits = (void *)start;
            snprintf(range, sizeof(range), "%lx-%lx", start, end);
        }
    if (f)
        fclose(f);
}

/* One request and its answer; the answer's type or negative errno. Words of an error stay in `said`. */
static int ask_on(int sock, enum control_type type, const void *body, size_t bytes, int fds[3])
{
    static unsigned char answer[CONTROL_MESSAGE_MAX];
    struct control_header header;
    int n_fds = 3, r = control_send(sock, type, body, bytes, NULL, 0);
    ssize_t n = r < 0 ? r : fdpass_recv(sock, answer, sizeof(answer), fds, &n_fds, 0);

    if (n <= 0 || control_check(answer, (size_t)n, &header) < 0)
        return n < 0 ? (int)n : -EBADMSG;
    if (header.type == CONTROL_ERROR)
        snprintf(said, sizeof(said), "%.479s",
                 ((struct control_error_body *)(answer + sizeof(header)))->text);
    return header.type;
}

static int ask(enum control_type type, const void *body, size_t bytes, int fds[3])
{
    int sock = control_connect(socket_path), r;

    if (sock < 0)
        return sock;
    r = ask_on(sock, type, body, bytes, fds);
    close(sock);
    return r;
}

static void get_descriptors(void)
{
    struct control_attach request = {.kind = CONTROL_CLIENT_PROCESS};
    int fds[3] = {-1, -1, -1};

    snprintf(request.instance, sizeof(request.instance), "%s", instance);
    if (ask(CONTROL_ATTACH, &request, sizeof(request), fds) == CONTROL_ATTACHED) {
        limits_fd = fds[0];
        ledger_fd = fds[1];
    }
}

/* ---- attempts: 0 when the system call went through, else -1 with errno ---- */

static sigjmp_buf fault;

static void faulted(int signal_number)
{
    siglongjmp(fault, signal_number);
}

static int store(void)
{
    signal(SIGSEGV, faulted);
    signal(SIGBUS, faulted);
    if (sigsetjmp(fault, 1)) {
        errno = EFAULT;
        return -1;
    }
    limits->devices[0].memory_limit_bytes = forged_bytes;
    return 0;
}

static int protect(void)
{
    return mprotect((void *)limits, sizeof(*limits), PROT_READ | PROT_WRITE) ? -1 : store();
}

static int punch_mapping(void)
{
    return madvise((void *)limits, sizeof(*limits), MADV_REMOVE);
}

/* Writes the forged limit at its place in a file: a descriptor of the area, or a process's memory. */
static int write_at(int fd, off_t base)
{
    off_t place = base + (off_t)offsetof(struct ledger_limits, devices[0].memory_limit_bytes);

    return pwrite(fd, &forged_bytes, sizeof(forged_bytes), place) < 0 ? -1 : 0;
}

static int write_file(const char *path, off_t base)
{
    int fd = open(path, O_RDWR), r = fd < 0 ? -1 : write_at(fd, base), e = errno;

    if (fd >= 0)
        close(fd);
    errno = e;
    return r;
}

static int self_mem(void)
{
    return write_file("/proc/self/mem", (off_t)(uintptr_t)limits);
}

static int self_map_files(void)
{
    char path[128];

    snprintf(path, sizeof(path), "/proc/self/map_files/%s", range);
    return write_file(path, 0);
}

static int self_vm_writev(void)
{
    struct iovec from = {.iov_base = (void *)&forged_bytes, .iov_len = sizeof(forged_bytes)};
    struct iovec to = {.iov_base = (void *)&limits->devices[0].memory_limit_bytes,
                       .iov_len = sizeof(forged_bytes)};

    return process_vm_writev(getpid(), &from, 1, &to, 1, 0) < 0 ? -1 : 0;
}

static int descriptor_write(void)
{
    return write_at(limits_fd, 0);
}

static int map_writable(int fd)
{
    struct ledger_limits *map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return -1;
    map->devices[0].memory_limit_bytes = forged_bytes;
    munmap(map, sizeof(*map));
    return 0;
}

static int descriptor_map(void)
{
    return map_writable(limits_fd);
}

static int reopen(char path[64])
{
    snprintf(path, 64, "/proc/self/fd/%d", limits_fd);
    return open(path, O_RDWR);
}

static int reopen_write(void)
{
    char path[64];
    int fd = reopen(path);

    return fd < 0 ? -1 : write_at(fd, 0);
}

static int reopen_map(void)
{
    char path[64];
    int fd = reopen(path);

    return fd < 0 ? -1 : map_writable(fd);
}

static int reopen_truncate(void)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", limits_fd);
    fd = open(path, O_RDWR | O_TRUNC);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static int change_mode(void)
{
    return fchmod(limits_fd, 0777) ? -1 : write_at(limits_fd, 0);
}

static int change_path_mode(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", limits_fd);
    return chmod(path, 0777) ? -1 : reopen_map();
}

static int shrink(void)
{
    return ftruncate(limits_fd, 0);
}

static int grow(void)
{
    return ftruncate(limits_fd, 1 << 20);
}

static int shrink_ledger(void)
{
    return ftruncate(ledger_fd, 0);
}

static int punch(void)
{
    return fallocate(limits_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, sizeof(struct ledger_limits));
}

static int zero_range(void)
{
    return fallocate(limits_fd, FALLOC_FL_ZERO_RANGE, 0, sizeof(struct ledger_limits));
}

static int add_seals(void)
{
    return fcntl(limits_fd, F_ADD_SEALS, F_SEAL_WRITE); /* vgpud could not lower the limit any more */
}

/* ---- vgpud itself ---- */

static int daemon_mem(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/mem", (int)daemon_pid);
    return write_file(path, 0x10000);
}

static int daemon_descriptors(void)
{
    char path[64];
    int opened = 0;

    for (int i = 0; i < 64; i++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)daemon_pid, i);
        opened += open(path, O_RDWR) >= 0;
    }
    return opened ? 0 : -1;
}

static int daemon_maps(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/maps", (int)daemon_pid);
    return open(path, O_RDONLY) < 0 ? -1 : 0;
}

static int daemon_attach(void)
{
    return ptrace(PTRACE_ATTACH, daemon_pid, NULL, NULL) < 0 ? -1 : 0;
}

static int daemon_seize(void)
{
    return ptrace(PTRACE_SEIZE, daemon_pid, NULL, NULL) < 0 ? -1 : 0;
}

static int daemon_vm_writev(void)
{
    struct iovec from = {.iov_base = (void *)&forged_bytes, .iov_len = sizeof(forged_bytes)};
    struct iovec to = {.iov_base = (void *)limits, .iov_len = sizeof(forged_bytes)};

    return process_vm_writev(daemon_pid, &from, 1, &to, 1, 0) < 0 ? -1 : 0;
}

static int daemon_getfd(void)
{
    int pidfd = (int)syscall(SYS_pidfd_open, daemon_pid, 0), got = 0, e = 0;

    for (int i = 0; i < 64; i++) {
        got += syscall(SYS_pidfd_getfd, pidfd, i, 0) >= 0;
        e = errno == EBADF && e ? e : errno;
    }
    close(pidfd);
    errno = e;
    return got ? 0 : -1;
}

/* ---- forged messages ---- */

static int send_set(const char *name)
{
    char text[256];
    int r;

    snprintf(
        text, sizeof(text),
        "{\"op\":\"instance.set\",\"instance\":\"%s\",\"memory_limit_bytes\":2147483648,\"overcommit\":true}",
        name);
    r = ask(CONTROL_JSON, text, strlen(text), NULL);
    errno = EPERM;
    return r == CONTROL_JSON ? 0 : -1;
}

static int set_own(void)
{
    return send_set(instance);
}

static int set_other(void)
{
    return send_set("other");
}

/* What a child has to say: the result in the first byte, then words. */
static void tell(int fd, int result)
{
    char message[sizeof(said) + 1];

    message[0] = (char)(result ? 1 : 0);
    memcpy(message + 1, said, sizeof(said));
    _exit(write(fd, message, sizeof(message)) < 0);
}

/* Sets the limit in a child; detached: in one that gave up its session, and whose parent has ended. */
static int set_in_child(int is_detached)
{
    char message[sizeof(said) + 1] = {1};
    int ends[2];
    pid_t pid;

    if (pipe(ends) < 0 || (pid = fork()) < 0)
        return 0;
    if (pid == 0) {
        pid_t parent = getpid();

        if (is_detached && (setsid() < 0 || fork() != 0))
            _exit(0);
        while (is_detached && getppid() == parent)
            usleep(1000);
        tell(ends[1], set_own());
    }
    close(ends[1]);
    if (read(ends[0], message, sizeof(message)) > 0)
        memcpy(said, message + 1, sizeof(said));
    close(ends[0]);
    waitpid(pid, NULL, 0);
    errno = EPERM;
    return message[0] ? -1 : 0;
}

static int child_set(void)
{
    return set_in_child(0);
}

static int detached_set(void)
{
    return set_in_child(1);
}

/* `vgpu instance set` with a clean environment. */
static int command_set(void)
{
    int ends[2], status = 0;
    ssize_t n;
    pid_t pid;

    if (pipe(ends) < 0 || (pid = fork()) < 0)
        return 0;
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        execle(command, "vgpu", "instance", "set", "tampering", "--memory", "2G", "--overcommit", NULL,
               (char *[]){runtime_dir, NULL});
        _exit(126);
    }
    close(ends[1]);
    n = read(ends[0], said, sizeof(said) - 1);
    said[n > 0 ? strcspn(said, "\n") : 0] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
    errno = EPERM;
    return WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* On a connection that a process made which is no more. */
static int borrowed_connection(void)
{
    static const char text[] =
        "{\"op\":\"instance.set\",\"instance\":\"tampering\",\"memory_limit_bytes\":2147483648}";
    int ends[2], sock = -1, n_fds = 1, r;
    char byte;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0 || (pid = fork()) < 0)
        return 0;
    if (pid == 0) {
        sock = control_connect(socket_path);
        _exit(fdpass_send(ends[1], "", 1, &sock, 1) < 0);
    }
    waitpid(pid, NULL, 0);
    if (fdpass_recv(ends[0], &byte, 1, &sock, &n_fds, 0) < 0)
        return 0;
    r = ask_on(sock, CONTROL_JSON, text, strlen(text), NULL);
    close(sock);
    close(ends[0]);
    close(ends[1]);
    errno = EPERM;
    return r == CONTROL_JSON ? 0 : -1;
}

static int daemon_stop(void)
{
    return kill(daemon_pid, SIGSTOP);
}

static int daemon_continue(void)
{
    return kill(daemon_pid, SIGCONT);
}

static const struct attempt {
    const char *name;
    int (*run)(void);
} attempts[] = {
    {"store through the mapping", store},
    {"mprotect the mapping", protect},
    {"madvise(MADV_REMOVE) the mapping", punch_mapping},
    {"write /proc/self/mem", self_mem},
    {"reopen /proc/self/map_files", self_map_files},
    {"process_vm_writev to itself", self_vm_writev},
    {"write the descriptor", descriptor_write},
    {"map the descriptor writable", descriptor_map},
    {"reopen /proc/self/fd and write", reopen_write},
    {"reopen /proc/self/fd and map", reopen_map},
    {"reopen /proc/self/fd with O_TRUNC", reopen_truncate},
    {"fchmod and write", change_mode},
    {"chmod /proc/self/fd, reopen and map", change_path_mode},
    {"ftruncate to nothing", shrink},
    {"ftruncate to more", grow},
    {"ftruncate the ledger", shrink_ledger},
    {"fallocate: punch a hole", punch},
    {"fallocate: zero", zero_range},
    {"add a seal", add_seals},
    {"write vgpud's /proc/PID/mem", daemon_mem},
    {"open vgpud's /proc/PID/fd", daemon_descriptors},
    {"read vgpud's /proc/PID/maps", daemon_maps},
    {"ptrace attach to vgpud", daemon_attach},
    {"ptrace seize vgpud", daemon_seize},
    {"process_vm_writev to vgpud", daemon_vm_writev},
    {"pidfd_getfd from vgpud", daemon_getfd},
    {"a forged request for its own limit", set_own},
    {"a forged request for another instance's limit", set_other},
    {"a forged request by a child", child_set},
    {"a forged request by a detached grandchild", detached_set},
    {"a forged request on a dead process's connection", borrowed_connection},
    {"vgpu instance set with a clean environment", command_set},
    {"stop vgpud (SIGSTOP)", daemon_stop},
    {"continue vgpud (SIGCONT)", daemon_continue},
};

static void obey(const char *word)
{
    size_t bytes;
    CUdeviceptr p;

    if (sscanf(word, "take %zu", &bytes) == 1) {
        const char *name = "?";

        cuGetErrorName(cuMemAlloc(&p, bytes), &name);
        printf("%s\n", name);
        return;
    }
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        if (!strcmp(word, "names")) {
            printf("%s%s", i ? "|" : "", attempts[i].name);
        } else if (!strcmp(word, attempts[i].name)) {
            said[0] = '\0';
            errno = 0;
            if (attempts[i].run() == 0)
                printf("went through%s%s\n", *said ? ": " : "", said);
            else
                printf("%s\n", *said ? said : strerror(errno));
            return;
        }
    }
    putchar('\n');
}

/* False when the test did not set all of it. */
static int read_environment(void)
{
    const char *pid = getenv("VGPUD_PID"), *dir = getenv("VGPU_RUNTIME_DIR");

    socket_path = getenv("VGPU_SOCKET");
    instance = getenv("VGPU_INSTANCE");
    command = getenv("VGPU_COMMAND");
    if (!pid || !dir || !socket_path || !instance || !command)
        return 0;
    daemon_pid = atoi(pid);
    snprintf(runtime_dir, sizeof(runtime_dir), "VGPU_RUNTIME_DIR=%s", dir);
    return 1;
}

int main(void)
{
    char line[256];
    CUdevice device;
    CUcontext context;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!read_environment())
        return 2;
    if (cuInit(0) || cuDeviceGet(&device, 0) || cuCtxCreate(&context, NULL, 0, device)) {
        printf("no device\n");
        return 1;
    }
    find_mapping();
    get_descriptors();
    printf("%s\n", limits && limits_fd >= 0 ? "ready" : "no limits to attack");
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    return 0;
}
