/* Keys; see top_keys.h. */
#include "cli/top_keys.h"

#include <string.h>

enum { ESCAPE = 033, BACKSPACE = 0177, CTRL_C = 3, CTRL_H = 8, CTRL_L = 12, CTRL_U = 21 };

static const struct sequence {
    const char *bytes;
    enum top_key key;
} sequences[] = {
    {"[A", TOP_KEY_UP},       {"OA", TOP_KEY_UP},         {"[B", TOP_KEY_DOWN}, {"OB", TOP_KEY_DOWN},
    {"[5~", TOP_KEY_PAGE_UP}, {"[6~", TOP_KEY_PAGE_DOWN}, {"[H", TOP_KEY_HOME}, {"OH", TOP_KEY_HOME},
    {"[1~", TOP_KEY_HOME},    {"[F", TOP_KEY_END},        {"OF", TOP_KEY_END},  {"[4~", TOP_KEY_END},
};

/* Length of an escape sequence after the escape, by its form alone; 0: it is not whole. */
static size_t sequence_bytes(const char *bytes, size_t n)
{
    if (n == 0)
        return 0;
    if (bytes[0] == 'O')
        return n > 1 ? 2 : 0;
    if (bytes[0] != '[')
        return 1;
    for (size_t i = 1; i < n; i++)
        if (bytes[i] >= 0x40 && bytes[i] <= 0x7e)
            return i + 1;
    return 0;
}

size_t top_keys_decode(const char *bytes, size_t n, bool ended, int *ret_key)
{
    size_t length;

    if (n == 0)
        return 0;
    *ret_key = (unsigned char)bytes[0];
    if (bytes[0] != ESCAPE)
        return 1;
    length = sequence_bytes(bytes + 1, n - 1);
    if (length == 0) {
        *ret_key = TOP_KEY_ESCAPE;
        return ended ? n : 0;
    }
    *ret_key = TOP_KEY_OTHER;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
        if (strlen(sequences[i].bytes) == length && !memcmp(bytes + 1, sequences[i].bytes, length))
            *ret_key = (int)sequences[i].key;
    return length + 1;
}

/* ---- the filter's line ---- */

/* Takes the last character away, all bytes of it. */
static void rub_out(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
        n--;
    text[n > 0 ? n - 1 : 0] = '\0';
}

static enum top_effect type(struct top_view *view, int key)
{
    size_t n = strlen(view->filter);

    if (key == '\r' || key == '\n') {
        view->typing = false;
        return TOP_REDRAW;
    }
    if (key == TOP_KEY_ESCAPE || key == CTRL_C) {
        view->typing = false;
        memcpy(view->filter, view->before, sizeof(view->filter));
        return TOP_REBUILD;
    }
    if (key == BACKSPACE || key == CTRL_H)
        rub_out(view->filter);
    else if (key == CTRL_U)
        view->filter[0] = '\0';
    else if (key >= ' ' && key < 256 && n + 1 < sizeof(view->filter))
        memcpy(view->filter + n, (char[]){(char)key, '\0'}, 2);
    else
        return TOP_NOTHING;
    return TOP_REBUILD;
}

/* ---- the list ---- */

/* Moves the selection by rows, up to the ends. */
static enum top_effect move(struct top_view *view, const struct top_model *model, long by)
{
    long at = (long)top_model_selected(model, view) + by;

    if (!model->n_rows)
        return TOP_NOTHING;
    if (at < 0)
        at = 0;
    if (at >= (long)model->n_rows)
        at = (long)model->n_rows - 1;
    top_row_id(&model->rows[at], view->selected, sizeof(view->selected));
    return TOP_REDRAW;
}

static enum top_effect sort_by(struct top_view *view, int step)
{
    view->sort = (enum top_column_id)(((int)view->sort + TOP_COLUMNS + step) % TOP_COLUMNS);
    return TOP_REBUILD;
}

enum top_effect top_keys_apply(struct top_view *view, const struct top_model *model, int key, unsigned page)
{
    if (view->typing)
        return type(view, key);
    if (view->help && key != 'q' && key != CTRL_C) {
        view->help = false;
        return TOP_REDRAW;
    }
    switch (key) {
    case 'q':
    case 'Q':
    case CTRL_C:
        return TOP_QUIT;
    case TOP_KEY_UP:
    case 'k':
        return move(view, model, -1);
    case TOP_KEY_DOWN:
    case 'j':
        return move(view, model, 1);
    case TOP_KEY_PAGE_UP:
        return move(view, model, -(long)page);
    case TOP_KEY_PAGE_DOWN:
        return move(view, model, (long)page);
    case TOP_KEY_HOME:
    case 'g':
        return move(view, model, -(long)model->n_rows);
    case TOP_KEY_END:
    case 'G':
        return move(view, model, (long)model->n_rows);
    case 's':
    case '>':
        return sort_by(view, 1);
    case 'S':
    case '<':
        return sort_by(view, -1);
    case 'r':
        view->reversed = !view->reversed;
        return TOP_REBUILD;
    case 'p':
        view->processes = !view->processes;
        return view->processes ? TOP_ASK : TOP_REBUILD;
    case '/':
        view->typing = true;
        memcpy(view->before, view->filter, sizeof(view->before));
        return TOP_REDRAW;
    case TOP_KEY_ESCAPE:
        view->filter[0] = '\0';
        return TOP_REBUILD;
    case 'h':
    case '?':
        view->help = true;
        return TOP_REDRAW;
    case CTRL_L:
        return TOP_REDRAW;
    default:
        return TOP_NOTHING;
    }
}
