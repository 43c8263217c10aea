"""The header page of the compiled core: what each object holds, in which unit, and who owns it.

Methods declared `except -1` raise; nothing else does. No pointer into a Python object survives a
call that can run Python code. `PyObject*` fields and slots own a reference; `void*` links do not,
unless said otherwise.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

cdef extern from "_c/bytes.h" nogil:
    ctypedef struct gf_utf8:
        unsigned char due, low, high
    ctypedef bint gf_flag    # a bint of one byte: a connection has many

cdef extern from "_c/sockets.h" nogil:
    ctypedef struct gf_event:
        uint32_t events

cdef extern from "_c/batch.h" nogil:
    ctypedef struct gf_batch:
        unsigned size, count
        int* results

ctypedef unsigned char byte

cdef struct Buffer:          # bytes that grow
    byte* data               # malloc'd, owned; NULL when nothing is held
    Py_ssize_t size          # bytes in use
    Py_ssize_t capacity      # bytes allocated

cdef struct Incoming:        # what came and is not complete; exists only while something is
    Buffer pending           # unparsed: part of a head, a header or a control frame
    Py_ssize_t searched      # bytes of `pending` known not to hold the end of a head
    PyObject* message        # the message so far, unmasked, in what will be given to the handler: a
                             # str where it is text that is not compressed, though its bytes may
                             # be no ASCII yet, else bytes; owned, NULL before the first byte
    Py_ssize_t message_size  # bytes of it that are there
    Py_ssize_t remaining     # payload bytes of the frame still to come; -1 between frames
    byte key[4]              # of that frame
    int phase                # payload bytes of it already unmasked, modulo 4
    bint masked
    bint fin
    int opcode               # of the message; 0 between messages
    bint rsv1                # the message is compressed
    gf_utf8 utf8             # of the message, if it is text
    byte bits                # set in any byte of the message so far; below 0x80 it is ASCII
    int empty_fragments      # of the message
    Py_ssize_t spent         # frames of its share that were used before it was held

cdef struct Outgoing:        # what leaves outside the ring; exists only while there is some
    PyObject* begun          # bytes partly written: nothing may come before the rest
    Py_ssize_t begun_offset  # bytes of it that have left
    Py_ssize_t begun_frames  # data frames in it, or 1 piece of an HTTP answer; 0: neither
    PyObject* pong           # one frame each, or NULL
    PyObject* ping
    PyObject* close


cdef class Limits:           # sizes in bytes, times in seconds
    cdef readonly Py_ssize_t max_message_size   # after inflation
    cdef readonly Py_ssize_t queue_messages
    cdef readonly Py_ssize_t queue_bytes
    cdef readonly int queue_policy              # one of wire.POLICIES, by index
    cdef readonly double write_timeout
    cdef readonly double close_timeout
    cdef readonly double head_timeout
    cdef readonly double keep_alive_timeout
    cdef readonly double ping_interval          # 0: no keep-alive
    cdef readonly Py_ssize_t max_missed_pongs
    cdef readonly double message_rate           # per second; 0: no limit
    cdef readonly Py_ssize_t message_burst
    cdef readonly double byte_rate
    cdef readonly Py_ssize_t byte_burst
    cdef readonly bint rate_disconnects
    cdef bint is_rated                          # whether there is any rate
    cdef double message_depth                   # seconds an empty bucket takes to fill
    cdef double byte_depth


cdef class Histogram:
    cdef int64_t buckets[23]        # observations up to each of BOUNDS, and beyond the last
    cdef readonly double total      # seconds

    @cython.final
    cdef int add(self, double seconds, int64_t weight) except -1


cdef class Counters:
    cdef public int64_t bytes_received
    cdef public int64_t bytes_sent
    cdef public int64_t dropped_block
    cdef public int64_t dropped_disconnect
    cdef public int64_t dropped_newest
    cdef public int64_t dropped_oldest
    cdef public int64_t dropped_rate
    cdef public int64_t messages_received
    cdef public int64_t messages_sent
    cdef public int64_t pings_sent
    cdef public int64_t pongs_missed
    cdef public int64_t pongs_received
    cdef readonly Histogram broadcast_seconds
    cdef readonly Histogram handler_seconds     # one call in HANDLER_SAMPLE, for as many
    cdef readonly Histogram ping_rtt_seconds


cdef class Frame:
    cdef readonly bytes data        # the whole frame as a server sends it
    cdef readonly int opcode
    cdef Py_ssize_t head            # bytes of its header
    cdef public dict variants       # other encodings of it, kept by codecs; or None
    cdef public bint is_final       # whether no codec touches it


cdef class Turn:
    cdef readonly Limits limits
    cdef readonly Counters counters
    cdef public object handler
    cdef Dispatch dispatch              # whose `message` the handler's is, or None
    cdef public object clock            # () -> seconds, monotonic
    cdef public object connection_type
    cdef public object current          # the connection whose message is being handled, or None
    cdef public bint in_turn            # flush is sure to come
    cdef readonly unsigned long owner   # thread ident; 0 in a process forked from its own
    cdef bint is_forked
    cdef bint has_missed                # something could not be noted: no memory
    cdef object __weakref__
    cdef object _wake
    cdef object _wake_threadsafe
    cdef object _posted                 # deque of (function, args)
    cdef bint post_woken                # `wake_threadsafe` was called and they were not run yet
    cdef bint scheduled                 # `wake` was called and flush has not come yet
    cdef void* first                    # connections not closed, a list by their links; owns them
    cdef void* cursor                   # where the sweep goes on
    cdef Py_ssize_t count               # connections in that list
    cdef list resumed                   # connections, for the end of the turn
    cdef list rested                    # connections that go on in the next turn
    cdef double read_at                 # clock reading of the latest read, where rates are limited
    cdef readonly Py_ssize_t weight     # in frames, beyond one each, of what the peer at hand sent
    cdef Py_ssize_t displaced           # messages, by the send or publish under way
    cdef list drained
    cdef list closed
    cdef PyObject** dirty               # connections to write to, owned references
    cdef Py_ssize_t dirty_count
    cdef Py_ssize_t dirty_capacity
    cdef byte* gathered                 # GATHER_SIZE bytes: small frames of one write
    cdef byte* staged                   # STAGE_SIZE bytes: replies, see `Connection.stage`
    cdef Py_ssize_t staged_size         # bytes of it in use; 0 once all are written
    cdef PyObject** run                 # the frames in `gathered`, owned references
    cdef Py_ssize_t run_count
    cdef Py_ssize_t run_capacity
    cdef bytes run_data                 # the same in an object of its own, or None
    cdef uint32_t sweeps                # so far
    cdef PyObject*** spare_rings        # empty rings of RING_START slots, for reuse
    cdef Py_ssize_t spare_count
    cdef bytes keys                     # random bytes for the masking keys of client connections
    cdef Py_ssize_t keys_used
    cdef gf_batch* batch                # of sends, opened when first needed, or NULL; see batch.h
    cdef bint batch_refused             # by the kernel, or by whoever runs the server
    cdef object poller                  # its Poller, or None; set while it may own descriptors
    cdef int epoll                      # the poller's descriptor, or -1

    cpdef schedule(self)
    cpdef int check_thread(self, str name) except -1
    @cython.final
    cdef int failed(self, conn, exc) except -1
    @cython.final
    cdef bint note(self, list conns, Connection conn) except -1
    @cython.final
    cdef int find_missed(self) except -1
    @cython.final
    cdef int link(self, Connection conn) except -1
    @cython.final
    cdef int unlink(self, Connection conn) except -1
    @cython.final
    cdef int mark(self, Connection conn) except -1
    @cython.final
    cdef int write_all(self) except -1
    @cython.final
    cdef int write_together(self) except -1
    @cython.final
    cdef int send_batch(self, Py_ssize_t* places) except -1
    @cython.final
    cdef int drop_batch(self) except -1
    @cython.final
    cdef int report(self) except -1
    @cython.final
    cdef int report_each(self, list conns, int what) except -1
    @cython.final
    cdef int go_on(self) except -1
    cdef int run_posted(self) except -1
    @cython.final
    cdef int forget_run(self) except -1
    @cython.final
    cdef bint is_gathered(self, Connection conn)
    @cython.final
    cdef Py_ssize_t gather(self, Connection conn) except -1
    @cython.final
    cdef PyObject** take_ring(self) except NULL
    @cython.final
    cdef int give_ring(self, PyObject** ring, Py_ssize_t capacity) except -1  # not a `slot`
    @cython.final
    cdef bytes next_key(self)


cdef class Connection:
    # Used by every publish and flush: kept together. Most connections of a server are idle, so
    # fields are no wider than need be, in an order that leaves no holes.
    cdef readonly Turn _turn
    cdef readonly object _codec      # message compression, or None
    cdef PyObject** ring            # frames (bytes), or pieces of HTTP answers before the upgrade,
                                    # that wait, owned references; NULL when empty
                                    # or when they are staged: back to back in `turn.staged`
    cdef uint32_t ring_head         # slot of the oldest; or where the staged frames begin
    cdef uint32_t ring_count
    cdef Py_ssize_t ring_bytes      # bytes of the frames in the ring
    cdef Outgoing* outgoing         # owned, or NULL
    cdef PyObject* slot             # a ring of one, for the one frame that mostly waits
    cdef readonly int64_t messages_sent
    cdef readonly int64_t bytes_sent
    cdef double since               # start of the present wait as a sweep saw it; -1 at the next
    cdef uint32_t ring_capacity     # slots; a power of two
    cdef int fd                     # descriptor of the poller's; else below 0, `sink` takes the
                                    # bytes, and -2 - fd is its descriptor if it has lent one
    cdef readonly byte _phase
    cdef readonly byte _role
    cdef readonly byte _kind         # of wire, once it is open
    cdef byte events                # what epoll watches `fd` for
    cdef byte paused                # PAUSE_* bits
    cdef gf_flag dirty              # in the turn's dirty list
    cdef gf_flag is_skipped         # by the publish under way
    cdef gf_flag packs              # frames go through the codec's `pack` as they leave
    cdef gf_flag blocked            # the sink is full
    cdef gf_flag wants_drain        # the handler's `drain` is to be called
    cdef gf_flag resuming           # in the turn's resumed list, or will be
    cdef byte reading               # NOT_READING, READING or INTERRUPTED
    cdef gf_flag eof                # the peer ended its side while a request was being answered
    cdef gf_flag linger             # ENDING: wait for the peer's end before closing
    cdef gf_flag shut               # the writing side is ended
    cdef gf_flag is_made            # else `fd` is nobody's: a 0 that no one has set
    cdef readonly gf_flag _opened
    cdef public bint _holds_close    # the handler answers the peer's close
    cdef byte asked                 # NOT_YET, ASKED or RESTING
    cdef readonly uint16_t close_code
    cdef public object _sink         # or None
    cdef object _is_closing         # of the sink's, where it has lent its descriptor; or None
    cdef Incoming* incoming         # owned, or NULL
    cdef double* full_at            # when its buckets (messages, bytes) are full; owned, or NULL
    # Identity and the end.
    cdef public str id
    cdef public Plan _plan          # of a Dispatch: which handlers run
    cdef public object _inbox       # of a Dispatch: what waits for a handler; None while none runs
    cdef object _peername           # as set, or None
    cdef object _remote             # as set, or None
    cdef byte address[16]           # of the peer of a poller's descriptor
    cdef uint16_t port
    cdef byte family                # of `address`: AF_INET, AF_INET6, AF_UNIX, or 0
    cdef readonly str close_reason
    # Figures.
    cdef readonly int64_t messages_received
    cdef readonly int64_t messages_dropped
    cdef readonly int64_t bytes_received
    # Time: seconds by the turn's clock.
    cdef readonly double _opened_at  # when it was upgraded; 0 before
    cdef double ping_at             # when the next ping is due; -1 before the first sweep
    cdef int64_t acknowledged       # of `bytes_sent`, by the peer, when we last looked
    cdef double bought_until        # by what the peer took: no wait begins before
    cdef uint32_t ping_number       # carried by the latest ping
    cdef readonly uint32_t missed_pongs
    cdef readonly double _last_pong
    cdef readonly double _ping_sent
    cdef readonly double _ping_rtt
    # The turn's list; no references.
    cdef void* previous
    cdef void* next

    @cython.final
    cdef Py_ssize_t waiting_bytes(self)
    # Bytes in.
    @cython.final
    cdef int take(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef int take_in(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef int keep_for_later(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef int interrupt(self) except -1
    @cython.final
    cdef Py_ssize_t parse(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef Py_ssize_t parse_head(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef Py_ssize_t parse_body(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef Py_ssize_t parse_frame(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef Py_ssize_t read_payload(self, const byte* data, Py_ssize_t size) except -1
    @cython.final
    cdef int end_payload(self) except -1
    @cython.final
    cdef int deliver(self, int opcode, object message, Py_ssize_t size) except -1
    @cython.final
    cdef bint is_within_rates(self, Py_ssize_t size) except -1
    @cython.final
    cdef int control(self, int opcode, bytes payload) except -1
    @cython.final
    cdef int answer_ping(self, bytes pong) except -1
    @cython.final
    cdef int pong_received(self, bytes payload) except -1
    @cython.final
    cdef int close_received(self, bytes payload) except -1
    @cython.final
    cdef int ask_closing(self) except -1
    @cython.final
    cdef bint answers_pile_up(self) except -1
    @cython.final
    cdef int refuse(self, int status) except -1
    @cython.final
    cdef int need_incoming(self) except -1
    @cython.final
    cdef int trim_incoming(self) except -1
    @cython.final
    cdef int hear_end(self) except -1
    cpdef _pause_reading(self, int why)
    @cython.final
    cdef int resume(self, int why) except -1
    @cython.final
    cdef int handle_held(self) except -1
    @cython.final
    cdef int keep_answer_apart(self) except -1
    # Messages out.
    @cython.final
    cdef object send_now(self, object message, bint is_json)
    @cython.final
    cdef object send_frame(self, bytes data)
    @cython.final
    cdef object displacing(self, int fate)
    @cython.final
    cdef int send_directly(self, int opcode, object payload) except -1
    @cython.final
    cdef bytes encode(self, int opcode, object payload)
    @cython.final
    cdef bytes data_of(self, Frame frame)
    @cython.final
    cdef int push(self, bytes data) except -1
    @cython.final
    cdef int push_or_cut(self, Frame frame) except -1
    @cython.final
    cdef bint stage(self, int opcode, const char* data, Py_ssize_t size) except -1
    @cython.final
    cdef int unstage(self) except -1
    @cython.final
    cdef int keep_ring(self) except -1
    @cython.final
    cdef bint is_full_for(self, int times)
    @cython.final
    cdef Py_ssize_t frame_size(self, Py_ssize_t place)
    @cython.final
    cdef Py_ssize_t outsize(self)
    @cython.final
    cdef int displace(self) except -1
    @cython.final
    cdef int make_room(self) except -1
    @cython.final
    cdef int ring_append(self, bytes data) except -1
    @cython.final
    cdef PyObject* ring_pop(self)
    @cython.final
    cdef int ring_clear(self) except -1
    @cython.final
    cdef bint pack_ring(self) except -1
    @cython.final
    cdef int evict(self) except -1
    # Bytes out.
    @cython.final
    cdef int flush_now(self) except -1
    @cython.final
    cdef int break_off(self) except -1
    @cython.final
    cdef int catch_up(self) except -1
    @cython.final
    cdef int flushed(self, bint was_blocked) except -1
    @cython.final
    cdef int sent_together(self, Py_ssize_t sent) except -1
    @cython.final
    cdef Py_ssize_t write_some(self, Py_ssize_t* offered) except -2
    @cython.final
    cdef Py_ssize_t write_small(self, int fd, Py_ssize_t* offered) except -2
    @cython.final
    cdef Py_ssize_t write_large(self, int fd, Py_ssize_t* offered) except -2
    @cython.final
    cdef Py_ssize_t write_lent(self, Py_ssize_t* offered) except -2
    @cython.final
    cdef Py_ssize_t write_sink(self, Py_ssize_t* offered) except -2
    @cython.final
    cdef Py_ssize_t write_tls(self, _TlsSink sink, Py_ssize_t* offered) except -2
    @cython.final
    cdef Py_ssize_t write_directly(self, _TlsSink sink, Py_ssize_t* offered) except -2
    @cython.final
    cdef object plaintext(self)
    @cython.final
    cdef int taken(self, Py_ssize_t size) except -1
    @cython.final
    cdef PyObject* pop_output(self, Py_ssize_t* frames)
    @cython.final
    cdef int need_outgoing(self) except -1
    @cython.final
    cdef int trim_outgoing(self) except -1
    @cython.final
    cdef bint has_room(self)
    @cython.final
    cdef int report_drained(self) except -1
    @cython.final
    cdef int watch(self) except -1
    # The end.
    @cython.final
    cdef int set_close_frame(self, bytes payload) except -1
    @cython.final
    cdef int set_end(self, bytes frame) except -1
    @cython.final
    cdef int set_close(self, int code, str reason) except -1
    cdef int begin_close(self, int code, str reason) except -1
    @cython.final
    cdef int answer_close_by(self, int code, str reason) except -1
    @cython.final
    cdef int fail(self, int code, str reason) except -1
    @cython.final
    cdef int fail_or_cut(self, int code, str reason) except -1
    @cython.final
    cdef int end(self, bint linger) except -1
    @cython.final
    cdef int shut_down(self) except -1
    @cython.final
    cdef int close_now(self) except -1
    @cython.final
    cdef int free_buffers(self) except -1
    # Time.
    @cython.final
    cdef int sweep(self, double now) except -1
    @cython.final
    cdef bint rests(self, double now) except -1
    @cython.final
    cdef int reckon(self, double now) except -1
    @cython.final
    cdef int64_t takes_more(self) except? -1
    @cython.final
    cdef int keep_alive(self, double now) except -1
    @cython.final
    cdef bint catches_up(self, double now) except -1


cdef class Room:
    cdef public Py_ssize_t limit    # members; 0: none
    cdef readonly dict members      # by id, in the order of joining
    cdef PyObject** roll            # the same in a row, for `publish`; owns no references
    cdef Py_ssize_t roll_count      # -1: members have changed since

    @cython.final
    cdef int call_roll(self) except -1
    @cython.final
    cdef Turn publish_to_all(self, Frame frame, int64_t* counts)
    @cython.final
    cdef list named(self, object names)


cdef class Message:              # see the application's Message
    cdef public object type
    cdef public object data
    cdef public object event
    cdef public object room
    cdef public object target
    cdef public object connection_id
    cdef public object _timestamp
    cdef public object _metadata
    cdef public object id
    cdef public object raw
    cdef public bint is_envelope

    @cython.final
    cdef int clear(self) except -1


cdef class Context:
    cdef public Connection conn
    cdef public Message message
    cdef public object hub


cdef class Plan:
    cdef public tuple text
    cdef public tuple binary
    cdef public tuple json
    cdef public bint json_as_text
    cdef public dict events
    cdef public object value_of
    cdef public object dumps


cdef class Dispatch:
    cdef public object hub
    cdef readonly type message_type
    cdef readonly type context_type
    cdef readonly object text       # the type of a bare text message, of a binary one, of JSON
    cdef readonly object binary
    cdef readonly object json
    cdef unsigned int runs          # how often handlers were run
    cdef str last_event             # the name of the event that came last
    cdef Context spare              # with its message, to be used again; or None


cdef class Poller:
    cdef readonly Turn turn
    cdef public object accept_failed
    cdef bint is_made               # else `epoll` is nobody's: a 0 that no one has set
    cdef int epoll                  # owned descriptor, or -1
    cdef list listeners             # sockets by the index epoll knows; None where one left
    cdef list resting               # indexes of listeners that wait after a failure
    cdef byte* buffer               # READ_SIZE bytes: what one recv brings
    cdef gf_event* events           # MAX_EVENTS of them
    cdef list retired               # closed connections whose descriptor is still open
    cdef void* retired_tls          # the sinks of such, a list by their links; owns them
    cdef _Tls tls                   # of those who come, or None
    cdef byte* plain                # PLAIN_SIZE bytes: what one recv says; NULL without TLS
    cdef object failure             # of the latest `decrypt`, or None
    cdef int shakes                 # steps of handshakes in this turn, and readings without data

    @cython.final
    cdef int watch_listener(self, Py_ssize_t index, int operation) except -1
    @cython.final
    cdef int accept(self, Py_ssize_t index) except -1
    @cython.final
    cdef int serve(self, Connection conn, uint32_t events) except -1
    @cython.final
    cdef bint retire(self, Connection conn) except -1
    @cython.final
    cdef int serve_other(self, uint64_t data, uint32_t events) except -1
    @cython.final
    cdef int serve_tls(self, _TlsSink sink, uint32_t events) except -1
    @cython.final
    cdef int retire_tls(self, _TlsSink sink) except -1
    @cython.final
    cdef int close_retired(self) except -1


cdef class _Tls:
    cdef object context             # ssl.SSLContext
    cdef object describe            # (ssl.SSLObject) -> what `conn.sink.tls` gives
    cdef object failed              # (connection, ssl.SSLError)
    cdef object preface             # (connection, bytes so far) -> their size, 0, -1; or None
    cdef object incoming            # ssl.MemoryBIO: ciphertext of the peer who is served
    cdef object outgoing            # ssl.MemoryBIO: what OpenSSL has to send; empty between calls
    cdef object put_in              # `incoming.write`
    cdef object take_out            # `outgoing.read`
    cdef object error               # ssl.SSLError, SSLWantReadError, SSLZeroReturnError
    cdef object wants_more
    cdef object is_over
    cdef object direct_type         # of sessions that records go through without `ssl`, or None
    cdef object records_type        # counts records where they do not
    cdef object silent              # makes the error of a peer whose records hold no data
    cdef object long_handshake      # makes that of one that goes on shaking hands

    @cython.final
    cdef int purge(self) except -1
    @cython.final
    cdef object broken(self)

@cython.final
cdef class _TlsSink:
    cdef Poller poller
    cdef _Tls settings
    cdef Connection conn            # each holds the other until the descriptor is closed
    cdef object session             # ssl.SSLObject, or None before the first byte
    cdef object raw                 # what it is made of
    cdef void* direct               # OpenSSL's own of it, once records go through without `ssl`;
                                    # `session` owns it
    cdef bytes preface              # what came before TLS so far; None when nothing does, or after
    cdef bytes rest                 # ciphertext that has not left, or None
    cdef Py_ssize_t rest_offset     # bytes of it that have
    cdef int64_t cold_until         # of the connection's `bytes_sent`
    cdef uint32_t sweep             # the turn's, when something was sent last
    cdef object records             # counts those of a peer that go through `ssl`, or None
    cdef uint32_t silent            # bytes of ciphertext that came since the latest with data, or
                                    # in all until hands are shaken
    cdef int fd                     # owned
    cdef byte events                # what epoll watches it for
    cdef gf_flag is_made            # else `fd` is nobody's: a 0 that no one has set
    cdef gf_flag is_ready           # the handshake is done
    cdef gf_flag is_paused
    cdef gf_flag is_full            # the kernel has refused the rest
    cdef gf_flag owes               # the last byte of plaintext: encrypted and not owned up to
    cdef gf_flag is_shut            # our side is ended, or there is nobody to tell
    cdef gf_flag has_ended          # TCP's side is to be ended, once the rest has left
    cdef gf_flag heard_end          # of the peer's side
    cdef gf_flag end_waits          # for the connection to handle what came before
    cdef gf_flag is_retired
    cdef void* next                 # in the poller's list

    cdef int watch(self) except -1
    cdef int writable(self) except -1
    cdef int received(self, byte* data, Py_ssize_t size) except -1
    cdef int fail(self, failure) except -1
    cdef int hear_end(self) except -1
    cdef Py_ssize_t write(self, data, Py_ssize_t* offered) except -2
    cdef bytes read_preface(self, bytes data)
    cdef Py_ssize_t decrypt(self, data, bint* is_end) except -1
    cdef Py_ssize_t decrypt_directly(self, const byte* data, Py_ssize_t size, bint* is_end)
    cdef int shake_hands(self) except -1
    cdef bint needs_small(self, Py_ssize_t size)
    cdef int encrypt(self, data, Py_ssize_t size) except -2
    cdef Py_ssize_t write_directly(
        self, const char* data, Py_ssize_t size, Py_ssize_t* offered) except -2
    cdef int send_waiting(self) except -2
    cdef int keep(self) except -1
    cdef int add_rest(self, bytes more) except -1
    cdef int push(self) except -1
    cdef int send_rest(self) except -2
    cdef int set_full(self, bint is_full) except -1
    cdef int end(self) except -1
