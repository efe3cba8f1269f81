/* Why calls of an instance were refused or held back, in plain sentences made of what vgpud knows. Pure:
 * reads answers of vgpud, asks nobody, so that every reason can be tested. */
#ifndef VGPU_CLI_EXPLAIN_WORDS_H
#define VGPU_CLI_EXPLAIN_WORDS_H

#include <jansson.h>
#include <stdio.h>

/* instance: as instance.show gives it; instances, devices: the lists of instance.list and device.list, as far
 * as the asker may see them (an empty list is fine). Returns, as the caller's, an object {instance, name,
 * state, findings}; a finding is {kind, device, device_name, note, happened, advice}: `kind` is "denied",
 * "held" or "state", `note` what the account says of the call (null for a state), the last two are lists of
 * sentences. The newest call comes first. */
json_t *explain_findings(const json_t *instance, const json_t *instances, const json_t *devices);

/* Writes that for a person. */
void explain_print(const json_t *findings, FILE *out);

#endif
