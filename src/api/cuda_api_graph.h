/* The driver's functions about graphs,
 * described. Only "api/cuda_api.h" includes this file; what the marks mean is said there. */

/* ---- graphs ---- */

CU_API(since = 10000, id = 395, creates = graph)
CUresult cuGraphCreate(OUT CUgraph *graph, unsigned int flags);

CU_API(since = 10000, id = 396, creates = graph)
CUresult cuGraphClone(OUT CUgraph *clone, CUgraph original);

CU_API(since = 10000, id = 397, destroys = graph)
CUresult cuGraphDestroy(CUgraph graph);

CU_API(since = 10000, id = 398)
CUresult cuGraphDestroyNode(CUgraphNode node);

CU_API(since = 10000, id = 399)
CUresult cuGraphNodeFindInClone(OUT CUgraphNode *node, CUgraphNode original, CUgraph clone);

CU_API(since = 10000, id = 400)
CUresult cuGraphNodeGetType(CUgraphNode node, OUT CUgraphNodeType *type);

CU_API(since = 10000, id = 401)
CUresult cuGraphGetNodes(CUgraph graph, OUT NULLABLE LEN(*count) CUgraphNode *nodes, INOUT size_t *count);

CU_API(since = 10000, id = 402)
CUresult cuGraphGetRootNodes(CUgraph graph, OUT NULLABLE LEN(*count) CUgraphNode *nodes, INOUT size_t *count);

CU_API(since = 10000, id = 403)
CUresult cuGraphGetEdges(CUgraph graph, OUT NULLABLE LEN(*count) CUgraphNode *from,
                         OUT NULLABLE LEN(*count) CUgraphNode *to, INOUT size_t *count);

CU_API(name = cuGraphGetEdges, since = 12030, id = 404)
CUresult cuGraphGetEdges_v2(CUgraph graph, OUT NULLABLE LEN(*count) CUgraphNode *from,
                            OUT NULLABLE LEN(*count) CUgraphNode *to,
                            OUT NULLABLE LEN(*count) CUgraphEdgeData *edges, INOUT size_t *count);

CU_API(since = 10000, id = 405)
CUresult cuGraphNodeGetDependencies(CUgraphNode node, OUT NULLABLE LEN(*count) CUgraphNode *nodes,
                                    INOUT size_t *count);

CU_API(name = cuGraphNodeGetDependencies, since = 12030, id = 406)
CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, OUT NULLABLE LEN(*count) CUgraphNode *nodes,
                                       OUT NULLABLE LEN(*count) CUgraphEdgeData *edges, INOUT size_t *count);

CU_API(since = 10000, id = 407)
CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, OUT NULLABLE LEN(*count) CUgraphNode *nodes,
                                      INOUT size_t *count);

CU_API(name = cuGraphNodeGetDependentNodes, since = 12030, id = 408)
CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, OUT NULLABLE LEN(*count) CUgraphNode *nodes,
                                         OUT NULLABLE LEN(*count) CUgraphEdgeData *edges,
                                         INOUT size_t *count);

CU_API(since = 10000, id = 409)
CUresult cuGraphAddDependencies(CUgraph graph, IN LEN(count) const CUgraphNode *from,
                                IN LEN(count) const CUgraphNode *to, size_t count);

CU_API(name = cuGraphAddDependencies, since = 12030, id = 410)
CUresult cuGraphAddDependencies_v2(CUgraph graph, IN LEN(count) const CUgraphNode *from,
                                   IN LEN(count) const CUgraphNode *to,
                                   IN NULLABLE LEN(count) const CUgraphEdgeData *edges, size_t count);

CU_API(since = 10000, id = 411)
CUresult cuGraphRemoveDependencies(CUgraph graph, IN LEN(count) const CUgraphNode *from,
                                   IN LEN(count) const CUgraphNode *to, size_t count);

CU_API(name = cuGraphRemoveDependencies, since = 12030, id = 412)
CUresult cuGraphRemoveDependencies_v2(CUgraph graph, IN LEN(count) const CUgraphNode *from,
                                      IN LEN(count) const CUgraphNode *to,
                                      IN NULLABLE LEN(count) const CUgraphEdgeData *edges, size_t count);

