/* Parser of device descriptions; see describe.h. One table has the keys; each value has one small reader,
 * which leaves the words of what went wrong. Nothing here depends on the locale or on where the text came
 * from. */
#include "softgpu/device/describe.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/paths.h"
#include "base/units.h"

enum { TEXT_MAX = 64 * 1024, VALUE_MAX = 256 };

/* One entry of the description while it is read. */
struct entry {
    struct sgdev_properties device;
    uint64_t count;
    bool has_uuid;
};

/* What a key's value may be: `to` receives it. */
typedef int (*value_reader)(const char *value, struct entry *to, struct error *err);

/* ---- readers of values ---- */

/* Reads "12", "1.5k", "2M": digits with an optional fraction, times the suffix's power of 1000. Exact to the
 * thousandth of a unit. */
static int read_scaled(const char *value, const char *const *suffixes, const uint64_t *factors, uint64_t *ret)
{
    uint64_t whole = 0, milli = 0, factor, result;
    unsigned digits = 0, i;

    if (!isdigit((unsigned char)*value))
        return -EINVAL;
    for (; isdigit((unsigned char)*value); value++)
        if (__builtin_mul_overflow(whole, 10u, &whole) ||
            __builtin_add_overflow(whole, (unsigned)(*value - '0'), &whole))
            return -ERANGE;
    if (*value == '.') {
        for (value++; isdigit((unsigned char)*value) && digits < 3; value++, digits++)
            milli = milli * 10 + (unsigned)(*value - '0');
        if (!digits)
            return -EINVAL;
        for (; digits < 3; digits++)
            milli *= 10;
    }
    for (i = 0; suffixes[i] && strcmp(suffixes[i], value); i++)
        ;
    if (!suffixes[i])
        return -EINVAL;
    factor = factors[i];
    if (__builtin_mul_overflow(whole, factor, &result) ||
        __builtin_add_overflow(result, milli * factor / 1000, &result))
        return -ERANGE;
    *ret = result;
    return 0;
}

static int read_number(const char *value, uint64_t low, uint64_t high, uint64_t *ret, struct error *err)
{
    static const char *const suffixes[] = {"", "k", "K", "M", "G", NULL};
    static const uint64_t factors[] = {1, 1000, 1000, 1000000, 1000000000};
    uint64_t number;
    int r = read_scaled(value, suffixes, factors, &number);

    if (r < 0 || number < low || number > high)
        return error_fail(err, r == -EINVAL ? r : -ERANGE,
                          "expected is a number from %llu to %llu, for example 8 or 2M",
                          (unsigned long long)low, (unsigned long long)high);
    *ret = number;
    return 0;
}

static int read_duration(const char *value, uint64_t low_ns, uint64_t high_ns, uint64_t *ret_ns,
                         struct error *err)
{
    static const char *const suffixes[] = {"ns", "us", "ms", "s", NULL};
    static const uint64_t factors[] = {1, NS_PER_US, NS_PER_MS, NS_PER_S};
    uint64_t ns = 0;
    int r = strcmp(value, "0") ? read_scaled(value, suffixes, factors, &ns) : 0;

    if (r < 0 || ns < low_ns || ns > high_ns)
        return error_fail(err, r == -EINVAL ? r : -ERANGE,
                          "expected is a time with its unit from %lluns to %llus, for example 500us or 2ms",
                          (unsigned long long)low_ns, (unsigned long long)(high_ns / NS_PER_S));
    *ret_ns = ns;
    return 0;
}

/* A frequency; a bare number is MHz. */
static int read_frequency(const char *value, uint32_t *ret_khz, struct error *err)
{
    static const char *const suffixes[] = {"", "kHz", "MHz", "GHz", NULL};
    static const uint64_t factors[] = {1000, 1, 1000, 1000000};
    uint64_t khz;
    int r = read_scaled(value, suffixes, factors, &khz);

    if (r < 0 || khz < 1000 || khz > 100000000)
        return error_fail(err, r == -EINVAL ? r : -ERANGE,
                          "expected is a clock from 1MHz to 100GHz, for example 1500MHz or 1.5GHz");
    *ret_khz = (uint32_t)khz;
    return 0;
}

