/* Promises of shares in the course of time: tenants that obey the allowance of struct ledger_gate, a device
 * that serves its contexts in turn whatever the shares are, and vgpud's tick, all in virtual time. What is
 * asserted is what the device gave, by its own account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "meter/allowance_change.h"
#include "policy/policy.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

#define STEP_NS  (50 * US)
#define TICK_NS  (10 * MS)
#define SLICE_NS (2 * MS) /* of the device, between contexts */

enum { LOW, NORMAL, HIGH };
enum { TENANTS_MAX = 8 };

/* A program: begins kernels of kernel_ns, up to queue_ns of them under way, and after each it rests for
 * gap_ns. */
struct program {
    struct policy_terms terms;
    uint64_t kernel_ns, queue_ns, gap_ns, slice_ns;
    bool works;
    /* ---- its account */
    uint64_t drawn_ns, billed_ns, active_ns, rests_until_ns;
    bool waited;
    /* ---- the device's side */
    uint64_t pending_ns, got_ns;
    /* ---- vgpud's side */
    uint64_t billed_seen_ns, published_ns;
    struct allowance allowance;
};

struct world {
    uint64_t now_ns, slice_left_ns;
    uint64_t switch_ns, switch_left_ns; /* what a change of context takes */
    size_t n, served;
    struct program programs[TENANTS_MAX];
    struct policy_tenant tenants[TENANTS_MAX]; /* turn: as made */
    struct policy_turn turns[TENANTS_MAX];     /* as published */
    struct policy_device device;
};

static void world_init(struct world *world)
{
    *world = (struct world){.now_ns = 1000 * S};
}

static struct program *add(struct world *world, enum policy_kind policy, uint32_t share_permille,
                           uint64_t kernel_ns)
{
    struct program *program = &world->programs[world->n];

    world->tenants[world->n++] = (struct policy_tenant){0};
    *program = (struct program){
        .terms = {.policy = policy, .priority = NORMAL, .share_permille = share_permille, .weight = 1},
        .kernel_ns = kernel_ns,
        .queue_ns = 2 * kernel_ns > 2 * MS ? 2 * kernel_ns : 2 * MS,
        .slice_ns = SLICE_NS,
        .works = true};
    world->turns[world->n - 1] = (struct policy_turn){.rate_ppm = POLICY_ALL_PPM, .period_ns = 1};
    return program;
}

/* ---- a program, as the gate in its library has it ---- */

static void program_step(struct program *program, const struct policy_turn *turn, uint64_t now_ns)
{
    while (program->works && now_ns >= program->rests_until_ns &&
           program->pending_ns + program->kernel_ns <= program->queue_ns) {
        uint64_t allowed_ns = allowance_at(&program->allowance, now_ns);

        program->active_ns = now_ns;
        if (turn->is_capped && program->drawn_ns >= allowed_ns) {
            program->waited = true;
            return;
        }
        if (turn->is_capped && allowed_ns - program->drawn_ns > turn->burst_ns)
            program->drawn_ns = allowed_ns - turn->burst_ns;
        program->drawn_ns += program->kernel_ns;
        program->billed_ns += program->kernel_ns;
        program->pending_ns += program->kernel_ns;
        if (program->gap_ns)
            program->rests_until_ns = now_ns + program->kernel_ns + program->gap_ns;
    }
}

/* ---- the device: contexts with work in turn, a slice each ---- */

static void context_change(struct world *world)
{
    size_t next = world->served;

    do
        next = (next + 1) % world->n;
    while (next != world->served && !world->programs[next].pending_ns);
    if (next != world->served)
        world->switch_left_ns = world->switch_ns;
    world->served = next;
    world->slice_left_ns = world->programs[next].slice_ns;
}

