/* Records by the OpenSSL that the interpreter's `ssl` has loaded, without the detour through it.
 *
 * `ssl` makes contexts and sessions, and shakes hands. From then on a record needs two functions
 * of OpenSSL. By way of `ssl` each gives up the interpreter's lock and takes it again, and
 * ciphertext is copied twice more, in and out of a memory buffer. Here OpenSSL reads from where the
 * socket was read to, and writes to where the socket is written from.
 *
 * Which OpenSSL. It has to be the very one that made the session. So functions are looked up in
 * the module `_ssl` and what that was linked with, and nowhere else. Where they are not to be
 * found (linked in and hidden), all goes by way of `ssl`.
 *
 * Where the session is. `_ssl` does not tell, but its object begins with the same three fields
 * from Python 3.4 to 3.15. Before any of them is believed, one session is compared with what is
 * known of it: no socket, its own context, and OpenSSL must agree about the latter.
 *
 * Who may run meanwhile. Nobody: the interpreter's lock is held, and OpenSSL calls nothing of
 * Python's once hands are shaken. So a pointer into a Python object is safe here. What is being
 * read and written belongs to the thread, for `ssl` gives up the lock where it is still in use. */
#ifndef GLYPH_FAST_OPENSSL_H
#define GLYPH_FAST_OPENSSL_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GF_TLS_MORE, GF_TLS_END, GF_TLS_BROKEN, GF_TLS_SILENT }; /* why reading stopped */

#if defined(__linux__) && !defined(Py_GIL_DISABLED)
#include <dlfcn.h>

typedef struct { /* of Modules/_ssl.c, as far as it is needed */
    PyObject_HEAD
    void *context;
} gf_py_context;

typedef struct {
    PyObject_HEAD
    PyObject *socket;
    void *session;
    PyObject *context;
} gf_py_session;

#define GF_OPENSSL(X)                                                                     \
    X(int, SSL_read_ex, (void *session, void *data, size_t size, size_t *count))          \
    X(int, SSL_write_ex, (void *session, const void *data, size_t size, size_t *count))   \
    X(int, SSL_shutdown, (void *session))                                                 \
    X(int, SSL_get_error, (const void *session, int result))                              \
    X(void *, SSL_get_SSL_CTX, (const void *session))                                     \
    X(void, SSL_set_bio, (void *session, void *in, void *out))                            \
    X(int, BIO_get_new_index, (void))                                                     \
    X(void *, BIO_meth_new, (int type, const char *name))                                 \
    X(int, BIO_meth_set_read_ex, (void *, int (*)(void *, char *, size_t, size_t *)))     \
    X(int, BIO_meth_set_write_ex, (void *, int (*)(void *, const char *, size_t, size_t *))) \
    X(int, BIO_meth_set_ctrl, (void *, long (*)(void *, int, long, void *)))              \
    X(int, BIO_meth_set_create, (void *, int (*)(void *)))                                \
    X(void *, BIO_new, (const void *method))                                              \
    X(int, BIO_up_ref, (void *bio))                                                       \
    X(void, BIO_set_init, (void *bio, int is_ready))                                      \
    X(void, BIO_set_flags, (void *bio, int flags))                                        \
    X(void, BIO_clear_flags, (void *bio, int flags))                                      \
    X(unsigned long, ERR_peek_error, (void))                                              \
    X(unsigned long, ERR_peek_last_error, (void))                                         \
    X(const char *, ERR_reason_error_string, (unsigned long code))                        \
    X(void, ERR_clear_error, (void))

#define GF_DECLARE(result, name, arguments) static result(*gf_##name) arguments;
GF_OPENSSL(GF_DECLARE)
#undef GF_DECLARE

enum { /* of OpenSSL's headers, the same since 1.1.1 */
    GF_BIO_SOURCE = 0x400,
    GF_BIO_FLUSH = 11,
    GF_BIO_RETRY_READ = 1 | 8,
    GF_BIO_RETRY = 1 | 2 | 4 | 8,
    GF_ERROR_WANT_READ = 2,
    GF_ERROR_ZERO_RETURN = 6,
};

