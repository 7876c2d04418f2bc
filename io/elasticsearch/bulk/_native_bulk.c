/* This kernel makes whole bulk bodies of a batch of events in one call, as `LineMaker.documents` and `cut` do in Python.

A document is two lines: `{"create":{"_index":"...","_id":"..."}}` and the event's own bytes, out of which a Beat's
`@metadata` is cut. For nearly every event the first line is a prefix that the maker has learnt (one for all, or one per
day), and the cut is at a place that its cutter has learnt. These are written straight into the body, so that no object
is made for a line. For any other event (changed by a transform, a newline inside, an `@metadata` of a new form, an id
that needs quoting) the maker's `document` is called, and what it learns serves the next events.

Bounds are those of `cut`: at most `max_count` documents and `max_bytes` bytes, but one document always fits. */

#include "../../../transforms/kernels/_native_event_slots.h"

#define DAY_CHARS 11 /* "2026-11-22T" */
#define MAX_LEARNT 8
#define STAMP "{\"@timestamp\":\""
#define STAMP_CHARS 15

/* Bytes of `@metadata` and where in an event they begin. */
typedef struct {
    Py_ssize_t start, size;
    const char *bytes;
} Cut;

typedef struct {
    EventSlots slots;
    PyObject *maker, *days; /* borrowed from the arguments */
    PyObject *prefix;       /* of the last day, or of all days; NULL while there is none */
    int for_all_days;
    char day[DAY_CHARS];
    PyObject *learnt; /* the cutter's list, borrowed; NULL where nothing is to be cut */
    PyObject *held;   /* its items as they were read into `cuts`, so that their bytes stay */
    Cut cuts[MAX_LEARNT];
    int cut_count;
} Maker;

typedef struct {
    PyObject *bytes; /* with room at its end; NULL before the first document */
    Py_ssize_t used, count;
} Body;

/* The five pieces of a document without surprises. None needs a copy before the last one. */
typedef struct {
    const char *prefix, *id, *data, *stamp; /* the stamp: a time that the bytes lack, or NULL */
    Py_ssize_t prefix_size, id_size, data_size, stamp_size, cut_start, cut_end;
    PyObject *held_id, *held_data, *held_stamp; /* what the pointers point into, as long as the pieces are used */
} Pieces;

/* Reads what the cutter has learnt until now; -1 with an exception. */
static int read_cuts(Maker *maker)
{
    if (!maker->learnt)
        return 0;
    PyObject *held = PyList_AsTuple(maker->learnt);
    if (!held)
        return -1;
    Py_XSETREF(maker->held, held);
    maker->cut_count = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(held) && maker->cut_count < MAX_LEARNT; i++) {
        Cut cut;
        Py_ssize_t end;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(held, i), "nny#:learnt", &cut.start, &end, &cut.bytes, &cut.size))
            return -1;
        if (cut.start < 1 || end - cut.start != cut.size) {
            PyErr_SetString(PyExc_ValueError, "a cut doesn't end where its bytes do");
            return -1;
        }
        maker->cuts[maker->cut_count++] = cut;
    }
    return 0;
}

static int is_ascii(PyObject *text)
{
    return text && PyUnicode_Check(text) && PyUnicode_IS_COMPACT_ASCII(text);
}

/* Gives the prefix for the event's day: a borrowed reference; NULL without an exception where the maker must be asked. */
static PyObject *prefix_for(PyObject *event, Maker *maker)
{
    if (maker->for_all_days)
        return maker->prefix;
    PyObject *timestamp = get_slot(event, maker->slots.timestamp);
    if (!is_ascii(timestamp))
        return NULL;
    Py_ssize_t size = PyUnicode_GET_LENGTH(timestamp);
    const char *text = (const char *)PyUnicode_1BYTE_DATA(timestamp);
    if (size < DAY_CHARS || text[size - 1] != 'Z')
        return NULL;
    if (maker->prefix && memcmp(text, maker->day, DAY_CHARS) == 0)
        return maker->prefix;
    PyObject *day = PyUnicode_FromStringAndSize(text, DAY_CHARS);
    PyObject *found = !day ? NULL : PyDict_GetItemWithError(maker->days, day);
    Py_XDECREF(day);
    if (!found || !is_ascii(found))
        return NULL;
    Py_INCREF(found);
    Py_XSETREF(maker->prefix, found);
    memcpy(maker->day, text, DAY_CHARS);
    return found;
}

/* Whether the bytes hold a key (or a text) called `@metadata`. */
static int names_metadata(const char *data, Py_ssize_t size)
{
    static const char name[] = "\"@metadata\"";
    const Py_ssize_t length = sizeof name - 1;
    const char *at = data + 1, *end = data + size;
    while (at < end && (at = memchr(at, '@', (size_t)(end - at))) != NULL) {
        if (end - at >= length - 1 && memcmp(at - 1, name, (size_t)length) == 0)
            return 1;
        at++;
    }
    return 0;
}

