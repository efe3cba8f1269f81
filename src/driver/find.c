/* Where the machine's own driver lies, without loading it: the directories of the dynamic linker's
 * configuration first, because there the administrator said so, then where distributions, NVIDIA's installer,
 * containers and WSL put it. */
#include "driver/driver.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* Told of a directory; true ends the walk. */
typedef bool dir_visit_fn(const char *dir, void *context);

static bool conf_walk(const char *pattern, int depth, dir_visit_fn *visit, void *context);

/* One line of ld.so.conf: a directory, or "include PATTERN". */
static bool line_walk(char *line, int depth, dir_visit_fn *visit, void *context)
{
    char *end;

    line[strcspn(line, "#\n")] = '\0';
    line += strspn(line, " \t");
    for (end = line + strlen(line); end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
        end[-1] = '\0';
    if (strncmp(line, "include", 7) == 0 && (line[7] == ' ' || line[7] == '\t'))
        return depth < INCLUDE_DEPTH_MAX &&
               conf_walk(line + 8 + strspn(line + 8, " \t"), depth + 1, visit, context);
    return line[0] == '/' && visit(line, context);
}

static bool conf_file_walk(const char *path, int depth, dir_visit_fn *visit, void *context)
{
    CLEANUP_FCLOSE FILE *file = fopen(path, "re");
    CLEANUP_FREE char *line = NULL;
    size_t room = 0;

    while (file && getline(&line, &room, file) >= 0)
        if (line_walk(line, depth, visit, context))
            return true;
    return false;
}

static bool conf_walk(const char *pattern, int depth, dir_visit_fn *visit, void *context)
{
    char absolute[PATH_MAX];
    bool found = false;
    glob_t files;
    int n = snprintf(absolute, sizeof(absolute), "%s%s", pattern[0] == '/' ? "" : "/etc/", pattern);

    if (n < 0 || (size_t)n >= sizeof(absolute) || glob(absolute, 0, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc && !found; i++)
        found = conf_file_walk(files.gl_pathv[i], depth, visit, context);
    globfree(&files);
    return found;
}

/* Every directory where a driver may lie, the likeliest first. */
static bool dirs_walk(dir_visit_fn *visit, void *context)
{
    if (conf_walk("/etc/ld.so.conf", 0, visit, context))
        return true;
    for (size_t i = 0; i < sizeof(well_known) / sizeof(well_known[0]); i++)
        if (visit(well_known[i], context))
            return true;
    return false;
}

/* ---- one driver ---- */

struct found {
    char *buf;
    size_t buf_bytes;
};

static bool take_driver(const char *dir, void *context)
{
    struct found *found = context;

    if (strlen(dir) >= found->buf_bytes || !dir_has_driver(dir))
        return false;
    strcpy(found->buf, dir);
    return true;
}

int driver_find(char *buf, size_t buf_bytes)
{
    return dirs_walk(take_driver, &(struct found){buf, buf_bytes}) ? 0 : -ENOENT;
}

/* ---- every file of every driver ---- */

struct files {
    driver_file_fn *file;
    void *context;
    int result;
};

/* libcuda.so, libcuda.so.1, libcuda.so.580.65.06: nothing but digits and dots behind. */
static bool is_library(const char *name, const char *stem)
{
    size_t n = strlen(stem);

    return !strncmp(name, stem, n) && (!name[n] || name[n] == '.') &&
           strspn(name + n, ".0123456789") == strlen(name + n);
}

static int file_tell(const struct files *files, const char *dir, const char *name)
{
    char path[PATH_MAX], real[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= sizeof(path) || !realpath(path, real) || stat(real, &st) < 0 ||
        !S_ISREG(st.st_mode))
        return 0;
    return files->file(real, !strncmp(name, "libcuda", 7) ? DRIVER_CUDA : DRIVER_NVML, files->context);
}

static bool has_file(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

/* A system's library directory has thousands of entries, and reading it costs more than a program's start
 * may: so only one that has the driver by a name that programs open. ldconfig makes that name for every
 * version. */
static bool take_files(const char *dir, void *context)
{
    struct files *files = context;
    CLEANUP_DIR DIR *entries = NULL;
    const struct dirent *entry;

    if (!has_file(dir, "libcuda.so.1") && !has_file(dir, "libcuda.so") &&
        !has_file(dir, "libnvidia-ml.so.1") && !has_file(dir, "libnvidia-ml.so"))
        return false;
    entries = opendir(dir);
    while (entries && files->result == 0 && (entry = readdir(entries)))
        if (is_library(entry->d_name, "libcuda.so") || is_library(entry->d_name, "libnvidia-ml.so"))
            files->result = file_tell(files, dir, entry->d_name);
    return files->result != 0;
}

int driver_files_of(const char *dir, driver_file_fn *file, void *context)
{
    struct files files = {file, context, 0};

    take_files(dir, &files);
    return files.result;
}

int driver_files(driver_file_fn *file, void *context)
{
    struct files files = {file, context, 0};
    glob_t compat;

    dirs_walk(take_files, &files);
    if (files.result == 0 && glob("/usr/local/cuda*/compat", 0, NULL, &compat) == 0) {
        for (size_t i = 0; i < compat.gl_pathc && files.result == 0; i++)
            take_files(compat.gl_pathv[i], &files);
        globfree(&compat);
    }
    return files.result;
}
