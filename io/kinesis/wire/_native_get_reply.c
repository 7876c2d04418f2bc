/* This kernel reads the records of a GetRecords reply, as _get_reply.py does without it.

Strategy. `take_records` walks over the array of records and makes each at once: its texts, its time, its data out of base64. What is
left of the reply, an empty array in it, is short, and JSON's decoder reads it. Whatever is unusual (an escape, a field that it doesn't
know, base64 that isn't canonical) makes it give up, and other ways decide. */

#include "../../../transforms/kernels/_native_event_slots.h"
#include "../../../transforms/kernels/_native_json_walk.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INVALID 0x80u
#define EXACT_DIGITS 15 /* a double holds each number of so many */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What each character stands for; INVALID for all that are none of the alphabet's. */
static void fill_table(uint8_t table[256])
{
    memset(table, INVALID, 256);
    for (unsigned i = 0; i < 64; i++)
        table[(uint8_t)alphabet[i]] = (uint8_t)i;
}

#if defined(__x86_64__)
/* Decodes 32 characters at a time, for as long as 32 bytes fit at `out`: 24 are the data, and what stands behind them is written
   over later. Gives where it stopped, NULL where a character is none of the alphabet's.

   A character's high nibble tells its range, and so what to add to it; '/' has the nibble of '+', and an offset of its own. In
   `low` and `high` a bit stands for a range that the nibble isn't in; a character whose nibbles share one is no good.
   Source: W. Mula, D. Lemire, Faster Base64 Encoding and Decoding using AVX2 Instructions (2018). */
__attribute__((target("avx2"))) static const uint8_t *decode_wide(const uint8_t *text, const uint8_t *end, uint8_t *out,
                                                                  const uint8_t *out_end)
{
#define TWICE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
    const __m256i low = TWICE(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A);
    const __m256i high = TWICE(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
    const __m256i offsets = TWICE(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i bytes = TWICE(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i together = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7), slash = _mm256_set1_epi8('/');
#undef TWICE
    __m256i wrong = _mm256_setzero_si256();
    for (; end - text >= 32 && out_end - out >= 32; text += 32, out += 24) {
        __m256i chars = _mm256_loadu_si256((const __m256i *)text);
        /* The mask has the slash's bits, so it needs no register of its own: a shuffle looks at four bits and the highest. */
        __m256i high_nibbles = _mm256_and_si256(_mm256_srli_epi32(chars, 4), slash);
        __m256i low_nibbles = _mm256_and_si256(chars, slash);
        wrong = _mm256_or_si256(wrong, _mm256_and_si256(_mm256_shuffle_epi8(low, low_nibbles),
                                                        _mm256_shuffle_epi8(high, high_nibbles)));
        __m256i is_slash = _mm256_cmpeq_epi8(chars, slash); /* -1 where it is */
        __m256i values = _mm256_add_epi8(chars, _mm256_shuffle_epi8(offsets, _mm256_add_epi8(is_slash, high_nibbles)));
        __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140)); /* 12 bits each */
        __m256i groups = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));    /* 24 bits each */
        groups = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(groups, bytes), together);
        _mm256_storeu_si256((__m256i *)out, groups);
    }
    return _mm256_testz_si256(wrong, wrong) ? text : NULL;
}
#endif

/* Decodes `size` characters, canonical ones only. Gives bytes, NULL without an exception where they aren't, else with one. */
static PyObject *decoded(const uint8_t *text, size_t size, const uint8_t table[256], int wide)
{
    if (size % 4)
        return NULL;
    size_t padding = size == 0 ? 0 : (size_t)(text[size - 1] == '=') + (text[size - 1] == '=' && text[size - 2] == '=');
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(size / 4 * 3 - padding));
    if (!data)
        return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AS_STRING(data);
    unsigned wrong = 0;
    const uint8_t *end = text + size - (padding ? 4 : 0);
#if defined(__x86_64__)
    if (wide) {
        const uint8_t *start = text;
        text = decode_wide(text, end, out, out + PyBytes_GET_SIZE(data));
        if (!text) {
            Py_DECREF(data);
            return NULL;
        }
        out += (text - start) / 4 * 3;
    }
