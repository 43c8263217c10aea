/** A stream of events that looks like a WebSocket, for where those are blocked.
 *
 * What comes is read from one endless answer; what is sent goes by requests, one after the other. */

export function openEvents(url: any, token: string | null | undefined): any {
  const end = new AbortController();
  const headers: any = {
    Authorization: token ? "Bearer " + token : "",
    "Content-Type": "application/json",
    Session: "new",
  };
  const ask = (more?: object) => fetch(url, { headers, signal: end.signal, ...more });
  let why: any = { code: 1006 };
  const answer = ask();
  let sending: Promise<any> = answer; // what is said waits for what was said before

  const socket: any = {
    close: () => end.abort(),
    readyState: 1,
    send(data: any) {
      const body = data[0] == "{" ? data : JSON.stringify({ type: "text", data });
      const post = async (): Promise<any> =>
        (await ask({ method: "POST", body })).status > 428 &&
        new Promise((again) => setTimeout(again, 1_000)).then(post); // it asks to wait
      sending = sending.then(post).catch(socket.close);
    },
  };

  const read = async () => {
    const { status, body } = await answer;
    if (status == 401) why.code = 4401;
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", part; (part = (await reader.read()).value); ) {
      const blocks = (rest + part).split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) {
        // A comment, or an id alone, is 0.
        const data = JSON.parse((block.split(/^data: /m)[1] ?? 0) as string);
        if (block[0] != "e") data && socket.onmessage?.({ data });
        else if ((headers.Session = data.session)) socket.onopen?.(); // the first event
        else why = data; // the last
      }
    }
  };

  read()
    .catch(() => {}) // it broke, or was to end
    .then(() => socket.onclose?.(why));
  return socket;
}
