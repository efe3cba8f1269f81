/* From figures to sentences; see explain_words.h. One function a reason; what to do is said only where
 * something can be done. */
#include "cli/explain_words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"

enum { AMOUNT_MAX = 32 };

/* What a finding is made of. */
struct scene {
    const json_t *instance, *instances;
    const json_t *mine;   /* the instance's row of the device */
    const json_t *device; /* the device itself, NULL when it is not known */
    const json_t *note;
    json_t *happened, *advice;
};

/* ---- reading ---- */

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value ? value : "";
}

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value < 0 ? 0 : (uint64_t)value;
}

static bool is(const json_t *object, const char *key, const char *value)
{
    return !strcmp(text(object, key), value);
}

static const json_t *find(const json_t *rows, const char *key, const json_t *value)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) if (value && json_equal(json_object_get(row, key), value)) return row;
    return NULL;
}

static const char *bytes(const json_t *object, const char *key, char buf[AMOUNT_MAX])
{
    return units_format_bytes(number(object, key), buf, AMOUNT_MAX);
}

static const char *percent(uint64_t permille, char buf[AMOUNT_MAX])
{
    snprintf(buf, AMOUNT_MAX, permille % 10 ? "%llu.%llu%%" : "%llu%%", (unsigned long long)permille / 10,
             (unsigned long long)permille % 10);
    return buf;
}

static int rank(const json_t *instance)
{
    return is(instance, "priority", "high") ? 2 : is(instance, "priority", "low") ? 0 : 1;
}

/* ---- saying ---- */

__attribute__((format(printf, 2, 3))) static void say(json_t *list, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    json_array_append_new(list, json_vsprintf(format, args));
    va_end(args);
}

/* "cuMemAlloc_v2 of process 4711 (python3)" */
static void name_caller(const struct scene *scene, char *buf, size_t buf_bytes)
{
    const json_t *pid = json_object_get(scene->note, "pid");
    const json_t *client = find(json_object_get(scene->instance, "clients"), "pid", pid);
    const char *call = text(scene->note, "call");

    if (!json_is_integer(pid))
        snprintf(buf, buf_bytes, "%s of a process that has ended", *call ? call : "a call");
    else
        snprintf(buf, buf_bytes, "%s of process %lld (%s)", *call ? call : "a call",
                 (long long)json_integer_value(pid), client ? text(client, "command") : "which has ended");
}

/* Who else has a part of the device: those the asker may see by name, the others by their number. */
static void say_neighbours(const struct scene *scene)
{
    const json_t *uuid = json_object_get(scene->mine, "uuid"), *other;
    uint64_t unseen = number(scene->device, "instance_count");
    char used[AMOUNT_MAX], limit[AMOUNT_MAX], busy[AMOUNT_MAX];
    size_t i;

    json_array_foreach(scene->instances, i, other)
    {
        const json_t *row = find(json_object_get(other, "devices"), "uuid", uuid);

        if (!row)
            continue;
        unseen -= unseen > 0;
        if (json_equal(json_object_get(other, "id"), json_object_get(scene->instance, "id")))
            continue;
        say(scene->happened,
            "Also on it: %s holds %s of its %s and had %s of the time in the last second (%s, priority %s).",
            text(other, "name"), bytes(row, "memory_used_bytes", used),
            bytes(row, "memory_limit_bytes", limit), percent(number(row, "used_permille"), busy),
            text(other, "policy"), text(other, "priority"));
    }
    if (unseen)
        say(scene->happened, "Also on it: %llu instance%s of other users.", (unsigned long long)unseen,
            unseen > 1 ? "s" : "");
}

static void say_not_limited(const struct scene *scene)
{
    const json_t *process;
    char held[AMOUNT_MAX];
    size_t i;

    json_array_foreach(json_object_get(scene->device, "not_limited"), i, process)
    {
        say(scene->happened, "Also on it: process %lld (%s), which belongs to no instance, holds %s.",
            (long long)json_integer_value(json_object_get(process, "pid")), text(process, "command"),
            json_is_integer(json_object_get(process, "driver_bytes")) ? bytes(process, "driver_bytes", held)
                                                                      : "an unknown amount");
    }
}

/* ---- memory ---- */

static uint64_t mib_up(uint64_t bytes_count)
{
    return (bytes_count + MIB - 1) / MIB;
}

