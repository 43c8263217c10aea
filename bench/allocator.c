/* An allocator whose calls cost the same each time, for the process whose instructions are counted.
 *
 * What glibc's and Python's cost depends on all that was allocated before, so on the length of a
 * path as well: one case needed 34,000, 67,000 or 134,000 instructions by whether its block could
 * grow where it lay. Here each size class, a power of two, has a list of free blocks, last in
 * first out, and a block that grows beyond its class always moves. Nothing goes back to the
 * kernel, so this is for nothing else. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define LEAST 5                 /* the smallest class: 32 bytes, half of them the head */
#define CLASSES 48
#define STOCK ((size_t)1 << 22) /* bytes asked of the kernel at a time */
#define ALIGNMENT 16            /* of every block */

typedef struct block {
    size_t size;        /* as asked for */
    struct block *next; /* in the list of free ones; LOST in a block that can join none */
} block;

#define LOST ((block *)1)

static block *lists[CLASSES];
static char *stock;
static size_t stock_size;
static char busy;

static void enter(void)
{
    while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE))
        ;
}

static void leave(void) { __atomic_clear(&busy, __ATOMIC_RELEASE); }

static int class_of(size_t size)
{
    size_t whole = size + sizeof(block);
    return whole <= (size_t)1 << LEAST ? LEAST : 64 - __builtin_clzll(whole - 1);
}

static block *fresh(size_t whole)
{
    if (whole > stock_size) {
        size_t more = whole > STOCK ? whole : STOCK;
        void *pages = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            return NULL;
        stock = pages;
        stock_size = more;
    }
    block *made = (block *)stock;
    stock += whole;
    stock_size -= whole;
    return made;
}

void *malloc(size_t size)
{
    if (size > PTRDIFF_MAX - sizeof(block)) {
        errno = ENOMEM;
        return NULL;
    }
    int class = class_of(size);
    enter();
    block *made = lists[class];
    if (made)
        lists[class] = made->next;
    else
        made = fresh((size_t)1 << class);
    leave();
    if (!made) {
        errno = ENOMEM;
        return NULL;
    }
    made->size = size;
    made->next = NULL;
    return made + 1;
}

void free(void *data)
{
    block *left = (block *)data - 1;
    if (!data || left->next == LOST)
        return;
    int class = class_of(left->size);
    enter();
    left->next = lists[class];
    lists[class] = left;
    leave();
}

void *calloc(size_t count, size_t size)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole))
        whole = SIZE_MAX;
    void *data = malloc(whole);
    return data ? memset(data, 0, whole) : NULL;
}

void *realloc(void *data, size_t size)
{
    if (!data)
        return malloc(size);
    block *old = (block *)data - 1;
    if (old->next != LOST && class_of(old->size) == class_of(size)) {
        old->size = size;
        return data;
    }
    void *moved = malloc(size);
    if (moved) {
        memcpy(moved, data, size < old->size ? size : old->size);
        free(data);
    }
    return moved;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    if (alignment <= ALIGNMENT)
        return malloc(size);
    char *data = size > PTRDIFF_MAX - alignment ? NULL : malloc(size + alignment);
    if (!data)
        return NULL;
    data += alignment - (uintptr_t)data % alignment; /* at least a head's size further */
    ((block *)data)[-1] = (block){size, LOST};
    return data;
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void **data, size_t alignment, size_t size)
{
    *data = aligned_alloc(alignment, size);
    return *data ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *data) { return data ? ((block *)data - 1)->size : 0; }
