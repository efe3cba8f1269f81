/* Options that commands share, read in one way; every refusal names the value, what was expected and what to
 * do. */
#ifndef VGPU_CLI_OPTIONS_H
#define VGPU_CLI_OPTIONS_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    OPTIONS_HELP = 256,
    OPTIONS_JSON,
    OPTIONS_COMPUTE,
    OPTIONS_POLICY,
    OPTIONS_WEIGHT,
    OPTIONS_PRIORITY,
    OPTIONS_TIME_SLICE,
    OPTIONS_OWN, /* first code for a command's own options */
};

#define OPTIONS_HELP_ROW                                                                                     \
    {                                                                                                        \
        "help", no_argument, NULL, OPTIONS_HELP                                                              \
    }
#define OPTIONS_JSON_ROW                                                                                     \
    {                                                                                                        \
        "json", no_argument, NULL, OPTIONS_JSON                                                              \
    }
/* What an instance may have of the devices' time; several rows. */
#define OPTIONS_SHARE_ROWS                                                                                   \
    {"compute", required_argument, NULL, OPTIONS_COMPUTE},                                                   \
        {"policy", required_argument, NULL, OPTIONS_POLICY},                                                 \
        {"weight", required_argument, NULL, OPTIONS_WEIGHT},                                                 \
        {"priority", required_argument, NULL, OPTIONS_PRIORITY},                                             \
    {                                                                                                        \
        "time-slice", required_argument, NULL, OPTIONS_TIME_SLICE                                            \
    }
#define OPTIONS_END_ROW                                                                                      \
    {                                                                                                        \
        NULL, 0, NULL, 0                                                                                     \
    }

/* Where a command's options begin again: getopt keeps its place in globals. */
void options_begin(void);

/* The next option, or -1 behind the last one. An unknown one is reported and gives '?'. Options may follow
 * arguments, unless `leading`: then the first argument ends them. */
int options_next(int argc, char **argv, const struct option *options, bool leading);

/* Puts --memory into a request: "2G" as memory_limit_bytes, "25%" as memory_limit_permille. */
int options_memory(const char *text, json_t *request, struct error *err);

/* Whether code is of one of OPTIONS_SHARE_ROWS. */
bool options_is_share(int code);
/* Puts what such an option says into a request: compute_permille, policy, weight, priority or time_slice_ns.
 * 0, or negative errno with err filled and the request as it was. */
int options_share(int code, const char *text, json_t *request, struct error *err);

/* Reads a time such as "5s", "500ms", "2m", "1h" or "5" (seconds). At most an hour. */
int options_duration(const char *text, uint64_t *ret_ms, struct error *err);

/* Appends what --device says to the request's list: one name or several with commas between. */
int options_devices(const char *text, json_t *request, struct error *err);

/* Says "COMMAND: text" on stderr and returns status. */
int options_fail(char **argv, int status, const struct error *err);
/* The same for a wrong number of arguments; `expected` as in "one instance". */
int options_fail_arguments(char **argv, const char *expected);

#endif