static void device_step(struct world *world)
{
    uint64_t left_ns = STEP_NS;

    while (left_ns) {
        uint64_t ns, changes_ns = world->switch_left_ns < left_ns ? world->switch_left_ns : left_ns;
        struct program *program = &world->programs[world->served];

        world->switch_left_ns -= changes_ns;
        left_ns -= changes_ns;
        if (!program->pending_ns || !world->slice_left_ns) {
            context_change(world);
            if (!world->programs[world->served].pending_ns)
                return;
            continue;
        }
        ns = program->pending_ns < left_ns ? program->pending_ns : left_ns;
        if (ns > world->slice_left_ns)
            ns = world->slice_left_ns;
        program->pending_ns -= ns;
        program->got_ns += ns;
        world->slice_left_ns -= ns;
        left_ns -= ns;
    }
}

/* ---- vgpud ---- */

static void look(struct world *world, size_t i)
{
    struct program *program = &world->programs[i];
    bool in_debt =
        world->turns[i].is_capped && program->drawn_ns >= allowance_at(&program->allowance, world->now_ns);
    struct policy_seen seen = {.active_ns = program->active_ns,
                               .used_ns = program->billed_ns - program->billed_seen_ns,
                               .waited = program->waited || in_debt,
                               .in_debt = in_debt,
                               .is_busy = program->pending_ns > 0};

    world->tenants[i].terms = program->terms;
    policy_look(&world->tenants[i].demand, &seen, world->turns[i].rate_ppm, world->turns[i].period_ns,
                world->now_ns);
    program->billed_seen_ns = program->billed_ns;
    program->waited = false;
}

static void publish(struct world *world, size_t i)
{
    struct program *program = &world->programs[i];
    const struct policy_turn *turn = &world->tenants[i].turn;
    struct allowance_terms terms = {
        .rate_ppm = turn->rate_ppm, .period_ns = turn->period_ns, .offset_ns = turn->offset_ns};

    if (!policy_is_due(&world->turns[i], program->published_ns, turn, world->tenants[i].demand.is_active,
                       world->now_ns))
        return;
    if (turn->is_capped && !world->turns[i].is_capped)
        program->allowance = allowance_begin(program->drawn_ns, &terms, world->now_ns);
    else
        program->allowance = allowance_change(&program->allowance, &terms, world->now_ns);
    world->turns[i] = *turn;
    program->published_ns = world->now_ns;
}

static void tick(struct world *world)
{
    for (size_t i = 0; i < world->n; i++)
        look(world, i);
    policy_divide(&world->device, world->tenants, world->n, world->now_ns);
    policy_take_turns(world->tenants, world->n, world->now_ns);
    for (size_t i = 0; i < world->n; i++)
        publish(world, i);
}

static void run(struct world *world, uint64_t ns)
{
    for (uint64_t end_ns = world->now_ns + ns; world->now_ns < end_ns; world->now_ns += STEP_NS) {
        if (world->now_ns % TICK_NS == 0)
            tick(world);
        for (size_t i = 0; i < world->n; i++)
            program_step(&world->programs[i], &world->turns[i], world->now_ns);
        device_step(world);
    }
}

/* Runs for ns and fills what part of the device each had, in per cent. */
static void measure(struct world *world, uint64_t ns, double *ret_percent)
{
    uint64_t before_ns[TENANTS_MAX];

    for (size_t i = 0; i < world->n; i++)
        before_ns[i] = world->programs[i].got_ns;
    run(world, ns);
    for (size_t i = 0; i < world->n; i++)
        ret_percent[i] = 100.0 * (double)(world->programs[i].got_ns - before_ns[i]) / (double)ns;
}

static void assert_near(double got, double want, double within)
{
    if (got < want - within || got > want + within)
        fail_msg("got %.3f %%, expected %.3f %% within %.3f", got, want, within);
}

/* ---- promises ---- */

static void a_fixed_share_holds_for_any_kernel(void **unused)
{
    static const uint64_t kernels_ns[] = {50 * US, 500 * US, 5 * MS, 20 * MS};
    static const uint32_t shares_permille[] = {50, 100, 300, 500, 700, 950};
    double percent[TENANTS_MAX];

    for (size_t k = 0; k < sizeof(kernels_ns) / sizeof(*kernels_ns); k++) {
        for (size_t s = 0; s < sizeof(shares_permille) / sizeof(*shares_permille); s++) {
            struct world world;

            world_init(&world);
            add(&world, POLICY_FIXED_SHARE, shares_permille[s], kernels_ns[k]);
            add(&world, POLICY_BEST_EFFORT, 0, 300 * US);
            run(&world, S);
            measure(&world, 10 * S, percent);
            assert_near(percent[0], shares_permille[s] / 10.0, 0.3);
            assert_near(percent[1], 100 - shares_permille[s] / 10.0, 1);
        }
    }
}

