// What every JavaScript client says and wants to hear, browsers too. It uses
// nothing but the WebSocket interface of the web.

const equal = (got, want, what) => {
  if (got !== want) throw new Error(`${what}: ${String(got).slice(0, 80)}, want ${String(want).slice(0, 80)}`);
};

// connect resolves when the socket is open, and queues what comes.
const connect = (make, url, protocols = []) =>
  new Promise((resolve, reject) => {
    const ws = make(url, protocols);
    ws.binaryType = "arraybuffer";
    const queue = [];
    let waiting = null;
    const push = (item) => (waiting ? waiting(item) : queue.push(item));
    ws.onmessage = (e) => push({ data: e.data });
    ws.onclose = (e) => {
      push({ code: e.code, reason: e.reason });
      reject(new Error(`${url} closed with ${e.code}`));
    };
    ws.onerror = () => reject(new Error(`${url} failed`)); // older Nodes send no close event then
    const next = () =>
      queue.length
        ? Promise.resolve(queue.shift())
        : new Promise((r) => (waiting = (item) => { waiting = null; r(item); }));
    ws.onopen = () => resolve({ ws, next });
  });

export async function conversation(addr, make) {
  const base = `ws://${addr}`;

  let s = await connect(make, `${base}/echo`, ["foo", "lab.v1"]);
  equal(s.ws.protocol, "lab.v1", "subprotocol");
  for (const text of ["hello", "", "grüß dich, κόσμε 😀", "x".repeat(1 << 20)]) {
    s.ws.send(text);
    equal((await s.next()).data, text, "text");
  }
  for (const n of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    const bytes = new Uint8Array(n).map((_, i) => i * 7);
    s.ws.send(bytes);
    const got = new Uint8Array((await s.next()).data);
    equal(got.length, n, "length of binary");
    if (got.some((b, i) => b !== bytes[i])) throw new Error(`binary of ${n} bytes came back changed`);
  }
  for (let i = 0; i < 200; i++) s.ws.send(`burst ${i}`);
  for (let i = 0; i < 200; i++) equal((await s.next()).data, `burst ${i}`, "order");
  s.ws.close(4001, "done");
  let end = await s.next();
  equal(`${end.code} ${end.reason}`, "4001 done", "our close");

  s = await connect(make, `${base}/hello`);
  equal((await s.next()).data, "welcome", "first word");
  s.ws.close();
  end = await s.next();
  equal([1000, 1005].includes(end.code), true, `close without a code: ${end.code}`);

  s = await connect(make, `${base}/verdict`);
  s.ws.send(`{"code":4002,"reason":"grüß"}`);
  end = await s.next();
  equal(`${end.code} ${end.reason}`, "4002 grüß", "the endpoint's close");

  s = await connect(make, `${base}/panic`);
  s.ws.send("now");
  equal((await s.next()).code, 1011, "a panic");

  s = await connect(make, `${base}/rate`);
  s.ws.send("x".repeat(70000));
  equal((await s.next()).code, 1009, "a message above the limit");

  s = await connect(make, `${base}/info/7?x=8`);
  s.ws.send("who");
  const info = JSON.parse((await s.next()).data);
  equal(info.parameters.x, "7", "path parameter");
  s.ws.close();
  await s.next();

  s = await connect(make, `${base}/flood`);
  for (let i = 0; i < 500; i++) equal((await s.next()).data.byteLength, 4096, "flood");
  s.ws.close();

  let refused = false;
  await connect(make, `${base}/nothing`).catch(() => (refused = true));
  equal(refused, true, "a path without a route is refused");
}
