/* Device-side printf; see print.h. A conversion is read into a struct spec, made harmless, and handed to
 * snprintf one value at a time with a format string of our own making: no byte of the kernel's format ever
 * reaches the C library. */
#include "softgpu/exec/print.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- reading the kernel's memory ---- */

/* A string read through a small window. */
struct reader {
    const struct print_call *call;
    uint64_t address; /* of the window's end */
    size_t at, filled;
    unsigned char window[128];
};

static void reader_init(struct reader *reader, const struct print_call *call, uint64_t address)
{
    reader->call = call;
    reader->address = address;
    reader->at = reader->filled = 0;
}

/* The next byte, or -EFAULT. Must not be called again after 0 or an error. */
static int reader_next(struct reader *reader)
{
    if (reader->at == reader->filled) {
        /* Up to a multiple of the window, so that a string's last window does not run into the next page for
         * nothing. */
        size_t wanted = sizeof reader->window - reader->address % sizeof reader->window;

        reader->filled = reader->call->read(reader->call->owner, reader->address, reader->window, wanted);
        reader->at = 0;
        if (!reader->filled || reader->filled > wanted)
            return -EFAULT;
        reader->address += reader->filled;
    }
    return reader->window[reader->at++];
}

/* ---- one call ---- */

struct state {
    const struct print_call *call;
    char *out;
    size_t capacity, used; /* capacity leaves a byte for snprintf's NUL */
    uint64_t offset;       /* of the next argument */
    int n_arguments;
    uint64_t fault;
};

static void put(struct state *state, const char *text, size_t bytes)
{
    size_t room = state->capacity - state->used;

    bytes = bytes < room ? bytes : room;
    memcpy(state->out + state->used, text, bytes);
    state->used += bytes;
}

static void put_spaces(struct state *state, size_t count)
{
    while (count-- && state->used < state->capacity)
        state->out[state->used++] = ' ';
}

/* Adds what snprintf wrote (or would have written) at the end. */
static void advance(struct state *state, int written)
{
    size_t room = state->capacity - state->used;

    if (written > 0)
        state->used += (size_t)written < room ? (size_t)written : room;
}

static int take_argument(struct state *state, size_t bytes, uint64_t *ret_value)
{
    uint64_t at = (state->offset + bytes - 1) / bytes * bytes, value = 0;

    if (state->call->read(state->call->owner, state->call->arguments + at, &value, bytes) != bytes) {
        state->fault = state->call->arguments + at;
        return -EFAULT;
    }
    state->offset = at + bytes;
    state->n_arguments++;
    *ret_value = value;
    return 0;
}

/* ---- conversions ---- */

struct spec {
    char flags[6];        /* those of "-+ #0" that were given, once each */
    int width, precision; /* -1: not given */
    bool width_argument, precision_argument;
    char length[3]; /* "", hh, h, l, ll, j, z, t, L */
    char conversion;
    char text[64]; /* as written, to be printed when it means nothing */
    size_t text_bytes;
};

/* Next byte of a conversion, noted in spec->text. */
static int spec_next(struct spec *spec, struct reader *format)
{
    int c = reader_next(format);

    if (c > 0 && spec->text_bytes < sizeof spec->text)
        spec->text[spec->text_bytes++] = (char)c;
    return c;
}

static int limited(int so_far, int digit)
{
    return so_far > PRINT_FIELD_MAX ? so_far : so_far * 10 + digit;
}

/* Width or precision: digits or '*'. c is the byte in hand; returns the byte after it. */
static int read_number(struct spec *spec, struct reader *format, int c, int *ret_number, bool *ret_argument)
{
    if (c == '*') {
        *ret_argument = true;
        return spec_next(spec, format);
    }
    for (; c >= '0' && c <= '9'; c = spec_next(spec, format))
        *ret_number = limited(*ret_number < 0 ? 0 : *ret_number, c - '0');
    return c;
}

