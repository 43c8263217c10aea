// gorilla/websocket: a reading goroutine per connection and, in rooms, a writing one, fed by a
// channel with prepared messages (each is framed once).
package main

import (
	"log"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

type member struct {
	conn *websocket.Conn
	out  chan *websocket.PreparedMessage
}

type room struct {
	sync.RWMutex
	members map[*member]struct{}
}

var (
	upgrader = websocket.Upgrader{}
	roomsMu  sync.Mutex
	rooms    = map[string]*room{}
)

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, data) != nil {
			return
		}
	}
}

func (m *member) write() {
	for message := range m.out {
		if m.conn.WritePreparedMessage(message) != nil {
			return
		}
	}
}

func (r *room) publish(sender *member, message *websocket.PreparedMessage) {
	r.RLock()
	defer r.RUnlock()
	for m := range r.members {
		if m == sender {
			continue
		}
		select {
		case m.out <- message:
		default: // a receiver that does not read: the newest is dropped
		}
	}
}

func join(name string, m *member) *room {
	roomsMu.Lock()
	defer roomsMu.Unlock()
	r := rooms[name]
	if r == nil {
		r = &room{members: map[*member]struct{}{}}
		rooms[name] = r
	}
	r.Lock()
	r.members[m] = struct{}{}
	r.Unlock()
	return r
}

func leave(name string, r *room, m *member) {
	roomsMu.Lock()
	defer roomsMu.Unlock()
	r.Lock()
	delete(r.members, m)
	if len(r.members) == 0 {
		delete(rooms, name)
	}
	r.Unlock()
	close(m.out)
}

func serveRoom(w http.ResponseWriter, req *http.Request) {
	conn, err := upgrader.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	name := strings.TrimPrefix(req.URL.Path, "/room/")
	m := &member{conn, make(chan *websocket.PreparedMessage, 256)}
	r := join(name, m)
	defer leave(name, r, m)
	go m.write()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		message, err := websocket.NewPreparedMessage(kind, data)
		if err != nil {
			return
		}
		r.publish(m, message)
	}
}

func idle(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

func main() {
	http.HandleFunc("/echo", echo)
	http.HandleFunc("/room/", serveRoom)
	http.HandleFunc("/idle", idle)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
