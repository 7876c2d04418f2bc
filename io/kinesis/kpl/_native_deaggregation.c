/* This kernel of _deaggregation.py takes KPL's aggregated records apart, several per call. _deaggregation.py says the rules.

Plan. The MD5s of all records that look aggregated are checked side by side, without the GIL; then each message is
read in one pass that makes the payloads as it goes. Only what producers really write is read here: any field, any
number and any table that isn't plain is left to the twin in Python, which decides on NotImplemented.

Invariants.
- What is answered here the twin would answer too (tests/property/test_native_deaggregation.py).
- No byte outside a message is read, whatever it says about lengths; nothing is recursive. */
#include "_native_kpl.h"

#define MAX_PER_CALL 256        /* records: what stands on the stack for each is small, but not nothing */

/* The room for what one message holds besides its payloads. The next message uses it again. */
typedef struct {
    Md5Job *keys;       /* the table of partition keys, as jobs for their hash keys */
    uint8_t *hash_keys;  /* MD5_DIGEST bytes a key */
    uint32_t *key_of;    /* the place in the table that each user record names */
    size_t key_count, key_room, count, room;
} Message;

/* Reads a varint of at most 32 bits into *at; 0 when there is none before the end, or a larger one. */
static inline int read_varint(const uint8_t **at, const uint8_t *end, uint32_t *number)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 35 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *number = (uint32_t)value;
            return value <= UINT32_MAX;
        }
    }
    return 0;
}

/* Reads a length and that many bytes, all before the end. */
static inline int read_bytes(const uint8_t **at, const uint8_t *end, const uint8_t **start, size_t *size)
{
    uint32_t length;
    if (!read_varint(at, end, &length) || length > (size_t)(end - *at))
        return 0;
    *start = *at;
    *size = length;
    *at += length;
    return 1;
}

/* Gives 1, or -1 with an error set. */
static int add_key(Message *m, const uint8_t *key, size_t size)
{
    if (m->key_count == m->key_room) {
        size_t room = m->key_room ? 2 * m->key_room : 64;
        Md5Job *keys = PyMem_Resize(m->keys, Md5Job, room);
        if (keys)
            m->keys = keys;
        uint8_t *hash_keys = PyMem_Resize(m->hash_keys, uint8_t, room *MD5_DIGEST);
        if (hash_keys)
            m->hash_keys = hash_keys;
        if (!keys || !hash_keys) {
            PyErr_NoMemory();
            return -1;
        }
        m->key_room = room;
    }
    m->keys[m->key_count++] = (Md5Job){.data = key, .size = size};
    return 1;
}

static int add_key_of(Message *m, uint32_t key)
{
    if (m->count == m->room) {
        size_t room = m->room ? 2 * m->room : 256;
        uint32_t *key_of = PyMem_Resize(m->key_of, uint32_t, room);
        if (!key_of) {
            PyErr_NoMemory();
            return -1;
        }
        m->key_of = key_of;
        m->room = room;
    }
    m->key_of[m->count++] = key;
    return 1;
}

/* Reads one user record into the list. Gives 1; 0 where it isn't plain; -1 with an error set. */
static int read_user_record(Message *m, const uint8_t *at, const uint8_t *end, PyObject *payloads)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    uint32_t key = 0;
    int has_key = 0;
    while (at < end) {
        switch (*at++) {
        case 0x08:
            if (!read_varint(&at, end, &key))
                return 0;
            has_key = 1;
            break;
        case 0x1a:
            if (!read_bytes(&at, end, &data, &size))
                return 0;
            break;
        default:
            return 0;
        }
    }
    if (!has_key || !data)
        return 0;
    PyObject *payload = PyBytes_FromStringAndSize((const char *)data, size);
    if (!payload)
        return -1;
    int result = PyList_Append(payloads, payload);
    Py_DECREF(payload);
    return result < 0 ? -1 : add_key_of(m, key);
}

/* Reads a whole message into m and the list. Gives 1; 0 where it isn't plain; -1 with an error set. */
static int read_message(Message *m, const uint8_t *at, const uint8_t *end, PyObject *payloads)
{
    m->key_count = m->count = 0;
    while (at < end) {
        uint8_t tag = *at++;
        const uint8_t *start;
        size_t size;
        int result;
        if ((tag != 0x0a && tag != 0x1a) || !read_bytes(&at, end, &start, &size))
            return 0;
        result = tag == 0x0a ? add_key(m, start, size) : read_user_record(m, start, start + size, payloads);
        if (result < 1)
            return result;
    }
    for (size_t i = 0; i < m->count; i++)
        if (m->key_of[i] >= m->key_count)
            return 0;
    return 1;
}

static inline int is_outside(const uint8_t *hash_key, const uint8_t *range)
{
    return memcmp(hash_key, range, MD5_DIGEST) < 0 || memcmp(hash_key, range + MD5_DIGEST, MD5_DIGEST) > 0;
}

