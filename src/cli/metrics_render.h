/* vgpud's answers in Prometheus' text format, by the rows of metrics_table.c. Pure. */
#ifndef VGPU_CLI_METRICS_RENDER_H
#define VGPU_CLI_METRICS_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics_wishes {
    bool hami_names;  /* HAMi's names too */
    const char *node; /* what they call this machine */
};

/* answers: of collect_ask, or NULL when vgpud did not give any: then vgpu_up is 0 and there is nothing else
 * of it. asked_ns: how long it took. What is null or missing is not known, and not there. NULL without
 * memory; else the caller's text, *ret_bytes long. */
char *metrics_render(const json_t *answers, uint64_t asked_ns, const struct metrics_wishes *wishes,
                     size_t *ret_bytes);

#endif
