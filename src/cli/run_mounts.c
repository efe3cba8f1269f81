/* The namespace of `vgpu run`; see run_mounts.h. The install tree's `aside` directory, empty otherwise,
 * becomes a small file system of the run's own, sealed once it is filled:
 *
 * - libcuda.so.1 and libnvidia-ml.so.1: our libraries, stamped with the instance (base/stamp.h);
 * - real: the driver's directory as it is outside;
 * - softgpu: a link to the software device's directory (src/softgpu/device/place.c).
 *
 * For the software GPU `real` is the prefix that its libraries lie in, because they look for their daemon
 * relative to themselves. The two stamped files are then bound over every file of a driver that a program
 * could open, and over our own as installed. Everything here happens in the child that becomes the command,
 * so nothing of it can stay behind. */
#include "cli/run_mounts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "driver/driver.h"

enum { COVERED_MAX = 256 };

static const char *const library_names[] = {
    [DRIVER_CUDA] = "libcuda.so.1", [DRIVER_NVML] = "libnvidia-ml.so.1"};

static int path_join(char *buf, const char *dir, const char *name, struct error *err)
{
    if ((size_t)snprintf(buf, PATH_MAX, "%s/%s", dir, name) < PATH_MAX)
        return 0;
    return error_fail(err, -ENAMETOOLONG, "the path of %s in %s is too long", name, dir);
}

/* ---- what goes where ---- */

/* Where below bin's own directory the tree has something, links resolved. */
static int tree_path(char *buf, const char *own_dir, const char *from_bin, struct error *err)
{
    char path[PATH_MAX];
    int r = path_join(path, own_dir, from_bin, err);

    if (r == 0 && !realpath(path, buf))
        return error_fail(err, error_errno(), "%s is missing: the install tree is not complete (vgpu doctor)",
                          path);
    return r;
}

/* A library's bytes as far as the loader reads them; symbols for debuggers lie behind. 0 when it is no ELF
 * file of this machine's. */
static size_t loaded_bytes(const unsigned char *file, size_t file_bytes)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)file;
    const Elf64_Phdr *rows;
    size_t end = 0;

    if (file_bytes < sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) ||
        head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_phoff > file_bytes ||
        head->e_phnum > (file_bytes - head->e_phoff) / sizeof(*rows))
        return 0;
    rows = (const Elf64_Phdr *)(file + head->e_phoff);
    for (unsigned i = 0; i < head->e_phnum; i++) {
        if (rows[i].p_type != PT_LOAD)
            continue;
        if (rows[i].p_offset > file_bytes || rows[i].p_filesz > file_bytes - rows[i].p_offset)
            return 0;
        if (rows[i].p_offset + rows[i].p_filesz > end)
            end = rows[i].p_offset + rows[i].p_filesz;
    }
    return end;
}

struct image {
    unsigned char *bytes; /* a private mapping: changes stay ours */
    size_t n, mapped;
    struct stamp *stamp; /* in it */
};

static void image_done(struct image *image)
{
    if (image->bytes)
        munmap(image->bytes, image->mapped);
}

/* Maps the file and finds its stamp. 0 or negative errno; then nothing is to be done. */
static int image_map(struct image *image, const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *bytes;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno();
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return error_errno();
    *image = (struct image){.bytes = bytes, .mapped = (size_t)st.st_size};
    image->n = loaded_bytes(image->bytes, image->mapped);
    image->stamp = memmem(image->bytes, image->n, STAMP_MAGIC, STAMP_MAGIC_BYTES);
    if (image->stamp &&
        (size_t)(image->bytes + image->n - (unsigned char *)image->stamp) >= sizeof(struct stamp))
        return 0;
    image_done(image);
    return -EBADMSG;
}

/* False with err filled where it fails. */
static bool image_open(struct image *image, const char *path, struct error *err)
{
    int r = image_map(image, path);

    if (r == 0 && image->bytes && image->stamp)
        return true;
    if (r == -EBADMSG)
        error_fail(err, r, "%s has no place for a stamp: it is not of this release (vgpu doctor)", path);
    else
        error_fail(err, r, "%s cannot be read: %s", path, strerror(-r));
    return false;
}

