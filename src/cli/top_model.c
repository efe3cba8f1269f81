/* From answers to rows; see top_model.h. The order of rows: devices as vgpud numbers them, below each the
 * instances on it as sorted, below each of those its processes. */
#include "cli/top_model.h"

#include <stdlib.h>
#include <string.h>

static const char *text_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* ---- filter ---- */

static bool has_text(const json_t *object, const char *const *keys, size_t n_keys, const char *filter)
{
    for (size_t i = 0; i < n_keys; i++)
        if (strcasestr(text_member(object, keys[i]), filter))
            return true;
    return false;
}

static bool device_passes(const json_t *device, const char *filter)
{
    static const char *const keys[] = {"name", "uuid", "kind"};

    return has_text(device, keys, sizeof(keys) / sizeof(*keys), filter);
}

static bool instance_passes(const json_t *instance, const char *filter)
{
    static const char *const keys[] = {"name", "id", "state", "policy", "priority"};

    return has_text(instance, keys, sizeof(keys) / sizeof(*keys), filter);
}

static bool client_passes(const json_t *client, const char *filter)
{
    return strcasestr(text_member(client, "command"), filter) != NULL;
}

static bool any_client_passes(const json_t *instance, const char *filter)
{
    const json_t *clients = json_object_get(instance, "clients");

    for (size_t i = 0; i < json_array_size(clients); i++)
        if (client_passes(json_array_get(clients, i), filter))
            return true;
    return false;
}

/* ---- rows ---- */

static int append(struct top_model *model, const struct top_row *row)
{
    if (model->n_rows == model->room) {
        size_t room = model->room ? 2 * model->room : 64;
        struct top_row *rows = reallocarray(model->rows, room, sizeof(*rows));

        if (!rows)
            return -ENOMEM;
        model->rows = rows;
        model->room = room;
    }
    model->rows[model->n_rows++] = *row;
    return 0;
}

/* The instance's figures on the device, or NULL when it has no part of it. */
static const json_t *find_share(const json_t *instance, const char *uuid)
{
    const json_t *devices = json_object_get(instance, "devices");

    for (size_t i = 0; i < json_array_size(devices); i++)
        if (!strcmp(text_member(json_array_get(devices, i), "uuid"), uuid))
            return json_array_get(devices, i);
    return NULL;
}

static int used_permille(const json_t *share)
{
    const json_t *value = json_object_get(share, "used_permille");

    return json_is_integer(value) ? (int)json_integer_value(value) : TOP_HISTORY_UNKNOWN;
}

/* A device's own figure where vgpud tells one, else the sum over those instances it tells this user of. */
static int device_used_permille(const json_t *answers, const json_t *device)
{
    const json_t *instances = json_object_get(answers, "instances");
    int sum = used_permille(device);

    for (size_t i = 0; used_permille(device) < 0 && i < json_array_size(instances); i++) {
        int part = used_permille(find_share(json_array_get(instances, i), text_member(device, "uuid")));

        if (part >= 0)
            sum = (sum < 0 ? 0 : sum) + part;
    }
    return sum;
}

struct sorting {
    enum top_column_id column;
    bool reversed;
};

static int compare(const void *a, const void *b, void *context)
{
    const struct sorting *sorting = context;
    const struct top_row *x = a, *y = b;
    int order = top_row_compare(x, y, sorting->column, sorting->reversed);

    /* qsort may change the order of equals; ids are drawn at random, so names settle it. */
    return order ? order : strcmp(text_member(x->instance, "name"), text_member(y->instance, "name"));
}

static int append_processes(struct top_model *model, const struct top_row *instance, const char *filter)
{
    const json_t *clients = json_object_get(instance->instance, "clients");
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_array_size(clients); i++) {
        struct top_row row = *instance;

        row.kind = TOP_PROCESS;
        row.client = json_array_get(clients, i);
        if (client_passes(row.client, filter))
            r = append(model, &row);
    }
    return r;
}

