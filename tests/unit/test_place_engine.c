/* Promises of engine.c: remembered scores are the scores, whatever happens to the cluster in between;
 * decisions are the best there is, fit, and are the same for the same seed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "place/engine.h"
#include "place_fixture.h"

enum { KINDS = 24, LIVE_MAX = 400, STEPS = 4000 };

static const char *const types[] = {"T4", "A10", "V100"};
static const char *const wanted[] = {"A10"};

struct live {
    struct place_request request;
    struct place_choice choice;
};

struct world {
    struct place_cluster *cluster;
    struct place_mix *mix;
    struct place_engine *engine;
    struct place_random random;
    struct place_request kinds[KINDS];
    struct live live[LIVE_MAX];
    size_t n_live;
    unsigned n_named;
};

static size_t below(struct world *world, size_t n)
{
    return (size_t)place_random_below(&world->random, n);
}

static void world_add_node(struct world *world, const char *type)
{
    char name[16];

    snprintf(name, sizeof(name), "n%u", world->n_named++);
    fixture_add(world->cluster, name, 4000 + 1000 * below(world, 90), (unsigned)below(world, 9), type,
                (uint32_t)below(world, 5));
}

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.random = {.state = seed}};
    world->cluster = place_cluster_new();
    world->mix = place_mix_new();
    for (unsigned i = 0; i < 40; i++)
        world_add_node(world, types[below(world, 3)]);
    for (unsigned i = 0; i < KINDS; i++) {
        struct place_request *kind = &world->kinds[i];

        *kind = (struct place_request){.cpu_milli = 500 * below(world, 20),
                                       .n_devices = (unsigned)below(world, 4)};
        kind->whole = kind->n_devices && below(world, 4) == 0;
        if (kind->n_devices && !kind->whole) {
            kind->compute_permille = (unsigned)below(world, 1001);
            if (below(world, 2))
                kind->device_memory_bytes = (1 + below(world, 16000)) * MIB;
            else
                kind->device_memory_permille = (unsigned)below(world, 1001);
        }
        kind->one_numa_node = kind->n_devices > 1 && below(world, 2);
        if (kind->n_devices && below(world, 4) == 0)
            kind->types = (struct place_names){wanted, 1};
        assert_int_equal(place_mix_add(world->mix, kind, (double)(1 + below(world, 20))), 0);
    }
    assert_int_equal(place_mix_compile(world->mix, world->cluster, 0.95), 0);
    world->engine = place_engine_new(world->cluster, world->mix);
}

static void world_done(struct world *world)
{
    place_engine_free(world->engine);
    place_mix_free(world->mix);
    place_cluster_free(world->cluster);
}

static struct place_policy any_policy(struct world *world)
{
    return (struct place_policy){(enum place_order)(1 + below(world, PLACE_ORDERS - 1)),
                                 (enum place_order)(1 + below(world, PLACE_ORDERS - 1))};
}

static void forget_node(struct world *world, size_t node)
{
    size_t kept = 0;

    for (size_t i = 0; i < world->n_live; i++) {
        if (world->live[i].choice.node != node)
            world->live[kept++] = world->live[i];
    }
    world->n_live = kept;
}

static void step_leave(struct world *world)
{
    size_t i;

    if (!world->n_live)
        return;
    i = below(world, world->n_live);
    place_cluster_release(world->cluster, &world->live[i].request, &world->live[i].choice);
    world->live[i] = world->live[--world->n_live];
}

/* Something other than a pod happens. */
static void step_event(struct world *world)
{
    size_t index = below(world, world->cluster->n_nodes);
    struct place_node *node = &world->cluster->nodes[index];

    switch (below(world, 6)) {
    case 0:
        place_cluster_remove(world->cluster, index);
        forget_node(world, index);
        return;
    case 1:
        world_add_node(world, types[below(world, 3)]);
        return;
    case 2: /* a type nobody has seen: typical requests are counted anew */
        world_add_node(world, world->n_named % 2 ? "H100" : "A10 PCIe");
        assert_int_equal(place_mix_compile(world->mix, world->cluster, 0.95), 0);
        return;
    case 3:
        place_mix_age(world->mix, 0.9);
        assert_int_equal(place_mix_add(world->mix, &world->kinds[below(world, KINDS)], 5), 0);
        assert_int_equal(place_mix_compile(world->mix, world->cluster, 0.95), 0);
        return;
    case 4:
        node->closed = !node->closed;
        break;
    default:
        if (node->n_devices)
            node->devices[below(world, node->n_devices)].unhealthy ^= true;
    }
    place_cluster_touch(world->cluster, index);
}