/* Whether a time that stands beside the bytes can be put in front of the other fields: the stamp, in the pieces. */
static int find_stamp(PyObject *event, const EventSlots *slots, Pieces *pieces)
{
    PyObject *timestamp = get_slot(event, slots->timestamp);
    if (get_slot(event, slots->stamped) != Py_True || !is_ascii(timestamp) || pieces->data_size < 2 ||
        pieces->data[0] != '{' || pieces->data[1] != '"')
        return 0;
    pieces->held_stamp = Py_NewRef(timestamp);
    pieces->stamp = (const char *)PyUnicode_1BYTE_DATA(timestamp);
    pieces->stamp_size = PyUnicode_GET_LENGTH(timestamp);
    return 1;
}

/* Whether the event is one without surprises, and its pieces; -1 with an exception. */
static int find_pieces(PyObject *event, Maker *maker, Pieces *pieces)
{
    const EventSlots *slots = &maker->slots;
    if (!Py_IS_TYPE(event, slots->type))
        return 0;
    PyObject *data = get_slot(event, slots->data), *id = get_slot(event, slots->id);
    if (!data || !PyBytes_Check(data) || get_slot(event, slots->changed) != Py_False || !is_ascii(id))
        return 0;
    PyObject *prefix = prefix_for(event, maker);
    if (!prefix)
        return PyErr_Occurred() ? -1 : 0;
    pieces->prefix = (const char *)PyUnicode_1BYTE_DATA(prefix);
    pieces->prefix_size = PyUnicode_GET_LENGTH(prefix);
    pieces->held_id = Py_NewRef(id);
    pieces->held_data = Py_NewRef(data);
    pieces->id = (const char *)PyUnicode_1BYTE_DATA(id);
    pieces->id_size = PyUnicode_GET_LENGTH(id);
    for (Py_ssize_t i = 0; i < pieces->id_size; i++) {
        char c = pieces->id[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            return 0;
    }
    const char *bytes = pieces->data = PyBytes_AS_STRING(data);
    Py_ssize_t size = pieces->data_size = PyBytes_GET_SIZE(data);
    if (memchr(bytes, '\n', (size_t)size) != NULL)
        return 0;
    if (get_slot(event, slots->stamped) != Py_False && !find_stamp(event, slots, pieces))
        return 0;
    pieces->cut_start = pieces->cut_end = size;
    if (!maker->learnt)
        return 1;
    for (int i = 0; i < maker->cut_count; i++) {
        const Cut *cut = &maker->cuts[i];
        if (size - cut->size >= cut->start && memcmp(bytes + cut->start, cut->bytes, (size_t)cut->size) == 0 &&
            memchr(bytes + 1, '{', (size_t)cut->start - 1) == NULL) {
            pieces->cut_start = cut->start;
            pieces->cut_end = cut->start + cut->size;
            return 1;
        }
    }
    return !names_metadata(bytes, size);
}

/* Makes room for `size` more bytes; -1 with an exception. */
static int make_room(Body *body, Py_ssize_t size, Py_ssize_t expected)
{
    if (!body->bytes) {
        body->bytes = PyBytes_FromStringAndSize(NULL, size > expected ? size : expected);
        return !body->bytes ? -1 : 0;
    }
    Py_ssize_t room = PyBytes_GET_SIZE(body->bytes);
    if (room - body->used >= size)
        return 0;
    room += room / 2 > size ? room / 2 : size;
    return _PyBytes_Resize(&body->bytes, room);
}

/* Guesses the size of the next body. Too little only costs a copy. */
static Py_ssize_t expected_size(PyObject *events, Py_ssize_t first, const Maker *maker, Py_ssize_t max_count,
                                Py_ssize_t max_bytes)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t i = first; i < PyList_GET_SIZE(events) && i - first < max_count && size < max_bytes; i++) {
        PyObject *event = PyList_GET_ITEM(events, i);
        PyObject *data = Py_IS_TYPE(event, maker->slots.type) ? get_slot(event, maker->slots.data) : NULL;
        size += 128 + (data && PyBytes_Check(data) ? PyBytes_GET_SIZE(data) : 0);
    }
    return size < max_bytes ? size : max_bytes;
}

/* Ends a body and puts it into `bodies` with the number of its documents; -1 with an exception. */
static int finish(Body *body, PyObject *bodies)
{
    if (body->count == 0)
        return 0;
    if (_PyBytes_Resize(&body->bytes, body->used) < 0)
        return -1;
    PyObject *item = Py_BuildValue("(nN)", body->count, body->bytes); /* takes the reference over, also when it fails */
    *body = (Body){0};
    if (!item)
        return -1;
    int done = PyList_Append(bodies, item);
    Py_DECREF(item);
    return done;
}

static char *put(char *out, const char *bytes, Py_ssize_t size)
{
    memcpy(out, bytes, (size_t)size);
    return out + size;
}

