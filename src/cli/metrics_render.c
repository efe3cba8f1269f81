/* The text format; see metrics_render.h. One metric after another, each with all its series, as the format
 * asks. */
#include "cli/metrics_render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/metrics_table.h"

/* One object that has figures, with what its labels are made of. */
struct subject {
    const json_t *device; /* of device.list, or of the instance; NULL: none */
    const json_t *instance;
    unsigned number; /* of the device within the instance */
};

struct rendering {
    FILE *out;
    const json_t *answers;
    const struct metrics_wishes *wishes;
};

typedef void (*subject_fn)(struct rendering *rendering, const struct subject *subject, const void *row);

static const char *text_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* ---- labels and values ---- */

static void put_label(FILE *out, const char *between, const char *name, const char *value)
{
    fprintf(out, "%s%s=\"", between, name);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            fputc(*value, out);
    }
    fputc('"', out);
}

static void put_number_label(FILE *out, const char *between, const char *name, json_int_t value)
{
    fprintf(out, "%s%s=\"%lld\"", between, name, (long long)value);
}

static void put_fraction(FILE *out, int64_t value, int64_t one, int digits)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;

    fprintf(out, "%s%" PRIu64 ".%0*" PRIu64, value < 0 ? "-" : "", size / (uint64_t)one, digits,
            size % (uint64_t)one);
}

/* Whether the value is known, and so there is a series of it. */
static bool is_known(const json_t *value, enum metrics_unit unit)
{
    if (unit == METRICS_BOOL)
        return json_is_boolean(value);
    if (unit == METRICS_LIST)
        return json_is_array(value);
    return unit == METRICS_WORD ? json_is_string(value) : json_is_integer(value);
}

static void put_value(FILE *out, const json_t *value, enum metrics_unit unit)
{
    switch (unit) {
    case METRICS_NS:
        put_fraction(out, json_integer_value(value), (int64_t)NS_PER_S, 9);
        break;
    case METRICS_MS:
        put_fraction(out, json_integer_value(value), 1000, 3);
        break;
    case METRICS_BOOL:
        fputs(json_is_true(value) ? "1" : "0", out);
        break;
    case METRICS_LIST:
        fprintf(out, "%zu", json_array_size(value));
        break;
    case METRICS_WORD:
        fputs("1", out);
        break;
    default:
        fprintf(out, "%lld", (long long)json_integer_value(value));
    }
}

/* ---- subjects ---- */

static void each_device(struct rendering *rendering, subject_fn fn, const void *row)
{
    const json_t *devices = json_object_get(rendering->answers, "devices");

    for (size_t i = 0; i < json_array_size(devices); i++)
        fn(rendering, &(struct subject){.device = json_array_get(devices, i)}, row);
}

static void each_instance(struct rendering *rendering, subject_fn fn, const void *row)
{
    const json_t *instances = json_object_get(rendering->answers, "instances");

    for (size_t i = 0; i < json_array_size(instances); i++)
        fn(rendering, &(struct subject){.instance = json_array_get(instances, i)}, row);
}

static void each_share(struct rendering *rendering, subject_fn fn, const void *row)
{
    const json_t *instances = json_object_get(rendering->answers, "instances");

    for (size_t i = 0; i < json_array_size(instances); i++) {
        struct subject subject = {.instance = json_array_get(instances, i)};
        const json_t *devices = json_object_get(subject.instance, "devices");

        for (subject.number = 0; subject.number < json_array_size(devices); subject.number++) {
            subject.device = json_array_get(devices, subject.number);
            fn(rendering, &subject, row);
        }
    }
}

/* The figure of a subject: of the device, or of the instance on it, or of the instance in all. */
static const json_t *find_value(const struct subject *subject, const char *key)
{
    return json_object_get(subject->device ? subject->device : subject->instance, key);
}

/* ---- vgpu's rows ---- */

static void put_head(FILE *out, const char *name, const char *help, const char *type)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_series(struct rendering *rendering, const struct subject *subject, const void *context)
{
    const struct metrics_row *row = context;
    const json_t *value = find_value(subject, row->key);
    const char *between = "{";
    FILE *out = rendering->out;

    if (!is_known(value, row->unit))
        return;
    fputs(row->name, out);
    if (subject->instance) {
        put_label(out, between, "instance_id", text_member(subject->instance, "id"));
        put_label(out, ",", "name", text_member(subject->instance, "name"));
        put_number_label(out, ",", "owner_uid",
                         json_integer_value(json_object_get(subject->instance, "owner_uid")));
        between = ",";
    }
    if (subject->device) {
        put_label(out, between, "device", text_member(subject->device, "uuid"));
        if (!subject->instance)
            put_label(out, ",", "name", text_member(subject->device, "name"));
    }
    if (row->type == METRICS_TEXT)
        put_label(out, ",", row->key, json_string_value(value));
    fputs("} ", out);
    put_value(out, value, row->unit);
    fputc('\n', out);
}

