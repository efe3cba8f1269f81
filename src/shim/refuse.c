/* Doors to device memory that are not accounted for yet: virtual memory, arrays, memory nodes of graphs,
 * imports. With no limit set they are the driver's; with one they are refused, because what is not counted
 * would break it. Each says its name once. */
#include "shim/shim.h"

CUresult shim_refuse(const char *call)
{
    static const char *said[32];

    for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        const char *none = NULL;

        if (__atomic_compare_exchange_n(&said[i], &none, call, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            shim_say("%s is refused: its memory cannot be counted yet, and this instance has a memory limit",
                     call);
            break;
        }
        if (none == call)
            break;
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}

/* A hook that passes the call on when no limit is set and refuses it otherwise. */
#define REFUSED(name, parameters, ...)                                                                       \
    CUresult name parameters                                                                                 \
    {                                                                                                        \
        static const char call[] = #name;                                                                    \
        struct ledger_client *client;                                                                        \
        CUresult result = shim_limit(&client);                                                               \
                                                                                                             \
        if (result)                                                                                          \
            return result;                                                                                   \
        return client ? shim_refuse(call) : real(name)(__VA_ARGS__);                                         \
    }

REFUSED(cuMemCreate,
        (CUmemGenericAllocationHandle * handle, size_t bytes, const CUmemAllocationProp *properties,
         unsigned long long flags),
        handle, bytes, properties, flags)
REFUSED(cuMemImportFromShareableHandle,
        (CUmemGenericAllocationHandle * handle, void *shareable, CUmemAllocationHandleType type), handle,
        shareable, type)
REFUSED(cuMulticastCreate, (CUmemGenericAllocationHandle * handle, const CUmulticastObjectProp *properties),
        handle, properties)
REFUSED(cuMemPoolImportFromShareableHandle,
        (CUmemoryPool * pool, void *handle, CUmemAllocationHandleType type, unsigned long long flags), pool,
        handle, type, flags)
REFUSED(cuMemPoolImportPointer, (CUdeviceptr * address, CUmemoryPool pool, CUmemPoolPtrExportData *exported),
        address, pool, exported)
REFUSED(cuIpcOpenMemHandle, (CUdeviceptr * address, CUipcMemHandle handle, unsigned int flags), address,
        handle, flags)
REFUSED(cuIpcOpenMemHandle_v2, (CUdeviceptr * address, CUipcMemHandle handle, unsigned int flags), address,
        handle, flags)
REFUSED(cuImportExternalMemory,
        (CUexternalMemory * memory, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description), memory, description)
REFUSED(cuArrayCreate, (CUarray * array, const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor), array, descriptor)
REFUSED(cuArrayCreate_v2, (CUarray * array, const CUDA_ARRAY_DESCRIPTOR *descriptor), array, descriptor)
REFUSED(cuArray3DCreate, (CUarray * array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor), array, descriptor)
REFUSED(cuArray3DCreate_v2, (CUarray * array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor), array, descriptor)
REFUSED(cuMipmappedArrayCreate,
        (CUmipmappedArray * array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned int levels), array,
        descriptor, levels)
REFUSED(cuGraphAddMemAllocNode,
        (CUgraphNode * node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
         CUDA_MEM_ALLOC_NODE_PARAMS *params),
        node, graph, dependencies, count, params)

/* A node of any type: only those that allocate are refused. */
static CUresult node_check(const char *call, const CUgraphNodeParams *params)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client || !params || params->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        return result;
    return shim_refuse(call);
}

CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                        CUgraphNodeParams *params)
{
    static const char call[] = "cuGraphAddNode of a memory allocation";
    CUresult result = node_check(call, params);

    return result ? result : real(cuGraphAddNode)(node, graph, dependencies, count, params);
}

CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
    static const char call[] = "cuGraphAddNode of a memory allocation";
    CUresult result = node_check(call, params);

    return result ? result : real(cuGraphAddNode_v2)(node, graph, dependencies, edges, count, params);
}
