//! What is measured: scenarios, each with its models.

use super::{Model, Service};

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    pub(crate) connections: usize,
    /// 1: server pinned to CPU 0, client to CPU 1. 2: nobody is pinned.
    pub(crate) workers: usize,
    pub(crate) models: &'static [Model],
}

const ECHO_PINNED: &[Model] = &[
    Model::Epoll,
    Model::Abaca,
    Model::AbacaThread,
    Model::TokioCt,
    Model::Tokio,
    Model::May,
    Model::Go,
    Model::Threads,
];
const ECHO_FREE: &[Model] =
    &[Model::Epoll, Model::Abaca, Model::AbacaThread, Model::Tokio, Model::May, Model::Go];
const HELLO: &[Model] =
    &[Model::Epoll, Model::Abaca, Model::Tokio, Model::Hyper, Model::May, Model::Minihttp, Model::Go];

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "echo 64 B, 64, pinned",
        service: Service::Echo,
        connections: 64,
        workers: 1,
        models: ECHO_PINNED,
    },
    Scenario {
        name: "echo 64 B, 1000, pinned",
        service: Service::Echo,
        connections: 1000,
        workers: 1,
        models: ECHO_PINNED,
    },
    Scenario {
        name: "echo 64 B, 64, free",
        service: Service::Echo,
        connections: 64,
        workers: 2,
        models: ECHO_FREE,
    },
    Scenario {
        name: "echo 64 B, 1000, free",
        service: Service::Echo,
        connections: 1000,
        workers: 2,
        models: ECHO_FREE,
    },
    Scenario {
        name: "hello (wrk), 64, pinned",
        service: Service::Hello,
        connections: 64,
        workers: 1,
        models: HELLO,
    },
    Scenario {
        name: "hello (wrk), 512, pinned",
        service: Service::Hello,
        connections: 512,
        workers: 1,
        models: HELLO,
    },
    Scenario {
        name: "hello (wrk), 64, free",
        service: Service::Hello,
        connections: 64,
        workers: 2,
        models: HELLO,
    },
    Scenario {
        name: "hello (wrk), 512, free",
        service: Service::Hello,
        connections: 512,
        workers: 2,
        models: HELLO,
    },
];
