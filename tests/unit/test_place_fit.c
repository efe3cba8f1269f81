/* Promises of src/place's requests, fitting and reasons: what fits is what is free, and a refusal says what
 * is missing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "place/explain.h"
#include "place/fit.h"
#include "place/policy.h"
#include "place_fixture.h"

static struct place_cluster *cluster;

static int setup(void **state)
{
    cluster = place_cluster_new();
    return !cluster;
}

static int teardown(void **state)
{
    place_cluster_free(cluster);
    return 0;
}

static bool fits(size_t node, const struct place_request *request, uint64_t *ret_devices)
{
    struct place_ask ask;

    place_ask_init(&ask, cluster, request);
    return place_fits(&cluster->nodes[node], &ask, ret_devices);
}

/* The sentence for a node that refuses. */
static const char *why(size_t node, const struct place_request *request)
{
    static char text[PLACE_REFUSAL_BYTES];
    struct place_refusal refusal;
    struct place_ask ask;
    uint64_t devices;

    place_ask_init(&ask, cluster, request);
    assert_false(place_fits(&cluster->nodes[node], &ask, &devices));
    place_refuse(&cluster->nodes[node], &ask, &refusal);
    assert_int_not_equal(refusal.reason, PLACE_REASON_FITS);
    return place_refusal_format(&refusal, text, sizeof(text));
}

