/* The names of the driver's functions for OpenGL, EGL and VDPAU. They take types of those libraries, so they
 * are not typed here and only passed on: a cooperative tenant reaches the real driver's, every other library
 * of ours says "not supported". Only "api/cuda_api.h" includes this file. */

/* ---- EGL ---- */

CU_NAME(cuEGLStreamConsumerAcquireFrame, since = 7000, id = 1001)
CU_NAME(cuEGLStreamConsumerConnect, since = 7000, id = 1002)
CU_NAME(cuEGLStreamConsumerConnectWithFlags, since = 8000, id = 1003)
CU_NAME(cuEGLStreamConsumerDisconnect, since = 7000, id = 1004)
CU_NAME(cuEGLStreamConsumerReleaseFrame, since = 7000, id = 1005)
CU_NAME(cuEGLStreamProducerConnect, since = 7000, id = 1006)
CU_NAME(cuEGLStreamProducerDisconnect, since = 7000, id = 1007)
CU_NAME(cuEGLStreamProducerPresentFrame, since = 7000, id = 1008)
CU_NAME(cuEGLStreamProducerReturnFrame, since = 7000, id = 1009)
CU_NAME(cuEventCreateFromEGLSync, since = 9000, id = 1010)
CU_NAME(cuGraphicsEGLRegisterImage, since = 7000, id = 1011)
CU_NAME(cuGraphicsResourceGetMappedEglFrame, since = 7000, id = 1012)

/* ---- OpenGL ---- */

CU_NAME(cuGLCtxCreate, since = 2000, id = 1013, memory = context)
CU_NAME(cuGLCtxCreate_v2, name = cuGLCtxCreate, since = 3020, id = 1014, memory = context)
CU_NAME(cuGLGetDevices, since = 4010, id = 1015)
CU_NAME(cuGLGetDevices_v2, name = cuGLGetDevices, since = 6050, id = 1016)
CU_NAME(cuGLInit, since = 2000, id = 1017)
CU_NAME(cuGLMapBufferObject, since = 2000, id = 1018)
CU_NAME(cuGLMapBufferObject_v2, name = cuGLMapBufferObject, since = 3020, id = 1019, ptds = 7000)
CU_NAME(cuGLMapBufferObjectAsync, since = 2030, id = 1020)
CU_NAME(cuGLMapBufferObjectAsync_v2, name = cuGLMapBufferObjectAsync, since = 3020, id = 1021, ptsz = 7000)
CU_NAME(cuGLRegisterBufferObject, since = 2000, id = 1022)
CU_NAME(cuGLSetBufferObjectMapFlags, since = 2030, id = 1023)
CU_NAME(cuGLUnmapBufferObject, since = 2000, id = 1024)
CU_NAME(cuGLUnmapBufferObjectAsync, since = 2030, id = 1025)
CU_NAME(cuGLUnregisterBufferObject, since = 2000, id = 1026)
CU_NAME(cuGraphicsGLRegisterBuffer, since = 3000, id = 1027)
CU_NAME(cuGraphicsGLRegisterImage, since = 3000, id = 1028)

/* ---- VDPAU ---- */

CU_NAME(cuGraphicsVDPAURegisterOutputSurface, since = 3010, id = 1029)
CU_NAME(cuGraphicsVDPAURegisterVideoSurface, since = 3010, id = 1030)
CU_NAME(cuVDPAUCtxCreate, since = 3010, id = 1031, memory = context)
CU_NAME(cuVDPAUCtxCreate_v2, name = cuVDPAUCtxCreate, since = 3020, id = 1032, memory = context)
CU_NAME(cuVDPAUGetDevice, since = 3010, id = 1033)