static void check_choice(const struct world *world, const struct place_request *request,
                         const struct place_choice *choice, const double *scores)
{
    const struct place_node *node = &world->cluster->nodes[choice->node];
    struct place_ask ask;
    uint64_t fit;

    for (size_t i = 0; i < world->cluster->n_nodes; i++)
        assert_true(scores[i] <= scores[choice->node]);
    place_ask_init(&ask, world->cluster, request);
    assert_true(place_fits(node, &ask, &fit));
    assert_int_equal(choice->devices & ~fit, 0);
    assert_int_equal(__builtin_popcountll(choice->devices), request->n_devices);
    for (uint64_t a = request->one_numa_node ? choice->devices : 0; a; a &= a - 1)
        assert_int_equal(node->devices[__builtin_ctzll(a)].numa_node,
                         node->devices[__builtin_ctzll(choice->devices)].numa_node);
}

static void step_arrive(struct world *world)
{
    const struct place_request *request = &world->kinds[below(world, KINDS)];
    struct place_policy policy = any_policy(world);
    struct place_choice choice;
    const double *scores;
    int rc = place_engine_decide(world->engine, request, policy, &world->random, &choice);

    assert_int_equal(place_engine_scores(world->engine, request, policy, &scores), 0);
    if (rc == -ENOSPC) {
        for (size_t i = 0; i < world->cluster->n_nodes; i++)
            assert_true(scores[i] == PLACE_NO_FIT);
        return;
    }
    assert_int_equal(rc, 0);
    check_choice(world, request, &choice, scores);
    place_cluster_assign(world->cluster, request, &choice);
    if (world->n_live < LIVE_MAX)
        world->live[world->n_live++] = (struct live){*request, choice};
    else
        place_cluster_release(world->cluster, request, &choice);
}

/* Nothing is given out twice. */
static void check_sums(const struct world *world)
{
    for (size_t i = 0; i < world->cluster->n_nodes; i++) {
        const struct place_node *node = &world->cluster->nodes[i];

        assert_true(node->cpu_used_milli <= node->cpu_milli);
        for (unsigned j = 0; j < node->n_devices; j++) {
            const struct place_device *device = &node->devices[j];

            assert_true(device->memory_used_bytes <= device->memory_bytes);
            assert_true(device->compute_used_permille <= device->compute_permille);
            assert_true(!device->slots || device->slots_used <= device->slots || device->slots_used == 1);
        }
    }
}

/* One that remembers nothing says the same. */
static void check_scores(struct world *world)
{
    struct place_engine *fresh = place_engine_new(world->cluster, world->mix);

    for (unsigned i = 0; i < KINDS; i++) {
        struct place_policy policy = any_policy(world);
        const double *remembered, *computed;

        assert_int_equal(place_engine_scores(world->engine, &world->kinds[i], policy, &remembered), 0);
        assert_int_equal(place_engine_scores(fresh, &world->kinds[i], policy, &computed), 0);
        for (size_t j = 0; j < world->cluster->n_nodes; j++)
            assert_true(remembered[j] == computed[j]);
    }
    place_engine_free(fresh);
}

static void remembered_scores_are_those_of_a_full_computation(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world world;

        world_init(&world, seed);
        for (unsigned step = 0; step < STEPS; step++) {
            size_t dice = below(&world, 100);

            if (dice < 55)
                step_arrive(&world);
            else if (dice < 96)
                step_leave(&world);
            else
                step_event(&world);
            if (step % 100 == 99) {
                check_scores(&world);
                check_sums(&world);
            }
        }
        world_done(&world);
    }
}

static void only_what_changed_is_scored_again(void **state)
{
    struct place_policy fgd = {PLACE_FGD, PLACE_FGD};
    struct world world;
    struct place_request half = fixture_ask(0, 1, 500);
    uint64_t scored;
    const double *scores;

    world_init(&world, 9);
    assert_int_equal(place_engine_scores(world.engine, &half, fgd, &scores), 0);
    scored = place_engine_scored_total(world.engine);
    assert_int_equal(scored, 40);
    assert_int_equal(place_engine_scores(world.engine, &half, fgd, &scores), 0);
    assert_int_equal(place_engine_scored_total(world.engine), scored);
    for (unsigned i = 0; i < 5; i++)
        place_cluster_touch(world.cluster, 3);
    place_cluster_touch(world.cluster, 4);
    assert_int_equal(place_engine_scores(world.engine, &half, fgd, &scores), 0);
    assert_int_equal(place_engine_scored_total(world.engine), scored + 2);
    for (unsigned i = 0; i <= PLACE_CHANGES; i++) /* more than are remembered */
        place_cluster_touch(world.cluster, 5);
    assert_int_equal(place_engine_scores(world.engine, &half, fgd, &scores), 0);
    assert_int_equal(place_engine_scored_total(world.engine), scored + 2 + 40);
    world_done(&world);
}

