/* What `vgpu run` writes into its own copy of our libraries before it puts them at the driver's real path:
 * whose process this is. A library that bears a stamp asks the environment nothing, so no tenant frees
 * himself by changing or emptying it, and programs that the system starts without it (setuid, file
 * capabilities, env -i) are limited too. One struct, used by src/cli, which fills it in a file, and src/shim,
 * which reads its own. */
#ifndef VGPU_BASE_STAMP_H
#define VGPU_BASE_STAMP_H

enum { STAMP_MAGIC_BYTES = 16, STAMP_INSTANCE_BYTES = 64, STAMP_SOCKET_BYTES = 512, STAMP_DIR_BYTES = 1024 };

/* Where a library's file holds it: these bytes are found once in it. */
#define STAMP_MAGIC "vgpu stamp one!"

struct stamp {
    char magic[STAMP_MAGIC_BYTES];
    char instance[STAMP_INSTANCE_BYTES]; /* empty: no stamp, as installed */
    char socket[STAMP_SOCKET_BYTES];     /* of vgpud */
    char driver_dir[STAMP_DIR_BYTES];    /* where the real driver is behind the mounts */
    char outside_dir[STAMP_DIR_BYTES];   /* what that directory is called outside of them */
};

_Static_assert(sizeof(STAMP_MAGIC) == STAMP_MAGIC_BYTES, "the mark fills its field");

#endif