static void it_holds_in_each_second_too(void **unused)
{
    struct world world;
    double percent[TENANTS_MAX];

    world_init(&world);
    add(&world, POLICY_FIXED_SHARE, 300, 500 * US);
    add(&world, POLICY_FIXED_SHARE, 50, 5 * MS);
    add(&world, POLICY_BEST_EFFORT, 0, 2 * MS);
    run(&world, S);
    for (int i = 0; i < 10; i++) {
        measure(&world, S, percent);
        assert_near(percent[0], 30, 1);
        assert_near(percent[1], 5, 1);
        assert_near(percent[2], 65, 1.5);
    }
}

static double jain(const double *x, size_t n)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    return sum * sum / ((double)n * squares);
}

static void equal_weights_get_equal_parts_whatever_they_run(void **unused)
{
    static const enum policy_kind kinds[] = {POLICY_EQUAL_SHARE, POLICY_BEST_EFFORT};
    double percent[TENANTS_MAX];

    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        struct world world;

        world_init(&world);
        add(&world, kinds[k], 0, 50 * US);
        add(&world, kinds[k], 0, 700 * US);
        add(&world, kinds[k], 0, 5 * MS);
        add(&world, kinds[k], 0, 20 * MS)->queue_ns = 60 * MS; /* more under way wins nothing */
        run(&world, S);
        measure(&world, 10 * S, percent);
        assert_true(jain(percent, 4) >= 0.999);
        assert_true(percent[0] + percent[1] + percent[2] + percent[3] > 98);
    }
}

/* Less than the whole device can be given, and some contexts are served better than others. */
static void equal_weights_are_equal_on_an_unfair_device_too(void **unused)
{
    static const uint64_t slices_ns[] = {2 * MS, 500 * US, MS, 3 * MS},
                          kernels_ns[] = {200 * US, 5 * MS, 50 * US, MS};
    static const enum policy_kind kinds[] = {POLICY_EQUAL_SHARE, POLICY_BEST_EFFORT};
    double percent[TENANTS_MAX];

    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        struct world world;

        world_init(&world);
        world.switch_ns = 100 * US;
        for (size_t i = 0; i < 4; i++)
            add(&world, kinds[k], 0, kernels_ns[i])->slice_ns = slices_ns[i];
        run(&world, 3 * S);
        measure(&world, 10 * S, percent);
        assert_true(jain(percent, 4) >= 0.999);
        assert_true(percent[0] + percent[1] + percent[2] + percent[3] > 91);
    }
}

static void weights_divide(void **unused)
{
    struct world world;
    double percent[TENANTS_MAX];

    world_init(&world);
    for (uint32_t i = 0; i < 3; i++)
        add(&world, POLICY_BEST_EFFORT, 0, 400 * US)->terms.weight = i + 1;
    run(&world, S);
    measure(&world, 10 * S, percent);
    for (int i = 0; i < 3; i++)
        assert_near(percent[i], 100.0 * (i + 1) / 6, 1);
}

static void who_joins_and_who_leaves_settles_within_100_ms(void **unused)
{
    struct world world;
    struct program *guest;
    double percent[TENANTS_MAX];

    world_init(&world);
    add(&world, POLICY_BEST_EFFORT, 0, 500 * US);
    guest = add(&world, POLICY_BEST_EFFORT, 0, 500 * US);
    guest->works = false;
    run(&world, S);
    measure(&world, S, percent);
    assert_near(percent[0], 100, 0.1); /* alone, nothing is lost */
    for (int i = 0; i < 10; i++) {
        guest->works = true;
        run(&world, 100 * MS);
        measure(&world, 200 * MS, percent);
        assert_near(percent[0], 50, 2.5);
        assert_near(percent[1], 50, 2.5);
        guest->works = false;
        run(&world, 50 * MS);
        measure(&world, 150 * MS, percent);
        assert_near(percent[0], 100, 1);
    }
}

