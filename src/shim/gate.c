/* The gate's slow path; see gate.h. A thread comes here when its credit does not cover what it is about to
 * begin, about once per millisecond of GPU time: it collects measurements, draws from the instance's account,
 * waits where it must, and measures the launch that brought it here. Measuring one launch per so much
 * predicted time samples each kernel in proportion to the time it takes. */
#include <pthread.h>

#include "driver/glibc_floor.h"

#include "shim/gate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "meter/draw.h"
#include "meter/overlap.h"
#include "shim/gate_copy.h"
#include "shim/gate_signal.h"
#include "shim/gate_thread.h"
#include "shim/gate_wait.h"
#include "shim/sample.h"
#include "shim/shim.h"

/* How much a thread draws at a time: little after a pause, so that what it seldom needs does not lie about.
 */
#define CHUNK_NS       (UINT64_C(1) * NS_PER_MS)
#define CHUNK_FIRST_NS (UINT64_C(100) * NS_PER_US)
#define CHUNK_PAUSE_NS (UINT64_C(20) * NS_PER_MS)

/* The most that what was begun without a known cost is charged for afterwards. */
#define OWED_MOST_NS (UINT64_C(60) * NS_PER_S)
/* The most that one measurement corrects. */
#define CORRECTION_MOST_NS (UINT64_C(1) * NS_PER_S)

bool gate_on;
unsigned gate_captures;
struct cost_table gate_costs;
_Thread_local struct gate_thread *gate_thread;

static pthread_mutex_t costs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t thread_key;
static bool thread_key_made;

static uint32_t overlap_ppm = OVERLAP_PPM; /* of what several streams paid; written with costs_lock */

/* What ns by the cost table are in truth. Copies do not overlap: their engine does one after the other. */
static int64_t truly_ns(enum ledger_engine engine, int64_t ns)
{
    uint32_t ppm = __atomic_load_n(&overlap_ppm, __ATOMIC_RELAXED);

    return engine == LEDGER_COPY || ppm == OVERLAP_PPM ? ns : (int64_t)((double)ns * ppm / OVERLAP_PPM);
}

/* ---- threads ---- */

/* A thread ends: what it drew and did not use goes back. */
static void thread_end(void *argument)
{
    struct gate_thread *thread = argument;

    if (gate_thread == thread)
        gate_thread = NULL;
    for (unsigned d = 0; shim.mode == SHIM_LIMITED && d < ledger_device_count(shim.client); d++)
        for (unsigned e = 0; e < LEDGER_ENGINES; e++)
            if (thread->credit_ns[d][e] > 0)
                gate_give_back(shim.client, d, (enum ledger_engine)e,
                               (uint64_t)truly_ns((enum ledger_engine)e, thread->credit_ns[d][e]));
    free(thread);
}

/* NULL: no memory; the caller then pays for each launch by itself. */
static struct gate_thread *thread_get(struct ledger_client *client)
{
    struct gate_thread *thread;

    if (!thread_key_made)
        return NULL;
    thread = pthread_getspecific(thread_key);
    if (!thread) {
        thread = aligned_alloc(64, sizeof(*thread));
        if (!thread)
            return NULL;
        memset(thread, 0, sizeof(*thread));
        if (pthread_setspecific(thread_key, thread) != 0) {
            free(thread);
            return NULL;
        }
    }
    if (ledger_device_count(client) == 1)
        gate_thread = thread;
    return thread;
}

void gate_begin(struct ledger_client *client)
{
    if (!thread_key_made)
        thread_key_made = pthread_key_create(&thread_key, thread_end) == 0;
    gate_wait_begin(client);
    __atomic_store_n(&gate_on, true, __ATOMIC_RELEASE);
}

void gate_reset_in_child(void)
{
    costs_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (thread_key_made) {
        free(pthread_getspecific(thread_key));
        pthread_setspecific(thread_key, NULL);
    }
    gate_thread = NULL;
    gate_on = false;
    gate_captures = 0;
    sample_reset_in_child();
    gate_wait_reset_in_child();
}

/* ---- what it is ---- */

static uint64_t key_of(const struct gate_work *work)
{
    switch (work->kind) {
    case GATE_KERNEL:
        return gate_key_launch((CUfunction)(uintptr_t)work->object, work->dims[0], work->dims[1],
                               work->dims[2], work->dims[3], work->dims[4], work->dims[5], work->dims[6]);
    case GATE_GRAPH:
        return gate_key_graph((CUgraphExec)(uintptr_t)work->object);
    default:
        return gate_key_bytes(work->kind, work->bytes);
    }
}

