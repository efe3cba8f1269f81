/* Options with a number as their value, in pairs of name and value on the command line. */
#ifndef VGPU_TESTS_NUMBER_OPTION_H
#define VGPU_TESTS_NUMBER_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct number_option {
    const char *name; /* as "--grid"; the table ends with NULL */
    unsigned long *to;
};

/* False: no such option, or its value is no number. */
static inline bool number_option_read(const struct number_option *options, const char *name,
                                      const char *value)
{
    char *end;

    while (options->name && strcmp(options->name, name))
        options++;
    if (!options->name)
        return false;
    *options->to = strtoul(value, &end, 10);
    return end != value && !*end;
}

#endif
