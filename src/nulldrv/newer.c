/* What a driver of some later version has beside all that we know: new names, of which some take memory or
 * launch work and some do neither, and new versions of known names. Compiled into one of the recording
 * drivers only. */
#include "nulldrv/newer.h"

#include <stddef.h>
#include <string.h>

#define NEWER(symbol)                                                                                        \
    __attribute__((visibility("default"))) int symbol(void);                                                 \
    int symbol(void)                                                                                         \
    {                                                                                                        \
        return 0;                                                                                            \
    }

NEWER(cuTomorrow)
NEWER(cuMemAllocTomorrow)
NEWER(cuLaunchTomorrow)
NEWER(cuTomorrowImportMemory)
NEWER(cuMemAlloc_v9)
NEWER(cuStreamQuery_v9)

static const struct {
    const char *name;
    int since;
    int (*function)(void);
} functions[] = {{"cuTomorrow", 14000, cuTomorrow},
                 {"cuMemAllocTomorrow", 14000, cuMemAllocTomorrow},
                 {"cuLaunchTomorrow", 14000, cuLaunchTomorrow},
                 {"cuTomorrowImportMemory", 14000, cuTomorrowImportMemory},
                 {"cuMemAlloc", 14000, cuMemAlloc_v9},
                 {"cuStreamQuery", 14000, cuStreamQuery_v9}};

void *newer_function(const char *name, int version)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (version >= functions[i].since && strcmp(name, functions[i].name) == 0)
            return (void *)functions[i].function;
    return NULL;
}
