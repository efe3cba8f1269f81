/* Whose process this is and where the real driver lies. Private to src/shim; used by both libraries. */
#ifndef VGPU_SHIM_ORIGIN_H
#define VGPU_SHIM_ORIGIN_H

/* Each from the stamp of this library where it bears one, else from the environment; NULL when neither says.
 * The strings live as long as the process's environment does. */
const char *origin_instance(void);
const char *origin_socket(void);
const char *origin_driver_dir(void);

#endif
