/* Keeping descriptors that the driver opens for us out of the application's numbers. Private to src/shim. */
#ifndef VGPU_SHIM_DESCRIPTORS_H
#define VGPU_SHIM_DESCRIPTORS_H

/* Calls open_something, whose result it returns, such that the descriptors it opens and keeps have numbers
 * of at least 128 where the process may have so many: what the application opens next has the number it would
 * have had. Leaves errno as it was. Other threads that open something meanwhile get high numbers too. */
int descriptors_open_high(int (*open_something)(void));

#endif
