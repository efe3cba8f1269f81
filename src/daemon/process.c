/* Reading /proc; see process.h. What a process says of itself there (its command) is a tenant's to choose. */
#include "daemon/process.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

enum { FLAG_EXITING = 0x4 /* PF_EXITING of the kernel, in field 9 of /proc/PID/stat */ };

bool process_stat(int pid, struct process_stat *ret_stat)
{
    char path[40], line[512];
    CLEANUP_FCLOSE FILE *f = NULL;
    struct process_stat stat;
    const char *end;
    unsigned flags;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "re");
    if (!f || !fgets(line, sizeof(line), f))
        return false;
    end = strrchr(line, ')'); /* the command may hold anything, parentheses too */
    if (!end || sscanf(end + 1, " %c %d %*d %*d %*d %*d %u", &stat.state, &stat.parent_pid, &flags) != 3)
        return false;
    stat.exiting = flags & FLAG_EXITING;
    *ret_stat = stat;
    return true;
}

void process_command(int pid, char *buf, size_t buf_bytes)
{
    char path[40];
    CLEANUP_FCLOSE FILE *f = NULL;

    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    f = fopen(path, "re");
    if (!f || !fgets(buf, (int)buf_bytes, f))
        buf[0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    for (char *c = buf; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}