static int read_bytes(const char *value, uint64_t low, uint64_t high, uint64_t *ret_bytes, struct error *err)
{
    uint64_t bytes;
    char low_text[32], high_text[32];
    int r = units_parse_bytes(value, &bytes, NULL);

    if (r == 0 && bytes >= low && bytes <= high) {
        *ret_bytes = bytes;
        return 0;
    }
    return error_fail(err, r < 0 ? r : -ERANGE,
                      "expected is an amount from %s to %s, for example 512M or 16G",
                      units_format_bytes(low, low_text, sizeof(low_text)),
                      units_format_bytes(high, high_text, sizeof(high_text)));
}

static int key_count(const char *value, struct entry *to, struct error *err)
{
    return read_number(value, 0, SGDEV_DEVICES_MAX, &to->count, err);
}

static int key_name(const char *value, struct entry *to, struct error *err)
{
    size_t len = strlen(value);

    if (!len || len >= SGDEV_NAME_MAX)
        return error_fail(err, -EINVAL, "expected is a name of 1 to %d characters", SGDEV_NAME_MAX - 1);
    for (size_t i = 0; i < len; i++)
        if (!isprint((unsigned char)value[i]))
            return error_fail(err, -EINVAL, "expected is a name of printable ASCII characters");
    memset(to->device.name, 0, sizeof(to->device.name));
    memcpy(to->device.name, value, len);
    return 0;
}

static int key_memory(const char *value, struct entry *to, struct error *err)
{
    uint64_t bytes = 0;
    int r = read_bytes(value, to->device.granule_bytes, 16 * TIB, &bytes, err);

    if (r == 0)
        to->device.memory_bytes = bytes / to->device.granule_bytes * to->device.granule_bytes;
    return r;
}

static int key_context(const char *value, struct entry *to, struct error *err)
{
    uint64_t granule = to->device.granule_bytes, bytes = 0;
    int r = strcmp(value, "0") ? read_bytes(value, 1, TIB, &bytes, err) : 0;

    if (r == 0)
        to->device.context_bytes = (bytes + granule - 1) / granule * granule;
    return r;
}

static int key_sms(const char *value, struct entry *to, struct error *err)
{
    uint64_t n = 0;
    int r = read_number(value, 1, 1024, &n, err);

    if (r == 0)
        to->device.sm_count = (uint32_t)n;
    return r;
}

/* 32 hex digits with or without dashes, with or without the "GPU-" that NVML puts before them. */
static int key_uuid(const char *value, struct entry *to, struct error *err)
{
    const char *p = strncmp(value, "GPU-", 4) ? value : value + 4;
    unsigned digits = 0;
    uint8_t uuid[16] = {0};

    for (; *p; p++) {
        if (*p == '-')
            continue;
        if (!isxdigit((unsigned char)*p) || digits == 32)
            break;
        uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 |
                                     (isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10));
        digits++;
    }
    if (*p || digits != 32)
        return error_fail(err, -EINVAL,
                          "expected are 32 hex digits, for example GPU-01234567-89ab-cdef-0123-456789abcdef");
    memcpy(to->device.uuid, uuid, sizeof(uuid));
    to->has_uuid = true;
    return 0;
}

static int key_cc(const char *value, struct entry *to, struct error *err)
{
    unsigned major, minor;
    int end = 0;

    if (sscanf(value, "%2u.%1u%n", &major, &minor, &end) != 2 || value[end] || major < 5 || major > 12)
        return error_fail(err, -EINVAL, "expected is a compute capability from 5.0 to 12.9, for example 7.5");
    to->device.compute_major = major;
    to->device.compute_minor = minor;
    return 0;
}