/* The stamp of our library as this process sees it: an instance is in it inside another `vgpu run`. */
static int read_outer(const char *shim_dir, struct stamp *ret_outer, struct error *err)
{
    char path[PATH_MAX];
    struct image image = {0};
    int r = path_join(path, shim_dir, library_names[DRIVER_CUDA], err);

    if (r < 0)
        return r;
    if (!image_open(&image, path, err))
        return err->code;
    *ret_outer = *image.stamp;
    image_done(&image);
    return 0;
}

/* Which tree is moved aside, and where the driver's directory is in it. */
static int place_driver(struct run_mounts *mounts, const char *prefix, struct error *err)
{
    const char *inside = "", *driver_dir = mounts->driver_dir;
    size_t n = strlen(prefix);
    struct stamp outer = {0};
    int r = read_outer(mounts->shim_dir, &outer, err);

    if (r < 0)
        return r;
    if (outer.instance[0]) {
        if (strcmp(outer.outside_dir, driver_dir))
            return error_fail(err, -EXDEV, "inside a `vgpu run` there is no other driver than its own (%s)",
                              outer.outside_dir);
        memcpy(mounts->stamp.driver_dir, outer.driver_dir, sizeof(outer.driver_dir));
        return path_join(mounts->source, mounts->place, "real", err);
    }
    snprintf(mounts->source, sizeof(mounts->source), "%s", driver_dir);
    if (!strcmp(driver_dir, mounts->softgpu_libdir) && !strncmp(driver_dir, prefix, n) &&
        driver_dir[n] == '/') {
        snprintf(mounts->source, sizeof(mounts->source), "%s", prefix);
        inside = driver_dir + n;
    }
    if ((size_t)snprintf(mounts->stamp.driver_dir, STAMP_DIR_BYTES, "%s/real%s", mounts->place, inside) >=
        STAMP_DIR_BYTES)
        return error_fail(err, -ENAMETOOLONG, "the install tree's path is too long");
    return 0;
}

static int fill_stamp(struct stamp *stamp, const char *id, const char *socket_path, const char *driver_dir,
                      struct error *err)
{
    *stamp = (struct stamp){.magic = STAMP_MAGIC};
    if ((size_t)snprintf(stamp->instance, sizeof(stamp->instance), "%s", id) < sizeof(stamp->instance) &&
        (size_t)snprintf(stamp->socket, sizeof(stamp->socket), "%s", socket_path) < sizeof(stamp->socket) &&
        (size_t)snprintf(stamp->outside_dir, sizeof(stamp->outside_dir), "%s", driver_dir) <
            sizeof(stamp->outside_dir))
        return 0;
    return error_fail(err, -ENAMETOOLONG, "the path of vgpud's socket or of the driver is too long");
}

int run_mounts_init(struct run_mounts *mounts, const json_t *granted, const char *socket_path,
                    struct error *err)
{
    char own_dir[PATH_MAX], prefix[PATH_MAX], socket[PATH_MAX];
    const char *id, *driver_dir, *softgpu_dir, *driver_kind;
    int r = paths_program_dir(own_dir, sizeof(own_dir));

    if (r < 0)
        return error_fail(err, r, "vgpu cannot tell where it is installed: %s", strerror(-r));
    if (json_unpack((json_t *)granted, "{s:{s:s}, s:s, s:s, s:s}", "instance", "id", &id, "driver_dir",
                    &driver_dir, "softgpu_dir", &softgpu_dir, "driver_kind", &driver_kind) < 0)
        return error_fail(err, -EBADMSG, "vgpud's answer lacks a member; use vgpu and vgpud of one release");
    snprintf(mounts->driver_dir, sizeof(mounts->driver_dir), "%s", driver_dir);
    snprintf(mounts->softgpu_dir, sizeof(mounts->softgpu_dir), "%s",
             strcmp(driver_kind, "software") ? "" : softgpu_dir);
    if ((r = fill_stamp(&mounts->stamp, id, realpath(socket_path, socket) ? socket : socket_path, driver_dir,
                        err)) ||
        (r = tree_path(mounts->place, own_dir, VGPU_ASIDE_FROM_BIN, err)) ||
        (r = tree_path(mounts->shim_dir, own_dir, VGPU_SHIM_FROM_BIN, err)) ||
        (r = tree_path(mounts->softgpu_libdir, own_dir, VGPU_SOFTGPU_FROM_BIN, err)) ||
        (r = tree_path(prefix, own_dir, "..", err)))
        return r;
    return place_driver(mounts, prefix, err);
}

/* ---- the namespace ---- */

static int write_file(const char *path, const char *text)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : error_errno();
}

