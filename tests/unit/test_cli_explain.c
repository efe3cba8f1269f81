/* Promises of `vgpu explain`: each reason has its sentences, with the figures of the account and a way out
 * that works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/explain_words.h"

/* A device of 16 GiB, of which `me` has a part, `other` (high priority) another, and somebody else a third.
 * Text with ' for ". */
static const char me[] = "{'id': 'v1', 'name': 'me', 'state': 'running', 'policy': 'fixed-share', "
                         "'share_permille': 300, 'weight': 1,"
                         " 'priority': 'normal', 'clients': [{'pid': 7, 'command': 'python3'}], 'devices': "
                         "[{'uuid': 'GPU-1', 'name': 'A GPU',"
                         " 'memory_capacity_bytes': 17179869184, 'memory_limit_bytes': 4294967296, "
                         "'memory_used_bytes': 3221225472,"
                         " 'denied_total': 5, 'used_permille': 298, 'rate_ppm': 300000, 'debt_ns': 12000000, "
                         "'throttled_ns_total': 5000000000,"
                         " 'throttled_total': 70, 'queued': 1, 'last_denied': null, 'last_held': null}]}";
static const char other[] =
    "{'id': 'v2', 'name': 'other', 'policy': 'best-effort', 'priority': 'high', 'devices': [{'uuid': 'GPU-1',"
    " 'memory_used_bytes': 1073741824, 'memory_limit_bytes': 2147483648, 'used_permille': 410, 'active': "
    "true}]}";
static const char device[] = "[{'uuid': 'GPU-1', 'instance_count': 3, 'memory_used_bytes': 17179869184, "
                             "'memory_free_bytes': 8589934592,"
                             " 'memory_reserved_bytes': 8589934592, 'compute_free_permille': 250,"
                             " 'not_limited': [{'pid': 99, 'command': 'rogue', 'driver_bytes': 1048576}]}]";
static const char refused[] =
    "{'age_ms': 3200, 'why': 'limit', 'call': 'cuMemAlloc_v2', 'pid': 7,"
    " 'asked_bytes': 2147483648, 'used_bytes': 3221225472, 'limit_bytes': 4294967296}";

static json_t *read_json(const char *text)
{
    char *copy = strdup(text);
    json_t *value;

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    value = json_loads(copy, 0, NULL);
    free(copy);
    assert_non_null(value);
    return value;
}

struct place {
    json_t *me, *instances, *devices;
};

static json_t *my_device(const struct place *place)
{
    return json_array_get(json_object_get(place->me, "devices"), 0);
}

static struct place place_begin(void)
{
    struct place place = {.me = read_json(me), .instances = json_array(), .devices = read_json(device)};

    json_array_append(place.instances, place.me);
    json_array_append_new(place.instances, read_json(other));
    return place;
}

/* What a person reads; ends the place. */
static const char *explained(struct place *place)
{
    static char text[4096];
    json_t *findings = explain_findings(place->me, place->instances, place->devices);
    FILE *out = fmemopen(text, sizeof(text), "w");

    explain_print(findings, out);
    fclose(out);
    json_decref(findings);
    json_decref(place->me);
    json_decref(place->instances);
    json_decref(place->devices);
    return text;
}

static const char *held(const char *why, const char *call)
{
    struct place place = place_begin();
    char note[200];

    snprintf(note, sizeof(note), "{'age_ms': 40, 'why': '%s', 'call': '%s', 'pid': 7, 'held_ns': 38000000}",
             why, call);
    json_object_set_new(my_device(&place), "last_held", read_json(note));
    return explained(&place);
}

static void nothing_is_said_to_be_nothing(void **state)
{
    struct place place = place_begin();

    assert_string_equal(explained(&place),
                        "me (v1), running\nNothing of it was refused or held back since it began.\n");
}

