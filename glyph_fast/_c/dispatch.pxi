# The short way of a message to its handlers.
#
# Everything a message costs in a handler that does not wait lies here; what is rare (envelopes,
# coroutines, errors) is the subclass's, in Python.


cdef object bare_text = None  # what `type` mostly is in a reply: comparing words takes longer
cdef object bare_binary = None

cdef extern from "_c/clock.h":
    enum:
        GF_RFC3339_SIZE
    void gf_rfc3339(char* out)

cdef extern from *:
    """
    #define GF_MESSAGE struct __pyx_obj_10glyph_fast_5_core_Message
    #define GF_CONTEXT struct __pyx_obj_10glyph_fast_5_core_Context
    #define gf_keep_message_members(cls) do { \\
        static gf_member members[] = { \\
            GF_MEMBER("type", GF_MESSAGE, type), GF_MEMBER("data", GF_MESSAGE, data), \\
            GF_MEMBER("event", GF_MESSAGE, event), GF_MEMBER("room", GF_MESSAGE, room), \\
            GF_MEMBER("target", GF_MESSAGE, target), GF_MEMBER("id", GF_MESSAGE, id), \\
            GF_MEMBER("raw", GF_MESSAGE, raw), \\
            GF_MEMBER("connection_id", GF_MESSAGE, connection_id)}; \\
        gf_keep_members((PyTypeObject *)cls, members, 8); } while (0)
    #define gf_keep_context_members(cls) do { \\
        static gf_member members[] = { \\
            GF_MEMBER("conn", GF_CONTEXT, conn), GF_MEMBER("message", GF_CONTEXT, message), \\
            GF_MEMBER("hub", GF_CONTEXT, hub)}; \\
        gf_keep_members((PyTypeObject *)cls, members, 3); } while (0)
    """
    void gf_keep_message_members(type cls)
    void gf_keep_context_members(type cls)


def read_plainly(metaclass):
    """Look up attributes of this metaclass's classes as `type` does, without its `__getattr__`."""
    gf_read_plainly(metaclass)


cdef class Message:
    """The members of a message; the application's `Message` tells of them and adds the rest."""

    def __cinit__(self):
        self.event = self.room = self.target = self.connection_id = self._timestamp = ""

    def __setattr__(self, name, value):
        gf_set(self, name, <PyObject*>value)

    def __delattr__(self, name):
        gf_set(self, name, NULL)

    cdef int clear(self) except -1:
        """Be as new. Most members were never set, and asking costs less than setting them."""
        self.data = self.raw = None
        if self.id is not None:
            self.id = None
        if self._metadata is not None:
            self._metadata = None
        if self.event is not NO_TEXT:
            self.event = NO_TEXT
        if self.room is not NO_TEXT:
            self.room = NO_TEXT
        if self.target is not NO_TEXT:
            self.target = NO_TEXT
        if self._timestamp is not NO_TEXT:
            self._timestamp = NO_TEXT
        self.is_envelope = False
        return 0


cdef class Context:
    """A message with its connection; the application's `MessageContext` adds the rest."""

    def __init__(self, Connection conn not None, Message message not None, hub):
        self.conn = conn
        self.message = message
        self.hub = hub

    def __setattr__(self, name, value):
        gf_set(self, name, <PyObject*>value)

    def __delattr__(self, name):
        gf_set(self, name, NULL)

    def reply(self, type, data=None):
        """Answer the sender.

        To a bare message, TEXT sends a str, BINARY bytes, and any other type the JSON of `data`.
        Raises ConnectionClosed, TypeError for data that does not go with the type, ValueError for
        an unknown type.
        """
        if (self.message is not None and self.conn is not None
                and not self.message.is_envelope):
            if isinstance(data, str):
                if type is bare_text or type == "text":
                    return self.conn.send_now(data, False)
            elif isinstance(data, bytes) and (type is bare_binary or type == "binary"):
                return self.conn.send_now(data, False)
        return self._reply(type, data)

    def reply_json(self, data):
        """Answer the sender with JSON. Raises what `reply` raises."""
        cdef Connection conn = self.conn
        cdef Message message = self.message
        if conn is None or message is None or conn._plan is None or conn._plan.dumps is None:
            return self._reply("json", data)
        if not message.is_envelope:
            return conn.send_now(conn._plan.dumps(data), True)
        if (message.id is not None or data is None or not is_plain(conn.id)
                or isinstance(data, (bytes, bytearray, memoryview))):
            return self._reply("json", data)
        return conn.send_now(answer_text(conn._plan.dumps(data), conn.id), True)


