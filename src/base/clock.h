/* The one place that reads clocks. Library code takes time as an argument (`uint64_t now_ns`). */
#ifndef VGPU_BASE_CLOCK_H
#define VGPU_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. Thread-safe, never fails. */
uint64_t clock_monotonic_ns(void);

/* The same to a few milliseconds (a tick of the kernel's), for a few instructions. */
uint64_t clock_coarse_ns(void);

/* Sleeps until CLOCK_MONOTONIC reaches deadline_ns; returns at once when it has passed. Restarts after signals. */
void clock_sleep_until_ns(uint64_t deadline_ns);

/* Start time of process pid in clock ticks since boot (field 22 of /proc/PID/stat): with the pid it names a process
 * beyond reuse. Returns 0 and fills *ret_ticks, or -ESRCH when there is no such process. */
int clock_process_start(int pid, uint64_t *ret_ticks);

#endif