static void a_larger_node_and_a_new_type_void_all_scores(void **state)
{
    struct place_policy policy = {PLACE_BEST_FIT, PLACE_BEST_FIT};
    struct place_request half = fixture_ask(0, 1, 500);
    struct world world = {0};
    const double *scores;

    world.cluster = place_cluster_new();
    world.mix = place_mix_new();
    world.engine = place_engine_new(world.cluster, world.mix);
    fixture_add(world.cluster, "a", 8000, 2, "T4", 0);
    assert_int_equal(place_engine_scores(world.engine, &half, policy, &scores), 0);
    assert_true(scores[0] == 12); /* all of 8 processors and 1.5 of 2 devices are left: 0.875 */
    fixture_add(world.cluster, "b", 16000, 4, "T4", 0);
    assert_int_equal(place_engine_scores(world.engine, &half, policy, &scores), 0);
    assert_true(scores[0] == 56); /* now 8 of 16 and 1.5 of 4: 0.4375 */
    fixture_add(world.cluster, "c", 8000, 2, "A10", 0);
    assert_int_equal(place_engine_scores(world.engine, &half, policy, &scores), 0);
    assert_true(scores[2] == 56);
    world_done(&world);
}

static void more_kinds_than_are_remembered_are_still_right(void **state)
{
    struct place_policy policy = {PLACE_BINPACK, PLACE_BINPACK};
    struct world world;

    world_init(&world, 5);
    for (unsigned i = 0; i < 3 * PLACE_KINDS_MAX; i++) {
        struct place_request request = fixture_ask(i, 0, 0);
        const double *scores;

        assert_int_equal(place_engine_scores(world.engine, &request, policy, &scores), 0);
    }
    check_scores(&world);
    world_done(&world);
}

static void ties_are_broken_at_random_and_by_the_seed(void **state)
{
    struct place_policy policy = {PLACE_BEST_FIT, PLACE_BEST_FIT};
    struct place_request half = fixture_ask(1000, 1, 500);
    struct place_cluster *cluster = place_cluster_new();
    struct place_mix *mix = place_mix_new();
    struct place_engine *engine = place_engine_new(cluster, mix);
    unsigned counts[4] = {0};

    for (unsigned i = 0; i < 4; i++)
        fixture_add(cluster, "n", 8000, 2, "T4", 0);
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct place_random random = {seed}, again = {seed};
        struct place_choice choice, other;

        assert_int_equal(place_engine_decide(engine, &half, policy, &random, &choice), 0);
        assert_int_equal(place_engine_decide(engine, &half, policy, &again, &other), 0);
        assert_int_equal(choice.node, other.node);
        assert_int_equal(choice.devices, other.devices);
        counts[choice.node]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(counts[i], 60, 140); /* 100 is expected, 4.6 standard deviations around it */
    place_engine_free(engine);
    place_mix_free(mix);
    place_cluster_free(cluster);
}

static void the_policy_random_reaches_every_device(void **state)
{
    struct place_policy policy = {PLACE_RANDOM, PLACE_RANDOM};
    struct place_request tenth = fixture_ask(0, 1, 100);
    struct place_random random = {7};
    struct world world = {0};
    uint64_t seen[2] = {0};

    world.cluster = place_cluster_new();
    world.mix = place_mix_new();
    world.engine = place_engine_new(world.cluster, world.mix);
    fixture_add(world.cluster, "a", 8000, 4, "T4", 0);
    fixture_add(world.cluster, "b", 8000, 4, "T4", 0);
    for (unsigned i = 0; i < 200; i++) {
        struct place_choice choice;

        assert_int_equal(place_engine_decide(world.engine, &tenth, policy, &random, &choice), 0);
        seen[choice.node] |= choice.devices;
    }
    assert_int_equal(seen[0], 15);
    assert_int_equal(seen[1], 15);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembered_scores_are_those_of_a_full_computation),
        cmocka_unit_test(only_what_changed_is_scored_again),
        cmocka_unit_test(a_larger_node_and_a_new_type_void_all_scores),
        cmocka_unit_test(more_kinds_than_are_remembered_are_still_right),
        cmocka_unit_test(ties_are_broken_at_random_and_by_the_seed),
        cmocka_unit_test(the_policy_random_reaches_every_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
