// Answers piece by piece, and says "not yet" in between: a line a second, ten of them.
//
//     httpout --rdirs www --port 8080 --js contrib/js/clock.js
//     curl -N http://127.0.0.1:8080/clock

httpout.on_request = (req) => {
  if (req.path === '/clock') {
    let [left, due] = [10, Date.now()];
    req.reply = 200;
    req.headers_out.push({ name: 'Content-Type', value: 'text/plain' });
    req.read = (buffer) => {
      if (left === 0) return 0; // the end
      if (Date.now() < due) return -1; // nothing yet
      [left, due] = [left - 1, due + 1000];
      const line = `${new Date().toISOString()}\n`;
      const bytes = new Uint8Array(buffer);
      for (let at = 0; at < line.length; at++) bytes[at] = line.charCodeAt(at);
      return line.length;
    };
    req.close = (code) => print(`the clock is over: ${code === 1 ? 'all was sent' : 'the client is gone'}`);
  }
  req.send();
};
