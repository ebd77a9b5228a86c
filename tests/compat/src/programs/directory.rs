//! LDAP, by slapd.

use ldap3::{LdapConn, Scope, SearchEntry};

use super::{Gone, Program, Version, text};
use crate::call::{Answer, Call};
use crate::servers::Which;

pub(super) const PROGRAMS: &[Program] = &[Program {
    name: "ldap3",
    version: Version::Of("ldap3"),
    is_there: |servers| servers.slapd.is_some(),
    slow: by_ldap3,
    look: None,
    gone: Gone::Killed(Which::Slapd),
    goes_on: None,
}];

fn by_ldap3(call: &Call<'_>) -> Answer {
    let address = call.servers.slapd.expect("it runs");
    let mut client = LdapConn::new(&format!("ldap://{address}")).map_err(text)?;
    client.simple_bind("", "").and_then(ldap3::LdapResult::success).map_err(text)?;
    call.ready();
    let base = format!("cn={},cn=slow", call.time.as_millis());
    let found = client.search(&base, Scope::Base, "(objectClass=*)", ["description"]);
    let (entries, _) = found.and_then(ldap3::SearchResult::success).map_err(text)?;
    client.unbind().map_err(text)?;
    Ok(format!(
        "{:?}",
        entries.into_iter().map(|entry| SearchEntry::construct(entry).attrs).collect::<Vec<_>>()
    ))
}
