/* See shared_event.h. Record n is in slot n % SLOTS of the file until it is complete, and its slot says who
 * made it. Every process that takes part holds a lock on a byte of the file, which ends with the process, so
 * anybody can see whether the maker of a pending record lives. A lock ends, too, when its process closes any
 * descriptor of the file: there is only one of each file, shared by all who open it here. */
#include "softgpu/driver/shared_event.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/clock.h"
#include "softgpu/device/place.h"

#define FILE_MAGIC  UINT64_C(0x3156454750554753) /* "SGUPGEV1" */
#define FILE_PREFIX "event-"

enum {
    SLOTS = 1024,
    MEMBERS = 64,
    LOOK_AGAIN_MS = 20,
    NAME_BYTES = sizeof(FILE_PREFIX) + 2 * SGDEV_TOKEN_BYTES
};

/* The file. A slot is the serial of its record, the member that made it, and whether it is complete. */
struct event_file {
    uint64_t magic;
    uint32_t n_completed; /* atomic; moves with each completion: what waiters sleep on */
    uint32_t unused;
    uint64_t drawn, latest; /* atomic: serials given out; the latest that is in its slot */
    uint64_t slots[SLOTS];  /* atomic */
};

struct shared_event {
    struct shared_event *next;
    uint32_t refs; /* guarded by the lock */
    uint8_t token[SGDEV_TOKEN_BYTES];
    struct event_file *file;
    int fd;
    unsigned member; /* the byte that this process has locked */
    bool is_mine;    /* this process made it */
};

static struct {
    pthread_mutex_t lock;
    struct shared_event *list;
    bool swept; /* files without living members were removed */
} events = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- slots ---- */

static uint64_t slot_of(uint64_t serial, unsigned member, bool complete)
{
    return serial << 7 | (uint64_t)member << 1 | complete;
}

static uint64_t slot_serial(uint64_t slot)
{
    return slot >> 7;
}

static unsigned slot_member(uint64_t slot)
{
    return (unsigned)(slot >> 1) % MEMBERS;
}

static bool slot_is_complete(uint64_t slot)
{
    return !slot_serial(slot) || (slot & 1);
}

/* ---- members ---- */

/* F_SETLK takes the lock of one byte if it is free; F_GETLK tells, in type, whether another process has it.
 */
static int lock_call(int fd, int command, off_t byte, off_t bytes, short *type)
{
    struct flock lock = {.l_type = *type, .l_whence = SEEK_SET, .l_start = byte, .l_len = bytes};
    int error = fcntl(fd, command, &lock) < 0 ? error_errno() : 0;

    *type = lock.l_type;
    return error;
}

static bool lock_take(int fd, off_t byte, off_t bytes)
{
    short type = F_WRLCK;

    return lock_call(fd, F_SETLK, byte, bytes, &type) == 0;
}

static bool is_member_alive(const struct shared_event *shared, unsigned member)
{
    short type = F_WRLCK;

    return member == shared->member || lock_call(shared->fd, F_GETLK, member, 1, &type) != 0 ||
           type != F_UNLCK;
}

static void wake_waiters(struct event_file *file)
{
    __atomic_fetch_add(&file->n_completed, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &file->n_completed, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Pending records of whoever had our place before are of a dead process. */
static void end_records_of_place(struct shared_event *shared)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&shared->file->slots[i], __ATOMIC_ACQUIRE);

        if (slot_member(slot) == shared->member)
            __atomic_compare_exchange_n(&shared->file->slots[i], &slot, slot | 1, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED);
    }
    wake_waiters(shared->file);
}

static int join(struct shared_event *shared)
{
    for (shared->member = 0; shared->member < MEMBERS; shared->member++)
        if (lock_take(shared->fd, shared->member, 1)) {
            end_records_of_place(shared);
            return 0;
        }
    return -EUSERS;
}

/* ---- files ---- */

static int directory(char path[PATH_MAX])
{
    struct error error;

    return place_make(path, PATH_MAX, &error);
}

static int file_path(const uint8_t token[SGDEV_TOKEN_BYTES], char path[PATH_MAX])
{
    char dir[PATH_MAX], name[NAME_BYTES] = FILE_PREFIX;
    int error = directory(dir);

    for (unsigned i = 0; i < SGDEV_TOKEN_BYTES; i++)
        snprintf(name + strlen(FILE_PREFIX) + 2 * (size_t)i, 3, "%02x", token[i]);
    return error ? error : place_path(dir, name, path, PATH_MAX);
}

