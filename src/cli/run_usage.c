/* The usage record; see run_usage.h. Figures are vgpud's, taken from the instance's account while the lease
 * of this process keeps it; nothing is measured here but the wall time. */
#include "cli/run_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/units.h"

enum { ANSWER_WAIT_S = 5, LINE_MAX_BYTES = 32 };

/* What is taken over as it is, of the instance and of each of its devices. */
static const char *const figures[] = {
    "memory_limit_bytes", "memory_peak_bytes",  "denied_total",    "gpu_time_ns_total",
    "copy_time_ns_total", "throttled_ns_total", "throttled_total",
};
static const char *const terms[] = {"policy", "priority", "share_permille", "weight", "time_slice_ns"};
static const char *const device_names[] = {"uuid", "name", "kind"};

#define N(array) (sizeof(array) / sizeof(*(array)))

static void take_over(json_t *to, const json_t *from, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *value = json_object_get(from, names[i]);

        json_object_set(to, names[i], value ? value : json_null());
    }
}

/* GPU time by wall time, per device. */
static json_t *achieved_permille(const json_t *figures_of, uint64_t wall_ns, size_t n_devices)
{
    const json_t *gpu_ns = json_object_get(figures_of, "gpu_time_ns_total");

    if (!json_is_integer(gpu_ns) || !wall_ns || !n_devices)
        return json_null();
    return json_integer((
        json_int_t)((double)json_integer_value(gpu_ns) * 1000 / ((double)wall_ns * (double)n_devices) + 0.5));
}

json_t *run_usage_record(const json_t *granted, const json_t *shown, const char *problem, uint64_t wall_ns,
                         int status)
{
    json_t *record = json_object(), *rows = json_array(), *id = json_object_get(granted, "id");
    const json_t *devices = json_object_get(shown ? shown : granted, "devices"), *device;
    size_t i;

    json_object_set(record, "instance", id ? id : json_null());
    take_over(record, granted, (const char *const[]){"name"}, 1);
    json_object_set_new(record, "exit_status", json_integer(status));
    json_object_set_new(record, "wall_ns", json_integer((json_int_t)wall_ns));
    take_over(record, shown ? shown : granted, terms, N(terms));
    take_over(record, shown, figures, N(figures));
    json_object_set_new(record, "achieved_permille",
                        achieved_permille(shown, wall_ns, json_array_size(devices)));
    json_array_foreach(devices, i, device)
    {
        json_t *row = json_object();

        take_over(row, device, device_names, N(device_names));
        take_over(row, shown ? device : NULL, figures, N(figures));
        json_object_set_new(row, "achieved_permille", achieved_permille(shown ? device : NULL, wall_ns, 1));
        json_array_append_new(rows, row);
    }
    json_object_set_new(record, "devices", rows);
    json_object_set_new(record, "problem", problem ? json_string(problem) : json_null());
    return record;
}

/* ---- for a person ---- */

static const char *amount(const json_t *record, const char *key, char *(*format)(uint64_t, char *, size_t),
                          char buf[LINE_MAX_BYTES])
{
    const json_t *value = json_object_get(record, key);

    return json_is_integer(value) ? format((uint64_t)json_integer_value(value), buf, LINE_MAX_BYTES)
                                  : "not known";
}

static char *format_count(uint64_t value, char *buf, size_t buf_bytes)
{
    snprintf(buf, buf_bytes, "%llu", (unsigned long long)value);
    return buf;
}

static char *format_permille(uint64_t permille, char *buf, size_t buf_bytes)
{
    snprintf(buf, buf_bytes, "%llu.%llu%%", (unsigned long long)permille / 10,
             (unsigned long long)permille % 10);
    return buf;
}

