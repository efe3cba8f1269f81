/* Units at the edge (command line, configuration, environment). Inside, memory is bytes and time is nanoseconds. */
#ifndef VGPU_BASE_UNITS_H
#define VGPU_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* Reads an amount of memory: digits, an optional fraction, an optional unit. K M G T and Ki Mi Gi Ti, each with an
 * optional B, are powers of 1024 in either letter case; no unit means bytes. "1.5G" is 1610612736. Zero, negative
 * numbers, unknown units and amounts over INT64_MAX fail with -EINVAL or -ERANGE, and err names the text. */
int units_parse_bytes(const char *text, uint64_t *ret_bytes, struct error *err);

/* Reads "25%" (0 < value <= 100, at most one decimal) as per mille. -EINVAL with err filled otherwise. */
int units_parse_percent(const char *text, unsigned *ret_permille, struct error *err);

/* Writes per mille for people: "30%", "12.5%". buf of at least 16 bytes; returns buf. */
char *units_format_percent(unsigned permille, char *buf, size_t buf_bytes);

/* Writes bytes for people: "1.00 GiB", "512 MiB", "17 B". buf of at least 16 bytes; returns buf. */
char *units_format_bytes(uint64_t bytes, char *buf, size_t buf_bytes);

/* Writes a time for people, in three digits and a unit: "850 ns", "2.50 ms", "12.3 s", then "4 min 05 s" and
 * "3 h 07 min". buf of at least 32 bytes; returns buf. */
char *units_format_ns(uint64_t ns, char *buf, size_t buf_bytes);

#endif
