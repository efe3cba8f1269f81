/* Binds the dl* and thread-specific-data functions to their first versions: what is loaded into tenants' processes runs on glibc 2.28,
 * but a plain build on a newer one asks for the versions that moved into libc with 2.34. Included first by
 * every file of the shim that opens libraries or keeps data by thread. Sanitizers bring their own versions of these functions, so
 * their builds go without. */
#ifndef VGPU_DRIVER_GLIBC_FLOOR_H
#define VGPU_DRIVER_GLIBC_FLOOR_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define GLIBC_FLOOR 0
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define GLIBC_FLOOR 0
#    endif
#endif
#ifndef GLIBC_FLOOR
#    define GLIBC_FLOOR 1
#endif

#if GLIBC_FLOOR && defined(__GLIBC__) && defined(__x86_64__)
#    define GLIBC_FLOOR_VERSION "GLIBC_2.2.5"
#elif GLIBC_FLOOR && defined(__GLIBC__) && defined(__aarch64__)
#    define GLIBC_FLOOR_VERSION "GLIBC_2.17"
#endif

#ifdef GLIBC_FLOOR_VERSION
__asm__(".symver dlopen,dlopen@" GLIBC_FLOOR_VERSION);
__asm__(".symver dlsym,dlsym@" GLIBC_FLOOR_VERSION);
__asm__(".symver dlclose,dlclose@" GLIBC_FLOOR_VERSION);
__asm__(".symver pthread_key_create,pthread_key_create@" GLIBC_FLOOR_VERSION);
__asm__(".symver pthread_getspecific,pthread_getspecific@" GLIBC_FLOOR_VERSION);
__asm__(".symver pthread_setspecific,pthread_setspecific@" GLIBC_FLOOR_VERSION);
#endif

#endif
