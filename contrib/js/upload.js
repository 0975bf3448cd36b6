// Takes uploads to /count itself, as they come in, and stores nothing.
//
//     httpout --rdirs www --port 8080 --js contrib/js/upload.js
//     curl -T film.mp4 http://127.0.0.1:8080/count

httpout.on_request = (req) => {
  if (req.path === '/count' && (req.method === 'PUT' || req.method === 'POST')) {
    let bytes = 0;
    req.reply = 200;
    req.write = (buffer) => {
      if (buffer) bytes += buffer.byteLength;
      else req.body = `${bytes} bytes\n`; // null: that was all
    };
  }
  req.send();
};