static int key_time(const char *value, struct entry *to, struct error *err)
{
    static const char *const names[] = {
        [SGDEV_TIME_PACED] = "paced", [SGDEV_TIME_VIRTUAL] = "virtual", [SGDEV_TIME_ASAP] = "asap"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(value, names[i])) {
            to->device.time_mode = (enum sgdev_time_mode)i;
            return 0;
        }
    return error_fail(err, -EINVAL, "expected is paced, virtual or asap");
}

static int key_clock(const char *value, struct entry *to, struct error *err)
{
    return read_frequency(value, &to->device.clock_khz, err);
}

static int key_memclock(const char *value, struct entry *to, struct error *err)
{
    return read_frequency(value, &to->device.memory_clock_khz, err);
}

static int key_bus(const char *value, struct entry *to, struct error *err)
{
    uint64_t bits = 0;
    int r = read_number(value, 8, 16384, &bits, err);

    if (r == 0)
        to->device.bus_width_bits = (uint32_t)bits;
    return r;
}

static int key_ips(const char *value, struct entry *to, struct error *err)
{
    return read_number(value, 1000, UINT64_C(100000000000), &to->device.ips_per_sm, err);
}

static int key_copy(const char *value, struct entry *to, struct error *err)
{
    return read_bytes(value, MIB, 16 * TIB, &to->device.copy_bytes_per_s, err);
}

static int key_devcopy(const char *value, struct entry *to, struct error *err)
{
    return read_bytes(value, MIB, 256 * TIB, &to->device.device_copy_bytes_per_s, err);
}

static int key_launch(const char *value, struct entry *to, struct error *err)
{
    return read_duration(value, 0, NS_PER_S, &to->device.launch_ns, err);
}

static int read_slice(const char *value, uint64_t *ret_ns, struct error *err)
{
    return read_duration(value, 50 * NS_PER_US, NS_PER_S, ret_ns, err);
}

static int key_slice(const char *value, struct entry *to, struct error *err)
{
    int r = read_slice(value, &to->device.time_slices_ns[0], err);

    if (r == 0)
        to->device.n_time_slices = 1;
    return r;
}

/* "2ms/500us/1ms" */
static int key_slices(const char *value, struct entry *to, struct error *err)
{
    char text[VALUE_MAX], *rest = text, *part;
    uint32_t n = 0;

    snprintf(text, sizeof(text), "%s", value);
    while ((part = strsep(&rest, "/"))) {
        int r;

        if (n == SGDEV_SLICES_MAX)
            return error_fail(err, -ERANGE, "expected are at most %d times with slashes between them",
                              SGDEV_SLICES_MAX);
        r = read_slice(part, &to->device.time_slices_ns[n++], err);
        if (r < 0)
            return r;
    }
    to->device.n_time_slices = n;
    return 0;
}

static int key_preempt(const char *value, struct entry *to, struct error *err)
{
    if (strcmp(value, "yes") && strcmp(value, "no"))
        return error_fail(err, -EINVAL, "expected is yes or no");
    to->device.runs_to_end = !strcmp(value, "no");
    return 0;
}

static int key_switch(const char *value, struct entry *to, struct error *err)
{
    return read_duration(value, 0, NS_PER_S, &to->device.switch_ns, err);
}

static const struct {
    const char *name;
    value_reader read;
} keys[] = {
    {"count", key_count},   {"name", key_name},       {"memory", key_memory}, {"sms", key_sms},
    {"uuid", key_uuid},     {"cc", key_cc},           {"clock", key_clock},   {"memclock", key_memclock},
    {"bus", key_bus},       {"context", key_context}, {"time", key_time},     {"ips", key_ips},
    {"copy", key_copy},     {"devcopy", key_devcopy}, {"launch", key_launch}, {"slice", key_slice},
    {"slices", key_slices}, {"preempt", key_preempt}, {"switch", key_switch},
};

/* ---- entries and texts ---- */

