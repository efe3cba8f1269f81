/* The stage for tests of the shim: the shim's libraries over the fake driver, and a thread that plays vgpud.
 * The shim's state belongs to a process, so every test has one of its own: TEST(name) { ... } is a cmocka
 * test whose body runs in a forked child. */
#ifndef TESTS_UNIT_SHIM_FIXTURE_H
#define TESTS_UNIT_SHIM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/cuda_table.h"
#include "api/nvml_table.h"
#include "base/units.h"
#include "ledger/ledger.h"
#include "shim_fake_driver.h"

struct stage {
    struct ledger_areas areas;
    struct fake *fake;      /* the device's own account */
    struct cuda_table cuda; /* the shim's functions, as a program finds them */
    struct nvml_table nvml;
    int slots_given;
    int reaps_asked;  /* how often "vgpud" was asked to look for dead processes */
    int attach_error; /* negative errno that "vgpud" answers from now on; 0: it attaches */
};

/* Makes an instance with limits on both devices of the fake driver (0: not a part of the instance), says so
 * in the environment, and loads the shim. stage_open_unlimited: no instance at all. Fails the test when it
 * cannot. */
struct stage *stage_open(uint64_t limit_0_bytes, uint64_t limit_1_bytes);
struct stage *stage_open_unlimited(void);

/* stage_open, cuInit, and a context on device 0 (which costs 100 MiB). */
struct stage *stage_open_context(uint64_t limit_0_bytes);

/* What the ledger says of a device; what the device says. */
uint64_t stage_ledger_bytes(const struct stage *stage, unsigned device);
uint64_t stage_device_bytes(const struct stage *stage, unsigned device);

/* Runs body in a child; the test fails unless the child ends well. */
void stage_run(void (*body)(void));

/* In a body: ends the child with a message. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition);                                  \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

#define CHECK_EQUAL(a, b)                                                                                    \
    do {                                                                                                     \
        unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b);                       \
        if (a_ != b_) {                                                                                      \
            fprintf(stderr, "%s:%d: %s is %llu, not %llu\n", __func__, __LINE__, #a, a_, b_);                \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* Ledger and device agree, to the byte. */
#define CHECK_EXACT(stage)                                                                                   \
    do {                                                                                                     \
        CHECK_EQUAL(stage_ledger_bytes(stage, 0), stage_device_bytes(stage, 0));                             \
        CHECK_EQUAL(stage_ledger_bytes(stage, 1), stage_device_bytes(stage, 1));                             \
    } while (0)

#define TEST(name)                                                                                           \
    static void name##_body(void);                                                                           \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        stage_run(name##_body);                                                                              \
    }                                                                                                        \
    static void name##_body(void)

#endif
