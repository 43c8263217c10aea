/* malloc, calloc and realloc that fail when they are told to: loaded before the C library.
 *
 * `gf_fail(after, count)` lets `after` more calls succeed, has `count` fail, and then all succeed
 * again, as with -1; `gf_counted()` says how many came between such an order and the end of it. */
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *at, size_t size);

static long left = -1, failing = 0, counted = 0;
static int paused = 0;

void gf_fail(long after, long count)
{
    left = after;
    failing = count;
    if (after >= 0)
        counted = 0;
}

/* Between these nothing fails, and nothing counts. */
void gf_pause(void) { paused++; }
void gf_resume(void) { paused--; }

long gf_counted(void) { return counted; }

static int fails(void)
{
    if (paused || left < 0)
        return 0;
    counted++;
    if (left-- > 0)
        return 0;
    if (failing-- <= 0) {
        left = -1;
        return 0;
    }
    left = 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *at, size_t size) { return fails() ? NULL : __libc_realloc(at, size); }