static __thread struct {
    const char *in; /* ciphertext that came, not owned */
    size_t in_size;
    int pieces; /* that were read of it, two for each record, but for those of data */
    char *out; /* ciphertext to send, malloc'd; nothing is left there between calls */
    size_t out_size, out_capacity;
} gf_tls;

/* Records that may come in one reading without data in them: keys are changed, and little else is
 * said so, once in gigabytes, while OpenSSL would do it as often as it is told, and answer. */
enum { GF_TLS_RECORDS = 32 };

/* A BIO keeps nothing but whether it should be asked again, so one serves all of a thread. */
static __thread void *gf_tls_bio;
static void *gf_tls_method; /* of it */

static int gf_bio_read(void *bio, char *target, size_t size, size_t *count)
{
    gf_BIO_clear_flags(bio, GF_BIO_RETRY);
    *count = size < gf_tls.in_size ? size : gf_tls.in_size;
    if (*count == 0) {
        gf_BIO_set_flags(bio, GF_BIO_RETRY_READ);
        return 0;
    }
    if (gf_tls.pieces >= 2 * GF_TLS_RECORDS)
        return *count = 0; /* as if it ended here */
    gf_tls.pieces++;
    memcpy(target, gf_tls.in, *count);
    gf_tls.in += *count;
    gf_tls.in_size -= *count;
    return 1;
}

static int gf_bio_write(void *bio, const char *data, size_t size, size_t *count)
{
    gf_BIO_clear_flags(bio, GF_BIO_RETRY);
    if (size > gf_tls.out_capacity - gf_tls.out_size) {
        size_t capacity = (gf_tls.out_size + size) * 2;
        char *larger = realloc(gf_tls.out, capacity);
        if (larger == NULL)
            return 0;
        gf_tls.out = larger;
        gf_tls.out_capacity = capacity;
    }
    memcpy(gf_tls.out + gf_tls.out_size, data, size);
    gf_tls.out_size += *count = size;
    return 1;
}

static long gf_bio_control(void *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == GF_BIO_FLUSH;
}

static int gf_bio_create(void *bio)
{
    gf_BIO_set_init(bio, 1);
    return 1;
}

