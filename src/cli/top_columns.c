/* Columns and cells; see top_columns.h. */
#include "cli/top_columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "cli/text.h"

const struct top_column top_columns[TOP_COLUMNS] = {
    [TOP_NAME] = {"NAME", "name", {"name", "name", "command"}, TOP_FORMAT_TEXT, 20, 0},
    [TOP_STATE] = {"STATE", "state", {NULL, "state", NULL}, TOP_FORMAT_TEXT, 10, 5},
    [TOP_SHARE] = {"SHARE", "share", {"used_permille", "used_permille", NULL}, TOP_FORMAT_PERMILLE, 6, 1},
    [TOP_QUOTA] = {"QUOTA", "quota", {NULL, "rate_ppm", NULL}, TOP_FORMAT_PPM, 6, 3},
    [TOP_THROTTLED] = {"THROTTLED", "throttled", {NULL, "throttled_permille", NULL}, TOP_FORMAT_MS, 9, 4},
    [TOP_USED] = {"USED",
                  "used",
                  {"memory_used_bytes", "memory_used_bytes", "memory_used_bytes"},
                  TOP_FORMAT_BYTES,
                  10,
                  1},
    [TOP_LIMIT] =
        {"LIMIT", "limit", {"memory_capacity_bytes", "memory_limit_bytes", NULL}, TOP_FORMAT_BYTES, 10, 2},
    [TOP_PEAK] = {"PEAK", "peak", {NULL, "memory_peak_bytes", NULL}, TOP_FORMAT_BYTES, 10, 8},
    [TOP_DENIED] = {"DENIED", "denied", {NULL, "denied_total", NULL}, TOP_FORMAT_COUNT, 6, 6},
    [TOP_QUEUED] = {"QUEUED", "queued", {NULL, "queued", NULL}, TOP_FORMAT_COUNT, 6, 7},
    [TOP_PRIORITY] = {"PRIORITY", "priority", {NULL, "priority", NULL}, TOP_FORMAT_TEXT, 8, 9},
    [TOP_POLICY] = {"POLICY", "policy", {NULL, "policy", NULL}, TOP_FORMAT_TEXT, 11, 10},
};

int top_column_find(const char *name, enum top_column_id *ret_column, struct error *err)
{
    char names[160] = "";

    for (int c = 0; c < TOP_COLUMNS; c++) {
        if (!strcmp(top_columns[c].name, name)) {
            *ret_column = (enum top_column_id)c;
            return 0;
        }
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", c ? ", " : "",
                 top_columns[c].name);
    }
    return error_fail(err, -EINVAL, "there is no column '%s' to sort by; there are %s", name, names);
}

/* The row's JSON value: of the instance on its device where it is told, else of the instance in all. */
static const json_t *find_value(const struct top_row *row, enum top_column_id column)
{
    const char *key = top_columns[column].keys[row->kind];
    const json_t *value = NULL;

    if (!key)
        return NULL;
    if (row->kind == TOP_DEVICE)
        return json_object_get(row->device, key);
    if (row->kind == TOP_PROCESS)
        return json_object_get(row->client, key);
    if (column != TOP_NAME)
        value = json_object_get(row->share, key);
    return value ? value : json_object_get(row->instance, key);
}

bool top_row_number(const struct top_row *row, enum top_column_id column, int64_t *ret_value)
{
    const json_t *value;

    if (row->kind == TOP_DEVICE && column == TOP_SHARE) {
        *ret_value = row->used_permille;
        return row->used_permille >= 0;
    }
    value = find_value(row, column);
    if (!json_is_integer(value))
        return false;
    *ret_value = json_integer_value(value);
    return true;
}

const char *top_row_text(const struct top_row *row, enum top_column_id column)
{
    const char *text = json_string_value(find_value(row, column));

    return text ? text : "";
}

static void format_number(enum top_format format, int64_t value, char cell[TOP_CELL_MAX])
{
    switch (format) {
    case TOP_FORMAT_BYTES:
        units_format_bytes((uint64_t)value, cell, TOP_CELL_MAX);
        break;
    case TOP_FORMAT_PERMILLE:
        snprintf(cell, TOP_CELL_MAX, "%" PRId64 ".%" PRId64 "%%", value / 10, value % 10);
        break;
    case TOP_FORMAT_PPM:
        value = (value + 500) / 1000;
        snprintf(cell, TOP_CELL_MAX, "%" PRId64 ".%" PRId64 "%%", value / 10, value % 10);
        break;
    case TOP_FORMAT_MS: /* thousandths of the last second are milliseconds a second */
        snprintf(cell, TOP_CELL_MAX, "%" PRId64 "ms/s", value);
        break;
    default:
        snprintf(cell, TOP_CELL_MAX, "%" PRId64, value);
    }
}

/* A name says where in the tree it stands; a device is known by its number, a process by its pid. */
static void format_name(const struct top_row *row, char cell[TOP_CELL_MAX])
{
    const json_t *index = json_object_get(row->device, "index");
    const char *name = top_row_text(row, TOP_NAME);
    char clean[TOP_CELL_MAX - 32];

    text_clean(*name ? name : "-", clean, sizeof(clean));
    if (row->kind == TOP_PROCESS)
        snprintf(cell, TOP_CELL_MAX, "    %lld %s",
                 (long long)json_integer_value(json_object_get(row->client, "pid")), clean);
    else if (row->kind == TOP_INSTANCE)
        snprintf(cell, TOP_CELL_MAX, "  %s", clean);
    else if (json_is_integer(index))
        snprintf(cell, TOP_CELL_MAX, "%lld %s", (long long)json_integer_value(index), clean);
    else
        snprintf(cell, TOP_CELL_MAX, "- %s", clean);
}

char *top_row_cell(const struct top_row *row, enum top_column_id column, char cell[TOP_CELL_MAX])
{
    int64_t value;

    cell[0] = '\0';
    if (!top_columns[column].keys[row->kind])
        return cell;
    if (column == TOP_NAME)
        format_name(row, cell);
    else if (top_columns[column].format == TOP_FORMAT_TEXT)
        text_clean(*top_row_text(row, column) ? top_row_text(row, column) : "-", cell, TOP_CELL_MAX);
    else if (top_row_number(row, column, &value) && value >= 0)
        format_number(top_columns[column].format, value, cell);
    else
        snprintf(cell, TOP_CELL_MAX, "-");
    return cell;
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

char *top_row_id(const struct top_row *row, char *buf, size_t buf_bytes)
{
    snprintf(buf, buf_bytes, "%s/%s/%lld", member(row->device, "uuid"), member(row->instance, "id"),
             (long long)json_integer_value(json_object_get(row->client, "pid")));
    return buf;
}

static int compare_numbers(const struct top_row *a, const struct top_row *b, enum top_column_id column,
                           bool reversed)
{
    int64_t x = 0, y = 0;
    bool known_x = top_row_number(a, column, &x), known_y = top_row_number(b, column, &y);

    if (!known_x || !known_y)
        return known_y - known_x;
    if (x == y)
        return 0;
    return (x > y) != reversed ? -1 : 1;
}

int top_row_compare(const struct top_row *a, const struct top_row *b, enum top_column_id column,
                    bool reversed)
{
    const char *x = top_row_text(a, column), *y = top_row_text(b, column);
    int order;

    if (top_columns[column].format != TOP_FORMAT_TEXT)
        return compare_numbers(a, b, column, reversed);
    if (!*x || !*y)
        return (*y != '\0') - (*x != '\0');
    order = strcasecmp(x, y);
    return reversed ? -order : order;
}
