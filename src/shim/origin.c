/* The stamp of this library and what stands in for it; see origin.h. Owns the bytes that `vgpu run` fills in
 * its copy of the library's file (base/stamp.h). A stamp is whole or absent: where there is one, the
 * environment is not asked for anything, or a tenant could pair our instance with a daemon of his own. */
#include "shim/origin.h"

#include "base/paths.h"
#include "base/stamp.h"

/* volatile: what the compiler sees here is not what the file holds when it is loaded. */
static const volatile struct stamp stamp = {.magic = STAMP_MAGIC};

static const char *stamped(const volatile char *field, const char *variable)
{
    return stamp.instance[0] ? (const char *)field : paths_env(variable);
}

const char *origin_instance(void)
{
    return stamped(stamp.instance, "VGPU_INSTANCE");
}

const char *origin_socket(void)
{
    return stamped(stamp.socket, "VGPU_SOCKET");
}

const char *origin_driver_dir(void)
{
    return stamped(stamp.driver_dir, "VGPU_DRIVER_DIR");
}
