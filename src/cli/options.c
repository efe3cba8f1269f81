/* Shared options; see options.h. */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/cli.h"

enum { DURATION_MAX_MS = 3600 * 1000, MEMORY_MIN_BYTES = 1 << 20 };

void options_begin(void)
{
    optind = 0; /* glibc: start anew, with the ordering of the next option string */
}

int options_next(int argc, char **argv, const struct option *options, bool leading)
{
    int code = getopt_long(argc, argv, leading ? "+" : "", options, NULL);

    if (code == '?')
        fprintf(stderr, "%s --help shows its options\n", argv[0]);
    return code;
}

int options_memory(const char *text, json_t *request, struct error *err)
{
    uint64_t bytes;
    unsigned permille;
    int r;

    json_object_del(request, "memory_limit_bytes");
    json_object_del(request, "memory_limit_permille");
    if (*text && text[strlen(text) - 1] == '%') {
        r = units_parse_percent(text, &permille, err);
        if (r == 0)
            json_object_set_new(request, "memory_limit_permille", json_integer(permille));
    } else {
        r = units_parse_bytes(text, &bytes, err);
        if (r == 0 && bytes < MEMORY_MIN_BYTES)
            r = error_fail(
                err, -ERANGE,
                "'%s' is too little for any program; is the unit missing? Write for example 512M or 2G",
                text);
        if (r == 0)
            json_object_set_new(request, "memory_limit_bytes", json_integer((json_int_t)bytes));
    }
    return r < 0 ? error_prefix(err, "--memory") : 0;
}

int options_duration(const char *text, uint64_t *ret_ms, struct error *err)
{
    static const struct {
        const char *name;
        unsigned ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (text[0] < '0' || text[0] > '9' || strcmp(end, units[i].name))
            continue;
        if (value > DURATION_MAX_MS / units[i].ms)
            break;
        *ret_ms = (uint64_t)value * units[i].ms;
        return 0;
    }
    return error_fail(err, -EINVAL, "'%s' is not a time of at most an hour; write it as 5s, 500ms, 2m or 1h",
                      text);
}

int options_devices(const char *text, json_t *request, struct error *err)
{
    json_t *devices = json_object_get(request, "devices");

    if (!devices) {
        devices = json_array();
        json_object_set_new(request, "devices", devices);
    }
    for (;;) {
        size_t n = strcspn(text, ",");

        if (!n)
            return error_fail(
                err, -EINVAL,
                "--device: an empty name; expected a UUID (GPU-...), a number of `vgpu device list`, nvidia "
                "or software");
        if (json_array_append_new(devices, json_stringn(text, n)) < 0)
            return error_fail(err, -EINVAL, "--device: '%.*s' is not UTF-8", (int)n, text);
        if (!text[n])
            return 0;
        text += n + 1;
    }
}

int options_fail(char **argv, int status, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", argv[0], err->text);
    return status;
}

int options_fail_arguments(char **argv, const char *expected)
{
    fprintf(stderr, "%s: expected %s; %s --help shows how\n", argv[0], expected, argv[0]);
    return CLI_USAGE;
}
