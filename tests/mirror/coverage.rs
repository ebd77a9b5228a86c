//! The items of the originals, held against abaca's own documentation: one rustdoc wrote both, so they compare.

use std::collections::BTreeSet;
use std::fs;

use crate::stage::Stage;
use crate::table::{self, Page};
use crate::{html, std_page};

#[test]
fn every_stable_item_of_the_originals_is_here() {
    let documentation = Stage::new("mirror-documents").document();
    let read = |page: &str| fs::read_to_string(documentation.join(page));
    let mut complaints = Vec::new();
    for page in table::std_pages().filter(|page| !page.ours.is_empty()) {
        complaints.extend(compare(
            page,
            &std_page(page.original),
            read(&format!("abaca/{}", page.ours)).ok(),
        ));
    }
    for page in table::crossbeam_pages() {
        let theirs = read(&format!("crossbeam_channel/{}", page.original)).expect("rustdoc wrote the page");
        complaints.extend(compare(page, &theirs, read(&format!("abaca/{}", page.ours)).ok()));
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Traits that the compiler implements for its own use.
const INTERNAL: [&str; 3] = ["Freeze", "StructuralPartialEq", "UnsafeUnpin"];

/// Everything on a page that code may name or rely on. An implementation for the page's own type is called by its
/// trait alone, since a type may have another name here.
fn items(page: &str, path: &str) -> BTreeSet<String> {
    let own = format!(" for {}", path.rsplit('.').nth(1).unwrap_or_default());
    let items = html::items(page).into_iter().map(|(kind, name)| format!("{kind} {name}"));
    let traits = html::traits(page).into_iter().map(|text| match text.strip_suffix(&own) {
        Some(name) => format!("impl {name}"),
        None => format!("impl {text}"),
    });
    let traits = traits.filter(|text| !INTERNAL.iter().any(|name| text.strip_prefix("impl ") == Some(*name)));
    html::methods(page).into_iter().map(|name| format!("fn {name}")).chain(traits).chain(items).collect()
}

/// What is lacking and not in the table, and what is in the table and not lacking.
fn compare(page: &Page, theirs: &str, ours: Option<String>) -> Vec<String> {
    let Some(ours) = ours else { return vec![format!("{}: abaca has no {}", page.original, page.ours)] };
    let theirs = items(theirs, page.original);
    assert!(!theirs.is_empty(), "{}: rustdoc's marks have changed", page.original);
    let lacking = &theirs - &items(&ours, page.ours);
    let excused: BTreeSet<_> = page.lacks.iter().map(|(item, _)| (*item).to_owned()).collect();
    let missing = &lacking - &excused;
    let stale = &excused - &lacking;
    let missing = missing.iter().map(|item| format!("{}: {} has no `{item}`", page.original, page.ours));
    let stale =
        stale.iter().map(|item| format!("{}: {} has `{item}`: it is no exception", page.original, page.ours));
    missing.chain(stale).collect()
}
