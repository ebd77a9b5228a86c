//! The items of the originals, held against abaca's own documentation: one rustdoc wrote both, so they compare.

use std::collections::BTreeMap;
use std::fs;

use crate::form::std_page;
use crate::html;
use crate::pages::{self, Page};
use crate::signature::Signature;
use crate::stage::Stage;

#[test]
fn every_stable_item_of_the_originals_is_here() {
    let documentation = Stage::new("mirror-documents").document();
    let read = |page: &str| fs::read_to_string(documentation.join(page));
    let mut complaints = Vec::new();
    for page in pages::std_pages().filter(|page| !page.ours.is_empty()) {
        complaints.extend(compare(
            page,
            &std_page(page.original),
            read(&format!("abaca/{}", page.ours)).ok(),
        ));
    }
    for page in pages::crossbeam_pages() {
        let theirs = read(&format!("crossbeam_channel/{}", page.original)).expect("rustdoc wrote the page");
        complaints.extend(compare(page, &theirs, read(&format!("abaca/{}", page.ours)).ok()));
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Traits that the compiler implements for its own use, and what nobody relies on.
const IRRELEVANT: [&str; 7] = [
    "impl Drop",
    "impl Freeze",
    "impl StructuralPartialEq",
    "impl UnsafeUnpin",
    "impl !RefUnwindSafe",
    "impl !Unpin",
    "impl !UnwindSafe",
];

/// The methods and implementations of a page's type.
fn signatures(page: &str, path: &str) -> Vec<Signature> {
    let is_function = path.split('/').any(|part| part.starts_with("fn."));
    let own = if is_function { "" } else { path.rsplit('.').nth(1).unwrap_or_default() };
    let own = pages::rename(own);
    let headers = html::functions(page).into_iter().chain(html::implementations(page));
    let signatures = headers.map(|header| Signature::new(&pages::rename(&header), &own));
    signatures.filter(|signature| !IRRELEVANT.contains(&signature.name().as_str())).collect()
}

/// What is different and not in the table, and what is in the table and not different.
fn compare(page: &Page, theirs: &str, ours: Option<String>) -> Vec<String> {
    let Some(ours) = ours else { return vec![format!("{}: abaca has no {}", page.original, page.ours)] };
    let mut different = BTreeMap::new();
    let our_items = html::items(&ours);
    let their_items = html::items(theirs);
    for (kind, name) in their_items.iter().filter(|item| !our_items.contains(item)) {
        different.insert(format!("{kind} {name}"), String::from("is not there"));
    }
    let our_signatures = signatures(&ours, page.ours);
    let their_signatures: Vec<_> = signatures(theirs, page.original);
    assert!(
        their_items.len() + their_signatures.len() > 0,
        "{}: rustdoc's marks have changed",
        page.original
    );
    for original in &their_signatures {
        if !our_signatures.iter().any(|ours| ours.serves(original)) {
            let name = original.name();
            let alike =
                our_signatures.iter().filter(|ours| ours.name() == name).map(|ours| format!("`{ours}`"));
            let alike: Vec<_> = alike.collect();
            let ours = if alike.is_empty() { String::from("nothing") } else { alike.join(" and ") };
            different.insert(name, format!("is {ours}, where the original is `{original}`"));
        }
    }
    let stale = page.lacks.iter().filter(|(item, _)| !different.contains_key(*item));
    let stale = stale.map(|(item, _)| format!("{}: `{item}` is no exception", page.original));
    let missing =
        different.iter().filter(|(item, _)| !page.lacks.iter().any(|(excused, _)| excused == *item));
    let missing = missing.map(|(item, how)| format!("{}: `{item}` {how}", page.original));
    missing.chain(stale).collect()
}