/* How to have room for the refused amount, going by what is in use now. */
static void advise_memory(const struct scene *scene)
{
    uint64_t needed = number(scene->mine, "memory_used_bytes") + number(scene->note, "asked_bytes");
    uint64_t limit = number(scene->mine, "memory_limit_bytes"),
             free_bytes = number(scene->device, "memory_free_bytes");
    char a[AMOUNT_MAX], b[AMOUNT_MAX];
    const char *name = text(scene->instance, "name");

    if (needed <= limit)
        say(scene->advice, "That much is free below the limit now: try again.");
    else if (needed > number(scene->mine, "memory_capacity_bytes"))
        say(scene->advice, "%s would be needed, which is more than the device has: let the program use less.",
            units_format_bytes(needed, a, sizeof(a)));
    else if (needed - limit <= free_bytes)
        say(scene->advice, "Raise its limit, %s of the device is free: vgpu instance set %s --memory %lluM",
            units_format_bytes(free_bytes, a, sizeof(a)), name, (unsigned long long)mib_up(needed));
    else
        say(scene->advice,
            "Its limit would have to be %s, but only %s of the device is free: lower or stop another "
            "instance, or "
            "give what may not be there when it is needed: vgpu instance set %s --memory %lluM --overcommit",
            units_format_bytes(needed, a, sizeof(a)), units_format_bytes(free_bytes, b, sizeof(b)), name,
            (unsigned long long)mib_up(needed));
}

static void explain_limit(const struct scene *scene, const char *caller)
{
    char asked[AMOUNT_MAX], used[AMOUNT_MAX], limit[AMOUNT_MAX];

    /* What a context or a module takes shows only when it is there: a byte or none stands for that. */
    if (number(scene->note, "asked_bytes") > 1)
        bytes(scene->note, "asked_bytes", asked);
    else
        snprintf(asked, sizeof(asked), "more memory");
    say(scene->happened, "%s asked for %s, but %s of the limit of %s was in use.", caller, asked,
        bytes(scene->note, "used_bytes", used), bytes(scene->note, "limit_bytes", limit));
    say(scene->happened, "Now %s of %s is in use; allocations refused in all: %llu.",
        bytes(scene->mine, "memory_used_bytes", used), bytes(scene->mine, "memory_limit_bytes", limit),
        (unsigned long long)number(scene->mine, "denied_total"));
    say_neighbours(scene);
    advise_memory(scene);
}

static void explain_driver(const struct scene *scene, const char *caller)
{
    char asked[AMOUNT_MAX], used[AMOUNT_MAX], limit[AMOUNT_MAX];

    say(scene->happened,
        "%s asked for %s, which the limit allows (%s of %s was in use), but the device itself had no more "
        "memory.",
        caller, bytes(scene->note, "asked_bytes", asked), bytes(scene->note, "used_bytes", used),
        bytes(scene->note, "limit_bytes", limit));
    say(scene->happened, "Now %s of the device's %s is in use.",
        bytes(scene->device, "memory_used_bytes", used), bytes(scene->mine, "memory_capacity_bytes", limit));
    say_neighbours(scene);
    say_not_limited(scene);
    if (json_array_size(json_object_get(scene->device, "not_limited")))
        say(scene->advice, "Run those processes under vgpu run, or end them: no limit holds for them.");
    if (number(scene->device, "memory_reserved_bytes") > number(scene->mine, "memory_capacity_bytes"))
        say(scene->advice,
            "Instances with --overcommit were given more than the device has: lower or stop one.");
    else
        say(scene->advice, "Free memory may lie in pieces too small for it: ask for less at a time.");
}

/* ---- time ---- */

static void say_share(const struct scene *scene)
{
    char now[AMOUNT_MAX], may[AMOUNT_MAX];

    percent(number(scene->mine, "used_permille"), now);
    percent((number(scene->mine, "rate_ppm") + 500) / 1000, may);
    if (is(scene->instance, "policy", "fixed-share"))
        say(scene->happened, "It is fixed-share: %s of the device's time; it had %s in the last second.", may,
            now);
    else if (is(scene->instance, "policy", "equal-share"))
        say(scene->happened,
            "It is equal-share with weight %llu: that is %s of the device's time now; it had %s in the last "
            "second.",
            (unsigned long long)number(scene->instance, "weight"), may, now);
    else
        say(scene->happened,
            "It is best-effort: others leave it %s of the device's time now; it had %s in the last second.",
            may, now);
}

static void say_waits(const struct scene *scene)
{
    uint64_t debt_ns = number(scene->mine, "debt_ns");
    char time[AMOUNT_MAX];

    if (debt_ns)
        say(scene->happened, "It has drawn %s more than its share, which the next turns pay.",
            units_format_ns(debt_ns, time, sizeof(time)));
    say(scene->happened, "In all its threads were held back %s, waits: %llu; processes that wait now: %llu.",
        units_format_ns(number(scene->mine, "throttled_ns_total"), time, sizeof(time)),
        (unsigned long long)number(scene->mine, "throttled_total"),
        (unsigned long long)number(scene->mine, "queued"));
}