/* Look the functions up in `_ssl`, whose file this is; whether all are there. */
static int gf_tls_find(const char *path)
{
    void *library = dlopen(path, RTLD_NOLOAD | RTLD_LAZY);
    void *method;
    if (gf_tls_method != NULL || library == NULL)
        return gf_tls_method != NULL;
#define GF_FIND(result, name, arguments)                      \
    if ((*(void **)&gf_##name = dlsym(library, #name)) == NULL) \
        return 0;
    GF_OPENSSL(GF_FIND)
#undef GF_FIND
    method = gf_BIO_meth_new(gf_BIO_get_new_index() | GF_BIO_SOURCE, "glyph_fast");
    if (method == NULL || !gf_BIO_meth_set_read_ex(method, gf_bio_read)
        || !gf_BIO_meth_set_write_ex(method, gf_bio_write)
        || !gf_BIO_meth_set_ctrl(method, gf_bio_control)
        || !gf_BIO_meth_set_create(method, gf_bio_create))
        return 0;
    gf_tls_method = method;
    return 1;
}

/* Whether a fresh session of this context looks as it is believed to. */
static int gf_tls_fits(PyObject *session, PyObject *context)
{
    gf_py_session *made = (gf_py_session *)session;
    return Py_TYPE(session)->tp_basicsize >= (Py_ssize_t)sizeof *made
        && Py_TYPE(context)->tp_basicsize >= (Py_ssize_t)sizeof(gf_py_context)
        && (made->socket == NULL || made->socket == Py_None) && made->context == context
        && made->session != NULL
        && gf_SSL_get_SSL_CTX(made->session) == ((gf_py_context *)context)->context;
}

/* Have a session read and write here from now on; NULL without memory. */
static void *gf_tls_take_over(PyObject *session)
{
    if (gf_tls_bio == NULL)
        gf_tls_bio = gf_BIO_new(gf_tls_method);
    if (gf_tls_bio == NULL || !gf_BIO_up_ref(gf_tls_bio))
        return NULL;
    gf_SSL_set_bio(((gf_py_session *)session)->session, gf_tls_bio, gf_tls_bio);
    return ((gf_py_session *)session)->session;
}

/* Decrypt all of `data`, and say how many bytes that gave. */
static Py_ssize_t gf_tls_read(
    void *session, const void *data, size_t size, char *target, size_t room, int *why)
{
    size_t count, total = 0;
    *why = GF_TLS_MORE;
    if (gf_ERR_peek_error())
        gf_ERR_clear_error(); /* somebody else's: it would be taken for this session's */
    gf_tls.in = data;
    gf_tls.in_size = size;
    gf_tls.pieces = 0;
    while (gf_tls.in_size) {
        if (!gf_SSL_read_ex(session, target + total, room - total, &count)) {
            int error = gf_SSL_get_error(session, 0);
            if (error != GF_ERROR_WANT_READ)
                *why = error == GF_ERROR_ZERO_RETURN ? GF_TLS_END : GF_TLS_BROKEN;
            if (gf_tls.pieces >= 2 * GF_TLS_RECORDS)
                *why = GF_TLS_SILENT;
            break;
        }
        total += count;
        gf_tls.pieces -= gf_tls.pieces < 2 ? gf_tls.pieces : 2;
    }
    gf_tls.in_size = 0;
    return (Py_ssize_t)total;
}

/* Encrypt; whether the session still stands. */
static int gf_tls_write(void *session, const char *data, size_t size)
{
    size_t count;
    for (; size; data += count, size -= count)
        if (!gf_SSL_write_ex(session, data, size, &count))
            return 0;
    return 1;
}

/* Tell the peer that nothing more comes. */
static void gf_tls_end(void *session)
{
    if (gf_SSL_shutdown(session) < 0)
        gf_ERR_clear_error();
}

/* What is to be sent; to be taken away by `gf_tls_sent`. */
static const char *gf_tls_waiting(Py_ssize_t *size)
{
    *size = (Py_ssize_t)gf_tls.out_size;
    return gf_tls.out;
}

static void gf_tls_sent(void)
{
    gf_tls.out_size = 0;
    if (gf_tls.out_capacity > 1 << 18) { /* one peer's answers must not be kept for ever */
        free(gf_tls.out);
        gf_tls.out = NULL;
        gf_tls.out_capacity = 0;
    }
}

/* Whether what was read last said little but that keys are changed. */
static int gf_tls_is_idle(void) { return gf_tls.pieces > 8; }

/* Why a session broke, in OpenSSL's words. */
static const char *gf_tls_reason(void)
{
    const char *reason = gf_ERR_reason_error_string(gf_ERR_peek_last_error());
    gf_ERR_clear_error();
    return reason != NULL ? reason : "unknown error";
}

#else

static int gf_tls_find(const char *path) { return (void)path, 0; }
static int gf_tls_fits(PyObject *session, PyObject *context)
{
    return (void)session, (void)context, 0;
}
static void *gf_tls_take_over(PyObject *session) { return (void)session, NULL; }
static Py_ssize_t gf_tls_read(
    void *session, const void *data, size_t size, char *target, size_t room, int *why)
{
    return (void)session, (void)data, (void)size, (void)target, (void)room, *why = GF_TLS_BROKEN, 0;
}
static int gf_tls_write(void *session, const char *data, size_t size)
{
    return (void)session, (void)data, (void)size, 0;
}
static void gf_tls_end(void *session) { (void)session; }
static const char *gf_tls_waiting(Py_ssize_t *size) { return *size = 0, NULL; }
static void gf_tls_sent(void) {}
static int gf_tls_is_idle(void) { return 0; }
static const char *gf_tls_reason(void) { return ""; }

#endif
#endif
