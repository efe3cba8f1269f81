/* What happens before the shim says that memory is out: it looks whether that is right. And how contexts,
 * whose cost nobody knows beforehand, keep the limit. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "shim_fixture.h"

/* ---- another process of the instance, played by a client of the ledger ---- */

static struct ledger_client *other;

static void other_start(struct stage *s, uint64_t bytes)
{
    uint32_t slot, generation;

    CHECK_EQUAL(ledger_slot_grant(&s->areas, 1, 1, 0, "other", &slot, &generation), 0);
    CHECK_EQUAL(ledger_client_new(s->areas.limits_fd, s->areas.ledger_fd, sizeof(struct ledger_limits),
                                  sizeof(struct ledger), slot, &other),
                0);
    CHECK_EQUAL(ledger_reserve(other, 0, bytes), 0);
}

static uint64_t denied(const struct stage *s)
{
    return __atomic_load_n(&s->areas.ledger->accounts[0].denied_total, __ATOMIC_RELAXED);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* How often slot 0, which is the program's, has said that something moves. */
static uint64_t changes(const struct stage *s)
{
    return __atomic_load_n(&s->areas.ledger->slots[0].devices[0].moving, __ATOMIC_SEQ_CST) >> 40;
}

static uint64_t changes_before;

/* Ends the free of 100 MiB when the program has tried for a while to get some of it. */
static void *free_ends(void *stage)
{
    while (changes(stage) < changes_before + 200)
        sched_yield();
    ledger_release(other, 0, 100 * MIB);
    ledger_moving_sub(other, 0, 100 * MIB);
    return NULL;
}

/* An allocation under way in the other process turns out to be one: there is no room. */
static void *allocation_ends(void *stage)
{
    while (changes(stage) < changes_before + 200)
        sched_yield();
    ledger_moving_sub(other, 0, 100 * MIB);
    return NULL;
}

TEST(a_request_waits_for_what_moves_and_gets_it)
{
    struct stage *s = stage_open_context(200 * MIB);
    pthread_t thread;
    CUdeviceptr a;

    other_start(s, 100 * MIB);
    ledger_moving_add(other, 0, 100 * MIB);
    changes_before = changes(s);
    CHECK(pthread_create(&thread, NULL, free_ends, s) == 0);
    errno = 77;
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 50 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(errno, 77);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQUAL(denied(s), 0);
    CHECK_EQUAL(s->reaps_asked, 0);
    CHECK_EXACT(s);
}

TEST(a_request_is_refused_when_what_moved_has_settled_against_it)
{
    struct stage *s = stage_open_context(200 * MIB);
    pthread_t thread;
    CUdeviceptr a;

    other_start(s, 100 * MIB);
    ledger_moving_add(other, 0, 100 * MIB);
    changes_before = changes(s);
    CHECK(pthread_create(&thread, NULL, allocation_ends, s) == 0);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 50 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQUAL(denied(s), 1);
    CHECK_EQUAL(s->reaps_asked, 1);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 200 * MIB);
}

TEST(a_request_does_not_wait_for_ever)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a;

    other_start(s, 100 * MIB);
    ledger_moving_add(other, 0, 100 * MIB); /* and never ends */
    errno = 77;
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 50 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(errno, 77);
    CHECK_EQUAL(denied(s), 1);
    CHECK_EQUAL(s->reaps_asked, 1);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 200 * MIB);
}

/* However much moves, what does not fit beside what is certain is not waited for. */
TEST(what_surely_does_not_fit_is_refused_at_once)
{
    struct stage *s = stage_open_context(200 * MIB);
    double best_s = 1e9;
    CUdeviceptr a;

    other_start(s, 100 * MIB);
    ledger_moving_add(other, 0, 40 * MIB);
    for (int i = 0; i < 10; i++) {
        double begin_s = now_s(), took_s;

        errno = 77;
        CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 50 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK_EQUAL(errno, 77);
        took_s = now_s() - begin_s;
        best_s = took_s < best_s ? took_s : best_s;
    }
    CHECK(best_s < 0.005);
}

