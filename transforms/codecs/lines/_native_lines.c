/* This kernel turns one line of AWS' text formats into the JSON that is stored, as `LineReader.read` in _separated.py does,
without any object per field.

A line is made only where the Python reader would say the same; for any other (a byte that isn't printable ASCII, a quote
inside of quotes, a value that isn't of its kind, a time of another form) the answer is None, and the reader decides.

`read_line(line, fields, separator, required, head, clock)`: `fields` are pairs (the JSON up to the value, kind), `head` is the
document up to its first field with 24 bytes left for the time, which begins at byte TIME_AT; `clock` says where the time
stands: (form, field, second field or -1). Gives (document, time). */

#include "../../kernels/_native_kernel.h"
#include "../../kernels/_native_times.h"

#include <arpa/inet.h>

#define TIME_AT 15 /* behind {"@timestamp":" */
#define MAX_ADDRESS 64
#define MAX_DIGITS 18

enum { TEXT, INT, FLOAT, IP, ENDPOINT, REQUEST, UNQUOTED, TIME, LIST };
enum { SPACE, QUOTED, TAB };
enum { ISO, EPOCH, DATE_AND_TIME, BRACKET };

typedef struct {
    const char *at;
    size_t size;
} Span;

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int all_digits(const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_digit(at[i]))
            return 0;
    return size > 0;
}

static int number(const char *at, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

static char *put(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

/* -- times: each gives `2026-11-22T13:28:38.181Z`, or 0 ------------------------------------------- */

static int iso_time(Span text, char *out)
{
    const char *at = text.at;
    size_t size = text.size;
    int millisecond = 0;
    if (size && at[size - 1] == 'Z')
        size--;
    if (size < 19 || at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':' ||
        !all_digits(at, 4) || !all_digits(at + 5, 2) || !all_digits(at + 8, 2) || !all_digits(at + 11, 2) ||
        !all_digits(at + 14, 2) || !all_digits(at + 17, 2))
        return 0;
    if (size > 19) {
        if (at[19] != '.' || size < 23 || size > 40 || !all_digits(at + 20, size - 20))
            return 0;
        millisecond = number(at + 20, 3);
    }
    return put_time(out, number(at, 4), number(at + 5, 2), number(at + 8, 2), number(at + 11, 2), number(at + 14, 2),
                    number(at + 17, 2), millisecond);
}

static int epoch_time(Span text, char *out)
{
    size_t whole = 0;
    while (whole < text.size && is_digit(text.at[whole]))
        whole++;
    if (whole < 1 || whole > 12)
        return 0;
    int millisecond = 0;
    if (whole < text.size) {
        size_t digits = text.size - whole - 1;
        if (text.at[whole] != '.' || digits > 6 || !all_digits(text.at + whole + 1, digits))
            return 0;
        for (size_t i = 0; i < 3; i++)
            millisecond = millisecond * 10 + (i < digits ? text.at[whole + 1 + i] - '0' : 0);
    }
    int64_t seconds = 0;
    for (size_t i = 0; i < whole; i++)
        seconds = seconds * 10 + (text.at[i] - '0');
    return put_epoch(out, seconds, millisecond);
}

/* Reads 06/Feb/2019:00:00:38 +0000, in UTC only. */
static int bracket_time(Span text, char *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = text.at;
    if (text.size != 26 || at[2] != '/' || at[6] != '/' || at[11] != ':' || at[14] != ':' || at[17] != ':' ||
        memcmp(at + 20, " +0000", 6) != 0 || !all_digits(at, 2) || !all_digits(at + 7, 4) || !all_digits(at + 12, 2) ||
        !all_digits(at + 15, 2) || !all_digits(at + 18, 2))
        return 0;
    for (int month = 0; month < 12; month++)
        if (memcmp(at + 3, months + 3 * month, 3) == 0)
            return put_time(out, number(at + 7, 4), month + 1, number(at, 2), number(at + 12, 2), number(at + 15, 2),
                            number(at + 18, 2), 0);
    return 0;
}

/* -- values: each gives the end of what it wrote, or NULL where Python must decide ------------------ */

static char *put_escaped(char *out, const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] == '"' || at[i] == '\\')
            *out++ = '\\';
        *out++ = at[i];
    }
    return out;
}

