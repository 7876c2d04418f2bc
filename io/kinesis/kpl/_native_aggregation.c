/* This kernel of _aggregation.py encodes KPL's aggregated records, a whole batch per call. _aggregation.py says the format.

Plan. A first walk decides what goes together and how large it gets, so each record is one allocation of
exactly its size, filled from the events' own bytes. The MD5s of all of them are made at the end, side by side and
without the GIL.

Invariants.
- Byte for byte, cut for cut what the twins in Python give (tests/property/test_native_aggregation.py).
- Nothing that another thread or a callback could change is read twice: sequences are copied into tuples first, and
  without the GIL only buffers are touched that nobody else knows yet. */
#include "_native_kpl.h"

static inline Py_ssize_t varint_size(size_t number)
{
    Py_ssize_t size = 1;
    for (; number > 0x7f; number >>= 7)
        size++;
    return size;
}

static inline uint8_t *put_varint(uint8_t *at, size_t number)
{
    for (; number > 0x7f; number >>= 7)
        *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    return at;
}

/* Writes one entry of the partition key table. */
static inline Py_ssize_t table_entry_size(Py_ssize_t length)
{
    return 1 + varint_size(length) + length;
}

static inline uint8_t *put_table_entry(uint8_t *at, const char *key, Py_ssize_t length)
{
    *at++ = 0x0a;
    at = put_varint(at, length);
    memcpy(at, key, length);
    return at + length;
}

/* Writes a user record without its tag and length: index of the key, data. */
static inline Py_ssize_t inner_size(size_t key_index, Py_ssize_t length)
{
    return 1 + varint_size(key_index) + 1 + varint_size(length) + length;
}

static inline Py_ssize_t user_record_size(size_t key_index, Py_ssize_t length)
{
    Py_ssize_t inner = inner_size(key_index, length);
    return 1 + varint_size(inner) + inner;
}

static inline uint8_t *put_user_record(uint8_t *at, size_t key_index, PyObject *data)
{
    Py_ssize_t length = PyBytes_GET_SIZE(data);
    *at++ = 0x1a;
    at = put_varint(at, inner_size(key_index, length));
    *at++ = 0x08;
    at = put_varint(at, key_index);
    *at++ = 0x1a;
    at = put_varint(at, length);
    memcpy(at, PyBytes_AS_STRING(data), length);
    return at + length;
}

/* The aggregated records of one call, whose MD5s are still missing. They are kept alive by the result. */
typedef struct {
    Md5Job *jobs;
    size_t count, room, bytes;
} Seals;

/* Makes an aggregated record of `size` bytes with its magic; the caller fills what follows. NULL with an error set. */
static PyObject *new_record(Seals *pending, Py_ssize_t size, uint8_t **at)
{
    if (pending->count == pending->room) {
        size_t room = pending->room ? 2 * pending->room : 32;
        Md5Job *jobs = PyMem_Resize(pending->jobs, Md5Job, room);
        if (!jobs)
            return PyErr_NoMemory();
        pending->jobs = jobs;
        pending->room = room;
    }
    PyObject *encoded = PyBytes_FromStringAndSize(NULL, size);
    if (!encoded)
        return NULL;
    uint8_t *start = (uint8_t *)PyBytes_AS_STRING(encoded);
    memcpy(start, MAGIC, MAGIC_SIZE);
    pending->jobs[pending->count++] =
        (Md5Job){.data = start + MAGIC_SIZE, .size = size - OVERHEAD, .digest = start + size - MD5_DIGEST};
    pending->bytes += size;
    *at = start + MAGIC_SIZE;
    return encoded;
}

