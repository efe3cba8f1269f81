/* What `vgpu top` shows of vgpud's answers: the tree of devices, instances and processes, filtered and
 * sorted. Pure: answers and wishes in, rows out. */
#ifndef VGPU_CLI_TOP_MODEL_H
#define VGPU_CLI_TOP_MODEL_H

#include "cli/top_columns.h"
#include "cli/top_history.h"

enum { TOP_FILTER_MAX = 64, TOP_ID_MAX = 200 };

/* What the person wants to see. */
struct top_view {
    enum top_column_id sort;
    bool reversed;
    bool processes;
    char
        filter[TOP_FILTER_MAX]; /* rows that have it somewhere, in any letter case, and what they belong to */
    bool typing;                /* the filter is being typed */
    char before[TOP_FILTER_MAX]; /* what it was before */
    bool help;
    char selected[TOP_ID_MAX]; /* the row's id; "": the first */
    size_t first;              /* row at the top of the window */
};

struct top_model {
    json_t *answers; /* what collect_ask gave; rows point into it */
    struct top_row *rows;
    size_t n_rows, room;
    size_t n_devices, n_instances; /* of vgpud's, whatever the filter hides */
};

/* Makes the rows of answers, which the model keeps a reference of, as the view wishes. 0, or -ENOMEM with the
 * model as it was. */
int top_model_build(struct top_model *model, json_t *answers, const struct top_view *view);
void top_model_done(struct top_model *model);

/* Adds the shares of one look to the history; filters do not matter. */
void top_model_remember(const json_t *answers, struct top_history *history);

/* Number of the selected row: 0 when it is gone. */
size_t top_model_selected(const struct top_model *model, const struct top_view *view);

/* The rows as one JSON document with vgpud's names: time_ms, daemon, devices and instances, each once, in the
 * rows' order. The caller's. */
json_t *top_model_json(const struct top_model *model);

#endif
