/* A kernel that keeps the device at work for a wanted time and costs an interpreter next to nothing: nap(u64
 * wait_ns) sleeps, a millisecond at a time at most, which is what hardware does. The text begins a module:
 * more kernels may follow it. */
#ifndef VGPU_TESTS_NAP_H
#define VGPU_TESTS_NAP_H

#define NAP_PTX                                                                                              \
    ".version 7.0\n.target sm_70\n.address_size 64\n"                                                        \
    ".visible .entry nap(.param .u64 wait_ns)\n{\n"                                                          \
    ".reg .pred %p1;\n.reg .b32 %r1;\n.reg .b64 %rd<3>;\n"                                                   \
    "ld.param.u64 %rd1, [wait_ns];\n"                                                                        \
    "NEXT:\n"                                                                                                \
    "min.u64 %rd2, %rd1, 1000000;\n"                                                                         \
    "cvt.u32.u64 %r1, %rd2;\n"                                                                               \
    "nanosleep.u32 %r1;\n"                                                                                   \
    "sub.u64 %rd1, %rd1, %rd2;\n"                                                                            \
    "setp.ne.u64 %p1, %rd1, 0;\n"                                                                            \
    "@%p1 bra NEXT;\n"                                                                                       \
    "ret;\n}\n"

#endif
