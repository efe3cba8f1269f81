/* Promises of src/place's measures and policies, by examples worked out by hand.
 *
 * Most use one node N: 10 processors, two devices, half of device 0 taken; the largest node of the cluster.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "place/frag.h"
#include "place/links.h"
#include "place/score.h"
#include "place_fixture.h"

static struct place_cluster *cluster;
static struct place_mix *mix;
static struct place_scorer scorer;
static size_t n;

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) < 1e-9))
        fail_msg("%.12g, expected %.12g", got, want);
}

static int setup(void **state)
{
    cluster = place_cluster_new();
    mix = place_mix_new();
    scorer = (struct place_scorer){cluster, mix, PLACE_BEST_FIT_WEIGHT};
    n = fixture_add(cluster, "N", 10000, 2, "T4", 0);
    fixture_take(cluster, n, 1, fixture_ask(0, 1, 500));
    return !cluster || !mix;
}

static int teardown(void **state)
{
    place_cluster_free(cluster);
    place_mix_free(mix);
    return 0;
}

static void typical(struct place_request request, double weight)
{
    assert_int_equal(place_mix_add(mix, &request, weight), 0);
    assert_int_equal(place_mix_compile(mix, cluster, 1), 0);
}

static double frag_milli(size_t node)
{
    double idle_milli;

    return place_node_frag_milli(&cluster->nodes[node], mix, &idle_milli);
}

static uint64_t pick(size_t node, struct place_request request, enum place_order order)
{
    struct place_ask ask;
    uint64_t fit;

    place_ask_init(&ask, cluster, &request);
    assert_true(place_fits(&cluster->nodes[node], &ask, &fit));
    return place_pick(&scorer, &cluster->nodes[node], &ask, fit, order, NULL);
}

static double score(size_t node, struct place_request request, enum place_order order)
{
    struct place_ask ask;
    uint64_t fit;

    place_ask_init(&ask, cluster, &request);
    assert_true(place_fits(&cluster->nodes[node], &ask, &fit));
    return place_score(&scorer, &cluster->nodes[node], &ask, fit, (struct place_policy){order, order});
}

static void fragmentation_is_what_typical_requests_cannot_use(void **state)
{
    typical(fixture_ask(2000, 1, 500), 1); /* fits both devices: nothing is stranded */
    assert_near(frag_milli(n), 0);
    typical(fixture_ask(4000, 1, 1000),
            1); /* fits device 1: the 500 of device 0 are stranded for half the requests */
    assert_near(frag_milli(n), 250);
    typical(fixture_ask(4000, 2, 1000), 2); /* fits nowhere: all 1500 for half, 500 for a quarter */
    assert_near(frag_milli(n), 875);
    typical((struct place_request){.cpu_milli = 1}, 4); /* asks for no device: all 1500 for half */
    assert_near(frag_milli(n), 0.5 * 875 + 0.5 * 1500);
}

static void a_device_without_processors_for_it_is_fragmented(void **state)
{
    typical(fixture_ask(2000, 1, 500), 1);
    typical(fixture_ask(8000, 1, 500), 3);
    fixture_take(cluster, n, 0, (struct place_request){.cpu_milli = 5000});
    assert_near(frag_milli(n), 0.75 * 1500);
    fixture_take(cluster, n, 0, (struct place_request){.cpu_milli = 4000});
    assert_near(frag_milli(n), 1500);
}

static void memory_and_compute_both_strand_a_device(void **state)
{
    struct place_request half = fixture_ask(0, 1, 500);
    double idle_milli;

    typical(half, 1);
    assert_near(place_mix_memory_weight(mix), 0.5);
    /* Device 1 keeps 80 % of its memory and 20 % of its compute, 500 idle on average; half a device does not
     * fit. */
    fixture_take(
        cluster, n, 2,
        (struct place_request){.n_devices = 1, .device_memory_permille = 200, .compute_permille = 800});
    assert_near(place_node_frag_milli(&cluster->nodes[n], mix, &idle_milli), 500);
    assert_near(idle_milli, 1000);
}

