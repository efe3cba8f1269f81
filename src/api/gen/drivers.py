"""Whole libraries of entry points: the software driver's weak stubs, the shim's trampolines, the null and the recording
driver."""
from .text import HEAD

# What the null driver answers itself, in src/nulldrv/null.c.
NULL_WRITTEN_BY_HAND = {'cuGetProcAddress', 'cuGetProcAddress_v2', 'cuDeviceGetUuid', 'cuDeviceGetUuid_v2', 'cuCtxGetDevice',
                        'cuCtxGetCurrent', 'cuEventCreate', 'cuEventElapsedTime',
                        'cuEventElapsedTime_v2', 'cuMemGetInfo_v2', 'cuMemAlloc_v2'}


def weak_stubs(entries, result, unsupported):
    lines = [HEAD, '/* A strong definition elsewhere in the library takes a stub\'s place, and nm tells the two apart. */', '',
             f'{result} {unsupported}(const char *symbol);', '', '#define STUB(name) \\',
             '    __attribute__((weak, visibility("default"))) int name(void); \\', '    int name(void) \\', '    { \\',
             f'        return (int){unsupported}(#name); \\', '    }', '']
    lines += [f'STUB({e.symbol})' for e in entries if not e.function.result.endswith('*')]
    for entry in entries:
        if entry.function.result.endswith('*'):  # a text, not a code
            proto = f'{entry.function.result}{entry.symbol}(void)'
            lines += ['', f'__attribute__((weak, visibility("default"))) {proto};', proto, '{', f'    {unsupported}("{entry.symbol}");',
                      '    return "";', '}']
    return '\n'.join(lines + [''])


def null_driver(entries):
    lines = [HEAD, '#define EMPTY(name) \\', '    __attribute__((visibility("default"))) int name(void); \\',
             '    int name(void) \\', '    { \\', '        return 0; \\', '    }', '']
    lines += [f'EMPTY({e.symbol})' for e in entries if e.symbol not in NULL_WRITTEN_BY_HAND]
    return '\n'.join(lines + [''])


def quoted(text):
    """Assembler text as C string lines."""
    return [f'    "{line}\\n"' for line in text.strip('\n').replace('\\', '\\\\').split('\n')]


# Saves every register that can carry an argument, asks RESOLVE(slot), restores them and goes where the answer says. The slot
# is on the stack (x86-64) or in w17 (arm64).
X86_RESOLVER = r'''
.type {table}_resolver, @function
{table}_resolver:
    .cfi_startproc
    .cfi_def_cfa_offset 16
    subq $208, %rsp
    .cfi_adjust_cfa_offset 208
    movq %rdi, 0(%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %r9, 40(%rsp)
    movq %rax, 48(%rsp)
    movq %r10, 56(%rsp)
    movups %xmm0, 64(%rsp)
    movups %xmm1, 80(%rsp)
    movups %xmm2, 96(%rsp)
    movups %xmm3, 112(%rsp)
    movups %xmm4, 128(%rsp)
    movups %xmm5, 144(%rsp)
    movups %xmm6, 160(%rsp)
    movups %xmm7, 176(%rsp)
    movl 208(%rsp), %edi
    call {resolve}
    movq %rax, %r11
    movq 0(%rsp), %rdi
    movq 8(%rsp), %rsi
    movq 16(%rsp), %rdx
    movq 24(%rsp), %rcx
    movq 32(%rsp), %r8
    movq 40(%rsp), %r9
    movq 48(%rsp), %rax
    movq 56(%rsp), %r10
    movups 64(%rsp), %xmm0
    movups 80(%rsp), %xmm1
    movups 96(%rsp), %xmm2
    movups 112(%rsp), %xmm3
    movups 128(%rsp), %xmm4
    movups 144(%rsp), %xmm5
    movups 160(%rsp), %xmm6
    movups 176(%rsp), %xmm7
    addq $216, %rsp
    .cfi_adjust_cfa_offset -216
    jmp *%r11
    .cfi_endproc
.size {table}_resolver, . - {table}_resolver
.macro {table}_resolve slot
.type {table}_resolve_\slot, @function
{table}_resolve_\slot:
    .cfi_startproc
    endbr64
    pushq $\slot
    .cfi_adjust_cfa_offset 8
    jmp {table}_resolver
    .cfi_endproc
.size {table}_resolve_\slot, . - {table}_resolve_\slot
.endm
.macro {table}_pass name slot
.globl \name
.type \name, @function
\name:
    .cfi_startproc
    endbr64
    jmp *{table} + 8 * \slot(%rip)
    .cfi_endproc
.size \name, . - \name
.endm
'''

