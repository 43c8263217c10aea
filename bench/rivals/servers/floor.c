/* The floor: the least a WebSocket server on Linux has to do, in C.
 *
 * One thread, one level-triggered epoll descriptor, one receive buffer for all connections. Frames
 * are unmasked where they were received; an echo leaves from there too. Nothing is allocated while
 * messages flow: a connection owns memory only while it holds half a frame or bytes the kernel
 * refused. It checks what a server cannot do without (masking, sizes, opcodes), and leaves out what
 * a product needs (UTF-8, limits by option, timers, logs, metrics): the other servers are compared
 * with it, none is expected to be below it.
 *
 *   /echo         every message comes back
 *   /room/NAME    every message goes to all other members
 *   any other     messages are read and dropped
 *
 * With -DFLOOR_TLS (and -lssl -lcrypto) it speaks TLS, see floor_tls.h.
 *
 * Two ways of sending, chosen by the first argument:
 *   each   one send per delivery, at once
 *   turn   the messages of one turn of epoll_wait leave in one send per receiver
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { EVENTS = 1024, RECEIVE = 512 * 1024, PARTIAL = 64 * 1024, MAX_HEAD = 16 * 1024 };
enum { MAX_MESSAGE = 16 * 1024 * 1024, MAX_UNSENT = 1024 * 1024, SLICES = 64, SMALL = 2048 };
enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { ROOM_TABLE = 1 << 18 };

typedef enum { FREE, OPENING, ECHO, ROOM, IDLE } state_t;

typedef struct {
    size_t start, end, capacity; /* bytes; what is between start and end counts */
    uint8_t bytes[];
} buffer_t;

typedef struct {
    uint8_t state;
    bool armed;         /* EPOLLOUT is asked for */
    bool closing;       /* close once `unsent` has left */
    bool doomed;        /* closed when the turn ends */
    uint32_t room;      /* index into `rooms` */
    uint32_t slot;      /* index into the room's members */
    uint32_t sent_turn; /* the last turn in which this one published */
    buffer_t *partial;  /* an incomplete head or frame */
    buffer_t *unsent;   /* what the kernel refused */
#ifdef FLOOR_TLS
    struct ssl_st *ssl;
#endif
} conn_t;

typedef struct {
    size_t offset, size;
    int sender;
} record_t;

typedef struct {
    char *name;
    int *members;
    uint32_t count, capacity;
    uint8_t *block; /* the frames published in this turn, back to back */
    size_t block_size, block_capacity;
    record_t *records; /* who published which part of the block */
    uint32_t record_count, record_capacity;
} room_t;

static int epoll;
static bool by_turn;
static uint32_t turn = 1;
static conn_t *conns; /* indexed by descriptor */
static int conn_limit;
static uint8_t receive_space[64 + RECEIVE];
static uint8_t *const receive = receive_space + 64;
static buffer_t *spare; /* one partial buffer kept for the next half frame */

static room_t *rooms;
static uint32_t room_count, room_capacity;
static uint32_t room_table[ROOM_TABLE]; /* index + 1 into `rooms`, open addressing */

static uint32_t *dirty; /* rooms with a block to send */
static uint32_t dirty_count, dirty_capacity;
static int *dead; /* descriptors to close when the turn ends */
static int dead_count;

static void *grow(void *old, size_t size)
{
    void *fresh = realloc(old, size);
    if (!fresh) {
        fputs("floor: out of memory\n", stderr);
        exit(1);
    }
    return fresh;
}

#ifdef FLOOR_TLS
#include "floor_tls.h"
#endif

/* ---- SHA-1 and base64, for Sec-WebSocket-Accept (RFC 6455 4.2.2) ---- */