CU_API(since = 11030, id = 413)
CUresult cuGraphDebugDotPrint(CUgraph graph, IN STRING const char *path, unsigned int flags);

CU_API(since = 12030, id = 414)
CUresult cuGraphConditionalHandleCreate(OUT CUgraphConditionalHandle *handle, CUgraph graph,
                                        CUcontext context, unsigned int default_value, unsigned int flags);

/* ---- nodes of any type ---- */

CU_API(since = 12020, id = 415, memory = graph)
CUresult cuGraphAddNode(OUT CUgraphNode *node, CUgraph graph,
                        IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                        INOUT CUgraphNodeParams *params);

CU_API(name = cuGraphAddNode, since = 12030, id = 416, memory = graph)
CUresult cuGraphAddNode_v2(OUT CUgraphNode *node, CUgraph graph,
                           IN NULLABLE LEN(count) const CUgraphNode *dependencies,
                           IN NULLABLE LEN(count) const CUgraphEdgeData *edges, size_t count,
                           INOUT CUgraphNodeParams *params);

CU_API(since = 12020, id = 417)
CUresult cuGraphNodeSetParams(CUgraphNode node, IN CUgraphNodeParams *params);

CU_API(since = 12020, id = 418)
CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, IN CUgraphNodeParams *params);

CU_API(since = 11060, id = 419)
CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int enabled);

CU_API(since = 11060, id = 420)
CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, OUT unsigned int *enabled);

/* ---- nodes by type ---- */

CU_API(since = 10000, id = 421)
CUresult cuGraphAddKernelNode(OUT CUgraphNode *node, CUgraph graph,
                              IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                              IN const CUDA_KERNEL_NODE_PARAMS_v1 *params);

CU_API(name = cuGraphAddKernelNode, since = 12000, id = 422)
CUresult cuGraphAddKernelNode_v2(OUT CUgraphNode *node, CUgraph graph,
                                 IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                                 IN const CUDA_KERNEL_NODE_PARAMS *params);

CU_API(since = 10000, id = 423)
CUresult cuGraphKernelNodeGetParams(CUgraphNode node, OUT CUDA_KERNEL_NODE_PARAMS_v1 *params);

CU_API(name = cuGraphKernelNodeGetParams, since = 12000, id = 424)
CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node, OUT CUDA_KERNEL_NODE_PARAMS *params);

CU_API(since = 10000, id = 425)
CUresult cuGraphKernelNodeSetParams(CUgraphNode node, IN const CUDA_KERNEL_NODE_PARAMS_v1 *params);

CU_API(name = cuGraphKernelNodeSetParams, since = 12000, id = 426)
CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node, IN const CUDA_KERNEL_NODE_PARAMS *params);

CU_API(since = 10010, id = 427)
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        IN const CUDA_KERNEL_NODE_PARAMS_v1 *params);

CU_API(name = cuGraphExecKernelNodeSetParams, since = 12000, id = 428)
CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                           IN const CUDA_KERNEL_NODE_PARAMS *params);

CU_API(since = 11000, id = 429)
CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode destination, CUgraphNode source);

CU_API(since = 11000, id = 430)
CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, CUkernelNodeAttrID attribute,
                                       OUT CUkernelNodeAttrValue *value);

CU_API(since = 11000, id = 431)
CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, CUkernelNodeAttrID attribute,
                                       IN const CUkernelNodeAttrValue *value);

CU_API(since = 10000, id = 432)
CUresult cuGraphAddMemcpyNode(OUT CUgraphNode *node, CUgraph graph,
                              IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                              IN const CUDA_MEMCPY3D *params, CUcontext context);

CU_API(since = 10000, id = 433)
CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, OUT CUDA_MEMCPY3D *params);

CU_API(since = 10000, id = 434)
CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, IN const CUDA_MEMCPY3D *params);

CU_API(since = 10020, id = 435)
CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, IN const CUDA_MEMCPY3D *params,
                                        CUcontext context);

CU_API(since = 10000, id = 436)
CUresult cuGraphAddMemsetNode(OUT CUgraphNode *node, CUgraph graph,
                              IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                              IN const CUDA_MEMSET_NODE_PARAMS *params, CUcontext context);

