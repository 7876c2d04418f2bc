/* This header walks once over the bytes of an event: is it one valid JSON object, and where is what ids and times need?

What is taken for valid here, orjson takes too: UTF-8 without surrogates and overlong forms, no control characters in
strings, surrogate escapes in pairs, numbers by the grammar, nothing but white space behind the object. The other way
round it doesn't hold, and needn't: whatever is unusual (deep nesting, long numbers, a field given twice, a field of an
unexpected type, escapes where they matter) makes the walk give up, and the full decoder decides.

Strategy. A byte string of Python's ends in a NUL that isn't counted; a NUL is no valid byte anywhere in JSON outside of
an escape, so looking at one more byte needs no bound. The containers that are open stand on a stack of our own, a byte
each, that says which of the fields we look for can be in them. Most bytes are inside strings, and are read eight at once.

It knows nothing of Python: bytes in, places out. */

#ifndef PENSTOCK_JSON_WALK_H
#define PENSTOCK_JSON_WALK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define MAX_DEPTH 256       /* orjson takes 1024 */
#define MAX_NUMBER_BYTES 200 /* with an exponent of two digits at most: never beyond a double */

/* The kinds of containers; EVERYTHING_ELSE and ARRAY hold nothing that we look for. */
enum { TOP, METADATA, AGENT, LOG, FILE_, EVERYTHING_ELSE, ARRAY };

/* The fields that we look for, as bits of `Fields.seen`. */
enum {
    NO_FIELD = 0,
    TIMESTAMP = 1 << 0,    /* @timestamp */
    IN_METADATA = 1 << 1,  /* @metadata */
    METADATA_ID = 1 << 2,  /* @metadata._id */
    METADATA_BEAT = 1 << 3,
    IN_AGENT = 1 << 4,     /* agent */
    EPHEMERAL_ID = 1 << 5, /* agent.ephemeral_id */
    AGENT_ID = 1 << 6,     /* agent.id */
    IN_LOG = 1 << 7,       /* log */
    OFFSET = 1 << 8,       /* log.offset */
    IN_FILE = 1 << 9,      /* log.file */
    PATH = 1 << 10,        /* log.file.path */
    BEAT = 1 << 11,        /* beat, of Beats 6.x */
};

/* The contents of a string, as bits. */
enum { ESCAPES = 1, UNICODE_ESCAPES = 2, NOT_ASCII = 4 };

typedef struct {
    const uint8_t *at;
    size_t size;
    unsigned kinds;
} Text;

typedef struct {
    unsigned seen; /* which fields are there, whatever their type; of texts, only those that are strings */
    Text timestamp, ephemeral_id, agent_id, path;
    Text offset; /* its digits */
} Fields;

static inline int is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static inline int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline int continues(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

static inline unsigned from_hex(const uint8_t *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(is_digit(at[i]) ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    return value;
}

/* Gives the size of the UTF-8 sequence of two to four bytes at `at`; 0 when it isn't one. */
static inline size_t utf8_size(const uint8_t *at)
{
    uint8_t c = at[0];
    if (c >= 0xC2 && c <= 0xDF)
        return continues(at[1]) ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        if (!continues(at[1]) || !continues(at[2]))
            return 0;
        if ((c == 0xE0 && at[1] < 0xA0) || (c == 0xED && at[1] > 0x9F)) /* overlong; a surrogate */
            return 0;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if (!continues(at[1]) || !continues(at[2]) || !continues(at[3]))
            return 0;
        if ((c == 0xF0 && at[1] < 0x90) || (c == 0xF4 && at[1] > 0x8F)) /* overlong; beyond U+10FFFF */
            return 0;
        return 4;
    }
    return 0;
}

/* Gives the size of the escape at `at`, its backslash; 0 when it isn't one. */
static inline size_t escape_size(const uint8_t *at, unsigned *kinds)
{
    *kinds |= ESCAPES;
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return 2;
    case 'u':
        break;
    default:
        return 0;
    }
    *kinds |= UNICODE_ESCAPES;
    for (int i = 2; i < 6; i++) /* one after the other: none behind the final NUL is looked at */
        if (!is_hex(at[i]))
            return 0;
    unsigned unit = from_hex(at + 2);
    if (unit < 0xD800 || unit > 0xDFFF)
        return 6;
    if (unit > 0xDBFF || at[6] != '\\' || at[7] != 'u')
        return 0;
    for (int i = 8; i < 12; i++)
        if (!is_hex(at[i]))
            return 0;
    unit = from_hex(at + 8);
    return unit >= 0xDC00 && unit <= 0xDFFF ? 12 : 0;
}

