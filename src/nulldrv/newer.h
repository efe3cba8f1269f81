/* Functions of a driver that is newer than the description; private to the recording driver. */
#ifndef VGPU_NULLDRV_NEWER_H
#define VGPU_NULLDRV_NEWER_H

/* The function that name means at version, if it is one of these; else NULL. */
void *newer_function(const char *name, int version);

#endif
