/* Shared options; see options.h. */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cli.h"

enum {
    DURATION_MAX_MS = 3600 * 1000,
    MEMORY_MIN_BYTES = 1 << 20,
    WEIGHT_MAX = 10000,
    TIME_SLICE_MIN_US = 100,
    TIME_SLICE_MAX_US = 100 * 1000,
};

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

/* ---- shares ---- */

static int share_compute(const char *text, json_t *request, struct error *err)
{
    unsigned permille;

    if (*text && !text[strspn(text, "0123456789.")])
        return error_fail(err, -EINVAL, "'%s' lacks its unit: of the device's time write for example 30%%",
                          text);
    if (units_parse_percent(text, &permille, err) < 0)
        return err->code;
    return json_object_set_new(request, "compute_permille", json_integer(permille));
}

/* One of n names. */
static int share_name(const char *text, const char *const *names, size_t n, const char *member,
                      json_t *request, struct error *err)
{
    size_t at = 0;
    char list[120] = "";

    for (size_t i = 0; i < n; i++) {
        if (!strcmp(text, names[i]))
            return json_object_set_new(request, member, json_string(text));
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "", names[i]);
    }
    return error_fail(err, -EINVAL, "'%s' is none of %s", text, list);
}

/* Digits and nothing else before *ret_end; false when there are none or they are too many for any use. */
static bool read_count(const char *text, unsigned long *ret_count, const char **ret_end)
{
    size_t n = strspn(text, "0123456789");

    if (!n || n > 9)
        return false;
    *ret_count = strtoul(text, NULL, 10);
    *ret_end = text + n;
    return true;
}

static int share_weight(const char *text, json_t *request, struct error *err)
{
    unsigned long weight;
    const char *end;

    if (!read_count(text, &weight, &end) || *end || !weight || weight > WEIGHT_MAX)
        return error_fail(err, -EINVAL, "'%s' is not a whole number from 1 to %d", text, WEIGHT_MAX);
    return json_object_set_new(request, "weight", json_integer((json_int_t)weight));
}

static int share_time_slice(const char *text, json_t *request, struct error *err)
{
    unsigned long us;
    const char *end;

    if (read_count(text, &us, &end) && (!strcmp(end, "us") || !strcmp(end, "ms"))) {
        us *= *end == 'm' ? 1000 : 1;
        if (us >= TIME_SLICE_MIN_US && us <= TIME_SLICE_MAX_US)
            return json_object_set_new(request, "time_slice_ns",
                                       json_integer((json_int_t)us * (json_int_t)NS_PER_US));
    }
    return error_fail(err, -EINVAL, "'%s' is not a time from %dus to %dms; write it as 2ms or 500us", text,
                      TIME_SLICE_MIN_US, TIME_SLICE_MAX_US / 1000);
}

bool options_is_share(int code)
{
    return code >= OPTIONS_COMPUTE && code <= OPTIONS_TIME_SLICE;
}

int options_share(int code, const char *text, json_t *request, struct error *err)
{
    static const char *const policies[] = {"best-effort", "equal-share", "fixed-share"};
    static const char *const priorities[] = {"low", "normal", "high"};

    switch (code) {
    case OPTIONS_COMPUTE:
        return share_compute(text, request, err) < 0 ? error_prefix(err, "--compute") : 0;
    case OPTIONS_POLICY:
        return share_name(text, policies, 3, "policy", request, err) < 0 ? error_prefix(err, "--policy") : 0;
    case OPTIONS_WEIGHT:
        return share_weight(text, request, err) < 0 ? error_prefix(err, "--weight") : 0;
    case OPTIONS_PRIORITY:
        return share_name(text, priorities, 3, "priority", request, err) < 0 ? error_prefix(err, "--priority")
                                                                             : 0;
    case OPTIONS_TIME_SLICE:
        return share_time_slice(text, request, err) < 0 ? error_prefix(err, "--time-slice") : 0;
    }
    return error_fail(err, -EINVAL, "no option of a share");
}

/* ---- other values ---- */

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