static int read_length(struct spec *spec, struct reader *format, int c)
{
    if (c <= 0 || !strchr("hljztL", c))
        return c;
    spec->length[0] = (char)c;
    c = spec_next(spec, format);
    if ((spec->length[0] == 'h' || spec->length[0] == 'l') && c == spec->length[0]) {
        spec->length[1] = (char)c;
        c = spec_next(spec, format);
    }
    return c;
}

/* Reads what follows a '%'. 0 with conversion '\0' when the format ended inside. */
static int read_spec(struct spec *spec, struct reader *format)
{
    int c;

    *spec = (struct spec){.width = -1, .precision = -1, .text = "%", .text_bytes = 1};
    for (c = spec_next(spec, format); c > 0 && strchr("-+ #0", c); c = spec_next(spec, format))
        if (!strchr(spec->flags, c))
            spec->flags[strlen(spec->flags)] = (char)c;
    c = read_number(spec, format, c, &spec->width, &spec->width_argument);
    if (c == '.') {
        spec->precision = 0;
        c = spec_next(spec, format);
        c = read_number(spec, format, c, &spec->precision, &spec->precision_argument);
    }
    c = read_length(spec, format, c);
    if (c < 0)
        return c;
    spec->conversion = (char)c;
    return 0;
}

/* The '*' arguments, then the limits. A negative width means left-justified, a negative precision none. */
static int take_star_arguments(struct state *state, struct spec *spec)
{
    uint64_t value;

    if (spec->width_argument) {
        if (take_argument(state, 4, &value))
            return -EFAULT;
        spec->width = (int32_t)value == INT32_MIN ? PRINT_FIELD_MAX : (int32_t)value;
        if (spec->width < 0) {
            spec->width = -spec->width;
            if (!strchr(spec->flags, '-'))
                spec->flags[strlen(spec->flags)] = '-';
        }
    }
    if (spec->precision_argument) {
        if (take_argument(state, 4, &value))
            return -EFAULT;
        spec->precision = (int32_t)value < 0 ? -1 : (int32_t)value;
    }
    spec->width = spec->width > PRINT_FIELD_MAX ? PRINT_FIELD_MAX : spec->width;
    spec->precision = spec->precision > PRINT_FIELD_MAX ? PRINT_FIELD_MAX : spec->precision;
    return 0;
}

/* "%<flags><width>.<precision><length><conversion>" for snprintf. */
static void make_format(const struct spec *spec, const char *length, char format[48])
{
    char width[12] = "", precision[13] = "";

    if (spec->width >= 0)
        snprintf(width, sizeof width, "%d", spec->width);
    if (spec->precision >= 0)
        snprintf(precision, sizeof precision, ".%d", spec->precision);
    snprintf(format, 48, "%%%s%s%s%s%c", spec->flags, width, precision, length, spec->conversion);
}

static bool is_wide(const struct spec *spec)
{
    return spec->length[0] && strchr("ljztL", spec->length[0]);
}

static int print_integer(struct state *state, const struct spec *spec)
{
    bool is_signed = spec->conversion == 'd' || spec->conversion == 'i', wide = is_wide(spec);
    char format[48];
    uint64_t value;

    if (take_argument(state, wide ? 8 : 4, &value))
        return -EFAULT;
    if (!wide && !strcmp(spec->length, "hh"))
        value = is_signed ? (uint64_t)(int8_t)value : (uint8_t)value;
    else if (!wide && !strcmp(spec->length, "h"))
        value = is_signed ? (uint64_t)(int16_t)value : (uint16_t)value;
    else if (!wide && is_signed)
        value = (uint64_t)(int32_t)value;
    make_format(spec, "ll", format);
    advance(state,
            snprintf(state->out + state->used, state->capacity - state->used + 1, format, (long long)value));
    return 0;
}

static int print_float(struct state *state, const struct spec *spec)
{
    char format[48];
    uint64_t bits;
    double value;

    if (take_argument(state, 8, &bits))
        return -EFAULT;
    memcpy(&value, &bits, sizeof value);
    make_format(spec, "", format);
    advance(state, snprintf(state->out + state->used, state->capacity - state->used + 1, format, value));
    return 0;
}

