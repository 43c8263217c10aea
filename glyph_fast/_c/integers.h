/* Whether a JSON text holds an integer beyond 64 bits, found in a twentieth of its bytes.
 *
 * Such an integer has nineteen digits or more. So every nineteenth byte is looked at, and what is
 * around it only where that is a digit. Whether one that was found lies in a string is asked then
 * alone: it does behind an odd number of quotes, those behind a backslash not counted. */
#ifndef GLYPH_FAST_INTEGERS_H
#define GLYPH_FAST_INTEGERS_H

#include <stddef.h>
#include <string.h>

#define GF_DIGITS 19 /* of the shortest integer that may be beyond 64 bits */

static inline int gf_is_digit(unsigned char byte)
{
    return (unsigned char)(byte - '0') < 10;
}

/* Whether a byte beside digits makes them part of another number. */
static inline int gf_is_of_number(unsigned char byte)
{
    return byte == '.' || byte == 'e' || byte == 'E' || byte == '+' || byte == '-';
}

/* Whether the digits from `start` to `end`, all there are in a row, spell such an integer. */
static int gf_spells_large(const unsigned char *text, size_t size, size_t start, size_t end)
{
    int is_negative = start > 0 && text[start - 1] == '-';
    size_t first = start - (size_t)is_negative;
    if (first > 0 && (gf_is_of_number(text[first - 1]) || gf_is_digit(text[first - 1])))
        return 0; /* a fraction, an exponent, or no number */
    if (end < size && (text[end] == '.' || text[end] == 'e' || text[end] == 'E'))
        return 0;
    while (start < end && text[start] == '0')
        start++;
    const char *most = is_negative ? "9223372036854775808" : "18446744073709551615";
    size_t count = end - start, digits = strlen(most);
    return count > digits || (count == digits && memcmp(text + start, most, digits) > 0);
}

/* How far a text was looked at for strings, and whether that is within one. */
typedef struct {
    size_t at;
    int is_quoted;
} gf_strings;

/* Go on to `end`, or by one byte further where that is escaped. */
static void gf_skip_strings(gf_strings *strings, const unsigned char *text, size_t end)
{
    size_t at = strings->at;
    int is_quoted = strings->is_quoted;
    while (at < end) {
        size_t stop = end - at > 64 ? at + 64 : end;
        if (stop - at == 64) { /* a loop that compilers turn into wide vectors */
            unsigned char quotes = 0, backslashes = 0;
            for (size_t i = 0; i < 64; i++) {
                quotes += text[at + i] == '"';
                backslashes |= text[at + i] == '\\';
            }
            if (!backslashes) {
                is_quoted ^= quotes & 1;
                at = stop;
                continue;
            }
        }
        while (at < stop) {
            if (text[at] == '\\')
                at++; /* and what it escapes, which may be the first byte of the next 64 */
            else if (text[at] == '"')
                is_quoted ^= 1;
            at++;
        }
    }
    strings->at = at;
    strings->is_quoted = is_quoted;
}

/* A search through a text, begun with zeros; what it has found lies from `start`, where a minus
 * may be, to `end`. */
typedef struct {
    gf_strings strings;
    size_t done; /* what is before was looked at */
    size_t start, end;
} gf_search;

/* Find the next integer outside of strings that does not fit 64 bits; 0 when there is none. The
 * bytes are ASCII where it matters, so that they may be of UTF-8 or of Latin-1. */
static int gf_next_large(gf_search *search, const unsigned char *text, size_t size)
{
    size_t before = search->done, at = before + GF_DIGITS - 1;
    while (at < size) {
        if (!gf_is_digit(text[at])) {
            before = at + 1;
            at += GF_DIGITS;
            continue;
        }
        size_t start = at, end = at + 1;
        while (start > before && gf_is_digit(text[start - 1]))
            start--;
        while (end < size && gf_is_digit(text[end]))
            end++;
        if (end - start >= GF_DIGITS && gf_spells_large(text, size, start, end)) {
            gf_skip_strings(&search->strings, text, start);
            if (!search->strings.is_quoted) {
                search->start = start - (start > 0 && text[start - 1] == '-');
                search->done = search->end = end;
                return 1;
            }
        }
        before = end;
        at = end + GF_DIGITS;
    }
    search->done = size;
    return 0;
}

#endif
