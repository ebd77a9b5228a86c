//! The HTML around charts, tables and sentences: no script, no network, light and dark, wide, narrow and print.

use std::fmt::Write;

use super::{Section, Table};
use crate::data::Run;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1a1a1a; --page: #ffffff; --faint: #6b6b6b; --line: #d5d5d5; --shade: #f4f4f2; --link: #0058a3 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --page: #161618; --faint: #a0a0a0; --line: #3a3a3d; --shade: #222225; --link: #7cc0f5 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 50rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif }
h1 { font-size: 1.7rem; margin: 0 0 .3rem }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1.2rem }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem }
p, li { max-width: 42rem }
.faint, figcaption, caption { color: var(--faint); font-size: .88rem }
nav ol { columns: 2; column-gap: 3rem; padding-left: 1.6rem }
figure { margin: .8rem 0; overflow-x: auto }
svg { max-width: 100%; min-width: 32rem; height: auto; display: block }
svg text { fill: var(--ink) }
svg [fill='#FFFFFF'] { fill: var(--page) }
svg [stroke='#000000'] { stroke: var(--ink) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; margin: .8rem 0; min-width: 20rem }
caption { text-align: left; padding: .2rem 0 }
th, td { padding: .22rem .6rem .22rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.text { white-space: normal; min-width: 14rem; text-align: left }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom }
a { color: var(--link) }
code { background: var(--shade); padding: .1em .3em; border-radius: 3px }
code span { display: inline-block; max-width: 100%; overflow-wrap: anywhere }
aside { background: var(--shade); padding: .7rem 1rem; border-left: 4px solid #d55e00 }
@media (max-width: 40rem) { body { font-size: 15px } nav ol { columns: 1 } }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt } nav { display: none } figure, tr { break-inside: avoid }
  svg { min-width: 0 } h2, h3, caption, thead { break-after: avoid } .scroll { overflow: visible }
}
";

/// The file.
pub(crate) fn html(title: &str, run: &Run, sentences: &[String], sections: &[Section]) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, title, run, sentences, sections);
    page
}

fn write_page(
    page: &mut String,
    title: &str,
    run: &Run,
    sentences: &[String],
    sections: &[Section],
) -> std::fmt::Result {
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n",
        escape(title)
    )?;
    writeln!(page, "<p class=\"faint\">{}</p>", escape(&setting(run)))?;
    if !run.complete {
        page.push_str("<aside>This run was interrupted: it holds what was done by then.</aside>\n");
    }
    if run.quick {
        page.push_str("<aside>A quick run: few repetitions of small loads. Its figures show that everything works, not how fast.</aside>\n");
    }
    page.push_str("</header>\n<section id=\"summary\">\n<h2>In a minute</h2>\n<ul>\n");
    for sentence in sentences {
        writeln!(page, "<li>{}</li>", escape(sentence))?;
    }
    page.push_str("</ul>\n</section>\n<nav>\n<h2>Questions</h2>\n<ol>\n");
    for section in sections {
        writeln!(page, "<li><a href=\"#{}\">{}</a></li>", section.id, escape(&section.title))?;
    }
    page.push_str("</ol>\n</nav>\n<main>\n");
    for section in sections {
        write_section(page, section)?;
    }
    page.push_str("</main>\n<section id=\"setting\">\n<h2>Machine and versions</h2>\n");
    write_table(page, &machine(run))?;
    write_table(page, &versions(run))?;
    write!(
        page,
        "<p>The raw figures are in the JSON file beside this one. To repeat the run: {}</p>\n\
         </section>\n</body>\n</html>\n",
        code(&run.command)
    )
}

fn setting(run: &Run) -> String {
    let machine = &run.machine;
    let date = time_of(run.began);
    format!("{date} · {} CPUs of {} · Linux {}", machine.cpus, machine.processor, machine.kernel)
}

/// Seconds since 1970 as a date and time of the universal clock.
fn time_of(seconds: u64) -> String {
    // The civil-from-days algorithm of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
}