ARM_RESOLVER = r'''
.type {table}_resolver, %function
{table}_resolver:
    .cfi_startproc
    stp x29, x30, [sp, #-224]!
    .cfi_def_cfa_offset 224
    .cfi_offset 29, -224
    .cfi_offset 30, -216
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    str x8, [sp, #80]
    stp q0, q1, [sp, #96]
    stp q2, q3, [sp, #128]
    stp q4, q5, [sp, #160]
    stp q6, q7, [sp, #192]
    mov w0, w17
    bl {resolve}
    mov x16, x0
    ldp x0, x1, [sp, #16]
    ldp x2, x3, [sp, #32]
    ldp x4, x5, [sp, #48]
    ldp x6, x7, [sp, #64]
    ldr x8, [sp, #80]
    ldp q0, q1, [sp, #96]
    ldp q2, q3, [sp, #128]
    ldp q4, q5, [sp, #160]
    ldp q6, q7, [sp, #192]
    ldp x29, x30, [sp], #224
    .cfi_def_cfa_offset 0
    .cfi_restore 29
    .cfi_restore 30
    br x16
    .cfi_endproc
.size {table}_resolver, . - {table}_resolver
.macro {table}_resolve slot
.type {table}_resolve_\slot, %function
{table}_resolve_\slot:
    .cfi_startproc
    hint #34
    mov w17, #\slot
    b {table}_resolver
    .cfi_endproc
.size {table}_resolve_\slot, . - {table}_resolve_\slot
.endm
.macro {table}_pass name slot
.globl \name
.type \name, %function
\name:
    .cfi_startproc
    hint #34
    adrp x16, {table} + 8 * \slot
    ldr x16, [x16, #:lo12:{table} + 8 * \slot]
    br x16
    .cfi_endproc
.size \name, . - \name
.endm
'''


def trampolines(entries, table, resolve):
    """x16 and r11 are free between a call and its callee, so the jump keeps every argument."""
    lines = [HEAD, '#include "api/trampolines.h"', '', f'/* Assembler names them, the compiler must not drop or rename them. */',
             f'__attribute__((used)) __typeof__({resolve}) {resolve};',
             f'__attribute__((used)) static void *(*const {table}_keep)(unsigned) = {resolve};', '']
    for condition, assembler in (('#if defined(__x86_64__)', X86_RESOLVER), ('#elif defined(__aarch64__)', ARM_RESOLVER)):
        lines += [condition, '__asm__(".text\\n"', *quoted(assembler.format(table=table, resolve=resolve)), ');']
    lines += ['#else', '#error "no trampolines for this processor"', '#endif', '', '__asm__(']
    lines += [f'    "{table}_resolve {e.slot}\\n"' for e in entries]
    lines += [f'    "{table}_pass {e.symbol} {e.slot}\\n"' for e in entries if not e.hooked]
    lines += [');', '']
    lines += [f'extern char {table}_resolve_{e.slot}[] __attribute__((visibility("hidden")));' for e in entries]
    lines += ['', f'__attribute__((visibility("hidden"))) void *{table}[] = {{']
    lines += [f'    [{e.slot}] = {table}_resolve_{e.slot},' for e in entries]
    return '\n'.join(lines + ['};', ''])


# Lays the argument registers out as struct recdrv_call begins (src/nulldrv/recdrv.h), calls recdrv_note(slot, registers,
# stack) and returns its answer.
X86_RECORDER = r'''
.type recdrv_common, @function
recdrv_common:
    .cfi_startproc
    .cfi_def_cfa_offset 16
    subq $192, %rsp
    .cfi_adjust_cfa_offset 192
    movq %rdi, 0(%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %r9, 40(%rsp)
    movq $0, 48(%rsp)
    movq $0, 56(%rsp)
    movups %xmm0, 64(%rsp)
    movups %xmm1, 80(%rsp)
    movups %xmm2, 96(%rsp)
    movups %xmm3, 112(%rsp)
    movups %xmm4, 128(%rsp)
    movups %xmm5, 144(%rsp)
    movups %xmm6, 160(%rsp)
    movups %xmm7, 176(%rsp)
    movl 192(%rsp), %edi
    movq %rsp, %rsi
    leaq 208(%rsp), %rdx
    call recdrv_note
    addq $200, %rsp
    .cfi_adjust_cfa_offset -200
    ret
    .cfi_endproc
.size recdrv_common, . - recdrv_common
.macro recdrv_entry name slot
.globl \name
.type \name, @function
\name:
    .cfi_startproc
    endbr64
    pushq $\slot
    .cfi_adjust_cfa_offset 8
    jmp recdrv_common
    .cfi_endproc
.size \name, . - \name
.endm
'''

ARM_RECORDER = r'''
.type recdrv_common, %function
recdrv_common:
    .cfi_startproc
    stp x29, x30, [sp, #-208]!
    .cfi_def_cfa_offset 208
    .cfi_offset 29, -208
    .cfi_offset 30, -200
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    stp q0, q1, [sp, #80]
    stp q2, q3, [sp, #112]
    stp q4, q5, [sp, #144]
    stp q6, q7, [sp, #176]
    mov w0, w17
    add x1, sp, #16
    add x2, sp, #208
    bl recdrv_note
    ldp x29, x30, [sp], #208
    .cfi_def_cfa_offset 0
    .cfi_restore 29
    .cfi_restore 30
    ret
    .cfi_endproc
.size recdrv_common, . - recdrv_common
.macro recdrv_entry name slot
.globl \name
.type \name, %function
\name:
    .cfi_startproc
    hint #34
    mov w17, #\slot
    b recdrv_common
    .cfi_endproc
.size \name, . - \name
.endm
'''


def recording_driver(entries):
    lines = [HEAD]
    for condition, assembler in (('#if defined(__x86_64__)', X86_RECORDER), ('#elif defined(__aarch64__)', ARM_RECORDER)):
        lines += [condition, '__asm__(".text\\n"', *quoted(assembler), ');']
    lines += ['#else', '#error "no recording driver for this processor"', '#endif', '', '__asm__(']
    lines += [f'    "recdrv_entry {e.symbol} {e.slot}\\n"' for e in entries]
    return '\n'.join(lines + [');', ''])
