/* From nothing to a connection with softgpud, which is started when none runs. */
#ifndef VGPU_SOFTGPU_DEVICE_LINK_H
#define VGPU_SOFTGPU_DEVICE_LINK_H

#include "base/error.h"
#include "softgpu/device/describe.h"
#include "softgpu/device/protocol.h"

struct link {
    int sock;                         /* connected and greeted, blocking, close-on-exec; the caller's */
    const struct protocol_page *page; /* mapped; the caller's (munmap of sizeof(struct protocol_page)) */
};

/* Connects to the device process of VGPU_SOFTGPU_DIR that has the devices of `describe`. Waits at most 10 s.
 * 0, or negative errno with err filled: -EBUSY when other devices are in use there and is_explicit. */
int link_open(const struct describe *describe, bool is_explicit, struct link *ret_link, struct error *err);

#endif