CU_API(since = 10000, id = 437)
CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, OUT CUDA_MEMSET_NODE_PARAMS *params);

CU_API(since = 10000, id = 438)
CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, IN const CUDA_MEMSET_NODE_PARAMS *params);

CU_API(since = 10020, id = 439)
CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        IN const CUDA_MEMSET_NODE_PARAMS *params, CUcontext context);

CU_API(since = 10000, id = 440)
CUresult cuGraphAddHostNode(OUT CUgraphNode *node, CUgraph graph,
                            IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                            IN const CUDA_HOST_NODE_PARAMS *params);

CU_API(since = 10000, id = 441)
CUresult cuGraphHostNodeGetParams(CUgraphNode node, OUT CUDA_HOST_NODE_PARAMS *params);

CU_API(since = 10000, id = 442)
CUresult cuGraphHostNodeSetParams(CUgraphNode node, IN const CUDA_HOST_NODE_PARAMS *params);

CU_API(since = 10020, id = 443)
CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                      IN const CUDA_HOST_NODE_PARAMS *params);

CU_API(since = 10000, id = 444)
CUresult cuGraphAddChildGraphNode(OUT CUgraphNode *node, CUgraph graph,
                                  IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                                  CUgraph child);

CU_API(since = 10000, id = 445)
CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, OUT CUgraph *graph);

CU_API(since = 11010, id = 446)
CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child);

CU_API(since = 10000, id = 447)
CUresult cuGraphAddEmptyNode(OUT CUgraphNode *node, CUgraph graph,
                             IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count);

CU_API(since = 11010, id = 448)
CUresult cuGraphAddEventRecordNode(OUT CUgraphNode *node, CUgraph graph,
                                   IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                                   CUevent event);

CU_API(since = 11010, id = 449)
CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, OUT CUevent *event);

CU_API(since = 11010, id = 450)
CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event);

CU_API(since = 11010, id = 451)
CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event);

CU_API(since = 11010, id = 452)
CUresult cuGraphAddEventWaitNode(OUT CUgraphNode *node, CUgraph graph,
                                 IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                                 CUevent event);

CU_API(since = 11010, id = 453)
CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, OUT CUevent *event);

CU_API(since = 11010, id = 454)
CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event);

CU_API(since = 11010, id = 455)
CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event);

CU_API(since = 11020, id = 456)
CUresult cuGraphAddExternalSemaphoresSignalNode(OUT CUgraphNode *node, CUgraph graph,
                                                IN NULLABLE LEN(count) const CUgraphNode *dependencies,
                                                size_t count,
                                                IN const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *params);

CU_API(since = 11020, id = 457)
CUresult cuGraphExternalSemaphoresSignalNodeGetParams(CUgraphNode node,
                                                      OUT CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *params);

CU_API(since = 11020, id = 458)
CUresult cuGraphExternalSemaphoresSignalNodeSetParams(CUgraphNode node,
                                                      IN const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *params);

CU_API(since = 11020, id = 459)
CUresult cuGraphExecExternalSemaphoresSignalNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                          IN const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *params);

CU_API(since = 11020, id = 460)
CUresult cuGraphAddExternalSemaphoresWaitNode(OUT CUgraphNode *node, CUgraph graph,
                                              IN NULLABLE LEN(count) const CUgraphNode *dependencies,
                                              size_t count, IN const CUDA_EXT_SEM_WAIT_NODE_PARAMS *params);

CU_API(since = 11020, id = 461)
CUresult cuGraphExternalSemaphoresWaitNodeGetParams(CUgraphNode node,
                                                    OUT CUDA_EXT_SEM_WAIT_NODE_PARAMS *params);

CU_API(since = 11020, id = 462)
CUresult cuGraphExternalSemaphoresWaitNodeSetParams(CUgraphNode node,
                                                    IN const CUDA_EXT_SEM_WAIT_NODE_PARAMS *params);

CU_API(since = 11020, id = 463)
CUresult cuGraphExecExternalSemaphoresWaitNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                        IN const CUDA_EXT_SEM_WAIT_NODE_PARAMS *params);

