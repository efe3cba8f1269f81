/* Prints what a process can see of itself before, between and after driver calls, in a forked child and after
 * an exec: what the library that stands before the driver must not change. Run with the driver alone and
 * inside a vGPU by tests/integ/invisible.py, which compares the texts. It knows nothing of vgpu but the names
 * of the variables that `vgpu run` sets.
 *
 *     invisible IMAGE ENDING       an ENDING of end_by, or "exec"
 *     invisible IMAGE fork         forks before the first call
 *     invisible NAMES zeros        calls each function that the file names, with zeros */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda.h"
#include "invisible.h"

enum { DESCRIPTORS_LOW = 128, DESCRIPTORS_MAX = 1024, SIGNALS = 65 };

/* ---- what a process sees of itself ---- */

/* Sockets and pipes without their numbers. */
static void print_descriptor(int fd)
{
    char path[64], target[512];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return;
    target[n] = '\0';
    if (strchr(target, '['))
        *strchr(target, '[') = '\0';
    printf(" %d=%s%s", fd, target, fcntl(fd, F_GETFD) & FD_CLOEXEC ? "(cloexec)" : "");
}

static void print_descriptors(void)
{
    printf("descriptors");
    for (int fd = 0; fd < DESCRIPTORS_LOW; fd++)
        print_descriptor(fd);
    printf("\nhigh descriptors");
    for (int fd = DESCRIPTORS_LOW; fd < DESCRIPTORS_MAX; fd++)
        print_descriptor(fd);
    printf("\n");
}

static void print_signals(void)
{
    stack_t stack;
    sigset_t mask;

    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigaltstack(NULL, &stack);
    printf("signals, alternate stack %d:", stack.ss_flags);
    for (int i = 1; i < SIGNALS; i++) {
        struct sigaction action;

        if (sigismember(&mask, i) > 0)
            printf(" %d=blocked", i);
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            printf(" %d=%s/%x", i, action.sa_handler == SIG_IGN ? "ignored" : "handled",
                   (unsigned)action.sa_flags);
    }
    printf("\n");
}

static int is_from_run(const char *variable)
{
    static const char *const names[] = {"VGPU_", "LD_PRELOAD=", "LD_LIBRARY_PATH=", "CUDA_VISIBLE_DEVICES="};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strncmp(variable, names[i], strlen(names[i])))
            return 1;
    return 0;
}

/* What `vgpu run` sets is left out; that nothing of it changes while the program runs is not. */
static void print_environment(void)
{
    static unsigned long before;
    unsigned long sum = 0;

    printf("environment");
    for (char **v = environ; *v; v++) {
        for (const char *c = *v; *c; c++)
            sum = sum * 31 + (unsigned char)*c;
        if (!is_from_run(*v))
            printf(" %s", *v);
    }
    printf("; %s\n", before && sum != before ? "changed" : "as before");
    before = sum;
}

static unsigned threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n - 2; /* without . and .. */
}

static void print_attributes(void)
{
    static const int limits[] = {RLIMIT_NOFILE,  RLIMIT_CORE, RLIMIT_STACK,
                                 RLIMIT_MEMLOCK, RLIMIT_AS,   RLIMIT_NPROC};
    mode_t mask = umask(0);
    char cwd[512] = "", name[16] = "";
    struct itimerval timer;
    struct rlimit limit;
    int death_signal = 0;

    umask(mask);
    getitimer(ITIMER_REAL, &timer);
    prctl(PR_GET_NAME, name);
    prctl(PR_GET_PDEATHSIG, &death_signal);
    printf("umask %03o, cwd %s, name %s, threads %u, locale %s, rounding %d, exceptions %x, timer %ld\n",
           (unsigned)mask, getcwd(cwd, sizeof(cwd)), name, threads(), setlocale(LC_ALL, NULL), fegetround(),
           (unsigned)fetestexcept(FE_ALL_EXCEPT & ~FE_INEXACT), (long)timer.it_value.tv_sec);
    printf(
        "dumpable %d, keeps capabilities %d, death signal %d, subreaper %d, policy %d, nice %d, session %d\n",
        prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS), death_signal, prctl(PR_GET_CHILD_SUBREAPER, &mask),
        sched_getscheduler(0), getpriority(PRIO_PROCESS, 0), getsid(0) == getpid());
    printf("limits");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (getrlimit((__rlimit_resource_t)limits[i], &limit) == 0)
            printf(" %lu/%lu", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    printf("\n");
}

