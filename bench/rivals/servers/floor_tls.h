/* TLS for the floor, by OpenSSL, compiled in with -DFLOOR_TLS.
 *
 * One buffer for what was received and one for what is to be sent serve all connections: a BIO of
 * our own reads from the one and writes to the other, so no byte is copied but by OpenSSL itself.
 * What a turn has for a connection is encrypted together and leaves in one send, as it does
 * without TLS. OpenSSL gives its buffers back between records (SSL_MODE_RELEASE_BUFFERS). */
#include <openssl/err.h>
#include <openssl/ssl.h>

enum { CIPHERTEXT = 256 * 1024 };

static SSL_CTX *tls_context;
static BIO_METHOD *tls_method;
static uint8_t tls_received[CIPHERTEXT];
static size_t tls_at, tls_end; /* what is left of it */
static uint8_t *tls_out;
static size_t tls_out_size, tls_out_capacity;
static uint8_t *tls_joined; /* slices of one write */
static size_t tls_joined_capacity;

static int tls_bio_read(BIO *bio, char *target, size_t size, size_t *read)
{
    BIO_clear_retry_flags(bio);
    *read = size < tls_end - tls_at ? size : tls_end - tls_at;
    if (!*read) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(target, tls_received + tls_at, *read);
    tls_at += *read;
    return 1;
}

static int tls_bio_write(BIO *bio, const char *data, size_t size, size_t *written)
{
    BIO_clear_retry_flags(bio);
    if (tls_out_size + size > tls_out_capacity)
        tls_out = grow(tls_out, tls_out_capacity = (tls_out_size + size) * 2);
    memcpy(tls_out + tls_out_size, data, size);
    tls_out_size += *written = size;
    return 1;
}

static long tls_bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int tls_bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void tls_start(void)
{
    const char *cert = getenv("TLS_CERT"), *key = getenv("TLS_KEY");
    tls_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(tls_context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (!cert || !key || SSL_CTX_use_certificate_chain_file(tls_context, cert) != 1
        || SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1) {
        fputs("floor: TLS_CERT and TLS_KEY must name PEM files\n", stderr);
        exit(2);
    }
    tls_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
    BIO_meth_set_read_ex(tls_method, tls_bio_read);
    BIO_meth_set_write_ex(tls_method, tls_bio_write);
    BIO_meth_set_ctrl(tls_method, tls_bio_control);
    BIO_meth_set_create(tls_method, tls_bio_create);
}

static SSL *tls_accept(void)
{
    SSL *ssl = SSL_new(tls_context);
    BIO *bio = BIO_new(tls_method);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* Encrypt the slices together; the ciphertext is `tls_out`. */
static bool tls_encrypt(SSL *ssl, struct iovec *slices, int count, size_t total)
{
    const void *data = slices[0].iov_base;
    if (count > 1) {
        if (total > tls_joined_capacity)
            tls_joined = grow(tls_joined, tls_joined_capacity = total * 2);
        size_t at = 0;
        for (int i = 0; i < count; at += slices[i++].iov_len)
            memcpy(tls_joined + at, slices[i].iov_base, slices[i].iov_len);
        data = tls_joined;
    }
    return SSL_write(ssl, data, (int)total) == (int)total;
}

/* What it has received, decrypted as far as there is room; -1: the session is broken. */
static ssize_t tls_decrypt(SSL *ssl, uint8_t *target, size_t room)
{
    size_t size = 0;
    ERR_clear_error();
    while (size < room && (tls_at < tls_end || SSL_pending(ssl))) {
        int n = SSL_read(ssl, target + size, (int)(room - size));
        if (n <= 0)
            return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ ? (ssize_t)size : -1;
        size += (size_t)n;
    }
    return (ssize_t)size;
}
