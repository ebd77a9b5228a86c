//! A key-value service in JSON on hyper, with an access log, in place of the lab's service: what many small services are. On abaca's
//! fibers and on tokio's tasks, by the same lines.
//!
//! `PUT /KEY` keeps the JSON value that is the request's body, `GET /KEY` answers with key and value, and `GET /` with how many keys
//! there are; it begins with a thousand. Each request is a line of the log, which goes through a buffer to `/dev/null`: no disk is
//! measured.
//!
//! State between two events: in hyper's future, in the task or on the fiber's stack.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::abaca::Runtime;
use ::abaca::runtime::Builder;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::hyper::{self as http, on_abaca, on_tokio};
use super::{Model, abaca, tokio};

pub(super) const ON_ABACA: Model = Model {
    name: "abaca-json",
    about: "a JSON service with an access log, on hyper on abaca's fibers (M:N)",
    serve: |listener, options| on_fibers(listener, Runtime::builder().workers(options.workers)),
    ..http::ON_ABACA
};

pub(super) const ON_ABACA_OWN_TLS: Model = Model {
    name: "abaca-json-own-tls",
    about: "the same on fibers with storage of their own",
    available: abaca::has_own_tls,
    serve: |listener, options| {
        on_fibers(listener, abaca::own_tls(Runtime::builder().workers(options.workers)))
    },
    ..ON_ABACA
};

pub(super) const ON_TOKIO: Model = Model {
    name: "tokio-json",
    about: "a JSON service with an access log, on hyper on tokio's work-stealing threads",
    serve: |listener, options| {
        let store = Store::new()?;
        on_tokio(&tokio::threads(options)?, listener, move |request| Arc::clone(&store).answer(request))
    },
    ..http::ON_TOKIO
};

/// What all connections share. No lock is held across a wait, so those of std do on fibers as well.
struct Store {
    values: RwLock<HashMap<String, Value>>,
    log: Mutex<BufWriter<File>>,
}

impl Store {
    fn new() -> io::Result<Arc<Self>> {
        let item = |number: u32| {
            let value = json!({"name": format!("item {number}"), "price": f64::from(number) / 4.0, "tags": ["a", "b"]});
            (number.to_string(), value)
        };
        let log = OpenOptions::new().append(true).open("/dev/null")?;
        Ok(Arc::new(Self {
            values: RwLock::new((0..1000).map(item).collect()),
            log: Mutex::new(BufWriter::new(log)),
        }))
    }

    /// Answers a request, and logs it.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let began = Instant::now();
        let (head, body) = request.into_parts();
        let key = head.uri.path().trim_start_matches('/');
        let answer = if head.method == Method::PUT {
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            self.put(key, &body)
        } else {
            self.get(key)
        };
        let (status, body) = match answer {
            Ok(value) => (StatusCode::OK, value.to_string()),
            Err(status) => (status, String::new()),
        };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (method, path, code) = (&head.method, head.uri.path(), status.as_u16());
        let (bytes, us) = (body.len(), began.elapsed().as_micros());
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(log, "{time} \"{method} {path}\" {code} {bytes} {us}")?;
        drop(log);
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    fn get(&self, key: &str) -> Result<Value, StatusCode> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        match key {
            "" => Ok(json!({"keys": values.len()})),
            _ => {
                let value = values.get(key).ok_or(StatusCode::NOT_FOUND)?;
                Ok(json!({"key": key, "value": value}))
            }
        }
    }

    fn put(&self, key: &str, body: &[u8]) -> Result<Value, StatusCode> {
        let value = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        values.insert(key.to_owned(), value);
        Ok(json!({"key": key}))
    }
}

fn on_fibers(listener: TcpListener, builder: Builder) -> io::Result<Infallible> {
    let store = Store::new()?;
    on_abaca(builder, listener, move |request| Arc::clone(&store).answer(request))
}
