/* Special registers whose value does not change while a warp runs: each is a lane array in the launch's or
 * the warp's own slots, so an instruction reads it like any register. Clocks are instructions (run_clock) and
 * not found here. */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <string.h>

struct special {
    const char *name;
    char component;
    uint8_t base;
    uint8_t slot;
};

static const struct special specials[] = {
    {"%tid", 'x', BASE_WARP, WARP_TID_X},
    {"%tid", 'y', BASE_WARP, WARP_TID_Y},
    {"%tid", 'z', BASE_WARP, WARP_TID_Z},
    {"%ctaid", 'x', BASE_WARP, WARP_CTAID_X},
    {"%ctaid", 'y', BASE_WARP, WARP_CTAID_Y},
    {"%ctaid", 'z', BASE_WARP, WARP_CTAID_Z},
    {"%ntid", 'x', BASE_LAUNCH, LAUNCH_NTID_X},
    {"%ntid", 'y', BASE_LAUNCH, LAUNCH_NTID_Y},
    {"%ntid", 'z', BASE_LAUNCH, LAUNCH_NTID_Z},
    {"%nctaid", 'x', BASE_LAUNCH, LAUNCH_NCTAID_X},
    {"%nctaid", 'y', BASE_LAUNCH, LAUNCH_NCTAID_Y},
    {"%nctaid", 'z', BASE_LAUNCH, LAUNCH_NCTAID_Z},
    {"%laneid", 0, BASE_WARP, WARP_LANEID},
    {"%warpid", 0, BASE_WARP, WARP_WARPID},
    {"%smid", 0, BASE_WARP, WARP_SMID},
    {"%lanemask_eq", 0, BASE_WARP, WARP_LANEMASK_EQ},
    {"%lanemask_lt", 0, BASE_WARP, WARP_LANEMASK_LT},
    {"%lanemask_le", 0, BASE_WARP, WARP_LANEMASK_LE},
    {"%lanemask_gt", 0, BASE_WARP, WARP_LANEMASK_GT},
    {"%lanemask_ge", 0, BASE_WARP, WARP_LANEMASK_GE},
    {"%nsmid", 0, BASE_LAUNCH, LAUNCH_NSMID},
    {"%gridid", 0, BASE_LAUNCH, LAUNCH_GRIDID},
    {"%nwarpid", 0, BASE_LAUNCH, LAUNCH_NWARPID},
    {"%envreg1", 0, BASE_LAUNCH, LAUNCH_ENVREG1},
    {"%envreg2", 0, BASE_LAUNCH, LAUNCH_ENVREG2},
    {"%total_smem_size", 0, BASE_LAUNCH, LAUNCH_TOTAL_SMEM},
    {"%dynamic_smem_size", 0, BASE_LAUNCH, LAUNCH_DYNAMIC_SMEM},
};

/* The parser may leave ".x" in the name or split it off. */
static bool same_register(const struct ptx_operand *operand, const struct special *special)
{
    size_t bytes = strlen(special->name);

    if (strncmp(operand->name, special->name, bytes) != 0)
        return false;
    if (operand->name[bytes] == '\0')
        return operand->component == special->component;
    return operand->name[bytes] == '.' && operand->name[bytes + 1] == special->component &&
           special->component && operand->name[bytes + 2] == '\0';
}

int decode_special(const struct ptx_operand *operand, uint32_t *ret_operand, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (same_register(operand, &specials[i])) {
            *ret_operand = OPERAND(specials[i].base, specials[i].slot * SLOT_BYTES);
            *ret_bytes = 4;
            return 0;
        }
    }
    return -ENOENT;
}
