/* The ways_in program that names the driver's functions itself: built without a path of the driver's in it,
 * with DT_RPATH and with DT_RUNPATH. WAY: linked, or next (the same by dlsym(RTLD_NEXT)). */
#include "ways_in.h"

static int by_way(const char *way, const char *path)
{
    static const struct driver linked = {cuInit, cuDeviceGet, cuDevicePrimaryCtxRetain, cuCtxSetCurrent,
                                         cuMemAlloc};
    struct driver next;

    if (!strcmp(way, "linked"))
        return start_and_ask(&linked, way);
    return from_handle(RTLD_NEXT, &next) || start_and_ask(&next, way);
}

int main(int argc, char **argv)
{
    return ways_in_main(argc, argv);
}
