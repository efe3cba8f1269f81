/* Remembered scores; see engine.h. A kind is found by a hash of its request; its scores are brought up to
 * date from the cluster's ring of changes, in which a node that changed twice is scored once. */
#include "place/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "place/copy.h"

enum { KIND_CHAINS = 1024 /* of the hash table */ };

struct kind {
    struct kind *next; /* in its chain */
    struct place_request request;
    struct place_policy policy;
    struct place_ask ask;
    uint64_t hash, last_used;
    double *scores;
    size_t room;
    uint64_t seen_changes, seen_shape, seen_mix; /* what the scores are up to date with */
};

struct place_engine {
    const struct place_cluster *cluster;
    struct place_scorer scorer;
    struct kind *chains[KIND_CHAINS];
    unsigned n_kinds;
    uint64_t uses, scored_total;
    uint64_t *passes; /* by node: the last pass that scored it */
    size_t passes_room;
    uint64_t pass;
};

struct place_engine *place_engine_new(const struct place_cluster *cluster, const struct place_mix *mix)
{
    struct place_engine *engine = calloc(1, sizeof(*engine));

    if (engine) {
        engine->cluster = cluster;
        engine->scorer = (struct place_scorer){cluster, mix, PLACE_BEST_FIT_WEIGHT};
    }
    return engine;
}

static void kind_free(struct kind *kind)
{
    place_request_done(&kind->request);
    free(kind->scores);
    free(kind);
}

void place_engine_free(struct place_engine *engine)
{
    if (!engine)
        return;
    for (unsigned i = 0; i < KIND_CHAINS; i++) {
        for (struct kind *kind = engine->chains[i], *next; kind; kind = next) {
            next = kind->next;
            kind_free(kind);
        }
    }
    free(engine->passes);
    free(engine);
}

