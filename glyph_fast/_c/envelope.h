/* The envelope of an event, as most clients write it: where its name and its data lie.
 *
 * Nothing here allocates, and nothing knows Python. */
#ifndef GLYPH_FAST_ENVELOPE_H
#define GLYPH_FAST_ENVELOPE_H

#include <stddef.h>
#include <string.h>

typedef struct {
    const char *name;
    size_t name_size;
    const char *data; /* an object or an array, if it is JSON at all */
    size_t data_size;
} gf_event_text;

static inline const char *gf_past_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* The text of a string that begins at `at` and has no escape; returns its end, or NULL. */
static inline const char *gf_plain_string(const char *at, const char *end, const char **text,
                                          size_t *size)
{
    if (at == end || *at != '"')
        return NULL;
    const char *start = ++at;
    while (at < end && *at != '"') {
        if (*at == '\\' || (unsigned char)*at < 32)
            return NULL;
        at++;
    }
    if (at == end)
        return NULL;
    *text = start;
    *size = (size_t)(at - start);
    return at + 1;
}

static inline int gf_is_word(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* Whether a text has the shape of `{"type":"json","event":NAME,"data":DATA}`, where `type` may
 * come second or not at all. If the data are JSON by themselves then all of it is, and an envelope
 * with these members and no other. */
static int gf_read_event(const char *at, size_t length, gf_event_text *event)
{
    const char *end = at + length, *key, *text;
    size_t key_size, size;
    int has_type = 0, has_event = 0;
    event->name = NULL;
    event->name_size = 0;
    at = gf_past_blanks(at, end);
    if (at == end || *at != '{')
        return 0;
    for (;;) {
        at = gf_plain_string(gf_past_blanks(at + 1, end), end, &key, &key_size);
        if (at == NULL || (at = gf_past_blanks(at, end)) == end || *at != ':')
            return 0;
        at = gf_past_blanks(at + 1, end);
        if (gf_is_word(key, key_size, "data"))
            break;
        if ((at = gf_plain_string(at, end, &text, &size)) == NULL)
            return 0;
        if (!has_type && gf_is_word(key, key_size, "type") && gf_is_word(text, size, "json")) {
            has_type = 1;
        } else if (!has_event && gf_is_word(key, key_size, "event")) {
            has_event = 1;
            event->name = text;
            event->name_size = size;
        } else {
            return 0;
        }
        if ((at = gf_past_blanks(at, end)) == end || *at != ',')
            return 0;
    }
    while (end > at && gf_past_blanks(end - 1, end) == end)
        end--;
    if (!has_event || end - at < 3 || *--end != '}')
        return 0;
    while (end > at && gf_past_blanks(end - 1, end) == end)
        end--;
    if (end - at < 2 || !((*at == '{' && end[-1] == '}') || (*at == '[' && end[-1] == ']')))
        return 0;
    event->data = at;
    event->data_size = (size_t)(end - at);
    return 1;
}

#endif