static uint32_t rotl(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5A827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ED9EBA1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
        else
            f = b ^ c ^ d, k = 0xCA62C1D6;
        uint32_t t = rotl(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotl(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* A key is 24 characters and the GUID 36, so the hashed text is 60 bytes: always two blocks. */
static void accept_value(const char *key, char out[29])
{
    static const char table[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t text[128] = {0}, digest[21] = {0};
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    text[60] = 0x80;
    text[126] = 480 >> 8, text[127] = 480 & 255; /* length in bits */
    sha1_block(h, text);
    sha1_block(h, text + 64);
    for (int i = 0; i < 20; i++)
        digest[i] = h[i / 4] >> (24 - 8 * (i % 4));
    for (int i = 0; i < 7; i++) {
        uint32_t v = (uint32_t)digest[3 * i] << 16 | digest[3 * i + 1] << 8 | digest[3 * i + 2];
        for (int j = 0; j < 4; j++)
            out[4 * i + j] = table[v >> (18 - 6 * j) & 63];
    }
    out[27] = '=';
    out[28] = 0;
}

/* ---- frames (RFC 6455 5.2) ---- */

static void unmask(uint8_t *p, size_t n, uint32_t key)
{
    uint64_t wide = (uint64_t)key << 32 | key;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) { /* the compiler makes vectors of this */
        uint64_t word;
        memcpy(&word, p + i, 8);
        word ^= wide;
        memcpy(p + i, &word, 8);
    }
    for (; i < n; i++)
        p[i] ^= (uint8_t)(key >> 8 * (i & 3));
}

static size_t header_size(size_t n) { return n < 126 ? 2 : n < 65536 ? 4 : 10; }

static void put_header(uint8_t *p, uint8_t first, size_t n)
{
    p[0] = first;
    if (n < 126) {
        p[1] = (uint8_t)n;
    } else if (n < 65536) {
        p[1] = 126, p[2] = (uint8_t)(n >> 8), p[3] = (uint8_t)n;
    } else {
        p[1] = 127;
        for (int i = 0; i < 8; i++)
            p[2 + i] = (uint8_t)(n >> (56 - 8 * i));
    }
}

typedef struct {
    uint8_t first;    /* FIN, reserved bits, opcode */
    uint8_t *payload; /* unmasked */
    size_t size;
    size_t whole; /* bytes of header and payload together */
} frame_t;

/* 1: a frame; 0: `frame->whole` bytes are needed (0: unknown yet); -1: the peer broke the rules. */
static int parse(uint8_t *p, size_t n, frame_t *frame)
{
    frame->whole = 0;
    if (n < 6)
        return 0;
    size_t size = p[1] & 127, header = 6;
    uint8_t opcode = p[0] & 15;
    if (!(p[1] & 128) || (p[0] & 0x70) || (opcode > BINARY && opcode < CLOSE) || opcode > PONG)
        return -1;
    if (opcode >= CLOSE && (size > 125 || !(p[0] & 128)))
        return -1;
    if (size == 126) {
        if (n < 8)
            return 0;
        header = 8, size = (size_t)p[2] << 8 | p[3];
    } else if (size == 127) {
        if (n < 14)
            return 0;
        header = 14, size = 0;
        for (int i = 0; i < 8; i++)
            size = size << 8 | p[2 + i];
        if (size > MAX_MESSAGE)
            return -1;
    }
    frame->whole = header + size;
    if (n < frame->whole)
        return 0;
    uint32_t key;
    memcpy(&key, p + header - 4, 4);
    unmask(p + header, size, key);
    frame->first = p[0], frame->payload = p + header, frame->size = size;
    return 1;
}

/* ---- sending ---- */

static void arm(int fd, conn_t *c, bool on)
{
    struct epoll_event ev = {.events = EPOLLIN | (on ? EPOLLOUT : 0), .data.fd = fd};
    if (c->armed != on)
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &ev);
    c->armed = on;
}

static void kill_later(int fd, conn_t *c)
{
    if (!c->doomed)
        dead[dead_count++] = fd;
    c->doomed = true;
}

static void keep_unsent(int fd, conn_t *c, const uint8_t *p, size_t n)
{
    buffer_t *b = c->unsent;
    if (!b || b->end + n > b->capacity) {
        size_t capacity = (b ? b->end : 0) + n + 16384;
        b = grow(b, sizeof *b + capacity);
        if (!c->unsent)
            b->start = b->end = 0;
        b->capacity = capacity;
        c->unsent = b;
    }
    memcpy(b->bytes + b->end, p, n);
    b->end += n;
    arm(fd, c, true);
}

static void send_slices(int fd, conn_t *c, struct iovec *slices, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += slices[i].iov_len;
    if (c->closing || c->doomed)
        return;
    if (c->unsent && c->unsent->end - c->unsent->start + total > MAX_UNSENT)
        return; /* a receiver that does not read: the newest is dropped */
#ifdef FLOOR_TLS
    struct iovec ciphertext;
    if (total && !tls_encrypt(c->ssl, slices, count, total)) {
        kill_later(fd, c);
        return;
    }
    ciphertext = (struct iovec){tls_out, total = tls_out_size};
    slices = &ciphertext, count = 1;
    tls_out_size = 0;
#endif
    ssize_t taken = 0;
    if (!c->unsent) {
        if (count == 1) {
            taken = send(fd, slices[0].iov_base, total, MSG_NOSIGNAL);
        } else {
            struct msghdr message = {.msg_iov = slices, .msg_iovlen = (size_t)count};
            taken = sendmsg(fd, &message, MSG_NOSIGNAL);
        }
        if ((size_t)taken == total)
            return;
        if (taken < 0) {
            if (errno != EAGAIN) {
                kill_later(fd, c);
                return;
            }
            taken = 0;
        }
    }
    for (int i = 0; i < count; i++) {
        size_t n = slices[i].iov_len, skip = (size_t)taken < n ? (size_t)taken : n;
        taken -= (ssize_t)skip;
        if (skip < n)
            keep_unsent(fd, c, (uint8_t *)slices[i].iov_base + skip, n - skip);
    }
}

static void send_bytes(int fd, conn_t *c, void *p, size_t n)
{
    struct iovec slice = {p, n};
    send_slices(fd, c, &slice, 1);
}

static void flush_unsent(int fd, conn_t *c)
{
    buffer_t *b = c->unsent;
    if (b) {
        ssize_t n = send(fd, b->bytes + b->start, b->end - b->start, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                kill_later(fd, c);
            return;
        }
        b->start += (size_t)n;
        if (b->start < b->end)
            return;
        free(b);
        c->unsent = NULL;
    }
    arm(fd, c, false);
    if (c->closing)
        kill_later(fd, c);
}

/* ---- rooms ---- */

static uint32_t find_room(const char *name, size_t n)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    uint32_t at = hash & (ROOM_TABLE - 1);
    for (; room_table[at]; at = (at + 1) & (ROOM_TABLE - 1)) {
        room_t *r = &rooms[room_table[at] - 1];
        if (strlen(r->name) == n && !memcmp(r->name, name, n))
            return room_table[at] - 1;
    }
    if (room_count == ROOM_TABLE / 2) {
        fputs("floor: too many rooms\n", stderr);
        exit(1);
    }
    if (room_count == room_capacity)
        rooms = grow(rooms, (room_capacity = room_capacity * 2 + 16) * sizeof *rooms);
    rooms[room_count] = (room_t){.name = strndup(name, n)};
    room_table[at] = ++room_count;
    return room_count - 1;
}

static void join(int fd, conn_t *c, uint32_t index)
{
    room_t *r = &rooms[index];
    if (r->count == r->capacity)
        r->members = grow(r->members, (r->capacity = r->capacity * 2 + 4) * sizeof *r->members);
    c->room = index, c->slot = r->count;
    r->members[r->count++] = fd;
}

static void leave(conn_t *c)
{
    room_t *r = &rooms[c->room];
    int last = r->members[--r->count];
    r->members[c->slot] = last;
    conns[last].slot = c->slot;
}

/* A frame of ours in front of the payload, where the longer header of the client's frame was. */
static uint8_t *reframe(frame_t *f, uint8_t first, size_t *size)
{
    size_t header = header_size(f->size);
    put_header(f->payload - header, first, f->size);
    *size = header + f->size;
    return f->payload - header;
}

static void publish(int sender, conn_t *c, frame_t *f)
{
    room_t *r = &rooms[c->room];
    size_t size;
    uint8_t *frame = reframe(f, f->first, &size);
    if (!by_turn) {
        for (uint32_t i = 0; i < r->count; i++)
            if (r->members[i] != sender)
                send_bytes(r->members[i], &conns[r->members[i]], frame, size);
        return;
    }
    if (!r->record_count) {
        if (dirty_count == dirty_capacity)
            dirty = grow(dirty, (dirty_capacity = dirty_capacity * 2 + 64) * sizeof *dirty);
        dirty[dirty_count++] = c->room;
    }
    if (r->block_size + size > r->block_capacity)
        r->block = grow(r->block, r->block_capacity = (r->block_size + size) * 2);
    if (r->record_count == r->record_capacity)
        r->records = grow(r->records, (r->record_capacity = r->record_capacity * 2 + 16)
                                          * sizeof *r->records);
    memcpy(r->block + r->block_size, frame, size);
    r->records[r->record_count++] = (record_t){r->block_size, size, sender};
    r->block_size += size;
    c->sent_turn = turn;
}

/* A member that published in this turn gets everything but its own messages. */
static void send_others(int fd, conn_t *c, room_t *r)
{
    struct iovec slices[SLICES];
    int count = 0;
    for (uint32_t i = 0; i < r->record_count; i++) {
        record_t *record = &r->records[i];
        if (record->sender == fd)
            continue;
        uint8_t *at = r->block + record->offset;
        if (count && (uint8_t *)slices[count - 1].iov_base + slices[count - 1].iov_len == at) {
            slices[count - 1].iov_len += record->size;
            continue;
        }
        if (count == SLICES) {
            send_slices(fd, c, slices, count);
            count = 0;
        }
        slices[count++] = (struct iovec){at, record->size};
    }
    if (count)
        send_slices(fd, c, slices, count);
}

static void flush_room(room_t *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        int fd = r->members[i];
        if (conns[fd].sent_turn == turn)
            send_others(fd, &conns[fd], r);
        else
            send_bytes(fd, &conns[fd], r->block, r->block_size);
    }
    r->record_count = 0;
    r->block_size = 0;
}