/* Reads the bounds, of which a number beyond Py_ssize_t means "none"; -1 with an error set where they make no sense. */
static int read_bounds(PyObject *count, PyObject *size, Py_ssize_t *max_count, Py_ssize_t *max_size)
{
    *max_count = PyNumber_AsSsize_t(count, NULL);
    *max_size = PyNumber_AsSsize_t(size, NULL);
    if (PyErr_Occurred())
        return -1;
    if (*max_count < 1 || *max_size < 0) {
        PyErr_SetString(PyExc_ValueError, "max_count must be 1 or more, max_size 0 or more");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(aggregate_run_doc, "aggregate_run(keys, datas, max_count, max_size, /)\n--\n\n"
                                "A list of what `_aggregation.aggregate_run` yields.");

static PyObject *aggregate_run(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *keys, *datas, *count, *size_bound;
    Py_ssize_t max_count, max_size;
    if (!PyArg_ParseTuple(arguments, "OOOO:aggregate_run", &keys, &datas, &count, &size_bound) ||
        read_bounds(count, size_bound, &max_count, &max_size) < 0)
        return NULL;
    if (!PyIter_Check(keys))
        return PyErr_Format(PyExc_TypeError, "keys is an iterator, not %.100s", Py_TYPE(keys)->tp_name);
    datas = tuple_of_bytes(datas);
    if (!datas)
        return NULL;
    Seals pending = {0};
    PyObject *runs = PyList_New(0);
    Py_ssize_t total = PyTuple_GET_SIZE(datas);
    for (Py_ssize_t start = 0, stop; runs && start < total; start = stop) {
        PyObject *key = PyIter_Next(keys);
        if (!key) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "fewer keys than aggregated records");
            goto failed;
        }
        Py_ssize_t key_length;
        const char *text = PyUnicode_AsUTF8AndSize(key, &key_length);
        if (!text) {
            Py_DECREF(key);
            goto failed;
        }
        Py_ssize_t size = OVERHEAD + table_entry_size(key_length);
        for (stop = start; stop < total && stop - start < max_count; stop++) {
            Py_ssize_t more = user_record_size(0, PyBytes_GET_SIZE(PyTuple_GET_ITEM(datas, stop)));
            if (size + more > max_size)
                break;
            size += more;
        }
        PyObject *encoded = NULL;
        if (stop - start < 2) {
            stop = start + 1;
            encoded = Py_NewRef(Py_None);
        } else {
            uint8_t *at;
            encoded = new_record(&pending, size, &at);
            if (encoded) {
                at = put_table_entry(at, text, key_length);
                for (Py_ssize_t i = start; i < stop; i++)
                    at = put_user_record(at, 0, PyTuple_GET_ITEM(datas, i));
            }
        }
        /* N takes the references, of what is NULL too: then it fails. */
        PyObject *run = encoded ? Py_BuildValue("nnNN", start, stop, key, encoded) : NULL;
        if (!encoded)
            Py_DECREF(key);
        if (!run || PyList_Append(runs, run) < 0) {
            Py_XDECREF(run);
            goto failed;
        }
        Py_DECREF(run);
    }
    if (runs)
        hash_all(pending.jobs, pending.count, pending.bytes);
    goto done;
failed:
    Py_CLEAR(runs);
done:
    PyMem_Free(pending.jobs);
    Py_DECREF(datas);
    return runs;
}

/* -- user records with keys of their own ----------------------------------------------------------------------- */

typedef struct {
    Py_ssize_t group;
    const char *text;
    Py_ssize_t length;
    size_t epoch; /* of its group, when it last entered a key table */
    size_t index; /* in that table */
} KeyState;

/* The aggregated record that is being filled for one group. */
typedef struct {
    PyObject *members; /* list of int: places in datas; NULL while it is empty */
    PyObject *keys;    /* list of int: the key table */
    Py_ssize_t size;
    size_t epoch;
} GroupState;

typedef struct {
    PyObject *datas, *key_of, *packets;
    KeyState *keys;
    Py_ssize_t key_count;
    GroupState *groups;
    Seals pending;
    Py_ssize_t max_count, max_size;
} Batch;

static inline KeyState *key_at(const Batch *b, Py_ssize_t place)
{
    return &b->keys[PyLong_AsSsize_t(PyTuple_GET_ITEM(b->key_of, place))]; /* checked when the call began */
}

static int append_number(PyObject *list, Py_ssize_t number)
{
    PyObject *object = PyLong_FromSsize_t(number);
    if (!object)
        return -1;
    int result = PyList_Append(list, object);
    Py_DECREF(object);
    return result;
}

/* Appends (group, members, keys, encoded); takes the three references. */
static int append_packet(Batch *b, Py_ssize_t group, PyObject *members, PyObject *keys, PyObject *encoded)
{
    PyObject *packet = Py_BuildValue("nNNN", group, members, keys, encoded);
    if (!packet)
        return -1;
    int result = PyList_Append(b->packets, packet);
    Py_DECREF(packet);
    return result;
}

static int flush(Batch *b, Py_ssize_t number)
{
    GroupState *group = &b->groups[number];
    if (!group->members)
        return 0;
    PyObject *members = group->members, *keys = group->keys, *encoded;
    Py_ssize_t count = PyList_GET_SIZE(members);
    if (count == 1) {
        encoded = Py_NewRef(Py_None);
    } else {
        uint8_t *at;
        encoded = new_record(&b->pending, group->size, &at);
        if (!encoded)
            return -1;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); i++) {
            const KeyState *key = &b->keys[PyLong_AsSsize_t(PyList_GET_ITEM(keys, i))];
            at = put_table_entry(at, key->text, key->length);
        }
        for (Py_ssize_t i = 0; i < count; i++) {
            Py_ssize_t place = PyLong_AsSsize_t(PyList_GET_ITEM(members, i));
            at = put_user_record(at, key_at(b, place)->index, PyTuple_GET_ITEM(b->datas, place));
        }
    }
    group->members = group->keys = NULL;
    group->epoch++;
    return append_packet(b, number, members, keys, encoded);
}

/* Gives the size that the group's record would have with this one more. */
static Py_ssize_t size_with(const GroupState *group, const KeyState *key, Py_ssize_t length)
{
    Py_ssize_t size = group->members ? group->size : OVERHEAD;
    if (group->members && key->epoch == group->epoch)
        return size + user_record_size(key->index, length);
    size_t index = group->members ? (size_t)PyList_GET_SIZE(group->keys) : 0;
    return size + table_entry_size(key->length) + user_record_size(index, length);
}

