/* The call with all registers filled, in assembler, and the calling convention as far as call_mask needs it.
 * See call.h. */
#include "call.h"

#include <string.h>

#if defined(__x86_64__)

enum { GP_REGISTERS = 6 };

__asm__(".text\n"
        ".globl call_function\n"
        ".hidden call_function\n"
        ".type call_function, @function\n"
        "call_function:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    .cfi_rel_offset %rbp, 0\n"
        "    movq %rsp, %rbp\n"
        "    .cfi_def_cfa_register %rbp\n"
        "    movq %rdi, %r11\n"
        "    movq %rsi, %r10\n"
        "    movl $16, %ecx\n"
        "1:  pushq 184(%r10,%rcx,8)\n" /* from the last word of the stack, at 192 + 15 * 8, to the first */
        "    decl %ecx\n"
        "    jnz 1b\n"
        "    movups 64(%r10), %xmm0\n"
        "    movups 80(%r10), %xmm1\n"
        "    movups 96(%r10), %xmm2\n"
        "    movups 112(%r10), %xmm3\n"
        "    movups 128(%r10), %xmm4\n"
        "    movups 144(%r10), %xmm5\n"
        "    movups 160(%r10), %xmm6\n"
        "    movups 176(%r10), %xmm7\n"
        "    movq 0(%r10), %rdi\n"
        "    movq 8(%r10), %rsi\n"
        "    movq 16(%r10), %rdx\n"
        "    movq 24(%r10), %rcx\n"
        "    movq 32(%r10), %r8\n"
        "    movq 40(%r10), %r9\n"
        "    movl $8, %eax\n"
        "    call *%r11\n"
        "    leave\n"
        "    .cfi_def_cfa %rsp, 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size call_function, . - call_function\n");

#elif defined(__aarch64__)

enum { GP_REGISTERS = 8 };

__asm__(".text\n"
        ".globl call_function\n"
        ".hidden call_function\n"
        ".type call_function, %function\n"
        "call_function:\n"
        "    .cfi_startproc\n"
        "    hint #34\n"
        "    stp x29, x30, [sp, #-16]!\n"
        "    .cfi_def_cfa_offset 16\n"
        "    .cfi_offset 29, -16\n"
        "    .cfi_offset 30, -8\n"
        "    mov x29, sp\n"
        "    .cfi_def_cfa_register 29\n"
        "    mov x16, x0\n"
        "    mov x17, x1\n"
        "    sub sp, sp, #128\n"
        "    add x9, x17, #192\n"
        "    mov x10, sp\n"
        "    mov w11, #8\n"
        "1:  ldp x12, x13, [x9], #16\n"
        "    stp x12, x13, [x10], #16\n"
        "    subs w11, w11, #1\n"
        "    b.ne 1b\n"
        "    ldp q0, q1, [x17, #64]\n"
        "    ldp q2, q3, [x17, #96]\n"
        "    ldp q4, q5, [x17, #128]\n"
        "    ldp q6, q7, [x17, #160]\n"
        "    ldp x0, x1, [x17, #0]\n"
        "    ldp x2, x3, [x17, #16]\n"
        "    ldp x4, x5, [x17, #32]\n"
        "    ldp x6, x7, [x17, #48]\n"
        "    blr x16\n"
        "    mov sp, x29\n"
        "    ldp x29, x30, [sp], #16\n"
        "    .cfi_def_cfa 31, 0\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size call_function, . - call_function\n");

#else
#    error "no call with all registers for this processor"
#endif

void call_mask(const struct call_params *params, struct call_arguments *arguments)
{
    struct call_arguments kept = {0};
    unsigned gp = 0, fp = 0, word = 0;

    for (unsigned i = 0; i < params->n; i++) {
        unsigned bytes = params->params[i].bytes;
        uint64_t mask = bytes < 8 ? (UINT64_C(1) << 8 * bytes) - 1 : UINT64_MAX;

        if (params->params[i].is_float && fp < 8) {
            kept.fp[fp][0] = arguments->fp[fp][0] & mask;
            fp++;
        } else if (bytes <= 8 && gp < GP_REGISTERS) {
            kept.gp[gp] = arguments->gp[gp] & mask;
            gp++;
        } else if (bytes > 16 && GP_REGISTERS == 8) {
            gp++; /* arm64 hands over a copy's address, which is the caller's own business */
        } else {
            for (unsigned n = (bytes + 7) / 8; n && word < RECDRV_STACK_WORDS; n--, word++)
                kept.stack[word] = arguments->stack[word] & mask;
        }
    }
    *arguments = kept;
}

void call_wide(const struct call_params *params, uint32_t *ret_gp, uint32_t *ret_stack)
{
    struct call_arguments all;

    memset(&all, 0xff, sizeof(all));
    if (params->known)
        call_mask(params, &all);
    *ret_gp = *ret_stack = 0;
    for (unsigned i = 0; i < GP_REGISTERS; i++)
        *ret_gp |= (uint32_t)(all.gp[i] == UINT64_MAX) << i;
    for (unsigned i = 0; i < RECDRV_STACK_WORDS; i++)
        *ret_stack |= (uint32_t)(all.stack[i] == UINT64_MAX) << i;
}