static uint64_t hash_add(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_names(uint64_t hash, const struct place_names *names)
{
    hash = hash_add(hash, names->n);
    for (unsigned i = 0; i < names->n; i++) {
        for (const char *c = names->names[i]; *c; c++)
            hash = hash_add(hash, (unsigned char)*c);
    }
    return hash;
}

static uint64_t kind_hash(const struct place_request *request, struct place_policy policy)
{
    uint64_t hash = hash_add(policy.node, policy.device);

    hash = hash_add(hash_add(hash, request->cpu_milli), request->memory_bytes);
    hash = hash_add(hash_add(hash, request->n_devices), request->device_memory_bytes);
    hash = hash_add(hash_add(hash, request->device_memory_permille), request->compute_permille);
    hash = hash_add(hash_add(hash, request->whole), request->one_numa_node);
    hash = hash_names(hash_names(hash, &request->types), &request->not_types);
    return hash_names(hash_names(hash, &request->uuids), &request->not_uuids);
}

static void engine_forget_oldest(struct place_engine *engine)
{
    struct kind **oldest = NULL, *gone;

    for (unsigned i = 0; i < KIND_CHAINS; i++) {
        for (struct kind **at = &engine->chains[i]; *at; at = &(*at)->next) {
            if (!oldest || (*at)->last_used < (*oldest)->last_used)
                oldest = at;
        }
    }
    if (!oldest)
        return;
    gone = *oldest;
    *oldest = gone->next;
    kind_free(gone);
    engine->n_kinds--;
}

static struct kind *engine_kind(struct place_engine *engine, const struct place_request *request,
                                struct place_policy policy)
{
    uint64_t hash = kind_hash(request, policy);
    struct kind **chain = &engine->chains[hash % KIND_CHAINS], *kind;

    for (kind = *chain; kind; kind = kind->next) {
        if (kind->hash == hash && kind->policy.node == policy.node && kind->policy.device == policy.device &&
            place_request_equal(&kind->request, request))
            return kind;
    }
    if (engine->n_kinds >= PLACE_KINDS_MAX)
        engine_forget_oldest(engine);
    kind = calloc(1, sizeof(*kind));
    if (!kind || place_request_copy(&kind->request, request)) {
        free(kind);
        return NULL;
    }
    kind->hash = hash;
    kind->policy = policy;
    kind->seen_shape = UINT64_MAX; /* nothing is up to date */
    kind->next = *chain;
    *chain = kind;
    engine->n_kinds++;
    return kind;
}

static void kind_score(struct place_engine *engine, struct kind *kind, size_t index)
{
    const struct place_node *node = &engine->cluster->nodes[index];
    uint64_t fit;

    kind->scores[index] = place_fits(node, &kind->ask, &fit)
                              ? place_score(&engine->scorer, node, &kind->ask, fit, kind->policy)
                              : PLACE_NO_FIT;
    engine->scored_total++;
}

static int engine_grow(struct place_engine *engine, struct kind *kind)
{
    size_t room = engine->cluster->room;
    double *scores;

    if (kind->room < room) {
        scores = reallocarray(kind->scores, room, sizeof(*scores));
        if (!scores)
            return -ENOMEM;
        for (size_t i = kind->room; i < room; i++)
            scores[i] = PLACE_NO_FIT;
        kind->scores = scores;
        kind->room = room;
    }
    if (engine->passes_room < room) {
        uint64_t *passes = reallocarray(engine->passes, room, sizeof(*passes));

        if (!passes)
            return -ENOMEM;
        memset(passes + engine->passes_room, 0, (room - engine->passes_room) * sizeof(*passes));
        engine->passes = passes;
        engine->passes_room = room;
    }
    return 0;
}

static void kind_score_all(struct place_engine *engine, struct kind *kind)
{
    place_ask_init(&kind->ask, engine->cluster, &kind->request);
    for (size_t i = 0; i < engine->cluster->n_nodes; i++)
        kind_score(engine, kind, i);
}

static void kind_score_changed(struct place_engine *engine, struct kind *kind)
{
    const struct place_cluster *cluster = engine->cluster;

    engine->pass++;
    for (uint64_t change = kind->seen_changes; change < cluster->n_changes; change++) {
        uint32_t index = cluster->changed_nodes[change % PLACE_CHANGES];

        if (engine->passes[index] != engine->pass)
            kind_score(engine, kind, index);
        engine->passes[index] = engine->pass;
    }
}

/* Finds the kind and brings its scores up to date. NULL: out of memory. */
static struct kind *engine_update(struct place_engine *engine, const struct place_request *request,
                                  struct place_policy policy)
{
    const struct place_cluster *cluster = engine->cluster;
    struct kind *kind = engine_kind(engine, request, policy);
    uint64_t mix_generation = place_mix_generation(engine->scorer.mix);

    if (!kind || engine_grow(engine, kind))
        return NULL;
    kind->last_used = ++engine->uses;
    if (kind->seen_shape != cluster->shape || kind->seen_mix != mix_generation ||
        cluster->n_changes - kind->seen_changes > PLACE_CHANGES)
        kind_score_all(engine, kind);
    else
        kind_score_changed(engine, kind);
    kind->seen_shape = cluster->shape;
    kind->seen_mix = mix_generation;
    kind->seen_changes = cluster->n_changes;
    return kind;
}

int place_engine_scores(struct place_engine *engine, const struct place_request *request,
                        struct place_policy policy, const double **ret_scores)
{
    struct kind *kind = engine_update(engine, request, policy);

    if (!kind)
        return -ENOMEM;
    *ret_scores = kind->scores;
    return 0;
}

/* Index of the greatest score, one of equals at random; n where all are PLACE_NO_FIT. */
static size_t best_index(const double *scores, size_t n, struct place_random *random)
{
    double best = PLACE_NO_FIT;
    size_t n_equal = 0, chosen;

    for (size_t i = 0; i < n; i++) {
        if (scores[i] > best) {
            best = scores[i];
            n_equal = 1;
        } else if (scores[i] == best) {
            n_equal++;
        }
    }
    if (best == PLACE_NO_FIT)
        return n;
    chosen = place_random_below(random, n_equal);
    for (size_t i = 0;; i++) {
        if (scores[i] == best && !chosen--)
            return i;
    }
}

int place_engine_decide(struct place_engine *engine, const struct place_request *request,
                        struct place_policy policy, struct place_random *random,
                        struct place_choice *ret_choice)
{
    const struct place_cluster *cluster = engine->cluster;
    struct kind *kind = engine_update(engine, request, policy);
    const struct place_node *node;
    uint64_t fit = 0;
    size_t index;

    if (!kind)
        return -ENOMEM;
    index = best_index(kind->scores, cluster->n_nodes, random);
    if (index == cluster->n_nodes)
        return -ENOSPC;
    node = &cluster->nodes[index];
    if (!place_fits(node, &kind->ask, &fit))
        return -ENOSPC;
    ret_choice->node = index;
    ret_choice->devices = place_pick(&engine->scorer, node, &kind->ask, fit, policy.device, random);
    return 0;
}

uint64_t place_engine_scored_total(const struct place_engine *engine)
{
    return engine->scored_total;
}