TEST(every_refused_call_counts_and_asks_vgpud_once)
{
    struct stage *s = stage_open_context(200 * MIB);
    const CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                            .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    const CUDA_ARRAY_DESCRIPTOR shape = {.Width = 16384, .Height = 16384, .NumChannels = 1};
    CUmemGenericAllocationHandle handle;
    CUipcMemHandle foreign;
    CUcontext context;
    CUdeviceptr a;
    CUarray array;
    size_t pitch;

    errno = 77;
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 150 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 1);
    CHECK_EQUAL(s->cuda.cuMemAllocManaged(&a, 150 * MIB, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 2);
    CHECK_EQUAL(s->cuda.cuMemCreate(&handle, 150 * MIB, &properties, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 3);
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 150 * MIB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 4);
    CHECK_EQUAL(s->cuda.cuArrayCreate_v2(&array, &shape), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 5);
    CHECK_EQUAL(s->cuda.cuMemAllocPitch_v2(&a, &pitch, MIB, 150, 4), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 6);
    s->fake->foreign_ipc(0, 150 * MIB, &foreign);
    CHECK_EQUAL(s->cuda.cuIpcOpenMemHandle_v2(&a, foreign, 1), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 7);
    CHECK_EQUAL(s->reaps_asked, 7);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 50 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 8);
    ledger_limit_set(&s->areas, 0, 50 * MIB); /* over it already */
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 9);
    CHECK_EQUAL(errno, 77);
    CHECK_EXACT(s);
}

TEST(a_refusal_by_what_it_cost_counts_too)
{
    struct stage *s = stage_open_context(110 * MIB);
    CUmodule module;
    CUdeviceptr a;

    s->fake->module_bytes = 20 * MIB;
    CHECK_EQUAL(s->cuda.cuModuleLoadData(&module, "image"), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 1);
    ledger_limit_set(&s->areas, 0, 150 * MIB);
    s->fake->pool_growth = 64 * MIB; /* more than is reserved for a request */
    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 1 * MIB, NULL), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 2);
    CHECK_EXACT(s);
}

TEST(pools_are_trimmed_before_a_refusal)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 64 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemFree_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB); /* the pool keeps it */
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 90 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 190 * MIB);
    CHECK_EQUAL(denied(s), 0);
    CHECK_EQUAL(s->reaps_asked, 0);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 190 * MIB);
    CHECK_EXACT(s);
}

TEST(pools_that_cannot_help_are_left_alone)
{
    struct stage *s = stage_open_context(200 * MIB);
    CUdeviceptr a, b;

    CHECK_EQUAL(s->cuda.cuMemAllocAsync(&a, 64 * MIB, NULL), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&b, 90 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 1);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 164 * MIB);
    CHECK_EXACT(s);
}

/* ---- contexts ---- */

static struct stage *watched;
static int watches;

/* The first context takes all that is left, so nobody else gets memory that it may need; but they are told
 * to wait. */
static void first_context(void)
{
    watches++;
    CHECK_EQUAL(stage_ledger_bytes(watched, 0), 300 * MIB);
    CHECK_EQUAL(ledger_try_reserve(other, 0, 1), (uint64_t)-ENOMEM);
    CHECK(!ledger_is_surely_over(other, 0, 100 * MIB));
    CHECK(ledger_is_surely_over(other, 0, 300 * MIB)); /* beside what it has itself */
}

static void second_context(void)
{
    watches++;
    CHECK_EQUAL(stage_ledger_bytes(watched, 0), 250 * MIB);
}

TEST(the_first_context_takes_all_and_tells_the_next_what_one_costs)
{
    struct stage *s = watched = stage_open(300 * MIB, 0);
    CUcontext a, b;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    other_start(s, 50 * MIB);
    CHECK_EQUAL(ledger_context_bytes(other, 0), 0);
    s->fake->while_context = first_context;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&a, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 150 * MIB);
    CHECK_EQUAL(ledger_context_bytes(other, 0), 100 * MIB);
    s->fake->while_context = second_context;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&b, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 250 * MIB);
    CHECK_EQUAL(watches, 2);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(b), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(a), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 50 * MIB);
}

