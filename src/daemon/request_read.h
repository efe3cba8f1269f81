/* Reading the members of a JSON request. Each function names the member, what it holds and what was expected.
 */
#ifndef VGPU_DAEMON_REQUEST_READ_H
#define VGPU_DAEMON_REQUEST_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct grant_request;
struct inventory;
struct reservation_request;
struct share_request;

/* Every member of request must be "op" or one of names (a NULL-terminated list): a member that is not
 * understood is refused, since leaving it out might grant what was not asked for. */
int request_check_members(const json_t *request, const char *const *names, struct error *err);

/* An optional boolean; absent: fallback. */
int request_read_bool(const json_t *request, const char *name, bool fallback, bool *ret_value,
                      struct error *err);

/* An optional integer of min..max; absent: fallback. */
int request_read_count(const json_t *request, const char *name, uint64_t min, uint64_t max, uint64_t fallback,
                       uint64_t *ret_value, struct error *err);

/* A string of at most max_bytes - 1 bytes; NULL in *ret_text when absent and not required. Borrowed. */
int request_read_text(const json_t *request, const char *name, size_t max_bytes, bool required,
                      const char **ret_text, struct error *err);

/* memory_limit_bytes or memory_limit_permille, and overcommit. */
int request_read_memory(const json_t *request, struct reservation_request *ret_memory, struct error *err);

/* compute_permille, policy, weight, priority, time_slice_ns; each may be absent. */
int request_read_share(const json_t *request, struct share_request *ret_share, struct error *err);

/* "devices": UUIDs or numbers of the inventory, or "nvidia" or "software" alone; absent: any. -EAGAIN: a text
 * that only a device of the software GPU could answer to, and that was not asked for its devices yet. */
int request_read_devices(const json_t *request, const struct inventory *inventory,
                         struct grant_request *grant, struct error *err);

#endif
