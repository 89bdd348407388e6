/*
 * The exported dlopen: takes RTLD_DEEPBIND off modules that need a libcurl.
 *
 * PHP loads its extensions with that flag, and symbols bound so pass every preload by. All other
 * calls, and all modules when there are no settings, go on unchanged. The real function looks at
 * its caller (for the caller's RUNPATH), so it is jumped to, never called: whatever the compiler's
 * options, the return address has to be the program's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "shim/object.h"
#include "shim/runtime.h"

/* The real function. Written at the first call, by whoever is first, always the same. */
__attribute__((used, visibility("hidden"))) void *spillway_real_dlopen;

static void *missing(const char *file, int mode) {
    (void)file, (void)mode;
    return NULL;
}

/* Called by the jump below: finds the real function and gives the mode to call it with. */
__attribute__((used, visibility("hidden"))) int spillway_dlopen_mode(const char *file, int mode);

int spillway_dlopen_mode(const char *file, int mode) {
    if (!__atomic_load_n(&spillway_real_dlopen, __ATOMIC_RELAXED)) {
        void *real = dlsym(RTLD_NEXT, "dlopen");
        void *(*fallback)(const char *, int) = missing;
        if (!real)
            memcpy(&real, &fallback, sizeof real);
        __atomic_store_n(&spillway_real_dlopen, real, __ATOMIC_RELAXED);
    }
    if (!(mode & RTLD_DEEPBIND) || !file || !strchr(file, '/') || !object_needs_libcurl(file) ||
        !runtime_exists())
        return mode;
    return mode & ~RTLD_DEEPBIND;
}

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen:\n"
        "  .cfi_startproc\n"
        "  endbr64\n"
        "  pushq %rdi\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  call spillway_dlopen_mode\n"
        "  popq %rdi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  movl %eax, %esi\n"
        "  jmp *spillway_real_dlopen(%rip)\n"
        "  .cfi_endproc\n"
        ".size dlopen, .-dlopen\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl dlopen\n"
        ".type dlopen, %function\n"
        "dlopen:\n"
        "  .cfi_startproc\n"
        "  stp x0, x30, [sp, #-16]!\n"
        "  .cfi_adjust_cfa_offset 16\n"
        "  .cfi_offset x30, -8\n"
        "  bl spillway_dlopen_mode\n"
        "  mov w1, w0\n"
        "  ldp x0, x30, [sp], #16\n"
        "  .cfi_adjust_cfa_offset -16\n"
        "  .cfi_restore x30\n"
        "  adrp x16, spillway_real_dlopen\n"
        "  ldr x16, [x16, #:lo12:spillway_real_dlopen]\n"
        "  br x16\n"
        "  .cfi_endproc\n"
        ".size dlopen, .-dlopen\n");
#else
__attribute__((visibility("default"))) void *dlopen(const char *file, int mode) {
    void *(*real)(const char *, int);
    mode = spillway_dlopen_mode(file, mode);
    memcpy(&real, &spillway_real_dlopen, sizeof real);
    return real(file, mode); /* a sibling call when optimised */
}
#endif
