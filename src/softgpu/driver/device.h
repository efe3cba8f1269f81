/* What a block and an SM of the software GPU hold: the limits of compute capability 7.5. Attributes, launch
 * checks and occupancy all speak of these. */
#ifndef VGPU_SOFTGPU_DRIVER_DEVICE_H
#define VGPU_SOFTGPU_DRIVER_DEVICE_H

enum {
    DEVICE_WARP = 32,
    DEVICE_THREADS_PER_BLOCK = 1024,
    DEVICE_BLOCK_X = 1024,
    DEVICE_BLOCK_Y = 1024,
    DEVICE_BLOCK_Z = 64,
    DEVICE_GRID_X = 2147483647,
    DEVICE_GRID_YZ = 65535,
    DEVICE_THREADS_PER_SM = 1024,
    DEVICE_BLOCKS_PER_SM = 16,
    DEVICE_REGISTERS = 65536,   /* of an SM, and the most a block may use */
    DEVICE_REGISTER_UNIT = 256, /* registers are given to a warp in units of this */
    DEVICE_SHARED_PER_BLOCK = 49152,
    DEVICE_SHARED_OPTIN = 65536, /* with CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    DEVICE_SHARED_PER_SM = 65536,
    DEVICE_SHARED_UNIT = 256,
    DEVICE_TEXTURE_ALIGN = 512,      /* of memory that is seen as a texture */
    DEVICE_TEXTURE_PITCH_ALIGN = 32, /* of its rows */
};

#endif
