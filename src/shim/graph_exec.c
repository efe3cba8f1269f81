/* Executable graphs with memory; see graph_exec.h. Programs have few of them, and look them up at launches:
 * a small hash table behind one lock, which is held for a few instructions. Graphs are walked only in
 * processes that ever made an allocation node. */
#include "shim/graph_exec.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define GRANULE_BYTES (UINT64_C(2) << 20)

enum { BUCKETS = 256 };

static pthread_mutex_t execs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct graph_exec *execs[BUCKETS];
static uint64_t left_bytes[LEDGER_DEVICES_MAX]; /* by destroyed ones; execs_lock */
static unsigned execs_count;                    /* atomic, written with execs_lock */
static bool nodes_expected;                     /* atomic */

void graph_nodes_expect(void)
{
    __atomic_store_n(&nodes_expected, true, __ATOMIC_RELEASE);
}

bool graph_nodes_expected(void)
{
    return __atomic_load_n(&nodes_expected, __ATOMIC_ACQUIRE);
}

/* ---- needs ---- */

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static struct graph_need *need_of(struct graph_needs *needs, CUdevice ordinal, int device)
{
    for (unsigned i = 0; i < needs->n; i++)
        if (needs->of[i].device == device)
            return &needs->of[i];
    needs->of[needs->n] = (struct graph_need){.ordinal = ordinal, .device = device};
    return &needs->of[needs->n++];
}

void graph_needs_add(struct graph_needs *needs, CUdevice ordinal, uint64_t bytes)
{
    struct graph_need *need = need_of(needs, ordinal, shim_device_index(ordinal));

    need->bytes = sum(need->bytes, sum(bytes, GRANULE_BYTES - 1) / GRANULE_BYTES * GRANULE_BYTES);
}

void graph_needs_add_all(struct graph_needs *needs, const struct graph_needs *more)
{
    for (unsigned i = 0; i < more->n; i++) {
        struct graph_need *need = need_of(needs, more->of[i].ordinal, more->of[i].device);

        need->bytes = sum(need->bytes, more->of[i].bytes);
    }
    needs->leaves |= more->leaves;
}

static CUresult add_allocation(struct graph_needs *needs, CUgraphNode node)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params;
    CUresult result = real(cuGraphMemAllocNodeGetParams)(node, &params);

    if (result == CUDA_SUCCESS && params.poolProps.location.type == CU_MEM_LOCATION_TYPE_DEVICE)
        graph_needs_add(needs, params.poolProps.location.id, params.bytesize);
    return result;
}

/* What a walk has yet to see: graphs, not nodes, so it is short. */
struct pending {
    CUgraph *graphs;
    size_t n, room;
    size_t allocations, frees;
};

static CUresult pending_add(struct pending *pending, CUgraph graph)
{
    if (pending->n == pending->room) {
        size_t room = pending->room ? 2 * pending->room : 8;
        CUgraph *graphs = reallocarray(pending->graphs, room, sizeof(*graphs));

        if (!graphs)
            return CUDA_ERROR_OUT_OF_MEMORY;
        pending->graphs = graphs;
        pending->room = room;
    }
    pending->graphs[pending->n++] = graph;
    return CUDA_SUCCESS;
}

static CUresult walk_node(struct graph_needs *needs, struct pending *pending, CUgraphNode node)
{
    CUgraphNodeType type;
    CUgraph child;
    CUresult result = real(cuGraphNodeGetType)(node, &type);

    if (result)
        return result;
    switch (type) {
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        pending->allocations++;
        return add_allocation(needs, node);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        pending->frees++;
        return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_GRAPH:
        result = real(cuGraphChildGraphNodeGetGraph)(node, &child);
        return result ? result : pending_add(pending, child);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL: /* nobody says which graphs are in it */
        return shim_refuse("a graph with a conditional node, in a program whose graphs allocate memory,");
    default:
        return CUDA_SUCCESS;
    }
}

