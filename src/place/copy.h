/* Copies of requests that outlive their callers' strings. Inside the room. */
#ifndef VGPU_PLACE_COPY_H
#define VGPU_PLACE_COPY_H

#include <stdbool.h>

#include "place/request.h"

/* Copies with all strings; -ENOMEM leaves nothing behind. Given back by place_request_done. */
int place_request_copy(struct place_request *copy, const struct place_request *request);
void place_request_done(struct place_request *copy);

/* Whether two requests ask for the same in the same words. */
bool place_request_equal(const struct place_request *a, const struct place_request *b);

#endif
