/* The description of the software devices: from a person's text to struct sgdev_properties (docs/softgpu.md
 * has the keys). Pure but for reading a description file; used by softgpud, which makes the devices, and by
 * its clients, which learn so what is wrong with a description before they start anything. */
#ifndef VGPU_SOFTGPU_DEVICE_DESCRIBE_H
#define VGPU_SOFTGPU_DEVICE_DESCRIBE_H

#include <stdint.h>

#include "base/error.h"
#include "softgpu/device/client.h"

struct describe {
    unsigned n_devices;
    struct sgdev_properties devices[SGDEV_DEVICES_MAX];
};

/* Reads text: "key=value,...;key=value,...", or "@/path/of/a/file" with one device a line. NULL and "" give
 * the default device. 0; -EINVAL or -ERANGE with the key, the value and what is expected in err; or the
 * negative errno of the file. */
int describe_parse(const char *text, struct describe *ret_describe, struct error *err);

/* The same of VGPU_SOFTGPU_DEVICES. */
int describe_from_env(struct describe *ret_describe, struct error *err);

/* A number that is equal for equal devices: two processes agree by it that they mean the same ones. */
uint64_t describe_fingerprint(const struct describe *describe);

#endif