static void an_idle_fixed_share_is_given_away_and_taken_back(void **unused)
{
    struct world world;
    struct program *owner;
    double percent[TENANTS_MAX];

    world_init(&world);
    owner = add(&world, POLICY_FIXED_SHARE, 600, 500 * US);
    add(&world, POLICY_EQUAL_SHARE, 0, 500 * US);
    add(&world, POLICY_EQUAL_SHARE, 0, 500 * US);
    run(&world, S);
    for (int i = 0; i < 10; i++) {
        owner->works = false;
        run(&world, 100 * MS);
        measure(&world, 200 * MS, percent);
        assert_near(percent[1], 50, 2.5);
        assert_near(percent[2], 50, 2.5);
        owner->works = true;
        run(&world, 100 * MS);
        measure(&world, 400 * MS, percent);
        assert_near(percent[0], 60, 2);
        assert_near(percent[1], 20, 2);
    }
}

static void a_changed_share_settles_within_100_ms(void **unused)
{
    struct world world;
    double percent[TENANTS_MAX];

    world_init(&world);
    add(&world, POLICY_FIXED_SHARE, 200, 300 * US);
    add(&world, POLICY_FIXED_SHARE, 300, 300 * US);
    run(&world, S);
    for (uint32_t permille = 100; permille <= 700; permille += 200) {
        world.programs[0].terms.share_permille = permille;
        run(&world, 100 * MS);
        measure(&world, 200 * MS, percent);
        assert_near(percent[0], permille / 10.0, 2);
        assert_near(percent[1], 30, 2);
    }
}

static void what_a_light_tenant_leaves_is_used(void **unused)
{
    struct world world;
    struct program *light;
    double percent[TENANTS_MAX];

    world_init(&world);
    light = add(&world, POLICY_BEST_EFFORT, 0, 500 * US);
    light->queue_ns = light->kernel_ns;
    light->gap_ns = 4500 * US;
    add(&world, POLICY_BEST_EFFORT, 0, 500 * US);
    run(&world, S);
    measure(&world, 5 * S, percent);
    assert_near(percent[0], 10, 1);
    assert_true(percent[1] > 80);
    light->gap_ns = 0; /* wants its half now */
    light->queue_ns = 2 * MS;
    run(&world, 100 * MS);
    measure(&world, 400 * MS, percent);
    assert_near(percent[0], 50, 2);
}

static void a_low_class_ages_behind_a_high_one(void **unused)
{
    struct world world;
    double percent[TENANTS_MAX];

    world_init(&world);
    add(&world, POLICY_BEST_EFFORT, 0, 500 * US)->terms.priority = HIGH;
    add(&world, POLICY_BEST_EFFORT, 0, 500 * US)->terms.priority = LOW;
    run(&world, 100 * MS);
    measure(&world, 800 * MS, percent);
    assert_near(percent[1], 0, 0.5);
    run(&world, 5 * S);
    measure(&world, 5 * S, percent);
    assert_near(percent[1], 5, 1);
    assert_near(percent[0], 95, 1);
    world.programs[0].works = false;
    run(&world, 100 * MS);
    measure(&world, S, percent);
    assert_near(percent[1], 100, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_share_holds_for_any_kernel),
        cmocka_unit_test(it_holds_in_each_second_too),
        cmocka_unit_test(equal_weights_get_equal_parts_whatever_they_run),
        cmocka_unit_test(equal_weights_are_equal_on_an_unfair_device_too),
        cmocka_unit_test(weights_divide),
        cmocka_unit_test(who_joins_and_who_leaves_settles_within_100_ms),
        cmocka_unit_test(an_idle_fixed_share_is_given_away_and_taken_back),
        cmocka_unit_test(a_changed_share_settles_within_100_ms),
        cmocka_unit_test(what_a_light_tenant_leaves_is_used),
        cmocka_unit_test(a_low_class_ages_behind_a_high_one),
    };

    return cmocka_run_group_tests_name("policy_time", tests, NULL, NULL);
}
