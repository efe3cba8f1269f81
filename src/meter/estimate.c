/* Learning costs; see estimate.h. */
#include "meter/estimate.h"

/* So many in a row that are off by a half on the same side are no scatter: the work has changed. */
enum { AVERAGE_OVER = 8, CHANGED_AFTER = 3 };

#define NS_MAX (UINT64_C(1) << 58)

static void set(struct estimate *estimate, uint64_t ns)
{
    estimate->cost_q4_ns = ns << 4;
}

/* Moves the average towards ns; a first clean measurement replaces what bounds said. */
static void follow(struct estimate *estimate, uint64_t ns, uint64_t now_ns)
{
    int64_t difference = (int64_t)(ns << 4) - (int64_t)estimate->cost_q4_ns;
    int off = difference > (int64_t)(estimate->cost_q4_ns / 2)    ? 1
              : difference < -(int64_t)(estimate->cost_q4_ns / 2) ? -1
                                                                  : 0;

    estimate->n_off =
        off && (off > 0) == (estimate->n_off > 0) ? (int8_t)(estimate->n_off + off) : (int8_t)off;
    if (!estimate->clean_time_ns || estimate->n_off >= CHANGED_AFTER || estimate->n_off <= -CHANGED_AFTER) {
        set(estimate, ns);
        estimate->n_off = 0;
    } else {
        estimate->cost_q4_ns += (uint64_t)(difference / AVERAGE_OVER);
    }
    if (!estimate->least_ns || ns < estimate->least_ns)
        estimate->least_ns = ns;
    estimate->clean_time_ns = now_ns;
}

static void take_bound(struct estimate *estimate, uint64_t ns)
{
    if (!estimate->n_measured || (!estimate->clean_time_ns && ns < estimate_cost_ns(estimate))) {
        set(estimate, ns);
    } else if (estimate->clean_time_ns && ns < estimate->least_ns) { /* it has changed */
        set(estimate, ns);
        estimate->least_ns = ns;
    }
}

void estimate_take(struct estimate *estimate, uint64_t ns, enum estimate_worth worth, uint64_t now_ns)
{
    if (ns > NS_MAX)
        ns = NS_MAX;
    if (!ns)
        ns = 1;
    if (worth == ESTIMATE_BOUND) {
        take_bound(estimate, ns);
    } else if (worth == ESTIMATE_EXACT) {
        if (!estimate->exact_time_ns) /* near ones were too long */
            estimate->clean_time_ns = 0;
        follow(estimate, ns, now_ns);
        estimate->exact_time_ns = now_ns;
    } else if (!estimate->exact_time_ns || now_ns - estimate->exact_time_ns > ESTIMATE_EXACT_NS) {
        follow(estimate, ns, now_ns);
    } else {
        take_bound(estimate, ns);
    }
    estimate->n_measured += estimate->n_measured < UINT32_MAX;
}

static bool is_near(uint64_t a, uint64_t b)
{
    return a > b ? a - b <= b / 8 : b - a <= a / 8;
}

/* What two measurements of windows say together. */
static uint64_t agree(uint64_t a, uint64_t b)
{
    uint64_t less = a < b ? a : b, more = a < b ? b : a;

    return more - less > less / 4 ? less : less + (more - less) / 2;
}

void estimate_take_window(struct estimate *estimate, uint64_t ns, uint64_t window, uint64_t now_ns)
{
    uint64_t cost_ns = estimate_cost_ns(estimate), said_ns;

    if (ns > NS_MAX)
        ns = NS_MAX;
    if (estimate->window != window && !is_near(estimate->window_ns, ns)) {
        estimate->window = window;
        estimate->window_ns = ns;
        estimate_take(estimate, ns, ESTIMATE_BOUND, now_ns);
        return;
    }
    said_ns = agree(estimate->window_ns, ns);
    estimate->window = window;
    estimate->window_ns = ns;
    if (estimate->clean_time_ns && said_ns > cost_ns + cost_ns / 8 && !estimate->is_raised) {
        estimate->is_raised = true;
        estimate->clean_time_ns =
            now_ns > ESTIMATE_CLEAN_NS ? now_ns - ESTIMATE_CLEAN_NS : 1; /* unsure from now on */
        return;
    }
    estimate->is_raised = false;
    set(estimate, said_ns + !said_ns);
    estimate->least_ns = said_ns;
    estimate->exact_time_ns = estimate->clean_time_ns = now_ns;
    estimate->n_measured += estimate->n_measured < UINT32_MAX;
}

bool estimate_is_unsure(const struct estimate *estimate, uint64_t now_ns)
{
    return !estimate->clean_time_ns || now_ns - estimate->clean_time_ns > ESTIMATE_CLEAN_NS;
}
