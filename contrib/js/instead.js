// Sends one file for another: to who asks for /latest.mp4, what the last upload brought.
//
//     httpout --rdirs www --wdir www --port 8080 --js contrib/js/instead.js
//     curl -T film.mp4 http://127.0.0.1:8080/films/1.mp4
//     curl -O http://127.0.0.1:8080/latest.mp4

let latest = '';

httpout.on_request = (req) => {
  if (req.method === 'PUT' && req.path.endsWith('.mp4')) {
    req.close = (code) => { if (code === 1) latest = `www${req.path}`; };
  } else if (req.path === '/latest.mp4') {
    req.body = latest; // a file of a directory that is served; if it is not there, the server goes on without it
    req.headers_out.push({ name: 'Cache-Control', value: 'no-store' });
  }
  req.send();
};
