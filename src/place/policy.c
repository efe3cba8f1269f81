/* Reading and combining policies; see policy.h. */
#include "place/policy.h"

#include <stdio.h>
#include <string.h>

static const char *const order_texts[PLACE_ORDERS] = {
#define PLACE_POLICY_TEXT(name, text) [PLACE_##name] = text,
    PLACE_POLICIES(PLACE_POLICY_TEXT)
#undef PLACE_POLICY_TEXT
};

const char *place_order_text(enum place_order order)
{
    return order > PLACE_UNSET && order < PLACE_ORDERS ? order_texts[order] : "none";
}

static enum place_order order_parse(const char *text, size_t bytes)
{
    for (unsigned i = PLACE_UNSET + 1; i < PLACE_ORDERS; i++) {
        if (strlen(order_texts[i]) == bytes && !memcmp(order_texts[i], text, bytes))
            return (enum place_order)i;
    }
    return PLACE_UNSET;
}

static int policy_unknown(const char *text, struct error *err)
{
    char names[256] = "";
    size_t used = 0;

    for (unsigned i = PLACE_UNSET + 1; i < PLACE_ORDERS; i++)
        used +=
            (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", order_texts[i]);
    return error_fail(err, -EINVAL,
                      "\"%.64s\" is not a placement policy; known are %s, hami, and NODE/DEVICE of them",
                      text, names);
}

int place_policy_parse(const char *text, struct place_policy *ret_policy, struct error *err)
{
    const char *slash = strchr(text, '/');
    struct place_policy policy;

    if (!strcmp(text, "hami")) {
        *ret_policy = (struct place_policy){PLACE_HAMI_BINPACK, PLACE_HAMI_SPREAD};
        return 0;
    }
    policy.node = order_parse(text, slash ? (size_t)(slash - text) : strlen(text));
    policy.device = slash ? order_parse(slash + 1, strlen(slash + 1)) : policy.node;
    if (policy.node == PLACE_UNSET || policy.device == PLACE_UNSET)
        return policy_unknown(text, err);
    *ret_policy = policy;
    return 0;
}

struct place_policy place_policy_resolve(const struct place_policy *cluster,
                                         const struct place_policy *namespace_policy,
                                         const struct place_policy *pod)
{
    const struct place_policy *levels[] = {pod, namespace_policy, cluster};
    struct place_policy policy = {PLACE_UNSET, PLACE_UNSET};

    for (unsigned i = 0; i < 3; i++) {
        if (levels[i] && policy.node == PLACE_UNSET)
            policy.node = levels[i]->node;
        if (levels[i] && policy.device == PLACE_UNSET)
            policy.device = levels[i]->device;
    }
    if (policy.node == PLACE_UNSET)
        policy.node = PLACE_FGD;
    if (policy.device == PLACE_UNSET)
        policy.device = PLACE_FGD;
    return policy;
}
