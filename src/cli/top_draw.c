/* Drawing; see top_draw.h. A line is made of cells that are cut to what is left of it, so nothing ever wraps.
 */
#include "cli/top_draw.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cli/text.h"

enum {
    NAME_COLUMNS_MAX = 40,
    SPARK_COLUMNS_MIN = 9,
    LINES_ABOVE = 2, /* summary, heads of columns */
    HISTORY_LINES = 3,
    HISTORY_FROM_ROWS = 11, /* lower screens go without the selected row's history */
    FULL_PERMILLE = 1000,
};

enum style { PLAIN, BOLD, REVERSE, DIM, RED, YELLOW, GREEN };

struct drawing {
    FILE *out;
    const struct top_look *look;
    unsigned left; /* of the line */
};

/* The columns that fit, and how wide those are that have no fixed width. */
struct layout {
    bool shown[TOP_COLUMNS];
    unsigned name_columns, spark_columns;
};

/* ---- lines of cells ---- */

static const char *style_codes(const struct top_look *look, enum style style)
{
    static const char *const codes[] = {
        [PLAIN] = "",       [BOLD] = "\033[1m",    [REVERSE] = "\033[7m", [DIM] = "\033[2m",
        [RED] = "\033[31m", [YELLOW] = "\033[33m", [GREEN] = "\033[32m"};

    return !look->styles || (style >= RED && !look->colours) ? "" : codes[style];
}

static void put(struct drawing *drawing, enum style style, const char *text, unsigned columns,
                enum text_side side)
{
    const char *codes = style_codes(drawing->look, style);
    char cell[4 * 512];

    if (columns > drawing->left)
        columns = drawing->left;
    drawing->left -= columns;
    fprintf(drawing->out, "%s%s%s", codes, text_fit(text, columns, side, cell, sizeof(cell)),
            *codes ? "\033[0m" : "");
}

/* As long as it is. */
static void put_text(struct drawing *drawing, enum style style, const char *text)
{
    put(drawing, style, text, text_columns(text), TEXT_LEFT);
}

static void end_line(struct drawing *drawing)
{
    fputc('\n', drawing->out);
    drawing->left = drawing->look->columns;
}

/* ---- layout ---- */

static unsigned longest_name(const struct top_model *model)
{
    char cell[TOP_CELL_MAX];
    unsigned longest = top_columns[TOP_NAME].width;

    for (size_t i = 0; i < model->n_rows; i++) {
        unsigned columns = text_columns(top_row_cell(&model->rows[i], TOP_NAME, cell));

        if (columns > longest)
            longest = columns;
    }
    return longest < NAME_COLUMNS_MAX ? longest : NAME_COLUMNS_MAX;
}

static bool is_shown(unsigned columns, unsigned rank)
{
    unsigned used = 1; /* the mark of the selected row */

    for (int c = 0; c < TOP_COLUMNS; c++)
        if (top_columns[c].rank <= rank)
            used += top_columns[c].width + 1;
    return used <= columns + 1; /* no blank after the last */
}

static struct layout choose_layout(const struct top_model *model, unsigned columns)
{
    struct layout layout = {.name_columns = top_columns[TOP_NAME].width};
    unsigned used = 1, left, wanted = longest_name(model);

    for (int c = 0; c < TOP_COLUMNS; c++) {
        layout.shown[c] = is_shown(columns, top_columns[c].rank) || c == TOP_NAME;
        used += layout.shown[c] ? top_columns[c].width + (c > 0) : 0;
    }
    left = columns > used ? columns - used : 0;
    if (wanted > layout.name_columns)
        layout.name_columns += wanted - layout.name_columns < left ? wanted - layout.name_columns : left;
    left -= layout.name_columns - top_columns[TOP_NAME].width;
    if (left > SPARK_COLUMNS_MIN)
        layout.spark_columns = left - 1 < TOP_HISTORY_MAX ? left - 1 : TOP_HISTORY_MAX;
    return layout;
}

/* ---- rows ---- */

/* A history line: the newest value to the right, `full` is as high as a character. */
static void put_spark(struct drawing *drawing, const struct top_series *series, unsigned columns, int full)
{
    static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    const char *const *levels = drawing->look->blocks ? blocks : letters;

    for (unsigned back = columns; back-- > 0 && drawing->left > 0; drawing->left--) {
        int value = top_series_at(series, back), level = value * 8 / (full > 0 ? full : 1);

        fputs(value < 0 ? " " : levels[level > 7 ? 7 : level], drawing->out);
    }
}

