//! What rustdoc's pages say: the examples of an item, and the items of a page.
//!
//! A page is read as text, by the few marks that rustdoc puts around examples and items; the same marks are in the
//! pages of std and in abaca's own, since one rustdoc wrote both. Nothing here knows what is mirrored.

use crate::form::Example;

/// What the box around an example says will happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Compiles, and ends without a panic; or is `no_run`, which a page does not tell.
    Passes,
    /// Compiles, and panics.
    Panics,
    /// Does not compile.
    Rejected,
    /// Is not tested by its authors either.
    Ignored,
}

const BOX: &str = "<div class=\"example-wrap";

/// The examples of a page, in order, with the source that the "Run code" button sends: complete, hidden lines included.
pub(crate) fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    for (at, _) in page.match_indices(BOX) {
        let text = &page[at..];
        let class = between(text, BOX, "\"").unwrap_or_default();
        let end = text.find("</div>").unwrap_or(text.len());
        let Some(code) = between(&text[..end], "?code=", "\"") else { continue };
        let code = code.split("&amp;").next().unwrap_or_default();
        let fate = match class.trim() {
            "should_panic" => Fate::Panics,
            "compile_fail" => Fate::Rejected,
            "ignore" => Fate::Ignored,
            _ => Fate::Passes,
        };
        let section = section(&page[..at]);
        let nth = found.iter().filter(|example| example.section == section).count();
        found.push(Example { section, nth, fate, code: from_url(code) });
    }
    found
}

/// The id of the last item that begins in `before`.
fn section(before: &str) -> String {
    let id = before.rfind("<section id=\"").and_then(|at| between(&before[at..], "id=\"", "\""));
    id.unwrap_or("main-content").to_owned()
}

/// The headers of the stable, undeprecated methods that a page's type has of its own; or the function of the page.
pub(crate) fn functions(page: &str) -> Vec<String> {
    let end = ["id=\"trait-implementations\"", "id=\"deref-methods-", "id=\"synthetic-implementations\""]
        .iter()
        .filter_map(|mark| page.find(mark))
        .min()
        .unwrap_or(page.len());
    let declaration = between(page, "item-decl\"><code>", "</code>").map(without_tags);
    let function = declaration.filter(|text| text.split('(').next().is_some_and(|text| text.contains("fn ")));
    let methods = sections(&page[..end])
        .filter(|(id, text)| {
            (id.starts_with("method.") || id.starts_with("tymethod."))
                && !is_unstable(text)
                && !is_deprecated(text)
        })
        .filter_map(|(_, text)| header(text));
    function.into_iter().chain(methods).collect()
}

/// The headers of what a page's type implements.
pub(crate) fn implementations(page: &str) -> Vec<String> {
    let from = ["id=\"trait-implementations\"", "id=\"synthetic-implementations\""]
        .iter()
        .filter_map(|mark| page.find(mark))
        .min()
        .unwrap_or(page.len());
    let to = page.find("id=\"blanket-implementations\"").unwrap_or(page.len()).max(from);
    sections(&page[from..to])
        .filter(|(id, text)| id.starts_with("impl-") && !is_unstable(text) && !is_foreign(text))
        .filter_map(|(_, text)| header(text))
        .collect()
}

/// The text of an item's header.
fn header(text: &str) -> Option<String> {
    between(text, "class=\"code-header\">", "</h").map(without_tags)
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    for part in html.replace("<div", " <div").split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    // The mark of a type with notable traits, and what stands for a character.
    text.replace('ⓘ', "")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
        .replace("&#39;", "'")
}

