/* Which devices a process sees: CUDA_VISIBLE_DEVICES, as NVIDIA's programming guide describes it. */
#ifndef VGPU_SOFTGPU_DRIVER_VISIBLE_H
#define VGPU_SOFTGPU_DRIVER_VISIBLE_H

#include "softgpu/device/client.h"

/* Reads `list`, the variable's value (NULL: unset, all devices in order): numbers, or UUIDs "GPU-..." which may be cut short as
 * long as they name one device; separated by commas. The first entry that names no device, or one named before, ends the list. Fills
 * numbers (room for n_devices) and returns how many there are. */
unsigned visible_devices(const char *list, const struct sgdev_properties *const *devices, unsigned n_devices,
                         unsigned *ret_numbers);

#endif
