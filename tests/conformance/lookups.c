/* Asks cuGetProcAddress for names, versions and flags, and prints whose function the answer is: by the
 * address, in which library and under which symbol. Run by lookups.py over recording drivers of several ages,
 * with and without our library before them.
 *
 *     lookups RECORDING-DRIVER QUESTIONS     (a path; a file of "version name" lines)
 *
 * Then it calls each function that the driver does not have by our library's symbol. */
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cuda_types.h"
#include "api/lookup.h"
#include "call.h"

typedef CUresult (*lookup_v1)(const char *name, void **function, int version, cuuint64_t flags);
typedef CUresult (*lookup_v2)(const char *name, void **function, int version, cuuint64_t flags,
                              CUdriverProcAddressQueryResult *status);

static lookup_v1 by_v1;
static lookup_v2 by_v2; /* NULL: this libcuda has none */
static const char *driver_path;
static char untouched;

static const char *whose(void *function, char *text, size_t text_bytes)
{
    Dl_info info;

    if (!function || function == &untouched)
        return function ? "untouched" : "nothing";
    if (!dladdr(function, &info) || !info.dli_sname || info.dli_saddr != function)
        return "something unknown";
    snprintf(text, text_bytes, "%s %s", strcmp(info.dli_fname, driver_path) ? "ours" : "driver's",
             info.dli_sname);
    return text;
}

static void ask(const char *name, int version, cuuint64_t flags)
{
    CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)77;
    void *function = &untouched, *without = &untouched;
    char text[256];
    CUresult result = by_v1(name, &function, version, flags);

    printf("v1 %s %d %llx: %d %s\n", name ? name : "NULL", version, (unsigned long long)flags, (int)result,
           whose(function, text, sizeof(text)));
    if (!by_v2)
        return;
    function = &untouched;
    result = by_v2(name, &function, version, flags, &status);
    printf("v2 %s %d %llx: %d %s, status %d", name ? name : "NULL", version, (unsigned long long)flags,
           (int)result, whose(function, text, sizeof(text)), (int)status);
    result = by_v2(name, &without, version, flags, NULL);
    printf(", without a status %d %s\n", (int)result, whose(without, text, sizeof(text)));
}

static void ask_garbage(void)
{
    static const cuuint64_t flags[] = {3, 4, 64, UINT64_C(1) << 63, UINT64_MAX};
    static const char *const names[] = {"",           " ",    "cu",      "cuMemAlloc_v2", "cuMemAlloc ",
                                        "CUMEMALLOC", "%s%n", "\xff\xfe"};
    CUdriverProcAddressQueryResult status;
    char *long_name = malloc(100000);

    if (!long_name)
        exit(2);
    memset(long_name, 'A', 99999);
    long_name[99999] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ask(names[i], 13000, 0);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        ask("cuMemAlloc", 13000, flags[i]);
    ask(NULL, 13000, 0);
    ask("cuMemAlloc", 0, 0);
    ask("cuMemAlloc", -1, 0);
    ask("cuMemAlloc", INT_MIN, 0);
    ask(long_name, 13000, 0);
    free(long_name);
    printf("no place for the answer: %d %d\n", (int)by_v1("cuMemAlloc", NULL, 13000, 0),
           (int)by_v1(NULL, NULL, 13000, 0));
    if (by_v2)
        printf("no place for the answer, v2: %d %d\n", (int)by_v2("cuMemAlloc", NULL, 13000, 0, &status),
               (int)by_v2(NULL, NULL, 13000, 0, NULL));
}

/* What becomes of a call to a function that the driver lacks: it has nobody to go to. */
static void call_missing(void *library, void *driver)
{
    const struct call_arguments none = {0};
    const struct cuda_row *row;

    for (unsigned slot = 0; (row = api_cuda_slot(slot)); slot++) {
        void *function = dlsym(library, row->symbol);

        if (function && !dlsym(driver, row->symbol))
            printf("missing %s: %d\n", row->symbol, call_function(function, &none));
    }
}

int main(int argc, char **argv)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL),
         *driver = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    FILE *questions = argc == 3 ? fopen(argv[2], "r") : NULL;
    void (*lookup_set)(bool lookup);
    char name[256];
    int version;

    if (!library || !driver || !questions) {
        fprintf(stderr, "usage: %s RECORDING-DRIVER QUESTIONS\n", argv[0]);
        return 2;
    }
    driver_path = argv[1];
    lookup_set = (void (*)(bool))dlsym(driver, "recdrv_lookup_set");
    by_v1 = (lookup_v1)dlsym(library, "cuGetProcAddress");
    by_v2 = (lookup_v2)dlsym(library, "cuGetProcAddress_v2");
    lookup_set(true);
    while (fscanf(questions, "%d %255s", &version, name) == 2)
        for (cuuint64_t flags = 0; flags < 3; flags++)
            ask(name, version, flags);
    fclose(questions);
    ask_garbage();
    lookup_set(false);
    call_missing(library, driver);
    return 0;
}
