/* Reading /proc/PID/cgroup; see cgroup.h. */
#include "daemon/cgroup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/say.h"

bool cgroup_ok(const char *text)
{
    size_t n = strlen(text);

    if (n < 2 || n >= CGROUP_MAX || text[0] != '/')
        return false;
    for (const char *part = text; part; part = strchr(part + 1, '/')) {
        size_t length = strcspn(part + 1, "/");

        if (!length || (length == 1 && part[1] == '.') || (length == 2 && part[1] == '.' && part[2] == '.'))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return true;
}

bool cgroup_contains(const char *outer, const char *inner)
{
    size_t n = strlen(outer);

    return !strncmp(outer, inner, n) && (inner[n] == '\0' || inner[n] == '/');
}

bool cgroup_parse(const char *text, char ret_path[CGROUP_MAX])
{
    char path[CGROUP_MAX];

    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t length;

        if (strncmp(line, "0::", 3) != 0)
            continue;
        length = strcspn(line + 3, "\n");
        if (length >= sizeof(path))
            return false;
        memcpy(path, line + 3, length);
        path[length] = '\0';
        if (!cgroup_ok(path)) /* the root, or outside ("/../...") */
            return false;
        memcpy(ret_path, path, length + 1);
        return true;
    }
    return false;
}

bool cgroup_of_process(int pid, char ret_path[CGROUP_MAX])
{
    char path[40], text[4096];
    CLEANUP_FCLOSE FILE *f = NULL;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    f = pid > 0 ? fopen(path, "re") : NULL;
    if (!f)
        return false;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    return cgroup_parse(text, ret_path);
}

struct instance *cgroup_find(struct daemon *daemon, const char *path)
{
    struct instance *found = NULL;
    size_t depth = 0;

    for (struct instance *i = daemon->instances; i; i = i->next) {
        size_t n = strlen(i->facts.cgroup);

        if (n > depth && cgroup_contains(i->facts.cgroup, path)) {
            found = i;
            depth = n;
        }
    }
    return found;
}

static bool pid_namespace(const char *process, char *buf, size_t buf_bytes)
{
    char path[40];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%s/ns/pid", process);
    n = readlink(path, buf, buf_bytes - 1);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0;
}

void cgroup_record(struct instance *instance, int pid)
{
    char process[16], its[64], own[64], path[CGROUP_MAX];

    if (instance->facts.cgroup[0] || instance->n_clients != 1)
        return;
    snprintf(process, sizeof(process), "%d", pid);
    if (!pid_namespace(process, its, sizeof(its)) || !pid_namespace("self", own, sizeof(own)) ||
        !strcmp(its, own) || !cgroup_of_process(pid, path))
        return;
    strcpy(instance->facts.cgroup, path);
    say("instance %s: its processes are those in control group %s", instance->facts.id, path);
}
