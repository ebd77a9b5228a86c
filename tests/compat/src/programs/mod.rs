//! The programs: a call that takes as long as it says at its server, and one whose server goes away in the middle.

mod beside;
#[cfg(feature = "whole")]
mod c;
#[cfg(feature = "whole")]
mod channels;
#[cfg(feature = "whole")]
mod directory;
#[cfg(feature = "whole")]
mod files;
mod http;
#[cfg(feature = "whole")]
mod lines;
#[cfg(feature = "whole")]
mod mqtt;
mod native;
mod redis;
#[cfg(feature = "whole")]
mod secure;
#[cfg(feature = "whole")]
mod sql;
#[cfg(feature = "whole")]
mod web;

use crate::call::{Answer, Call};
use crate::servers::{Servers, Which};

/// Where the version of a program is found.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    Toolchain,
    /// A package, in the lock file.
    Of(&'static str),
    /// A package, and a library that tells its own.
    With(&'static str, fn() -> String),
    Library(fn() -> String),
}

/// What happens to a call whose server goes away in the middle.
#[derive(Clone, Copy)]
pub(crate) enum Gone {
    /// Its server is this program's, and closes the connection.
    Closes(fn(&Call<'_>) -> Answer),
    /// Its server is killed.
    Killed(Which),
    /// It has no other server than the process.
    Never,
}

/// How many calls a server that does not tell by itself serves now.
pub(crate) type Look = fn(&Servers) -> Box<dyn FnMut() -> usize>;

pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) version: Version,
    pub(crate) is_there: fn(&Servers) -> bool,
    pub(crate) slow: fn(&Call<'_>) -> Answer,
    pub(crate) look: Option<Look>,
    pub(crate) gone: Gone,
    /// Why a deadline does not end its call, if it does not.
    pub(crate) goes_on: Option<&'static str>,
}

/// It waits for another thread of its own process by a lock or a channel of std's, which goes on: the thread would be waited for anyway.
const WAITS_FOR_A_THREAD: Option<&str> = Some("goes on: waits for another thread");

/// All rooms' programs, in the order of the page.
pub(crate) fn programs() -> impl Iterator<Item = &'static Program> {
    #[cfg(feature = "whole")]
    let of_libraries = [
        web::PROGRAMS,
        secure::PROGRAMS,
        lines::PROGRAMS,
        sql::PROGRAMS,
        mqtt::PROGRAMS,
        directory::PROGRAMS,
        c::PROGRAMS,
        files::PROGRAMS,
        channels::PROGRAMS,
    ];
    #[cfg(not(feature = "whole"))]
    let of_libraries: [&[Program]; 0] = [];
    let rooms = [http::PROGRAMS, redis::PROGRAMS].into_iter().chain(of_libraries);
    rooms.chain([native::PROGRAMS, beside::PROGRAMS]).flatten()
}

fn always(_: &Servers) -> bool {
    true
}

fn text<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

/// The page of this program's server that takes as long as the call says.
fn slow_page(call: &Call<'_>) -> String {
    format!("http://{}/slow/{}", call.servers.http, call.time.as_millis())
}

/// The page in whose middle the server goes away.
fn half_page(call: &Call<'_>) -> String {
    format!("http://{}/half", call.servers.http)
}