/* Gives the places of the user records whose hash key is outside the range: a new list; NULL with an error set. */
static PyObject *outside(Message *m, const uint8_t *range)
{
    PyObject *places = PyList_New(0);
    if (!places || !range || !m->count)
        return places;
    int any = 0;
    for (size_t i = 0; i < m->key_count; i++)
        m->keys[i].digest = m->hash_keys + i * MD5_DIGEST;
    md5_many(m->keys, m->key_count);
    for (size_t i = 0; i < m->key_count; i++)
        any |= is_outside(m->keys[i].digest, range);
    for (size_t i = 0; any && i < m->count; i++) {
        if (!is_outside(m->hash_keys + m->key_of[i] * (size_t)MD5_DIGEST, range))
            continue;
        PyObject *place = PyLong_FromSize_t(i);
        if (!place || PyList_Append(places, place) < 0) {
            Py_XDECREF(place);
            Py_DECREF(places);
            return NULL;
        }
        Py_DECREF(place);
    }
    return places;
}

/* Gives what one record with a right checksum holds: (payloads, outside), or NotImplemented; NULL with an error set. */
static PyObject *take_apart(Message *m, PyObject *data, const uint8_t *range)
{
    const uint8_t *start = (const uint8_t *)PyBytes_AS_STRING(data);
    PyObject *payloads = PyList_New(0);
    if (!payloads)
        return NULL;
    int result = read_message(m, start + MAGIC_SIZE, start + PyBytes_GET_SIZE(data) - MD5_DIGEST, payloads);
    if (result < 1) {
        Py_DECREF(payloads);
        return result < 0 ? NULL : Py_NewRef(Py_NotImplemented);
    }
    PyObject *places = outside(m, range);
    if (!places) {
        Py_DECREF(payloads);
        return NULL;
    }
    return Py_BuildValue("NN", payloads, places);
}

/* Checks the checksums of all records that look aggregated, side by side; right[i] says whether the i-th one's is. */
static void check(PyObject *datas, uint8_t *right)
{
    Md5Job jobs[MAX_PER_CALL];
    uint8_t digests[MAX_PER_CALL][MD5_DIGEST];
    size_t count = 0, bytes = 0;
    Py_ssize_t total = PyTuple_GET_SIZE(datas);
    for (Py_ssize_t i = 0; i < total; i++) {
        PyObject *data = PyTuple_GET_ITEM(datas, i);
        const uint8_t *start = (const uint8_t *)PyBytes_AS_STRING(data);
        size_t size = (size_t)PyBytes_GET_SIZE(data);
        right[i] = size >= OVERHEAD && !memcmp(start, MAGIC, MAGIC_SIZE);
        if (!right[i])
            continue;
        jobs[count] = (Md5Job){.data = start + MAGIC_SIZE, .size = size - OVERHEAD, .digest = digests[count]};
        count++;
        bytes += size;
    }
    if (!count)
        return;
    hash_all(jobs, count, bytes);
    for (Py_ssize_t i = 0, job = 0; i < total; i++)
        if (right[i]) {
            right[i] = !memcmp(digests[job], jobs[job].data + jobs[job].size, MD5_DIGEST);
            job++;
        }
}

PyDoc_STRVAR(
    deaggregate_doc,
    "deaggregate(datas, hash_range, /)\n--\n\n"
    "For each payload (bytes, at most 256 of them): None when it is a plain record, (payloads, outside) when it was\n"
    "aggregated, NotImplemented when the twin must tell. `hash_range` is None or (start, end) of 16 bytes each.");

static PyObject *deaggregate(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *datas, *given_range, *found = NULL;
    if (!PyArg_ParseTuple(arguments, "OO:deaggregate", &datas, &given_range))
        return NULL;
    uint8_t bounds[2 * MD5_DIGEST], right[MAX_PER_CALL];
    const uint8_t *range = NULL;
    if (given_range != Py_None) {
        for (int i = 0; i < 2; i++) {
            PyObject *bound = PyTuple_Check(given_range) && PyTuple_GET_SIZE(given_range) == 2
                                  ? PyTuple_GET_ITEM(given_range, i)
                                  : NULL;
            if (!bound || !PyBytes_Check(bound) || PyBytes_GET_SIZE(bound) != MD5_DIGEST) {
                PyErr_SetString(PyExc_TypeError, "hash_range is None or a pair of 16 bytes each");
                return NULL;
            }
            memcpy(bounds + i * MD5_DIGEST, PyBytes_AS_STRING(bound), MD5_DIGEST);
        }
        range = bounds;
    }
    datas = tuple_of_bytes(datas);
    if (!datas)
        return NULL;
    Message m = {0};
    Py_ssize_t total = PyTuple_GET_SIZE(datas);
    if (total > MAX_PER_CALL) {
        PyErr_Format(PyExc_ValueError, "%zd payloads at once; %d at most", total, MAX_PER_CALL);
        goto done;
    }
    check(datas, right);
    found = PyList_New(total);
    for (Py_ssize_t i = 0; found && i < total; i++) {
        PyObject *answer = right[i] ? take_apart(&m, PyTuple_GET_ITEM(datas, i), range) : Py_NewRef(Py_None);
        if (!answer)
            Py_CLEAR(found);
        else
            PyList_SET_ITEM(found, i, answer);
    }
done:
    PyMem_Free(m.keys);
    PyMem_Free(m.hash_keys);
    PyMem_Free(m.key_of);
    Py_DECREF(datas);
    return found;
}

PENSTOCK_KERNEL(deaggregation, "penstock.io.kinesis.kpl",
                "KPL's aggregated records, taken apart; the twin is in _deaggregation.py.",
                {"deaggregate", deaggregate, METH_VARARGS, deaggregate_doc})