static void entry_init(struct entry *entry)
{
    memset(entry, 0, sizeof(*entry));
    entry->count = 1;
    entry->device = (struct sgdev_properties){
        .name = "vgpu Software GPU",
        .sm_count = 8,
        .clock_khz = 1000000,
        .memory_clock_khz = 5000000,
        .bus_width_bits = 256,
        .compute_major = 7,
        .compute_minor = 5,
        .memory_bytes = 16 * GIB,
        .context_bytes = 64 * MIB,
        .granule_bytes = 2 * MIB,
        .pitch_align_bytes = 512,
        .pool_chunk_bytes = 32 * MIB,
        .ips_per_sm = 2000000,
        .copy_bytes_per_s = 12 * GIB,
        .device_copy_bytes_per_s = 200 * GIB,
        .launch_ns = 5 * NS_PER_US,
        .time_slices_ns = {2 * NS_PER_MS},
        .n_time_slices = 1,
        .switch_ns = 0,
        .time_mode = SGDEV_TIME_PACED,
    };
}

static char *trim(char *text)
{
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

static int entry_set(struct entry *entry, const char *key, const char *value, struct error *err)
{
    char known[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!strcmp(keys[i].name, key)) {
            int r = keys[i].read(value, entry, err);

            return r < 0 ? error_prefix(err, "'%.64s=%.128s'", key, value) : 0;
        }
        at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i ? ", " : "", keys[i].name);
    }
    return error_fail(err, -EINVAL, "'%.64s' is not a key of a device description: expected is one of %s",
                      key, known);
}

/* Reads "key=value,key=value" into entry; changes text. */
static int entry_parse(char *text, struct entry *entry, struct error *err)
{
    char *rest = text, *pair;

    entry_init(entry);
    while ((pair = strsep(&rest, ","))) {
        char *value, *key = trim(pair);
        int r;

        if (!*key)
            continue;
        value = strchr(key, '=');
        if (!value)
            return error_fail(err, -EINVAL, "'%.128s': expected is key=value, for example memory=8G", key);
        *value++ = '\0';
        key = trim(key);
        value = trim(value);
        if (strlen(value) >= VALUE_MAX)
            return error_fail(err, -EINVAL, "'%.64s': its value is longer than %d characters", key,
                              VALUE_MAX - 1);
        r = entry_set(entry, key, value, err);
        if (r < 0)
            return r;
    }
    if (entry->has_uuid && entry->count != 1)
        return error_fail(err, -EINVAL,
                          "uuid names one device, but count is %llu: describe each device by itself",
                          (unsigned long long)entry->count);
    if (entry->device.context_bytes > entry->device.memory_bytes)
        return error_fail(err, -EINVAL, "context costs more memory than the device has");
    return 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    /* FNV leaves the last bytes' influence low; a final mix spreads it. */
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

/* A device's identity must survive a restart and a move of the directory: name and ordinal alone make it (an
 * RFC 9562 version 8 UUID). */
static void device_identify(struct sgdev_properties *device, unsigned ordinal, bool has_uuid)
{
    device->pci_domain = 0;
    device->pci_bus = 1 + ordinal;
    device->pci_device = 0;
    if (has_uuid)
        return;
    for (uint64_t half = 0; half < 2; half++) {
        uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325) + half, device->name, sizeof(device->name));

        hash = hash_bytes(hash, &ordinal, sizeof(ordinal));
        memcpy(device->uuid + 8 * half, &hash, sizeof(hash));
    }
    device->uuid[6] = (uint8_t)(0x80 | (device->uuid[6] & 0x0f));
    device->uuid[8] = (uint8_t)(0x80 | (device->uuid[8] & 0x3f));
}

static int describe_add(struct describe *to, const struct entry *entry, struct error *err)
{
    if (to->n_devices + entry->count > SGDEV_DEVICES_MAX)
        return error_fail(err, -ERANGE, "more than %d devices are described", SGDEV_DEVICES_MAX);
    for (uint64_t i = 0; i < entry->count; i++) {
        struct sgdev_properties *device = &to->devices[to->n_devices];

        *device = entry->device;
        device_identify(device, to->n_devices, entry->has_uuid);
        for (unsigned other = 0; other < to->n_devices; other++)
            if (!memcmp(to->devices[other].uuid, device->uuid, sizeof(device->uuid)))
                return error_fail(err, -EINVAL, "devices %u and %u have the same uuid", other, to->n_devices);
        to->n_devices++;
    }
    return 0;
}