static void advise_share(const struct scene *scene)
{
    uint64_t free_permille = number(scene->device, "compute_free_permille");
    const char *name = text(scene->instance, "name");
    char share[AMOUNT_MAX], rest[AMOUNT_MAX];

    uint64_t weight = number(scene->instance, "weight");
    bool fixed = is(scene->instance, "policy", "fixed-share"),
         best = is(scene->instance, "policy", "best-effort");

    if (!fixed)
        say(scene->advice, "More against others of its priority: vgpu instance set %s --weight %llu", name,
            (unsigned long long)(weight ? weight * 2 : 2));
    if (free_permille)
        say(scene->advice, "%s, %s of the time is free: vgpu instance set %s --policy %s --compute %s",
            fixed ? "Give it more" : "Promise it a part", percent(free_permille, rest), name,
            best ? "best-effort" : "fixed-share",
            percent(number(scene->instance, "share_permille") + free_permille, share));
    if (fixed)
        say(scene->advice,
            "Let it use what others leave, and at least its share: vgpu instance set %s --policy best-effort",
            name);
}

static void explain_debt(const struct scene *scene, const char *caller, const char *held)
{
    say(scene->happened, "%s was held back for %s: the instance's share of the time was used up.", caller,
        held);
    say_share(scene);
    say_waits(scene);
    say_neighbours(scene);
    advise_share(scene);
}

static void explain_window(const struct scene *scene, const char *caller, const char *held)
{
    say(scene->happened,
        "%s was held back for %s: a process of the device was measured, to learn what its kernels cost.",
        caller, held);
    say_waits(scene);
    say(scene->advice, "Nothing: such a pause is a few milliseconds and costs no share.");
}

/* Those who go first, as far as the asker may see them. */
static void say_higher(const struct scene *scene)
{
    const json_t *uuid = json_object_get(scene->mine, "uuid"), *other;
    char busy[AMOUNT_MAX];
    size_t i;

    json_array_foreach(scene->instances, i, other)
    {
        const json_t *row = find(json_object_get(other, "devices"), "uuid", uuid);

        if (row && rank(other) > rank(scene->instance))
            say(scene->happened,
                "%s goes first (priority %s, its own is %s); it had %s of the time in the last second%s.",
                text(other, "name"), text(other, "priority"), text(scene->instance, "priority"),
                percent(number(row, "used_permille"), busy),
                json_is_true(json_object_get(row, "active")) ? " and has work now" : "");
    }
}

static void advise_priority(const struct scene *scene)
{
    static const char *const above[] = {"normal", "high", "high"};

    say(scene->advice, "Nothing, if others shall go first; else: vgpu instance set %s --priority %s",
        text(scene->instance, "name"), above[rank(scene->instance)]);
}

static void explain_yield(const struct scene *scene, const char *caller, const char *held)
{
    say(scene->happened, "%s was held back for %s: an instance of higher priority had work on the device.",
        caller, held);
    say_higher(scene);
    say_waits(scene);
    advise_priority(scene);
}

static void explain_in_flight(const struct scene *scene, const char *caller, const char *held)
{
    say(scene->happened,
        "%s was held back for %s: while an instance of higher priority is active, little work of others may "
        "be under "
        "way, so that it need not wait for it.",
        caller, held);
    say_higher(scene);
    say_waits(scene);
    advise_priority(scene);
}

static void explain_unknown_cost(const struct scene *scene, const char *caller, const char *held)
{
    say(scene->happened,
        "%s was held back for %s: the kernel ran for the first time, and what it costs had to be seen before "
        "it ran again.",
        caller, held);
    say_waits(scene);
    say(scene->advice, "Nothing: it happens once for each kernel and size of launch.");
}

/* ---- findings ---- */

typedef void (*explain_held_fn)(const struct scene *scene, const char *caller, const char *held);

static const struct {
    const char *why;
    explain_held_fn explain;
} held_reasons[] = {
    {"debt", explain_debt},
    {"window", explain_window},
    {"yield", explain_yield},
    {"in-flight", explain_in_flight},
    {"unknown-cost", explain_unknown_cost},
};

static void explain_note(const struct scene *scene, bool denied)
{
    char caller[120], held[AMOUNT_MAX];

    name_caller(scene, caller, sizeof(caller));
    if (denied && is(scene->note, "why", "driver"))
        explain_driver(scene, caller);
    else if (denied)
        explain_limit(scene, caller);
    units_format_ns(number(scene->note, "held_ns"), held, sizeof(held));
    for (size_t i = 0; !denied && i < sizeof(held_reasons) / sizeof(*held_reasons); i++)
        if (is(scene->note, "why", held_reasons[i].why))
            held_reasons[i].explain(scene, caller, held);
    if (!json_array_size(scene->happened))
        say(scene->happened, "%s was held back for %s (%s).", caller, held, text(scene->note, "why"));
}