static char *put_text(char *out, const char *at, size_t size)
{
    *out++ = '"';
    out = put_escaped(out, at, size);
    *out++ = '"';
    return out;
}

static char *put_int(char *out, Span text)
{
    size_t sign = text.at[0] == '-', digits = text.size - sign;
    if (digits > MAX_DIGITS || !all_digits(text.at + sign, digits) || (text.at[sign] == '0' && (digits > 1 || sign)))
        return NULL;
    return put(out, text.at, text.size);
}

static char *put_float(char *out, Span text)
{
    size_t sign = text.at[0] == '-', whole = sign;
    while (whole < text.size && is_digit(text.at[whole]))
        whole++;
    size_t digits = whole - sign;
    if (digits < 1 || digits > 15 || (digits > 1 && text.at[sign] == '0'))
        return NULL;
    out = put(out, text.at, text.size);
    if (whole == text.size) /* a float stays one: the index's first value decides its type */
        return put(out, ".0", 2);
    if (text.at[whole] != '.' || text.size > 40 || !all_digits(text.at + whole + 1, text.size - whole - 1))
        return NULL;
    return out;
}

static char *put_ip(char *out, Span text)
{
    char address[MAX_ADDRESS];
    unsigned char binary[16];
    if (text.size >= MAX_ADDRESS)
        return NULL;
    memcpy(address, text.at, text.size);
    address[text.size] = 0;
    if (inet_pton(AF_INET, address, binary) != 1 && inet_pton(AF_INET6, address, binary) != 1)
        return NULL;
    return put_text(out, text.at, text.size);
}

static char *put_endpoint(char *out, Span text)
{
    size_t colon = text.size;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return NULL;
    Span port = {text.at + colon, text.size - colon};
    const char *first = text.at, *last = text.at + colon - 1;
    if (!all_digits(port.at, port.size))
        return NULL;
    while (first < last && (*first == '[' || *first == ']'))
        first++;
    while (last > first && (last[-1] == '[' || last[-1] == ']'))
        last--;
    out = put(out, "{\"ip\":", 6);
    out = put_text(out, first, (size_t)(last - first));
    out = put(out, ",\"port\":", 8);
    if ((out = put_int(out, port)) == NULL)
        return NULL;
    *out++ = '}';
    return out;
}

static char *put_request(char *out, Span text)
{
    const char *end = text.at + text.size, *first = memchr(text.at, ' ', text.size), *last = end;
    if (!first)
        return NULL;
    while (last > first && last[-1] != ' ')
        last--;
    if (last - 1 <= first + 1) /* no URL between the two spaces */
        return NULL;
    out = put(out, "{\"method\":", 10);
    out = put_text(out, text.at, (size_t)(first - text.at));
    out = put(out, ",\"url\":", 7);
    out = put_text(out, first + 1, (size_t)(last - 1 - first - 1));
    out = put(out, ",\"version\":", 11);
    out = put_text(out, last, (size_t)(end - last));
    *out++ = '}';
    return out;
}

static int hex(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char *put_unquoted(char *out, Span text)
{
    *out++ = '"';
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        if (c == '%' && i + 2 < text.size && hex(text.at[i + 1]) >= 0 && hex(text.at[i + 2]) >= 0) {
            c = (char)(hex(text.at[i + 1]) << 4 | hex(text.at[i + 2]));
            i += 2;
            if (c < ' ' || c > '~')
                return NULL;
        }
        out = put_escaped(out, &c, 1);
    }
    *out++ = '"';
    return out;
}

