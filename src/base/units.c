/* Parsing and printing of amounts; see units.h. Must stay free of locale: '.' is the only decimal point. */
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

static int unit_shift(const char *unit)
{
    static const char letters[] = "kmgt";
    const char *found;

    if (unit[0] == '\0' || !strcasecmp(unit, "b"))
        return 0;
    found = strchr(letters, unit[0] | 0x20);
    if (!found)
        return -1;
    unit++;
    if (*unit == 'i' || *unit == 'I')
        unit++;
    if (*unit == 'b' || *unit == 'B')
        unit++;
    return *unit ? -1 : 10 * (int)(found - letters + 1);
}

/* Reads digits['.'digits] into thousandths of a unit, so that no floating point rounds a limit. */
static const char *parse_milli(const char *text, uint64_t *ret_whole, unsigned *ret_milli)
{
    uint64_t whole = 0;
    unsigned milli = 0, digits = 0;

    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, *text - '0', &whole))
            return NULL;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++, digits++)
            if (digits < 3)
                milli = milli * 10 + (unsigned)(*text - '0');
        if (!digits)
            return NULL;
        for (; digits < 3; digits++)
            milli *= 10;
    }
    *ret_whole = whole;
    *ret_milli = milli;
    return text;
}

int units_parse_bytes(const char *text, uint64_t *ret_bytes, struct error *err)
{
    uint64_t whole, bytes;
    unsigned milli;
    const char *unit = parse_milli(text, &whole, &milli);
    int shift = unit ? unit_shift(unit) : -1;

    if (shift < 0)
        return error_fail(err, -EINVAL, "'%s' is not an amount of memory: write for example 512M, 2G or 1.5G", text);
    if (whole > (UINT64_C(1) << 62) >> shift)
        return error_fail(err, -ERANGE, "'%s' is more memory than any device has", text);
    bytes = (whole << shift) + ((((uint64_t)milli) << shift) / 1000);
    if (!bytes)
        return error_fail(err, -EINVAL, "'%s' is no memory at all: write for example 512M, 2G or 1.5G", text);
    *ret_bytes = bytes;
    return 0;
}

int units_parse_percent(const char *text, unsigned *ret_permille, struct error *err)
{
    uint64_t whole;
    unsigned milli;
    const char *end = parse_milli(text, &whole, &milli);
    uint64_t permille;

    if (!end || strcmp(end, "%") || milli % 100)
        return error_fail(err, -EINVAL, "'%s' is not a percentage: write for example 25%% or 12.5%%", text);
    permille = whole > 100 ? 1001 : whole * 10 + milli / 100;
    if (permille == 0 || permille > 1000)
        return error_fail(err, -ERANGE, "'%s' is out of range: more than 0%% and at most 100%%", text);
    *ret_permille = (unsigned)permille;
    return 0;
}

char *units_format_bytes(uint64_t bytes, char *buf, size_t buf_bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int i = -1;

    for (; value >= 1024 && i < 3; i++)
        value /= 1024;
    if (i < 0)
        snprintf(buf, buf_bytes, "%llu B", (unsigned long long)bytes);
    else if (value == (double)(uint64_t)value && i < 2)
        snprintf(buf, buf_bytes, "%.0f %s", value, names[i]);
    else
        snprintf(buf, buf_bytes, "%.2f %s", value, names[i]);
    return buf;
}

char *units_format_percent(unsigned permille, char *buf, size_t buf_bytes)
{
    if (permille % 10)
        snprintf(buf, buf_bytes, "%u.%u%%", permille / 10, permille % 10);
    else
        snprintf(buf, buf_bytes, "%u%%", permille / 10);
    return buf;
}

char *units_format_ns(uint64_t ns, char *buf, size_t buf_bytes)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{NS_PER_S, "s"}, {NS_PER_MS, "ms"}, {NS_PER_US, "us"}};
    unsigned long long s = ns / NS_PER_S;

    for (size_t i = 0; s < 60 && i < sizeof(units) / sizeof(*units); i++) {
        double value = (double)ns / (double)units[i].ns;

        if (ns < units[i].ns)
            continue;
        snprintf(buf, buf_bytes, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, units[i].name);
        return buf;
    }
    if (s < 60)
        snprintf(buf, buf_bytes, "%llu ns", (unsigned long long)ns);
    else if (s < 3600)
        snprintf(buf, buf_bytes, "%llu min %02llu s", s / 60, s % 60);
    else
        snprintf(buf, buf_bytes, "%llu h %02llu min", s / 3600, s / 60 % 60);
    return buf;
}

