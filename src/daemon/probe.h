/* The child side of an inventory probe: `vgpud --probe nvidia|software [DESCRIPTION]`. */
#ifndef VGPU_DAEMON_PROBE_H
#define VGPU_DAEMON_PROBE_H

/* Opens the driver of that kind, asks its management library for its devices and prints one JSON document on
 * stdout, which inventory_decode reads; what is wrong is in it. software_devices: VGPU_SOFTGPU_DEVICES for
 * the software GPU, or NULL. Returns the exit status. Takes as long as the driver takes. */
int probe_main(const char *kind, const char *software_devices);

#endif