/* ---- connections ---- */

static void close_politely(int fd, conn_t *c, uint8_t *payload, size_t n)
{
    uint8_t frame[4] = {0x80 | CLOSE, (uint8_t)(n < 2 ? 0 : 2)};
    if (n >= 2)
        memcpy(frame + 2, payload, 2);
    send_bytes(fd, c, frame, 2u + frame[1]);
    if (c->unsent)
        c->closing = true;
    else
        kill_later(fd, c);
}

/* Answer every complete frame of p[0..n); returns the bytes used, `*need` is the whole size of the
 * frame begun. Small echoes are moved together in place, large ones sent from where they lie. */
static size_t feed(int fd, conn_t *c, uint8_t *p, size_t n, size_t *need)
{
    struct iovec slices[SLICES];
    int count = 0, outcome = 0;
    size_t used = 0;
    frame_t f = {0};
    while (!c->doomed && !c->closing && (outcome = parse(p + used, n - used, &f)) == 1) {
        used += f.whole;
        uint8_t opcode = f.first & 15;
        if (opcode >= CLOSE) {
            size_t size;
            if (count)
                send_slices(fd, c, slices, count);
            count = 0;
            if (opcode == CLOSE) {
                close_politely(fd, c, f.payload, f.size);
            } else if (opcode == PING) {
                uint8_t *frame = reframe(&f, 0x80 | PONG, &size);
                send_bytes(fd, c, frame, size);
            }
        } else if (c->state == ROOM) {
            publish(fd, c, &f);
        } else if (c->state == ECHO) {
            size_t size;
            uint8_t *frame = reframe(&f, f.first, &size);
            if (!by_turn) {
                send_bytes(fd, c, frame, size);
            } else if (count && size <= SMALL) {
                uint8_t *end = (uint8_t *)slices[count - 1].iov_base + slices[count - 1].iov_len;
                memmove(end, frame, size);
                slices[count - 1].iov_len += size;
            } else {
                if (count == SLICES) {
                    send_slices(fd, c, slices, count);
                    count = 0;
                }
                slices[count++] = (struct iovec){frame, size};
            }
        }
    }
    if (count)
        send_slices(fd, c, slices, count);
    if (outcome < 0)
        kill_later(fd, c);
    *need = f.whole;
    return used;
}

