/* Doors that launch kernels. The common case is gate_pay and a tail call: the driver's function gets its
 * arguments from the registers they came in. Graph launches are graph.c's. */
#include <stddef.h>

#include "shim/gate.h"
#include "shim/gate_thread.h"
#include "shim/shim.h"

/* The frame of a launch with a shape: paid from the thread's credit, or by the slow path, or (no limit) not
 * at all. */
#define LAUNCH(name, launched, on, per_thread, gx, gy, gz, bx, by, bz, shared, ...)                          \
    if (gate_thread && gate_pay(gate_key_launch(launched, gx, gy, gz, bx, by, bz, shared)))                                 \
        return real(name)(__VA_ARGS__);                                                                      \
    struct ledger_client *client;                                                                            \
    struct gate_ticket ticket;                                                                               \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client || !gate_is_on())                                                                  \
        return result ? result : real(name)(__VA_ARGS__);                                                    \
    gate_enter(&ticket, &(struct gate_work){.kind = GATE_KERNEL,                                             \
                                            .call = #name,                                                   \
                                            .stream = (on),                                                  \
                                            .is_per_thread = (per_thread),                                   \
                                            .object = (launched),                                            \
                                            .dims = {gx, gy, gz, bx, by, bz, shared}});                      \
    result = real(name)(__VA_ARGS__);                                                                        \
    gate_leave(&ticket, result);                                                                             \
    return result

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z,
                        unsigned int shared_bytes, CUstream stream, void **params, void **extra)
{
    LAUNCH(cuLaunchKernel, function, stream, false, grid_x, grid_y, grid_z, block_x, block_y, block_z,
           shared_bytes, function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream,
           params, extra);
}

CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                             unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                             unsigned int block_z, unsigned int shared_bytes, CUstream stream, void **params,
                             void **extra)
{
    LAUNCH(cuLaunchKernel_ptsz, function, stream, true, grid_x, grid_y, grid_z, block_x, block_y, block_z,
           shared_bytes, function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream,
           params, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                                   unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                                   unsigned int block_z, unsigned int shared_bytes, CUstream stream,
                                   void **params)
{
    LAUNCH(cuLaunchCooperativeKernel, function, stream, false, grid_x, grid_y, grid_z, block_x, block_y,
           block_z, shared_bytes, function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes,
           stream, params);
}

CUresult cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                                        unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                                        unsigned int block_z, unsigned int shared_bytes, CUstream stream,
                                        void **params)
{
    LAUNCH(cuLaunchCooperativeKernel_ptsz, function, stream, true, grid_x, grid_y, grid_z, block_x, block_y,
           block_z, shared_bytes, function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes,
           stream, params);
}

/* A configuration that is missing is the driver's to refuse. */
static const CUlaunchConfig no_config;

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **params, void **extra)
{
    const CUlaunchConfig *c = config ? config : &no_config;

    LAUNCH(cuLaunchKernelEx, function, c->hStream, false, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX,
           c->blockDimY, c->blockDimZ, c->sharedMemBytes, config, function, params, extra);
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction function, void **params, void **extra)
{
    const CUlaunchConfig *c = config ? config : &no_config;

    LAUNCH(cuLaunchKernelEx_ptsz, function, c->hStream, true, c->gridDimX, c->gridDimY, c->gridDimZ,
           c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes, config, function, params, extra);
}

/* The first age's launches: the block's shape is a property of the function. */

CUresult cuLaunch(CUfunction function)
{
    LAUNCH(cuLaunch, function, NULL, false, 1, 1, 1, 0, 0, 0, 0, function);
}

CUresult cuLaunchGrid(CUfunction function, int width, int height)
{
    LAUNCH(cuLaunchGrid, function, NULL, false, (unsigned)width, (unsigned)height, 1, 0, 0, 0, 0, function,
           width, height);
}

CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream)
{
    LAUNCH(cuLaunchGridAsync, function, stream, false, (unsigned)width, (unsigned)height, 1, 0, 0, 0, 0,
           function, width, height, stream);
}

/* One launch on several devices: paid for as the first one's, in the current context. */
CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launches, unsigned int count,
                                              unsigned int flags)
{
    static const CUDA_LAUNCH_PARAMS none;
    const CUDA_LAUNCH_PARAMS *l = launches && count ? launches : &none;

    LAUNCH(cuLaunchCooperativeKernelMultiDevice, l->function, l->hStream, false, l->gridDimX, l->gridDimY,
           l->gridDimZ, l->blockDimX, l->blockDimY, l->blockDimZ, l->sharedMemBytes, launches, count, flags);
}
