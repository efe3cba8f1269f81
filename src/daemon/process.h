/* What /proc tells of a process, by its pid in vgpud's pid namespace. Only a live pidfd of it makes sure that
 * the answer is about that process. */
#ifndef VGPU_DAEMON_PROCESS_H
#define VGPU_DAEMON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Of a process's first thread. */
struct process_stat {
    char state; /* as in proc(5): 'R', 'S', 'Z', ... */
    int parent_pid;
    bool exiting; /* it has begun to end */
};

/* Reads it. False when the process cannot be seen. */
bool process_stat(int pid, struct process_stat *ret_stat);

/* The name of a process as the kernel has it, made fit to print; "" when it cannot be read. */
void process_command(int pid, char *buf, size_t buf_bytes);

#endif
