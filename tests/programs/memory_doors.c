/* A CUDA program that a test drives through its standard input, one command a line, one answer a line. Each
 * memory door of the driver API is a word:
 *
 *   take DOOR BYTES       -> "ok N" (N names the allocation) or the CUDA error's name
 *   fill DOOR BYTES       -> takes pieces of BYTES until refused: "ok COUNT ERROR"
 *   free N | free all     -> "ok"
 *   info                  -> "FREE TOTAL" of cuMemGetInfo
 *   total                 -> cuDeviceTotalMem
 *   check N               -> writes and reads back the whole allocation: "ok" or "differs"
 *   sync                  -> "ok"
 *   quit
 *
 * Doors: alloc, pitch (BYTES wide, one row more than one), managed, async, pool (an own pool), ptsz (async on
 * the per-thread stream). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"
#include "obedient.h"

enum { TAKEN_MAX = 65536 };

struct taken {
    CUdeviceptr p;
    size_t bytes;
    int is_async;
};

static struct taken taken[TAKEN_MAX];
static CUstream stream;
static CUmemoryPool pool;
static CUdevice device;

static CUresult open_pool(void)
{
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}};

    return pool ? CUDA_SUCCESS : cuMemPoolCreate(&pool, &props);
}

static CUresult take(const char *door, size_t bytes, struct taken *ret_taken)
{
    struct taken t = {.bytes = bytes};
    CUresult r;

    if (!strcmp(door, "alloc")) {
        r = cuMemAlloc(&t.p, bytes);
    } else if (!strcmp(door, "managed")) {
        r = cuMemAllocManaged(&t.p, bytes, CU_MEM_ATTACH_GLOBAL);
    } else if (!strcmp(door, "pitch")) {
        size_t pitch;

        r = cuMemAllocPitch(&t.p, &pitch, bytes, 2, 4);
    } else if (!strcmp(door, "async")) {
        r = cuMemAllocAsync(&t.p, bytes, stream);
        t.is_async = 1;
    } else if (!strcmp(door, "ptsz")) {
        r = cuMemAllocAsync(&t.p, bytes, CU_STREAM_PER_THREAD);
        t.is_async = 1;
    } else if (!strcmp(door, "pool")) {
        r = open_pool();
        if (r == CUDA_SUCCESS)
            r = cuMemAllocFromPoolAsync(&t.p, bytes, pool, stream);
        t.is_async = 1;
    } else {
        r = CUDA_ERROR_INVALID_VALUE;
    }
    if (r == CUDA_SUCCESS)
        *ret_taken = t;
    return r;
}

static int free_slot(void)
{
    for (int i = 0; i < TAKEN_MAX; i++)
        if (!taken[i].p)
            return i;
    return -1;
}

static void do_take(const char *door, size_t bytes)
{
    int i = free_slot();
    CUresult r = i < 0 ? CUDA_ERROR_OUT_OF_MEMORY : take(door, bytes, &taken[i]);

    if (r == CUDA_SUCCESS)
        printf("ok %d\n", i);
    else
        printf("%s\n", name_of(r));
}

static void do_fill(const char *door, size_t bytes)
{
    CUresult r = CUDA_SUCCESS;
    int count = 0, i;

    while ((i = free_slot()) >= 0 && (r = take(door, bytes, &taken[i])) == CUDA_SUCCESS)
        count++;
    printf("ok %d %s\n", count, name_of(r));
}

static CUresult give_back(struct taken *t)
{
    CUresult r = t->is_async ? cuMemFreeAsync(t->p, stream) : cuMemFree(t->p);

    if (r == CUDA_SUCCESS)
        *t = (struct taken){0};
    return r;
}

static void do_free(const char *which)
{
    CUresult r = CUDA_SUCCESS;

    if (!strcmp(which, "all")) {
        for (int i = 0; i < TAKEN_MAX && r == CUDA_SUCCESS; i++)
            if (taken[i].p)
                r = give_back(&taken[i]);
    } else {
        r = give_back(&taken[atoi(which) % TAKEN_MAX]);
    }
    if (r == CUDA_SUCCESS)
        r = cuCtxSynchronize();
    printf("%s\n", r == CUDA_SUCCESS ? "ok" : name_of(r));
}

static void do_check(const struct taken *t)
{
    unsigned char *host = malloc(t->bytes);
    int differs = !host;
    CUresult r;

    r = cuMemsetD8(t->p, 0xa5, t->bytes);
    if (r == CUDA_SUCCESS && host)
        r = cuMemcpyDtoH(host, t->p, t->bytes);
    for (size_t i = 0; host && i < t->bytes; i++)
        differs |= host[i] != 0xa5;
    free(host);
    printf("%s\n", r != CUDA_SUCCESS ? name_of(r) : differs ? "differs" : "ok");
}

/* One command; returns 0 at the end. */
static int obey(char *line)
{
    char *word = strtok(line, " \n"), *door = strtok(NULL, " \n"), *amount = strtok(NULL, " \n");
    size_t free_bytes, total_bytes, bytes = amount ? strtoull(amount, NULL, 10) : 0;
    CUresult r;

    if (!word || !strcmp(word, "quit"))
        return 0;
    if (!strcmp(word, "take") && amount) {
        do_take(door, bytes);
    } else if (!strcmp(word, "fill") && amount) {
        do_fill(door, bytes);
    } else if (!strcmp(word, "free") && door) {
        do_free(door);
    } else if (!strcmp(word, "check") && door) {
        do_check(&taken[atoi(door) % TAKEN_MAX]);
    } else if (!strcmp(word, "sync")) {
        r = cuCtxSynchronize();
        printf("%s\n", r == CUDA_SUCCESS ? "ok" : name_of(r));
    } else if (!strcmp(word, "info")) {
        r = cuMemGetInfo(&free_bytes, &total_bytes);
        if (r == CUDA_SUCCESS)
            printf("%zu %zu\n", free_bytes, total_bytes);
        else
            printf("%s\n", name_of(r));
    } else if (!strcmp(word, "total")) {
        r = cuDeviceTotalMem(&total_bytes, device);
        if (r == CUDA_SUCCESS)
            printf("%zu\n", total_bytes);
        else
            printf("%s\n", name_of(r));
    } else {
        printf("unknown command\n");
    }
    return 1;
}

int main(void)
{
    CUcontext context;

    return obey_input(&device, &context, &stream, obey);
}