CU_API(since = 11070, id = 464)
CUresult cuGraphAddBatchMemOpNode(OUT CUgraphNode *node, CUgraph graph,
                                  IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                                  IN const CUDA_BATCH_MEM_OP_NODE_PARAMS *params);

CU_API(since = 11070, id = 465)
CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node, OUT CUDA_BATCH_MEM_OP_NODE_PARAMS *params);

CU_API(since = 11070, id = 466)
CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node, IN const CUDA_BATCH_MEM_OP_NODE_PARAMS *params);

CU_API(since = 11070, id = 467)
CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                            IN const CUDA_BATCH_MEM_OP_NODE_PARAMS *params);

CU_API(since = 11040, id = 468, memory = graph)
CUresult cuGraphAddMemAllocNode(OUT CUgraphNode *node, CUgraph graph,
                                IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                                INOUT CUDA_MEM_ALLOC_NODE_PARAMS *params);

CU_API(since = 11040, id = 469)
CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, OUT CUDA_MEM_ALLOC_NODE_PARAMS *params);

CU_API(since = 11040, id = 470, memory = graph)
CUresult cuGraphAddMemFreeNode(OUT CUgraphNode *node, CUgraph graph,
                               IN NULLABLE LEN(count) const CUgraphNode *dependencies, size_t count,
                               CUdeviceptr address);

CU_API(since = 11040, id = 471)
CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, OUT CUdeviceptr *address);

/* ---- executable graphs ---- */

CU_API(since = 10000, id = 472, creates = graph_exec)
CUresult cuGraphInstantiate(OUT CUgraphExec *exec, CUgraph graph, OUT NULLABLE CUgraphNode *error_node,
                            OUT NULLABLE LEN(log_bytes) char *log, size_t log_bytes);

CU_API(name = cuGraphInstantiate, since = 11000, id = 473, creates = graph_exec, public = no)
CUresult cuGraphInstantiate_v2(OUT CUgraphExec *exec, CUgraph graph, OUT NULLABLE CUgraphNode *error_node,
                               OUT NULLABLE LEN(log_bytes) char *log, size_t log_bytes);

CU_API(since = 11040, id = 474, creates = graph_exec, public = cuGraphInstantiate)
CUresult cuGraphInstantiateWithFlags(OUT CUgraphExec *exec, CUgraph graph, unsigned long long flags);

CU_API(since = 12000, id = 475, ptsz = 12000, creates = graph_exec)
CUresult cuGraphInstantiateWithParams(OUT CUgraphExec *exec, CUgraph graph,
                                      INOUT CUDA_GRAPH_INSTANTIATE_PARAMS *params);

CU_API(since = 12000, id = 476)
CUresult cuGraphExecGetFlags(CUgraphExec exec, OUT cuuint64_t *flags);

CU_API(since = 10020, id = 477)
CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, OUT NULLABLE CUgraphNode *error_node,
                           OUT NULLABLE CUgraphExecUpdateResult *result);

CU_API(name = cuGraphExecUpdate, since = 12000, id = 478)
CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, OUT CUgraphExecUpdateResultInfo *result);

CU_API(since = 11010, id = 479, ptsz = 11010, memory = graph)
CUresult cuGraphUpload(CUgraphExec exec, CUstream stream);

CU_API(since = 10000, id = 480, ptsz = 10000, memory = graph, time = graph, sync = oneway)
CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream);

CU_API(since = 10000, id = 481, destroys = graph_exec)
CUresult cuGraphExecDestroy(CUgraphExec exec);

/* ---- user objects ---- */

CU_API(since = 11030, id = 482, creates = user_object)
CUresult cuUserObjectCreate(OUT CUuserObject *object, OPAQUE void *pointer, CALLBACK CUhostFn destroy,
                            unsigned int references, unsigned int flags);

CU_API(since = 11030, id = 483)
CUresult cuUserObjectRetain(CUuserObject object, unsigned int count);

CU_API(since = 11030, id = 484)
CUresult cuUserObjectRelease(CUuserObject object, unsigned int count);

CU_API(since = 11030, id = 485)
CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned int count, unsigned int flags);

CU_API(since = 11030, id = 486)
CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned int count);