static void without_requests_for_compute_only_memory_counts_as_idle(void **state)
{
    struct place_request memory = {.n_devices = 1, .device_memory_bytes = 8000 * MIB};
    double idle_milli;

    typical(memory, 1);
    assert_near(place_mix_memory_weight(mix), 1);
    fixture_take(cluster, n, 2, memory);
    fixture_take(cluster, n, 2, memory);
    assert_near(place_node_frag_milli(&cluster->nodes[n], mix, &idle_milli), 0);
    assert_near(idle_milli, 500);
}

static void an_unhealthy_device_is_not_idle_and_one_without_slots_is_stranded(void **state)
{
    size_t other = fixture_add(cluster, "M", 10000, 2, "T4", 1);
    double idle_milli;

    typical(fixture_ask(0, 1, 100), 1);
    cluster->nodes[other].devices[1].unhealthy = true;
    assert_near(place_node_frag_milli(&cluster->nodes[other], mix, &idle_milli), 0);
    assert_near(idle_milli, 1000);
    fixture_take(cluster, other, 1, fixture_ask(0, 1, 100));
    assert_near(place_node_frag_milli(&cluster->nodes[other], mix, &idle_milli), 900);
}

static void fgd_takes_the_device_that_strands_least_and_a_tenth_of_best_fit(void **state)
{
    struct place_request half = fixture_ask(2000, 1, 500);

    typical(half, 1);
    typical(fixture_ask(4000, 1, 1000), 1);
    /* On device 0: from 250 to 0. On device 1: from 250 to 500, for then no whole device is left. */
    assert_int_equal(pick(n, half, PLACE_FGD), 1);
    /* Left over: 8 of 10 processors, 1000 of 2000. */
    assert_near(score(n, half, PLACE_FGD), 0.25 - 0.1 * (0.5 * 0.8 + 0.5 * 0.5));
    assert_near(score(n, half, PLACE_FGD_PUBLISHED), floor(100 / (1 + exp(-0.25))));
}

static void fgd_without_typical_requests_is_best_fit(void **state)
{
    struct place_request half = fixture_ask(2000, 1, 500);

    assert_near(score(n, half, PLACE_FGD), -0.1 * (0.5 * 0.8 + 0.5 * 0.5));
}

static void fgd_places_several_parts_one_after_the_other(void **state)
{
    size_t node = fixture_add(cluster, "M", 10000, 4, "T4", 0);

    typical(fixture_ask(0, 1, 500), 1);
    typical(fixture_ask(0, 1, 1000), 1);
    fixture_take(cluster, node, 4, fixture_ask(0, 1, 500));
    fixture_take(cluster, node, 8, fixture_ask(0, 1, 500));
    assert_int_equal(pick(node, fixture_ask(0, 2, 500), PLACE_FGD), 4 | 8);
}

static void only_the_most_frequent_requests_are_typical(void **state)
{
    struct place_request rare = fixture_ask(0, 2, 1000), frequent = fixture_ask(0, 1, 500);
    unsigned n_groups;

    assert_int_equal(place_mix_add(mix, &rare, 4), 0);
    assert_int_equal(place_mix_add(mix, &frequent, 96), 0);
    assert_int_equal(place_mix_compile(mix, cluster, 0.95), 0);
    place_mix_groups(mix, &n_groups);
    assert_int_equal(n_groups, 1);
    assert_near(frag_milli(n), 0);
    /* After the frequent one has gone out of use, the other is typical. */
    for (int i = 0; i < 20; i++) {
        place_mix_age(mix, 0.5);
        assert_int_equal(place_mix_add(mix, &rare, 1), 0);
    }
    assert_int_equal(place_mix_compile(mix, cluster, 0.95), 0);
    assert_near(frag_milli(n), 1500);
}

static void requests_that_differ_in_processors_share_a_group(void **state)
{
    unsigned n_groups;
    const struct place_mix_group *groups;

    typical(fixture_ask(4000, 1, 500), 1);
    typical(fixture_ask(1000, 1, 500), 2);
    typical(fixture_ask(2000, 1, 500), 1);
    groups = place_mix_groups(mix, &n_groups);
    assert_int_equal(n_groups, 1);
    assert_int_equal(groups[0].n, 3);
    assert_int_equal(groups[0].cpu_milli[0], 1000);
    assert_near(groups[0].share_upto[0], 0.5);
    assert_near(groups[0].share_upto[1], 0.75);
    assert_near(groups[0].share_upto[2], 1);
}

