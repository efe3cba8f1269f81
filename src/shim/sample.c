/* Measurements; see sample.h. A slot has one owner at a time, by its state: FREE slots and PENDING ones are
 * taken by compare-and-swap, and only the taker asks the driver about their events. */
#include "shim/sample.h"

#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"
#include "shim/shim.h"

enum { SAMPLES = 64 };

enum { FREE, TAKEN, PENDING };

static struct sample samples[SAMPLES];
static unsigned n_pending;

/* ---- the order of handing over ---- */

/* Streams count as several while one of the last so many measurements was in another than the one before it.
 */
enum { SEVERAL_FOR = 64 };

/* Work is late when it takes so many times what it should, and more. */
enum { LATE_TIMES = 8 };

static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint64_t sequence, several_until;
    struct sample *last;
} order;

/* Events that ends are compared with, the newest and the one before, so that floats stay exact. */
#define BASE_NS (UINT64_C(500) * NS_PER_MS)

static struct base {
    CUcontext context;
    CUevent event;
    uint64_t epoch; /* 0 while it is changed */
} bases[2];
static uint64_t base_epoch, base_time_ns; /* written by the thread that has base_taken */
static bool base_taken;

static bool take(struct sample *sample, unsigned from)
{
    return __atomic_load_n(&sample->state, __ATOMIC_RELAXED) == from &&
           __atomic_compare_exchange_n(&sample->state, &from, TAKEN, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void put(struct sample *sample, unsigned state)
{
    __atomic_store_n(&sample->state, state, __ATOMIC_RELEASE);
}

static void events_destroy(struct sample *sample)
{
    if (sample->begin)
        real(cuEventDestroy_v2)(sample->begin);
    if (sample->end)
        real(cuEventDestroy_v2)(sample->end);
    sample->begin = sample->end = NULL;
    sample->context = NULL;
}

static bool events_create(struct sample *sample, CUcontext context)
{
    if (real(cuEventCreate)(&sample->begin, CU_EVENT_DEFAULT) != CUDA_SUCCESS)
        sample->begin = NULL;
    if (!sample->begin || real(cuEventCreate)(&sample->end, CU_EVENT_DEFAULT) != CUDA_SUCCESS)
        sample->end = NULL;
    sample->context = context;
    if (!sample->end)
        events_destroy(sample);
    return sample->end != NULL;
}

/* A free slot with events of the context: one that has them, else one without, else another context's. */
static struct sample *take_free(CUcontext context)
{
    for (unsigned pass = 0; pass < 3; pass++) {
        for (struct sample *s = samples; s < samples + SAMPLES; s++) {
            CUcontext of = __atomic_load_n(&s->context, __ATOMIC_RELAXED);

            if ((pass == 0 && of != context) || (pass == 1 && of) || !take(s, FREE))
                continue;
            if (s->context == context)
                return s;
            events_destroy(s);
            if (events_create(s, context))
                return s;
            put(s, FREE);
            return NULL;
        }
    }
    return NULL;
}

static CUresult record(CUevent event, CUstream stream, bool is_per_thread)
{
    return is_per_thread ? real(cuEventRecord_ptsz)(event, stream) : real(cuEventRecord)(event, stream);
}

struct sample *sample_begin(const struct sample_work *work, CUstream stream, bool is_per_thread)
{
    struct sample *sample;
    CUcontext context;
    uint64_t before_ns = clock_monotonic_ns();

    if (real(cuCtxGetCurrent)(&context) != CUDA_SUCCESS || !context)
        return NULL;
    sample = take_free(context);
    if (!sample)
        return NULL;
    sample->work = *work;
    if (record(sample->begin, stream, is_per_thread) != CUDA_SUCCESS) {
        put(sample, FREE);
        return NULL;
    }
    sample->begun_ns = clock_monotonic_ns();
    sample->gap_ns = sample->begun_ns - before_ns;
    return sample;
}

/* A stream in this process; threads' own default streams share a handle. */
static uintptr_t stream_name(CUstream stream, bool is_per_thread)
{
    return (is_per_thread && !stream) || stream == CU_STREAM_PER_THREAD ? (uintptr_t)pthread_self()
                                                                        : (uintptr_t)stream;
}

/* Gives the sample its place in the order. True when streams are several. */
static bool order_take(struct sample *sample, CUstream stream, bool is_per_thread)
{
    bool is_several;

    pthread_mutex_lock(&order_lock);
    sample->stream = stream_name(stream, is_per_thread);
    sample->sequence = ++order.sequence;
    sample->before = order.last;
    if (order.last && order.last->stream != sample->stream)
        order.several_until = order.sequence + SEVERAL_FOR;
    order.last = sample;
    is_several = order.sequence < order.several_until;
    pthread_mutex_unlock(&order_lock);
    return is_several;
}

/* A base event for ends in this context; its epoch, or 0: there is none. Renewed by one thread at a time. */
static uint64_t base_get(CUcontext context, CUstream stream, bool is_per_thread, uint64_t now_ns)
{
    uint64_t epoch = __atomic_load_n(&base_epoch, __ATOMIC_ACQUIRE);
    struct base *base = &bases[epoch % 2];

    if (epoch && base->context == context && now_ns - base_time_ns < BASE_NS)
        return epoch;
    if (__atomic_exchange_n(&base_taken, true, __ATOMIC_ACQUIRE))
        return 0;
    base = &bases[++epoch % 2];
    __atomic_store_n(&base->epoch, 0, __ATOMIC_RELEASE);
    if (base->context != context) {
        if (base->event)
            real(cuEventDestroy_v2)(base->event);
        base->context = context;
        if (real(cuEventCreate)(&base->event, CU_EVENT_DEFAULT) != CUDA_SUCCESS)
            base->event = NULL;
    }
    if (base->event && record(base->event, stream, is_per_thread) == CUDA_SUCCESS) {
        base_time_ns = now_ns;
        __atomic_store_n(&base->epoch, epoch, __ATOMIC_RELEASE);
        __atomic_store_n(&base_epoch, epoch, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&base_taken, false, __ATOMIC_RELEASE);
    return 0; /* it lies behind this sample */
}

/* Whether the device goes on from the sample before without a pause. */
static void chain(struct sample *sample, CUstream stream, bool is_per_thread)
{
    struct sample *before = sample->before;

    sample->epoch = base_get(sample->context, stream, is_per_thread, sample->begun_ns);
    if (!before || before == sample || !take(before, PENDING))
        return;
    sample->is_chained =
        before->sequence + 1 == sample->sequence && real(cuEventQuery)(before->end) == CUDA_ERROR_NOT_READY;
    put(before, PENDING);
}

bool sample_end(struct sample *sample, CUstream stream, bool is_per_thread, CUresult result)
{
    uint64_t launch_ns = clock_monotonic_ns() - sample->begun_ns;

    if (result != CUDA_SUCCESS || record(sample->end, stream, is_per_thread) != CUDA_SUCCESS) {
        put(sample, FREE);
        return false;
    }
    /* Which of the two calls the device's wait was in is the driver's secret: the shorter one is surely not
     * too much. */
    sample->pending_ns = sample->begun_ns;
    if (launch_ns < sample->gap_ns)
        sample->gap_ns = launch_ns;
    sample->is_gapless = real(cuEventQuery)(sample->begin) == CUDA_ERROR_NOT_READY;
    sample->is_chained = false;
    sample->epoch = 0;
    if (order_take(sample, stream, is_per_thread))
        chain(sample, stream, is_per_thread);
    __atomic_add_fetch(&n_pending, 1, __ATOMIC_RELAXED);
    put(sample, PENDING);
    return true;
}

unsigned sample_count(void)
{
    return __atomic_load_n(&n_pending, __ATOMIC_RELAXED);
}

static CUresult elapsed_ms(float *ret_ms, CUevent begin, CUevent end)
{
    return (void *)real(cuEventElapsedTime_v2) != shim_missing
               ? real(cuEventElapsedTime_v2)(ret_ms, begin, end)
               : real(cuEventElapsedTime)(ret_ms, begin, end);
}

/* When the sample ended, after its base event; its epoch is taken from it where nobody can say. */
static void end_get(struct sample *sample)
{
    const struct base *base = &bases[sample->epoch % 2];
    float ms = 0;

    if (!sample->epoch)
        return;
    if (__atomic_load_n(&base->epoch, __ATOMIC_ACQUIRE) != sample->epoch ||
        elapsed_ms(&ms, base->event, sample->end) != CUDA_SUCCESS ||
        __atomic_load_n(&base->epoch, __ATOMIC_ACQUIRE) != sample->epoch)
        sample->epoch = 0;
    sample->end_ns = (int64_t)((double)ms * 1e6);
}

static bool elapsed_ns(const struct sample *sample, uint64_t *ret_ns)
{
    float ms = 0;

    if (elapsed_ms(&ms, sample->begin, sample->end) != CUDA_SUCCESS || !(ms >= 0 && ms < 1e9F))
        return false;
    *ret_ns = (uint64_t)((double)ms * 1e6);
    return true;
}

void sample_collect(sample_taken *taken)
{
    CUstreamCaptureMode mode;
    uint64_t now_ns;
    bool relaxed;

    if (!sample_count())
        return;
    relaxed = shim_capture_relax(&mode);
    now_ns = clock_monotonic_ns();
    for (struct sample *s = samples; s < samples + SAMPLES; s++) {
        uint64_t measured_ns;
        CUresult result;

        if (!take(s, PENDING))
            continue;
        result = real(cuEventQuery)(s->end);
        if (result == CUDA_ERROR_NOT_READY) {
            s->pending_ns = now_ns;
            put(s, PENDING);
            continue;
        }
        __atomic_sub_fetch(&n_pending, 1, __ATOMIC_RELAXED);
        end_get(s);
        taken(s, result == CUDA_SUCCESS && elapsed_ns(s, &measured_ns) ? measured_ns + !measured_ns : 0);
        put(s, FREE);
    }
    shim_capture_restore(relaxed, mode);
}

bool sample_is_overdue(uint64_t now_ns, uint64_t late_ns, CUstream stream, bool is_per_thread)
{
    const uintptr_t own = stream_name(stream, is_per_thread);

    for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
        uint64_t due_ns = __atomic_load_n(&s->begun_ns, __ATOMIC_RELAXED) + late_ns +
                          LATE_TIMES * __atomic_load_n(&s->work.paid_ns, __ATOMIC_RELAXED);

        if (__atomic_load_n(&s->state, __ATOMIC_RELAXED) == PENDING && now_ns > due_ns &&
            __atomic_load_n(&s->stream, __ATOMIC_RELAXED) != own)
            return true;
    }
    return false;
}

static void bases_forget(void)
{
    for (unsigned i = 0; i < 2; i++)
        bases[i] = (struct base){0};
    __atomic_store_n(&base_epoch, 0, __ATOMIC_RELEASE);
}

void sample_forget_context(CUcontext context)
{
    if (bases[0].context == context || bases[1].context == context)
        bases_forget();
    for (struct sample *s = samples; s < samples + SAMPLES; s++) {
        bool was_pending;

        if (__atomic_load_n(&s->context, __ATOMIC_RELAXED) != context)
            continue;
        was_pending = take(s, PENDING);
        if (!was_pending && !take(s, FREE))
            continue;
        if (was_pending)
            __atomic_sub_fetch(&n_pending, 1, __ATOMIC_RELAXED);
        s->begin = s->end = NULL;
        s->context = NULL;
        put(s, FREE);
    }
}

void sample_reset_in_child(void)
{
    for (struct sample *s = samples; s < samples + SAMPLES; s++)
        *s = (struct sample){.state = FREE};
    n_pending = 0;
    order_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    order.last = NULL;
    bases_forget();
}
