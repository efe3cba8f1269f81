/* Preloaded into a program, lets allocations fail. FAULT_FILE names a file of four 32-bit numbers, shared
 * with the test: the first allocation that fails, counted from 1 (0: none), how many there were, how many
 * failed, and how many may fail. glibc's own names are called, so nothing is looked up. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static volatile uint32_t *control; /* NULL: not looked for yet, or there is none */

static volatile uint32_t *find_control(void)
{
    static int is_looked_for;
    const char *path = getenv("FAULT_FILE");
    int fd;

    if (is_looked_for || !path)
        return control;
    is_looked_for = 1;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        void *map = mmap(NULL, 4 * sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        control = map == MAP_FAILED ? NULL : map;
        close(fd);
    }
    return control;
}

/* Whether this allocation is the one. */
static int fails(void)
{
    volatile uint32_t *c = control ? control : find_control();

    if (!c || !c[0] || ++c[1] < c[0] || c[2] >= c[3])
        return 0;
    c[2]++;
    errno = ENOMEM;
    return 1;
}

EXPORT void *malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

EXPORT void *calloc(size_t n, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(n, bytes);
}

EXPORT void *realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}
