/* What a command used, told at the end of `vgpu run`: a few lines for a person, one JSON object for a
 * program. The names are those of `vgpu instance show --json`. */
#ifndef VGPU_CLI_RUN_USAGE_H
#define VGPU_CLI_RUN_USAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/client.h"

struct run_usage {
    bool print, as_json;       /* on standard error: at all, and as JSON */
    const char *path;          /* of --usage-file, or NULL */
    FILE *file;                /* that, opened */
    uint64_t begin_ns, end_ns; /* of the command; 0: it did not run */
};

/* Opens usage->path, so that a file that cannot be written is refused before anything runs. What it holds
 * stays until the record replaces it. 0 or negative errno with err filled. */
int run_usage_open(struct run_usage *usage, struct error *err);

/* After the command, while the lease keeps the instance: asks vgpud what it used, and tells it wherever that
 * was asked for. granted: the grant, or NULL with err saying why there is none. Blocks for some seconds at
 * most. Returns the exit status to end with, which is the command's. */
int run_usage_tell(struct run_usage *usage, struct client *client, const json_t *granted, int status,
                   const struct error *err);

/* The record. `granted` and `shown` are instances as vgpud describes them: when the command began (NULL: it
 * did not) and when it ended (NULL: not known, `problem` says why). All figures that are not known are null.
 */
json_t *run_usage_record(const json_t *granted, const json_t *shown, const char *problem, uint64_t wall_ns,
                         int status);

/* Writes a record for a person. */
void run_usage_print(const json_t *record, FILE *out);

#endif
