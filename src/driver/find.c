/* Where the machine's own driver lies, without loading it: the directories of the dynamic linker's
 * configuration first, because there the administrator said so, then where distributions, NVIDIA's installer,
 * containers and WSL put it. */
#include "driver/driver.h"

#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { INCLUDE_DEPTH_MAX = 4 };

static const char *const well_known[] = {
#if defined(__x86_64__)
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu/nvidia",
    "/usr/lib/aarch64-linux-gnu/tegra",
#endif
    "/usr/lib64",
    "/usr/lib64/nvidia",
    "/usr/lib",
    "/usr/lib/nvidia",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/run/nvidia/driver/usr/lib64",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "/run/opengl-driver/lib",
    "/usr/lib/wsl/lib",
};

/* Does the file hold text? Our libraries bear their mark as a symbol, the toolkit's stubs and the software
 * GPU are not in these directories by the name libcuda.so.1 unless somebody put them there as the driver. */
static bool file_has_text(const char *path, const char *text)
{
    CLEANUP_FCLOSE FILE *file = fopen(path, "re");
    const size_t length = strlen(text);
    char buf[1 << 16];
    size_t kept = 0, n;

    if (!file)
        return false;
    while ((n = fread(buf + kept, 1, sizeof(buf) - kept, file)) > 0) {
        n += kept;
        if (memmem(buf, n, text, length))
            return true;
        kept = n < length ? n : length - 1;
        memmove(buf, buf + n - kept, kept);
    }
    return false;
}

static bool dir_has_driver(const char *dir)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/libcuda.so.1", dir);

    return n > 0 && (size_t)n < sizeof(path) && access(path, R_OK) == 0 &&
           !file_has_text(path, "vgpu_shim_mark");
}

static bool conf_find(const char *pattern, int depth, char *buf, size_t buf_bytes);

/* One line of ld.so.conf: a directory, or "include PATTERN". */
static bool line_find(char *line, int depth, char *buf, size_t buf_bytes)
{
    char *end;

    line[strcspn(line, "#\n")] = '\0';
    line += strspn(line, " \t");
    for (end = line + strlen(line); end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
        end[-1] = '\0';
    if (strncmp(line, "include", 7) == 0 && (line[7] == ' ' || line[7] == '\t'))
        return depth < INCLUDE_DEPTH_MAX &&
               conf_find(line + 8 + strspn(line + 8, " \t"), depth + 1, buf, buf_bytes);
    if (line[0] != '/' || strlen(line) >= buf_bytes || !dir_has_driver(line))
        return false;
    strcpy(buf, line);
    return true;
}

static bool conf_file_find(const char *path, int depth, char *buf, size_t buf_bytes)
{
    CLEANUP_FCLOSE FILE *file = fopen(path, "re");
    CLEANUP_FREE char *line = NULL;
    size_t room = 0;

    while (file && getline(&line, &room, file) >= 0)
        if (line_find(line, depth, buf, buf_bytes))
            return true;
    return false;
}

static bool conf_find(const char *pattern, int depth, char *buf, size_t buf_bytes)
{
    char absolute[PATH_MAX];
    bool found = false;
    glob_t files;
    int n = snprintf(absolute, sizeof(absolute), "%s%s", pattern[0] == '/' ? "" : "/etc/", pattern);

    if (n < 0 || (size_t)n >= sizeof(absolute) || glob(absolute, 0, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc && !found; i++)
        found = conf_file_find(files.gl_pathv[i], depth, buf, buf_bytes);
    globfree(&files);
    return found;
}

int driver_find(char *buf, size_t buf_bytes)
{
    if (conf_find("/etc/ld.so.conf", 0, buf, buf_bytes))
        return 0;
    for (size_t i = 0; i < sizeof(well_known) / sizeof(well_known[0]); i++) {
        if (strlen(well_known[i]) < buf_bytes && dir_has_driver(well_known[i])) {
            strcpy(buf, well_known[i]);
            return 0;
        }
    }
    return -ENOENT;
}