static const char *find_key(const char *head, const char *end)
{
    static const char name[] = "sec-websocket-key:";
    for (const char *p = memchr(head, '\n', (size_t)(end - head)); p;
         p = memchr(p, '\n', (size_t)(end - p))) {
        p++;
        if (end - p > 44 && !strncasecmp(p, name, sizeof name - 1)) {
            p += sizeof name - 1;
            while (*p == ' ')
                p++;
            return end - p >= 26 && p[24] == '\r' ? p : NULL;
        }
    }
    return NULL;
}

/* The opening handshake; returns the bytes of the head, 0 while it is incomplete. */
static size_t open_handshake(int fd, conn_t *c, uint8_t *p, size_t n)
{
    uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end) {
        if (n > MAX_HEAD)
            kill_later(fd, c);
        return 0;
    }
    const char *path = (char *)p + 4, *key = find_key((char *)p, (char *)end + 2);
    const char *space = memchr(path, ' ', (size_t)((char *)end - path));
    if (memcmp(p, "GET /", 5) || !key || !space) {
        static char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        send_bytes(fd, c, refusal, sizeof refusal - 1);
        kill_later(fd, c);
        return 0;
    }
    char answer[160], accept[29];
    accept_value(key, accept);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    send_bytes(fd, c, answer, (size_t)size);
    if (space - path == 5 && !memcmp(path, "/echo", 5)) {
        c->state = ECHO;
    } else if (space - path > 6 && !memcmp(path, "/room/", 6)) {
        c->state = ROOM;
        join(fd, c, find_room(path + 6, (size_t)(space - path - 6)));
    } else {
        c->state = IDLE;
    }
    return (size_t)(end + 4 - p);
}