#endif
    for (; text < end; text += 4, out += 3) {
        unsigned a = table[text[0]], b = table[text[1]], c = table[text[2]], d = table[text[3]];
        unsigned bits = a << 18 | b << 12 | c << 6 | d;
        wrong |= a | b | c | d;
        out[0] = (uint8_t)(bits >> 16);
        out[1] = (uint8_t)(bits >> 8);
        out[2] = (uint8_t)bits;
    }
    if (padding) {
        unsigned a = table[text[0]], b = table[text[1]], c = padding == 1 ? table[text[2]] : 0;
        wrong |= a | b | c;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        if (padding == 1)
            out[1] = (uint8_t)(b << 4 | c >> 2);
        if (padding == 1 ? c & 3 : b & 15)
            wrong = INVALID; /* bits that no byte takes */
    }
    if (wrong & INVALID)
        Py_CLEAR(data);
    return data;
}

/* The fields of a record, in the order of its class. */
enum { SEQUENCE_NUMBER, DATA, PARTITION_KEY, ARRIVAL, FIELDS };

static const char *const field_names[FIELDS] = {"sequence_number", "data", "partition_key", "approximate_arrival_timestamp"};
static const char *const keys[FIELDS] = {"SequenceNumber", "Data", "PartitionKey", "ApproximateArrivalTimestamp"};

typedef struct {
    PyTypeObject *type;
    Py_ssize_t slots[FIELDS];
    uint8_t table[256];
    int wide; /* whether this processor decodes 32 characters at a time */
} Reader;

static int open_reader(PyObject *type, Reader *reader)
{
    reader->type = (PyTypeObject *)type;
    for (int i = 0; i < FIELDS; i++)
        if ((reader->slots[i] = slot_of(type, field_names[i])) < 0)
            return -1;
    if (require_plain(reader->type, FIELDS) < 0)
        return -1;
    fill_table(reader->table);
    reader->wide = 0;
#if defined(__x86_64__)
    reader->wide = __builtin_cpu_supports("avx2");
#endif
    return 0;
}

