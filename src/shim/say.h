/* The only voice of our libraries in a tenant's process. Private to src/shim. */
#ifndef VGPU_SHIM_SAY_H
#define VGPU_SHIM_SAY_H

/* One line on stderr, "vgpu: ..."; nothing when VGPU_LOG is none. Formats on the stack. */
void shim_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