/* Splits text at the characters of `between`; '#' begins a comment where has_comments. Changes text. */
static int describe_split(char *text, const char *between, bool has_comments, struct describe *to,
                          struct error *err)
{
    char *rest = text, *part;
    unsigned number = 0;

    while ((part = strsep(&rest, between))) {
        struct entry entry;
        int r;

        number++;
        if (has_comments)
            part[strcspn(part, "#")] = '\0';
        part = trim(part);
        if (!*part)
            continue;
        r = entry_parse(part, &entry, err);
        if (r == 0)
            r = describe_add(to, &entry, err);
        if (r < 0)
            return error_prefix(err, "%s %u", has_comments ? "line" : "device entry", number);
    }
    return 0;
}

/* The text of a file, into `text` of TEXT_MAX + 1 bytes. */
static int read_text(const char *path, char *text, struct error *err)
{
    FILE *file = fopen(path, "re");
    bool has_failed;
    size_t n;

    if (!file)
        return error_fail(err, -errno, "device description '%s': %s", path, strerror(errno));
    n = fread(text, 1, TEXT_MAX + 1, file);
    has_failed = ferror(file);
    fclose(file);
    if (has_failed)
        return error_fail(err, -EIO, "device description '%s' cannot be read", path);
    if (n > TEXT_MAX || memchr(text, '\0', n))
        return error_fail(err, -EINVAL, "device description '%s' is no text of at most %d bytes", path,
                          TEXT_MAX);
    text[n] = '\0';
    return 0;
}

int describe_parse(const char *text, struct describe *ret_describe, struct error *err)
{
    bool is_file = text && text[0] == '@', is_empty = !text || !text[strspn(text, " \t\n;,")];
    char *copy = is_file ? malloc(TEXT_MAX + 1) : strdup(is_empty ? "count=1" : text);
    struct describe parsed = {0};
    int r;

    if (!copy)
        return error_fail(err, -ENOMEM, "out of memory");
    r = is_file ? read_text(text + 1, copy, err) : 0;
    if (r == 0) {
        r = describe_split(copy, is_file ? "\n" : ";", is_file, &parsed, err);
        if (r < 0 && is_file)
            error_prefix(err, "device description '%s'", text + 1);
    }
    free(copy);
    if (r == 0)
        *ret_describe = parsed;
    return r;
}

int describe_from_env(struct describe *ret_describe, struct error *err)
{
    int r = describe_parse(paths_env("VGPU_SOFTGPU_DEVICES"), ret_describe, err);

    return r < 0 ? error_prefix(err, "VGPU_SOFTGPU_DEVICES") : 0;
}

uint64_t describe_fingerprint(const struct describe *describe)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    /* Field by field: the padding of the struct is not part of a device. */
    for (unsigned i = 0; i < describe->n_devices; i++) {
        const struct sgdev_properties *d = &describe->devices[i];
        const uint64_t fields[] = {
            d->pci_domain,
            d->pci_bus,
            d->pci_device,
            d->sm_count,
            d->clock_khz,
            d->memory_clock_khz,
            d->bus_width_bits,
            d->compute_major,
            d->compute_minor,
            d->memory_bytes,
            d->context_bytes,
            d->granule_bytes,
            d->pitch_align_bytes,
            d->pool_chunk_bytes,
            d->ips_per_sm,
            d->copy_bytes_per_s,
            d->device_copy_bytes_per_s,
            d->launch_ns,
            d->runs_to_end,
            d->switch_ns,
            d->time_mode,
        };

        hash = hash_bytes(hash, d->name, sizeof(d->name));
        hash = hash_bytes(hash, d->uuid, sizeof(d->uuid));
        hash = hash_bytes(hash, fields, sizeof(fields));
        hash = hash_bytes(hash, d->time_slices_ns, d->n_time_slices * sizeof(d->time_slices_ns[0]));
    }
    return hash;
}
