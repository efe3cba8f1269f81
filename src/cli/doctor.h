/* What `vgpu doctor` finds: rows of {check, status, text, advice}. Private to src/cli/doctor*.c. */
#ifndef VGPU_CLI_DOCTOR_H
#define VGPU_CLI_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>

enum doctor_status { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    json_t *rows;
    bool failed;
};

/* Adds a finding. advice: what to do about it, NULL when nothing. */
void doctor_add(struct doctor *doctor, const char *check, enum doctor_status status, const char *advice,
                const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The installation and the kernel: what can be seen without vgpud. */
void doctor_check_install(struct doctor *doctor);
void doctor_check_loading(struct doctor *doctor);
void doctor_check_kernel(struct doctor *doctor);

/* vgpud, and through it the drivers. */
void doctor_check_daemon(struct doctor *doctor);

#endif
