/* The judge of shares: prints what the software device's own account says of each process, one line of JSON
 * at a time. It asks softgpud itself, through neither libcuda nor libnvidia-ml, opens no context and submits
 * no work, so it takes no part in the device's time. On a device with paced time the lines come at fixed
 * moments of the machine's clock.
 *
 *     judge [--device N] [--every MS] [--count N]
 *
 * t_ns is the device's clock; all busy times are totals since softgpud began, so a share is a difference of
 * two lines. A process is listed while it has a context on the device. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "number_option.h"
#include "softgpu/device/client.h"

static struct {
    unsigned long device, every_ms, count; /* count 0: until nobody reads */
} options = {.every_ms = 100};

static bool read_options(int argc, char **argv)
{
    static const struct number_option numbers[] = {{"--device", &options.device},
                                                   {"--every", &options.every_ms},
                                                   {"--count", &options.count},
                                                   {NULL, NULL}};

    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !number_option_read(numbers, argv[i], argv[i + 1]))
            return false;
    return options.every_ms > 0;
}

static void print_account(const struct sgdev_account *account, const struct sgdev_process *rows, size_t n)
{
    printf("{\"t_ns\": %llu, \"compute_busy_ns\": %llu, \"copy_busy_ns\": %llu, \"processes\": {",
           (unsigned long long)account->now_ns, (unsigned long long)account->busy_ns,
           (unsigned long long)account->copy_busy_ns);
    for (size_t i = 0; i < n; i++)
        printf("%s\"%d\": {\"compute_busy_ns\": %llu, \"copy_busy_ns\": %llu}", i ? ", " : "", rows[i].pid,
               (unsigned long long)rows[i].busy_ns, (unsigned long long)rows[i].copy_busy_ns);
    puts("}}");
}

/* False: softgpud is gone, or nobody reads. */
static bool report(struct sgdev *dev)
{
    static struct sgdev_process rows[SGDEV_PROCESSES_MAX];
    struct sgdev_account account;
    size_t n = SGDEV_PROCESSES_MAX;

    if (sgdev_account(dev, (unsigned)options.device, &account) < 0 ||
        sgdev_processes(dev, (unsigned)options.device, rows, &n) < 0) {
        fprintf(stderr, "judge: the software device does not answer\n");
        return false;
    }
    print_account(&account, rows, n < SGDEV_PROCESSES_MAX ? n : SGDEV_PROCESSES_MAX);
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct sgdev *dev;
    uint64_t next_ns;

    if (!read_options(argc, argv)) {
        fprintf(stderr, "usage: judge [--device N] [--every MS] [--count N]\n");
        return 2;
    }
    if (sgdev_open(&dev) < 0)
        return 1;
    next_ns = clock_monotonic_ns();
    for (unsigned long i = 0; !options.count || i < options.count; i++) {
        struct timespec until = {.tv_sec = (time_t)(next_ns / NS_PER_S),
                                 .tv_nsec = (long)(next_ns % NS_PER_S)};

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (!report(dev))
            return 1;
        next_ns += options.every_ms * NS_PER_MS;
    }
    sgdev_close(dev);
    return 0;
}