/* A process that was killed left its files behind. Once, before this process has one: to look at a file is to
 * open and close it, which would end our own lock. */
static void sweep_locked(void)
{
    char dir[PATH_MAX], path[PATH_MAX];
    struct dirent *entry;
    DIR *listing;

    if (events.swept || directory(dir))
        return;
    events.swept = true;
    listing = opendir(dir);
    while (listing && (entry = readdir(listing))) {
        int fd;

        if (strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) != 0 ||
            place_path(dir, entry->d_name, path, sizeof(path)))
            continue;
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        if (lock_take(fd, 0, MEMBERS))
            unlink(path);
        close(fd);
    }
    if (listing)
        closedir(listing);
}

static int map(struct shared_event *shared)
{
    void *file = mmap(NULL, sizeof(*shared->file), PROT_READ | PROT_WRITE, MAP_SHARED, shared->fd, 0);

    if (file == MAP_FAILED)
        return error_errno();
    shared->file = file;
    return 0;
}

/* Makes the file and takes its first place. -ESTALE: somebody's sweep removed it before that. */
static int file_make(struct shared_event *shared, const char *path)
{
    struct stat status;
    int error = 0;

    shared->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (shared->fd < 0)
        return error_errno();
    if (!lock_take(shared->fd, 0, 1) || fstat(shared->fd, &status) || status.st_nlink == 0)
        return -ESTALE;
    if (ftruncate(shared->fd, sizeof(*shared->file)) < 0)
        error = error_errno();
    if (!error)
        error = map(shared);
    if (!error)
        __atomic_store_n(&shared->file->magic, FILE_MAGIC, __ATOMIC_RELEASE);
    return error;
}

static int file_open(struct shared_event *shared, const char *path)
{
    struct stat status;
    int error;

    shared->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (shared->fd < 0)
        return error_errno();
    if (fstat(shared->fd, &status) || status.st_size != sizeof(*shared->file))
        return -ENOENT;
    error = map(shared);
    if (error)
        return error;
    return shared->file->magic == FILE_MAGIC ? join(shared) : -ENOENT;
}

static void shared_free(struct shared_event *shared)
{
    char path[PATH_MAX];

    if (shared->is_mine && file_path(shared->token, path) == 0)
        unlink(path);
    if (shared->file)
        munmap(shared->file, sizeof(*shared->file));
    if (shared->fd >= 0)
        close(shared->fd);
    free(shared);
}

static int attach(struct shared_event *shared, int (*get)(struct shared_event *shared, const char *path))
{
    char path[PATH_MAX];
    int error = file_path(shared->token, path);

    return error ? error : get(shared, path);
}

/* ---- coming and going ---- */

static struct shared_event *prepare(bool is_mine)
{
    struct shared_event *shared = calloc(1, sizeof(*shared));

    if (shared) {
        shared->refs = 1;
        shared->fd = -1;
        shared->is_mine = is_mine;
    }
    return shared;
}

/* Lists it, or frees it when there was an error. */
static int finish_locked(struct shared_event *shared, int error, struct shared_event **ret_shared)
{
    if (error) {
        shared_free(shared);
        return error;
    }
    shared->next = events.list;
    events.list = shared;
    *ret_shared = shared;
    return 0;
}

static int make_locked(struct shared_event **ret_shared)
{
    struct shared_event *shared = prepare(true);

    if (!shared)
        return -ENOMEM;
    if (getrandom(shared->token, SGDEV_TOKEN_BYTES, 0) != SGDEV_TOKEN_BYTES) {
        free(shared);
        return -EIO;
    }
    return finish_locked(shared, attach(shared, file_make), ret_shared);
}

int shared_event_new(struct shared_event **ret_shared)
{
    int error;

    pthread_mutex_lock(&events.lock);
    sweep_locked();
    do
        error = make_locked(ret_shared);
    while (error == -ESTALE);
    pthread_mutex_unlock(&events.lock);
    return error;
}

static int open_locked(const uint8_t token[SGDEV_TOKEN_BYTES], struct shared_event **ret_shared)
{
    struct shared_event *shared = events.list;

    while (shared && memcmp(shared->token, token, SGDEV_TOKEN_BYTES) != 0)
        shared = shared->next;
    if (shared) {
        if (shared->is_mine)
            return -EXDEV;
        shared->refs++;
        *ret_shared = shared;
        return 0;
    }
    shared = prepare(false);
    if (!shared)
        return -ENOMEM;
    memcpy(shared->token, token, SGDEV_TOKEN_BYTES);
    return finish_locked(shared, attach(shared, file_open), ret_shared);
}

