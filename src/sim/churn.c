/* Arrivals and departures in balance; see replay.h. Time is in mean lifetimes. Departures wait in a binary
 * heap. */
#include <math.h>
#include <stdlib.h>

#include "sim/field.h"

struct departure {
    double time;
    size_t pod;
    struct place_choice choice;
};

struct churn {
    struct departure *heap; /* the earliest first */
    size_t n, room;
    double now, measured_from, measured_until;
    double allocated_time_milli; /* integral over the time that is measured */
};

static void heap_swap(struct departure *a, struct departure *b)
{
    struct departure kept = *a;

    *a = *b;
    *b = kept;
}

static int heap_push(struct churn *churn, struct departure departure)
{
    size_t i = churn->n;

    if (churn->n == churn->room) {
        size_t room = churn->room ? 2 * churn->room : 1024;
        struct departure *heap = reallocarray(churn->heap, room, sizeof(*heap));

        if (!heap)
            return -ENOMEM;
        churn->heap = heap;
        churn->room = room;
    }
    churn->heap[churn->n++] = departure;
    for (; i && churn->heap[(i - 1) / 2].time > churn->heap[i].time; i = (i - 1) / 2)
        heap_swap(&churn->heap[(i - 1) / 2], &churn->heap[i]);
    return 0;
}

static struct departure heap_pop(struct churn *churn)
{
    struct departure first = churn->heap[0];
    size_t i = 0;

    churn->heap[0] = churn->heap[--churn->n];
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < churn->n; child++) {
            if (churn->heap[child].time < churn->heap[least].time)
                least = child;
        }
        if (least == i)
            return first;
        heap_swap(&churn->heap[i], &churn->heap[least]);
        i = least;
    }
}

static void advance(struct churn *churn, const struct field *field, double to)
{
    double from = churn->now > churn->measured_from ? churn->now : churn->measured_from;

    if (to > from)
        churn->allocated_time_milli += (to - from) * (double)field->allocated_milli;
    churn->now = to;
}

static void depart_until(struct churn *churn, struct field *field, double time)
{
    while (churn->n && churn->heap[0].time <= time) {
        struct departure departure = heap_pop(churn);
        const struct trace_pod *pod = &field->trace->pods[departure.pod];

        advance(churn, field, departure.time);
        place_cluster_release(field->cluster, &pod->request, &departure.choice);
        field->allocated_milli -= pod->gpu_milli;
    }
    advance(churn, field, time);
}

static double exponential(struct place_random *random)
{
    return -log(place_random_unit(random));
}

static int arrive(struct churn *churn, struct field *field)
{
    struct departure departure = {.pod = place_random_below(&field->random, field->trace->n_pods)};
    int rc = field_arrive(field, &field->trace->pods[departure.pod], &departure.choice);

    if (rc <= 0)
        return rc;
    departure.time = churn->now + exponential(&field->random);
    return heap_push(churn, departure);
}

/* Arrivals a lifetime that ask for `load` times the devices; 0 where no pod asks for any. */
static double arrival_rate(const struct trace *trace, double load)
{
    double asked_milli = 0;

    for (size_t i = 0; i < trace->n_pods; i++)
        asked_milli += (double)trace->pods[i].gpu_milli;
    return asked_milli > 0 ? load * (double)trace->gpu_milli * (double)trace->n_pods / asked_milli : 0;
}

static int run(struct churn *churn, struct field *field, double rate)
{
    double end = churn->measured_until;
    bool measured = false;
    int rc = 0;

    for (double next = exponential(&field->random) / rate; !rc && next < end;
         next += exponential(&field->random) / rate) {
        depart_until(churn, field, next);
        if (!measured && next >= churn->measured_from) {
            field->arrived_milli = field->rejected_milli = field->n_arrived = field->n_rejected = 0;
            measured = true;
        }
        rc = arrive(churn, field);
    }
    if (!rc)
        depart_until(churn, field, end);
    return rc;
}

int replay_churn(const struct trace *trace, struct place_policy policy, uint64_t seed,
                 const struct replay_churn *how, struct replay_result *ret_result, struct error *err)
{
    struct churn churn = {.measured_from = how->warmup_lifetimes,
                          .measured_until = how->warmup_lifetimes + how->measured_lifetimes};
    struct replay_result result = {0};
    double rate = arrival_rate(trace, how->load);
    struct field field;
    int rc;

    if (rate <= 0)
        return error_fail(err, -EINVAL, "no pod of the trace asks for a device");
    rc = field_init(&field, trace, policy, seed, err);
    if (rc)
        return rc;
    if (run(&churn, &field, rate)) {
        rc = error_fail(err, -ENOMEM, "out of memory for pods that run");
    } else {
        field_finish(&field, &result);
        result.final_allocation_pct =
            100 * churn.allocated_time_milli / how->measured_lifetimes / (double)trace->gpu_milli;
        *ret_result = result;
    }
    free(churn.heap);
    field_done(&field);
    return rc;
}
