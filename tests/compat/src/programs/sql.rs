//! Clients of SQL databases, and a database in the process.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::Integer;
use diesel::{Connection, RunQueryDsl};
use mysql::prelude::Queryable;

use super::{Gone, Program, Version, always, text};
use crate::call::{Answer, Call};
use crate::seen;
use crate::servers::{Servers, Which};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "postgres",
        version: Version::Of("postgres"),
        is_there: |servers| servers.postgres.is_some(),
        slow: by_postgres,
        look: Some(look_at_postgres),
        gone: Gone::Killed(Which::Postgres),
        goes_on: None,
    },
    Program {
        name: "diesel",
        version: Version::Of("diesel"),
        is_there: |servers| servers.postgres.is_some(),
        slow: by_diesel,
        look: Some(look_at_postgres),
        gone: Gone::Killed(Which::Postgres),
        goes_on: None,
    },
    Program {
        name: "mysql",
        version: Version::Of("mysql"),
        is_there: |servers| servers.mariadb.is_some(),
        slow: by_mysql,
        look: Some(look_at_mariadb),
        gone: Gone::Killed(Which::Mariadb),
        goes_on: None,
    },
    Program {
        name: "rusqlite",
        version: Version::With("rusqlite", || format!("SQLite {}", rusqlite::version())),
        is_there: always,
        slow: by_rusqlite,
        look: None,
        gone: Gone::Never,
        goes_on: None,
    },
];

fn postgres_client(servers: &Servers) -> Result<postgres::Client, String> {
    let folder = servers.postgres.as_ref().expect("it runs");
    let settings = format!("host={} user=abaca dbname=postgres", folder.display());
    postgres::Client::connect(&settings, postgres::NoTls).map_err(text)
}

pub(super) fn look_at_postgres(servers: &Servers) -> Box<dyn FnMut() -> usize> {
    // After it was killed it takes a while to recover, in which it refuses clients.
    let mut client = loop {
        match postgres_client(servers) {
            Ok(client) => break client,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Box::new(move || {
        let row = client.query_one("select count(*) from pg_stat_activity where wait_event = 'PgSleep'", &[]);
        row.map_or(0, |row| row.get::<_, i64>(0) as usize)
    })
}

fn by_postgres(call: &Call<'_>) -> Answer {
    let mut client = postgres_client(call.servers)?;
    call.ready();
    let row = client.query_one("select 6 * 7, pg_sleep($1)", &[&call.time.as_secs_f64()]).map_err(text)?;
    Ok(row.get::<_, i32>(0).to_string())
}

/// By libpq, which it links.
fn by_diesel(call: &Call<'_>) -> Answer {
    let folder = call.servers.postgres.as_ref().expect("it runs");
    let settings = format!("host={} user=abaca dbname=postgres", folder.display());
    let mut client = diesel::PgConnection::establish(&settings).map_err(text)?;
    call.ready();
    let query = format!("6 * 7 from pg_sleep({})", call.time.as_secs_f64());
    let answer: i32 = diesel::select(sql::<Integer>(&query)).get_result(&mut client).map_err(text)?;
    Ok(answer.to_string())
}

fn mysql_client(servers: &Servers) -> Result<mysql::Conn, String> {
    let path = servers.mariadb.as_ref().expect("it runs");
    let settings = mysql::OptsBuilder::new().socket(path.to_str()).user(Some("root"));
    mysql::Conn::new(settings).map_err(text)
}

pub(super) fn look_at_mariadb(servers: &Servers) -> Box<dyn FnMut() -> usize> {
    let mut client = mysql_client(servers).unwrap();
    let query = "select count(*) from information_schema.processlist where state = 'User sleep'";
    Box::new(move || client.query_first(query).ok().flatten().unwrap_or(0))
}

fn by_mysql(call: &Call<'_>) -> Answer {
    let mut client = mysql_client(call.servers)?;
    call.ready();
    let query = format!("select 6 * 7, sleep({})", call.time.as_secs_f64());
    let row: Option<(u32, u32)> = client.query_first(query).map_err(text)?;
    Ok(format!("{row:?}"))
}

/// A reader that waits for another thread's lock on the file, as SQLite does: it sleeps and looks again.
fn by_rusqlite(call: &Call<'_>) -> Answer {
    static FILES: Mutex<u64> = Mutex::new(0);
    let path = {
        let mut files = FILES.lock().unwrap();
        *files += 1;
        call.servers.marks.with_file_name(format!("sqlite-{files}"))
    };
    let client = rusqlite::Connection::open(&path).map_err(text)?;
    client.busy_timeout(Duration::from_secs(60)).map_err(text)?;
    client.execute_batch("create table t (n integer); insert into t values (42)").map_err(text)?;
    let (locked, when_locked) = channel();
    let (go, when_to_go) = channel();
    let time = call.time;
    let locker = std::thread::spawn(move || {
        let client = rusqlite::Connection::open(&path).unwrap();
        client.execute_batch("begin exclusive").unwrap();
        locked.send(()).unwrap();
        if when_to_go.recv().is_ok() {
            let _served = seen::begin();
            std::thread::sleep(time);
        }
    });
    when_locked.recv().map_err(text)?;
    call.ready();
    go.send(()).map_err(text)?;
    let answer = client.query_row("select n from t", [], |row| row.get::<_, u32>(0)).map_err(text)?;
    locker.join().unwrap();
    Ok(answer.to_string())
}
