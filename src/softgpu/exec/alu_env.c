/* The floating-point environment of the thread that interprets: tenants' threads may have been set to flush
 * subnormals
 * (-ffast-math start-up code does) or to another rounding, and the arithmetic counts on the default. */
#include <fenv.h>

#include "softgpu/exec/alu.h"

_Static_assert(sizeof(fenv_t) <= sizeof(struct alu_env), "a saved environment fits");

void alu_env_enter(struct alu_env *ret_saved)
{
    fegetenv((fenv_t *)ret_saved);
    fesetenv(FE_DFL_ENV);
}

void alu_env_leave(const struct alu_env *saved)
{
    fesetenv((const fenv_t *)saved);
}
