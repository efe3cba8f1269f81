/* Calls every function of the driver API by every way a program has to reach one, with arguments of all
 * kinds, and prints what the recording driver behind was called with, what it answered, and what became of
 * the memory that the arguments point to. Run twice by conformance.py, with the recording driver as its
 * libcuda.so.1 and with our library before it: the two texts must be the same.
 *
 *     program RECORDING-DRIVER NAMES     (a path; a file of symbol names, one a line)
 *
 * What it links against, it says on standard error. Everything else is the same in each run: addresses in
 * arguments too. */
#include <dlfcn.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/cuda_table.h"
#include "api/entries.h"
#include "api/lookup.h"
#include "call.h"

enum { WINDOW_BYTES = 512, WINDOWS = 8 + RECDRV_STACK_WORDS, SCRATCH_WORDS = WINDOWS * WINDOW_BYTES / 8 };

/* pointers: every argument that can be an address is one of memory that may be read and written. random:
 * NULL, small, negative and any other values, which nobody but the driver may follow, whether it says that it
 * succeeded or not. */
enum kind { POINTERS, RANDOM };
static const struct pass {
    const char *name;
    enum kind kind;
    bool succeeds;
} passes[] = {{"pointers", POINTERS, true},
              {"pointers-refused", POINTERS, false},
              {"random", RANDOM, true},
              {"random-refused", RANDOM, false}};

static struct driver {
    const struct recdrv_call *(*last)(void);
    int (*result)(uint32_t slot, uint64_t serial);
    void (*serial_set)(uint64_t serial);
    void (*lookup_set)(bool lookup);
    void (*outputs_set)(const struct recdrv_outputs *wanted);
    void *entries[CUDA_SLOT_COUNT]; /* the recording driver's own */
} driver;

static uint64_t *scratch;
static sigjmp_buf fault_return;

static void fault(int number)
{
    siglongjmp(fault_return, number);
}

/* ---- arguments ---- */

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t random_word(uint64_t *state)
{
    uint64_t x = random_next(state);

    switch (random_next(state) % 5) {
    case 0:
        return 0;
    case 1:
        return x % 64;
    case 2:
        return UINT64_MAX - x % 64;
    case 3:
        return (uint32_t)x;
    default:
        return x;
    }
}

static void arguments_fill(struct call_arguments *arguments, enum kind kind, uint64_t *state)
{
    for (unsigned i = 0; i < 8; i++) {
        arguments->gp[i] = kind == POINTERS ? (uintptr_t)scratch + i * WINDOW_BYTES : random_word(state);
        arguments->fp[i][0] = random_next(state);
        arguments->fp[i][1] = random_next(state);
    }
    for (unsigned i = 0; i < RECDRV_STACK_WORDS; i++)
        arguments->stack[i] =
            kind == POINTERS ? (uintptr_t)scratch + (8 + i) * WINDOW_BYTES : random_word(state);
}

/* Addresses to lie in memory too, where a structure holds them; the rest is small numbers. */
static void scratch_fill(void)
{
    for (unsigned i = 0; i < SCRATCH_WORDS; i++)
        scratch[i] = i % 2 ? i : (uintptr_t)scratch + i % WINDOWS * WINDOW_BYTES;
}