/* Sets a bit in the highest place of each byte of `word` that is a quote, a backslash, below a space or not ASCII. Above the
   lowest of them there may be false ones; only the lowest is used. */
static inline uint64_t special_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, highest = ones << 7;
    uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * ' ') & ~word) | word) &
           highest;
}

#if defined(__SSE2__)
/* Sets the bit of each of 16 bytes that is a quote, a backslash, below a space or not ASCII. */
static inline unsigned special_bits(const uint8_t *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')); /* signed: what is not ASCII is negative */
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), low));
}
#endif

/* Finds the closing quote of the string whose first byte is at `at`; NULL when it isn't a valid one. */
static inline const uint8_t *string_end(const uint8_t *at, const uint8_t *end, unsigned *kinds)
{
    for (;;) {
#if defined(__SSE2__)
        while (end - at >= 16) {
            unsigned special = special_bits(at);
            if (special) {
                at += __builtin_ctz(special);
                break;
            }
            at += 16;
        }
#elif defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        while (end - at >= 8) {
            uint64_t word, special;
            memcpy(&word, at, 8);
            special = special_bytes(word);
            if (special) {
                at += __builtin_ctzll(special) >> 3;
                break;
            }
            at += 8;
        }
#endif
        size_t size;
        uint8_t c = *at;
        if (c == '"')
            return at;
        if (c == '\\')
            size = escape_size(at, kinds);
        else if (c >= 0x80) {
            *kinds |= NOT_ASCII;
            size = utf8_size(at);
        } else
            size = c >= ' ';
        if (size == 0)
            return NULL;
        at += size;
    }
}

/* Gives the place behind the number at `at`; NULL when it isn't one, or a long one. `whole`: whether it is nothing but digits. */
static inline const uint8_t *number_end(const uint8_t *at, int *whole)
{
    const uint8_t *start = at;
    *whole = *at != '-';
    if (*at == '-')
        at++;
    if (!is_digit(*at))
        return NULL;
    if (*at == '0')
        at++;
    else
        while (is_digit(*at))
            at++;
    if (*at == '.') {
        *whole = 0;
        if (!is_digit(*++at))
            return NULL;
        while (is_digit(*at))
            at++;
    }
    if (at - start > MAX_NUMBER_BYTES)
        return NULL;
    if ((*at | 32) == 'e') {
        *whole = 0;
        at++;
        if (*at == '+' || *at == '-')
            at++;
        if (!is_digit(*at))
            return NULL;
        at++;
        if (is_digit(*at))
            at++;
        if (is_digit(*at))
            return NULL;
    }
    return at;
}

