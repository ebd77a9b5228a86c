//! Entries of streams, as the server's answers have them.

use redis::{RedisError, Value};

use crate::link::Link;

/// One entry of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    fields: Vec<(String, String)>,
}

impl Entry {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn of(value: &Value) -> Option<Self> {
        let [id, fields] = list(value) else { return None };
        let texts: Vec<String> = list(fields).iter().filter_map(text).collect();
        let fields = texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Some(Self { id: text(id)?, fields })
    }
}

/// What an answer has for a list; nothing, where the server says nil.
pub(crate) fn list(value: &Value) -> &[Value] {
    if let Value::Array(values) = value { values } else { &[] }
}

/// A text or a number.
pub(crate) fn text(value: &Value) -> Option<String> {
    redis::from_redis_value(value.clone()).ok()
}

/// The entries of an answer to XRANGE or XCLAIM. Entries that are no longer in the stream are left out: Redis 6.2 answers nil for such an
/// entry, and 7.0 does not mention it.
pub(crate) fn entries(answer: &Value) -> Vec<Entry> {
    list(answer).iter().filter_map(Entry::of).collect()
}

/// The entries of an answer to XREADGROUP from one stream; none if it is nil, after the time that it was to wait.
pub(crate) fn entries_read(answer: &Value) -> Vec<Entry> {
    list(answer).first().and_then(|stream| list(stream).get(1)).map(entries).unwrap_or_default()
}

/// All entries of a stream.
pub(crate) fn all(link: &mut Link, stream: &str) -> Result<Vec<Entry>, RedisError> {
    let (mut found, mut from) = (Vec::new(), "-".to_owned());
    loop {
        let answer = link.run(|connection| {
            redis::cmd("XRANGE").arg(stream).arg(&from).arg("+").arg("COUNT").arg(1000).query(connection)
        })?;
        let Some(last) = entries(&answer).last().cloned() else { return Ok(found) };
        found.extend(entries(&answer));
        from = format!("({}", last.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn an_entry_that_is_gone_is_left_out() {
        let whole = Value::Array(vec![value("1-0"), Value::Array(vec![value("job"), value("a")])]);
        let of_6_2 = Value::Array(vec![Value::Nil, whole.clone()]);
        // An entry of one's own that was deleted, in XREADGROUP's answer.
        let without_fields = Value::Array(vec![Value::Array(vec![value("2-0"), Value::Nil]), whole]);
        assert_eq!(entries(&of_6_2).len(), 1);
        assert_eq!(entries(&of_6_2)[0].field("job"), Some("a"));
        assert_eq!(entries(&without_fields)[0].field("job"), None);
        assert!(entries_read(&Value::Nil).is_empty());
    }
}
