/* The recording driver: a libcuda.so.1 whose every entry point keeps what it was called with, so that a test
 * of what stands before it can ask whether each argument arrived. Its results are arbitrary but the same in
 * every run: a thread's n-th call, to slot s, answers recdrv_result(s, n). cuGetProcAddress is like the
 * others until it is told to look names up. Two more of it are built: one that lacks what is younger than
 * CUDA 11.4, one that has functions which the description does not know. For tests only. */
#ifndef VGPU_NULLDRV_RECDRV_H
#define VGPU_NULLDRV_RECDRV_H

#include <stdbool.h>
#include <stdint.h>

enum { RECDRV_STACK_WORDS = 16 };

/* The registers first, laid out as the entry points store them. On x86-64 gp holds rdi rsi rdx rcx r8 r9 and
 * two zeros, on arm64 x0 to x7; fp holds xmm0-7 or v0-7, low half first. */
struct recdrv_call {
    uint64_t gp[8];
    uint64_t fp[8][2];
    uint64_t stack[RECDRV_STACK_WORDS]; /* from where the first argument on the stack would be */
    uint64_t serial;                    /* how many calls this thread has made, this one included */
    uint32_t slot;                      /* enum cuda_slot */
    int32_t result;                     /* what the call answered */
};

/* The calling thread's last call, or one of serial 0 when it has made none. Valid until its next. */
const struct recdrv_call *recdrv_last(void);

/* What the serial-th call of a thread answers if it is to slot: 0 to 999. */
int recdrv_result(uint32_t slot, uint64_t serial);

/* Makes the calling thread's next call its serial-th, so that a test chooses what it answers. */
void recdrv_serial_set(uint64_t serial);

/* From now on each call writes 8 bytes, which tell it and its parameter, to where its arguments point: those
 * in the general registers and stack words whose bits are set, if they point into [low, high). Of the whole
 * process; a test changes it between calls only. */
struct recdrv_outputs {
    uint32_t gp, stack;
    uint64_t low, high;
};
void recdrv_outputs_set(const struct recdrv_outputs *wanted);

/* Does cuGetProcAddress, in either version, answer with this driver's entry points? Of the whole process. */
void recdrv_lookup_set(bool lookup);

#endif
