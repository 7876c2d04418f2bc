/* KPL's aggregated records, encoded a whole batch at a time: the kernel of _aggregation.py, which says the format.
 *
 * Plan. A first walk decides what goes together and how large it gets, so each record is one allocation of
 * exactly its size, filled from the events' own bytes. The MD5s of all of them are made at the end, side by side and
 * without the GIL.
 *
 * Invariants.
 * - Byte for byte, cut for cut what the twins in Python give (tests/property/test_native_aggregation.py).
 * - Nothing that another thread or a callback could change is read twice: sequences are copied into tuples first, and
 *   without the GIL only buffers are touched that nobody else knows yet.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_native_md5.h"

#define MAGIC "\xf3\x89\x9a\xc2"
#define MAGIC_SIZE 4
#define OVERHEAD (MAGIC_SIZE + MD5_DIGEST)
#define RELEASE_FROM (16 << 10) /* bytes: to give up the GIL and get it back costs as much as hashing a few KB */

static inline Py_ssize_t varint_size(size_t number) {
    Py_ssize_t size = 1;
    for (; number > 0x7f; number >>= 7)
        size++;
    return size;
}

static inline uint8_t *put_varint(uint8_t *at, size_t number) {
    for (; number > 0x7f; number >>= 7)
        *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    return at;
}

/* One entry of the partition key table. */
static inline Py_ssize_t table_entry_size(Py_ssize_t length) { return 1 + varint_size(length) + length; }

static inline uint8_t *put_table_entry(uint8_t *at, const char *key, Py_ssize_t length) {
    *at++ = 0x0a;
    at = put_varint(at, length);
    memcpy(at, key, length);
    return at + length;
}

/* A user record without its tag and length: index of the key, data. */
static inline Py_ssize_t inner_size(size_t key_index, Py_ssize_t length) {
    return 1 + varint_size(key_index) + 1 + varint_size(length) + length;
}

static inline Py_ssize_t user_record_size(size_t key_index, Py_ssize_t length) {
    Py_ssize_t inner = inner_size(key_index, length);
    return 1 + varint_size(inner) + inner;
}

static inline uint8_t *put_user_record(uint8_t *at, size_t key_index, PyObject *data) {
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
    md5_job *jobs;
    size_t count, room, bytes;
} seals;

/* A new aggregated record of `size` bytes with its magic; the caller fills what follows. NULL with an error set. */
static PyObject *new_record(seals *pending, Py_ssize_t size, uint8_t **at) {
    if (pending->count == pending->room) {
        size_t room = pending->room ? 2 * pending->room : 32;
        md5_job *jobs = PyMem_Resize(pending->jobs, md5_job, room);
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
        (md5_job){.data = start + MAGIC_SIZE, .size = size - OVERHEAD, .digest = start + size - MD5_DIGEST};
    pending->bytes += size;
    *at = start + MAGIC_SIZE;
    return encoded;
}

static void seal(seals *pending) {
    if (pending->bytes >= RELEASE_FROM) {
        Py_BEGIN_ALLOW_THREADS
        md5_many(pending->jobs, pending->count);
        Py_END_ALLOW_THREADS
    } else {
        md5_many(pending->jobs, pending->count);
    }
}

/* `given` as a tuple of bytes objects, each of a length that sums can bear; a new reference, NULL with an error set. */
static PyObject *tuple_of_bytes(PyObject *given) {
    PyObject *datas = PySequence_Tuple(given);
    if (!datas)
        return NULL;
    size_t total = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(datas); i++) {
        PyObject *data = PyTuple_GET_ITEM(datas, i);
        if (!PyBytes_Check(data)) {
            PyErr_Format(PyExc_TypeError, "a user record's data is bytes, not %.100s", Py_TYPE(data)->tp_name);
            Py_DECREF(datas);
            return NULL;
        }
        total += (size_t)PyBytes_GET_SIZE(data) + 64;
        if (total > PY_SSIZE_T_MAX / 2) { /* the same huge object many times */
            PyErr_SetString(PyExc_OverflowError, "too many bytes in one batch");
            Py_DECREF(datas);
            return NULL;
        }
    }
    return datas;
}

