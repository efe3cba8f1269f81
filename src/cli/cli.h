/* vgpu's commands: one row of main.c's table each, one file a noun. */
#ifndef VGPU_CLI_CLI_H
#define VGPU_CLI_CLI_H

#include "base/error.h"

/* Exit statuses; `vgpu run` has the command's own, and these like shells and env(1) do. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_RUN_FAILED = 125,
    CLI_RUN_CANNOT_EXEC = 126,
    CLI_RUN_NOT_FOUND = 127,
    CLI_RUN_SIGNAL = 128, /* + the signal's number */
};

/* argv[0] is the command's full name ("vgpu instance set"), for messages. Returns the exit status. */
typedef int (*cli_fn)(int argc, char **argv);

int run_main(int argc, char **argv);
int device_list_main(int argc, char **argv);
int instance_list_main(int argc, char **argv);
int instance_show_main(int argc, char **argv);
int instance_set_main(int argc, char **argv);
int instance_stop_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int top_main(int argc, char **argv);
int metrics_main(int argc, char **argv);
int doctor_main(int argc, char **argv);

#endif
