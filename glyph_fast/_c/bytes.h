/* Loops over bytes that C does better than Cython: masking (RFC 6455 §5.3) and UTF-8 (RFC 3629).
 *
 * Nothing here allocates, and nothing knows Python. The masking loops work on eight bytes at a time
 * through memcpy, which is free of alignment and aliasing trouble and which compilers turn into the
 * widest vectors they may use; on x86 the dynamic loader picks the widest the processor has. */
#ifndef GLYPH_FAST_BYTES_H
#define GLYPH_FAST_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) \
    && !defined(GLYPH_FAST_BASELINE)
#define GF_WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define GF_WIDEST
#endif

typedef unsigned char gf_flag;

#define GF_WIDE 256 /* bytes from which wider vectors are worth the call */

/* The four key bytes, repeated and turned so that the first applies to payload offset `phase`. */
static inline uint64_t gf_key_word(const unsigned char key[4], size_t phase)
{
    unsigned char twice[8];
    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    uint32_t half;
    memcpy(&half, twice + (phase & 3), 4);
    return (uint64_t)half << 32 | half;
}

/* Eight bytes at a time; `size` is a multiple of eight. The result's bits, or'ed together. */
static inline uint64_t gf_mask_words(unsigned char *target, const unsigned char *source,
                                     size_t size, uint64_t word)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, source + i, 8);
        bytes ^= word;
        memcpy(target + i, &bytes, 8);
        seen |= bytes;
    }
    return seen;
}

GF_WIDEST static uint64_t gf_mask_many(unsigned char *target, const unsigned char *source,
                                       size_t size, uint64_t word)
{
    return gf_mask_words(target, source, size, word);
}

/* Write `source` xor the key to `target` (which may be `source`) and return the bits set in any
 * byte of the result, so that a caller learns in the same pass whether it is ASCII. */
static inline unsigned char gf_mask(unsigned char *target, const unsigned char *source, size_t size,
                                    const unsigned char key[4], size_t phase)
{
    const uint64_t word = gf_key_word(key, phase);
    const size_t whole = size & ~(size_t)7;
    uint64_t seen = whole < GF_WIDE ? gf_mask_words(target, source, whole, word)
                                    : gf_mask_many(target, source, whole, word);
    if (size > whole) { /* the rest as one word, whose bytes beyond the end are 0 */
        uint64_t bytes = 0, rest = 0;
        memcpy(&bytes, source + whole, size - whole);
        memcpy(&rest, &word, size - whole);
        bytes ^= rest;
        memcpy(target + whole, &bytes, size - whole);
        seen |= bytes;
    }
    seen |= seen >> 32;
    seen |= seen >> 16;
    return (unsigned char)(seen | seen >> 8);
}

/* Copy, with the same return value: for frames that are not masked. */
static inline unsigned char gf_copy(unsigned char *target, const unsigned char *source, size_t size)
{
    static const unsigned char no_key[4] = {0, 0, 0, 0};
    return gf_mask(target, source, size, no_key, 0);
}

/* Where a UTF-8 text stands between two pieces: how many continuation bytes are due, and the
 * bounds of the next one. The bounds differ from 80..BF only for the byte after E0, ED, F0 and F4;
 * that is where overlong forms, surrogates and values above U+10FFFF show (Unicode table 3-7). */
typedef struct {
    unsigned char due, low, high;
} gf_utf8;

/* Feed a piece; 0 as soon as the text cannot be UTF-8 any more, else 1. The text is complete when
 * `due` is 0. */
static int gf_utf8_feed(gf_utf8 *state, const unsigned char *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        if (state->due) {
            if (text[i] < state->low || text[i] > state->high)
                return 0;
            state->low = 0x80;
            state->high = 0xBF;
            state->due--;
            i++;
            continue;
        }
        while (i + 8 <= size) {
            uint64_t bytes;
            memcpy(&bytes, text + i, 8);
            if (bytes & UINT64_C(0x8080808080808080))
                break;
            i += 8;
        }
        if (i == size)
            break;
        unsigned char lead = text[i++];
        if (lead < 0x80)
            continue;
        state->low = 0x80;
        state->high = 0xBF;
        if (lead >= 0xC2 && lead <= 0xDF) {
            state->due = 1;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            state->due = 2;
            if (lead == 0xE0)
                state->low = 0xA0;
            else if (lead == 0xED)
                state->high = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            state->due = 3;
            if (lead == 0xF0)
                state->low = 0x90;
            else if (lead == 0xF4)
                state->high = 0x8F;
        } else {
            return 0;
        }
    }
    return 1;
}

/* Offset just behind the empty line that ends a request head, or 0. A bare LF ends a line too: the
 * parser of heads is then asked at once, and refuses it. `from` skips what was searched before. */
static size_t gf_head_end(const unsigned char *data, size_t size, size_t from)
{
    const unsigned char *at = data + from;
    const unsigned char *end = data + size;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (at + 1 < end && at[1] == '\n')
            return (size_t)(at + 2 - data);
        if (at + 2 < end && at[1] == '\r' && at[2] == '\n')
            return (size_t)(at + 3 - data);
        at++;
    }
    return 0;
}

/* Whether there are only letters, digits and dashes: a loop without a branch, for vectors. */
static int gf_is_plain(const unsigned char *text, size_t size)
{
    unsigned char foreign = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = text[i];
        unsigned char is_letter = (unsigned char)((byte | 32) - 'a') < 26;
        unsigned char is_digit = (unsigned char)(byte - '0') < 10;
        foreign |= (unsigned char)!(is_letter | is_digit | (byte == '-'));
    }
    return !foreign;
}

#endif