static char *put_list(char *out, Span text)
{
    *out++ = '[';
    for (size_t begin = 0, i = 0; i <= text.size; i++)
        if (i == text.size || text.at[i] == ',') {
            out = put_text(out, text.at + begin, i - begin);
            *out++ = ',';
            begin = i + 1;
        }
    out[-1] = ']';
    return out;
}

static char *put_value(char *out, Span text, long kind)
{
    switch (kind) {
    case TEXT:
        return put_text(out, text.at, text.size);
    case INT:
        return put_int(out, text);
    case FLOAT:
        return put_float(out, text);
    case IP:
        return put_ip(out, text);
    case ENDPOINT:
        return put_endpoint(out, text);
    case REQUEST:
        return put_request(out, text);
    case UNQUOTED:
        return put_unquoted(out, text);
    case TIME:
        *out = out[TIME_CHARS + 1] = '"';
        return bracket_time(text, out + 1) ? out + TIME_CHARS + 2 : NULL;
    case LIST:
        return put_list(out, text);
    }
    return NULL;
}

/* -- a line ---------------------------------------------------------------------------------------- */

/* Finds the next field from *at on, which moves behind it; 0 at the end, -1 where Python must decide. */
static int next_field(const char **at, const char *end, int separator, int *special, Span *field)
{
    const char *p = *at, *stop;
    if (separator == TAB) {
        if (p > end)
            return 0;
        stop = memchr(p, '\t', (size_t)(end - p));
        stop = stop ? stop : end;
        *field = (Span){p, (size_t)(stop - p)};
        *at = stop + 1;
        return 1;
    }
    while (p < end && *p == ' ')
        p++;
    if (p == end)
        return 0;
    if (separator == QUOTED && *p == '"') {
        *special = 1;
        stop = memchr(p + 1, '"', (size_t)(end - p - 1));
        if (!stop || (stop + 1 < end && stop[1] != ' '))
            return -1;
        *field = (Span){p + 1, (size_t)(stop - p - 1)};
        *at = stop + 1;
        return 1;
    }
    if (separator == QUOTED && *p == '[') {
        stop = memchr(p, ']', (size_t)(end - p));
        /* Only the first, not at the line's beginning, and before a field in quotes. */
        if (*special || p == *at || !memchr(p, '"', (size_t)(end - p)))
            return -1;
        *special = 1;
        if (stop && stop + 1 < end && stop[1] == ' ') {
            if (memchr(p, '"', (size_t)(stop - p)))
                return -1;
            *field = (Span){p + 1, (size_t)(stop - p - 1)};
            *at = stop + 1;
            return 1;
        }
    }
    stop = memchr(p, ' ', (size_t)(end - p));
    stop = stop ? stop : end;
    if (separator == QUOTED && memchr(p, '"', (size_t)(stop - p)))
        return -1;
    *field = (Span){p, (size_t)(stop - p)};
    *at = stop;
    return 1;
}

static int time_of(long form, const Span *times, char *out)
{
    char text[64];
    switch (form) {
    case ISO:
        return iso_time(times[0], out);
    case EPOCH:
        return epoch_time(times[0], out);
    case BRACKET:
        return bracket_time(times[0], out);
    case DATE_AND_TIME:
        if (times[0].size != 10 || times[1].size < 8 || times[1].size > 20)
            return 0;
        memcpy(text, times[0].at, 10);
        text[10] = 'T';
        memcpy(text + 11, times[1].at, times[1].size);
        return iso_time((Span){text, 11 + times[1].size}, out);
    }
    return 0;
}