static void binpack_and_spread_look_at_what_is_left_afterwards(void **state)
{
    struct place_request tenth = fixture_ask(2000, 1, 100);

    assert_int_equal(pick(n, tenth, PLACE_BINPACK), 1);
    assert_int_equal(pick(n, tenth, PLACE_SPREAD), 2);
    /* 8 of 10 processors and 1400 of 2000. */
    assert_near(score(n, tenth, PLACE_BINPACK), -(0.4 + 0.35));
    assert_near(score(n, tenth, PLACE_SPREAD), 0.4 + 0.35);
}

static void the_baselines_score_as_their_authors_say(void **state)
{
    struct place_request half = fixture_ask(2250, 1, 500);

    /* 7.75 of 10 processors and 1000 of 2000 are left: 0.6375. */
    assert_near(score(n, half, PLACE_BEST_FIT), 36);
    /* (1 * 0.225 + 0.75 * 0.25) / 2 = 0.20625 */
    assert_near(score(n, half, PLACE_DOT_PRODUCT), 79);
    /* 1 of 20 slots, a quarter of compute and of memory, before the pod. */
    assert_near(score(n, half, PLACE_HAMI_BINPACK), 10 * (0.05 + 0.25 + 0.25));
    assert_near(score(n, half, PLACE_HAMI_SPREAD), -10 * (0.05 + 0.25 + 0.25));
    /* 77.5 % of the processors and 75 % of the memory: whole numbers, then their mean's. */
    half.memory_bytes = 25 * GIB;
    assert_near(score(n, half, PLACE_FIRST_FIT), 76);
    half.n_devices = 0;
    assert_near(score(n, half, PLACE_HAMI_BINPACK), 76);
    assert_near(score(n, half, PLACE_RANDOM), 0);
}

static void the_baselines_pick_devices_as_their_authors_say(void **state)
{
    struct place_request tenth = fixture_ask(0, 1, 100);

    assert_int_equal(pick(n, tenth, PLACE_BEST_FIT), 1);
    assert_int_equal(pick(n, tenth, PLACE_DOT_PRODUCT), 1);
    assert_int_equal(pick(n, tenth, PLACE_HAMI_BINPACK), 1);
    assert_int_equal(pick(n, tenth, PLACE_HAMI_SPREAD), 2);
    assert_int_equal(pick(n, tenth, PLACE_FIRST_FIT), 1);
    fixture_take(cluster, n, 2, fixture_ask(0, 1, 600));
    assert_int_equal(pick(n, tenth, PLACE_BEST_FIT), 2);
    assert_int_equal(pick(n, tenth, PLACE_FIRST_FIT), 1);
}

/* Four devices; 0-1 and 2-3 by two NVLinks, 0-2 and 1-3 by a switch, the rest across NUMA nodes. */
static size_t linked_node(void)
{
    static const uint8_t links[16] = {
        0,
        PLACE_LINK_NVLINK + 1,
        PLACE_LINK_SWITCH,
        PLACE_LINK_SYSTEM, /* 0 */
        PLACE_LINK_NVLINK + 1,
        0,
        PLACE_LINK_SYSTEM,
        PLACE_LINK_SWITCH, /* 1 */
        PLACE_LINK_SWITCH,
        PLACE_LINK_SYSTEM,
        0,
        PLACE_LINK_NVLINK + 1, /* 2 */
        PLACE_LINK_SYSTEM,
        PLACE_LINK_SWITCH,
        PLACE_LINK_NVLINK + 1,
        0, /* 3 */
    };
    struct place_device_spec devices[4];
    struct place_node_spec spec = {.name = "L",
                                   .cpu_milli = 8000,
                                   .memory_bytes = GIB,
                                   .devices = devices,
                                   .n_devices = 4,
                                   .links = links};
    struct error err;
    size_t index;

    for (unsigned i = 0; i < 4; i++)
        devices[i] =
            (struct place_device_spec){.uuid = "u", .type = "V100", .numa_node = i / 2, .memory_bytes = GIB};
    assert_int_equal(place_cluster_add(cluster, &spec, &index, &err), 0);
    return index;
}

