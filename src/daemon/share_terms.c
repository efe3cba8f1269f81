/* The rules between policy, share and weight; see share_terms.h. */
#include "daemon/share_terms.h"

#include <errno.h>
#include <string.h>

const struct share_terms share_terms_default = {
    .policy = LEDGER_BEST_EFFORT, .priority = LEDGER_PRIORITY_NORMAL, .weight = 1};

static const char *const policies[] = {"best-effort", "equal-share", "fixed-share"};
static const char *const priorities[] = {"low", "normal", "high"};

bool share_request_is_empty(const struct share_request *request)
{
    return !request->has_policy && !request->has_priority && !request->compute_permille && !request->weight &&
           !request->time_slice_ns;
}

static enum ledger_policy policy_after(const struct share_terms *terms, const struct share_request *request)
{
    if (request->has_policy)
        return request->policy;
    if (request->compute_permille && terms->policy == LEDGER_BEST_EFFORT && !terms->share_permille)
        return LEDGER_FIXED_SHARE;
    return terms->policy;
}

int share_terms_apply(struct share_terms *terms, const struct share_request *request, struct error *err)
{
    struct share_terms made = *terms;

    made.policy = policy_after(terms, request);
    if (request->compute_permille)
        made.share_permille = request->compute_permille;
    if (made.policy == LEDGER_EQUAL_SHARE && request->compute_permille)
        return error_fail(
            err, -EINVAL,
            "--policy equal-share divides what there is by weight and takes no --compute; use --weight, or "
            "--policy fixed-share or best-effort with --compute");
    if (made.policy == LEDGER_EQUAL_SHARE)
        made.share_permille = 0;
    if (made.policy == LEDGER_FIXED_SHARE && !made.share_permille)
        return error_fail(err, -EINVAL,
                          "--policy fixed-share needs a share: add --compute, for example --compute 30%%");
    if (request->has_priority)
        made.priority = request->priority;
    if (request->weight)
        made.weight = request->weight;
    if (request->time_slice_ns)
        made.time_slice_ns = request->time_slice_ns;
    *terms = made;
    return 0;
}

/* ---- names ---- */

const char *share_policy_name(enum ledger_policy policy)
{
    return policies[policy];
}

const char *share_priority_name(enum ledger_priority priority)
{
    return priorities[priority];
}

/* Index of text among three names, or -1. */
static int name_find(const char *const names[3], const char *text)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(names[i], text))
            return i;
    return -1;
}

int share_policy_parse(const char *text, enum ledger_policy *ret_policy, struct error *err)
{
    int found = name_find(policies, text);

    if (found < 0)
        return error_fail(err, -EINVAL,
                          "'%.40s' is no policy; expected best-effort, equal-share or fixed-share", text);
    *ret_policy = (enum ledger_policy)found;
    return 0;
}

int share_priority_parse(const char *text, enum ledger_priority *ret_priority, struct error *err)
{
    int found = name_find(priorities, text);

    if (found < 0)
        return error_fail(err, -EINVAL, "'%.40s' is no priority; expected low, normal or high", text);
    *ret_priority = (enum ledger_priority)found;
    return 0;
}
