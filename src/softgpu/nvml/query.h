/* QUERY(function, type, value): an NVML function that answers one value about a device. `value` may use p,
 * the device's properties, and ordinal. */
#ifndef VGPU_SOFTGPU_NVML_QUERY_H
#define VGPU_SOFTGPU_NVML_QUERY_H

#include "softgpu/nvml/session.h"

#define QUERY(function, type, value)                                                                         \
    nvmlReturn_t function(nvmlDevice_t device, type *answer)                                                 \
    {                                                                                                        \
        struct session_call call;                                                                            \
        nvmlReturn_t r = session_begin_device(&call, device, answer);                                        \
                                                                                                             \
        if (r == NVML_SUCCESS) {                                                                             \
            __attribute__((unused)) const struct sgdev_properties *p = call.properties;                      \
            __attribute__((unused)) unsigned ordinal = call.ordinal;                                         \
                                                                                                             \
            *answer = (value);                                                                               \
        }                                                                                                    \
        return session_end(&call, r);                                                                        \
    }

#endif
