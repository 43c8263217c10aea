/* libFuzzer target of the loops in glyph_fast/_c/bytes.h: each against the plainest code that does
 * the same, on input of any size and alignment. Built and run by ci/fuzz. */
#include <assert.h>
#include <stdlib.h>

#include "../../glyph_fast/_c/bytes.h"

static void check_mask(const unsigned char *data, size_t size, const unsigned char *key,
                       size_t phase)
{
    unsigned char *masked = malloc(size + 1);
    unsigned char bits = 0;
    masked[size] = 0x5A; /* must not be touched */
    unsigned char seen = gf_mask(masked, data, size, key, phase);
    for (size_t i = 0; i < size; i++) {
        assert(masked[i] == (data[i] ^ key[(phase + i) & 3]));
        bits |= masked[i];
    }
    assert((bits & 0x80) == (seen & 0x80) && masked[size] == 0x5A);
    gf_mask(masked, masked, size, key, phase); /* in place, and back */
    assert(memcmp(masked, data, size) == 0);
    bits = gf_copy(masked, data, size);
    assert(memcmp(masked, data, size) == 0 && masked[size] == 0x5A);
    free(masked);
}

/* How many of the `size` bytes begin some UTF-8 text (RFC 3629 §4, written as its grammar). */
static size_t utf8_prefix(const unsigned char *text, size_t size, int *is_whole)
{
    size_t i = 0;
    while (i < size) {
        unsigned char lead = text[i];
        size_t more = lead < 0x80                    ? 0
                    : lead >= 0xC2 && lead <= 0xDF ? 1
                    : lead >= 0xE0 && lead <= 0xEF ? 2
                    : lead >= 0xF0 && lead <= 0xF4 ? 3
                                                   : 4;
        if (more == 4)
            break;
        for (size_t j = 1; j <= more; j++) {
            unsigned char low = 0x80, high = 0xBF;
            if (j == 1 && lead == 0xE0) low = 0xA0;
            if (j == 1 && lead == 0xED) high = 0x9F;
            if (j == 1 && lead == 0xF0) low = 0x90;
            if (j == 1 && lead == 0xF4) high = 0x8F;
            *is_whole = 0;
            if (i + j == size)
                return size;
            if (text[i + j] < low || text[i + j] > high)
                return i + j;
        }
        i += more + 1;
    }
    *is_whole = i == size;
    return i;
}

static void check_utf8(const unsigned char *text, size_t size, size_t piece)
{
    int is_whole = 1;
    size_t good = utf8_prefix(text, size, &is_whole);
    gf_utf8 state = {0, 0, 0};
    size_t at = 0;
    int is_good = 1;
    while (at < size && is_good) {
        size_t next = size - at < piece ? size - at : piece;
        is_good = gf_utf8_feed(&state, text + at, next);
        at += next;
    }
    assert(is_good == (good == size));
    if (is_good)
        assert((state.due == 0) == is_whole);
    else
        assert(good < at && good + piece >= at); /* in the piece that holds the bad byte */
}

static void check_head_end(const unsigned char *data, size_t size, size_t from)
{
    size_t expected = 0;
    for (size_t i = 0; i < size && !expected; i++) {
        if (data[i] != '\n')
            continue;
        if (i + 1 < size && data[i + 1] == '\n')
            expected = i + 2;
        else if (i + 2 < size && data[i + 1] == '\r' && data[i + 2] == '\n')
            expected = i + 3;
    }
    assert(gf_head_end(data, size, 0) == expected);
    /* What was searched before, less the two bytes that may begin an end, need not be again. */
    if (from > 2 && gf_head_end(data, from, 0) == 0)
        assert(gf_head_end(data, size, from - 2) == expected);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t size)
{
    if (size < 6)
        return 0;
    /* A block of its own, so that a read beyond the end is seen. */
    unsigned char *data = malloc(size - 6 + 1);
    memcpy(data, input + 6, size - 6);
    size_t skip = size - 6 > 8 ? input[4] & 7 : 0;
    unsigned char *exact = malloc(size - 6 - skip + !(size - 6 - skip));
    memcpy(exact, data + skip, size - 6 - skip);
    size -= 6 + skip;
    check_mask(exact, size, input, input[4]);
    check_utf8(exact, size, input[5] % 9 + 1);
    check_head_end(exact, size, size ? input[5] % (size + 1) : 0);
    free(exact);
    free(data);
    return 0;
}