static inline const uint8_t *skip_space(const uint8_t *at)
{
    while (*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

#define IS(name) (size == sizeof(name) - 1 && memcmp(key, name, sizeof(name) - 1) == 0)

/* Says which field a key of a container is. */
static inline unsigned field_of(int container, const uint8_t *key, size_t size)
{
    switch (container) {
    case TOP:
        if (IS("@timestamp")) return TIMESTAMP;
        if (IS("@metadata")) return IN_METADATA;
        if (IS("agent")) return IN_AGENT;
        if (IS("log")) return IN_LOG;
        if (IS("beat")) return BEAT;
        break;
    case METADATA:
        if (IS("_id")) return METADATA_ID;
        if (IS("beat")) return METADATA_BEAT;
        break;
    case AGENT:
        if (IS("ephemeral_id")) return EPHEMERAL_ID;
        if (IS("id")) return AGENT_ID;
        break;
    case LOG:
        if (IS("offset")) return OFFSET;
        if (IS("file")) return IN_FILE;
        break;
    case FILE_:
        if (IS("path")) return PATH;
        break;
    }
    return NO_FIELD;
}

#undef IS

static inline int container_of(unsigned field)
{
    switch (field) {
    case IN_METADATA: return METADATA;
    case IN_AGENT: return AGENT;
    case IN_LOG: return LOG;
    case IN_FILE: return FILE_;
    }
    return EVERYTHING_ELSE;
}

/* Fields that must be strings, and may not be objects. */
#define TEXTS (TIMESTAMP | METADATA_ID | METADATA_BEAT | EPHEMERAL_ID | AGENT_ID | PATH)

/* Fills `fields`; 0 when it gives up. `at` must end in a NUL at `end`. */
static int walk(const uint8_t *at, const uint8_t *end, Fields *fields)
{
    uint8_t stack[MAX_DEPTH];
    int depth = 0, container = TOP, whole;
    unsigned field, kinds;
    const uint8_t *start;

    memset(fields, 0, sizeof *fields);
    at = skip_space(at);
    if (*at != '{')
        return 0;

object:
    at = skip_space(at + 1);
    if (*at == '}')
        goto closed;
key:
    if (*at != '"')
        return 0;
    kinds = 0;
    start = ++at;
    at = string_end(at, end, &kinds);
    if (at == NULL)
        return 0;
    field = NO_FIELD;
    if (container < EVERYTHING_ELSE) {
        if (kinds & ESCAPES)
            return 0; /* may be one of ours in disguise */
        field = field_of(container, start, (size_t)(at - start));
        if (field & fields->seen)
            return 0;
        fields->seen |= field;
    }
    at = skip_space(at + 1);
    if (*at != ':')
        return 0;
    at = skip_space(at + 1);

value:
    switch (*at) {
    case '"': {
        kinds = 0;
        start = ++at;
        at = string_end(at, end, &kinds);
        if (at == NULL)
            return 0;
        Text text = {start, (size_t)(at - start), kinds};
        switch (field) {
        case TIMESTAMP: fields->timestamp = text; break;
        case EPHEMERAL_ID: fields->ephemeral_id = text; break;
        case AGENT_ID: fields->agent_id = text; break;
        case PATH: fields->path = text; break;
        case OFFSET: return 0;
        }
        at++;
        break;
    }
    case '{':
        if (field & (TEXTS | OFFSET) || depth == MAX_DEPTH)
            return 0;
        if (field == BEAT)
            return 0; /* Beats 6.x: other rules */
        stack[depth++] = (uint8_t)container;
        container = container_of(field);
        goto object;
    case '[':
        if (field & (TEXTS | OFFSET) || depth == MAX_DEPTH)
            return 0;
        stack[depth++] = (uint8_t)container;
        container = ARRAY;
        field = NO_FIELD;
        at = skip_space(at + 1);
        if (*at == ']')
            goto closed;
        goto value;
    case 't':
        if (end - at < 4 || memcmp(at, "true", 4) != 0 || field & (TEXTS | OFFSET))
            return 0;
        at += 4;
        break;
    case 'f':
        if (end - at < 5 || memcmp(at, "false", 5) != 0 || field & (TEXTS | OFFSET))
            return 0;
        at += 5;
        break;
    case 'n':
        if (end - at < 4 || memcmp(at, "null", 4) != 0 || field & (TEXTS | OFFSET))
            return 0;
        at += 4;
        break;
    default:
        if (field & TEXTS)
            return 0;
        start = at;
        at = number_end(at, &whole);
        if (at == NULL)
            return 0;
        if (field == OFFSET) {
            if (!whole || at - start > 18) /* surely within 63 bits */
                return 0;
            fields->offset = (Text){start, (size_t)(at - start), 0};
        }
    }

after_value:
    at = skip_space(at);
    if (*at == ',') {
        at = skip_space(at + 1);
        if (container != ARRAY)
            goto key;
        field = NO_FIELD;
        goto value;
    }
    if (*at != (container == ARRAY ? ']' : '}'))
        return 0;
closed:
    at++;
    if (depth > 0) {
        container = stack[--depth];
        goto after_value;
    }
    return skip_space(at) == end;
}

#undef TEXTS

#endif
