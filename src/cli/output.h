/* The one writer of what commands print: a table or key-value lines for people, JSON for programs, from the
 * same objects. */
#ifndef VGPU_CLI_OUTPUT_H
#define VGPU_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum output_format {
    OUTPUT_TEXT,
    OUTPUT_COUNT,      /* whole numbers, to the right */
    OUTPUT_BYTES,      /* memory, with a unit, to the right */
    OUTPUT_DIFFERENCE, /* memory with a sign, to the right */
    OUTPUT_TIME,       /* milliseconds of Unix time */
    OUTPUT_NS,         /* a length of time, to the right */
    OUTPUT_PERMILLE,   /* a part, as a percentage, to the right */
    OUTPUT_PPM,        /* the same, of millionths */
    OUTPUT_BOOL,
};

struct output_column {
    const char *title; /* as in a table's head */
    const char *key; /* member of the row's object; a null or missing one, which is unknown, prints as "-" */
    enum output_format format;
};

/* Prints object[key] (an array of objects) as a table, or all of object as JSON. `nothing`: the line a person
 * gets instead of an empty table. Returns the exit status: CLI_FAILED when stdout cannot be written. */
int output_table(const json_t *object, const char *key, const struct output_column *columns, size_t n_columns,
                 const char *nothing, bool as_json);

/* Prints one object as "title: value" lines; no JSON form. */
void output_fields(const json_t *object, const struct output_column *columns, size_t n_columns);

/* Prints a value as JSON. Returns the exit status. */
int output_json(const json_t *value);

/* Flushes what was printed. Returns the exit status. */
int output_end(void);

#endif