fn machine(run: &Run) -> Table {
    let machine = &run.machine;
    let mut rows = vec![
        vec!["processor".to_owned(), format!("{} CPUs of {}", machine.cpus, machine.processor)],
        vec!["memory".to_owned(), format!("{:.1} GiB", machine.memory_bytes as f64 / f64::from(1 << 30))],
        vec!["kernel".to_owned(), machine.kernel.clone()],
    ];
    rows.extend(machine.limits.iter().map(|(name, limit)| vec![name.clone(), limit.clone()]));
    Table { caption: "Machine".into(), head: vec!["what".into(), "figure".into()], rows }
}

fn versions(run: &Run) -> Table {
    let rows = run.versions.iter().map(|(name, version)| vec![name.clone(), version.clone()]);
    Table { caption: "Versions".into(), head: vec!["of".into(), "version".into()], rows: rows.collect() }
}

fn write_section(page: &mut String, section: &Section) -> std::fmt::Result {
    writeln!(page, "<section id=\"{}\">\n<h2>{}</h2>", section.id, escape(&section.title))?;
    if section.charts.is_empty() && section.tables.iter().all(|table| table.rows.is_empty()) {
        page.push_str("<p class=\"faint\">Not measured in this run.</p>\n");
    }
    for (heading, svg) in &section.charts {
        writeln!(page, "<figure><h3>{}</h3>\n{svg}</figure>", escape(heading))?;
    }
    for table in section.tables.iter().filter(|table| !table.rows.is_empty()) {
        write_table(page, table)?;
    }
    writeln!(page, "<p class=\"faint\">{}</p>", escape(&section.method))?;
    if !section.command.is_empty() {
        writeln!(page, "<p class=\"faint\">To measure this again: {}</p>", code(&section.command))?;
    }
    page.push_str("</section>\n");
    Ok(())
}

/// A cell of more bytes than this is text.
const LONG: usize = 32;

fn write_table(page: &mut String, table: &Table) -> std::fmt::Result {
    let cell = |cell: &String| {
        // Sentences break, figures do not.
        let class = if cell.len() > LONG { " class=\"text\"" } else { "" };
        format!("<td{class}>{}</td>", escape(cell))
    };
    let cells = |row: &[String]| -> String { row.iter().map(cell).collect() };
    let is_text =
        |column: usize| table.rows.iter().any(|row| row.get(column).is_some_and(|it| it.len() > LONG));
    let heads = table.head.iter().enumerate().map(|(column, head)| {
        let class = if is_text(column) { " class=\"text\"" } else { "" };
        format!("<th{class}>{}</th>", escape(head))
    });
    write!(
        page,
        "<div class=\"scroll\"><table><caption>{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n",
        escape(&table.caption),
        heads.collect::<String>()
    )?;
    for row in &table.rows {
        writeln!(page, "<tr>{}</tr>", cells(row))?;
    }
    page.push_str("</tbody></table></div>\n");
    Ok(())
}

/// A command, which breaks between its words only: after a hyphen it would look like another.
fn code(command: &str) -> String {
    let words: Vec<String> =
        command.split_whitespace().map(|word| format!("<span>{}</span>", escape(word))).collect();
    format!("<code>{}</code>", words.join(" "))
}

/// `text` where HTML expects text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(time_of(0), "1970-01-01 00:00 UTC");
        assert_eq!(time_of(951_868_740), "2000-02-29 23:59 UTC");
        assert_eq!(time_of(1_795_445_546), "2026-11-23 14:52 UTC");
    }

    #[test]
    fn text_from_outside_stays_text() {
        let run = Run { command: "lab --out '<x>&\"'".into(), ..Run::default() };
        let page = html("T", &run, &["a < b".into()], &[]);
        assert!(page.contains("&lt;x&gt;&amp;&quot;") && page.contains("a &lt; b"));
        assert!(!page.contains("<x>"));
    }
}
