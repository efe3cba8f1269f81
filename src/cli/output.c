/* Tables, lines and JSON; see output.h. */
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/text.h"

enum { CELL_MAX = 160, COLUMNS_MAX = 16 };

static void format_time(json_int_t unix_ms, char *buf, size_t buf_bytes)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;

    localtime_r(&seconds, &tm);
    strftime(buf, buf_bytes, "%Y-%m-%d %H:%M:%S", &tm);
}

static void format_difference(json_int_t bytes, char *buf, size_t buf_bytes)
{
    char amount[24];

    units_format_bytes(bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes, amount, sizeof(amount));
    snprintf(buf, buf_bytes, "%s%s", bytes < 0 ? "-" : bytes > 0 ? "+" : "", amount);
}

static void format_cell(const json_t *object, const struct output_column *column, char cell[CELL_MAX])
{
    const json_t *value = json_object_get(object, column->key);

    snprintf(cell, CELL_MAX, "-");
    if (!value || json_is_null(value))
        return;
    switch (column->format) {
    case OUTPUT_TEXT:
        if (*json_string_value(value))
            text_clean(json_string_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_COUNT:
        snprintf(cell, CELL_MAX, "%lld", (long long)json_integer_value(value));
        break;
    case OUTPUT_BYTES:
        units_format_bytes((uint64_t)json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_DIFFERENCE:
        format_difference(json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_NS:
        units_format_ns((uint64_t)json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_PERMILLE:
        snprintf(cell, CELL_MAX, "%.1f%%", (double)json_integer_value(value) / 10);
        break;
    case OUTPUT_PPM:
        snprintf(cell, CELL_MAX, "%.1f%%", (double)json_integer_value(value) / 10000);
        break;
    case OUTPUT_TIME:
        format_time(json_integer_value(value), cell, CELL_MAX);
        break;
    case OUTPUT_BOOL:
        snprintf(cell, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
        break;
    }
}

static bool to_the_right(const struct output_column *column)
{
    return column->format != OUTPUT_TEXT && column->format != OUTPUT_TIME && column->format != OUTPUT_BOOL;
}

static void print_cell(const struct output_column *column, const char *cell, int width, bool last)
{
    if (to_the_right(column))
        printf("%*s%s", width, cell, last ? "" : "  ");
    else if (last)
        fputs(cell, stdout);
    else
        printf("%-*s  ", width, cell);
}

static void print_table(const json_t *rows, const struct output_column *columns, size_t n_columns)
{
    int widths[COLUMNS_MAX];
    char cell[CELL_MAX];

    for (size_t c = 0; c < n_columns; c++) {
        widths[c] = (int)strlen(columns[c].title);
        for (size_t r = 0; r < json_array_size(rows); r++) {
            format_cell(json_array_get(rows, r), &columns[c], cell);
            if ((int)strlen(cell) > widths[c])
                widths[c] = (int)strlen(cell);
        }
    }
    for (size_t c = 0; c < n_columns; c++)
        print_cell(&columns[c], columns[c].title, widths[c], c + 1 == n_columns);
    putchar('\n');
    for (size_t r = 0; r < json_array_size(rows); r++) {
        for (size_t c = 0; c < n_columns; c++) {
            format_cell(json_array_get(rows, r), &columns[c], cell);
            print_cell(&columns[c], cell, widths[c], c + 1 == n_columns);
        }
        putchar('\n');
    }
}

int output_end(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_OK;
    fprintf(stderr, "vgpu: cannot write the output: %s\n", strerror(errno));
    return CLI_FAILED;
}

int output_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
    return output_end();
}

int output_table(const json_t *object, const char *key, const struct output_column *columns, size_t n_columns,
                 const char *nothing, bool as_json)
{
    const json_t *rows = json_object_get(object, key);

    if (as_json)
        return output_json(object);
    if (json_array_size(rows))
        print_table(rows, columns, n_columns);
    else
        puts(nothing);
    return output_end();
}

void output_fields(const json_t *object, const struct output_column *columns, size_t n_columns)
{
    char cell[CELL_MAX];
    int width = 0;

    for (size_t c = 0; c < n_columns; c++)
        if ((int)strlen(columns[c].title) > width)
            width = (int)strlen(columns[c].title);
    for (size_t c = 0; c < n_columns; c++) {
        format_cell(object, &columns[c], cell);
        printf("%s:%*s%s\n", columns[c].title, width - (int)strlen(columns[c].title) + 1, "", cell);
    }
}