cdef bytes ANSWER_BEGIN = b'{"type":"json","data":'
cdef bytes ANSWER_TARGET = b',"target":"'
cdef bytes ANSWER_TIME = b'","timestamp":"'
cdef bytes ANSWER_END = b'"}'


cdef bint is_plain(str id) except -1:
    """Whether JSON shows it as it is: letters, digits and dashes alone."""
    cdef Py_ssize_t size
    cdef const char* text = PyUnicode_AsUTF8AndSize(id, &size)
    return gf_is_plain(<const byte*>text, size)


cdef bytes answer_text(bytes data, str target):
    """What `envelope.reply` writes for data whose JSON this is, without an `id`."""
    cdef const char* name
    cdef Py_ssize_t name_size = payload_bytes_of(target, &name)
    cdef bytes text = PyBytes_FromStringAndSize(NULL, (
        PyBytes_GET_SIZE(ANSWER_BEGIN) + PyBytes_GET_SIZE(data) + PyBytes_GET_SIZE(ANSWER_TARGET)
        + name_size + PyBytes_GET_SIZE(ANSWER_TIME) + GF_RFC3339_SIZE
        + PyBytes_GET_SIZE(ANSWER_END)
    ))
    cdef char* out = PyBytes_AS_STRING(text)
    out = appended(appended(appended(out, ANSWER_BEGIN), data), ANSWER_TARGET)
    memcpy(out, name, name_size)
    out = appended(out + name_size, ANSWER_TIME)
    gf_rfc3339(out)
    appended(out + GF_RFC3339_SIZE, ANSWER_END)
    return text


