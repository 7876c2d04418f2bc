/* This kernel decodes the base64 in a GetRecords reply, as _get_reply.py does without it.

Strategy. `take_data` decodes each record's data and puts the record's number in its place, so that the JSON decoder has little
to read; `put_data` puts the data back into the records that this decoder made, if each has its number. Whatever is unusual
(an escape, white space, padding that isn't canonical) makes `take_data` give up, and other ways decide. */

#include "../../../transforms/kernels/_native_event_slots.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define NUMBER_CHARS 8 /* six of a number, base64 of four bytes */
#define INVALID 0x80u

static const char key[] = "\"Data\":\"";
#define KEY_CHARS (sizeof key - 1)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What each character stands for; INVALID for all that are none of the alphabet's. */
static void fill_table(uint8_t table[256])
{
    memset(table, INVALID, 256);
    for (unsigned i = 0; i < 64; i++)
        table[(uint8_t)alphabet[i]] = (uint8_t)i;
}

static void write_number(uint32_t number, char text[NUMBER_CHARS])
{
    const uint8_t bytes[6] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    for (int group = 0; group < 2; group++) {
        unsigned bits = (unsigned)bytes[3 * group] << 16 | (unsigned)bytes[3 * group + 1] << 8 | bytes[3 * group + 2];
        for (int i = 0; i < 4; i++)
            text[4 * group + i] = alphabet[bits >> (18 - 6 * i) & 63];
    }
    text[6] = text[7] = '=';
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

PyDoc_STRVAR(take_data_doc, "take_data(body, /)\n--\n\n"
                            "Gives the reply with a number as each record's data, and the data. None: other ways decide.");

static PyObject *take_data(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *body, *datas, *rest, *result = NULL;
    uint8_t table[256];
    if (!PyArg_ParseTuple(arguments, "S:take_data", &body))
        return NULL;
    const char *at = PyBytes_AS_STRING(body), *end = at + PyBytes_GET_SIZE(body);
    size_t room = (size_t)(end - at);
    /* A number may be longer than what stood there, so as many places more as keys can be there. */
    if (room > (size_t)PY_SSIZE_T_MAX / 4)
        Py_RETURN_NONE;
    room += (room / KEY_CHARS + 1) * NUMBER_CHARS;
    datas = PyList_New(0);
    rest = datas ? PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room) : NULL;
    if (!rest)
        goto done;
    fill_table(table);
    int wide = 0;
#if defined(__x86_64__)
    wide = __builtin_cpu_supports("avx2");
#endif
    char *out = PyBytes_AS_STRING(rest);
    for (;;) {
        const char *found = memmem(at, (size_t)(end - at), key, KEY_CHARS);
        const char *until = found ? found + KEY_CHARS : end;
        memcpy(out, at, (size_t)(until - at));
        out += until - at;
        if (!found)
            break;
        const char *quote = memchr(until, '"', (size_t)(end - until));
        PyObject *data = quote ? decoded((const uint8_t *)until, (size_t)(quote - until), table, wide) : NULL;
        if (!data || PyList_Append(datas, data) < 0) {
            Py_XDECREF(data);
            if (!PyErr_Occurred())
                result = Py_NewRef(Py_None);
            goto done;
        }
        Py_DECREF(data);
        write_number((uint32_t)(PyList_GET_SIZE(datas) - 1), out);
        out += NUMBER_CHARS;
        at = quote;
    }
    if (_PyBytes_Resize(&rest, out - PyBytes_AS_STRING(rest)) == 0)
        result = PyTuple_Pack(2, rest, datas);
done:
    Py_XDECREF(rest);
    Py_XDECREF(datas);
    return result;
}

PyDoc_STRVAR(put_data_doc, "put_data(records, record_type, datas, /)\n--\n\n"
                           "Sets the data of each record. False, and nothing is set, where one hasn't its number.");

static PyObject *put_data(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *records, *type, *datas;
    if (!PyArg_ParseTuple(arguments, "O!O!O!:put_data", &PyList_Type, &records, &PyType_Type, &type, &PyList_Type, &datas))
        return NULL;
    Py_ssize_t slot = slot_of(type, "data"), count = PyList_GET_SIZE(records);
    if (slot < 0)
        return NULL;
    if (count != PyList_GET_SIZE(datas))
        Py_RETURN_FALSE;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *record = PyList_GET_ITEM(records, i);
        if (!Py_IS_TYPE(record, (PyTypeObject *)type)) {
            PyErr_Format(PyExc_TypeError, "item %zd is a %.100s", i, Py_TYPE(record)->tp_name);
            return NULL;
        }
        PyObject *data = get_slot(record, slot);
        if (!data || !PyBytes_Check(data) || PyBytes_GET_SIZE(data) != 4)
            Py_RETURN_FALSE;
        const uint8_t *number = (const uint8_t *)PyBytes_AS_STRING(data);
        if (((Py_ssize_t)number[0] << 24 | number[1] << 16 | number[2] << 8 | number[3]) != i)
            Py_RETURN_FALSE;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        set_slot(PyList_GET_ITEM(records, i), slot, Py_NewRef(PyList_GET_ITEM(datas, i)));
    Py_RETURN_TRUE;
}

PENSTOCK_KERNEL(get_reply, "penstock.io.kinesis.wire", "The data of GetRecords replies; the twin is in _get_reply.py.",
                {"take_data", take_data, METH_VARARGS, take_data_doc},
                {"put_data", put_data, METH_VARARGS, put_data_doc})
