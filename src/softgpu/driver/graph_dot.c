/* cuGraphDebugDotPrint: a graph as text for Graphviz. Child graphs are clusters. */
#include <stdio.h>

#include "softgpu/driver/graph_api.h"

static const char *type_name(CUgraphNodeType type)
{
    static const char *const names[] = {
        [CU_GRAPH_NODE_TYPE_KERNEL] = "KERNEL",
        [CU_GRAPH_NODE_TYPE_MEMCPY] = "MEMCPY",
        [CU_GRAPH_NODE_TYPE_MEMSET] = "MEMSET",
        [CU_GRAPH_NODE_TYPE_HOST] = "HOST",
        [CU_GRAPH_NODE_TYPE_GRAPH] = "GRAPH",
        [CU_GRAPH_NODE_TYPE_EMPTY] = "EMPTY",
        [CU_GRAPH_NODE_TYPE_WAIT_EVENT] = "WAIT_EVENT",
        [CU_GRAPH_NODE_TYPE_EVENT_RECORD] = "EVENT_RECORD",
        [CU_GRAPH_NODE_TYPE_MEM_ALLOC] = "MEM_ALLOC",
        [CU_GRAPH_NODE_TYPE_MEM_FREE] = "MEM_FREE",
        [CU_GRAPH_NODE_TYPE_BATCH_MEM_OP] = "BATCH_MEM_OP",
    };

    return names[type];
}

/* What tells a node from others of its type; with `verbose` more of it. */
static void print_details(FILE *file, const struct node_params *params, unsigned flags)
{
    const CUDA_KERNEL_NODE_PARAMS_v3 *kernel = &params->values.kernel;
    bool verbose = flags & CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE;

    switch (node_params_type(params)) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        fprintf(file, "\\n%s", params->function->kernel->name);
        if (verbose || (flags & CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS))
            fprintf(file, "\\n<<<%u,%u,%u, %u,%u,%u, %u>>>", kernel->gridDimX, kernel->gridDimY,
                    kernel->gridDimZ, kernel->blockDimX, kernel->blockDimY, kernel->blockDimZ,
                    kernel->sharedMemBytes);
        break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        if (verbose || (flags & CU_GRAPH_DEBUG_DOT_FLAGS_MEMCPY_NODE_PARAMS))
            fprintf(file, "\\n%zu x %zu x %zu bytes", params->values.memcpy.copyParams.WidthInBytes,
                    params->values.memcpy.copyParams.Height, params->values.memcpy.copyParams.Depth);
        break;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        if (verbose || (flags & CU_GRAPH_DEBUG_DOT_FLAGS_MEMSET_NODE_PARAMS))
            fprintf(file, "\\n%zu x %zu of 0x%x at 0x%llx", params->values.memset.width,
                    params->values.memset.height, params->values.memset.value,
                    (unsigned long long)params->values.memset.dst);
        break;
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
        if (verbose || (flags & CU_GRAPH_DEBUG_DOT_FLAGS_MEM_ALLOC_NODE_PARAMS))
            fprintf(file, "\\n%zu bytes at 0x%llx", params->values.alloc.bytesize,
                    (unsigned long long)params->values.alloc.dptr);
        break;
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
        if (verbose || (flags & CU_GRAPH_DEBUG_DOT_FLAGS_MEM_FREE_NODE_PARAMS))
            fprintf(file, "\\n0x%llx", (unsigned long long)params->values.free.dptr);
        break;
    default:
        break;
    }
}

static void print_graph_locked(FILE *file, const struct graph *graph, unsigned flags)
{
    for (size_t i = 0; i < graph->nodes.n; i++) {
        const struct graph_node *node = graph->nodes.items[i];

        fprintf(file, "node_%llu [label=\"%llu: %s", (unsigned long long)node->id,
                (unsigned long long)node->id, type_name(node_params_type(node->params)));
        print_details(file, node->params, flags);
        if (flags & CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES)
            fprintf(file, "\\n%p", (const void *)node);
        fprintf(file, "\"];\n");
        for (size_t k = 0; k < node->before.n; k++)
            fprintf(file, "node_%llu -> node_%llu;\n", (unsigned long long)node->before.items[k]->id,
                    (unsigned long long)node->id);
        if (!node->params->child)
            continue;
        fprintf(file, "subgraph cluster_%llu {\nlabel=\"graph of %llu\";\n",
                (unsigned long long)node->params->child->id, (unsigned long long)node->id);
        print_graph_locked(file, node->params->child, flags);
        fprintf(file, "}\n");
    }
}

CUresult cuGraphDebugDotPrint(CUgraph handle, const char *path, unsigned int flags)
{
    struct graph *graph;
    FILE *file;
    bool failed;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    file = path ? fopen(path, "we") : NULL;
    if (!file) {
        object_unref(graph);
        return path ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_ERROR_INVALID_VALUE;
    }
    graph_lock();
    fprintf(file, "digraph graph_%llu {\nnode [shape=box];\n", (unsigned long long)graph->id);
    print_graph_locked(file, graph, flags);
    fprintf(file, "}\n");
    graph_unlock();
    failed = ferror(file);
    failed |= fclose(file) != 0;
    object_unref(graph);
    return failed ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}
