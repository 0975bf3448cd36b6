// Answers by itself: a text, with fields of its own.
//
//     httpout --rdirs www --port 8080 --js contrib/js/hello.js
//     curl -i http://127.0.0.1:8080/hello

httpout.on_request = (req) => {
  req.headers_out.push({ name: 'X-Server', value: 'a script' });
  if (req.path === '/hello') {
    req.reply = 200;
    req.headers_out.push({ name: 'Content-Type', value: 'text/plain; charset=utf-8' });
    req.body = `Hello ${req.IP}, this is request ${++count}.\n`;
  }
  // With reply at 0, the server answers, with the field above.
  req.send();
};

let count = 0;
