/* What a share was at the last looks, by name: device or instance on a device. Pure. */
#ifndef VGPU_CLI_TOP_HISTORY_H
#define VGPU_CLI_TOP_HISTORY_H

#include <stddef.h>

enum { TOP_HISTORY_MAX = 256, TOP_HISTORY_UNKNOWN = -1 };

struct top_series {
    char *id;
    int values[TOP_HISTORY_MAX]; /* per mille, or TOP_HISTORY_UNKNOWN; a ring */
    unsigned n, next;
    unsigned long round; /* the last one it was seen in */
};

struct top_history {
    struct top_series *series;
    size_t n, room;
    unsigned long round;
};

/* Begins a look: after it, top_history_end forgets those that were not added. */
void top_history_begin(struct top_history *history);
/* One value of a look. Without memory it is left out. */
void top_history_add(struct top_history *history, const char *id, int permille);
void top_history_end(struct top_history *history);
void top_history_done(struct top_history *history);

/* The series of that name, or NULL. */
const struct top_series *top_history_find(const struct top_history *history, const char *id);

/* The value `back` looks ago, 0 being the newest; TOP_HISTORY_UNKNOWN where there is none. */
int top_series_at(const struct top_series *series, unsigned back);
/* The largest value of the last `looks` ones, 0 where none is known. */
int top_series_max(const struct top_series *series, unsigned looks);

#endif
