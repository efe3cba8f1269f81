/* A bounded reader of comma-separated tables: a header line, then rows, fields without quotes. Works on text
 * in memory, which it changes: fields are cut out of it in place. Every refusal names the table and the line.
 */
#ifndef VGPU_SIM_CSV_H
#define VGPU_SIM_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    CSV_FIELDS_MAX = 64,
    CSV_ROWS_MAX = 10000000,
    CSV_FILE_BYTES_MAX = 1 << 30,
};

struct csv {
    const char *name; /* of the file, for messages; the caller's */
    char *at, *end;   /* what is not read yet */
    unsigned line;    /* of the row that was read last, from 1 */
    unsigned n_rows;  /* without the header */
    unsigned n_columns;
    char *columns[CSV_FIELDS_MAX]; /* the header */
    char *fields[CSV_FIELDS_MAX];  /* the row that was read last */
};

/* Begins with `bytes` characters of text, which must be followed by one more that may be overwritten, and
 * reads the header. -EINVAL: it is empty, has a NUL or a quote, or more than CSV_FIELDS_MAX columns. */
int csv_begin(struct csv *csv, const char *name, char *text, size_t bytes, struct error *err);

/* Reads the next row that is not empty. 1; 0 at the end; -EINVAL: another number of fields than the header, a
 * quote, or more than CSV_ROWS_MAX rows. */
int csv_next(struct csv *csv, struct error *err);

/* Index of a column; -1 where there is none and it is not `needed`, otherwise -EINVAL with err filled. */
int csv_column(const struct csv *csv, const char *column, int needed, struct error *err);

/* A field of the row as a whole number of at most `max`. -EINVAL or -ERANGE, naming line, column and text. */
int csv_number(const struct csv *csv, int column, uint64_t max, uint64_t *ret_number, struct error *err);

/* Reads a file whole, of at most CSV_FILE_BYTES_MAX, with one character to spare; to be freed. Negative
 * errno. */
int csv_load(const char *path, char **ret_text, size_t *ret_bytes, struct error *err);

#endif