static int bounds_of(PyObject *count, PyObject *size, Py_ssize_t *max_count, Py_ssize_t *max_size) {
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

static const char run_doc[] =
    "aggregate_run(keys, datas, max_count, max_size)\n--\n\n"
    "A list of what `_aggregation.aggregate_run` yields.";

static PyObject *aggregate_run(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t given) {
    if (given != 4)
        return PyErr_Format(PyExc_TypeError, "aggregate_run takes 4 arguments, not %zd", given);
    Py_ssize_t max_count, max_size;
    if (bounds_of(args[2], args[3], &max_count, &max_size) < 0)
        return NULL;
    if (!PyIter_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "keys is an iterator, not %.100s", Py_TYPE(args[0])->tp_name);
    PyObject *datas = tuple_of_bytes(args[1]);
    if (!datas)
        return NULL;
    seals pending = {NULL, 0, 0, 0};
    PyObject *runs = PyList_New(0);
    Py_ssize_t total = PyTuple_GET_SIZE(datas);
    for (Py_ssize_t start = 0, stop; runs && start < total; start = stop) {
        PyObject *key = PyIter_Next(args[0]);
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
        seal(&pending);
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
} key_state;

/* The aggregated record that is being filled for one group. */
typedef struct {
    PyObject *members; /* list of int: places in datas; NULL while it is empty */
    PyObject *keys;    /* list of int: the key table */
    Py_ssize_t size;
    size_t epoch;
} group_state;

typedef struct {
    PyObject *datas, *key_of, *packets;
    key_state *keys;
    Py_ssize_t key_count;
    group_state *groups;
    seals pending;
    Py_ssize_t max_count, max_size;
} batch;

static inline key_state *key_at(const batch *b, Py_ssize_t place) {
    return &b->keys[PyLong_AsSsize_t(PyTuple_GET_ITEM(b->key_of, place))]; /* checked when the call began */
}

static int append_number(PyObject *list, Py_ssize_t number) {
    PyObject *object = PyLong_FromSsize_t(number);
    if (!object)
        return -1;
    int result = PyList_Append(list, object);
    Py_DECREF(object);
    return result;
}

/* Appends (group, members, keys, encoded); takes the three references. */
static int append_packet(batch *b, Py_ssize_t group, PyObject *members, PyObject *keys, PyObject *encoded) {
    PyObject *packet = Py_BuildValue("nNNN", group, members, keys, encoded);
    if (!packet)
        return -1;
    int result = PyList_Append(b->packets, packet);
    Py_DECREF(packet);
    return result;
}

static int flush(batch *b, Py_ssize_t number) {
    group_state *group = &b->groups[number];
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
            const key_state *key = &b->keys[PyLong_AsSsize_t(PyList_GET_ITEM(keys, i))];
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

/* What the group's record would measure with this one more. */
static Py_ssize_t size_with(const group_state *group, const key_state *key, Py_ssize_t length) {
    Py_ssize_t size = group->members ? group->size : OVERHEAD;
    if (group->members && key->epoch == group->epoch)
        return size + user_record_size(key->index, length);
    size_t index = group->members ? (size_t)PyList_GET_SIZE(group->keys) : 0;
    return size + table_entry_size(key->length) + user_record_size(index, length);
}

static int add(batch *b, Py_ssize_t place) {
    key_state *key = key_at(b, place);
    Py_ssize_t key_number = key - b->keys;
    group_state *group = &b->groups[key->group];
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
static int prepare(batch *b, PyObject *texts, PyObject *groups) {
    b->key_count = PyTuple_GET_SIZE(texts);
    if (PyTuple_GET_SIZE(groups) != b->key_count || PyTuple_GET_SIZE(b->key_of) != PyTuple_GET_SIZE(b->datas)) {
        PyErr_SetString(PyExc_ValueError, "one key a user record, one group a key");
        return -1;
    }
    b->keys = PyMem_New(key_state, b->key_count);
    b->groups = PyMem_Calloc(b->key_count, sizeof(group_state));
    if (!b->keys || !b->groups) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < b->key_count; i++)
        b->groups[i].epoch = 1;
    for (Py_ssize_t i = 0; i < b->key_count; i++) {
        key_state key = {.epoch = 0};
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

static const char keyed_doc[] =
    "aggregate_keyed(datas, key_of, keys, groups, max_count, max_size)\n--\n\n"
    "A list of what `_aggregation.aggregate_keyed` gives.";

static PyObject *aggregate_keyed(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t given) {
    if (given != 6)
        return PyErr_Format(PyExc_TypeError, "aggregate_keyed takes 6 arguments, not %zd", given);
    batch b = {NULL, NULL, NULL, NULL, 0, NULL, {NULL, 0, 0, 0}, 0, 0};
    PyObject *texts = NULL, *groups = NULL;
    if (bounds_of(args[4], args[5], &b.max_count, &b.max_size) < 0)
        return NULL;
    if (!(b.datas = tuple_of_bytes(args[0])) || !(b.key_of = PySequence_Tuple(args[1])) ||
        !(texts = PySequence_Tuple(args[2])) || !(groups = PySequence_Tuple(args[3])) ||
        !(b.packets = PyList_New(0)) || prepare(&b, texts, groups) < 0)
        goto failed;
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(b.datas); place++)
        if (add(&b, place) < 0)
            goto failed;
    for (Py_ssize_t i = 0; i < b.key_count; i++)
        if (flush(&b, i) < 0)
            goto failed;
    seal(&b.pending);
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

static PyMethodDef methods[] = {
    {"aggregate_run", (PyCFunction)(void (*)(void))aggregate_run, METH_FASTCALL, run_doc},
    {"aggregate_keyed", (PyCFunction)(void (*)(void))aggregate_keyed, METH_FASTCALL, keyed_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "penstock.io.kinesis.kpl._native_aggregation",
    .m_doc = "KPL's aggregated records; the twins are in _aggregation.py.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__native_aggregation(void) { return PyModule_Create(&definition); }
