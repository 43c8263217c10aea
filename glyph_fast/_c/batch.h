/* Many sends by one system call: io_uring where the kernel has it (Linux 6.1) and lets us, else
 * nothing, and `gf_batch_open` says so.
 *
 * No send ever waits: a full socket answers -EAGAIN as it would to `send`, so all of them are over
 * when the call returns. The memory to send has to stay where it is only until then. A batch
 * belongs to the thread that opened it.
 *
 * How the two rings are read. The kernel takes submissions from `head` to `tail` and we move the
 * tail; it adds completions at its tail and we move the head. Both counters only grow and wrap as
 * unsigned numbers do; a mask makes places of them. The indirection of the submission ring is
 * filled once, in order, since every submission is taken before the next batch is begun.
 *
 * Order of memory. A submission is written before the tail that shows it (release), and a
 * completion is read after the tail that shows it (acquire). With IORING_SETUP_SINGLE_ISSUER and
 * DEFER_TASKRUN the kernel does all of it inside our own call, so this is what the ABI asks for,
 * not what saves us.
 *
 * What a short result means. `io_uring_enter` may be interrupted after it took some submissions
 * and before all are complete: it is called again for the rest, and no send is added twice,
 * because `to_submit` counts down by what it took. A send that the kernel never looked at keeps
 * GF_UNSENT; its bytes are still in the ring of its connection, and go by `send`. A send may take
 * fewer bytes than it was given, as `send` does. */
#ifndef GLYPH_FAST_BATCH_H
#define GLYPH_FAST_BATCH_H

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GF_UNSENT INT_MIN /* the result of a send that the kernel never looked at */

#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(IORING_SETUP_DEFER_TASKRUN) && defined(SYS_io_uring_setup)
#define GF_HAS_BATCH 1
#endif
#endif
#endif

#ifdef GF_HAS_BATCH

typedef struct {
    int ring;
    pid_t pid; /* of the process whose mappings these are */
    unsigned size, count; /* sends that fit, sends added */
    unsigned *send_tail, *done_head, *done_tail, send_mask, done_mask;
    struct io_uring_sqe *sends;
    struct io_uring_cqe *done;
    void *shared;
    size_t shared_size, sends_size;
    int results[]; /* by order of adding: bytes, a negative errno, or GF_UNSENT */
} gf_batch;

static void gf_batch_close(gf_batch *batch)
{
    if (batch == NULL)
        return;
    /* A child has not inherited the mappings: what lies there in it is somebody else's. */
    const int is_ours = batch->pid == getpid();
    if (batch->sends != NULL && is_ours)
        munmap(batch->sends, batch->sends_size);
    if (batch->shared != NULL && is_ours)
        munmap(batch->shared, batch->shared_size);
    close(batch->ring);
    free(batch);
}

static void *gf_batch_map(int ring, size_t size, off_t what)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, size, MADV_DONTFORK); /* a child has no use for it */
    return at;
}

/* A batch of up to `size` sends (a power of two), or NULL. */
static gf_batch *gf_batch_open(unsigned size)
{
    struct io_uring_params how;
    memset(&how, 0, sizeof how);
    how.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int ring = (int)syscall(SYS_io_uring_setup, size, &how);
    if (ring < 0)
        return NULL;
    gf_batch *batch = calloc(1, sizeof *batch + size * sizeof batch->results[0]);
    if (batch == NULL) {
        close(ring);
        return NULL;
    }
    size_t sends_end = how.sq_off.array + how.sq_entries * sizeof(unsigned);
    size_t done_end = how.cq_off.cqes + how.cq_entries * sizeof(struct io_uring_cqe);
    batch->ring = ring;
    batch->pid = getpid();
    batch->size = size;
    /* With IORING_FEAT_SINGLE_MMAP both rings lie in one mapping, as large as the larger. */
    batch->shared_size = sends_end > done_end ? sends_end : done_end;
    batch->sends_size = how.sq_entries * sizeof(struct io_uring_sqe);
    batch->shared = gf_batch_map(ring, batch->shared_size, IORING_OFF_SQ_RING);
    batch->sends = gf_batch_map(ring, batch->sends_size, IORING_OFF_SQES);
    if (batch->shared == NULL || batch->sends == NULL
        || !(how.features & IORING_FEAT_SINGLE_MMAP)) {
        gf_batch_close(batch);
        return NULL;
    }
    char *shared = batch->shared;
    unsigned *order = (unsigned *)(shared + how.sq_off.array);
    for (unsigned i = 0; i < how.sq_entries; i++)
        order[i] = i;
    batch->send_tail = (unsigned *)(shared + how.sq_off.tail);
    batch->send_mask = how.sq_entries - 1;
    batch->done_head = (unsigned *)(shared + how.cq_off.head);
    batch->done_tail = (unsigned *)(shared + how.cq_off.tail);
    batch->done_mask = how.cq_entries - 1;
    batch->done = (struct io_uring_cqe *)(shared + how.cq_off.cqes);
    return batch;
}

/* Add one; `count` must be below `size`. */
static inline void gf_batch_add(gf_batch *batch, int fd, const void *data, size_t size)
{
    unsigned tail = *batch->send_tail;
    struct io_uring_sqe *send = &batch->sends[tail & batch->send_mask];
    memset(send, 0, sizeof *send);
    send->opcode = IORING_OP_SEND;
    send->fd = fd;
    send->addr = (uint64_t)(uintptr_t)data;
    send->len = size > INT_MAX ? INT_MAX : (uint32_t)size;
    send->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    send->user_data = batch->count;
    batch->results[batch->count++] = GF_UNSENT;
    __atomic_store_n(batch->send_tail, tail + 1, __ATOMIC_RELEASE);
}

/* Take what is done into `results`; returns how many there were. */
static inline unsigned gf_batch_collect(gf_batch *batch)
{
    unsigned head = *batch->done_head, count = 0;
    while (head != __atomic_load_n(batch->done_tail, __ATOMIC_ACQUIRE)) {
        const struct io_uring_cqe *done = &batch->done[head++ & batch->done_mask];
        batch->results[done->user_data] = done->res;
        count++;
    }
    __atomic_store_n(batch->done_head, head, __ATOMIC_RELEASE);
    return count;
}

/* Send all that was added; -1 when the kernel does not do it (any more): the batch is to be closed,
 * and what has GF_UNSENT as its result did not leave. */
static inline int gf_batch_send(gf_batch *batch)
{
    unsigned to_submit = batch->count, to_collect = batch->count;
    while (to_collect) {
        long count = syscall(SYS_io_uring_enter, batch->ring, to_submit, to_collect,
                             IORING_ENTER_GETEVENTS, NULL, 0);
        int error = errno;
        to_collect -= gf_batch_collect(batch);
        if (count >= 0)
            to_submit -= (unsigned)count;
        else if (error != EINTR)
            return -1;
    }
    return 0;
}

#else

#define GF_HAS_BATCH 0
typedef struct { unsigned size, count; int results[1]; } gf_batch;
static inline void gf_batch_close(gf_batch *batch) { (void)batch; }
static inline gf_batch *gf_batch_open(unsigned size) { (void)size; errno = ENOSYS; return NULL; }
static inline void gf_batch_add(gf_batch *b, int f, const void *d, size_t s)
{ (void)b; (void)f; (void)d; (void)s; }
static inline int gf_batch_send(gf_batch *batch) { (void)batch; errno = ENOSYS; return -1; }

#endif
#endif
