/* Texture and surface objects, which a context owns. */
#ifndef VGPU_SOFTGPU_DRIVER_TEXTURE_H
#define VGPU_SOFTGPU_DRIVER_TEXTURE_H

struct context;

/* Ends the handles of all that a context still has. */
void texture_end_all(struct context *context);

#endif
