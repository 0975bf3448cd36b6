// What a script finds: `httpout`, `print`, `console`, timers, and the objects of its requests. `native` is what the server gives;
// what is returned is what the server calls.
(function (native, block) {
  'use strict';

  const { stringify } = JSON;
  const toBase64 = Uint8Array.prototype.toBase64;
  const live = new Map();
  const timers = new Map();
  const MOST_TIMERS = 10000;

  // An error as a line: what it says, and where, without the server's own functions.
  function trace(error) {
    const places = String(error.stack ?? '').split('\n').map((line) => line.trim());
    return [`${error}`, ...places.filter((place) => place && !place.includes('(httpout:'))].join('; ');
  }

  function show(value) {
    if (typeof value === 'string') return value;
    if (value instanceof Error) return trace(value);
    if (value === null || typeof value !== 'object') return String(value);
    try {
      return stringify(value) ?? String(value);
    } catch {
      return String(value);
    }
  }

  const isFunction = (value) => typeof value === 'function';
  const isLater = (value) => value !== null && typeof value === 'object' && isFunction(value.then);

  // ---- requests ----

  const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);

  class Request {
    // What scripts cannot reach: the request's number, what was sent of it, and what was asked of the server before.
    #own;

    constructor(id, method, url, code) {
      this.#own = { id, sent: false };
      this.method = method;
      this.url = url;
      this.auth_code = code;
      this.reply = 0;
      this.headers_out = [];
    }

    get headers_in() {
      const own = this.#own;
      return (own.fields ??= native.fields(own.id).map(([name, value]) => ({ name, value })));
    }

    get #known() {
      const own = this.#own;
      return (own.facts ??= native.facts(own.id));
    }

    get tls() { return this.#known.tls; }
    get netid() { return this.#known.netid; }
    get IP() { return this.#known.ip; }
    get ip() { return this.#known.ip; }
    get port() { return this.#known.port; }
    get user() { return this.#known.user ?? null; }
    get path() { return this.#known.path; }
    get query() { return this.#known.query ?? null; }

    send() {
      const own = this.#own;
      if (own.sent) throw new TypeError('send() was called before');
      own.sent = true;
      try {
        this.#release(own);
      } catch (error) {
        native.fault(own.id, 'send', error);
        throw error;
      }
    }

    #release({ id, ended }) {
      const { reply, body, headers_out } = this;
      if (!Number.isInteger(reply)) throw new TypeError(`reply is ${show(reply)}, which is no status`);
      const throttled = isFunction(this.throttle);
      const headers = [];
      if (headers_out !== undefined && headers_out !== null) {
        for (const header of headers_out) headers.push(String(header.name), String(header.value));
      }
      const given = body === undefined || body === null ? '' : body;
      if (reply === 0 && ended) throw new TypeError('reply is 0, but the body is taken: the server cannot answer');
      if (reply === 0 && given === '' && headers.length === 0) return native.pass(id, throttled);
      const kind = reply === 0 ? 'pass' : this.#kind(reply, ended);
      if (isBytes(given)) native.send(id, kind, reply, base64(given), true, headers, throttled);
      else native.send(id, kind, reply, String(given), false, headers, throttled);
    }

    #kind(reply, ended) {
      const { method } = this;
      const uploads = method === 'PUT' || method === 'POST' || method === 'PATCH';
      if (!ended && !BODILESS.has(method)) {
        if (isFunction(this.write)) return 'take';
        if (reply >= 300) return 'answer';
        // Only of an upload it is known that the body counts.
        if (!uploads) return isFunction(this.read) ? 'read' : 'answer';
        throw new TypeError(`reply is ${reply} to ${method}, and there is no write() to take its body`);
      }
      return isFunction(this.read) ? 'read' : 'answer';
    }

    // The body is whole: what the request says now is the answer.
    static end(req) {
      req.#own.ended = true;
      const given = req.write(null);
      if (isLater(given)) Request.watch(req, given);
      req.#release(req.#own);
    }

    // write() gave a promise, which is not waited for. If it fails, so does the upload.
    static watch(req, given) {
      given.then(undefined, (error) => native.broke(req.#own.id, 'write', error));
    }

    static pull(req) {
      const buffer = (req.#own.buffer ??= new ArrayBuffer(block));
      return taken(req.read(buffer), buffer);
    }

    // True if the script has no more part in it.
    static isOver(req) {
      const waits = isFunction(req.close) || isFunction(req.read) || isFunction(req.write) || isFunction(req.throttle);
      return req.#own.sent && !waits;
    }
  }

  const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

  function base64(bytes) {
    const view = bytes instanceof ArrayBuffer
      ? new Uint8Array(bytes)
      : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return toBase64.call(view);
  }

  // What read() gave: a number is passed on, bytes as text.
  function taken(given, buffer) {
    if (typeof given === 'number') {
      if (!Number.isInteger(given)) throw new TypeError(`read() gave ${given}, which is no number of bytes`);
      if (given <= 0) return given;
      if (given > buffer.byteLength) {
        throw new RangeError(`read() says that it put ${given} bytes into a buffer of ${buffer.byteLength}`);
      }
      return base64(new Uint8Array(buffer, 0, given));
    }
    if (given === null || given === undefined) return 0;
    if (isLater(given)) {
      given.then(undefined, () => {});
      throw new TypeError('read() gave a promise: it must give the bytes at once, or -1 for later');
    }
    if (isBytes(given)) return given.byteLength === 0 ? 0 : base64(given);
    throw new TypeError(`read() gave ${show(given)}, and not a number of bytes`);
  }

  const httpout = {};

  const server = {
    ask(id, method, url, code) {
      const req = new Request(id, method, url, code);
      let result;
      try {
        result = httpout.on_request(req);
      } catch (error) {
        live.set(id, req);
        throw error;
      }
      if (result === undefined && Request.isOver(req)) return true;
      live.set(id, req);
      if (isLater(result)) result.then(undefined, (error) => native.fault(id, 'on_request', error));
      return false;
    },
    read(id) {
      const req = live.get(id);
      return req && isFunction(req.read) ? Request.pull(req) : 0;
    },
    write(id, data) {
      const req = live.get(id);
      if (!req || !isFunction(req.write)) return;
      const given = req.write(data);
      if (isLater(given)) Request.watch(req, given);
    },
    end(id) {
      const req = live.get(id);
      if (req) Request.end(req);
    },
    pace(id, done, total) {
      const req = live.get(id);
      if (!req || !isFunction(req.throttle)) return 0;
      const given = req.throttle(done, total);
      if (isLater(given)) {
        given.then(undefined, () => {});
        throw new TypeError('throttle() gave a promise: it must give a number at once');
      }
      const delay = Number(given);
      return req.throttle_unit === 'ms' ? delay * 1000 : delay;
    },
    close(id, code) {
      const req = live.get(id);
      live.delete(id);
      if (req && isFunction(req.close)) req.close(code);
    },
    fire(id) {
      const timer = timers.get(id);
      if (!timer) return;
      if (timer.every === undefined) timers.delete(id);
      else native.arm(id, timer.every);
      try {
        timer.work(...timer.given);
      } catch (error) {
        // An interval that fails each time is told once.
        if (timer.failed) return;
        timer.failed = true;
        throw error;
      }
    },
    ready() {
      return isFunction(httpout.on_request);
    },
  };

  // ---- timers ----

  let next = 0;

  function start(work, delay, given, repeats) {
    if (!isFunction(work)) throw new TypeError('a timer needs a function');
    if (timers.size >= MOST_TIMERS) throw new RangeError(`there are ${MOST_TIMERS} timers`);
    const time = Number(delay);
    const every = time > 0 ? time : repeats ? 1 : 0;
    const id = ++next;
    timers.set(id, { work, given, every: repeats ? every : undefined });
    native.arm(id, every);
    return id;
  }

  function stop(id) {
    if (timers.delete(id)) native.disarm(id);
  }

  // ---- the log ----

  const LEVELS = { error: 1, warn: 2, warning: 2, info: 3, debug: 4 };
  const log = (level, words) => native.log(level, words.map(show).join(' '));

  const globals = {
    httpout,
    print(...words) {
      const [first] = words;
      const leads = words.length > 1 && (typeof first === 'number' || Object.hasOwn(LEVELS, first));
      if (leads) log(LEVELS[first] ?? first, words.slice(1));
      else log(3, words);
    },
    console: {
      log: (...words) => log(3, words),
      info: (...words) => log(3, words),
      warn: (...words) => log(2, words),
      error: (...words) => log(1, words),
      debug: (...words) => log(4, words),
    },
    setTimeout: (work, delay, ...given) => start(work, delay, given, false),
    setInterval: (work, delay, ...given) => start(work, delay, given, true),
    clearTimeout: stop,
    clearInterval: stop,
    GF_LOG_ERROR: 1,
    GF_LOG_WARNING: 2,
    GF_LOG_INFO: 3,
    GF_LOG_DEBUG: 4,
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  return server;
})
