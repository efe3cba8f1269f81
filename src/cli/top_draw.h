/* What `vgpu top` looks like: a screen as text, or one plain table. Pure: nothing here knows a terminal. */
#ifndef VGPU_CLI_TOP_DRAW_H
#define VGPU_CLI_TOP_DRAW_H

#include <stdio.h>

#include "cli/top_model.h"

/* The place to draw on, and what is to be said beside the figures. */
struct top_look {
    unsigned columns, rows;
    bool colours; /* else bold and reverse only */
    bool styles;  /* else no attributes at all */
    bool blocks;  /* block characters, else ASCII, in history lines */
    unsigned interval_ms;
    const char *problem; /* why the figures are old, or NULL */
    unsigned age_s;      /* of the figures, where there is a problem */
};

/* Draws the screen: `rows` lines or less, each of `columns` columns at most, with '\n' between. Moves
 * view->first so that the selected row is inside. NULL without memory; else the caller's. */
char *top_draw(const struct top_model *model, const struct top_history *history, struct top_view *view,
               const struct top_look *look);

/* Lines of rows that a screen of that height has, for keys that move by pages. */
unsigned top_draw_page(const struct top_look *look);

/* Writes all rows with all columns as one table, without any attribute. */
void top_draw_plain(const struct top_model *model, FILE *out);

#endif