static int print_pointer(struct state *state, const struct spec *spec)
{
    char format[48];
    uint64_t value;

    if (take_argument(state, 8, &value))
        return -EFAULT;
    make_format(spec, "", format);
    advance(state, snprintf(state->out + state->used, state->capacity - state->used + 1, format,
                            (void *)(uintptr_t)value));
    return 0;
}

static void put_justified(struct state *state, const struct spec *spec, char c)
{
    size_t padding = spec->width > 1 ? (size_t)spec->width - 1 : 0;
    bool left = strchr(spec->flags, '-');

    put_spaces(state, left ? 0 : padding);
    put(state, &c, 1);
    put_spaces(state, left ? padding : 0);
}

static int print_character(struct state *state, const struct spec *spec)
{
    uint64_t value;

    if (take_argument(state, 4, &value))
        return -EFAULT;
    put_justified(state, spec, (char)value);
    return 0;
}

/* Length of a string up to a limit; -EFAULT when it leaves memory first. */
static int measure(struct state *state, uint64_t address, size_t limit, size_t *ret_length)
{
    struct reader reader;
    size_t length = 0;
    int c = 1;

    reader_init(&reader, state->call, address);
    while (length < limit && (c = reader_next(&reader)) > 0)
        length++;
    if (c < 0) {
        state->fault = reader.address;
        return -EFAULT;
    }
    *ret_length = length;
    return 0;
}

static int print_string(struct state *state, const struct spec *spec)
{
    size_t limit = spec->precision >= 0 ? (size_t)spec->precision : state->capacity, length, padding;
    bool left = strchr(spec->flags, '-');
    struct reader reader;
    uint64_t address;
    int c = 1;

    if (take_argument(state, 8, &address))
        return -EFAULT;
    if (!address) {
        put(state, "(null)", 6);
        return 0;
    }
    if (measure(state, address, limit, &length))
        return -EFAULT;
    padding = spec->width > 0 && (size_t)spec->width > length ? (size_t)spec->width - length : 0;
    put_spaces(state, left ? 0 : padding);
    reader_init(&reader, state->call, address);
    for (; length && (c = reader_next(&reader)) > 0; length--)
        put(state, &(char){(char)c}, 1);
    put_spaces(state, left ? padding : 0);
    return 0;
}

static int print_spec(struct state *state, struct spec *spec)
{
    static const char conversions[] = "diouxXcspeEfFgGaA";

    if (spec->conversion == '%') {
        put(state, "%", 1);
        return 0;
    }
    if (!spec->conversion || !strchr(conversions, spec->conversion) ||
        state->n_arguments >= PRINT_ARGUMENTS_MAX) {
        put(state, spec->text, spec->text_bytes);
        return 0;
    }
    if (take_star_arguments(state, spec))
        return -EFAULT;
    switch (spec->conversion) {
    case 'c':
        return print_character(state, spec);
    case 's':
        return print_string(state, spec);
    case 'p':
        return print_pointer(state, spec);
    case 'd':
    case 'i':
    case 'o':
    case 'u':
    case 'x':
    case 'X':
        return print_integer(state, spec);
    default:
        return print_float(state, spec);
    }
}

static int print_all(struct state *state, struct reader *format)
{
    struct spec spec;
    int c;

    while ((c = reader_next(format)) > 0) {
        if (c != '%') {
            put(state, &(char){(char)c}, 1);
            continue;
        }
        c = read_spec(&spec, format);
        if (c < 0)
            break;
        if (print_spec(state, &spec))
            return -EFAULT;
        if (!spec.conversion)
            return 0;
    }
    if (c < 0)
        state->fault = format->address;
    return c;
}

int print_format(const struct print_call *call, char *out, size_t out_bytes, size_t *ret_bytes,
                 uint64_t *ret_fault)
{
    struct state state = {.call = call, .out = out, .capacity = out_bytes - 1};
    struct reader format;

    if (!call->format) {
        *ret_bytes = 0;
        return -1;
    }
    reader_init(&format, call, call->format);
    if (print_all(&state, &format)) {
        *ret_fault = state.fault;
        return -EFAULT;
    }
    *ret_bytes = state.used;
    return state.n_arguments;
}