static enum style cell_style(const struct top_row *row, enum top_column_id column)
{
    int64_t value = 0;
    const char *state;

    if (row->kind == TOP_DEVICE)
        return BOLD;
    if (row->kind == TOP_PROCESS)
        return DIM;
    if (column == TOP_STATE) {
        state = top_row_text(row, TOP_STATE);
        if (!strcmp(state, "over-limit"))
            return RED;
        return !strcmp(state, "orphaned") || !strcmp(state, "stopping") ? YELLOW
               : !strcmp(state, "running")                              ? GREEN
                                                                        : PLAIN;
    }
    if (column == TOP_DENIED && top_row_number(row, column, &value) && value > 0)
        return RED;
    if (column == TOP_THROTTLED && top_row_number(row, column, &value) && value > 0)
        return YELLOW;
    return PLAIN;
}

static void draw_row(struct drawing *drawing, const struct layout *layout, const struct top_row *row,
                     const struct top_history *history, bool selected)
{
    char cell[TOP_CELL_MAX], id[TOP_ID_MAX];

    put(drawing, selected ? REVERSE : PLAIN, selected ? ">" : " ", 1, TEXT_LEFT);
    for (int c = 0; c < TOP_COLUMNS; c++) {
        enum style style = selected ? REVERSE : cell_style(row, (enum top_column_id)c);

        if (!layout->shown[c])
            continue;
        if (c != TOP_NAME)
            put(drawing, selected ? REVERSE : PLAIN, " ", 1, TEXT_LEFT);
        put(drawing, style, top_row_cell(row, (enum top_column_id)c, cell),
            c == TOP_NAME ? layout->name_columns : top_columns[c].width,
            top_columns[c].format == TOP_FORMAT_TEXT ? TEXT_LEFT : TEXT_RIGHT);
    }
    if (layout->spark_columns && row->kind != TOP_PROCESS) {
        put(drawing, PLAIN, " ", 1, TEXT_LEFT);
        put_spark(drawing, top_history_find(history, top_row_id(row, id, sizeof(id))), layout->spark_columns,
                  FULL_PERMILLE);
    }
    end_line(drawing);
}

static void draw_heads(struct drawing *drawing, const struct layout *layout, const struct top_view *view)
{
    char title[32];

    put(drawing, REVERSE, " ", 1, TEXT_LEFT);
    for (int c = 0; c < TOP_COLUMNS; c++) {
        const char *mark = c != (int)view->sort ? "" : view->reversed ? "^" : "v";

        if (!layout->shown[c])
            continue;
        if (c != TOP_NAME)
            put(drawing, REVERSE, " ", 1, TEXT_LEFT);
        snprintf(title, sizeof(title), "%s%s", top_columns[c].title,
                 strlen(top_columns[c].title) < top_columns[c].width ? mark : "");
        put(drawing, REVERSE, title, c == TOP_NAME ? layout->name_columns : top_columns[c].width,
            top_columns[c].format == TOP_FORMAT_TEXT ? TEXT_LEFT : TEXT_RIGHT);
    }
    if (layout->spark_columns)
        put(drawing, REVERSE, " HISTORY", layout->spark_columns + 1, TEXT_LEFT);
    put(drawing, REVERSE, "", drawing->left, TEXT_LEFT);
    end_line(drawing);
}

/* ---- around the rows ---- */

static void draw_summary(struct drawing *drawing, const struct top_model *model, const struct top_view *view)
{
    const struct top_look *look = drawing->look;
    char text[TOP_FILTER_MAX + 160];

    put_text(drawing, BOLD, "vgpu top");
    if (look->problem) {
        snprintf(text, sizeof(text), "  figures of %u s ago: ", look->age_s);
        put_text(drawing, RED, model->answers ? text : "  ");
        put_text(drawing, RED, look->problem);
        end_line(drawing);
        return;
    }
    snprintf(text, sizeof(text), "  %zu device%s, %zu instance%s, every %u.%u s, by %s%s%s%s",
             model->n_devices, model->n_devices == 1 ? "" : "s", model->n_instances,
             model->n_instances == 1 ? "" : "s", look->interval_ms / 1000, look->interval_ms / 100 % 10,
             top_columns[view->sort].name, view->reversed ? " (reversed)" : "",
             view->filter[0] ? ", with " : "", view->filter);
    put_text(drawing, PLAIN, text);
    end_line(drawing);
}

