/* The register that says how floats round and whether small ones are flushed. Kernels run in the default
 * environment, whatever the caller's is. */
#ifndef RUNTIME_FLOAT_H
#define RUNTIME_FLOAT_H
#include <stdint.h>

#if defined(__SSE__)
#include <xmmintrin.h>
enum { FLOAT_DEFAULT = 0x1f80 };
static inline uint64_t float_control(void) { return _mm_getcsr(); }
static inline void set_float_control(uint64_t c) { _mm_setcsr((unsigned)c); }
#elif defined(__aarch64__)
enum { FLOAT_DEFAULT = 0 };
static inline uint64_t float_control(void) {
    uint64_t c;
    __asm__ volatile("mrs %0, fpcr" : "=r"(c));
    return c;
}
static inline void set_float_control(uint64_t c) { __asm__ volatile("msr fpcr, %0" : : "r"(c)); }
#else
enum { FLOAT_DEFAULT = 0 };
static inline uint64_t float_control(void) { return FLOAT_DEFAULT; }
static inline void set_float_control(uint64_t c) { (void)c; }
#endif

#endif