/* Writes the document's fields and gives their end; NULL where Python must decide. */
static char *put_fields(char *out, const char *line, Py_ssize_t size, PyObject *fields, int separator, Py_ssize_t required,
                        const long *clock, char *time)
{
    const char *at = line, *end = line + size;
    Py_ssize_t known = PyTuple_GET_SIZE(fields), count = 0;
    int special = 0, more = 0, found;
    Span field, times[2] = {{NULL, 0}, {NULL, 0}};
    char *first = out;
    for (; (found = next_field(&at, end, separator, &special, &field)) > 0; count++) {
        if (count >= known) {
            out = put(out, more ? "," : "\"more\":[", more ? 1 : 8);
            out = put_text(out, field.at, field.size);
            more = 1;
            continue;
        }
        if (!field.size || (field.size == 1 && field.at[0] == '-'))
            continue;
        for (int i = 0; i < 2; i++)
            if (clock[i + 1] == count)
                times[i] = field;
        PyObject *pair = PyTuple_GET_ITEM(fields, count), *prefix = PyTuple_GET_ITEM(pair, 0);
        out = put(out, PyBytes_AS_STRING(prefix), (size_t)PyBytes_GET_SIZE(prefix));
        if ((out = put_value(out, field, PyLong_AsLong(PyTuple_GET_ITEM(pair, 1)))) == NULL)
            return NULL;
        *out++ = ',';
    }
    if (found < 0 || count < required || !times[0].at || (clock[0] == DATE_AND_TIME && !times[1].at) ||
        !time_of(clock[0], times, time))
        return NULL;
    if (more) {
        *out++ = ']';
        *out++ = ',';
    }
    return out > first ? out - 1 : out; /* without the last comma */
}

PyDoc_STRVAR(read_line_doc, "read_line(line, fields, separator, required, head, clock, /)\n--\n\n"
                            "Gives (document, time) of a line, or None where the reader in Python must decide.");

static PyObject *read_line(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *line, *fields, *head;
    int separator;
    Py_ssize_t required;
    long clock[3] = {-1, -1, -1};
    if (!PyArg_ParseTuple(arguments, "SO!inS(lll):read_line", &line, &PyTuple_Type, &fields, &separator, &required, &head,
                          &clock[0], &clock[1], &clock[2]))
        return NULL;
    const char *at = PyBytes_AS_STRING(line);
    Py_ssize_t size = PyBytes_GET_SIZE(line), room = PyBytes_GET_SIZE(head);
    if (room < TIME_AT + TIME_CHARS || size > PY_SSIZE_T_MAX / 16) {
        PyErr_SetString(PyExc_ValueError, "a head without room for the time, or a line that is too long");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++)
        if ((at[i] < ' ' && !(separator == TAB && at[i] == '\t')) || at[i] > '~')
            Py_RETURN_NONE;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); i++) {
        PyObject *pair = PyTuple_GET_ITEM(fields, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyBytes_Check(PyTuple_GET_ITEM(pair, 0)) ||
            !PyLong_Check(PyTuple_GET_ITEM(pair, 1))) {
            PyErr_SetString(PyExc_TypeError, "fields are pairs of bytes and a number");
            return NULL;
        }
        room += PyBytes_GET_SIZE(PyTuple_GET_ITEM(pair, 0)) + 48; /* the most that a kind puts around its text */
    }
    room += 4 * size + 64; /* each byte escaped; around values that nobody knows, and elements of a list */
    char *buffer = PyMem_Malloc((size_t)room), time[TIME_CHARS];
    if (!buffer)
        return PyErr_NoMemory();
    char *out = put(buffer, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head));
    out = put_fields(out, at, size, fields, separator, required, clock, time);
    PyObject *made = NULL;
    if (out) {
        memcpy(buffer + TIME_AT, time, TIME_CHARS);
        out = put(out, "}}}", 3);
        made = Py_BuildValue("(y#s#)", buffer, (Py_ssize_t)(out - buffer), time, (Py_ssize_t)TIME_CHARS);
    } else if (!PyErr_Occurred()) {
        made = Py_NewRef(Py_None);
    }
    PyMem_Free(buffer);
    return made;
}

PENSTOCK_KERNEL(lines, "penstock.transforms.codecs.lines", "A line of text as JSON; the twin is in _separated.py.",
                {"read_line", read_line, METH_VARARGS, read_line_doc})
