/* What executable graphs may take: for each one that has allocation nodes, the sum of their bytes on each
 * device, each in granules of 2 MiB. A launch cannot make the device's graph memory grow by more.
 * Thread-safe, no lock is held over a driver call. Private to src/shim. */
#ifndef VGPU_SHIM_GRAPH_EXEC_H
#define VGPU_SHIM_GRAPH_EXEC_H

#include "shim/shim.h"

struct graph_need {
    CUdevice ordinal;
    int device; /* index in the instance, or -1: not in it */
    uint64_t bytes;
};

struct graph_needs {
    unsigned n;
    bool leaves; /* a launch may leave memory allocated: not every allocation has its free in the graph */
    struct graph_need of[LEDGER_DEVICES_MAX + 1]; /* one for all devices that are not in the instance */
};

/* Some graph of this process may have an allocation node: said before the first one is made. One load. */
void graph_nodes_expect(void);
bool graph_nodes_expected(void);

/* Adds an allocation of bytes on a device. */
void graph_needs_add(struct graph_needs *needs, CUdevice ordinal, uint64_t bytes);

/* Adds all of more. */
void graph_needs_add_all(struct graph_needs *needs, const struct graph_needs *more);

/* Adds what graph and the graphs in its nodes allocate. The driver's error; or that of shim_refuse, when part
 * of the graph cannot be looked into. */
CUresult graph_needs_walk(struct graph_needs *needs, CUgraph graph);

/* An executable graph with needs, as the account knows it. */
struct graph_exec {
    struct graph_exec *next;
    CUgraphExec handle;
    bool launched; /* or uploaded, or that is under way: it may have its memory */
    struct graph_needs needs;
};

/* Some executable graph has needs: one load. */
bool graph_exec_any(void);

/* Remembers what exec needs, in place of what was remembered. 0 or -ENOMEM. */
int graph_exec_set(CUgraphExec exec, const struct graph_needs *needs, bool launched);

/* Copies what is known of exec; false when it has no memory. */
bool graph_exec_find(CUgraphExec exec, struct graph_exec *ret_exec);

void graph_exec_mark(CUgraphExec exec, bool launched);

/* Takes exec out before the driver destroys it, NULL when it has no memory; and back when the driver refused.
 * When it is gone, ended frees it and remembers what its launches may have left. */
struct graph_exec *graph_exec_take(CUgraphExec handle);
void graph_exec_put_back(struct graph_exec *exec);
void graph_exec_ended(struct graph_exec *exec);

/* The most that launched graphs can use on a device of the instance at once, with what destroyed ones left.
 */
uint64_t graph_exec_launched_bytes(int device);

/* The device's graph memory is so large: destroyed graphs have left no more. */
void graph_exec_cap_left(int device, uint64_t reserved_bytes);

void graph_exec_reset_in_child(void);

#endif