/* The instances on a device, sorted, as rows of a model of their own. */
static int gather_instances(struct top_model *found, const json_t *instances, const struct top_row *device,
                            const char *filter)
{
    bool whole = device_passes(device->device, filter);

    for (size_t i = 0; i < json_array_size(instances); i++) {
        struct top_row row = *device;

        row.kind = TOP_INSTANCE;
        row.instance = json_array_get(instances, i);
        row.share = find_share(row.instance, text_member(device->device, "uuid"));
        if (!row.share ||
            !(whole || instance_passes(row.instance, filter) || any_client_passes(row.instance, filter)))
            continue;
        if (append(found, &row) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* A device's row and all below it. */
static int append_device(struct top_model *model, const json_t *device, const struct top_view *view)
{
    struct top_row row = {
        .kind = TOP_DEVICE, .device = device, .used_permille = device_used_permille(model->answers, device)};
    struct sorting sorting = {view->sort, view->reversed};
    struct top_model found = {0};
    int r = gather_instances(&found, json_object_get(model->answers, "instances"), &row, view->filter);

    if (r == 0 && (found.n_rows || device_passes(device, view->filter)))
        r = append(model, &row);
    if (found.n_rows)
        qsort_r(found.rows, found.n_rows, sizeof(*found.rows), compare, &sorting);
    for (size_t i = 0; r == 0 && i < found.n_rows; i++) {
        bool named =
            device_passes(device, view->filter) || instance_passes(found.rows[i].instance, view->filter);

        r = append(model, &found.rows[i]);
        if (r == 0 && view->processes)
            r = append_processes(model, &found.rows[i], named ? "" : view->filter);
    }
    free(found.rows);
    return r;
}

static const json_t *find_device(const json_t *devices, const char *uuid)
{
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (!strcmp(text_member(json_array_get(devices, i), "uuid"), uuid))
            return json_array_get(devices, i);
    return NULL;
}

/* All devices: those of device.list, and those that instances have though vgpud does not list them any more.
 * The caller's. */
static json_t *all_devices(const json_t *answers)
{
    const json_t *instances = json_object_get(answers, "instances");
    json_t *all = json_array();

    json_array_extend(all, json_object_get(answers, "devices"));
    for (size_t i = 0; i < json_array_size(instances); i++) {
        const json_t *own = json_object_get(json_array_get(instances, i), "devices");

        for (size_t d = 0; d < json_array_size(own); d++) {
            const json_t *device = json_array_get(own, d);

            if (!find_device(all, text_member(device, "uuid")))
                json_array_append_new(all, json_pack("{s:O, s:O?}", "uuid", json_object_get(device, "uuid"),
                                                     "name", json_object_get(device, "name")));
        }
    }
    return all;
}

int top_model_build(struct top_model *model, json_t *answers, const struct top_view *view)
{
    struct top_model next = {.answers = json_incref(answers)};
    const json_t *devices = json_object_get(answers, "all_devices");
    int r = 0;

    if (!devices) { /* rows point to them: they live as long as the answers */
        json_object_set_new(answers, "all_devices", all_devices(answers));
        devices = json_object_get(answers, "all_devices");
    }
    next.n_devices = json_array_size(devices);
    next.n_instances = json_array_size(json_object_get(answers, "instances"));
    for (size_t i = 0; r == 0 && i < next.n_devices; i++)
        r = append_device(&next, json_array_get(devices, i), view);
    if (r < 0) {
        top_model_done(&next);
        return r;
    }
    top_model_done(model);
    *model = next;
    return 0;
}

void top_model_done(struct top_model *model)
{
    json_decref(model->answers);
    free(model->rows);
    *model = (struct top_model){0};
}

void top_model_remember(const json_t *answers, struct top_history *history)
{
    json_auto_t *devices = all_devices(answers);
    const json_t *instances = json_object_get(answers, "instances");
    char id[TOP_ID_MAX];

    top_history_begin(history);
    for (size_t d = 0; d < json_array_size(devices); d++) {
        struct top_row row = {.kind = TOP_DEVICE, .device = json_array_get(devices, d)};

        top_history_add(history, top_row_id(&row, id, sizeof(id)), device_used_permille(answers, row.device));
        for (size_t i = 0; i < json_array_size(instances); i++) {
            row.instance = json_array_get(instances, i);
            row.share = find_share(row.instance, text_member(row.device, "uuid"));
            if (row.share)
                top_history_add(history, top_row_id(&row, id, sizeof(id)), used_permille(row.share));
        }
    }
    top_history_end(history);
}

size_t top_model_selected(const struct top_model *model, const struct top_view *view)
{
    char id[TOP_ID_MAX];

    for (size_t i = 0; i < model->n_rows; i++)
        if (!strcmp(top_row_id(&model->rows[i], id, sizeof(id)), view->selected))
            return i;
    return 0;
}

static bool has_object(const json_t *array, const json_t *object)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (json_array_get(array, i) == object)
            return true;
    return false;
}

json_t *top_model_json(const struct top_model *model)
{
    json_t *devices = json_array(), *instances = json_array();

    for (size_t i = 0; i < model->n_rows; i++) {
        const struct top_row *row = &model->rows[i];

        if (row->kind == TOP_DEVICE)
            json_array_append(devices, (json_t *)row->device);
        else if (row->kind == TOP_INSTANCE && !has_object(instances, row->instance))
            json_array_append(instances, (json_t *)row->instance);
    }
    return json_pack("{s:O, s:O, s:o, s:o}", "time_ms", json_object_get(model->answers, "time_ms"), "daemon",
                     json_object_get(model->answers, "daemon"), "devices", devices, "instances", instances);
}
