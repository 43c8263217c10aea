# The short way of a message to its handlers.
#
# Everything a message costs in a handler that does not wait lies here; what is rare (envelopes,
# coroutines, errors) is the subclass's, in Python.


cdef object bare_text = None  # what `type` mostly is in a reply: comparing words takes longer


cdef class Message:
    """The members of a message; the application's `Message` tells of them and adds the rest."""

    def __cinit__(self):
        self.clear()

    cdef int clear(self) except -1:
        self.type = self.data = self.raw = self.id = self._metadata = None
        self.event = self.room = self.target = self.connection_id = self._timestamp = ""
        self.is_envelope = False
        return 0


cdef class Context:
    """A message with its connection; the application's `MessageContext` adds the rest."""

    def __init__(self, conn, message, hub):
        self.conn = conn
        self.message = message
        self.hub = hub

    def reply(self, type, data=None):
        """Answer the sender.

        To a bare message, TEXT sends a str, BINARY bytes, and any other type the JSON of `data`.
        Raises ConnectionClosed, TypeError for data that does not go with the type, ValueError for
        an unknown type.
        """
        if (isinstance(data, str) and (type is bare_text or type == "text")
                and not (<Message?>self.message).is_envelope):
            return (<Connection?>self.conn).send_now(data)
        return self._reply(type, data)


cdef class Dispatch:
    """From messages to handlers, for a connection none of whose handlers waits.

    `message_type` and `context_type` are the subclasses of `Message` and `Context` that handlers
    get; `text` and `binary` their two types of bare messages. A connection's `_plan` has the
    handlers of `text` and `binary`; its `_inbox` is None while none of its handlers waits. A
    subclass has `_wait`, `_read`, `_unhandled`, `_go_on` and `_fail`.
    """

    def __init__(self, hub, type message_type not None, type context_type not None, text, binary):
        self.hub = hub
        self.message_type = message_type
        self.context_type = context_type
        global bare_text
        self.text = bare_text = text
        self.binary = binary

    def message(self, Connection conn not None, int opcode, payload):
        """A message came: handle it now, or after those before it."""
        if conn._inbox is None:
            self.handle_now(conn, opcode, payload)
        else:
            self._wait(conn, opcode, payload)

    def handle(self, Connection conn not None, int opcode, payload):
        """Run the handlers of a message; False when one waits."""
        return self.handle_now(conn, opcode, payload)

    cdef bint handle_now(self, Connection conn, int opcode, payload) except -1:
        cdef Message message
        cdef Context ctx = self.spare
        cdef tuple calls
        cdef bint is_done
        self.spare = None
        if ctx is None:
            ctx = new(self.context_type)
            ctx.hub = self.hub
            ctx.message = new(self.message_type)
        if opcode == TEXT and may_be_json(payload):
            ctx.message, calls = self._read(conn, payload)
        else:
            message = <Message>ctx.message
            message.raw = message.data = payload
            message.connection_id = conn.id
            if opcode == TEXT:
                message.type = self.text
                calls = conn._plan.text
            else:
                message.type = self.binary
                calls = conn._plan.binary
            message = None
        if not calls:
            self._unhandled()
            return True
        ctx.conn = conn
        is_done = self.run_now(conn, ctx, calls, 0)
        if (is_done and Py_REFCNT(<PyObject*>ctx) == 1
                and Py_REFCNT(<PyObject*>ctx.message) == 1):
            # Nobody has kept them, as nearly always: the next message gets the same two objects.
            ctx.conn = None
            (<Message>ctx.message).clear()
            self.spare = ctx
        return is_done

    def run(self, Connection conn not None, ctx, tuple calls not None, Py_ssize_t index):
        """Call handlers from `index` on; False when one waits, and the rest follows then."""
        return self.run_now(conn, ctx, calls, index)

    cdef bint run_now(self, Connection conn, ctx, tuple calls, Py_ssize_t index) except -1:
        cdef PyObject* call = NULL
        cdef double started = 0.0
        self.runs += 1
        if self.runs % HANDLER_SAMPLE == 0:
            started = gf_now()
        try:
            while index < PyTuple_GET_SIZE(calls):
                call = PyTuple_GET_ITEM(calls, index)
                index += 1
                result = (<object>call)(ctx)
                # A handler that ends in `ctx.reply(…)` may return what that returned.
                if result is not None and type(result) is not SendResult:
                    if not self._go_on(conn, ctx, calls, index, result):
                        return False
        except BaseException as exc:
            return self._fail(conn, ctx, <object>call, exc)
        if started:
            conn.turn.counters.handler_seconds.add(gf_now() - started, HANDLER_SAMPLE)
        return True


cdef object new(type cls):
    """An instance without a call of `__init__`."""
    return (<PyTypeObject*>cls).tp_new(cls, EMPTY, NULL)


cdef bint may_be_json(object payload) except -1:
    """Whether a text could be a JSON object or array, judged by its first character alone."""
    cdef Py_ssize_t i
    cdef Py_UCS4 character
    for i in range(len(payload)):
        character = (<str>payload)[i]
        if character not in (32, 9, 10, 13):  # RFC 8259 §2
            return character == 123 or character == 91
    return False