static void a_request_that_makes_no_sense_is_refused_with_what_is_possible(void **state)
{
    static const struct {
        struct place_request request;
        const char *says;
    } rows[] = {
        {{.n_devices = 65}, "a node has at most 64"},
        {{.device_memory_bytes = 1}, "ask for 1 or more"},
        {{.whole = true}, "ask for 1 or more"},
        {{.n_devices = 1, .device_memory_bytes = 1, .device_memory_permille = 1}, "give one of them"},
        {{.n_devices = 1, .whole = true, .compute_permille = 5}, "either the parts or none"},
        {{.n_devices = 1, .device_memory_permille = 1001}, "100.1 % of a device's memory"},
        {{.n_devices = 1, .compute_permille = 2000}, "200.0 % of a device's compute"},
    };
    struct place_request good[] = {{.cpu_milli = 1},
                                   {.n_devices = 64, .whole = true},
                                   {.n_devices = 1, .device_memory_bytes = GIB, .compute_permille = 1000},
                                   {.n_devices = 1, .device_memory_permille = 1000}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = {0};

        assert_int_equal(place_request_check(&rows[i].request, &err), -EINVAL);
        assert_non_null(strstr(err.text, rows[i].says));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(place_request_check(&good[i], NULL), 0);
}

static void a_type_is_matched_by_whole_words_in_any_case(void **state)
{
    assert_true(place_type_matches("NVIDIA A100-SXM4-40GB", "a100"));
    assert_true(place_type_matches("NVIDIA A100-SXM4-40GB", "NVIDIA A100"));
    assert_true(place_type_matches("NVIDIA A100-SXM4-40GB", "A100-SXM4-40GB"));
    assert_true(place_type_matches("xA100 A100", "A100"));
    assert_false(place_type_matches("NVIDIA A100-SXM4-40GB", "A10"));
    assert_false(place_type_matches("NVIDIA RTX A1000", "A100"));
    assert_false(place_type_matches("T4", ""));
}

static void exactly_what_is_free_fits(void **state)
{
    size_t node = fixture_add(cluster, "n", 8000, 2, "T4", 0);
    struct place_request half = fixture_ask(4000, 1, 500), more = fixture_ask(4000, 1, 501);
    uint64_t devices = 0;

    fixture_take(cluster, node, 1, fixture_ask(4000, 1, 500));
    assert_true(fits(node, &half, &devices));
    assert_int_equal(devices, 3);
    assert_true(fits(node, &more, &devices));
    assert_int_equal(devices, 2);
    half.cpu_milli = 4001;
    devices = 7;
    assert_false(fits(node, &half, &devices));
    assert_int_equal(devices, 7);
}

static void memory_and_compute_both_have_to_fit(void **state)
{
    size_t node = fixture_add(cluster, "n", 8000, 1, "T4", 0);
    struct place_request memory_only = {.n_devices = 1, .device_memory_bytes = 8000 * MIB};
    struct place_request compute = {.n_devices = 1, .device_memory_bytes = MIB, .compute_permille = 301};
    uint64_t devices;

    fixture_take(
        cluster, node, 1,
        (struct place_request){.n_devices = 1, .device_memory_bytes = 8000 * MIB, .compute_permille = 700});
    assert_true(fits(node, &memory_only, &devices));
    assert_string_equal(why(node, &compute),
                        "needs 30.1 % of the compute on one device; the most free is 30.0 %, on device 0");
    memory_only.device_memory_bytes++;
    assert_non_null(strstr(why(node, &memory_only), "on one device; the most free is 7.81 GiB, on device 0"));
}

static void what_is_released_is_free_again_to_the_byte(void **state)
{
    size_t node = fixture_add(cluster, "n", 8000, 2, "T4", 3);
    struct place_request odd = {
        .cpu_milli = 1, .memory_bytes = 7, .n_devices = 2, .device_memory_permille = 333};
    struct place_choice choice = {.node = node, .devices = 3};
    struct place_device before = cluster->nodes[node].devices[1];

    cluster->nodes[node].devices[1].memory_bytes = before.memory_bytes = 12345677;
    place_cluster_assign(cluster, &odd, &choice);
    assert_int_equal(cluster->nodes[node].devices[1].memory_used_bytes, 12345677ULL * 333 / 1000);
    place_cluster_release(cluster, &odd, &choice);
    assert_memory_equal(&cluster->nodes[node].devices[1], &before, sizeof(before));
    assert_int_equal(cluster->nodes[node].cpu_used_milli, 0);
    assert_int_equal(cluster->nodes[node].memory_used_bytes, 0);
}

static void a_whole_device_is_one_that_nobody_uses(void **state)
{
    size_t node = fixture_add(cluster, "n", 8000, 3, "T4", 0);
    struct place_request whole = {.n_devices = 2, .whole = true};
    struct place_request crumb = {.n_devices = 1, .device_memory_bytes = 1};
    uint64_t devices;

    fixture_take(cluster, node, 2, crumb);
    assert_true(fits(node, &whole, &devices));
    assert_int_equal(devices, 5);
    whole.n_devices = 3;
    assert_string_equal(why(node, &whole), "needs 3 whole devices; 2 are all free");
    fixture_take(cluster, node, 5, (struct place_request){.n_devices = 2, .whole = true});
    assert_true(fits(node, &crumb, &devices));
    assert_int_equal(devices, 2);
}

static void a_device_takes_as_many_tenants_as_it_has_slots(void **state)
{
    size_t node = fixture_add(cluster, "n", 8000, 1, "T4", 2);
    struct place_request small = fixture_ask(0, 1, 10);
    uint64_t devices;

    fixture_take(cluster, node, 1, small);
    assert_true(fits(node, &small, &devices));
    fixture_take(cluster, node, 1, small);
    assert_string_equal(why(node, &small), "device 0 has 2 tenants already, as many as it may");
}

static void types_and_uuids_are_wanted_or_unwanted(void **state)
{
    size_t t4 = fixture_add(cluster, "a", 8000, 2, "NVIDIA T4", 0);
    size_t a10 = fixture_add(cluster, "b", 8000, 2, "NVIDIA A10", 0);
    const char *const names[] = {"A10", "V100"}, *const uuids[] = {"A-1"};
    struct place_request wanted = fixture_ask(0, 1, 10), unwanted = wanted, uuid = wanted, not_uuid = wanted;
    uint64_t devices;

    wanted.types = unwanted.not_types = (struct place_names){names, 2};
    uuid.uuids = not_uuid.not_uuids = (struct place_names){uuids, 1};
    assert_true(fits(a10, &wanted, &devices));
    assert_string_equal(why(t4, &wanted), "device 0 is NVIDIA T4, which was not asked for");
    assert_true(fits(t4, &unwanted, &devices));
    assert_string_equal(why(a10, &unwanted), "device 0 is NVIDIA A10, which was ruled out");
    assert_true(fits(t4, &uuid, &devices));
    assert_int_equal(devices, 2);
    assert_string_equal(why(a10, &uuid), "device 0 is b-0, which was not asked for");
    assert_true(fits(t4, &not_uuid, &devices));
    assert_int_equal(devices, 1);
    not_uuid.n_devices = 2;
    assert_string_equal(why(t4, &not_uuid), "device 1 is a-1, which was ruled out");
}

static void every_refusal_of_a_node_says_what_is_missing(void **state)
{
    size_t node = fixture_add(cluster, "n", 8000, 2, "T4", 0),
           plain = fixture_add(cluster, "p", 8000, 0, NULL, 0);
    struct place_request request = fixture_ask(9500, 1, 10);

    assert_string_equal(why(node, &request), "needs 9.500 processors; 8.000 are free");
    request.cpu_milli = 0;
    request.memory_bytes = 200 * GIB;
    assert_string_equal(why(node, &request), "needs 200.00 GiB of the node's memory; 100.00 GiB is free");
    request.memory_bytes = 0;
    assert_string_equal(why(plain, &request), "no device");
    request.n_devices = 3;
    assert_string_equal(why(node, &request), "needs 3 devices; the node has 2");
    request.n_devices = 2;
    request.one_numa_node = true;
    assert_string_equal(why(node, &request), "needs 2 devices of one NUMA node; at most 1 on one can serve");
    request.one_numa_node = false;
    cluster->nodes[node].devices[1].unhealthy = true;
    assert_string_equal(why(node, &request), "device 1 is unhealthy");
    fixture_take(cluster, node, 1, fixture_ask(0, 1, 995));
    cluster->nodes[node].devices[1].unhealthy = false;
    assert_string_equal(why(node, &request),
                        "needs 160 MiB on each of 2 devices; 1 can serve, the most free of the others "
                        "is 80 MiB, on device 0");
    cluster->nodes[node].closed = true;
    assert_string_equal(why(node, &request), "node takes no pods");
}

static void an_explanation_sums_up_and_names_the_nearest_node(void **state)
{
    size_t node = fixture_add(cluster, "node7", 8000, 2, "T4", 0);
    struct place_request request = fixture_ask(1000, 1, 600);
    struct place_explanation explanation;
    char text[PLACE_EXPLANATION_BYTES];

    fixture_add(cluster, "small", 500, 2, "T4", 0);
    fixture_add(cluster, "gone", 8000, 2, "T4", 0);
    place_cluster_remove(cluster, 2);
    fixture_take(cluster, node, 1, fixture_ask(0, 1, 700));
    fixture_take(cluster, node, 2, fixture_ask(0, 1, 500));
    place_explain(cluster, &request, &explanation);
    assert_string_equal(
        place_explanation_format(&explanation, cluster, text, sizeof(text)),
        "fits 0 of 2 nodes; not enough processors: 1, not enough device memory: 1; nearest is node7: "
        "needs 9.38 GiB on one device; the most free is 7.81 GiB, on device 1");
    request.device_memory_permille = request.compute_permille = 500;
    place_explain(cluster, &request, &explanation);
    assert_int_equal(explanation.n_reasons[PLACE_REASON_FITS], 1);
}

static void a_node_that_cannot_be_is_refused_and_nothing_is_added(void **state)
{
    struct place_device_spec no_memory = {.uuid = "u", .type = "T4"},
                             no_uuid = {.type = "T4", .memory_bytes = 1};
    struct place_node_spec rows[] = {{.cpu_milli = 1},
                                     {.name = "n", .devices = &no_memory, .n_devices = 65},
                                     {.name = "n", .devices = &no_memory, .n_devices = 1},
                                     {.name = "n", .devices = &no_uuid, .n_devices = 1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = {0};
        size_t index = 77;

        assert_int_equal(place_cluster_add(cluster, &rows[i], &index, &err), -EINVAL);
        assert_int_equal(index, 77);
        assert_int_not_equal(err.text[0], 0);
    }
    assert_int_equal(cluster->n_nodes, 0);
}

static void policies_are_read_by_name_and_unknown_ones_refused_with_the_names(void **state)
{
    struct place_policy policy = {PLACE_UNSET, PLACE_UNSET};
    struct error err = {0};

    assert_int_equal(place_policy_parse("spread", &policy, &err), 0);
    assert_int_equal(policy.node, PLACE_SPREAD);
    assert_int_equal(policy.device, PLACE_SPREAD);
    assert_int_equal(place_policy_parse("binpack/topology", &policy, &err), 0);
    assert_int_equal(policy.node, PLACE_BINPACK);
    assert_int_equal(policy.device, PLACE_TOPOLOGY);
    assert_int_equal(place_policy_parse("hami", &policy, &err), 0);
    assert_int_equal(policy.device, PLACE_HAMI_SPREAD);
    for (const char *const *bad = (const char *const[]){"", "fg", "fgdd", "/", "fgd/", "/fgd", "none", NULL};
         *bad; bad++)
        assert_int_equal(place_policy_parse(*bad, &policy, &err), -EINVAL);
    assert_non_null(strstr(err.text, "fgd, binpack, spread, topology, numa"));
}

static void the_most_particular_level_sets_each_half_of_the_policy(void **state)
{
    struct place_policy whole = {PLACE_BINPACK, PLACE_SPREAD}, space = {PLACE_UNSET, PLACE_NUMA},
                        pod = {PLACE_SPREAD, PLACE_UNSET};
    struct place_policy got = place_policy_resolve(&whole, &space, &pod);

    assert_int_equal(got.node, PLACE_SPREAD);
    assert_int_equal(got.device, PLACE_NUMA);
    got = place_policy_resolve(NULL, NULL, NULL);
    assert_int_equal(got.node, PLACE_FGD);
    assert_int_equal(got.device, PLACE_FGD);
}

int main(void)
{
#define CLUSTER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_makes_no_sense_is_refused_with_what_is_possible),
        cmocka_unit_test(a_type_is_matched_by_whole_words_in_any_case),
        CLUSTER_TEST(exactly_what_is_free_fits),
        CLUSTER_TEST(memory_and_compute_both_have_to_fit),
        CLUSTER_TEST(what_is_released_is_free_again_to_the_byte),
        CLUSTER_TEST(a_whole_device_is_one_that_nobody_uses),
        CLUSTER_TEST(a_device_takes_as_many_tenants_as_it_has_slots),
        CLUSTER_TEST(types_and_uuids_are_wanted_or_unwanted),
        CLUSTER_TEST(every_refusal_of_a_node_says_what_is_missing),
        CLUSTER_TEST(an_explanation_sums_up_and_names_the_nearest_node),
        CLUSTER_TEST(a_node_that_cannot_be_is_refused_and_nothing_is_added),
        cmocka_unit_test(policies_are_read_by_name_and_unknown_ones_refused_with_the_names),
        cmocka_unit_test(the_most_particular_level_sets_each_half_of_the_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
