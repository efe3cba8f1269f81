/* Counting and grouping requests; see mix.h. Rows are few (hundreds), so they are found by going through
 * them. */
#include "place/mix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "place/copy.h"

struct mix_row {
    struct place_request request; /* a copy of our own */
    double weight;
};

struct place_mix {
    struct mix_row *rows;
    size_t n_rows, room;
    struct place_mix_group *groups;
    unsigned n_groups;
    double memory_weight;
    uint64_t generation;
};

struct place_mix *place_mix_new(void)
{
    struct place_mix *mix = calloc(1, sizeof(*mix));

    if (mix)
        mix->memory_weight = 0.5;
    return mix;
}

static void groups_free(struct place_mix_group *groups, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free(groups[i].cpu_milli);
        free(groups[i].share_upto);
        place_request_done(&groups[i].request);
    }
    free(groups);
}

void place_mix_free(struct place_mix *mix)
{
    if (!mix)
        return;
    for (size_t i = 0; i < mix->n_rows; i++)
        place_request_done(&mix->rows[i].request);
    free(mix->rows);
    groups_free(mix->groups, mix->n_groups);
    free(mix);
}

/* The part of a request that counts here. */
static struct place_request request_typical(const struct place_request *request)
{
    struct place_request typical = {.cpu_milli = request->cpu_milli, .n_devices = request->n_devices};

    if (request->n_devices) {
        typical.whole = request->whole;
        typical.device_memory_bytes = request->device_memory_bytes;
        typical.device_memory_permille = request->device_memory_permille;
        typical.compute_permille = request->compute_permille;
        typical.types = request->types;
        typical.not_types = request->not_types;
    }
    return typical;
}

static bool same_but_cpu(const struct place_request *a, const struct place_request *b)
{
    struct place_request one = *a, other = *b;

    one.cpu_milli = other.cpu_milli = 0;
    return place_request_equal(&one, &other);
}

int place_mix_add(struct place_mix *mix, const struct place_request *request, double weight)
{
    struct place_request typical = request_typical(request);
    struct mix_row *row;

    for (size_t i = 0; i < mix->n_rows; i++) {
        if (place_request_equal(&mix->rows[i].request, &typical)) {
            mix->rows[i].weight += weight;
            return 0;
        }
    }
    if (mix->n_rows == mix->room) {
        size_t room = mix->room ? 2 * mix->room : 64;
        struct mix_row *rows = reallocarray(mix->rows, room, sizeof(*rows));

        if (!rows)
            return -ENOMEM;
        mix->rows = rows;
        mix->room = room;
    }
    row = &mix->rows[mix->n_rows];
    if (place_request_copy(&row->request, &typical))
        return -ENOMEM;
    row->weight = weight;
    mix->n_rows++;
    return 0;
}

void place_mix_age(struct place_mix *mix, double factor)
{
    size_t kept = 0;

    for (size_t i = 0; i < mix->n_rows; i++) {
        mix->rows[i].weight *= factor;
        if (mix->rows[i].weight < 0.001)
            place_request_done(&mix->rows[i].request);
        else
            mix->rows[kept++] = mix->rows[i];
    }
    mix->n_rows = kept;
}

/* Most frequent first; among equals the smaller request, so that the result does not hang on the order of
 * counting. */
static int row_compare(const void *a, const void *b)
{
    const struct mix_row *one = *(const struct mix_row *const *)a, *other = *(const struct mix_row *const *)b;

    if (one->weight != other->weight)
        return one->weight < other->weight ? 1 : -1;
    if (one->request.cpu_milli != other->request.cpu_milli)
        return one->request.cpu_milli > other->request.cpu_milli ? 1 : -1;
    if (one->request.compute_permille != other->request.compute_permille)
        return one->request.compute_permille > other->request.compute_permille ? 1 : -1;
    return one > other ? 1 : -1;
}

/* Enters a row; each group's shares are kept in order of processors. */
static int group_insert(struct place_mix_group *group, uint64_t cpu_milli, double share)
{
    uint64_t *cpus = reallocarray(group->cpu_milli, group->n + 1, sizeof(*cpus));
    double *shares;
    unsigned at;

    if (!cpus)
        return -ENOMEM;
    group->cpu_milli = cpus;
    shares = reallocarray(group->share_upto, group->n + 1, sizeof(*shares));
    if (!shares)
        return -ENOMEM;
    group->share_upto = shares;
    for (at = group->n++; at && cpus[at - 1] > cpu_milli; at--) {
        cpus[at] = cpus[at - 1];
        shares[at] = shares[at - 1];
    }
    cpus[at] = cpu_milli;
    shares[at] = share;
    return 0;
}