static const char *note_text(const json_t *note, const char *key)
{
    const char *text = json_string_value(json_object_get(note, key));

    return text ? text : "?";
}

static json_int_t note_number(const json_t *note, const char *key)
{
    return json_integer_value(json_object_get(note, key));
}

/* The last call that was refused and the last that was held back, as far as there were any. */
static void draw_notes(struct drawing *drawing, const struct top_row *row)
{
    const json_t *denied = json_object_get(row->share, "last_denied"),
                 *held = json_object_get(row->share, "last_held");
    char text[TOP_CELL_MAX], amount[24];

    if (json_is_object(denied)) {
        units_format_bytes((uint64_t)note_number(denied, "asked_bytes"), amount, sizeof(amount));
        snprintf(text, sizeof(text), "refused %.1f s ago: %s of %s (%s)  ",
                 (double)note_number(denied, "age_ms") / 1e3, note_text(denied, "call"), amount,
                 note_text(denied, "why"));
        put_text(drawing, RED, text);
    }
    if (json_is_object(held)) {
        snprintf(text, sizeof(text), "held back %.1f s ago: %s for %.1f ms (%s)",
                 (double)note_number(held, "age_ms") / 1e3, note_text(held, "call"),
                 (double)note_number(held, "held_ns") / 1e6, note_text(held, "why"));
        put_text(drawing, YELLOW, text);
    }
    end_line(drawing);
}

static void draw_history(struct drawing *drawing, const struct top_row *row,
                         const struct top_history *history)
{
    struct top_row share = *row; /* of a process, that of its instance: nobody counts shares by process */
    const struct top_series *series;
    char text[3 * TOP_CELL_MAX], name[TOP_CELL_MAX], device[TOP_CELL_MAX], id[TOP_ID_MAX];
    unsigned columns = drawing->look->columns < TOP_HISTORY_MAX ? drawing->look->columns : TOP_HISTORY_MAX;
    int now, full;

    share.client = NULL;
    share.kind = row->kind == TOP_PROCESS ? TOP_INSTANCE : row->kind;
    series = top_history_find(history, top_row_id(&share, id, sizeof(id)));
    now = top_series_at(series, 0);
    full = top_series_max(series, columns);
    full = full < 100 ? 100 : full;
    text_clean(top_row_text(&share, TOP_NAME), name, sizeof(name));
    share.kind = TOP_DEVICE;
    text_clean(top_row_text(&share, TOP_NAME), device, sizeof(device));
    snprintf(text, sizeof(text), "share of %s%s%s", row->kind == TOP_DEVICE ? device : name,
             row->kind == TOP_DEVICE ? "" : " on ", row->kind == TOP_DEVICE ? "" : device);
    put_text(drawing, BOLD, text);
    if (now < 0)
        snprintf(text, sizeof(text), ": not known");
    else
        snprintf(text, sizeof(text), ": %d.%d%%, full height is %d.%d%%", now / 10, now % 10, full / 10,
                 full % 10);
    put_text(drawing, PLAIN, text);
    end_line(drawing);
    put_spark(drawing, series, columns, full);
    end_line(drawing);
    draw_notes(drawing, row);
}

static void draw_keys(struct drawing *drawing, const struct top_view *view)
{
    if (view->typing) {
        put_text(drawing, BOLD, "filter: ");
        put_text(drawing, PLAIN, view->filter);
        put_text(drawing, REVERSE, " ");
        put_text(drawing, DIM, "  Enter keeps it, Esc does not");
    } else {
        put_text(drawing, DIM, "q quit  / filter  s sort  r reverse  p processes  arrows select  h help");
    }
}

static void draw_help(struct drawing *drawing, unsigned lines)
{
    static const char *const text[] = {
        "Up, Down, j, k    select a row; its history is drawn below",
        "PgUp, PgDn        by pages",
        "Home, End, g, G   the first, the last",
        "s, S or > , <     sort by the next, the previous column",
        "r                 the other way around",
        "/                 show only what has a text: name, id, state, policy, command, device",
        "p                 show processes, or do not",
        "h, ?              this text; any key leaves it",
        "q                 quit",
        "",
        "SHARE      of the device's time in the last second, used       QUOTA   what it may use now",
        "THROTTLED  time that its threads were held back, a second      QUEUED  processes held back now",
        "DENIED     allocations refused since it began                  -       not known",
    };

    for (unsigned i = 0; i < lines; i++) {
        if (i < sizeof(text) / sizeof(*text))
            put_text(drawing, PLAIN, text[i]);
        end_line(drawing);
    }
}

