/* This kernel reads ids and times of a batch of events from their bytes, as `scan_in_python` in _scan.py does.

An event is found (its `id` and `timestamp` are set, its document dropped) only where the full decoder would say the same;
the positions of all others are returned, and left as they were. The walk (_native_json_walk.h) says what is in the
bytes; here are rules 2 and 4 of identity.py, byte for byte: ids are a stored format.

Strategy. An event of rule 2 whose hash takes one block waits until BLAKE2B_TOGETHER of them do: hashed side by side they
cost a quarter. Those that are left at the end are hashed with what stands in the other places, which nobody reads.

Limits: the bytes that rule 2 hashes, and the time's form (RFC 3339, from 1970 on); beyond them the event isn't found.
The last origin's hash and the last minute's prefix are remembered within a call, nothing beyond it. */

#include "_native_event_slots.h"

#include "_native_ids.h"
#include "_native_json_walk.h"

#define LINE_ID_CHARS 29  /* version, six of time, hash */
#define MAX_SUFFIX 9      /* of a rule 4 id, in hexadecimal; longer ones are hashed */
#define MAX_ID_CHARS (1 + HASH_CHARS + MAX_SUFFIX)
#define MAX_HASHED 1024   /* reader, path, offset and time */
#define MAX_TIME_CHARS 64

/* An event that is found but for the hash in its id. */
typedef struct {
    PyObject *event, *timestamp; /* references of ours */
    char id[LINE_ID_CHARS];
} Waiting;

/* The memory from one event of a batch to the next. */
typedef struct {
    PyObject *origin; /* the last one whose position was asked for */
    int has_position;
    char position[HASH_CHARS];
    uint8_t minute[16]; /* "2026-11-22T13:28" */
    char prefix[5];
    int waiting; /* how many */
    Waiting events[BLAKE2B_TOGETHER];
    Blake2bBlock blocks[BLAKE2B_TOGETHER];
} Memory;

/* Appends a string as it reads without its simple escapes; NULL when it doesn't fit or holds others. */
static uint8_t *append_text(uint8_t *out, const uint8_t *limit, const Text *text)
{
    if (text->kinds & UNICODE_ESCAPES || text->size > (size_t)(limit - out))
        return NULL;
    if (!(text->kinds & ESCAPES)) {
        memcpy(out, text->at, text->size);
        return out + text->size;
    }
    for (const uint8_t *at = text->at, *end = at + text->size; at < end; at++) {
        uint8_t c = *at;
        if (c == '\\') {
            c = *++at;
            switch (c) {
            case 'b':
                c = '\b';
                break;
            case 'f':
                c = '\f';
                break;
            case 'n':
                c = '\n';
                break;
            case 'r':
                c = '\r';
                break;
            case 't':
                c = '\t';
                break;
            }
        }
        *out++ = c;
    }
    return out;
}

static int number_at(const uint8_t *at, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(at[i]))
            return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

/* Writes five characters for the minute that `2026-11-22T13:28` names; 0 when it doesn't name one, or one before 1970. */
static int minute_prefix(const uint8_t *text, char prefix[5])
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':')
        return 0;
    int year = number_at(text, 4), month = number_at(text + 5, 2), day = number_at(text + 8, 2);
    int hour = number_at(text + 11, 2), minute = number_at(text + 14, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return 0;
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > month_days[month - 1] + (leap && month == 2))
        return 0;
    int years = year - 1; /* whole ones since the year 1, of which 477 leap years and 1969 others are before 1970 */
    int64_t days = (int64_t)years * 365 + years / 4 - years / 100 + years / 400 - 719162;
    for (int i = 0; i < month - 1; i++)
        days += month_days[i];
    days += day - 1 + (leap && month > 2);
    int64_t number = ((days * 24 + hour) * 60 + minute) & 0x3FFFFFFF;
    for (int i = 0; i < 5; i++)
        prefix[i] = sorted_alphabet[number >> (24 - 6 * i) & 63];
    return 1;
}

/* Writes what rule 2 hashes, and the beginning of the id. Gives the size; 0 where the fields are incomplete or unusual. */
static size_t line_of(const Fields *fields, Memory *memory, uint8_t hashed[MAX_HASHED], char id[LINE_ID_CHARS])
{
    const Text *time = &fields->timestamp;
    const Text *reader = fields->ephemeral_id.size ? &fields->ephemeral_id : &fields->agent_id;
    uint8_t *out = hashed;
    const uint8_t *limit = hashed + MAX_HASHED - MAX_TIME_CHARS - 32; /* offset and separators always fit */

    if (!reader->size || !fields->path.size || !fields->offset.size || time->size < 17)
        return 0;
    if ((out = append_text(out, limit, reader)) == NULL)
        return 0;
    *out++ = 0;
    if (out > limit || (out = append_text(out, limit, &fields->path)) == NULL)
        return 0;
    *out++ = 0;
    memcpy(out, fields->offset.at, fields->offset.size);
    out += fields->offset.size;
    *out++ = ' ';
    memcpy(out, time->at, time->size);
    out += time->size;

    if (memcmp(memory->minute, time->at, 16) != 0) {
        if (!minute_prefix(time->at, memory->prefix))
            return 0;
        memcpy(memory->minute, time->at, 16);
    }
    int second = time->size >= 19 ? number_at(time->at + 17, 2) : -1;
    id[0] = VERSION;
    memcpy(id + 1, memory->prefix, 5);
    id[6] = second >= 0 && second < 60 ? sorted_alphabet[second] : '-';
    return (size_t)(out - hashed);
}

