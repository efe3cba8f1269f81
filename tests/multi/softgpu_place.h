/* A directory of its own, with a softgpud of its own, for each test of the software device. Removing it ends
 * the softgpud. */
#ifndef VGPU_TESTS_MULTI_SOFTGPU_PLACE_H
#define VGPU_TESTS_MULTI_SOFTGPU_PLACE_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static char place[64];

static inline void place_begin(const char *devices)
{
    strcpy(place, "/tmp/softgpu-test.XXXXXX");
    if (!mkdtemp(place)) {
        perror("mkdtemp");
        exit(1);
    }
    setenv("VGPU_SOFTGPU_DIR", place, 1);
    setenv("VGPU_SOFTGPU_DEVICES", devices, 1);
    setenv("VGPU_SOFTGPU_IDLE_S", "30", 1);
}

/* Somebody holds the lock of the directory whose lock file is fd: a softgpud runs there. */
static inline bool place_is_served(int lock_fd)
{
    if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
        return true;
    flock(lock_fd, LOCK_UN);
    return false;
}

static inline int place_lock_fd(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/softgpud.lock", place);
    return open(path, O_RDWR | O_CLOEXEC);
}

static inline bool place_wait_unserved(int lock_fd, uint64_t wait_ns)
{
    uint64_t deadline_ns = clock_monotonic_ns() + wait_ns;

    while (place_is_served(lock_fd)) {
        if (clock_monotonic_ns() > deadline_ns)
            return false;
        clock_sleep_until_ns(clock_monotonic_ns() + NS_PER_MS);
    }
    return true;
}

static inline void place_remove(void)
{
    DIR *dir = opendir(place);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(place);
}

/* Starts of softgpud that its log tells of. */
static inline unsigned place_starts(void)
{
    char path[128], line[512];
    unsigned n = 0;
    FILE *log;

    snprintf(path, sizeof(path), "%s/softgpud.log", place);
    log = fopen(path, "re");
    while (log && fgets(line, sizeof(line), log))
        n += strstr(line, ": serves ") != NULL;
    if (log)
        fclose(log);
    return n;
}

#endif
