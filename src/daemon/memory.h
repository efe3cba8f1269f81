/* Whether memory ran out while an answer was made. JSON is built in many small pieces, and one that could not
 * be had would be missing from the answer silently; so each failed allocation is remembered, and an answer is
 * sent only if there was none. One thread. */
#ifndef VGPU_DAEMON_MEMORY_H
#define VGPU_DAEMON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* From now on the allocations of the JSON library are watched. */
void memory_init(void);

/* calloc that is watched. */
void *memory_new(size_t n, size_t bytes);

bool memory_failed(void);

/* Sets what memory_failed says: false before a request; what it was before, around work whose failure is told
 * otherwise. */
void memory_set_failed(bool failed);

#endif
