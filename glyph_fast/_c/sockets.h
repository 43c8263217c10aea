/* System calls of the native engine, with the same shape everywhere: epoll and accept4 where there
 * is Linux, ENOSYS elsewhere, so that the compiled core builds on every platform. */
#ifndef GLYPH_FAST_SOCKETS_H
#define GLYPH_FAST_SOCKETS_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#if defined(__linux__)

#include <arpa/inet.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define GF_HAS_EPOLL 1
typedef struct epoll_event gf_event;
typedef struct iovec gf_iovec;

static inline int gf_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static inline int gf_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
    gf_event event;
    memset(&event, 0, sizeof event);
    event.events = events;
    event.data.u64 = data;
    return epoll_ctl(epoll, operation, fd, &event);
}

static inline int gf_epoll_poll(int epoll, gf_event *events, int size)
{
    return epoll_wait(epoll, events, size, 0);
}

static inline uint64_t gf_event_data(const gf_event *event) { return event->data.u64; }

/* A non-blocking connection, or -1. Address family, 16 bytes of address and the port are written
 * to `family`, `address`, `port`; a Unix peer has no address. */
static inline int gf_accept(int listener, unsigned char *family, unsigned char address[16],
                            uint16_t *port)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    *family = (unsigned char)peer.ss_family;
    if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer;
        memcpy(address, &v4->sin_addr, 4);
        *port = ntohs(v4->sin_port);
    } else if (peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer;
        memcpy(address, &v6->sin6_addr, 16);
        *port = ntohs(v6->sin6_port);
    }
    return fd;
}

static inline char *gf_write_octet(char *at, unsigned octet)
{
    if (octet >= 100)
        *at++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *at++ = (char)('0' + octet / 10 % 10);
    *at++ = (char)('0' + octet % 10);
    return at;
}

/* Write an address as text, ended by a 0, to INET6_ADDRSTRLEN bytes; false: it has none. */
static inline int gf_address_text(int family, const unsigned char address[16], char *text)
{
    int i;
    if (family == AF_INET6)
        return inet_ntop(family, address, text, INET6_ADDRSTRLEN) != NULL;
    if (family != AF_INET)
        return 0;
    for (i = 0; i < 4; i++) {  /* inet_ntop goes by way of printf */
        text = gf_write_octet(text, address[i]);
        *text++ = i < 3 ? '.' : '\0';
    }
    return 1;
}

static inline ssize_t gf_receive(int fd, void *data, size_t size)
{
    return recv(fd, data, size, 0);
}

static inline ssize_t gf_send(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL);
}

static inline ssize_t gf_send_all(int fd, gf_iovec *buffers, size_t count)
{
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = buffers;
    message.msg_iovlen = count;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static inline int gf_shutdown(int fd) { return shutdown(fd, SHUT_WR); }

/* Bytes of the send buffer that the peer has not acknowledged; 0 where that is not known. */
static inline ssize_t gf_unacknowledged(int fd)
{
    int size = 0;
    return ioctl(fd, SIOCOUTQ, &size) < 0 ? 0 : size;
}

/* Reset the connection, at once where the kernel can (TCP), else by the coming close. A close alone
 * would wait for all copies of the descriptor to be closed, and a forked child may hold one. */
static inline void gf_reset(int fd)
{
    struct linger linger = {1, 0};
    struct sockaddr nobody;
    memset(&nobody, 0, sizeof nobody);
    nobody.sa_family = AF_UNSPEC;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    connect(fd, &nobody, sizeof nobody);
}

/* Close, and end the connection for all who hold a copy of the descriptor (RFC 6455 §7.1.1). */
static inline int gf_end(int fd)
{
    shutdown(fd, SHUT_RDWR);
    return close(fd);
}

static inline int gf_close(int fd) { return close(fd); }

#else

#include <stddef.h>
#if defined(_WIN32)
typedef ptrdiff_t gf_ssize;
#define ssize_t gf_ssize
#else
#include <sys/types.h>
#endif

#define GF_HAS_EPOLL 0
#ifndef AF_INET /* some systems' headers have it by now */
#define AF_INET 2
#endif
enum { EPOLLIN = 1, EPOLLOUT = 4, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
typedef struct { uint32_t events; uint64_t data; } gf_event;
typedef struct { void *iov_base; size_t iov_len; } gf_iovec;

static inline int gf_absent(void) { errno = ENOSYS; return -1; }
static inline int gf_epoll_create(void) { return gf_absent(); }
static inline int gf_epoll_control(int e, int o, int f, uint32_t v, uint64_t d)
{ (void)e; (void)o; (void)f; (void)v; (void)d; return gf_absent(); }
static inline int gf_epoll_poll(int e, gf_event *v, int s)
{ (void)e; (void)v; (void)s; return gf_absent(); }
static inline uint64_t gf_event_data(const gf_event *event) { return event->data; }
static inline int gf_accept(int l, unsigned char *f, unsigned char a[16], uint16_t *p)
{ (void)l; (void)f; (void)a; (void)p; return gf_absent(); }
static inline int gf_address_text(int f, const unsigned char a[16], char *t)
{ (void)f; (void)a; (void)t; return 0; }
static inline ssize_t gf_receive(int f, void *d, size_t s)
{ (void)f; (void)d; (void)s; return gf_absent(); }
static inline ssize_t gf_send(int f, const void *d, size_t s)
{ (void)f; (void)d; (void)s; return gf_absent(); }
static inline ssize_t gf_send_all(int f, gf_iovec *b, size_t c)
{ (void)f; (void)b; (void)c; return gf_absent(); }
static inline int gf_shutdown(int f) { (void)f; return gf_absent(); }
static inline ssize_t gf_unacknowledged(int f) { (void)f; return 0; }
static inline void gf_reset(int f) { (void)f; }
static inline int gf_end(int f) { (void)f; return gf_absent(); }
static inline int gf_close(int f) { (void)f; return gf_absent(); }

#endif
#endif