/* The work's predicted cost by what its key costs. */
static uint64_t cost_of(const struct gate_work *work, int64_t key_ns)
{
    return work->kind == GATE_KERNEL || work->kind == GATE_GRAPH
               ? (uint64_t)key_ns
               : gate_cost_bytes(work->kind, work->bytes, key_ns);
}

/* Index in the instance of the device that the work is for; -1: none that is limited. */
static int device_of(struct ledger_client *client)
{
    int device = 0;

    if (ledger_device_count(client) > 1 && shim_current_index(&device) != CUDA_SUCCESS)
        return -1;
    return device;
}

static bool stream_captures(const struct gate_work *work)
{
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUresult result;

    if (!__atomic_load_n(&gate_captures, __ATOMIC_RELAXED))
        return false;
    result = work->is_per_thread ? real(cuStreamIsCapturing_ptsz)(work->stream, &status)
                                 : real(cuStreamIsCapturing)(work->stream, &status);
    /* An error: the legacy stream beside a capture, where the driver will refuse the work. */
    return result != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* ---- measurements ---- */

/* A measurement that was taken alone as far as is known; vgpud sees others after a moment, so its worth is
 * decided then. */
struct undecided {
    struct sample_work work;
    uint64_t measured_ns, time_ns;
    uint64_t gap_ns;      /* of measured_ns, what was surely not the work; 0: none */
    uint64_t window;      /* the window that it was made in; 0: none */
    int64_t corrected_ns; /* what the account was corrected by, already */
    uint32_t tick;        /* how often vgpud had looked by then */
    enum estimate_worth worth;
};

/* A look of vgpud's that began after it sees whoever disturbed it; it may have begun before. */
enum { UNDECIDED_MAX = 64, LOOKS_TO_DECIDE = 2 };

static struct undecided undecided[UNDECIDED_MAX]; /* a ring; costs_lock */
static unsigned undecided_first, undecided_count;
static struct overlap overlap; /* costs_lock */

/* By how much a draw was wrong, as the measured piece says for all that the draw paid for. Which piece is
 * measured is chosen with a probability in proportion to what was paid for it, so the mean of measured / paid
 * over draws is that of true / paid over all pieces, whatever the mixture and however wrong the costs were.
 */
static int64_t error_of_draw_ns(const struct undecided *it)
{
    double error_ns =
        (double)it->work.drawn_ns * ((double)(it->measured_ns - it->gap_ns) / (double)it->work.paid_ns - 1);

    return error_ns < (double)CORRECTION_MOST_NS ? (int64_t)error_ns : (int64_t)CORRECTION_MOST_NS;
}

/* Learns a decided measurement. */
static void learn(struct ledger_client *client, const struct undecided *it, enum estimate_worth worth,
                  uint64_t now_ns)
{
    /* A bound stays one: what is subtracted for the host's sake may be a little too much. */
    uint64_t measured_ns = it->measured_ns - (worth == ESTIMATE_BOUND ? 0 : it->gap_ns);
    struct cost_more *more;
    bool is_unsure;

    pthread_mutex_lock(&costs_lock);
    more = cost_get(&gate_costs, it->work.key);
    if (it->window)
        estimate_take_window(&more->estimate, (uint64_t)((double)measured_ns * it->work.per_key), it->window,
                             now_ns);
    else
        estimate_take(&more->estimate, (uint64_t)((double)measured_ns * it->work.per_key), worth, now_ns);
    cost_publish(&gate_costs, it->work.key, more);
    is_unsure = estimate_is_unsure(&more->estimate, now_ns);
    pthread_mutex_unlock(&costs_lock);
    if (worth != ESTIMATE_BOUND || is_unsure)
        gate_want_window(client, it->work.device, is_unsure ? it->measured_ns : 0);
}

static void decide(struct ledger_client *client, uint64_t now_ns)
{
    for (;;) {
        struct undecided it;

        pthread_mutex_lock(&costs_lock);
        it = undecided[undecided_first];
        if (!undecided_count || now_ns - it.time_ns < GATE_ALONE_AFTER_NS ||
            (int32_t)(ledger_tick_seen(client) - it.tick) < LOOKS_TO_DECIDE) {
            pthread_mutex_unlock(&costs_lock);
            return;
        }
        undecided_first = (undecided_first + 1) % UNDECIDED_MAX;
        undecided_count--;
        pthread_mutex_unlock(&costs_lock);
        if (gate_company(client, it.work.device, 0, NULL) == GATE_ALONE) {
            learn(client, &it, it.worth, now_ns);
        } else {
            gate_correct(client, it.work.device, it.work.engine, -it.corrected_ns);
            learn(client, &it, ESTIMATE_BOUND, now_ns);
        }
    }
}

/* Puts right what was paid. Of a bound nothing better is known than the prediction, so this is for the
 * others. */
static void correct(struct ledger_client *client, struct undecided *it)
{
    it->corrected_ns = it->work.paid_ns ? truly_ns(it->work.engine, error_of_draw_ns(it)) : 0;
    gate_correct(client, it->work.device, it->work.engine, it->corrected_ns);
}

/* False: too many wait already. */
static bool put_off(struct ledger_client *client, struct undecided *it)
{
    bool is_room;

    correct(client, it);
    pthread_mutex_lock(&costs_lock);
    is_room = undecided_count < UNDECIDED_MAX;
    if (is_room)
        undecided[(undecided_first + undecided_count++) % UNDECIDED_MAX] = *it;
    pthread_mutex_unlock(&costs_lock);
    if (!is_room)
        gate_correct(client, it->work.device, it->work.engine, -it->corrected_ns);
    return is_room;
}

/* The first measurement of a key: a cost to go on with, and what was begun without one is paid. */
static void first_cost(struct ledger_client *client, const struct sample *sample, uint64_t normal_ns,
                       uint64_t now_ns)
{
    struct cost_more *more;
    uint64_t unpaid, owed_ns;

    pthread_mutex_lock(&costs_lock);
    more = cost_get(&gate_costs, sample->work.key);
    if (!more->estimate.n_measured) {
        estimate_take(&more->estimate, normal_ns, ESTIMATE_BOUND, now_ns);
        cost_publish(&gate_costs, sample->work.key, more);
    }
    unpaid = more->unpaid;
    more->unpaid = 0;
    if (sample->work.is_first)
        more->is_awaited = false;
    owed_ns = estimate_cost_ns(&more->estimate);
    pthread_mutex_unlock(&costs_lock);
    owed_ns = unpaid && owed_ns > OWED_MOST_NS / unpaid ? OWED_MOST_NS : unpaid * owed_ns;
    gate_correct(client, sample->work.device, sample->work.engine,
                 truly_ns(sample->work.engine, (int64_t)owed_ns));
}

/* No measurement could be made: the next of this key tries again. */
static void first_failed(uint64_t key)
{
    struct cost_more *more;

    pthread_mutex_lock(&costs_lock);
    more = cost_look(&gate_costs, key);
    if (more)
        more->is_awaited = false;
    pthread_mutex_unlock(&costs_lock);
}

/* What several streams do at once is paid by each of them; this keeps the factor (meter/overlap.h). */
static void overlap_note(const struct sample *sample, const struct undecided *it, bool is_clean)
{
    const struct overlap_item item = {.sequence = sample->sequence,
                                      .epoch = sample->epoch,
                                      .end_ns = sample->end_ns,
                                      .drawn_ns =
                                          sample->work.drawn_ns +
                                          (is_clean && it->work.paid_ns ? (uint64_t)error_of_draw_ns(it) : 0),
                                      .stream = sample->stream,
                                      .is_chained = sample->is_chained,
                                      .is_clean = is_clean && sample->epoch};

    pthread_mutex_lock(&costs_lock);
    overlap_take(&overlap, &item);
    __atomic_store_n(&overlap_ppm, overlap_factor_ppm(&overlap), __ATOMIC_RELAXED);
    pthread_mutex_unlock(&costs_lock);
}

static void measured(const struct sample *sample, uint64_t measured_ns)
{
    struct ledger_client *client = shim.client;
    /* The device was at it from then on, or a little later. */
    uint64_t ran_from_ns = sample->pending_ns > sample->begun_ns + measured_ns
                               ? sample->pending_ns - measured_ns
                               : sample->begun_ns;
    uint64_t window = 0;
    enum gate_company company = gate_company(client, sample->work.device, ran_from_ns, &window);
    uint64_t now_ns = clock_monotonic_ns();
    struct undecided it = {.work = sample->work,
                           .measured_ns = measured_ns,
                           .time_ns = now_ns,
                           .worth = sample->is_gapless ? ESTIMATE_EXACT : ESTIMATE_NEAR};

    if (!sample->is_gapless)
        it.gap_ns = sample->gap_ns < measured_ns ? sample->gap_ns : measured_ns;
    overlap_note(sample, &it,
                 measured_ns && sample->work.engine == LEDGER_COMPUTE && sample->work.company == GATE_ALONE &&
                     company == GATE_ALONE);
    if (!measured_ns) {
        if (sample->work.is_first)
            first_failed(sample->work.key);
        return;
    }
    first_cost(client, sample, (uint64_t)((double)measured_ns * it.work.per_key), now_ns);
    it.tick = ledger_tick_seen(client);
    if (company == GATE_IN_WINDOW) {
        it.window = window;
        learn(client, &it, it.worth, now_ns);
    } else if (sample->work.company != GATE_ALONE || company != GATE_ALONE || !put_off(client, &it)) {
        learn(client, &it, ESTIMATE_BOUND, now_ns);
    }
}

void gate_settle(void)
{
    sample_collect(measured);
    if (__atomic_load_n(&undecided_count, __ATOMIC_RELAXED))
        decide(shim.client, clock_monotonic_ns());
}

void gate_forget_context(CUcontext context)
{
    sample_forget_context(context);
}

void gate_forget_graph(CUgraphExec exec)
{
    if (!gate_is_on())
        return;
    pthread_mutex_lock(&costs_lock);
    cost_forget(&gate_costs, gate_key_graph(exec));
    pthread_mutex_unlock(&costs_lock);
}

/* ---- paying ---- */

/* A kernel or graph whose cost nobody knows: it is measured, and begun on credit. Where a share is capped the
 * next one of its kind waits for that (a little), because what is begun in the dark may be as much as the
 * queue holds. True: this one is the first. */
static bool unknown_begin(struct ledger_client *client, int device, const struct gate_work *work,
                          uint64_t key, int64_t *ret_cost_ns)
{
    bool is_first;

    gate_wait_for_cost(client, device, work, key);
    pthread_mutex_lock(&costs_lock);
    *ret_cost_ns = cost_find(&gate_costs, key);
    if (*ret_cost_ns != COST_UNKNOWN_NS) {
        pthread_mutex_unlock(&costs_lock);
        return false;
    }
    struct cost_more *more = cost_get(&gate_costs, key);

    is_first = !more->is_awaited;
    more->is_awaited = true;
    more->unpaid++;
    pthread_mutex_unlock(&costs_lock);
    return is_first;
}

static void paid_note(uint64_t key, uint64_t ns)
{
    struct cost_more *more;

    pthread_mutex_lock(&costs_lock);
    more = cost_look(&gate_costs, key);
    if (more)
        more->paid_ns += ns;
    pthread_mutex_unlock(&costs_lock);
}

static uint64_t chunk_ns(const struct gate_thread *thread, int device, enum ledger_engine engine,
                         uint64_t now_ns)
{
    uint64_t most_ns = gate_chunk_most_ns(device, CHUNK_NS);

    if (now_ns - thread->drew_time_ns[device][engine] > CHUNK_PAUSE_NS)
        return CHUNK_FIRST_NS < most_ns ? CHUNK_FIRST_NS : most_ns;
    return most_ns;
}

/* Covers cost_ns from the thread's credit, drawing what is missing. Returns what it drew, at least 1 where
 * the credit did not do. */
static uint64_t pay(struct ledger_client *client, int device, const struct gate_work *work, uint64_t cost_ns)
{
    struct gate_thread *thread = thread_get(client);
    enum ledger_engine engine = gate_engine(work->kind);
    int64_t *credit_ns = thread ? &thread->credit_ns[device][engine] : NULL;
    uint64_t now_ns, draw_ns = cost_ns;

    if (credit_ns && *credit_ns >= (int64_t)cost_ns && cost_ns) {
        *credit_ns -= (int64_t)cost_ns;
        return 0;
    }
    now_ns = clock_monotonic_ns();
    if (credit_ns && cost_ns) {
        uint64_t chunk = chunk_ns(thread, device, engine, now_ns);

        draw_ns = cost_ns - (uint64_t)*credit_ns;
        if (draw_ns < chunk)
            draw_ns = chunk;
    }
    gate_draw(client, device, engine, work, (uint64_t)truly_ns(engine, (int64_t)draw_ns));
    if (credit_ns) {
        *credit_ns += (int64_t)draw_ns - (int64_t)cost_ns;
        thread->drew_time_ns[device][engine] = clock_monotonic_ns();
        thread->begun = gate_signal_begun(client, device);
    }
    return draw_ns + !draw_ns;
}

static struct sample *measure(int device, const struct gate_work *work, uint64_t key, uint64_t cost_ns,
                              uint64_t drawn_ns, bool is_first)
{
    struct sample_work wanted = {.key = key,
                                 .paid_ns = cost_ns,
                                 .drawn_ns = drawn_ns,
                                 .per_key = 1,
                                 .device = device,
                                 .engine = gate_engine(work->kind),
                                 .is_first = is_first,
                                 .company = gate_company(shim.client, device, 0, NULL)};
    struct sample *sample;
    CUstreamCaptureMode mode;
    bool relaxed;

    if (gate_is_by_bytes(work->kind) && work->bytes >= COPY_SMALL_BYTES)
        wanted.per_key = (double)MIB_BYTES / (double)work->bytes;
    relaxed = shim_capture_relax(&mode);
    sample = sample_begin(&wanted, work->stream, work->is_per_thread);
    shim_capture_restore(relaxed, mode);
    return sample;
}

bool gate_is_awaited(uint64_t key)
{
    struct cost_more *more;
    bool is_awaited;

    pthread_mutex_lock(&costs_lock);
    more = cost_look(&gate_costs, key);
    is_awaited = more && more->is_awaited;
    pthread_mutex_unlock(&costs_lock);
    return is_awaited;
}

static void signal_begun(struct ledger_client *client, int device)
{
    uint64_t *begun = gate_signal_begun(client, device);

    if (begun)
        __atomic_add_fetch(begun, 1, __ATOMIC_RELEASE);
}

void gate_mark(struct gate_marks *ret_marks)
{
    struct ledger_client *client = shim.client;

    ret_marks->n = 0;
    for (unsigned d = 0; gate_is_on() && d < ledger_device_count(client); d++) {
        const uint64_t *begun = gate_signal_begun(client, (int)d);

        if (!begun)
            return;
        ret_marks->begun[ret_marks->n++] = __atomic_load_n(begun, __ATOMIC_ACQUIRE);
    }
}

void gate_waited(const struct gate_marks *marks)
{
    if (!gate_is_on())
        return;
    for (unsigned d = 0; d < marks->n; d++)
        gate_signal_ended(shim.client, (int)d, marks->begun[d]);
    gate_settle();
}

void gate_enter(struct gate_ticket *ticket, const struct gate_work *work)
{
    struct ledger_client *client = shim.client;
    const int device = client ? device_of(client) : -1;
    bool is_first = false;
    uint64_t drawn_ns;
    int64_t cost_ns;
    uint64_t key;

    *ticket = (struct gate_ticket){.device = -1};
    if (device < 0 || stream_captures(work))
        return;
    gate_settle();
    key = key_of(work);
    cost_ns = cost_find(&gate_costs, key);
    if (cost_ns == COST_UNKNOWN_NS && (work->kind == GATE_KERNEL || work->kind == GATE_GRAPH)) {
        is_first = unknown_begin(client, device, work, key, &cost_ns);
        if (cost_ns == COST_UNKNOWN_NS)
            cost_ns = 0;
    }
    ticket->device = device;
    ticket->key = key;
    ticket->stream = work->stream;
    ticket->is_per_thread = work->is_per_thread;
    ticket->engine = gate_engine(work->kind);
    ticket->paid_ns = cost_ns || gate_is_by_bytes(work->kind) ? cost_of(work, cost_ns) : 0;
    drawn_ns = pay(client, device, work, ticket->paid_ns);
    signal_begun(client, device);
    if (work->kind == GATE_STREAM_OPERATION || (!drawn_ns && !is_first))
        return;
    paid_note(key, ticket->paid_ns);
    gate_note_length(client, device, ticket->paid_ns);
    ticket->sample = measure(device, work, key, ticket->paid_ns, drawn_ns, is_first);
    if (is_first && !ticket->sample)
        first_failed(key);
}

void gate_leave(struct gate_ticket *ticket, CUresult result)
{
    struct sample *sample = ticket->sample;
    CUstreamCaptureMode mode;
    bool relaxed;

    if (ticket->device < 0)
        return;
    if (sample) {
        bool is_first = sample->work.is_first, is_measured;

        relaxed = shim_capture_relax(&mode);
        is_measured = sample_end(sample, ticket->stream, ticket->is_per_thread, result);
        shim_capture_restore(relaxed, mode);
        if (is_first && !is_measured)
            first_failed(ticket->key);
    }
    if (result != CUDA_SUCCESS && ticket->paid_ns)
        gate_correct(shim.client, ticket->device, ticket->engine,
                     truly_ns(ticket->engine, -(int64_t)ticket->paid_ns));
}