/* Gives the number at `at` as a float: of few digits at once, else as Python reads it. NULL with an exception. */
static PyObject *float_of(const uint8_t *at, const uint8_t *end)
{
    static const double tens[EXACT_DIGITS + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    char text[MAX_NUMBER_BYTES + 8];
    int64_t digits = 0;
    int count = 0, behind_point = -1;
    const uint8_t *c = at;
    for (; c < end && count <= EXACT_DIGITS && (is_digit(*c) || (*c == '.' && behind_point < 0)); c++) {
        if (*c == '.') {
            behind_point = 0;
            continue;
        }
        digits = digits * 10 + (*c - '0');
        count++;
        behind_point += behind_point >= 0;
    }
    if (c == end && count <= EXACT_DIGITS) /* both are exact, so their quotient is the nearest double */
        return PyFloat_FromDouble((double)digits / tens[behind_point > 0 ? behind_point : 0]);
    memcpy(text, at, (size_t)(end - at));
    text[end - at] = 0;
    double value = PyOS_string_to_double(text, NULL, NULL);
    return value == -1.0 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

/* Reads the value of a field, and moves `at` behind it. NULL, with or without an exception: it is no value as expected. */
static PyObject *field_value(const uint8_t **at, const uint8_t *end, int field, const Reader *reader)
{
    const uint8_t *start = *at, *until;
    unsigned kinds = 0;
    int whole;
    if (field == ARRIVAL) {
        until = number_end(start, &whole);
        *at = until;
        return until ? float_of(start, until) : NULL;
    }
    if (*start++ != '"')
        return NULL;
    if (field == DATA) {
        until = memchr(start, '"', (size_t)(end - start));
        *at = until ? until + 1 : NULL;
        return until ? decoded(start, (size_t)(until - start), reader->table, reader->wide) : NULL;
    }
    until = string_end(start, end, &kinds);
    if (!until || kinds & ESCAPES)
        return NULL;
    *at = until + 1;
    if (kinds & NOT_ASCII)
        return PyUnicode_DecodeUTF8((const char *)start, until - start, NULL);
    PyObject *text = PyUnicode_New(until - start, 127);
    if (text)
        memcpy(PyUnicode_1BYTE_DATA(text), start, (size_t)(until - start));
    return text;
}

/* Moves behind a value that nobody wants (EncryptionType); NULL where it isn't a simple one. */
static const uint8_t *skipped(const uint8_t *at, const uint8_t *end)
{
    unsigned kinds = 0;
    int whole;
    if (*at != '"')
        return number_end(at, &whole);
    at = string_end(at + 1, end, &kinds);
    return at ? at + 1 : NULL;
}

static int field_named(const uint8_t *name, size_t size)
{
    int field = 0;
    while (field < FIELDS && (strlen(keys[field]) != size || memcmp(keys[field], name, size) != 0))
        field++;
    return field;
}

/* Reads the record whose brace is at `at`, and moves behind it. NULL, with or without an exception: it isn't as expected. */
static PyObject *record_at(const uint8_t **at, const uint8_t *end, const Reader *reader)
{
    const uint8_t *c = *at;
    PyObject *record = *c == '{' ? PyType_GenericAlloc(reader->type, 0) : NULL; /* its fields are NULL */
    if (!record)
        return NULL;
    do {
        unsigned kinds = 0;
        const uint8_t *name = skip_space(c + 1);
        if (*name++ != '"' || !(c = string_end(name, end, &kinds)) || kinds & ESCAPES)
            goto unusual;
        int field = field_named(name, (size_t)(c - name));
        c = skip_space(c + 1);
        if (*c != ':')
            goto unusual;
        c = skip_space(c + 1);
        if (field == FIELDS)
            c = skipped(c, end);
        else {
            PyObject *value = get_slot(record, reader->slots[field]) ? NULL : field_value(&c, end, field, reader);
            if (!value)
                goto unusual;
            set_slot(record, reader->slots[field], value);
        }
        if (!c)
            goto unusual;
        c = skip_space(c);
    } while (*c == ',');
    if (*c != '}' || !get_slot(record, reader->slots[SEQUENCE_NUMBER]) || !get_slot(record, reader->slots[DATA]))
        goto unusual;
    /* The defaults of the class. */
    if (!get_slot(record, reader->slots[PARTITION_KEY]))
        set_slot(record, reader->slots[PARTITION_KEY], PyUnicode_New(0, 0));
    if (!get_slot(record, reader->slots[ARRIVAL])) {
        PyObject *none = PyFloat_FromDouble(0.0);
        if (!none)
            goto unusual;
        set_slot(record, reader->slots[ARRIVAL], none);
    }
    *at = c + 1;
    return record;
unusual:
    Py_DECREF(record);
    return NULL;
}

PyDoc_STRVAR(take_records_doc, "take_records(body, record_type, /)\n--\n\n"
                               "Gives the reply with an empty array of records, and the records. None: other ways decide.");

static PyObject *take_records(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    static const char key[] = "\"Records\"";
    PyObject *body, *type, *rest;
    Reader reader;
    if (!PyArg_ParseTuple(arguments, "SO!:take_records", &body, &PyType_Type, &type) || open_reader(type, &reader) < 0)
        return NULL;
    const uint8_t *start = (const uint8_t *)PyBytes_AS_STRING(body), *end = start + PyBytes_GET_SIZE(body);
    const uint8_t *at = memmem(start, (size_t)(end - start), key, sizeof key - 1);
    if (!at || *(at = skip_space(at + sizeof key - 1)) != ':' || *(at = skip_space(at + 1)) != '[')
        Py_RETURN_NONE;
    size_t head = (size_t)(++at - start);
    PyObject *records = PyList_New(0);
    if (!records)
        return NULL;
    at = skip_space(at);
    for (int more = *at != ']'; more; at = more ? skip_space(at + 1) : at) {
        PyObject *record = record_at(&at, end, &reader);
        if (!record || PyList_Append(records, record) < 0) {
            Py_XDECREF(record);
            goto unusual;
        }
        Py_DECREF(record);
        at = skip_space(at);
        more = *at == ',';
    }
    /* The last of two arrays counts; they aren't told apart here. */
    if (*at != ']' || memmem(at, (size_t)(end - at), key, sizeof key - 1))
        goto unusual;
    rest = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)head + (end - at));
    if (!rest)
        goto unusual;
    memcpy(PyBytes_AS_STRING(rest), start, head);
    memcpy(PyBytes_AS_STRING(rest) + head, at, (size_t)(end - at));
    return Py_BuildValue("NN", rest, records);
unusual:
    Py_DECREF(records);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

PENSTOCK_KERNEL(get_reply, "penstock.io.kinesis.wire", "The records of GetRecords replies; the twin is in _get_reply.py.",
                {"take_records", take_records, METH_VARARGS, take_records_doc})
