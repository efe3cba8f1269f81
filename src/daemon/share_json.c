/* The names of the figures of compute shares; see share_json.h. Where the ledger is lost (an orphan) all that
 * stands in it is null. */
#include "daemon/share_json.h"

#include <string.h>

#include "base/clock.h"
#include "daemon/daemon.h"

static json_int_t count(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

/* ---- the last refusal, the last wait ---- */

static const char *why_name(uint32_t why)
{
    static const char *const names[] = {"none",  "limit",     "debt",         "window",
                                        "yield", "in-flight", "unknown-cost", "driver"};

    return why < sizeof(names) / sizeof(*names) ? names[why] : "none";
}

/* The process that has the slot, by vgpud's own word; 0: it is gone. */
static int pid_of(const struct instance *instance, uint32_t slot)
{
    for (const struct client *c = instance->clients; c; c = c->next)
        if (!c->dead && c->who.slot == slot)
            return c->who.process.pid;
    return 0;
}

/* names: of the three amounts. */
static json_t *note_json(const struct instance *instance, const struct ledger_note *note,
                         const char *const names[3], uint64_t now_ns)
{
    uint64_t age_ns = now_ns > note->time_ns ? now_ns - note->time_ns : 0;
    int pid = pid_of(instance, note->slot);

    if (!note->time_ns)
        return json_null();
    return json_pack("{s:I, s:s, s:s, s:o, s:I, s:I, s:I}", "age_ms", count(age_ns / NS_PER_MS), "why",
                     why_name(note->why), "call", note->call, "pid", pid ? json_integer(pid) : json_null(),
                     names[0], count(note->amount), names[1], count(note->used), names[2],
                     count(note->limit));
}

static void notes_set(const struct instance *instance, const struct ledger_note *denied,
                      const struct ledger_note *held, uint64_t now_ns, json_t *object)
{
    static const char *const denied_names[] = {"asked_bytes", "used_bytes", "limit_bytes"};
    static const char *const held_names[] = {"held_ns", "debt_ns", "rate_ppm"};

    json_object_set_new(object, "last_denied", note_json(instance, denied, denied_names, now_ns));
    json_object_set_new(object, "last_held", note_json(instance, held, held_names, now_ns));
}

/* ---- figures ---- */

static void asked_set(const struct share_terms *terms, json_t *object)
{
    json_object_set_new(object, "policy", json_string(share_policy_name(terms->policy)));
    json_object_set_new(object, "priority", json_string(share_priority_name(terms->priority)));
    json_object_set_new(object, "share_permille", json_integer(terms->share_permille));
    json_object_set_new(object, "weight", json_integer(terms->weight));
    json_object_set_new(object, "time_slice_ns", json_integer(count(terms->time_slice_ns)));
}

/* What there is to show of an orphan. */
static void unknown_set(json_t *object)
{
    static const char *const names[] = {"rate_ppm",
                                        "used_permille",
                                        "copy_permille",
                                        "gpu_time_ns_total",
                                        "copy_time_ns_total",
                                        "throttled_ns_total",
                                        "throttled_total",
                                        "throttled_permille",
                                        "active",
                                        "debt_ns",
                                        "queued",
                                        "last_denied",
                                        "last_held"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        json_object_set_new(object, names[i], json_null());
}

static void figures_set(const struct share_figures *figures, json_t *object)
{
    const struct share_totals *totals = &figures->totals;

    json_object_set_new(object, "rate_ppm", json_integer(figures->rate_ppm));
    json_object_set_new(object, "used_permille", json_integer(figures->used_permille));
    json_object_set_new(object, "copy_permille", json_integer(figures->copy_permille));
    json_object_set_new(object, "gpu_time_ns_total", json_integer(count(totals->used_ns[LEDGER_COMPUTE])));
    json_object_set_new(object, "copy_time_ns_total", json_integer(count(totals->used_ns[LEDGER_COPY])));
    json_object_set_new(object, "throttled_ns_total", json_integer(count(totals->throttled_ns)));
    json_object_set_new(object, "throttled_total", json_integer(count(totals->throttled)));
    json_object_set_new(object, "throttled_permille", json_integer(count(figures->throttled_permille)));
    json_object_set_new(object, "active", json_boolean(figures->is_active));
    json_object_set_new(object, "debt_ns", json_integer(count(figures->debt_ns)));
    json_object_set_new(object, "queued", json_integer(figures->queued));
}

static void summary_add(struct share_summary *summary, const struct share_figures *figures)
{
    struct share_figures *sum = &summary->figures;

    if (!summary->n_devices++ || figures->rate_ppm < sum->rate_ppm)
        sum->rate_ppm = figures->rate_ppm;
    if (figures->used_permille > sum->used_permille)
        sum->used_permille = figures->used_permille;
    if (figures->copy_permille > sum->copy_permille)
        sum->copy_permille = figures->copy_permille;
    if (figures->debt_ns > sum->debt_ns)
        sum->debt_ns = figures->debt_ns;
    for (unsigned e = 0; e < LEDGER_ENGINES; e++)
        sum->totals.used_ns[e] += figures->totals.used_ns[e];
    sum->totals.throttled_ns += figures->totals.throttled_ns;
    sum->totals.throttled += figures->totals.throttled;
    sum->throttled_permille += figures->throttled_permille;
    sum->is_active |= figures->is_active;
    sum->queued = figures->queued; /* of the instance, the same on each device */
}

static void note_latest(struct ledger_note *latest, const struct ledger_note *note)
{
    if (note->time_ns > latest->time_ns)
        *latest = *note;
}

void share_device_json(const struct instance *instance, unsigned d, uint64_t now_ns, json_t *object,
                       struct share_summary *summary)
{
    struct share_terms terms = instance_share_terms(instance);
    struct ledger_note denied = {0}, held = {0};
    struct share_figures figures;

    asked_set(&terms, object);
    if (instance->orphaned) {
        unknown_set(object);
        return;
    }
    share_figures_read(instance, d, now_ns, &figures);
    if (!ledger_denied_read(instance->areas.ledger, d, &denied))
        denied.time_ns = 0;
    if (!ledger_held_read(instance->areas.ledger, d, &held))
        held.time_ns = 0;
    figures_set(&figures, object);
    notes_set(instance, &denied, &held, now_ns, object);
    summary_add(summary, &figures);
    note_latest(&summary->denied, &denied);
    note_latest(&summary->held, &held);
}

void share_instance_json(const struct instance *instance, const struct share_summary *summary,
                         uint64_t now_ns, json_t *object)
{
    struct share_terms terms = instance_share_terms(instance);

    asked_set(&terms, object);
    if (instance->orphaned) {
        unknown_set(object);
        return;
    }
    figures_set(&summary->figures, object);
    notes_set(instance, &summary->denied, &summary->held, now_ns, object);
}

void share_device_describe(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES], uint64_t now_ns,
                           json_t *object)
{
    unsigned used_permille = 0, copy_permille = 0;

    for (const struct instance *i = daemon->instances; i; i = i->next) {
        for (unsigned d = 0; !i->orphaned && d < i->facts.n_devices; d++) {
            struct share_figures figures;

            if (memcmp(i->facts.devices[d].uuid, uuid, UUID_BYTES) != 0)
                continue;
            share_figures_read(i, d, now_ns, &figures);
            used_permille += figures.used_permille;
            copy_permille += figures.copy_permille;
        }
    }
    json_object_set_new(object, "used_permille", json_integer(used_permille));
    json_object_set_new(object, "copy_permille", json_integer(copy_permille));
}
