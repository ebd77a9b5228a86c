//! Each step of a job, as a script: Redis runs it whole or not at all, and a second time it changes nothing.
//!
//! That is what makes a lost answer harmless. Whoever does not know whether his step was done does it again. What it rests on is one
//! number: XACK says 1 to one caller only, and the steps that end an entry do the rest only then.

use redis::Cmd;

use crate::job::Job;
use crate::keys::{GROUP, Keys};

/// Counts, and adds an entry to the stream, unless the producer's mark says that this job is in it.
const ADD: &str = "
if tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0') >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'added', 1)
redis.call('XADD', KEYS[1], '*', 'job', ARGV[3], 'attempt', 1)
return 1";

const DONE: &str = "
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[2], 'done', 1)
return 1";

/// The entry's id is part of the member, so that no two members are the same.
const RETRY: &str = "
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[2], 'retried', 1)
local now = redis.call('TIME')
local due = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]
redis.call('ZADD', KEYS[3], due, ARGV[2] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
return 1";

const BURY: &str = "
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[2], 'dead', 1)
redis.call('XADD', KEYS[3], '*', 'job', ARGV[3], 'attempt', ARGV[4], 'reason', ARGV[5])
return 1";

/// Puts the jobs whose time has come back into the stream.
const PROMOTE: &str = "
local now = redis.call('TIME')
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now[1] * 1000 + math.floor(now[2] / 1000), 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
    local attempt, job = string.match(member, '^%S+ (%d+) (.*)$')
    redis.call('ZREM', KEYS[2], member)
    redis.call('XADD', KEYS[1], '*', 'job', job, 'attempt', attempt)
end
return #due";

/// Takes over entries that nobody has renewed for some time. An entry that is pending and not in the stream was trimmed or deleted, with its
/// job: whoever takes it off counts it. (By itself, Redis 6.2 would leave it pending for ever, and XCLAIM of 7.0 take it off without a word.)
const CLAIM: &str = "
local claimed = {}
for n = 4, #ARGV do
    if #redis.call('XRANGE', KEYS[1], ARGV[n], ARGV[n]) == 0 then
        redis.call('HINCRBY', KEYS[2], 'trimmed', redis.call('XACK', KEYS[1], ARGV[1], ARGV[n]))
    else
        local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[n])[1]
        if entry then claimed[#claimed + 1] = entry end
    end
end
return claimed";

/// Forgets consumers that have been silent for long and own nothing. One that owns something keeps its name: with it, Redis would forget
/// what it owns.
const FORGET: &str = "
local forgotten = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local facts = {}
    for n = 1, #consumer, 2 do facts[consumer[n]] = consumer[n + 1] end
    if facts.pending == 0 and facts.idle > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts.name)
        forgotten = forgotten + 1
    end
end
return forgotten";

const REQUEUE: &str = "
if redis.call('XDEL', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[3], 'dead', -1)
redis.call('XADD', KEYS[1], '*', 'job', ARGV[2], 'attempt', 1)
return 1";

fn script(text: &str, keys: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(keys.len()).arg(keys);
    command
}

pub(crate) fn add(keys: &Keys, producer: &str, number: u64) -> Cmd {
    let mut command = script(ADD, &[&keys.jobs, &keys.marks, &keys.counters]);
    command.arg(producer).arg(number).arg(format!("{producer}:{number}")).clone()
}

pub(crate) fn done(keys: &Keys, id: &str) -> Cmd {
    script(DONE, &[&keys.jobs, &keys.counters]).arg(GROUP).arg(id).clone()
}

pub(crate) fn retry(keys: &Keys, id: &str, job: &Job, delay_ms: u64) -> Cmd {
    let mut command = script(RETRY, &[&keys.jobs, &keys.counters, &keys.delayed]);
    command.arg(GROUP).arg(id).arg(delay_ms).arg(job.attempt + 1).arg(&job.name).clone()
}

pub(crate) fn bury(keys: &Keys, id: &str, job: &Job, reason: &str) -> Cmd {
    let mut command = script(BURY, &[&keys.jobs, &keys.counters, &keys.dead]);
    command.arg(GROUP).arg(id).arg(&job.name).arg(job.attempt).arg(reason).clone()
}

pub(crate) fn promote(keys: &Keys, most: usize) -> Cmd {
    script(PROMOTE, &[&keys.jobs, &keys.delayed]).arg(most).clone()
}

pub(crate) fn claim(keys: &Keys, consumer: &str, idle_ms: u64, ids: &[&str]) -> Cmd {
    let mut command = script(CLAIM, &[&keys.jobs, &keys.counters]);
    command.arg(GROUP).arg(consumer).arg(idle_ms).arg(ids).clone()
}

pub(crate) fn forget(keys: &Keys, idle_ms: u64) -> Cmd {
    script(FORGET, &[&keys.jobs]).arg(GROUP).arg(idle_ms).clone()
}

pub(crate) fn requeue(keys: &Keys, id: &str, job: &str) -> Cmd {
    script(REQUEUE, &[&keys.jobs, &keys.dead, &keys.counters]).arg(id).arg(job).clone()
}
