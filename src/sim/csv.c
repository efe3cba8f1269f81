/* Reading tables; see csv.h. */
#include "sim/csv.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts the next line into fields. 1, 0 at the end, -EINVAL. */
static int csv_split(struct csv *csv, char **fields, unsigned *ret_n, struct error *err)
{
    char *end, *field;
    unsigned n = 0;

    do {
        if (csv->at >= csv->end)
            return 0;
        csv->line++;
        field = csv->at;
        end = memchr(field, '\n', (size_t)(csv->end - field));
        if (!end)
            end = csv->end;
        csv->at = end + 1;
        if (end > field && end[-1] == '\r')
            end--;
    } while (end == field);
    *end = '\0';
    if (memchr(field, '"', (size_t)(end - field)) || strlen(field) != (size_t)(end - field))
        return error_fail(err, -EINVAL, "%s:%u: quotes and NUL characters are not read here", csv->name,
                          csv->line);
    for (char *comma = field; comma; field = comma + 1) {
        if (n == CSV_FIELDS_MAX)
            return error_fail(err, -EINVAL, "%s:%u: more than %u fields", csv->name, csv->line,
                              (unsigned)CSV_FIELDS_MAX);
        comma = strchr(field, ',');
        fields[n++] = field;
        if (!comma)
            break;
        *comma = '\0';
    }
    *ret_n = n;
    return 1;
}

int csv_begin(struct csv *csv, const char *name, char *text, size_t bytes, struct error *err)
{
    int rc;

    *csv = (struct csv){.name = name, .at = text, .end = text + bytes};
    rc = csv_split(csv, csv->columns, &csv->n_columns, err);
    if (rc < 0)
        return rc;
    return rc ? 0
              : error_fail(err, -EINVAL, "%s: empty; expected a line with the names of the columns", name);
}

int csv_next(struct csv *csv, struct error *err)
{
    unsigned n = 0;
    int rc = csv_split(csv, csv->fields, &n, err);

    if (rc <= 0)
        return rc;
    if (n != csv->n_columns)
        return error_fail(err, -EINVAL, "%s:%u: %u fields; the header names %u", csv->name, csv->line, n,
                          csv->n_columns);
    if (++csv->n_rows > CSV_ROWS_MAX)
        return error_fail(err, -EINVAL, "%s:%u: more than %u rows", csv->name, csv->line,
                          (unsigned)CSV_ROWS_MAX);
    return 1;
}

int csv_column(const struct csv *csv, const char *column, int needed, struct error *err)
{
    for (unsigned i = 0; i < csv->n_columns; i++) {
        if (!strcmp(csv->columns[i], column))
            return (int)i;
    }
    return needed ? error_fail(err, -EINVAL, "%s:%u: no column \"%s\" in the header", csv->name, csv->line,
                               column)
                  : -1;
}

int csv_number(const struct csv *csv, int column, uint64_t max, uint64_t *ret_number, struct error *err)
{
    const char *text = csv->fields[column];
    uint64_t number = 0;

    for (const char *c = text; *c || c == text; c++) {
        if (*c < '0' || *c > '9')
            return error_fail(err, -EINVAL, "%s:%u: %s is \"%.32s\"; expected a whole number", csv->name,
                              csv->line, csv->columns[column], text);
        if (number > (UINT64_MAX - 9) / 10 || (number = number * 10 + (uint64_t)(*c - '0')) > max)
            return error_fail(err, -ERANGE, "%s:%u: %s is %.32s; at most %llu is read here", csv->name,
                              csv->line, csv->columns[column], text, (unsigned long long)max);
    }
    *ret_number = number;
    return 0;
}

static int load_from(int fd, const char *path, char **ret_text, size_t *ret_bytes, struct error *err)
{
    struct stat status;
    size_t bytes = 0;
    char *text;

    if (fstat(fd, &status))
        return error_fail(err, error_errno(), "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_fail(err, -EINVAL, "%s: not a file", path);
    if (status.st_size > CSV_FILE_BYTES_MAX)
        return error_fail(err, -EFBIG, "%s: larger than %u MiB", path, (unsigned)(CSV_FILE_BYTES_MAX >> 20));
    text = malloc((size_t)status.st_size + 1);
    if (!text)
        return error_fail(err, -ENOMEM, "%s: out of memory", path);
    while (bytes < (size_t)status.st_size) {
        ssize_t got = read(fd, text + bytes, (size_t)status.st_size - bytes);

        if (got < 0) {
            int code = error_errno();

            free(text);
            return error_fail(err, code, "%s: %s", path, strerror(-code));
        }
        if (!got)
            break;
        bytes += (size_t)got;
    }
    *ret_text = text;
    *ret_bytes = bytes;
    return 0;
}

int csv_load(const char *path, char **ret_text, size_t *ret_bytes, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0)
        return error_fail(err, error_errno(), "%s: %s", path, strerror(errno));
    rc = load_from(fd, path, ret_text, ret_bytes, err);
    close(fd);
    return rc;
}
