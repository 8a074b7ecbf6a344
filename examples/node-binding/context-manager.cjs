// OpenTelemetry's active context → the record of the thread: a ContextManager that tells observers outside which span the thread is in, whenever that
// changes. Node.js says when it changes by async_hooks, except where JavaScript itself goes over into another context: these ways are wrapped.
const { AsyncLocalStorage, AsyncResource, createHook } = require('node:async_hooks');
const { trace } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');

/** Of callbacks within callbacks; beyond it, the outer ones are in no span any more. */
const MAX_DEPTH = 1000;

class ThreadContextManager extends AsyncLocalStorageContextManager {
  #addon;
  /** Span → the 25 bytes of its record; undefined: it is none to be published. */
  #ids = new WeakMap();
  /** What the thread has published. */
  #current;
  /** What the callbacks around the present one had published. */
  #outer = [];
  #restore = [];
  #hook = createHook({
    before: () => {
      if (this.#outer.length === MAX_DEPTH) this.#outer.length = 0;
      this.#outer.push(this.#current);
      this.#publish(this.active());
    },
    after: () => this.#set(this.#outer.pop()),
  });

  /** addon: that of build.sh. */
  constructor(addon) {
    super();
    this.#addon = addon;
  }

  enable() {
    this.#hook.enable();
    const { runInAsyncScope } = AsyncResource.prototype;
    const { bind, snapshot } = AsyncLocalStorage;
    const inside = (fn) => this.#inside(fn);
    AsyncResource.prototype.runInAsyncScope = function (fn, ...args) {
      return runInAsyncScope.call(this, inside(fn), ...args);
    };
    AsyncLocalStorage.bind = (fn) => bind(inside(fn));
    AsyncLocalStorage.snapshot = () => {
      const run = snapshot();
      return (fn, ...args) => run(inside(fn), ...args);
    };
    this.#restore.push(() => {
      AsyncResource.prototype.runInAsyncScope = runInAsyncScope;
      Object.assign(AsyncLocalStorage, { bind, snapshot });
    });
    return super.enable();
  }

  disable() {
    this.#hook.disable();
    this.#restore.pop()?.();
    this.#set(undefined);
    this.#outer.length = 0;
    return super.disable();
  }

  with(context, fn, thisArg, ...args) {
    const outer = this.#current;
    this.#publish(context);
    try {
      return super.with(context, fn, thisArg, ...args);
    } finally {
      this.#set(outer);
    }
  }

  attach(context) {
    const token = super.attach(context);
    this.#publish(context);
    return {
      dispose: () => {
        token.dispose();
        this.#publish(this.active());
      },
      [Symbol.dispose]() {
        this.dispose();
      },
    };
  }

  /** A function that publishes the context in which it is called, as long as it runs. */
  #inside(fn) {
    const manager = this;
    return function (...args) {
      const outer = manager.#current;
      manager.#publish(manager.active());
      try {
        return fn.apply(this, args);
      } finally {
        manager.#set(outer);
      }
    };
  }

  #publish(context) {
    const span = trace.getSpan(context);
    this.#set(span === undefined ? undefined : this.#idsOf(span));
  }

  #idsOf(span) {
    if (this.#ids.has(span)) return this.#ids.get(span);
    const { traceId, spanId, traceFlags } = span.spanContext();
    // A remote parent, and one that is not sampled, is no span that this process makes.
    const ids = span.isRecording() ? new Uint8Array([...Buffer.from(traceId + spanId, 'hex'), traceFlags]) : undefined;
    this.#ids.set(span, ids);
    return ids;
  }

  #set(ids) {
    if (ids === this.#current) return;
    this.#current = ids;
    if (ids === undefined) this.#addon.leave();
    else this.#addon.enter(ids);
  }
}

module.exports = { ThreadContextManager };