/* Asks an origin for its position, once for all events in a row that have it; -1 with an exception. */
static int learn_position(PyObject *origin, Memory *memory)
{
    if (origin == memory->origin)
        return 0;
    PyObject *position = PyObject_CallMethod(origin, "position", NULL);
    if (!position)
        return -1;
    memory->has_position = PyBytes_Check(position);
    if (memory->has_position)
        hash_text((const uint8_t *)PyBytes_AS_STRING(position), (size_t)PyBytes_GET_SIZE(position), memory->position);
    Py_DECREF(position);
    Py_INCREF(origin);
    Py_XSETREF(memory->origin, origin);
    return 0;
}

/* Writes a number of an event in hexadecimal, as its id has it; NULL for what is no number. */
static char *append_hex(char *out, PyObject *number)
{
    int overflow, digits = 1;
    long long value = PyLong_Check(number) ? PyLong_AsLongLongAndOverflow(number, &overflow) : -1;
    if (value < 0) /* -1 also for one that is too large */
        return NULL;
    while (digits < 16 && value >> (4 * digits))
        digits++;
    while (digits-- > 0)
        *out++ = "0123456789abcdef"[value >> (4 * digits) & 15];
    return out;
}

/* Writes an id by rule 4. Gives its length; 0 where the origin has no position. */
static int position_id(PyObject *index, PyObject *part, const Memory *memory, char id[MAX_ID_CHARS])
{
    char text[HASH_CHARS + 16 + 1 + 16], *suffix = text + HASH_CHARS, *end;
    if (!memory->has_position || (end = append_hex(suffix, index)) == NULL)
        return 0;
    int parted = PyObject_IsTrue(part); /* of a number: cannot fail */
    if (parted) {
        *end++ = '_';
        if ((end = append_hex(end, part)) == NULL)
            return 0;
    }
    memcpy(text, memory->position, HASH_CHARS);
    id[0] = VERSION;
    if (end - suffix > MAX_SUFFIX) {
        memcpy(id + 1, memory->position, 6);
        hash_text((const uint8_t *)text, (size_t)(end - text), id + 7);
        return LINE_ID_CHARS;
    }
    memcpy(id + 1, text, (size_t)(end - text));
    return 1 + (int)(end - text);
}

static PyObject *ascii_text(const void *data, size_t size)
{
    PyObject *text = PyUnicode_New((Py_ssize_t)size, 127);
    if (text)
        memcpy(PyUnicode_1BYTE_DATA(text), data, size);
    return text;
}

/* Sets what was found; takes over both references. -1 with an exception where there is none of either. */
static int found(PyObject *event, const EventSlots *slots, PyObject *name, PyObject *timestamp)
{
    if (!name || !timestamp) {
        Py_XDECREF(name);
        Py_XDECREF(timestamp);
        return -1;
    }
    set_slot(event, slots->id, name);
    set_slot(event, slots->timestamp, timestamp);
    PyObject *document = get_slot(event, slots->document);
    if (document && document != Py_None) {
        set_slot(event, slots->changed, Py_NewRef(Py_False));
        set_slot(event, slots->document, Py_NewRef(Py_None));
    }
    return 1;
}

/* Hashes for all that wait; -1 with an exception. */
static int hash_waiting(const EventSlots *slots, Memory *memory)
{
    uint8_t digests[BLAKE2B_TOGETHER][16];
    int count = memory->waiting, outcome = 1;
    if (count == 0)
        return 1;
    blake2b_128_together(memory->blocks, digests);
    memory->waiting = 0; /* setting a field may free what calls us */
    for (int i = 0; i < count; i++) {
        Waiting *waiting = &memory->events[i];
        digest_text(digests[i], waiting->id + 7);
        if (found(waiting->event, slots, ascii_text(waiting->id, LINE_ID_CHARS), waiting->timestamp) < 0)
            outcome = -1;
        Py_DECREF(waiting->event);
    }
    return outcome;
}