static void topology_takes_the_best_linked_devices(void **state)
{
    size_t node = linked_node();
    struct place_request two = fixture_ask(0, 2, 1000), one = fixture_ask(0, 1, 1000);

    assert_int_equal(place_link_weight(PLACE_LINK_SYSTEM), 10);
    assert_int_equal(place_link_weight(PLACE_LINK_SWITCH), 50);
    assert_int_equal(place_link_weight(PLACE_LINK_NVLINK + 1), 200);
    assert_int_equal(place_links_within(&cluster->nodes[node], 15), 200 + 200 + 50 + 50 + 10 + 10);
    assert_int_equal(pick(node, two, PLACE_TOPOLOGY), 3);
    fixture_take(cluster, node, 1, one);
    assert_int_equal(pick(node, two, PLACE_TOPOLOGY), 4 | 8);
    assert_int_equal(pick(node, one, PLACE_TOPOLOGY), 2); /* leaves the linked pair whole */
}

static void beyond_sixteen_devices_sets_are_grown(void **state)
{
    enum { N = 20 };
    uint8_t links[N * N];
    struct place_node node = {.n_devices = N, .links = links};

    for (unsigned i = 0; i < N * N; i++)
        links[i] = i / N / 4 == i % N / 4 ? PLACE_LINK_NVLINK : PLACE_LINK_SYSTEM;
    assert_int_equal(place_links_pick(&node, 0xffffe, 4),
                     0xf0); /* device 0 is taken: the first whole group */
}

static void numa_takes_devices_of_as_few_nodes_as_possible(void **state)
{
    size_t node = fixture_add(cluster, "M", 10000, 8, "T4", 0);

    assert_int_equal(pick(node, fixture_ask(0, 2, 1000), PLACE_NUMA), 3);
    fixture_take(cluster, node, 0x70, fixture_ask(0, 3, 1000));
    assert_int_equal(pick(node, fixture_ask(0, 1, 1000), PLACE_NUMA),
                     0x80); /* the fuller one has just enough */
    assert_int_equal(pick(node, fixture_ask(0, 2, 1000), PLACE_NUMA), 3);
    assert_int_equal(pick(node, fixture_ask(0, 5, 1000), PLACE_NUMA), 0x8f);
    assert_int_equal(place_numa_count(&cluster->nodes[node], 0x8f), 2);
    assert_true(score(node, fixture_ask(0, 4, 1000), PLACE_NUMA) >
                score(node, fixture_ask(0, 5, 1000), PLACE_NUMA));
}

static void one_numa_node_holds_under_every_policy(void **state)
{
    size_t node = fixture_add(cluster, "M", 10000, 8, "T4", 0);

    typical(fixture_ask(0, 1, 500), 1);
    fixture_take(cluster, node, 0x0f, fixture_ask(0, 4, 100));
    fixture_take(cluster, node, 0x01, fixture_ask(0, 1, 900));
    for (unsigned order = PLACE_UNSET + 1; order < PLACE_ORDERS; order++) {
        struct place_request four = fixture_ask(0, 4, 300);

        four.one_numa_node = true;
        assert_int_equal(pick(node, four, (enum place_order)order), 0xf0);
    }
}

int main(void)
{
#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        NODE_TEST(fragmentation_is_what_typical_requests_cannot_use),
        NODE_TEST(a_device_without_processors_for_it_is_fragmented),
        NODE_TEST(memory_and_compute_both_strand_a_device),
        NODE_TEST(without_requests_for_compute_only_memory_counts_as_idle),
        NODE_TEST(an_unhealthy_device_is_not_idle_and_one_without_slots_is_stranded),
        NODE_TEST(fgd_takes_the_device_that_strands_least_and_a_tenth_of_best_fit),
        NODE_TEST(fgd_without_typical_requests_is_best_fit),
        NODE_TEST(fgd_places_several_parts_one_after_the_other),
        NODE_TEST(only_the_most_frequent_requests_are_typical),
        NODE_TEST(requests_that_differ_in_processors_share_a_group),
        NODE_TEST(binpack_and_spread_look_at_what_is_left_afterwards),
        NODE_TEST(the_baselines_score_as_their_authors_say),
        NODE_TEST(the_baselines_pick_devices_as_their_authors_say),
        NODE_TEST(topology_takes_the_best_linked_devices),
        NODE_TEST(beyond_sixteen_devices_sets_are_grown),
        NODE_TEST(numa_takes_devices_of_as_few_nodes_as_possible),
        NODE_TEST(one_numa_node_holds_under_every_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