static size_t consume(int fd, conn_t *c, uint8_t *p, size_t n, size_t *need)
{
    size_t used = 0;
    *need = 0;
    if (c->state == OPENING && !(used = open_handshake(fd, c, p, n)))
        return 0;
    return used + feed(fd, c, p + used, n - used, need);
}

static buffer_t *partial_buffer(size_t capacity)
{
    buffer_t *b = spare;
    if (b && b->capacity >= capacity) {
        spare = NULL;
        return b;
    }
    b = grow(NULL, sizeof *b + capacity);
    b->capacity = capacity;
    return b;
}

static void release(buffer_t *b)
{
    if (spare || b->capacity > PARTIAL)
        free(b);
    else
        spare = b;
}

static void keep_partial(conn_t *c, uint8_t *p, size_t n, size_t need)
{
    buffer_t *old = c->partial;
    size_t capacity = need > PARTIAL ? need : PARTIAL;
    if (old && old->capacity >= capacity) {
        memmove(old->bytes, p, n);
        old->end = n;
        return;
    }
    buffer_t *b = partial_buffer(capacity);
    memcpy(b->bytes, p, n);
    b->start = 0, b->end = n;
    c->partial = b;
    if (old)
        release(old);
}

static void on_readable(int fd, conn_t *c)
{
    buffer_t *b = c->partial;
    uint8_t *p = b ? b->bytes : receive;
    size_t have = b ? b->end : 0, room = b ? b->capacity - b->end : RECEIVE, need;
#ifdef FLOOR_TLS
    if (tls_at == tls_end && !SSL_pending(c->ssl)) {
        ssize_t came = recv(fd, tls_received, sizeof tls_received, 0);
        if (came <= 0) {
            if (came == 0 || errno != EAGAIN)
                kill_later(fd, c);
            return;
        }
        tls_at = 0, tls_end = (size_t)came;
    }
    ssize_t n = tls_decrypt(c->ssl, p + have, room);
    if (n < 0)
        kill_later(fd, c);
    if (tls_out_size) /* a handshake, tickets, an alert */
        send_slices(fd, c, NULL, 0);
    if (n <= 0)
        return;
#else
    ssize_t n = recv(fd, p + have, room, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            kill_later(fd, c);
        return;
    }
#endif
    have += (size_t)n;
    size_t used = consume(fd, c, p, have, &need);
    if (c->doomed)
        return;
    if (used < have) {
        keep_partial(c, p + used, have - used, need);
    } else if (b) {
        release(b);
        c->partial = NULL;
    }
}

