/* Rings of values; see top_history.h. */
#include "cli/top_history.h"

#include <stdlib.h>
#include <string.h>

void top_history_begin(struct top_history *history)
{
    history->round++;
}

static struct top_series *find(const struct top_history *history, const char *id)
{
    for (size_t i = 0; i < history->n; i++)
        if (!strcmp(history->series[i].id, id))
            return &history->series[i];
    return NULL;
}

static struct top_series *append(struct top_history *history, const char *id)
{
    struct top_series *series;

    if (history->n == history->room) {
        size_t room = history->room ? 2 * history->room : 16;

        series = reallocarray(history->series, room, sizeof(*series));
        if (!series)
            return NULL;
        history->series = series;
        history->room = room;
    }
    series = &history->series[history->n];
    memset(series, 0, sizeof(*series));
    series->id = strdup(id);
    if (!series->id)
        return NULL;
    history->n++;
    return series;
}

void top_history_add(struct top_history *history, const char *id, int permille)
{
    struct top_series *series = find(history, id);

    if (!series)
        series = append(history, id);
    if (!series || series->round == history->round)
        return;
    series->round = history->round;
    series->values[series->next] = permille;
    series->next = (series->next + 1) % TOP_HISTORY_MAX;
    if (series->n < TOP_HISTORY_MAX)
        series->n++;
}

void top_history_end(struct top_history *history)
{
    size_t kept = 0;

    for (size_t i = 0; i < history->n; i++) {
        if (history->series[i].round == history->round)
            history->series[kept++] = history->series[i];
        else
            free(history->series[i].id);
    }
    history->n = kept;
}

void top_history_done(struct top_history *history)
{
    top_history_begin(history);
    top_history_end(history);
    free(history->series);
    *history = (struct top_history){0};
}

const struct top_series *top_history_find(const struct top_history *history, const char *id)
{
    return find(history, id);
}

int top_series_at(const struct top_series *series, unsigned back)
{
    if (!series || back >= series->n)
        return TOP_HISTORY_UNKNOWN;
    return series->values[(series->next + TOP_HISTORY_MAX - 1 - back) % TOP_HISTORY_MAX];
}

int top_series_max(const struct top_series *series, unsigned looks)
{
    int max = 0;

    for (unsigned back = 0; back < looks; back++)
        if (top_series_at(series, back) > max)
            max = top_series_at(series, back);
    return max;
}