static void put_pieces(char *out, const Pieces *pieces)
{
    out = put(out, pieces->prefix, pieces->prefix_size);
    *out++ = '"';
    out = put(out, pieces->id, pieces->id_size);
    out = put(out, "\"}}\n", 4);
    Py_ssize_t start = 0;
    if (pieces->stamp != NULL) {
        out = put(out, STAMP, STAMP_CHARS);
        out = put(out, pieces->stamp, pieces->stamp_size);
        out = put(out, "\",", 2);
        start = 1;
    }
    out = put(out, pieces->data + start, pieces->cut_start - start);
    out = put(out, pieces->data + pieces->cut_end, pieces->data_size - pieces->cut_end);
    *out = '\n';
}

/* Writes one event's document behind the others; -1 with an exception. */
static int add_event(PyObject *events, Py_ssize_t position, Maker *maker, Body *body, PyObject *bodies,
                     Py_ssize_t max_count, Py_ssize_t max_bytes)
{
    Pieces pieces = {0};
    Py_ssize_t size;
    PyObject *document = NULL, *event = Py_NewRef(PyList_GET_ITEM(events, position));
    int done = find_pieces(event, maker, &pieces);
    if (done < 0)
        goto end;
    if (done)
        size = pieces.prefix_size + pieces.id_size + 6 + pieces.data_size - (pieces.cut_end - pieces.cut_start) +
               (pieces.stamp == NULL ? 0 : STAMP_CHARS + 1 + pieces.stamp_size);
    else {
        done = -1;
        document = PyObject_CallMethod(maker->maker, "document", "O", event);
        if (!document || read_cuts(maker) < 0)
            goto end;
        if (!PyBytes_Check(document)) {
            PyErr_SetString(PyExc_TypeError, "a document must be bytes");
            goto end;
        }
        size = PyBytes_GET_SIZE(document);
    }
    done = -1;
    if ((body->count == max_count || (body->count > 0 && body->used + size > max_bytes)) && finish(body, bodies) < 0)
        goto end;
    Py_ssize_t expected = body->count ? 0 : expected_size(events, position, maker, max_count, max_bytes);
    if (make_room(body, size, expected) < 0)
        goto end;
    char *out = PyBytes_AS_STRING(body->bytes) + body->used;
    if (!document)
        put_pieces(out, &pieces);
    else
        memcpy(out, PyBytes_AS_STRING(document), (size_t)size);
    body->used += size;
    body->count++;
    done = 0;
end:
    Py_XDECREF(document);
    Py_XDECREF(pieces.held_id);
    Py_XDECREF(pieces.held_data);
    Py_XDECREF(pieces.held_stamp);
    Py_DECREF(event);
    return done;
}

PyDoc_STRVAR(
    bulk_bodies_doc,
    "bulk_bodies(events, event_type, maker, prefixes, learnt, max_count, max_bytes, /)\n--\n\n"
    "The bodies of the bulks that `events` make, each with the number of its documents.\n\n"
    "`prefixes`: the beginning of all action lines, or a dict of those of each day. `learnt`: the cutter's list, or\n"
    "None to cut nothing. `maker.document(event)` makes what is unusual, and may raise.");

static PyObject *bulk_bodies(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *events, *type, *prefixes, *learnt, *bodies = NULL;
    Py_ssize_t max_count, max_bytes;
    Maker maker = {0};
    Body body = {0};
    if (!PyArg_ParseTuple(arguments, "O!OOOOnn:bulk_bodies", &PyList_Type, &events, &type, &maker.maker, &prefixes,
                          &learnt, &max_count, &max_bytes) ||
        find_slots(type, &maker.slots) < 0)
        return NULL;
    if (is_ascii(prefixes)) {
        maker.for_all_days = 1;
        maker.prefix = Py_NewRef(prefixes);
    } else if (PyDict_Check(prefixes))
        maker.days = prefixes;
    else
        return PyErr_Format(PyExc_TypeError, "prefixes must be ASCII text or a dict");
    if (PyList_Check(learnt))
        maker.learnt = learnt;
    else if (learnt != Py_None) {
        PyErr_SetString(PyExc_TypeError, "learnt must be a list or None");
        goto end;
    }
    if (max_count < 1) {
        PyErr_SetString(PyExc_ValueError, "max_count must be at least 1");
        goto end;
    }
    if (read_cuts(&maker) < 0 || (bodies = PyList_New(0)) == NULL)
        goto end;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(events); i++)
        if (add_event(events, i, &maker, &body, bodies, max_count, max_bytes) < 0) {
            Py_CLEAR(bodies);
            break;
        }
    if (bodies && finish(&body, bodies) < 0)
        Py_CLEAR(bodies);
end:
    Py_XDECREF(body.bytes);
    Py_XDECREF(maker.prefix);
    Py_XDECREF(maker.held);
    return bodies;
}

PENSTOCK_KERNEL(bulk, "penstock.io.elasticsearch.bulk", "Bulk bodies; the twins are in _actions.py and _bulk.py.",
                {"bulk_bodies", bulk_bodies, METH_VARARGS, bulk_bodies_doc})