static void on_acceptable(int listener)
{
    for (int i = 0; i < 256; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                fputs("floor: out of file descriptors\n", stderr);
                exit(1);
            }
            return;
        }
        if (fd >= conn_limit) {
            close(fd);
            continue;
        }
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        conns[fd] = (conn_t){.state = OPENING};
#ifdef FLOOR_TLS
        conns[fd].ssl = tls_accept();
#endif
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* Close what died in this turn; only now, since a closed number can come back from accept. */
static void bury(void)
{
    for (int i = 0; i < dead_count; i++) {
        int fd = dead[i];
        conn_t *c = &conns[fd];
        if (c->state == ROOM)
            leave(c);
        if (c->partial)
            release(c->partial);
        free(c->unsent);
#ifdef FLOOR_TLS
        SSL_free(c->ssl);
#endif
        c->partial = c->unsent = NULL;
        c->state = FREE;
        close(fd);
    }
    dead_count = 0;
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
        perror("floor: cannot listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    const char *port = getenv("PORT");
    by_turn = argc > 1 && !strcmp(argv[1], "turn");
    if (!port || argc != 2 || (!by_turn && strcmp(argv[1], "each"))) {
        fputs("usage: PORT=n floor each|turn\n", stderr);
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    conn_limit = files.rlim_max > 1000000 ? 1000000 : (int)files.rlim_max;
    conns = calloc((size_t)conn_limit, sizeof *conns);
    dead = calloc((size_t)conn_limit, sizeof *dead);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on((uint16_t)atoi(port));
#ifdef FLOOR_TLS
    tls_start();
#endif
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
    printf("listening on 127.0.0.1:%s\n", port);
    fflush(stdout);
    for (;; turn++) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                on_acceptable(fd);
                continue;
            }
            conn_t *c = &conns[fd];
            if ((events[i].events & EPOLLOUT) && !c->doomed)
                flush_unsent(fd, c);
            if ((events[i].events & ~(uint32_t)EPOLLOUT) && !c->doomed)
                on_readable(fd, c);
#ifdef FLOOR_TLS
            /* more than there was room for */
            while ((tls_at < tls_end || SSL_pending(c->ssl)) && !c->doomed)
                on_readable(fd, c);
            tls_at = tls_end = 0;
#endif
        }
        for (uint32_t i = 0; i < dirty_count; i++)
            flush_room(&rooms[dirty[i]]);
        dirty_count = 0;
        if (dead_count)
            bury();
    }
}
