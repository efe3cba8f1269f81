/* See overlap.h. Items are counted in the order of their sequences; one that stays away for long is given up.
 */
#include "meter/overlap.h"

/* Paid time that a factor is measured over, and the least it can be: a device with so many kernels at once.
 */
#define SPAN_NS      UINT64_C(20000000)
#define FACTOR_LEAST 15625
enum { FORGET = 32, PATIENCE = OVERLAP_ITEMS / 2 };

/* The sums forget slowly: a mean of factors of short spans would be too high. */
static void measure(struct overlap *overlap)
{
    double factor;

    if (overlap->paid_ns - overlap->paid_before_ns < SPAN_NS)
        return;
    factor = (double)overlap->busy_ns / (double)overlap->paid_ns * OVERLAP_PPM;
    if (factor < FACTOR_LEAST)
        factor = FACTOR_LEAST;
    if (factor > OVERLAP_PPM)
        factor = OVERLAP_PPM;
    overlap->factor_ppm = (uint32_t)factor;
    overlap->busy_ns -= overlap->busy_ns / FORGET;
    overlap->paid_ns -= overlap->paid_ns / FORGET;
    overlap->paid_before_ns = overlap->paid_ns;
}

static void count(struct overlap *overlap, const struct overlap_item *item)
{
    const struct overlap_item *last = &overlap->last;
    bool is_same_stream = item->stream == last->stream;

    overlap->n_alone = is_same_stream ? overlap->n_alone + (overlap->n_alone < OVERLAP_ITEMS) : 0;
    if (overlap->n_alone == OVERLAP_ITEMS) {
        overlap->busy_ns = 0;
        overlap->paid_ns = overlap->paid_before_ns = 0;
        overlap->factor_ppm = 0;
    }
    if (item->is_chained && item->is_clean && last->is_clean && item->sequence == last->sequence + 1 &&
        item->epoch == last->epoch) {
        overlap->busy_ns += item->end_ns - last->end_ns;
        overlap->paid_ns += (last->drawn_ns + item->drawn_ns) / 2;
        measure(overlap);
    }
    overlap->last = *item;
}

void overlap_take(struct overlap *overlap, const struct overlap_item *item)
{
    uint64_t next = overlap->last.sequence + 1;

    overlap->items[item->sequence % OVERLAP_ITEMS] = *item;
    if (item->sequence >= next + PATIENCE)
        next = item->sequence;
    for (; overlap->items[next % OVERLAP_ITEMS].sequence == next; next++)
        count(overlap, &overlap->items[next % OVERLAP_ITEMS]);
}

uint32_t overlap_factor_ppm(const struct overlap *overlap)
{
    return overlap->factor_ppm ? overlap->factor_ppm : OVERLAP_PPM;
}
