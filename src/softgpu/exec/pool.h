/* The host threads that play SMs: shared by all grids of the process, made when first needed, made anew in a
 * forked child. */
#ifndef VGPU_SOFTGPU_EXEC_POOL_H
#define VGPU_SOFTGPU_EXEC_POOL_H

/* Calls work(data) in the calling thread and in up to helpers others at the same time; returns when all have
 * returned. Fewer or no helpers come when threads cannot be made or are busy; work must not depend on them.
 * Thread-safe. */
void pool_run(void (*work)(void *data), void *data, unsigned helpers);

/* How many threads, the caller included, can work at once: processors this process may use, or what was set.
 */
unsigned pool_threads(void);

/* For tests: at most threads at once from now on; 0: as many as there are processors. */
void pool_limit(unsigned threads);

#endif