/// The stable, undeprecated items of a module's page, `("fn", "spawn")`, and the variants of an enum's.
pub(crate) fn items(page: &str) -> Vec<(String, String)> {
    const LINKS: [&str; 8] = ["fn", "struct", "enum", "trait", "macro", "type", "constant", "static"];
    let variants = sections(page).filter(|(id, text)| id.starts_with("variant.") && !is_unstable(text));
    let mut items: Vec<_> =
        variants.filter_map(|(_, text)| Some((String::from("variant"), header(text)?))).collect();
    let page = &page[page.find("class=\"item-table").unwrap_or(page.len())..];
    for row in page.split("<dt").skip(1) {
        let row = row.split("</dt>").next().unwrap_or_default();
        // A path that is re-exported has a link for each of its parts; the last is the item.
        let links = row.split("<a class=\"").skip(1).filter_map(|link| link.split_once('"'));
        let Some((kind, link)) = links.last().filter(|(kind, _)| LINKS.contains(kind)) else { continue };
        let page = between(link, "href=\"", "\"").unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let item = page.strip_prefix(kind).and_then(|page| page.strip_prefix('.')?.strip_suffix(".html"));
        let name = between(row, "id=\"reexport.", "\"").or(item);
        if let Some(name) = name.filter(|_| !is_unstable(row) && !is_deprecated(row)) {
            items.push((kind.to_owned(), name.to_owned()));
        }
    }
    items
}

/// Each item of a page: its id, and the text up to the next item.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("<section id=\"").skip(1).filter_map(|text| text.split_once('"'))
}

fn is_unstable(text: &str) -> bool {
    text.contains("stab unstable")
}

/// Whether it is there on other systems only.
fn is_foreign(text: &str) -> bool {
    text.contains("Available on <strong>Windows</strong> only")
}

fn is_deprecated(text: &str) -> bool {
    text.contains("stab deprecated")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let text = &text[text.find(before)? + before.len()..];
    Some(&text[..text.find(after)?])
}

/// Undoes the encoding of a query string.
fn from_url(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut hex =
            || rest.next().and_then(|digit| char::from(digit).to_digit(16)).expect("two hex digits");
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let byte = hex() * 16 + hex();
                bytes.push(u8::try_from(byte).expect("two digits"));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).expect("examples are UTF-8")
}

#[test]
fn a_page_tells_its_examples_and_its_stable_items() {
    let page = r#"<div class="example-wrap should_panic"><pre class="rust"><code>..</code></pre>
        <a class="test-arrow" href="https://play/?code=fn+main()+%7B+f(%26%C3%A9)+%7D&amp;edition=2024"></a></div>
        <section id="method.new-1" class="method"><h4 class="code-header">fn <a>new</a>&lt;T&gt;()</h4></section>
        <div class="example-wrap"><pre class="language-text"><code>no example</code></pre></div>
        <section id="method.old" class="method"><h4 class="code-header">fn old()</h4><div class="stab deprecated"></div></section>
        <section id="method.nightly" class="method"><h4 class="code-header">fn nightly()</h4><div class="stab unstable"></div></section>
        <dl class="item-table reexports"><dt id="reexport.Two"><code>pub use <a class="mod" href="a/index.html">a</a>::
        <a class="struct" href="a/struct.One.html">One</a> as Two;</code></dt></dl>
        <dl class="item-table"><dt><a class="fn" href="fn.three.html">three</a></dt>
        <dt><a class="fn" href="fn.four.html">four</a><span class="stab unstable"></span></dt></dl>
        <h2 id="trait-implementations"></h2>
        <section id="impl-Sync-for-Own%3CT%3E" class="impl">
        <h3 class="code-header">impl&lt;T&gt; !<a>Sync</a> for Own<div class="where">where T: Send</div></h3></section>
        <section id="method.from" class="method"></section>
        <h2 id="blanket-implementations"></h2><section id="impl-Any-for-T" class="impl"></section>"#;
    let examples = examples(page);
    assert_eq!(examples.len(), 1);
    assert_eq!((examples[0].fate, examples[0].code.as_str()), (Fate::Panics, "fn main() { f(&é) }"));
    assert_eq!(examples[0].section, "main-content");
    assert_eq!(functions(page), ["fn new<T>()"]);
    let named = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    assert_eq!(items(page), [named("struct", "Two"), named("fn", "three")]);
    assert_eq!(implementations(page), ["impl<T> !Sync for Own where T: Send"]);
}