static bool has_history(const struct top_look *look)
{
    return look->rows >= HISTORY_FROM_ROWS;
}

unsigned top_draw_page(const struct top_look *look)
{
    unsigned around = LINES_ABOVE + 1 + (has_history(look) ? HISTORY_LINES : 0);

    return look->rows > around ? look->rows - around : 1;
}

static void scroll(struct top_view *view, size_t n_rows, size_t selected, unsigned page)
{
    if (view->first > selected)
        view->first = selected;
    if (selected >= view->first + page)
        view->first = selected - page + 1;
    if (view->first + page > n_rows)
        view->first = n_rows > page ? n_rows - page : 0;
}

static void draw_rows(struct drawing *drawing, const struct top_model *model,
                      const struct top_history *history, struct top_view *view, unsigned page)
{
    struct layout layout = choose_layout(model, drawing->look->columns);
    size_t selected = top_model_selected(model, view);

    scroll(view, model->n_rows, selected, page);
    draw_heads(drawing, &layout, view);
    for (size_t i = view->first; i < view->first + page; i++) {
        if (i < model->n_rows) {
            draw_row(drawing, &layout, &model->rows[i], history, i == selected);
            continue;
        }
        if (i == 0 && model->answers)
            put_text(drawing, PLAIN,
                     view->filter[0] ? "nothing has that text" : "no devices; `vgpu doctor` says why");
        end_line(drawing);
    }
}

char *top_draw(const struct top_model *model, const struct top_history *history, struct top_view *view,
               const struct top_look *look)
{
    char *text = NULL;
    size_t bytes = 0;
    struct drawing drawing = {open_memstream(&text, &bytes), look, look->columns};
    unsigned page = top_draw_page(look);

    if (!drawing.out)
        return NULL;
    draw_summary(&drawing, model, view);
    if (view->help)
        draw_help(&drawing, page + 1);
    else
        draw_rows(&drawing, model, history, view, page);
    if (has_history(look)) {
        if (model->n_rows) {
            draw_history(&drawing, &model->rows[top_model_selected(model, view)], history);
        } else {
            fputs("\n\n\n", drawing.out);
        }
    }
    draw_keys(&drawing, view);
    if (fclose(drawing.out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- the plain table ---- */

/* One line: the row's cells, or the titles for none; without blanks at its end. */
static void print_plain(const struct top_row *row, const unsigned widths[TOP_COLUMNS], FILE *out)
{
    char cell[TOP_CELL_MAX], padded[4 * TOP_CELL_MAX];
    unsigned blanks = 0;

    for (int c = 0; c < TOP_COLUMNS; c++) {
        enum text_side side = top_columns[c].format == TOP_FORMAT_TEXT ? TEXT_LEFT : TEXT_RIGHT;
        const char *text = row ? top_row_cell(row, (enum top_column_id)c, cell) : top_columns[c].title;
        size_t n;

        text_fit(text, widths[c], side, padded, sizeof(padded));
        for (n = strlen(padded); n > 0 && padded[n - 1] == ' '; n--)
            ;
        if (n > 0)
            fprintf(out, "%*s%.*s", (int)blanks, "", (int)n, padded);
        blanks = (n > 0 ? 0 : blanks) + (unsigned)(strlen(padded) - n) + 2;
    }
    fputc('\n', out);
}

void top_draw_plain(const struct top_model *model, FILE *out)
{
    unsigned widths[TOP_COLUMNS];
    char cell[TOP_CELL_MAX];

    for (int c = 0; c < TOP_COLUMNS; c++) {
        widths[c] = (unsigned)strlen(top_columns[c].title);
        for (size_t i = 0; i < model->n_rows; i++) {
            unsigned columns = text_columns(top_row_cell(&model->rows[i], (enum top_column_id)c, cell));

            widths[c] = columns > widths[c] ? columns : widths[c];
        }
    }
    print_plain(NULL, widths, out);
    for (size_t i = 0; i < model->n_rows; i++)
        print_plain(&model->rows[i], widths, out);
}
