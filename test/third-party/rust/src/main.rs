//! An HTTP server or client whose threads publish their spans by Datadog's crates, in the two styles that there are: the server's threads have one
//! record each and update it in place, the client's attach one for each request. Arguments, protocol and modes: ../README.md.
//!
//!     libdd-peer serve threads
//!     libdd-peer call threads PORT

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::BufRead;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use libdd_library_config::otel_process_ctx;
use libdd_library_config::tracer_metadata::{ThreadLocalMetadata, TracerMetadata};
use libdd_otel_thread_ctx::linux::OwnedThreadContext;

const MODES: [&str; 5] = ["both", "client", "server", "none", "early"];

fn publish(service: &str) {
    let metadata = TracerMetadata {
        service_name: Some(service.to_owned()),
        tracer_language: "rust".to_owned(),
        threadlocal_metadata: Some(ThreadLocalMetadata {
            attribute_keys: vec!["request.id".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    otel_process_ctx::publish(&metadata.to_otel_process_ctx()).expect("publish the process context");
}

struct Span {
    trace: [u8; 16],
    span: [u8; 8],
}

fn random() -> [u8; 8] {
    RandomState::new().build_hasher().finish().max(1).to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Span {
    fn new() -> Self {
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&random());
        trace[8..].copy_from_slice(&random());
        Span { trace, span: random() }
    }

    fn line(&self, number: u64) -> String {
        let (trace, span) = (hex(&self.trace), hex(&self.span));
        format!(r#"{{"kind":"trace","id":{number},"spans":[{{"trace":"{trace}","span":"{span}","name":"peer"}}]}}"#)
    }
}

/// Number and mode in `/t?id=…&mode=…`.
fn asked(target: &str) -> (u64, &str) {
    let query = target.split_once("?id=").expect("a query").1;
    let (number, mode) = query.split_once("&mode=").expect("a mode");
    (number.parse().expect("a number"), mode)
}

fn serve() {
    publish("libdd-server");
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("listen"));
    let port = server.server_addr().to_ip().expect("an address").port();
    for _ in 0..4 {
        let server = server.clone();
        thread::spawn(move || loop {
            let request = server.recv().expect("a request");
            let target = request.url().to_owned();
            let (number, mode) = asked(&target);
            if matches!(mode, "both" | "server" | "early") {
                let span = Span::new();
                println!("{}", span.line(number));
                OwnedThreadContext::update(span.trace, span.span, 1, span.span, &[(1, &number.to_string())]);
            }
            if mode == "early" {
                OwnedThreadContext::detach();
            }
            request.respond(tiny_http::Response::from_string("ok")).expect("respond");
            if mode == "server" || mode == "both" {
                OwnedThreadContext::detach();
            }
        });
    }
    println!(r#"{{"kind":"ready","port":{port}}}"#);
    for _ in std::io::stdin().lock().lines() {}
}

/// How many have failed.
fn run(port: u16, first: u64, count: u64, concurrency: u64, mode: &str, traces: &Arc<Mutex<Vec<String>>>) -> u64 {
    let next = AtomicU64::new(first);
    let failed = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..concurrency {
            scope.spawn(|| {
                let agent = ureq::Agent::new_with_defaults();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count {
                        return;
                    }
                    let mode = if mode == "mixed" { MODES[number as usize % MODES.len()] } else { mode };
                    if matches!(mode, "both" | "client" | "early") {
                        let span = Span::new();
                        traces.lock().expect("a lock").push(span.line(number));
                        OwnedThreadContext::new(span.trace, span.span, 1, span.span, &[]).attach();
                    }
                    let answer = agent.get(format!("http://127.0.0.1:{port}/t?id={number}&mode={mode}")).call();
                    OwnedThreadContext::detach();
                    let body = answer.and_then(|mut answer| answer.body_mut().read_to_string());
                    if !matches!(body.as_deref(), Ok("ok")) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

fn call(port: u16) {
    publish("libdd-client");
    println!(r#"{{"kind":"ready"}}"#);
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().expect("a number");
        let traces = Arc::new(Mutex::new(Vec::new()));
        let failed = run(port, number(1), number(2), number(3), words[4], &traces);
        let traces = traces.lock().expect("a lock").join(",");
        println!(r#"{{"kind":"done","failed":{failed},"traces":[{traces}]}}"#);
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "serve" => serve(),
        "call" => call(args[3].parse().expect("a port")),
        role => panic!("{role}: serve or call"),
    }
}