TEST(a_context_that_will_not_fit_does_not_reach_the_driver)
{
    struct stage *s = stage_open_context(180 * MIB);
    CUcontext context;

    s->fake->last_call = "none";
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRetain(&context, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(strcmp(s->fake->last_call, "none"), 0);
    CHECK_EQUAL(s->fake->devices[0].most_used_bytes, 100 * MIB);
    CHECK_EQUAL(denied(s), 2);
    CHECK_EXACT(s);
}

TEST(a_context_that_costs_more_than_the_last_one_is_charged_in_full_or_undone)
{
    struct stage *s = stage_open_context(240 * MIB);
    CUcontext context;

    s->fake->context_bytes = 130 * MIB;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 230 * MIB);
    CHECK_EXACT(s);
    CHECK_EQUAL(s->cuda.cuCtxDestroy_v2(context), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    s->fake->context_bytes = 150 * MIB;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_EQUAL(denied(s), 1);
    CHECK_EXACT(s);
}

TEST(a_context_that_fails_gives_everything_back)
{
    struct stage *s = stage_open(300 * MIB, 0);
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    other_start(s, 0);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_EQUAL(ledger_context_bytes(other, 0), 0);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 0);
    CHECK(ledger_is_surely_over(other, 0, 301 * MIB) && !ledger_is_surely_over(other, 0, 300 * MIB));
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    s->fake->fail_next = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(denied(s), 0);
    /* Nothing is left moving: what does not fit beside 100 MiB surely does not. */
    CHECK(ledger_is_surely_over(other, 0, 201 * MIB));
    CHECK_EXACT(s);
}

TEST(a_primary_context_that_is_there_is_retained_at_the_limit)
{
    struct stage *s = stage_open(200 * MIB, 0);
    CUcontext context, again;
    CUdeviceptr a;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuCtxSetCurrent(context), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuMemAlloc_v2(&a, 100 * MIB), CUDA_SUCCESS);
    CHECK_EQUAL(s->cuda.cuDevicePrimaryCtxRetain(&again, 0), CUDA_SUCCESS);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 200 * MIB);
    CHECK_EQUAL(denied(s), 0);
    CHECK_EXACT(s);
}

/* The other process's first context is under way, and this one's waits until it has told what it cost. */
static void *context_ends(void *stage)
{
    while (changes(stage) < changes_before + 100)
        sched_yield();
    ledger_context_bytes_set(other, 0, 100 * MIB);
    ledger_release(other, 0, 200 * MIB);
    ledger_moving_sub(other, 0, 300 * MIB);
    return NULL;
}

TEST(two_first_contexts_are_made_one_after_the_other)
{
    struct stage *s = stage_open(300 * MIB, 0);
    pthread_t thread;
    CUcontext context;

    CHECK_EQUAL(s->cuda.cuInit(0), CUDA_SUCCESS);
    other_start(s, 300 * MIB);
    ledger_moving_add(other, 0, 300 * MIB);
    changes_before = changes(s);
    CHECK(pthread_create(&thread, NULL, context_ends, s) == 0);
    CHECK_EQUAL(s->cuda.cuCtxCreate_v2(&context, 0, 0), CUDA_SUCCESS);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQUAL(stage_ledger_bytes(s, 0), 200 * MIB);
    CHECK_EQUAL(stage_device_bytes(s, 0), 100 * MIB);
    CHECK_EQUAL(denied(s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_waits_for_what_moves_and_gets_it),
        cmocka_unit_test(a_request_is_refused_when_what_moved_has_settled_against_it),
        cmocka_unit_test(a_request_does_not_wait_for_ever),
        cmocka_unit_test(what_surely_does_not_fit_is_refused_at_once),
        cmocka_unit_test(every_refused_call_counts_and_asks_vgpud_once),
        cmocka_unit_test(a_refusal_by_what_it_cost_counts_too),
        cmocka_unit_test(pools_are_trimmed_before_a_refusal),
        cmocka_unit_test(pools_that_cannot_help_are_left_alone),
        cmocka_unit_test(the_first_context_takes_all_and_tells_the_next_what_one_costs),
        cmocka_unit_test(a_context_that_will_not_fit_does_not_reach_the_driver),
        cmocka_unit_test(a_context_that_costs_more_than_the_last_one_is_charged_in_full_or_undone),
        cmocka_unit_test(a_context_that_fails_gives_everything_back),
        cmocka_unit_test(a_primary_context_that_is_there_is_retained_at_the_limit),
        cmocka_unit_test(two_first_contexts_are_made_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
