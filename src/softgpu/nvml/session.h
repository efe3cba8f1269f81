/* What all NVML calls share: whether the library is initialised, its link to the device process, the handles.
 */
#ifndef VGPU_SOFTGPU_NVML_SESSION_H
#define VGPU_SOFTGPU_NVML_SESSION_H

#include <stdbool.h>

#include "api/nvml_api.h"
#include "softgpu/device/client.h"

/* Open or one more user of the open session; and one less. */
nvmlReturn_t session_open(void);
nvmlReturn_t session_close(void);

/* A call that uses the session: it cannot be closed between begin and end. */
struct session_call {
    struct sgdev *dev; /* NULL: begin has failed */
    unsigned ordinal;
    const struct sgdev_properties *properties;
};

/* -> NVML_ERROR_UNINITIALIZED, or NVML_ERROR_INVALID_ARGUMENT when `argument`, a pointer that the caller must
 * give, is NULL. */
nvmlReturn_t session_begin(struct session_call *call, const void *argument);

/* The same for a call about a device; NVML_ERROR_INVALID_ARGUMENT for what is no handle. */
nvmlReturn_t session_begin_device(struct session_call *call, nvmlDevice_t device, const void *argument);

/* After every begin, whatever it returned. */
void session_leave(struct session_call *call);

/* The same as the last step of a call: returns r. */
static inline nvmlReturn_t session_end(struct session_call *call, nvmlReturn_t r)
{
    session_leave(call);
    return r;
}

/* The handle of a device that exists. */
nvmlDevice_t session_device(unsigned ordinal);

/* -1 for what is no handle. */
int session_ordinal(const struct session_call *call, nvmlDevice_t device);

/* What a negative errno of sgdev_* is to NVML's callers. */
nvmlReturn_t session_error(int r);

/* Writes text if it fits into length bytes with its end: NVML_ERROR_INSUFFICIENT_SIZE. */
nvmlReturn_t session_text(char *to, unsigned length, const char *text);

/* What the generated stubs answer: NVML_ERROR_UNINITIALIZED, or NVML_ERROR_NOT_SUPPORTED, which is a usual
 * answer of NVML: VGPU_LOG=debug shows who asked for what. */
int softgpu_nvml_unsupported(const char *symbol);

#endif