static struct place_mix_group *group_of(struct place_mix_group *groups, unsigned *n,
                                        const struct mix_row *row, const struct place_cluster *cluster)
{
    struct place_mix_group *group = &groups[*n];

    for (unsigned i = 0; i < *n; i++) {
        if (same_but_cpu(&groups[i].request, &row->request))
            return &groups[i];
    }
    memset(group, 0, sizeof(*group));
    if (place_request_copy(&group->request, &row->request))
        return NULL;
    group->memory_permille = row->request.device_memory_permille ? row->request.device_memory_permille : 1000;
    for (unsigned i = 0; i < cluster->n_types; i++)
        group->type_ok[i] = place_request_accepts_type(&row->request, cluster->types[i]);
    ++*n;
    return group;
}

/* Memory of the cluster's mean device, by which amounts in bytes are made parts of one. */
static double cluster_device_bytes(const struct place_cluster *cluster)
{
    double bytes = 0, n = 0;

    for (size_t i = 0; i < cluster->n_nodes; i++) {
        for (unsigned j = 0; j < cluster->nodes[i].n_devices; j++, n++)
            bytes += (double)cluster->nodes[i].devices[j].memory_bytes;
    }
    return n > 0 ? bytes / n : 1;
}

static double request_memory_permille(const struct place_request *request, double device_bytes)
{
    if (request->device_memory_bytes)
        return 1000 * (double)request->device_memory_bytes / device_bytes;
    return request->device_memory_permille ? request->device_memory_permille : 1000;
}

/* Turns shares into sums, and learns what part of the demand is memory. */
static double groups_finish(struct place_mix_group *groups, unsigned n, double device_bytes)
{
    double memory = 0, compute = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct place_request *request = &groups[i].request;
        double devices;

        for (unsigned j = 1; j < groups[i].n; j++)
            groups[i].share_upto[j] += groups[i].share_upto[j - 1];
        devices = groups[i].share_upto[groups[i].n - 1] * request->n_devices;
        memory += devices * request_memory_permille(request, device_bytes);
        compute += devices * (request->whole ? 1000 : request->compute_permille);
    }
    return memory + compute > 0 ? memory / (memory + compute) : 0.5;
}

int place_mix_compile(struct place_mix *mix, const struct place_cluster *cluster, double coverage)
{
    struct mix_row **order = calloc(mix->n_rows + 1, sizeof(struct mix_row *));
    struct place_mix_group *groups = calloc(mix->n_rows + 1, sizeof(*groups));
    double total = 0, covered = 0;
    unsigned n_groups = 0;
    size_t n_typical;
    int rc = order && groups ? 0 : -ENOMEM;

    for (size_t i = 0; !rc && i < mix->n_rows; i++) {
        order[i] = &mix->rows[i];
        total += order[i]->weight;
    }
    if (!rc)
        qsort(order, mix->n_rows, sizeof(struct mix_row *), row_compare);
    for (n_typical = 0; !rc && n_typical < mix->n_rows && covered < coverage * total; n_typical++)
        covered += order[n_typical]->weight;
    for (size_t i = 0; !rc && i < n_typical; i++) {
        struct place_mix_group *group = group_of(groups, &n_groups, order[i], cluster);

        rc = group ? group_insert(group, order[i]->request.cpu_milli, order[i]->weight / covered) : -ENOMEM;
    }
    free(order);
    if (rc) {
        groups_free(groups, n_groups);
        return rc;
    }
    groups_free(mix->groups, mix->n_groups);
    mix->groups = groups;
    mix->n_groups = n_groups;
    mix->memory_weight = groups_finish(groups, n_groups, cluster_device_bytes(cluster));
    mix->generation++;
    return 0;
}

const struct place_mix_group *place_mix_groups(const struct place_mix *mix, unsigned *ret_n)
{
    *ret_n = mix->n_groups;
    return mix->groups;
}

uint64_t place_mix_generation(const struct place_mix *mix)
{
    return mix->generation;
}

double place_mix_memory_weight(const struct place_mix *mix)
{
    return mix->memory_weight;
}