/* A user namespace in which the user is himself and nobody else is anybody. */
static int enter_as_user(struct error *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char uid_map[64], gid_map[64];
    int r;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return error_fail(err, error_errno(), "user namespaces are not permitted: %s", strerror(errno));
    snprintf(uid_map, sizeof(uid_map), "%u %u 1\n", (unsigned)uid, (unsigned)uid);
    snprintf(gid_map, sizeof(gid_map), "%u %u 1\n", (unsigned)gid, (unsigned)gid);
    if ((r = write_file("/proc/self/setgroups", "deny")) || (r = write_file("/proc/self/uid_map", uid_map)) ||
        (r = write_file("/proc/self/gid_map", gid_map)))
        return error_fail(err, r, "the user namespace cannot be set up: %s", strerror(-r));
    return 0;
}

/* What the machine mounts later still appears inside; what is mounted inside stays inside. Root without the
 * right to mount gets no user namespace: in it all other users would be gone, which programs of root's do
 * notice. */
static int enter_namespace(bool *ret_by_user, struct error *err)
{
    int r = 0;

    *ret_by_user = false;
    if (unshare(CLONE_NEWNS) < 0) {
        if (geteuid() == 0 || errno != EPERM)
            return error_fail(err, error_errno(), "mount namespaces are not permitted: %s", strerror(errno));
        *ret_by_user = true;
        r = enter_as_user(err);
    }
    if (r == 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        r = error_fail(err, error_errno(), "mounting is not permitted: %s", strerror(errno));
    return r;
}

static int mount_place(const char *place, struct error *err)
{
    if (mount("vgpu", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=32m,nr_inodes=16") == 0)
        return 0;
    return error_fail(err, error_errno(), "nothing can be mounted at %s: %s", place, strerror(errno));
}

/* ---- what is in it ---- */

/* Writes the stamped library. Its section headers, which only debuggers read, are not copied. */
static int library_write(const struct run_mounts *mounts, enum driver_library library, struct error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct image image = {0};
    Elf64_Ehdr *head;
    int r, fd;

    if ((r = path_join(from, mounts->shim_dir, library_names[library], err)) ||
        (r = path_join(to, mounts->place, library_names[library], err)))
        return r;
    if (!image_open(&image, from, err))
        return err->code;
    head = (Elf64_Ehdr *)image.bytes;
    head->e_shoff = 0;
    head->e_shnum = head->e_shstrndx = 0;
    *image.stamp = mounts->stamp;
    fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, image.bytes, image.n) != (ssize_t)image.n || fchmod(fd, 0755) < 0)
        r = error_fail(err, error_errno(), "%s cannot be written: %s", to, strerror(errno));
    if (fd >= 0)
        close(fd);
    image_done(&image);
    return r;
}

static int fill_place(const struct run_mounts *mounts, struct error *err)
{
    char real[PATH_MAX], link[PATH_MAX];
    int r;

    if ((r = library_write(mounts, DRIVER_CUDA, err)) || (r = library_write(mounts, DRIVER_NVML, err)) ||
        (r = path_join(real, mounts->place, "real", err)) ||
        (r = path_join(link, mounts->place, "softgpu", err)))
        return r;
    if (mkdir(real, 0755) < 0 || chmod(real, 0755) < 0 ||
        (mounts->softgpu_dir[0] && symlink(mounts->softgpu_dir, link) < 0))
        return error_fail(err, error_errno(), "%s cannot be filled: %s", mounts->place, strerror(errno));
    if (mount(NULL, mounts->place, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
        return error_fail(err, error_errno(), "%s cannot be sealed: %s", mounts->place, strerror(errno));
    return 0;
}

/* source_fd: the tree as it was before anything was mounted over it. With all that is mounted below it: in
 * containers each file of the driver is a mount. */
static int bind_real(const struct run_mounts *mounts, int source_fd, struct error *err)
{
    char from[40], to[PATH_MAX];
    int r = path_join(to, mounts->place, "real", err);

    if (r < 0)
        return r;
    snprintf(from, sizeof(from), "/proc/self/fd/%d", source_fd);
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
        return error_fail(err, error_errno(), "the driver in %s cannot be moved aside: %s", mounts->source,
                          strerror(errno));
    return 0;
}

/* ---- over the driver's files ---- */

struct cover {
    const struct run_mounts *mounts;
    struct error *err;
    char *done[COVERED_MAX]; /* paths that have it already */
    size_t n_done;
};

static int cover_file(const char *path, enum driver_library library, void *context)
{
    struct cover *cover = context;
    const char *place = cover->mounts->place;
    size_t n = strlen(place);
    char ours[PATH_MAX];
    int r;

    if (!strncmp(path, place, n) && path[n] == '/')
        return 0;
    for (size_t i = 0; i < cover->n_done; i++)
        if (!strcmp(cover->done[i], path))
            return 0;
    if (cover->n_done == COVERED_MAX)
        return error_fail(cover->err, -E2BIG, "the driver lies at more than %d paths", COVERED_MAX);
    if ((r = path_join(ours, place, library_names[library], cover->err)))
        return r;
    if (mount(ours, path, NULL, MS_BIND, NULL) < 0)
        return error_fail(cover->err, error_errno(), "nothing can be mounted over %s: %s", path,
                          strerror(errno));
    cover->done[cover->n_done] = strdup(path);
    return cover->done[cover->n_done++] ? 0 : error_fail(cover->err, -ENOMEM, "out of memory");
}

/* Directories of a list with colons, as LD_LIBRARY_PATH is one: they are where this user's programs look
 * first. */
static int cover_list(struct cover *cover, const char *list)
{
    char dir[PATH_MAX];
    int r = 0;

    for (; list && *list && r == 0; list += strcspn(list, ":"), list += *list == ':') {
        size_t n = strcspn(list, ":");

        if (n && n < sizeof(dir)) {
            memcpy(dir, list, n);
            dir[n] = '\0';
            r = driver_files_of(dir, cover_file, cover);
        }
    }
    return r;
}

static int cover_all(const struct run_mounts *mounts, struct error *err)
{
    struct cover cover = {.mounts = mounts, .err = err};
    int r;

    if ((r = driver_files_of(mounts->shim_dir, cover_file, &cover)) == 0 &&
        (r = driver_files_of(mounts->softgpu_libdir, cover_file, &cover)) == 0 &&
        (r = driver_files_of(mounts->driver_dir, cover_file, &cover)) == 0 &&
        (r = driver_files(cover_file, &cover)) == 0)
        r = cover_list(&cover, getenv("LD_LIBRARY_PATH"));
    for (size_t i = 0; i < cover.n_done; i++)
        free(cover.done[i]);
    return r;
}

int run_mounts_enter(const struct run_mounts *mounts, struct error *err)
{
    CLEANUP_FD int source_fd = -1;
    bool by_user;
    int r = enter_namespace(&by_user, err);

    if (r < 0)
        return r;
    source_fd = open(mounts->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (source_fd < 0)
        return error_fail(err, error_errno(), "the driver's directory %s cannot be opened: %s",
                          mounts->source, strerror(errno));
    if ((r = mount_place(mounts->place, err)) || (r = fill_place(mounts, err)) ||
        (r = bind_real(mounts, source_fd, err)))
        return r;
    return cover_all(mounts, err);
}

/* ---- whether it could be ---- */

struct probe_report {
    int result;
    bool by_user;
    struct error err;
};

static void probe_in_child(struct probe_report *report)
{
    char own_dir[PATH_MAX], place[PATH_MAX];
    int r = paths_program_dir(own_dir, sizeof(own_dir));

    if (r == 0)
        r = tree_path(place, own_dir, VGPU_ASIDE_FROM_BIN, &report->err);
    if (r == 0)
        r = enter_namespace(&report->by_user, &report->err);
    if (r == 0)
        r = mount_place(place, &report->err);
    report->result = r;
}

int run_mounts_probe(bool *ret_by_user, struct error *err)
{
    struct probe_report report = {0};
    int pipe_fds[2];
    ssize_t n;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_fail(err, error_errno(), "cannot make a pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        probe_in_child(&report);
        _exit(write(pipe_fds[1], &report, sizeof(report)) != (ssize_t)sizeof(report));
    }
    close(pipe_fds[1]);
    n = read(pipe_fds[0], &report, sizeof(report));
    close(pipe_fds[0]);
    if (pid < 0 || waitpid(pid, NULL, 0) != pid || n != (ssize_t)sizeof(report))
        return error_fail(err, -EIO, "it could not be tried");
    *ret_by_user = report.by_user;
    if (report.result < 0 && err)
        *err = report.err;
    return report.result;
}