cdef char* appended(char* out, bytes part) noexcept:
    memcpy(out, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
    return out + PyBytes_GET_SIZE(part)


gf_keep_message_members(Message)
gf_keep_context_members(Context)


cdef class Plan:
    """Which handlers run for the messages of a connection; the application's `Plan` has the others.

    `text`, `binary` and `json` are the handlers of bare messages, but where those of text take
    JSON too (`json_as_text`); `events` those of each event. `value_of` reads a text, or its UTF-8,
    as JSON, and gives None for what is none; None where each message must be looked at by the
    application. `dumps` writes JSON for answers; None where that is the application's as well.
    """

    def __cinit__(self):
        self.text = self.binary = self.json = ()
        self.json_as_text = False
        self.events = {}


cdef class Dispatch:
    """From messages to handlers, for a connection none of whose handlers waits.

    `message_type` and `context_type` are the subclasses of `Message` and `Context` that handlers
    get; `text`, `binary` and `json` the types of their messages. A connection's `_plan` is a
    `Plan`; its `_inbox` is None while none of its handlers waits. A subclass has `_wait`, `_read`,
    `_unhandled`, `_go_on` and `_fail`.
    """

    def __cinit__(self):
        self.message_type = Message
        self.context_type = Context

    def __init__(self, hub, type message_type not None, type context_type not None, text, binary,
                 json=None):
        self.hub = hub
        self.message_type = message_type
        self.context_type = context_type
        global bare_text, bare_binary
        self.text = bare_text = text
        self.binary = bare_binary = binary
        self.json = json

    def message(self, Connection conn not None, int opcode, payload):
        """A message came: handle it now, or after those before it."""
        check_payload(opcode, payload)
        if conn._inbox is None:
            handle_now(self, conn, opcode, payload)
        else:
            self._wait(conn, opcode, payload)

    def handle(self, Connection conn not None, int opcode, payload):
        """Run the handlers of a message; False when one waits."""
        check_payload(opcode, payload)
        return bool(handle_now(self, conn, opcode, payload))

    def run(self, Connection conn not None, ctx, tuple calls not None, Py_ssize_t index):
        """Call handlers from `index` on; False when one waits, and the rest follows then."""
        if index < 0:
            raise ValueError(f"index is {index}, expected 0 or more")
        return bool(run_now(self, conn, ctx, calls, index))


cdef enum:
    WAITS    # a handler does, or what hears of its failure: the rest follows later, or not at all
    GOES_ON  # with the next handler
    STOPPED  # a handler failed: none behind it runs


cdef int check_payload(int opcode, object payload) except -1:
    """What follows takes the core's word for it."""
    if not isinstance(payload, str if opcode == TEXT else bytes):
        raise TypeError(
            f"a message is str with opcode {TEXT}, bytes with {BINARY},"
            f" not {type(payload).__name__} with {opcode}"
        )
    return 0


cdef int handle_now(Dispatch dispatch, Connection conn, int opcode, object payload) except -1:
    """As `Dispatch.handle`: 1 when all is done, 0 when a handler waits."""
    cdef Message message
    cdef Context ctx = dispatch.spare
    cdef tuple calls
    cdef int is_done
    if ctx is None:
        ctx = new(dispatch.context_type)
        ctx.hub = dispatch.hub
        ctx.message = new(dispatch.message_type)
    else:
        dispatch.spare = None
    if opcode == TEXT and may_be_json(<str>payload):
        conn._turn.weight += JSON_FRAMES + PyUnicode_GET_LENGTH(payload) // JSON_FRAME
        calls = read_json(dispatch, conn, ctx, payload)
    else:
        message = ctx.message
        message.raw = message.data = payload
        message.connection_id = conn.id
        if conn._plan is None:  # nobody has said who handles its messages
            calls = EMPTY
        elif opcode == TEXT:
            message.type = dispatch.text
            calls = conn._plan.text
        else:
            message.type = dispatch.binary
            calls = conn._plan.binary
        message = None
    if not calls:
        dispatch._unhandled()
        return True
    ctx.conn = conn
    is_done = run_now(dispatch, conn, ctx, calls, 0)
    if (is_done and Py_REFCNT(<PyObject*>ctx) == 1
            and Py_REFCNT(<PyObject*>ctx.message) == 1):
        # Nobody has kept them, as nearly always: the next message gets the same two objects.
        ctx.conn = None
        ctx.message.clear()
        dispatch.spare = ctx
    return is_done


cdef tuple read_event(Dispatch dispatch, Plan plan, Message message, str payload):
    """The handlers of an event whose envelope says nothing but its name and data; else None.

    Only the data are read as JSON then, and the envelope makes no objects. In a longer text the
    envelope is a small part; and data that are nested as deeply as may be are longer.
    """
    cdef gf_event_text event
    cdef Py_ssize_t size
    cdef tuple calls
    cdef const char* text = quiet_utf8(payload, &size)
    if text == NULL:  # half a surrogate pair: no JSON
        PyErr_Clear()
        return None
    if not gf_read_event(text, size, &event):
        return None
    name = event_name(dispatch, event.name, event.name_size)
    data = PyBytes_FromStringAndSize(event.data, event.data_size)
    calls = plan.events.get(name)
    if calls is None:
        return None
    value = plan.value_of(data)
    if value is None:
        return None
    message.event = name
    message.data = value
    message.is_envelope = True
    return calls


cdef str event_name(Dispatch dispatch, const char* name, Py_ssize_t size):
    """A text for the name of an event; as a rule the one that came last, with its hash."""
    cdef Py_ssize_t last_size
    cdef const char* last
    if dispatch.last_event is not None:
        last = PyUnicode_AsUTF8AndSize(dispatch.last_event, &last_size)
        if last_size == size and memcmp(last, name, size) == 0:
            return dispatch.last_event
    dispatch.last_event = PyUnicode_DecodeUTF8(name, size, NULL)
    return dispatch.last_event


cdef tuple read_json(Dispatch dispatch, Connection conn, Context ctx, str payload):
    """The handlers of a text that may be JSON; `ctx` gets the message.

    Told apart here is what most clients send: an event with its data and nothing else, and JSON
    that is no envelope. The application reads the rest.
    """
    cdef Plan plan = conn._plan
    cdef Message message = ctx.message
    cdef tuple calls = None
    cdef dict fields
    if plan is None or plan.value_of is None:
        ctx.message, calls = dispatch._read(conn, payload)
        return calls
    if PyUnicode_GET_LENGTH(payload) <= SHORT_JSON and plan.events is not None:
        calls = read_event(dispatch, plan, message, payload)
        if calls is not None:
            message.type = dispatch.json
            message.raw = payload
            message.connection_id = conn.id
            return calls
    value = plan.value_of(payload)
    if type(value) is list:
        calls = None if plan.json_as_text else plan.json
    elif type(value) is dict:
        fields = value
        event, kind = fields.get("event"), fields.get("type")
        if event is None and kind is None:
            if not plan.json_as_text and "event" not in fields and "type" not in fields:
                calls = plan.json
        elif (type(event) is str and (kind is None or kind == "json") and "data" in fields
                and len(fields) == (2 if kind is None else 3)):
            calls = None if plan.events is None else plan.events.get(event)
            if calls is not None:
                message.event = event
                value = fields["data"]
                message.is_envelope = True
    if calls is None:
        ctx.message, calls = dispatch._read(conn, payload, value)
        return calls
    message.type = dispatch.json
    message.data = value
    message.raw = payload
    message.connection_id = conn.id
    return calls


cdef int run_now(
    Dispatch dispatch, Connection conn, object ctx, tuple calls, Py_ssize_t index
) except -1:
    """As `Dispatch.run`: 1 when all is done, 0 when a handler waits."""
    cdef PyObject* call = NULL
    cdef PyObject* answer
    cdef int state
    cdef double started = 0.0
    dispatch.runs += 1
    if dispatch.runs % HANDLER_SAMPLE == 0:
        started = gf_now()
    while index < PyTuple_GET_SIZE(calls):
        call = PyTuple_GET_ITEM(calls, index)
        index += 1
        answer = gf_call(call, <PyObject*>ctx)
        if answer == NULL:
            return fail_now(dispatch, conn, ctx, <object>call)
        # A handler that ends in `ctx.reply(…)` may return what that returned.
        if answer == <PyObject*>None or type(<object>answer) is result_type:
            Py_DECREF(<object>answer)
            continue
        state = go_on_now(dispatch, conn, ctx, calls, index, answer)
        if state != GOES_ON:
            return state == STOPPED
    if started:
        conn._turn.counters.handler_seconds.add(gf_now() - started, HANDLER_SAMPLE)
    return True


cdef int fail_now(Dispatch dispatch, Connection conn, object ctx, object call) except -1:
    """A handler has raised what is set now."""
    cdef bint goes_on = True
    try:
        gf_failed()
    except BaseException as exc:
        goes_on = dispatch._fail(conn, ctx, call, exc)
    return goes_on


cdef int go_on_now(
    Dispatch dispatch, Connection conn, object ctx, tuple calls, Py_ssize_t index, PyObject* answer
) except -1:
    """Take what a handler has returned, a reference of ours: what comes of the handlers behind it.

    A coroutine that raises before its first wait has failed as a plain function does.
    """
    cdef int state
    result = <object>answer
    Py_DECREF(result)
    try:
        state = GOES_ON if dispatch._go_on(conn, ctx, calls, index, result) else WAITS
    except BaseException as exc:
        state = STOPPED if dispatch._fail(conn, ctx, calls[index - 1], exc) else WAITS
    return state


cdef object new(type cls):
    """An instance without a call of `__init__`."""
    return (<PyTypeObject*>cls).tp_new(cls, EMPTY, NULL)


cdef bint may_be_json(str payload) except -1:
    """Whether a text could be a JSON object or array, judged by its first character alone."""
    cdef Py_ssize_t i
    cdef Py_UCS4 character
    for i in range(PyUnicode_GET_LENGTH(payload)):
        character = PyUnicode_READ_CHAR(payload, i)
        if character > 32:
            return character == 123 or character == 91
        if character not in (32, 9, 10, 13):  # RFC 8259 §2
            return False
    return False