int shared_event_open(const uint8_t token[SGDEV_TOKEN_BYTES], struct shared_event **ret_shared)
{
    int error;

    pthread_mutex_lock(&events.lock);
    sweep_locked();
    error = open_locked(token, ret_shared);
    pthread_mutex_unlock(&events.lock);
    return error;
}

const uint8_t *shared_event_token(const struct shared_event *shared)
{
    return shared->token;
}

struct shared_event *shared_event_ref(struct shared_event *shared)
{
    pthread_mutex_lock(&events.lock);
    shared->refs++;
    pthread_mutex_unlock(&events.lock);
    return shared;
}

void shared_event_unref(struct shared_event *shared)
{
    struct shared_event **link = &events.list;

    if (!shared)
        return;
    pthread_mutex_lock(&events.lock);
    if (--shared->refs == 0) {
        while (*link != shared)
            link = &(*link)->next;
        *link = shared->next;
        /* Under the lock: whoever opens the same file next must find this descriptor closed. */
        shared_free(shared);
    }
    pthread_mutex_unlock(&events.lock);
}

/* ---- records ---- */

/* Is that slot, pending when it was looked at, of a process that is gone? Then it is complete from now on. */
static bool end_if_orphaned(struct shared_event *shared, uint64_t *at, uint64_t slot)
{
    if (is_member_alive(shared, slot_member(slot)))
        return false;
    if (__atomic_compare_exchange_n(at, &slot, slot | 1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        wake_waiters(shared->file);
    return true;
}

/* Sleeps until some record completes, or it is time to see who still lives. */
static void nap(struct event_file *file, uint32_t n_completed)
{
    struct timespec most = {.tv_nsec = LOOK_AGAIN_MS * (long)NS_PER_MS};

    syscall(SYS_futex, &file->n_completed, FUTEX_WAIT, n_completed, &most, NULL, 0);
}

/* Puts the record into its slot once that is free; false when a later record has it, which ends this one. */
static bool slot_take(struct shared_event *shared, uint64_t serial)
{
    uint64_t *at = &shared->file->slots[serial % SLOTS];

    for (;;) {
        uint32_t n_completed = __atomic_load_n(&shared->file->n_completed, __ATOMIC_ACQUIRE);
        uint64_t slot = __atomic_load_n(at, __ATOMIC_ACQUIRE);

        if (slot_serial(slot) > serial)
            return false;
        if (!slot_is_complete(slot)) {
            if (!end_if_orphaned(shared, at, slot))
                nap(shared->file, n_completed);
            continue;
        }
        if (__atomic_compare_exchange_n(at, &slot, slot_of(serial, shared->member, false), false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return true;
    }
}

uint64_t shared_event_begin(struct shared_event *shared)
{
    struct event_file *file = shared->file;
    uint64_t serial = __atomic_add_fetch(&file->drawn, 1, __ATOMIC_RELAXED), latest;

    if (!slot_take(shared, serial))
        return serial;
    latest = __atomic_load_n(&file->latest, __ATOMIC_RELAXED);
    while (latest < serial && !__atomic_compare_exchange_n(&file->latest, &latest, serial, false,
                                                           __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return serial;
}

void shared_event_complete(struct shared_event *shared, uint64_t serial)
{
    uint64_t pending = slot_of(serial, shared->member, false);

    if (__atomic_compare_exchange_n(&shared->file->slots[serial % SLOTS], &pending, pending | 1, false,
                                    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        wake_waiters(shared->file);
}

uint64_t shared_event_latest(const struct shared_event *shared)
{
    return __atomic_load_n(&shared->file->latest, __ATOMIC_ACQUIRE);
}

bool shared_event_is_complete(struct shared_event *shared, uint64_t serial)
{
    uint64_t *at = &shared->file->slots[serial % SLOTS], slot = __atomic_load_n(at, __ATOMIC_ACQUIRE);

    return slot_serial(slot) != serial || slot_is_complete(slot) || end_if_orphaned(shared, at, slot);
}

void shared_event_wait(struct shared_event *shared, uint64_t serial)
{
    for (;;) {
        uint32_t n_completed = __atomic_load_n(&shared->file->n_completed, __ATOMIC_ACQUIRE);

        if (shared_event_is_complete(shared, serial))
            return;
        nap(shared->file, n_completed);
    }
}