static void a_refusal_names_call_amounts_neighbours_and_the_way_out(void **state)
{
    struct place place = place_begin();

    json_object_set_new(my_device(&place), "last_denied", read_json(refused));
    assert_string_equal(explained(&place),
                        "me (v1), running\n"
                        "\n"
                        "A GPU: memory refused 3.20 s ago\n"
                        "  cuMemAlloc_v2 of process 7 (python3) asked for 2.00 GiB, but 3.00 GiB of the "
                        "limit of 4.00 GiB was in use.\n"
                        "  Now 3.00 GiB of 4.00 GiB is in use; allocations refused in all: 5.\n"
                        "  Also on it: other holds 1.00 GiB of its 2.00 GiB and had 41% of the time in the "
                        "last second (best-effort,"
                        " priority high).\n"
                        "  Also on it: 1 instance of other users.\n"
                        "  What to do: Raise its limit, 8.00 GiB of the device is free: vgpu instance set me "
                        "--memory 5120M\n");
}

static void a_way_out_that_would_not_work_is_not_offered(void **state)
{
    struct place place = place_begin();
    const char *text;

    json_object_set_new(my_device(&place), "last_denied", read_json(refused));
    json_object_set_new(json_array_get(place.devices, 0), "memory_free_bytes", json_integer(1048576));
    text = explained(&place);
    assert_non_null(strstr(text, "would have to be 5.00 GiB, but only 1 MiB of the device is free"));
    assert_non_null(strstr(text, "--memory 5120M --overcommit\n"));
    place = place_begin();
    json_object_set_new(my_device(&place), "last_denied", read_json(refused));
    json_object_set_new(my_device(&place), "memory_capacity_bytes", json_integer(4294967296));
    text = explained(&place);
    assert_non_null(strstr(text, "more than the device has"));
    assert_null(strstr(text, "instance set"));
    place = place_begin();
    json_object_set_new(my_device(&place), "last_denied", read_json(refused));
    json_object_set_new(my_device(&place), "memory_used_bytes", json_integer(0));
    assert_non_null(strstr(explained(&place), "That much is free below the limit now: try again."));
}

static void a_full_device_is_told_from_a_full_limit(void **state)
{
    struct place place = place_begin();
    json_t *note = read_json(refused);
    const char *text;

    json_object_set_new(note, "why", json_string("driver"));
    json_object_set_new(my_device(&place), "last_denied", note);
    text = explained(&place);
    assert_non_null(strstr(
        text, "which the limit allows (3.00 GiB of 4.00 GiB was in use), but the device itself had no more"));
    assert_non_null(strstr(text, "Now 16.00 GiB of the device's 16.00 GiB is in use."));
    assert_non_null(strstr(text, "process 99 (rogue), which belongs to no instance, holds 1 MiB"));
    assert_non_null(strstr(text, "Run those processes under vgpu run"));
}

static void a_used_up_share_says_what_it_is_and_what_there_is(void **state)
{
    assert_string_equal(held("debt", "cuLaunchKernel"),
                        "me (v1), running\n"
                        "\n"
                        "A GPU: held back 40.0 ms ago\n"
                        "  cuLaunchKernel of process 7 (python3) was held back for 38.0 ms: the instance's "
                        "share of the time was used up.\n"
                        "  It is fixed-share: 30% of the device's time; it had 29.8% in the last second.\n"
                        "  It has drawn 12.0 ms more than its share, which the next turns pay.\n"
                        "  In all its threads were held back 5.00 s, waits: 70; processes that wait now: 1.\n"
                        "  Also on it: other holds 1.00 GiB of its 2.00 GiB and had 41% of the time in the "
                        "last second (best-effort,"
                        " priority high).\n"
                        "  Also on it: 1 instance of other users.\n"
                        "  What to do: Give it more, 25% of the time is free: vgpu instance set me --policy "
                        "fixed-share --compute 55%\n"
                        "  What to do: Let it use what others leave, and at least its share: vgpu instance "
                        "set me --policy best-effort\n");
}