/* Lets the event wait, or hashes at once what takes more than a block. Gives 1, or -1 with an exception. */
static int found_line(PyObject *event, const EventSlots *slots, Memory *memory, const uint8_t *hashed, size_t size,
                      char id[LINE_ID_CHARS], PyObject *timestamp)
{
    if (size > BLAKE2B_BLOCK) {
        hash_text(hashed, size, id + 7);
        return found(event, slots, ascii_text(id, LINE_ID_CHARS), timestamp);
    }
    if (!timestamp)
        return -1;
    Blake2bBlock *block = &memory->blocks[memory->waiting];
    Waiting *waiting = &memory->events[memory->waiting++];
    memcpy(block->bytes, hashed, size);
    memset(block->bytes + size, 0, BLAKE2B_BLOCK - size);
    block->size = size;
    waiting->event = Py_NewRef(event);
    waiting->timestamp = timestamp;
    memcpy(waiting->id, id, 7);
    return memory->waiting < BLAKE2B_TOGETHER ? 1 : hash_waiting(slots, memory);
}

/* Looks at one event. Gives 1 when it was found, 0 when not, -1 with an exception. */
static int scan_one(PyObject *event, const EventSlots *slots, Py_ssize_t max_bytes, Memory *memory)
{
    Fields fields;
    char id[MAX_ID_CHARS];
    PyObject *data = get_slot(event, slots->data), *origin = get_slot(event, slots->origin);
    PyObject *index = get_slot(event, slots->index), *part = get_slot(event, slots->part);
    if (!data || !origin || !index || !part || !PyBytes_Check(data) || !PyLong_Check(part))
        return 0;
    Py_ssize_t size = PyBytes_GET_SIZE(data);
    const uint8_t *at = (const uint8_t *)PyBytes_AS_STRING(data);
    if (size > max_bytes || !walk(at, at + size, &fields))
        return 0;
    const Text *time = &fields.timestamp;
    if (fields.seen & METADATA_ID || time->kinds & (ESCAPES | NOT_ASCII) || time->size > MAX_TIME_CHARS)
        return 0;
    if (fields.ephemeral_id.size || fields.seen & AGENT_ID) { /* an empty one makes a Beat's event, but no rule 2 */
        uint8_t hashed[MAX_HASHED];
        size_t hashed_size = line_of(&fields, memory, hashed, id);
        if (hashed_size == 0)
            return 0;
        return found_line(event, slots, memory, hashed, hashed_size, id, ascii_text(time->at, time->size));
    }
    if (fields.seen & METADATA_BEAT)
        return 0;
    Py_INCREF(data); /* asking runs Python code, which may do anything to the event */
    Py_INCREF(index);
    Py_INCREF(part);
    int outcome = learn_position(origin, memory), id_size = 0;
    if (outcome == 0)
        id_size = position_id(index, part, memory, id);
    if (id_size) {
        PyObject *timestamp = fields.seen & TIMESTAMP ? ascii_text(time->at, time->size) : Py_NewRef(Py_None);
        outcome = found(event, slots, ascii_text(id, (size_t)id_size), timestamp);
    }
    Py_DECREF(part);
    Py_DECREF(index);
    Py_DECREF(data);
    return outcome;
}

PyDoc_STRVAR(scan_batch_doc, "scan_batch(events, event_type, max_bytes, /)\n--\n\n"
                             "Sets `id` and `timestamp` of each event where one walk over its bytes is enough.\n\n"
                             "Returns the positions of the others, which the full decoder must decide.");

static PyObject *scan_batch(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *events, *type;
    Py_ssize_t max_bytes;
    EventSlots slots;
    Memory memory = {0};
    if (!PyArg_ParseTuple(arguments, "O!On:scan_batch", &PyList_Type, &events, &type, &max_bytes) ||
        find_slots(type, &slots) < 0)
        return NULL;
    PyObject *left = PyList_New(0);
    if (!left)
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(events); i++) {
        PyObject *event = Py_NewRef(PyList_GET_ITEM(events, i));
        int found = Py_IS_TYPE(event, slots.type) ? scan_one(event, &slots, max_bytes, &memory) : 0;
        Py_DECREF(event);
        if (found == 0) {
            PyObject *position = PyLong_FromSsize_t(i);
            if (!position || PyList_Append(left, position) < 0)
                found = -1;
            Py_XDECREF(position);
        }
        if (found < 0) {
            Py_CLEAR(left);
            break;
        }
    }
    if (hash_waiting(&slots, &memory) < 0)
        Py_CLEAR(left);
    Py_XDECREF(memory.origin);
    return left;
}

PENSTOCK_KERNEL(scan, "penstock.transforms.kernels", "Ids and times of events; the twin is in _scan.py.",
                {"scan_batch", scan_batch, METH_VARARGS, scan_batch_doc})
