/* Device memory with several users in this process, and perhaps in others: what cuMemCreate makes, what is
 * imported, what is exported. It is on the device until its last handle is released and its last mapping
 * gone, and is charged as long. Once exported, the object pays for itself in the ledger
 * (ledger_shared_publish): the instance pays once, however many of its processes hold it, and goes on paying
 * when the exporter is gone.
 *
 * An import is recognised by a key: what a file descriptor leads to (device and inode, where the driver gives
 * each allocation a file of its own), or the bytes of a handle. What no process of this instance exported is
 * charged in full to the instance that imports it. Thread-safe; no lock is held over the driver. Private to
 * src/shim. */
#ifndef VGPU_SHIM_PHYSICAL_H
#define VGPU_SHIM_PHYSICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/shim.h"

#define PHYSICAL_NOT_SHARED UINT32_MAX

enum { PHYSICAL_KEY_BYTES = 16 };

struct physical {
    uint64_t bytes;      /* atomic; charged */
    uint64_t sure_bytes; /* of those: the others are for mappings of an import that are under way */
    uint32_t maps_under_way;
    uint32_t references; /* atomic; handles and mappings */
    uint32_t shared;     /* atomic; its index in the ledger, or PHYSICAL_NOT_SHARED */
    int device;          /* index in the instance */
    bool is_multicast;   /* no memory, but what the driver measures on the device `ordinal` */
    CUdevice ordinal;
};

/* An object with one reference, whose bytes the caller has charged (shared: or joined, see physical_join).
 * NULL: no memory. */
struct physical *physical_new(int device, uint64_t bytes, uint32_t shared);
struct physical *physical_ref(struct physical *physical);

/* Drops a reference; the last one gives the bytes back. */
void physical_unref(struct ledger_client *client, struct physical *physical);

/* Around a driver call that may free the object: its bytes are uncertain meanwhile. leaving returns how many
 * those are, for left: the object may be gone by then. */
uint64_t physical_leaving(const struct physical *physical);
void physical_left(int device, uint64_t bytes);

/* Charges bytes more for an import whose size showed only now. 0 or negative errno. The caller keeps others
 * from doing the same at a time. */
int physical_grow(struct ledger_client *client, struct physical *physical, uint64_t bytes, const char *call);

/* Gives back what goes beyond bytes. The same caller. */
void physical_shrink(struct ledger_client *client, struct physical *physical, uint64_t bytes);

/* ---- keys ---- */

/* What fd leads to; false when its file is not the allocation's own (a device node is everybody's).
 * *ret_bytes: the file's size. */
bool physical_key_of_file(int fd, uint8_t ret_key[PHYSICAL_KEY_BYTES], uint64_t *ret_bytes);

/* Of a handle's bytes; part tells several objects of one handle apart. */
void physical_key_of_bytes(const void *bytes, size_t n, uint32_t part, uint8_t ret_key[PHYSICAL_KEY_BYTES]);

/* ---- sharing ---- */

/* What this process holds of the ledger's shared objects is counted, so that one process is one holder. */

/* bytes of device, which this process has charged, become the object `key`. Returns its index, or
 * PHYSICAL_NOT_SHARED: the ledger has no room; whoever imports it pays for itself then. */
uint32_t physical_publish(struct ledger_client *client, int device, const uint8_t key[PHYSICAL_KEY_BYTES],
                          uint64_t bytes);
/* One more key of an object that is held here. */
void physical_alias(struct ledger_client *client, uint32_t shared, const uint8_t key[PHYSICAL_KEY_BYTES]);
/* Holds the object of that key; false: nobody in the instance exported it. */
bool physical_join(struct ledger_client *client, const uint8_t key[PHYSICAL_KEY_BYTES], uint32_t *ret_shared,
                   int *ret_device, uint64_t *ret_bytes);
void physical_drop(struct ledger_client *client, uint32_t shared, int device, uint64_t bytes);

/* For a forked child, which holds nothing. */
void physical_reset_in_child(void);

#endif
