/* What a request says of compute shares, and what an instance has of it then. Pure. */
#ifndef VGPU_DAEMON_SHARE_TERMS_H
#define VGPU_DAEMON_SHARE_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "ledger/layout.h"

enum {
    SHARE_WEIGHT_MAX = 10000,
    SHARE_TIME_SLICE_MIN_NS = 100 * 1000,
    SHARE_TIME_SLICE_MAX_NS = 100 * 1000 * 1000,
};

/* As asked for an instance: on each of its devices. */
struct share_terms {
    enum ledger_policy policy;
    enum ledger_priority priority;
    uint32_t share_permille, weight;
    uint64_t time_slice_ns;
};

/* Members that were given; the others are 0. */
struct share_request {
    bool has_policy, has_priority;
    enum ledger_policy policy;
    enum ledger_priority priority;
    uint32_t compute_permille, weight;
    uint64_t time_slice_ns;
};

/* What an instance has that asked for nothing. */
extern const struct share_terms share_terms_default;

bool share_request_is_empty(const struct share_request *request);

/* Changes what is given and leaves the rest: a share without a policy makes an instance that has no share yet
 * a fixed one. 0, or -EINVAL with err filled and nothing changed. */
int share_terms_apply(struct share_terms *terms, const struct share_request *request, struct error *err);

/* "best-effort", "low", ... and back; -EINVAL with err filled. */
const char *share_policy_name(enum ledger_policy policy);
const char *share_priority_name(enum ledger_priority priority);
int share_policy_parse(const char *text, enum ledger_policy *ret_policy, struct error *err);
int share_priority_parse(const char *text, enum ledger_priority *ret_priority, struct error *err);

#endif
