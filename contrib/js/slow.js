// Lets nobody have more than 100 kB/s, however many connections there are to a file.
//
//     httpout --rdirs www --port 8080 --js contrib/js/slow.js

const RATE = 100_000; // bytes a second

httpout.on_request = (req) => {
  const began = Date.now();
  // Asked before each block; the answer is in microseconds.
  req.throttle = (done, total) => Math.max(0, (done / RATE) * 1e6 - (Date.now() - began) * 1000);
  req.send();
};