static CUresult walk_graph(struct graph_needs *needs, struct pending *pending, CUgraph graph)
{
    CUgraphNode *nodes;
    size_t n = 0;
    CUresult result = real(cuGraphGetNodes)(graph, NULL, &n);

    if (result || !n)
        return result;
    nodes = calloc(n, sizeof(*nodes));
    if (!nodes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = real(cuGraphGetNodes)(graph, nodes, &n);
    for (size_t i = 0; i < n && !result; i++)
        result = walk_node(needs, pending, nodes[i]);
    free(nodes);
    return result;
}

CUresult graph_needs_walk(struct graph_needs *needs, CUgraph graph)
{
    struct pending pending = {0};
    CUresult result = pending_add(&pending, graph);

    while (!result && pending.n)
        result = walk_graph(needs, &pending, pending.graphs[--pending.n]);
    needs->leaves |= pending.allocations > pending.frees;
    free(pending.graphs);
    return result;
}

/* ---- executable graphs ---- */

static struct graph_exec **bucket_of(CUgraphExec handle)
{
    return &execs[(uint64_t)(uintptr_t)handle * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

/* The link that points to it, or to NULL. */
static struct graph_exec **link_of_locked(CUgraphExec handle)
{
    struct graph_exec **link = bucket_of(handle);

    while (*link && (*link)->handle != handle)
        link = &(*link)->next;
    return link;
}

static void count_locked(int delta)
{
    __atomic_store_n(&execs_count, execs_count + (unsigned)delta, __ATOMIC_RELEASE);
}

bool graph_exec_any(void)
{
    return __atomic_load_n(&execs_count, __ATOMIC_RELAXED) != 0;
}

int graph_exec_set(CUgraphExec exec, const struct graph_needs *needs, bool launched)
{
    struct graph_exec *made = needs->n ? malloc(sizeof(*made)) : NULL, *old, **link;

    if (needs->n && !made)
        return -ENOMEM;
    pthread_mutex_lock(&execs_lock);
    link = link_of_locked(exec);
    old = *link;
    if (old)
        *link = old->next;
    count_locked(!!made - !!old);
    if (made) {
        *made = (struct graph_exec){*link, exec, launched, *needs};
        *link = made;
    }
    pthread_mutex_unlock(&execs_lock);
    free(old);
    return 0;
}

bool graph_exec_find(CUgraphExec exec, struct graph_exec *ret_exec)
{
    const struct graph_exec *found;

    pthread_mutex_lock(&execs_lock);
    found = *link_of_locked(exec);
    if (found)
        *ret_exec = *found;
    pthread_mutex_unlock(&execs_lock);
    return found != NULL;
}

void graph_exec_mark(CUgraphExec exec, bool launched)
{
    struct graph_exec *found;

    pthread_mutex_lock(&execs_lock);
    found = *link_of_locked(exec);
    if (found)
        found->launched = launched;
    pthread_mutex_unlock(&execs_lock);
}

struct graph_exec *graph_exec_take(CUgraphExec handle)
{
    struct graph_exec *found, **link;

    pthread_mutex_lock(&execs_lock);
    link = link_of_locked(handle);
    found = *link;
    if (found) {
        *link = found->next;
        count_locked(-1);
    }
    pthread_mutex_unlock(&execs_lock);
    return found;
}

void graph_exec_put_back(struct graph_exec *exec)
{
    struct graph_exec **bucket = bucket_of(exec->handle);

    pthread_mutex_lock(&execs_lock);
    exec->next = *bucket;
    *bucket = exec;
    count_locked(1);
    pthread_mutex_unlock(&execs_lock);
}

void graph_exec_ended(struct graph_exec *exec)
{
    pthread_mutex_lock(&execs_lock);
    for (unsigned i = 0; exec->launched && exec->needs.leaves && i < exec->needs.n; i++) {
        const struct graph_need *need = &exec->needs.of[i];

        if (need->device >= 0)
            left_bytes[need->device] = sum(left_bytes[need->device], need->bytes);
    }
    pthread_mutex_unlock(&execs_lock);
    free(exec);
}

uint64_t graph_exec_launched_bytes(int device)
{
    uint64_t bytes;

    pthread_mutex_lock(&execs_lock);
    bytes = left_bytes[device];
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        for (const struct graph_exec *exec = execs[bucket]; exec; exec = exec->next)
            for (unsigned i = 0; exec->launched && i < exec->needs.n; i++)
                if (exec->needs.of[i].device == device)
                    bytes = sum(bytes, exec->needs.of[i].bytes);
    pthread_mutex_unlock(&execs_lock);
    return bytes;
}

void graph_exec_cap_left(int device, uint64_t reserved_bytes)
{
    pthread_mutex_lock(&execs_lock);
    if (left_bytes[device] > reserved_bytes)
        left_bytes[device] = reserved_bytes;
    pthread_mutex_unlock(&execs_lock);
}

/* The memory is left where it is: at the fork another thread may have been in the middle of changing it. */
void graph_exec_reset_in_child(void)
{
    execs_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        execs[bucket] = NULL;
    for (int device = 0; device < LEDGER_DEVICES_MAX; device++)
        left_bytes[device] = 0;
    execs_count = 0;
}
