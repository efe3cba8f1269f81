/* The columns of `vgpu top`: one row of a table each, with where a figure comes from in vgpud's answers, how
 * it is written, what it is sorted by, and which columns narrow terminals go without. Pure. */
#ifndef VGPU_CLI_TOP_COLUMNS_H
#define VGPU_CLI_TOP_COLUMNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum top_kind { TOP_DEVICE, TOP_INSTANCE, TOP_PROCESS, TOP_KINDS };

/* One line of the tree. What it points to belongs to the answers it was made from. */
struct top_row {
    enum top_kind kind;
    const json_t *device;   /* of device.list, or of the instance's devices where that has none */
    const json_t *instance; /* NULL for a device */
    const json_t *share;    /* the instance's figures on the device */
    const json_t *client;   /* NULL unless a process */
    int used_permille; /* of a device: its own figure, else the sum over the instances shown; -1: unknown */
};

enum top_column_id {
    TOP_NAME,
    TOP_STATE,
    TOP_SHARE,
    TOP_QUOTA,
    TOP_THROTTLED,
    TOP_USED,
    TOP_LIMIT,
    TOP_PEAK,
    TOP_DENIED,
    TOP_QUEUED,
    TOP_PRIORITY,
    TOP_POLICY,
    TOP_COLUMNS
};

enum top_format {
    TOP_FORMAT_TEXT,
    TOP_FORMAT_BYTES,
    TOP_FORMAT_PERMILLE,
    TOP_FORMAT_PPM,
    TOP_FORMAT_MS,
    TOP_FORMAT_COUNT
};

struct top_column {
    const char *title;
    const char *name;            /* what --sort calls it */
    const char *keys[TOP_KINDS]; /* members of the JSON objects; NULL: such rows have no such figure */
    enum top_format format;
    unsigned width;
    unsigned rank; /* narrow terminals go without the highest first; 0: never without */
};

extern const struct top_column top_columns[TOP_COLUMNS];

enum { TOP_CELL_MAX = 400 };

/* The column that --sort calls name. 0, or -EINVAL with err filled. */
int top_column_find(const char *name, enum top_column_id *ret_column, struct error *err);

/* A row's figure. false: unknown, or it has none. */
bool top_row_number(const struct top_row *row, enum top_column_id column, int64_t *ret_value);
/* A row's text, "" where it has none. */
const char *top_row_text(const struct top_row *row, enum top_column_id column);

/* What the row's cell says: "-" for what is unknown, nothing where such a row has no such figure. Returns
 * cell. */
char *top_row_cell(const struct top_row *row, enum top_column_id column, char cell[TOP_CELL_MAX]);

/* A name of the row that no other has, as long as it lives. Returns buf. */
char *top_row_id(const struct top_row *row, char *buf, size_t buf_bytes);

/* Orders two rows of a kind by a column: figures from large to small, texts by the alphabet, unknown ones
 * last; `reversed` turns all but the last of that around. Rows that are alike keep vgpud's order: 0. */
int top_row_compare(const struct top_row *a, const struct top_row *b, enum top_column_id column,
                    bool reversed);

#endif