/* Who it is and what it may, as the kernel says. */
static void print_identity(void)
{
    static const char *const fields[] = {
        "Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "Seccomp:", "NoNewPrivs:"};
    FILE *status = fopen("/proc/self/status", "re");
    char line[512];

    while (status && fgets(line, sizeof(line), status))
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            if (!strncmp(line, fields[i], strlen(fields[i])))
                printf("%s", line);
    if (status)
        fclose(status);
}

static const char *home_of(const void *function)
{
    const char *slash;
    Dl_info info;

    if (!function)
        return "none";
    if (!dladdr(function, &info))
        return "unknown";
    slash = strrchr(info.dli_fname, '/');
    return slash ? slash + 1 : info.dli_fname;
}

/* In which library names are found, as a program that wraps them looks for them. */
static void print_symbols(void)
{
    static const char *const names[] = {"cuInit",         "cuMemAlloc_v2",
                                        "cuLaunchKernel", "cuGetProcAddress_v2",
                                        "open",           "close",
                                        "read",           "write",
                                        "mmap",           "malloc",
                                        "free",           "fork",
                                        "execve",         "exit",
                                        "dlsym",          "dlopen",
                                        "signal",         "sigaction",
                                        "pthread_create", "setenv",
                                        "cuNothing",      "__libc_start_main"};

    printf("symbols");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        printf(" %s=%s,%s", names[i], home_of(dlsym(RTLD_DEFAULT, names[i])),
               home_of(dlsym(RTLD_NEXT, names[i])));
    printf("\n");
}

static void snapshot(const char *when)
{
    printf("---- %s\n", when);
    print_descriptors();
    print_signals();
    print_environment();
    print_attributes();
    print_identity();
    print_symbols();
    fflush(stdout);
}

/* ---- the program's life ---- */

static int zeros(const char *names_path)
{
    CUcontext context;

    calls_zero("before cuInit", names_path);
    cuInit(0);
    calls_zero("without a context", names_path);
    if (cuCtxCreate(&context, NULL, 0, 0) != CUDA_SUCCESS)
        return 1;
    calls_zero("with a context", names_path);
    return 0;
}

static void init(const char *when)
{
    CUresult result;
    int count = -1;

    errno = 4242;
    result = cuInit(0);
    printf("%s: cuInit = %d, errno %d\n", when, (int)result, errno);
    result = cuDeviceGetCount(&count);
    printf("%s: cuDeviceGetCount = %d, %d\n", when, (int)result, count);
}

static void fork_once(const char *when)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        snapshot("a forked child");
        init("the child");
        snapshot("a forked child after cuInit");
        fflush(stdout);
        _exit(3);
    }
    waitpid(pid, &status, 0);
    printf("the child's status %x\n", (unsigned)status);
    snapshot(when);
}

static void at_exit_first(void)
{
    printf("exit handler 1: cuCtxSynchronize = %d\n", (int)cuCtxSynchronize());
}

static void at_exit_last(void)
{
    CUcontext context;

    printf("exit handler 2: cuCtxGetCurrent = %d\n", (int)cuCtxGetCurrent(&context));
}

static void *exit_in_thread(void *unused)
{
    (void)unused;
    exit(9);
}

static int end_by(const char *ending)
{
    pthread_t thread;

    fflush(stdout);
    if (!strcmp(ending, "_exit"))
        _exit(5);
    if (!strcmp(ending, "abort"))
        abort();
    if (!strcmp(ending, "kill"))
        kill(getpid(), SIGTERM);
    if (!strcmp(ending, "segv"))
        raise(SIGSEGV);
    if (!strcmp(ending, "thread") && pthread_create(&thread, NULL, exit_in_thread, NULL) == 0)
        pause();
    if (!strcmp(ending, "pthread_exit"))
        pthread_exit(NULL);
    return 7;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    if (!strcmp(argv[2], "zeros"))
        return zeros(argv[1]);
    atexit(at_exit_first);
    snapshot("start");
    if (!strcmp(argv[2], "fork"))
        fork_once("after a fork before the first call");
    if (!strcmp(argv[2], "exec") || !strcmp(argv[2], "fork"))
        calls_refused("before cuInit");
    init("first");
    snapshot("after cuInit");
    if (!strcmp(argv[2], "exec")) {
        calls_refused("without a context");
        calls_ordinary(argv[1]);
        snapshot("after all calls");
        fork_once("after a fork");
        fflush(stdout);
        execl("/proc/self/exe", argv[0], argv[1], "return", NULL);
        return 2;
    }
    atexit(at_exit_last);
    return end_by(argv[2]);
}
