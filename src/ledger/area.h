/* Making a shared-memory area. Private to src/ledger. */
#ifndef VGPU_LEDGER_AREA_H
#define VGPU_LEDGER_AREA_H

#include <fcntl.h>
#include <stddef.h>

#include "base/error.h"

#ifndef F_SEAL_FUTURE_WRITE
#    define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum {
    AREA_LIMITS_SEALS = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
    AREA_SHARED_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, /* of areas that clients write */
};

/* Makes a memfd of bytes, zero, maps it writable, then seals it. 0 or negative errno with err filled. */
int area_new(const char *label, size_t bytes, int seals, int *ret_fd, void **ret_map, struct error *err);

/* Maps an area of a former vgpud: of exactly these bytes, with these seals and none that forbids writing. 0; -EBADMSG: it is not one. */
int area_adopt(const char *label, int fd, size_t bytes, int seals, int prot, void **ret_map, struct error *err);

#endif