static void add_finding(json_t *findings, const char *kind, struct scene *scene)
{
    json_t *finding =
        json_pack("{s:s, s:O?, s:O?, s:O?, s:o, s:o}", "kind", kind, "device",
                  json_object_get(scene->mine, "uuid"), "device_name", json_object_get(scene->mine, "name"),
                  "note", scene->note, "happened", scene->happened, "advice", scene->advice);
    size_t at = 0;

    /* States first, then by age. */
    while (at < json_array_size(findings) && number(json_object_get(json_array_get(findings, at), "note"),
                                                    "age_ms") <= number(scene->note, "age_ms"))
        at++;
    json_array_insert_new(findings, at, finding);
}

static struct scene scene_begin(const struct scene *of, const json_t *note)
{
    struct scene scene = *of;

    scene.note = note;
    scene.happened = json_array();
    scene.advice = json_array();
    return scene;
}

static void find_state(json_t *findings, const struct scene *of)
{
    struct scene scene = scene_begin(of, NULL);
    const char *name = text(of->instance, "name");
    char used[AMOUNT_MAX], limit[AMOUNT_MAX];

    if (is(of->instance, "state", "stopping")) {
        say(scene.happened, "It is being stopped: all new GPU work is refused.");
    } else if (is(of->instance, "state", "orphaned")) {
        say(scene.happened,
            "vgpud was restarted and could not take up its account: what it uses is not known, and no new "
            "process may join.");
        say(scene.advice, "Start its programs anew when they have ended, or end them: vgpu instance stop %s",
            name);
    } else if (json_is_true(json_object_get(of->mine, "over_limit"))) {
        say(scene.happened,
            "Its limit was lowered to %s, below the %s it uses: new allocations are refused until it fits.",
            bytes(of->mine, "memory_limit_bytes", limit), bytes(of->mine, "memory_used_bytes", used));
        say(scene.advice,
            "Let the program free memory, or raise the limit: vgpu instance set %s --memory %lluM", name,
            (unsigned long long)mib_up(number(of->mine, "memory_used_bytes")));
    }
    if (json_array_size(scene.happened)) {
        add_finding(findings, "state", &scene);
        return;
    }
    json_decref(scene.happened);
    json_decref(scene.advice);
}

json_t *explain_findings(const json_t *instance, const json_t *instances, const json_t *devices)
{
    json_t *findings = json_array(), *row;
    size_t i;

    json_array_foreach(json_object_get(instance, "devices"), i, row)
    {
        static const char *const keys[] = {"last_denied", "last_held"}, *const kinds[] = {"denied", "held"};
        struct scene of = {.instance = instance, .instances = instances, .mine = row};

        of.device = find(devices, "uuid", json_object_get(row, "uuid"));
        find_state(findings, &of);
        for (size_t k = 0; k < 2; k++) {
            const json_t *note = json_object_get(row, keys[k]);
            struct scene scene;

            if (!json_is_object(note))
                continue;
            scene = scene_begin(&of, note);
            explain_note(&scene, k == 0);
            add_finding(findings, kinds[k], &scene);
        }
    }
    return json_pack("{s:O?, s:O?, s:O?, s:o}", "instance", json_object_get(instance, "id"), "name",
                     json_object_get(instance, "name"), "state", json_object_get(instance, "state"),
                     "findings", findings);
}

static void print_list(const json_t *sentences, const char *before, FILE *out)
{
    const json_t *sentence;
    size_t i;

    json_array_foreach(sentences, i, sentence)
    {
        fprintf(out, "  %s%s\n", before, json_string_value(sentence));
    }
}

void explain_print(const json_t *findings, FILE *out)
{
    const json_t *finding;
    char ago[AMOUNT_MAX];
    size_t i;

    fprintf(out, "%s (%s), %s\n", text(findings, "name"), text(findings, "instance"),
            text(findings, "state"));
    if (!json_array_size(json_object_get(findings, "findings")))
        fputs("Nothing of it was refused or held back since it began.\n", out);
    json_array_foreach(json_object_get(findings, "findings"), i, finding)
    {
        const json_t *note = json_object_get(finding, "note");

        fprintf(out, "\n%s", text(finding, "device_name"));
        if (json_is_object(note))
            fprintf(out, ": %s %s ago", is(finding, "kind", "denied") ? "memory refused" : "held back",
                    units_format_ns(number(note, "age_ms") * NS_PER_MS, ago, sizeof(ago)));
        fputc('\n', out);
        print_list(json_object_get(finding, "happened"), "", out);
        print_list(json_object_get(finding, "advice"), "What to do: ", out);
    }
}