static void put_daemon(struct rendering *rendering, const struct metrics_row *row)
{
    const json_t *value = json_object_get(json_object_get(rendering->answers, "daemon"), row->key);
    FILE *out = rendering->out;

    if (!is_known(value, row->unit))
        return;
    fputs(row->name, out);
    if (row->type == METRICS_TEXT) {
        put_label(out, "{", row->key, json_string_value(value));
        fputc('}', out);
    }
    fputc(' ', out);
    put_value(out, value, row->unit);
    fputc('\n', out);
}

static void put_row(struct rendering *rendering, const struct metrics_row *row)
{
    put_head(rendering->out, row->name, row->help, row->type == METRICS_COUNTER ? "counter" : "gauge");
    if (row->scope == METRICS_DAEMON)
        put_daemon(rendering, row);
    else if (row->scope == METRICS_DEVICE)
        each_device(rendering, put_series, row);
    else if (row->scope == METRICS_INSTANCE)
        each_instance(rendering, put_series, row);
    else
        each_share(rendering, put_series, row);
}

/* ---- HAMi's rows ---- */

static bool is_host(enum metrics_hami_labels labels)
{
    return labels == METRICS_HAMI_HOST || labels == METRICS_HAMI_LEGACY_HOST;
}

/* An instance stands for a pod and its one container, in no namespace. */
static void put_hami_labels(struct rendering *rendering, const struct subject *subject,
                            enum metrics_hami_labels labels)
{
    static const char *const names[][5] = {
        [METRICS_HAMI_HOST] = {"node", "device_index", "device_uuid", "device_type", NULL},
        [METRICS_HAMI_CONTAINER] = {"namespace", "pod", "container", "vdevice_index", "device_uuid"},
        [METRICS_HAMI_LEGACY_HOST] = {"nodeid", "deviceidx", "deviceuuid", "devicetype", NULL},
        [METRICS_HAMI_LEGACY_CONTAINER] = {"podnamespace", "podname", "ctrname", "vdeviceid", "deviceuuid"},
    };
    const char *const *name = names[labels];
    FILE *out = rendering->out;
    char type[160];

    if (is_host(labels)) {
        snprintf(type, sizeof(type), "NVIDIA-%s", text_member(subject->device, "name")); /* as HAMi has it */
        put_label(out, "{", name[0], rendering->wishes->node);
        put_number_label(out, ",", name[1], json_integer_value(json_object_get(subject->device, "index")));
        put_label(out, ",", name[2], text_member(subject->device, "uuid"));
        put_label(out, ",", name[3], type);
    } else {
        put_label(out, "{", name[0], "");
        put_label(out, ",", name[1], text_member(subject->instance, "name"));
        put_label(out, ",", name[2], text_member(subject->instance, "name"));
        put_number_label(out, ",", name[3], subject->number);
        put_label(out, ",", name[4], text_member(subject->device, "uuid"));
    }
    fputs("} ", out);
}

static void put_hami_series(struct rendering *rendering, const struct subject *subject, const void *context)
{
    const struct metrics_hami_row *row = context;
    const json_t *value = find_value(subject, row->key);

    if (!is_known(value, row->unit))
        return;
    fputs(row->name, rendering->out);
    put_hami_labels(rendering, subject, row->labels);
    if (row->unit == METRICS_PERMILLE)
        put_fraction(rendering->out, json_integer_value(value), 10, 1);
    else
        put_value(rendering->out, value, row->unit);
    fputc('\n', rendering->out);
}

static void put_hami_row(struct rendering *rendering, const struct metrics_hami_row *row)
{
    put_head(rendering->out, row->name, row->help, "gauge");
    if (is_host(row->labels))
        each_device(rendering, put_hami_series, row);
    else
        each_share(rendering, put_hami_series, row);
}

/* ---- all ---- */

char *metrics_render(const json_t *answers, uint64_t asked_ns, const struct metrics_wishes *wishes,
                     size_t *ret_bytes)
{
    char *text = NULL;
    size_t bytes = 0;
    struct rendering rendering = {open_memstream(&text, &bytes), answers, wishes};

    if (!rendering.out)
        return NULL;
    put_head(rendering.out, "vgpu_up", "Whether vgpud answered", "gauge");
    fprintf(rendering.out, "vgpu_up %d\n", answers != NULL);
    put_head(rendering.out, "vgpu_asked_seconds", "How long vgpud took to answer, or was waited for",
             "gauge");
    fputs("vgpu_asked_seconds ", rendering.out);
    put_fraction(rendering.out, (int64_t)asked_ns, (int64_t)NS_PER_S, 9);
    fputc('\n', rendering.out);
    for (size_t i = 0; answers && i < metrics_table_rows; i++)
        put_row(&rendering, &metrics_table[i]);
    for (size_t i = 0; answers && wishes->hami_names && i < metrics_hami_table_rows; i++)
        put_hami_row(&rendering, &metrics_hami_table[i]);
    if (fclose(rendering.out) == 0) {
        *ret_bytes = bytes;
        return text;
    }
    free(text);
    return NULL;
}
