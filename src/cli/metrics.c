/* vgpu metrics: runs vgpu-metrics, which is where this install tree keeps the programs that nobody calls by
 * name. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "cli/cli.h"
#include "cli/options.h"

int metrics_main(int argc, char **argv)
{
    char dir[PATH_MAX], program[PATH_MAX + sizeof(VGPU_LIBEXEC_FROM_BIN) + 16];
    struct error err = {0};
    int r = paths_program_dir(dir, sizeof(dir));

    if (r == 0) {
        snprintf(program, sizeof(program), "%s/" VGPU_LIBEXEC_FROM_BIN "/vgpu-metrics", dir);
        execv(program, argv);
        r = error_errno();
        error_fail(&err, r, "%s cannot be run: %s; the install tree is not complete (vgpu doctor)", program,
                   strerror(-r));
    } else {
        error_fail(&err, r, "vgpu cannot tell where it is installed: %s", strerror(-r));
    }
    return options_fail(argv, CLI_FAILED, &err);
}
