/* What a decision costs: a cluster of N nodes with 8 devices each fills up with pods of KINDS kinds by the
 * policy fgd, then pods go and come. Times are processor time of the decision with its assignment. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/units.h"
#include "place/engine.h"

enum { KINDS = 150, LIVE_MAX = 200000, DECISIONS = 60000 };

struct live {
    unsigned kind;
    struct place_choice choice;
};

static struct place_request kinds[KINDS];
static struct live live[LIVE_MAX];
static double times_us[DECISIONS];

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return one < other ? -1 : one > other;
}

static void check(int rc, const char *what)
{
    if (rc) {
        fprintf(stderr, "place: %s failed\n", what);
        exit(1);
    }
}

/* A fifth wants no device, half of the others one whole, some several, the rest a part of one. */
static void make_kinds(struct place_mix *mix, struct place_random *random)
{
    for (unsigned i = 0; i < KINDS; i++) {
        unsigned dice = (unsigned)place_random_below(random, 100),
                 part = 50 * (1 + (unsigned)place_random_below(random, 18));

        kinds[i] = (struct place_request){.cpu_milli = 1000 * (1 + place_random_below(random, 12)),
                                          .memory_bytes = GIB * (1 + place_random_below(random, 32))};
        if (dice >= 20) {
            kinds[i].n_devices = dice >= 95 ? 8 : dice >= 90 ? 2 : 1;
            kinds[i].device_memory_permille = kinds[i].compute_permille = dice >= 60 ? 1000 : part;
        }
        check(place_mix_add(mix, &kinds[i], 1 + (double)place_random_below(random, 50)), "counting requests");
    }
}

static struct place_cluster *make_cluster(unsigned n_nodes)
{
    struct place_cluster *cluster = place_cluster_new();
    struct place_device_spec devices[8];
    struct place_node_spec spec = {
        .name = "node", .cpu_milli = 96000, .memory_bytes = 384 * GIB, .devices = devices, .n_devices = 8};
    size_t index;

    check(!cluster, "making a cluster");
    for (unsigned i = 0; i < 8; i++)
        devices[i] = (struct place_device_spec){.uuid = "device", .type = "G2", .memory_bytes = 16000 * MIB};
    for (unsigned i = 0; i < n_nodes; i++)
        check(place_cluster_add(cluster, &spec, &index, NULL), "adding a node");
    return cluster;
}

static void measure(unsigned n_nodes)
{
    struct place_random random = {n_nodes};
    struct place_mix *mix = place_mix_new();
    struct place_cluster *cluster = make_cluster(n_nodes);
    struct place_engine *engine = place_engine_new(cluster, mix);
    struct place_policy policy = {PLACE_FGD, PLACE_FGD};
    struct rusage usage;
    size_t n_live = 0;
    double sum_us = 0;

    check(!mix || !engine, "making an engine");
    make_kinds(mix, &random);
    check(place_mix_compile(mix, cluster, 0.95), "grouping requests");
    for (unsigned i = 0; i < DECISIONS; i++) {
        struct live next = {.kind = (unsigned)place_random_below(&random, KINDS)};
        double begin_us = now_us();

        if (!place_engine_decide(engine, &kinds[next.kind], policy, &random, &next.choice)) {
            place_cluster_assign(cluster, &kinds[next.kind], &next.choice);
            live[n_live++] = next;
        } else if (n_live) { /* full: one goes for each that is refused */
            size_t gone = place_random_below(&random, n_live);

            place_cluster_release(cluster, &kinds[live[gone].kind], &live[gone].choice);
            live[gone] = live[--n_live];
        }
        times_us[i] = now_us() - begin_us;
        sum_us += times_us[i];
    }
    qsort(times_us, DECISIONS, sizeof(times_us[0]), compare);
    getrusage(RUSAGE_SELF, &usage);
    printf("| %u x 8 | %.1f | %.1f | %.0f | %.0f | %.0f | %.1f |\n", n_nodes, sum_us / DECISIONS,
           times_us[DECISIONS / 2], times_us[DECISIONS / 100 * 99], times_us[DECISIONS / 1000 * 999],
           times_us[DECISIONS - 1], (double)usage.ru_maxrss / 1024);
    place_engine_free(engine);
    place_mix_free(mix);
    place_cluster_free(cluster);
}

int main(void)
{
    printf("| nodes x devices | mean us | median | p99 | p99.9 | most | memory of the process so far, MiB |\n"
           "|---|--:|--:|--:|--:|--:|--:|\n");
    measure(100);
    measure(1000);
    measure(5000);
    return 0;
}
