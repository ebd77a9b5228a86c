//! MQTT, by mosquitto.

use std::sync::atomic::{AtomicUsize, Ordering};

use rumqttc::{Client, ConnectionError, Event, MqttOptions, Packet, QoS};

use super::{Gone, Program, Version, text};
use crate::call::{Answer, Call};
use crate::seen;
use crate::servers::Which;

pub(super) const PROGRAMS: &[Program] = &[Program {
    name: "rumqttc",
    version: Version::Of("rumqttc"),
    is_there: |servers| servers.mosquitto.is_some(),
    slow: by_rumqttc,
    look: None,
    gone: Gone::Killed(Which::Mosquitto),
    goes_on: None,
}];

/// The client is told by the server what a thread has told the server, by the same connection.
fn by_rumqttc(call: &Call<'_>) -> Answer {
    static CLIENTS: AtomicUsize = AtomicUsize::new(0);
    let address = call.servers.mosquitto.expect("it runs");
    let name = format!("client-{}", CLIENTS.fetch_add(1, Ordering::Relaxed));
    let (client, mut connection) =
        Client::new(MqttOptions::new(&name, address.ip().to_string(), address.port()), 10);
    client.subscribe(&name, QoS::AtLeastOnce).map_err(text)?;
    let mut next = || connection.recv().expect("a client is there");
    while !matches!(next().map_err(short)?, Event::Incoming(Packet::SubAck(_))) {}
    call.ready();
    let time = call.time;
    std::thread::spawn(move || {
        let served = seen::begin();
        std::thread::sleep(time);
        drop(served);
        // The client may have given up.
        let _ = client.publish(name, QoS::AtLeastOnce, false, "done");
    });
    loop {
        if let Event::Incoming(Packet::Publish(message)) = next().map_err(short)? {
            return String::from_utf8(message.payload.into()).map_err(text);
        }
    }
}

/// Whether the server's end is seen as an end or as a reset is a matter of time.
fn short(error: ConnectionError) -> String {
    match error {
        ConnectionError::MqttState(_) | ConnectionError::Io(_) => "the connection is lost".into(),
        error => error.to_string(),
    }
}
