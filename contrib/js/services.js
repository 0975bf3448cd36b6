// Services that are no directories. In the rule file, a section with a name whose directory does not exist:
//
//     [www]
//
//     [status]
//     name=status
//     ru=operator
//
//     httpout --rdirs rules.ini --port 8080 --js contrib/js/services.js
//     curl -u operator http://127.0.0.1:8080/status/now

const began = Date.now();
const clients = new Set();

const services = {
  '/status/now': () => ({ up: (Date.now() - began) / 1000, clients: clients.size }),
};

httpout.on_request = (req) => {
  clients.add(req.netid);
  const service = services[req.path];
  // What the rules say: 200, or 401 and 403. To hand the request back is to let the server refuse it.
  if (service && req.auth_code === 200) {
    req.reply = 200;
    req.headers_out.push({ name: 'Content-Type', value: 'application/json' });
    req.body = JSON.stringify(service(req));
  }
  req.close = (code) => { if (code < 0) clients.delete(req.netid); };
  req.send();
};
