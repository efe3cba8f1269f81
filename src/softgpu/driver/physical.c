/* See physical.h. What goes between processes is a memfd that says by which token softgpud knows the memory:
 * as long as one of its descriptors is somewhere, the file is the same one, so who gets it twice can tell. */
#include "softgpu/driver/physical.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "softgpu/driver/process.h"

#define FILE_MAGIC UINT64_C(0x31504d4755504753) /* "SGPUGMP1" */

/* The beginning of the file, which is as long as the memory. */
struct file_head {
    uint64_t magic, bytes;
    uint32_t ordinal, unused;
    uint8_t token[SGDEV_TOKEN_BYTES];
    CUmemAllocationProp properties;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void physical_free(void *object)
{
    struct physical *physical = object;

    sgdev_segment_free(process_sgdev(), physical->ordinal, physical->arena_offset);
    if (physical->fd >= 0)
        close(physical->fd);
    free(physical);
}

/* Takes over the segment; on failure it is given back. */
static int physical_make(unsigned ordinal, uint64_t arena_offset, uint64_t bytes,
                         const CUmemAllocationProp *properties, int fd, struct physical **ret_physical)
{
    struct physical *physical = calloc(1, sizeof(*physical));

    if (!physical) {
        sgdev_segment_free(process_sgdev(), ordinal, arena_offset);
        return -ENOMEM;
    }
    object_init(&physical->object, OBJECT_PHYSICAL, physical_free);
    physical->properties = *properties;
    physical->ordinal = ordinal;
    physical->arena_offset = arena_offset;
    physical->bytes = bytes;
    physical->fd = fd;
    physical_retain(physical);
    *ret_physical = physical;
    object_unref(physical); /* the handle holds it */
    return 0;
}

int physical_new(unsigned ordinal, uint64_t bytes, const CUmemAllocationProp *properties,
                 struct physical **ret_physical)
{
    uint64_t arena_offset;
    int error = sgdev_segment_alloc(process_sgdev(), ordinal, bytes, &arena_offset);

    return error ? error : physical_make(ordinal, arena_offset, bytes, properties, -1, ret_physical);
}

/* ---- handles ---- */

struct physical *physical_get(CUmemGenericAllocationHandle handle)
{
    return object_get(OBJECT_PHYSICAL, (const void *)(uintptr_t)handle);
}

CUmemGenericAllocationHandle physical_retain(struct physical *physical)
{
    pthread_mutex_lock(&lock);
    if (physical->handles++ == 0)
        object_publish(physical);
    pthread_mutex_unlock(&lock);
    return (CUmemGenericAllocationHandle)(uintptr_t)physical;
}

int physical_release(CUmemGenericAllocationHandle handle)
{
    struct physical *physical = physical_get(handle);
    bool had;

    if (!physical)
        return -EINVAL;
    pthread_mutex_lock(&lock);
    had = physical->handles > 0;
    if (had && --physical->handles == 0)
        object_retire(physical);
    pthread_mutex_unlock(&lock);
    object_unref(physical);
    return had ? 0 : -EINVAL;
}

/* ---- between processes ---- */

static int file_make(const struct physical *physical, int *ret_fd)
{
    struct file_head head = {.magic = FILE_MAGIC,
                             .bytes = physical->bytes,
                             .ordinal = physical->ordinal,
                             .properties = physical->properties};
    int error = sgdev_segment_export(process_sgdev(), physical->ordinal, physical->arena_offset, head.token),
        fd;

    if (error)
        return error;
    fd = memfd_create("softgpu-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_errno();
    if (pwrite(fd, &head, sizeof(head), 0) != sizeof(head) || ftruncate(fd, (off_t)physical->bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        error = error_errno();
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int physical_export(struct physical *physical, int *ret_fd)
{
    int error = 0, fd = -1;

    pthread_mutex_lock(&lock);
    if (physical->fd < 0)
        error = file_make(physical, &physical->fd);
    if (!error) {
        fd = fcntl(physical->fd, F_DUPFD_CLOEXEC, 0);
        error = fd < 0 ? error_errno() : 0;
    }
    pthread_mutex_unlock(&lock);
    if (!error)
        *ret_fd = fd;
    return error;
}

int physical_import(int fd, struct physical **ret_physical)
{
    struct file_head head;
    uint64_t arena_offset, bytes;
    int own, error;

    if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || head.magic != FILE_MAGIC ||
        head.ordinal >= sgdev_count(process_sgdev()))
        return -EINVAL;
    own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return error_errno();
    error = sgdev_segment_import(process_sgdev(), head.ordinal, head.token, &arena_offset, &bytes);
    if (!error)
        error = physical_make(head.ordinal, arena_offset, bytes, &head.properties, own, ret_physical);
    if (error)
        close(own);
    return error;
}

char *physical_map(const struct physical *physical, uint64_t offset_bytes, uint64_t bytes, void *at)
{
    char *host = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0),
                      sgdev_arena_fd(process_sgdev(), physical->ordinal),
                      (off_t)(physical->arena_offset + offset_bytes));

    if (host == MAP_FAILED)
        return NULL;
    madvise(host, bytes, MADV_DONTFORK);
    return host;
}
