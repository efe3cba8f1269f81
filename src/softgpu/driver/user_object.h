/* User objects: something of the program's that graphs keep alive, destroyed by the program's own function
 * when the last reference goes. */
#ifndef VGPU_SOFTGPU_DRIVER_USER_OBJECT_H
#define VGPU_SOFTGPU_DRIVER_USER_OBJECT_H

#include "api/cuda_api.h"
#include "softgpu/driver/graph.h"

/* References that one graph, or one executable graph, has. */
struct user_reference {
    struct user_object *object;
    unsigned count;
    struct user_reference *next;
};

/* The same references once more; the lock of graphs is held. NULL with *ret_failed set: no memory. */
struct user_reference *user_references_copy(const struct user_reference *first, bool *ret_failed);
/* Gives them all up; the program's functions are called, so no lock may be held. */
void user_references_drop(struct user_reference *first);

#endif
