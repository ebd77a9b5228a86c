//! Redis.

use std::sync::OnceLock;
use std::time::Duration;

use super::{Gone, Program, Version, text};
use crate::call::{Answer, Call};
use crate::servers::{Servers, Which};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "redis",
        version: Version::Of("redis"),
        is_there: has_redis,
        slow: |call| by_redis(call, &mut redis_client(call.servers)?.get_connection().map_err(text)?),
        look: Some(look_at_redis),
        gone: Gone::Killed(Which::Redis),
        goes_on: None,
    },
    Program {
        name: "r2d2 with redis",
        version: Version::Of("r2d2"),
        is_there: has_redis,
        slow: by_r2d2,
        look: Some(look_at_redis),
        gone: Gone::Killed(Which::Redis),
        goes_on: None,
    },
];

pub(super) fn has_redis(servers: &Servers) -> bool {
    servers.redis.is_some()
}

fn redis_client(servers: &Servers) -> Result<redis::Client, String> {
    let path = servers.redis.as_ref().expect("it runs");
    redis::Client::open(format!("redis+unix://{}", path.display())).map_err(text)
}

pub(super) fn look_at_redis(servers: &Servers) -> Box<dyn FnMut() -> usize> {
    let mut connection = redis_client(servers).unwrap().get_connection().unwrap();
    Box::new(move || {
        let about: String = redis::cmd("INFO").arg("clients").query(&mut connection).unwrap_or_default();
        let blocked = about.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
        blocked.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    })
}

fn by_redis(call: &Call<'_>, connection: &mut redis::Connection) -> Answer {
    call.ready();
    let time = call.time.as_secs_f64();
    let nothing: Option<(String, String)> =
        redis::cmd("BLPOP").arg("nothing").arg(time).query(connection).map_err(text)?;
    redis::cmd("SET").arg("key").arg(42).exec(connection).map_err(text)?;
    let last: u32 = redis::cmd("GET").arg("key").query(connection).map_err(text)?;
    Ok(format!("{nothing:?} {last}"))
}

/// One pool for all; its threads are OS threads.
fn by_r2d2(call: &Call<'_>) -> Answer {
    static POOL: OnceLock<r2d2::Pool<redis::Client>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let pool = r2d2::Pool::builder().max_size(10).connection_timeout(Duration::from_secs(60));
        pool.build_unchecked(redis_client(call.servers).expect("an address"))
    });
    let mut connection = pool.get().map_err(text)?;
    by_redis(call, &mut connection)
}