static uint64_t scratch_sum(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < SCRATCH_WORDS; i++)
        sum = (sum ^ scratch[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* ---- calls ---- */

static void print_call(const struct cuda_row *row, int returned)
{
    const struct recdrv_call *call = driver.last();
    struct call_arguments seen;

    memcpy(&seen, call, sizeof(seen));
    if (row->hooked)
        call_mask(&call_params[row->slot], &seen);
    printf(" -> %s call %" PRIu64 " = %d, returned %d, scratch %" PRIx64 ",",
           api_cuda_slot(call->slot)->symbol, call->serial, call->result, returned, scratch_sum());
    for (unsigned i = 0; i < sizeof(seen) / 8; i++)
        printf(" %" PRIx64, ((const uint64_t *)(const void *)&seen)[i]);
    printf("\n");
}

/* The driver writes to where its arguments point, as one with out-parameters does. */
static void outputs_set(const struct cuda_row *row)
{
    struct recdrv_outputs wanted = {.low = (uintptr_t)scratch,
                                    .high = (uintptr_t)scratch + SCRATCH_WORDS * 8};

    call_wide(&call_params[row->slot], &wanted.gp, &wanted.stack);
    driver.outputs_set(&wanted);
}

/* The first call number from `from` on with which the function succeeds, or fails. */
static uint64_t serial_find(uint32_t slot, uint64_t from, bool succeeds)
{
    while ((driver.result(slot, from) == 0) != succeeds)
        from++;
    return from;
}

static void call_once(const char *way, const struct cuda_row *row, const void *function,
                      const struct pass *pass)
{
    uint64_t state = row->slot * UINT64_C(1000003) + (uintptr_t)way[0] * 31 + pass->kind;
    struct call_arguments arguments;
    volatile int signal_number;
    int returned;

    arguments_fill(&arguments, pass->kind, &state);
    scratch_fill();
    outputs_set(row);
    driver.serial_set(serial_find(row->slot, 1 + random_next(&state) % 1000, pass->succeeds));
    printf("%s %s %s", way, row->symbol, pass->name);
    signal_number = sigsetjmp(fault_return, 1);
    if (signal_number) {
        printf(" -> ended by signal %d\n", signal_number);
        return;
    }
    returned = call_function(function, &arguments);
    print_call(row, returned);
}

static void call_all(const char *way, const struct cuda_row *row, const void *function)
{
    for (unsigned i = 0; i < sizeof(passes) / sizeof(passes[0]); i++)
        call_once(way, row, function, &passes[i]);
}

/* ---- ways ---- */

static void by_link(void)
{
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        call_all("link", api_cuda_slot(slot), api_cuda_entries[slot]);
}

static void by_dlsym(const char *names_path)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    FILE *names = fopen(names_path, "r");
    char name[256];

    if (!library || !names) {
        fprintf(stderr, "%s\n", library ? names_path : dlerror());
        exit(2);
    }
    while (fscanf(names, "%255s", name) == 1) {
        const struct cuda_row *row = api_cuda_symbol(name);
        const void *function = dlsym(library, name), *anywhere = dlsym(RTLD_DEFAULT, name);

        printf("dlsym %s %s%s\n", name, function ? "found" : "missing",
               function == anywhere ? "" : ", elsewhere another");
        if (row && function)
            call_all("dlsym", row, function);
    }
    fclose(names);
}

static const char *identity(const void *function)
{
    for (unsigned slot = 0; function && slot < CUDA_SLOT_COUNT; slot++)
        if (function == driver.entries[slot])
            return api_cuda_slot(slot)->symbol;
    return function ? "a function that is not the driver's" : "nothing";
}

/* One question to both versions of cuGetProcAddress. Returns what the newer answered. */
static void *lookup(const char *name, int version, cuuint64_t flags)
{
    static char untouched;
    CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)77;
    void *by_v2 = &untouched, *by_v1 = &untouched, *without = &untouched;
    int v2, v1, no_status;

    driver.serial_set(1);
    driver.lookup_set(true);
    v2 = cuGetProcAddress_v2(name, &by_v2, version, flags, &status);
    no_status = cuGetProcAddress_v2(name, &without, version, flags, NULL);
    v1 = cuGetProcAddress(name, &by_v1, version, flags);
    driver.lookup_set(false);
    printf("lookup %s %d %d: %d %s status %d; %d %s; %d %s\n", name ? name : "NULL", version, (int)flags, v2,
           by_v2 == &untouched ? "untouched" : identity(by_v2), (int)status, no_status,
           without == &untouched ? "untouched" : identity(without), v1,
           by_v1 == &untouched ? "untouched" : identity(by_v1));
    return v2 == CUDA_SUCCESS && by_v2 != &untouched ? by_v2 : NULL;
}

static void by_lookup(void)
{
    static const char *const ways[] = {"procaddress", "legacy-procaddress", "thread-procaddress"};

    for (unsigned i = 0; i < api_cuda_rows_count; i++) {
        const struct cuda_row *row = &api_cuda_rows[i];

        lookup(row->name, row->since - 1, 0);
        lookup(row->name, 99000, 0);
        lookup(row->symbol, row->since, 0);
        for (cuuint64_t flags = 0; flags < 3; flags++) {
            void *function = lookup(row->name, row->since, flags);

            if (function)
                call_all(ways[flags], row, function);
        }
    }
    lookup("cuNothing", 13000, 0);
    lookup("cuMemAllocTomorrow", 13000, 0);
    lookup("", 13000, 0);
    lookup(NULL, 13000, 0);
    lookup("cuInit", 13000, 3);
    lookup("cuInit", 0, 64);
}

/* ---- */

static void driver_open(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    Dl_info linked;

    if (!library || !dladdr(api_cuda_entries[CUDA_SLOT_cuInit], &linked)) {
        fprintf(stderr, "%s: %s\n", path, dlerror());
        exit(2);
    }
    fprintf(stderr, "%s\n", linked.dli_fname);
    driver.last = (const struct recdrv_call *(*)(void))dlsym(library, "recdrv_last");
    driver.result = (int (*)(uint32_t, uint64_t))dlsym(library, "recdrv_result");
    driver.serial_set = (void (*)(uint64_t))dlsym(library, "recdrv_serial_set");
    driver.lookup_set = (void (*)(bool))dlsym(library, "recdrv_lookup_set");
    driver.outputs_set = (void (*)(const struct recdrv_outputs *))dlsym(library, "recdrv_outputs_set");
    for (unsigned slot = 0; slot < CUDA_SLOT_COUNT; slot++)
        driver.entries[slot] = dlsym(library, api_cuda_slot(slot)->symbol);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = fault};

    if (argc != 3)
        return 2;
    driver_open(argv[1]);
    scratch = mmap((void *)UINT64_C(0x200000000000), SCRATCH_WORDS * 8, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (scratch == MAP_FAILED || sigaction(SIGSEGV, &action, NULL) < 0 ||
        sigaction(SIGBUS, &action, NULL) < 0) {
        perror("scratch memory");
        return 2;
    }
    by_link();
    by_dlsym(argv[2]);
    by_lookup();
    return 0;
}