static int add(Batch *b, Py_ssize_t place)
{
    KeyState *key = key_at(b, place);
    Py_ssize_t key_number = key - b->keys;
    GroupState *group = &b->groups[key->group];
    Py_ssize_t length = PyBytes_GET_SIZE(PyTuple_GET_ITEM(b->datas, place));
    Py_ssize_t size = size_with(group, key, length);
    if (group->members && (PyList_GET_SIZE(group->members) >= b->max_count || size > b->max_size)) {
        if (flush(b, key->group) < 0)
            return -1;
        size = size_with(group, key, length);
    }
    if (size > b->max_size) { /* larger than an aggregated record may be: it goes plain, in its place */
        PyObject *members = Py_BuildValue("[n]", place), *keys = Py_BuildValue("[n]", key_number);
        return append_packet(b, key->group, members, keys, Py_NewRef(Py_None));
    }
    if (!group->members) {
        group->members = PyList_New(0);
        group->keys = PyList_New(0);
        if (!group->members || !group->keys) {
            Py_CLEAR(group->members);
            Py_CLEAR(group->keys);
            return -1;
        }
    }
    if (key->epoch != group->epoch) {
        key->index = (size_t)PyList_GET_SIZE(group->keys);
        key->epoch = group->epoch;
        if (append_number(group->keys, key_number) < 0)
            return -1;
    }
    group->size = size;
    return append_number(group->members, place);
}

/* Fills b->keys from the texts and groups of the keys, and checks every number that comes from outside. */
static int prepare(Batch *b, PyObject *texts, PyObject *groups)
{
    b->key_count = PyTuple_GET_SIZE(texts);
    if (PyTuple_GET_SIZE(groups) != b->key_count || PyTuple_GET_SIZE(b->key_of) != PyTuple_GET_SIZE(b->datas)) {
        PyErr_SetString(PyExc_ValueError, "one key a user record, one group a key");
        return -1;
    }
    b->keys = PyMem_New(KeyState, b->key_count);
    b->groups = PyMem_Calloc(b->key_count, sizeof(GroupState));
    if (!b->keys || !b->groups) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < b->key_count; i++)
        b->groups[i].epoch = 1;
    for (Py_ssize_t i = 0; i < b->key_count; i++) {
        KeyState key = {.epoch = 0};
        key.text = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(texts, i), &key.length);
        if (!key.text)
            return -1;
        key.group = PyLong_AsSsize_t(PyTuple_GET_ITEM(groups, i));
        if (key.group < 0 || key.group >= b->key_count)
            goto out_of_range;
        b->keys[i] = key;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(b->key_of); i++) {
        Py_ssize_t number = PyLong_AsSsize_t(PyTuple_GET_ITEM(b->key_of, i));
        if (number < 0 || number >= b->key_count)
            goto out_of_range;
    }
    return 0;
out_of_range:
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_IndexError, "the number of a key or group is out of range");
    return -1;
}

PyDoc_STRVAR(aggregate_keyed_doc, "aggregate_keyed(datas, key_of, keys, groups, max_count, max_size, /)\n--\n\n"
                                  "A list of what `_aggregation.aggregate_keyed` gives.");

static PyObject *aggregate_keyed(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *given[6], *texts = NULL, *groups = NULL;
    Batch b = {0};
    if (!PyArg_ParseTuple(arguments, "OOOOOO:aggregate_keyed", &given[0], &given[1], &given[2], &given[3], &given[4],
                          &given[5]) ||
        read_bounds(given[4], given[5], &b.max_count, &b.max_size) < 0)
        return NULL;
    if (!(b.datas = tuple_of_bytes(given[0])) || !(b.key_of = PySequence_Tuple(given[1])) ||
        !(texts = PySequence_Tuple(given[2])) || !(groups = PySequence_Tuple(given[3])) ||
        !(b.packets = PyList_New(0)) || prepare(&b, texts, groups) < 0)
        goto failed;
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(b.datas); place++)
        if (add(&b, place) < 0)
            goto failed;
    for (Py_ssize_t i = 0; i < b.key_count; i++)
        if (flush(&b, i) < 0)
            goto failed;
    hash_all(b.pending.jobs, b.pending.count, b.pending.bytes);
    goto done;
failed:
    Py_CLEAR(b.packets);
    for (Py_ssize_t i = 0; b.groups && i < b.key_count; i++) {
        Py_CLEAR(b.groups[i].members);
        Py_CLEAR(b.groups[i].keys);
    }
done:
    PyMem_Free(b.pending.jobs);
    PyMem_Free(b.keys);
    PyMem_Free(b.groups);
    Py_XDECREF(texts);
    Py_XDECREF(groups);
    Py_XDECREF(b.key_of);
    Py_XDECREF(b.datas);
    return b.packets;
}

PENSTOCK_KERNEL(aggregation, "penstock.io.kinesis.kpl", "KPL's aggregated records; the twins are in _aggregation.py.",
                {"aggregate_run", aggregate_run, METH_VARARGS, aggregate_run_doc},
                {"aggregate_keyed", aggregate_keyed, METH_VARARGS, aggregate_keyed_doc})