void run_usage_print(const json_t *record, FILE *out)
{
    const json_int_t share = json_integer_value(json_object_get(record, "share_permille"));
    const char *problem = json_string_value(json_object_get(record, "problem"));
    size_t n_devices = json_array_size(json_object_get(record, "devices"));
    char a[LINE_MAX_BYTES], b[LINE_MAX_BYTES];

    fprintf(out, "vgpu run: %s ended with status %d after %s\n",
            json_string_value(json_object_get(record, "name")),
            (int)json_integer_value(json_object_get(record, "exit_status")),
            amount(record, "wall_ns", units_format_ns, a));
    if (problem) {
        fprintf(out, "  what it used is not known: %s\n", problem);
        return;
    }
    fprintf(out, "  memory     %s at most, of %s\n",
            amount(record, "memory_peak_bytes", units_format_bytes, a),
            amount(record, "memory_limit_bytes", units_format_bytes, b));
    fprintf(out, "  GPU time   %s", amount(record, "gpu_time_ns_total", units_format_ns, a));
    if (json_is_integer(json_object_get(record, "achieved_permille")))
        fprintf(out, ", %s of the time%s", amount(record, "achieved_permille", format_permille, b),
                n_devices > 1 ? " of each device" : "");
    if (share)
        fprintf(out, "; its share is %s", amount(record, "share_permille", format_permille, a));
    fprintf(out, "\n  copy time  %s\n", amount(record, "copy_time_ns_total", units_format_ns, a));
    fprintf(out, "  held back  %s; waits: %s\n", amount(record, "throttled_ns_total", units_format_ns, a),
            amount(record, "throttled_total", format_count, b));
    fprintf(out, "  denied     allocations: %s\n", amount(record, "denied_total", format_count, a));
}

/* ---- at the end ---- */

int run_usage_open(struct run_usage *usage, struct error *err)
{
    const char *path = usage->path;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

    if (fd < 0)
        return error_fail(err, -errno, "--usage-file: '%s' cannot be written: %s", path, strerror(errno));
    usage->file = fdopen(fd, "w");
    if (usage->file)
        return 0;
    close(fd);
    return error_fail(err, -ENOMEM, "--usage-file: '%s' cannot be written: %s", path, strerror(ENOMEM));
}

/* vgpud's word on the instance. A vgpud that was started anew has taken it up where it could. */
static json_t *ask(struct client *client, const json_t *granted, struct error *err)
{
    json_auto_t *request =
        json_pack("{s:s, s:O}", "op", "instance.show", "instance", json_object_get(granted, "id"));
    const struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
    bool was_lost = client->fd < 0;
    json_t *answer;

    if (was_lost && client_open_running(client, err) < 0) {
        error_fail(err, err->code, "vgpud has ended");
        return NULL;
    }
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    answer = client_ask_here(client, request, err);
    if (!answer && was_lost)
        error_fail(err, err->code, "vgpud was started anew while it ran");
    else if (!answer && err->code == -EAGAIN)
        error_fail(err, -EAGAIN, "vgpud does not answer");
    return answer;
}

static void write_file(struct run_usage *usage, const json_t *record)
{
    bool written = false;

    if (!usage->file)
        return;
    if (ftruncate(fileno(usage->file), 0) < 0 && errno != EINVAL) /* EINVAL: it is a pipe or a device */
        goto end;
    written = json_dumpf(record, usage->file, JSON_INDENT(2)) == 0 && fputc('\n', usage->file) != EOF;
end:
    if (fclose(usage->file) || !written)
        fprintf(stderr, "vgpu run: --usage-file: '%s' cannot be written: %s\n", usage->path, strerror(errno));
    usage->file = NULL;
}

int run_usage_tell(struct run_usage *usage, struct client *client, const json_t *granted, int status,
                   const struct error *err)
{
    const json_t *instance = json_object_get(granted, "instance");
    struct error failure = {0};
    json_auto_t *answer = NULL, *record = NULL;

    if (!usage->file && !usage->print)
        return status;
    if (granted)
        answer = ask(client, instance, &failure);
    record = run_usage_record(instance, json_object_get(answer, "instance"),
                              answer    ? NULL
                              : granted ? failure.text
                                        : err->text,
                              usage->end_ns - usage->begin_ns, status);
    write_file(usage, record);
    if (!granted || !usage->print)
        return status;
    if (usage->as_json) {
        json_dumpf(record, stderr, JSON_INDENT(2));
        fputc('\n', stderr);
    } else {
        run_usage_print(record, stderr);
    }
    return status;
}