static void each_policy_has_its_own_way_out(void **state)
{
    static const struct {
        const char *policy, *happened, *advice;
    } cases[] = {{"equal-share", "It is equal-share with weight 1: that is 30% of the device's time now",
                  "vgpu instance set me --weight 2\n"},
                 {"best-effort", "It is best-effort: others leave it 30% of the device's time now",
                  "vgpu instance set me --policy best-effort --compute 55%\n"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct place place = place_begin();
        const char *text;

        json_object_set_new(place.me, "policy", json_string(cases[i].policy));
        json_object_set_new(my_device(&place), "last_held",
                            read_json("{'age_ms': 40, 'why': 'debt', 'call': 'cuGraphLaunch', 'pid': 7}"));
        text = explained(&place);
        assert_non_null(strstr(text, cases[i].happened));
        assert_non_null(strstr(text, cases[i].advice));
    }
}

static void every_other_reason_has_its_sentence(void **state)
{
    static const struct {
        const char *why, *happened, *advice;
    } cases[] = {
        {"window", "to learn what its kernels cost",
         "Nothing: such a pause is a few milliseconds and costs no share."},
        {"yield", "an instance of higher priority had work on the device",
         "vgpu instance set me --priority high\n"},
        {"in-flight", "while an instance of higher priority is active",
         "vgpu instance set me --priority high\n"},
        {"unknown-cost", "the kernel ran for the first time", "Nothing: it happens once"},
        {"something-new", "was held back for 38.0 ms (something-new).", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *text = held(cases[i].why, "cuLaunchKernelEx");

        assert_non_null(strstr(text, "cuLaunchKernelEx of process 7 (python3) was held back for 38.0 ms"));
        assert_non_null(strstr(text, cases[i].happened));
        assert_non_null(strstr(text, cases[i].advice));
    }
    assert_non_null(
        strstr(held("yield", "cuLaunchKernel"),
               "other goes first (priority high, its own is normal); it had 41% of the time in the last "
               "second and has work now."));
}

static void a_process_that_is_gone_is_said_to_be_gone(void **state)
{
    struct place place = place_begin();

    json_object_set_new(my_device(&place), "last_held",
                        read_json("{'age_ms': 40, 'why': 'debt', 'call': 'cuLaunchKernel', 'pid': null}"));
    assert_non_null(strstr(explained(&place), "  cuLaunchKernel of a process that has ended was held back"));
}

static void the_newest_comes_first_and_states_before(void **state)
{
    struct place place = place_begin();
    json_auto_t *findings = NULL;
    const char *const kinds[] = {"state", "held", "denied"};

    json_object_set_new(my_device(&place), "last_denied", read_json(refused));
    json_object_set_new(my_device(&place), "last_held",
                        read_json("{'age_ms': 40, 'why': 'debt', 'call': 'cuLaunchKernel', 'pid': 8}"));
    json_object_set_new(my_device(&place), "over_limit", json_true());
    findings = explain_findings(place.me, place.instances, place.devices);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(json_string_value(json_object_get(
                                json_array_get(json_object_get(findings, "findings"), i), "kind")),
                            kinds[i]);
    assert_non_null(strstr(explained(&place), "cuLaunchKernel of process 8 (which has ended)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_to_be_nothing),
        cmocka_unit_test(a_refusal_names_call_amounts_neighbours_and_the_way_out),
        cmocka_unit_test(a_way_out_that_would_not_work_is_not_offered),
        cmocka_unit_test(a_full_device_is_told_from_a_full_limit),
        cmocka_unit_test(a_used_up_share_says_what_it_is_and_what_there_is),
        cmocka_unit_test(each_policy_has_its_own_way_out),
        cmocka_unit_test(every_other_reason_has_its_sentence),
        cmocka_unit_test(a_process_that_is_gone_is_said_to_be_gone),
        cmocka_unit_test(the_newest_comes_first_and_states_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
